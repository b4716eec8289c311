//! The journey, top to bottom: identity, exchange, delivery.

use std::io::Write;

use anyhow::Context;

use crate::advice;
use crate::cli::Settings;
use crate::http::Http;
use crate::identity::GitHub;
use crate::outside::one_line;
use crate::runner::{Outputs, Runner};
use crate::token_service::{Expiry, exchange};

/// Gets an ID token, exchanges it for an API key and hands that to the next steps. Each credential is masked before
/// anything else happens to it; nothing is written to the outputs unless everything went well.
pub async fn login<W: Write>(
    settings: &Settings,
    github: &GitHub,
    http: &Http,
    runner: &mut Runner<W>,
    outputs: &mut Outputs,
) -> anyhow::Result<()> {
    const NOT_MASKED: &str = "the log can't be written, so nothing can be masked in it";

    let host = settings.token_service.host();
    runner.mask(github.request_token()).context(NOT_MASKED)?;
    if let Some(warning) = advice::warning(settings) {
        runner.warning("NuGet login", &warning)?;
    }

    let id_token = github.id_token(http, &settings.audience).await?;
    runner.mask(&id_token).context(NOT_MASKED)?;

    let api_key = exchange(http, &settings.token_service, &settings.user, &id_token).await?;
    runner.mask(&api_key.key).context(NOT_MASKED)?;

    let mut records = vec![("NUGET_API_KEY", api_key.key.reveal())];
    if let Expiry::At(_, said) = &api_key.expires {
        records.push(("expires-at", said));
    }
    outputs.append(&records).context("the API key can't be written to the file in GITHUB_OUTPUT")?;

    let user = one_line(&settings.user);
    let valid = api_key.expires.in_words();
    // The key is delivered; a log that ends early does not undo that.
    let _ = runner.say(&format!("Logged in to {host} as {user}: NUGET_API_KEY holds an API key, valid {valid}."));
    Ok(())
}

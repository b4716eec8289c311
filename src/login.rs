//! The journey, top to bottom: identity, exchange, delivery.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};

use anyhow::Context;

use crate::advice;
use crate::cli::Settings;
use crate::clock::Clock;
use crate::failure::Failure;
use crate::http::Http;
use crate::identity::{GitHub, NoIdToken};
use crate::outside::one_line;
use crate::retry::{Attempts, End, Retry, Seconds};
use crate::runner::{Outputs, Runner};
use crate::secret::Secret;
use crate::token_service::{ApiKey, Expiry, NoApiKey, exchange};

/// Why an attempt brought no API key.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// There was nothing to exchange.
    #[error(transparent)]
    NoIdToken(#[from] NoIdToken),
    /// There was nothing to be had for it.
    #[error(transparent)]
    NoApiKey(#[from] NoApiKey),
    /// A credential must not go anywhere unmasked.
    #[error("the log can't be written, so nothing can be masked in it: {0}")]
    NotMasked(#[from] io::Error),
}

impl AttemptError {
    fn retry(&self) -> Retry {
        match self {
            AttemptError::NoIdToken(error) => error.retry(),
            AttemptError::NoApiKey(error) => error.retry(),
            AttemptError::NotMasked(_) => Retry::Never,
        }
    }

    /// What went wrong between us and a service, if it was that.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            AttemptError::NoIdToken(NoIdToken(failure)) | AttemptError::NoApiKey(NoApiKey(failure)) => Some(failure),
            AttemptError::NotMasked(_) => None,
        }
    }
}

/// The last attempt's error, and why it was the last.
#[derive(Debug)]
pub struct GaveUp {
    /// What went wrong in the end.
    pub cause: AttemptError,
    attempts: u32,
    end: End,
}

impl std::error::Error for GaveUp {}

impl fmt::Display for GaveUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GaveUp { cause, attempts, end } = self;
        match (attempts, end) {
            (1, End::Permanent) => write!(formatter, "{cause}"),
            (1, end) => write!(formatter, "{cause}\nThere was one attempt: {end}."),
            (_, end) => write!(formatter, "{cause}\nThere were {attempts} attempts: {end}."),
        }
    }
}

/// Gets an ID token, exchanges it for an API key and hands that to the next steps, with as many attempts as can help
/// before the deadline. Each credential is masked before anything else happens to it; nothing is written to the outputs
/// unless everything went well.
pub async fn login<W: Write, C: Clock>(
    settings: &Settings,
    github: &GitHub,
    http: &Http<'_, C>,
    clock: &C,
    runner: &mut Runner<W>,
    outputs: &mut Outputs,
) -> anyhow::Result<()> {
    runner.mask(github.request_token()).map_err(AttemptError::NotMasked)?;
    let mut attempts = Attempts::begin(clock, settings.timeout);
    let mut used = UsedTokens::default();
    if let Some(warning) = advice::warning(settings) {
        runner.warning("NuGet login", &warning)?;
    }
    let api_key = loop {
        let cause = match attempt(settings, github, http, runner, &attempts, &mut used).await {
            Ok(api_key) => break api_key,
            Err(cause) => cause,
        };
        let next = attempts.next(cause.retry());
        let failed = attempts.failed();
        let wait = match next {
            Ok(wait) => wait,
            Err(end) => return Err(GaveUp { cause, attempts: failed, end }.into()),
        };
        runner.say(&format!("Attempt {failed} failed, the next one follows in {}: {cause}", Seconds(wait)))?;
        clock.sleep(wait).await;
    };

    let mut records = vec![("NUGET_API_KEY", api_key.key.reveal())];
    if let Expiry::At(_, said) = &api_key.expires {
        records.push(("expires-at", said));
    }
    outputs.append(&records).context("the API key can't be written to the file in GITHUB_OUTPUT")?;

    let host = settings.token_service.host();
    let user = one_line(&settings.user);
    let valid = api_key.expires.in_words();
    // The key is delivered; a log that ends early does not undo that.
    let _ = runner.say(&format!("Logged in to {host} as {user}: NUGET_API_KEY holds an API key, valid {valid}."));
    Ok(())
}

/// One fresh ID token and one exchange.
async fn attempt<W: Write, C: Clock>(
    settings: &Settings,
    github: &GitHub,
    http: &Http<'_, C>,
    runner: &mut Runner<W>,
    attempts: &Attempts<'_, C>,
    used: &mut UsedTokens,
) -> Result<ApiKey, AttemptError> {
    let id_token = github.id_token(http, &settings.audience, attempts.left()).await?;
    runner.mask(&id_token)?;
    if !used.is_new(&id_token) {
        return Err(NoIdToken(github.unusable("the `value` in its answer is one that was used before")).into());
    }
    let api_key = exchange(http, &settings.token_service, &settings.user, id_token, attempts.left()).await?;
    runner.mask(&api_key.key)?;
    Ok(api_key)
}

/// The ID tokens that were sent, told by hashes that nobody else can compute.
#[derive(Default)]
struct UsedTokens {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl UsedTokens {
    /// Whether a token was not sent yet; from here on it was.
    fn is_new(&mut self, id_token: &Secret) -> bool {
        self.hashes.insert(self.hasher.hash_one(id_token.reveal()))
    }
}

//! What the user should do about an error: the one place that says so.

use reqwest::StatusCode;

use crate::cli::{Settings, UsageError};
use crate::failure::{Failure, Head};
use crate::identity::IdentityError;
use crate::login::GaveUp;
use crate::runner::OutputError;
use crate::trust::Untrusted;

/// The mend of an error, where there is a plain one.
pub fn mend(error: &anyhow::Error) -> Option<&'static str> {
    let failure = error.downcast_ref::<GaveUp>().and_then(|gave_up| gave_up.cause.failure());
    if let Some(IdentityError::NotPermitted(_)) = error.downcast_ref() {
        Some(
            "Give the job the permission (naming one permission takes away the others, so name what checkout needs \
             too):\n\
             permissions:\n  \
               id-token: write\n  \
               contents: read",
        )
    } else if let Some(UsageError::NoUser) = error.downcast_ref() {
        Some(
            "Set it to the nuget.org profile name of the person who created the trust policy. If it comes from a \
             secret or a variable, check that this job may read it.",
        )
    } else if let Some(UsageError::NotGitHubActions) = error.downcast_ref() {
        Some("Run it in a step of a workflow. To try it by hand, use what `cargo run -p sandbox -- serve` exports.")
    } else if let Some(OutputError::Unset | OutputError::Unwritable { .. }) = error.downcast_ref() {
        Some("The runner sets GITHUB_OUTPUT for each step and makes the file: leave both as they are.")
    } else if let Some(Failure::Untrusted { untrusted: Untrusted::Issuer { .. }, .. }) = failure {
        Some(
            "If that issuer is right (the certificate authority of a company, say), name a file with its certificate in \
             the environment variable NODE_EXTRA_CA_CERTS, which adds to the built-in and the system's ones; \
             SSL_CERT_FILE and SSL_CERT_DIR replace them.",
        )
    } else if let Some(Failure::Proxy {
        head: Some(Head { status: StatusCode::PROXY_AUTHENTICATION_REQUIRED, .. }),
        ..
    }) = failure
    {
        Some("Put the user and the password that the proxy knows into HTTPS_PROXY: http://user:password@host:port.")
    } else {
        None
    }
}

/// A warning about settings that work, but that give away more than they need to.
pub fn warning(settings: &Settings) -> Option<String> {
    settings.lends_nuget_org_audience().then(|| {
        format!(
            "The ID token for {} is made out to nuget.org (audience {}): whoever runs that host could redeem it at \
             nuget.org. Set the input `audience` to one of its own.",
            settings.token_service.host(),
            settings.audience,
        )
    })
}

//! Where the job's ID token comes from: GitHub's ID-token service, or the variable that GitLab sets.

mod github;
mod gitlab;

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::endpoint::{Endpoint, EndpointError};
use crate::environment::{Ci, Environment, NotUnicode};
use crate::http;
use crate::http::client::Http;
use crate::retry::Retry;
use crate::secret::{InvalidSecret, Secret};
use crate::settings::{ID_TOKEN_VARIABLE, Settings};
use crate::trusted_publishing::service_message::ServiceMessage;

pub(crate) use github::GitHub;
pub(crate) use gitlab::GitLab;

/// Lengths that a token can have, in characters. GitHub's have about 2,000; a header must hold it, and a mask must not hide
/// ordinary words.
const TOKEN_LENGTH: RangeInclusive<usize> = 8..=16 * 1024;

/// Whether a text has the form of a signed JSON web token: three parts in base64url (RFC 7515, section 3.1).
fn is_json_web_token(text: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut parts = text.split('.');
    let three = parts.by_ref().take(3).filter(|part| !part.is_empty() && part.bytes().all(is_base64url)).count() == 3;
    three && parts.next().is_none()
}

/// The job has no ID token and cannot request one. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdTokenSourceError {
    #[error("this job can't ask GitHub for an ID token: {0} is not set")]
    NotPermitted(&'static str),
    #[error("this job has no ID token: the variable {0} is not set")]
    NoIdToken(String),
    #[error("the environment variable {0} {1}")]
    RequestUrl(&'static str, EndpointError),
    #[error("the environment variable {0} {1}")]
    InvalidSecret(String, InvalidSecret),
    #[error("the environment variable {0} holds no ID token: it is not a JSON web token")]
    NotAJsonWebToken(String),
    /// The ID token in `variable` was issued for other audiences than the `wanted` one.
    #[error("the ID token in {variable} is for the audience {found}, but {wanted} is to get it")]
    Audience { variable: String, found: String, wanted: String },
    #[error(transparent)]
    NotUnicode(#[from] NotUnicode),
}

/// The credentials in the environment, as far as they are in their usual variables.
pub(crate) fn known_credentials(environment: &Environment<'_>) -> Vec<Secret> {
    let names = [github::REQUEST_TOKEN, ID_TOKEN_VARIABLE].into_iter();
    let values = names.filter_map(|name| environment.text(name).ok().flatten());
    values.filter_map(|value| Secret::new(value, TOKEN_LENGTH).ok()).collect()
}

/// GitHub's ID-token service issued no usable ID token.
#[derive(Debug, thiserror::Error)]
#[error("no ID token from GitHub: {error}")]
pub(crate) struct IdTokenError {
    pub(crate) error: http::error::Error,
    /// What the service said, as far as it is known.
    pub(crate) messages: Vec<ServiceMessage>,
}

impl From<http::error::Error> for IdTokenError {
    fn from(error: http::error::Error) -> IdTokenError {
        let messages = error.message().map(ServiceMessage::all_in).unwrap_or_default();
        IdTokenError { error, messages }
    }
}

/// Who issues the job's ID tokens.
#[derive(Debug)]
pub(crate) enum IdTokenSource {
    /// GitHub, which issues one for each attempt.
    GitHub(GitHub),
    /// GitLab, which issued one for the job.
    GitLab(GitLab),
}

impl IdTokenSource {
    /// Reads what the CI system gave to the job; sends nothing.
    pub(crate) fn from_environment(
        settings: &Settings,
        environment: &Environment<'_>,
    ) -> Result<IdTokenSource, IdTokenSourceError> {
        Ok(match settings.ci {
            Ci::GitLab => {
                let gitlab = GitLab::from_environment(&settings.id_token_variable, environment)?;
                IdTokenSource::GitLab(gitlab.checked(&settings.audience)?)
            }
            Ci::GitHubActions | Ci::None => IdTokenSource::GitHub(GitHub::from_environment(environment)?),
        })
    }

    /// Where ID tokens are requested, if they are.
    pub(crate) fn request_url(&self) -> Option<&Endpoint> {
        match self {
            IdTokenSource::GitHub(github) => Some(github.request_url()),
            IdTokenSource::GitLab(_) => None,
        }
    }

    /// The credential that the job was given, which must be masked before anything is printed.
    pub(crate) fn credential(&self) -> &Secret {
        match self {
            IdTokenSource::GitHub(github) => github.request_token(),
            IdTokenSource::GitLab(gitlab) => gitlab.id_token(),
        }
    }

    /// An ID token for one exchange, within `left`.
    pub(crate) fn id_token(&mut self, http: &Http<'_>, audience: &str, left: Duration) -> Result<Secret, IdTokenError> {
        match self {
            IdTokenSource::GitHub(github) => github.id_token(http, audience, left),
            IdTokenSource::GitLab(gitlab) => Ok(gitlab.id_token().clone()),
        }
    }

    /// Restricts `retry`, which a failed exchange allows, if its ID token may have been `received` and there is no other.
    pub(crate) fn retry(&self, retry: Retry, received: bool) -> Retry {
        match self {
            IdTokenSource::GitLab(_) if received && retry != Retry::Never => Retry::TokenConsumed,
            _ => retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_web_token_has_three_parts() {
        assert!(is_json_web_token("eyJh_-.eyJp.c2ln"));
        for text in ["", ".", "..", "a.b", "a.b.", "a..c", "a.b.c.d", "a.b.c.", "a.b=.c", "a.b c.d", "a/b.c.d"] {
            assert!(!is_json_web_token(text), "{text}");
        }
    }
}

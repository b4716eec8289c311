//! Where the job's ID token comes from: GitHub's token route, or the variable that GitLab put it into.

mod github;
mod gitlab;

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::clock::Clock;
use crate::endpoint::{Endpoint, EndpointError};
use crate::environment::{Ci, Environment, NotUnicode};
use crate::http::client::Http;
use crate::http::error::Failure;
use crate::retry::Retry;
use crate::secret::{InvalidSecret, Secret};
use crate::settings::{ID_TOKEN_VARIABLE, Settings};

pub use github::GitHub;
pub use gitlab::GitLab;

/// Lengths that a token may have, in characters. GitHub's are about 2,000 long; a header must hold it, and a mask must not
/// blank ordinary words.
const TOKEN_LENGTH: RangeInclusive<usize> = 8..=16 * 1024;

/// Whether a text has the form of a signed JSON web token: three parts in base64url (RFC 7515, section 3.1).
fn is_json_web_token(text: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut parts = text.split('.');
    let three = parts.by_ref().take(3).filter(|part| !part.is_empty() && part.bytes().all(is_base64url)).count() == 3;
    three && parts.next().is_none()
}

/// Why this job has no ID token, and can't get one.
#[derive(Debug, thiserror::Error)]
pub enum IdTokenSourceError {
    /// The job was given no access to GitHub's ID-token service.
    #[error("this job can't ask GitHub for an ID token: {0} is not set")]
    NotPermitted(&'static str),
    /// The job was given no ID token by GitLab.
    #[error("this job has no ID token: the variable {0} is not set")]
    IdTokenError(String),
    /// A variable with a URL can't be used.
    #[error("the environment variable {0} {1}")]
    RequestUrl(&'static str, EndpointError),
    /// A variable with a credential can't be used.
    #[error("the environment variable {0} {1}")]
    InvalidSecret(String, InvalidSecret),
    /// The variable holds something else.
    #[error("the environment variable {0} holds no ID token: it is not a JSON web token")]
    NoJsonWebToken(String),
    /// The ID token is made out to somebody else than the service that it would go to.
    #[error("the ID token in {variable} is for the audience {found}, but {wanted} is to get it")]
    Audience {
        /// Where it is.
        variable: String,
        /// Its audiences.
        found: String,
        /// The one that was expected.
        wanted: String,
    },
    /// A variable is not Unicode.
    #[error(transparent)]
    NotUnicode(#[from] NotUnicode),
}

/// The credentials that the environment holds, as far as they are where they mostly are.
pub fn known_credentials(environment: &Environment<'_>) -> Vec<Secret> {
    let names = [github::REQUEST_TOKEN, ID_TOKEN_VARIABLE].into_iter();
    let values = names.filter_map(|name| environment.text(name).ok().flatten());
    values.filter_map(|value| Secret::new(value, TOKEN_LENGTH).ok()).collect()
}

/// There is no ID token for this attempt.
#[derive(Debug, thiserror::Error)]
#[error("no ID token from GitHub: {0}")]
pub struct IdTokenError(#[from] pub Failure);

/// Who vouches for this job.
#[derive(Debug)]
pub enum IdTokenSource {
    /// GitHub, with as many ID tokens as we ask for.
    GitHub(GitHub),
    /// GitLab, with one.
    GitLab(GitLab),
}

impl IdTokenSource {
    /// Takes what the place gave to the job; sends nothing.
    pub fn from_environment(
        settings: &Settings,
        environment: &Environment<'_>,
    ) -> Result<IdTokenSource, IdTokenSourceError> {
        Ok(match settings.place {
            Ci::GitLab => {
                let gitlab = GitLab::from_environment(&settings.id_token_variable, environment)?;
                IdTokenSource::GitLab(gitlab.checked(&settings.audience)?)
            }
            Ci::GitHubActions | Ci::None => IdTokenSource::GitHub(GitHub::from_environment(environment)?),
        })
    }

    /// Where ID tokens are asked for, if they are.
    pub fn request_url(&self) -> Option<&Endpoint> {
        match self {
            IdTokenSource::GitHub(github) => Some(github.request_url()),
            IdTokenSource::GitLab(_) => None,
        }
    }

    /// What the job was given, to be masked before anything is printed.
    pub fn credential(&self) -> &Secret {
        match self {
            IdTokenSource::GitHub(github) => github.request_token(),
            IdTokenSource::GitLab(gitlab) => gitlab.id_token(),
        }
    }

    /// An ID token for one exchange, at the latest when `left` is over.
    pub async fn id_token(
        &mut self,
        http: &Http<'_, impl Clock>,
        audience: &str,
        left: Duration,
    ) -> Result<Secret, IdTokenError> {
        match self {
            IdTokenSource::GitHub(github) => github.id_token(http, audience, left).await,
            IdTokenSource::GitLab(gitlab) => Ok(gitlab.id_token().clone()),
        }
    }

    /// What is left of `retry`, which an exchange says of another attempt, if its ID token may have been `received`.
    pub fn retry(&self, retry: Retry, received: bool) -> Retry {
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

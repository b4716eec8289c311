//! Where the job's ID token comes from: GitHub's ID-token service, or the variable that GitLab sets.

mod error;
mod github;
mod gitlab;

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::environment::{Ci, Environment};
use crate::http::client::Http;
use crate::retry::Retry;
use crate::secret::Secret;
use crate::settings::{API_KEY_VARIABLE, ID_TOKEN_VARIABLE, SYMBOL_API_KEY_VARIABLE, Settings};
use crate::trusted_publishing::jwt::TOKEN_LENGTH;
use crate::trusted_publishing::service_message::ServiceError;
use crate::trusted_publishing::token_service::KEY_LENGTH;

pub(crate) use error::IdTokenSourceError;
pub(crate) use github::{GitHub, retry};
pub(crate) use gitlab::GitLab;

/// The credentials in the environment: in their usual variables, in the one that a flag names, and old API keys.
pub(crate) fn known_credentials(environment: &Environment<'_>, variable: Option<&str>) -> Vec<Secret> {
    let tokens = [github::REQUEST_TOKEN, ID_TOKEN_VARIABLE].into_iter().chain(variable).map(|it| (it, TOKEN_LENGTH));
    let keys = [API_KEY_VARIABLE, SYMBOL_API_KEY_VARIABLE].into_iter().map(|it| (it, KEY_LENGTH));
    let secrets = tokens.chain(keys).filter_map(|(name, length)| {
        let value = environment.text(name).ok().flatten()?;
        Secret::new(value, length).ok()
    });
    secrets.collect()
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
    pub(crate) fn id_token(&mut self, http: &Http<'_>, audience: &str, left: Duration) -> Result<Secret, ServiceError> {
        match self {
            IdTokenSource::GitHub(github) => github.id_token(http, audience, left),
            IdTokenSource::GitLab(gitlab) => Ok(gitlab.id_token().clone()),
        }
    }

    /// Restricts `retry`, which a failed exchange allows, if its ID token can have been `received` and there is no other.
    pub(crate) fn retry(&self, retry: Retry, received: bool) -> Retry {
        match self {
            IdTokenSource::GitLab(_) if received && retry != Retry::Never => Retry::TokenConsumed,
            _ => retry,
        }
    }
}

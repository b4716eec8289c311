//! GitHub's ID-token service: a fresh ID token for each attempt.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::http::client::Http;
use crate::http::error::{HttpError, Unusable};
use crate::retry::Retry;
use crate::secret::{InvalidSecret, Secret};
use crate::trusted_publishing::jwt::{TOKEN_LENGTH, is_json_web_token};
use crate::trusted_publishing::service_message::{ServiceError, ServiceMessage};

use super::error::IdTokenSourceError;

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
/// The variable with the request token. The runner sets both where the job has `id-token: write`.
pub(crate) const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Time for the whole request. GitHub answers within a second as a rule.
const ID_TOKEN_LIMIT: Duration = Duration::from_secs(15);

/// GitHub's ID-token service, as this job can use it.
#[derive(Debug)]
pub(crate) struct GitHub {
    request_url: Endpoint,
    request_token: Secret,
    used: UsedTokens,
}

/// What a rejection means for another attempt.
pub(crate) fn retry(error: &ServiceError) -> Retry {
    // In a job's first second it is `Pending` or `Delayed`, and a moment later it is not.
    if let (Some(head), Some(ServiceMessage::JobNotRunning { .. })) = (error.http.rejection(), error.only_message())
        && head.status == StatusCode::FORBIDDEN
    {
        return Retry::After(head.retry_after);
    }
    // Seen in a service's busy moments: a small JSON without the token.
    if let HttpError::Unusable { reason: Unusable::NotJson { .. }, .. }
    | HttpError::Unusable { reason: Unusable::InvalidSecret { problem: InvalidSecret::Empty, .. }, .. } = error.http
    {
        return Retry::After(None);
    }
    // An ID token that was lost on the way costs nothing.
    error.http.retry().of_a_read()
}

impl GitHub {
    /// Reads the two variables that the runner sets for a job with `id-token: write`; sends nothing.
    pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<GitHub, IdTokenSourceError> {
        let needed = |name| environment.text(name)?.ok_or(IdTokenSourceError::NotPermitted(name));
        let request_url = Endpoint::parse(&needed(REQUEST_URL)?);
        let request_url = request_url.map_err(|error| IdTokenSourceError::RequestUrl(REQUEST_URL, error))?;
        let invalid = |problem| IdTokenSourceError::InvalidSecret(REQUEST_TOKEN.to_owned(), problem);
        let request_token = Secret::new(needed(REQUEST_TOKEN)?, TOKEN_LENGTH).map_err(invalid)?;
        Ok(GitHub { request_url, request_token, used: UsedTokens::default() })
    }

    pub(crate) fn request_url(&self) -> &Endpoint {
        &self.request_url
    }

    pub(crate) fn request_token(&self) -> &Secret {
        &self.request_token
    }

    /// A fresh ID token for `audience`, within `left`.
    pub(crate) fn id_token(&mut self, http: &Http<'_>, audience: &str, left: Duration) -> Result<Secret, ServiceError> {
        #[derive(Deserialize)]
        struct Issued {
            value: String,
        }

        let route = self.request_url.with_query("audience", audience);
        let response = http.get(&route, Some(&self.request_token), ID_TOKEN_LIMIT.min(left))?;
        let issued: Issued = response.json("a string \"value\"")?;
        let unusable = |reason| HttpError::Unusable { host: self.request_url.host(), reason };
        let id_token = Secret::new(issued.value, TOKEN_LENGTH)
            .map_err(|problem| unusable(Unusable::InvalidSecret { field: "value", problem }))?;
        if !is_json_web_token(id_token.reveal()) {
            return Err(unusable(Unusable::NotAJsonWebToken).into());
        }
        if !self.used.is_new(&id_token) {
            return Err(unusable(Unusable::RepeatedIdToken).into());
        }
        Ok(id_token)
    }
}

/// The ID tokens that were issued, as hashes with a random key.
#[derive(Debug, Default)]
struct UsedTokens {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl UsedTokens {
    /// Whether a token was not issued before; from now on it was.
    fn is_new(&mut self, id_token: &Secret) -> bool {
        self.hashes.insert(self.hasher.hash_one(id_token.reveal()))
    }
}

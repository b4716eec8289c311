//! GitHub's token route: a fresh ID token for each attempt.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::http::client::Http;
use crate::http::error::{Body, Failure, Rejection};
use crate::retry::Retry;
use crate::secret::Secret;

use super::{IdTokenError, IdTokenSourceError, TOKEN_LENGTH, is_json_web_token};

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
/// The variable with the token that the request is made with. The runner sets both where the job has `id-token: write`.
pub const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Time for the whole request. GitHub answers within a second as a rule.
const LIMIT: Duration = Duration::from_secs(15);

/// GitHub's ID-token service, as this job may use it.
#[derive(Debug)]
pub struct GitHub {
    request_url: Endpoint,
    request_token: Secret,
    used: UsedTokens,
}

impl IdTokenError {
    /// What this says about a fresh attempt.
    pub fn retry(&self) -> Retry {
        // In a job's first second it is `Pending` or `Delayed`, and a moment later it is not.
        if let Failure::Rejected(Rejection { head, body: Body::Message(words), .. }) = &self.0
            && head.status == StatusCode::FORBIDDEN
            && words.starts_with("Can't issue ID_TOKEN for job in ")
        {
            return Retry::After(head.retry_after);
        }
        match self.0.retry() {
            // An ID token that was lost on the way is worth nothing to anybody.
            Retry::ResponseLost => Retry::After(None),
            retry => retry,
        }
    }
}

impl GitHub {
    /// Takes the two variables that the runner sets for a job with `id-token: write`; sends nothing.
    pub fn from_environment(environment: &Environment<'_>) -> Result<GitHub, IdTokenSourceError> {
        let needed = |name| environment.text(name)?.ok_or(IdTokenSourceError::NotPermitted(name));
        let request_url = Endpoint::parse(&needed(REQUEST_URL)?);
        let request_url = request_url.map_err(|error| IdTokenSourceError::RequestUrl(REQUEST_URL, error))?;
        let request_token = Secret::new(needed(REQUEST_TOKEN)?, TOKEN_LENGTH);
        let request_token =
            request_token.map_err(|unfit| IdTokenSourceError::InvalidSecret(REQUEST_TOKEN.to_owned(), unfit))?;
        Ok(GitHub { request_url, request_token, used: UsedTokens::default() })
    }

    /// Where it is.
    pub fn request_url(&self) -> &Endpoint {
        &self.request_url
    }

    /// The credential for asking, to be masked before anything is printed.
    pub fn request_token(&self) -> &Secret {
        &self.request_token
    }

    /// A fresh ID token for `audience`, at the latest when `left` is over.
    pub async fn id_token(
        &mut self,
        http: &Http<'_, impl Clock>,
        audience: &str,
        left: Duration,
    ) -> Result<Secret, IdTokenError> {
        #[derive(Deserialize)]
        struct Issued {
            value: String,
        }

        let route = self.request_url.with_query("audience", audience);
        let answer = http.get(&route, Some(&self.request_token), LIMIT.min(left)).await?;
        let issued: Issued = answer.accepted("a string `value`")?;
        let is_json_web_token = is_json_web_token(&issued.value);
        let id_token = Secret::new(issued.value, TOKEN_LENGTH)
            .map_err(|unfit| self.unusable(&format!("the `value` in its answer {unfit}")))?;
        if !is_json_web_token {
            return Err(self.unusable("the `value` in its answer is not a JSON web token").into());
        }
        if !self.used.is_new(&id_token) {
            return Err(self.unusable("the `value` in its answer is one that was used before").into());
        }
        Ok(id_token)
    }

    /// The failure of an ID token that is of no use.
    fn unusable(&self, problem: &str) -> Failure {
        Failure::Unusable { host: self.request_url.host(), problem: problem.to_owned() }
    }
}

/// The ID tokens that were given out, told by hashes that nobody else can compute.
#[derive(Debug, Default)]
struct UsedTokens {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl UsedTokens {
    /// Whether a token was not given out yet; from here on it was.
    fn is_new(&mut self, id_token: &Secret) -> bool {
        self.hashes.insert(self.hasher.hash_one(id_token.reveal()))
    }
}

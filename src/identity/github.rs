//! Where the job's ID token comes from: GitHub's token route.

use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::clock::Clock;
use crate::endpoint::{Endpoint, NotAnEndpoint};
use crate::environment::{Environment, NotUnicode};
use crate::failure::{Body, Failure, Rejection};
use crate::http::Http;
use crate::retry::Retry;
use crate::secret::{Secret, Unfit};

const REQUEST_URL: &str = "ACTIONS_ID_TOKEN_REQUEST_URL";
const REQUEST_TOKEN: &str = "ACTIONS_ID_TOKEN_REQUEST_TOKEN";

/// Time for the whole request. GitHub answers within a second as a rule.
const LIMIT: Duration = Duration::from_secs(15);

/// Longest token that is taken, in characters. GitHub's are about 2,000 long; a header must hold it.
const LONGEST_TOKEN: usize = 16 * 1024;

/// GitHub's ID-token service, as this job may use it.
#[derive(Debug)]
pub struct GitHub {
    request_url: Endpoint,
    request_token: Secret,
}

/// Why this job can't ask for an ID token.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The job was given no access to the ID-token service.
    #[error("this job can't ask GitHub for an ID token: {0} is not set")]
    NotPermitted(&'static str),
    /// The variable with the URL can't be used.
    #[error("the environment variable {REQUEST_URL} {0}")]
    RequestUrl(NotAnEndpoint),
    /// The variable with the token can't be used.
    #[error("the environment variable {REQUEST_TOKEN} {0}")]
    RequestToken(Unfit),
    /// A variable is not Unicode.
    #[error(transparent)]
    NotUnicode(#[from] NotUnicode),
}

/// GitHub gave no ID token.
#[derive(Debug, thiserror::Error)]
#[error("no ID token from GitHub: {0}")]
pub struct NoIdToken(#[from] pub Failure);

impl NoIdToken {
    /// What this says about a fresh attempt.
    pub fn retry(&self) -> Retry {
        // In a job's first second it is `Pending` or `Delayed`, and a moment later it is not.
        if let Failure::Rejected(Rejection { head, body: Body::Words(words), .. }) = &self.0
            && head.status == StatusCode::FORBIDDEN
            && words.starts_with("Can't issue ID_TOKEN for job in ")
        {
            return Retry::After(head.retry_after);
        }
        match self.0.retry() {
            // An ID token that was lost on the way is worth nothing to anybody.
            Retry::Unanswered => Retry::After(None),
            retry => retry,
        }
    }
}

impl GitHub {
    /// Takes the two variables that the runner sets for a job with `id-token: write`; sends nothing.
    pub fn from_environment(environment: &Environment<'_>) -> Result<GitHub, IdentityError> {
        let needed = |name| environment.text(name)?.ok_or(IdentityError::NotPermitted(name));
        let request_url = Endpoint::parse(&needed(REQUEST_URL)?).map_err(IdentityError::RequestUrl)?;
        let request_token =
            Secret::new(needed(REQUEST_TOKEN)?, 1..=LONGEST_TOKEN).map_err(IdentityError::RequestToken)?;
        Ok(GitHub { request_url, request_token })
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
        &self,
        http: &Http<'_, impl Clock>,
        audience: &str,
        left: Duration,
    ) -> Result<Secret, NoIdToken> {
        #[derive(Deserialize)]
        struct Issued {
            value: String,
        }

        let route = self.request_url.with_query("audience", audience);
        let answer = http.get(&route, Some(&self.request_token), LIMIT.min(left)).await?;
        let issued: Issued = answer.accepted("a string `value`")?;
        let parts = issued.value.split('.').count();
        let id_token = Secret::new(issued.value, 1..=LONGEST_TOKEN)
            .map_err(|unfit| self.unusable(&format!("the `value` in its answer {unfit}")))?;
        if parts == 3 {
            Ok(id_token)
        } else {
            Err(self.unusable("the `value` in its answer is not a JSON web token").into())
        }
    }

    /// The failure of an ID token that is of no use.
    pub fn unusable(&self, problem: &str) -> Failure {
        Failure::Unusable { host: self.request_url.host(), problem: problem.to_owned() }
    }
}

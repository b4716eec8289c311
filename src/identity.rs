//! Where the job's ID token comes from: GitHub's token route.

use std::time::Duration;

use serde::Deserialize;

use crate::endpoint::{Endpoint, NotAnEndpoint};
use crate::environment::{Environment, NotUnicode};
use crate::http::{Http, NoAnswer, Rejection};
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

/// Why there is no ID token.
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
    /// GitHub did not answer.
    #[error("no ID token from GitHub")]
    NoAnswer(#[from] NoAnswer),
    /// GitHub said no.
    #[error("no ID token from GitHub")]
    Rejected(#[from] Rejection),
    /// GitHub said yes, but without an ID token in it.
    #[error("no ID token from GitHub: {host} answered HTTP 200, but {problem}")]
    Unusable { host: String, problem: String },
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

    /// The credential for asking, to be masked before anything is printed.
    pub fn request_token(&self) -> &Secret {
        &self.request_token
    }

    /// A fresh ID token for `audience`.
    pub async fn id_token(&self, http: &Http, audience: &str) -> Result<Secret, IdentityError> {
        #[derive(Deserialize)]
        struct Issued {
            value: String,
        }

        let route = self.request_url.with_query("audience", audience);
        let body = http.get(&route, &self.request_token, LIMIT).await?.accepted("message", &self.request_token)?;
        let unusable = |problem: String| IdentityError::Unusable { host: route.host(), problem };
        // serde's own message would quote what it found, which may be the ID token.
        let issued: Issued = serde_json::from_slice(&body)
            .map_err(|_| unusable("the answer is not JSON with a string `value`".to_owned()))?;
        let parts = issued.value.split('.').count();
        let id_token = Secret::new(issued.value, 1..=LONGEST_TOKEN)
            .map_err(|unfit| unusable(format!("the `value` in its answer {unfit}")))?;
        if parts == 3 {
            Ok(id_token)
        } else {
            Err(unusable("the `value` in its answer is not a JSON web token".to_owned()))
        }
    }
}

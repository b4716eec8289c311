//! A registry's V3 service index, which can name its token service (accepted NuGet spec
//! `trusted-publishers-oidc-for-nuget-push`).

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::endpoint::{Endpoint, EndpointError};
use crate::http::client::Http;
use crate::http::error::HttpError;
use crate::http::response::{Response, object};
use crate::retry::Retry;
use crate::sanitize::sanitize_line;
use crate::text::{self, Text, text};

/// The resource that is looked for.
pub(crate) const TOKEN_SERVICE: &str = "TokenService/1.0.0";

/// Time for the whole request.
const INDEX_LIMIT: Duration = Duration::from_secs(15);

/// Number of kinds of resources that are listed where the right one is missing. nuget.org has about thirty.
const MOST_LISTED: usize = 40;

/// The service index gave no token service.
#[derive(Debug)]
pub(crate) enum ServiceIndexError {
    Http(HttpError),
    /// No token service; with the kinds of resources that it lists.
    Missing {
        host: String,
        listed: String,
    },
    Unusable {
        host: String,
        problem: EndpointError,
    },
    /// The token service is on this machine, and the index is not.
    Loopback {
        host: String,
        found: String,
    },
    /// The ID token would have nuget.org's audience, and be sent to another host.
    Audience {
        found: String,
    },
}

text::errors!(ServiceIndexError);

impl From<HttpError> for ServiceIndexError {
    fn from(error: HttpError) -> ServiceIndexError {
        ServiceIndexError::Http(error)
    }
}

impl ServiceIndexError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            ServiceIndexError::Http(error) => error.fact(),
            ServiceIndexError::Missing { host, .. } => {
                text!("the service index of {} does not list a token service", host)
            }
            ServiceIndexError::Unusable { host, problem } => {
                text!("the token service in the service index of {} {}", host, problem.fact())
            }
            ServiceIndexError::Loopback { host, found } => {
                text!("the token service in the service index of {} is a loopback host: {}", host, found)
            }
            ServiceIndexError::Audience { found } => {
                text!("the ID token would be issued for nuget.org, and {} could redeem it there", found)
            }
        }
    }

    /// What this means for another attempt.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            ServiceIndexError::Http(error) => error.retry().of_a_read(),
            _ => Retry::Never,
        }
    }
}

#[derive(Deserialize)]
struct Index {
    /// Each by itself: a malformed one does not spoil the others.
    resources: Vec<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(rename = "@id")]
    id: String,
    #[serde(rename = "@type")]
    kinds: Kinds,
}

/// JSON-LD allows one type or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Kinds {
    One(String),
    Several(Vec<String>),
}

impl Resource {
    fn kinds(&self) -> &[String] {
        match &self.kinds {
            Kinds::One(kind) => std::slice::from_ref(kind),
            Kinds::Several(kinds) => kinds,
        }
    }
}

/// The token service that an index names, within `left`. Nothing secret is sent to the index.
pub(crate) fn token_service(http: &Http<'_>, index: &Endpoint, left: Duration) -> Result<Endpoint, ServiceIndexError> {
    named(http.get(index, None, INDEX_LIMIT.min(left))?, index)
}

/// The token service that a response names.
pub(crate) fn named(response: Response, index: &Endpoint) -> Result<Endpoint, ServiceIndexError> {
    let host = index.host();
    let Index { resources } = response.json("a list \"resources\"")?;
    let resources: Vec<Resource> = resources.iter().filter_map(|raw| object(raw.get().as_bytes()).ok()).collect();
    let is_token_service = |kind: &String| kind.eq_ignore_ascii_case(TOKEN_SERVICE);
    let found = resources.iter().find(|resource| resource.kinds().iter().any(is_token_service));
    let Some(found) = found else {
        let mut kinds: Vec<_> = resources.iter().flat_map(Resource::kinds).map(String::as_str).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.truncate(MOST_LISTED);
        let listed = if kinds.is_empty() { "nothing".to_owned() } else { sanitize_line(&kinds.join(", ")) };
        return Err(ServiceIndexError::Missing { host, listed });
    };
    let endpoint =
        Endpoint::parse(&found.id).map_err(|problem| ServiceIndexError::Unusable { host: host.clone(), problem })?;
    if endpoint.is_loopback() && !index.is_loopback() {
        return Err(ServiceIndexError::Loopback { host, found: endpoint.host() });
    }
    Ok(endpoint)
}

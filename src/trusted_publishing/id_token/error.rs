//! Why there is no ID token.

use crate::endpoint::EndpointError;
use crate::environment::NotUnicode;
use crate::http;
use crate::secret::InvalidSecret;
use crate::trusted_publishing::service_message::ServiceMessage;

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

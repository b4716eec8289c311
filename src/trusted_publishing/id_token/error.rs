//! Why a job has no ID token.

use crate::endpoint::EndpointError;
use crate::environment::NotUnicode;
use crate::secret::InvalidSecret;

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

//! Why a job has no ID token.

use crate::endpoint::EndpointError;
use crate::environment::NotUnicode;
use crate::secret::InvalidSecret;
use crate::text::{Text, Words, text};

/// The job has no ID token and cannot request one. Nothing was sent.
#[derive(Debug)]
pub(crate) enum IdTokenSourceError {
    /// The variable that a job with `id-token: write` has.
    NotPermitted(&'static str),
    /// GitLab: the variable that has no ID token.
    NoIdToken(String),
    RequestUrl(&'static str, EndpointError),
    InvalidSecret(String, InvalidSecret),
    NotAJsonWebToken(String),
    /// The ID token in `variable` was issued for the audiences `found`, and not for the `wanted` one.
    Audience {
        variable: String,
        found: Vec<String>,
        wanted: String,
    },
    NotUnicode(NotUnicode),
}

impl IdTokenSourceError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            IdTokenSourceError::NotPermitted(variable) => text!("{} is unset", Words(variable)),
            IdTokenSourceError::NoIdToken(variable) => text!("the environment variable {} is unset", variable),
            IdTokenSourceError::RequestUrl(variable, problem) => {
                text!("the environment variable {} {}", Words(variable), problem.fact())
            }
            IdTokenSourceError::InvalidSecret(variable, problem) => {
                text!("the environment variable {} {}", variable, Words(problem))
            }
            IdTokenSourceError::NotAJsonWebToken(variable) => {
                text!("the environment variable {} does not contain a JSON web token", variable)
            }
            IdTokenSourceError::Audience { variable, found, wanted } => {
                let found = match &found[..] {
                    [] => text!("no audience"),
                    [first, rest @ ..] => {
                        rest.iter().fold(text!("`{}`", first), |all, next| text!("{}, `{}`", all, next))
                    }
                };
                text!("the ID token in {} was issued for {}, not for `{}`", variable, found, wanted)
            }
            IdTokenSourceError::NotUnicode(error) => error.fact(),
        }
    }
}

impl From<NotUnicode> for IdTokenSourceError {
    fn from(error: NotUnicode) -> IdTokenSourceError {
        IdTokenSourceError::NotUnicode(error)
    }
}

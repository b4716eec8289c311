//! HTTP: the one client, its proxy, its certificates, and what can go wrong between a request and its response.

mod ahead;
pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod proxy;
pub(crate) mod response;
pub(crate) mod thread;
pub(crate) mod tls;

use proxy::ProxyError;
use tls::TrustError;

use crate::text::{Text, text};

/// The client cannot be set up.
#[derive(Debug)]
pub(crate) enum SetupError {
    Trust(TrustError),
    Proxy(ProxyError),
    /// The thread that owns the sockets cannot be started.
    Thread(anyhow::Error),
}

impl SetupError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            SetupError::Trust(error) => error.fact(),
            SetupError::Proxy(error) => error.fact(),
            SetupError::Thread(error) => text!("{}", format!("{error:#}")),
        }
    }
}

impl From<TrustError> for SetupError {
    fn from(error: TrustError) -> SetupError {
        SetupError::Trust(error)
    }
}

impl From<ProxyError> for SetupError {
    fn from(error: ProxyError) -> SetupError {
        SetupError::Proxy(error)
    }
}

//! HTTP: the one client, its proxy, its certificates, and what can go wrong between a request and its response.

pub(crate) mod client;
pub(crate) mod error;
pub(crate) mod proxy;
pub(crate) mod response;
pub(crate) mod thread;
pub(crate) mod tls;

use proxy::ProxyError;
use tls::TrustError;

/// The client cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("{0:#}")]
    Thread(anyhow::Error),
}

//! The proxy that the environment names, and which hosts go through it.

use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::endpoint::{authority, is_plain_host};
use crate::environment::{Environment, NotUnicode};

/// Hosts that never go through a proxy: this machine.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1,::ffff:127.0.0.0/104";

/// The proxy for https.
#[derive(Clone)]
pub struct Proxy {
    url: Url,
    served: Arc<Matcher>,
}

/// A proxy variable that can't be used. Its value is not shown: it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// It is not the URL of a proxy.
    #[error("the environment variable {0} is not the URL of an HTTP proxy; give one such as http://proxy.example:8080")]
    Malformed(&'static str),
    /// It is not Unicode.
    #[error(transparent)]
    NotUnicode(#[from] NotUnicode),
}

impl Proxy {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; the same in lower case wins, as in curl. `HTTP_PROXY` is only
    /// checked: plain http goes to loopback alone, and loopback never goes through a proxy.
    pub fn from_environment(environment: &Environment<'_>) -> Result<Option<Proxy>, ProxyError> {
        let first = |names: [&'static str; 2]| -> Result<Option<(&'static str, String)>, NotUnicode> {
            for name in names {
                if let Some(value) = environment.text(name)? {
                    return Ok(Some((name, value)));
                }
            }
            Ok(None)
        };
        let proxy = |names| match first(names)? {
            Some((name, value)) => parse(&value).map(Some).ok_or(ProxyError::Malformed(name)),
            None => Ok(None),
        };
        proxy(["http_proxy", "HTTP_PROXY"])?;
        let Some(url) = proxy(["https_proxy", "HTTPS_PROXY"])? else { return Ok(None) };
        let no_proxy = first(["no_proxy", "NO_PROXY"])?.map(|(_, value)| value).unwrap_or_default();
        let served = Matcher::builder().all(url.as_str()).no(format!("{no_proxy},{LOOPBACK}")).build();
        Ok(Some(Proxy { url, served: Arc::new(served) }))
    }

    /// Whether requests to a URL go through this proxy.
    pub fn serves(&self, url: &Url) -> bool {
        url.as_str().parse::<Uri>().is_ok_and(|uri| self.served.intercept(&uri).is_some())
    }

    /// Host and port, without user and password: how messages name the proxy.
    pub fn name(&self) -> String {
        authority(&self.url)
    }

    /// The proxy's own URL, password included: for the client alone.
    pub fn url(&self) -> Url {
        self.url.clone()
    }
}

/// The URL of an HTTP proxy; `http://` may be left out.
fn parse(value: &str) -> Option<Url> {
    let value = if value.contains("://") { value } else { &format!("http://{value}") };
    let url = Url::parse(value).ok()?;
    (matches!(url.scheme(), "http" | "https") && is_plain_host(url.host_str().unwrap_or_default())).then_some(url)
}

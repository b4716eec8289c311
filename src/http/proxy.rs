//! The proxy that the environment names, and which hosts go through it.

use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use url::Url;

use crate::endpoint::{authority, is_host, parse_url};
use crate::environment::{Environment, NotUnicode};
use crate::http::error;
use crate::text::{Text, Words, text};

/// Hosts that never go through a proxy: this machine.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1,::ffff:127.0.0.0/104";

/// The proxy for https.
#[derive(Clone)]
pub(crate) struct Proxy {
    url: Url,
    /// Where it is set.
    variable: &'static str,
    served: Arc<Matcher>,
}

/// A proxy variable that cannot be used. Its value is not shown: it can contain a password.
#[derive(Debug)]
pub(crate) enum ProxyError {
    /// It is not the URL of a proxy.
    Malformed(&'static str),
    NotUnicode(NotUnicode),
}

impl ProxyError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            ProxyError::Malformed(variable) => {
                text!("the environment variable {} is not the URL of an HTTP proxy", Words(variable))
            }
            ProxyError::NotUnicode(error) => error.fact(),
        }
    }
}

impl From<NotUnicode> for ProxyError {
    fn from(error: NotUnicode) -> ProxyError {
        ProxyError::NotUnicode(error)
    }
}

impl Proxy {
    /// Reads `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; the same in lower case wins, as in curl. `HTTP_PROXY` is only
    /// checked: plain http goes to loopback alone, and loopback never goes through a proxy.
    pub(crate) fn from_environment(environment: &Environment<'_>) -> Result<Option<Proxy>, ProxyError> {
        let first = |mut names: [&'static str; 2]| -> Result<Option<(&'static str, String)>, NotUnicode> {
            if cfg!(windows) {
                // Both are one variable there, and its usual name is in upper case.
                names.reverse();
            }
            for name in names {
                if let Some(value) = environment.text(name)? {
                    return Ok(Some((name, value)));
                }
            }
            Ok(None)
        };
        let proxy = |names| match first(names)? {
            Some((name, value)) => parse(&value).map(|url| Some((name, url))).ok_or(ProxyError::Malformed(name)),
            None => Ok(None),
        };
        proxy(["http_proxy", "HTTP_PROXY"])?;
        let Some((variable, url)) = proxy(["https_proxy", "HTTPS_PROXY"])? else { return Ok(None) };
        let no_proxy = first(["no_proxy", "NO_PROXY"])?.map(|(_, value)| value).unwrap_or_default();
        let exempt = no_proxy.split([',', ' ', '\t', '\n']).map(exempt).chain([LOOPBACK]).collect::<Vec<_>>().join(",");
        let served = Matcher::builder().all(url.as_str()).no(exempt).build();
        Ok(Some(Proxy { url, variable, served: Arc::new(served) }))
    }

    /// Whether requests to a URL go through this proxy.
    pub(crate) fn serves(&self, url: &Url) -> bool {
        url.as_str().parse::<Uri>().is_ok_and(|uri| self.served.intercept(&uri).is_some())
    }

    /// Host and port, without user and password, and the variable that they are in: how messages name the proxy.
    pub(crate) fn name(&self) -> error::ProxyName {
        error::ProxyName { address: authority(&self.url), variable: self.variable }
    }

    /// The proxy's own URL, password included: for the client alone.
    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }
}

/// The URL of an HTTP proxy; `http://` can be left out.
fn parse(value: &str) -> Option<Url> {
    let value = if value.contains("://") { value } else { &format!("http://{value}") };
    let url = parse_url(value).ok()?;
    // A password with one of `/ ? # \` in it would end up as a port, a path or a host.
    let nothing_behind =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && !value.contains('\\');
    let usable = matches!(url.scheme(), "http" | "https") && is_host(url.host_str().unwrap_or_default());
    (usable && nothing_behind).then_some(url)
}

/// An entry of NO_PROXY without what the matcher does not know: `*.example`, `host:443`, `[::1]`, `host.`.
fn exempt(entry: &str) -> &str {
    let entry = if entry == "*" { entry } else { entry.trim_start_matches('*') };
    let entry = match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { host } else { entry }
        }
        _ => entry,
    };
    entry.trim_start_matches('[').trim_end_matches([']', '.'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_read_in_the_forms_that_are_in_use() {
        for (no_proxy, host) in [
            ("nuget.example", "nuget.example"),
            ("NUGET.example.", "www.nuget.example"),
            (".nuget.example", "www.nuget.example"),
            ("*.nuget.example", "www.nuget.example"),
            ("a.example nuget.example:443", "nuget.example"),
            ("*", "nuget.example"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("[2001:db8::1]:443", "[2001:db8::1]"),
            ("2001:db8::/32", "[2001:db8::1]"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("", "127.8.9.1"),
        ] {
            let value = |name: &str| match name {
                "HTTPS_PROXY" => Some("proxy.example:8080".into()),
                "NO_PROXY" => Some(no_proxy.into()),
                _ => None,
            };
            let proxy = Proxy::from_environment(&Environment::new(&value)).unwrap().unwrap();
            assert!(!proxy.serves(&format!("https://{host}/").parse().unwrap()), "{no_proxy}");
            assert!(proxy.serves(&"https://notnuget.example/".parse().unwrap()) || no_proxy == "*", "{no_proxy}");
        }
    }
}

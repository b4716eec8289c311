//! The one HTTP client: whom it trusts, which proxy it uses, what bounds it has, and how an answer becomes a rejection.

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, NoProxy, RequestBuilder, StatusCode, redirect, retry};
use rustls::{ClientConfig, RootCertStore};
use url::Url;

use crate::endpoint::{Endpoint, is_plain_host};
use crate::environment::{Environment, NotUnicode};
use crate::outside::one_line;
use crate::secret::Secret;

/// Longest body that is read, in bytes. Real answers take a few kilobytes.
const LONGEST_BODY: usize = 1024 * 1024;

/// Time for a connection, TLS and a proxy's tunnel included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The proxy that the environment names.
#[derive(Default)]
pub struct Proxy {
    https: Option<reqwest::Proxy>,
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
    /// Reads `https_proxy` or `HTTPS_PROXY`, and `no_proxy` or `NO_PROXY`; lower case wins, as in curl. `HTTP_PROXY`
    /// has no part in this: plain http goes to loopback only, and loopback never goes through a proxy.
    pub fn from_environment(environment: &Environment<'_>) -> Result<Proxy, ProxyError> {
        let first = |names: [&'static str; 2]| -> Result<Option<(&'static str, String)>, NotUnicode> {
            for name in names {
                if let Some(value) = environment.text(name)? {
                    return Ok(Some((name, value)));
                }
            }
            Ok(None)
        };
        let Some((name, value)) = first(["https_proxy", "HTTPS_PROXY"])? else { return Ok(Proxy::default()) };
        let no_proxy = first(["no_proxy", "NO_PROXY"])?.map(|(_, value)| value).unwrap_or_default();
        let no_proxy = NoProxy::from_string(&format!("{no_proxy},localhost,127.0.0.0/8,::1,::ffff:127.0.0.0/104"));
        // The client would pass over a proxy that it can't use, and connect directly.
        let value = if value.contains("://") { value } else { format!("http://{value}") };
        let url = Url::parse(&value).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(|url| is_plain_host(url.host_str().unwrap_or_default()));
        let proxy = url.and_then(|url| reqwest::Proxy::all(url).ok()).ok_or(ProxyError::Malformed(name))?;
        Ok(Proxy { https: Some(proxy.no_proxy(no_proxy)) })
    }
}

/// The client. It follows no redirect, repeats nothing on its own, keeps no connection for later (a kept one may be
/// dead, and hyper would then quietly send again), and trusts Mozilla's roots.
pub struct Http {
    client: Client,
}

impl Http {
    /// Builds the client; opens nothing.
    pub fn new(proxy: Proxy) -> anyhow::Result<Http> {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.into() };
        let tls = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .context("TLS can't be set up")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let loopback = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))];
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(CONNECT_TIMEOUT)
            .resolve_to_addrs("localhost", &loopback)
            .user_agent(concat!("nuget-login/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(proxy) = proxy.https {
            client = client.proxy(proxy);
        }
        Ok(Http { client: client.build().context("the HTTP client can't be set up")? })
    }

    /// `GET` with a bearer token. `limit` bounds the whole of it, from the connection to the end of the body.
    pub async fn get(&self, from: &Endpoint, bearer: &Secret, limit: Duration) -> Result<Answer, NoAnswer> {
        send(self.client.get(from.url()), from, bearer, limit).await
    }

    /// `POST` of a JSON body with a bearer token; `limit` as in [`Http::get`].
    pub async fn post_json(
        &self,
        to: &Endpoint,
        bearer: &Secret,
        json: String,
        limit: Duration,
    ) -> Result<Answer, NoAnswer> {
        let request = self.client.post(to.url()).header(CONTENT_TYPE, "application/json").body(json);
        send(request, to, bearer, limit).await
    }
}

async fn send(
    request: RequestBuilder,
    endpoint: &Endpoint,
    bearer: &Secret,
    limit: Duration,
) -> Result<Answer, NoAnswer> {
    let host = endpoint.host();
    let request = request.bearer_auth(bearer.reveal()).header(ACCEPT, "application/json").timeout(limit);
    let mut response = request.send().await.map_err(|error| NoAnswer::of(error, endpoint, None, limit))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| NoAnswer::of(error, endpoint, Some(status), limit))?
    {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(NoAnswer::TooLong { host, status });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { host, status, body })
}

/// A complete answer.
pub struct Answer {
    host: String,
    status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// The body of a 200. Any other status is a [`Rejection`], whose message is the string `message_field` of the JSON
    /// body; `bearer`, which the request carried, is struck out of it.
    pub fn accepted(self, message_field: &str, bearer: &Secret) -> Result<Vec<u8>, Rejection> {
        if self.status == StatusCode::OK {
            return Ok(self.body);
        }
        let message = serde_json::from_slice::<serde_json::Value>(&self.body)
            .ok()
            .and_then(|json| json.get(message_field)?.as_str().map(str::to_owned))
            .filter(|message| !message.trim().is_empty());
        let message = message.map(|message| one_line(&bearer.strike_out(&message)));
        Err(Rejection { host: self.host, status: self.status, message })
    }
}

/// The other side answered, and said no.
#[derive(Debug)]
pub struct Rejection {
    /// Who answered.
    pub host: String,
    /// The HTTP status; never 200.
    pub status: StatusCode,
    /// The service's own words, made safe to show; `None` if the body is not the service's JSON.
    pub message: Option<String>,
}

impl Error for Rejection {}

impl std::fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Rejection { host, status, message } = self;
        write!(formatter, "{host} answered HTTP {status}")?;
        match message {
            Some(message) => write!(formatter, ": {message}"),
            None if status.is_redirection() => formatter.write_str(", a redirect, which is never followed"),
            None => formatter.write_str(" without a message of its own"),
        }
    }
}

/// No complete answer came.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// No connection: name resolution, TCP, a proxy or TLS.
    #[error("cannot connect to {host}: {cause}")]
    NotConnected { host: String, cause: String },
    /// Time ran out, on the way or while the body came. `answer` names the other side, and the status if it came.
    #[error("{answer} did not come completely within {} seconds", limit.as_secs())]
    TimedOut { answer: String, limit: Duration },
    /// The connection broke, or what came is not HTTP. `answer` as above.
    #[error("{answer} could not be read: {cause}")]
    Broken { answer: String, cause: String },
    /// More came than an answer can hold.
    #[error("{host} answered HTTP {status} with more than {LONGEST_BODY} bytes")]
    TooLong { host: String, status: StatusCode },
}

impl NoAnswer {
    fn of(error: reqwest::Error, endpoint: &Endpoint, status: Option<StatusCode>, limit: Duration) -> NoAnswer {
        // The innermost error says what happened; the layers above repeat where, and one of them holds the URL.
        let mut innermost: &dyn Error = &error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let cause = one_line(&innermost.to_string());
        let host = endpoint.host();
        let answer = match status {
            Some(status) => format!("the answer of {host} (HTTP {status})"),
            None => format!("the answer of {host}"),
        };
        match (error.is_connect(), error.is_timeout()) {
            (true, true) => {
                let cause = format!("no connection within {} seconds", CONNECT_TIMEOUT.as_secs());
                NoAnswer::NotConnected { host, cause }
            }
            (true, false) => NoAnswer::NotConnected { host, cause },
            (false, true) => NoAnswer::TimedOut { answer, limit },
            (false, false) => NoAnswer::Broken { answer, cause },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Instant;

    use super::*;

    /// Asks a server that sends `start` and then one byte every few milliseconds, until nobody listens.
    fn ask_a_dripping_server(start: &'static [u8]) -> Result<Answer, NoAnswer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // An answer that comes before its request would be another failure.
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(start).unwrap();
            while !start.is_empty() && stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(Duration::from_secs(60));
        });
        let http = Http::new(Proxy::default()).unwrap();
        let bearer = Secret::new("secret".to_owned(), 1..=9).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(http.get(&endpoint, &bearer, Duration::from_millis(150)))
    }

    #[test]
    fn neither_silence_nor_a_dripping_body_outlives_the_limit() {
        for start in [b"".as_slice(), b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"HTTP/1.1 200 OK\r\nX:"] {
            let began = Instant::now();
            let answer = ask_a_dripping_server(start);
            let failure = answer.err().unwrap();
            assert!(matches!(failure, NoAnswer::TimedOut { .. }), "{failure}");
            assert!(began.elapsed() < Duration::from_secs(5));
        }
    }
}

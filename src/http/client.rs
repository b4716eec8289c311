//! The one HTTP client: how it sends, and its bounds.

use std::error::Error;
use std::io;
use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, ClientBuilder, Method, RequestBuilder, StatusCode, redirect, retry};
use rustls::ClientConfig;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::http::SetupError;
use crate::http::ahead::ConnectAhead;
use crate::http::error::{HttpError, LONGEST_BODY, NoResponse, ResponseHead};
use crate::http::proxy::Proxy;
use crate::http::response::Response;
use crate::http::thread::{NetworkThread, Resolver};
use crate::http::tls::{self, CertificateError};
use crate::retry::{Seconds, retry_after};
use crate::sanitize::sanitize_line;
use crate::secret::{Redactor, Secret};

/// Time for a connection, TLS and a proxy's tunnel included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The addresses of localhost, whatever a resolver returns for it.
const LOOPBACK: [SocketAddr; 2] =
    [SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0)];

/// Time to ask a proxy why it refused.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);

/// hyper's message for a head of more than 100 lines or some 400 kB; it has a type for this for servers only.
const HEAD_TOO_LONG: &str = "message head is too large";
/// hyper's message for a proxy that ends the connection in place of a response.
const PROXY_CLOSED: &str = "tunnel error: unexpected end of file";
/// hyper's message for a proxy's 407.
const PROXY_AUTHENTICATION: &str = "tunnel error: proxy authorization required";

/// The client. It follows no redirect, repeats nothing by itself, and keeps no connection (a kept one can be closed, and
/// hyper would then silently send again).
pub(crate) struct Http<'a> {
    tls: ClientConfig,
    proxy: Option<Proxy>,
    clock: &'a dyn Clock,
    redactor: Redactor,
    network: NetworkThread,
}

/// A client with a connection that was started for its first request.
pub(crate) struct ConnectedAhead {
    client: Client,
    connect_timeout: Duration,
}

impl<'a> Http<'a> {
    /// Sets the client up, with the proxy and the certificates that the environment names; connects to nothing.
    pub(crate) fn from_environment(
        environment: &Environment<'_>,
        clock: &'a dyn Clock,
        redactor: Redactor,
    ) -> Result<Self, SetupError> {
        let (tls, proxy) = (tls::config(environment)?, Proxy::from_environment(environment)?);
        Ok(Http { tls, proxy, clock, redactor, network: NetworkThread::start().map_err(SetupError::Thread)? })
    }

    /// `GET`, with a bearer token if there is one. `limit` is for everything, from the connection to the end of the body.
    pub(crate) fn get(&self, from: &Endpoint, bearer: Option<&Secret>, limit: Duration) -> Result<Response, HttpError> {
        self.send(from, None, bearer, limit, |client| client.get(from.url()))
    }

    /// Starts a connection to `to` for the next [`Http::post_json`] to it, and does not wait for it. It is closed with what
    /// is returned. An error is reported by the request.
    pub(crate) fn connect_ahead(&self, to: &Endpoint, limit: Duration) -> Option<ConnectedAhead> {
        let connect_timeout = connect_timeout(limit);
        let ahead = ConnectAhead::within(connect_timeout);
        let client = self.builder(limit).connector_layer(ahead.clone()).build().ok()?;
        let url = to.url();
        self.network.spawn(ahead.start(client.clone(), move |client| client.post(url)));
        Some(ConnectedAhead { client, connect_timeout })
    }

    /// `GET` with an API key in the header that NuGet has for it; `limit` as in [`Http::get`].
    pub(crate) fn get_with_api_key(
        &self,
        from: &Endpoint,
        api_key: &Secret,
        limit: Duration,
    ) -> Result<Response, HttpError> {
        let mut value = HeaderValue::from_str(api_key.reveal()).expect("a secret is visible ASCII");
        value.set_sensitive(true);
        self.send(from, None, None, limit, |client| client.get(from.url()).header("X-NuGet-ApiKey", value))
    }

    /// `POST` of a JSON body with a bearer token, on the connection that was started for it, if there is one; `limit` as in
    /// [`Http::get`].
    pub(crate) fn post_json(
        &self,
        to: &Endpoint,
        ahead: Option<ConnectedAhead>,
        bearer: &Secret,
        json: String,
        limit: Duration,
    ) -> Result<Response, HttpError> {
        let post = |client: Client| client.post(to.url()).header(CONTENT_TYPE, "application/json").body(json);
        self.send(to, ahead, Some(bearer), limit, post)
    }

    fn send(
        &self,
        endpoint: &Endpoint,
        ahead: Option<ConnectedAhead>,
        bearer: Option<&Secret>,
        limit: Duration,
        request: impl FnOnce(Client) -> RequestBuilder,
    ) -> Result<Response, HttpError> {
        let host = endpoint.host();
        let began = self.clock.now();
        let (client, connect_timeout) = match ahead {
            Some(ahead) => (Ok(ahead.client), ahead.connect_timeout),
            None => (self.client(limit), connect_timeout(limit)),
        };
        let client = client.map_err(|error| HttpError::NotConnected {
            host: host.clone(),
            problem: format!("the client cannot be set up: {}", self.innermost(&error)),
        })?;
        let mut request = request(client);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer.reveal());
        }
        let (fetched, head) = self.fetch(request.header(ACCEPT, "application/json"), limit);
        let no_response = |reason| HttpError::NoResponse { host: host.clone(), head, reason };
        match (fetched, head) {
            (Some(Ok(body)), Some(head)) => Ok(Response { host, head, body, redactor: self.redactor.clone() }),
            (Some(Err(FetchError::TooLong)), head) => Err(HttpError::TooLong { host, head }),
            (Some(Err(FetchError::Client(error))), None) => {
                let left = limit.saturating_sub(self.clock.now() - began);
                Err(self.classify(error, endpoint, connect_timeout, left))
            }
            (Some(Err(FetchError::Client(error))), Some(_)) => {
                Err(no_response(NoResponse::Unreadable(self.innermost(&error))))
            }
            (None, _) | (Some(Ok(_)), None) => Err(no_response(NoResponse::TimedOut(limit))),
        }
    }

    /// The body of a response, and its head, which is known even if the body does not come; `None` after `limit`.
    fn fetch(
        &self,
        request: RequestBuilder,
        limit: Duration,
    ) -> (Option<Result<Vec<u8>, FetchError>>, Option<ResponseHead>) {
        let head = Arc::new(OnceLock::new());
        let fetched = self.network.run(fetch(request, self.clock.date(), Arc::clone(&head)), limit, self.clock);
        (fetched, head.get().copied())
    }

    /// A client for one request: its limit for a connection depends on that of the request.
    fn client(&self, limit: Duration) -> reqwest::Result<Client> {
        self.builder(limit).build()
    }

    fn builder(&self, limit: Duration) -> ClientBuilder {
        let client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(connect_timeout(limit))
            .dns_resolver(Resolver)
            .resolve_to_addrs("localhost", &LOOPBACK)
            .user_agent(concat!("nuget-login/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        match self.proxy.clone() {
            Some(proxy) => client.proxy(reqwest::Proxy::custom(move |url| proxy.serves(url).then(|| proxy.url()))),
            None => client,
        }
    }

    /// Classifies an error of the client before there was a response. `left` is the time left for the request.
    fn classify(
        &self,
        error: reqwest::Error,
        endpoint: &Endpoint,
        connect_timeout: Duration,
        left: Duration,
    ) -> HttpError {
        let host = endpoint.host();
        let cause = self.innermost(&error);
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.serves(&endpoint.url()));
        if let Some(error) = causes(&error).find_map(|cause| CertificateError::found(cause, endpoint.host_name())) {
            let proxy = proxy.filter(|_| error.server != endpoint.host_name()).map(Proxy::name);
            return HttpError::Certificate { host, proxy, error: error.map(|text| self.safe(text)) };
        }
        if cause == HEAD_TOO_LONG {
            return HttpError::TooLong { host, head: None };
        }
        if !error.is_connect() {
            return HttpError::NoResponse { host, head: None, reason: NoResponse::Unreadable(cause) };
        }
        if let Some(error) = causes(&error).find_map(|cause| cause.downcast_ref()) {
            return HttpError::Tls {
                host,
                proxy: proxy.map(Proxy::name),
                problem: cause,
                temporary: is_temporary(error),
            };
        }
        let timed_out = error.is_timeout();
        let problem = match timed_out {
            true => format!("no connection within {}", Seconds(connect_timeout)),
            false => cause.clone(),
        };
        let Some(proxy) = proxy else { return HttpError::NotConnected { host, problem } };
        let head = if cause == PROXY_AUTHENTICATION {
            Some(ResponseHead { status: StatusCode::PROXY_AUTHENTICATION_REQUIRED, retry_after: None })
        } else if timed_out || cause == PROXY_CLOSED || causes(&error).any(|cause| cause.is::<io::Error>()) {
            None
        } else {
            // The client does not report the status with which the proxy refused: ask the proxy.
            self.proxy_refusal(endpoint, left.min(PROXY_TIMEOUT))
        };
        HttpError::Proxy { proxy: proxy.name(), host, head, problem }
    }

    /// The innermost error has the cause; those around it repeat the place, and one of them contains the URL.
    fn innermost(&self, error: &(dyn Error + 'static)) -> String {
        causes(error).last().map(|innermost| self.safe(&innermost.to_string())).unwrap_or_default()
    }

    /// A text that can contain what a server sent.
    fn safe(&self, text: &str) -> String {
        sanitize_line(&self.redactor.redact(text))
    }

    /// The proxy's response to a request for a tunnel, if it is a refusal.
    fn proxy_refusal(&self, endpoint: &Endpoint, limit: Duration) -> Option<ResponseHead> {
        let url = endpoint.url();
        let target = format!("http://{}:{}", url.host_str()?, url.port_or_known_default()?);
        let request = self.client(limit).ok()?.request(Method::CONNECT, target);
        let (_, head) = self.fetch(request, limit);
        head.filter(|head| !head.status.is_success())
    }
}

/// Whether the server's TLS reports a problem of its own (RFC 8446, section 6), which can pass. Others will not.
fn is_temporary(error: &rustls::Error) -> bool {
    use rustls::AlertDescription::{CloseNotify, InternalError, UserCanceled};
    matches!(error, rustls::Error::AlertReceived(CloseNotify | InternalError | UserCanceled))
}

/// Time for a connection within a request of this limit: less than that, so that it is known what took so long.
fn connect_timeout(limit: Duration) -> Duration {
    CONNECT_TIMEOUT.min(limit.mul_f64(0.95))
}

/// Why there is no complete body.
enum FetchError {
    Client(reqwest::Error),
    /// It is longer than [`LONGEST_BODY`].
    TooLong,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> FetchError {
        FetchError::Client(error)
    }
}

/// Sends a request and reads the response. `date` is this machine's.
async fn fetch(
    request: RequestBuilder,
    date: SystemTime,
    head: Arc<OnceLock<ResponseHead>>,
) -> Result<Vec<u8>, FetchError> {
    let mut response = request.send().await?;
    // A date in Retry-After is by the server's clock, which can differ from this machine's.
    let http_date = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let server_date = response.headers().get_all(DATE).iter().find_map(http_date);
    let absences = response.headers().get_all(RETRY_AFTER).iter();
    let absences = absences.filter_map(|value| retry_after(value.to_str().ok()?, date, server_date));
    let _ = head.set(ResponseHead { status: response.status(), retry_after: absences.max() });
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error, its cause, the cause of that, and so on.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| match error.downcast_ref().and_then(io::Error::get_ref) {
        // The source of an I/O error is the source of what it wraps.
        Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
        None => error.source(),
    })
}

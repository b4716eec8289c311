//! The one HTTP client: how it sends, and what bounds it has.

use std::error::Error;
use std::io;
use std::iter;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER, TRANSFER_ENCODING};
use reqwest::{Client, Method, RequestBuilder, StatusCode, redirect, retry};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::{self, DeserializeOwned};
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::http::error::{Body, Failure, Rejection, ResponseHead};
use crate::http::proxy::Proxy;
use crate::http::thread::{NetworkThread, Resolver};
use crate::http::tls::{self, CertificateError};
use crate::retry::{Seconds, retry_after};
use crate::sanitize::{sanitize_line, sanitize_text, truncate};
use crate::secret::{Redactor, Secret};

/// Longest body that is read, in bytes. Real answers take a few kilobytes. (hyper bounds the head.)
const LONGEST_BODY: usize = 1024 * 1024;

/// So much of a service's words is read, in characters: more than two hundred policies can give reasons.
pub const LONGEST_WORDS: usize = 64 * 1024;

/// Time for a connection, TLS and a proxy's tunnel included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Time for asking a proxy why it refused.
const PROXY_TIMEOUT: Duration = Duration::from_secs(5);

/// The client. It follows no redirect, repeats nothing on its own, and keeps no connection for later (a kept one may be
/// dead, and hyper would then quietly send again).
pub struct Http<'a, C> {
    tls: ClientConfig,
    proxy: Option<Proxy>,
    clock: &'a C,
    masked: Redactor,
    network: NetworkThread,
}

impl<'a, C: Clock> Http<'a, C> {
    /// Sets the client up, with the proxy and the certificates that the environment names; connects to nothing. What is
    /// `masked` is struck out of what a service says.
    pub fn from_environment(environment: &Environment<'_>, clock: &'a C, masked: Redactor) -> anyhow::Result<Self> {
        let (tls, proxy) = (tls::tls(environment)?, Proxy::from_environment(environment)?);
        Ok(Http { tls, proxy, clock, masked, network: NetworkThread::start()? })
    }

    /// `GET`, with a bearer token where there is one. `limit` bounds the whole of it, from the connection to the end of the body.
    pub async fn get(&self, from: &Endpoint, bearer: Option<&Secret>, limit: Duration) -> Result<Answer, Failure> {
        self.send(from, bearer, limit, |client| client.get(from.url())).await
    }

    /// `POST` of a JSON body with a bearer token; `limit` as in [`Http::get`].
    pub async fn post_json(
        &self,
        to: &Endpoint,
        bearer: &Secret,
        json: String,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let post = |client: Client| client.post(to.url()).header(CONTENT_TYPE, "application/json").body(json);
        self.send(to, Some(bearer), limit, post).await
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        bearer: Option<&Secret>,
        limit: Duration,
        request: impl FnOnce(Client) -> RequestBuilder,
    ) -> Result<Answer, Failure> {
        let host = endpoint.host();
        let began = self.clock.now();
        let client = self.client(limit).map_err(|error| Failure::NotConnected {
            host: host.clone(),
            problem: format!("the client can't be set up: {}", innermost(&error)),
        })?;
        let mut request = request(client);
        if let Some(bearer) = bearer {
            request = request.bearer_auth(bearer.reveal());
        }
        let request = request.header(ACCEPT, "application/json");
        // Known as soon as it came, for the case that the body does not.
        let head = Arc::new(OnceLock::new());
        let fetched = self.network.run(fetch(request, self.clock.date(), Arc::clone(&head)));
        let Some(fetched) = self.clock.within(limit, fetched).await else {
            let problem = format!("did not come completely within {}", Seconds(limit));
            return Err(Failure::NoAnswer { host, head: head.get().copied(), problem });
        };
        let head = head.get().copied();
        let no_answer = |problem| Failure::NoAnswer { host: host.clone(), head, problem };
        match (fetched, head) {
            (Some(Ok((body, framed))), Some(head)) => Ok(Answer::new(host, head, framed, body, self.masked.clone())),
            (Some(Err(FetchError::TooLong)), Some(head)) => {
                Err(Failure::TooLong { host, part: format!("{head} with more than {LONGEST_BODY} bytes") })
            }
            (Some(Err(FetchError::Client(error))), None) => {
                let left = limit.saturating_sub(self.clock.now() - began);
                Err(self.failure(error, endpoint, limit, left).await)
            }
            (Some(Err(FetchError::Client(error))), Some(_)) => {
                Err(no_answer(format!("could not be read: {}", innermost(&error))))
            }
            (_, None) | (None, _) => Err(no_answer("could not be read: the client gave up".to_owned())),
        }
    }

    /// A client for one request of this limit.
    fn client(&self, limit: Duration) -> reqwest::Result<Client> {
        let mut client = Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .pool_max_idle_per_host(0)
            .connect_timeout(connect_timeout(limit))
            .dns_resolver(Resolver)
            .user_agent(concat!("nuget-login/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if let Some(proxy) = self.proxy.clone() {
            client = client.proxy(reqwest::Proxy::custom(move |url| proxy.serves(url).then(|| proxy.url())));
        }
        client.build()
    }

    /// What an error of the client comes to, before there was an answer.
    async fn failure(&self, error: reqwest::Error, endpoint: &Endpoint, limit: Duration, left: Duration) -> Failure {
        let host = endpoint.host();
        let cause = innermost(&error);
        let proxy = self.proxy.as_ref().filter(|proxy| proxy.serves(&endpoint.url()));
        if let Some(untrusted) = causes(&error).find_map(|cause| CertificateError::found(cause, endpoint.host_name())) {
            let proxy = proxy.filter(|_| untrusted.server() != endpoint.host_name()).map(Proxy::name);
            return Failure::CertificateError { host, proxy, untrusted };
        }
        if cause == HEAD_TOO_LONG {
            return Failure::TooLong { host, part: "a head that is too long".to_owned() };
        }
        if !error.is_connect() {
            return Failure::NoAnswer { host, head: None, problem: format!("could not be read: {cause}") };
        }
        if let Some(error) = causes(&error).find_map(|cause| cause.downcast_ref()) {
            let temporary = is_of_the_moment(error);
            return Failure::NoTls { host, proxy: proxy.map(Proxy::name), problem: cause, temporary };
        }
        let timed_out = error.is_timeout();
        let problem = match timed_out {
            true => format!("no connection within {}", Seconds(connect_timeout(limit))),
            false => cause.clone(),
        };
        let Some(proxy) = proxy else { return Failure::NotConnected { host, problem } };
        let head = if cause == WHO_ARE_YOU {
            Some(ResponseHead { status: StatusCode::PROXY_AUTHENTICATION_REQUIRED, retry_after: None })
        } else if timed_out || cause == HUNG_UP || causes(&error).any(|cause| cause.is::<io::Error>()) {
            None
        } else {
            // The client does not say with which status the proxy refused: ask it.
            self.refusal_of_proxy(endpoint, left.min(PROXY_TIMEOUT)).await
        };
        Failure::Proxy { proxy: proxy.name(), host, head, problem }
    }

    /// What the proxy answers to the request for a tunnel, if it is no tunnel.
    async fn refusal_of_proxy(&self, endpoint: &Endpoint, limit: Duration) -> Option<ResponseHead> {
        let url = endpoint.url();
        let target = format!("http://{}:{}", url.host_str()?, url.port_or_known_default()?);
        let request = self.client(limit).ok()?.request(Method::CONNECT, target);
        let head = Arc::new(OnceLock::new());
        let fetched = self.network.run(fetch(request, self.clock.date(), Arc::clone(&head)));
        self.clock.within(limit, fetched).await;
        head.get().copied().filter(|head: &ResponseHead| !head.status.is_success())
    }
}

/// Whether the other side's TLS fails for a reason of the moment (RFC 8446, section 6). What else it says, and all that
/// is no TLS, a moment later is hardly otherwise.
fn is_of_the_moment(error: &rustls::Error) -> bool {
    use rustls::AlertDescription::{CloseNotify, InternalError, UserCanceled};
    matches!(error, rustls::Error::AlertReceived(CloseNotify | InternalError | UserCanceled))
}

/// hyper's words for a head of more than 100 lines or some 400 kB; it tells this by a type to servers only.
const HEAD_TOO_LONG: &str = "message head is too large";
/// hyper's words for a proxy that ends the connection in place of an answer.
const HUNG_UP: &str = "tunnel error: unexpected end of file";
/// hyper's words for a proxy's 407.
const WHO_ARE_YOU: &str = "tunnel error: proxy authorization required";

/// Time for a connection within a request of a limit: less than that, so that it is known what took so long.
fn connect_timeout(limit: Duration) -> Duration {
    CONNECT_TIMEOUT.min(limit.mul_f64(0.95))
}

/// Why an answer did not come.
enum FetchError {
    /// What the client says.
    Client(reqwest::Error),
    /// Its body is longer than [`LONGEST_BODY`].
    TooLong,
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> FetchError {
        FetchError::Client(error)
    }
}

/// Sends a request and reads the answer. Gives its body and whether its length was announced.
async fn fetch(
    request: RequestBuilder,
    date: SystemTime,
    head: Arc<OnceLock<ResponseHead>>,
) -> Result<(Vec<u8>, bool), FetchError> {
    let mut response = request.send().await?;
    // A date in Retry-After is by the server's clock, which this machine's may not agree with.
    let http_date = |value: &HeaderValue| httpdate::parse_http_date(value.to_str().ok()?).ok();
    let date = response.headers().get_all(DATE).iter().find_map(http_date).unwrap_or(date);
    let absences = response.headers().get_all(RETRY_AFTER).iter();
    let absences = absences.filter_map(|value| retry_after(value.to_str().ok()?, date));
    let _ = head.set(ResponseHead { status: response.status(), retry_after: absences.max() });
    let framed = response.headers().contains_key(CONTENT_LENGTH) || response.headers().contains_key(TRANSFER_ENCODING);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(FetchError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body, framed))
}

/// An error, its cause, the cause of that, and so on.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| match error.downcast_ref().and_then(io::Error::get_ref) {
        // An I/O error passes over what it wraps when it is asked for its source.
        Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
        None => error.source(),
    })
}

/// The innermost error says what happened; those around it repeat where, and one of them holds the URL.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(|innermost| sanitize_line(&innermost.to_string())).unwrap_or_default()
}

/// A complete answer.
pub struct Answer {
    host: String,
    head: ResponseHead,
    /// Whether the answer itself says where it ends.
    framed: bool,
    body: Vec<u8>,
    masked: Redactor,
}

impl Answer {
    /// What `host` answered; `framed` if the answer itself said where it ends. What is `masked` is struck out of its words.
    pub fn new(host: String, head: ResponseHead, framed: bool, body: Vec<u8>, masked: Redactor) -> Answer {
        Answer { host, head, framed, body, masked }
    }

    /// What is struck out of its words.
    pub fn masked(&self) -> Redactor {
        self.masked.clone()
    }

    /// What the JSON object of a 200 holds; `wanted` names it for the failure. Any other status is a [`Rejection`] in the
    /// service's words.
    pub fn accepted<T: DeserializeOwned>(self, wanted: &str) -> Result<T, Failure> {
        let Answer { host, head, framed, body, masked } = self;
        if head.status != StatusCode::OK {
            let body = match words(&body) {
                Some(words) => Body::Message(sanitize_text(&masked.redact(&truncate(words, LONGEST_WORDS)))),
                None if is_page(&body) => Body::Page,
                None => Body::Other,
            };
            return Err(Rejection { host, head, body }.into());
        }
        // A file that is served as it lies there may begin with a byte order mark.
        let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        // serde's own message would quote what it found, which may be a credential.
        object(json).map_err(|error| {
            // Nothing may be all there was to come; half a text is not.
            if error.is_eof() && !(framed && body.is_empty()) {
                Failure::NoAnswer { host, head: Some(head), problem: "ends in the middle of its JSON".to_owned() }
            } else if is_page(&body) {
                Failure::Unusable { host, problem: format!("with a web page instead of JSON with {wanted}") }
            } else {
                Failure::Unusable { host, problem: format!("the answer is not JSON with {wanted}") }
            }
        })
    }
}

/// What a JSON object holds; an error if it holds something else. serde would take a list of its values, too.
pub fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    if json.trim_ascii_start().starts_with(b"[") {
        return Err(de::Error::custom("a list is no object"));
    }
    serde_json::from_slice(json)
}

/// A service's own words in the body of a rejection: GitHub has them in `message`, nuget.org in `error`.
fn words(body: &[u8]) -> Option<String> {
    // Raw, since whatever else stands there would take many times its length as values.
    #[derive(Deserialize)]
    struct Rejected<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }

    let rejected: Rejected<'_> = object(body).ok()?;
    let words = [rejected.error, rejected.message].into_iter().flatten();
    let mut words = words.filter_map(|raw| serde_json::from_str::<String>(raw.get()).ok());
    words.find(|words| !words.trim().is_empty())
}

/// Whether a body is a page for people.
fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

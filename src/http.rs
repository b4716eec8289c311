//! The one HTTP client: how it sends, and what bounds it has.

use std::error::Error;
use std::io;
use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect, retry};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::failure::{Failure, Head, Rejection};
use crate::outside::one_line;
use crate::proxy::Proxy;
use crate::retry::{Seconds, retry_after};
use crate::secret::Secret;
use crate::trust::Untrusted;

/// Longest body that is read, in bytes. Real answers take a few kilobytes. (hyper bounds the head.)
const LONGEST_BODY: usize = 1024 * 1024;

/// Time for a connection, TLS and a proxy's tunnel included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The client. It follows no redirect, repeats nothing on its own, and keeps no connection for later (a kept one may be
/// dead, and hyper would then quietly send again).
pub struct Http<'a, C> {
    client: Client,
    proxy: Option<Proxy>,
    clock: &'a C,
}

impl<'a, C: Clock> Http<'a, C> {
    /// Builds the client; opens nothing.
    pub fn new(tls: ClientConfig, proxy: Option<Proxy>, clock: &'a C) -> anyhow::Result<Self> {
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
        if let Some(proxy) = proxy.clone() {
            client = client.proxy(reqwest::Proxy::custom(move |url| proxy.serves(url).then(|| proxy.url())));
        }
        Ok(Http { client: client.build().context("the HTTP client can't be set up")?, proxy, clock })
    }

    /// `GET` with a bearer token. `limit` bounds the whole of it, from the connection to the end of the body.
    pub async fn get(&self, from: &Endpoint, bearer: &Secret, limit: Duration) -> Result<Answer, Failure> {
        self.send(self.client.get(from.url()), from, bearer, limit).await
    }

    /// `POST` of a JSON body with a bearer token; `limit` as in [`Http::get`].
    pub async fn post_json(
        &self,
        to: &Endpoint,
        bearer: &Secret,
        json: String,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let request = self.client.post(to.url()).header(CONTENT_TYPE, "application/json").body(json);
        self.send(request, to, bearer, limit).await
    }

    async fn send(
        &self,
        request: RequestBuilder,
        endpoint: &Endpoint,
        bearer: &Secret,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        let request = request.bearer_auth(bearer.reveal()).header(ACCEPT, "application/json");
        // Known as soon as it came, for the case that the body does not.
        let mut head = None;
        let answer = self.clock.within(limit, async {
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Err(self.failure(error, endpoint).await),
            };
            head = Some(self.head(&response));
            self.body(response, endpoint).await
        });
        let answer = answer.await;
        answer.unwrap_or_else(|| {
            let problem = format!("did not come completely within {}", Seconds(limit));
            Err(Failure::NoAnswer { host: endpoint.host(), head, problem })
        })
    }

    fn head(&self, response: &Response) -> Head {
        let value = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        Head { status: response.status(), retry_after: value.and_then(|value| retry_after(value, self.clock.date())) }
    }

    async fn body(&self, mut response: Response, endpoint: &Endpoint) -> Result<Answer, Failure> {
        let head = self.head(&response);
        let announced = response.content_length();
        let host = endpoint.host();
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > LONGEST_BODY => {
                    let part = format!("HTTP {} with more than {LONGEST_BODY} bytes", head.status);
                    return Err(Failure::TooLong { host, part });
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(Answer { host, head, announced, body }),
                Err(error) => {
                    let problem = format!("could not be read: {}", innermost(&error));
                    return Err(Failure::NoAnswer { host, head: Some(head), problem });
                }
            }
        }
    }

    /// What an error of the client comes to.
    async fn failure(&self, error: reqwest::Error, endpoint: &Endpoint) -> Failure {
        let host = endpoint.host();
        if let Some(untrusted) = causes(&error).find_map(Untrusted::found) {
            return Failure::Untrusted { host, untrusted };
        }
        let cause = innermost(&error);
        // hyper's words; it tells this by a type to servers only.
        if cause == "message head is too large" {
            return Failure::TooLong { host, part: "a head that is too long".to_owned() };
        }
        if !error.is_connect() {
            return Failure::NoAnswer {
                host,
                head: None,
                problem: format!("could not be read: {}", innermost(&error)),
            };
        }
        let problem =
            if error.is_timeout() { format!("no connection within {}", Seconds(CONNECT_TIMEOUT)) } else { cause };
        let Some(proxy) = self.proxy.as_ref().filter(|proxy| proxy.serves(&endpoint.url())) else {
            return Failure::NotConnected { host, problem };
        };
        // The client does not say with which status a proxy refused: ask it.
        let refused = !error.is_timeout() && !causes(&error).any(|it| it.is::<io::Error>() || it.is::<rustls::Error>());
        let head = if refused { self.refusal_of_proxy(endpoint).await } else { None };
        Failure::Proxy { proxy: proxy.name(), host, head, problem }
    }

    /// What the proxy answers to the request for a tunnel, if it is no tunnel.
    async fn refusal_of_proxy(&self, endpoint: &Endpoint) -> Option<Head> {
        let url = endpoint.url();
        let target = format!("http://{}:{}", url.host_str()?, url.port_or_known_default()?);
        let response = self.client.request(Method::CONNECT, target).send().await.ok()?;
        Some(self.head(&response)).filter(|head| !head.status.is_success())
    }
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
    causes(error).last().map(|innermost| one_line(&innermost.to_string())).unwrap_or_default()
}

/// A complete answer.
pub struct Answer {
    host: String,
    head: Head,
    /// The length that was announced, in bytes.
    announced: Option<u64>,
    body: Vec<u8>,
}

impl Answer {
    /// What the JSON body of a 200 holds; `wanted` names it for the failure. Any other status is a [`Rejection`] in the
    /// service's words; `bearer`, which the request carried, is struck out of them.
    pub fn accepted<T: DeserializeOwned>(self, wanted: &str, bearer: &Secret) -> Result<T, Failure> {
        let Answer { host, head, announced, body } = self;
        if head.status != StatusCode::OK {
            let message = message(&body).map(|message| one_line(&bearer.strike_out(&message)));
            return Err(Rejection { host, head, message }.into());
        }
        // serde's own message would quote what it found, which may be a credential.
        serde_json::from_slice(&body).map_err(|error| {
            // Nothing is all there was to come, where nothing was announced.
            if error.is_eof() && announced != Some(0) {
                Failure::NoAnswer { host, head: Some(head), problem: "ends in the middle of its JSON".to_owned() }
            } else {
                Failure::Unusable { host, problem: format!("the answer is not JSON with {wanted}") }
            }
        })
    }
}
/// A service's own words in the body of a rejection: GitHub has them in `message`, nuget.org in `error`.
fn message(body: &[u8]) -> Option<String> {
    // Raw, since whatever else stands there would take many times its length as values.
    #[derive(Deserialize)]
    struct Rejected<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }

    let rejected: Rejected<'_> = serde_json::from_slice(body).ok()?;
    let words = [rejected.error, rejected.message].into_iter().flatten();
    let mut words = words.filter_map(|raw| serde_json::from_str::<String>(raw.get()).ok());
    words.find(|words| !words.trim().is_empty())
}

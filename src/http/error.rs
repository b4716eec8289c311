//! What can go wrong between a request and a usable response, and what that means for another attempt.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::http::tls::CertificateError;
use crate::retry::{Retry, Seconds};
use crate::sanitize::{LONGEST, truncate};
use crate::secret::InvalidSecret;
use crate::text::{self, Text, Words, text};

/// Longest body that is read, in bytes. Real ones take a few kilobytes. (hyper bounds the head.)
pub(crate) const LONGEST_BODY: usize = 1024 * 1024;

/// Temporary statuses: the server is busy, restarting or unreachable behind its front (RFC 9110; 425 is RFC 8470).
const TRANSIENT_STATUSES: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// Why a request gave no usable response. `host` is the host that was asked, `proxy` the proxy on the way.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// No connection: name resolution or TCP. Nothing was sent.
    NotConnected { host: String, problem: String },
    /// No connection through the proxy; `head` is of the proxy's response, if it gave one. Nothing was sent.
    Proxy { proxy: ProxyName, host: String, head: Option<ResponseHead>, problem: String },
    /// The certificate of the server is refused, or that of the https proxy. Nothing was sent.
    Certificate { host: String, proxy: Option<ProxyName>, error: CertificateError },
    /// TLS fails otherwise; `temporary` if the server reports a problem of its own. Nothing was sent.
    Tls { host: String, proxy: Option<ProxyName>, problem: String, temporary: bool },
    /// The connection ended or was silent before the response was complete, or the response is not HTTP.
    NoResponse { host: String, head: Option<ResponseHead>, reason: NoResponse },
    /// The response is larger than any real one; without `head`, its head is.
    TooLong { host: String, head: Option<ResponseHead> },
    /// Another status than 200.
    Rejected(Rejection),
    /// A 200 without what was asked for.
    Unusable { host: String, reason: Unusable },
}

impl HttpError {
    pub(crate) fn fact(&self) -> Text {
        let through = |proxy: &Option<ProxyName>| match proxy {
            Some(proxy) => text!(" through the proxy {}", proxy.fact()),
            None => Text::default(),
        };
        match self {
            HttpError::NotConnected { host, problem } => text!("cannot connect to {}: {}", host, problem),
            HttpError::Proxy { proxy, host, head, problem } => {
                let answer = head.map_or(text!("{}", problem), |head| text!("it answered {}", Words(head)));
                text!("cannot connect to {} through the proxy {}: {}", host, proxy.fact(), answer)
            }
            HttpError::Certificate { host, proxy, error } => {
                text!("cannot connect to {}{}: {}", host, through(proxy), error.fact())
            }
            HttpError::Tls { host, proxy, problem, .. } => {
                text!("cannot connect to {}{}: the TLS handshake failed: {}", host, through(proxy), problem)
            }
            HttpError::NoResponse { host, head, reason } => {
                let status = head.map(|head| format!(" ({head})")).unwrap_or_default();
                text!("the response from {}{} {}", host, Words(status), reason.fact())
            }
            HttpError::TooLong { host, head: Some(head) } => {
                text!("the response from {} ({}) is larger than {} bytes", host, Words(head), Words(LONGEST_BODY))
            }
            HttpError::TooLong { host, head: None } => text!("the response from {} has a head that is too large", host),
            HttpError::Rejected(rejection) => rejection.fact(),
            HttpError::Unusable { host, reason } => text!("{} answered HTTP 200, but {}", host, Words(reason)),
        }
    }
}

text::errors!(HttpError);

/// A proxy, as messages name it: without user and password.
#[derive(Debug, Clone)]
pub(crate) struct ProxyName {
    /// Host and port.
    pub(crate) address: String,
    /// The environment variable that names it.
    pub(crate) variable: &'static str,
}

impl ProxyName {
    fn fact(&self) -> Text {
        text!("{} (set in {})", self.address, Words(self.variable))
    }
}

/// Why there is no complete response. Reads on from "the response".
#[derive(Debug)]
pub(crate) enum NoResponse {
    TimedOut(Duration),
    Unreadable(String),
    Incomplete,
}

impl NoResponse {
    fn fact(&self) -> Text {
        match self {
            NoResponse::TimedOut(limit) => text!("was not complete within {}", Words(Seconds(*limit))),
            NoResponse::Unreadable(problem) => text!("cannot be read: {}", problem),
            NoResponse::Incomplete => text!("ends before its JSON is complete"),
        }
    }
}

/// Why a 200 cannot be used. Reads on from "answered HTTP 200, but".
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("with HTML instead of JSON with {wanted}")]
    Page { wanted: &'static str },
    #[error("the response is not JSON with {wanted}")]
    NotJson { wanted: &'static str },
    #[error("the {field} in its response {problem}")]
    InvalidSecret { field: &'static str, problem: InvalidSecret },
    #[error("the value in its response is not a JSON web token")]
    NotAJsonWebToken,
    #[error("the value in its response is an ID token that it issued before")]
    RepeatedIdToken,
}

impl HttpError {
    /// The service's message, if it rejected the request with one.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            HttpError::Rejected(Rejection { body: Body::Message(message), .. }) => Some(message),
            _ => None,
        }
    }

    /// The head of a rejection, or of a response that is too long.
    pub(crate) fn rejection(&self) -> Option<ResponseHead> {
        match self {
            HttpError::Rejected(Rejection { head, .. }) | HttpError::TooLong { head: Some(head), .. } => Some(*head),
            _ => None,
        }
    }

    /// Whether the request can have arrived: there was a connection.
    pub(crate) fn was_sent(&self) -> bool {
        match self {
            HttpError::NotConnected { .. }
            | HttpError::Proxy { .. }
            | HttpError::Certificate { .. }
            | HttpError::Tls { .. } => false,
            HttpError::NoResponse { .. }
            | HttpError::TooLong { .. }
            | HttpError::Rejected(_)
            | HttpError::Unusable { .. } => true,
        }
    }

    /// What this means for another attempt, whatever the service.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            HttpError::NotConnected { .. } | HttpError::Tls { temporary: true, .. } => Retry::After(None),
            HttpError::Proxy { head, .. } => head.map_or(Retry::After(None), |head| head.retry()),
            // One server of several can be set up wrongly.
            HttpError::Tls { .. } => Retry::Once(None),
            // An incomplete rejection created nothing, and can be complete the next time.
            HttpError::NoResponse { head: Some(head), .. } if !head.status.is_success() => {
                Retry::After(head.retry_after)
            }
            HttpError::NoResponse { .. } => Retry::ResponseLost,
            HttpError::Certificate { .. } | HttpError::TooLong { .. } | HttpError::Unusable { .. } => Retry::Never,
            HttpError::Rejected(rejection) => rejection.head.retry(),
        }
    }
}

/// Status and headers of a response, as far as they count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseHead {
    pub(crate) status: StatusCode,
    /// Time to wait before the next request, if the server named one.
    pub(crate) retry_after: Option<Duration>,
}

impl ResponseHead {
    pub(crate) fn is_temporary(&self) -> bool {
        TRANSIENT_STATUSES.contains(&self.status.as_u16())
    }

    fn retry(&self) -> Retry {
        if self.is_temporary() { Retry::After(self.retry_after) } else { Retry::Never }
    }
}

impl fmt::Display for ResponseHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HTTP {}", self.status.as_str())?;
        self.status.canonical_reason().map_or(Ok(()), |reason| write!(formatter, " {reason}"))
    }
}

/// The service rejected the request.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) host: String,
    /// Its status is not 200.
    pub(crate) head: ResponseHead,
    pub(crate) body: Body,
}

/// What a rejection contains.
#[derive(Debug)]
pub(crate) enum Body {
    /// The service's message: one line, safe to show, possibly longer than what is shown of it.
    Message(String),
    /// A web page, which is not of the service.
    Page,
    /// Something else, or nothing.
    Other,
}

impl Rejection {
    fn fact(&self) -> Text {
        let Rejection { host, head, body } = self;
        match body {
            Body::Message(message) => {
                text!("{} answered {}: {}", host, Words(head), truncate(message.clone(), LONGEST))
            }
            _ if head.status.is_redirection() => {
                text!("{} answered {}, a redirect, which nuget-login does not follow", host, Words(head))
            }
            Body::Page => text!("{} answered {} with HTML instead of JSON", host, Words(head)),
            Body::Other => text!("{} answered {} without a message", host, Words(head)),
        }
    }
}

//! What can go wrong between a request and a usable response, and what that means for another attempt.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::http::tls::CertificateError;
use crate::retry::{Retry, Seconds};
use crate::sanitize::{LONGEST, truncate};
use crate::secret::InvalidSecret;

/// Longest body that is read, in bytes. Real ones take a few kilobytes. (hyper bounds the head.)
pub(crate) const LONGEST_BODY: usize = 1024 * 1024;

/// Temporary statuses: the server is busy, restarting or unreachable behind its front (RFC 9110; 425 is RFC 8470).
const TRANSIENT_STATUSES: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// Why a request gave no usable response. `host` is the host that was asked, `proxy` the proxy on the way.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// No connection: name resolution or TCP. Nothing was sent.
    #[error("cannot connect to {host}: {problem}")]
    NotConnected { host: String, problem: String },
    /// No connection through the proxy; `head` is of the proxy's response, if it gave one. Nothing was sent.
    #[error("the proxy {proxy} {}gives no connection to {host}: {}", match head {
        Some(head) if head.is_temporary() => "temporarily ",
        _ => "",
    }, match head {
        Some(head) => format!("it answered {head}"),
        None => problem.clone(),
    })]
    Proxy { proxy: ProxyName, host: String, head: Option<ResponseHead>, problem: String },
    /// The certificate of the server is refused, or that of the https proxy. Nothing was sent.
    #[error("{}{error}", match proxy {
        Some(proxy) => format!("the proxy {proxy} gives no connection to {host}: "),
        None => format!("cannot connect to {host}: "),
    })]
    Certificate { host: String, proxy: Option<ProxyName>, error: CertificateError },
    /// TLS fails otherwise; `temporary` if the server reports a problem of its own. Nothing was sent.
    #[error("cannot connect to {host}: TLS {}{}: {problem}", if *temporary { "breaks off" } else { "fails" }, match proxy {
        Some(proxy) => format!(" behind the proxy {proxy}"),
        None => String::new(),
    })]
    Tls { host: String, proxy: Option<ProxyName>, problem: String, temporary: bool },
    /// The connection ended or was silent before the response was complete, or the response is not HTTP.
    #[error("the answer of {host}{} {reason}", head.as_ref().map(|head| format!(" ({head})")).unwrap_or_default())]
    NoResponse { host: String, head: Option<ResponseHead>, reason: NoResponse },
    /// The response is larger than any real one; without `head`, its head is.
    #[error("{host} answered {}", match head {
        Some(head) => format!("{head} with more than {LONGEST_BODY} bytes"),
        None => "a head that is too long".to_owned(),
    })]
    TooLong { host: String, head: Option<ResponseHead> },
    /// Another status than 200.
    #[error(transparent)]
    Rejected(Rejection),
    /// A 200 without what was asked for.
    #[error("{host} answered HTTP 200, but {reason}")]
    Unusable { host: String, reason: Unusable },
}

/// A proxy, as messages name it: without user and password.
#[derive(Debug, Clone)]
pub(crate) struct ProxyName {
    /// Host and port.
    pub(crate) address: String,
    /// The environment variable that names it.
    pub(crate) variable: &'static str,
}

impl fmt::Display for ProxyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} in {}", self.address, self.variable)
    }
}

/// Why there is no complete response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoResponse {
    #[error("did not come completely within {}", Seconds(*.0))]
    TimedOut(Duration),
    #[error("could not be read: {0}")]
    Unreadable(String),
    #[error("ends in the middle of its JSON")]
    Incomplete,
}

/// Why a 200 is of no use. Reads on from "answered HTTP 200, but".
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("with a web page instead of JSON with {wanted}")]
    Page { wanted: &'static str },
    #[error("the answer is not JSON with {wanted}")]
    NotJson { wanted: &'static str },
    #[error("the `{field}` in its answer {problem}")]
    InvalidSecret { field: &'static str, problem: InvalidSecret },
    #[error("the `value` in its answer is not a JSON web token")]
    NotAJsonWebToken,
    #[error("the `value` in its answer is one that was used before")]
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

    /// Whether the request may have arrived: there was a connection.
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
            // One server of several may be set up wrongly.
            HttpError::Tls { .. } => Retry::Once(None),
            // An incomplete rejection created nothing, and may be complete the next time.
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

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejection { host, head, body } = self;
        write!(formatter, "{host} answered {head}")?;
        match body {
            Body::Message(message) => write!(formatter, ": {}", truncate(message.clone(), LONGEST)),
            _ if head.status.is_redirection() => formatter.write_str(", a redirect, which is never followed"),
            Body::Page => formatter.write_str(" with a web page instead of a message"),
            Body::Other => formatter.write_str(" without a message of its own"),
        }
    }
}

impl std::error::Error for Rejection {}

//! What can go wrong between a request and a usable answer, and what that says about a fresh attempt.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;

use crate::http::tls::CertificateError;
use crate::retry::Retry;
use crate::sanitize::{LONGEST, truncate};

/// Temporary statuses: the server is busy, restarting or unreachable behind its front (RFC 9110; 425 is RFC 8470).
const TRANSIENT_STATUSES: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

/// Why a request brought nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No connection: name resolution, TCP or TLS. Nothing was sent.
    #[error("cannot connect to {host}: {problem}")]
    NotConnected { host: String, problem: String },
    /// No connection, and the proxy is between; `head` is of its answer, if it gave one.
    #[error("the proxy {proxy} {}gives no connection to {host}: {}", match head {
        Some(head) if head.is_temporary() => "temporarily ",
        _ => "",
    }, match head {
        Some(head) => format!("it answered {head}"),
        None => problem.clone(),
    })]
    Proxy { proxy: String, host: String, head: Option<ResponseHead>, problem: String },
    /// The certificate of the other side is not to be trusted, or that of the https proxy between.
    #[error("{}{untrusted}", match proxy {
        Some(proxy) => format!("the proxy {proxy} gives no connection to {host}: "),
        None => format!("cannot connect to {host}: "),
    })]
    CertificateError { host: String, proxy: Option<String>, untrusted: CertificateError },
    /// The other side refuses TLS, or speaks none that both know; `temporary` if it has a problem of the moment. Nothing
    /// was sent.
    #[error("cannot connect to {host}: TLS {}{}: {problem}", if *temporary { "breaks off" } else { "fails" }, match proxy {
        Some(proxy) => format!(" behind the proxy {proxy}"),
        None => String::new(),
    })]
    NoTls { host: String, proxy: Option<String>, problem: String, temporary: bool },
    /// The connection broke or fell silent before the answer was complete, or what came is not HTTP.
    #[error("the answer of {host}{} {problem}", head.as_ref().map(|head| format!(" ({head})")).unwrap_or_default())]
    NoAnswer { host: String, head: Option<ResponseHead>, problem: String },
    /// More came than an answer can hold.
    #[error("{host} answered {part}")]
    TooLong { host: String, part: String },
    /// The other side said no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The other side said yes, but without what was asked for.
    #[error("{host} answered HTTP 200, but {problem}")]
    Unusable { host: String, problem: String },
}

impl Failure {
    /// The whole of the service's own words, if it said no in such.
    pub fn words(&self) -> Option<&str> {
        match self {
            Failure::Rejected(Rejection { body: Body::Message(words), .. }) => Some(words),
            _ => None,
        }
    }

    /// Whether what was to be sent may have arrived: there was a connection.
    pub fn was_sent(&self) -> bool {
        let unsent = matches!(self, Failure::NotConnected { .. } | Failure::Proxy { .. });
        !unsent && !matches!(self, Failure::CertificateError { .. } | Failure::NoTls { .. })
    }

    /// What this says about a fresh attempt, whatever the service.
    pub fn retry(&self) -> Retry {
        match self {
            Failure::NotConnected { .. } | Failure::NoTls { temporary: true, .. } => Retry::After(None),
            Failure::Proxy { head, .. } => head.map_or(Retry::After(None), |head| head.retry()),
            // One server of several may be set up wrongly.
            Failure::NoTls { .. } => Retry::Once(None),
            // A cut rejection made nothing, and its words may come whole the next time.
            Failure::NoAnswer { head: Some(head), .. } if !head.status.is_success() => Retry::After(head.retry_after),
            Failure::NoAnswer { .. } => Retry::ResponseLost,
            Failure::CertificateError { .. } | Failure::TooLong { .. } | Failure::Unusable { .. } => Retry::Never,
            Failure::Rejected(rejection) => rejection.head.retry(),
        }
    }
}

/// What stands above an answer's body.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHead {
    /// The HTTP status.
    pub status: StatusCode,
    /// How long to stay away, if the other side said so.
    pub retry_after: Option<Duration>,
}

impl ResponseHead {
    fn is_temporary(&self) -> bool {
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

/// The other side answered, and said no.
#[derive(Debug)]
pub struct Rejection {
    /// Who answered.
    pub host: String,
    /// With which status; never 200.
    pub head: ResponseHead,
    /// With what.
    pub body: Body,
}

/// What a rejection has to say.
#[derive(Debug)]
pub enum Body {
    /// The service's own words: one line, made safe to show, possibly longer than what is shown of it.
    Message(String),
    /// A web page, which the service does not speak in.
    Page,
    /// Something else, or nothing.
    Other,
}

impl Error for Rejection {}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rejection { host, head, body } = self;
        write!(formatter, "{host} answered {head}")?;
        match body {
            Body::Message(words) => write!(formatter, ": {}", truncate(words.clone(), LONGEST)),
            _ if head.status.is_redirection() => formatter.write_str(", a redirect, which is never followed"),
            Body::Page => formatter.write_str(" with a web page instead of a message"),
            Body::Other => formatter.write_str(" without a message of its own"),
        }
    }
}

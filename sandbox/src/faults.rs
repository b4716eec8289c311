//! Faults that a test can inject, and the received requests in order.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::Duration;

/// The routes that a login and a push use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// GitHub's ID-token service.
    IdToken,
    /// nuget.org's token service.
    TokenService,
    /// nuget.org's push endpoint for packages.
    Push,
    /// nuget.org's push endpoint for symbol packages.
    SymbolPush,
    /// nuget.org's check of a key.
    VerifyKey,
    /// Metadata, the service index, release assets, and unknown paths.
    Other,
}

impl Route {
    /// The route of a path.
    pub fn of(path: &str) -> Route {
        match path.trim_end_matches('/') {
            crate::paths::ID_TOKEN_PATH => Route::IdToken,
            crate::paths::TOKEN_SERVICE_PATH => Route::TokenService,
            crate::paths::PUSH_PATH => Route::Push,
            crate::paths::SYMBOL_PUSH_PATH => Route::SymbolPush,
            path if path.starts_with(crate::paths::VERIFY_KEY_PATH) => Route::VerifyKey,
            _ => Route::Other,
        }
    }
}

/// A fault of one request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The delay before the effect.
    pub delay: Duration,
    /// The effect.
    pub effect: Effect,
}

/// The effect of a fault.
#[derive(Debug, Clone)]
pub enum Effect {
    /// The normal response, after the delay.
    Answered,
    /// Another response instead of the service's.
    Instead(Answer),
    /// Any bytes, HTTP or not, and the end of the connection.
    Bytes(Vec<u8>),
    /// Bytes, then repeated bytes until the client closes the connection.
    Endless {
        /// The first bytes.
        start: Vec<u8>,
        /// The repeated bytes.
        then: Vec<u8>,
        /// The pause after each repetition.
        pause: Duration,
    },
    /// The service's response, truncated after this number of bytes of its body.
    CutOff(usize),
    /// A connection reset. The service does not see the request.
    Reset,
    /// A connection reset instead of the response. The service has processed the request.
    Lost,
}

impl From<Effect> for Fault {
    fn from(effect: Effect) -> Fault {
        Fault { delay: Duration::ZERO, effect }
    }
}

/// A response written by a test.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Any status.
    pub status: u16,
    /// Names and values of headers. `Content-Length` is added if it is missing.
    pub headers: Vec<(String, String)>,
    /// Any body.
    pub body: Vec<u8>,
}

impl Answer {
    /// A response with a status, a content type and a body.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Answer { status, headers, body: body.into() }
    }

    /// A JSON response: a value, or any text.
    pub fn json(status: u16, body: impl Display) -> Answer {
        Answer::new(status, "application/json", body.to_string())
    }

    /// Adds a header.
    pub fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The bytes of the response.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        [head.as_bytes(), b"Connection: close\r\n\r\n", &self.body].concat()
    }
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its route.
    pub route: Route,
    /// `GET`, `POST`, …
    pub method: String,
    /// The path and query, as sent.
    pub target: String,
    /// The names of headers in lower case, and their values as sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(it, _)| it == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// The faults to inject, and the received requests.
#[derive(Debug, Default)]
pub struct Script {
    faults: HashMap<(Route, usize), Fault>,
    requests: Vec<Request>,
}

impl Script {
    /// Adds a fault for the `nth` request of a route, counted from 1.
    pub fn add(&mut self, route: Route, nth: usize, fault: Fault) {
        self.faults.insert((route, nth), fault);
    }

    /// Records a request and returns its fault.
    pub fn next(&mut self, request: Request) -> Fault {
        let route = request.route;
        self.requests.push(request);
        let nth = self.requests.iter().filter(|request| request.route == route).count();
        self.faults.remove(&(route, nth)).unwrap_or_else(|| Effect::Answered.into())
    }

    /// All requests so far.
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }
}

//! What a test can make go wrong, and what it can look up afterwards: each request, in order.

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
    /// nuget.org's push endpoint.
    Push,
    /// Metadata, the service index, and what is not there.
    Other,
}

impl Route {
    /// The route that a path belongs to.
    pub fn of(path: &str) -> Route {
        match path.trim_end_matches('/') {
            crate::paths::ID_TOKEN_PATH => Route::IdToken,
            crate::paths::TOKEN_SERVICE_PATH => Route::TokenService,
            crate::paths::PUSH_PATH => Route::Push,
            _ => Route::Other,
        }
    }
}

/// Something that happens to one request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// How long it takes until it happens.
    pub delay: Duration,
    /// What happens.
    pub effect: Effect,
}

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Nothing: it is answered as ever, only later.
    Answered,
    /// It is answered, but not by the service.
    Instead(Answer),
    /// Bytes come back that need not be HTTP, and the connection closes.
    Bytes(Vec<u8>),
    /// Bytes come back, and then others again and again, for as long as the client takes them.
    Endless {
        /// What comes first.
        start: Vec<u8>,
        /// What comes again and again.
        then: Vec<u8>,
        /// How long it takes each time.
        pause: Duration,
    },
    /// The service answers, but the connection closes after so many bytes of its body.
    CutOff(usize),
    /// The connection is reset before the service sees the request.
    Reset,
    /// The service does its work, but the connection is reset before it answers.
    Lost,
}

impl From<Effect> for Fault {
    fn from(effect: Effect) -> Fault {
        Fault { delay: Duration::ZERO, effect }
    }
}

/// An answer written by a test.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Any status.
    pub status: u16,
    /// Names and values of headers; the length is added if it is not among them.
    pub headers: Vec<(String, String)>,
    /// Any body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer with a status and a body of a type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        Answer { status, headers, body: body.into() }
    }

    /// An answer in JSON: a value, or the text of one, right or wrong.
    pub fn json(status: u16, body: impl Display) -> Answer {
        Answer::new(status, "application/json", body.to_string())
    }

    /// The same with one more header.
    pub fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// As it goes over the wire.
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

/// A request that came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where to.
    pub route: Route,
    /// `GET`, `POST`, …
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in lower case and values, as sent.
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

/// The faults to come and the requests that were.
#[derive(Debug, Default)]
pub struct Script {
    faults: HashMap<(Route, usize), Fault>,
    requests: Vec<Request>,
}

impl Script {
    /// Lets a fault happen to the `nth` request of a route from the start, counted from 1.
    pub fn add(&mut self, route: Route, nth: usize, fault: Fault) {
        self.faults.insert((route, nth), fault);
    }

    /// Takes note of a request, and says what happens to it.
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

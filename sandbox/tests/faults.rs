//! Injected faults affect only the selected request.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Fault, Route};
use sandbox::wire::send;

/// All bytes of the response.
fn raw(sandbox: &Sandbox, path: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(sandbox.base_url().trim_start_matches("http://"))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[test]
fn a_response_can_be_replaced() {
    let sandbox = Sandbox::with(|_| {});
    let answer = Answer::new(503, "text/html", "<h1>busy</h1>").with("Retry-After", "7");
    sandbox.fault(Route::Other, 2, Effect::Instead(answer));
    let get = || send(sandbox.base_url(), "GET /v3/index.json", &[], b"").unwrap();
    assert_eq!(get().status, 200);
    let second = get();
    assert_eq!((second.status, second.header("retry-after")), (503, Some("7")));
    assert_eq!(second.body, "<h1>busy</h1>");
    assert_eq!(get().status, 200);
}

#[test]
fn a_response_can_be_any_bytes() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::Other, 1, Effect::Bytes(b"SSH-2.0-what\r\n".to_vec()));
    assert_eq!(raw(&sandbox, "/v3/index.json").unwrap(), b"SSH-2.0-what\r\n");
}

#[test]
fn a_body_can_be_truncated() {
    let sandbox = Sandbox::with(|_| {});
    let whole = String::from_utf8(raw(&sandbox, "/v3/index.json").unwrap()).unwrap();
    let (_, body) = whole.split_once("\r\n\r\n").unwrap();
    sandbox.fault(Route::Other, 2, Effect::CutOff(9));
    let cut = String::from_utf8(raw(&sandbox, "/v3/index.json").unwrap()).unwrap();
    let (head, part) = cut.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    assert_eq!(part, &body[..9]);
}

#[test]
fn a_connection_can_be_reset_before_and_after_the_request_is_processed() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.id_token_request_url();
    let ask = || {
        let bearer = format!("Bearer {}", sandbox.request_token());
        let path = url.strip_prefix(sandbox.base_url()).unwrap();
        send(sandbox.base_url(), &format!("GET {path}"), &[("Authorization", bearer.as_bytes())], b"")
    };
    sandbox.fault(Route::IdToken, 1, Effect::Reset);
    sandbox.fault(Route::IdToken, 2, Effect::Lost);
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(sandbox.id_tokens().len(), 0);
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(sandbox.id_tokens().len(), 1);
    assert_eq!(ask().unwrap().status, 200);
}

#[test]
fn a_response_can_be_delayed() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::Other, 1, Fault { delay: Duration::from_millis(80), effect: Effect::Answered });
    let start = Instant::now();
    assert_eq!(send(sandbox.base_url(), "GET /v3/index.json", &[], b"").unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(80));
}

#[test]
fn requests_are_recorded_in_order() {
    let sandbox = Sandbox::with(|_| {});
    send(sandbox.base_url(), "POST /api/v2/token?x=1", &[("X-Some", b"y")], b"body").unwrap();
    send(sandbox.base_url(), "GET /unknown", &[], b"").unwrap();
    let requests = sandbox.requests();
    assert_eq!((requests[0].route, requests[1].route), (Route::TokenService, Route::Other));
    assert_eq!((requests[0].method.as_str(), requests[0].target.as_str()), ("POST", "/api/v2/token?x=1"));
    assert_eq!((requests[0].header("x-some"), requests[0].body.as_slice()), (vec!["y"], b"body".as_slice()));
}

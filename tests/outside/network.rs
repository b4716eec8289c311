//! Connections: where they may go, what ends them, and what is never done with them.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, Stream};
use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Route};

use crate::job::Job;
use crate::scripted::{Scripted, accept};

/// The error of a step to whose first request on a route something happened; and that there was no second.
#[track_caller]
fn failed(route: Route, effect: Effect) -> String {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(route, 1, effect);
    let step = Job::new(&sandbox).run();
    assert_eq!(sandbox.requests().iter().filter(|request| request.route == route).count(), 1, "{}", step.log);
    step.failed(1).replace(sandbox.base_url().trim_start_matches("http://"), "HOST")
}

#[test]
fn nothing_is_sent_again_behind_the_programs_back() {
    for route in [Route::IdToken, Route::TokenService] {
        for effect in [Effect::Reset, Effect::Lost, Effect::Bytes(Vec::new())] {
            let error = failed(route, effect);
            assert!(error.contains("the answer of HOST could not be read: "), "{error}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_off_or_is_not_http_is_no_answer() {
    for route in [Route::IdToken, Route::TokenService] {
        for effect in [Effect::CutOff(20), Effect::CutOff(0), Effect::Bytes(b"SSH-2.0-OpenSSH\r\n".to_vec())] {
            let error = failed(route, effect);
            assert!(error.contains("the answer of HOST") && error.contains(" could not be read: "), "{error}");
        }
    }
}

#[test]
fn a_body_is_read_up_to_a_mebibyte() {
    for (status, length) in [(200, 1024 * 1024 + 1), (401, 8 * 1024 * 1024)] {
        for route in [Route::IdToken, Route::TokenService] {
            let error = failed(route, Effect::Instead(Answer::new(status, "application/json", vec![b' '; length])));
            assert!(error.ends_with("with more than 1048576 bytes"), "{error}");
        }
    }
    let longest = Answer::new(500, "application/json", vec![b' '; 1024 * 1024]);
    assert!(failed(Route::TokenService, Effect::Instead(longest)).ends_with("without a message of its own"));
}

#[test]
fn a_body_without_an_end_is_not_waited_for() {
    let start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n";
    let endless = Scripted::start(vec![[start.as_slice(), &[b'x'; 2 * 1024 * 1024]].concat()]);
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", format!("http://{}/", endless.host)).run();
    assert!(step.failed(1).ends_with("answered HTTP 200 OK with more than 1048576 bytes"), "{}", step.log);
}

#[test]
fn a_rejection_that_is_cut_off_is_named_with_its_status() {
    let half = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\n{\"error\":".to_vec();
    let error = failed(Route::TokenService, Effect::Bytes(half));
    assert!(error.contains("the answer of HOST (HTTP 503 Service Unavailable) could not be read: "), "{error}");
}

#[test]
fn a_host_that_is_not_there_is_named_with_the_cause() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", format!("http://{free}/token")).run();
    let error = step.failed(1);
    assert!(error.starts_with(&format!("no API key from the token service: cannot connect to {free}: ")), "{error}");
}

#[test]
fn loopback_never_goes_through_a_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    for host in ["127.0.0.1", "localhost", "localhost.", "[::ffff:127.0.0.1]"] {
        let sandbox = Sandbox::with(|_| {});
        let at = |url: String| url.replace("127.0.0.1", host);
        let mut job = Job::new(&sandbox)
            .set("ACTIONS_ID_TOKEN_REQUEST_URL", at(sandbox.id_token_request_url()))
            .set("INPUT_TOKEN_SERVICE_URL", at(sandbox.token_service_url()));
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            job = job.set(name, &url);
        }
        job.run().api_key();
    }
    // Nor does https to loopback, which fails here for want of a server.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sandbox = Sandbox::with(|_| {});
    let token_service = format!("https://localhost:{}/", free.port());
    Job::new(&sandbox).set("HTTPS_PROXY", &url).set("INPUT_TOKEN_SERVICE_URL", token_service).run().failed(1);
    assert!(proxy.accept().is_err(), "nobody came");
}

#[test]
fn other_hosts_go_through_the_proxy_which_sees_no_token() {
    for (name, scheme) in [("HTTPS_PROXY", "http://"), ("https_proxy", "http://"), ("HTTPS_PROXY", "")] {
        let proxy = Scripted::start(vec![b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec()]);
        let sandbox = Sandbox::with(|_| {});
        let step = Job::new(&sandbox)
            .set(name, format!("{scheme}me:pa55word@{}", proxy.host))
            .set("NO_PROXY", "other.example")
            .set("INPUT_TOKEN_SERVICE_URL", "https://nuget.example/token")
            .set("INPUT_AUDIENCE", "nuget.example")
            .secret("pa55word")
            .run();
        let error = step.failed(1);
        assert!(error.contains("cannot connect to nuget.example: "), "{error}");
        let request = &proxy.requests()[0];
        assert!(request.starts_with("CONNECT nuget.example:443 HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Basic bWU6cGE1NXdvcmQ="), "{request}");
        assert!(!request.contains(&sandbox.id_tokens()[0]));
    }
}

#[test]
fn a_proxy_that_can_not_be_used_is_refused_before_anything_is_sent() {
    for proxy in
        ["http://me:pa55word@[x", "tcp://me:pa55word@proxy", "socks5://me:pa55word@proxy", "http://pro{xy}", "http://"]
    {
        let sandbox = Sandbox::with(|_| {});
        let step = Job::new(&sandbox).set("HTTPS_PROXY", proxy).secret("pa55word").run();
        let error = step.failed(1);
        assert!(error.starts_with("the environment variable HTTPS_PROXY is not the URL of an HTTP proxy"), "{error}");
        assert!(sandbox.requests().is_empty());
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let (host, server) = serve_tls();
    let step = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", format!("https://{host}/token")).run();
    let error = step.failed(1);
    assert!(error.contains(&format!("cannot connect to {host}: invalid peer certificate: UnknownIssuer")), "{error}");
    assert_eq!(server.join().unwrap(), 0, "bytes of a request");
}

/// A TLS server with a certificate of its own making, for one connection. Gives how many bytes the client sent inside.
fn serve_tls() -> (String, thread::JoinHandle<usize>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    let served = thread::spawn(move || {
        let mut socket = accept(&listener);
        let mut tls = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = Stream::new(&mut tls, &mut socket);
        let mut sent = Vec::new();
        let _ = stream.flush();
        let _ = std::io::Read::read_to_end(&mut stream, &mut sent);
        sent.len()
    });
    (host, served)
}

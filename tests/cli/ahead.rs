//! The connection to the token service that is started while GitHub answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Fault, Route};
use serde_json::json;

use crate::job::Job;
use crate::scripted::{self, accept, closed_port, read_request};

const LONG: Duration = Duration::from_secs(20);

/// A token service of its own, apart from the sandbox's GitHub: what it does with its connections.
fn token_service<T: Send + 'static>(
    serve: impl FnOnce(TcpListener) -> T + Send + 'static,
) -> (String, thread::JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v2/token", listener.local_addr().unwrap());
    (url, thread::spawn(move || serve(listener)))
}

fn key() -> Vec<u8> {
    scripted::json(&json!({ "apiKey": "k".repeat(84) }).to_string())
}

/// An ID-token service that gives its one answer on a signal.
fn github(sandbox: &Sandbox) -> (String, mpsc::Sender<()>, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let token = sandbox.forge("https://www.nuget.org", |_| {});
    let (go, wait) = mpsc::channel();
    let served = thread::spawn(move || {
        let mut stream = accept(&listener);
        read_request(&mut stream);
        wait.recv_timeout(LONG).unwrap();
        stream.write_all(&scripted::json(&json!({ "value": token }).to_string())).unwrap();
    });
    (url, go, served)
}

/// Whether the other side closes a connection without having sent anything.
fn closes_unused(mut stream: TcpStream) -> bool {
    stream.set_read_timeout(Some(LONG)).unwrap();
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn the_token_service_is_connected_to_before_github_answers_and_gets_nothing_until_then() {
    let sandbox = Sandbox::with(|_| {});
    let (github_url, go, github) = github(&sandbox);
    let (url, served) = token_service(move |listener| {
        let mut early = accept(&listener);
        early.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let silent = early.read(&mut [0]).is_err_and(|error| error.kind() != std::io::ErrorKind::ConnectionReset);
        go.send(()).unwrap();
        early.set_read_timeout(Some(LONG)).unwrap();
        let request = read_request(&mut early);
        early.write_all(&key()).unwrap();
        listener.set_nonblocking(true).unwrap();
        (silent, request, listener.accept().is_err())
    });
    let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", github_url);
    job.set("INPUT_TOKEN_SERVICE_URL", url).run().api_key();
    github.join().unwrap();
    let (silent, request, alone) = served.join().unwrap();
    assert!(silent, "something was sent before the ID token was there");
    assert!(request.starts_with("POST /api/v2/token HTTP/1.1\r\n"), "{request}");
    assert!(alone, "a second connection was made");
}

#[test]
fn a_connection_that_was_closed_in_between_is_replaced_and_the_attempt_is_not_lost() {
    let sandbox = Sandbox::with(|_| {});
    let (github_url, go, github) = github(&sandbox);
    let (url, served) = token_service(move |listener| {
        drop(accept(&listener));
        go.send(()).unwrap();
        let mut second = accept(&listener);
        let request = read_request(&mut second);
        second.write_all(&key()).unwrap();
        request
    });
    let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", github_url);
    let step = job.set("INPUT_TOKEN_SERVICE_URL", url).run();
    step.api_key();
    github.join().unwrap();
    assert!(served.join().unwrap().contains("authorization: Bearer "));
    assert!(!step.log.contains("Attempt 1"), "{}", step.log);
}

#[test]
fn a_server_that_speaks_first_is_not_used_for_the_exchange() {
    let sandbox = Sandbox::with(|_| {});
    let (github_url, go, github) = github(&sandbox);
    let (url, served) = token_service(move |listener| {
        let mut early = accept(&listener);
        early.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"apiKey\":\"f0rged-key\"}").unwrap();
        go.send(()).unwrap();
        let mut second = accept(&listener);
        read_request(&mut second);
        second.write_all(&key()).unwrap();
        closes_unused(early)
    });
    let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", github_url);
    let step = job.set("INPUT_TOKEN_SERVICE_URL", url).run();
    assert_eq!(step.api_key(), "k".repeat(84));
    github.join().unwrap();
    assert!(served.join().unwrap(), "the early connection was used");
}

#[test]
fn an_early_connection_that_fails_is_reported_as_the_exchanges() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox)
        .set("INPUT_TOKEN_SERVICE_URL", format!("http://{}/token", closed_port()))
        .set("INPUT_TIMEOUT_SECONDS", "1")
        .run();
    assert!(step.failed(1).starts_with(&format!("cannot connect to {}: ", closed_port())), "{}", step.log);
}

#[test]
fn an_early_connection_that_hangs_is_named_though_github_was_slow() {
    // The kernel connects, and TLS gets no response.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::IdToken, 1, Fault { delay: Duration::from_secs(1), effect: Effect::Answered });
    let job = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", format!("https://localhost:{port}/token"));
    let step = job.set("INPUT_TIMEOUT_SECONDS", "4").run();
    // Just under the 4 seconds, of which GitHub took one.
    let fact = format!("cannot connect to localhost:{port}: no connection within 3.");
    assert!(step.failed(1).starts_with(&fact), "{}", step.log);
}

#[test]
fn without_an_id_token_the_early_connection_is_closed_unused() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::new(403, "text/plain", "")));
    let (url, served) = token_service(|listener| closes_unused(accept(&listener)));
    Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url).run().failed(1);
    assert!(served.join().unwrap());
}

#[test]
fn a_second_attempt_does_not_connect_ahead() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::new(503, "text/plain", "")));
    let (url, served) = token_service(|listener| {
        let first = accept(&listener);
        let mut second = accept(&listener);
        read_request(&mut second);
        second.write_all(&key()).unwrap();
        listener.set_nonblocking(true).unwrap();
        (closes_unused(first), listener.accept().is_err())
    });
    Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url).run().api_key();
    assert_eq!(served.join().unwrap(), (true, true));
}

#[test]
fn a_token_service_that_does_not_answer_the_early_connection_does_not_delay_a_failure_of_github() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::new(401, "text/plain", "")));
    // Nothing answers there (RFC 5737): a connection would take its whole time limit.
    let began = std::time::Instant::now();
    let job = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", "https://192.0.2.1/token");
    job.set("INPUT_AUDIENCE", "other").run().failed(1);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn policy_and_a_single_host_start_no_connection_ahead() {
    let sandbox = Sandbox::with(|_| {});
    Job::new(&sandbox).run().api_key();
    assert_eq!(sandbox.requests().len(), 2);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v2/token", listener.local_addr().unwrap());
    let step = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url).arguments(["policy"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "a connection is waiting");
}

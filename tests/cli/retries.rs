//! Retries: which failures are retried, how long the waits are, and when they end. With real sockets, and a clock that
//! does not wait.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, SystemTime};

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Fault, Route};
use serde_json::json;

use crate::fast_clock::FastClock;
use crate::job::{Job, Step, out_of_time, stopped_after};
use crate::scripted::{self, accept, closed_port, read_request};

const BOTH: [Route; 2] = [Route::IdToken, Route::TokenService];
/// More than the requests of any test.
const ALWAYS: usize = 1_000;

/// A sandbox, and what happens to its first requests.
struct Story {
    sandbox: Sandbox,
    impatient: bool,
    timeout: &'static str,
}

/// The result of a story.
struct Told {
    step: Step,
    waits: Vec<Duration>,
    /// The whole time, by the program's clock.
    elapsed: Duration,
    /// Requests for an ID token.
    issued: usize,
    /// Exchanges.
    exchanged: usize,
}

impl Story {
    fn new() -> Story {
        Story { sandbox: Sandbox::with(|_| {}), impatient: false, timeout: "" }
    }

    /// Something happens to the first `times` requests of a route.
    fn fault(self, route: Route, times: usize, fault: impl Into<Fault>) -> Story {
        let fault = fault.into();
        (1..=times).for_each(|nth| self.sandbox.fault(route, nth, fault.clone()));
        self
    }

    /// Silence takes only a fraction of its real time.
    fn impatient(self) -> Story {
        Story { impatient: true, ..self }
    }

    /// The input `timeout-seconds`.
    fn timeout(self, timeout: &'static str) -> Story {
        Story { timeout, ..self }
    }

    fn told(self) -> Told {
        let sandbox = &self.sandbox;
        let clock = if self.impatient { FastClock::impatient(sandbox) } else { FastClock::new(sandbox) };
        let step = Job::new(sandbox).set("INPUT_TIMEOUT_SECONDS", self.timeout).run_by(&clock);
        let sent = |route| sandbox.requests().into_iter().filter(move |request| request.route == route);
        let mut bearers: Vec<_> = sent(Route::TokenService).map(|it| it.header("authorization").join(" ")).collect();
        let exchanged = bearers.len();
        bearers.sort();
        bearers.dedup();
        assert_eq!(bearers.len(), exchanged, "an ID token was sent twice");
        let told = Told {
            waits: clock.waits(),
            elapsed: clock.elapsed(),
            issued: sent(Route::IdToken).count(),
            exchanged,
            step,
        };
        let lines = told.step.text().iter().filter(|line| line.starts_with("Attempt ")).count();
        assert_eq!(lines, told.waits.len(), "a line for each retry: {}", told.step.log);
        told
    }
}

/// The route's first request fails, and the second attempt brings a key.
#[track_caller]
fn passes(route: Route, fault: impl Into<Fault>) {
    let fault = fault.into();
    let mut story = Story::new().fault(route, 1, fault.clone());
    if !fault.delay.is_zero() || matches!(fault.effect, Effect::Endless { .. }) {
        story = story.impatient();
    }
    let told = story.told();
    told.step.api_key();
    assert_eq!(told.issued, 2, "an attempt begins with a fresh ID token");
    assert_eq!(told.exchanged, if route == Route::IdToken { 1 } else { 2 });
    assert_eq!(told.waits.len(), 1);
    assert!(told.waits[0] <= Duration::from_millis(500), "{:?}", told.waits);
    let line = told.step.text()[0];
    let (cause, wait) = line.split_once(". Next attempt in ").unwrap_or_else(|| panic!("{line}"));
    assert!(cause.starts_with("Attempt 1 failed: ") && cause.contains("127.0.0.1:"), "{line}");
    assert!(wait.starts_with("0.") && wait.ends_with(" seconds."), "{line}");
    assert!(told.step.text().last().unwrap().ends_with(", after 2 attempts."), "{}", told.step.log);
}

/// The route's first request fails, and is not retried. Returns the report.
#[track_caller]
fn stops(route: Route, fault: impl Into<Fault>) -> String {
    let told = Story::new().fault(route, 1, fault).told();
    assert_eq!((told.issued, told.exchanged), (1, if route == Route::IdToken { 0 } else { 1 }), "{}", told.step.log);
    assert!(told.waits.is_empty());
    told.step.failed(1)
}

fn page(status: u16) -> Answer {
    Answer::new(status, "text/html", "<html><body><h1>Something</h1></body></html>")
}

fn refusal(status: u16, message: &str) -> Answer {
    Answer::json(status, json!({ "message": message, "error": message }))
}

fn hangs() -> Fault {
    Fault { delay: Duration::from_secs(3_600), effect: Effect::Answered }
}

fn drips(start: &str) -> Effect {
    Effect::Endless { start: start.into(), then: b" ".to_vec(), pause: Duration::from_millis(5) }
}

/// Temporary statuses, as in the documentation.
const TRANSIENT: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];

#[test]
fn the_documentation_names_the_temporary_statuses() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/how-it-works.md")).unwrap();
    let listed = TRANSIENT.map(|status| status.to_string()).join(", ");
    assert!(page.contains(&format!("| HTTP {listed} | retried | retried |")), "{listed}");
}

#[test]
fn a_temporary_status_is_retried() {
    for status in TRANSIENT {
        for route in BOTH {
            passes(route, Effect::Instead(page(status)));
            passes(route, Effect::Instead(refusal(status, "Later, please.")));
        }
    }
}

#[test]
fn a_broken_connection_is_retried() {
    for route in BOTH {
        passes(route, Effect::Reset);
        passes(route, Effect::Lost);
        passes(route, Effect::Bytes(Vec::new()));
    }
}

#[test]
fn an_incomplete_response_is_retried() {
    for route in BOTH {
        passes(route, Effect::CutOff(0));
        passes(route, Effect::CutOff(20));
        passes(route, Effect::Bytes(b"HTTP/1.1 200 O".to_vec()));
        passes(route, Effect::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()));
        passes(route, Effect::Bytes(b"HTTP/1.1 200 OK\r\n\r\n{\"value\":\"a.b.".to_vec()));
        passes(route, Effect::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"val".to_vec()));
        // A complete response, from which a proxy lost the rest.
        passes(route, Effect::Instead(Answer::json(200, r#"{"apiKey":"a-key-of-some"#)));
        passes(route, Effect::Instead(Answer::json(200, "")));
        passes(route, Effect::Bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec()));
        passes(route, Effect::Bytes(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 90\r\n\r\n{\"error\":".to_vec()));
    }
}

#[test]
fn a_response_that_is_not_http_is_retried() {
    for route in BOTH {
        passes(route, Effect::Bytes(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()));
        passes(route, Effect::Bytes(b"\0\xff\x15\x03\x01\0\x02\x02P".to_vec()));
    }
}

#[test]
fn a_silent_or_slow_response_is_retried() {
    for route in BOTH {
        passes(route, hangs());
        passes(route, drips("HTTP/1.1 200 OK\r\nX-Padding:"));
        passes(route, drips("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"));
    }
}

#[test]
fn a_pending_job_is_retried() {
    for state in ["Pending", "Delayed"] {
        let message = format!("Can't issue ID_TOKEN for job in '{state}' state.");
        passes(Route::IdToken, Effect::Instead(refusal(403, &message)));
        passes(Route::IdToken, Effect::Instead(refusal(403, message.to_lowercase().trim_end_matches('.'))));
        stops(Route::TokenService, Effect::Instead(refusal(403, &message)));
    }
}

#[test]
fn messages_about_one_id_token_are_retried_with_a_fresh_one() {
    for message in [
        "The JSON web token has expired.",
        "The JSON web token is not yet valid.",
        "This bearer token has already been used. A new bearer token must be used for each request.",
        "The JSON web token has an invalid signature.",
    ] {
        let full_stop = message.find('.').unwrap();
        for variant in [message, &message[..full_stop], &message.to_uppercase()] {
            passes(Route::TokenService, Effect::Instead(refusal(401, variant)));
        }
        stops(Route::TokenService, Effect::Instead(refusal(400, message)));
        stops(Route::IdToken, Effect::Instead(refusal(401, message)));
    }
}

#[test]
fn a_repeated_id_token_is_not_sent_again() {
    let story = Story::new();
    let token = story.sandbox.forge("https://www.nuget.org", |_| {});
    let again = Effect::Instead(Answer::json(200, json!({ "value": token })));
    let told =
        story.fault(Route::IdToken, ALWAYS, again).fault(Route::TokenService, 1, Effect::Instead(page(503))).told();
    assert_eq!((told.issued, told.exchanged), (2, 1));
    let fact = " answered HTTP 200, but the value in its response is an ID token that it issued before\nfix: check HTTPS_PROXY: ";
    assert!(told.step.failed(1).contains(fact), "{}", told.step.log);
}

#[test]
fn an_earlier_id_token_is_not_shown_if_it_is_truncated() {
    let story = Story::new();
    let token = story
        .sandbox
        .forge("https://www.nuget.org", |claims| drop(claims.insert("x".to_owned(), json!("x".repeat(900)))));
    story.sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::json(200, json!({ "value": token }))));
    story.sandbox.fault(Route::TokenService, 1, Effect::Instead(page(503)));
    story.sandbox.fault(Route::TokenService, 2, Effect::Instead(refusal(400, &format!("before: {token}"))));
    let told = story.told();
    let notes = " answered HTTP 400 Bad Request: before: ***".to_owned() + &stopped_after(2);
    assert!(told.step.failed(1).contains(&notes), "{}", told.step.log);
}

#[test]
fn an_invalid_signature_is_retried_once() {
    let message = "The JSON web token has an invalid signature.";
    let told = Story::new().fault(Route::TokenService, 2, Effect::Instead(refusal(401, message))).told();
    assert_eq!((told.issued, told.exchanged), (2, 2));
    let error = told.step.failed(1);
    assert!(error.contains(message), "{error}");
    assert!(error.contains(&(stopped_after(2) + "another attempt would fail in the same way\n")), "{error}");
}

#[test]
fn every_other_status_is_final() {
    let finals = (400..=451).chain(500..600).filter(|status| !TRANSIENT.contains(status));
    for status in finals.chain([201, 202, 204, 206, 300, 301, 302, 303, 304, 307, 308]) {
        for route in BOTH {
            let answer = match status {
                204 | 304 => Answer::new(status, "text/plain", ""),
                _ => refusal(status, "No.").with("Location", "http://127.0.0.1/").with("Retry-After", "1"),
            };
            let error = stops(route, Effect::Instead(answer));
            assert!(error.contains(&format!(" answered HTTP {status}")), "{error}");
        }
    }
}

#[test]
fn a_permanent_message_is_final() {
    for message in [
        "No matching trust policy owned by user 'contoso-bot' was found.",
        "The JSON web token has an incorrect audience.",
        "Workflow mismatch for policy 'x': expected 'The JSON web token has expired.', actual 'y'",
        "",
    ] {
        stops(Route::TokenService, Effect::Instead(refusal(401, message)));
    }
}

#[test]
fn a_complete_response_without_an_api_key_is_final() {
    for body in ["<html></html>", "null", "[]", "{}", r#"{"apiKey":7}"#, r#"{"apiKey":""}"#] {
        let error = stops(Route::TokenService, Effect::Instead(Answer::json(200, body)));
        assert!(error.contains(" answered HTTP 200, but "), "{error}");
    }
    let error = stops(Route::IdToken, Effect::Instead(Answer::json(200, "<html></html>")));
    assert!(error.contains(" answered HTTP 200, but with HTML instead of JSON "), "{error}");
    // A decompression bomb, if nuget-login decompressed responses.
    let packed = Answer::new(200, "application/json", b"\x1f\x8b\x08\0\0".to_vec()).with("Content-Encoding", "gzip");
    stops(Route::TokenService, Effect::Instead(packed));
}

/// Responses of GitHub's ID-token service without an ID token.
const WITHOUT_A_TOKEN: [&str; 7] =
    ["", "{}", r#"{"value":null}"#, "[]", "null", r#"{"value":""}"#, r#"{"count":0,"value":7}"#];

#[test]
fn a_200_from_github_without_an_id_token_is_retried() {
    for body in WITHOUT_A_TOKEN {
        passes(Route::IdToken, Effect::Instead(Answer::json(200, body)));
    }
}

#[test]
fn a_200_from_github_that_never_has_an_id_token_is_explained_without_the_token_service() {
    for body in WITHOUT_A_TOKEN {
        let told =
            Story::new().timeout("20").fault(Route::IdToken, ALWAYS, Effect::Instead(Answer::json(200, body))).told();
        let error = told.step.failed(1);
        assert_eq!(told.exchanged, 0, "{body}");
        assert!(told.issued > 2, "{body}: {error}");
        assert!(error.contains(&stopped_after(told.issued)) && error.contains(&out_of_time(20)), "{body}: {error}");
        assert!(!told.step.log.contains("token-service-url"), "{body}: {error}");
        assert!(!told.step.summary.contains("token-service-url"), "{body}: {}", told.step.summary);
        assert!(error.contains("\nfix: run the job again"), "{body}: {error}");
    }
}

#[test]
fn every_rejection_by_github_has_fixes_of_its_own() {
    for status in [302, 400, 401, 403, 404] {
        let with_a_message = refusal(status, "No.");
        let without = Answer::new(status, "text/plain", "");
        for answer in [with_a_message, without] {
            let has_a_message = !answer.to_bytes().ends_with(b"\r\n\r\n");
            let error = stops(Route::IdToken, Effect::Instead(answer));
            let evidence = if has_a_message && status != 302 { ": No.\n" } else { "" };
            assert!(error.contains(&format!(" answered HTTP {status} ")) && error.contains(evidence), "{error}");
            let (annotation, _) = error.split_once("\nnote: ").unwrap_or_else(|| error.split_once("\ndocs: ").unwrap());
            assert!(annotation.contains("\nfix: run the job again") || status == 302, "{error}");
            let variables = "\nfix: remove every \"env:\" entry that sets ACTIONS_ID_TOKEN_REQUEST_URL or ";
            assert!(annotation.contains(variables), "{error}");
            assert!(!error.contains("token-service-url"), "{error}");
        }
    }
}

#[test]
fn a_response_that_is_too_long_is_final() {
    for route in BOTH {
        for status in ["200 OK", "503 Service Unavailable"] {
            let body = format!("HTTP/1.1 {status}\r\n\r\n{{\"a\":\"").into_bytes();
            let endless = Effect::Endless { start: body, then: vec![b'x'; 65_536], pause: Duration::ZERO };
            let error = stops(route, endless);
            let fact = format!(" (HTTP {status}) is larger than 1048576 bytes\n");
            assert!(error.starts_with("the response from 127.0.0.1:") && error.contains(&fact), "{error}");

            let head = format!("HTTP/1.1 {status}\r\n").into_bytes();
            let then = format!("X-Padding: {}\r\n", "x".repeat(4_000)).into_bytes();
            let error = stops(route, Effect::Endless { start: head, then, pause: Duration::ZERO });
            assert!(error.contains(" has a head that is too large\nfix: "), "{error}");
        }
    }
}

#[test]
fn a_response_of_more_than_a_mebibyte_is_final() {
    let answer = |length: usize| {
        let json = json!({ "apiKey": "k".repeat(84) }).to_string();
        let body = " ".repeat(length - json.len()) + &json;
        Effect::Instead(Answer::json(200, body))
    };
    Story::new().fault(Route::TokenService, 1, answer(1_048_576)).told().step.api_key();
    let error = stops(Route::TokenService, answer(1_048_577));
    assert!(error.contains(" (HTTP 200 OK) is larger than 1048576 bytes\n"), "{error}");
}

/// The route's first response is `answer` with a date in `Retry-After`. The wait ends at that date by this machine's clock,
/// or up to half a second later.
#[track_caller]
fn waits_until_a_date(route: Route, answer: Answer) {
    let before = SystemTime::now();
    let header = httpdate::fmt_http_date(before + Duration::from_secs(40));
    let told = Story::new().fault(route, 1, Effect::Instead(answer.with("Retry-After", &header))).told();
    told.step.api_key();
    // The request began between `before` and now, however long the test had to wait for the processor.
    let left = |now| httpdate::parse_http_date(&header).unwrap().duration_since(now).unwrap_or_default();
    let possible = left(SystemTime::now())..=left(before) + Duration::from_millis(500);
    assert!(possible.contains(&told.waits[0]), "{:?} of {possible:?}", told.waits);
}

#[test]
fn retry_after_is_respected() {
    for (status, value, seconds) in [(429, "7", 7.0), (503, "90", 90.0), (500, " 20\t", 20.0)] {
        for route in BOTH {
            let answer = page(status).with("Retry-After", value);
            let told = Story::new().fault(route, 1, Effect::Instead(answer)).told();
            told.step.api_key();
            let wait = told.waits[0].as_secs_f64();
            assert!((seconds..=seconds + 0.5).contains(&wait), "{value}: {wait}");
        }
    }
    for route in BOTH {
        waits_until_a_date(route, page(429));
    }
    for value in ["soon", "-5", "", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        passes(Route::TokenService, Effect::Instead(page(503).with("Retry-After", value)));
    }
    let pending = refusal(403, "Can't issue ID_TOKEN for job in 'Pending' state.").with("Retry-After", "3");
    let told = Story::new().fault(Route::IdToken, 1, Effect::Instead(pending)).told();
    assert!(told.waits[0] >= Duration::from_secs(3));
    let told = Story::new()
        .fault(Route::TokenService, 1, Effect::Instead(page(429).with("Retry-After", "0").with("Retry-After", "9")))
        .told();
    assert!(told.waits[0] >= Duration::from_secs(9), "the later one of two");
    let signature = refusal(401, "The JSON web token has an invalid signature.").with("Retry-After", "8");
    let told = Story::new().fault(Route::TokenService, 1, Effect::Instead(signature)).told();
    assert!(told.waits[0] >= Duration::from_secs(8));
    let cut = b"HTTP/1.1 503 Busy\r\nRetry-After: 5\r\nContent-Length: 9\r\n\r\n".to_vec();
    let told = Story::new().fault(Route::TokenService, 1, Effect::Bytes(cut)).told();
    assert!(told.waits[0] >= Duration::from_secs(5));
}

#[test]
fn a_date_in_retry_after_is_read_by_the_servers_clock() {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3_600);
    // A server's clock that is an hour fast is the same as a runner's clock that is an hour slow.
    for servers in [now + hour, now - hour, now + 24 * 365 * hour, SystemTime::UNIX_EPOCH] {
        let date = httpdate::fmt_http_date;
        for route in BOTH {
            let answer = page(503).with("Retry-After", &date(servers + Duration::from_secs(40)));
            let told = Story::new().fault(route, 1, Effect::Instead(answer.with("Date", &date(servers)))).told();
            told.step.api_key();
            assert!((40.0..=40.5).contains(&told.waits[0].as_secs_f64()), "{:?}", told.waits);
        }
    }
    // An invalid date does not reveal the clock.
    for unusable in ["", "now", "0", "Sun, 06 Nov 1994", "Sun, 99 Nov 1994 08:49:37 GMT"] {
        waits_until_a_date(Route::TokenService, page(503).with("Date", unusable));
    }
    // Seconds need no clock, and no date makes a wait longer than a year.
    let answer = page(503).with("Retry-After", "7").with("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    let told = Story::new().fault(Route::TokenService, 1, Effect::Instead(answer)).told();
    assert!((7.0..=7.5).contains(&told.waits[0].as_secs_f64()), "{:?}", told.waits);
    let late =
        page(503).with("Date", "Thu, 01 Jan 1970 00:00:00 GMT").with("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT");
    let error = stops(Route::TokenService, Effect::Instead(late));
    assert!(error.contains(&(stopped_after(1) + "the next one would start in 3153600")), "a year: {error}");
}

#[test]
fn a_wait_beyond_the_deadline_is_not_started() {
    for value in ["120", "3600", "99999999999999999999"] {
        let error = stops(Route::TokenService, Effect::Instead(page(429).with("Retry-After", value)));
        assert!(error.contains("answered HTTP 429 Too Many Requests"), "{error}");
        assert!(error.contains(&stopped_after(1)) && error.contains(&out_of_time(120)), "{error}");
    }
}

#[test]
fn waits_grow_and_end_with_the_deadline() {
    for route in BOTH {
        let told = Story::new().fault(route, ALWAYS, Effect::Instead(page(503))).told();
        let error = told.step.failed(1);
        assert!(error.contains("answered HTTP 503 Service Unavailable"), "{error}");
        assert!(error.contains(&stopped_after(told.issued)) && error.contains(&out_of_time(120)), "{error}");
        assert_eq!(told.waits.len() + 1, told.issued);
        assert!((10..60).contains(&told.issued), "{}", told.issued);
        assert!(told.elapsed <= Duration::from_secs(121) && told.elapsed >= Duration::from_secs(100), "{error}");
        assert!(told.waits.iter().all(|wait| *wait <= Duration::from_secs(15)));
    }
    let told = Story::new().timeout("20").fault(Route::IdToken, ALWAYS, Effect::Reset).told();
    assert!(told.elapsed <= Duration::from_secs(21), "{:?}", told.elapsed);
    assert!(told.step.failed(1).contains(&out_of_time(20)), "{}", told.step.log);
}

#[test]
fn an_abandoned_attempt_closes_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let served = thread::spawn(move || {
        let mut silent = accept(&listener);
        read_request(&mut silent);
        let mut second = accept(&listener);
        read_request(&mut second);
        silent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let hung_up = silent.read(&mut [0]).is_ok_and(|bytes| bytes == 0);
        second.write_all(&scripted::json(&json!({ "apiKey": "k".repeat(84) }).to_string())).unwrap();
        hung_up
    });
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url).run_by(&FastClock::impatient(&sandbox));
    step.api_key();
    assert!(served.join().unwrap(), "the first connection was still open at the second attempt");
}

#[test]
fn silence_ends_with_the_deadline() {
    for (route, timeout) in [(Route::IdToken, "40"), (Route::IdToken, "7"), (Route::TokenService, "50")] {
        let told = Story::new().timeout(timeout).impatient().fault(route, ALWAYS, hangs()).told();
        let deadline = Duration::from_secs(timeout.parse().unwrap());
        assert!(told.elapsed <= deadline + Duration::from_secs(1), "{:?}", told.elapsed);
        let error = told.step.failed(1);
        assert!(
            error.starts_with("the response from 127.0.0.1:") && error.contains(" was not complete within "),
            "{error}"
        );
        assert!(error.contains(&stopped_after(told.issued)), "{error}");
        assert!(error.contains(&out_of_time(timeout.parse().unwrap())), "{error}");
    }
}

#[test]
fn a_request_for_an_id_token_gets_15_seconds_and_an_exchange_30() {
    for (route, seconds) in [(Route::IdToken, "15 seconds"), (Route::TokenService, "30 seconds")] {
        let told = Story::new().impatient().fault(route, 1, hangs()).told();
        told.step.api_key();
        let line = told.step.text()[0];
        assert!(line.contains(&format!(" was not complete within {seconds}. Next attempt in ")), "{line}");
    }
}

#[test]
fn at_most_three_exchanges_can_lose_their_response() {
    let lost = |attempts: usize| stopped_after(attempts) + "3 exchanges had no response\n";
    for fault in [Effect::Lost.into(), Effect::CutOff(10).into(), Effect::Bytes(Vec::new()).into(), hangs()] {
        let told = Story::new().timeout("1000").impatient().fault(Route::TokenService, ALWAYS, fault).told();
        assert_eq!((told.issued, told.exchanged), (3, 3));
        let error = told.step.failed(1);
        assert!(error.starts_with("the token service did not respond to 3 exchanges\nfix: run the job again later: "));
        assert!(error.contains(&lost(3)), "{error}");
    }
    // Responses in between and lost ID tokens do not count.
    let story = Story::new().fault(Route::IdToken, 5, Effect::Lost).fault(Route::TokenService, ALWAYS, Effect::Lost);
    for nth in [1, 2, 4] {
        story.sandbox.fault(Route::TokenService, nth, Effect::Instead(page(429)));
    }
    story.sandbox.fault(
        Route::TokenService,
        5,
        Effect::Bytes(b"HTTP/1.1 502 Bad\r\nContent-Length: 9\r\n\r\n".to_vec()),
    );
    let told = story.timeout("1000").told();
    assert_eq!((told.issued, told.exchanged), (12, 7), "{}", told.step.log);
    assert!(told.step.failed(1).contains(&lost(12)), "{}", told.step.log);
}

#[test]
fn a_refused_connection_is_retried_until_the_deadline() {
    let closed = closed_port();
    let sandbox = Sandbox::with(|_| {});
    let clock = FastClock::new(&sandbox);
    let step = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", format!("http://{closed}/token")).run_by(&clock);
    let error = step.failed(1);
    assert!(error.starts_with(&format!("cannot connect to {closed}: ")), "{error}");
    // More than the exchanges that can lose their response.
    assert!(sandbox.id_tokens().len() > 5 && clock.elapsed() <= Duration::from_secs(121), "{error}");
}

#[test]
fn a_login_waits_for_the_rate_limit_of_the_service() {
    let sandbox = Sandbox::with(|config| config.service.seconds_between_keys = 30.0);
    Job::new(&sandbox).run().api_key();
    let clock = FastClock::new(&sandbox);
    Job::new(&sandbox).run_by(&clock).api_key();
    assert_eq!(clock.waits().len(), 1, "one wait of Retry-After is enough");
}

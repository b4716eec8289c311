//! A process and the network, in real time: when it ends, how much memory it uses, and how many can run at once.

use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use sandbox::Sandbox;
use sandbox::faults::{Effect, Fault, Route};

use crate::job::{Job, out_of_time, stopped_after};
use crate::scripted::read_request;

/// No request for an ID token gets a response.
fn silent() -> Sandbox {
    let sandbox = Sandbox::with(|_| {});
    for nth in 1..100 {
        let hangs = Fault { delay: Duration::from_secs(3_600), effect: Effect::Answered };
        sandbox.fault(Route::IdToken, nth, hangs.clone());
    }
    sandbox
}

#[test]
fn a_process_ends_a_second_after_its_deadline_at_the_latest() {
    let sandbox = silent();
    let began = Instant::now();
    let step = Job::new(&sandbox).arguments(["--timeout-seconds", "2"]).run();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let error = step.failed(1);
    assert!(error.lines().next().unwrap().ends_with(" was not complete within 2 seconds"), "{error}");
    assert!(error.contains(&stopped_after(1)) && error.contains(&out_of_time(2)), "{error}");
}

#[test]
fn a_connection_gets_10_seconds() {
    // The kernel connects, and the TLS handshake gets no response.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("localhost:{}", listener.local_addr().unwrap().port());
    let sandbox = Sandbox::with(|_| {});
    let began = Instant::now();
    let step = Job::new(&sandbox)
        .set("INPUT_TOKEN_SERVICE_URL", format!("https://{host}/"))
        .set("INPUT_TIMEOUT_SECONDS", "12")
        .run();
    step.failed(1);
    let attempt = format!("Attempt 1 failed: cannot connect to {host}: no connection within 10 seconds. Next attempt ");
    assert!(step.log.contains(&attempt), "{}", step.log);
    assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
}

/// The resolver reads its name server from a file with a fixed path: a mount namespace replaces it.
#[cfg(target_os = "linux")]
fn resolved_by<'a>(sandbox: &'a Sandbox, nameserver: &str) -> Job<'a> {
    Job::new(sandbox)
        .set("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .set("RESOLV", format!("nameserver {nameserver}\noptions timeout:30 attempts:5\n"))
        .in_namespace(
            "mount -t tmpfs none /mnt && echo \"$RESOLV\" > /mnt/resolv.conf && \
             mount --bind /mnt/resolv.conf \"$(realpath /etc/resolv.conf)\" && exec \"$0\"",
        )
        .set("INPUT_TOKEN_SERVICE_URL", "https://nuget.example/token")
}

/// A name server of this test, if the system allows one.
#[cfg(target_os = "linux")]
fn nameserver(address: &str) -> Option<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind((address, 53)).ok().filter(|_| crate::job::has_namespaces());
    if socket.is_none() {
        eprintln!("skipped: no name server can be put in place here");
    }
    socket
}

/// A server that sends endless interim responses, which the client ignores.
#[test]
fn a_flood_of_interim_responses_ends_with_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            // Before the request, they would be responses to nothing.
            read_request(&mut stream);
            let flood = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".repeat(10_000);
            while std::io::Write::write_all(&mut stream, flood.as_bytes()).is_ok() {}
        }
    });
    let sandbox = Sandbox::with(|_| {});
    let began = Instant::now();
    let step = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", url).set("INPUT_TIMEOUT_SECONDS", "2").run();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(step.failed(1).lines().next().unwrap().contains(" was not complete within "), "{}", step.log);
}

#[test]
#[cfg(target_os = "linux")]
fn a_silent_resolver_does_not_delay_the_end() {
    let Some(_silent) = nameserver("127.0.0.77") else { return };
    let sandbox = Sandbox::with(|_| {});
    let began = Instant::now();
    let step = resolved_by(&sandbox, "127.0.0.77").set("INPUT_TIMEOUT_SECONDS", "2").run();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(step.failed(1).starts_with("cannot connect to nuget.example: "), "{}", step.log);
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_cannot_be_resolved_is_retried() {
    let Some(server) = nameserver("127.0.0.78") else { return };
    thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((length, from)) = server.recv_from(&mut message) {
            // The question as a response: no such name (RFC 1035, section 4.1.1).
            message[2..4].copy_from_slice(&[0x81, 0x83]);
            server.send_to(&message[..length], from).unwrap();
        }
    });
    let sandbox = Sandbox::with(|_| {});
    let step = resolved_by(&sandbox, "127.0.0.78").set("INPUT_TIMEOUT_SECONDS", "3").run();
    let error = step.failed(1);
    assert!(error.starts_with("cannot connect to nuget.example: failed to lookup address information: "), "{error}");
    assert!(sandbox.id_tokens().len() > 1, "{}", step.log);
}

#[test]
#[cfg(unix)]
fn a_cancelled_job_ends_at_once() {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;
    for (name, number) in [("TERM", 15), ("INT", 2)] {
        // A background job of a script ignores some signals.
        let words = format!("kill -{name} $$; echo ignored");
        if !Command::new("sh").args(["-c", &words]).output().unwrap().stdout.is_empty() {
            eprintln!("skipped: SIG{name} is ignored in this process");
            continue;
        }
        let sandbox = silent();
        let mut job = Job::new(&sandbox);
        let mut child = job.spawn();
        while sandbox.requests().is_empty() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it asked for anything");
            thread::sleep(Duration::from_millis(5));
        }
        let began = Instant::now();
        let sent = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        assert_eq!(child.wait().unwrap().signal(), Some(number));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(std::fs::read_to_string(job.output()).unwrap(), "");
    }
}

/// On Linux, this limit counts the memory that a process writes to and that is not mapped from a file.
#[test]
#[cfg(target_os = "linux")]
fn no_response_takes_more_than_16_mebibytes_of_memory() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let bad = "HTTP/1.1 400 Bad Request\r\n";
    let full = |head: &str, start: &str, piece: &str, end: &str| {
        let body = start.to_owned() + &piece.repeat((1_048_576 - start.len() - end.len()) / piece.len()) + end;
        Effect::Bytes(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    };
    let endless = |start: String, then: &str| Effect::Endless {
        start: start.into_bytes(),
        then: then.repeat(1_000).into_bytes(),
        pause: Duration::ZERO,
    };
    let effects = [
        endless(format!("{ok}\r\n"), "{\"value\":"),
        endless(format!("{ok}Transfer-Encoding: chunked\r\n\r\n"), "1\r\nx\r\n"),
        endless(format!("{ok}Transfer-Encoding: chunked\r\n\r\n1;"), "extension"),
        endless(format!("{ok}Transfer-Encoding: chunked\r\n\r\n0\r\n"), "Trailer: x\r\n"),
        endless(ok.to_owned(), "X-Header: x\r\n"),
        endless(format!("{ok}X-Header: "), "value "),
        endless(String::new(), "HTTP/1.1 103 Early Hints\r\n\r\n"),
        full(ok, "{\"value\":\"a.b.c\",\"apiKey\":\"a-key-of-some-length\",\"expires\":[", "0,", ""),
        full(ok, "[", "[", ""),
        full(bad, "{\"error\":[", "{},", ""),
        full(bad, "{\"message\":\"x\"", ",\"a\":0", ""),
        full(bad, "{\"error\":\"", "Workflow mismatch for policy '': expected '', actual ''", "\"}"),
        full(bad, "{\"error\":\"", "The JSON web token must have a jti claim.", "\"}"),
    ];
    let fails = |effect: Effect, route| {
        let sandbox = Sandbox::with(|_| {});
        (1..50).for_each(|nth| sandbox.fault(route, nth, effect.clone()));
        let job = Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "1").through("sh");
        let began = Instant::now();
        job.arguments(["-c", "ulimit -d 16384; exec \"$0\""]).run().failed(1);
        // So many processes at once slow each other down.
        assert!(began.elapsed() < Duration::from_secs(10), "{effect:?}");
    };
    thread::scope(|scope| {
        for effect in effects {
            scope.spawn(move || [Route::IdToken, Route::TokenService].map(|route| fails(effect.clone(), route)));
        }
    });
}

#[test]
fn thirty_logins_at_once_get_a_key_each_before_the_deadline() {
    // The service answers early requests with `Retry-After: 1`.
    let sandbox = Sandbox::with(|config| config.service.seconds_between_keys = 0.05);
    thread::scope(|scope| {
        let jobs = (0..30).map(|_| scope.spawn(|| Job::new(&sandbox).run().api_key().to_owned())).collect::<Vec<_>>();
        let mut keys = jobs.into_iter().map(|job| job.join().unwrap()).collect::<Vec<_>>();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 30);
    });
    let requests = sandbox.requests();
    assert!(requests.iter().filter(|request| request.route == Route::TokenService).count() > 30, "some had to wait");
}

#[test]
fn thirty_logins_at_once_fail_clearly_where_the_deadline_is_too_short() {
    let sandbox = Sandbox::with(|config| config.service.seconds_between_keys = 60.0);
    let began = Instant::now();
    thread::scope(|scope| {
        let job = || Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "20").run();
        let jobs = (0..30).map(|_| scope.spawn(job)).collect::<Vec<_>>();
        let steps = jobs.into_iter().map(|job| job.join().unwrap()).collect::<Vec<_>>();
        assert_eq!(steps.iter().filter(|step| step.code == 0).count(), 1);
        for step in steps.iter().filter(|step| step.code != 0) {
            let error = step.failed(1);
            assert!(error.contains("answered HTTP 429 Too Many Requests"), "{error}");
            assert!(error.starts_with("too many logins for contoso-bot in a short time (HTTP 429)\n"), "{error}");
            assert!(error.contains(&out_of_time(20)), "{error}");
        }
    });
    assert!(began.elapsed() < Duration::from_secs(15), "a wait beyond the deadline is not started");
}

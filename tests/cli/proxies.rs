//! Proxies: which hosts use one, what it sees, and how its failures are reported.

use std::io::Read;
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use sandbox::Sandbox;

use crate::fast_clock::FastClock;
use crate::job::Job;
use crate::scripted::{Scripted, closed_port};
use crate::tls_world::{Authority, proxy, tls_front, tls_proxy};

/// A job whose token service is `https://nuget.example`, with a proxy that has a password.
fn behind<'a>(sandbox: &'a Sandbox, proxy: &str) -> Job<'a> {
    Job::new(sandbox)
        .set("HTTPS_PROXY", format!("http://me:pa55word@{proxy}"))
        .set("INPUT_TOKEN_SERVICE_URL", "https://nuget.example/api/v2/token")
        .secret("pa55word")
        .secret("bWU6cGE1NXdvcmQ=")
}

#[test]
fn other_hosts_use_the_proxy_which_sees_no_token() {
    for (name, scheme) in [("HTTPS_PROXY", "http://"), ("https_proxy", "http://"), ("HTTPS_PROXY", "")] {
        let sandbox = Sandbox::with(|_| {});
        let authority = Authority::new("Contoso Root");
        let (front, trusted) = tls_front(&sandbox, authority.server("nuget.example", |_| {}));
        let (proxy, requests) = proxy(front);
        let job = Job::new(&sandbox);
        let file = authority.file(&job, "root.pem");
        let step = job
            .set(name, format!("{scheme}me:pa55word@{proxy}"))
            .set("NO_PROXY", "other.example, .nuget.example.org")
            .set("INPUT_TOKEN_SERVICE_URL", "https://nuget.example/api/v2/token")
            .set("SSL_CERT_FILE", file)
            .secret("pa55word")
            .run();
        step.api_key();
        let requests = requests.lock().unwrap();
        assert_eq!(requests.len(), 1, "the exchange; the ID token comes from loopback");
        assert!(requests[0].starts_with("CONNECT nuget.example:443 HTTP/1.1\r\n"), "{requests:?}");
        assert!(requests[0].contains("Basic bWU6cGE1NXdvcmQ="), "{requests:?}");
        assert!(!requests[0].contains("Bearer"), "{requests:?}");
        assert_eq!(*trusted.lock().unwrap(), 1);
    }
}

#[test]
fn a_proxy_password_can_be_percent_encoded() {
    let refusing = Scripted::start(vec![b"HTTP/1.1 407 Who?\r\n\r\n".to_vec()]);
    let sandbox = Sandbox::with(|_| {});
    behind(&sandbox, &refusing.host)
        .set("HTTPS_PROXY", format!("http://me:p%40ss%3Aword@{}", refusing.host))
        .run_by(&FastClock::new(&sandbox));
    assert!(refusing.requests()[0].contains("Basic bWU6cEBzczp3b3Jk\r\n"), "me:p@ss:word");
}

#[test]
fn hosts_in_no_proxy_are_connected_to_directly() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    for (name, hosts) in
        [("NO_PROXY", "nuget.invalid"), ("no_proxy", "a.example, .invalid"), ("NO_PROXY", "*"), ("NO_PROXY", "invalid")]
    {
        let sandbox = Sandbox::with(|_| {});
        let step = behind(&sandbox, &proxy.local_addr().unwrap().to_string())
            .set(name, hosts)
            .set("INPUT_TOKEN_SERVICE_URL", "https://nuget.invalid/token")
            .set("INPUT_TIMEOUT_SECONDS", "1")
            .run_by(&FastClock::new(&sandbox));
        assert!(step.failed(1).starts_with("cannot connect to nuget.invalid: "), "{}", step.log);
    }
    assert!(proxy.accept().is_err(), "the proxy got a connection");
}

#[test]
fn loopback_never_goes_through_a_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    // Windows connects no socket for IPv6 to an address of IPv4.
    let mapped = (!cfg!(windows)).then_some("[::ffff:127.0.0.1]");
    for host in ["127.0.0.1", "localhost", "localhost."].into_iter().chain(mapped) {
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
    let closed = closed_port();
    let sandbox = Sandbox::with(|_| {});
    let token_service = format!("https://localhost:{}/", closed.port());
    let job = Job::new(&sandbox).set("HTTPS_PROXY", &url).set("INPUT_TOKEN_SERVICE_URL", token_service);
    job.run_by(&FastClock::new(&sandbox)).failed(1);
    assert!(proxy.accept().is_err(), "the proxy got a connection");
}

#[test]
fn an_unusable_proxy_variable_is_refused_before_anything_is_sent() {
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"] {
        for proxy in [
            "http://me:pa55word@[x",
            "tcp://me:pa55word@proxy",
            "socks5://me:pa55word@proxy",
            "http://pro{xy}",
            "http://pr%6Fxy:8080",
            "http://",
            "http://proxy:99999",
            "http://me:12#pa55word@proxy:8080",
            "http://me:12/pa55word@proxy:8080",
            "http://me:12?pa55word@proxy:8080",
            "http:\\\\me:pa55word@proxy:8080",
        ] {
            let sandbox = Sandbox::with(|_| {});
            let step = Job::new(&sandbox).set(name, proxy).secret("pa55word").run();
            // On Windows both cases are one variable.
            let name = if cfg!(windows) { name.to_uppercase() } else { name.to_owned() };
            let expected = format!("the environment variable {name} is not the URL of an HTTP proxy\nfix: ");
            assert!(step.failed(1).starts_with(&expected), "{}", step.log);
            assert!(sandbox.requests().is_empty());
        }
    }
}

#[test]
fn a_permanent_status_of_a_proxy_is_final() {
    // One more request reads a status that the client does not report, but not after a wrong password.
    for (status, asked) in [("403 Forbidden", 2), ("407 Proxy Authentication Required", 1)] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes();
        let refusing = Scripted::start(vec![answer; asked]);
        let sandbox = Sandbox::with(|_| {});
        let step = behind(&sandbox, &refusing.host).run();
        let expected = format!(
            "cannot connect to nuget.example through the proxy {} (set in HTTPS_PROXY): it answered HTTP {status}\nfix: ",
            refusing.host
        );
        assert!(step.failed(1).starts_with(&expected), "{}", step.log);
        assert_eq!(sandbox.id_tokens().len(), 1);
        for request in refusing.requests() {
            assert!(request.starts_with("CONNECT nuget.example:443 HTTP/1.1\r\n"), "{request}");
            assert!(request.contains("Basic bWU6cGE1NXdvcmQ="), "{request}");
            assert!(!request.to_ascii_lowercase().contains("bearer"), "{request}");
        }
    }
}

#[test]
fn a_temporary_status_of_a_proxy_is_retried() {
    for (answer, waited) in [
        ("HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", 9),
        ("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 9\r\nContent-Length: 0\r\n\r\n", 9),
        ("HTTP/1.1 408 Request Timeout\r\n\r\n", 0),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", 0),
        ("", 0),
        ("SSH-2.0-OpenSSH_9.6\r\n", 0),
    ] {
        let busy = Scripted::start(vec![answer.into(); 4]);
        let sandbox = Sandbox::with(|_| {});
        let clock = FastClock::new(&sandbox);
        let step = behind(&sandbox, &busy.host).set("INPUT_TIMEOUT_SECONDS", "21").run_by(&clock);
        let error = step.failed(1);
        let fact = format!("cannot connect to nuget.example through the proxy {} (set in HTTPS_PROXY): ", busy.host);
        assert!(error.starts_with(&fact) && !error.contains("HTTP 407"), "{error}");
        let first = step.text()[0];
        assert!(first.starts_with(&format!("Attempt 1 failed: {fact}")), "{first}");
        assert_eq!(first.contains(": it answered HTTP "), answer.starts_with("HTTP"), "{first}");
        assert!(sandbox.id_tokens().len() >= 2, "{error}");
        assert!(clock.waits()[0] >= Duration::from_secs(waited), "{error}");
    }
}

#[test]
fn a_silent_proxy_is_named_until_the_deadline() {
    // The kernel connects, and nothing responds, also on the last attempt.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let sandbox = Sandbox::with(|_| {});
    let step = behind(&sandbox, &silent.local_addr().unwrap().to_string()).set("INPUT_TIMEOUT_SECONDS", "3").run();
    let error = step.failed(1);
    assert!(error.starts_with("cannot connect to nuget.example through the proxy 127.0.0.1:"), "{error}");
    assert!(error.lines().next().unwrap().contains(" (set in HTTPS_PROXY): no connection within "), "{error}");
    silent.set_nonblocking(true).unwrap();
    let connections = iter::from_fn(|| silent.accept().ok()).count();
    assert_eq!(connections, sandbox.id_tokens().len(), "one for each attempt");
}

#[test]
fn a_proxy_that_closes_the_connection_gets_no_request_for_its_status() {
    // Unread bytes become a reset; otherwise the connection just ends.
    for read in [0, 4096] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap().to_string();
        let came = thread::spawn(move || {
            // The last connection is the test's own.
            let asked = |mut stream: &TcpStream| {
                let asked = stream.peek(&mut [0]).unwrap_or(1) > 0;
                let _ = stream.read(&mut vec![0; read]);
                asked
            };
            listener.incoming().map(Result::unwrap).take_while(asked).count()
        });
        let sandbox = Sandbox::with(|_| {});
        let step = behind(&sandbox, &proxy).run_by(&FastClock::new(&sandbox));
        let fact = format!("cannot connect to nuget.example through the proxy {proxy} (set in HTTPS_PROXY): ");
        assert!(step.failed(1).starts_with(&fact), "{}", step.log);
        drop(TcpStream::connect(&proxy).unwrap());
        // The first attempt can connect once more for its request.
        let (came, attempts) = (came.join().unwrap(), sandbox.id_tokens().len());
        assert!(came == attempts || came == attempts + 1, "{came} connections for {attempts} attempts");
    }
}

#[test]
fn a_proxy_can_require_tls() {
    for known in [true, false] {
        let sandbox = Sandbox::with(|_| {});
        let (ours, theirs) = (Authority::new("Contoso Root"), Authority::new("Contoso Proxies"));
        let (front, _) = tls_front(&sandbox, ours.server("nuget.example", |_| {}));
        let (proxy, requests) = tls_proxy(front, theirs.server("localhost", |_| {}));
        let job = behind(&sandbox, "").set("HTTPS_PROXY", format!("https://me:pa55word@localhost:{}", proxy.port()));
        let (file, extra) = (ours.file(&job, "root.pem"), theirs.file(&job, "proxies.pem"));
        let job = job.set("SSL_CERT_FILE", file);
        if known {
            job.set("NODE_EXTRA_CA_CERTS", extra).run().api_key();
            assert_eq!(requests.lock().unwrap().len(), 1);
        } else {
            let expected = format!(
                "cannot connect to nuget.example through the proxy localhost:{} (set in HTTPS_PROXY): the certificate of \
                 localhost was issued by 'O=Contoso, CN=Contoso Proxies', which this machine does not trust\nfix: ",
                proxy.port()
            );
            let error = job.run().failed(1);
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}

#[test]
fn a_variable_in_lower_case_wins_over_upper_case() {
    let sandbox = Sandbox::with(|_| {});
    let closed = closed_port();
    let job =
        behind(&sandbox, "upper.invalid:1").set("https_proxy", closed.to_string()).set("INPUT_TIMEOUT_SECONDS", "1");
    let step = job.set("NO_PROXY", "*").set("no_proxy", "other.example").run();
    let variable = if cfg!(windows) { "HTTPS_PROXY" } else { "https_proxy" };
    let expected = format!("cannot connect to nuget.example through the proxy {closed} (set in {variable}): ");
    assert!(step.failed(1).starts_with(&expected), "{}", step.log);
}

#[test]
fn an_unreachable_proxy_is_named() {
    let closed = closed_port();
    let sandbox = Sandbox::with(|_| {});
    let step = behind(&sandbox, &closed.to_string()).run_by(&FastClock::new(&sandbox));
    let error = step.failed(1);
    let expected = format!("cannot connect to nuget.example through the proxy {closed} (set in HTTPS_PROXY): ");
    assert!(error.starts_with(&expected), "{error}");
    assert!(sandbox.id_tokens().len() > 5);
}

#[test]
#[cfg(not(windows))]
fn a_proxy_is_named_with_the_variable_that_is_set() {
    for (set, other) in [("HTTPS_PROXY", "https_proxy"), ("https_proxy", "HTTPS_PROXY")] {
        let refusing = |status: &str, asked| {
            Scripted::start(vec![format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes(); asked])
        };
        let closed = closed_port().to_string();
        let (wants_password, broken) = (refusing("407 Who?", 1), refusing("501 Not Implemented", 2));
        for proxy in [&closed, &wants_password.host, &broken.host] {
            let sandbox = Sandbox::with(|_| {});
            let job = behind(&sandbox, "").unset("HTTPS_PROXY").set(set, format!("http://me:pa55word@{proxy}"));
            let step = job.run_by(&FastClock::new(&sandbox));
            let error = step.failed(1);
            let expected = format!("cannot connect to nuget.example through the proxy {proxy} (set in {set}): ");
            assert!(error.starts_with(&expected), "{error}");
            let fixes = [format!("\nfix: check the address in {set}, "), format!("\nfix: set {set} to ")];
            assert!(fixes.iter().any(|fix| error.contains(fix)), "{error}");
            assert!(!step.log.contains(other), "{}", step.log);
        }
    }
}

#[test]
fn a_proxy_that_inspects_tls_is_named_by_its_issuer() {
    let sandbox = Sandbox::with(|_| {});
    let (front, trusted) = tls_front(&sandbox, Authority::new("Contoso Inspection").server("nuget.example", |_| {}));
    let (proxy, _) = proxy(front);
    let step = behind(&sandbox, &proxy.to_string()).run();
    let error = step.failed(1);
    assert!(
        error.starts_with(
            "cannot connect to nuget.example: the certificate of nuget.example was issued by 'O=Contoso, "
        ),
        "the proxy made the tunnel, and the certificate is from inside it: {error}"
    );
    assert_eq!((sandbox.id_tokens().len(), *trusted.lock().unwrap()), (1, 0));
}

//! Connections that fail. On Linux, since some messages come from the system.

use std::net::SocketAddr;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use sandbox::Sandbox;
use sandbox::faults::{Effect, Route};

use crate::fast_clock::FastClock;
use crate::job::Job;
use crate::scripted::{Scripted, closed_port};
use crate::tls_world::{Authority, expired, front_without_tls, proxy, tls_front, tls_proxy};

use super::shown;

#[test]
fn connections() {
    let sandbox = Sandbox::with(|_| {});
    let to = |port: SocketAddr| {
        let url = format!("https://localhost:{}/token", port.port());
        Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url)
    };
    let show = |name: &str, job: Job<'_>| shown(name, &sandbox, &job.run_by(&FastClock::new(&sandbox)));
    show("connection_refused", to(closed_port()));

    let (clear, came) = front_without_tls(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    show("no_tls", to(clear));
    assert_eq!(*came.lock().unwrap(), 2, "retried once");

    // The alert internal_error (RFC 8446, section 6.2), through an established tunnel.
    let (troubled, _) = front_without_tls(&[21, 3, 3, 0, 2, 2, 80]);
    show("tls_breaks_off", to(troubled).set("HTTPS_PROXY", format!("http://{}", proxy(troubled).0)));

    let authority = Authority::new("Contoso Root");
    let front = |tls| to(tls_front(&sandbox, tls).0);
    show("certificate_of_an_unknown_issuer", front(authority.server("localhost", |_| {})));
    let job = front(authority.server("localhost", expired));
    let file = authority.file(&job, "root.pem");
    show("certificate_expired", job.set("SSL_CERT_FILE", file));
    let for_clients =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    show("certificate_for_clients", front(authority.server("localhost", for_clients)));

    let behind = |proxy: &str| {
        let job = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", "https://nuget.example/token");
        job.set("HTTPS_PROXY", format!("http://{proxy}"))
    };
    show("proxy_refused", behind(&closed_port().to_string()));
    let by = |tls| {
        let proxy = tls_proxy(closed_port(), tls).0;
        behind("").set("HTTPS_PROXY", format!("https://localhost:{}", proxy.port()))
    };
    show("proxy_of_an_unknown_issuer", by(authority.server("localhost", |_| {})));
    let job = by(authority.server("localhost", expired));
    let file = authority.file(&job, "root.pem");
    show("proxy_expired", job.set("SSL_CERT_FILE", file));
    show("proxy_for_clients", by(authority.server("localhost", for_clients)));
    for (name, status, asked) in [
        ("proxy_forbids", "403 Forbidden", 2),
        ("proxy_wants_a_password", "407 Proxy Authentication Required", 1),
        ("proxy_busy", "429 Too Many Requests\r\nRetry-After: 600", 2),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes();
        let refusing = Scripted::start(vec![answer; asked]);
        show(name, behind(&refusing.host));
        refusing.requests();
    }

    (1..=3).for_each(|nth| sandbox.fault(Route::TokenService, nth, Effect::Lost));
    show("answers_lost", Job::new(&sandbox));
}

#[test]
fn a_temporary_tls_alert_is_retried_until_the_deadline_and_others_once() {
    let sandbox = Sandbox::with(|_| {});
    // By an alert, or by an unexpected message (RFC 8446, sections 5.1 and 6).
    let fronts: [(&[u8], &str, &str); 8] = [
        (&[21, 3, 3, 0, 2, 2, 80], "InternalError", "until the deadline"),
        (&[21, 3, 3, 0, 2, 2, 90], "UserCanceled", "until the deadline"),
        (&[21, 3, 3, 0, 2, 2, 0], "CloseNotify", "until the deadline"),
        (&[21, 3, 3, 0, 2, 2, 40], "HandshakeFailure", "once more"),
        (&[21, 3, 3, 0, 2, 2, 70], "ProtocolVersion", "once more"),
        (&[21, 3, 3, 0, 2, 2, 112], "UnrecognisedName", "once more"),
        (&[22, 3, 3, 0, 4, 0, 0, 0, 0], "HelloRequest", "once more"),
        (&[23, 3, 3, 0, 2, 0, 0], "ApplicationData", "once more"),
    ];
    for (answer, name, again) in fronts {
        let (front, came) = front_without_tls(answer);
        let url = format!("https://localhost:{}/token", front.port());
        let step = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url).run_by(&FastClock::new(&sandbox));
        let error = step.failed(1);
        let fact = format!("cannot connect to localhost:{}: the TLS handshake failed: ", front.port());
        assert!(error.starts_with(&fact) && error.lines().next().unwrap().contains(name), "{error}");
        let came = *came.lock().unwrap();
        assert!(if again == "once more" { came == 2 } else { came > 2 }, "{came}: {}", step.log);
    }
}

//! Whose certificates are trusted.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::CertificateParams;
use rustls::ServerConfig;
use sandbox::Sandbox;

use crate::job::{Job, Step};
use crate::tls_world::{Authority, expired, not_yet_valid, tls_front};

/// A sandbox whose token service is `https://localhost:port`, with a certificate of this authority.
struct Front {
    sandbox: Sandbox,
    address: SocketAddr,
    trusted: Arc<Mutex<u64>>,
}

impl Front {
    fn new(authority: &Authority) -> Front {
        Front::with(authority, "localhost", |_| {})
    }

    fn with(authority: &Authority, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Front {
        Front::served(authority.server(name, change))
    }

    fn served(tls: ServerConfig) -> Front {
        let sandbox = Sandbox::with(|_| {});
        let (address, trusted) = tls_front(&sandbox, tls);
        Front { sandbox, address, trusted }
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.address.port())
    }

    fn job(&self) -> Job<'_> {
        Job::new(&self.sandbox).set("INPUT_TOKEN_SERVICE_URL", format!("https://{}/api/v2/token", self.host()))
    }

    /// The error of a step that did not trust the server, tried once and told it nothing.
    #[track_caller]
    fn refused(&self, step: &Step) -> String {
        assert_eq!(self.sandbox.id_tokens().len(), 1, "one attempt: {}", step.log);
        assert_eq!(*self.trusted.lock().unwrap(), 0);
        step.failed(1).replace(&self.host(), "HOST")
    }
}

#[test]
fn an_unknown_issuer_is_named_with_what_to_do() {
    let front = Front::new(&Authority::new("Contoso Proxy Root"));
    let error = front.refused(&front.job().run());
    assert!(
        error.contains(
            "no API key from the token service: cannot connect to HOST: the certificate of localhost is issued by \
             'O=Contoso, CN=Contoso Proxy Root', which is not trusted here (NODE_EXTRA_CA_CERTS adds"
        ),
        "{error}"
    );
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        assert!(error.contains(variable), "{error}");
    }
}

#[test]
fn the_issuer_that_is_nearest_to_the_root_is_named() {
    let root = Authority::new("Contoso Root");
    let front = Front::served(root.below("Contoso Web").server("localhost", |_| {}));
    assert!(front.refused(&front.job().run()).contains("CN=Contoso Root', which is not trusted here"));
    let job = front.job();
    let file = root.file(&job, "root.pem");
    job.set("NODE_EXTRA_CA_CERTS", file).run().api_key();
}

#[test]
fn a_server_that_is_its_own_authority_is_refused_with_the_same_words() {
    let authority = Authority::new("localhost");
    let front = Front::served(authority.as_server());
    assert!(front.refused(&front.job().run()).contains("CN=localhost', which is not trusted here"));
}

#[test]
fn a_server_without_the_key_of_its_certificate_is_refused() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let authority = Authority::new("Contoso Root");
        let front = Front::served(authority.impostor("localhost", version));
        let job = front.job();
        let file = authority.file(&job, "root.pem");
        let error = front.refused(&job.set("NODE_EXTRA_CA_CERTS", file).run());
        assert!(error.contains("the certificate of localhost is refused: "), "{error}");
    }
}

#[test]
fn an_issuer_is_named_however_long_its_name_is() {
    for length in [100, 200, 800] {
        let name = "x".repeat(length);
        let front = Front::new(&Authority::new(&name));
        let error = front.refused(&front.job().run());
        assert!(error.contains(&format!("is issued by 'O=Contoso, CN={name}', which")), "{error}");
    }
}

#[test]
fn an_issuers_name_can_not_act() {
    let front = Front::new(&Authority::new("x\n::error::forged ##[error]\u{202e}"));
    let error = front.refused(&front.job().run());
    assert!(error.contains("CN=x ::error::forged ## [error]\u{fffd}'"), "{error}");
}

#[test]
fn each_variable_makes_an_authority_trusted() {
    let authority = Authority::new("Contoso Root");
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE"] {
        let front = Front::new(&authority);
        let job = front.job();
        let file = authority.file(&job, "root.pem");
        job.set(variable, file).run().api_key();
    }
    let front = Front::new(&authority);
    let job = front.job();
    let folder = job.directory().join("certificates");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("README"), "Certificates of Contoso").unwrap();
    fs::write(folder.join("8d6437c3.0"), authority.pem()).unwrap();
    let empty = job.directory().join("empty");
    fs::create_dir(&empty).unwrap();
    job.set("SSL_CERT_DIR", std::env::join_paths([empty, folder]).unwrap()).run().api_key();
}

#[test]
fn a_file_may_hold_much_besides_certificates() {
    let authority = Authority::new("Contoso Root");
    let front = Front::new(&authority);
    let job = front.job();
    let file = authority.file(&job, "root.pem");
    let text = "# Certificates of Contoso\n".repeat(100_000) + &fs::read_to_string(&file).unwrap();
    fs::write(&file, text).unwrap();
    job.set("NODE_EXTRA_CA_CERTS", file).run().api_key();
}

#[test]
fn node_extra_ca_certs_adds_to_what_ssl_cert_file_put_in_place() {
    let (ours, other) = (Authority::new("Contoso Root"), Authority::new("Fabrikam Root"));
    let front = Front::new(&ours);
    let job = front.job();
    let (extra, file) = (ours.file(&job, "extra.pem"), other.file(&job, "file.pem"));
    job.set("SSL_CERT_FILE", file).set("NODE_EXTRA_CA_CERTS", extra).run().api_key();

    let front = Front::new(&ours);
    let job = front.job();
    let file = other.file(&job, "file.pem");
    front.refused(&job.set("SSL_CERT_FILE", file).run());
}

#[test]
fn an_expired_certificate_and_one_of_another_host_stay_refused() {
    let authority = Authority::new("Contoso Root");
    let fronts = [
        (Front::with(&authority, "localhost", expired), "it expired on 2021-01-01"),
        (Front::with(&authority, "localhost", not_yet_valid), "it is not valid before 2090-01-01"),
        (Front::with(&authority, "other.example", |_| {}), "certificate not valid for name"),
    ];
    for (front, problem) in fronts {
        let job = front.job();
        let file = authority.file(&job, "root.pem");
        let error = front.refused(&job.set("NODE_EXTRA_CA_CERTS", file).run());
        let expected = format!("cannot connect to HOST: the certificate of localhost is refused: {problem}");
        assert!(error.contains(&expected), "{error}");
        assert!(!error.contains("NODE_EXTRA_CA_CERTS"), "{error}");
    }
}

#[test]
fn a_named_file_that_can_not_be_used_is_an_error_before_anything_is_sent() {
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox);
        let missing = job.directory().join("missing");
        let step = job.set(variable, &missing).run();
        let error = step.failed(1);
        let expected =
            format!("the environment variable {variable} names {}, which can't be used: ", missing.display());
        assert!(error.starts_with(&expected), "{error}");
        assert!(sandbox.requests().is_empty());
    }
    let broken = Authority::new("x").pem().replacen('M', "*", 1);
    let other = "-----BEGIN CERTIFICATE-----\naGVsbG8gd29ybGQ=\n-----END CERTIFICATE-----\n";
    for (content, problem) in [
        ("nothing", "it holds no certificate in PEM"),
        ("", "no certificate"),
        (&broken, ""),
        (other, "that can be used"),
    ] {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox);
        let file = job.directory().join("roots.pem");
        fs::write(&file, content).unwrap();
        let step = job.set("SSL_CERT_FILE", file).run();
        assert!(step.failed(1).contains("roots.pem, which can't be used: "), "{}", step.log);
        assert!(step.failed(1).contains(problem), "{}", step.log);
        assert!(sandbox.requests().is_empty());
    }
    #[cfg(unix)]
    {
        let sandbox = Sandbox::with(|_| {});
        let step = Job::new(&sandbox).set("SSL_CERT_FILE", "/dev/zero").run();
        assert!(step.failed(1).contains("it is no file of at most "), "{}", step.log);
    }
    // Empty means absent.
    let sandbox = Sandbox::with(|_| {});
    Job::new(&sandbox).set("SSL_CERT_FILE", "").set("NODE_EXTRA_CA_CERTS", "").run().api_key();
}

/// The system's store is at a fixed place: a mount namespace puts another there, for this one process.
#[test]
#[cfg(target_os = "linux")]
fn an_authority_of_the_systems_store_needs_no_configuration() {
    if !crate::job::has_namespaces() {
        return;
    }
    let (ours, other) = (Authority::new("Contoso Root"), Authority::new("Fabrikam Root"));
    let in_store = |job: Job<'_>, authority: &Authority| {
        let file = authority.file(&job, "store.pem");
        let store = "for dir in /etc/ssl /etc/pki; do if [ -d $dir ]; then mount -t tmpfs none $dir; fi; done; \
                     mkdir -p /etc/ssl/certs; cp \"$STORE\" /etc/ssl/certs/ca-certificates.crt; unset STORE; exec \"$0\"";
        job.set("STORE", file).set("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").in_namespace(store).run()
    };
    let front = Front::new(&ours);
    in_store(front.job(), &ours).api_key();
    let front = Front::new(&ours);
    assert!(front.refused(&in_store(front.job(), &other)).contains("CN=Contoso Root', which is not trusted here"));
    // It is one more place to look for an issuer, not a way around a refusal.
    let front = Front::with(&ours, "localhost", expired);
    assert!(front.refused(&in_store(front.job(), &ours)).contains("it expired on 2021-01-01"));
    let front = Front::with(&ours, "other.example", |_| {});
    assert!(front.refused(&in_store(front.job(), &ours)).contains("certificate not valid for name"));
    // Empty means absent.
    let front = Front::new(&ours);
    in_store(front.job().set("SSL_CERT_FILE", "").set("SSL_CERT_DIR", " "), &ours).api_key();
    // And SSL_CERT_FILE replaces it.
    let front = Front::new(&ours);
    let job = front.job();
    let file = other.file(&job, "other.pem");
    front.refused(&in_store(job.set("SSL_CERT_FILE", file), &ours));
    // Without any store.
    let front = Front::new(&ours);
    let none = "for dir in /etc/ssl /etc/pki; do if [ -d $dir ]; then mount -t tmpfs none $dir; fi; done; exec \"$0\"";
    let job = front.job().set("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").in_namespace(none);
    assert!(front.refused(&job.run()).contains("which is not trusted here"));
}

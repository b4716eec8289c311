//! Certificate trust.

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair,
    NameConstraints,
};
use rustls::ServerConfig;
use sandbox::Sandbox;

use crate::job::{Job, Step};
use crate::tls_world::{Authority, expired, not_yet_valid, self_signed, tls_front};

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

    /// The report of a step that did not trust the server, made one attempt and sent nothing to it.
    #[track_caller]
    fn refused(&self, step: &Step) -> String {
        assert_eq!(self.sandbox.id_tokens().len(), 1, "one attempt: {}", step.log);
        assert_eq!(*self.trusted.lock().unwrap(), 0);
        step.failed(1).replace(&self.host(), "HOST")
    }
}

/// The beginning of a report about a certificate that no trusted issuer makes acceptable.
fn unfit(problem: &str) -> String {
    format!("cannot connect to HOST: the certificate of localhost cannot be accepted: {problem}")
}

/// The fact about an unknown issuer with this name.
fn unknown(issuer: &str) -> String {
    format!(
        "cannot connect to HOST: the certificate of localhost was issued by {issuer}, which this machine does not trust\n"
    )
}

#[test]
fn an_unknown_issuer_is_named_with_the_fix() {
    let front = Front::new(&Authority::new("Contoso Proxy Root"));
    let error = front.refused(&front.job().run());
    assert!(
        error.starts_with(
            "cannot connect to HOST: the certificate of localhost was issued by 'O=Contoso, CN=Contoso Proxy Root', which \
             this machine does not trust\nfix: if the issuer is your company's certificate authority, set \
             NODE_EXTRA_CA_CERTS to a PEM file with its certificate\n"
        ),
        "{error}"
    );
}

#[test]
fn the_issuer_nearest_to_the_root_is_named() {
    let root = Authority::new("Contoso Root");
    let front = Front::served(root.below("Contoso Web", |_| {}).server("localhost", |_| {}));
    let error = front.refused(&front.job().run());
    assert!(error.starts_with(&unknown("'O=Contoso, CN=Contoso Root'")), "{error}");
    let job = front.job();
    let file = root.file(&job, "root.pem");
    job.set("NODE_EXTRA_CA_CERTS", file).run().api_key();
}

#[test]
fn a_certificate_unfit_for_a_server_is_refused_with_the_reason_even_if_its_issuer_is_trusted() {
    let root = Authority::new("Contoso Root");
    let for_clients =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let critical = |params: &mut CertificateParams| {
        let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
        extension.set_criticality(true);
        params.custom_extensions = vec![extension];
    };
    for (tls, problem) in [
        (
            root.server("localhost", for_clients),
            "server authentication (serverAuth) is missing from the extended key usage, in it or in its chain",
        ),
        (
            root.below("Contoso Clients", for_clients).server("localhost", |_| {}),
            "server authentication (serverAuth) is missing from the extended key usage, in it or in its chain",
        ),
        (root.as_server(), "it is a certificate authority's own (CA:TRUE), which is not allowed for a server"),
        (
            root.below("localhost", |_| {}).as_server(),
            "it is a certificate authority's own (CA:TRUE), which is not allowed for a server",
        ),
        (
            root.below("Contoso Web", |params| params.is_ca = IsCa::NoCa).server("localhost", |_| {}),
            "it is issued with a certificate that is not a certificate authority's (CA:TRUE is missing)",
        ),
        (
            root.below("Contoso Web", |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)))
                .below("Contoso Web 2", |_| {})
                .server("localhost", |_| {}),
            "its chain has more certificate authorities than one of them allows (pathlen)",
        ),
        (
            root.server("localhost", critical),
            "it or its chain is malformed or has an unsupported feature (UnsupportedCriticalExtension)",
        ),
    ] {
        for trusted in [false, true] {
            let front = Front::served(tls.clone());
            let job = front.job();
            let file = root.file(&job, "root.pem");
            let job = if trusted { job.set("NODE_EXTRA_CA_CERTS", file) } else { job };
            let error = front.refused(&job.run());
            assert!(error.starts_with(&unfit(problem)), "{error}");
            assert!(!error.contains("NODE_EXTRA_CA_CERTS") && !error.contains("trusted"), "{error}");
        }
    }
}

#[test]
fn a_certificate_that_violates_its_trusted_chain_is_refused_with_the_reason() {
    let root = Authority::new("Contoso Root");
    let constrained = root.below("Contoso Web", |params| {
        let permitted_subtrees = vec![GeneralSubtree::DnsName("contoso.example".to_owned())];
        params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees: vec![] });
    });
    for (tls, problem) in [
        (
            Some(constrained.server("localhost", |_| {})),
            "a certificate authority in its chain is not allowed to issue for this name (name constraints)",
        ),
        (
            // The intermediate certificate was renewed with another key, and the server sends the wrong one.
            Some(
                root.below("Contoso Web", |_| {})
                    .sending(&root.below("Contoso Web", |_| {}))
                    .server("localhost", |_| {}),
            ),
            "a signature in its chain does not match the key of its issuer",
        ),
        (root.sha1_server("localhost"), "it or its chain is signed with SHA-1, which is not secure"),
    ] {
        let Some(tls) = tls else { continue };
        let front = Front::served(tls.clone());
        let error = front.refused(&front.job().run());
        assert!(error.starts_with(&unknown("'O=Contoso, CN=Contoso Root'")), "{error}");
        let front = Front::served(tls);
        let job = front.job();
        let file = root.file(&job, "root.pem");
        let error = front.refused(&job.set("NODE_EXTRA_CA_CERTS", file).run());
        assert!(error.starts_with(&unfit(problem)), "{error}");
        assert!(!error.contains("NODE_EXTRA_CA_CERTS") && !error.contains("trusted"), "{error}");
    }
}

#[test]
fn a_trusted_self_signed_server_certificate_is_accepted() {
    let (tls, pem) = self_signed("localhost");
    let front = Front::served(tls.clone());
    let error = front.refused(&front.job().run());
    assert!(error.contains(", which this machine does not trust\n"), "{error}");
    let front = Front::served(tls);
    let job = front.job();
    let file = job.directory().join("server.pem");
    fs::write(&file, pem).unwrap();
    job.set("NODE_EXTRA_CA_CERTS", file).run().api_key();
}

#[test]
fn an_issuer_with_a_trusted_name_and_another_key_is_not_trusted() {
    for key in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let front = Front::new(&Authority::new("Contoso Root"));
        let job = front.job();
        let trusted = Authority::with_key("Contoso Root", KeyPair::generate_for(key).unwrap());
        let file = trusted.file(&job, "root.pem");
        let error = front.refused(&job.set("NODE_EXTRA_CA_CERTS", file).run());
        let issuer = "'O=Contoso, CN=Contoso Root', whose key differs from the trusted certificate with that name, or is RSA \
                      of less than 2048 bits";
        assert!(error.starts_with(&unknown(issuer)), "{error}");
    }
}

#[test]
fn a_server_without_the_key_of_its_certificate_is_refused() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let authority = Authority::new("Contoso Root");
        let front = Front::served(authority.impostor("localhost", version));
        let job = front.job();
        let file = authority.file(&job, "root.pem");
        let error = front.refused(&job.set("NODE_EXTRA_CA_CERTS", file).run());
        assert!(error.starts_with(&unfit("the server does not have its key")), "{error}");
    }
}

#[test]
fn an_issuer_with_a_long_name_is_named() {
    for length in [100, 200, 800] {
        let name = "x".repeat(length);
        let front = Front::new(&Authority::new(&name));
        let error = front.refused(&front.job().run());
        assert!(error.starts_with(&unknown(&format!("'O=Contoso, CN={name}'"))), "{error}");
    }
}

#[test]
fn an_issuers_name_cannot_act() {
    let front = Front::new(&Authority::new("x\n::error::forged ##[error]\u{202e}"));
    let error = front.refused(&front.job().run());
    assert!(error.starts_with(&unknown("'O=Contoso, CN=x ::error::forged ## [error]\u{fffd}'")), "{error}");
}

#[test]
fn an_issuer_with_a_token_as_its_name_is_redacted_before_its_characters_are_replaced() {
    for between in ["\u{200b}", "\u{ad}", "\n", ""] {
        let sandbox = Sandbox::with(|_| {});
        let parts = sandbox.request_token().as_bytes().chunks(8).map(|part| str::from_utf8(part).unwrap());
        let authority = Authority::new(&parts.collect::<Vec<_>>().join(between));
        let (address, _) = tls_front(&sandbox, authority.server("localhost", |_| {}));
        let url = format!("https://localhost:{}/api/v2/token", address.port());
        let step = Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url).run();
        assert!(step.failed(1).contains("CN=***', which this machine does not trust\n"), "{}", step.log);
    }
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
fn a_file_can_contain_more_than_certificates() {
    let authority = Authority::new("Contoso Root");
    let front = Front::new(&authority);
    let job = front.job();
    let file = authority.file(&job, "root.pem");
    let text = "# Certificates of Contoso\n".repeat(100_000) + &fs::read_to_string(&file).unwrap();
    fs::write(&file, text).unwrap();
    job.set("NODE_EXTRA_CA_CERTS", file).run().api_key();
}

#[test]
fn node_extra_ca_certs_adds_to_ssl_cert_file() {
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
fn an_expired_certificate_and_one_for_another_host_are_refused() {
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
        let expected = format!("cannot connect to HOST: the certificate of localhost is not valid: {problem}");
        assert!(error.starts_with(&expected), "{error}");
        assert!(!error.contains("NODE_EXTRA_CA_CERTS"), "{error}");
    }
}

#[test]
fn an_unusable_certificate_file_is_an_error_before_anything_is_sent() {
    for variable in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox);
        let missing = job.directory().join("missing");
        let step = job.set(variable, &missing).run();
        let error = step.failed(1);
        let expected = format!("the certificates in {} (set in {variable}) cannot be used: ", missing.display());
        assert!(error.starts_with(&expected), "{error}");
        assert!(sandbox.requests().is_empty());
    }
    let broken = Authority::new("x").pem().replacen('M', "*", 1);
    let other = "-----BEGIN CERTIFICATE-----\naGVsbG8gd29ybGQ=\n-----END CERTIFICATE-----\n";
    for (content, problem) in [
        ("nothing", "it does not contain a usable PEM certificate"),
        ("", "it does not contain a usable PEM certificate"),
        (&broken, ""),
        (other, "it does not contain a usable PEM certificate"),
    ] {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox);
        let file = job.directory().join("roots.pem");
        fs::write(&file, content).unwrap();
        let step = job.set("SSL_CERT_FILE", file).run();
        let fact = format!("roots.pem (set in SSL_CERT_FILE) cannot be used: {problem}");
        assert!(step.failed(1).lines().next().unwrap().contains(&fact), "{}", step.log);
        assert!(sandbox.requests().is_empty());
    }
    // A folder without certificates leaves no trusted root.
    let sandbox = Sandbox::with(|_| {});
    let job = Job::new(&sandbox);
    let folder = job.directory().join("certificates");
    fs::create_dir(&folder).unwrap();
    let step = job.set("SSL_CERT_DIR", folder).run();
    let fact = "certificates (set in SSL_CERT_DIR) cannot be used: it does not contain a usable PEM certificate\n";
    assert!(step.failed(1).contains(fact), "{}", step.log);
    assert!(sandbox.requests().is_empty());
    #[cfg(unix)]
    {
        let sandbox = Sandbox::with(|_| {});
        let step = Job::new(&sandbox).set("SSL_CERT_FILE", "/dev/zero").run();
        assert!(step.failed(1).contains("it is not a file of at most "), "{}", step.log);
    }
    // Empty means absent.
    let sandbox = Sandbox::with(|_| {});
    Job::new(&sandbox).set("SSL_CERT_FILE", "").set("NODE_EXTRA_CA_CERTS", "").run().api_key();
}

/// The system's store has a fixed path: a mount namespace replaces it for this one process.
#[test]
#[cfg(target_os = "linux")]
fn an_authority_in_the_system_store_is_trusted() {
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
    let error = front.refused(&in_store(front.job(), &other));
    assert!(error.starts_with(&unknown("'O=Contoso, CN=Contoso Root'")), "{error}");
    // The store adds issuers; it does not make an invalid certificate valid.
    let front = Front::with(&ours, "localhost", expired);
    assert!(front.refused(&in_store(front.job(), &ours)).contains("it expired on 2021-01-01"));
    let front = Front::with(&ours, "other.example", |_| {});
    assert!(front.refused(&in_store(front.job(), &ours)).contains("certificate not valid for name"));
    // An authority of the same name with another key does not hide it.
    let (front, renewed) = (Front::new(&ours), Authority::new("Contoso Root"));
    let job = front.job();
    let file = renewed.file(&job, "renewed.pem");
    in_store(job.set("NODE_EXTRA_CA_CERTS", file), &ours).api_key();
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
    let error = front.refused(&job.run());
    assert!(error.starts_with(&unknown("'O=Contoso, CN=Contoso Root'")), "{error}");
}

//! The sandbox as hosts of the wide world: behind TLS with names of its own, and behind a proxy that knows the way.

use std::future::Future;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion};
use sandbox::Sandbox;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::job::Job;

/// A certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// What it sends along: its own certificate, if it has an authority above it.
    above: Vec<CertificateDer<'static>>,
}

impl Authority {
    /// One with this common name, of the organization "Contoso".
    pub(crate) fn new(name: &str) -> Authority {
        Authority::with_key(name, KeyPair::generate().unwrap())
    }

    /// The same with this key.
    pub(crate) fn with_key(name: &str, key: KeyPair) -> Authority {
        let issuer = CertifiedIssuer::self_signed(Authority::params(name), key).unwrap();
        Authority { issuer, above: Vec::new() }
    }

    /// An authority that this one vouches for; `change` edits the certificate parameters.
    pub(crate) fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Authority {
        let mut params = Authority::params(name);
        change(&mut params);
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.issuer).unwrap();
        let above = [issuer.der().clone()].into_iter().chain(self.above.clone()).collect();
        Authority { above, issuer }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Contoso");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    }

    /// Its own certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Its own certificate in a file of the job's folder.
    pub(crate) fn file(&self, job: &Job<'_>, name: &str) -> PathBuf {
        let path = job.directory().join(name);
        std::fs::write(&path, format!("# {name}\n{}", self.pem())).unwrap();
        path
    }

    /// TLS for a server of this name; `change` edits the certificate parameters.
    pub(crate) fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> ServerConfig {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let chain = [certificate.der().clone()].into_iter().chain(self.above.clone()).collect();
        served(rustls::ALL_VERSIONS, chain, &key)
    }

    /// The same authority, whose servers send the intermediate certificates of another one.
    pub(crate) fn sending(self, other: &Authority) -> Authority {
        Authority { above: other.above.clone(), ..self }
    }

    /// TLS for a server of this name whose certificate is signed with SHA-1; `None` without an openssl that does so.
    pub(crate) fn sha1_server(&self, name: &str) -> Option<ServerConfig> {
        let folder = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let request = CertificateParams::new(vec![]).unwrap().serialize_request(&key).unwrap().pem().unwrap();
        for (file, content) in [
            ("request.pem", request),
            ("authority.pem", self.pem()),
            ("key.pem", self.issuer.key().serialize_pem()),
            ("extensions", format!("subjectAltName=DNS:{name}\n")),
        ] {
            std::fs::write(folder.path().join(file), content).unwrap();
        }
        let arguments = "x509 -req -sha1 -in request.pem -CA authority.pem -CAkey key.pem -set_serial 1 -days 30 \
                         -extfile extensions -out server.pem";
        let openssl = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output();
        if !openssl.is_ok_and(|output| output.status.success()) {
            eprintln!("not tested: there is no openssl that signs with SHA-1");
            return None;
        }
        let certificate = CertificateDer::from_pem_file(folder.path().join("server.pem")).unwrap();
        Some(served(rustls::ALL_VERSIONS, vec![certificate], &key))
    }

    /// TLS for a server that shows the authority's own certificate.
    pub(crate) fn as_server(&self) -> ServerConfig {
        served(rustls::ALL_VERSIONS, vec![self.issuer.der().clone()], self.issuer.key())
    }

    /// TLS for a server that shows a good certificate, and has another key.
    pub(crate) fn impostor(&self, name: &str, version: &'static SupportedProtocolVersion) -> ServerConfig {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&KeyPair::generate().unwrap(), &self.issuer).unwrap();
        served(&[version], vec![certificate.der().clone()], &KeyPair::generate().unwrap())
    }
}

/// TLS for a server of this name with a self-signed certificate that is not an authority's; and that in PEM.
pub(crate) fn self_signed(name: &str) -> (ServerConfig, String) {
    let certified = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let chain = vec![certified.cert.der().clone()];
    (served(rustls::ALL_VERSIONS, chain, &certified.signing_key), certified.cert.pem())
}

fn served(
    versions: &[&'static SupportedProtocolVersion],
    chain: Vec<CertificateDer<'static>>,
    key: &KeyPair,
) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
}

/// For [`Authority::server`]: a certificate whose time is over.
pub(crate) fn expired(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

/// For [`Authority::server`]: a certificate whose time has not come.
pub(crate) fn not_yet_valid(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2090, 1, 1);
    params.not_after = date_time_ymd(2091, 1, 1);
}

/// Serves connections on loopback, until the test ends. Gives where.
fn serve<F: Future<Output = std::io::Result<()>> + 'static>(
    mut connection: impl FnMut(TcpStream) -> F + Send + 'static,
) -> SocketAddr {
    let listener = StdListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                tokio::task::spawn_local(connection(stream));
            }
        });
    });
    address
}

/// A server that answers these bytes to TLS's greeting. Gives where, and how many clients came.
#[cfg(target_os = "linux")]
pub(crate) fn front_without_tls(answer: &'static [u8]) -> (SocketAddr, Arc<Mutex<u64>>) {
    let came = Arc::new(Mutex::new(0));
    let count = Arc::clone(&came);
    let address = serve(move |mut stream| {
        *count.lock().unwrap() += 1;
        async move {
            // All of the greeting, or closing the connection would take the answer back.
            let mut head = [0; 5];
            stream.read_exact(&mut head).await?;
            stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))]).await?;
            stream.write_all(answer).await
        }
    });
    (address, came)
}

/// The sandbox behind TLS. Gives where, and how many clients trusted it: no others can say anything to it.
pub(crate) fn tls_front(sandbox: &Sandbox, config: ServerConfig) -> (SocketAddr, Arc<Mutex<u64>>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let behind = sandbox.base_url().trim_start_matches("http://").to_owned();
    let trusted = Arc::new(Mutex::new(0));
    let count = Arc::clone(&trusted);
    let address = serve(move |stream| {
        let (acceptor, behind, count) = (acceptor.clone(), behind.clone(), Arc::clone(&count));
        async move {
            let mut tls = acceptor.accept(stream).await?;
            *count.lock().unwrap() += 1;
            copy_bidirectional(&mut tls, &mut TcpStream::connect(behind).await?).await?;
            Ok(())
        }
    });
    (address, trusted)
}

/// A proxy that leads every tunnel to one place, whatever it was asked for. Gives where it is, and the heads of the
/// requests that came.
pub(crate) fn proxy(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&requests);
    (serve(move |stream| tunnel(stream, to, Arc::clone(&noted))), requests)
}

/// The same over TLS.
pub(crate) fn tls_proxy(to: SocketAddr, config: ServerConfig) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let requests = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&requests);
    let address = serve(move |stream| {
        let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
        async move { tunnel(acceptor.accept(stream).await?, to, noted).await }
    });
    (address, requests)
}

async fn tunnel(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    to: SocketAddr,
    noted: Arc<Mutex<Vec<String>>>,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    noted.lock().unwrap().push(String::from_utf8(head).unwrap());
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut TcpStream::connect(to).await?).await?;
    Ok(())
}

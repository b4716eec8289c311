//! Hosts of the internet, as a job reaches them: by a proxy on loopback, and over TLS of a certificate authority of the
//! test.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A request to a host.
pub(crate) struct Request {
    pub(crate) host: String,
    /// Method, path and version; then the headers.
    head: String,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap()
    }

    /// Sends the request to another server (`http://host:port`). Returns its response.
    pub(crate) fn forward(&self, server: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(server.trim_start_matches("http://")).unwrap();
        let kept = self.head.trim_end().lines().filter(|line| {
            let line = line.to_ascii_lowercase();
            !line.starts_with("connection:") && !line.starts_with("expect:")
        });
        let head = kept.chain(["connection: close", "", ""]).collect::<Vec<_>>().join("\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&self.body).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        response
    }
}

/// Serves requests to some hosts until the test ends.
pub(crate) struct Internet {
    /// `http://127.0.0.1:port`.
    pub(crate) proxy: String,
    /// The certificate authority, in PEM.
    pub(crate) authority: tempfile::NamedTempFile,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Internet {
    /// `answer` returns the bytes to send for a request, with the status line. A host that is not named has no
    /// certificate.
    pub(crate) fn start(hosts: &[&str], answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Internet {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Authority of a test");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names = hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(authority.pem().as_bytes()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (noted, config, answer) = (Arc::clone(&asked), Arc::new(config), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (noted, config, answer) = (Arc::clone(&noted), Arc::clone(&config), Arc::clone(&answer));
                // A client closes the connection early if it does not trust the certificate.
                thread::spawn(move || serve(stream?, &noted, config, &*answer));
            }
        });
        Internet { proxy, authority: file, asked }
    }

    /// The requested URLs so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Opens the tunnel that a client asks for, and answers one request in it.
fn serve(
    mut stream: TcpStream,
    noted: &Mutex<Vec<String>>,
    config: Arc<ServerConfig>,
    answer: &dyn Fn(&Request) -> Vec<u8>,
) -> std::io::Result<()> {
    let connect = head(&mut stream)?;
    let host = connect.strip_prefix("CONNECT ").unwrap().split(':').next().unwrap().to_owned();
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let mut tls = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
    let head = head(&mut tls)?;
    let lower = head.to_ascii_lowercase();
    assert!(!lower.contains("transfer-encoding:"), "{head}");
    if lower.contains("expect: 100-continue") {
        tls.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        tls.flush()?;
    }
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length:")).map(|it| it.trim().parse());
    let mut body = vec![0; length.map_or(0, Result::unwrap)];
    tls.read_exact(&mut body)?;
    let request = Request { host, head, body };
    noted.lock().unwrap().push(format!("https://{}{}", request.host, request.path()));
    tls.write_all(&answer(&request))?;
    tls.conn.send_close_notify();
    tls.flush()
}

/// Reads up to the empty line after the headers.
fn head(stream: &mut impl Read) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8(head).unwrap())
}

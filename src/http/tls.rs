//! Certificate trust.
//!
//! Mozilla's roots are built in, and cost nothing at start. The system's store is read only when a certificate is not
//! valid with them: reading it takes longer than the whole login.

use std::env;
use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme};

use time::OffsetDateTime;

use crate::environment::Environment;
use crate::sanitize::sanitize_line;
use crate::text::{self, Text, Words, text};

/// Longest file with certificates that is read, in bytes. A system's whole store takes a quarter of a megabyte.
const LONGEST_FILE: u64 = 8 * 1024 * 1024;

/// A variable names certificates that cannot be used.
#[derive(Debug)]
pub(crate) struct TrustError {
    variable: &'static str,
    path: PathBuf,
    problem: String,
}

impl TrustError {
    #[cfg(test)]
    pub(crate) fn new(variable: &'static str, path: &str, problem: &str) -> TrustError {
        TrustError { variable, path: path.into(), problem: problem.to_owned() }
    }

    pub(crate) fn fact(&self) -> Text {
        let path = sanitize_line(&self.path.to_string_lossy());
        let problem = sanitize_line(&self.problem);
        text!("the certificates in {} (set in {}) cannot be used: {}", path, Words(self.variable), problem)
    }
}

/// A certificate is refused.
#[derive(Debug, Clone)]
pub(crate) struct CertificateError {
    /// Whose certificate it is.
    pub(crate) server: String,
    pub(crate) kind: CertificateProblem,
    /// The issuer, or what is wrong. It can contain what the server sent: [`CertificateError::map`] makes it safe to show.
    text: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum CertificateProblem {
    /// Its issuer is not trusted.
    Issuer,
    /// It is for another time or another host.
    Invalid,
    /// No server can use it, whatever is trusted, at any time.
    Unfit,
}

text::errors!(CertificateError);

impl CertificateError {
    #[cfg(test)]
    pub(crate) fn new(server: String, kind: CertificateProblem, text: String) -> CertificateError {
        CertificateError { server, kind, text }
    }

    pub(crate) fn fact(&self) -> Text {
        let CertificateError { server, kind, text } = self;
        match kind {
            CertificateProblem::Issuer => {
                text!("the certificate of {} was issued by {}, which this machine does not trust", server, text)
            }
            CertificateProblem::Invalid => text!("the certificate of {} is not valid: {}", server, text),
            CertificateProblem::Unfit => text!("the certificate of {} cannot be accepted: {}", server, text),
        }
    }

    pub(crate) fn map(self, safe: impl Fn(&str) -> String) -> CertificateError {
        CertificateError { server: safe(&self.server), kind: self.kind, text: safe(&self.text) }
    }

    /// The error of a certificate in an error of the client; of `server`, if it does not name one.
    pub(crate) fn found(error: &(dyn std::error::Error + 'static), server: &str) -> Option<CertificateError> {
        let Error::InvalidCertificate(problem) = error.downcast_ref()? else { return None };
        let ours = match problem {
            rustls::CertificateError::Other(OtherError(error)) => error.downcast_ref::<CertificateError>(),
            _ => None,
        };
        // Not by our verifier: the chain is good, and what the server has signed is not.
        let of_handshake = || CertificateError {
            server: server.to_owned(),
            kind: CertificateProblem::Unfit,
            text: "the server does not have its key, or the key is RSA of less than 2048 bits".to_owned(),
        };
        Some(ours.cloned().unwrap_or_else(of_handshake))
    }

    /// The error of rustls for a chain of `length` certificates; `issuer` is the name of the issuer nearest to the root.
    fn of_chain(problem: &rustls::CertificateError, server: String, issuer: Option<String>, length: usize) -> Self {
        use CertificateProblem::{Invalid, Issuer, Unfit};
        use rustls::CertificateError::*;
        use webpki::Error as WebPki;

        let issuer = issuer.unwrap_or_else(|| "an unnamed certificate authority".to_owned());
        let unfit = |text: &str| (Unfit, text.to_owned());
        let (kind, text) = match problem {
            UnknownIssuer => (Issuer, issuer),
            BadSignature if length > 1 => unfit("a signature in its chain does not match the key of its issuer"),
            // The signature is good only with another key than the trusted one.
            BadSignature | UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                (Issuer, format!("{issuer}, {OTHER_KEY}"))
            }
            ExpiredContext { not_after, .. } => (Invalid, format!("it expired on {}", day(*not_after))),
            NotValidYetContext { not_before, .. } => (Invalid, format!("it is not valid before {}", day(*not_before))),
            NotValidForNameContext { .. } => (Invalid, problem.to_string()),
            InvalidPurposeContext { .. } => unfit(
                "server authentication (serverAuth) is missing from the extended key usage, in it or in its chain",
            ),
            UnsupportedSignatureAlgorithmContext { signature_algorithm_id: id, .. } => {
                unfit(match SHA1.iter().any(|sha1| id.starts_with(sha1)) {
                    true => "it or its chain is signed with SHA-1, which is not secure",
                    false => "it or its chain is signed by an algorithm that is not supported",
                })
            }
            Other(OtherError(error)) => match error.downcast_ref() {
                Some(WebPki::CaUsedAsEndEntity) => {
                    unfit("it is a certificate authority's own (CA:TRUE), which is not allowed for a server")
                }
                Some(WebPki::EndEntityUsedAsCa) => {
                    unfit("it is issued with a certificate that is not a certificate authority's (CA:TRUE is missing)")
                }
                Some(WebPki::PathLenConstraintViolated) => {
                    unfit("its chain has more certificate authorities than one of them allows (pathlen)")
                }
                Some(WebPki::NameConstraintViolation) => unfit(
                    "a certificate authority in its chain is not allowed to issue for this name (name constraints)",
                ),
                _ => (Unfit, format!("{NOT_SUPPORTED} ({error})")),
            },
            problem => (Unfit, format!("{NOT_SUPPORTED} ({problem})")),
        };
        CertificateError { server, kind, text }
    }
}

const OTHER_KEY: &str =
    "whose key differs from the trusted certificate with that name, or is RSA of less than 2048 bits";
const NOT_SUPPORTED: &str = "it or its chain is malformed or has an unsupported feature";

/// How the signature algorithms of RSA and ECDSA with SHA-1 begin: their object identifiers, in DER (RFC 3279).
const SHA1: [&[u8]; 2] = [b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05", b"\x06\x07\x2a\x86\x48\xce\x3d\x04\x01"];

/// TLS, configured by the environment.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the built-in and the system's roots, as with OpenSSL; `NODE_EXTRA_CA_CERTS`
/// adds to whatever there is, since a self-hosted runner sets it for actions in Node.
pub(crate) fn config(environment: &Environment<'_>) -> Result<ClientConfig, TrustError> {
    let (roots, replaced) = roots(environment)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        roots: verifier(roots, &provider).expect("there are roots"),
        system: if replaced { OnceLock::from(None) } else { OnceLock::new() },
        provider: Arc::clone(&provider),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("ring has what every version needs")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// The roots that are trusted before the system's store is read, at least one; and whether they replace it.
fn roots(environment: &Environment<'_>) -> Result<(RootCertStore, bool), TrustError> {
    let named = |variable| Some((variable, environment.path(variable)?));
    let (file, folders) = (named("SSL_CERT_FILE"), named("SSL_CERT_DIR"));
    let replaced = file.is_some() || folders.is_some();
    let mut roots = RootCertStore::empty();
    if !replaced {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for (variable, path) in file.into_iter().chain(named("NODE_EXTRA_CA_CERTS")) {
        let unusable = |problem: String| TrustError { variable, path: path.clone(), problem };
        let (added, _) = roots.add_parsable_certificates(certificates(&path).map_err(unusable)?);
        if added == 0 {
            return Err(unusable("it does not contain a usable PEM certificate".to_owned()));
        }
    }
    if let Some((variable, paths)) = folders {
        for path in env::split_paths(&paths).filter(|path| !path.as_os_str().is_empty()) {
            let entries = fs::read_dir(&path);
            let entries = entries.map_err(|error| TrustError { variable, path, problem: error.to_string() })?;
            // A file without certificates is passed over: such folders have a README.
            let files = entries.flatten().map(|entry| entry.path());
            roots.add_parsable_certificates(files.flat_map(|file| certificates(&file).unwrap_or_default()));
        }
        if roots.is_empty() {
            let problem = "it does not contain a usable PEM certificate".to_owned();
            return Err(TrustError { variable, path: paths, problem });
        }
    }
    Ok((roots, replaced))
}

/// The certificates of a file in PEM.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = || {
        let metadata = path.metadata()?;
        // A pipe would be waited for, and a device never ends.
        if !metadata.is_file() || metadata.len() > LONGEST_FILE {
            return Err(io::Error::other(format!("it is not a file of at most {LONGEST_FILE} bytes")));
        }
        // Nor do some files of the kernel, which have no length.
        if metadata.len() == 0 {
            return Ok(Vec::new());
        }
        fs::read(path)
    };
    let pem = read().map_err(|error| error.to_string())?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|error| error.to_string())
}

/// The roots of the system's store; none where there is no store.
fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    #[cfg(target_os = "linux")]
    let found = {
        // Not by its own look at the environment, which takes an empty SSL_CERT_FILE for a file.
        let places = openssl_probe::probe();
        let folder = places.cert_dir.first().filter(|_| places.cert_file.is_none());
        rustls_native_certs::load_certs_from_paths(places.cert_file.as_deref(), folder.map(PathBuf::as_path))
    };
    #[cfg(not(target_os = "linux"))]
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// rustls' own verifier with these roots; `None` without any.
fn verifier(roots: RootCertStore, provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider)).build().ok()
}

/// Verifies with the roots that are there at once, and, where that fails, with the system's.
#[derive(Debug)]
struct Verifier {
    roots: Arc<WebPkiServerVerifier>,
    /// Read at the first failure; `None` if there are none.
    system: OnceLock<Option<Arc<WebPkiServerVerifier>>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified_by = |verifier: &WebPkiServerVerifier| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        };
        let with_system = |error: Error| {
            let Some(system) = self.system.get_or_init(|| verifier(system_roots(), &self.provider)) else {
                return Err(error);
            };
            // Of two problems, the one of a chain that leads to a root.
            let unknown = error == Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
            verified_by(system).map_err(|other| if unknown { other } else { error })
        };
        verified_by(&self.roots).or_else(with_system).map_err(|error| match error {
            Error::InvalidCertificate(problem) => {
                // Of the one that is nearest to the root.
                let issuer = issuer(intermediates.last().unwrap_or(end_entity));
                let (server, length) = (server_name.to_str().into_owned(), 1 + intermediates.len());
                refusal(CertificateError::of_chain(&problem, server, issuer, length))
            }
            error => error,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}

/// An error with more detail than rustls has; [`CertificateError::found`] finds it.
fn refusal(untrusted: CertificateError) -> Error {
    Error::InvalidCertificate(rustls::CertificateError::Other(OtherError(Arc::new(untrusted))))
}

/// The day of a moment, in UTC.
fn day(moment: UnixTime) -> String {
    let date =
        i64::try_from(moment.as_secs()).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    date.map_or("an unreadable date".to_owned(), |date| date.date().to_string())
}

/// Who issued a certificate: its common name and organization, made safe to show.
fn issuer(certificate: &CertificateDer<'_>) -> Option<String> {
    /// The object identifiers 2.5.4.3 and 2.5.4.10 (X.520), in DER.
    const SHOWN: [(&[u8], &str); 2] = [(&[0x55, 4, 3], "CN"), (&[0x55, 4, 10], "O")];

    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    let attributes = der_values(certificate.issuer()).flat_map(der_values).filter_map(|attribute| {
        let mut parts = der_values(attribute);
        let (kind, value) = (parts.next()?, parts.next()?);
        let (_, name) = SHOWN.into_iter().find(|(identifier, _)| *identifier == kind)?;
        Some(format!("{name}={}", String::from_utf8_lossy(value)))
    });
    let attributes = attributes.collect::<Vec<_>>();
    (!attributes.is_empty()).then(|| format!("'{}'", attributes.join(", ")))
}

/// The values that follow each other in a piece of DER, up to the first that is malformed.
fn der_values(mut der: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let (length, rest) = match der {
            [_, length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
            [_, 0x81, length, rest @ ..] => (usize::from(*length), rest),
            [_, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        der = rest;
        Some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mozillas_roots_are_trusted_unless_a_variable_replaces_them() {
        let folder = tempfile::tempdir().unwrap();
        let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert;
        let file = folder.path().join("root.pem");
        fs::write(&file, certificate.pem()).unwrap();
        let mozillas = webpki_roots::TLS_SERVER_ROOTS.len();
        let (file, folder) = (file.as_os_str(), folder.path().as_os_str());
        let [extra, replacing, folders] =
            [("NODE_EXTRA_CA_CERTS", file), ("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)];
        for (set, expected) in [
            (vec![], (mozillas, false)),
            (vec![extra], (mozillas + 1, false)),
            (vec![replacing], (1, true)),
            (vec![folders], (1, true)),
            (vec![folders, replacing, extra], (3, true)),
        ] {
            let look_up =
                |name: &str| set.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
            let (roots, replaced) = roots(&Environment::new(&look_up)).unwrap();
            assert_eq!((roots.len(), replaced), expected, "{set:?}");
        }
    }

    #[test]
    fn a_file_of_certificates_has_a_longest_length() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(LONGEST_FILE).unwrap();
        assert!(certificates(file.path()).unwrap().is_empty());
        file.as_file().set_len(LONGEST_FILE + 1).unwrap();
        assert!(certificates(file.path()).is_err());
    }
}

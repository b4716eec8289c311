//! Where a credential can be sent.

use rustls::pki_types::ServerName;
use url::{Host, ParseError, Url};

use crate::sanitize::sanitize_line;
use crate::text::{Text, Words, text};

/// Longest URL that is sent, in bytes. Servers take about as much.
const LONGEST_URL: usize = 8 * 1024;

/// A URL that a credential can be sent to: https, or http to loopback; without credentials of its own.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint(Url);

/// Why a URL is not an [`Endpoint`]. Reads on from the name of the input.
#[derive(Debug)]
pub(crate) enum EndpointError {
    /// It cannot be parsed as an absolute URL.
    Malformed { shown: String, cause: String },
    /// It is clear text, or not HTTP at all.
    NotHttps { shown: String },
    /// It holds a user name or a password, which no token service asks for and which logs would show.
    Credentials { host: String },
}

impl EndpointError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            EndpointError::Malformed { shown, cause } => {
                text!("is not an absolute URL: `{}` ({})", shown, Words(cause))
            }
            EndpointError::NotHttps { shown } => text!("is not an https URL: `{}`", shown),
            EndpointError::Credentials { host } => text!("contains a user name or a password for {}", host),
        }
    }

    pub(crate) fn fix(&self) -> Text {
        match self {
            EndpointError::Malformed { .. } => text!("set it to an absolute https URL"),
            EndpointError::NotHttps { .. } => {
                text!("set it to an https URL; plain http is allowed only for loopback hosts such as 127.0.0.1")
            }
            EndpointError::Credentials { .. } => text!("remove the user name and the password from the URL"),
        }
    }
}

impl Endpoint {
    /// Takes an absolute URL. Nothing is looked up or sent.
    pub(crate) fn parse(value: &str) -> Result<Endpoint, EndpointError> {
        // What precedes an `@` can be a password, also where a scheme is missing.
        let shown = if value.contains('@') { "***".to_owned() } else { shown(without_query(value)) };
        let malformed = |cause: String| EndpointError::Malformed { shown: shown.clone(), cause };
        let mut url = parse_url(value).map_err(|cause| malformed(cause.to_string()))?;
        if url.host_str() == Some("localhost.") {
            url.set_host(Some("localhost")).map_err(|cause| malformed(cause.to_string()))?;
        }
        let endpoint = Endpoint(url);
        if !endpoint.0.username().is_empty() || endpoint.0.password().is_some() {
            return Err(EndpointError::Credentials { host: endpoint.host() });
        }
        match endpoint.0.scheme() {
            "https" => {}
            "http" if endpoint.is_loopback() => {}
            _ => return Err(EndpointError::NotHttps { shown }),
        }
        if !is_host(endpoint.host_name()) {
            return Err(malformed(NotAUrl::Host.to_string()));
        }
        if endpoint.0.as_str().len() > LONGEST_URL {
            return Err(malformed(format!("it is longer than {LONGEST_URL} bytes")));
        }
        Ok(endpoint)
    }

    /// The host alone: a name in lower case, or an address.
    pub(crate) fn host_name(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Host, and port where it is not the scheme's own: how messages name the other side.
    pub(crate) fn host(&self) -> String {
        authority(&self.0)
    }

    /// The URL without its query, which can hold more than is to be shown.
    pub(crate) fn without_query(&self) -> String {
        sanitize_line(without_query(self.0.as_str()))
    }

    /// The URL itself, for a request.
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }

    /// Whether the host is this machine whatever a resolver returns.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            None => false,
        }
    }

    /// Whether the host is one of nuget.org's.
    pub(crate) fn is_nuget_org(&self) -> bool {
        let name = self.host_name().trim_end_matches('.');
        name == "nuget.org" || name.ends_with(".nuget.org")
    }

    /// The URL of another path on the same host, without a query.
    pub(crate) fn at_path(&self, path: &str) -> Endpoint {
        let mut url = self.0.clone();
        url.set_path(path);
        url.set_query(None);
        url.set_fragment(None);
        Endpoint(url)
    }

    /// The same URL with `name=value` behind its query. The value is percent-encoded so that nothing is left to
    /// interpretation: a blank is `%20`, as GitHub's own toolkit sends it.
    pub(crate) fn with_query(&self, name: &str, value: &str) -> Endpoint {
        let value = url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20");
        let mut url = self.0.clone();
        match self.0.query() {
            Some(query) if !query.is_empty() => url.set_query(Some(&format!("{query}&{name}={value}"))),
            _ => url.set_query(Some(&format!("{name}={value}"))),
        }
        Endpoint(url)
    }
}

/// A URL, or what was given as one, without its query and its fragment, which can hold a secret.
pub(crate) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// A value that was given, safe to show: if it is a URL with a scheme, without what can be a password, its query and its fragment.
pub(crate) fn shown(value: &str) -> String {
    let Some((_, rest)) = value.split_once("://") else { return sanitize_line(value) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let has_password = authority.rsplit_once(':').is_some_and(|(host, port)| !is_port(port) && !host.starts_with('['));
    match value.contains('@') || value.contains("%40") || has_password {
        true => "***".to_owned(),
        false => sanitize_line(without_query(value)),
    }
}

/// Why a text is not a URL.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAUrl {
    /// A host in another script.
    #[error("a host outside ASCII must be given in its xn-- form")]
    Script,
    /// A host with `%`, or a port.
    #[error("host and port must not be percent-encoded")]
    Encoded,
    /// A host with other characters that none has.
    #[error("the host is neither a name nor an address that a server can have")]
    Host,
    /// Everything else.
    #[error(transparent)]
    Other(ParseError),
}

/// [`Url::parse`] for hosts as a request has them: in ASCII (`idna_adapter` in Cargo.toml knows no others, and has them in
/// lower case alone), and not percent-encoded.
pub(crate) fn parse_url(value: &str) -> Result<Url, NotAUrl> {
    let (_, behind_scheme) = value.split_once(':').unwrap_or_default();
    // What a URL's parser passes over, too.
    let behind_slashes = behind_scheme.trim_start_matches(['/', '\\', '\t', '\n', '\r']);
    let authority = behind_slashes.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if !host.is_ascii() {
        return Err(NotAUrl::Script);
    }
    if host.contains('%') {
        return Err(NotAUrl::Encoded);
    }
    Url::parse(value).map_err(|error| match error {
        ParseError::IdnaError => NotAUrl::Host,
        error => NotAUrl::Other(error),
    })
}

/// Host, and port where it is not the scheme's own, without user and password.
pub(crate) fn authority(url: &Url) -> String {
    let name = url.host_str().unwrap_or_default();
    url.port().map_or(name.to_owned(), |port| format!("{name}:{port}"))
}

/// Whether a certificate can have this host name: URLs allow more (`{server}` in an unfilled template).
pub(crate) fn is_host(host: &str) -> bool {
    ServerName::try_from(host.trim_matches(['[', ']'])).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_ascii() {
        assert_eq!(Endpoint::parse("https://xn--bcher-kva.example/").unwrap().host(), "xn--bcher-kva.example");
        let refused = Endpoint::parse("https://b\u{fc}cher.example/").unwrap_err().fact().to_string();
        assert!(refused.contains("a host outside ASCII must be given in its xn-- form"), "{refused}");
    }

    #[test]
    fn a_host_is_not_encoded() {
        for url in ["https:h%6Fst.example", "https:\\/\t/me@h%6Fst.example:80/", "http://[::1%25lo]", "http://host:%34"]
        {
            assert!(matches!(parse_url(url), Err(NotAUrl::Encoded)), "{url}");
        }
        assert!(matches!(parse_url("https://\u{fc}A.example"), Err(NotAUrl::Script)));
        assert!(Endpoint::parse("https://HOST.example/%C3%BCA?%99EE#\u{fc}A").is_ok(), "what is behind it may be");
    }

    #[test]
    fn a_url_has_a_longest_length() {
        let url = |length: usize| format!("https://host.example/{}", "x".repeat(length - 21));
        assert!(Endpoint::parse(&url(LONGEST_URL)).is_ok());
        assert!(Endpoint::parse(&url(LONGEST_URL + 1)).is_err());
    }
}

//! A minimal HTTP/1.1 client: the caller chooses every byte of a request, and gets the reason phrase of the response.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A parsed response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The reason phrase, which HTTP libraries do not return.
    pub reason: String,
    /// The names of headers in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }
}

/// Sends `line` (`GET /path`), `headers` and `body` to the server at `base`, and reads until the connection is closed.
/// `Host`, `Connection` and the length of a body are added.
pub fn send(base: &str, line: &str, headers: &[(&str, &[u8])], body: &[u8]) -> std::io::Result<Answer> {
    let host = base.trim_start_matches("http://");
    let mut request = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n").into_bytes();
    let length = body.len().to_string();
    let chunked = headers.iter().any(|(name, _)| *name == "Transfer-Encoding");
    let length = (!body.is_empty() && !chunked).then_some(("Content-Length", length.as_bytes()));
    for (name, value) in headers.iter().copied().chain(length) {
        request.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    request.extend(b"\r\n");
    request.extend(body);

    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut lines = head.split("\r\n");
    let mut status = lines.next().unwrap_or_default().splitn(3, ' ').skip(1);
    let code = status.next().and_then(|code| code.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    Ok(Answer {
        status: code.ok_or_else(|| std::io::Error::other(format!("not HTTP: {answer:?}")))?,
        reason: status.next().unwrap_or_default().to_owned(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    })
}

/// Exchanges an ID token for an API key with a valid request.
pub fn exchange(base: &str, id_token: &str, user: &str) -> std::io::Result<Answer> {
    let bearer = format!("Bearer {id_token}");
    let headers: [(&str, &[u8]); 3] =
        [("Authorization", bearer.as_bytes()), ("Content-Type", b"application/json"), ("User-Agent", b"sandbox")];
    let body = serde_json::json!({ "username": user, "tokenType": "ApiKey" }).to_string();
    send(base, &format!("POST {}", crate::paths::TOKEN_SERVICE_PATH), &headers, body.as_bytes())
}

/// Pushes a package as NuGet clients do.
pub fn push(base: &str, api_key: Option<&str>, package: &[u8]) -> std::io::Result<Answer> {
    put_form(base, crate::paths::PUSH_PATH, api_key, package)
}

/// Pushes a symbol package as NuGet clients do.
pub fn push_symbols(base: &str, api_key: Option<&str>, package: &[u8]) -> std::io::Result<Answer> {
    put_form(base, crate::paths::SYMBOL_PUSH_PATH, api_key, package)
}

/// Asks whether a key allows a push of the ID of an existing version.
pub fn verify_key(base: &str, api_key: Option<&str>, id: &str, version: &str) -> std::io::Result<Answer> {
    let headers: Vec<(&str, &[u8])> = api_key.iter().map(|key| ("X-NuGet-ApiKey", key.as_bytes())).collect();
    send(base, &format!("GET {}/{id}/{version}", crate::paths::VERIFY_KEY_PATH), &headers, b"")
}

/// Sends a chunked form with one part.
fn put_form(base: &str, path: &str, api_key: Option<&str>, package: &[u8]) -> std::io::Result<Answer> {
    let mut form = b"--part\r\nContent-Type: application/octet-stream\r\nContent-Disposition: form-data; \
        name=package; filename=package.nupkg; filename*=utf-8''package.nupkg\r\n\r\n"
        .to_vec();
    form.extend(package);
    form.extend(b"\r\n--part--\r\n");
    let mut body = Vec::new();
    for chunk in form.chunks(1000) {
        body.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    }
    body.extend(b"0\r\n\r\n");
    let mut headers: Vec<(&str, &[u8])> = vec![
        ("Transfer-Encoding", b"chunked"),
        ("Content-Type", b"multipart/form-data; boundary=\"part\""),
        ("X-NuGet-Client-Version", b"7.6.0"),
        ("X-NuGet-Session-Id", b"5d1c8a4e-7f3b-4c52-9a0e-2b6d8f1e3c70"),
    ];
    headers.extend(api_key.map(|key| ("X-NuGet-ApiKey", key.as_bytes())));
    send(base, &format!("PUT {path}/"), &headers, &body)
}

//! A complete response, and what is read from it.

use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::{self, DeserializeOwned};
use serde_json::value::RawValue;

use crate::http::error::{Body, HttpError, NoResponse, Rejection, ResponseHead, Unusable};
use crate::sanitize::{LONGEST, sanitize_text, truncate};
use crate::secret::Redactor;

/// Longest message of a service that is read, in characters: more than two hundred policies can give reasons.
pub(crate) const LONGEST_MESSAGE: usize = 64 * 1024;

/// A complete response.
pub(crate) struct Response {
    pub(crate) host: String,
    pub(crate) head: ResponseHead,
    pub(crate) body: Vec<u8>,
    /// Removes secrets from the service's message.
    pub(crate) redactor: Redactor,
}

impl Response {
    /// A 200 without a body or with an empty JSON object. Any other status is a [`Rejection`]; its message is the body, if that
    /// is one line of text, as nuget.org's routes for packages answer.
    pub(crate) fn nothing(self) -> Result<(), HttpError> {
        let line = plain_line(&self.body).map(|line| sanitize_text(&self.redactor.redact(line)));
        let response = self.ok().map_err(|error| match (error, line) {
            (HttpError::Rejected(Rejection { host, head, body: Body::Other }), Some(line)) => {
                HttpError::Rejected(Rejection { host, head, body: Body::Message(line) })
            }
            (error, _) => error,
        })?;
        match response.body.trim_ascii() {
            b"" | b"{}" => Ok(()),
            _ => {
                Err(HttpError::Unusable { host: response.host, reason: Unusable::NotJson { wanted: "nothing in it" } })
            }
        }
    }

    /// A 200, whatever its body. Any other status is a [`Rejection`].
    fn ok(self) -> Result<Response, HttpError> {
        let Response { host, head, body, redactor } = self;
        if head.status == StatusCode::OK {
            return Ok(Response { host, head, body, redactor });
        }
        let body = match message(&body) {
            Some(message) => Body::Message(sanitize_text(&redactor.redact(&truncate(message, LONGEST_MESSAGE)))),
            None if is_page(&body) => Body::Page,
            None => Body::Other,
        };
        Err(HttpError::Rejected(Rejection { host, head, body }))
    }

    /// The JSON object of a 200; `wanted` names its content for the error. Any other status is a [`Rejection`].
    pub(crate) fn json<T: DeserializeOwned>(self, wanted: &'static str) -> Result<T, HttpError> {
        let Response { host, head, body, .. } = self.ok()?;
        // A static file can begin with a byte order mark.
        let json = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&body);
        // serde's own message would quote what it found, which can be a credential.
        object(json).map_err(|error| match error.is_eof() {
            true => HttpError::NoResponse { host, head: Some(head), reason: NoResponse::Incomplete },
            false if is_page(&body) => HttpError::Unusable { host, reason: Unusable::Page { wanted } },
            false => HttpError::Unusable { host, reason: Unusable::NotJson { wanted } },
        })
    }
}

/// Reads a JSON object. serde would take a list of its values, too.
pub(crate) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, serde_json::Error> {
    if json.trim_ascii_start().starts_with(b"[") {
        return Err(de::Error::custom("a list is not an object"));
    }
    serde_json::from_slice(json)
}

/// The service's message in the body of a rejection: GitHub's is in `message`, nuget.org's in `error`.
fn message(body: &[u8]) -> Option<String> {
    // Raw: other values would take many times their length in memory.
    #[derive(Deserialize)]
    struct Rejected<'a> {
        #[serde(borrow)]
        error: Option<&'a RawValue>,
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }

    let rejected: Rejected<'_> = object(body).ok()?;
    let texts = [rejected.error, rejected.message].into_iter().flatten();
    let mut texts = texts.filter_map(|raw| serde_json::from_str::<String>(raw.get()).ok());
    texts.find(|text| !text.trim().is_empty())
}

/// A body that is one line of text.
fn plain_line(body: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(body).ok()?.trim();
    let is_line =
        !line.is_empty() && line.len() <= LONGEST && !line.contains('\n') && !line.starts_with(['<', '{', '[']);
    is_line.then_some(line)
}

/// Whether a body is a web page.
fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

//! A parsed JSON web token, not verified.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// The parts of a signed JSON web token.
#[derive(Debug)]
pub struct Jwt {
    /// The header.
    pub header: Map<String, Value>,
    /// The claims.
    pub claims: Map<String, Value>,
    /// The signed text.
    pub signed: String,
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

impl Jwt {
    /// Parses `header.claims.signature`; `None` for any other text.
    pub fn parse(token: &str) -> Option<Jwt> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        Some(Jwt {
            header: json(header)?,
            claims: json(claims)?,
            signed: signed.to_owned(),
            signature: URL_SAFE_NO_PAD.decode(signature).ok()?,
        })
    }

    /// The value of a claim, if it is a non-blank string.
    pub fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str().filter(|value| !value.trim().is_empty())
    }

    /// The value of a claim, if it is a time in whole seconds since 1970.
    pub fn seconds(&self, claim: &str) -> Option<i64> {
        self.claims.get(claim)?.as_i64()
    }
}

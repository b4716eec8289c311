//! The form of a signed JSON web token.

use std::ops::RangeInclusive;

/// Lengths that a token can have, in characters. GitHub's have about 2,000; a header must hold it, and a mask must not hide
/// ordinary words.
pub(crate) const TOKEN_LENGTH: RangeInclusive<usize> = 8..=16 * 1024;

/// Whether a text has the form of a signed JSON web token: three parts in base64url (RFC 7515, section 3.1).
pub(crate) fn is_json_web_token(text: &str) -> bool {
    let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let mut parts = text.split('.');
    let three = parts.by_ref().take(3).filter(|part| !part.is_empty() && part.bytes().all(is_base64url)).count() == 3;
    three && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_json_web_token_has_three_parts() {
        assert!(is_json_web_token("eyJh_-.eyJp.c2ln"));
        for text in ["", ".", "..", "a.b", "a.b.", "a..c", "a.b.c.d", "a.b.c.", "a.b=.c", "a.b c.d", "a/b.c.d"] {
            assert!(!is_json_web_token(text), "{text}");
        }
    }
}

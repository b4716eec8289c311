//! The exchange: an ID token goes to the registry's token service, a temporary API key comes back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::endpoint::Endpoint;
use crate::http::{Http, NoAnswer, Rejection};
use crate::outside::one_line;
use crate::secret::Secret;

/// Time for the whole exchange. The service evaluates every policy of the user before it answers.
const LIMIT: Duration = Duration::from_secs(30);

/// Lengths that an API key may have, in characters. nuget.org's has 84; the least keeps a mask from blanking ordinary
/// words, the most leaves room for registries whose keys are JSON web tokens.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 8..=4096;

/// What the token service gave.
#[derive(Debug)]
pub struct ApiKey {
    /// The key.
    pub key: Secret,
    /// Until when it is valid.
    pub expires: Expiry,
}

/// What the token service said of a key's end.
#[derive(Debug, PartialEq, Eq)]
pub enum Expiry {
    /// A time in UTC, and the same in the service's own RFC 3339 text.
    At(OffsetDateTime, String),
    /// Nothing.
    Unsaid,
    /// Words that are no RFC 3339 time, made safe to show.
    Unreadable(String),
}

impl Expiry {
    fn of(said: Option<&str>) -> Expiry {
        let Some(said) = said else { return Expiry::Unsaid };
        // The parser takes any character between date and time, and times that UTC can't hold.
        let plain = said.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZtz".contains(&byte));
        let time = OffsetDateTime::parse(said, &Rfc3339).ok().filter(|_| plain);
        match time.and_then(|time| time.checked_to_offset(UtcOffset::UTC)) {
            Some(time) => Expiry::At(time, said.to_owned()),
            None => Expiry::Unreadable(one_line(said)),
        }
    }

    /// Reads on from "valid": `until 2026-11-22 13:00 UTC`.
    pub fn in_words(&self) -> String {
        match self {
            Expiry::At(time, _) => {
                format!("until {} {:02}:{:02} UTC", time.date(), time.hour(), time.minute())
            }
            Expiry::Unsaid => "for a time that the token service does not say".to_owned(),
            Expiry::Unreadable(said) => format!("until '{said}', which is no RFC 3339 time"),
        }
    }
}

/// Why there is no API key.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The token service did not answer.
    #[error("no API key from the token service")]
    NoAnswer(#[from] NoAnswer),
    /// The token service said no.
    #[error("no API key from the token service")]
    Rejected(#[from] Rejection),
    /// The token service said yes, but without an API key in it.
    #[error("no API key from the token service: {host} answered HTTP 200, but {problem}")]
    Unusable { host: String, problem: String },
}

/// Exchanges `id_token` for an API key of the policy that `user` created. The ID token is used up by this, whatever
/// comes of it: the service takes each one once.
pub async fn exchange(
    http: &Http,
    token_service: &Endpoint,
    user: &str,
    id_token: &Secret,
) -> Result<ApiKey, ExchangeError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        username: &'a str,
        token_type: &'static str,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        api_key: String,
        expires: Option<serde_json::Value>,
    }

    let unusable = |problem: String| ExchangeError::Unusable { host: token_service.host(), problem };
    let request =
        serde_json::to_string(&Request { username: user, token_type: "ApiKey" }).expect("two strings are always JSON");
    let answer = http.post_json(token_service, id_token, request, LIMIT).await?;
    let body = answer.accepted("error", id_token)?;
    // serde's own message would quote what it found, which may be the key.
    let created: Created = serde_json::from_slice(&body)
        .map_err(|_| unusable("the answer is not JSON with a string `apiKey`".to_owned()))?;
    let key = Secret::new(created.api_key, KEY_LENGTH)
        .map_err(|unfit| unusable(format!("the `apiKey` in its answer {unfit}")))?;
    let said = created.expires.as_ref().and_then(serde_json::Value::as_str).map(|said| key.strike_out(said));
    let expires = Expiry::of(said.as_deref());
    Ok(ApiKey { key, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_told_in_utc_to_the_minute() {
        let said = "2026-11-22T14:05:59.0000000+01:00";
        let expiry = Expiry::of(Some(said));
        assert_eq!(expiry.in_words(), "until 2026-11-22 13:05 UTC");
        assert!(matches!(expiry, Expiry::At(_, text) if text == said));
    }

    #[test]
    fn an_expiry_that_is_no_time_is_shown_and_not_passed_on() {
        assert_eq!(Expiry::of(None), Expiry::Unsaid);
        for said in ["tomorrow", "2026-11-22", "9999-12-31T23:59:59-01:00", "2026-11-22\u{1b}13:00:00Z"] {
            assert!(matches!(Expiry::of(Some(said)), Expiry::Unreadable(_)), "{said}");
        }
        assert_eq!(Expiry::of(Some("a\n::error::x")), Expiry::Unreadable("a ::error::x".to_owned()));
    }
}

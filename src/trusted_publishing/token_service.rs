//! The exchange: an ID token goes to the registry's token service, a temporary API key comes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::http::client::{Answer, Http, LONGEST_WORDS};
use crate::http::error::{Body, Failure, Rejection};
use crate::retry::Retry;
use crate::sanitize::{sanitize_line, truncate};
use crate::secret::Secret;

/// Time for the whole exchange. The service evaluates every policy of the user before it answers.
const LIMIT: Duration = Duration::from_secs(30);

/// Lengths that an API key may have, in characters. nuget.org's has 84; the least keeps a mask from blanking ordinary
/// words, the most leaves room for registries whose keys are JSON web tokens.
const KEY_LENGTH: std::ops::RangeInclusive<usize> = 8..=4096;

/// What the token service says of one ID token, and will hardly say of the next (NuGet gallery, August 2026).
const TRANSIENT_MESSAGES: [&str; 3] = [
    "The JSON web token has expired.",
    "The JSON web token is not yet valid.",
    "This bearer token has already been used.",
];

/// What it says about a forged token, and about a good one while it has not heard of its issuer's new key.
const INVALID_SIGNATURE: &str = "The JSON web token has an invalid signature.";

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
    Unknown,
    /// Words that are no RFC 3339 time, made safe to show.
    Unreadable(String),
}

impl Expiry {
    fn of(said: Option<&str>) -> Expiry {
        let Some(said) = said else { return Expiry::Unknown };
        // The parser takes any character between date and time, and times that UTC can't hold.
        let plain = said.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZtz".contains(&byte));
        let time = OffsetDateTime::parse(said, &Rfc3339).ok().filter(|_| plain);
        match time.and_then(|time| time.checked_to_offset(UtcOffset::UTC)) {
            Some(time) => Expiry::At(time, said.to_owned()),
            None => Expiry::Unreadable(sanitize_line(said)),
        }
    }

    /// The time that is left at a moment; `None` if nothing is known of the end.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        let Expiry::At(end, _) = self else { return None };
        let end = UNIX_EPOCH + Duration::from_secs(end.unix_timestamp().try_into().unwrap_or_default());
        Some(end.duration_since(now).unwrap_or_default())
    }

    /// Reads on from "valid": `until 2026-11-22 13:00 UTC`.
    pub fn in_words(&self) -> String {
        match self {
            Expiry::At(time, _) => {
                format!("until {} {:02}:{:02} UTC", time.date(), time.hour(), time.minute())
            }
            Expiry::Unknown => "for a time that the token service does not say".to_owned(),
            Expiry::Unreadable(said) => format!("until '{said}', which is no RFC 3339 time"),
        }
    }
}

/// The token service gave no API key.
#[derive(Debug, thiserror::Error)]
#[error("no API key from the token service: {0}")]
pub struct ExchangeError(#[from] pub Failure);

impl ExchangeError {
    /// What this says about a fresh attempt.
    pub fn retry(&self) -> Retry {
        if let Failure::Rejected(Rejection { head, body: Body::Message(words), .. }) = &self.0
            && head.status == StatusCode::UNAUTHORIZED
        {
            if TRANSIENT_MESSAGES.iter().any(|transient| words.starts_with(transient)) {
                return Retry::After(head.retry_after);
            }
            if words.starts_with(INVALID_SIGNATURE) {
                return Retry::Once(head.retry_after);
            }
        }
        self.0.retry()
    }
}

/// Exchanges `id_token` for an API key of the policy that `user` created, at the latest when `left` is over. The ID token
/// is used up by this, whatever comes of it: the service takes each one once.
pub async fn exchange(
    http: &Http<'_, impl Clock>,
    token_service: &Endpoint,
    user: &str,
    id_token: &Secret,
    left: Duration,
) -> Result<ApiKey, ExchangeError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        username: &'a str,
        token_type: &'static str,
    }

    let request =
        serde_json::to_string(&Request { username: user, token_type: "ApiKey" }).expect("two strings are always JSON");
    api_key(http.post_json(token_service, id_token, request, LIMIT.min(left)).await?, token_service)
}

/// The key in a token service's answer.
pub fn api_key(answer: Answer, from: &Endpoint) -> Result<ApiKey, ExchangeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        api_key: String,
        // Raw, since whatever stands there would take many times its length as a value.
        expires: Option<Box<RawValue>>,
    }

    let masked = answer.masked();
    let created: Created = answer.accepted("a string `apiKey`")?;
    let key = Secret::new(created.api_key, KEY_LENGTH).map_err(|unfit| Failure::Unusable {
        host: from.host(),
        problem: format!("the `apiKey` in its answer {unfit}"),
    })?;
    masked.add(&key);
    let said: Option<String> = created.expires.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let said = said.map(|said| masked.redact(&truncate(said, LONGEST_WORDS)));
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
        assert_eq!(Expiry::of(None), Expiry::Unknown);
        for said in ["tomorrow", "2026-11-22", "9999-12-31T23:59:59-01:00", "2026-11-22\u{1b}13:00:00Z"] {
            assert!(matches!(Expiry::of(Some(said)), Expiry::Unreadable(_)), "{said}");
        }
        assert_eq!(Expiry::of(Some("a\n::error::x")), Expiry::Unreadable("a ::error::x".to_owned()));
    }
}

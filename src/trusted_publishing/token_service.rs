//! The exchange: an ID token goes to the registry's token service, a temporary API key comes back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::endpoint::Endpoint;
use crate::http::client::{ConnectedAhead, Http};
use crate::http::error::{HttpError, Unusable};
use crate::http::response::{LONGEST_MESSAGE, Response};
use crate::retry::Retry;
use crate::sanitize::{sanitize_line, truncate};
use crate::secret::Secret;
use crate::text::{Text, Words, text};
use crate::trusted_publishing::service_message::{ServiceError, ServiceMessage};

/// Time for the whole exchange. The service evaluates every policy of the user before it answers.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(30);

/// Lengths that an API key can have, in characters. nuget.org's has 84; the least keeps a mask from hiding ordinary
/// words, the most leaves room for registries whose keys are JSON web tokens.
pub(crate) const KEY_LENGTH: std::ops::RangeInclusive<usize> = 8..=4096;

/// What the token service gave.
#[derive(Debug)]
pub(crate) struct ApiKey {
    pub(crate) key: Secret,
    pub(crate) expires: Expiry,
}

/// When an API key expires, as the token service sends it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// A time in UTC, and the same in the service's own RFC 3339 text.
    At(OffsetDateTime, String),
    Unknown,
    /// A text that is not an RFC 3339 time, safe to show.
    Unreadable(String),
}

impl Expiry {
    fn of(text: Option<&str>) -> Expiry {
        let Some(text) = text else { return Expiry::Unknown };
        // The parser takes any character between date and time, and times that UTC cannot express.
        let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZtz".contains(&byte));
        let time = OffsetDateTime::parse(text, &Rfc3339).ok().filter(|_| plain);
        match time.and_then(|time| time.checked_to_offset(UtcOffset::UTC)) {
            Some(time) => Expiry::At(time, text.to_owned()),
            None => Expiry::Unreadable(sanitize_line(text)),
        }
    }

    /// The time that is left at a moment; `None` if nothing is known of the end.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        let Expiry::At(end, _) = self else { return None };
        let end = UNIX_EPOCH + Duration::from_secs(end.unix_timestamp().try_into().unwrap_or_default());
        Some(end.duration_since(now).unwrap_or_default())
    }

    /// Reads on from "valid": `until 2026-11-22 13:00 UTC`.
    pub(crate) fn text(&self) -> Text {
        match self {
            Expiry::At(time, _) => {
                let minute = format!("{} {:02}:{:02} UTC", time.date(), time.hour(), time.minute());
                text!("until {}", Words(minute))
            }
            Expiry::Unknown => text!("for a time that the token service does not specify"),
            Expiry::Unreadable(time) => text!("until {} (not a time in RFC 3339)", time),
        }
    }
}

/// What a failed exchange means for another attempt.
pub(crate) fn retry(error: &ServiceError) -> Retry {
    use ServiceMessage::{SignatureInvalid, TokenExpired, TokenNotYetValid, TokenUsed};
    let head = error.http.rejection().filter(|head| head.status == StatusCode::UNAUTHORIZED);
    match (head, error.only_message()) {
        // Said of one ID token, and hardly of the next.
        (Some(head), Some(TokenExpired | TokenNotYetValid | TokenUsed)) => Retry::After(head.retry_after),
        // Said of a forged token, and of a good one before the service has the issuer's new key.
        (Some(head), Some(SignatureInvalid)) => Retry::Once(head.retry_after),
        _ => error.http.retry(),
    }
}

/// Exchanges `id_token` for an API key of a policy that `user` created, within `left`. The ID token is used up by this,
/// whatever the result: the service accepts each one once.
pub(crate) fn exchange(
    http: &Http<'_>,
    token_service: &Endpoint,
    ahead: Option<ConnectedAhead>,
    user: &str,
    id_token: &Secret,
    left: Duration,
) -> Result<ApiKey, ServiceError> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        username: &'a str,
        token_type: &'static str,
    }

    let request =
        serde_json::to_string(&Request { username: user, token_type: "ApiKey" }).expect("two strings are always JSON");
    Ok(api_key(http.post_json(token_service, ahead, id_token, request, EXCHANGE_LIMIT.min(left))?)?)
}

/// The key in a token service's response.
pub(crate) fn api_key(response: Response) -> Result<ApiKey, HttpError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Created {
        api_key: String,
        // Raw: other values would take many times their length in memory.
        expires: Option<Box<RawValue>>,
    }

    let (host, redactor) = (response.host.clone(), response.redactor.clone());
    let created: Created = response.json("a string \"apiKey\"")?;
    let unusable = |problem| HttpError::Unusable { host, reason: Unusable::InvalidSecret { field: "apiKey", problem } };
    let key = Secret::new(created.api_key, KEY_LENGTH).map_err(unusable)?;
    redactor.add(&key);
    let expires: Option<String> = created.expires.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let expires = expires.map(|text| redactor.redact(&truncate(text, LONGEST_MESSAGE)));
    Ok(ApiKey { key, expires: Expiry::of(expires.as_deref()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_shown_in_utc_to_the_minute() {
        let said = "2026-11-22T14:05:59.0000000+01:00";
        let expiry = Expiry::of(Some(said));
        assert_eq!(expiry.text().to_string(), "until 2026-11-22 13:05 UTC");
        assert!(matches!(expiry, Expiry::At(_, text) if text == said));
    }

    #[test]
    fn an_expiry_that_is_not_a_time_is_shown_and_not_passed_on() {
        assert_eq!(Expiry::of(None), Expiry::Unknown);
        for said in ["tomorrow", "2026-11-22", "9999-12-31T23:59:59-01:00", "2026-11-22\u{1b}13:00:00Z"] {
            assert!(matches!(Expiry::of(Some(said)), Expiry::Unreadable(_)), "{said}");
        }
        assert_eq!(Expiry::of(Some("a\n::error::x")), Expiry::Unreadable("a ::error::x".to_owned()));
    }
}

//! nuget.org's token service: all checks in order, with the exact messages (NuGet/NuGetGallery, `TokenApiController.cs`,
//! `FederatedCredentialService.cs`, `FederatedCredentialPolicyEvaluator.cs`).

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue};
use serde_json::Value;
use time::Duration;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::config::{Account, Kind};
use crate::gallery::{Gallery, Grant};
use crate::issuer::{self, Issuer};
use crate::jwt::Jwt;
use crate::policy::{Mismatch, github, gitlab};

/// The audience that the service accepts, with or without a trailing slash.
pub(crate) const AUDIENCE: &str = "https://www.nuget.org";

/// The tolerated clock difference in seconds, in both directions.
const SKEW: i64 = 5 * 60;

/// .NET's round-trip format ("O").
const ROUND_TRIP: &[FormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:7]+00:00");

/// A response of the service.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// 200: a key and its expiry time.
    Created { api_key: String, expires: String },
    /// An error as JSON.
    Refused { status: u16, message: String },
    /// 404 without JSON: the token API is disabled.
    SwitchedOff,
    /// 429 from the layer in front of the service, with `Retry-After`.
    TooManyRequests { seconds: u32 },
    /// 500 from the framework, which cannot read the body.
    Unreadable,
}

fn refused<T>(status: u16, message: impl Into<String>) -> Result<T, Outcome> {
    Err(Outcome::Refused { status, message: message.into() })
}

/// Responds to a request.
pub(crate) fn answer(gallery: &mut Gallery, headers: &HeaderMap, body: &[u8]) -> Outcome {
    exchange(gallery, headers, body).unwrap_or_else(|outcome| outcome)
}

fn exchange(gallery: &mut Gallery, headers: &HeaderMap, body: &[u8]) -> Result<Outcome, Outcome> {
    if !gallery.config.service.enabled {
        return Err(Outcome::SwitchedOff);
    }
    let bearer = bearer_token(headers)?;
    let username = username(headers, body)?;

    let no_policy = format!("No matching trust policy owned by user '{username}' was found.");
    let Some((kind, user)) = gallery.account(&username) else { return refused(401, no_policy) };
    let user = user.clone();
    let Verified { token, id, issuer } = verified(gallery, &bearer)?;
    let grant = matching_policy(gallery, &user, issuer, &token).map_err(|reasons| {
        let message = if reasons.is_empty() { no_policy } else { joined(&reasons) };
        Outcome::Refused { status: 401, message }
    })?;

    if kind == Kind::Organization {
        return refused(
            400,
            "Generating fetching tokens directly for organizations is not supported. The trust policy is created on \
             the profile of one of the organization's administrators and is scoped to the organization in the policy.",
        );
    }
    usable(kind, &user)?;
    let Some((owner_kind, owner)) = gallery.account(&grant.owner) else {
        return refused(400, "The package owner of the match trust policy not longer exists.");
    };
    usable(owner_kind, owner)?;
    let same = owner.name.eq_ignore_ascii_case(&user.name);
    if !same && !owner.members.iter().any(|member| member.eq_ignore_ascii_case(&user.name)) {
        return refused(
            400,
            format!(
                "The scopes on the generated API key are not valid. Confirm that you still have permissions to \
                 operate on behalf of package owner '{}'.",
                owner.name
            ),
        );
    }

    if gallery.used_tokens.contains(&id) {
        return refused(
            401,
            "This bearer token has already been used. A new bearer token must be used for each request.",
        );
    }
    limit_rate(gallery, &user)?;
    gallery.used_tokens.insert(id);
    let (api_key, expires) = gallery.mint(grant);
    Ok(Outcome::Created { api_key, expires: expires.format(ROUND_TRIP).expect("a time in UTC") })
}

fn bearer_token(headers: &HeaderMap) -> Result<String, Outcome> {
    const PREFIX: &str = "Bearer ";
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return refused(401, "The Authorization header is missing.") };
    if values.next().is_some() {
        return refused(401, "Only one Authorization header is allowed.");
    }
    let value = latin1(value);
    let (prefix, token) = value.split_at_checked(PREFIX.len()).unwrap_or((&value, ""));
    if !prefix.eq_ignore_ascii_case(PREFIX) {
        return refused(401, "The Authorization header value must start with 'Bearer '.");
    }
    if token.trim().is_empty() {
        return refused(401, "The bearer token is missing from the Authorization header.");
    }
    Ok(token.trim().to_owned())
}

fn username(headers: &HeaderMap, body: &[u8]) -> Result<String, Outcome> {
    let content_type = headers.get(CONTENT_TYPE).map(latin1).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return refused(415, "The request must have a Content-Type of 'application/json'.");
    }
    if headers.get(USER_AGENT).map(latin1).unwrap_or_default().trim().is_empty() {
        return refused(400, "A User-Agent header is required.");
    }
    let request: Value = serde_json::from_slice(body).map_err(|_| Outcome::Unreadable)?;
    // The framework ignores the case of names.
    let property = |name: &str| {
        let (_, value) = request.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        value.as_str()
    };
    let username = property("username").unwrap_or_default();
    if username.trim().is_empty() {
        return refused(400, "The username property in the request body is required.");
    }
    if property("tokenType") != Some("ApiKey") {
        return refused(400, "The tokenType property in the request body is required and must set to 'ApiKey'.");
    }
    Ok(username.to_owned())
}

fn latin1(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

/// A token that passed all checks before the policies.
struct Verified {
    token: Jwt,
    /// Its `jti`.
    id: String,
    issuer: Issuer,
}

fn verified(gallery: &Gallery, bearer: &str) -> Result<Verified, Outcome> {
    let wrong = |problem: &str| Outcome::Refused { status: 401, message: format!("The JSON web token {problem}") };
    let Some(token) = Jwt::parse(bearer) else {
        return refused(401, "The bearer token could not be parsed as a JSON web token.");
    };
    let audiences = match token.claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.clone(),
        Some(audience) => vec![audience.clone()],
        None => Vec::new(),
    };
    let [audience] = audiences.as_slice() else { return Err(wrong("must have exactly one aud claim value.")) };
    let audience = audience.as_str().unwrap_or_default();
    if audience.trim().is_empty() {
        return Err(wrong("must have an aud claim."));
    }
    let claimed = token.text("iss").ok_or_else(|| wrong("must have an iss claim."))?;
    let host = claimed.strip_prefix("https://").map(|rest| rest.split('/').next().unwrap_or_default());
    let host = host.filter(|host| !host.is_empty()).ok_or_else(|| wrong("iss claim must be a valid HTTPS URL."))?;
    let issuer = Issuer::at(host).ok_or_else(|| wrong("iss claim is not supported."))?;
    let id = token.text("jti").ok_or_else(|| wrong("must have a jti claim."))?.to_owned();

    if !issuer::is_signed_by(&token, &issuer.jwks()) {
        return Err(wrong("has an invalid signature."));
    }
    let now = gallery.clock.now().unix_timestamp();
    let expires = token.seconds("exp").ok_or_else(|| wrong("could not be validated."))?;
    let begins = token.seconds("nbf").unwrap_or(i64::MIN);
    if begins > expires {
        return Err(wrong("could not be validated."));
    }
    if begins > now + SKEW {
        return Err(wrong("is not yet valid."));
    }
    if expires < now - SKEW {
        return Err(wrong("has expired."));
    }
    if audience.strip_suffix('/').unwrap_or(audience) != AUDIENCE {
        return Err(wrong("has an incorrect audience."));
    }
    if claimed != issuer.url() {
        return Err(wrong("could not be validated."));
    }
    Ok(Verified { token, id, issuer })
}

/// The grant of the oldest matching policy that `user` created, or the disclosed reasons. Policies for another issuer are
/// not considered.
fn matching_policy(gallery: &mut Gallery, user: &Account, issuer: Issuer, token: &Jwt) -> Result<Grant, Vec<String>> {
    let now = gallery.clock.now();
    let mut reasons = Vec::new();
    let mut note = |mismatch| match mismatch {
        Mismatch::Disclosed(reason) => reasons.push(reason),
        Mismatch::Undisclosed => {}
    };
    let is_users = |creator: &str| creator.eq_ignore_ascii_case(&user.name);
    match issuer {
        Issuer::GitHub => {
            let banned = &gallery.config.service.banned_events;
            for (policy, until) in gallery.policies.iter_mut().filter(|(policy, _)| is_users(&policy.created_by)) {
                match github::evaluate(policy, *until, token, now, banned) {
                    Ok(()) => return Ok(Grant::from(&*policy)),
                    Err(mismatch) => note(mismatch),
                }
            }
        }
        Issuer::GitLab => {
            for (policy, until) in gallery.gitlab_policies.iter_mut().filter(|(policy, _)| is_users(&policy.created_by))
            {
                match gitlab::evaluate(policy, *until, token, now) {
                    Ok(()) => return Ok(Grant::from(&*policy)),
                    Err(mismatch) => note(mismatch),
                }
            }
        }
    }
    Err(reasons)
}

/// Joins reasons into one message: a period only where it is missing, then a blank.
fn joined(reasons: &[String]) -> String {
    reasons.iter().fold(String::new(), |mut message, reason| {
        if !message.is_empty() {
            message.push_str(if message.ends_with('.') { " " } else { ". " });
        }
        message + reason
    })
}

fn usable(kind: Kind, account: &Account) -> Result<(), Outcome> {
    let kind = match kind {
        Kind::User => "user",
        Kind::Organization => "organization",
    };
    let name = &account.name;
    if account.locked {
        return refused(400, format!("The {kind} '{name}' is locked."));
    }
    if !account.confirmed {
        return refused(400, format!("The {kind} '{name}' does not have a confirmed email address."));
    }
    Ok(())
}

fn limit_rate(gallery: &mut Gallery, user: &Account) -> Result<(), Outcome> {
    let now = gallery.clock.now();
    let pause = Duration::seconds_f64(gallery.config.service.seconds_between_keys);
    let user = user.name.to_ascii_lowercase();
    if let Some(last) = gallery.last_key.get(&user)
        && now < *last + pause
    {
        let left = (*last + pause - now).as_seconds_f64().ceil();
        return Err(Outcome::TooManyRequests { seconds: left as u32 });
    }
    gallery.last_key.insert(user, now);
    Ok(())
}

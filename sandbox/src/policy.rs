//! nuget.org's evaluation of trust policies (NuGet/NuGetGallery, `Authentication/Federated`).

pub(crate) mod github;
pub(crate) mod gitlab;

use time::OffsetDateTime;

use crate::jwt::Jwt;

/// The reason why a policy does not match. The service does not disclose all of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// Part of the response.
    Disclosed(String),
    /// Not part of the response.
    Undisclosed,
}

fn disclosed<T>(reason: String) -> Result<T, Mismatch> {
    Err(Mismatch::Disclosed(reason))
}

fn required<'a>(token: &'a Jwt, claim: &str) -> Result<&'a str, Mismatch> {
    let missing = || Mismatch::Disclosed(format!("The JSON Web Token is missing the required claim '{claim}'."));
    token.text(claim).ok_or_else(missing)
}

/// A policy without IDs gets them from its first use, before `first_use_until`. A policy with IDs needs the same.
fn pin<T: PartialEq>(
    saved: &mut Option<T>,
    ids: T,
    name: &str,
    first_use_until: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<(), Mismatch> {
    match saved {
        Some(saved) if *saved != ids => Err(Mismatch::Undisclosed),
        Some(_) => Ok(()),
        None if now > first_use_until => disclosed(format!(
            "The policy '{name}' has expired. Sign in and renew the trust policy on the Trusted Publishing page."
        )),
        None => {
            *saved = Some(ids);
            Ok(())
        }
    }
}

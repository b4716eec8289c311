//! How nuget.org evaluates trust policies (NuGet/NuGetGallery, `Authentication/Federated`).

pub(crate) mod github;
pub(crate) mod gitlab;

use time::OffsetDateTime;

use crate::jwt::Jwt;

/// Why a policy does not match. The service keeps some reasons to itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// Told to the caller.
    Disclosed(String),
    /// Not told.
    Undisclosed,
}

fn disclosed<T>(reason: String) -> Result<T, Mismatch> {
    Err(Mismatch::Disclosed(reason))
}

fn required<'a>(token: &'a Jwt, claim: &str) -> Result<&'a str, Mismatch> {
    let missing = || Mismatch::Disclosed(format!("The JSON Web Token is missing the required claim '{claim}'."));
    token.text(claim).ok_or_else(missing)
}

/// The first use of a policy, while there is time for it, saves the IDs that it is pinned to; later uses need the same.
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

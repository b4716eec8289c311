//! nuget.org's routes for a push: packages, symbol packages, and `verifykey` (NuGet/NuGetGallery, `ApiController.cs`,
//! `ApiKeyAuthenticationHandler.cs`, `ApiScopeEvaluator.cs`).

use axum::http::HeaderMap;

use crate::config::Scope;
use crate::gallery::{Gallery, Grant, Registration, normalized};
use crate::package::{self, Symbols};

/// The header that carries the API key.
pub(crate) const API_KEY_HEADER: &str = "X-NuGet-ApiKey";

const NO_KEY: &str = "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service";

const NOT_AUTHORIZED: &str =
    "The specified API key is invalid, has expired, or does not have permission to access the specified package.";

const OWNER_LOCKED: &str =
    "The specified API key is scoped to an owner that is locked. Please contact support@nuget.org.";

const RESERVED: &str = "This package ID has been reserved. Please request access to upload to this reserved namespace \
                        from the owner of the reserved prefix, or re-upload the package with a different ID. Go to \
                        https://docs.microsoft.com/nuget/reference/id-prefix-reservation learn more about Package ID \
                        prefix reservation.";

const RESERVED_WITHOUT_OWNER: &str = "The package ID is reserved. You can upload your package with a different \
                                      package ID. Reach out to support@nuget.org if you have questions.";

/// The scopes of which a key needs one to push a version of an existing package.
const PUSH_VERSION: &[Scope] = &[Scope::PushVersion, Scope::Push];

/// An error status, and the message in the body and in the reason phrase.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The message.
    pub(crate) message: String,
}

fn refused<T>(status: u16, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { status, message: message.into() })
}

/// A route that needs an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Push a package or a symbol package.
    Push,
    /// Verify a key for a package.
    Verify,
}

/// Checks the key in the headers, which nuget.org does before it reads the body.
pub(crate) fn authorize(gallery: &Gallery, headers: &HeaderMap, action: Action) -> Result<Grant, Refusal> {
    let key = headers.get(API_KEY_HEADER).map(|value| value.to_str().unwrap_or_default()).unwrap_or_default();
    if key.is_empty() {
        return refused(401, NO_KEY);
    }
    let Some(grant) = gallery.grant(key) else { return refused(403, NOT_AUTHORIZED) };
    let verifies = action == Action::Verify && grant.allows(&[Scope::Verify]);
    if !verifies && !grant.allows(PUSH_VERSION) {
        return refused(403, NOT_AUTHORIZED);
    }
    Ok(grant.clone())
}

/// Stores a package if the key's grant allows a push of its ID.
pub(crate) fn push(gallery: &mut Gallery, grant: &Grant, package: &[u8]) -> Result<(), Refusal> {
    let identity = package::read(package).map_err(|message| Refusal { status: 400, message })?;
    let id = identity.id.to_ascii_lowercase();
    let version = normalized(&identity.version);
    let Some(registration) = gallery.packages.get(&id) else {
        check_scopes(grant, &id, &[Scope::Push])?;
        check_reserved_prefixes(gallery, grant, &id)?;
        check_owner_is_not_locked(gallery, grant)?;
        let versions = [(version, None)].into();
        gallery.packages.insert(id, Registration { owner: grant.owner.clone(), versions });
        return Ok(());
    };
    check_owner(gallery, grant, &id, registration)?;
    if registration.versions.contains_key(&version) {
        let id = &identity.id;
        let message =
            format!("A package with ID '{id}' and version '{version}' already exists and cannot be modified.");
        return refused(409, message);
    }
    gallery.packages.get_mut(&id).expect("the ID exists").versions.insert(version, None);
    Ok(())
}

/// Stores a symbol package if its package exists and the key's grant allows a push of that ID. Newer symbols replace
/// older ones.
pub(crate) fn push_symbols(gallery: &mut Gallery, grant: &Grant, package: &[u8]) -> Result<(), Refusal> {
    let bad_request = |message| Refusal { status: 400, message };
    let symbols = Symbols::read(package).map_err(bad_request)?;
    let id = symbols.identity().id.to_ascii_lowercase();
    let version = normalized(&symbols.identity().version);
    let registration = gallery.packages.get(&id).filter(|registration| registration.versions.contains_key(&version));
    let Some(registration) = registration else {
        let id = &symbols.identity().id;
        let message = format!(
            "A package with ID '{id}' and version '{version}' does not exist. Please upload the package before \
             uploading its symbols."
        );
        return refused(404, message);
    };
    symbols.validate().map_err(bad_request)?;
    check_owner(gallery, grant, &id, registration)?;
    let registration = gallery.packages.get_mut(&id).expect("the ID exists");
    registration.versions.insert(version, Some(package.to_vec()));
    Ok(())
}

/// Whether the key's grant allows a push of an existing version's ID.
pub(crate) fn verify_key(gallery: &Gallery, grant: &Grant, id: &str, version: &str) -> Result<(), Refusal> {
    let registration = gallery.packages.get(&id.to_ascii_lowercase());
    match registration.filter(|registration| registration.versions.contains_key(&normalized(version))) {
        Some(registration) => check_owner(gallery, grant, id, registration),
        None => refused(404, format!("A package with ID '{id}' and version '{version}' does not exist.")),
    }
}

/// The checks for a package that exists.
fn check_owner(gallery: &Gallery, grant: &Grant, id: &str, registration: &Registration) -> Result<(), Refusal> {
    check_scopes(grant, id, PUSH_VERSION)?;
    if !registration.owner.eq_ignore_ascii_case(&grant.owner) {
        return refused(403, NOT_AUTHORIZED);
    }
    check_owner_is_not_locked(gallery, grant)
}

fn check_scopes(grant: &Grant, id: &str, scopes: &[Scope]) -> Result<(), Refusal> {
    let id = id.to_ascii_lowercase();
    let globs = &mut grant.packages.iter();
    if grant.allows(scopes) && globs.any(|glob| matches(&id, &glob.to_ascii_lowercase())) {
        Ok(())
    } else {
        refused(403, NOT_AUTHORIZED)
    }
}

/// A new ID with a reserved prefix: the owner of one of the matching prefixes can push it.
fn check_reserved_prefixes(gallery: &Gallery, grant: &Grant, id: &str) -> Result<(), Refusal> {
    let reserved = gallery.config.reserved_prefixes.iter();
    let reserved: Vec<_> = reserved.filter(|it| id.starts_with(&it.prefix.to_ascii_lowercase())).collect();
    let mut owners = reserved.iter().flat_map(|it| &it.owners).peekable();
    if reserved.is_empty() || owners.clone().any(|owner| owner.eq_ignore_ascii_case(&grant.owner)) {
        Ok(())
    } else if owners.peek().is_some() {
        refused(409, RESERVED)
    } else {
        refused(409, RESERVED_WITHOUT_OWNER)
    }
}

fn check_owner_is_not_locked(gallery: &Gallery, grant: &Grant) -> Result<(), Refusal> {
    match gallery.config.account(&grant.owner) {
        Some((_, owner)) if owner.locked || owner.locked_after_login => refused(403, OWNER_LOCKED),
        _ => Ok(()),
    }
}

/// Whether `text` matches `glob`, in which `*` stands for any number of characters.
fn matches(text: &str, glob: &str) -> bool {
    match glob.split_once('*') {
        None => text == glob,
        Some((start, rest)) => text
            .strip_prefix(start)
            .is_some_and(|text| (0..=text.len()).filter_map(|at| text.get(at..)).any(|text| matches(text, rest))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_whole_ids() {
        for (text, glob, expected) in [
            ("my-sdk", "*", true),
            ("my-sdk", "my-*", true),
            ("my-sdk", "my-sdk", true),
            ("my-sdk", "*-sdk", true),
            ("my-sdk.core", "m*sdk.c*", true),
            ("my-sdk", "my-sd", false),
            ("my-sdk", "sdk*", false),
            ("my-sdk", "my-?dk", false),
        ] {
            assert_eq!(matches(text, glob), expected, "{text} {glob}");
        }
    }
}

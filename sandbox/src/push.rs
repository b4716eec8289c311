//! nuget.org's push endpoint (NuGet/NuGetGallery, `ApiController.cs`, `ApiKeyAuthenticationHandler.cs`).

use axum::http::HeaderMap;

use crate::config::Scope;
use crate::gallery::{Gallery, Registration, normalized};
use crate::package;

/// The header that carries the API key.
pub(crate) const API_KEY_HEADER: &str = "X-NuGet-ApiKey";

const NOT_AUTHORIZED: &str =
    "The specified API key is invalid, has expired, or does not have permission to access the specified package.";

/// A status that is not 201, and the message that comes as body and reason phrase.
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

/// Takes a package if the key in the headers may push it.
pub(crate) fn push(gallery: &mut Gallery, headers: &HeaderMap, package: &[u8]) -> Result<package::Identity, Refusal> {
    let key = headers.get(API_KEY_HEADER).map(|value| value.to_str().unwrap_or_default()).unwrap_or_default();
    if key.is_empty() {
        return refused(401, "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service");
    }
    let Some(grant) = gallery.grant(key).cloned() else { return refused(403, NOT_AUTHORIZED) };
    let may = |scopes: &[Scope]| grant.scopes.iter().any(|scope| *scope == Scope::All || scopes.contains(scope));
    if !may(&[Scope::Push, Scope::PushVersion]) {
        return refused(403, NOT_AUTHORIZED);
    }

    let identity = package::read(package).map_err(|message| Refusal { status: 400, message })?;
    let id = identity.id.to_ascii_lowercase();
    let version = normalized(&identity.version);
    if !grant.packages.iter().any(|glob| matches(&id, &glob.to_ascii_lowercase())) {
        return refused(403, NOT_AUTHORIZED);
    }
    match gallery.packages.get_mut(&id) {
        None if !may(&[Scope::Push]) => return refused(403, NOT_AUTHORIZED),
        None => {
            let registration = Registration { owner: grant.owner, versions: [version].into() };
            gallery.packages.insert(id, registration);
        }
        Some(registration) if !registration.owner.eq_ignore_ascii_case(&grant.owner) => {
            return refused(403, NOT_AUTHORIZED);
        }
        Some(registration) => {
            if !registration.versions.insert(version.clone()) {
                let id = &identity.id;
                return refused(
                    409,
                    format!("A package with ID '{id}' and version '{version}' already exists and cannot be modified."),
                );
            }
        }
    }
    Ok(identity)
}

/// Whether `text` matches `glob`, where `*` stands for any characters.
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

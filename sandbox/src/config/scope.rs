//! What a key of a policy is for.

use serde::Deserialize;

/// What a key is allowed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Scope {
    /// Everything.
    #[serde(rename = "all")]
    All,
    /// Push new packages and new versions.
    #[serde(rename = "package:push")]
    Push,
    /// Push new versions of packages that are there.
    #[serde(rename = "package:pushversion")]
    PushVersion,
    /// Unlist.
    #[serde(rename = "package:unlist")]
    Unlist,
    /// Verify a key against a package.
    #[serde(rename = "package:verify")]
    Verify,
}

/// The scopes of a policy that names none.
pub(crate) fn all() -> Vec<Scope> {
    vec![Scope::All]
}

/// The package globs of a policy that names none.
pub(crate) fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

//! The scopes and globs of a policy.

use serde::Deserialize;

/// A permission of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Scope {
    /// Everything.
    #[serde(rename = "all")]
    All,
    /// Push new packages and new versions.
    #[serde(rename = "package:push")]
    Push,
    /// Push new versions of existing packages.
    #[serde(rename = "package:pushversion")]
    PushVersion,
    /// Unlist.
    #[serde(rename = "package:unlist")]
    Unlist,
    /// Verify a key for a package.
    #[serde(rename = "package:verify")]
    Verify,
}

/// The scopes of a policy without `scopes`.
pub(crate) fn all() -> Vec<Scope> {
    vec![Scope::All]
}

/// The globs of a policy without `packages`.
pub(crate) fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

//! The visibility of a repository or project.

use serde::{Deserialize, Serialize};

/// The visibility of a repository at GitHub or of a project at GitLab.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// nuget.org's page finds its IDs, so that its policies are permanent from their creation.
    #[default]
    Public,
    /// Its policies get their IDs at their first use.
    Private,
    /// Visible to the members of an enterprise or instance. The same as private for nuget.org.
    Internal,
}

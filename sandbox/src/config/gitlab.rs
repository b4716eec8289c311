//! A job of GitLab CI, and trust policies for GitLab CI.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::scope::{Scope, all, any};
use super::visibility::Visibility;

/// A job of GitLab CI.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitLabJob {
    /// `group/project`, subgroups included.
    pub project_path: String,
    /// GitLab's ID of the project.
    pub project_id: String,
    /// GitLab's ID of the project's group or user.
    pub namespace_id: String,
    /// The project's visibility.
    #[serde(default)]
    pub project_visibility: Visibility,
    /// The short name of the job's branch or tag.
    pub r#ref: String,
    /// `branch` or `tag`.
    #[serde(default = "branch")]
    pub ref_type: String,
    /// The job's environment.
    pub environment: Option<String>,
    /// The `iss` claim, if it is not gitlab.com's.
    pub issuer: Option<String>,
    /// Claims to omit.
    #[serde(default)]
    pub omit_claims: Vec<String>,
    /// Claims to add or replace.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
}

impl GitLabJob {
    /// The project's group or user.
    pub fn namespace_path(&self) -> &str {
        self.project_path.rsplit_once('/').map_or("", |(namespace, _)| namespace)
    }
}

fn branch() -> String {
    "branch".to_owned()
}

/// A trust policy for GitLab CI.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitLabPolicy {
    /// The policy's name, which is part of the service's messages.
    pub name: String,
    /// The user who created it.
    pub created_by: String,
    /// The package owner.
    pub owner: String,
    /// The namespace path.
    pub namespace_path: String,
    /// The project path without its namespace.
    pub project_path: String,
    /// The ref, a branch; empty or absent for any.
    #[serde(default)]
    pub r#ref: String,
    /// The environment; empty or absent for any.
    #[serde(default)]
    pub environment: String,
    /// The scopes of its keys.
    #[serde(default = "all")]
    pub scopes: Vec<Scope>,
    /// Globs of the package IDs that its keys allow.
    #[serde(default = "any", alias = "globs")]
    pub packages: Vec<String>,
    /// Days since a policy without IDs was created or renewed. After more than 7, it has expired.
    #[serde(default)]
    pub age_days: u32,
    /// The saved IDs. If absent, a policy for a public project has them from its creation, if `age_days` is 0.
    pub used_by: Option<ProjectIds>,
}

/// The IDs that make a policy permanent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectIds {
    /// The `project_id` claim.
    pub project_id: String,
    /// The `namespace_id` claim.
    pub namespace_id: String,
}

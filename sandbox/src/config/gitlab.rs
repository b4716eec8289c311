//! A job of GitLab CI, and the trust policies for such.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::scope::{Scope, all, any};

/// A job of GitLab CI.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitLabJob {
    /// `group/project`, subgroups included.
    pub project_path: String,
    /// GitLab's number of the project.
    pub project_id: String,
    /// GitLab's number of the group or user that it belongs to.
    pub namespace_id: String,
    /// The branch or tag that it runs for, by its short name.
    pub r#ref: String,
    /// `branch` or `tag`.
    #[serde(default = "branch")]
    pub ref_type: String,
    /// The environment that the job names.
    pub environment: Option<String>,
    /// The `iss` claim, where it is not gitlab.com's.
    pub issuer: Option<String>,
    /// Claims to leave out.
    #[serde(default)]
    pub omit_claims: Vec<String>,
    /// Claims to add or to replace.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
}

impl GitLabJob {
    /// The group or user that the project belongs to.
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
    /// Its name, which the service's messages quote.
    pub name: String,
    /// The user that created it.
    pub created_by: String,
    /// The package owner that it is scoped to.
    pub owner: String,
    /// Namespace path.
    pub namespace_path: String,
    /// Project path, without its namespace.
    pub project_path: String,
    /// Ref, a branch; empty or absent for any.
    #[serde(default)]
    pub r#ref: String,
    /// Environment; empty or absent for any.
    #[serde(default)]
    pub environment: String,
    /// What its keys may do.
    #[serde(default = "all")]
    pub scopes: Vec<Scope>,
    /// Globs of package IDs that its keys may touch.
    #[serde(default = "any")]
    pub packages: Vec<String>,
    /// Days since it was created or renewed; older than 7 and never used means expired.
    #[serde(default)]
    pub age_days: u32,
    /// The IDs that its first use saved; absent if it was never used.
    pub used_by: Option<ProjectIds>,
}

/// What pins a policy to a project from its first use on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProjectIds {
    /// The `project_id` claim.
    pub project_id: String,
    /// The `namespace_id` claim.
    pub namespace_id: String,
}

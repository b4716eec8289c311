//! The config file. `contoso.toml` in this folder documents every key, and is the default.

mod gitlab;
mod scope;
mod visibility;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

pub use gitlab::{GitLabJob, GitLabPolicy, ProjectIds};
pub use scope::Scope;
use scope::{all, any};
pub use visibility::Visibility;

/// The default config: user `contoso-bot`, repository `contoso/contoso-sdk`, workflow `release.yml`.
const SEED: &str = include_str!("contoso.toml");

/// The state of a sandbox at its start.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The job of GitHub Actions.
    pub job: Job,
    /// The job of GitLab CI, if any.
    pub gitlab_job: Option<GitLabJob>,
    /// Users of nuget.org.
    #[serde(default, rename = "user")]
    pub users: Vec<Account>,
    /// Organizations of nuget.org.
    #[serde(default, rename = "organization")]
    pub organizations: Vec<Account>,
    /// Trust policies for GitHub Actions, oldest first.
    #[serde(default, rename = "policy")]
    pub policies: Vec<Policy>,
    /// Trust policies for GitLab CI, oldest first.
    #[serde(default, rename = "gitlab_policy")]
    pub gitlab_policies: Vec<GitLabPolicy>,
    /// Existing packages.
    #[serde(default, rename = "package")]
    pub packages: Vec<Package>,
    /// Reserved prefixes of package IDs.
    #[serde(default, rename = "reserved_prefix")]
    pub reserved_prefixes: Vec<ReservedPrefix>,
    /// The token service.
    #[serde(default)]
    pub service: Service,
}

impl Default for Config {
    fn default() -> Config {
        Config::parse(SEED).expect("the default config is valid")
    }
}

impl Config {
    /// Parses the text of a config file.
    pub fn parse(text: &str) -> anyhow::Result<Config> {
        let config: Config = toml::from_str(text)?;
        let lifetime = config.service.key_lifetime_minutes;
        ensure!(
            lifetime.is_multiple_of(5) && (5..=60).contains(&lifetime),
            "key_lifetime_minutes is {lifetime}; it must be a multiple of 5, from 5 to 60"
        );
        let pause = config.service.seconds_between_keys;
        ensure!((0.0..1e9).contains(&pause), "seconds_between_keys is {pause}; it must be a number from 0 to 1e9");
        let policies = config.policies.iter().map(|policy| (&policy.name, &policy.created_by));
        let gitlab_policies = config.gitlab_policies.iter().map(|policy| (&policy.name, &policy.created_by));
        for (name, creator) in policies.chain(gitlab_policies) {
            config
                .account(creator)
                .with_context(|| format!("policy '{name}': its creator '{creator}' is not a user or organization"))?;
        }
        Ok(config)
    }

    /// The account of that name. Case does not matter, as at nuget.org.
    pub fn account(&self, name: &str) -> Option<(Kind, &Account)> {
        let named = |account: &&Account| account.name.eq_ignore_ascii_case(name);
        let user = self.users.iter().find(named).map(|user| (Kind::User, user));
        user.or_else(|| self.organizations.iter().find(named).map(|it| (Kind::Organization, it)))
    }
}

/// The kind of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A user.
    User,
    /// An organization. It can own packages, and cannot create policies.
    Organization,
}

/// A user or an organization of nuget.org.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The profile name.
    pub name: String,
    /// The members of an organization.
    #[serde(default)]
    pub members: Vec<String>,
    /// Whether its e-mail address is confirmed.
    #[serde(default = "yes")]
    pub confirmed: bool,
    /// Whether it is locked.
    #[serde(default)]
    pub locked: bool,
    /// Whether it is locked after a login: the token service creates a key, and the push endpoint refuses it.
    #[serde(default)]
    pub locked_after_login: bool,
    /// Whether it is deleted: unknown as a user, missing as a package owner.
    #[serde(default)]
    pub deleted: bool,
}

fn yes() -> bool {
    true
}

/// A job of GitHub Actions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// `owner/name`.
    pub repository: String,
    /// GitHub's ID of the repository.
    pub repository_id: String,
    /// GitHub's ID of the repository owner.
    pub repository_owner_id: String,
    /// The repository's visibility.
    #[serde(default)]
    pub repository_visibility: Visibility,
    /// The triggered workflow file in `.github/workflows`.
    pub workflow: String,
    /// The event that triggered it.
    pub event_name: String,
    /// The full ref of the run.
    pub r#ref: String,
    /// The user who triggered it.
    pub actor: String,
    /// The job's environment.
    pub environment: Option<String>,
    /// The file that defines the job, if it is not `workflow`: a reusable workflow.
    pub job_workflow_ref: Option<String>,
    /// The `iss` claim, if it is not github.com's.
    pub issuer: Option<String>,
    /// Claims to omit.
    #[serde(default)]
    pub omit_claims: Vec<String>,
    /// Claims to add or replace.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
}

impl Job {
    /// The repository owner.
    pub fn repository_owner(&self) -> &str {
        self.repository.split('/').next().unwrap_or_default()
    }
}

/// A trust policy for GitHub Actions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The policy's name, which is part of the service's messages.
    pub name: String,
    /// The user who created it.
    pub created_by: String,
    /// The package owner.
    pub owner: String,
    /// The repository owner.
    pub repository_owner: String,
    /// The repository without its owner.
    pub repository: String,
    /// The workflow file without its folder.
    pub workflow: String,
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
    /// The saved IDs. If absent, a policy for a public repository has them from its creation, if `age_days` is 0.
    pub used_by: Option<RepositoryIds>,
}

/// The IDs that make a policy permanent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryIds {
    /// The `repository_id` claim.
    pub repository_id: String,
    /// The `repository_owner_id` claim.
    pub repository_owner_id: String,
}

/// An existing package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its ID.
    pub id: String,
    /// The package owner.
    pub owner: String,
    /// Its versions.
    #[serde(default)]
    pub versions: Vec<String>,
}

/// A prefix of package IDs that nuget.org reserved. Only new IDs are checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservedPrefix {
    /// The prefix. Case does not matter.
    pub prefix: String,
    /// The package owners who can push new IDs with this prefix. The message differs if there are none.
    #[serde(default)]
    pub owners: Vec<String>,
}

/// The token service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Whether the token API is enabled.
    pub enabled: bool,
    /// The lifetime of a key in minutes: a multiple of 5, at most 60.
    pub key_lifetime_minutes: u32,
    /// The minimum time between two keys of one user, in seconds, fractions included; 0 for no limit.
    pub seconds_between_keys: f64,
    /// Rejected values of the `event_name` claim.
    pub banned_events: Vec<String>,
}

impl Default for Service {
    fn default() -> Service {
        Service {
            enabled: true,
            key_lifetime_minutes: 60,
            seconds_between_keys: 0.0,
            banned_events: vec!["pull_request_target".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_config_has_contosos_job_and_accounts() {
        let config = Config::default();
        assert_eq!(config.job.repository, "contoso/contoso-sdk");
        assert!(matches!(config.account("Contoso-Bot"), Some((Kind::User, _))));
        assert!(matches!(config.account("contoso"), Some((Kind::Organization, _))));
    }

    #[test]
    fn an_inconsistent_config_is_an_error() {
        let error = |from: &str, to: &str| format!("{:#}", Config::parse(&SEED.replace(from, to)).unwrap_err());
        assert!(error("created_by = \"contoso-bot\"", "created_by = \"unknown\"").contains("'unknown'"));
        assert!(error("key_lifetime_minutes = 60", "key_lifetime_minutes = 61").contains("multiple of 5"));
        assert!(error("# seconds_between_keys = 30", "seconds_between_keys = nan").contains("must be a number from 0"));
        assert!(error("actor =", "author =").contains("unknown field `author`"));
    }
}

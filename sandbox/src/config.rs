//! What a config file can say; `contoso.toml` beside this file is its documentation and its default.

mod gitlab;
mod scope;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde_json::Value;

pub use gitlab::{GitLabJob, GitLabPolicy, ProjectIds};
pub use scope::Scope;
use scope::{all, any};

/// The seed story: user `contoso-bot`, repository `contoso/contoso-sdk`, workflow `release.yml`.
const SEED: &str = include_str!("contoso.toml");

/// A whole sandbox.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The job that GitHub's side issues ID tokens for.
    pub job: Job,
    /// The job of GitLab's side, if there is one.
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
    /// Packages that were pushed before.
    #[serde(default, rename = "package")]
    pub packages: Vec<Package>,
    /// The token service.
    #[serde(default)]
    pub service: Service,
}

impl Default for Config {
    fn default() -> Config {
        Config::parse(SEED).expect("the seed story is a valid config")
    }
}

impl Config {
    /// Reads a config file's text.
    pub fn parse(text: &str) -> anyhow::Result<Config> {
        let config: Config = toml::from_str(text)?;
        let lifetime = config.service.key_lifetime_minutes;
        ensure!(
            lifetime.is_multiple_of(5) && (5..=60).contains(&lifetime),
            "key_lifetime_minutes is {lifetime}; it must be a multiple of 5, from 5 to 60"
        );
        let pause = config.service.seconds_between_keys;
        ensure!((0.0..1e9).contains(&pause), "seconds_between_keys is {pause}; it must be a time");
        let policies = config.policies.iter().map(|policy| (&policy.name, &policy.created_by));
        let gitlab_policies = config.gitlab_policies.iter().map(|policy| (&policy.name, &policy.created_by));
        for (name, creator) in policies.chain(gitlab_policies) {
            config
                .account(creator)
                .with_context(|| format!("policy '{name}': its creator '{creator}' is no user or organization"))?;
        }
        Ok(config)
    }

    /// The account of that name, compared without case, as nuget.org does.
    pub fn account(&self, name: &str) -> Option<(Kind, &Account)> {
        let named = |account: &&Account| account.name.eq_ignore_ascii_case(name);
        let user = self.users.iter().find(named).map(|user| (Kind::User, user));
        user.or_else(|| self.organizations.iter().find(named).map(|it| (Kind::Organization, it)))
    }
}

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A person, or a bot's profile.
    User,
    /// An organization, which can own packages but can't create policies.
    Organization,
}

/// A user or an organization of nuget.org.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The profile name.
    pub name: String,
    /// Users that may act for it, where it is an organization.
    #[serde(default)]
    pub members: Vec<String>,
    /// Whether its e-mail address is confirmed.
    #[serde(default = "yes")]
    pub confirmed: bool,
    /// Whether it is locked.
    #[serde(default)]
    pub locked: bool,
    /// Whether it is deleted: unknown as a user, no longer there as an owner.
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
    /// GitHub's number of the repository.
    pub repository_id: String,
    /// GitHub's number of its owner.
    pub repository_owner_id: String,
    /// The file in `.github/workflows` that was triggered.
    pub workflow: String,
    /// What triggered it.
    pub event_name: String,
    /// The ref that it runs for.
    pub r#ref: String,
    /// Who triggered it.
    pub actor: String,
    /// The environment that the job names.
    pub environment: Option<String>,
    /// The file that defines the job, where it is not `workflow`: a reusable workflow.
    pub job_workflow_ref: Option<String>,
    /// The `iss` claim, where it is not GitHub's own.
    pub issuer: Option<String>,
    /// Claims to leave out.
    #[serde(default)]
    pub omit_claims: Vec<String>,
    /// Claims to add or to replace.
    #[serde(default)]
    pub claims: BTreeMap<String, Value>,
}

impl Job {
    /// The owner of the repository.
    pub fn repository_owner(&self) -> &str {
        self.repository.split('/').next().unwrap_or_default()
    }
}

/// A trust policy for GitHub Actions.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name, which the service's messages quote.
    pub name: String,
    /// The user that created it.
    pub created_by: String,
    /// The package owner that it is scoped to.
    pub owner: String,
    /// Repository owner.
    pub repository_owner: String,
    /// Repository, without its owner.
    pub repository: String,
    /// Workflow file, without its folder.
    pub workflow: String,
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
    pub used_by: Option<RepositoryIds>,
}

/// What pins a policy to a repository from its first use on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryIds {
    /// The `repository_id` claim.
    pub repository_id: String,
    /// The `repository_owner_id` claim.
    pub repository_owner_id: String,
}

/// A package that is there already.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its ID.
    pub id: String,
    /// The account that owns it.
    pub owner: String,
    /// Its versions.
    #[serde(default)]
    pub versions: Vec<String>,
}

/// The token service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Whether the token API is switched on.
    pub enabled: bool,
    /// How long a key lives, in minutes: a multiple of 5, at most 60.
    pub key_lifetime_minutes: u32,
    /// Least time between two keys of one user, in seconds, fractions included; 0 for no limit.
    pub seconds_between_keys: f64,
    /// Values of the `event_name` claim that are refused.
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
    fn the_seed_story_is_contosos() {
        let config = Config::default();
        assert_eq!(config.job.repository, "contoso/contoso-sdk");
        assert!(matches!(config.account("Contoso-Bot"), Some((Kind::User, _))));
        assert!(matches!(config.account("contoso"), Some((Kind::Organization, _))));
    }

    #[test]
    fn an_inconsistent_config_is_refused() {
        let refused = |from: &str, to: &str| format!("{:#}", Config::parse(&SEED.replace(from, to)).unwrap_err());
        assert!(refused("created_by = \"contoso-bot\"", "created_by = \"nobody\"").contains("'nobody'"));
        assert!(refused("key_lifetime_minutes = 60", "key_lifetime_minutes = 61").contains("multiple of 5"));
        assert!(refused("# seconds_between_keys = 30", "seconds_between_keys = nan").contains("must be a time"));
        assert!(refused("actor =", "author =").contains("unknown field `author`"));
    }
}

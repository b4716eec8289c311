//! The state of nuget.org: policies with their saved IDs, used ID tokens, API keys, packages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::api_key;
use crate::clock::Clock;
use crate::config::{Account, Config, GitLabPolicy, Kind, Policy, ProjectIds, RepositoryIds, Scope, Visibility};

/// A policy without IDs expires this long after it was created or renewed.
const FIRST_USE_WITHIN: Duration = Duration::days(7);

/// The state of nuget.org.
pub(crate) struct Gallery {
    /// Accounts, reserved prefixes, and the service's settings.
    pub(crate) config: Config,
    /// The sandbox's clock.
    pub(crate) clock: Arc<Clock>,
    /// Policies for GitHub Actions, oldest first, each with the deadline of its first use.
    pub(crate) policies: Vec<(Policy, OffsetDateTime)>,
    /// Policies for GitLab CI, in the same form.
    pub(crate) gitlab_policies: Vec<(GitLabPolicy, OffsetDateTime)>,
    /// The `jti` of each ID token that was exchanged.
    pub(crate) used_tokens: HashSet<String>,
    /// The time of each user's last key, by user name in lower case.
    pub(crate) last_key: HashMap<String, OffsetDateTime>,
    /// Packages by ID in lower case.
    pub(crate) packages: HashMap<String, Registration>,
    keys: HashMap<String, Key>,
}

/// The permissions that a policy gives to its keys.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// The package owner.
    pub(crate) owner: String,
    /// The scopes.
    pub(crate) scopes: Vec<Scope>,
    /// Globs of package IDs.
    pub(crate) packages: Vec<String>,
}

impl Grant {
    /// Whether one of its scopes is among `scopes`, or allows everything.
    pub(crate) fn allows(&self, scopes: &[Scope]) -> bool {
        self.scopes.iter().any(|scope| *scope == Scope::All || scopes.contains(scope))
    }
}

impl From<&Policy> for Grant {
    fn from(Policy { owner, scopes, packages, .. }: &Policy) -> Grant {
        Grant { owner: owner.clone(), scopes: scopes.clone(), packages: packages.clone() }
    }
}

impl From<&GitLabPolicy> for Grant {
    fn from(GitLabPolicy { owner, scopes, packages, .. }: &GitLabPolicy) -> Grant {
        Grant { owner: owner.clone(), scopes: scopes.clone(), packages: packages.clone() }
    }
}

struct Key {
    grant: Grant,
    valid_until: OffsetDateTime,
}

/// A package ID that has an owner.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The package owner.
    pub(crate) owner: String,
    /// Its versions, normalized, with their symbol packages.
    pub(crate) versions: HashMap<String, Option<Vec<u8>>>,
}

impl Gallery {
    /// The state that `config` describes.
    pub(crate) fn new(config: Config, clock: Arc<Clock>) -> Gallery {
        let deadline = |age_days: u32| clock.now() - Duration::days(age_days.into()) + FIRST_USE_WITHIN;
        let policies = config.policies.iter().map(|policy| {
            let used_by = policy.used_by.clone().or_else(|| ids_at_creation(&config, policy));
            (Policy { used_by, ..policy.clone() }, deadline(policy.age_days))
        });
        let gitlab_policies = config.gitlab_policies.iter().map(|policy| {
            let used_by = policy.used_by.clone().or_else(|| gitlab_ids_at_creation(&config, policy));
            (GitLabPolicy { used_by, ..policy.clone() }, deadline(policy.age_days))
        });
        let packages = config.packages.iter().map(|package| {
            let versions = package.versions.iter().map(|version| (normalized(version), None)).collect();
            (package.id.to_ascii_lowercase(), Registration { owner: package.owner.clone(), versions })
        });
        Gallery {
            packages: packages.collect(),
            policies: policies.collect(),
            gitlab_policies: gitlab_policies.collect(),
            used_tokens: HashSet::new(),
            last_key: HashMap::new(),
            keys: HashMap::new(),
            config,
            clock,
        }
    }

    /// The account of that name, unless it is deleted.
    pub(crate) fn account(&self, name: &str) -> Option<(Kind, &Account)> {
        self.config.account(name).filter(|(_, account)| !account.deleted)
    }

    /// Creates a key with a policy's grant. Returns it, and the expiry time that the service announces.
    pub(crate) fn mint(&mut self, grant: Grant) -> (String, OffsetDateTime) {
        let now = self.clock.now();
        let minutes = self.config.service.key_lifetime_minutes;
        let lifetime = Duration::minutes(minutes.into());
        let accounts = self.config.users.iter().chain(&self.config.organizations);
        let number = accounts.take_while(|account| !account.name.eq_ignore_ascii_case(&grant.owner)).count() + 1;
        let key = api_key::create(now, number.try_into().expect("few accounts"), minutes);
        // The key contains its creation time to the minute. The push endpoint counts from that minute.
        let created = now - Duration::seconds(now.second().into()) - Duration::nanoseconds(now.nanosecond().into());
        self.keys.insert(key.clone(), Key { grant, valid_until: created + lifetime });
        (key, now + lifetime)
    }

    /// The grant of a key, if the sandbox created it and it is still valid.
    pub(crate) fn grant(&self, key: &str) -> Option<&Grant> {
        self.keys.get(key).filter(|key| self.clock.now() <= key.valid_until).map(|key| &key.grant)
    }

    /// All keys, expired ones included.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &String> {
        self.keys.keys()
    }
}

/// The IDs that nuget.org's page saves when a policy is created. The page looks the repository up without signing in, so
/// that it finds public repositories only. The sandbox knows one repository: the job's. A policy with an age has no IDs.
fn ids_at_creation(config: &Config, policy: &Policy) -> Option<RepositoryIds> {
    let job = &config.job;
    let repository = format!("{}/{}", policy.repository_owner, policy.repository);
    let is_found = job.repository_visibility == Visibility::Public && repository.eq_ignore_ascii_case(&job.repository);
    (is_found && policy.age_days == 0).then(|| RepositoryIds {
        repository_id: job.repository_id.clone(),
        repository_owner_id: job.repository_owner_id.clone(),
    })
}

/// The same for a project at GitLab.
fn gitlab_ids_at_creation(config: &Config, policy: &GitLabPolicy) -> Option<ProjectIds> {
    let job = config.gitlab_job.as_ref()?;
    let project = format!("{}/{}", policy.namespace_path, policy.project_path);
    let is_found = job.project_visibility == Visibility::Public && project.eq_ignore_ascii_case(&job.project_path);
    (is_found && policy.age_days == 0)
        .then(|| ProjectIds { project_id: job.project_id.clone(), namespace_id: job.namespace_id.clone() })
}

/// A version in NuGet's normalized form: lower case, no build metadata, three numbers, and the fourth only if it is not 0.
pub(crate) fn normalized(version: &str) -> String {
    let version = version.split('+').next().unwrap_or_default().to_ascii_lowercase();
    let (numbers, label) = match version.split_once('-') {
        Some((numbers, label)) => (numbers, format!("-{label}")),
        None => (version.as_str(), String::new()),
    };
    let mut numbers: Vec<&str> = numbers.split('.').map(|number| number.trim_start_matches('0')).collect();
    numbers.resize(4, "");
    if numbers[3].is_empty() {
        numbers.pop();
    }
    let numbers: Vec<&str> = numbers.iter().map(|number| if number.is_empty() { "0" } else { number }).collect();
    numbers.join(".") + &label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_versions_have_the_same_normalized_form() {
        for (version, same) in [("1.0", "1.0.0"), ("01.2.3.0+abc", "1.2.3"), ("1.2.3.4-Beta.1", "1.2.3.4-beta.1")] {
            assert_eq!(normalized(version), same);
        }
    }
}

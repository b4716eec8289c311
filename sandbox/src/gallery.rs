//! What nuget.org remembers: policies and their first use, ID tokens that bought a key, keys, packages.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use crate::api_key;
use crate::clock::Clock;
use crate::config::{Account, Config, GitLabPolicy, Kind, Policy, Scope};

/// A policy that was never used ends this long after it was created or renewed.
const FIRST_USE_WITHIN: Duration = Duration::days(7);

/// nuget.org's memory.
pub(crate) struct Gallery {
    /// Accounts and the service's settings.
    pub(crate) config: Config,
    /// The time it goes by.
    pub(crate) clock: Arc<Clock>,
    /// Policies for GitHub Actions, oldest first, each with the end of its time for a first use.
    pub(crate) policies: Vec<(Policy, OffsetDateTime)>,
    /// The same for GitLab CI.
    pub(crate) gitlab_policies: Vec<(GitLabPolicy, OffsetDateTime)>,
    /// The `jti` of each ID token that bought a key.
    pub(crate) used_tokens: HashSet<String>,
    /// When each user (in lower case) got its last key.
    pub(crate) last_key: HashMap<String, OffsetDateTime>,
    /// Packages by ID in lower case.
    pub(crate) packages: HashMap<String, Registration>,
    keys: HashMap<String, Key>,
}

/// What a policy gives to its keys.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    /// The account whose packages it may touch.
    pub(crate) owner: String,
    /// What it may do with them.
    pub(crate) scopes: Vec<Scope>,
    /// Globs of package IDs.
    pub(crate) packages: Vec<String>,
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

/// A package ID that somebody owns.
#[derive(Debug)]
pub(crate) struct Registration {
    /// The account that owns it.
    pub(crate) owner: String,
    /// Its versions, normalized.
    pub(crate) versions: HashSet<String>,
}

impl Gallery {
    /// The memory that `config` describes.
    pub(crate) fn new(config: Config, clock: Arc<Clock>) -> Gallery {
        let deadline = |age_days: u32| clock.now() - Duration::days(age_days.into()) + FIRST_USE_WITHIN;
        let policies = config.policies.iter().map(|policy| (policy.clone(), deadline(policy.age_days))).collect();
        let gitlab_policies = config.gitlab_policies.iter();
        let gitlab_policies = gitlab_policies.map(|policy| (policy.clone(), deadline(policy.age_days))).collect();
        let packages = config.packages.iter().map(|package| {
            let versions = package.versions.iter().map(|version| normalized(version)).collect();
            (package.id.to_ascii_lowercase(), Registration { owner: package.owner.clone(), versions })
        });
        Gallery {
            packages: packages.collect(),
            policies,
            gitlab_policies,
            used_tokens: HashSet::new(),
            last_key: HashMap::new(),
            keys: HashMap::new(),
            config,
            clock,
        }
    }

    /// An account that is there: deleted ones are not.
    pub(crate) fn account(&self, name: &str) -> Option<(Kind, &Account)> {
        self.config.account(name).filter(|(_, account)| !account.deleted)
    }

    /// Makes a key with a policy's grant. Gives it, and when the service says that it expires.
    pub(crate) fn mint(&mut self, grant: Grant) -> (String, OffsetDateTime) {
        let now = self.clock.now();
        let minutes = self.config.service.key_lifetime_minutes;
        let lifetime = Duration::minutes(minutes.into());
        let accounts = self.config.users.iter().chain(&self.config.organizations);
        let number = accounts.take_while(|account| !account.name.eq_ignore_ascii_case(&grant.owner)).count() + 1;
        let key = api_key::create(now, number.try_into().expect("few accounts"), minutes);
        // The key holds the minute that it was made in, and the push endpoint counts from there.
        let made = now - Duration::seconds(now.second().into()) - Duration::nanoseconds(now.nanosecond().into());
        self.keys.insert(key.clone(), Key { grant, valid_until: made + lifetime });
        (key, now + lifetime)
    }

    /// What a key may do, if it was made here and is still valid.
    pub(crate) fn grant(&self, key: &str) -> Option<&Grant> {
        self.keys.get(key).filter(|key| self.clock.now() <= key.valid_until).map(|key| &key.grant)
    }

    /// Every key that was ever made.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &String> {
        self.keys.keys()
    }
}

/// A version as NuGet compares it: without case and build metadata, with three numbers, the fourth only if it is not 0.
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
    fn versions_that_nuget_takes_for_one_are_one() {
        for (version, same) in [("1.0", "1.0.0"), ("01.2.3.0+abc", "1.2.3"), ("1.2.3.4-Beta.1", "1.2.3.4-beta.1")] {
            assert_eq!(normalized(version), same);
        }
    }
}

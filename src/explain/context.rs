//! What is known of the job and of the settings, to explain an error. It decides nothing.

use std::fs::File;
use std::io::Read;

use serde::Deserialize;

use crate::environment::{Ci, Environment};
use crate::explain::trust_policy::{Run, TrustPolicy};
use crate::sanitize::sanitize_line;
use crate::settings::Settings;
use crate::trusted_publishing::claims::Claims;

/// Longest file of an event that is read, in bytes. That of a pull request has some 30 kB.
const LONGEST_EVENT: u64 = 4 * 1024 * 1024;

/// Shown for what is not known.
pub(crate) const UNKNOWN: &str = "?";

/// What is known, safe to show.
pub(crate) struct Context {
    pub(crate) ci: Ci,
    /// The user of the login.
    pub(crate) user: String,
    pub(crate) audience: String,
    /// URL of the token service or the service index.
    pub(crate) service: String,
    pub(crate) id_token_variable: String,
    /// The policy that the job needs.
    pub(crate) policy: Option<TrustPolicy>,
    pub(crate) run: Run,
    /// The workflow file that calls the one that defines the job.
    pub(crate) caller: Option<String>,
    /// Who started the run.
    pub(crate) actor: Option<String>,
    /// What started the run, where the ID token cannot say it.
    pub(crate) event: String,
    /// The repository that the run's pull request comes from, if it is another one.
    pub(crate) fork: Option<String>,
}

impl Context {
    pub(crate) fn of_ci(ci: Ci) -> Context {
        let [user, audience, service, id_token_variable] = [(); 4].map(|()| UNKNOWN.to_owned());
        let (policy, run, caller, actor, event, fork) = (None, Run::default(), None, None, String::new(), None);
        Context { ci, user, audience, service, id_token_variable, policy, run, caller, actor, event, fork }
    }

    pub(crate) fn add_settings(&mut self, settings: &Settings) {
        self.user = sanitize_line(&settings.user);
        self.audience = sanitize_line(&settings.audience);
        self.service = settings.service.configured_endpoint().without_query();
        self.id_token_variable = settings.id_token_variable.clone();
    }

    pub(crate) fn add_claims(&mut self, claims: &Claims) {
        self.policy = TrustPolicy::of_claims(claims);
        self.run = Run::of_claims(claims);
        self.caller = claims.caller();
    }

    /// Adds what GitHub's runner says of the run: who started it, and whether from a fork.
    pub(crate) fn add_run(&mut self, environment: &Environment<'_>) {
        self.actor = environment.shown("GITHUB_ACTOR");
        self.event = environment.shown("GITHUB_EVENT_NAME").unwrap_or_default();
        if self.event.starts_with("pull_request") && self.event != "pull_request_target" {
            self.fork = fork(environment);
        }
    }

    pub(crate) fn issuer(&self) -> &str {
        self.run.issuer.as_deref().unwrap_or(UNKNOWN)
    }

    /// Whether `user` is the name of the repository's owner.
    pub(crate) fn user_is_repository_owner(&self) -> bool {
        matches!(&self.policy, Some(TrustPolicy::GitHub { repository_owner: owner, .. }) if owner.eq_ignore_ascii_case(&self.user))
    }
}

/// The repository that this run's pull request comes from, by the file with the event; none if it is the base itself.
fn fork(environment: &Environment<'_>) -> Option<String> {
    // Not a pipe, which would be waited for.
    let path = environment.path("GITHUB_EVENT_PATH").filter(|path| path.is_file())?;
    let mut json = Vec::new();
    File::open(path).ok()?.take(LONGEST_EVENT).read_to_end(&mut json).ok()?;
    fork_of(&json)
}

/// The repository that a pull request comes from, if it is another one; from the event's JSON.
pub(crate) fn fork_of(event: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Event {
        pull_request: PullRequest,
    }
    #[derive(Deserialize)]
    struct PullRequest {
        head: Side,
        base: Side,
    }
    #[derive(Deserialize)]
    struct Side {
        /// `null` once it is deleted.
        repo: Option<Repository>,
    }
    #[derive(Deserialize)]
    struct Repository {
        full_name: String,
    }

    let Event { pull_request: PullRequest { head, base } } = serde_json::from_slice(event).ok()?;
    let name = |side: Side| side.repo.map_or("(deleted)".to_owned(), |repository| sanitize_line(&repository.full_name));
    let (head, base) = (name(head), name(base));
    (head != base).then_some(head)
}

//! What is known of the job, for explaining. Nothing is decided by it.

use std::fs::File;
use std::io::Read;

use serde::Deserialize;

use crate::environment::{Ci, Environment};
use crate::sanitize::sanitize_line;
use crate::settings::Settings;
use crate::trusted_publishing::claims::Claims;

use super::template::{Facts, known};

/// Longest file of an event that is read, in bytes. That of a pull request has some 30 kB.
const LONGEST_EVENT: u64 = 4 * 1024 * 1024;

/// What the user chose.
pub fn of_settings(settings: &Settings) -> Facts {
    known(vec![
        ("user", Some(sanitize_line(&settings.user))),
        ("audience", Some(sanitize_line(&settings.audience))),
        ("service", Some(settings.service.configured_endpoint().without_query())),
        ("id token variable", Some(settings.id_token_variable.clone())),
    ])
}

/// What the ID token says, under the names that nuget.org's forms for policies have.
pub fn of_claims(claims: &Claims) -> Facts {
    let repository = claims.text("repository").unwrap_or_default();
    let project = claims.text("project_path").unwrap_or_default();
    known(vec![
        ("repository owner", claims.text("repository_owner")),
        ("repository", repository.split_once('/').map(|(_, name)| name.to_owned())),
        ("namespace path", claims.text("namespace_path")),
        ("project path", project.rsplit_once('/').map(|(_, name)| name.to_owned())),
        ("ref type", claims.text("ref_type").filter(|_| !project.is_empty())),
        ("workflow", claims.workflow()),
        ("caller", claims.caller()),
        ("environment", claims.text("environment")),
        ("event", claims.text("event_name")),
        ("ref", claims.text("ref")),
        ("issuer", claims.text("iss")),
    ])
}

/// Where this is, as far as an advice depends on it.
pub fn of_place(place: Ci) -> Facts {
    known(vec![("gitlab", (place == Ci::GitLab).then(String::new))])
}

/// What GitHub's runner says of the run: who started it, and whether from a fork.
pub fn of_run(environment: &Environment<'_>) -> Facts {
    let text = |name| environment.shown(name);
    let event = text("GITHUB_EVENT_NAME").unwrap_or_default();
    let fork = fork(environment).filter(|_| event.starts_with("pull_request") && event != "pull_request_target");
    known(vec![("actor", text("GITHUB_ACTOR")), ("fork", fork), ("quoted event", Some(format!("'{event}'")))])
}

/// The repository that this run's pull request comes from, by the file with the event; none that is the base itself.
fn fork(environment: &Environment<'_>) -> Option<String> {
    // Not a pipe, which would be waited for.
    let path = environment.path("GITHUB_EVENT_PATH").filter(|path| path.is_file())?;
    let mut json = Vec::new();
    File::open(path).ok()?.take(LONGEST_EVENT).read_to_end(&mut json).ok()?;
    fork_of(&json)
}

/// The repository that a pull request comes from, if it is another one; from the event's JSON.
pub fn fork_of(event: &[u8]) -> Option<String> {
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

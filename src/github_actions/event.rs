//! What started a run, by the variables and the event file of GitHub's runner.

use std::fs::File;
use std::io::Read;

use serde::Deserialize;

use crate::environment::Environment;
use crate::sanitize::sanitize_line;

/// Longest file of an event that is read, in bytes. That of a pull request has some 30 kB.
const LONGEST_EVENT: u64 = 4 * 1024 * 1024;

/// What started a run, safe to show.
#[derive(Default)]
pub(crate) struct RunStart {
    /// Who started it.
    pub(crate) actor: Option<String>,
    /// The name of the event, possibly empty.
    pub(crate) event: String,
    /// The repository that its pull request comes from, if it is another one.
    pub(crate) fork: Option<String>,
}

impl RunStart {
    pub(crate) fn from_environment(environment: &Environment<'_>) -> RunStart {
        let event = environment.shown("GITHUB_EVENT_NAME").unwrap_or_default();
        let is_fork_possible = event.starts_with("pull_request") && event != "pull_request_target";
        let fork = if is_fork_possible { fork(environment) } else { None };
        RunStart { actor: environment.shown("GITHUB_ACTOR"), event, fork }
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

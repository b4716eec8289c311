//! The options of a migration, and the plan that results.

use crate::edits::Edit;
use crate::model::File;
use crate::permissions::Block;

/// What the user decides.
pub struct Options<'o> {
    /// The value of the login's input `user`.
    pub user: &'o str,
    /// The action that logs in, with its version; a comment can follow.
    pub uses: &'o str,
    /// An environment for the publishing jobs that have none.
    pub environment: Option<&'o str>,
    /// Whether pushes to an unknown target go to nuget.org.
    pub assume_nuget_org: bool,
    /// Reads a file of the repository.
    pub read: &'o dyn Fn(&str) -> Option<String>,
}

/// What is to be done in all files.
#[derive(Debug, Default)]
pub struct Plan<'a> {
    pub files: Vec<FilePlan<'a>>,
    /// Secrets that nothing uses after the edits.
    pub secrets_to_delete: Vec<String>,
    /// Environments that edited jobs had before, as written: the secrets can belong to them.
    pub environments: Vec<String>,
    pub policies: Vec<Policy>,
}

#[derive(Debug)]
pub struct FilePlan<'a> {
    pub file: &'a File,
    pub edits: Vec<Edit>,
    /// The text after the edits; none if there are none.
    pub edited: Option<String>,
    pub jobs: Vec<JobPlan>,
    pub notes: Vec<Note>,
}

#[derive(Debug, Default)]
pub struct JobPlan {
    pub job: String,
    pub edited: bool,
    /// Lines of the expressions that go.
    pub expressions: Vec<usize>,
    pub secrets: Vec<String>,
    pub permissions: Option<Permissions>,
    pub by_hand: Vec<ByHand>,
    pub(super) environment: Option<String>,
    pub(super) had_environment: bool,
    pub(super) logs_in: bool,
}

/// The permissions of a job after the edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permissions {
    All(String),
    Block(Block),
}

/// What nuget-login does not edit, and what to do there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    pub line: usize,
    pub code: &'static str,
    pub message: String,
    pub fix: String,
    /// YAML to paste.
    pub yaml: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    pub line: usize,
    pub code: &'static str,
    pub message: String,
}

/// A trust policy to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub file: String,
    pub environment: Option<String>,
}

//! A finding, and the report that collects them.

use crate::login::{Project, ProjectJob};
use crate::model::{File, Job, Place};
use crate::permissions::{OfCalled, of_called};

/// Errors make a login or a release fail; notes do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Note,
}

macro_rules! codes {
    ($($severity:ident $name:ident $text:literal)*) => {
        /// What a finding is about. `docs/check.md` has a section for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($name),* }

        impl Code {
            /// For the tests: each has to be documented.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity),* }
            }
        }
    };
}

codes! {
    Error NotYaml "not-yaml"
    Error UnreadableFile "unreadable-file"
    Error InvalidWorkflow "invalid-workflow"
    Error NoIdTokenPermission "no-id-token-permission"
    Error CallerLacksIdToken "caller-lacks-id-token"
    Error CallerLacksPermissions "caller-lacks-permissions"
    Error MissingUser "missing-user"
    Error EmailUser "email-user"
    Error ForbiddenEvent "forbidden-event"
    Error ForeignReusableWorkflow "foreign-reusable-workflow"
    Error KeyNotUsed "key-not-used"
    Error WrongReference "wrong-reference"
    Error KeyCrossesJobs "key-crosses-jobs"
    Error StoredKey "stored-key"
    Error StepsNotAvailable "steps-not-available"
    Error ContextNotAvailable "context-not-available"
    Error EmptyVariable "empty-variable"
    Error KeyAlwaysEmpty "key-always-empty"
    Error ConflictingInputs "conflicting-inputs"
    Error NoLogin "no-login"
    Error ReleaseNeedsContentsWrite "release-needs-contents-write"
    Note NoContentsPermission "no-contents-permission"
    Note BuildBetween "build-between"
    Note KeyInScript "key-in-script"
    Note MatrixLogin "matrix-login"
    Note Unpinned "unpinned"
    Note SkipDuplicate "skip-duplicate"
    Note UserFromSecret "user-from-secret"
    Note LoginOnPullRequest "login-on-pull-request"
    Note CalledWorkflow "called-workflow"
}

/// An instruction, and YAML to paste where that is the fix.
#[derive(Debug, Clone)]
pub struct Fix {
    pub text: String,
    pub yaml: Option<String>,
}

impl Fix {
    pub(super) fn text(text: impl Into<String>) -> Fix {
        Fix { text: text.into(), yaml: None }
    }

    pub(super) fn paste(text: impl Into<String>, yaml: impl Into<String>) -> Fix {
        Fix { text: text.into(), yaml: Some(yaml.into()) }
    }
}

/// A mistake, or a note, at its place.
#[derive(Clone)]
pub struct Finding<'p, 'a> {
    pub code: Code,
    pub place: Place<'a>,
    /// The job that it is in.
    pub job: Option<ProjectJob<'p, 'a>>,
    /// Untrusted, as everything from a file.
    pub message: String,
    pub fixes: Vec<Fix>,
}

pub(super) struct Report<'p, 'a> {
    pub(super) project: &'p Project<'a>,
    /// The job that is looked at.
    pub(super) job: Option<ProjectJob<'p, 'a>>,
    pub(super) findings: Vec<Finding<'p, 'a>>,
    /// The file and the line of the last finding of each code.
    last: Vec<(Code, *const File, usize)>,
    /// The inputs of the workflow whose callers were checked, and whether the login is for nuget.org.
    pub(super) inputs: Vec<(String, bool)>,
    /// What workflows that are called have to get, by their paths.
    called: Vec<(&'a str, OfCalled)>,
}

impl<'p, 'a> Report<'p, 'a> {
    pub(super) fn new(project: &'p Project<'a>) -> Report<'p, 'a> {
        Report { project, job: None, findings: Vec::new(), last: Vec::new(), inputs: Vec::new(), called: Vec::new() }
    }

    pub(super) fn add(&mut self, code: Code, place: Place<'a>, message: impl AsRef<str>, fix: Fix) {
        self.add_with_fixes(code, place, message.as_ref(), vec![fix]);
    }

    pub(super) fn add_with_fixes(&mut self, code: Code, place: Place<'a>, message: &str, fixes: Vec<Fix>) {
        // Each line has a finding once: one line can be the whole file.
        let line = (std::ptr::from_ref(place.file), place.line());
        if self.last.contains(&(code, line.0, line.1)) {
            return;
        }
        self.last.retain(|(it, ..)| *it != code);
        self.last.push((code, line.0, line.1));
        self.findings.push(Finding { code, place, job: self.job, message: message.to_owned(), fixes });
    }

    /// What the workflow that a job calls has to get.
    pub(super) fn of_called(&mut self, job: &Job<'a>) -> &OfCalled {
        let path = job.uses().map_or("", |(node, _)| node.text().unwrap_or_default());
        let known = self.called.iter().position(|(it, _)| *it == path);
        let nth = known.unwrap_or_else(|| {
            self.called.push((path, of_called(self.project, job)));
            self.called.len() - 1
        });
        &self.called[nth].1
    }
}

/// A name from a file in backticks.
pub(super) fn in_backticks(name: &str) -> String {
    format!("`{name}`")
}

//! The process's environment, read through one interface that tests can replace.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::sanitize::sanitize_line;
use crate::text::{Text, text};

/// The variables that the program was started with.
pub struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

/// A variable whose value is not Unicode. The value is not shown: it can be a secret.
#[derive(Debug)]
pub struct NotUnicode(pub String);

impl NotUnicode {
    pub(crate) fn fact(&self) -> Text {
        text!("the environment variable {} is not valid UTF-8", self.0)
    }
}

impl<'a> Environment<'a> {
    /// `look_up` is `std::env::var_os` outside tests.
    pub fn new(look_up: &'a dyn Fn(&str) -> Option<OsString>) -> Environment<'a> {
        Environment(look_up)
    }

    /// The value of `name` without surrounding white space; `None` if it is unset, empty or blank, since an action
    /// sets inputs that were not given to empty.
    pub fn text(&self, name: &str) -> Result<Option<String>, NotUnicode> {
        let Some(value) = (self.0)(name) else { return Ok(None) };
        let value = value.into_string().map_err(|_| NotUnicode(name.to_owned()))?;
        Ok(given(&value))
    }

    /// The value of `name` in one line that is safe to show; `None` as for [`Environment::text`], and where it is not Unicode.
    pub fn shown(&self, name: &str) -> Option<String> {
        self.text(name).ok().flatten().map(|text| sanitize_line(&text))
    }

    /// The path in `name`, whatever it is made of; `None` if it is unset, empty or blank.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        (self.0)(name).filter(|path| !path.to_string_lossy().trim().is_empty()).map(PathBuf::from)
    }

    /// Whether the value of `name` is exactly this.
    pub fn is(&self, name: &str, value: &str) -> bool {
        (self.0)(name).is_some_and(|it| it == value)
    }

    /// Whether the variables of both GitHub Actions and GitLab CI are set.
    pub fn is_of_both(&self) -> bool {
        self.is("GITHUB_ACTIONS", "true") && self.is("GITLAB_CI", "true")
    }

    /// Whether a runner started this job, and not a person with a sandbox: runners set both of these in every step.
    pub fn has_runner(&self) -> bool {
        ["RUNNER_OS", "GITHUB_RUN_ID"].into_iter().any(|variable| (self.0)(variable).is_some())
    }

    /// A CI system that nuget.org has no trust policy for, by a variable that it sets.
    pub(crate) fn other_ci(&self) -> Option<&'static str> {
        const OTHERS: [(&str, &str); 4] = [
            ("TF_BUILD", "Azure DevOps"),
            ("APPVEYOR", "AppVeyor"),
            ("CIRCLECI", "CircleCI"),
            ("JENKINS_URL", "Jenkins"),
        ];
        OTHERS.into_iter().find(|(variable, _)| self.path(variable).is_some()).map(|(_, name)| name)
    }

    /// The CI system, by `GITHUB_ACTIONS` and `GITLAB_CI` only: anything can export the token variables. GitHub wins, since
    /// its runner would read what is printed.
    pub fn ci(&self) -> Ci {
        if self.is("GITHUB_ACTIONS", "true") {
            Ci::GitHubActions
        } else if self.is("GITLAB_CI", "true") {
            Ci::GitLab
        } else {
            Ci::None
        }
    }
}

/// The CI system that the program runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ci {
    /// GitHub Actions, whose runner reads commands from what is printed.
    GitHubActions,
    /// GitLab CI.
    GitLab,
    /// None that is known.
    None,
}

/// What was given: `value` without surrounding white space, `None` if nothing is left.
pub fn given(value: &str) -> Option<String> {
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_owned())
}

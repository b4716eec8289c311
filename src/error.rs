//! Everything that can end the program with another exit code than 0.

use std::io;

use crate::github_actions::log::NOT_MASKED;
use crate::github_actions::output_file::OutputFileError;
use crate::http::SetupError;
use crate::repository::RepositoryError;
use crate::settings::UsageError;
use crate::text::{Text, Words, text};
use crate::trusted_publishing::id_token::IdTokenSourceError;
use crate::trusted_publishing::login::LoginError;
use crate::trusted_publishing::obstacle::Obstacle;
use crate::trusted_publishing::verify_key::PushError;

#[derive(Debug)]
pub(crate) enum Error {
    Usage(UsageError),
    /// The job has no ID token and cannot request one.
    IdTokenSource(IdTokenSourceError),
    /// The HTTP client cannot be set up.
    Setup(SetupError),
    OutputFile(OutputFileError),
    Login(LoginError),
    /// The API key of a check cannot push the package.
    Push(PushError),
    /// The command of `exec` cannot be run. Its arguments are not shown: they can contain a secret.
    Command {
        program: String,
        cause: String,
        exit_code: u8,
    },
    /// A credential cannot be masked.
    NotMasked(io::Error),
    /// No trust policy can match the job.
    Obstacle(Obstacle),
    /// The repository of a job is not known, for this reason.
    UnknownJob(Text),
    Repository(RepositoryError),
    /// No workflow file can be checked, for this reason.
    NothingToCheck(Text),
    /// A file whose path was given cannot be read.
    UnreadablePath {
        path: String,
        cause: io::Error,
    },
    /// The folder with the repository's workflow files cannot be read.
    UnreadableWorkflows(io::Error),
    /// No workflow file can be migrated, for this reason.
    NothingToMigrate(Text),
    /// A migrated workflow file cannot be written.
    NotWritten {
        file: String,
        cause: io::Error,
    },
    /// The repository is on a host that trusted publishing does not support.
    UnknownHost {
        host: String,
    },
    NotPrinted(io::Error),
}

impl Error {
    pub(crate) fn fact(&self) -> Text {
        match self {
            Error::Usage(error) => error.fact(),
            Error::IdTokenSource(error) => error.fact(),
            Error::Setup(error) => error.fact(),
            Error::OutputFile(error) => error.fact(),
            Error::Login(error) => error.cause.fact(),
            Error::Push(error) => error.fact(),
            Error::Command { program, cause, .. } => text!("the command `{}` cannot be run: {}", program, cause),
            Error::NotMasked(error) => text!("{}: {}", Words(NOT_MASKED), error.to_string()),
            Error::Obstacle(obstacle) => obstacle.fact(),
            Error::UnknownJob(why) => text!("the repository of this job is unknown: {}", why),
            Error::Repository(error) => error.fact(),
            Error::NothingToCheck(why) => text!("no workflow can be checked: {}", why),
            Error::UnreadablePath { path, cause } => text!("{} cannot be read: {}", path, cause.to_string()),
            Error::UnreadableWorkflows(cause) => {
                text!("the folder .github/workflows cannot be read: {}", cause.to_string())
            }
            Error::NothingToMigrate(why) => text!("no workflow can be migrated: {}", why),
            Error::NotWritten { file, cause } => text!("{} cannot be written: {}", file, cause.to_string()),
            Error::UnknownHost { host } => {
                text!("the remote `origin` is on {}, for which nuget.org has no trust policy", host)
            }
            Error::NotPrinted(error) => text!("the output cannot be printed: {}", error.to_string()),
        }
    }

    /// The exit code: 1 for a failure, 2 for wrong usage, a shell's own for a command that cannot be run.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) | Error::NothingToCheck(_) | Error::NothingToMigrate(_) | Error::UnreadablePath { .. } => 2,
            Error::Command { exit_code, .. } => *exit_code,
            _ => 1,
        }
    }
}

/// `?` for the errors that are a variant of [`Error`] as they are.
macro_rules! from {
    ($($variant:ident($error:ty)),* $(,)?) => {$(
        impl From<$error> for Error {
            fn from(error: $error) -> Error {
                Error::$variant(error)
            }
        }
    )*};
}

from! {
    Usage(UsageError),
    IdTokenSource(IdTokenSourceError),
    Setup(SetupError),
    OutputFile(OutputFileError),
    Login(LoginError),
    Push(PushError),
    Repository(RepositoryError),
}

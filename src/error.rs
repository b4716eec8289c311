//! Everything that can end the program with another exit code than 0.

use std::io;

use crate::github_actions::log::NOT_MASKED;
use crate::github_actions::output_file::OutputFileError;
use crate::http::SetupError;
use crate::repository::RepositoryError;
use crate::settings::UsageError;
use crate::trusted_publishing::id_token::IdTokenSourceError;
use crate::trusted_publishing::login::LoginError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The job has no ID token and cannot request one.
    #[error(transparent)]
    IdTokenSource(#[from] IdTokenSourceError),
    /// The HTTP client cannot be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error(transparent)]
    OutputFile(#[from] OutputFileError),
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The command of `exec` cannot be run. Its arguments are not shown: they may contain anything.
    #[error("the command '{program}' cannot be run: {cause}")]
    Command { program: String, cause: String, exit_code: u8 },
    /// A credential cannot be masked.
    #[error("{NOT_MASKED}: {0}")]
    NotMasked(io::Error),
    /// Nothing tells which policy a job needs; `known_by` reads on from `job`.
    #[error(
        "nothing is known of {job}, {known_by}. Give it an ID token: in GitHub Actions by `permissions: id-token: \
         write`, in GitLab CI by `id_tokens:`"
    )]
    UnknownJob { job: String, known_by: String },
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The repository is on a host that trusted publishing does not support.
    #[error(
        "the remote `origin` is at {host}: nuget.org knows jobs of github.com and gitlab.com only (an alias in the \
         configuration of ssh is not looked up)"
    )]
    UnknownHost { host: String },
    #[error("the answer can't be printed: {0}")]
    NotPrinted(io::Error),
}

impl Error {
    /// The exit code: 1 for a failure, 2 for wrong usage, a shell's own for a command that cannot be run.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Command { exit_code, .. } => *exit_code,
            _ => 1,
        }
    }
}

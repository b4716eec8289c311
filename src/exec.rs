//! The command that gets the key, in its environment and nowhere else.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use crate::outside::one_line;
use crate::secret::Secret;

/// The command can't be run. Its arguments are not shown: they may hold anything.
#[derive(Debug, thiserror::Error)]
#[error("the command '{program}' can't be run: {cause}")]
pub struct ExecError {
    program: String,
    cause: io::Error,
}

impl ExecError {
    /// The exit code that a shell has for this: 127 for a command that is not there, 126 for one that can't be started.
    pub fn code(&self) -> u8 {
        if self.cause.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
    }
}

/// Runs `command` with the key as `NUGET_API_KEY`, and ends with its exit code; returns only if it can't be run. On Unix
/// this program becomes the command, so that nothing stands between it and its signals.
pub fn exec(command: &[OsString], api_key: &Secret) -> ExecError {
    let (program, arguments) = command.split_first().expect("clap asks for one at least");
    let mut command = Command::new(program);
    command.args(arguments).env("NUGET_API_KEY", api_key.reveal());
    ExecError { program: one_line(&program.to_string_lossy()), cause: run(&mut command) }
}

#[cfg(unix)]
fn run(command: &mut Command) -> io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

#[cfg(not(unix))]
fn run(command: &mut Command) -> io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

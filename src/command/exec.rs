//! The command that gets the key, in its environment and nowhere else.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;
use crate::sanitize::sanitize_line;
use crate::secret::Secret;
use crate::settings::{API_KEY_VARIABLE, SYMBOL_API_KEY_VARIABLE};

/// Where commands are without a PATH, as in musl.
const DEFAULT_PATH: &str = if cfg!(unix) { "/usr/local/bin:/bin:/usr/bin" } else { "" };
/// A shell's exit code for a command that was found, but cannot be run.
const NOT_EXECUTABLE: u8 = 126;
/// A shell's exit code for a command that was not found.
const NOT_FOUND: u8 = 127;

fn error(program: &OsStr, exit_code: u8, cause: impl ToString) -> Error {
    // A whole command line in quotes is a common mistake, and has arguments; so is a variable or a URL in its place.
    let program = sanitize_line(&program.to_string_lossy());
    let name = program.split([' ', '?', '=']).next().unwrap_or_default();
    let program = if name.len() < program.len() { format!("{name}…") } else { program };
    Error::Command { program, cause: cause.to_string(), exit_code }
}

/// Finds the executable of `command` as a shell does: a bare name on PATH only, on Windows with the extensions of
/// PATHEXT. (Windows itself would search its own folders first, and add `.exe` only.)
pub(crate) fn find(command: &[OsString]) -> Result<PathBuf, Error> {
    let (program, arguments) = command.split_first().expect("clap asks for one at least");
    let path = env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let is_bare = Path::new(program).parent() == Some(Path::new(""));
    let mut exists = false;
    for candidate in executables(program, is_bare, &path) {
        if is_batch_file_with_line_break(&candidate, arguments) {
            let cause = "a batch file cannot take an argument with a line break";
            return Err(error(program, NOT_EXECUTABLE, cause));
        }
        if can_be_started(&candidate) {
            return Ok(candidate);
        }
        exists = true;
    }
    exists |= match is_bare {
        // An empty entry is the current folder on Unix, and nothing on Windows.
        true => env::split_paths(&path)
            .filter(|folder| cfg!(unix) || !folder.as_os_str().is_empty())
            .any(|folder| folder.join(program).is_file()),
        false => Path::new(program).exists(),
    };
    Err(match (exists, is_bare) {
        (true, _) => error(program, NOT_EXECUTABLE, "it is not executable"),
        (false, true) => error(program, NOT_FOUND, "it was not found on PATH"),
        (false, false) => error(program, NOT_FOUND, "it does not exist"),
    })
}

/// The executables that a name can mean, in their order. An empty folder of PATH is the current one.
#[cfg(unix)]
fn executables(program: &OsStr, is_bare: bool, path: &OsStr) -> impl Iterator<Item = PathBuf> {
    use rustix::fs::{Access, access};
    let folders = Vec::from_iter(env::split_paths(path).filter(|_| is_bare).map(|folder| Path::new(".").join(folder)));
    let named = (!is_bare).then(|| PathBuf::from(program));
    let paths = folders.into_iter().map(move |folder| folder.join(program)).chain(named);
    paths.filter(|path| path.is_file() && access(path, Access::EXEC_OK).is_ok())
}

/// By PATHEXT. Relative folders stay relative, so that the current folder's name is not needed.
#[cfg(windows)]
fn executables(program: &OsStr, _: bool, path: &OsStr) -> impl Iterator<Item = PathBuf> {
    let search = which::WhichConfig::new().binary_name(program.to_owned());
    search.custom_path_list(path.to_owned()).custom_cwd(".".into()).all_results().into_iter().flatten()
}

#[cfg(unix)]
fn can_be_started(_: &Path) -> bool {
    true
}

/// Only a file without an extension was looked into. PATHEXT also names files that are not programs (`.JS`).
#[cfg(windows)]
fn can_be_started(executable: &Path) -> bool {
    use which::sys::{RealSys, Sys};
    has_extension(executable, &["exe", "com", "cmd", "bat"]) || RealSys.is_valid_executable(executable).is_ok()
}

/// Whether the standard library refuses to start `candidate`: no line break reaches a batch file.
fn is_batch_file_with_line_break(candidate: &Path, arguments: &[OsString]) -> bool {
    let has_line_break = |it: &OsString| it.as_encoded_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n'));
    cfg!(windows) && has_extension(candidate, &["cmd", "bat"]) && arguments.iter().any(has_line_break)
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    path.extension().is_some_and(|extension| extensions.iter().any(|it| extension.eq_ignore_ascii_case(it)))
}

/// Runs `command`, whose executable is `program`, with the key as `NUGET_API_KEY`, and ends with its exit code; returns
/// only if it cannot be run. On Unix this program becomes the command, so that it gets its
/// signals itself.
pub(crate) fn exec(program: &Path, command: &[OsString], api_key: &Secret) -> Error {
    let (name, arguments) = command.split_first().expect("clap asks for one at least");
    let with_key = |mut command: Command, name| {
        // An old key for symbol packages would win over the new one.
        command.args(arguments).env(API_KEY_VARIABLE, api_key.reveal()).env_remove(SYMBOL_API_KEY_VARIABLE);
        run(command, name)
    };
    let cause = with_key(Command::new(program), name);
    // The shell by the name `sh`: busybox becomes the program that it is called by.
    let cause = if is_plain_script(&cause) { with_key(shell(program), "sh".as_ref()) } else { cause };
    let exit_code = if cause.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
    error(name, exit_code, cause)
}

/// ENOEXEC of Linux and macOS: a script without an interpreter line.
const NO_INTERPRETER: i32 = 8;

/// Whether a program cannot be started since it is a script without an interpreter line.
fn is_plain_script(error: &io::Error) -> bool {
    cfg!(unix) && error.raw_os_error() == Some(NO_INTERPRETER)
}

/// The shell that runs such a script (POSIX, `execvp`).
fn shell(script: &Path) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg(script);
    shell
}

#[cfg(unix)]
fn run(mut command: Command, name: &OsStr) -> io::Error {
    use std::os::unix::process::CommandExt;
    command.arg0(name).exec()
}

#[cfg(windows)]
fn run(mut command: Command, _: &OsStr) -> io::Error {
    use tokio::signal::windows::{ctrl_break, ctrl_c};
    // The console sends both to the command too, which can go on. While they are listened to, they do not end this
    // program.
    let _listeners = (ctrl_c(), ctrl_break());
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

//! The files that the runner reads after a step: names and values in GITHUB_OUTPUT and GITHUB_ENV.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::random::random;
use crate::sanitize::sanitize_line;
use crate::text::{Text, Words, text};

/// A file of the runner's that takes names and values: GITHUB_OUTPUT or GITHUB_ENV. Tried before anything is sent.
pub(crate) struct OutputFile {
    variable: &'static str,
    path: PathBuf,
}

/// The API key cannot be written for later steps. `variable` names the file.
#[derive(Debug)]
pub(crate) enum OutputFileError {
    /// The variable is unset, empty or blank.
    Unset { variable: &'static str },
    /// The file cannot be opened, or is not a regular file (a key written to a terminal or a pipe would be shown).
    Unusable { variable: &'static str, path: PathBuf, cause: io::Error },
    /// It could not be written.
    Unwritten { variable: &'static str, cause: io::Error },
}

impl OutputFileError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            OutputFileError::Unset { variable } => {
                text!("the API key cannot be passed to later steps: {} is unset", Words(variable))
            }
            OutputFileError::Unusable { variable, path, cause } => text!(
                "the API key cannot be passed to later steps: the file {} (set in {}) cannot be written: {}",
                sanitize_line(&path.to_string_lossy()),
                Words(variable),
                cause.to_string()
            ),
            OutputFileError::Unwritten { variable, cause } => text!(
                "the API key cannot be passed to later steps: the file in {} cannot be written: {}",
                Words(variable),
                cause.to_string()
            ),
        }
    }
}

impl OutputFile {
    /// Opens the file that the runner made for this step, and named in `variable`. It is not created: a runner that did
    /// not make it would not read it.
    pub(crate) fn open(variable: &'static str, environment: &Environment<'_>) -> Result<OutputFile, OutputFileError> {
        let path = environment.path(variable).ok_or(OutputFileError::Unset { variable })?;
        match open(&path) {
            Ok(_) => Ok(OutputFile { variable, path }),
            Err(cause) => Err(OutputFileError::Unusable { variable, path, cause }),
        }
    }

    /// Appends records in one write, so that a step that is killed leaves all of them or none; after an error the file
    /// is as it was. A value cannot end its record or begin another: the delimiter is random, and not in the value.
    pub(crate) fn append(&self, records: &[(&str, &str)]) -> Result<Appended, OutputFileError> {
        self.try_append(records).map_err(|cause| OutputFileError::Unwritten { variable: self.variable, cause })
    }

    fn try_append(&self, records: &[(&str, &str)]) -> io::Result<Appended> {
        let mut text = String::new();
        for (name, value) in records {
            let delimiter = loop {
                let delimiter = format!("ghadelimiter_{:016x}{:016x}", random(), random());
                if !value.contains(&delimiter) {
                    break delimiter;
                }
            };
            text.push_str(&format!("{name}<<{delimiter}\n{value}\n{delimiter}\n"));
        }
        // Opened once more: the runner reads the file that is there in the end.
        append(&self.path, "\n", &text)
    }
}

/// Appends a text to a file that the runner made, in one write, after `separator` if the last line is unfinished; after an
/// error the file is as it was.
pub(crate) fn append(path: &Path, separator: &str, text: &str) -> io::Result<Appended> {
    let mut file = open(path)?;
    let start = if ends_with_newline(&mut file)? { "" } else { separator };
    let appended = Appended { path: path.to_owned(), before: file.metadata()?.len() };
    match file.write_all(format!("{start}{text}").as_bytes()) {
        Ok(()) => Ok(appended),
        Err(error) => {
            // Half of it can be there, where a disk is full.
            appended.undo();
            Err(error)
        }
    }
}

/// A text that was appended.
pub(crate) struct Appended {
    path: PathBuf,
    /// The length of the file before, in bytes.
    before: u64,
}

impl Appended {
    /// Makes the file what it was before. If this fails, there is nothing left to try.
    pub(crate) fn undo(self) {
        // Opened again: on Windows a file that is open for appending cannot be shortened.
        let _ = OpenOptions::new().write(true).open(self.path).and_then(|file| file.set_len(self.before));
    }
}

/// Opens a file that the runner made, to be appended to.
fn open(path: &Path) -> io::Result<File> {
    // Before opening, which would wait forever for the reader of a pipe.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    OpenOptions::new().read(true).append(true).open(path)
}

/// Whether the next record begins on a line of its own.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

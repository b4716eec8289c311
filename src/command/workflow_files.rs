//! The workflow files of a repository, and the local actions and workflows that they use, read from disk.

use std::collections::BinaryHeap;
use std::fs::{self, File as OpenFile};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::sanitize::sanitize_line;
use workflow::model::{File, can_log_in, local_uses};
use workflow::yaml::{Document, YamlError};

/// Longest file that is read, in bytes. GitHub accepts workflow files of up to 512 KiB.
const LONGEST: u64 = 1024 * 1024;

/// The most local actions and workflows that are followed.
const MOST_FILES: usize = 1_000;

const WORKFLOWS: &str = ".github/workflows";

/// What was read.
#[derive(Default)]
pub(crate) struct WorkflowFiles {
    pub(crate) files: Vec<File>,
    pub(crate) refused: Vec<Refused>,
    /// The number of files that are read: those that were asked for, and those that they use.
    pub(crate) checked: usize,
}

/// A file that cannot be read or is not YAML.
pub(crate) struct Refused {
    pub(crate) path: String,
    pub(crate) error: RefusedError,
    /// The line that the error is in.
    pub(crate) line: String,
}

pub(crate) enum RefusedError {
    Yaml(YamlError),
    Unreadable(String),
}

impl Refused {
    /// Why it is not read, as one line that is safe to show.
    pub(crate) fn message(&self) -> String {
        let (what, why) = match &self.error {
            RefusedError::Yaml(error) => ("the file is not valid YAML", &error.reason),
            RefusedError::Unreadable(why) => ("the file cannot be read", why),
        };
        format!("{what}: {}", sanitize_line(why))
    }

    /// The line of the error, if it is in one.
    pub(crate) fn line_number(&self) -> Option<usize> {
        match &self.error {
            RefusedError::Yaml(error) => Some(error.line),
            RefusedError::Unreadable(_) => None,
        }
    }
}

impl WorkflowFiles {
    /// Reads all workflows of the repository in `root`.
    pub(crate) fn of_repository(root: &Path) -> Result<WorkflowFiles, Error> {
        let entries = match fs::read_dir(root.join(WORKFLOWS)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(WorkflowFiles::default()),
            Err(error) => return Err(Error::UnreadableWorkflows(error)),
        };
        // Sorted by a heap, whose code is small.
        let mut names = BinaryHeap::new();
        for entry in entries {
            let path = entry.map_err(Error::UnreadableWorkflows)?.path();
            let is_yaml = path.extension().is_some_and(|it| it == "yml" || it == "yaml");
            // A link can lead to an endless device, and git keeps workflows as files.
            if is_yaml && fs::symlink_metadata(&path).is_ok_and(|it| it.is_file()) {
                names.extend(path.file_name().map(ToOwned::to_owned));
            }
        }
        let (mut files, found) = (WorkflowFiles::default(), names.len());
        for name in names.into_sorted_vec() {
            files.add(format!("{WORKFLOWS}/{}", name.to_string_lossy()), read(&root.join(WORKFLOWS).join(&name)));
        }
        files.checked = found - files.refused.len();
        files.follow(root);
        Ok(files)
    }

    /// Reads the files that were named, in a repository or not.
    pub(crate) fn named(paths: &[PathBuf], root: &Path) -> Result<WorkflowFiles, Error> {
        let mut files = WorkflowFiles::default();
        let root = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
        for path in paths {
            let failed = |cause| Error::UnreadablePath { path: sanitize_line(&path.to_string_lossy()), cause };
            // A pipe or a device can be endless.
            if !fs::metadata(path).map_err(failed)?.is_file() {
                return Err(failed(io::Error::other("it is not a file")));
            }
            let absolute = fs::canonicalize(path).map_err(failed)?;
            let inside = absolute
                .strip_prefix(&root)
                .ok()
                .map(|inside| inside.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"));
            let name = inside.unwrap_or_else(|| path.to_string_lossy().into_owned());
            if !files.has(&name) {
                files.add(name, Ok(read(path).map_err(failed)?));
                files.checked += 1;
            }
        }
        files.checked -= files.refused.len();
        files.follow(&root);
        Ok(files)
    }

    /// Adds the files that are not here.
    pub(crate) fn join(&mut self, others: WorkflowFiles) {
        for file in others.files {
            if !self.has(&file.path) {
                self.files.push(file);
            }
        }
        for refused in others.refused {
            if !self.has(&refused.path) {
                self.refused.push(refused);
            }
        }
    }

    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path) || self.refused.iter().any(|file| file.path == path)
    }

    pub(crate) fn add(&mut self, path: String, bytes: io::Result<Vec<u8>>) {
        let refused = |error, line: &str| Refused { path: path.clone(), error, line: line.to_owned() };
        let unreadable = |why: String| refused(RefusedError::Unreadable(why), "");
        let text = match bytes {
            Ok(bytes) if bytes.len() as u64 > LONGEST => {
                return self.refused.push(unreadable("it is larger than 1 MiB".to_owned()));
            }
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(_) => return self.refused.push(unreadable("it is not UTF-8".to_owned())),
            },
            Err(error) => return self.refused.push(unreadable(error.to_string())),
        };
        let lines = text.clone();
        match Document::parse(text) {
            // The other workflows only have to be valid YAML: they are not kept in memory. What an action needs can matter.
            Ok(document) if can_log_in(&document.text) || !path.starts_with(WORKFLOWS) => {
                self.files.push(File { path, document });
            }
            Ok(_) => {}
            Err(error) => {
                let line = lines.lines().nth(error.line - 1).unwrap_or_default();
                self.refused.push(refused(RefusedError::Yaml(error), line));
            }
        }
    }

    /// Reads the local actions and workflows that the files use, and those that these use.
    fn follow(&mut self, root: &Path) {
        let mut seen: Vec<String> = Vec::new();
        let mut next = 0;
        while let Some(file) = self.files.get(next) {
            next += 1;
            for path in local_uses(file) {
                if seen.contains(&path) || seen.len() >= MOST_FILES {
                    continue;
                }
                seen.push(path.clone());
                let is_workflow = path.ends_with(".yml") || path.ends_with(".yaml");
                let in_folder = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                let candidates = if is_workflow {
                    vec![path.clone()]
                } else {
                    vec![in_folder("action.yml"), in_folder("action.yaml")]
                };
                // A step of the job can create a file that is not here, or check it out.
                let Some(found) = candidates.into_iter().find(|path| is_file_inside(root, path)) else { continue };
                if !self.has(&found) {
                    let (bytes, refused) = (read(&root.join(&found)), self.refused.len());
                    self.add(found, bytes);
                    self.checked += usize::from(self.refused.len() == refused);
                }
            }
        }
    }
}

/// Whether it is a file without a link in its path: a link can leave the repository.
fn is_file_inside(root: &Path, path: &str) -> bool {
    let mut folder = root.to_owned();
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        folder.push(part);
        let Ok(metadata) = fs::symlink_metadata(&folder) else { return false };
        if parts.peek().is_none() {
            return metadata.is_file();
        }
        if !metadata.is_dir() {
            return false;
        }
    }
    false
}

/// Reads a file: at most one byte more than the limit.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    OpenFile::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

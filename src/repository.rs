//! The git repository of the current folder: its remote, and which of its workflow files log in.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::endpoint::parse_url;
use crate::sanitize::sanitize_line;
use crate::text::{Text, text};

/// Longest workflow file that is read, in bytes. GitHub takes none of more than 512 KiB.
const LONGEST_WORKFLOW: u64 = 1024 * 1024;

/// A repository on a host.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The host's name, in lower case.
    pub(crate) host: String,
    /// The repository's path there: `owner/name`; at GitLab `group/…/project`.
    pub(crate) path: String,
}

/// Nothing is known of the repository.
#[derive(Debug)]
pub(crate) enum RepositoryError {
    NoGit(io::Error),
    /// git's own message.
    Refused(String),
    NotUnicode,
    /// The remote is not shown: it can contain a password.
    NoHost,
    Unreadable(io::Error),
}

impl RepositoryError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            RepositoryError::NoGit(error) => {
                text!("git cannot be run: {}", error.to_string())
            }
            RepositoryError::Refused(message) => {
                text!("git cannot read the repository of this folder: {}", message)
            }
            RepositoryError::NotUnicode => text!("the name of the repository's folder is not valid UTF-8"),
            RepositoryError::NoHost => text!("the remote `origin` is not a repository on a host"),
            RepositoryError::Unreadable(error) => {
                text!("the folder .github/workflows cannot be read: {}", error.to_string())
            }
        }
    }
}

/// The remote `origin` of the current folder's repository.
pub(crate) fn origin() -> Result<Remote, RepositoryError> {
    Remote::parse(&git(&["remote", "get-url", "origin"])?).ok_or(RepositoryError::NoHost)
}

/// The top folder of the current folder's repository.
pub(crate) fn folder() -> Result<PathBuf, RepositoryError> {
    Ok(PathBuf::from(git(&["rev-parse", "--show-toplevel"])?))
}

fn git(arguments: &[&str]) -> Result<String, RepositoryError> {
    let ran = Command::new("git").args(arguments).output().map_err(RepositoryError::NoGit)?;
    if ran.status.success() {
        let printed = String::from_utf8(ran.stdout).map_err(|_| RepositoryError::NotUnicode)?;
        return Ok(printed.trim_end_matches(['\r', '\n']).to_owned());
    }
    Err(RepositoryError::Refused(sanitize_line(&String::from_utf8_lossy(&ran.stderr))))
}

impl Remote {
    /// Takes `https://host/path.git`, `ssh://git@host/path.git` and `git@host:path.git`.
    fn parse(remote: &str) -> Option<Remote> {
        let (host, path) = match parse_url(remote) {
            Ok(url) if url.has_host() => (url.host_str()?.to_owned(), url.path().to_owned()),
            _ => {
                let (host, path) = remote.split_once(':').filter(|(_, path)| !path.starts_with("//"))?;
                let host = host.rsplit('@').next().filter(|host| host.contains('.'))?;
                (host.to_owned(), path.to_owned())
            }
        };
        let host = host.to_lowercase();
        // The names of both for ssh over the port of https.
        let host = ["ssh.", "altssh."].iter().find_map(|start| host.strip_prefix(start)).unwrap_or(&host);
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        // What precedes an `@` can be a password.
        (!host.is_empty() && !host.contains('/') && path.contains('/') && !path.contains('@'))
            .then(|| Remote { host: sanitize_line(host), path: sanitize_line(path) })
    }
}

/// A workflow file that names a login step, and the environments that it names anywhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Workflow {
    /// Its name, without its folder.
    pub(crate) file: String,
    /// Names of environments, in their order.
    pub(crate) environments: Vec<String>,
}

/// The workflow files of the repository in `folder` that log in, by their names. They are read line by line, which is
/// enough to find them, not to understand them.
pub(crate) fn workflows(folder: &Path) -> Result<Vec<Workflow>, RepositoryError> {
    let mut workflows = Vec::new();
    let entries = match fs::read_dir(folder.join(".github/workflows")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(workflows),
        Err(error) => return Err(RepositoryError::Unreadable(error)),
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_yaml = path.extension().is_some_and(|it| it == "yml" || it == "yaml");
        // A link can lead to what never ends; and git keeps workflows as files.
        if !is_yaml || !fs::symlink_metadata(&path).is_ok_and(|it| it.is_file()) {
            continue;
        }
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(LONGEST_WORKFLOW).read_to_end(&mut bytes));
        read.map_err(RepositoryError::Unreadable)?;
        let text = String::from_utf8_lossy(&bytes);
        if logs_in(&text) {
            let file = sanitize_line(&path.file_name().unwrap_or_default().to_string_lossy());
            let at = workflows.partition_point(|other: &Workflow| other.file < file);
            workflows.insert(at, Workflow { file, environments: environments(&text) });
        }
    }
    Ok(workflows)
}

/// The lines that are not empty, without comments: how far each is indented, and its text.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(|line| {
        let said = line.split(" #").next().unwrap_or_default().trim().trim_start_matches("- ");
        (line.len() - line.trim_start().len(), said)
    });
    lines.filter(|(_, said)| !said.is_empty() && !said.starts_with('#'))
}

/// Whether a step uses the action, NuGet/login, or this program.
fn logs_in(text: &str) -> bool {
    let mut lines = lines(text).map(|(_, line)| line.to_ascii_lowercase());
    lines.any(|line| line.contains("nuget/login@") || line.contains("nuget-login"))
}

/// The value of `environment:`, or of `name:` in the block below it.
fn environments(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let lines: Vec<_> = lines(text).collect();
    for (at, (indented, line)) in lines.iter().enumerate() {
        let Some(value) = line.strip_prefix("environment:").map(str::trim) else { continue };
        let value = match value.strip_prefix('{').and_then(|flow| flow.strip_suffix('}')) {
            Some(flow) => flow.split(',').find_map(|part| part.trim().strip_prefix("name:")),
            None if value.is_empty() => {
                let block = lines[at + 1..].iter().take_while(|(deeper, _)| deeper > indented);
                block.map(|(_, line)| line).find_map(|line| line.strip_prefix("name:"))
            }
            None => Some(value),
        };
        let value = value.unwrap_or_default().trim().trim_matches(['"', '\'']);
        if !value.is_empty() && !names.iter().any(|name| name == value) {
            names.push(sanitize_line(value));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remote_is_a_host_and_a_path() {
        for (remote, host, path) in [
            ("https://github.com/contoso/contoso-sdk.git", "github.com", "contoso/contoso-sdk"),
            ("https://user:s3cr3t@GitHub.com/contoso/contoso-sdk/", "github.com", "contoso/contoso-sdk"),
            ("git@github.com:contoso/contoso-sdk.git", "github.com", "contoso/contoso-sdk"),
            ("ssh://git@ssh.github.com:443/contoso/contoso-sdk.git", "github.com", "contoso/contoso-sdk"),
            ("gitlab.com:contoso/sdks/contoso-sdk", "gitlab.com", "contoso/sdks/contoso-sdk"),
        ] {
            assert_eq!(
                Remote::parse(remote),
                Some(Remote { host: host.to_owned(), path: path.to_owned() }),
                "{remote}"
            );
        }
        for remote in [
            "",
            "/srv/contoso.git",
            "../contoso-sdk",
            "file:///srv/contoso.git",
            "https://github.com/",
            "https://%67ithub.com/contoso/x",
            "a:b",
            "github.com:s3cr3t@github.com/contoso/x",
            "https://github.com:443/s3cr3t@github.com/a/b",
            "s3cr3t:x-oauth-basic@github.com/contoso/x",
        ] {
            assert_eq!(Remote::parse(remote), None, "{remote}");
        }
    }

    #[test]
    fn a_workflow_logs_in_where_a_line_other_than_a_comment_says_so() {
        for text in ["- uses: NuGet/login@v1", "  uses: org/nuget-login@abc # v1", "- run: nuget-login exec -- x"] {
            assert!(logs_in(text), "{text}");
        }
        for text in
            ["# uses: NuGet/login@v1", "- uses: docker/login-action@v3", "", "- run: dotnet test # NuGet/login@v1"]
        {
            assert!(!logs_in(text), "{text}");
        }
    }

    #[test]
    fn environments_are_named_in_one_line_or_two() {
        let text =
            "environment: production # by hand\nenvironment:\n  name: 'staging'\n  url: x\n  environment: production\n";
        assert_eq!(environments(text), ["production", "staging"]);
        assert_eq!(environments("environment: \"${{ inputs.target }}\"\n# environment: x\n"), ["${{ inputs.target }}"]);
        assert_eq!(environments("a:\n  environment:\n    url: x\n\n    name: live\n  name: y\n"), ["live"]);
        assert_eq!(environments("environment: { name: live, url: x }\n"), ["live"]);
        assert_eq!(environments("environment:\n  url: x\nname: y\nenvironments: y\n"), Vec::<String>::new());
    }
}

//! The git repository that one stands in: where it is published from, and which of its workflow files log in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use url::Url;

use crate::outside::one_line;

/// Longest workflow file that is read, in bytes. GitHub takes none of more than 512 KiB.
const LONGEST_WORKFLOW: u64 = 1024 * 1024;

/// A repository on a host.
#[derive(Debug, PartialEq, Eq)]
pub struct Remote {
    /// The host's name, in lower case.
    pub host: String,
    /// The repository's path there: `owner/name`; at GitLab `group/…/project`.
    pub path: String,
}

/// Why nothing is known of the repository.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// git is not there.
    #[error("git can't be run: {0}")]
    NoGit(io::Error),
    /// git says no, in its own words.
    #[error("git knows nothing of this repository: {0}")]
    Refused(String),
    /// The remote is no URL of a host. It is not shown: it may hold a password.
    #[error("the remote `origin` is no repository on a host")]
    NoHost,
}

/// The remote `origin` of the repository that one stands in.
pub fn origin() -> Result<Remote, RepositoryError> {
    Remote::parse(&git(&["remote", "get-url", "origin"])?).ok_or(RepositoryError::NoHost)
}

/// Its folder.
pub fn folder() -> Result<PathBuf, RepositoryError> {
    Ok(PathBuf::from(git(&["rev-parse", "--show-toplevel"])?))
}

fn git(arguments: &[&str]) -> Result<String, RepositoryError> {
    let ran = Command::new("git").args(arguments).output().map_err(RepositoryError::NoGit)?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned());
    }
    Err(RepositoryError::Refused(one_line(&String::from_utf8_lossy(&ran.stderr))))
}

impl Remote {
    /// Takes `https://host/path.git`, `ssh://git@host/path.git` and `git@host:path.git`.
    fn parse(remote: &str) -> Option<Remote> {
        let (host, path) = match Url::parse(remote) {
            Ok(url) if url.has_host() => (url.host_str()?.to_owned(), url.path().to_owned()),
            _ => {
                let (host, path) = remote.split_once(':').filter(|(_, path)| !path.starts_with("//"))?;
                (host.rsplit('@').next()?.to_owned(), path.to_owned())
            }
        };
        let host = host.to_lowercase();
        // The names that both give to ssh where only the port for https is open.
        let host = ["ssh.", "altssh."].iter().find_map(|start| host.strip_prefix(start)).unwrap_or(&host);
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        (!host.is_empty() && !host.contains('/') && path.contains('/'))
            .then(|| Remote { host: one_line(host), path: one_line(path) })
    }
}

/// A workflow file that names a login step, and the environments that it names anywhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Workflow {
    /// Its name, without its folder.
    pub file: String,
    /// Names of environments, in their order.
    pub environments: Vec<String>,
}

/// The workflow files of the repository in `folder` that log in, by their names. They are read line by line, which is
/// enough to find them, not to understand them.
pub fn workflows(folder: &Path) -> Vec<Workflow> {
    let Ok(entries) = fs::read_dir(folder.join(".github/workflows")) else { return Vec::new() };
    let mut workflows = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_yaml = path.extension().is_some_and(|it| it == "yml" || it == "yaml");
        let is_small = fs::metadata(&path).is_ok_and(|it| it.is_file() && it.len() <= LONGEST_WORKFLOW);
        if !is_yaml || !is_small {
            continue;
        }
        let Ok(bytes) = fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        if logs_in(&text) {
            let file = one_line(&path.file_name().unwrap_or_default().to_string_lossy());
            let at = workflows.partition_point(|other: &Workflow| other.file < file);
            workflows.insert(at, Workflow { file, environments: environments(&text) });
        }
    }
    workflows
}

/// The lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.trim().trim_start_matches("- ")).filter(|line| !line.starts_with('#'))
}

/// Whether a step uses the action, NuGet/login, or this program.
fn logs_in(text: &str) -> bool {
    lines(text).map(str::to_ascii_lowercase).any(|line| line.contains("nuget/login@") || line.contains("nuget-login"))
}

/// What stands behind `environment:`, or behind `name:` in the line below it.
fn environments(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut lines = lines(text).peekable();
    while let Some(line) = lines.next() {
        let Some(value) = line.strip_prefix("environment:") else { continue };
        let value = match scalar(value) {
            "" => lines.peek().and_then(|below| below.strip_prefix("name:")).map(scalar).unwrap_or_default(),
            value => value,
        };
        if !value.is_empty() && !names.iter().any(|name| name == value) {
            names.push(one_line(value));
        }
    }
    names
}

/// A value of YAML without its comment and its quotes.
fn scalar(value: &str) -> &str {
    value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\''])
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
        for remote in
            ["", "/srv/contoso.git", "../contoso-sdk", "file:///srv/contoso.git", "https://github.com/", "a:b"]
        {
            assert_eq!(Remote::parse(remote), None, "{remote}");
        }
    }

    #[test]
    fn a_workflow_logs_in_where_a_line_says_so_that_is_no_comment() {
        for text in ["- uses: NuGet/login@v1", "  uses: org/nuget-login@abc # v1", "- run: nuget-login exec -- x"] {
            assert!(logs_in(text), "{text}");
        }
        for text in ["# uses: NuGet/login@v1", "- uses: docker/login-action@v3", "", "- run: dotnet nuget push"] {
            assert!(!logs_in(text), "{text}");
        }
    }

    #[test]
    fn environments_are_named_in_one_line_or_two() {
        let text =
            "environment: production # by hand\nenvironment:\n  name: 'staging'\n  url: x\n  environment: production\n";
        assert_eq!(environments(text), ["production", "staging"]);
        assert_eq!(environments("environment: \"${{ inputs.target }}\"\n# environment: x\n"), ["${{ inputs.target }}"]);
        assert_eq!(environments("environment:\n  url: x\nenvironments: y\n"), Vec::<String>::new());
    }
}

//! The git repository of the current folder, and its remote.

use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::endpoint::parse_url;
use crate::sanitize::sanitize_line;
use crate::text::{Text, text};

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
        }
    }
}

/// The remote `origin` of the current folder's repository.
pub(crate) fn origin() -> Result<Remote, RepositoryError> {
    Remote::parse(&git(&["remote", "get-url", "origin"])?).ok_or(RepositoryError::NoHost)
}

/// The owner and the name of that repository, if it is on github.com.
pub(crate) fn on_github() -> Option<(String, String)> {
    let Remote { host, path } = origin().ok()?;
    let (owner, name) = path.split_once('/').filter(|_| host == "github.com")?;
    Some((owner.to_owned(), name.to_owned()))
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
}

//! A copy of the action as a runner checks it out, with the digests of a test: no input or variable selects digests.

#[cfg(unix)]
use std::fs;
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;
#[cfg(unix)]
use std::process::Command;

/// The target that `fetch.sh` picks on this machine.
#[cfg(unix)]
pub(crate) fn target() -> &'static str {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "x86_64-unknown-linux-musl",
        ("linux", "aarch64") => "aarch64-unknown-linux-musl",
        ("macos", "x86_64") => "x86_64-apple-darwin",
        ("macos", "aarch64") => "aarch64-apple-darwin",
        other => panic!("no release for {other:?}"),
    }
}

/// The file name of this machine's asset.
#[cfg(unix)]
pub(crate) fn asset() -> String {
    format!("nuget-login-{}", target())
}

/// Its path on a mirror.
#[cfg(unix)]
pub(crate) fn asset_path() -> String {
    format!("/v{}/{}", env!("CARGO_PKG_VERSION"), asset())
}

/// Copies `action.yml` and `dist` into `folder`, and names `released` there as this machine's release.
#[cfg(unix)]
pub(crate) fn check_out(folder: &Path, released: &[u8]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(folder.join("dist")).unwrap();
    fs::copy(root.join("action.yml"), folder.join("action.yml")).unwrap();
    for file in fs::read_dir(root.join("dist")).unwrap().map(|entry| entry.unwrap().path()) {
        fs::copy(&file, folder.join("dist").join(file.file_name().unwrap())).unwrap();
    }
    let line = format!("{} {} {}\n", target(), asset(), sha256(released));
    let release = fs::read_to_string(root.join("dist/release.txt")).unwrap();
    let version = release.lines().find(|line| line.starts_with("version ")).unwrap();
    fs::write(folder.join("dist/release.txt"), format!("{version}\n{line}")).unwrap();
}

/// The SHA-256 of some bytes in hexadecimal digits, by the system's own tool.
#[cfg(unix)]
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let tool = if in_path("sha256sum").is_some() { vec!["sha256sum"] } else { vec!["shasum", "-a", "256"] };
    let ran = Command::new(tool[0]).args(&tool[1..]).arg(file.path()).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()[..64].to_owned()
}

/// git, without what it sets for its hooks, which would make every folder this repository.
#[cfg(unix)]
pub(crate) fn git() -> Command {
    let mut git = Command::new("git");
    for name in ["GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        git.env_remove(name);
    }
    git
}

/// The path of a program.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

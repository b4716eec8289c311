//! `dist/fetch.sh` under every shell that is here: what it gets, checks and runs, and what it refuses.
//!
//! A shell script stands in for the binary: to `fetch.sh` it is bytes with a digest. The real one is in `workflow.rs`.
//! `FETCH_SHELL` names the shell (`busybox sh`); `.ci/run` goes through all that are there.

mod cache;
mod download;
mod release_txt;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::checkout::{asset_path, check_out, in_path, sha256, target};
use crate::mirror::{Mirror, found, status};

/// What is released here: says its version, else that it ran.
const RELEASED: &str = concat!(
    "#!/bin/sh\nif [ \"${1:-}\" = --version ]; then echo nuget-login ",
    env!("CARGO_PKG_VERSION"),
    "; else echo \"ran for $INPUT_USER\"; exit 7; fi\n"
);

/// Tools that the script may use, besides those that download, and `sleep`, which does not wait here (but where it is
/// needed instead of `timeout`).
const TOOLS: &[&str] = &[
    "cat",
    "chmod",
    "cp",
    "cut",
    "find",
    "grep",
    "head",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "shasum",
    "timeout",
    "tr",
    "uname",
];

/// A runner with the action checked out.
struct Runner {
    folder: tempfile::TempDir,
    shell: Vec<PathBuf>,
    environment: BTreeMap<&'static str, OsString>,
}

impl Runner {
    /// A runner whose action was released with [`RELEASED`], with `mirror` to get it from.
    fn new(mirror: &str) -> Runner {
        let folder = tempfile::Builder::new().prefix("a runner's ").tempdir().unwrap();
        check_out(&folder.path().join("the action"), RELEASED.as_bytes());
        fs::create_dir(folder.path().join("temp")).unwrap();
        let environment = BTreeMap::from([
            ("PATH", std::env::var_os("PATH").unwrap()),
            ("RUNNER_TEMP", folder.path().join("temp").into()),
            ("RUNNER_TOOL_CACHE", folder.path().join("tool cache").into()),
            ("INPUT_USER", "contoso-bot".into()),
            ("ACTION_MIRROR", mirror.into()),
            ("ACTION_BINARY", "".into()),
        ]);
        let shell = std::env::var("FETCH_SHELL").unwrap_or_else(|_| "sh".to_owned());
        Runner { folder, shell: shell_of(&shell), environment }
    }

    fn set(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name, value.into());
        self
    }

    /// Leaves only [`TOOLS`] on the path, and these: names, or names with the program behind them.
    fn with_tools(self, more: &[(&str, &str)]) -> Self {
        let folder = self.path("tools");
        fs::create_dir(&folder).unwrap();
        let sleep = if in_path("timeout").is_some() { "true" } else { "sleep" };
        let tools = TOOLS.iter().map(|name| (*name, *name)).chain([("sleep", sleep)]).chain(more.iter().copied());
        for (name, program) in tools {
            if let Some(program) = in_path(program) {
                symlink(program, folder.join(name)).unwrap();
            }
        }
        self.set("PATH", folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cached(&self) -> PathBuf {
        self.path("tool cache").join("nuget-login").join(env!("CARGO_PKG_VERSION")).join(target()).join("nuget-login")
    }

    /// Puts something into the tool cache.
    fn cache(&self, put: impl FnOnce(&Path)) {
        fs::create_dir_all(self.cached().parent().unwrap()).unwrap();
        put(&self.cached());
    }

    fn release_txt(&self) -> PathBuf {
        self.path("the action/dist/release.txt")
    }

    fn run(&self) -> Output {
        let mut command = Command::new(&self.shell[0]);
        command.args(&self.shell[1..]).arg(self.path("the action/dist/fetch.sh"));
        command.env_clear().envs(&self.environment).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(7), "the exit code is the binary's: {log} {:?}", ran.stderr);
        assert!(log.ends_with("ran for contoso-bot\n"), "{log}");
        log
    }

    /// Runs, and gives the text of the one annotation; nothing ran, and nothing is left behind.
    #[track_caller]
    fn fails(&self) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(!log.contains("ran for"), "{log}");
        assert_eq!(fs::read_dir(self.path("temp")).unwrap().count(), 0);
        let annotation = log.lines().last().unwrap().strip_prefix("::error title=NuGet login failed::");
        annotation.unwrap_or_else(|| panic!("no annotation: {log}")).to_owned()
    }
}

/// A mirror with this asset.
fn mirror_of(bytes: &'static [u8]) -> Mirror {
    Mirror::start(move |path| if path == asset_path() { found(bytes) } else { status(404) })
}

fn mirror() -> Mirror {
    mirror_of(RELEASED.as_bytes())
}

/// A shell's path, and the arguments that make it a shell.
fn shell_of(words: &str) -> Vec<PathBuf> {
    let mut words = words.split(' ');
    let program = in_path(words.next().unwrap()).unwrap();
    std::iter::once(program).chain(words.map(PathBuf::from)).collect()
}

#[test]
fn what_runs_is_a_private_copy() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    runner.succeeds();
    let private: Vec<PathBuf> = fs::read_dir(runner.path("temp")).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(fs::metadata(&private[0]).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(private[0].join("nuget-login")).unwrap().permissions().mode() & 0o777, 0o700);
}

/// Mounts a small file system on a folder, where that is allowed; takes it away again.
struct Mounted(PathBuf);

impl Mounted {
    fn on(folder: PathBuf, options: &str) -> Option<Mounted> {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|it| it.status.success()).then_some(Mounted(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_folder_that_forbids_programs_is_named() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    let Some(_mounted) = Mounted::on(runner.path("temp"), "noexec") else { return };
    let error = runner.fails();
    assert!(error.contains("are programs forbidden there (noexec)?"), "{error}");
}

#[test]
fn without_a_tool_for_digests_nothing_runs() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]);
    for tool in ["sha256sum", "shasum"] {
        let _ = fs::remove_file(runner.path("tools").join(tool));
    }
    assert!(runner.fails().starts_with("nothing here can check a SHA-256: install sha256sum, shasum or openssl"));
    symlink(in_path("openssl").unwrap(), runner.path("tools/openssl")).unwrap();
    runner.succeeds();
}

#[test]
fn inputs_that_are_not_even_set_are_empty() {
    let proxy = Mirror::start(|_| status(403));
    let mut runner = Runner::new("").with_tools(&[("curl", "curl")]).set("https_proxy", &proxy.url);
    runner.environment.remove("ACTION_MIRROR");
    runner.environment.remove("ACTION_BINARY");
    assert!(runner.fails().starts_with("https://github.com/org/nuget-login/releases/download/v"));
    assert_eq!(proxy.asked(), ["github.com:443"]);
}

#[test]
fn a_platform_without_a_release_is_named() {
    for (os, arch) in [("Linux", "ARM"), ("Linux", "X86"), ("FreeBSD", "X64"), ("Linux", "s390x")] {
        let error = Runner::new("").set("RUNNER_OS", os).set("RUNNER_ARCH", arch).fails();
        assert!(error.starts_with(&format!("there is no release for {os} {arch}: build nuget-login")), "{error}");
        assert!(error.contains("`binary`"), "{error}");
    }
}

#[test]
fn without_the_runners_variables_the_machine_is_asked() {
    let mirror = mirror();
    Runner::new(&mirror.url).set("RUNNER_OS", "").set("RUNNER_ARCH", "").succeeds();
}

#[test]
fn an_installed_binary_of_the_same_version_is_used_as_it_is() {
    let runner = Runner::new("https://mirror.invalid");
    let binary = runner.path("my nuget-login");
    fs::write(&binary, RELEASED).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let runner = runner.set("ACTION_BINARY", &binary);
    let log = runner.succeeds();
    let notice = format!("Using {}, SHA-256 {}", binary.display(), sha256(RELEASED.as_bytes()));
    assert!(log.starts_with(&format!("::notice title=NuGet login::{notice}\n")), "{log}");
    assert!(!runner.cached().exists());

    let needs = concat!("this action needs nuget-login ", env!("CARGO_PKG_VERSION"));
    fs::write(&binary, "#!/bin/sh\necho nuget-login 0.0.1\n").unwrap();
    let error = runner.fails();
    assert!(error.contains("(nuget-login 0.0.1)") && error.contains(needs), "{error}");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o644)).unwrap();
    let error = runner.fails();
    assert!(error.contains("is it executable (chmod +x)") && error.to_lowercase().contains(needs), "{error}");
    fs::remove_file(&binary).unwrap();
    assert!(runner.fails().contains("where there is no plain file"));
    let runner = runner.set("ACTION_BINARY", "nuget-login\n::error::x%0A");
    assert!(runner.fails().starts_with("the input `binary` is 'nuget-login ::error::x%250A': give an absolute path"));
}

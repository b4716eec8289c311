//! `dist/fetch.sh` under every shell that is here: what it gets, checks and runs, and what it refuses.
//!
//! A shell script stands in for the binary: to `fetch.sh` it is bytes with a digest. The real one is in `workflow.rs`.
//! `FETCH_SHELL` names the shell (`busybox sh`); `.ci/run` goes through all that are there.

mod cache;
mod download;
mod release_txt;
mod signals;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::checkout::{asset_path, check_out, in_path, sha256, target};
use crate::mirror::{Mirror, found, status};

/// What is released here: says its version, else that it ran.
const RELEASED: &str = concat!(
    "#!/bin/sh\nif [ \"${1:-}\" = --version ]; then echo nuget-login ",
    env!("CARGO_PKG_VERSION"),
    "; else echo \"ran for $INPUT_USER\"; exit 7; fi\n"
);

/// Tools that the script may use, besides those that download, and `sleep`, which does not wait between tries here.
/// `timeout` is not one of them: macOS does not have it.
const TOOLS: &[&str] = &[
    "cat",
    "chmod",
    "cut",
    "dd",
    "env",
    "find",
    "grep",
    "mkdir",
    "mktemp",
    "mv",
    "pwd",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "shasum",
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
        for (name, program) in TOOLS.iter().map(|name| (*name, *name)).chain(more.iter().copied()) {
            if let Some(program) = in_path(program) {
                symlink(program, folder.join(name)).unwrap();
            }
        }
        self.set("PATH", folder).with_stand_in("sleep", r#"case $1 in 1 | 3) ;; *) exec "$REAL" "$@" ;; esac"#)
    }

    /// Puts a script in place of a tool, which is `$REAL` there.
    fn with_stand_in(self, name: &str, script: &str) -> Self {
        let path = self.path("tools").join(name);
        let _ = fs::remove_file(&path);
        write_program(&path, &format!("#!/bin/sh\nREAL='{}'\n{script}\n", in_path(name).unwrap().display()));
        self
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

    /// Starts the script, in a process group of its own.
    fn start(&self) -> Child {
        let mut command = Command::new(&self.shell[0]);
        command.args(&self.shell[1..]).arg(self.path("the action/dist/fetch.sh"));
        command.env_clear().envs(&self.environment).process_group(0);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for the end. No process is left behind.
    fn end(&self, step: Child) -> Output {
        let group = step.id();
        let ran = step.wait_with_output().unwrap();
        let left = Command::new("kill").args(["-0", "--", &format!("-{group}")]).output().unwrap();
        assert!(!left.status.success(), "a process outlives the step");
        ran
    }

    fn run(&self) -> Output {
        self.end(self.start())
    }

    /// Nothing is left in the runner's temporary folder.
    #[track_caller]
    fn assert_clean(&self) {
        assert_eq!(fs::read_dir(self.path("temp")).unwrap().count(), 0);
    }

    #[track_caller]
    fn succeeds(&self) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(
            ran.status.code(),
            Some(7),
            "the exit code is the binary's: {log} {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        assert!(log.ends_with("ran for contoso-bot\n"), "{log}");
        self.assert_clean();
        log
    }

    /// Runs, and gives the text of the one annotation; nothing ran, and nothing is left behind.
    #[track_caller]
    fn fails(&self) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(!log.contains("ran for"), "{log}");
        self.assert_clean();
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

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A shell's path, and the arguments that make it a shell.
fn shell_of(words: &str) -> Vec<PathBuf> {
    let mut words = words.split(' ');
    let program = in_path(words.next().unwrap()).unwrap();
    std::iter::once(program).chain(words.map(PathBuf::from)).collect()
}

#[test]
fn the_program_runs_as_a_private_copy() {
    let released = concat!(
        "#!/bin/sh\nif [ \"${1:-}\" = --version ]; then echo nuget-login ",
        env!("CARGO_PKG_VERSION"),
        "; else ls -ld \"$0\" \"${0%/*}\"; fi\n"
    );
    let mirror = mirror_of(released.as_bytes());
    let runner = Runner::new(&mirror.url);
    check_out(&runner.path("the action"), released.as_bytes());
    let log = String::from_utf8(runner.run().stdout).unwrap();
    let lines = log.lines().collect::<Vec<_>>();
    assert!(lines.iter().any(|line| line.starts_with("-rwx------") && line.ends_with("/nuget-login")), "{log}");
    assert!(lines.iter().any(|line| line.starts_with("drwx------")), "{log}");
    runner.assert_clean();
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
    write_program(&binary, RELEASED);
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

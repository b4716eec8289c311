//! `dist/fetch.sh` under each shell: what it downloads, checks, runs and installs, and what it refuses.
//!
//! A shell script stands in for the program: to `fetch.sh` it is bytes with a digest. `workflow.rs` has the real one.
//! `FETCH_SHELL` names the shell (`busybox sh`); `.ci/run` runs these tests under each installed shell.

mod cache;
mod download;
mod install_only;
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

/// The released program: prints its version, otherwise that it ran.
const RELEASED: &str = concat!(
    "#!/bin/sh\nif [ \"${1:-}\" = --version ]; then echo nuget-login ",
    env!("CARGO_PKG_VERSION"),
    "; else echo \"ran for $INPUT_USER\"; exit 7; fi\n"
);

/// Tools that the script uses, besides those that download. `sleep` does not wait between attempts here. `timeout` is
/// not one of them: macOS does not have it.
const TOOLS: &[&str] = &[
    "cat",
    "chmod",
    "env",
    "grep",
    "install",
    "ln",
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
    "wc",
];

/// A runner with the action checked out.
struct Runner {
    folder: tempfile::TempDir,
    shell: Vec<PathBuf>,
    environment: BTreeMap<&'static str, OsString>,
}

impl Runner {
    /// A runner whose action was released with [`RELEASED`], which `mirror` serves.
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
            ("ACTION_INSTALL_ONLY", "false".into()),
            ("INPUT_TIMEOUT_SECONDS", "120".into()),
            ("INPUT_CHECK_ONLY", "false".into()),
            ("INPUT_EXPORT_ENV", "false".into()),
            ("GITHUB_OUTPUT", folder.path().join("output").into()),
            ("GITHUB_PATH", folder.path().join("path").into()),
        ]);
        let shell = std::env::var("FETCH_SHELL").unwrap_or_else(|_| "sh".to_owned());
        Runner { folder, shell: shell_of(&shell), environment }
    }

    fn set(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name, value.into());
        self
    }

    /// Leaves only [`TOOLS`] on the PATH, and these names, each with its program.
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

    /// Replaces a tool by a script, in which the tool is `$REAL`.
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

    /// Runs the script, which must fail without running the program or leaving anything behind. Returns the fact, and
    /// lines with the fixes and the note. `anchor` is the section that the log links to.
    #[track_caller]
    fn fails(&self, anchor: &str) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(!log.contains("ran for"), "{log}");
        self.assert_clean();
        let (_, failure) = log.rsplit_once("::error title=NuGet login failed::").expect(&log);
        let (failure, docs) = failure.rsplit_once("\ndocs: ").expect(&log);
        let version = env!("CARGO_PKG_VERSION");
        let guide = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/");
        let docs = docs.strip_prefix(guide).and_then(|docs| docs.strip_suffix(&format!("#{anchor}\n")));
        let names = |release: &str| docs == Some(&format!("{release}/docs/troubleshooting-download.md"));
        assert!(names(&format!("v{version}")) || names("main"), "{anchor}: {log}");
        let (annotation, note) = failure.split_once('\n').unwrap_or((failure, ""));
        assert!(note.is_empty() || note.starts_with("note: ") && !note.contains('\n'), "{log}");
        let annotation = annotation.replace("%0A", "\n");
        assert!(annotation.lines().skip(1).all(|line| line.starts_with("fix: ")) && annotation.contains('\n'), "{log}");
        format!("{annotation}\n{note}")
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
fn a_folder_mounted_with_noexec_is_explained() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    let Some(_mounted) = Mounted::on(runner.path("temp"), "noexec") else { return };
    let error = runner.fails("cannot-be-run");
    assert!(error.starts_with(&format!("nuget-login cannot be run from {}", runner.path("temp").display())), "{error}");
    assert!(error.contains("mount it without noexec") && error.contains("note: "), "{error}");
}

#[test]
fn without_a_tool_for_sha_256_nothing_runs() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]);
    for tool in ["sha256sum", "shasum"] {
        let _ = fs::remove_file(runner.path("tools").join(tool));
    }
    assert!(runner.fails("no-sha-256-tool").starts_with("a SHA-256 cannot be checked: sha256sum, shasum and openssl "));
    symlink(in_path("openssl").unwrap(), runner.path("tools/openssl")).unwrap();
    runner.succeeds();
}

#[test]
fn an_openssl_that_does_not_work_is_not_needed() {
    let mirror = mirror();
    let tools = [("curl", "curl"), ("openssl", "openssl")];
    for failure in ["exit 1", "echo 'no provider'; exit 1", "kill -s KILL $$"] {
        Runner::new(&mirror.url).with_tools(&tools).with_stand_in("openssl", failure).succeeds();
    }
}

#[test]
fn unset_inputs_count_as_empty() {
    let proxy = Mirror::start(|_| status(403));
    let mut runner = Runner::new("").with_tools(&[("curl", "curl")]).set("https_proxy", &proxy.url);
    runner.environment.remove("ACTION_MIRROR");
    runner.environment.remove("ACTION_BINARY");
    runner.environment.remove("ACTION_INSTALL_ONLY");
    let error = runner.fails("access-denied");
    assert!(error.starts_with("access to https://github.com/org/nuget-login/releases/download/v"), "{error}");
    assert_eq!(proxy.asked(), ["github.com:443"]);
}

#[test]
fn a_system_without_a_release_is_named() {
    for (os, arch) in [("Linux", "ARM"), ("Linux", "X86"), ("FreeBSD", "X64"), ("Linux", "s390x")] {
        let runner = Runner::new("").set("RUNNER_OS", os).set("RUNNER_ARCH", arch);
        let error = runner.fails("no-release-for-this-system");
        assert!(error.starts_with(&format!("nuget-login has no release for {os} {arch}\n")), "{error}");
        assert!(error.contains("from source and set the input \"binary\""), "{error}");
    }
}

#[test]
fn without_the_runners_variables_uname_names_the_system() {
    let mirror = mirror();
    Runner::new(&mirror.url).set("RUNNER_OS", "").set("RUNNER_ARCH", "").succeeds();
}

#[test]
fn an_installed_program_of_the_same_version_is_used_in_place() {
    let runner = Runner::new("https://mirror.invalid");
    let binary = runner.path("my nuget-login");
    write_program(&binary, RELEASED);
    let runner = runner.set("ACTION_BINARY", &binary);
    let log = runner.succeeds();
    let notice = format!("Using {}, SHA-256 {}", binary.display(), sha256(RELEASED.as_bytes()));
    assert!(log.starts_with(&format!("::notice title=NuGet login::{notice}\n")), "{log}");
    assert!(!runner.cached().exists());

    let other_version = concat!("which is not nuget-login ", env!("CARGO_PKG_VERSION"));
    fs::write(&binary, "#!/bin/sh\necho nuget-login 0.0.1\n").unwrap();
    let error = runner.fails("binary-version");
    assert!(error.contains(other_version) && error.contains("printed \"nuget-login 0.0.1\""), "{error}");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o644)).unwrap();
    let error = runner.fails("binary-cannot-be-run");
    assert!(error.contains("make the file executable with chmod +x") && error.contains("enied"), "{error}");
    fs::remove_file(&binary).unwrap();
    assert!(runner.fails("binary-not-found").contains("which is not a file"));
}

#[test]
fn an_input_cannot_add_a_line_to_the_annotation() {
    let runner = Runner::new("").set("ACTION_BINARY", "nuget-login\n::error::x%0Afix: y\r##[error]z");
    let error = runner.fails("binary-not-absolute");
    let fact =
        "the input \"binary\" is \"nuget-login ::error::x%250Afix: y ##[error]z\", which is not an absolute path";
    assert_eq!(error.lines().next(), Some(fact));
}

#[test]
fn the_note_cannot_act_as_a_command() {
    let runner = Runner::new("");
    let binary = runner.path("binary");
    write_program(&binary, "#!/bin/sh\nprintf '::error::x\\n##[error]y\\r::stop-commands::z\\n'\n");
    let error = runner.set("ACTION_BINARY", &binary).fails("binary-version");
    assert!(error.ends_with("note: --version printed \"::error::x   [error]y ::stop-commands::z\""), "{error}");
}

#[test]
fn an_unexpected_error_has_an_annotation() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]).with_stand_in("sha256sum", "exit 3");
    let error = runner.fails("unexpected-failure");
    assert!(error.ends_with("note: fetch.sh ended with exit code 3"), "{error}");
}

/// The processes that the script starts are most of what a step costs.
#[test]
#[cfg(target_os = "linux")]
fn a_step_with_a_warm_cache_starts_seven_processes() {
    if in_path("strace").is_none() {
        println!("skipped: strace is not installed");
        return;
    }
    let mirror = mirror();
    let (os, arch) = if cfg!(target_arch = "x86_64") { ("Linux", "X64") } else { ("Linux", "ARM64") };
    let runner = Runner::new(&mirror.url).set("RUNNER_OS", os).set("RUNNER_ARCH", arch);
    runner.cache(|cached| fs::write(cached, RELEASED).unwrap());
    let trace = runner.path("trace");
    let mut step = Command::new("strace");
    step.args(["-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-z", "-o"]).arg(&trace).args(&runner.shell);
    step.arg(runner.path("the action/dist/fetch.sh")).env_clear().envs(&runner.environment);
    let ran = step.output().unwrap();
    assert_eq!(ran.status.code(), Some(7), "{ran:?}");
    let trace = fs::read_to_string(trace).unwrap();
    let started = trace.lines().filter(|line| line.contains("execve(")).count();
    // The shell, mkdir, install and the sleep of its time limit, openssl, the program, and rm. busybox has most of
    // them built in.
    assert!(started <= 7, "{trace}");
}

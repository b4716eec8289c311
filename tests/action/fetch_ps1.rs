//! `dist/fetch.ps1` in each PowerShell that is installed, started as `action.yml` starts it: 5.1 and 7 on Windows, 7
//! elsewhere. Without a PowerShell the tests are skipped. The released program is the one under test.
//!
//! Where there is no Windows, three parts of the script are replaced: access rules of the private folder, the folder of
//! curl, and the execute permission, which files of Windows do not need.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::checkout::in_path;
use crate::mirror::{Mirror, found, status};

const TARGET: &str = "x86_64-pc-windows-msvc";
/// The runner's temporary folder, with what cmdlets read as a wildcard, and what is not ASCII.
const TEMP: &str = "temp [x] é";

/// The asset's path on a mirror.
fn asset_path() -> String {
    format!("/v{}/nuget-login-{TARGET}.exe", env!("CARGO_PKG_VERSION"))
}

fn released() -> Vec<u8> {
    fs::read(env!("CARGO_BIN_EXE_nuget-login")).unwrap()
}

/// The installed shells.
fn shells() -> Vec<PathBuf> {
    let names = if cfg!(windows) { ["powershell.exe", "pwsh.exe"] } else { ["pwsh", "pwsh-preview"] };
    let shells: Vec<PathBuf> = names.into_iter().filter_map(in_path).filter(|shell| works(shell)).collect();
    if shells.is_empty() {
        println!("skipped: PowerShell is not installed");
    }
    shells
}

/// Wine has a program of this name that does nothing.
fn works(shell: &Path) -> bool {
    let ran = Command::new(shell).args(["-NoProfile", "-NonInteractive", "-Command", "40 + 2"]).output().unwrap();
    ran.stdout.starts_with(b"42")
}

/// A runner with the action checked out, for one shell.
struct Runner {
    folder: tempfile::TempDir,
    shell: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Runner {
    fn new(shell: &Path, mirror: &str) -> Runner {
        let folder = tempfile::tempdir().unwrap();
        let runner = Runner { folder, shell: shell.to_owned(), environment: Vec::new() };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["action/dist", TEMP, "tools"] {
            fs::create_dir_all(runner.path(folder)).unwrap();
        }
        let mut script = fs::read_to_string(root.join("dist/fetch.ps1")).unwrap().replace("\r\n", "\n");
        if cfg!(unix) {
            script = runner.for_unix(script);
        }
        fs::write(runner.path("action/dist/fetch.ps1"), script).unwrap();
        let step = "$ErrorActionPreference = 'stop'\n& \"${env:GITHUB_ACTION_PATH}/dist/fetch.ps1\"\n\
            if ((Test-Path -LiteralPath variable:\\LASTEXITCODE)) { exit $LASTEXITCODE }\n";
        fs::write(runner.path("step.ps1"), step).unwrap();
        fs::write(runner.path("released"), released()).unwrap();
        let line = format!("{TARGET} nuget-login-{TARGET}.exe {}\n", runner.sha256("released"));
        let release = format!("version {}\n{line}", env!("CARGO_PKG_VERSION"));
        fs::write(runner.path("action/dist/release.txt"), release).unwrap();
        runner.set("ACTION_MIRROR", mirror)
    }

    /// The script without what only Windows has.
    fn for_unix(&self, script: String) -> String {
        let (before, rest) = script.split_once("function New-PrivateFolder").unwrap();
        let (_, after) = rest.split_once("\n}\n").unwrap();
        let folder = "function New-PrivateFolder([string] $path) { [void] [IO.Directory]::CreateDirectory($path) }\n";
        let script = format!("{before}{folder}{after}");
        let curl = self.path("tools/curl.exe");
        #[cfg(unix)]
        if let Some(real) = in_path("curl") {
            std::os::unix::fs::symlink(real, &curl).unwrap();
        }
        let open = "function Open-File([string] $path) {\n";
        let executable = "    [IO.File]::SetUnixFileMode($path, [IO.UnixFileMode] 448)\n";
        let system = "[IO.Path]::Combine([Environment]::SystemDirectory, 'curl.exe')";
        assert!(script.contains(open) && script.contains(system));
        script.replace(open, &format!("{open}{executable}")).replace(system, &format!("'{}'", curl.display()))
    }

    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cached(&self) -> PathBuf {
        let folder = self.path("tool cache [x]").join("nuget-login").join(env!("CARGO_PKG_VERSION"));
        folder.join(TARGET).join("nuget-login.exe")
    }

    /// The SHA-256 of a file, computed by the shell.
    fn sha256(&self, name: &str) -> String {
        let script = "$b = [IO.File]::ReadAllBytes($env:FILE)\n\
            [BitConverter]::ToString([Security.Cryptography.SHA256]::Create().ComputeHash($b)).Replace('-', '')";
        let mut shell = Command::new(&self.shell);
        shell.args(["-NoProfile", "-NonInteractive", "-Command", script]).env("FILE", self.path(name));
        String::from_utf8(shell.output().unwrap().stdout).unwrap().trim().to_lowercase()
    }

    fn run(&self) -> Output {
        let mut shell = Command::new(&self.shell);
        shell.args(["-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-Command"]);
        shell.arg(format!(". '{}'", self.path("step.ps1").display()));
        for (name, _) in std::env::vars().filter(|(name, _)| {
            ["INPUT_", "ACTION_", "ACTIONS_", "GITHUB_"].iter().any(|prefix| name.starts_with(prefix))
        }) {
            shell.env_remove(name);
        }
        shell.env("GITHUB_ACTIONS", "true").env("RUNNER_ARCH", "X64");
        shell.env("GITHUB_ACTION_PATH", self.path("action"));
        shell.env("RUNNER_TEMP", self.path(TEMP)).env("RUNNER_TOOL_CACHE", self.path("tool cache [x]"));
        shell.env("GITHUB_OUTPUT", self.path("output")).env("GITHUB_PATH", self.path("path"));
        shell.envs(self.environment.iter().map(|(name, value)| (name, value)));
        shell.output().unwrap()
    }

    #[track_caller]
    fn assert_clean(&self) {
        assert_eq!(fs::read_dir(self.path(TEMP)).unwrap().count(), 0);
    }

    /// The program ran: it reports that the input `user` is missing, and its exit code is the step's.
    #[track_caller]
    fn runs_the_program(&self) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(log.contains("the input \"user\" is empty"), "{log}");
        self.assert_clean();
        log
    }

    /// The script fails before it runs the program; returns the log.
    #[track_caller]
    fn fails(&self, anchor: &str) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap().replace("\r\n", "\n");
        assert_eq!(ran.status.code(), Some(1), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(!log.contains("the input \"user\""), "{log}");
        assert_eq!(log.matches("::error title=NuGet login failed::").count(), 1, "{log}");
        assert!(log.ends_with(&format!("/docs/troubleshooting-download.md#{anchor}\n")), "{anchor}: {log}");
        self.assert_clean();
        log
    }
}

fn mirror_of(bytes: Vec<u8>) -> Mirror {
    Mirror::start(move |path| if path == asset_path() { found(&bytes) } else { status(404) })
}

#[test]
fn a_download_is_checked_run_and_cached() {
    for shell in shells() {
        let mirror = mirror_of(released());
        let runner = Runner::new(&shell, &mirror.url);
        runner.runs_the_program();
        assert!(fs::read(runner.cached()).unwrap() == released());
        runner.runs_the_program();
        assert_eq!(mirror.asked(), [asset_path()], "the second run uses the cache");
        fs::write(runner.cached(), "damaged").unwrap();
        assert!(runner.runs_the_program().contains("is not the released one and is ignored"));
        assert!(fs::read(runner.cached()).unwrap() == released());
    }
}

#[test]
fn a_file_with_another_digest_is_not_run() {
    for shell in shells() {
        let mut bytes = released();
        bytes.push(0);
        let mirror = mirror_of(bytes);
        let runner = Runner::new(&shell, &mirror.url);
        runner.fails("not-the-released-file");
        assert!(!runner.cached().exists());
    }
}

#[test]
fn failures_of_the_download_are_told_apart() {
    for shell in shells() {
        for (code, anchor, times) in [
            (404, "asset-not-in-the-mirror", 1),
            (403, "access-denied", 1),
            (429, "cannot-be-downloaded", 3),
            (503, "cannot-be-downloaded", 3),
        ] {
            let mirror = Mirror::start(move |_| status(code));
            Runner::new(&shell, &mirror.url).fails(anchor);
            assert_eq!(mirror.asked().len(), times, "{code}");
        }
        let mirror = mirror_of(vec![b'x'; 40 * 1024 * 1024]);
        Runner::new(&shell, &mirror.url).fails("larger-than-any-release");
        assert_eq!(mirror.asked().len(), 1);
    }
}

#[test]
fn an_invalid_input_is_an_error_with_escaped_values() {
    for shell in shells() {
        let runner = Runner::new(&shell, "http://mirror.example/%0A::error::x\n::error::y");
        let log = runner.fails("mirror-url");
        assert!(log.contains("is \"http://mirror.example/%250A::error::x ::error::y\", which"), "{log}");
        Runner::new(&shell, "").set("ACTION_INSTALL_ONLY", "yes").fails("install-only-value");
        let runner = Runner::new(&shell, "").set("ACTION_INSTALL_ONLY", "true").set("INPUT_CHECK_ONLY", "true");
        let log = runner.set("INPUT_SOURCE", "x").fails("install-only-and-other-inputs");
        assert!(log.contains("cannot be combined with: source, check-only%0Afix: "), "{log}");
    }
}

#[test]
fn install_only_puts_the_checked_program_on_the_path() {
    for shell in shells() {
        let mirror = mirror_of(released());
        let runner = Runner::new(&shell, &mirror.url).set("ACTION_INSTALL_ONLY", "true");
        let ran = runner.run();
        let log = String::from_utf8(ran.stdout).expect("the log is UTF-8");
        assert_eq!(ran.status.code(), Some(0), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        let folder = fs::read_to_string(runner.path("path")).unwrap();
        let folder = Path::new(folder.strip_suffix('\n').unwrap());
        assert!(fs::read(folder.join("nuget-login.exe")).unwrap() == released());
        let output = format!("installed={}\n", folder.join("nuget-login.exe").display());
        assert_eq!(fs::read_to_string(runner.path("output")).unwrap(), output);
        assert!(log.contains(&folder.display().to_string()), "{log}");
    }
}

#[test]
#[cfg(windows)]
fn a_scanner_that_does_not_share_the_new_file_delays_the_step() {
    use std::os::windows::fs::OpenOptionsExt;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    for shell in shells() {
        let mirror = mirror_of(released());
        let runner = Runner::new(&shell, &mirror.url);
        let (temp, until) = (runner.path(TEMP), Instant::now() + Duration::from_secs(60));
        let scanned = Arc::new(Mutex::new(false));
        let seen = Arc::clone(&scanned);
        let scanner = std::thread::spawn(move || {
            while Instant::now() < until && !*seen.lock().unwrap() {
                for folder in fs::read_dir(&temp).unwrap().flatten() {
                    let file = folder.path().join("nuget-login.exe");
                    if file.metadata().is_ok_and(|file| file.len() == released().len() as u64)
                        && let Ok(_open) = fs::OpenOptions::new().read(true).share_mode(0).open(&file)
                    {
                        std::thread::sleep(Duration::from_millis(1_500));
                        *seen.lock().unwrap() = true;
                        return;
                    }
                }
            }
        });
        runner.runs_the_program();
        *scanned.lock().unwrap() = true;
        scanner.join().unwrap();
    }
}

#[test]
#[cfg(windows)]
fn an_installed_program_of_the_same_version_is_used_in_place() {
    for shell in shells() {
        let runner = Runner::new(&shell, "https://mirror.invalid");
        let binary = runner.path("my [nuget-login].exe");
        fs::write(&binary, released()).unwrap();
        let runner = runner.set("ACTION_BINARY", binary.display().to_string());
        let log = runner.runs_the_program();
        assert!(log.contains(&format!("Using {}, SHA-256 {}", binary.display(), runner.sha256("released"))), "{log}");
        Runner::new(&shell, "").set("ACTION_BINARY", "nuget-login.exe").fails("binary-not-absolute");
        Runner::new(&shell, "").set("ACTION_BINARY", "C:\\nowhere\\nuget-login.exe").fails("binary-not-found");
    }
}

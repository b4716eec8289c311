//! The input `install-only`: the program is on the PATH of later steps, and no login takes place.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::{asset_path, check_out};

use super::{Mounted, RELEASED, Runner, mirror, mirror_of, write_program};

impl Runner {
    /// Runs the script, which must install the program. Returns its folder.
    #[track_caller]
    fn installs(&self) -> PathBuf {
        for file in ["output", "path"] {
            let _ = fs::remove_file(self.path(file));
        }
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(0), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(!log.contains("ran for"), "{log}");
        let folder = fs::read_to_string(self.path("path")).unwrap();
        let folder = Path::new(folder.strip_suffix('\n').unwrap());
        let output = format!("installed={}\n", folder.join("nuget-login").display());
        assert_eq!(fs::read_to_string(self.path("output")).unwrap(), output);
        assert_eq!(folder.parent().unwrap(), self.path("temp"));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "only the program is there");
        folder.to_owned()
    }
}

#[test]
fn install_only_puts_the_checked_program_on_the_path() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).set("ACTION_INSTALL_ONLY", "true").set("INPUT_USER", "");
    for _ in ["downloaded", "cached"] {
        let folder = runner.installs();
        assert_eq!(fs::read(folder.join("nuget-login")).unwrap(), RELEASED.as_bytes());
        for path in [&folder, &folder.join("nuget-login")] {
            assert_eq!(fs::symlink_metadata(path).unwrap().mode() & 0o777, 0o700, "{}", path.display());
        }
        let mut later_step = Command::new("nuget-login");
        let ran =
            later_step.env("PATH", format!("{}:/usr/bin:/bin", folder.display())).arg("--version").output().unwrap();
        assert!(String::from_utf8(ran.stdout).unwrap().starts_with("nuget-login "));
    }
    assert_eq!(mirror.asked(), [asset_path()]);
    assert_eq!(fs::read_dir(runner.path("temp")).unwrap().count(), 2, "each use has its own folder");
}

#[test]
fn install_only_with_the_input_binary_links_to_that_program() {
    let runner = Runner::new("https://mirror.invalid").set("ACTION_INSTALL_ONLY", "true");
    let binary = runner.path("my program");
    write_program(&binary, RELEASED);
    let runner = runner.set("ACTION_BINARY", &binary);
    let folder = runner.installs();
    assert_eq!(fs::read_link(folder.join("nuget-login")).unwrap(), binary);
}

#[test]
fn install_only_cannot_be_combined_with_an_input_of_a_login() {
    let runner = |name, value: &str| Runner::new("").set("ACTION_INSTALL_ONLY", "true").set(name, value);
    for (name, value, input) in [
        ("INPUT_TOKEN_SERVICE_URL", "https://registry.example/token", "token-service-url"),
        ("INPUT_SOURCE", "https://registry.example/v3/index.json", "source"),
        ("INPUT_AUDIENCE", "https://registry.example", "audience"),
        ("INPUT_TIMEOUT_SECONDS", "60", "timeout-seconds"),
        ("INPUT_CHECK_ONLY", "true", "check-only"),
        ("INPUT_PACKAGE", "Contoso.Sdk@1.2.3", "package"),
        ("INPUT_EXPORT_ENV", "yes", "export-env"),
    ] {
        let error = runner(name, value).fails("install-only-and-other-inputs");
        assert!(
            error.starts_with(&format!("the input \"install-only\" cannot be combined with: {input}\n")),
            "{error}"
        );
    }
    let two = runner("INPUT_SOURCE", "x").set("INPUT_CHECK_ONLY", "True").fails("install-only-and-other-inputs");
    assert!(two.lines().next().unwrap().ends_with(": source, check-only"), "{two}");
}

#[test]
fn install_only_must_be_true_or_false() {
    for value in ["yes", "1", "tRUE", " true"] {
        let error = Runner::new("").set("ACTION_INSTALL_ONLY", value).fails("install-only-value");
        assert!(error.starts_with(&format!("the input \"install-only\" is \"{value}\"\n")), "{error}");
    }
    let mirror = mirror();
    for value in ["", "False", "FALSE"] {
        Runner::new(&mirror.url).set("ACTION_INSTALL_ONLY", value).succeeds();
    }
}

#[test]
fn install_only_fails_where_the_program_cannot_be_run() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).set("ACTION_INSTALL_ONLY", "true");
    let Some(_mounted) = Mounted::on(runner.path("temp"), "noexec") else { return };
    runner.fails("cannot-be-run");
    assert!(!runner.path("path").exists());
}

#[test]
fn install_only_refuses_a_release_of_another_version() {
    let other = "#!/bin/sh\necho nuget-login 0.0.9\n";
    let mirror = mirror_of(other.as_bytes());
    let runner = Runner::new(&mirror.url).set("ACTION_INSTALL_ONLY", "true");
    check_out(&runner.path("the action"), other.as_bytes());
    let error = runner.fails("release-version");
    assert!(error.ends_with("note: nuget-login --version printed \"nuget-login 0.0.9\""), "{error}");
}

#[test]
fn install_only_needs_the_runners_files() {
    let mirror = mirror();
    for name in ["GITHUB_PATH", "GITHUB_OUTPUT"] {
        for value in ["", "/nowhere/file"] {
            Runner::new(&mirror.url).set("ACTION_INSTALL_ONLY", "true").set(name, value).fails("runner-files");
        }
    }
}

#[test]
fn a_private_folder_is_never_one_that_exists_already() {
    let mirror = mirror();
    let planted = "mkdir=$(command -v mkdir) && mkdir -p \"$RUNNER_TEMP/others\"\n\
        for kind in nuget-login nuget-login-bin; do ln -s others \"$RUNNER_TEMP/$kind.$$\"; done\n";
    for install_only in ["true", "false"] {
        let runner = Runner::new(&mirror.url).set("ACTION_INSTALL_ONLY", install_only);
        // The name begins with the process ID, which this shell passes on.
        let script = runner.path("the action/dist/fetch.sh");
        let text = fs::read_to_string(&script).unwrap();
        fs::write(&script, text.replacen("set -eu\n", &format!("set -eu\n{planted}"), 1)).unwrap();
        let ran = runner.run();
        assert_eq!(ran.status.code(), Some(if install_only == "true" { 0 } else { 7 }), "{ran:?}");
        assert_eq!(fs::read_dir(runner.path("temp/others")).unwrap().count(), 0);
    }
}

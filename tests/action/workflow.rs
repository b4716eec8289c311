//! The action in a user's workflow, run by a workflow engine (nektos/act, on the machine itself) against the sandbox.
//! Needs act in `ACT`, and the program to release in `NUGET_LOGIN`; `.ci/run` has both.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sandbox::config::Config;
use sandbox::faults::Route;
use sandbox::{Sandbox, package};

use crate::checkout::{asset_path, check_out, git, in_path};
use crate::mirror::{Mirror, found, status};

/// Runs the workflow in a checkout of the action whose release is the given program. Returns success, and the log.
fn run_workflow(sandbox: &Sandbox, released: &[u8], installed: &Path, mirror: &Mirror) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    check_out(folder.path(), released);
    run_workflow_in(&folder, sandbox, installed, mirror, None)
}

/// The same in an existing checkout, and with a folder that comes first on the PATH.
fn run_workflow_in(
    folder: &tempfile::TempDir,
    sandbox: &Sandbox,
    installed: &Path,
    mirror: &Mirror,
    tools: Option<&Path>,
) -> (bool, String) {
    for name in ["installed", "downloaded", "exec"] {
        let file = folder.path().join(format!("{name}.nupkg"));
        fs::write(file, package::build(&format!("my-sdk.{name}"), "1.0.0")).unwrap();
    }
    fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/action/workflow.yml"),
        folder.path().join("workflow.yml"),
    )
    .unwrap();
    let variables = [
        ("TOKEN_SERVICE", sandbox.token_service_url()),
        ("PUSH", sandbox.push_url()),
        ("INSTALLED", installed.display().to_string()),
        ("MIRROR", mirror.url.clone()),
    ];
    let variables = variables.map(|(name, value)| format!("--env={name}={value}"));
    commit(folder.path());
    act(folder.path(), "workflow.yml", sandbox, tools, &variables)
}

/// Makes a folder a repository with one commit.
pub(crate) fn commit(folder: &Path) {
    let commands = ["init -q", "add .", "-c user.name=t -c user.email=t@example.com commit -qm checkout"];
    for arguments in commands {
        assert!(git().current_dir(folder).args(arguments.split(' ')).status().unwrap().success());
    }
}

/// Runs a workflow of a repository, as its push would, in the sandbox's job. Returns success, and the log.
pub(crate) fn act(
    repository: &Path,
    workflow: &str,
    sandbox: &Sandbox,
    tools: Option<&Path>,
    options: &[String],
) -> (bool, String) {
    let home = tempfile::tempdir().unwrap();
    let mut act = Command::new(std::env::var_os("ACT").expect("ACT is the path of nektos/act"));
    let path = std::env::var_os("PATH").unwrap();
    let path = tools.into_iter().map(Path::to_owned).chain(std::env::split_paths(&path));
    act.current_dir(repository)
        .env_clear()
        .env("PATH", std::env::join_paths(path).unwrap())
        .env("HOME", home.path())
        .args(["push", "-W", workflow, "-P", "ubuntu-latest=-self-hosted"])
        .arg(format!("--env=ACTIONS_ID_TOKEN_REQUEST_URL={}", sandbox.id_token_request_url()))
        .arg(format!("--env=ACTIONS_ID_TOKEN_REQUEST_TOKEN={}", sandbox.request_token()))
        .args(options);
    let ran = act.output().unwrap();
    let log = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    (ran.status.success(), log.into_owned())
}

pub(crate) fn program() -> (std::path::PathBuf, Vec<u8>) {
    let path = std::env::var_os("NUGET_LOGIN").expect("NUGET_LOGIN is the path of a release build");
    let bytes = fs::read(&path).unwrap();
    (path.into(), bytes)
}

#[test]
#[ignore = "needs act"]
fn a_workflow_pushes_with_an_installed_and_a_downloaded_program_and_with_exec() {
    let (installed, released) = program();
    let bytes = released.clone();
    let mirror = Mirror::start(move |path| if path == asset_path() { found(&bytes) } else { status(404) });
    let sandbox = Sandbox::with(|_| {});
    let (succeeded, log) = run_workflow(&sandbox, &released, &installed, &mirror);
    assert!(succeeded, "{log}");
    for name in ["installed", "downloaded", "exec"] {
        assert!(sandbox.has_package(&format!("my-sdk.{name}"), "1.0.0"), "{log}");
    }
    assert_eq!(log.matches("pushed with a key of 84 characters that expires at 20").count(), 2, "{log}");
    assert!(log.contains("checked=true, and a key of 0 characters"), "{log}");
    assert!(log.contains(&format!("Using {}, SHA-256 ", installed.display())), "{log}");
    assert_eq!(mirror.asked(), [asset_path()]);
    // act shows a mask line unchanged; no other line may contain the masked value.
    let shown = log.lines().filter(|line| !line.contains("::add-mask::"));
    for line in shown {
        for secret in sandbox.id_tokens().iter().chain(&sandbox.api_keys()) {
            assert!(!line.contains(secret.as_str()), "{line}");
        }
    }
}

#[test]
#[ignore = "needs act"]
fn a_workflow_without_a_matching_policy_fails_with_an_annotation_and_pushes_nothing() {
    let (installed, released) = program();
    let mirror = Mirror::start(|_| status(404));
    let mismatch = |config: &mut Config| config.policies[0].workflow = "publish.yml".to_owned();
    let sandbox = Sandbox::with(mismatch);
    let (succeeded, log) = run_workflow(&sandbox, &released, &installed, &mirror);
    assert!(!succeeded, "{log}");
    let annotation = log.lines().find(|line| line.contains("::error")).expect(&log);
    for part in ["\"contoso-sdk release\"", "publish.yml", "release.yml"] {
        assert!(annotation.contains(part), "{annotation}");
    }
    assert!(sandbox.requests().iter().all(|request| request.route != Route::Push));
}

#[test]
#[ignore = "needs act"]
fn a_workflow_does_not_run_a_download_with_another_digest() {
    let (installed, released) = program();
    let mirror = Mirror::start(|_| found(b"#!/bin/sh\necho it ran\n"));
    let sandbox = Sandbox::with(|_| {});
    let (succeeded, log) = run_workflow(&sandbox, &released, &installed, &mirror);
    assert!(!succeeded && log.contains("is not the released file") && !log.contains("it ran"), "{log}");
    assert!(sandbox.has_package("my-sdk.installed", "1.0.0"), "the first job downloads nothing");
}

#[test]
#[ignore = "needs act"]
fn a_step_that_succeeds_without_a_result_is_an_error() {
    let (installed, released) = program();
    let mirror = Mirror::start(|_| status(404));
    let sandbox = Sandbox::with(|_| {});
    let folder = tempfile::tempdir().unwrap();
    check_out(folder.path(), &released);
    fs::write(folder.path().join("dist/fetch.sh"), "exit 0\n").unwrap();
    let (succeeded, log) = run_workflow_in(&folder, &sandbox, &installed, &mirror, None);
    assert!(!succeeded && log.contains("no step of the action returned a result, and none failed"), "{log}");
}

#[test]
#[ignore = "needs act"]
fn steps_that_the_runner_does_not_run_are_an_error() {
    let (installed, released) = program();
    let mirror = Mirror::start(|_| status(404));
    let sandbox = Sandbox::with(|_| {});
    let folder = tempfile::tempdir().unwrap();
    check_out(folder.path(), &released);
    let tools = tempfile::tempdir().unwrap();
    // Every step, that of the check too.
    fs::write(tools.path().join("sh"), format!("#!{}\n", in_path("true").unwrap().display())).unwrap();
    fs::set_permissions(tools.path().join("sh"), fs::Permissions::from_mode(0o755)).unwrap();
    let (succeeded, log) = run_workflow_in(&folder, &sandbox, &installed, &mirror, Some(tools.path()));
    assert!(!succeeded && !log.contains("returned a result"), "{log}");
    assert!(log.to_lowercase().contains("fromjson") || log.contains("invalid character"), "{log}");
}

//! `sandbox run`: a command as a step of a job.
#![cfg(unix)]

use std::process::{Command, Output};

fn run(script: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sandbox")).args(["run", "--", "sh", "-c", script]).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

#[test]
fn a_command_has_the_environment_of_a_step_and_its_exit_code_is_returned() {
    let ran =
        run("echo $GITHUB_ACTIONS $INPUT_USER; test -f $GITHUB_OUTPUT -a -f $GITHUB_STEP_SUMMARY; exit $((7 + $?))");
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(7), "true contoso-bot\n"), "{ran:?}");
}

#[test]
fn masked_values_are_hidden_on_both_streams_and_in_the_outputs() {
    // The order of the two streams is not defined, so that each has its own mask line.
    let say = "echo '::add-mask::s3cr3t-value'; echo the s3cr3t-value";
    let ran = run(&format!(
        "{say}; {{ {say}; }} >&2; echo 'key=s3cr3t-value' >> $GITHUB_OUTPUT; echo '::error::no s3cr3t-value'"
    ));
    assert_eq!(text(&ran.stdout), "the ***\nError: no ***\nOutput key: ***\n", "{ran:?}");
    assert_eq!(text(&ran.stderr), "the ***\n");
}

#[test]
fn a_command_can_push_to_the_sandbox() {
    let ran = run("echo $SANDBOX_SOURCE");
    assert!(
        text(&ran.stdout).starts_with("http://127.0.0.1:") && text(&ran.stdout).ends_with("/v3/index.json\n"),
        "{ran:?}"
    );
}

#[test]
fn the_temporary_files_are_removed() {
    let ran = run("dirname $GITHUB_OUTPUT");
    assert!(!std::path::Path::new(text(&ran.stdout).trim()).exists(), "{ran:?}");
}

#[test]
fn a_command_has_no_variables_that_identify_a_real_runner() {
    let ran = Command::new(env!("CARGO_BIN_EXE_sandbox"))
        .args(["run", "--", "env"])
        .envs([("RUNNER_OS", "Linux"), ("GITHUB_RUN_ID", "1"), ("OTHER", "kept")])
        .output()
        .unwrap();
    let environment = text(&ran.stdout);
    assert!(environment.lines().any(|line| line == "OTHER=kept"), "{ran:?}");
    assert!(!environment.contains("RUNNER_OS=") && !environment.contains("GITHUB_RUN_ID="), "{environment}");
}

#[test]
fn a_command_that_does_not_exist_is_an_error() {
    let mut sandbox = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    let ran = sandbox.args(["run", "--", "/missing/command"]).env("RUST_BACKTRACE", "1").output().unwrap();
    let errors = text(&ran.stderr);
    assert!(
        !ran.status.success() && errors.starts_with("error: the command '/missing/command' cannot be run"),
        "{ran:?}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

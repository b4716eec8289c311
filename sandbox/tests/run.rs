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
fn a_command_gets_the_environment_of_a_step_and_its_exit_code_is_the_end() {
    let ran =
        run("echo $GITHUB_ACTIONS $INPUT_USER; test -f $GITHUB_OUTPUT -a -f $GITHUB_STEP_SUMMARY; exit $((7 + $?))");
    assert_eq!((ran.status.code(), text(&ran.stdout)), (Some(7), "true contoso-bot\n"), "{ran:?}");
}

#[test]
fn masked_values_are_hidden_on_both_streams_and_in_the_outputs() {
    // On each stream, since the runner reads them independently.
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
fn nothing_is_left_behind() {
    let ran = run("dirname $GITHUB_OUTPUT");
    assert!(!std::path::Path::new(text(&ran.stdout).trim()).exists(), "{ran:?}");
}

#[test]
fn a_command_that_does_not_exist_is_an_error() {
    let ran = Command::new(env!("CARGO_BIN_EXE_sandbox")).args(["run", "--", "/nowhere/command"]).output().unwrap();
    assert!(
        !ran.status.success() && text(&ran.stderr).contains("the command '/nowhere/command' cannot be run"),
        "{ran:?}"
    );
}

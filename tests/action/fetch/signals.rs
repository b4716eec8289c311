//! A cancelled step ends at once and leaves nothing behind; the program's own end is the step's.

use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use crate::checkout::check_out;
use crate::mirror::Mirror;

use super::download::downloaders;
use super::{Runner, mirror_of, write_program};

const SIGNALS: [(&str, i32); 2] = [("INT", 130), ("TERM", 143)];

/// Sends a signal to the script alone, as the runner does, and holds it to the end of a cancelled step.
#[track_caller]
fn ends_at_once(runner: &Runner, step: Child, signal: &str, code: i32) {
    let sent = Instant::now();
    assert!(Command::new("kill").args(["-s", signal, &step.id().to_string()]).status().unwrap().success());
    let ran = runner.end(step);
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    assert!(sent.elapsed() < Duration::from_secs(2), "it took {:?}", sent.elapsed());
    runner.assert_clean();
}

#[track_caller]
fn wait_until(mut is: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < until, "it does not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A program that notes its start in `STARTED` and does not end, at `--version` or at the login.
fn endless(at: &str) -> String {
    let version = concat!("echo nuget-login ", env!("CARGO_PKG_VERSION"));
    let cases = format!("{at}) echo >\"$STARTED\"; exec sleep 60 ;;\n--version) {version} ;;");
    format!("#!/bin/sh\ncase ${{1:-login}} in\n{cases}\nesac\n")
}

#[test]
fn a_signal_during_a_stalled_download_ends_the_step_at_once() {
    for tools in downloaders() {
        for (signal, code) in SIGNALS {
            let mirror = Mirror::start(|_| {
                loop {
                    thread::park();
                }
            });
            let runner = Runner::new(&mirror.url).with_tools(&tools);
            let step = runner.start();
            wait_until(|| !mirror.asked().is_empty());
            ends_at_once(&runner, step, signal, code);
        }
    }
}

#[test]
fn a_signal_while_an_installed_binary_does_not_respond_ends_the_step_at_once() {
    for (signal, code) in SIGNALS {
        let runner = Runner::new("");
        let (binary, started) = (runner.path("binary"), runner.path("started"));
        write_program(&binary, &endless("--version"));
        let runner = runner.set("ACTION_BINARY", &binary).set("STARTED", &started);
        let step = runner.start();
        wait_until(|| started.exists());
        ends_at_once(&runner, step, signal, code);
    }
}

#[test]
fn a_signal_between_two_tries_ends_the_step_at_once() {
    for (signal, code) in SIGNALS {
        let mirror = Mirror::start(|_| crate::mirror::status(503));
        let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]);
        let started = runner.path("started");
        let pause = r#"[ "$1" != 1 ] || { echo >"$STARTED"; exec "$REAL" 60; }; exec "$REAL" "$@""#;
        let runner = runner.set("STARTED", &started).with_stand_in("sleep", pause);
        let step = runner.start();
        wait_until(|| started.exists());
        ends_at_once(&runner, step, signal, code);
    }
}

#[test]
fn a_signal_during_the_login_ends_the_program_and_the_step() {
    let program: &'static str = endless("login").leak();
    let mirror = mirror_of(program.as_bytes());
    for (signal, code) in SIGNALS {
        let runner = Runner::new(&mirror.url);
        check_out(&runner.path("the action"), program.as_bytes());
        let started = runner.path("started");
        let runner = runner.set("STARTED", &started);
        let step = runner.start();
        wait_until(|| started.exists());
        ends_at_once(&runner, step, signal, code);
    }
}

#[test]
fn the_exit_code_and_the_signal_of_the_program_are_those_of_the_step() {
    for (end, code) in [("exit 0", 0), ("exit 2", 2), ("exit 255", 255), ("kill -KILL $$", 137), ("kill -ABRT $$", 134)]
    {
        let runner = Runner::new("");
        let binary = runner.path("binary");
        let version = concat!("nuget-login ", env!("CARGO_PKG_VERSION"));
        write_program(&binary, &format!("#!/bin/sh\n[ \"${{1:-}}\" != --version ] || exec echo {version}\n{end}\n"));
        let runner = runner.set("ACTION_BINARY", &binary);
        let ran = runner.run();
        assert_eq!(ran.status.code(), Some(code), "{end}");
        assert!(!String::from_utf8(ran.stdout).unwrap().contains("::error"), "the program has reported it");
        runner.assert_clean();
    }
}

#[test]
fn a_command_that_does_not_end_is_stopped_at_its_limit() {
    // The time is over as soon as the program runs.
    let runner = Runner::new("").with_tools(&[]).with_stand_in("sleep", "until [ -e \"$STARTED\" ]; do :; done");
    let (binary, started) = (runner.path("binary"), runner.path("started"));
    let sleep = crate::checkout::in_path("sleep").unwrap();
    write_program(&binary, &endless("--version").replace("exec sleep", &format!("exec '{}'", sleep.display())));
    let runner = runner.set("ACTION_BINARY", &binary).set("STARTED", &started);
    let error = runner.fails("binary-cannot-be-run");
    assert!(error.ends_with("note: timed out after 10 seconds"), "{error}");
    assert!(fs::read_dir(runner.path("tools")).unwrap().all(|tool| tool.unwrap().file_name() != "timeout"));
}

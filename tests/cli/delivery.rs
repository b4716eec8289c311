//! The output file: checked before anything is sent, and written once.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Fault, Route};
use sandbox::runner::read_outputs;
use serde_json::json;

use crate::job::Job;

#[test]
fn without_a_file_for_the_outputs_nothing_is_sent() {
    let sandbox = Sandbox::with(|_| {});
    for job in [Job::new(&sandbox).unset("GITHUB_OUTPUT"), Job::new(&sandbox).set("GITHUB_OUTPUT", "")] {
        let step = job.run();
        let error = step.failed(1);
        assert!(error.starts_with("the API key cannot be passed to later steps: GITHUB_OUTPUT is unset\n"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    for path in [folder.path(), &missing] {
        let step = Job::new(&sandbox).set("GITHUB_OUTPUT", path).run();
        let error = step.failed(1);
        let file = format!("the file {} (set in GITHUB_OUTPUT) cannot be written: ", path.display());
        assert!(error.starts_with(&format!("the API key cannot be passed to later steps: {file}")), "{error}");
    }
    assert!(!missing.exists());
    assert!(sandbox.requests().is_empty());
}

#[test]
#[cfg(unix)]
fn a_terminal_or_a_pipe_is_refused_as_the_output_file() {
    let sandbox = Sandbox::with(|_| {});
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for path in [pipe.to_str().unwrap(), "/dev/null", "/dev/stdout"] {
        let step = Job::new(&sandbox).set("GITHUB_OUTPUT", path).run();
        assert!(step.failed(1).contains("it is not a regular file"), "{path}: {}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn a_log_that_goes_into_a_file_still_masks() {
    let sandbox = Sandbox::with(|_| {});
    // The runner still reads standard error.
    let step = Job::new(&sandbox).stdout(tempfile::tempfile().unwrap()).run();
    assert_eq!(step.masks().last(), Some(&step.api_key()));
    assert_eq!(step.masks().len(), 3);
}

#[test]
fn a_discarded_log_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).stdout(std::process::Stdio::null()).run();
    assert!(step.failed(1).starts_with("standard output is closed or discarded"), "{}", step.log);
    assert!(sandbox.requests().is_empty(), "not even the request token could be masked");
}

#[test]
#[cfg(target_os = "linux")]
fn a_key_that_cannot_be_masked_is_not_delivered() {
    let sandbox = Sandbox::with(|_| {});
    for device in ["/dev/null", "/dev/full"] {
        let step = Job::new(&sandbox).stdout(fs::OpenOptions::new().write(true).open(device).unwrap()).run();
        assert!(step.failed(1).starts_with("standard output is closed or discarded"), "{}", step.log);
    }
    let closed = Job::new(&sandbox).through("sh").arguments(["-c", "exec \"$0\" >&-"]).run();
    assert!(closed.failed(1).starts_with("standard output is closed or discarded"), "{}", closed.log);
    let job = Job::new(&sandbox).through("sh").arguments(["-c", "\"$0\" > log 2> /dev/null || { cat log; exit 1; }"]);
    let folder = job.directory();
    let kept = job.within(&folder).run();
    assert!(kept.failed(1).starts_with("standard error is closed or discarded"), "{}", kept.log);
    // A pipe without a reader.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let step = Job::new(&sandbox).stdout(writer).run();
    assert_eq!(step.code, 1);
    assert!(sandbox.requests().is_empty(), "not even the request token could be masked");
}

#[test]
fn earlier_outputs_are_preserved() {
    for before in ["other=1\n", "other=1", "other<<x\n1\nx\n"] {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox);
        fs::write(job.output(), before).unwrap();
        let step = job.run();
        assert!(step.output_file.starts_with(before));
        assert_eq!(step.outputs["other"], "1", "{}", step.output_file);
        assert_eq!(step.api_key(), sandbox.api_keys()[0]);
    }
}

#[test]
fn the_output_file_has_no_blank_lines_which_some_runners_reject() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).run();
    let lines: Vec<&str> = step.output_file.lines().collect();
    assert_eq!(lines.len(), 6, "{}", step.output_file);
    assert!(lines[0].starts_with("NUGET_API_KEY<<") && lines[3].starts_with("expires-at<<"));
}

#[test]
fn each_delimiter_is_new() {
    let sandbox = Sandbox::with(|_| {});
    let delimiters = |_| {
        let step = Job::new(&sandbox).run();
        let lines = step.output_file.lines().filter_map(|line| line.split_once("<<"));
        lines.map(|(_, delimiter)| delimiter.to_owned()).collect::<Vec<_>>()
    };
    let all: std::collections::BTreeSet<String> = (0..3).flat_map(delimiters).collect();
    assert_eq!(all.len(), 6);
    assert!(all.iter().all(|delimiter| delimiter.len() == "ghadelimiter_".len() + 32), "{all:?}");
}

/// The step's outputs for a 200 with this body.
fn answered(body: serde_json::Value) -> crate::job::Step {
    let sandbox = Sandbox::with(|_| {});
    let answer = Answer::json(200, body);
    sandbox.fault(Route::TokenService, 1, Effect::Instead(answer));
    Job::new(&sandbox).run()
}

#[test]
fn the_expiry_is_passed_on_unchanged() {
    for expires in ["2026-11-22T13:00:00.0000000+00:00", "2026-11-22T13:00:00Z", "2026-11-22T15:00:00.5+02:00"] {
        let step = answered(json!({ "apiKey": "a-key-of-some-length", "expires": expires }));
        assert_eq!(step.api_key(), "a-key-of-some-length");
        assert_eq!(step.outputs["expires-at"], expires);
        assert!(step.text()[0].ends_with("NUGET_API_KEY is valid until 2026-11-22 13:00 UTC."), "{}", step.log);
    }
}

#[test]
fn a_missing_or_unreadable_expiry_is_left_out() {
    let bodies = [
        (json!({ "apiKey": "a-key-of-some-length" }), "valid for a time that the token service does not specify."),
        (json!({ "apiKey": "a-key-of-some-length", "expires": null }), "the token service does not specify."),
        (
            json!({ "apiKey": "a-key-of-some-length", "expires": "soon\nx=y" }),
            "until soon x=y (not a time in RFC 3339).",
        ),
        (json!({ "apiKey": "a-key-of-some-length", "expires": 1795352400 }), "the token service does not specify."),
        (
            json!({ "apiKey": "a\"key\\long-1", "expires": { "x": "a\"key\\long-1" } }),
            "the token service does not specify.",
        ),
        (
            json!({ "apiKey": "a-key-of-some-length", "expires": "9999-12-31T23:59:59-01:00" }),
            "until 9999-12-31T23:59:59-01:00 (not a time in RFC 3339).",
        ),
        (
            json!({ "apiKey": "a-key-of-some-length", "expires": "a-key-of-some-length" }),
            "until *** (not a time in RFC 3339).",
        ),
    ];
    for (body, end) in bodies {
        let key = body["apiKey"].as_str().unwrap().to_owned();
        let step = answered(body);
        assert_eq!(step.api_key(), key);
        assert!(!step.text()[0].contains("long-1"), "{}", step.log);
        assert_eq!(step.outputs.get("expires-at"), None);
        assert!(step.text()[0].ends_with(end), "{}", step.log);
    }
}

/// Until the ID token is on its way.
fn wait_for_exchange(sandbox: &Sandbox) {
    let began = Instant::now();
    while sandbox.requests().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "no exchange");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_output_file_that_was_removed_is_a_failure() {
    let sandbox = Sandbox::with(|_| {});
    let delayed = Fault { delay: Duration::from_millis(700), effect: Effect::Answered };
    sandbox.fault(Route::TokenService, 1, delayed);
    let mut job = Job::new(&sandbox);
    let child = job.spawn();
    wait_for_exchange(&sandbox);
    fs::remove_file(job.output()).unwrap();
    let ran = child.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    let log = String::from_utf8(ran.stdout).unwrap();
    let fact = "the API key cannot be passed to later steps: the file in GITHUB_OUTPUT cannot be written: ";
    assert!(log.contains(fact), "{log}");
}

/// A job with a file for the environment of later steps.
fn exporting<'a>(sandbox: &'a Sandbox, before: &str) -> (Job<'a>, std::path::PathBuf) {
    let job = Job::new(sandbox).set("INPUT_EXPORT_ENV", "true");
    let file = job.directory().join("env");
    fs::write(&file, before).unwrap();
    (job.set("GITHUB_ENV", &file), file)
}

#[test]
fn export_env_also_passes_the_key_to_later_steps() {
    for before in ["", "OTHER=1\n", "OTHER=1"] {
        let sandbox = Sandbox::with(|_| {});
        let (mut job, file) = exporting(&sandbox, before);
        assert!(job.execute().status.success());
        let written = fs::read_to_string(&file).unwrap();
        let records: Vec<_> = read_outputs(written.strip_prefix(before).unwrap().trim_start()).unwrap();
        assert_eq!(records, [("NUGET_API_KEY".to_owned(), sandbox.api_keys()[0].clone())]);
        assert!(fs::read_to_string(job.output()).unwrap().contains(&sandbox.api_keys()[0]));
    }
}

#[test]
fn without_export_env_nothing_is_exported() {
    for value in ["false", ""] {
        let sandbox = Sandbox::with(|_| {});
        let (job, file) = exporting(&sandbox, "OTHER=1\n");
        let mut job = job.set("INPUT_EXPORT_ENV", value);
        assert!(job.execute().status.success());
        assert_eq!(fs::read_to_string(&file).unwrap(), "OTHER=1\n");
    }
}

#[test]
fn without_a_file_to_export_to_nothing_is_sent() {
    let sandbox = Sandbox::with(|_| {});
    for path in ["", "/nowhere/env"] {
        let step = Job::new(&sandbox).arguments(["--export-env"]).set("GITHUB_ENV", path).run();
        assert!(step.failed(1).contains("GITHUB_ENV"), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn a_key_is_in_both_files_or_in_none() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::TokenService, 1, Fault { delay: Duration::from_millis(700), effect: Effect::Answered });
    let (mut job, file) = exporting(&sandbox, "OTHER=1\n");
    let child = job.spawn();
    wait_for_exchange(&sandbox);
    fs::remove_file(job.output()).unwrap();
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(1));
    assert_eq!(fs::read_to_string(file).unwrap(), "OTHER=1\n");
}

//! Limits of the system, and streams that cannot be written.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use sandbox::Sandbox;
use sandbox::faults::{Effect, Fault, Route};

use crate::job::{Job, program, secrets};

#[test]
fn a_stream_that_is_not_open_for_writing_is_treated_as_discarded() {
    let sandbox = Sandbox::with(|_| {});
    for (name, script) in [
        ("output", "true | exec \"$0\" 1<&0"),
        ("output", "exec \"$0\" 1</etc/passwd"),
        ("output", "exec \"$0\" 1</tmp"),
        ("error", "true | { \"$0\" > log 2<&0 || { cat log; exit 1; }; }"),
    ] {
        let job = Job::new(&sandbox).with_path().through("sh");
        let folder = job.directory();
        let step = job.within(&folder).arguments(["-c", script]).run();
        let expected = format!("standard {name} is closed or discarded");
        assert!(step.failed(1).starts_with(&expected), "{script}: {}", step.log);
    }
    let url = sandbox.token_service_url();
    for redirection in ["2<&0", "2</etc/passwd", "2</tmp"] {
        let script =
            format!("true | \"$0\" exec --user contoso-bot --token-service-url {url} -- echo ran {redirection}");
        let job = Job::new(&sandbox).with_path().through("sh");
        let ran = job.arguments(["-c", &script]).execute();
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(printed.contains("standard error is closed or discarded") && !printed.contains("\nran"), "{printed}");
    }
    assert!(sandbox.requests().is_empty(), "not even the request token could be masked");
}

/// A datagram socket separates the writes.
#[test]
fn every_line_of_the_log_is_one_write() {
    let sandbox = Sandbox::with(|config| {
        config.job.claims.insert("padding".to_owned(), "x".repeat(1_200).into());
    });
    let url = sandbox.token_service_url();
    let exec = format!("exec \"$0\" exec --user contoso-bot --token-service-url {url} -- echo ran 2>&1 >/dev/null");
    for script in ["exec \"$0\"", &exec] {
        let (log, theirs) = std::os::unix::net::UnixDatagram::pair().unwrap();
        log.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let job = Job::new(&sandbox).with_path().set("RUNNER_DEBUG", "1");
        let job = job.through("sh").stdout(std::os::fd::OwnedFd::from(theirs));
        let mut job = job.arguments(["-c", script]);
        let mut child = job.spawn();
        let mut writes = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        while !writes.last().is_some_and(|it: &String| it.starts_with("Logged in to ")) {
            let length = log.recv(&mut buffer).unwrap();
            writes.push(String::from_utf8(buffer[..length].to_vec()).unwrap());
        }
        assert!(child.wait().unwrap().success(), "{writes:?}");
        writes.retain(|write| !write.is_empty());
        for write in &writes {
            assert!(write.ends_with('\n') && write.trim_start_matches('\n').lines().count() == 1, "{write:?}");
        }
        let made = secrets(&sandbox);
        let masks = Vec::from_iter(writes.iter().filter_map(|write| write.strip_prefix("\n::add-mask::")));
        assert_eq!(masks.len(), 3, "{writes:?}");
        assert!(masks.iter().all(|mask| made.iter().any(|secret| *secret == mask.trim_end())));
        assert!(masks[1].len() > 1_024, "an ID token is longer than one write of the standard library");
    }
}

#[test]
fn a_line_that_another_process_left_unfinished_does_not_hide_a_mask() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).through("sh").arguments(["-c", "printf 'Logging in: '; exec \"$0\""]).run();
    assert_eq!(step.masks().last(), Some(&step.api_key()));
    assert_eq!(step.masks().len(), 3);
}

#[test]
fn an_abort_leaves_no_core_file() {
    let folder = tempfile::tempdir().unwrap();
    let abort = ["-c", "ulimit -c unlimited && kill -ABRT $$"];
    if !Command::new("sh").args(abort).current_dir(folder.path()).status().unwrap().core_dumped() {
        eprintln!("skipped: no core files here");
        return;
    }
    let sandbox = Sandbox::with(|_| {});
    // The program waits for the response to its exchange, with both tokens in its memory.
    sandbox.fault(Route::TokenService, 1, Fault { delay: Duration::from_secs(20), effect: Effect::Answered });
    let mut job = Job::new(&sandbox).within(folder.path()).through("sh");
    job = job.arguments(["-c", "ulimit -c unlimited; exec \"$0\""]);
    let mut child = job.spawn();
    let began = Instant::now();
    while sandbox.requests().len() < 2 {
        assert!(began.elapsed() < Duration::from_secs(30), "no exchange");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
}

#[test]
fn a_policy_that_cannot_be_printed_is_an_error() {
    let sandbox = Sandbox::with(|_| {});
    for redirection in ["1<&0", "1</etc/passwd", "1</tmp", ">/dev/full"] {
        let job = Job::new(&sandbox).with_path().through("sh");
        let ran = job.arguments(["-c", &format!("true | \"$0\" policy {redirection}")]).execute();
        assert_eq!(ran.status.code(), Some(1), "{redirection}: {ran:?}");
    }
}

#[test]
fn a_full_non_blocking_pipe_is_retried() {
    use std::io::Read;
    let sandbox = Sandbox::with(|_| {});
    let (mut log, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut other = theirs.try_clone().unwrap();
    while std::io::Write::write(&mut other, &[b'\n'; 4_096]).is_ok() {}
    drop(other);
    let mut job = Job::new(&sandbox).stdout(std::os::fd::OwnedFd::from(theirs));
    let mut child = job.spawn();
    let began = Instant::now();
    while sandbox.requests().is_empty() && began.elapsed() < Duration::from_millis(300) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(sandbox.requests().is_empty(), "nothing is sent before the request token is masked");
    let mut text = String::new();
    log.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    log.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("::add-mask::")).count(), 3, "{text}");
}

/// The limit counts the processes of a user, and root has none: the program runs as another user.
#[test]
fn a_process_limit_is_an_error_and_not_a_panic() {
    // A user of its own: processes of other test runs must not count.
    let id = 100_000 + std::process::id();
    let user = [format!("--reuid={id}"), format!("--regid={id}"), "--clear-groups".to_owned()];
    let can =
        Command::new("prlimit").arg("--nproc=2").arg("setpriv").args(&user).arg(program()).arg("--version").output();
    if !can.is_ok_and(|ran| ran.status.success()) {
        eprintln!("skipped: not root, or another user cannot run the program here");
        return;
    }
    let sandbox = Sandbox::with(|_| {});
    let job = Job::new(&sandbox).with_path().through("sh");
    let job = job.set("INPUT_TOKEN_SERVICE_URL", "https://registry.example/token").set("INPUT_TIMEOUT_SECONDS", "2");
    Command::new("chmod").arg("-R").arg("a+rwX").arg(job.directory()).status().unwrap();
    let script = format!("exec prlimit --nproc=2 setpriv {} \"$0\"", user.join(" "));
    let step = job.arguments(["-c", &script]).run();
    let error = step.failed(1);
    assert!(
        error.starts_with("cannot connect to registry.example: the resolver's thread cannot be started"),
        "{error}"
    );
}

#[test]
fn a_file_size_limit_leaves_no_partial_record() {
    let mut failures = 0;
    // One of them is just under the limit, whose unit depends on the shell.
    for length in [1_000, 2_020] {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox).through("sh");
        fs::write(job.output(), format!("other={}\n", "x".repeat(length - 7))).unwrap();
        let step = job.arguments(["-c", "ulimit -f 2; exec \"$0\""]).run();
        if step.code != 0 {
            failures += 1;
            let fact = "the API key cannot be passed to later steps: the file in GITHUB_OUTPUT cannot be written: ";
            assert!(step.failed(1).starts_with(fact), "{}", step.log);
        }
    }
    assert!(failures > 0);
}

#[test]
fn a_command_gets_no_key_if_the_log_has_reached_its_file_size_limit() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    let job = Job::new(&sandbox).with_path().through("sh");
    let (folder, words) = (job.directory(), "ulimit -f 1; exec \"$0\" exec --user contoso-bot --token-service-url");
    // The masks of the tokens alone are longer than the limit.
    fs::write(folder.join("log"), "x".repeat(1_000)).unwrap();
    let script = format!("{words} {url} -- echo ran 2>>log");
    let ran = job.within(&folder).arguments(["-c", &script]).execute();
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{ran:?}");
}

#[test]
fn a_command_inherits_neither_limits_nor_signal_handlers() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    // Handlers and the dumpable attribute end with `exec`; a dumpable process owns its own files in /proc.
    let words = "ulimit -c; grep -E '^Sig(Ign|Cgt)' /proc/self/status; ls -ld /proc/self/ | cut -d ' ' -f 3";
    let run = |script: String| {
        let job = Job::new(&sandbox).with_path().through("sh");
        String::from_utf8(job.arguments(["-c".to_owned(), script]).execute().stdout).unwrap()
    };
    let plain = run(format!("exec sh -c \"{words}\""));
    let with_a_key = run(format!("exec \"$0\" exec --user contoso-bot --token-service-url {url} -- sh -c \"{words}\""));
    assert_eq!(with_a_key, plain);
    assert_eq!(sandbox.api_keys().len(), 1);
}

//! `exec`: a command gets the API key, only in its environment.

use std::ffi::OsStr;
use std::fs;
use std::process::Output;
#[cfg(unix)]
use std::process::{Command, Stdio};

use sandbox::Sandbox;
#[cfg(target_os = "linux")]
use sandbox::faults::{Effect, Fault, Route};
use sandbox::runner::read_log;

use crate::job::{Job, assert_hidden, secrets};

/// The shell of this system, with its flag for a script.
const SHELL: [&str; 2] = if cfg!(windows) { ["cmd", "/c"] } else { ["sh", "-c"] };

/// A job that runs a shell script as the command, with flags for everything.
fn job<'a>(sandbox: &'a Sandbox, words: &str) -> Job<'a> {
    let flags =
        ["exec", "--user", "contoso-bot", "--token-service-url", &sandbox.token_service_url()].map(str::to_owned);
    let job = Job::new(sandbox).with_path().arguments(flags);
    let job = job.set("PATHEXT", ".COM;.EXE;.BAT;.CMD");
    // Only flags are read: an earlier step could have set these variables.
    let job = job.set("INPUT_USER", "unknown-user").set("INPUT_TOKEN_SERVICE_URL", "https://evil.example/token");
    let job = job.set("INPUT_SOURCE", "https://evil.example/index.json").set("INPUT_TIMEOUT_SECONDS", "nonsense");
    let job = job.set("INPUT_AUDIENCE", "https://evil.example").set("INPUT_CHECK_ONLY", "true");
    job.arguments(["--"].into_iter().chain(SHELL).chain([words]))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs the job, and checks that no credential is in its log or in the output file.
#[track_caller]
fn run(sandbox: &Sandbox, mut job: Job<'_>) -> Output {
    let ran = job.execute();
    let lines = read_log(&text(&ran.stderr));
    secrets(sandbox).iter().for_each(|secret| assert_hidden(secret, &lines, &[]));
    assert_eq!(fs::read_to_string(job.output()).unwrap(), "");
    ran
}

#[test]
fn the_command_gets_the_key_in_its_environment_and_standard_output_to_itself() {
    let sandbox = Sandbox::with(|_| {});
    let words = match cfg!(windows) {
        true => "echo %NUGET_API_KEY%& echo to the side>&2",
        false => "echo $NUGET_API_KEY; echo to the side >&2",
    };
    let ran = run(&sandbox, job(&sandbox, words));
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(text(&ran.stdout).trim_end(), sandbox.api_keys()[0]);
    let stderr = text(&ran.stderr).replace('\r', "");
    assert!(stderr.contains(&format!("::add-mask::{}\n", sandbox.api_keys()[0])), "{stderr}");
    assert!(stderr.contains(" as contoso-bot: NUGET_API_KEY is valid until "), "{stderr}");
    assert!(stderr.ends_with("\nto the side\n"), "{stderr}");
}

#[test]
#[cfg(unix)]
fn outside_of_a_job_no_mask_is_printed_since_it_would_show_the_key() {
    use sandbox::runner::Line;
    let sandbox = Sandbox::with(|_| {});
    let job = job(&sandbox, "printf %s \"${#NUGET_API_KEY}\"").unset("GITHUB_ACTIONS").unset("GITHUB_OUTPUT");
    let ran = run(&sandbox, job);
    assert_eq!(text(&ran.stdout), "84", "{ran:?}");
    assert!(read_log(&text(&ran.stderr)).iter().all(|line| matches!(line, Line::Text(_))), "{ran:?}");
}

#[test]
fn outside_of_a_job_only_a_sandbox_is_used() {
    let sandbox = Sandbox::with(|_| {});
    let job = job(&sandbox, "echo ran").unset("GITHUB_ACTIONS");
    let ran = run(&sandbox, job.set("ACTIONS_ID_TOKEN_REQUEST_URL", "https://token.actions.example/x"));
    assert_eq!(ran.status.code(), Some(2));
    let fact = "error: this is not a CI job, and token.actions.example is not a loopback host\n";
    assert!(text(&ran.stderr).starts_with(fact), "{ran:?}");
    for (flags, host) in [
        (&[][..], "www.nuget.org"),
        (&["--token-service-url", "https://www.nuget.org/api/v2/token"], "www.nuget.org"),
        (&["--source=https://nuget.example/i"], "nuget.example"),
    ] {
        let arguments =
            ["exec", "--user=me", "--audience=x"].iter().chain(flags).chain(&["--", "echo", "ran"]).copied();
        let ran = run(&sandbox, Job::new(&sandbox).unset("GITHUB_ACTIONS").arguments(arguments));
        assert_eq!(ran.status.code(), Some(2));
        let fact = format!("error: this is not a CI job, and {host} is not a loopback host\n");
        assert!(text(&ran.stderr).starts_with(&fact) && ran.stdout.is_empty(), "{ran:?}");
    }
    let without = Job::new(&sandbox).unset("GITHUB_ACTIONS").unset("ACTIONS_ID_TOKEN_REQUEST_URL");
    let ran = run(&sandbox, without.arguments(["exec", "--user=me", "--", "echo", "ran"]));
    assert_eq!(ran.status.code(), Some(2));
    let fact = "error: this is not a CI job, and ACTIONS_ID_TOKEN_REQUEST_URL is unset\n";
    assert!(text(&ran.stderr).starts_with(fact), "{ran:?}");
    assert!(ran.stdout.is_empty() && sandbox.requests().is_empty());
}

/// GitHub's runner reads standard output, which is the command's, independently of standard error, which has the mask.
#[test]
#[cfg(target_os = "linux")]
fn a_command_starts_a_tenth_of_a_second_after_the_mask() {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::TokenService, 1, Fault { delay: Duration::from_millis(300), effect: Effect::Answered });
    let began = now();
    let ran = run(&sandbox, job(&sandbox, "date +%s%N"));
    let started = Duration::from_nanos(text(&ran.stdout).trim().parse().unwrap());
    assert!(started - began >= Duration::from_millis(400), "{:?}", started - began);
}

#[test]
fn an_id_token_from_a_sandbox_is_not_sent_to_another_token_service() {
    let sandbox = Sandbox::with(|_| {});
    for (more, host) in [
        (&[][..], "www.nuget.org"),
        (&["--token-service-url", "https://registry.example/token", "--audience", "x"], "registry.example"),
    ] {
        let arguments = ["exec", "--user=contoso-bot"].iter().chain(more).chain(&["--", "echo", "ran"]).copied();
        let job = Job::new(&sandbox).with_path().arguments(arguments);
        let ran = run(&sandbox, job.set("PATHEXT", ".COM;.EXE;.BAT;.CMD"));
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0), "{ran:?}");
        let stderr = text(&ran.stderr);
        let fact = format!(
            "::error title=NuGet login failed::the ID tokens come from a sandbox (ACTIONS_ID_TOKEN_REQUEST_URL is a \
             loopback URL), but {host} is not a loopback host%0Afix: for the sandbox, set \"--token-service-url\" or \
             \"--source\" to its loopback URL"
        );
        assert!(stderr.contains(&fact), "{stderr}");
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn the_exit_code_is_the_commands() {
    let sandbox = Sandbox::with(|_| {});
    assert_eq!(run(&sandbox, job(&sandbox, "exit 7")).status.code(), Some(7));
}

#[test]
#[cfg(unix)]
fn signals_reach_the_command() {
    use std::os::unix::process::ExitStatusExt;
    let sandbox = Sandbox::with(|_| {});
    assert_eq!(run(&sandbox, job(&sandbox, "kill -TERM $$")).status.signal(), Some(15));
    // The program has become the command: it has the same process ID.
    let mut child = job(&sandbox, "echo $$; read line; echo \"$line\"").stdout(Stdio::piped()).spawn();
    let pid = child.id().to_string();
    let mut printed = String::new();
    let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut printed).unwrap();
    child.wait().unwrap();
    assert_eq!(printed.trim(), pid);
}

#[test]
#[cfg(unix)]
fn the_command_inherits_what_it_would_have_without_the_login() {
    let sandbox = Sandbox::with(|_| {});
    // A pipe without a reader ends a program by its signal, and no file of nuget-login is left open.
    let words =
        "cd \"$HOME\"; (yes; echo $? >&2) 2>status | head -n 1; cat status; cd /proc/self/fd 2>/dev/null && echo *";
    let job = job(&sandbox, words);
    let home = job.directory();
    let ran = run(&sandbox, job.set("HOME", &home));
    fs::create_dir_all(&home).unwrap();
    let plain =
        Command::new("sh").args(["-c", words]).env("HOME", &home).stdin(Stdio::null()).stderr(Stdio::piped()).output();
    assert_eq!(text(&ran.stdout), text(&plain.unwrap().stdout));
    fs::remove_dir_all(&home).unwrap();
}

#[test]
#[cfg(unix)]
fn a_token_service_is_found_in_the_service_index() {
    let sandbox = Sandbox::with(|_| {});
    let index = sandbox.service_index_url();
    let arguments = ["exec", "--user=contoso-bot", "--source", &index, "--", "printenv", "NUGET_API_KEY"];
    let job = Job::new(&sandbox).with_path().arguments(arguments);
    let ran = run(&sandbox, job.set("RUNNER_DEBUG", "1"));
    assert_eq!(text(&ran.stdout).trim(), sandbox.api_keys()[0]);
    assert!(text(&ran.stderr).contains("::debug::POST "), "{ran:?}");
}

#[test]
#[cfg(unix)]
fn the_key_is_in_no_argument() {
    let sandbox = Sandbox::with(|_| {});
    let ran = run(&sandbox, job(&sandbox, "ps -o args= -p $$ 2>/dev/null || tr '\\0' ' ' < /proc/$$/cmdline"));
    assert!(!ran.stdout.is_empty());
    assert!(!text(&ran.stdout).contains(&sandbox.api_keys()[0]));
}

#[test]
fn without_a_key_the_command_does_not_run() {
    let sandbox = Sandbox::with(|config| config.policies[0].workflow = "publish.yml".to_owned());
    let ran = run(&sandbox, job(&sandbox, "echo ran"));
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0));
    assert!(
        text(&ran.stderr).contains(
            "::error title=NuGet login failed::the trust policy \"contoso-sdk release\" expects the workflow file \
             publish.yml, but this job is defined in release.yml%0Afix: "
        ),
        "{ran:?}"
    );
}

/// A job that runs a program with arguments as the command. PATH is `path`.
fn program<'a>(sandbox: &'a Sandbox, path: impl AsRef<OsStr>, command: &[&str]) -> Job<'a> {
    let url = sandbox.token_service_url();
    let flags = ["exec", "--user=contoso-bot", "--token-service-url", &url, "--"];
    let job = Job::new(sandbox).set("PATH", path.as_ref()).set("PATHEXT", ".COM;.EXE;.BAT;.CMD;.JS");
    job.arguments(flags.into_iter().chain(command.iter().copied()))
}

#[test]
fn a_command_that_cannot_be_run_is_an_error_before_the_login() {
    let sandbox = Sandbox::with(|_| {});
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("text"), "echo ran").unwrap();
    fs::write(folder.path().join("script.js"), "echo ran").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    let cases = [
        ("no-such-command", 127, "it was not found on PATH"),
        ("folder", 127, "it was not found on PATH"),
        ("/nowhere/command", 127, "it does not exist"),
        ("text/command", 127, "it does not exist"),
        ("text", 126, "it is not executable"),
        ("./text", 126, "it is not executable"),
        ("script.js", 126, "it is not executable"),
        ("./folder", 126, "it is not executable"),
        ("/", 126, "it is not executable"),
    ];
    let by_extension = cfg!(windows).then_some(("script", 126, "it is not executable"));
    for (name, code, cause) in cases.into_iter().chain(by_extension) {
        let job = program(&sandbox, folder.path(), &[name, "secret-argument"]).within(folder.path());
        let ran = run(&sandbox, job);
        assert_eq!(ran.status.code(), Some(code), "{ran:?}");
        let stderr = text(&ran.stderr);
        assert!(stderr.contains(&format!("::the command \"{name}\" cannot be run: {cause}%0Afix: ")), "{stderr}");
        assert!(!stderr.contains("secret-argument"), "{stderr}");
        assert!(sandbox.requests().is_empty(), "{name}");
    }
}

#[test]
#[cfg(unix)]
fn a_command_is_found_like_in_a_shell() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::with(|_| {});
    let folder = tempfile::tempdir().unwrap();
    // Not executable in the first folder of PATH, a folder in the second.
    for (file, mode) in [("a/tool", 0o644), ("c/tool", 0o755), ("tool", 0o755), ("here", 0o755)] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\necho {file} \"$@\"\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir_all(folder.path().join("b/tool")).unwrap();
    let all = ["a", "b", "c"].map(|name| folder.path().join(name));
    let all = std::env::join_paths(all).unwrap().into_string().unwrap();
    let absolute = folder.path().join("c/tool").into_os_string().into_string().unwrap();
    let here = folder.path().to_str().unwrap();
    for (path, name) in [
        (&*all, "tool"),
        ("a:b:c", "tool"),
        // An empty entry is the current folder, which is not searched otherwise.
        (&*all, "here"),
        ("a::c", "tool"),
        ("a:", "here"),
        (":a", "here"),
        ("", "here"),
        ("/nowhere", "here"),
        // With a slash, PATH does not matter.
        (here, "./tool"),
        (here, "c/tool"),
        (here, "a/../tool"),
        (here, "b/tool"),
        ("/nowhere", &absolute),
    ] {
        let job = program(&sandbox, path, &[name, "two words", ""]).within(folder.path());
        let ran = run(&sandbox, job);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "\"$0\" \"$@\"", name, "two words", ""]).env("PATH", path).current_dir(folder.path());
        let shell = shell.output().unwrap();
        let expected = (shell.status.code(), text(&shell.stdout));
        assert_eq!((ran.status.code(), text(&ran.stdout)), expected, "{name} on {path}: {ran:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_command_is_found_without_a_path() {
    let sandbox = Sandbox::with(|_| {});
    let ran = run(&sandbox, program(&sandbox, "", &["sh", "-c", "echo ran"]).unset("PATH"));
    assert_eq!(text(&ran.stdout), "ran\n", "{ran:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_command_is_started_by_the_given_name() {
    let sandbox = Sandbox::with(|_| {});
    let job = program(&sandbox, std::env::var_os("PATH").unwrap(), &["cat", "/proc/self/cmdline"]);
    assert_eq!(text(&run(&sandbox, job).stdout), "cat\0/proc/self/cmdline\0");
}

#[test]
#[cfg(windows)]
fn a_batch_file_is_found_by_pathext_and_gets_its_arguments() {
    let folder = tempfile::tempdir().unwrap();
    // npm has a shell's script beside it, too.
    fs::write(folder.path().join("tool"), "#!/bin/sh\n").unwrap();
    let words = "@echo [%1] [%2] [%NUGET_API_KEY%]\r\n@exit /b 7\r\n";
    fs::write(folder.path().join("tool.cmd"), words).unwrap();
    for (path, name) in [
        (folder.path().to_str().unwrap(), "tool"),
        (folder.path().to_str().unwrap(), "TOOL.CMD"),
        ("", "./tool"),
        ("", ".\\tool.cmd"),
        ("", folder.path().join("tool").to_str().unwrap()),
    ] {
        let sandbox = Sandbox::with(|_| {});
        let job = program(&sandbox, path, &[name, "two words", "a&b"]).within(folder.path());
        let ran = run(&sandbox, job);
        let key = &sandbox.api_keys()[0];
        assert_eq!(text(&ran.stdout).trim_end(), format!("[\"two words\"] [\"a&b\"] [{key}]"), "{name}: {ran:?}");
        assert_eq!(ran.status.code(), Some(7), "{ran:?}");
    }
    let sandbox = Sandbox::with(|_| {});
    let ran = run(&sandbox, program(&sandbox, folder.path(), &["tool", "two\nlines"]));
    assert_eq!(ran.status.code(), Some(126), "{ran:?}");
    assert!(text(&ran.stderr).contains("a batch file cannot take an argument with a line break"), "{ran:?}");
    // PATH alone is searched, as by PowerShell and Git's shell.
    let ran = run(&sandbox, program(&sandbox, "", &["tool"]).within(folder.path()));
    assert_eq!(ran.status.code(), Some(127), "{ran:?}");
    assert!(sandbox.requests().is_empty());
}

#[test]
#[cfg(windows)]
fn a_command_on_path_wins_over_one_in_system32() {
    let sandbox = Sandbox::with(|_| {});
    let system = std::path::PathBuf::from(std::env::var_os("SystemRoot").unwrap()).join("System32");
    assert!(system.join("hostname.exe").is_file());
    let folder = tempfile::tempdir().unwrap();
    fs::copy(crate::job::program(), folder.path().join("hostname.exe")).unwrap();
    let path = std::env::join_paths([folder.path(), &system]).unwrap();
    let ran = run(&sandbox, program(&sandbox, path, &["hostname", "--version"]));
    assert!(text(&ran.stdout).starts_with("nuget-login "), "{ran:?}");
}

#[test]
#[cfg(windows)]
fn a_key_that_cannot_be_masked_is_not_delivered() {
    let sandbox = Sandbox::with(|_| {});
    let ran = job(&sandbox, "echo ran").stderr(std::process::Stdio::null()).execute();
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        text(&ran.stdout).contains("standard error is closed or discarded, so no secret could be masked"),
        "{ran:?}"
    );
    assert!(sandbox.requests().is_empty());
}

/// Runs a script with the argument `ran` as the command.
#[cfg(unix)]
fn run_script(text: &str) -> Output {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::with(|_| {});
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    run(&sandbox, program(&sandbox, std::env::var_os("PATH").unwrap(), &[script.to_str().unwrap(), "ran"]))
}

#[test]
#[cfg(unix)]
fn a_script_without_an_interpreter_line_is_run_by_a_shell() {
    let ran = run_script("echo \"$1 ${#NUGET_API_KEY}\"\nexit 3\n");
    assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(3), "ran 84\n"), "{ran:?}");
}

#[test]
#[cfg(unix)]
fn a_script_with_a_missing_interpreter_is_not_run_by_a_shell() {
    let ran = run_script("#!/nowhere/interpreter\necho ran\n");
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(127), 0), "{ran:?}");
}

#[test]
fn only_the_program_of_a_quoted_command_line_is_shown() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    let command = "/nowhere/push --key s3cr3t-argument";
    let arguments = ["exec", "--user=contoso-bot", "--token-service-url", &url, "--", command];
    let ran = run(&sandbox, Job::new(&sandbox).arguments(arguments));
    assert_eq!(ran.status.code(), Some(127));
    assert!(text(&ran.stderr).contains("the command \"/nowhere/push…\" cannot be run: "), "{ran:?}");
}

#[test]
fn only_flags_are_read_and_a_command_is_required() {
    let sandbox = Sandbox::with(|_| {});
    let ran = run(&sandbox, Job::new(&sandbox).arguments(["exec", "--", "true"]));
    assert_eq!(ran.status.code(), Some(2));
    let fact = "::error title=NuGet login failed::the flag \"--user\" is missing or empty%0Afix: add \"--user\" with ";
    assert!(text(&ran.stderr).starts_with(fact), "{ran:?}");
    for arguments in [
        &["exec", "--user", "x"][..],
        &["exec", "true"],
        &["exec", "--usr", "x", "--", "true"],
        &["exec", "--user", "x", "--", ""],
    ] {
        let ran = Job::new(&sandbox).arguments(arguments.iter().copied()).execute();
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0), "{ran:?}");
        assert!(text(&ran.stderr).starts_with("::error title=NuGet login failed::"), "{ran:?}");
    }
    assert_eq!(Job::new(&sandbox).arguments(["--user", "x", "exec", "--", "true"]).run().code, 2);
    assert!(sandbox.requests().is_empty());
}

/// A job that runs a shell script, in which `run` is the program with its flags, in a folder of its own.
#[cfg(target_os = "linux")]
fn in_shell<'a>(sandbox: &'a Sandbox, words: &str) -> Job<'a> {
    let words = format!("run() {{ \"$0\" exec --user contoso-bot --token-service-url \"$URL\" \"$@\"; }}; {words}");
    let job = Job::new(sandbox).with_path().set("URL", sandbox.token_service_url());
    let folder = job.directory();
    job.within(&folder).through("sh").arguments(["-c", &words])
}

#[test]
#[cfg(target_os = "linux")]
fn masks_are_never_in_what_the_command_prints() {
    let sandbox = Sandbox::with(|_| {});
    let mut job = in_shell(&sandbox, "run -- echo ran 2> log");
    let ran = job.execute();
    assert_eq!(text(&ran.stdout), "ran\n", "{ran:?}");
    let log = fs::read_to_string(job.directory().join("log")).unwrap();
    assert!(log.contains(&format!("::add-mask::{}\n", sandbox.api_keys()[0])), "{log}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_key_that_cannot_be_masked_is_not_delivered() {
    let sandbox = Sandbox::with(|_| {});
    let ran = in_shell(&sandbox, "run -- echo ran 2> /dev/null").execute();
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        text(&ran.stdout).contains("standard error is closed or discarded, so no secret could be masked"),
        "{ran:?}"
    );
    assert!(sandbox.requests().is_empty());
}

#[test]
fn help_states_where_the_key_is() {
    let sandbox = Sandbox::with(|_| {});
    let help = text(&Job::new(&sandbox).arguments(["exec", "--help"]).execute().stdout);
    for words in [
        "NUGET_API_KEY",
        "The key is only in the command's environment",
        "--user <NAME>",
        "sh -c 'push --key \"$NUGET_API_KEY\"'",
        "not INPUT_ variables",
    ] {
        assert!(help.contains(words), "{words}: {help}");
    }
    assert!(!help.contains("check-only") && help.lines().all(|line| line.len() <= 105), "{help}");
}

//! Output that a document shows is what the program prints: the values of a run are replaced by those of the document.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use sandbox::Sandbox;
use sandbox::runner::render;
use tempfile::TempDir;

use crate::blocks::{Block, blocks_in};
use crate::examples::readme_workflow;
use crate::{git, program_in, root};

/// Documents whose `text` blocks are held by other tests, and these.
const HELD_ELSEWHERE: &[(&str, &str)] = &[
    ("docs/troubleshooting.md", "src/explain/troubleshooting.rs"),
    ("docs/troubleshooting-download.md", "tests/action/troubleshooting.rs"),
];

/// A text without what differs between two runs: ports, times, the version, blanks at the ends of lines.
fn normal(text: &str) -> String {
    let text = text.replace(concat!("v", env!("CARGO_PKG_VERSION")), "v1.0.0");
    let is_word = |c: char| !c.is_whitespace();
    let mut shown = String::new();
    for line in text.lines() {
        let words = line.split_inclusive(|c| !is_word(c)).map(|word| {
            let digits = word.chars().filter(char::is_ascii_digit).count();
            match () {
                () if word.starts_with("127.0.0.1:") => "127.0.0.1:PORT ".to_owned(),
                () if word.starts_with("20") && digits >= 8 && word.contains('T') => "TIMESTAMP".to_owned(),
                () if word.starts_with("20") && digits == 8 => "DATE ".to_owned(),
                () if digits == 4 && word.trim().len() == 5 && word.contains(':') => "TIME ".to_owned(),
                () => word.to_owned(),
            }
        });
        shown += words.collect::<String>().trim_end();
        shown.push('\n');
    }
    shown
}

fn repository(file: &str, text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), "init --quiet");
    git(folder.path(), "remote add origin git@github.com:contoso/contoso-sdk.git");
    fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    fs::write(folder.path().join(".github/workflows").join(file), text).unwrap();
    folder
}

/// Standard output of the program, as a step would not be.
fn nuget_login(folder: &Path, arguments: &[&str]) -> String {
    let ran = program_in(folder, env!("CARGO_BIN_EXE_nuget-login")).args(arguments).output().unwrap();
    String::from_utf8(ran.stdout).unwrap()
}

/// What a command of a console block prints.
fn printed(command: &str, block: &Block) -> String {
    match command {
        "nuget-login check" => {
            let workflow = if block.document == "docs/check.md" {
                let mut examples = blocks_in("yaml").into_iter().filter(|it| it.heading == "no-id-token-permission");
                format!("name: release\n{}", examples.next().unwrap().text)
            } else {
                readme_workflow()
            };
            nuget_login(repository("release.yml", &workflow).path(), &["check", "--format=human"])
        }
        "cargo build && cargo run -p sandbox -- run -- target/debug/nuget-login" => {
            let mut command = Command::new(crate::sandbox());
            command.args(["run", "--", env!("CARGO_BIN_EXE_nuget-login")]);
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        }
        _ => panic!("{}: nothing produces the output of {command}", block.place()),
    }
}

#[test]
fn the_output_of_a_command_is_what_it_prints() {
    let mut seen = 0;
    for block in blocks_in("console") {
        for (command, output) in block.console().iter().filter(|(_, output)| !output.is_empty()) {
            assert_eq!(normal(output), normal(&printed(command, &block)), "{}", block.place());
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

/// The login step of a job in the sandbox, with these inputs too.
fn login(sandbox: &Sandbox, inputs: &[(&str, &str)]) -> Output {
    let output = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_nuget-login"));
    command.env_clear().envs(sandbox.step_environment()).env("GITHUB_OUTPUT", output.path());
    // Without it Windows opens no sockets.
    command.envs(std::env::var_os("SystemRoot").map(|root| ("SystemRoot", root)));
    command.envs(inputs.iter().copied()).output().unwrap()
}

/// The log of a login, as if the sandbox were nuget.org.
fn log(sandbox: &Sandbox, inputs: &[(&str, &str)]) -> String {
    let ran = login(sandbox, inputs);
    let log = render(&String::from_utf8(ran.stdout).unwrap()).join("\n");
    log.replace(sandbox.base_url().trim_start_matches("http://"), "www.nuget.org")
}

#[test]
fn text_of_the_program_is_what_it_prints() {
    for block in blocks_in("text") {
        let lines = block.text.trim_end();
        match block.document.as_str() {
            "docs/getting-started.md" => {
                let sandbox = Sandbox::with(|_| {});
                let printed = [log(&sandbox, &[]), log(&sandbox, &[("INPUT_CHECK_ONLY", "true")])];
                let printed = printed.map(|log| normal(&log));
                assert!(printed.contains(&normal(lines)), "{}: {printed:?}", block.place());
            }
            "docs/releasing.md" => {
                let script = fs::read_to_string(root().join(".github/scripts/check-settings")).unwrap();
                for (status, setting) in lines.lines().map(|line| line.split_at(9)) {
                    assert!(script.contains(&format!("\nsetting \"{setting}\" ")), "{setting}");
                    assert!(script.contains(&format!("echo \"{status}$1\"")), "{status}");
                }
            }
            document => {
                let held = HELD_ELSEWHERE.iter().find(|(it, _)| *it == document);
                let (_, test) = held.unwrap_or_else(|| panic!("{}: nothing prints this text", block.place()));
                assert!(fs::read_to_string(root().join(test)).unwrap().contains(&format!("\"{document}\"")), "{test}");
            }
        }
    }
}

/// The lines of a diff, before and after.
fn sides(diff: &str) -> [String; 2] {
    ['+', '-'].map(|left_out| {
        let lines = diff.lines().filter(|line| !line.starts_with(left_out));
        lines.map(|line| format!("{}\n", line.get(1..).unwrap_or(""))).collect()
    })
}

#[test]
fn a_diff_is_what_migrate_changes() {
    let blocks: Vec<Block> = blocks_in("diff");
    for block in &blocks {
        let [before, after] = sides(&block.text);
        let (before, after, arguments): (_, _, &[&str]) = if before.contains("NuGet/login@") {
            let around = |step: &str| {
                let publish = "on: push\njobs:\n  publish:\n    permissions: {id-token: write}\n    steps:\n";
                format!("{publish}{step}        id: login\n        with: {{user: contoso-bot}}\n")
            };
            (around(&before), around(&after), &["migrate", "--write", "--replace"])
        } else {
            let around = |job: &str| format!("on: push\njobs:\n{job}");
            (around(&before), around(&after), &["migrate", "--write"])
        };
        let folder = repository("release.yml", &before);
        nuget_login(folder.path(), arguments);
        let written = fs::read_to_string(folder.path().join(".github/workflows/release.yml")).unwrap();
        assert_eq!(written.replace(concat!("@v", env!("CARGO_PKG_VERSION")), "@v1.0.0"), after, "{}", block.place());
    }
    assert_eq!(blocks.len(), 2);
}

/// The lines of the first request's head, and its body. Its response is a rejection.
fn read_and_reject(listener: &TcpListener) -> (Vec<String>, String) {
    let mut reader = BufReader::new(listener.accept().unwrap().0);
    let (mut lines, mut line) = (Vec::new(), String::new());
    while reader.read_line(&mut line).unwrap() > 0 && line != "\r\n" {
        lines.push(std::mem::take(&mut line).trim_end().to_owned());
    }
    let length = lines.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    reader.get_mut().write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").unwrap();
    (lines, String::from_utf8(body).unwrap())
}

#[test]
fn the_request_for_registry_operators_is_the_one_that_is_sent() {
    let sandbox = Sandbox::with(|_| {});
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v2/token", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    // Waits for ever if the program does not connect, and ends with the test.
    thread::spawn(move || sender.send(read_and_reject(&listener)));
    let inputs = [("INPUT_TOKEN_SERVICE_URL", url.as_str()), ("INPUT_AUDIENCE", "https://nuget.contoso.example")];
    let ran = login(&sandbox, &inputs);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    let (lines, body) = receiver.recv_timeout(Duration::from_secs(10)).expect("a request");

    let blocks = blocks_in("http");
    let [block] = &blocks[..] else { panic!("one request") };
    let (head, shown) = block.text.split_once("\n\n").unwrap();
    let [ref id_token] = sandbox.id_tokens()[..] else { panic!("one ID token") };
    let sent: Vec<String> = lines.iter().map(|line| line.replace(id_token, "<ID token>").to_lowercase()).collect();
    for line in head.lines() {
        assert!(sent.contains(&line.to_lowercase()), "{line}: {sent:?}");
    }
    assert_eq!(shown.trim_end(), body);
}

//! Every command that a document shows, in a block, in a workflow or in a sentence: the program takes its arguments, and
//! the files that it names exist. Commands of others are only known by name here.

use std::fs;
use std::process::Command;

use clap::CommandFactory;
use clap::error::ErrorKind;
use nuget_login::cli::Arguments;

use crate::blocks::{Block, blocks_in, code_spans, documents};
use crate::script::commands;
use crate::{root, sandbox};

/// Commands of others that nothing here can hold to their options.
const OTHERS: &[&str] = &[
    "Set-Content",
    "cat",
    "cd",
    "chmod",
    "curl",
    "cut",
    "echo",
    "exit",
    "gh",
    "git",
    "grep",
    "mv",
    "nuget",
    "printenv",
    "push",
    "pwsh",
    "sha256sum",
    "test",
    "unzip",
];
/// Words that stand for a command of the reader.
const ANY: &[&str] = &["./push.sh", "COMMAND", "first", "second"];
const DOTNET: &[&str] = &["new", "nuget", "pack", "restore", "test", "tool"];
const CARGO: &[&str] = &["binstall", "build", "deny", "install", "mutants", "run", "test", "update"];

fn check(words: &[String], place: &str) {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (name, arguments) = words.split_first().unwrap();
    match *name {
        "nuget-login" | "./nuget-login" | "target/debug/nuget-login" => nuget_login(arguments, place),
        "dnx" => tool(arguments, place),
        "dotnet" => {
            assert!(DOTNET.contains(&arguments[0]), "{place}: dotnet {}", arguments[0]);
            match arguments {
                ["tool", "run" | "exec", rest @ ..] => tool(rest, place),
                ["tool", "install", rest @ ..] => assert!(rest.iter().any(|it| is_tool(it)), "{place}: {rest:?}"),
                _ => {}
            }
        }
        "cargo" => cargo(arguments, place),
        "sh" if arguments.first() == Some(&"-c") => check_script(arguments[1], place),
        "sh" => assert!(arguments == ["push.sh"] || is_file(arguments[0]), "{place}: {arguments:?}"),
        _ if ANY.contains(name) => {}
        _ if name.contains('/') => assert!(is_file(name), "{place}: no file {name}"),
        _ => assert!(OTHERS.contains(name), "{place}: nothing knows the command {name}"),
    }
}

fn is_file(path: &str) -> bool {
    root().join(path).is_file()
}

fn is_tool(name: &str) -> bool {
    matches!(name.split('@').next(), Some("nuget-login" | "nuget-login-sandbox"))
}

/// The words before `--`, and those after it.
fn split<'a, 'b>(words: &'a [&'b str]) -> (&'a [&'b str], Option<&'a [&'b str]>) {
    match words.iter().position(|word| *word == "--") {
        Some(at) => (&words[..at], Some(&words[at + 1..])),
        None => (words, None),
    }
}

/// A package that `dnx` or `dotnet tool run` runs: its own options come first, then the package, then `--`.
fn tool(words: &[&str], place: &str) {
    let (before, after) = split(words);
    let (package, options) = before.split_last().unwrap_or_else(|| panic!("{place}: no package"));
    assert!(options.iter().all(|it| *it == "--yes"), "{place}: {options:?}");
    match (package.split('@').next().unwrap(), after) {
        ("nuget-login", Some(arguments)) => nuget_login(arguments, place),
        ("nuget-login-sandbox", Some(arguments)) => sandbox_command(arguments, place),
        other => panic!("{place}: {other:?}"),
    }
}

fn cargo(words: &[&str], place: &str) {
    let aliases = fs::read_to_string(root().join(".cargo/config.toml")).unwrap();
    let is_alias = aliases.contains(&format!("\n{} = \"", words[0]));
    assert!(is_alias || CARGO.contains(&words[0]), "{place}: cargo {}", words[0]);
    let (before, after) = split(words);
    for option in before.windows(2) {
        match option {
            ["--test", name] => {
                let files = [format!("tests/{name}.rs"), format!("tests/{name}/main.rs")];
                assert!(files.iter().any(|file| is_file(file)), "{place}: no test {name}");
            }
            ["--example", name] => assert!(is_file(&format!("examples/{name}.rs")), "{place}: no example {name}"),
            ["--git", url] => assert_eq!(*url, env!("CARGO_PKG_REPOSITORY"), "{place}"),
            ["-p", name] => assert!(["nuget-login", "sandbox"].contains(name), "{place}: {name}"),
            _ => {}
        }
    }
    if before == ["run", "-p", "sandbox"] {
        sandbox_command(after.unwrap_or_else(|| panic!("{place}: no --")), place);
    }
}

/// The arguments of `nuget-login`, and the command that `exec` runs.
fn nuget_login(words: &[&str], place: &str) {
    let parsed = Arguments::command().try_get_matches_from([&["nuget-login"], words].concat());
    if let Err(error) = &parsed {
        let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        assert!(is_answer, "{place}: {words:?}: {error}");
    }
    if let (["exec", ..], Some(command)) = (words, split(words).1) {
        check(&command.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), place);
    }
}

/// The arguments of the sandbox, and the command that it runs.
fn sandbox_command(words: &[&str], place: &str) {
    let (before, after) = split(words);
    let helped = Command::new(sandbox()).args(before).arg("--help").output().unwrap();
    assert!(helped.status.success(), "{place}: {}", String::from_utf8_lossy(&helped.stderr));
    if let Some(command) = after {
        check(&command.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), place);
    }
}

fn check_script(script: &str, place: &str) {
    for command in commands(script) {
        check(&command, place);
    }
}

/// The scripts of a workflow or of a GitLab job.
pub(crate) fn scripts(yaml: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    let mut lines = yaml.lines().peekable();
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let mut list = None;
    while let Some(line) = lines.next() {
        let item = line.trim_start().strip_prefix("- ");
        let trimmed = item.unwrap_or(line.trim_start());
        if line.trim() == "script:" {
            list = Some(indentation(line));
            continue;
        }
        list = list.filter(|list| line.trim().is_empty() || indentation(line) > *list);
        let key = ["run:", "entry:"].iter().find_map(|key| trimmed.strip_prefix(key));
        let Some(script) = key.or(item.filter(|_| list.is_some())).map(str::trim) else { continue };
        scripts.push(match script {
            ">-" | "|" => {
                let mut block = Vec::new();
                while let Some(next) = lines.next_if(|next| indentation(next) > indentation(line)) {
                    block.push(next.trim());
                }
                block.join(if script == "|" { "\n" } else { " " })
            }
            _ => script.to_owned(),
        });
    }
    scripts
}

/// What an expression of a workflow is replaced by: one word.
fn without_expressions(script: &str) -> String {
    let mut parts = script.split("${{");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |text, part| text + "EXPRESSION" + part.split_once("}}").unwrap().1)
}

fn console(block: &Block) -> String {
    block.console().into_iter().map(|(command, _)| command + "\n").collect()
}

#[test]
fn the_commands_of_every_block_are_commands() {
    let mut seen = 0;
    for language in ["sh", "powershell", "console", "yaml"] {
        for block in blocks_in(language) {
            let scripts = match language {
                "console" => vec![console(&block)],
                "yaml" => scripts(&block.text),
                _ => vec![block.text.clone()],
            };
            for script in scripts {
                check_script(&without_expressions(&script), &block.place());
                seen += 1;
            }
        }
    }
    assert!(seen > 80, "{seen}");
}

#[test]
fn the_commands_in_sentences_are_commands() {
    let mut seen = 0;
    // A changelog tells of versions that took other arguments.
    for (document, text) in documents().into_iter().filter(|(document, _)| document != "CHANGELOG.md") {
        for span in code_spans(&text) {
            // The name of a subcommand alone is not a call of it. The last one is the name of a policy.
            let names = ["nuget-login exec", "dotnet tool exec", "dotnet tool run", "nuget-login release"];
            let is_name = names.contains(&span.as_str());
            let programs =
                ["nuget-login ", "./nuget-login ", "dnx ", "dotnet tool ", "cargo ", "sh ", ".github/scripts/"];
            if programs.iter().any(|program| span.starts_with(program)) && !is_name && !span.contains('…') {
                check_script(&span, &format!("{document}: {span}"));
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn a_command_that_the_program_does_not_take_is_found() {
    for script in
        ["nuget-login check --note", "dnx nuget-login --user x", "cargo run -p sandbox -- run --port 1 -- sh x"]
    {
        let found = std::panic::catch_unwind(|| check_script(script, "here"));
        assert!(found.is_err(), "{script}");
    }
}

#[test]
fn every_option_of_migrate_is_on_its_page() {
    let page = fs::read_to_string(root().join("docs/migrating.md")).unwrap();
    let command = Arguments::command();
    let options = command.find_subcommand("migrate").unwrap().get_opts().filter_map(|option| option.get_long());
    let options: Vec<&str> = options.collect();
    assert!(options.len() > 5, "{options:?}");
    for option in options {
        assert!(page.contains(&format!("`--{option}")), "{option}");
    }
}

/// The targets of a release.
fn targets() -> Vec<String> {
    let workflow = fs::read_to_string(root().join(".github/workflows/build.yml")).unwrap();
    let targets = workflow.lines().filter_map(|line| line.trim().strip_prefix("- { target: "));
    let mut targets: Vec<String> = targets.map(|it| it.split(',').next().unwrap().to_owned()).collect();
    targets.dedup();
    targets
}

#[test]
fn the_assets_that_documents_name_are_those_of_a_release() {
    let targets = targets();
    let release = ["release-prepare.yml", "release-publish.yml"].map(|it| format!(".github/workflows/{it}"));
    let sources =
        release.into_iter().chain([".github/scripts/publish-release".to_owned(), "dotnet-tool/pack".to_owned()]);
    let sources: String = sources.map(|file| fs::read_to_string(root().join(file)).unwrap()).collect();
    let mut seen = 0;
    for (document, text) in documents() {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        for word in text.split(|c| !is_name(c)) {
            let word = word.trim_matches(['.', '/']);
            let name = word.rsplit('/').next().unwrap();
            if let Some(target) = name.strip_prefix("nuget-login-").filter(|target| target.contains('_')) {
                let target = target.trim_end_matches(".exe");
                assert!(targets.iter().any(|it| it == target), "{document}: {word}");
                seen += 1;
            } else if let Some(rid) = name.strip_prefix("nuget-login.").filter(|rid| rid.contains('-')) {
                assert!(sources.contains(&format!("\"{rid}\": (")), "{document}: {word}");
                seen += 1;
            } else if name.starts_with("SHA256SUMS") || name.ends_with(".jsonl") || name.ends_with(".cdx.json") {
                assert!(sources.contains(name), "{document}: {word}");
                seen += 1;
            }
            // Of this repository's workflows; those of readers have no owner before them.
            if let Some(file) = word.strip_prefix("org/nuget-login/").filter(|it| it.starts_with(".github/")) {
                assert!(is_file(file), "{document}: {word}");
                seen += 1;
            }
        }
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn the_tool_manifest_names_the_package_and_its_command() {
    let blocks = blocks_in("json");
    let [block] = &blocks[..] else { panic!("one manifest") };
    let manifest: serde_json::Value = serde_json::from_str(&block.text).unwrap();
    let tools = serde_json::json!({ "nuget-login": { "version": "1.0.0", "commands": ["nuget-login"] } });
    assert_eq!(manifest, serde_json::json!({ "version": 1, "isRoot": true, "tools": tools }));
    let pack = fs::read_to_string(root().join("dotnet-tool/pack")).unwrap();
    assert!(
        pack.contains("\n    \"nuget-login\": (\n") && pack.contains("Name=\"{tool}\""),
        "the command is the package"
    );
}

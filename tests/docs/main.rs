//! The documents: links lead somewhere, lines fit a screen, examples have no mistake, commands are what the programs
//! take, and output is what they print.

#[cfg(target_os = "linux")]
mod act;
mod blocks;
mod commands;
mod examples;
mod output;
mod script;
#[cfg(target_os = "linux")]
mod stand_ins;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use blocks::{blocks, documents, prose};

/// Longest line, in characters; lines of code blocks, single links and single code spans are as long as what they show.
const WIDTH: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The sandbox's program: `cargo test` and `cargo build --workspace` build it beside the one that is tested.
fn sandbox() -> PathBuf {
    let name = format!("sandbox{}", std::env::consts::EXE_SUFFIX);
    let path = Path::new(env!("CARGO_BIN_EXE_nuget-login")).with_file_name(name);
    assert!(path.is_file(), "first: cargo build --workspace");
    path
}

/// What git sets for its hooks, which would make every folder this repository.
const GIT_VARIABLES: [&str; 4] = ["GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"];

/// A program in a folder that has, or will have, a repository of its own.
fn program_in(folder: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in GIT_VARIABLES {
        command.env_remove(name);
    }
    command.current_dir(folder).env_remove("GITHUB_ACTIONS").env_remove("GITLAB_CI");
    command
}

fn git(folder: &Path, arguments: &str) {
    let mut command = program_in(folder, "git");
    command.env("GIT_CONFIG_GLOBAL", "").args(arguments.split(' '));
    assert!(command.status().unwrap().success(), "git {arguments}");
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')));
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect::<String>()
    };
    headings.map(anchor).collect()
}

/// The targets of the links in a text.
fn links(text: &str) -> Vec<String> {
    let joined = prose(text).collect::<Vec<_>>().join("\n");
    let targets = joined.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.map(|target| target.trim_matches(['<', '>']).to_owned()).collect()
}

#[test]
fn every_link_into_the_repository_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    let repository = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v1.0.0/");
    for (document, text) in documents() {
        let path = root().join(&document);
        for link in links(&text) {
            // From the README of a package, which is shown elsewhere.
            let link =
                link.strip_prefix(repository).map_or(link.clone(), |file| root().join(file).display().to_string());
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{document}: {link}");
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.contains(anchor), "{document}: {link}");
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn lines_fit_a_screen() {
    // Whatever the repository is renamed to. The short name is not the one that a rename replaces.
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    for (document, text) in documents() {
        for line in prose(&text.replace(repository, "own/nuget-login")) {
            let is_link = line.starts_with('[') && line.split_whitespace().count() < 5;
            let is_code = line.starts_with('`') && line.matches('`').count() == 2;
            assert!(line.chars().count() <= WIDTH || is_link || is_code, "{document}: {line}");
        }
    }
}

#[test]
fn the_readme_is_read_to_its_end() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (words, lines) = (readme.split_whitespace().count(), readme.lines().count());
    assert!(words <= 1_000 && lines <= 150, "{words} words, {lines} lines");
}

#[test]
fn every_block_has_a_language_that_a_test_reads() {
    for block in blocks() {
        // Pictures are drawn by GitHub. Every other language has its tests, which know each kind of block.
        let known = ["console", "diff", "http", "json", "mermaid", "powershell", "sh", "text", "yaml"];
        assert!(known.contains(&block.language.as_str()), "{}: {:?}", block.place(), block.language);
    }
}

#[test]
fn no_document_of_a_released_version_says_that_there_is_no_release() {
    let is_released = !env!("CARGO_PKG_VERSION").starts_with("0.");
    let says_so = |text: &str| ["There is no release yet", "Not released yet: "].iter().any(|it| text.contains(it));
    let documents = documents().into_iter().filter(|(_, text)| is_released && says_so(text));
    let documents = documents.map(|(document, _)| document).collect::<Vec<_>>();
    assert!(documents.is_empty(), "{documents:?}");
}

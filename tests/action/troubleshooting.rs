//! `docs/troubleshooting-download.md` has a section for each failure of `fetch.sh` and `fetch.ps1`, whose texts agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The fact and the fixes of a failure, with values in angle brackets.
#[derive(Clone, Debug, PartialEq)]
struct Failure {
    fact: String,
    fixes: Vec<String>,
}

/// What the document calls the values of variables.
const VALUES: &[(&str, &str)] = &[
    ("ACTION_INSTALL_ONLY", "value"),
    ("binary", "path"),
    ("curl", "path"),
    ("digest", "expected"),
    ("got", "digest"),
    ("others", "inputs"),
    ("private", "folder"),
    ("shown", "url"),
    ("system", "system"),
    ("target", "target"),
    ("temp", "folder"),
    ("url", "url"),
    ("version", "version"),
];

/// The string literal at the start of a text, and the rest. `escape` makes a quote part of it.
fn literal(text: &str, escape: char) -> (String, &str) {
    let quote = text.chars().next().unwrap();
    assert!(quote == '"' || quote == '\'', "{text:.80}");
    let (mut value, mut rest) = (String::new(), &text[1..]);
    loop {
        let at = rest.find([quote, escape, '$']).unwrap();
        value.push_str(&rest[..at]);
        let found = rest[at..].chars().next().unwrap();
        rest = &rest[at + found.len_utf8()..];
        match found {
            '$' if quote == '"' => {
                let name = rest.trim_start_matches("env:");
                let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap();
                let (_, shown) = VALUES.iter().find(|(variable, _)| *variable == &name[..end]).expect(&name[..end]);
                value.push_str(&format!("<{shown}>"));
                rest = &name[end..];
            }
            '$' => value.push('$'),
            _ if found == quote => return (value, rest),
            _ => {
                value.push(rest.chars().next().unwrap());
                rest = &rest[1..];
            }
        }
    }
}

/// The string literals after a call, up to the end of its arguments.
fn literals(mut text: &str, escape: char, between: &[char], end: impl Fn(&str) -> bool) -> Vec<String> {
    let mut values = Vec::new();
    while !end(text) {
        let next = text.chars().next().unwrap();
        if next == '"' || next == '\'' {
            let (value, rest) = literal(text, escape);
            values.push(value);
            text = rest;
        } else {
            assert!(between.contains(&next), "{text:.80}");
            text = &text[1..];
        }
    }
    values
}

/// The failures of a script by their anchors.
fn failures(script: &str) -> BTreeMap<String, Failure> {
    let text = read(script).replace("\\\n", " ");
    let mut failures = BTreeMap::new();
    for line in text.match_indices('\n').map(|(at, _)| &text[at + 1..]) {
        let call = line.split('\n').next().unwrap();
        let (anchor, texts) = if script.ends_with(".sh") {
            let Some(at) = ["fail ", "report "].iter().find_map(|name| {
                let at = call.find(name)?;
                let begins = call[..at].chars().all(|c| " |".contains(c));
                let names = call[at + name.len()..].starts_with(|c: char| c.is_ascii_lowercase());
                (begins && names).then_some(at + name.len())
            }) else {
                continue;
            };
            let (anchor, rest) = line[at..].split_once(' ').unwrap();
            (anchor.to_owned(), literals(rest, '\\', &[' '], |text| text.starts_with('\n')))
        } else {
            let Some(at) = call.find("Fail '") else { continue };
            let (anchor, rest) = literal(&line[at + 5..], '`');
            (anchor, literals(rest, '`', &[' ', '@', '(', '\n'], |text| text.starts_with(')')))
        };
        let mut texts = texts.into_iter();
        let failure = Failure { fact: texts.next().unwrap(), fixes: texts.collect() };
        assert!(!failure.fixes.is_empty(), "{anchor} has no fix");
        assert!(failures.insert(anchor.clone(), failure).is_none(), "{anchor} is there twice");
    }
    failures
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

/// The sections of the document by their anchors.
fn sections() -> BTreeMap<String, String> {
    let document = read("docs/troubleshooting-download.md");
    let parts = document.split("\n### ").skip(1);
    parts
        .map(|part| {
            let (heading, text) = part.split_once('\n').unwrap();
            (anchor(heading), text.split("\n## ").next().unwrap().to_owned())
        })
        .collect()
}

/// A fix as the document has it, without marks.
fn plain(text: &str) -> String {
    text.replace(['`', '"'], "")
}

#[test]
fn both_scripts_have_the_same_texts() {
    let [sh, ps1] = ["dist/fetch.sh", "dist/fetch.ps1"].map(failures);
    assert!(sh.len() > 20 && ps1.len() > 20, "{} and {}", sh.len(), ps1.len());
    for (anchor, failure) in &sh {
        let Some(other) = ps1.get(anchor) else { continue };
        assert_eq!(failure.fact, other.fact, "{anchor}");
        // What differs is for one system.
        match anchor.as_str() {
            "cannot-be-run" => assert_eq!(failure.fixes[1..], other.fixes[1..]),
            "binary-cannot-be-run" => {
                assert_eq!(failure.fixes[1].strip_prefix("or "), Some(other.fixes[0].as_str()));
                assert_eq!(failure.fixes[2..], other.fixes[1..]);
            }
            _ => assert_eq!(failure.fixes, other.fixes, "{anchor}"),
        }
    }
    let names = |failures: &BTreeMap<String, Failure>| failures.keys().cloned().collect::<BTreeSet<_>>();
    let only = |these, others| names(these).difference(&names(others)).cloned().collect::<Vec<_>>();
    assert_eq!(only(&sh, &ps1), ["busybox-wget-and-a-proxy", "curl-and-wget-are-missing", "no-sha-256-tool"]);
    assert_eq!(only(&ps1, &sh), ["curl-is-missing"]);
}

#[test]
fn the_document_has_a_section_for_each_failure_and_no_other() {
    let mut sections = sections();
    let no_result = sections.remove("no-result").unwrap();
    let mut described = BTreeSet::new();
    for script in ["dist/fetch.sh", "dist/fetch.ps1"] {
        for (anchor, failure) in failures(script) {
            let section = sections.get(&anchor).unwrap_or_else(|| panic!("no section {anchor}"));
            assert!(section.starts_with(&format!("\n```text\n{}\n```\n", failure.fact)), "{anchor}: {}", failure.fact);
            for fix in &failure.fixes {
                let fix = plain(fix.trim_start_matches("or "));
                let items = section.lines().filter_map(|line| line.split_once(". ")).map(|(_, item)| plain(item));
                let mut items = items.map(|item| {
                    let (first, rest) = item.split_at(1);
                    (first.to_lowercase() + rest).trim_start_matches("or ").to_owned()
                });
                let is_fix = |item: &str| item.strip_prefix(&fix).is_some_and(|rest| rest.starts_with(['.', ':']));
                assert!(items.any(|item| is_fix(&item)), "{anchor}: {fix}");
            }
            described.insert(anchor);
        }
    }
    assert_eq!(sections.keys().cloned().collect::<BTreeSet<_>>(), described);

    // What the last steps of the action print.
    let action = read("action.yml");
    let (_, annotation) = action.split_once("::error title=NuGet login failed::").unwrap();
    let mut lines = annotation.lines().next().unwrap().trim_end_matches('"').split("%0A");
    assert!(no_result.starts_with(&format!("\n```text\n{}\n```\n", lines.next().unwrap())));
    for fix in lines {
        let fix = fix.strip_prefix("fix: ").unwrap();
        assert!(no_result.to_lowercase().contains(&format!(". {fix}.\n")), "{fix}");
    }
    assert!(action.contains("/docs/troubleshooting-download.md#no-result\""));
    let (_, condition) = action.split_once("&& fromJSON(").unwrap();
    assert!(no_result.contains(&format!("`fromJSON({}`", condition.lines().next().unwrap())));
}

#[test]
fn facts_and_fixes_have_their_form() {
    for script in ["dist/fetch.sh", "dist/fetch.ps1"] {
        for (anchor, Failure { fact, fixes }) in failures(script) {
            for text in fixes.iter().chain([&fact]) {
                assert!(!text.contains('?') && !text.ends_with('.') && text.is_ascii(), "{anchor}: {text}");
            }
            assert!(fixes.iter().skip(1).all(|fix| fix.starts_with(|c: char| c.is_ascii_lowercase())), "{anchor}");
        }
    }
}

#[test]
fn the_links_of_the_scripts_are_those_of_the_repository() {
    let repository = env!("CARGO_PKG_REPOSITORY");
    assert!(read("dist/fetch.sh").contains(&format!("\ndocumentation={repository}/blob\n")));
    assert!(read("dist/fetch.ps1").contains(&format!("\n$documentation = '{repository}/blob'\n")));
    assert!(read("action.yml").contains(&format!("docs: {repository}/blob/main/docs/troubleshooting-download.md#")));
}

/// Windows PowerShell 5.1 reads a script without a byte order mark as ANSI.
#[test]
fn the_script_for_windows_is_ascii() {
    assert!(read("dist/fetch.ps1").is_ascii());
}

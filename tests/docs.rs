//! The documents: links lead somewhere, lines fit a screen, and examples are what the program takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longest line, in characters; lines of code blocks, single links and single code spans are as long as what they show.
const WIDTH: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents for people, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let mut files: Vec<PathBuf> =
        ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].iter().map(|name| root().join(name)).collect();
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    files.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines outside code blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
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
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut seen = 0;
    for (path, text) in documents() {
        for link in links(&text).into_iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            assert!(target.exists(), "{}: {link}", path.display());
            if !anchor.is_empty() {
                let anchors = anchors(&fs::read_to_string(&target).unwrap());
                assert!(anchors.contains(anchor), "{}: {link}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 40, "{seen}");
}

#[test]
fn lines_fit_a_screen() {
    // Whatever the repository is renamed to.
    let repository = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    for (path, text) in documents() {
        for line in prose(&text.replace(repository, "org/nuget-login")) {
            let is_link = line.starts_with('[') && line.split_whitespace().count() < 5;
            let is_code = line.starts_with('`') && line.matches('`').count() == 2;
            assert!(line.chars().count() <= WIDTH || is_link || is_code, "{}: {line}", path.display());
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
fn the_workflow_of_the_readme_has_no_mistake() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, block) = readme.split_once("```yaml\n# .github/workflows/release.yml\n").unwrap();
    let (workflow, _) = block.split_once("\n```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("release.yml");
    fs::write(&file, workflow).unwrap();
    let checked = Command::new(env!("CARGO_BIN_EXE_nuget-login")).arg("check").arg(&file).output().unwrap();
    let report = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && report.contains("1 job logs in: 0 errors"), "{report}");
    assert!(report.contains("  Environment:                production\n"), "{report}");
}

#[test]
fn no_document_of_a_released_version_says_that_there_is_no_release() {
    let is_released = !env!("CARGO_PKG_VERSION").starts_with("0.");
    for (path, text) in documents() {
        let is_said = ["There is no release yet", "Not released yet: "].iter().any(|it| text.contains(it));
        assert!(!(is_released && is_said), "{}", path.display());
    }
}

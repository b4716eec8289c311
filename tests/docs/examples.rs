//! The YAML of the documents: `nuget-login check` finds no mistake in a workflow, except where a document shows one on
//! purpose, and in a part of a workflow with the rest around it. What is checked is written to `target/tmp/examples`,
//! where `.ci/run` holds it to the schemas and runs actionlint.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::blocks::{Block, blocks_in};
use crate::{git, program_in, root};

/// The kinds of YAML in the documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Whole files of GitHub Actions: one, or several with their paths.
    Workflows,
    /// A workflow whose mistake has the name of the section.
    Mistake,
    /// `on:`, for the workflow of the README.
    Events,
    Permissions,
    Environment,
    Steps,
    /// A whole `.gitlab-ci.yml`.
    GitLab,
    /// The script or the ID token of a job.
    GitLabPart,
    Dependabot,
    PreCommit,
}

fn kind(block: &Block) -> Kind {
    let text = indented(&block.text, 0);
    let keys = text.lines().filter(|line| !line.starts_with([' ', '#', '-']) && !line.is_empty());
    let keys: Vec<&str> = keys.map(|line| line.split(':').next().unwrap()).collect();
    if text.starts_with("# fails\n") {
        return Kind::Mistake;
    }
    match keys[..] {
        _ if keys.contains(&"on") && keys.contains(&"jobs") => Kind::Workflows,
        ["on"] => Kind::Events,
        ["permissions"] => Kind::Permissions,
        ["env"] => Kind::Environment,
        [] if text.starts_with("- ") => Kind::Steps,
        ["script"] | ["id_tokens"] => Kind::GitLabPart,
        [_] if text.contains("\n  script:\n") => Kind::GitLab,
        ["version", "updates"] => Kind::Dependabot,
        ["repos"] => Kind::PreCommit,
        _ => panic!("{}: this YAML is of no known kind, so that nothing checks it", block.place()),
    }
}

pub(crate) fn readme_workflow() -> String {
    let block = blocks_in("yaml").into_iter().find(|block| block.document == "README.md").unwrap();
    block.text
}

/// The workflow of the README with another `on:`.
pub(crate) fn readme_workflow_on(events: &str) -> String {
    let workflow = readme_workflow();
    let (start, rest) = workflow.split_once("on:\n").unwrap();
    let (_, rest) = rest.split_once("\n\n").unwrap();
    format!("{start}{}\n\n{rest}", events.trim_end())
}

/// A text whose first line has this indentation.
pub(crate) fn indented(text: &str, indentation: usize) -> String {
    let present = text.len() - text.trim_start_matches(' ').len();
    let line = |line: &str| match line.get(present..) {
        Some(line) if !line.is_empty() => format!("{}{line}\n", " ".repeat(indentation)),
        _ => "\n".to_owned(),
    };
    text.lines().map(line).collect()
}

const LOGIN: &str = "\
- uses: org/nuget-login@v1
  id: login
  with:
    user: contoso-bot
";

const PUSH: &str = "\
- run: dotnet nuget push \"packages/*.nupkg\" --source https://api.nuget.org/v3/index.json
  env:
    NUGET_API_KEY: ${{ steps.login.outputs.NUGET_API_KEY }}
";

/// A workflow with a job that publishes.
fn workflow(start: &str, permissions: &str, steps: &str) -> String {
    let (permissions, steps) = (indented(permissions, 4), indented(steps, 6));
    format!("on: push\n{start}jobs:\n  publish:\n    runs-on: ubuntu-latest\n{permissions}    steps:\n{steps}")
}

/// The files that a block is, or is a part of.
fn files(block: &Block) -> Vec<(String, String)> {
    let permissions = "permissions:\n  id-token: write\n";
    // What a part of a workflow names and does not show.
    let text = block.text.replace("<40 hexadecimal digits>", &"0".repeat(40));
    let file = |path: &str, text: &str| vec![(path.to_owned(), text.to_owned())];
    let in_workflow = |text: &str| file(".github/workflows/release.yml", text);
    match kind(block) {
        Kind::Workflows | Kind::Mistake => {
            let parts: Vec<&str> = text.split("# .github/").collect();
            let named = parts[1..].iter().map(|part| part.split_once('\n').unwrap());
            let named: Vec<_> =
                named.map(|(path, text)| (format!(".github/{path}"), format!("{}\n", text.trim()))).collect();
            if named.is_empty() { in_workflow(&text) } else { named }
        }
        Kind::Events => in_workflow(&readme_workflow_on(&text)),
        Kind::Permissions => in_workflow(&workflow("", &text, &format!("{LOGIN}{PUSH}"))),
        Kind::Environment => in_workflow(&workflow(&text, permissions, &format!("{LOGIN}{PUSH}"))),
        Kind::Steps => {
            let needs_push = text.contains("id: login") && !text.contains("steps.login.outputs.NUGET_API_KEY");
            let push = if needs_push { PUSH } else { "" };
            in_workflow(&workflow("", permissions, &format!("{}{push}", indented(&text, 0))))
        }
        Kind::GitLab => file(".gitlab-ci.yml", &text),
        Kind::GitLabPart => {
            let id_tokens = "  id_tokens: {NUGET_ID_TOKEN: {aud: 'https://www.nuget.org'}}\n";
            let rest = if text.contains("script:") { id_tokens } else { "  script: [./push.sh]\n" };
            file(".gitlab-ci.yml", &format!("publish:\n{rest}{}", indented(&text, 2)))
        }
        Kind::Dependabot => file(".github/dependabot.yml", &text),
        Kind::PreCommit => file(".pre-commit-config.yaml", &text),
    }
}

/// The inputs that a text gives to the action.
fn inputs(text: &str) -> BTreeSet<String> {
    let mut inputs = BTreeSet::new();
    let indentation = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let lines: Vec<&str> = text.lines().collect();
    for (nth, line) in lines.iter().enumerate().filter(|(_, line)| line.contains("uses: org/nuget-login@")) {
        let step = lines[nth + 1..].iter().take_while(|it| indentation(it) >= indentation(line) && !it.contains("- "));
        let with = step.skip_while(|it| it.trim() != "with:").skip(1);
        let with = with.take_while(|it| indentation(it) > indentation(line));
        inputs.extend(with.map(|it| it.trim().split(':').next().unwrap().to_owned()));
    }
    inputs
}

/// What `check` says about the workflows of a repository: whether it finds no errors, and the report.
fn check(folder: &Path) -> (bool, String) {
    git(folder, "init --quiet");
    git(folder, "remote add origin git@github.com:contoso/contoso-sdk.git");
    let mut command = program_in(folder, env!("CARGO_BIN_EXE_nuget-login"));
    let ran = command.args(["check", "--notes", "--format=json"]).output().unwrap();
    (ran.status.success(), String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap())
}

fn write(folder: &Path, files: &[(String, String)]) {
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[test]
fn the_yaml_of_the_documents_has_only_the_mistakes_that_it_shows() {
    let examples = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("examples");
    let _ = fs::remove_dir_all(&examples);
    let action = fs::read_to_string(root().join("action.yml")).unwrap();
    let mut kinds = BTreeSet::new();
    for block in blocks_in("yaml") {
        let (place, kind) = (block.place(), kind(&block));
        kinds.insert(kind);
        for input in inputs(&block.text) {
            assert!(action.contains(&format!("\n  {input}:\n    description:")), "{place}: no input {input}");
        }
        let files = files(&block);
        let name = block.document.replace(['/', '.'], "-");
        let folder = tempfile::tempdir().unwrap();
        let folder = if kind == Kind::Mistake {
            folder.path().to_owned()
        } else {
            examples.join(format!("{name}-{}", block.line))
        };
        write(&folder, &files);
        match kind {
            Kind::Mistake => {
                let (is_correct, report) = check(&folder);
                let code = format!("\"code\":\"{}\"", block.heading);
                assert!(report.contains(&code), "{place}: {report}");
                assert!(is_correct || report.contains("\"level\":\"error\""), "{place}: {report}");
            }
            // The schemas alone hold these.
            Kind::GitLab | Kind::GitLabPart | Kind::Dependabot => {}
            Kind::PreCommit => pre_commit(&block),
            Kind::Workflows | Kind::Events | Kind::Permissions | Kind::Environment | Kind::Steps => {
                let (is_correct, report) = check(&folder);
                assert!(is_correct && !report.contains("\"level\":\"error\""), "{place}: {report}");
            }
        }
    }
    assert_eq!(kinds.len(), 10, "a kind that no document has: {kinds:?}");
}

/// A hook of pre-commit is the one of this repository, or runs for the same files.
fn pre_commit(block: &Block) {
    let hooks = fs::read_to_string(root().join(".pre-commit-hooks.yaml")).unwrap();
    assert!(hooks.contains("- id: nuget-login-check\n") && block.text.contains("- id: nuget-login-check\n"));
    if block.text.contains("repo: local\n") {
        for line in ["files:", "pass_filenames:"] {
            let find = |text: &str| text.lines().map(str::trim).find(|it| it.starts_with(line)).map(str::to_owned);
            assert_eq!(find(&block.text).expect(line), find(&hooks).unwrap(), "{}", block.place());
        }
    } else {
        assert!(block.text.contains(&format!("repo: {}\n", env!("CARGO_PKG_REPOSITORY"))), "{}", block.place());
    }
}

#[test]
fn the_workflow_of_the_readme_needs_the_policy_that_the_readme_describes() {
    let folder = tempfile::tempdir().unwrap();
    let workflow = readme_workflow();
    let (path, text) = workflow.strip_prefix("# ").unwrap().split_once('\n').unwrap();
    write(folder.path(), &[(path.to_owned(), text.to_owned())]);
    git(folder.path(), "init --quiet");
    git(folder.path(), "remote add origin git@github.com:contoso/contoso-sdk.git");
    let mut command = program_in(folder.path(), env!("CARGO_BIN_EXE_nuget-login"));
    let checked = command.args(["check", "--format=human"]).output().unwrap();
    let report = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success() && report.contains("1 job logs in: 0 errors"), "{report}");
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (field, value) in [("Workflow File", "release.yml"), ("Environment", "production")] {
        let line = report.lines().find(|line| line.trim_start().starts_with(field)).unwrap();
        assert_eq!(line.split_whitespace().last(), Some(value), "{report}");
        let described = readme.replace('\n', " ").replace("   ", " ");
        assert!(described.contains(&format!("*{field}* to `{value}`")), "{field}");
    }
}

#[test]
#[should_panic(expected = "of no known kind")]
fn yaml_of_an_unknown_kind_is_not_passed_over() {
    let (document, language) = ("docs/x.md".to_owned(), "yaml".to_owned());
    let text = "concurrency: release\n".to_owned();
    kind(&Block { document, line: 1, language, heading: String::new(), text });
}

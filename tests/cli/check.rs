//! `check`: mistakes in workflow files. `workflows/` has files of many kinds, whose comments say what must be found in
//! them, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sandbox::runner::{Line, read_log};
use serde_json::Value;
use tempfile::TempDir;

use crate::job::{git, program};

const LOGIN: &str = "NuGet/login@8d196754b4036150537f80ac539e15c2f1028841";

/// A repository with these files.
fn repository(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["init", "--quiet"][..], &["remote", "add", "origin", "git@github.com:contoso/contoso-sdk.git"]]
    {
        assert!(git().args(arguments).current_dir(&folder).status().unwrap().success());
    }
    for (path, text) in files {
        write(folder.path(), path, text);
    }
    folder
}

fn write(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// `check` in a folder, with these variables.
fn run(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(program());
    let ceiling = folder.parent().unwrap();
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("GIT_CEILING_DIRECTORIES", ceiling);
    command.env("GIT_CONFIG_GLOBAL", "").envs(environment.iter().copied()).current_dir(folder);
    let ran = command.arg("check").args(arguments).output().unwrap();
    assert!(!text(&ran.stderr).contains("panicked"), "{ran:?}");
    ran
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn objects(ran: &Output) -> Vec<Value> {
    text(&ran.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The findings of each file, as `level: code@line`.
fn found(folder: &Path, arguments: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let arguments = [&["--notes", "--format=json"], arguments].concat();
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for object in objects(&run(folder, &arguments, &[])) {
        let text = |key: &str| object[key].as_str().unwrap().to_owned();
        let is_new = found.entry(text("file")).or_default().insert(format!(
            "{}: {}@{}",
            text("level"),
            text("code"),
            object["line"]
        ));
        assert!(is_new, "twice: {object}");
    }
    found
}

/// The findings of a workflow.
fn found_in(workflow: &str) -> Vec<String> {
    let folder = repository(&[(".github/workflows/x.yml", workflow)]);
    found(folder.path(), &[]).into_values().flatten().collect()
}

/// A job that logs in and pushes, without a mistake.
fn publish(job: &str) -> String {
    format!(
        "on: push\njobs:\n  publish:\n    runs-on: ubuntu-latest\n    permissions: {{id-token: write, contents: read}}\n{job}    steps:\n      \
         - uses: {LOGIN}\n        id: login\n        with: {{user: contoso-bot}}\n      - run: push\n        \
         env: {{NUGET_API_KEY: \"${{{{ steps.login.outputs.NUGET_API_KEY }}}}\"}}\n"
    )
}

fn fixtures(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/workflows").join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    files.map(|path| (name(&path), fs::read_to_string(path).unwrap())).collect()
}

/// The values of a comment of this kind in a fixture.
fn expected(text: &str, kinds: &[&str]) -> BTreeSet<String> {
    let comments = text.lines().filter_map(|line| line.strip_prefix("# "));
    comments.filter(|line| kinds.iter().any(|kind| line.starts_with(&format!("{kind}: ")))).map(str::to_owned).collect()
}

#[test]
fn each_workflow_has_the_findings_that_its_comments_name_and_no_others() {
    let as_on_windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let as_is = |text: &str| text.to_owned();
    for change in [&as_is as &dyn Fn(&str) -> String, &as_on_windows] {
        let folder = repository(&[]);
        for (name, text) in fixtures("actions") {
            let name = name.strip_suffix(".yml").unwrap();
            write(folder.path(), &format!(".github/actions/{name}/action.yml"), &change(&text));
        }
        let workflows = fixtures("");
        assert!(workflows.len() > 35, "{}", workflows.len());
        for (name, text) in &workflows {
            write(folder.path(), &format!(".github/workflows/{name}"), &change(text));
        }
        let mut found = found(folder.path(), &[]);
        for (name, text) in &workflows {
            let found = found.remove(&format!(".github/workflows/{name}")).unwrap_or_default();
            assert_eq!(found, expected(text, &["error", "note"]), "{name}");
        }
        assert!(found.is_empty(), "in no workflow: {found:?}");

        let policies = text(&run(folder.path(), &[], &[]).stdout);
        let mut shown = BTreeMap::<_, BTreeSet<_>>::new();
        for policy in policies.split("Trust policy for job `").skip(1) {
            let (job, rest) = policy.split_once("` in ").unwrap();
            let file = rest.split([' ', ':']).next().unwrap();
            let environment = policy.split("Environment:").nth(1).unwrap().lines().next().unwrap().trim();
            let environment = environment.replace("(empty)", "-");
            shown.entry(file.to_owned()).or_default().insert(format!("environment: {job}={environment}"));
        }
        for (name, text) in &workflows {
            assert_eq!(shown.remove(name).unwrap_or_default(), expected(text, &["environment"]), "{name}");
        }
    }
}

#[test]
fn the_exit_code_is_1_for_errors_alone() {
    let folder = repository(&[(".github/workflows/x.yml", &publish(""))]);
    let code = |arguments: &[&str]| run(folder.path(), arguments, &[]).status.code();
    assert_eq!(code(&[]), Some(0));
    write(
        folder.path(),
        ".github/workflows/x.yml",
        &publish("").replace("@8d196754b4036150537f80ac539e15c2f1028841", "@v1"),
    );
    assert_eq!((code(&[]), code(&["--notes"])), (Some(0), Some(0)));
    write(folder.path(), ".github/workflows/x.yml", &publish("").replace("id-token", "packages"));
    assert_eq!((code(&[]), code(&["--format", "json"]), code(&["--format=github"])), (Some(1), Some(1), Some(1)));
}

#[test]
fn wrong_usage_and_a_folder_without_a_repository_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "x.yml", "on: push\n");
    let ran = run(folder.path(), &[], &[]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(
        text(&ran.stderr)
            .starts_with("error: no workflow can be checked: git cannot read the repository of this folder: "),
        "{ran:?}"
    );
    for arguments in [&["missing.yml"][..], &["."], &["--format=xml", "x.yml"], &["--fix"]] {
        let ran = run(folder.path(), arguments, &[]);
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0), "{arguments:?}: {ran:?}");
    }
    let ran = run(folder.path(), &["--format=xml", "x.yml"], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(2), 0), "{ran:?}");
    let printed = text(&run(folder.path(), &["--nots"], &[]).stderr);
    assert!(printed.contains("\n  fix: run \"nuget-login check --help\" for the arguments\n"), "{printed}");
    for path in ["missing.yml", "."] {
        let printed = text(&run(folder.path(), &[path], &[]).stderr);
        let fix = "  fix: check the path and its permissions\n";
        assert!(printed.starts_with(&format!("error: {path} cannot be read: ")), "{printed}");
        assert!(printed.contains(fix) && !printed.contains("git repository"), "{printed}");
    }
    // A file that is named needs no repository.
    let ran = run(folder.path(), &["x.yml"], &[]);
    assert_eq!(
        (ran.status.code(), text(&ran.stdout).as_str()),
        (Some(0), "1 file checked, no job logs in: 0 errors\n")
    );
}

#[test]
fn a_repository_without_workflows_has_no_findings() {
    let ran = run(repository(&[]).path(), &[], &[]);
    assert_eq!(
        (ran.status.code(), text(&ran.stdout).as_str()),
        (Some(0), "no workflow file was found in .github/workflows; `check` reads GitHub workflows only\n")
    );
}

#[test]
fn named_files_are_checked_with_what_they_use() {
    let files = fixtures("");
    let file = |name: &str| files.iter().find(|(it, _)| it == name).unwrap().1.clone();
    let folder = repository(&[
        (".github/workflows/caller-lacks.yml", &file("caller-lacks.yml")),
        (".github/workflows/called-again.yml", &file("called-again.yml")),
        (".github/workflows/called.yml", &file("called.yml")),
        (".github/workflows/other.yml", &publish("").replace("id-token", "packages")),
    ]);
    let found = found(&folder.path().join(".github"), &["workflows/caller-lacks.yml"]);
    assert_eq!(Vec::from_iter(found.keys()), [".github/workflows/called.yml", ".github/workflows/caller-lacks.yml"]);
    assert_eq!(found[".github/workflows/caller-lacks.yml"], expected(&file("caller-lacks.yml"), &["error"]));
    let none = tempfile::tempdir().unwrap();
    write(none.path(), ".github/workflows/x.yml", &file("caller-lacks.yml"));
    write(none.path(), ".github/workflows/called-again.yml", &file("called-again.yml"));
    write(none.path(), ".github/workflows/called.yml", &file("called.yml"));
    let ran = run(&none.path().join(".github"), &["workflows/x.yml", "--format=json"], &[]);
    assert_eq!((ran.status.code(), objects(&ran).len()), (Some(1), 3), "{ran:?}");
    let ran = run(&none.path().join(".github"), &["workflows/x.yml"], &[]);
    assert!(text(&ran.stdout).ends_with("\n3 files checked, 1 job logs in: 3 errors\n"), "{ran:?}");
}

#[test]
fn json_has_one_object_a_finding() {
    let folder = repository(&[(".github/workflows/x.yml", &publish("").replace("id-token: write, ", ""))]);
    let ran = run(folder.path(), &["--format=json"], &[]);
    let [object] = &objects(&ran)[..] else { panic!("{ran:?}") };
    let keys: Vec<_> = object.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        BTreeSet::from_iter(keys),
        BTreeSet::from(["file", "line", "column", "code", "level", "message", "fix"])
    );
    assert_eq!((&object["line"], &object["column"]), (&7.into(), &15.into()));
    assert_eq!(
        object["fix"],
        "replace the permissions of job `publish`:\n  permissions:\n    id-token: write\n    contents: read"
    );
}

#[test]
fn in_a_job_of_github_findings_are_annotations() {
    let workflow = publish("").replace("id-token: write, ", "").replace("publish:", "\"a::b,100%\":");
    let folder = repository(&[(".github/workflows/a,b.yml", &workflow)]);
    let ran = run(folder.path(), &["--notes"], &[("GITHUB_ACTIONS", "true")]);
    assert_eq!((ran.status.code(), text(&ran.stderr).as_str()), (Some(1), ""));
    let lines = text(&ran.stdout);
    let first = lines.lines().next().unwrap();
    let start =
        "::error file=.github/workflows/a%2Cb.yml,line=7,col=15,title=no-id-token-permission::job `a::b,100%25` cannot";
    assert!(first.starts_with(start) && first.contains("%0Afix: "), "{first}");
    let lines = read_log(&lines);
    let count = |wanted: &dyn Fn(&Line) -> bool| lines.iter().filter(|line| wanted(line)).count();
    assert_eq!(count(&|line| matches!(line, Line::Annotation { .. })), 1);
    assert_eq!(count(&|line| !matches!(line, Line::Annotation { .. } | Line::Text(_))), 0, "{lines:?}");
    let ran = run(folder.path(), &["--format=human"], &[("GITHUB_ACTIONS", "true")]);
    assert!(read_log(&text(&ran.stdout)).iter().all(|line| matches!(line, Line::Text(_))), "{ran:?}");
}

#[test]
fn text_of_a_file_cannot_act_in_a_log() {
    let hostile = "::error::x ##[error]y \\u202e\\e[31m";
    let workflow = publish("").replace("publish:", &format!("\"{hostile}\":")).replace("id-token: write, ", "");
    let workflow = workflow.replace("user: contoso-bot", "user: \"a@b ##[group]\\n::stop-commands::x\"");
    let workflow = format!(
        "{workflow}      - run: \"\\n::add-mask::x ##[error]z ${{{{ steps.login.outputs.NUGET_API_KEY }}}}\"\n"
    );
    let name = if cfg!(windows) { "x.yml" } else { "##[error]\u{1b}\n::error::.yml" };
    let folder = repository(&[
        (&format!(".github/workflows/{name}"), &workflow),
        (".github/workflows/y.yml", "a: [##[error]\n  \u{202e}::x::"),
    ]);
    for format in ["human", "json", "github"] {
        let ran = run(folder.path(), &["--notes", "--format", format], &[("GITHUB_ACTIONS", "true")]);
        let log = text(&ran.stdout);
        assert!(ran.status.code() == Some(1) && log.len() > 500, "{log}");
        assert!(!log.contains(|char: char| char != '\n' && (char.is_control() || char == '\u{202e}')), "{log:?}");
        for line in read_log(&log) {
            match line {
                Line::Text(_) => {}
                Line::Annotation { .. } if format == "github" => {}
                line => panic!("{format}: {line:?}"),
            }
        }
        let commands = log.lines().filter(|line| line.trim_start().starts_with("::"));
        let is_ours = |line: &str| {
            ["::error file=.github/", "::notice file=.github/"].iter().any(|start| line.starts_with(start))
        };
        assert!(commands.into_iter().all(|line| format == "github" && is_ours(line)), "{log}");
    }
}

#[test]
#[cfg(unix)]
fn links_pipes_and_folders_are_not_read() {
    use std::os::unix::fs::symlink;
    let uses = "on: push\njobs:\n  a:\n    runs-on: x\n    steps: [{uses: ./link}, {uses: ./pipe}, {uses: ./outside}, {uses: ./../up}]\n  b:\n    uses: ./.github/workflows/pipe.yml\n";
    let folder = repository(&[
        (".github/workflows/x.yml", uses),
        ("pipe/x", ""),
        ("real/action.yml", "runs: {steps: [{uses: NuGet/login@v1}]}\n"),
    ]);
    let path = |path: &str| folder.path().join(path);
    fs::create_dir(path(".github/workflows/folder.yml")).unwrap();
    symlink("/dev/zero", path(".github/workflows/endless.yml")).unwrap();
    symlink("real", path("link")).unwrap();
    symlink("/", path("outside")).unwrap();
    for pipe in [".github/workflows/pipe.yml", "pipe/action.yml"] {
        assert!(Command::new("mkfifo").arg(path(pipe)).status().unwrap().success());
    }
    let ran = run(folder.path(), &["--notes"], &[]);
    assert_eq!(text(&ran.stdout), "1 file checked, no job logs in: 0 errors\n");
    for named in [".github/workflows/pipe.yml", ".github/workflows/endless.yml", "/dev/zero"] {
        assert_eq!(run(folder.path(), &[named], &[]).status.code(), Some(2), "{named}");
    }
}

#[test]
fn files_that_cannot_be_read_are_errors_and_the_others_are_still_checked() {
    let long = format!("on: push\n{}", "# x\n".repeat(300_000));
    let deep = format!("a: {}", "[".repeat(10_000));
    let folder = repository(&[
        (".github/workflows/deep.yml", &deep),
        (".github/workflows/long.yml", &long),
        (".github/workflows/tab.yml", "on: push\njobs:\n\ta: b\n"),
        (".github/workflows/x.yml", &publish("").replace("id-token: write, ", "")),
    ]);
    fs::write(folder.path().join(".github/workflows/latin.yml"), b"name: \xe9\n").unwrap();
    let found = found(folder.path(), &[]);
    let found: Vec<_> = found
        .iter()
        .map(|(file, found)| (file.rsplit('/').next().unwrap(), Vec::from_iter(found)[0].as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("deep.yml", "error: not-yaml@1"),
            ("latin.yml", "error: unreadable-file@1"),
            ("long.yml", "error: unreadable-file@1"),
            ("tab.yml", "error: not-yaml@3"),
            ("x.yml", "error: no-id-token-permission@7"),
        ]
    );
    let printed = text(&run(folder.path(), &[], &[]).stdout);
    assert!(printed.ends_with("\n1 file checked, 4 not readable, 1 job logs in: 5 errors\n"), "{printed}");
    let printed = text(&run(folder.path(), &[".github/workflows/tab.yml"], &[]).stdout);
    assert!(printed.contains("  fix: correct the YAML: GitHub cannot run this file\n"), "{printed}");
    assert!(printed.ends_with("\n0 files checked, 1 not readable, no job logs in: 1 error\n"), "{printed}");
}

#[test]
fn each_finding_is_shown_with_its_line_its_fix_and_its_documentation() {
    for (name, arguments) in [
        ("release-please", &["--notes"][..]),
        ("wrong-id", &[]),
        ("gh-release", &[]),
        ("caller-lacks", &[]),
        ("conflict", &[]),
    ] {
        let files = fixtures("");
        let paths: Vec<_> = files.iter().map(|(name, text)| (format!(".github/workflows/{name}"), text)).collect();
        let paths: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let folder = repository(&paths);
        let path = format!(".github/workflows/{name}.yml");
        let ran = run(folder.path(), &[arguments, &[&path]].concat(), &[]);
        let text = text(&ran.stdout).replace(env!("CARGO_PKG_VERSION"), "VERSION");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "workflows/snapshots" }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn hostile_files_end_in_bounded_time() {
    let mut bomb = "x0: &x0 \"${{ steps.login.outputs.NUGET_API_KEY }}\"\n".to_owned();
    for level in 1..30 {
        bomb.push_str(&format!("x{level}: &x{level} [*x{0}, *x{0}, *x{0}, *x{0}]\n", level - 1));
    }
    let login = publish("");
    let scripts = [
        "nuget-login; ",
        "dotnet nuget push x -s nuget.org -k ${{ secrets.K }}; ",
        "${{ steps.login.outputs.NUGET_API_KEY }} ",
        "$(",
        "(",
        "${{ ",
        "K=$K; ",
        "dotnet nuget push x -s $K -k $K; ",
    ];
    let scripts = scripts.map(|part| format!("{login}      - run: '{}'\n", part.repeat(128 * 1024 / part.len())));
    let jobs =
        (0..3_000).map(|nth| format!("  j{nth}:\n    needs: j{}\n    steps: [{{uses: NuGet/login@v1}}]\n", nth + 1));
    let steps = "      - uses: NuGet/login@v1\n".repeat(20_000);
    // Variables that read themselves and each other.
    let loops = ["env.K", "env['K']", "env . K", "ENV.K", "env[ 'k' ]"].map(|reference| {
        let key = format!("\"{}\"", format!("${{{{ {reference} }}}}${{{{ secrets.K }}}}").repeat(1_000));
        let push = format!("      - {{run: dotnet nuget push x -s nuget.org -k $K, env: {{K: {key}}}}}\n");
        format!("env: {{K: {key}}}\n{}{}", publish(&format!("    env: {{K: {key}}}\n")), push.repeat(10))
    });
    let short = "env: {K: \"${{ secrets.K }}\"}\n".to_owned()
        + &publish("")
        + &"      - {run: dotnet nuget push x -s nuget.org -k $K, env: {K: \"${{ env['K'] }}\"}}\n".repeat(5_000);
    let files = scripts.into_iter().chain(loops).chain([
        bomb,
        format!("{login}{steps}"),
        format!("{login}{}", jobs.collect::<String>()),
        many_events_and_jobs(),
        short,
    ]);
    for file in files {
        let folder = repository(&[(".github/workflows/x.yml", &file)]);
        let began = Instant::now();
        let ran = run(folder.path(), &["--notes", "--format=json"], &[]);
        assert!(matches!(ran.status.code(), Some(0 | 1)), "{ran:?}");
        assert!(began.elapsed() < Duration::from_secs(60), "{:?} for {}", began.elapsed(), &file[file.len() - 80..]);
    }
}

#[test]
fn an_action_that_uses_itself_often_is_read_once() {
    let job = publish("").replace("    permissions: {id-token: write, contents: read}\n", "");
    let job = job.replace("    steps:\n", "    steps:\n      - uses: ./a\n");
    let action = format!(
        "runs:\n  using: composite\n  steps:\n    - uses: actions/checkout@v5\n{}",
        "    - uses: ./a\n".repeat(50)
    );
    let folder = repository(&[(".github/workflows/x.yml", &job), ("a/action.yml", &action)]);
    let ran = run(folder.path(), &["--format=json"], &[]);
    let [object] = &objects(&ran)[..] else { panic!("{ran:?}") };
    assert_eq!(object["code"], "no-id-token-permission");
    assert!(object["fix"].as_str().unwrap().ends_with("id-token: write\n    contents: read"), "{object}");
}

/// 20,000 events, and 6,000 jobs that log in, call the file itself, or need all others.
fn many_events_and_jobs() -> String {
    let mut file = "on:\n  pull_request:\n  pull_request_target:\n  workflow_call:\n    outputs:\n".to_owned();
    for nth in 0..200 {
        file.push_str(&format!("      o{nth}: {{value: \"${{{{ jobs.l{nth}.outputs.k }}}}\"}}\n"));
    }
    (0..20_000).for_each(|nth| file.push_str(&format!("  e{nth}:\n")));
    file.push_str("jobs:\n");
    for nth in 0..3_000 {
        let key = "${{ steps.l.outputs.NUGET_API_KEY }}";
        file.push_str(&format!(
            "  l{nth}:\n    outputs: {{k: \"{key}\"}}\n    steps: [{{uses: NuGet/login@v1, id: l, with: {{user: \"${{{{ inputs.u{nth} }}}}\"}}}}]\n"
        ));
        file.push_str(&format!("  c{nth}: {{uses: ./.github/workflows/x.yml}}\n"));
    }
    let ids = |context: &str, end: &str| (0..500).map(|nth| format!("{context}l{nth}{end}, ")).collect::<String>();
    file.push_str(&format!("  all:\n    needs: [{}]\n    name: \"", ids("", "")));
    file.push_str(&format!("{}\"\n", ids("${{ needs.", ".outputs.k }}")));
    file
}

#[test]
fn certain_facts_alone_are_findings() {
    // Each of these changes makes a fact unknown, or undoes the mistake.
    assert_eq!(found_in(&publish("")), Vec::<String>::new());
    for (from, to) in [
        ("permissions: {id-token: write, contents: read}", "permissions: ${{ inputs.permissions }}"),
        ("permissions: {id-token: write, contents: read}", "permissions: write-all"),
        ("on: push", "on: workflow_dispatch"),
        ("user: contoso-bot", "user: \"${{ vars.NUGET_USER }}\""),
        ("user: contoso-bot", "user: \"${{ env.NUGET_USER }}\""),
        ("user: contoso-bot", "user: a@b, source: https://nuget.contoso.example/v3/index.json, audience: x"),
        ("steps.login.outputs.NUGET_API_KEY", "steps[env.STEP].outputs.NUGET_API_KEY"),
        ("steps.login.outputs.NUGET_API_KEY", "toJSON(steps.login)"),
        ("steps.login.outputs.NUGET_API_KEY", "steps['LOGIN'].outputs['nuget_api_key']"),
    ] {
        let workflow = publish("").replace(from, to);
        assert_ne!(workflow, publish(""));
        assert_eq!(found_in(&workflow), Vec::<String>::new(), "{to}");
    }
    let called = publish("")
        .replace("on: push", "on: workflow_call")
        .replace("    permissions: {id-token: write, contents: read}\n", "");
    assert_eq!(found_in(&called), ["note: called-workflow@6"]);
    let email = publish("    env: {NUGET_USER: a@b}\n").replace("user: contoso-bot", "user: \"${{ env.NUGET_USER }}\"");
    assert_eq!(found_in(&email), ["error: email-user@10"]);
}

/// 200 workflow files, most of them without a login.
#[test]
fn two_hundred_files_are_checked_in_no_time() {
    let folder = repository(&[]);
    for nth in 0..200 {
        let steps = "      - uses: actions/checkout@v5\n      - run: dotnet test\n".repeat(40);
        let text = if nth % 10 == 0 { publish("") } else { format!("on: push\njobs:\n  test:\n    steps:\n{steps}") };
        write(folder.path(), &format!(".github/workflows/{nth}.yml"), &text);
    }
    let began = Instant::now();
    let ran = run(folder.path(), &["--notes"], &[]);
    assert_eq!(ran.status.code(), Some(0));
    assert!(text(&ran.stdout).ends_with("200 files checked, 20 jobs log in: 0 errors\n"), "{ran:?}");
    // The budget of a release build is 100 ms; this one may be slow.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn the_pre_commit_hook_and_the_help_name_what_exists() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let hooks = fs::read_to_string(root.join(".pre-commit-hooks.yaml")).unwrap();
    assert!(hooks.contains("entry: nuget-login check\n") && hooks.contains("language: rust\n"), "{hooks}");
    let ran = run(&root, &["--help"], &[]);
    let help = text(&ran.stdout);
    assert!(help.contains("Examples:\n") && help.lines().all(|line| line.chars().count() <= 100), "{help}");
}

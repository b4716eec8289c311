//! `migrate`: from a stored key to a login. `migrations/` has workflows of many kinds: `X.yml` is a file before,
//! `X.after.yml` after (or it stays as it is), and `X.json` is what is printed for programs, without the texts.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::job::{git, program};

const WORKFLOW: &str = ".github/workflows/x.yml";

/// A repository with these files.
fn repository(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["init", "--quiet"][..], &["remote", "add", "origin", "git@github.com:contoso/contoso-sdk.git"]]
    {
        assert!(git().args(arguments).current_dir(&folder).status().unwrap().success());
    }
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn run(folder: &Path, command: &str, arguments: &[&str]) -> Output {
    let mut ran = Command::new(program());
    ran.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("GIT_CONFIG_GLOBAL", "");
    ran.env("GIT_CEILING_DIRECTORIES", folder.parent().unwrap()).current_dir(folder);
    let ran = ran.arg(command).args(arguments).output().unwrap();
    assert!(!text(&ran.stderr).contains("panicked"), "{ran:?}");
    ran
}

fn migrate(folder: &Path, arguments: &[&str]) -> Output {
    run(folder, "migrate", arguments)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn read(folder: &Path, path: &str) -> String {
    fs::read_to_string(folder.join(path)).unwrap()
}

/// What is printed for programs, without the texts for people.
fn planned(folder: &Path, arguments: &[&str]) -> Value {
    let ran = migrate(folder, &[&["--format=json"], arguments].concat());
    let mut plan: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
    for file in plan["files"].as_array_mut().unwrap() {
        let lists = [file["notes"].take(), file["jobs"].take()];
        let [mut notes, mut jobs] = lists;
        let strip = |entries: &mut Value| {
            for entry in entries.as_array_mut().unwrap() {
                assert!(!entry["message"].as_str().unwrap().is_empty());
                entry.as_object_mut().unwrap().retain(|key, _| key == "line" || key == "code");
            }
        };
        strip(&mut notes);
        jobs.as_array_mut().unwrap().iter_mut().for_each(|job| strip(&mut job["by_hand"]));
        (file["notes"], file["jobs"]) = (notes, jobs);
    }
    plan
}

/// The names of the fixtures.
fn fixtures() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/migrations");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names = names.filter_map(|name| name.strip_suffix(".yml").map(str::to_owned));
    let names = names.filter(|name| !name.ends_with(".after"));
    names
        .map(|name| (fs::read_to_string(folder.join(format!("{name}.yml"))).unwrap(), name))
        .map(|(a, b)| (b, a))
        .collect()
}

fn fixture(name: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/migrations").join(name)).ok()
}

fn arguments(text: &str) -> Vec<&str> {
    text.lines()
        .find_map(|line| line.strip_prefix("# arguments: "))
        .map_or(Vec::new(), |line| line.split(' ').collect())
}

/// Line ends and the byte order mark of Windows.
fn as_on_windows(text: &str) -> String {
    format!("\u{feff}{}", text.replace('\n', "\r\n"))
}

#[test]
fn each_workflow_is_edited_as_expected_passes_check_and_is_unchanged_by_a_second_run() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 25, "{}", fixtures.len());
    for (name, before) in fixtures {
        let arguments = arguments(&before);
        for change in [&str::to_owned as &dyn Fn(&str) -> String, &as_on_windows] {
            let folder = repository(&[(WORKFLOW, &change(&before))]);
            let mut expected: Value = serde_json::from_str(&fixture(&format!("{name}.json")).unwrap()).unwrap();
            for policy in expected["policies"].as_array_mut().unwrap() {
                (policy["repository_owner"], policy["repository"]) = (json!("contoso"), json!("contoso-sdk"));
            }
            assert_eq!(planned(folder.path(), &arguments), expected, "{name}");
            assert_eq!(read(folder.path(), WORKFLOW), change(&before), "{name}: written without --write");

            let written = migrate(folder.path(), &[&["--write"], &arguments[..]].concat());
            let by_hand = text(&written.stdout).contains("by hand[");
            assert_eq!(written.status.code(), Some(i32::from(by_hand)), "{name}: {written:?}");
            let after = fixture(&format!("{name}.after.yml")).unwrap_or(before.clone());
            assert_eq!(read(folder.path(), WORKFLOW), change(&after), "{name}");

            migrate(folder.path(), &[&["--write"], &arguments[..]].concat());
            assert_eq!(read(folder.path(), WORKFLOW), change(&after), "{name}: a second run");
            let checked = run(folder.path(), "check", &[]);
            assert_eq!(checked.status.code(), Some(0), "{name}: {}", text(&checked.stdout));
        }
    }
}

#[test]
fn the_diff_applies_and_gives_the_file_that_is_written() {
    if Command::new("patch").arg("--version").output().is_err() {
        return;
    }
    for (name, before) in fixtures() {
        let folder = repository(&[(WORKFLOW, &before)]);
        let printed = text(&migrate(folder.path(), &arguments(&before)).stdout);
        let Some(after) = fixture(&format!("{name}.after.yml")) else {
            assert!(!printed.contains("@@"), "{name}: {printed}");
            continue;
        };
        let diff: Vec<_> = printed.lines().take_while(|line| line.starts_with(['-', '+', ' ', '@', '\\'])).collect();
        fs::write(folder.path().join("x.patch"), diff.join("\n") + "\n").unwrap();
        let patch = Command::new("patch").args(["-p1", "-i", "x.patch"]).current_dir(&folder).output().unwrap();
        assert!(patch.status.success(), "{name}: {patch:?}\n{printed}");
        assert_eq!(read(folder.path(), WORKFLOW), after, "{name}");
    }
}

const CALLED: &str = "on:\n  workflow_call:\n    secrets:\n      key:\n        required: true\njobs:\n  push:\n    runs-on: ubuntu-latest\n    \
    steps:\n      - uses: actions/checkout@v4\n      - run: dotnet nuget push a.nupkg -k ${{ secrets.key }} -s nuget.org\n  notes:\n    \
    runs-on: ubuntu-latest\n    steps:\n      - run: gh release create v1\n        env: {GH_TOKEN: \"${{ github.token }}\"}\n";

#[test]
fn the_callers_of_an_edited_workflow_get_the_permissions_that_its_jobs_need() {
    let caller = "on: push\njobs:\n  publish:\n    uses: ./.github/workflows/called.yml\n    secrets:\n      key: ${{ secrets.NUGET_KEY }}\n";
    let folder = repository(&[(WORKFLOW, caller), (".github/workflows/called.yml", CALLED)]);
    // The caller is edited although only the called file is named.
    let ran = migrate(folder.path(), &["--write", ".github/workflows/called.yml"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let edited = read(folder.path(), WORKFLOW);
    let block =
        "    permissions:\n      id-token: write\n      contents: write\n    uses: ./.github/workflows/called.yml\n";
    assert!(edited.contains(block), "{edited}");
    assert!(read(folder.path(), ".github/workflows/called.yml").contains("steps.nuget-login.outputs"));
    let printed = text(&ran.stdout);
    assert!(printed.contains("Workflow File               called.yml") || printed.contains("called.yml"), "{printed}");
    assert_eq!(run(folder.path(), "check", &[]).status.code(), Some(0));
    assert_eq!(migrate(folder.path(), &[]).status.code(), Some(0));
}

#[test]
fn a_caller_gets_its_block_also_if_another_called_job_requests_id_tokens() {
    let caller = "on: push\njobs:\n  publish:\n    uses: ./.github/workflows/called.yml\n    secrets: inherit\n";
    let called = CALLED.to_owned() + "  docs:\n    permissions: {id-token: write}\n    steps:\n      - run: ./docs\n";
    let folder = repository(&[(WORKFLOW, caller), (".github/workflows/called.yml", &called)]);
    assert_eq!(migrate(folder.path(), &["--write"]).status.code(), Some(0));
    assert!(read(folder.path(), WORKFLOW).contains("    permissions:\n      id-token: write\n"));
    assert_eq!(run(folder.path(), "check", &[]).status.code(), Some(0));
}

#[test]
fn a_called_job_keeps_what_its_callers_allow() {
    let caller = "on: push\npermissions:\n  actions: write\njobs:\n  publish:\n    uses: ./.github/workflows/called.yml\n    secrets: inherit\n";
    let folder = repository(&[(WORKFLOW, caller), (".github/workflows/called.yml", CALLED)]);
    assert_eq!(migrate(folder.path(), &["--write"]).status.code(), Some(0));
    let block = "    permissions:\n      actions: write\n      id-token: write\n    uses:";
    assert!(read(folder.path(), WORKFLOW).contains(block));
    let called = read(folder.path(), ".github/workflows/called.yml");
    assert!(called.contains("id: nuget-login") && !called.contains("permissions:"), "{called}");
    assert_eq!(run(folder.path(), "check", &[]).status.code(), Some(0));
}

#[test]
fn a_local_action_needs_what_its_steps_need() {
    let workflow = "on: push\njobs:\n  publish:\n    steps:\n      - run: dotnet nuget push a -k ${{ secrets.K }} -s nuget.org\n      - uses: ./release\n";
    let action = "runs:\n  using: composite\n  steps:\n    - uses: softprops/action-gh-release@v2\n    - run: gh pr create\n      shell: sh\n";
    let folder = repository(&[(WORKFLOW, workflow), ("release/action.yml", action)]);
    let plan = planned(folder.path(), &[]);
    let needs = json!({"id-token": "write", "contents": "write", "pull-requests": "write"});
    assert_eq!(plan["files"][0]["jobs"][0]["permissions"], needs);
}

#[test]
fn a_called_workflow_that_does_not_name_nuget_is_left_alone() {
    let caller = "on: push\njobs:\n  a:\n    uses: ./.github/workflows/release.yml\n    secrets: inherit\n";
    let called = "on: workflow_call\njobs:\n  a:\n    steps:\n      - run: cargo publish\n";
    let folder = repository(&[(WORKFLOW, caller), (".github/workflows/release.yml", called)]);
    assert_eq!(migrate(folder.path(), &[]).status.code(), Some(0));
    let folder = repository(&[(WORKFLOW, caller)]);
    assert_eq!(migrate(folder.path(), &[]).status.code(), Some(1), "nobody knows what it does");
}

#[test]
fn a_called_workflow_without_a_caller_in_the_repository_has_a_note() {
    let folder = repository(&[(".github/workflows/called.yml", CALLED)]);
    let plan = planned(folder.path(), &[]);
    assert_eq!(plan["files"][0]["notes"], json!([{"line": 2, "code": "caller-permissions"}]));
    assert_eq!(plan["secrets_to_delete"], json!([]), "the callers have the secrets");
}

#[test]
fn replace_changes_nothing_but_the_action() {
    let before = "on: push\njobs:\n  a:\n    steps:\n      - uses: 'NuGet/login@v1' # v1\n        id: x\n      - {uses: nuget/LOGIN@v1, id: y}\n      \
                  - run: dotnet nuget push a -k ${{ secrets.K }} -s nuget.org\n      # - uses: NuGet/login@v1\n      - uses: nuget/setup-nuget@v2\n";
    let folder = repository(&[(WORKFLOW, before)]);
    assert_eq!(migrate(folder.path(), &["--replace", "--uses", "org/nuget-login@v1"]).status.code(), Some(1));
    let ran = migrate(folder.path(), &["--replace", "--uses", "org/nuget-login@v1", "--write"]);
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    let after =
        before.replacen("NuGet/login@v1", "org/nuget-login@v1", 1).replace("nuget/LOGIN@v1", "org/nuget-login@v1");
    assert_eq!(read(folder.path(), WORKFLOW), after);
    assert!(text(&ran.stdout).contains("note[stale-comment]: .github/workflows/x.yml:5:"), "{ran:?}");
}

#[test]
fn a_script_that_names_nuget_org_is_named_by_file_and_line() {
    let workflow = "on: push\njobs:\n  a:\n    steps:\n      - run: ./build.sh publish\n        env:\n          NUGET_KEY: ${{ secrets.K }}\n";
    let script = "#!/bin/sh\ndotnet nuget push a --source https://api.nuget.org/v3/index.json\n";
    let folder = repository(&[(WORKFLOW, workflow), ("build.sh", script)]);
    let printed = text(&migrate(folder.path(), &[]).stdout);
    assert!(printed.contains("build.sh:2 names nuget.org"), "{printed}");
}

#[test]
fn other_ci_systems_are_done_by_hand() {
    let gitlab = "publish:\n  script: dotnet nuget push a -k $KEY\n";
    let folder = repository(&[(".gitlab-ci.yml", gitlab), ("azure-pipelines.yml", "steps:\n- task: NuGetCommand@2\n")]);
    let ran = migrate(folder.path(), &["--write"]);
    let printed = text(&ran.stdout);
    assert_eq!(ran.status.code(), Some(1));
    for part in ["by hand[gitlab-ci]", "id_tokens:", "aud: https://www.nuget.org", "by hand[azure-devops]"] {
        assert!(printed.contains(part), "{printed}");
    }
    assert_eq!(read(folder.path(), ".gitlab-ci.yml"), gitlab);
}

#[test]
fn the_plan_names_the_policy_the_variable_and_the_secret() {
    let workflow = "on: push\njobs:\n  a:\n    runs-on: x\n    environment: release\n    steps:\n      - run: dotnet nuget push a -k ${{ secrets.Key }} -s nuget.org\n";
    let folder = repository(&[(WORKFLOW, workflow)]);
    let ran = migrate(folder.path(), &[]);
    assert_eq!(ran.status.code(), Some(1));
    let printed = text(&ran.stdout);
    for part in [
        "contoso-sdk",
        "x.yml",
        "release",
        "gh variable set NUGET_USER --body NAME",
        "gh secret delete Key\nFor a secret of the environment `release`:\n    gh secret delete NAME --env 'release'\n\n",
        "1 file to write",
    ] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    let written = migrate(folder.path(), &["--write", "--user", "contoso-bot"]);
    assert!(!text(&written.stdout).contains("gh variable set"));
    let left: Vec<_> = fs::read_dir(folder.path().join(".github/workflows")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn the_secrets_of_environments_that_jobs_had_before_can_be_deleted() {
    let job = |id: &str, environment: &str| {
        let push = "steps:\n      - run: dotnet nuget push a -k ${{ secrets.Key }} -s nuget.org\n";
        format!("  {id}:\n    runs-on: x\n{environment}    {push}")
    };
    let environments = |jobs: &str| {
        let folder = repository(&[(WORKFLOW, &format!("on: push\njobs:\n{jobs}"))]);
        let printed = text(&migrate(folder.path(), &["--environment", "release"]).stdout);
        let names = printed.lines().filter_map(|line| line.strip_prefix("    gh secret delete NAME --env "));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let none = job("a", "");
    assert_eq!(environments(&none), Vec::<String>::new());
    assert_eq!(environments(&format!("{none}{}", job("b", "    environment: release\n"))), ["'release'"]);
    assert_eq!(environments(&job("a", "    environment: ${{ inputs.where }}\n")), Vec::<String>::new());
    assert_eq!(environments(&job("a", "    environment: {name: at work}\n")), ["'at work'"]);
    assert_eq!(environments(&job("a", "    environment: {name: it's on}\n")), Vec::<String>::new());
}

#[test]
fn a_name_from_a_file_cannot_act_in_a_shell() {
    let workflow = "on: push\njobs:\n  a:\n    runs-on: x\n    environment: $(touch c)\n    steps:\n      - run: dotnet nuget push a -s nuget.org -k ${{ secrets['$(touch b)'] }}\n";
    let folder = repository(&[(WORKFLOW, workflow)]);
    let printed = text(&migrate(folder.path(), &[]).stdout);
    assert!(printed.contains("1 file to write") && !printed.contains("gh secret delete"), "{printed}");
}

#[test]
fn a_repository_without_a_push_has_nothing_to_migrate() {
    let folder = repository(&[(WORKFLOW, "on: push\njobs:\n  a:\n    steps:\n      - run: dotnet test # nuget\n")]);
    let ran = migrate(folder.path(), &[]);
    assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(0), "nothing to migrate\n"));
    assert!(!text(&run(folder.path(), "check", &[]).stdout).contains("migrate"));
}

#[test]
fn check_counts_the_pushes_with_a_stored_key() {
    let workflow =
        "on: push\njobs:\n  a:\n    steps:\n      - run: dotnet nuget push a -k ${{ secrets.K }} -s nuget.org\n";
    let folder = repository(&[(WORKFLOW, workflow)]);
    let printed = text(&run(folder.path(), "check", &[]).stdout);
    assert!(printed.contains("1 push to nuget.org uses a stored key: run `nuget-login migrate`"), "{printed}");
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(migrate(folder.path(), &[]).status.code(), Some(2));
    let folder = repository(&[]);
    for arguments in [
        &["--uses", "checkout"][..],
        &["--uses", "a/b@c: d"],
        &["--user", ""],
        &["--environment", "a\nb"],
        &["--none"],
        &["x.yml"],
    ] {
        let ran = migrate(folder.path(), arguments);
        assert_eq!(ran.status.code(), Some(2), "{arguments:?}");
        let error = text(&ran.stderr);
        assert!(error.contains(arguments[0]) && error.contains("  fix: "), "{error}");
    }
}

#[test]
fn a_file_of_1_mib_is_migrated_in_a_second_when_the_machine_is_idle() {
    let job = |nth: usize| {
        format!(
            "  job{nth}:\n    runs-on: ubuntu-latest\n    env:\n      NUGET_KEY: ${{{{ secrets.NUGET_KEY }}}}\n    steps:\n      - uses: actions/checkout@v4\n      - run: |\n          dotnet pack\n          dotnet nuget push a.nupkg -k $NUGET_KEY -s https://api.nuget.org/v3/index.json\n"
        )
    };
    let mut workflow = "on: push\njobs:\n".to_owned();
    let mut nth = 0;
    while workflow.len() < 1_048_000 - 400 {
        workflow.push_str(&job(nth));
        nth += 1;
    }
    let folder = repository(&[(WORKFLOW, &workflow)]);
    let began = Instant::now();
    let ran = migrate(folder.path(), &["--write"]);
    assert_eq!(ran.status.code(), Some(0));
    // Beside other tests; a development build is not optimized.
    let limit = if std::env::var_os("NUGET_LOGIN").is_some() { 3 } else { 60 };
    assert!(began.elapsed() < Duration::from_secs(limit), "{:?}", began.elapsed());
}

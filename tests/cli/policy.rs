//! `policy`: the fields of the trust policy that a job needs. Nothing is sent to a token service.

use std::fs;
use std::path::Path;
use std::process::Output;

use sandbox::Sandbox;
use sandbox::config::{Config, Visibility};
use sandbox::faults::{Effect, Route};
use sandbox::runner::{Line, read_log};
use tempfile::TempDir;

use crate::job::{Job, git};

/// The fields of each printed policy that depend on the job, with single blanks; the others are checked.
#[track_caller]
fn policies(output: &str) -> Vec<Vec<String>> {
    let fields = output.lines().filter_map(|line| line.strip_prefix("  "));
    let fields = Vec::from_iter(fields.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")));
    let policies = fields.chunks(8).map(|policy| {
        let [owner, fields @ .., scopes, packages] = policy else { panic!("{output}") };
        assert_eq!(owner, "Package Owner: the account that owns the packages: you, or your organization");
        assert_eq!(scopes, "Select Scopes: \"Push new packages and package versions\"");
        assert_eq!(packages, "Glob Patterns and Packages: the IDs of the packages, or * for all");
        fields.to_vec()
    });
    policies.collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const GITHUB: &str = "CI/CD Provider: GitHub Actions";
const GITLAB: &str = "CI/CD Provider: GitLab CI/CD";
/// The hint for an environment that only the job's definition has.
const ENVIRONMENT: &str = "Environment: the \"environment:\" of the job, or leave empty if it has none";

#[test]
fn in_github_actions_the_policy_is_read_from_an_id_token_that_no_registry_accepts() {
    let sandbox = Sandbox::with(|config| {
        config.job.environment = Some("production".to_owned());
        config.job.repository_visibility = Visibility::Private;
        let called = "contoso/contoso-sdk/.github/workflows/publish.yml@refs/heads/main";
        config.job.job_workflow_ref = Some(called.to_owned());
    });
    let step = Job::new(&sandbox).arguments(["policy"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    let Config { job, .. } = Config::default();
    assert_eq!(
        policies(&step.log),
        [[
            GITHUB,
            &format!("Repository Owner: contoso (#{})", job.repository_owner_id),
            &format!("Repository: contoso-sdk (#{})", job.repository_id),
            "Workflow File: publish.yml",
            "Environment: production",
        ]]
    );
    let text = step.text();
    assert_eq!(text[0], "Trust policy for this job (from its ID token):");
    let run = format!("This run: event {}, ref {}, issuer ", job.event_name, job.r#ref);
    assert!(text.iter().any(|line| line.starts_with(&run)), "{}", step.log);
    assert_eq!(
        text[text.len() - 2..],
        [
            "Create it at https://www.nuget.org/account/trustedpublishing.",
            "Set \"user\" of the login to the nuget.org profile name of the account that creates it.",
        ]
    );
    let requests = sandbox.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].route, Route::IdToken);
    assert!(requests[0].target.contains("&audience=urn%3Anuget-login%3Apolicy"), "{}", requests[0].target);
    assert_eq!(step.masks(), [sandbox.request_token(), &sandbox.id_tokens()[0]]);
    assert!(sandbox.api_keys().is_empty() && sandbox.policies()[0].used_by.is_none());
}

#[test]
fn only_the_policy_goes_to_standard_output() {
    let sandbox = Sandbox::with(|_| {});
    let ran = Job::new(&sandbox).arguments(["policy"]).execute();
    let (printed, log) = (text(&ran.stdout), text(&ran.stderr));
    assert!(printed.starts_with("Trust policy for this job (from its ID token):\n"), "{printed}");
    assert!(!printed.contains(sandbox.request_token()) && !printed.contains(&sandbox.id_tokens()[0]), "{printed}");
    let is_mask = |line: &Line| matches!(line, Line::Mask(_));
    let others = read_log(&log).into_iter().filter(|line| !is_mask(line) && *line != Line::Text(String::new()));
    assert_eq!((others.count(), read_log(&log).iter().filter(|line| is_mask(line)).count()), (0, 2), "{log}");
}

#[test]
fn claims_cannot_act_in_the_log_of_policy() {
    let forged = "main\n::error::forged ##[error]x";
    let sandbox = Sandbox::with(|config| config.job.environment = Some(forged.to_owned()));
    let step = Job::new(&sandbox).arguments(["policy"]).run();
    assert!(step.errors().is_empty(), "{}", step.log);
    assert!(step.log.contains("main ::error::forged ## [error]x"), "{}", step.log);
}

#[test]
fn without_an_id_token_the_policy_is_read_from_the_runners_variables() {
    let sandbox = Sandbox::with(|_| {});
    let job = || {
        let job = Job::new(&sandbox).arguments(["policy"]).set("GITHUB_REPOSITORY", "contoso/contoso-sdk");
        let job = job.set("GITHUB_SERVER_URL", "https://github.com").set("GITHUB_REF", "refs/heads/main");
        let job = job.set("GITHUB_EVENT_NAME", "push");
        job.set("GITHUB_WORKFLOW_REF", "contoso/contoso-sdk/.github/workflows/release.yml@refs/heads/main")
    };
    let expected =
        [GITHUB, "Repository Owner: contoso", "Repository: contoso-sdk", "Workflow File: release.yml", ENVIRONMENT];
    let step = job().unset("ACTIONS_ID_TOKEN_REQUEST_URL").run();
    assert_eq!(policies(&step.log), [expected], "{}", step.log);
    let name =
        "Trust policy for this job (from the runner's variables, because ACTIONS_ID_TOKEN_REQUEST_URL is unset):";
    assert_eq!(step.text()[0], name);
    assert!(step.log.contains("\nThis run: event push, ref refs/heads/main.\n"), "{}", step.log);
    sandbox.fault(Route::IdToken, 1, Effect::Reset);
    let step = job().run();
    assert_eq!(policies(&step.log), [expected], "{}", step.log);
    assert!(
        step.text()[0].contains("(from the runner's variables, because the response from 127.0.0.1:"),
        "{}",
        step.log
    );
    let step = job().unset("ACTIONS_ID_TOKEN_REQUEST_URL").set("GITHUB_SERVER_URL", "https://ghe.example").run();
    let error = step.failed(1);
    assert!(error.starts_with("nuget.org does not accept ID tokens from https://ghe.example\nfix: "), "{error}");
    let step = Job::new(&sandbox).arguments(["policy"]).unset("ACTIONS_ID_TOKEN_REQUEST_URL").run();
    let error = step.failed(1);
    assert!(error.starts_with("the repository of this job is unknown: "), "{error}");
    assert!(error.lines().next().unwrap().contains("ACTIONS_ID_TOKEN_REQUEST_URL is unset"), "{error}");
    let job = Job::gitlab(&sandbox).without_arguments().arguments(["policy"]).set("NUGET_ID_TOKEN", "abc.def.ghi");
    let step = job.set("CI_PROJECT_PATH", "contoso/contoso-sdk").run();
    let name = "(from the runner's variables, because NUGET_ID_TOKEN does not contain an ID token from GitLab):";
    assert!(step.text()[0].ends_with(name), "{}", step.log);
    assert_eq!(policies(&step.log)[0][2], "Project Path: contoso-sdk");
}

#[test]
fn in_gitlab_ci_the_policy_is_read_from_the_id_token_or_from_variables() {
    let sandbox = Sandbox::with(|config| {
        let job = config.gitlab_job.as_mut().unwrap();
        job.project_path = "contoso/sdks/contoso-sdk".to_owned();
        job.environment = Some("production".to_owned());
    });
    let job = || Job::gitlab(&sandbox).without_arguments().arguments(["policy"]);
    let ran = job().execute();
    assert!(ran.status.success(), "{ran:?}");
    let gitlab_job = Config::default().gitlab_job.unwrap();
    let expected = [
        GITLAB,
        &format!("Namespace Path: contoso/sdks (#{})", gitlab_job.namespace_id),
        &format!("Project Path: contoso-sdk (#{})", gitlab_job.project_id),
        "Ref: main (or empty, for any branch)",
        "Environment: production",
    ];
    assert_eq!(policies(&text(&ran.stdout)), [expected]);
    assert_eq!(text(&ran.stderr), "");
    let job = job().unset("NUGET_ID_TOKEN").set("CI_PROJECT_PATH", "contoso/sdks/contoso-sdk");
    let ran = job.set("CI_COMMIT_REF_NAME", "v1.0.0").set("CI_COMMIT_TAG", "v1.0.0").execute();
    assert_eq!(
        policies(&text(&ran.stdout)),
        [[
            GITLAB,
            "Namespace Path: contoso/sdks",
            "Project Path: contoso-sdk",
            "Ref: (empty: this job runs for a tag, and a policy cannot name a tag)",
            "Environment: (empty)",
        ]]
    );
    let name = "(from the runner's variables, because the environment variable NUGET_ID_TOKEN is unset):\n";
    assert!(text(&ran.stdout).contains(name), "{ran:?}");
    let token = sandbox.gitlab_id_token("urn:any", |claims| claims["iss"] = "https://gitlab.example".into());
    let ran = Job::gitlab(&sandbox).without_arguments().set("OTHER", token);
    let step = ran.arguments(["policy", "--id-token-variable=OTHER"]).run();
    let error = step.failed(1);
    assert!(error.starts_with("nuget.org does not accept ID tokens from https://gitlab.example\nfix: "), "{error}");
    assert!(sandbox.requests().is_empty());
}

/// The hint for the workflow file of a repository without a login step.
const NO_LOGIN_STEP: &str = "the file of the job that logs in (no file in .github/workflows has a login step yet)";

/// A repository with this remote, and nothing in it.
fn repository(origin: Option<&str>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        assert!(git().args(arguments).current_dir(&folder).status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    if let Some(origin) = origin {
        git(&["remote", "add", "origin", origin]);
    }
    folder
}

/// Runs the program in a folder of a repository with this remote and these workflow files.
fn in_repository(origin: Option<&str>, files: &[(&str, &str)]) -> Output {
    let sandbox = Sandbox::with(|_| {});
    let folder = repository(origin);
    let workflows = folder.path().join(".github/workflows");
    fs::create_dir_all(&workflows).unwrap();
    fs::create_dir_all(folder.path().join("src")).unwrap();
    for (name, text) in files {
        fs::write(workflows.join(name), text).unwrap();
    }
    let ran = outside_of_a_job(&sandbox, &folder.path().join("src"));
    assert!(sandbox.requests().is_empty());
    ran
}

fn outside_of_a_job(sandbox: &Sandbox, folder: &Path) -> Output {
    let job = Job::new(sandbox).unset("GITHUB_ACTIONS").with_path();
    // Without repositories above the folder, and without a user's configuration.
    let job = job.set("GIT_CEILING_DIRECTORIES", folder.parent().unwrap().parent().unwrap());
    job.set("GIT_CONFIG_GLOBAL", "").arguments(["policy"]).within(folder).execute()
}

#[test]
fn in_a_repository_each_workflow_file_with_a_login_has_a_policy() {
    let login = "on: { push: { tags: [v*] } }\njobs:\n  publish:\n    runs-on: ubuntu-latest\n    environment: production\n    \
                 steps:\n      - uses: org/nuget-login@v1\n        with: { user: contoso-bot }\n";
    let two = login.replace(
        "jobs:\n",
        "jobs:\n  nightly:\n    runs-on: ubuntu-latest\n    environment: { name: \"prod #1: EU\" }\n    \
                                        steps: [{ uses: NuGet/login@v1, with: { user: contoso-bot } }]\n",
    );
    let ran = in_repository(
        Some("git@github.com:contoso/contoso-sdk.git"),
        &[
            ("release.yml", login),
            ("two.yaml", &two),
            ("weekly.yml", &login.replace("production", "${{ inputs.environment }}")),
            ("none.yml", &login.replace("    environment: production\n", "")),
            ("ci.yml", "jobs: { test: { steps: [{ run: dotnet test }] } } # no NuGet/login@v1\n"),
            ("notes.txt", "uses: NuGet/login@v1"),
        ],
    );
    assert!(ran.status.success(), "{ran:?}");
    let stdout = text(&ran.stdout);
    let headings = Vec::from_iter(stdout.lines().filter(|line| line.starts_with("Trust policy for ")));
    let jobs = [
        ("publish", "none.yml", "Environment: (empty)"),
        ("publish", "release.yml", "Environment: production"),
        ("nightly", "two.yaml", "Environment: prod #1: EU"),
        ("publish", "two.yaml", "Environment: production"),
        ("publish", "weekly.yml", "Environment: ${{ inputs.environment }}"),
    ];
    let heading = |(job, file, _)| {
        format!("Trust policy for job {job} in {file} (from the remote \"origin\", contoso/contoso-sdk at github.com):")
    };
    assert_eq!(headings, jobs.map(heading));
    let policy = |(_, file, environment)| {
        let file = format!("Workflow File: {file}");
        [GITHUB, "Repository Owner: contoso", "Repository: contoso-sdk", &file, environment].map(str::to_owned)
    };
    assert_eq!(policies(&stdout), jobs.map(policy));
    assert_eq!(text(&ran.stderr), "");
}

/// A workflow with one job that logs in, on these events.
fn login(on: &str) -> String {
    format!(
        "on: {on}\njobs:\n  publish:\n    runs-on: ubuntu-latest\n    permissions: {{ id-token: write }}\n    steps:\n      \
         - uses: org/nuget-login@v1\n        with: {{ user: contoso-bot }}\n"
    )
}

#[test]
fn a_job_that_no_policy_can_match_fails_after_the_policies_of_the_others() {
    let foreign = "on: push\njobs:\n  publish:\n    permissions: { id-token: write }\n    \
                   uses: contoso/workflows/.github/workflows/publish-nuget.yml@main\n    with: { user: contoso-bot }\n";
    let forbidden = login("pull_request_target");
    for (file, fact) in [
        (&*forbidden, "error: nuget.org does not accept runs that the event pull_request_target starts\n"),
        (
            foreign,
            "error: this job is defined in contoso/workflows/.github/workflows/publish-nuget.yml@main, and nuget.org",
        ),
    ] {
        let ran = in_repository(
            Some("https://github.com/contoso/contoso-sdk"),
            &[("a.yml", file), ("release.yml", &login("push"))],
        );
        assert_eq!(ran.status.code(), Some(1), "{ran:?}");
        assert!(text(&ran.stderr).starts_with(fact), "{ran:?}");
        assert_eq!(policies(&text(&ran.stdout)).len(), 1, "{ran:?}");
        assert!(text(&ran.stdout).contains("Workflow File:              release.yml\n"), "{ran:?}");
    }
}

#[test]
fn a_forbidden_event_is_an_obstacle_only_if_no_other_event_reaches_the_job() {
    let caller = |on: &str| {
        format!(
            "on: {on}\njobs:\n  call:\n    permissions: {{ id-token: write }}\n    uses: ./.github/workflows/_publish.yml\n"
        )
    };
    let origin = Some("https://github.com/contoso/contoso-sdk");
    let note =
        "Note: the login fails in runs that the event pull_request_target starts, because nuget.org rejects them.\n";
    let called = login("workflow_call");
    let (target, push, both) = ("pull_request_target", "push", "[push, pull_request_target]");
    for files in [
        vec![("a.yml", login(both))],
        vec![("_publish.yml", called.clone()), ("a.yml", caller(both))],
        vec![("_publish.yml", called.clone()), ("a.yml", caller(target)), ("b.yml", caller(push))],
    ] {
        let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let ran = in_repository(origin, &files);
        assert!(ran.status.success() && text(&ran.stdout).contains(note), "{ran:?}");
        assert_eq!(policies(&text(&ran.stdout)).len(), 1, "{ran:?}");
    }
    let ran = in_repository(origin, &[("_publish.yml", &called), ("a.yml", &caller(push))]);
    assert!(ran.status.success() && !text(&ran.stdout).contains("Note: "), "{ran:?}");
    let ran = in_repository(origin, &[("_publish.yml", &called), ("a.yml", &caller(target))]);
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{ran:?}");
    assert!(text(&ran.stderr).contains("fix: remove pull_request_target from \"on:\" in a.yml, or move"), "{ran:?}");
}

#[test]
fn a_called_workflow_and_a_local_action_are_followed() {
    let called = "on: { workflow_call: {} }\njobs:\n  publish:\n    runs-on: ubuntu-latest\n    steps:\n      \
                  - uses: NuGet/login@v1\n        id: login\n        with: { user: contoso-bot }\n";
    let caller = "on: push\njobs:\n  publish:\n    permissions: { id-token: write }\n    uses: ./.github/workflows/_publish.yml\n";
    let ran = in_repository(
        Some("https://github.com/contoso/contoso-sdk"),
        &[("_publish.yml", called), ("release.yml", caller)],
    );
    let shown = policies(&text(&ran.stdout));
    assert_eq!(shown.len(), 1, "{ran:?}");
    assert_eq!(shown[0][3], "Workflow File: _publish.yml");
}

#[test]
#[cfg(unix)]
fn links_and_pipes_are_not_read_as_workflows() {
    let sandbox = Sandbox::with(|_| {});
    let folder = repository(Some("https://github.com/contoso/contoso-sdk"));
    let workflows = folder.path().join(".github/workflows");
    fs::create_dir_all(workflows.join("folder.yml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", workflows.join("endless.yml")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(workflows.join("pipe.yml")).status().unwrap().success());
    let ran = outside_of_a_job(&sandbox, &folder.path().join(".github"));
    assert!(text(&ran.stdout).contains(NO_LOGIN_STEP), "{ran:?}");
}

#[test]
fn an_unreadable_folder_of_workflows_is_an_error_and_a_missing_one_is_not() {
    let sandbox = Sandbox::with(|_| {});
    let folder = repository(Some("https://github.com/contoso/contoso-sdk"));
    fs::create_dir(folder.path().join(".github")).unwrap();
    let ran = outside_of_a_job(&sandbox, &folder.path().join(".github"));
    assert!(text(&ran.stdout).contains(NO_LOGIN_STEP), "{ran:?}");
    fs::write(folder.path().join(".github/workflows"), "a file").unwrap();
    let ran = outside_of_a_job(&sandbox, &folder.path().join(".github"));
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{ran:?}");
    let printed = text(&ran.stderr);
    assert!(printed.starts_with("error: the folder .github/workflows cannot be read: "), "{printed}");
    assert!(printed.contains("fix: check that .github/workflows is a folder"), "{printed}");
}

#[test]
fn a_file_that_is_not_read_is_reported_on_standard_error() {
    let origin = Some("https://github.com/contoso/contoso-sdk");
    let broken = "on: push\njobs:\n<<<<<<< HEAD\n  a: b\n";
    let ran = in_repository(origin, &[("broken.yml", broken), ("ci.yml", "on: push\n")]);
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(policies(&text(&ran.stdout))[0][3], "Workflow File: the file of the job that logs in");
    let printed = text(&ran.stderr);
    assert!(printed.starts_with("warning: .github/workflows/broken.yml:"), "{printed}");
    assert!(printed.contains(" was skipped: the file is not valid YAML: "), "{printed}");
    assert_eq!(printed.lines().count(), 1, "{printed}");
    let login = "on: push\njobs: { a: { steps: [{ uses: NuGet/login@v1, with: { user: a } }] } }\n";
    let ran = in_repository(origin, &[("broken.yml", broken), ("release.yml", login)]);
    assert_eq!(policies(&text(&ran.stdout))[0][3], "Workflow File: release.yml");
    assert_eq!(text(&ran.stderr), printed);
}

#[test]
fn a_repository_without_a_login_step_has_a_hint_for_the_workflow_file() {
    let ran = in_repository(Some("https://github.com/contoso/contoso-sdk"), &[("ci.yml", "on: push\n")]);
    let stdout = text(&ran.stdout);
    assert_eq!(policies(&stdout)[0][3], format!("Workflow File: {NO_LOGIN_STEP}"));
    assert!(stdout.starts_with("Trust policy for the job that publishes (from the remote \"origin\", "), "{stdout}");
    let ran = in_repository(Some("https://gitlab.com/contoso/sdks/contoso-sdk.git"), &[]);
    let stdout = text(&ran.stdout);
    assert_eq!(
        policies(&stdout),
        [[
            GITLAB,
            "Namespace Path: contoso/sdks",
            "Project Path: contoso-sdk",
            "Ref: the branch that publishes (\"main\"), or empty for tags and any branch",
            ENVIRONMENT,
        ]]
    );
}

#[test]
fn an_unsupported_remote_is_reported_without_its_password() {
    for (origin, fact) in [
        (None, "git cannot read the repository of this folder: "),
        (
            Some("https://me:s3cr3t@git.contoso.example/a/b"),
            "the remote \"origin\" is on git.contoso.example, for which nuget.org has no trust policy\n",
        ),
        (Some("/srv/s3cr3t/contoso-sdk.git"), "the remote \"origin\" is not a repository on a host\n"),
    ] {
        let ran = in_repository(origin, &[]);
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{ran:?}");
        assert!(text(&ran.stderr).starts_with(&format!("error: {fact}")), "{ran:?}");
        assert!(!text(&ran.stderr).contains("s3cr3t"), "{ran:?}");
        assert!(read_log(&text(&ran.stderr)).iter().all(|line| matches!(line, Line::Text(_))), "{ran:?}");
    }
    let sandbox = Sandbox::with(|_| {});
    let mut job = Job::new(&sandbox).unset("GITHUB_ACTIONS").set("PATH", "/nowhere").arguments(["policy"]);
    let ran = job.execute();
    assert!(text(&ran.stderr).starts_with("error: git cannot be run: "), "{ran:?}");
}

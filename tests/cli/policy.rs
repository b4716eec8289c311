//! `policy`: the fields of the policy that a job needs; nothing is sent to a token service.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sandbox::Sandbox;
use sandbox::config::Visibility;
use sandbox::faults::{Effect, Route};
use sandbox::runner::{Line, read_log};
use tempfile::TempDir;

use crate::job::Job;

/// The policy as it is printed, in one word a blank.
fn fields(output: &str) -> Vec<String> {
    let fields = output.lines().filter_map(|line| line.strip_prefix("    "));
    fields.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const OWNER: &str = "Package owner: whoever owns the packages on nuget.org: you, or your organization";

#[test]
fn on_github_it_is_read_from_an_id_token_that_no_registry_accepts() {
    let sandbox = Sandbox::with(|config| {
        config.job.environment = Some("production".to_owned());
        config.job.repository_visibility = Visibility::Private;
        let called = "contoso/contoso-sdk/.github/workflows/publish.yml@refs/heads/main";
        config.job.job_workflow_ref = Some(called.to_owned());
    });
    let step = Job::new(&sandbox).arguments(["policy"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    assert_eq!(
        fields(&step.log),
        [
            OWNER,
            "Repository owner: contoso",
            "Repository: contoso-sdk",
            "Workflow file: publish.yml",
            "Environment: production",
        ]
    );
    assert!(step.log.contains("The trust policy that this job needs, by its ID token:"), "{}", step.log);
    let asked = sandbox.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].route, Route::IdToken);
    assert!(asked[0].target.contains("&audience=urn%3Anuget-login%3Apolicy"), "{}", asked[0].target);
    assert_eq!(step.masks(), [sandbox.request_token(), &sandbox.id_tokens()[0]]);
    assert!(sandbox.api_keys().is_empty() && sandbox.policies()[0].used_by.is_none());
}

#[test]
fn the_answer_alone_goes_to_standard_output() {
    let sandbox = Sandbox::with(|_| {});
    let ran = Job::new(&sandbox).arguments(["policy"]).execute();
    let (answer, log) = (text(&ran.stdout), text(&ran.stderr));
    assert!(answer.starts_with("The trust policy that this job needs"), "{answer}");
    assert!(!answer.contains(sandbox.request_token()) && !answer.contains(&sandbox.id_tokens()[0]), "{answer}");
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
fn without_an_id_token_the_runners_variables_are_used() {
    let sandbox = Sandbox::with(|_| {});
    let job = || {
        let job = Job::new(&sandbox).arguments(["policy"]).set("GITHUB_REPOSITORY", "contoso/contoso-sdk");
        let job = job.set("GITHUB_SERVER_URL", "https://github.com").set("GITHUB_REF", "refs/heads/main");
        job.set("GITHUB_WORKFLOW_REF", "contoso/contoso-sdk/.github/workflows/release.yml@refs/heads/main")
    };
    let expected = [
        OWNER,
        "Repository owner: contoso",
        "Repository: contoso-sdk",
        "Workflow file: release.yml",
        "Environment: the one that the job names (`environment:`), else empty",
    ];
    let step = job().unset("ACTIONS_ID_TOKEN_REQUEST_URL").run();
    assert_eq!(fields(&step.log), expected, "{}", step.log);
    assert!(step.log.contains("(this job can't ask GitHub for an ID token: "), "{}", step.log);
    sandbox.fault(Route::IdToken, 1, Effect::Reset);
    let step = job().run();
    assert_eq!(fields(&step.log), expected, "{}", step.log);
    assert!(step.log.contains("(no ID token from GitHub: "), "{}", step.log);
    let step = job().unset("ACTIONS_ID_TOKEN_REQUEST_URL").set("GITHUB_SERVER_URL", "https://ghe.example").run();
    assert!(step.log.contains("nuget.org accepts no ID tokens of `https://ghe.example`"), "{}", step.log);
    let step = Job::new(&sandbox).arguments(["policy"]).unset("ACTIONS_ID_TOKEN_REQUEST_URL").run();
    assert!(step.failed(1).starts_with("nothing is known of this job"), "{}", step.log);
    let job = Job::gitlab(&sandbox).without_arguments().arguments(["policy"]).set("NUGET_ID_TOKEN", "abc.def.ghi");
    let step = job.set("CI_PROJECT_PATH", "contoso/contoso-sdk").run();
    assert!(step.log.contains("NUGET_ID_TOKEN holds something else than GitLab's ID token"), "{}", step.log);
    assert!(step.log.contains("Project path:   contoso-sdk"), "{}", step.log);
}

#[test]
fn on_gitlab_it_is_read_from_the_jobs_token_or_its_variables() {
    let sandbox = Sandbox::with(|config| {
        let job = config.gitlab_job.as_mut().unwrap();
        job.project_path = "contoso/sdks/contoso-sdk".to_owned();
        job.environment = Some("production".to_owned());
    });
    let job = || Job::gitlab(&sandbox).without_arguments().arguments(["policy"]);
    let ran = job().execute();
    assert!(ran.status.success(), "{ran:?}");
    let expected = [
        OWNER,
        "Namespace path: contoso/sdks",
        "Project path: contoso-sdk",
        "Ref: main (or empty, for any)",
        "Environment: production",
    ];
    assert_eq!(fields(&text(&ran.stdout)), expected);
    assert_eq!(text(&ran.stderr), "");
    let job = job().unset("NUGET_ID_TOKEN").set("CI_PROJECT_PATH", "contoso/sdks/contoso-sdk");
    let ran = job.set("CI_COMMIT_REF_NAME", "v1.0.0").set("CI_COMMIT_TAG", "v1.0.0").execute();
    assert_eq!(
        fields(&text(&ran.stdout))[3],
        "Ref: leave empty: the job runs for a tag, and a policy's ref is a branch"
    );
    assert!(text(&ran.stdout).contains("the variable NUGET_ID_TOKEN is not set"), "{ran:?}");
    let token = sandbox.gitlab_id_token("urn:any", |claims| claims["iss"] = "https://gitlab.example".into());
    let ran = Job::gitlab(&sandbox).without_arguments().set("OTHER", token);
    let ran = ran.arguments(["policy", "--id-token-variable=OTHER"]).execute();
    assert!(text(&ran.stdout).contains("nuget.org accepts no ID tokens of `https://gitlab.example`"), "{ran:?}");
    assert!(sandbox.requests().is_empty());
}

/// A repository with this remote, and nothing in it.
fn repository(origin: Option<&str>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        assert!(Command::new("git").args(arguments).current_dir(&folder).status().unwrap().success());
    };
    git(&["init", "--quiet"]);
    if let Some(origin) = origin {
        git(&["remote", "add", "origin", origin]);
    }
    folder
}

/// What the program says in a folder of a repository with this remote and these workflow files.
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
    // Nothing above the folder, and nobody's configuration.
    let job = job.set("GIT_CEILING_DIRECTORIES", folder.parent().unwrap().parent().unwrap());
    job.set("GIT_CONFIG_GLOBAL", "").arguments(["policy"]).within(folder).execute()
}

#[test]
fn in_a_repository_each_workflow_that_logs_in_needs_one() {
    let login = "jobs:\n  publish:\n    environment: production\n    steps:\n      - uses: org/nuget-login@v1\n";
    let ran = in_repository(
        Some("git@github.com:contoso/contoso-sdk.git"),
        &[
            ("release.yml", login),
            ("nightly.yaml", &format!("{}steps:\n- uses: NuGet/login@v1\n", "# why and when\n".repeat(60_000))),
            ("weekly.yml", &login.replace("production", "${{ inputs.environment }}")),
            ("ci.yml", "steps:\n- run: dotnet test # no NuGet/login@v1\n"),
            ("notes.txt", "uses: NuGet/login@v1"),
        ],
    );
    assert!(ran.status.success(), "{ran:?}");
    let stdout = text(&ran.stdout);
    assert!(stdout.starts_with(
        "The trust policy that nightly.yaml needs, by this repository (`origin` is contoso/contoso-sdk at github.com):\n"
    ));
    let fields = fields(&stdout);
    assert_eq!(fields[3..5], ["Workflow file: nightly.yaml", "Environment: leave empty: none was found in the file"]);
    assert_eq!(fields[5..8], [OWNER, "Repository owner: contoso", "Repository: contoso-sdk"]);
    assert_eq!(
        fields[8..10],
        ["Workflow file: release.yml", "Environment: production, if the job that logs in names it, else empty"]
    );
    assert_eq!(fields[13..], ["Workflow file: weekly.yml", "Environment: the one that the job names, else empty"]);
    assert_eq!(text(&ran.stderr), "");
}

#[test]
#[cfg(unix)]
fn links_and_pipes_are_not_read_as_workflows() {
    let sandbox = Sandbox::with(|_| {});
    let folder = repository(Some("https://github.com/contoso/contoso-sdk"));
    let workflows = folder.path().join(".github/workflows");
    fs::create_dir_all(workflows.join("folder.yml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", workflows.join("endless.yml")).unwrap();
    assert!(Command::new("mkfifo").arg(workflows.join("pipe.yml")).status().unwrap().success());
    let ran = outside_of_a_job(&sandbox, &folder.path().join(".github"));
    assert!(text(&ran.stdout).contains("none in .github/workflows names a login step yet"), "{ran:?}");
}

#[test]
fn an_unreadable_folder_of_workflows_is_an_error_and_a_missing_one_is_not() {
    let sandbox = Sandbox::with(|_| {});
    let folder = repository(Some("https://github.com/contoso/contoso-sdk"));
    fs::create_dir(folder.path().join(".github")).unwrap();
    let ran = outside_of_a_job(&sandbox, &folder.path().join(".github"));
    assert!(text(&ran.stdout).contains("none in .github/workflows names a login step yet"), "{ran:?}");
    fs::write(folder.path().join(".github/workflows"), "a file").unwrap();
    let ran = outside_of_a_job(&sandbox, &folder.path().join(".github"));
    assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{ran:?}");
}

#[test]
fn a_repository_without_a_login_step_says_so() {
    let ran = in_repository(Some("https://github.com/contoso/contoso-sdk"), &[("ci.yml", "on: push\n")]);
    let stdout = text(&ran.stdout);
    assert!(fields(&stdout)[3].ends_with("none in .github/workflows names a login step yet"), "{stdout}");
    let ran = in_repository(Some("https://gitlab.com/contoso/sdks/contoso-sdk.git"), &[]);
    let stdout = text(&ran.stdout);
    assert_eq!(fields(&stdout)[1..3], ["Namespace path: contoso/sdks", "Project path: contoso-sdk"], "{stdout}");
}

#[test]
fn an_unsupported_remote_is_reported_without_its_password() {
    for (origin, problem) in [
        (None, "git knows nothing of this repository: "),
        (Some("https://me:s3cr3t@git.contoso.example/a/b"), "the remote `origin` is at git.contoso.example: nuget.org"),
        (Some("/srv/s3cr3t/contoso-sdk.git"), "the remote `origin` is no repository on a host"),
    ] {
        let ran = in_repository(origin, &[]);
        assert_eq!((ran.status.code(), ran.stdout.len()), (Some(1), 0), "{ran:?}");
        assert!(text(&ran.stderr).contains(problem), "{ran:?}");
        assert!(!text(&ran.stderr).contains("s3cr3t"), "{ran:?}");
        assert!(read_log(&text(&ran.stderr)).iter().all(|line| matches!(line, Line::Text(_))), "{ran:?}");
    }
    let sandbox = Sandbox::with(|_| {});
    let mut job = Job::new(&sandbox).unset("GITHUB_ACTIONS").set("PATH", "/nowhere").arguments(["policy"]);
    let ran = job.execute();
    assert!(text(&ran.stderr).contains("git can't be run: "), "{ran:?}");
}

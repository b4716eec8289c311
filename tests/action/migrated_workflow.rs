//! The move from a stored key: `migrate` edits a user's workflow, the trust policy that it prints is created, and a
//! workflow engine (nektos/act) runs the result as it is. Needs what workflow.rs needs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use sandbox::config::{Config, Policy};
use sandbox::faults::Route;
use sandbox::{Sandbox, package};
use tempfile::TempDir;

use crate::checkout::{asset_path, check_out, git};
use crate::mirror::{Mirror, found, status};
use crate::workflow::{act, commit, program};

const WORKFLOW: &str = "name: release
on: push

jobs:
  publish:
    runs-on: ubuntu-latest
    environment: production
    steps:
      - uses: actions/checkout@v5
      - run: dotnet pack --output packages
      - name: Push
        run: dotnet nuget push packages/my-sdk.1.0.0.nupkg --source https://api.nuget.org/v3/index.json --api-key ${{ secrets.NUGET_API_KEY }}
";

/// The workflow's file.
const FILE: &str = ".github/workflows/release.yml";

/// A user's repository, `contoso/contoso-sdk`, with the workflow.
fn repository() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
    fs::write(folder.path().join(FILE), WORKFLOW).unwrap();
    commit(folder.path());
    let remote = ["remote", "add", "origin", "https://github.com/contoso/contoso-sdk.git"];
    assert!(git().current_dir(folder.path()).args(remote).status().unwrap().success());
    folder
}

/// Migrates the repository, and returns what is printed.
fn migrate(repository: &Path) -> String {
    let (program, _) = program();
    let ran = Command::new(program)
        .current_dir(repository)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .args(["migrate", "--write"])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// The trust policy as a person copies it from the output to nuget.org. The person chooses the package owner.
fn printed_policy(printed: &str) -> Policy {
    let value = |field: &str| {
        let mut values = printed.lines().filter_map(|line| line.trim().strip_prefix(field)?.strip_prefix(": "));
        let value = values.next().unwrap_or_else(|| panic!("{field} is not in {printed}"));
        assert_eq!(values.next(), None, "{printed}");
        value.trim().to_owned()
    };
    Policy {
        name: "contoso-sdk release".to_owned(),
        created_by: "contoso-bot".to_owned(),
        owner: "contoso".to_owned(),
        repository_owner: value("Repository Owner"),
        repository: value("Repository"),
        workflow: value("Workflow File"),
        environment: value("Environment"),
        ..Config::default().policies[0].clone()
    }
}

/// nuget.org with this policy, and GitHub with the repository's job in the job's environment.
fn world(policy: &Policy, environment: Option<&str>) -> Sandbox {
    Sandbox::with(|config| {
        config.policies = vec![policy.clone()];
        config.job.repository = "contoso/contoso-sdk".to_owned();
        config.job.workflow = Path::new(FILE).file_name().unwrap().to_str().unwrap().to_owned();
        config.job.environment = environment.map(str::to_owned);
    })
}

/// A copy of the action for the sandbox: the defaults of two inputs name the sandbox instead of nuget.org and GitHub, so
/// that a workflow that sets neither input needs no change.
fn action_for(sandbox: &Sandbox, mirror: &Mirror, released: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    check_out(folder.path(), released);
    let file = folder.path().join("action.yml");
    let mut text = fs::read_to_string(&file).unwrap();
    for (input, value) in [("token-service-url", sandbox.token_service_url()), ("mirror", mirror.url.clone())] {
        let start = text.find(&format!("\n  {input}:\n")).unwrap();
        let default = start + text[start..].find("default: \"\"\n").unwrap();
        text.replace_range(default..default + "default: \"\"".len(), &format!("default: {value}"));
    }
    fs::write(file, text).unwrap();
    commit(folder.path());
    folder
}

/// A folder with a `dotnet` that packs one package, and pushes to the sandbox what is for nuget.org.
fn tools(sandbox: &Sandbox) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("my-sdk.1.0.0.nupkg"), package::build("my-sdk", "1.0.0")).unwrap();
    let script = r#"#!/bin/sh
set -eu
case "$*" in
"pack --output packages")
    mkdir packages
    cp "${0%/*}/my-sdk.1.0.0.nupkg" packages
    ;;
"nuget push packages/my-sdk.1.0.0.nupkg --source https://api.nuget.org/v3/index.json --api-key "*)
    curl --fail-with-body --silent -X PUT -F "package=@$3" -H "X-NuGet-ApiKey: $7" PUSH_URL
    ;;
*)
    echo "unexpected arguments: $1 $2" >&2
    exit 1
    ;;
esac
"#;
    let dotnet = folder.path().join("dotnet");
    fs::write(&dotnet, script.replace("PUSH_URL", &sandbox.push_url())).unwrap();
    fs::set_permissions(&dotnet, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Runs the repository's workflow as it is. The variable is set as `migrate` asks, and the secret is deleted.
fn run_workflow(repository: &Path, sandbox: &Sandbox) -> (bool, String) {
    let (_, released) = program();
    let bytes = released.clone();
    let mirror = Mirror::start(move |path| if path == asset_path() { found(&bytes) } else { status(404) });
    let action = action_for(sandbox, &mirror, &released);
    let tools = tools(sandbox);
    let uses = concat!("org/nuget-login@v", env!("CARGO_PKG_VERSION"));
    assert!(fs::read_to_string(repository.join(FILE)).unwrap().contains(&format!("uses: {uses}\n")));
    let options =
        [format!("--local-repository={uses}={}", action.path().display()), "--var=NUGET_USER=contoso-bot".to_owned()];
    act(repository, FILE, sandbox, Some(tools.path()), &options)
}

#[test]
#[ignore = "needs act"]
fn a_workflow_with_a_stored_key_pushes_after_migrate_with_the_printed_policy() {
    let repository = repository();
    let printed = migrate(repository.path());
    assert!(printed.contains("gh variable set NUGET_USER --body NAME\n"), "{printed}");
    assert!(printed.contains("gh secret delete NUGET_API_KEY\n"), "{printed}");
    let policy = printed_policy(&printed);
    let sandbox = world(&policy, Some("production"));
    let (succeeded, log) = run_workflow(repository.path(), &sandbox);
    assert!(succeeded, "{log}");
    assert!(sandbox.has_package("my-sdk", "1.0.0"), "{log}");

    // Each field of the policy is needed: with another value, the login fails and nothing is pushed.
    let changes: [fn(&mut Policy); 3] = [
        |policy| policy.repository = "contoso-web".to_owned(),
        |policy| policy.workflow = "publish.yml".to_owned(),
        |policy| policy.environment = "staging".to_owned(),
    ];
    for change in changes {
        let mut other = policy.clone();
        change(&mut other);
        let sandbox = world(&other, Some("production"));
        let (succeeded, log) = run_workflow(repository.path(), &sandbox);
        assert!(!succeeded && log.contains("::error title=NuGet login failed::"), "{other:?}: {log}");
        assert!(sandbox.requests().iter().any(|request| request.route == Route::TokenService), "{log}");
        assert!(sandbox.requests().iter().all(|request| request.route != Route::Push), "{log}");
    }
}

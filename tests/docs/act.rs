//! The workflow of the README and its changes in docs/getting-started.md, run by a workflow engine (nektos/act, on the
//! machine itself) as they are: other actions and the SDK have stand-ins, and the action logs in at the sandbox.
//! Needs act in `ACT`; `.ci/run` has it.

use std::fs;
use std::path::Path;
use std::process::Command;

use sandbox::Sandbox;
use sandbox::config::Config;

use crate::blocks::blocks_in;
use crate::examples::{indented, readme_workflow, readme_workflow_on};
use crate::stand_ins::Machine;
use crate::{git, root};

/// Actions of others, by what they do here.
const ACTIONS: &[(&str, &str)] = &[
    ("actions/checkout", "true"),
    ("actions/upload-artifact", "cp -r packages \"$ARTIFACTS\""),
    ("actions/download-artifact", "rm -rf packages; cp -r \"$ARTIFACTS\" packages"),
];

/// The action of this repository, whose defaults are the built program and the sandbox.
fn copy_action(folder: &Path, sandbox: &Sandbox) {
    fs::create_dir_all(folder.join("dist")).unwrap();
    for file in ["dist/fetch.sh", "dist/release.txt"] {
        fs::copy(root().join(file), folder.join(file)).unwrap();
    }
    let mut action = fs::read_to_string(root().join("action.yml")).unwrap();
    let program = env!("CARGO_BIN_EXE_nuget-login");
    for (input, value) in [("binary", program), ("token-service-url", &sandbox.token_service_url())] {
        let (start, rest) = action.split_once(&format!("\n  {input}:\n")).unwrap();
        action = format!("{start}\n  {input}:\n{}", rest.replacen("default: \"\"", &format!("default: {value}"), 1));
    }
    fs::write(folder.join("action.yml"), action).unwrap();
}

/// Runs a workflow for an event. Returns success, and the log.
fn run(workflow: &str, event: &str, sandbox: &Sandbox) -> (bool, String) {
    let machine = Machine::new();
    let folder = machine.folder.path().join("repository");
    fs::create_dir_all(folder.join(".github/workflows")).unwrap();
    fs::write(folder.join(".github/workflows/release.yml"), workflow).unwrap();
    fs::write(folder.join("event.json"), r#"{"ref": "refs/tags/v1.0.0"}"#).unwrap();
    for arguments in ["init -q", "add .", "-c user.name=t -c user.email=t@example.com commit -qm x", "tag v1.0.0"] {
        git(&folder, arguments);
    }
    let mut act = Command::new(std::env::var_os("ACT").expect("ACT is the path of nektos/act"));
    act.current_dir(&folder).env_clear().envs(machine.environment()).env("HOME", machine.folder.path());
    act.args([event, "-e", "event.json", "-P", "ubuntu-latest=-self-hosted", "--var", "NUGET_USER=contoso-bot"]);
    let action = machine.folder.path().join("action");
    copy_action(&action, sandbox);
    act.args(["--local-repository", &format!("org/nuget-login@v1={}", action.display())]);
    for (name, script) in ACTIONS {
        let action = machine.folder.path().join(name);
        fs::create_dir_all(&action).unwrap();
        let step = format!("runs: {{using: composite, steps: [{{shell: sh, run: '{script}'}}]}}\n");
        fs::write(action.join("action.yml"), format!("name: a\ndescription: a\n{step}")).unwrap();
        let (_, version) = workflow.split_once(&format!("{name}@")).unwrap();
        let version = version.split_whitespace().next().unwrap();
        act.args(["--local-repository", &format!("{name}@{version}={}", action.display())]);
    }
    let mut environment = machine.environment().to_vec();
    environment.extend([
        ("ACTIONS_ID_TOKEN_REQUEST_URL", sandbox.id_token_request_url()),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", sandbox.request_token().to_owned()),
        ("PUSH", sandbox.push_url()),
        ("ARTIFACTS", machine.folder.path().join("artifacts").display().to_string()),
    ]);
    for (name, value) in environment {
        act.args(["--env", &format!("{name}={value}")]);
    }
    let ran = act.output().unwrap();
    let log = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
    (ran.status.success(), log.into_owned())
}

/// The workflow of the README with other steps from the login on.
fn with_login(workflow: &str, steps: &str) -> String {
    let (start, _) = workflow.split_once("      - uses: org/nuget-login@").unwrap();
    format!("{start}{}", indented(steps, 6))
}

fn world() -> Sandbox {
    Sandbox::with(|config: &mut Config| {
        config.job.environment = Some("production".to_owned());
        config.policies[0].environment = "production".to_owned();
    })
}

#[test]
#[ignore = "needs act"]
fn the_workflow_of_the_readme_pushes_a_package() {
    let sandbox = world();
    let (succeeded, log) = run(&readme_workflow(), "push", &sandbox);
    assert!(succeeded && sandbox.has_package("my-sdk", "1.0.0"), "{log}");
}

#[test]
#[ignore = "needs act"]
fn the_changed_workflow_tests_the_policy_by_hand_and_pushes_for_a_tag() {
    let blocks: Vec<_> = blocks_in("yaml").into_iter().filter(|it| it.document == "docs/getting-started.md").collect();
    let [events, steps] = &blocks[..] else { panic!("two changes") };
    let workflow = with_login(&readme_workflow_on(&events.text), &steps.text);
    let sandbox = world();
    let (succeeded, log) = run(&workflow, "workflow_dispatch", &sandbox);
    assert!(succeeded && log.contains("matches this job"), "{log}");
    assert!(!sandbox.has_package("my-sdk", "1.0.0"), "{log}");
    let (succeeded, log) = run(&workflow, "push", &sandbox);
    assert!(succeeded && sandbox.has_package("my-sdk", "1.0.0"), "{log}");
}

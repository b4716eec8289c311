//! Scripts of the documents, run against the sandbox. The SDK, dnx and downloads have stand-ins in `stand-ins/`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use sandbox::{Sandbox, package};

use crate::blocks::{Block, blocks_in};
use crate::commands::scripts;
use crate::root;

/// A folder with the package that `dotnet pack` makes, and a shell that finds the stand-ins first.
pub(crate) struct Machine {
    pub(crate) folder: tempfile::TempDir,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("my-sdk.1.0.0.nupkg"), package::build("my-sdk", "1.0.0")).unwrap();
        Machine { folder }
    }

    /// The variables that the stand-ins read.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        let shown = |path: &Path| path.display().to_string();
        let path = format!("{}:{}", shown(&root().join("tests/docs/stand-ins")), std::env::var("PATH").unwrap());
        [
            ("PATH", path),
            ("PACKAGE", shown(&self.folder.path().join("my-sdk.1.0.0.nupkg"))),
            ("NUGET_LOGIN", env!("CARGO_BIN_EXE_nuget-login").to_owned()),
            ("SANDBOX", shown(&crate::sandbox())),
        ]
    }

    fn run(&self, script: &str, environment: &[(&'static str, String)]) -> Output {
        let work = self.folder.path().join("work");
        fs::create_dir(&work).unwrap();
        let mut sh = Command::new("sh");
        sh.args(["-euc", script]).current_dir(work).env_clear().envs(self.environment());
        sh.envs(environment.iter().cloned()).output().unwrap()
    }
}

fn block(document: &str, language: &str, contains: &str) -> Block {
    let mut blocks = blocks_in(language).into_iter().filter(|it| it.document == document);
    blocks.find(|it| it.text.contains(contains)).unwrap_or_else(|| panic!("{document}: no {contains}"))
}

/// Runs a script that logs in and pushes, with the variables of a job. nuget.org is the sandbox.
fn pushes(sandbox: &Sandbox, job: &[(&'static str, String)], script: &str) {
    let machine = Machine::new();
    let here = [("TOKEN_SERVICE", sandbox.token_service_url()), ("PUSH", sandbox.push_url())];
    let ran = machine.run(script, &[job, &here].concat());
    assert!(ran.status.success() && sandbox.has_package("my-sdk", "1.0.0"), "{script}: {ran:?}");
}

fn pushes_in_gitlab(audience: &str, script: &str) {
    let sandbox = Sandbox::with(|_| {});
    let id_token = sandbox.gitlab_id_token(audience, |_| {});
    pushes(&sandbox, &[("GITLAB_CI", "true".to_owned()), ("NUGET_ID_TOKEN", id_token)], script);
}

fn pushes_in_github(script: &str) {
    let sandbox = Sandbox::with(|_| {});
    // What an earlier step left.
    let packed = format!("dotnet pack --output packages\n{script}");
    pushes(&sandbox, &sandbox.step_environment(), &packed);
}

#[test]
fn the_gitlab_jobs_push_a_package() {
    let job = block("docs/gitlab.md", "yaml", "# .gitlab-ci.yml");
    let audience = |job: &Block| {
        let (_, rest) = job.text.split_once("\n  id_tokens:\n    NUGET_ID_TOKEN:\n      aud: ").unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    pushes_in_gitlab(&audience(&job), &scripts(&job.text).join("\n"));
    let older = block("docs/gitlab.md", "yaml", "sha256sum --check");
    let script = scripts(&older.text).join("\n");
    let (before, rest) = script.split_once("<64 hexadecimal digits").unwrap();
    let (_, after) = rest.split_once('>').unwrap();
    pushes_in_gitlab(&audience(&job), &format!("{before}$(sha256sum nuget-login | cut -c 1-64){after}"));
    let readme = block("dotnet-tool/nuget-login.md", "yaml", "id_tokens:");
    pushes_in_gitlab(&audience(&readme), &scripts(&readme.text).join("\n"));
    let install = block("docs/install.md", "sh", "dnx --yes nuget-login@1.0.0 -- exec");
    pushes_in_gitlab(&audience(&job), &format!("dotnet pack --output packages\n{}", install.text));
}

#[test]
fn the_scripts_with_exec_push_a_package_in_github_actions() {
    for document in ["docs/exec.md", "docs/troubleshooting-download.md"] {
        let step = block(document, "yaml", "nuget-login exec");
        pushes_in_github(&scripts(&step.text).concat());
    }
    pushes_in_github(&block("docs/install.md", "sh", "dotnet tool run").text);
}

#[test]
fn the_push_in_the_sandbox_pushes_a_package() {
    let blocks = blocks_in("console").into_iter().filter(|it| it.document == "docs/sandbox.md");
    let commands: Vec<_> = blocks.flat_map(|block| block.console()).collect();
    let (command, _) = commands.iter().find(|(command, _)| command.contains("dotnet nuget push")).unwrap();
    let machine = Machine::new();
    let prepared = "dotnet pack --output .\nmkdir -p target/debug\nln -s \"$NUGET_LOGIN\" target/debug/nuget-login\n";
    let ran = machine.run(&format!("{prepared}{command}"), &[]);
    let log = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && log.contains("Logged in to 127.0.0.1:"), "{log}");
}

#[test]
fn the_example_for_a_laptop_pushes_to_its_sandbox() {
    let laptop = block("docs/install.md", "sh", "-- run -- sh push.sh");
    let ran = Machine::new().run(&laptop.text, &[]);
    let log = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && log.contains("Logged in to 127.0.0.1:"), "{log}");

    let parts = blocks_in("sh").into_iter().filter(|it| it.document == "dotnet-tool/nuget-login-sandbox.md");
    let [create, push, run] = parts.map(|it| it.text).collect::<Vec<_>>().try_into().unwrap();
    let ran = Machine::new().run(&format!("{create}cat >push.sh <<'END'\n{push}END\n{run}"), &[]);
    let log = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && log.contains("Logged in to 127.0.0.1:"), "{log}");
}

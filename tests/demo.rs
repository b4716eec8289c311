//! `cargo demo`: a job's ID token becomes an API key that pushes a package, on loopback; and a login that fails.

use std::fs;
use std::process::{Command, ExitCode};

use sandbox::config::Config;
use sandbox::{Sandbox, package, runner, wire};

/// What a step left behind.
struct Step {
    succeeded: bool,
    outputs: Vec<(String, String)>,
}

fn main() -> ExitCode {
    match demo() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("The demo failed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn demo() -> Result<(), Box<dyn std::error::Error>> {
    let sandbox = Sandbox::start(Config::default(), 0)?;
    let Config { job, policies, .. } = Config::default();
    let policy = &policies[0];
    println!("A GitHub and a nuget.org of our own serve at {}.", sandbox.base_url());
    println!("The job:    {} on {}, workflow {}", job.event_name, job.repository, job.workflow);
    println!(
        "The policy: '{}', created by {} for the packages of {}: repository {}/{}, workflow {}",
        policy.name, policy.created_by, policy.owner, policy.repository_owner, policy.repository, policy.workflow
    );

    println!("\n1. The login\n");
    let step = run_login(&sandbox)?;
    expect(step.succeeded, "the login succeeds")?;
    println!("\n   Outputs of the step:");
    for (name, value) in &step.outputs {
        match name.as_str() {
            "NUGET_API_KEY" => println!("   - {name} = *** ({} characters)", value.len()),
            _ => println!("   - {name} = {value}"),
        }
    }

    println!("\n2. The push\n");
    let (_, key) = step.outputs.iter().find(|(name, _)| name == "NUGET_API_KEY").ok_or("there is no key")?;
    let answer = wire::push(sandbox.base_url(), Some(key), &package::build("my-sdk", "1.0.0"))?;
    println!("   PUT {}  my-sdk 1.0.0", sandbox.push_url());
    println!("   HTTP {} {}", answer.status, answer.reason);
    expect(answer.status == 201 && sandbox.has_package("my-sdk", "1.0.0"), "the push succeeds")?;

    println!("\n3. The same login when the policy names another workflow file, publish.yml\n");
    let sandbox = Sandbox::with(|config| config.policies[0].workflow = "publish.yml".to_owned());
    let step = run_login(&sandbox)?;
    expect(!step.succeeded && step.outputs.is_empty(), "the login fails without an output")?;
    println!("\n   Outputs of the step: none. The job ends here.");
    Ok(())
}

/// Runs the binary as a step of the job would, and shows its log as GitHub does.
fn run_login(sandbox: &Sandbox) -> Result<Step, Box<dyn std::error::Error>> {
    let output = tempfile::NamedTempFile::new()?;
    let environment = sandbox.step_environment();
    let ran = Command::new(env!("CARGO_BIN_EXE_nuget-login"))
        .env("GITHUB_OUTPUT", output.path())
        .envs(environment.clone())
        .output()?;
    println!("   Run nuget-login");
    for (name, value) in environment.iter().filter(|(name, _)| name.starts_with("INPUT_")) {
        println!("   |   {name}: {value}");
    }
    for line in runner::render(&String::from_utf8(ran.stdout)?) {
        println!("   | {line}");
    }
    if !ran.status.success() {
        println!("   | Error: Process completed with exit code {}.", ran.status.code().unwrap_or(-1));
    }
    let outputs = runner::read_outputs(&fs::read_to_string(output.path())?)?;
    Ok(Step { succeeded: ran.status.success(), outputs })
}

fn expect(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("expected that {what}")) }
}

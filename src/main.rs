//! `nuget-login`: trusted publishing to NuGet registries from CI. See the README for what it does and `--help` for how
//! it is called.

mod advice;
mod cli;
mod environment;
mod http;
mod identity;
mod login;
mod outside;
mod runner;
mod secret;
mod token_service;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use cli::{Arguments, Settings, UsageError};
use environment::Environment;
use http::{Http, Proxy};
use identity::GitHub;
use runner::{Outputs, Runner};

fn main() -> ExitCode {
    let environment = Environment(&|name| env::var_os(name));
    if environment.is_github_actions() {
        report(Runner::GitHub(io::stdout()), &environment)
    } else {
        report(Runner::Terminal(io::stderr()), &environment)
    }
}

/// Runs, and tells the runner of a failure. The exit code is 0, 1 for a failure or 2 for wrong usage.
fn report<W: Write>(mut runner: Runner<W>, environment: &Environment<'_>) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Err(error) if !error.use_stderr() => {
            // `--help` or `--version`; a closed pipe is not worth a word.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        arguments => arguments.map_err(UsageError::from),
    };
    let Err(error) = arguments.map_err(anyhow::Error::from).and_then(|given| run(given, environment, &mut runner))
    else {
        return ExitCode::SUCCESS;
    };
    let mut text = format!("{error:#}");
    if let Some(mend) = advice::mend(&error) {
        text = format!("{text}\n{mend}");
    }
    // Where even this can't be printed, the exit code speaks.
    let _ = runner.error("NuGet login failed", &text);
    ExitCode::from(if error.is::<UsageError>() { 2 } else { 1 })
}

/// Checks everything that can be checked, then logs in.
fn run<W: Write>(arguments: Arguments, environment: &Environment<'_>, runner: &mut Runner<W>) -> anyhow::Result<()> {
    let settings = Settings::resolve(arguments, environment)?;
    let github = GitHub::from_environment(environment)?;
    let mut outputs = Outputs::open(environment)?;
    let http = Http::new(Proxy::from_environment(environment)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime can't be set up")?;
    let outcome = runtime.block_on(login::login(&settings, &github, &http, runner, &mut outputs));
    // Without waiting: a name that is still being resolved would hold the process up.
    runtime.shutdown_background();
    outcome
}

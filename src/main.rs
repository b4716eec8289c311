//! `nuget-login`: trusted publishing to NuGet registries from CI. See the README for what it does and `--help` for how
//! it is called.

mod advice;
mod cli;
mod endpoint;
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

use anyhow::{Context, anyhow};
use clap::Parser;

use cli::{Arguments, Settings, UsageError};
use environment::Environment;
use http::{Http, Proxy};
use identity::GitHub;
use runner::{Outputs, Runner};

fn main() -> ExitCode {
    let environment = Environment(&|name| env::var_os(name));
    let arguments = match Arguments::try_parse() {
        Err(error) if !error.use_stderr() => {
            // `--help` or `--version`; a closed pipe is not worth a word.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        arguments => arguments.map_err(UsageError::from),
    };
    if !environment.is_github_actions() {
        finish(Runner::Terminal(io::stderr()), arguments, &environment)
    } else if runner::is_discarded(&io::stdout()) {
        // The runner reads commands from both streams, so that it learns of this at least.
        let text = "standard output is closed or discarded, so nothing could be masked: leave it to the runner";
        fail(&mut Runner::GitHub(io::stderr()), &anyhow!(text))
    } else {
        finish(Runner::GitHub(io::stdout()), arguments, &environment)
    }
}

/// Runs, and ends.
fn finish<W: Write>(
    mut runner: Runner<W>,
    arguments: Result<Arguments, UsageError>,
    environment: &Environment<'_>,
) -> ExitCode {
    match arguments.map_err(anyhow::Error::from).and_then(|given| run(given, environment, &mut runner)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&mut runner, &error),
    }
}

/// Says what went wrong and what to do about it. The exit code is 1 for a failure, 2 for wrong usage.
fn fail<W: Write>(runner: &mut Runner<W>, error: &anyhow::Error) -> ExitCode {
    let mut text = format!("{error:#}");
    if let Some(mend) = advice::mend(error) {
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

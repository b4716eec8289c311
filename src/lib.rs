//! `nuget-login` as a function: arguments, environment, time and log come in, an exit code comes out, so that tests run
//! the whole of it side by side. The interface of the project is the binary, not this crate.

pub mod cli;
pub mod clock;
pub mod environment;
pub mod runner;

mod advice;
mod endpoint;
mod failure;
mod http;
mod identity;
mod login;
mod outside;
mod proxy;
mod random;
mod retry;
mod secret;
mod token_service;
mod trust;

use std::io::Write;

use anyhow::Context;

use cli::{Arguments, Settings, UsageError};
use clock::Clock;
use environment::Environment;
use http::Http;
use identity::GitHub;
use proxy::Proxy;
use runner::{Outputs, Runner};

/// Runs the program, and gives its exit code.
pub fn run<W: Write>(
    arguments: Result<Arguments, UsageError>,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Runner<W>,
) -> u8 {
    match arguments.map_err(anyhow::Error::from).and_then(|given| log_in(given, environment, clock, runner)) {
        Ok(()) => 0,
        Err(error) => fail(runner, &error),
    }
}

/// Says what went wrong and what to do about it. The exit code is 1 for a failure, 2 for wrong usage.
pub fn fail<W: Write>(runner: &mut Runner<W>, error: &anyhow::Error) -> u8 {
    let mut text = format!("{error:#}");
    if let Some(mend) = advice::mend(error) {
        text = format!("{text}\n{mend}");
    }
    // Where even this can't be printed, the exit code speaks.
    let _ = runner.error("NuGet login failed", &text);
    if error.is::<UsageError>() { 2 } else { 1 }
}

/// Checks everything that can be checked, then logs in.
fn log_in<W: Write>(
    arguments: Arguments,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Runner<W>,
) -> anyhow::Result<()> {
    let settings = Settings::resolve(arguments, environment)?;
    let github = GitHub::from_environment(environment)?;
    let mut outputs = Outputs::open(environment)?;
    let http = Http::new(trust::tls(environment)?, Proxy::from_environment(environment)?, clock)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the asynchronous runtime can't be set up")?;
    let outcome = runtime.block_on(login::login(&settings, &github, &http, clock, runner, &mut outputs));
    // Without waiting: a name that is still being resolved would hold the process up.
    runtime.shutdown_background();
    outcome
}

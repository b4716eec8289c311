//! `nuget-login` as a function: arguments, environment, time and log come in, an exit code comes out, so that tests run
//! the whole of it side by side. The interface of the project is the binary, not this crate.

pub mod cli;
pub mod clock;
pub mod environment;
pub mod runner;

mod advice;
mod claims;
mod delivery;
mod endpoint;
mod exec;
mod failure;
mod http;
mod identity;
mod login;
mod markdown;
mod outside;
mod proxy;
mod random;
mod report;
mod retry;
mod secret;
mod service_index;
mod token_service;
mod trust;

use std::io::Write;

use anyhow::Context;

use advice::Facts;
use cli::{Arguments, Delivery, Settings, UsageError};
use clock::Clock;
use delivery::Files;
use environment::Environment;
use exec::ExecError;
use http::Http;
use identity::{GitHub, IdentityError};
use login::GaveUp;
use proxy::Proxy;
pub use report::FAILED;
use runner::Runner;

/// Runs the program, and gives its exit code: 0 for a key in the outputs, 1 for a failure, 2 for wrong usage. Does not
/// return where a command gets the key.
pub fn run<W: Write>(
    arguments: Result<Arguments, UsageError>,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Runner<W>,
) -> u8 {
    runner.listen(environment);
    let mut facts = Facts::new();
    let outcome = arguments.map_err(anyhow::Error::from);
    let outcome = outcome.and_then(|given| log_in(given, environment, clock, runner, &mut facts));
    let Err(error) = outcome else { return 0 };
    if error.is::<IdentityError>() {
        facts.extend(advice::of_place(environment));
    }
    if let Some(claims) = error.downcast_ref::<GaveUp>().and_then(|gave_up| gave_up.cause.claims()) {
        facts.extend(advice::of_claims(claims));
    }
    let explanation = advice::explain(&error, &facts);
    // Where even this can't be printed, the exit code speaks.
    let _ = runner.error(FAILED, &report::annotation(&explanation));
    let _ = runner.group("What it means, and what to do", &report::log(&explanation, &facts));
    let _ = runner.summarize(environment, &report::summary(&explanation, &facts));
    match error.downcast_ref::<ExecError>() {
        Some(error) => error.code(),
        None if error.is::<UsageError>() => 2,
        None => 1,
    }
}

/// Checks everything that can be checked, then logs in.
fn log_in<W: Write>(
    arguments: Arguments,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Runner<W>,
    facts: &mut Facts,
) -> anyhow::Result<()> {
    let settings = Settings::resolve(arguments, environment)?;
    facts.extend(advice::of_settings(&settings));
    let github = GitHub::from_environment(environment)?;
    let files = match &settings.delivery {
        // A command's key is in no file; and outside of a job, there are none.
        Delivery::Command(_) => {
            let elsewhere = [github.request_url(), settings.service.named()].into_iter().find(|it| !it.is_loopback());
            if let Some(elsewhere) = elsewhere.filter(|_| !environment.is_github_actions()) {
                return Err(UsageError::NoSandbox(elsewhere.host()).into());
            }
            None
        }
        delivery => Some(Files::open(delivery, environment)?),
    };
    let http = Http::new(trust::tls(environment)?, Proxy::from_environment(environment)?, clock, runner.masked())?;
    // For the clock alone: the sockets have a runtime of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.context("the asynchronous runtime can't be set up")?;
    let login = runtime.block_on(login::login(&settings, &github, &http, clock, runner))?;
    if let Some(files) = files {
        files.deliver(&login.api_key)?;
    }
    delivery::tell(&login, &settings, clock, runner);
    match &settings.delivery {
        Delivery::Command(command) => Err(exec::exec(command, &login.api_key.key).into()),
        _ => Ok(()),
    }
}

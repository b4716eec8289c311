//! `nuget-login` as a function: arguments, environment, time and log come in, an exit code comes out, so that tests run
//! the whole of it side by side. The interface of the project is the binary, not this crate.

pub mod cli;
pub mod clock;
pub mod environment;
#[cfg(fuzzing)]
pub mod fuzz;
pub mod github_actions;
pub mod process;

mod command;
mod endpoint;
mod explain;
mod http;
mod random;
mod repository;
mod retry;
mod sanitize;
mod secret;
mod settings;
mod trusted_publishing;

use std::io::Write;
use std::time::Duration;

use anyhow::Context;

use cli::{Arguments, GitLabOptions, Subcommand};
use clock::Clock;
use command::delivery::{self, Files};
use command::exec::{self, ExecError};
use command::policy as show_policy;
use environment::{Ci, Environment};
pub use explain::report::FAILED;
use explain::{Facts, report};
use github_actions::log::Log;
use http::client::Http;
pub use settings::UsageError;
use settings::{Delivery, Settings};
use trusted_publishing::id_token::{self as identity, IdTokenSource, IdTokenSourceError};
use trusted_publishing::login::{self, LoginError};

/// The lead of a mask over the output of the command that gets the key: GitHub's runner reads standard output and standard
/// error independently, and could print a line of the first before it sees a mask on the second.
const MASK_LEAD: Duration = Duration::from_millis(100);

/// Runs the program, and gives its exit code: 0 if it did what it was asked for, 1 for a failure, 2 for wrong usage, 126
/// and 127 for a command that cannot be run or was not found. Does not return where a command gets the key. What
/// somebody asked for goes to `answers`, everything else to `runner`.
pub fn run<W: Write>(
    arguments: Result<Arguments, UsageError>,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Log<W>,
    answers: &mut dyn Write,
) -> u8 {
    runner.read_debug_switch(environment);
    // An argument may be one of them, by mistake.
    identity::known_credentials(environment).iter().for_each(|secret| runner.masked().add(secret));
    let mut facts = explain::of_place(environment.ci());
    let outcome = match arguments {
        Ok(Arguments { command: Some(Subcommand::Policy { gitlab }), .. }) => {
            return tell_policy(gitlab, environment, clock, runner, answers);
        }
        Ok(given) => log_in(given, environment, clock, runner, &mut facts),
        Err(error) => Err(error.into()),
    };
    let Err(error) = outcome else { return 0 };
    if error.is::<IdTokenSourceError>() {
        facts.extend(explain::of_run(environment));
    }
    if let Some(claims) = error.downcast_ref::<LoginError>().and_then(|gave_up| gave_up.cause.claims()) {
        facts.extend(explain::of_claims(claims));
    }
    tell_failure(&error, &facts, environment, runner);
    match error.downcast_ref::<ExecError>() {
        Some(error) => error.code(),
        None if error.is::<UsageError>() => 2,
        None => 1,
    }
}

/// Says in the log and in the summary what went wrong, what it means, and what to do.
fn tell_failure<W: Write>(error: &anyhow::Error, facts: &Facts, environment: &Environment<'_>, runner: &mut Log<W>) {
    let explanation = explain::explain(error, facts);
    // Where even this can't be printed, the exit code speaks.
    let _ = runner.error(FAILED, &report::annotation(&explanation));
    let _ = runner.group("What it means, and what to do", &report::log(&explanation, facts));
    let _ = runner.summarize(environment, &report::summary(&explanation, facts));
}

/// Checks everything that can be checked, then logs in.
fn log_in<W: Write>(
    arguments: Arguments,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Log<W>,
    facts: &mut Facts,
) -> anyhow::Result<()> {
    let settings = Settings::resolve(arguments, environment)?;
    facts.extend(explain::of_settings(&settings));
    let identity = IdTokenSource::from_environment(&settings, environment);
    let mut identity = identity.map_err(|error| match error {
        IdTokenSourceError::NotPermitted(absent) if settings.place == Ci::None => UsageError::NoJob(absent).into(),
        error => anyhow::Error::from(error),
    })?;
    if settings.place == Ci::None {
        let hosts = identity.request_url().into_iter().chain([settings.service.configured_endpoint()]);
        if let Some(elsewhere) = hosts.into_iter().find(|it| !it.is_loopback()) {
            return Err(UsageError::NoSandbox(elsewhere.host()).into());
        }
    }
    // A command's key is in no file; and GitLab has none.
    let files = match (&settings.delivery, settings.place) {
        (Delivery::Command(_), _) | (Delivery::CheckOnly, Ci::GitLab) => None,
        (delivery, _) => Some(Files::open(delivery, environment)?),
    };
    // Before the login: a command that cannot be run gets no key.
    let program = match &settings.delivery {
        Delivery::Command(command) => Some(exec::find(command)?),
        _ => None,
    };
    let http = Http::from_environment(environment, clock, runner.masked())?;
    let runtime = runtime()?;
    let login = runtime.block_on(login::login(&settings, &mut identity, &http, clock, runner))?;
    if let Some(files) = files {
        files.deliver(&login.api_key)?;
    }
    delivery::tell(&login, &settings, clock, runner);
    match (&settings.delivery, program) {
        (Delivery::Command(command), Some(program)) => {
            if settings.place == Ci::GitHubActions {
                runtime.block_on(clock.sleep(MASK_LEAD));
            }
            Err(exec::exec(&program, command, &login.api_key.key).into())
        }
        _ => Ok(()),
    }
}

/// Prints the policy that the job needs.
fn tell_policy<W: Write>(
    options: GitLabOptions,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Log<W>,
    answers: &mut dyn Write,
) -> u8 {
    let answer = settings::id_token_variable(options, environment.ci()).map_err(anyhow::Error::from);
    let answer = answer.and_then(|variable| show_policy::answer(&variable, environment, clock, runner));
    let told = answer.and_then(|answer| runner.answer(&answer, answers).context("the answer can't be printed"));
    let Err(error) = told else { return 0 };
    let _ = runner.error("No policy to show", &format!("{error:#}"));
    if error.is::<UsageError>() { 2 } else { 1 }
}

/// For the clock alone: the sockets have a runtime of their own.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.context("the asynchronous runtime can't be set up")
}

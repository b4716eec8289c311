//! `nuget-login` as a function: arguments, environment, time and log come in, an exit code comes out, so that tests run
//! the whole of it side by side. The interface of the project is the binary, not this crate.

pub mod cli;
pub mod clock;
pub mod environment;
#[cfg(fuzzing)]
#[path = "../fuzz/program.rs"]
pub mod fuzz;
pub mod github_actions;
pub mod process;

mod command;
mod endpoint;
mod error;
mod explain;
mod http;
mod package;
mod random;
mod repository;
mod retry;
mod sanitize;
mod secret;
mod settings;
mod text;
mod trusted_publishing;
mod yaml;

use std::io::Write;

use cli::{Arguments, CommandLine, Subcommand};
use clock::Clock;
use environment::{Ci, Environment};
use error::Error;
use explain::{Context, explain, report};
use github_actions::event::RunStart;
use github_actions::log::{LOGIN_FAILED, Log};
use settings::{Purpose, Settings, UsageError};
use trusted_publishing::id_token::known_credentials;

/// Runs the program, and returns its exit code: 0 if it did what it was asked for, 1 for a failure, 2 for wrong usage, 126
/// and 127 for a command that cannot be run or was not found. Does not return where a command gets the key. Answers that
/// were asked for go to `answers`, everything else to `log`.
pub fn run(
    command_line: CommandLine,
    environment: &Environment<'_>,
    clock: &dyn Clock,
    log: &mut Log<'_>,
    answers: &mut dyn Write,
) -> u8 {
    log.read_debug_switch(environment);
    // An argument can contain one of them, by mistake.
    let flag = command_line.arguments.as_ref().ok().and_then(Arguments::id_token_variable);
    let variable = flag.map(str::trim).filter(|_| environment.ci() == Ci::GitLab);
    known_credentials(environment, variable).iter().for_each(|secret| log.redactor().add(secret));
    let mut context = Context::of_ci(environment.ci());
    let purpose = match command_line.arguments {
        Ok(Arguments { command: Some(Subcommand::Policy { gitlab }), .. }) => {
            let answered = command::policy::run(gitlab, environment, clock, log, answers, &mut context);
            let Err(error) = answered else { return 0 };
            report_failure("No trust policy to show", &error, &context, environment, log);
            return error.exit_code();
        }
        Ok(Arguments { command: Some(Subcommand::Check { files, notes, format }), .. }) => {
            let checked = command::check::run(&files, notes, format, environment, log, answers);
            return checked.unwrap_or_else(|error| {
                report_failure("Workflows not checked", &error, &context, environment, log);
                error.exit_code()
            });
        }
        Ok(Arguments { command: Some(Subcommand::Migrate(options)), .. }) => {
            let migrated = command::migrate::run(&options, log, answers);
            return migrated.unwrap_or_else(|error| {
                report_failure("Workflows not migrated", &error, &context, environment, log);
                error.exit_code()
            });
        }
        Ok(Arguments { command: Some(Subcommand::Exec { options, command }), .. }) => {
            Ok((options, Purpose::Exec(command)))
        }
        Ok(Arguments { command: None, options, check_only, package, export_env }) => {
            Ok((options, Purpose::Login { check_only, package, export_env }))
        }
        Err(error) => Err(UsageError::of_arguments(error, command_line.subcommand)),
    };
    let settings = purpose.and_then(|(options, purpose)| Settings::resolve(options, purpose, environment));
    let done = settings
        .map_err(Error::from)
        .and_then(|settings| command::login::run(&settings, environment, clock, log, &mut context));
    let Err(error) = done else { return 0 };
    match &error {
        Error::IdTokenSource(_) => context.start = RunStart::from_environment(environment),
        Error::Login(error) => error.claims().into_iter().for_each(|claims| context.add_claims(claims)),
        _ => {}
    }
    report_failure(LOGIN_FAILED, &error, &context, environment, log);
    error.exit_code()
}

/// Reports a failure in the log and in the summary.
fn report_failure(title: &str, error: &Error, context: &Context, environment: &Environment<'_>, log: &mut Log<'_>) {
    let explanation = explain(error, context);
    // If even this cannot be printed, only the exit code remains.
    let _ = log.report(title, &report::annotation(&explanation), &report::details(&explanation, context));
    let _ = log.summarize(environment, &report::summary(title, &explanation, context));
}

/// The snapshots of failed steps, for the tests that hold the program's texts to them.
#[cfg(test)]
fn snapshots() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots");
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
}

//! A login: everything is checked, then a key is requested and handed on.

use std::time::Duration;

use crate::clock::Clock;
use crate::command::exec;
use crate::endpoint::Endpoint;
use crate::environment::{Ci, Environment};
use crate::error::Error;
use crate::explain::Context;
use crate::github_actions::log::Log;
use crate::github_actions::output_file::{OutputFile, OutputFileError};
use crate::http::client::Http;
use crate::sanitize::sanitize_line;
use crate::settings::{Delivery, Settings, UsageError};
use crate::trusted_publishing::id_token::{IdTokenSource, IdTokenSourceError};
use crate::trusted_publishing::login::{LoggedIn, Login};
use crate::trusted_publishing::token_service::{ApiKey, Expiry};

/// A key that is valid for less than this can expire before a push that follows a build.
const SOON: Duration = Duration::from_secs(5 * 60);

/// The lead of a mask over the output of the command that gets the key: GitHub's runner reads standard output and standard
/// error independently, and could print a line of the first before it sees a mask on the second.
const MASK_LEAD: Duration = Duration::from_millis(100);

/// Logs in and hands the key on. Does not return where a command gets it.
pub(crate) fn run(
    settings: &Settings,
    environment: &Environment<'_>,
    clock: &dyn Clock,
    log: &mut Log<'_>,
    context: &mut Context,
) -> Result<(), Error> {
    context.add_settings(settings);
    let source = id_token_source(settings, environment)?;
    // A command's key is in no file; and GitLab has none.
    let files = match (&settings.delivery, settings.ci) {
        (Delivery::Command(_), _) | (Delivery::CheckOnly, Ci::GitLab) => None,
        (delivery, _) => Some(Files::open(delivery, environment)?),
    };
    // Before the login: a command that cannot be run gets no key.
    let program = match &settings.delivery {
        Delivery::Command(command) => Some((exec::find(command)?, command)),
        _ => None,
    };
    let http = Http::from_environment(environment, clock, log.redactor())?;
    let logged_in = Login { settings, source, http, clock, log }.run()?;
    if let Some(files) = files {
        files.deliver(&logged_in.api_key)?;
    }
    report(&logged_in, settings, clock, log);
    let Some((program, command)) = program else { return Ok(()) };
    if settings.ci == Ci::GitHubActions {
        clock.sleep(MASK_LEAD);
    }
    Err(exec::exec(&program, command, &logged_in.api_key.key))
}

/// Outside of a job, only a sandbox on loopback issues ID tokens and takes them.
fn id_token_source(settings: &Settings, environment: &Environment<'_>) -> Result<IdTokenSource, Error> {
    let source = IdTokenSource::from_environment(settings, environment);
    if settings.ci != Ci::None {
        let source = source?;
        let (service, is_exec) =
            (settings.service.configured_endpoint(), matches!(settings.delivery, Delivery::Command(_)));
        if is_exec && source.request_url().is_some_and(Endpoint::is_loopback) && !service.is_loopback() {
            return Err(UsageError::SandboxElsewhere(service.host()).into());
        }
        return Ok(source);
    }
    let source = source.map_err(|error| match error {
        IdTokenSourceError::NotPermitted(variable) => Error::Usage(UsageError::NoJob(variable)),
        error => Error::IdTokenSource(error),
    })?;
    let endpoints = [source.request_url(), Some(settings.service.configured_endpoint())];
    let elsewhere = endpoints.into_iter().flatten().find(|endpoint| !endpoint.is_loopback()).map(Endpoint::host);
    elsewhere.map_or(Ok(source), |host| Err(UsageError::NoSandbox(host).into()))
}

/// The runner's files that the key is written to.
pub(crate) struct Files {
    outputs: OutputFile,
    environment: Option<OutputFile>,
    check_only: bool,
}

impl Files {
    /// Opens the files that a delivery needs.
    pub(crate) fn open(delivery: &Delivery, environment: &Environment<'_>) -> Result<Files, OutputFileError> {
        let outputs = OutputFile::open("GITHUB_OUTPUT", environment)?;
        let exported = *delivery == Delivery::OutputsAndEnvironment;
        let environment = exported.then(|| OutputFile::open("GITHUB_ENV", environment)).transpose()?;
        Ok(Files { outputs, environment, check_only: *delivery == Delivery::CheckOnly })
    }

    /// Writes the key to all of them, or to none; only that the policy matches, if nothing else was asked for.
    pub(crate) fn deliver(&self, api_key: &ApiKey) -> Result<(), OutputFileError> {
        let key = ("NUGET_API_KEY", api_key.key.reveal());
        let records = match &api_key.expires {
            _ if self.check_only => vec![("policy-matches", "true")],
            Expiry::At(_, text) => vec![key, ("expires-at", text)],
            _ => vec![key],
        };
        let exported = self.environment.as_ref().map(|file| file.append(&[key])).transpose()?;
        let written = self.outputs.append(&records);
        if let (Err(_), Some(exported)) = (&written, exported) {
            exported.undo();
        }
        written.map(drop)
    }
}

/// Says in the log what happened, once the key is delivered: an error of the log does not undo that.
fn report(logged_in: &LoggedIn, settings: &Settings, clock: &dyn Clock, log: &mut Log<'_>) {
    let LoggedIn { api_key, host, failed } = logged_in;
    let user = sanitize_line(&settings.user);
    let valid = api_key.expires.in_words();
    let attempts = match failed {
        0 => String::new(),
        failed => format!(" It took {} attempts.", failed + 1),
    };
    let what = match &settings.delivery {
        Delivery::CheckOnly => {
            let _ = log.info(&format!(
                "A trust policy that {user} created at {host} matches this job: it gave an API key, which is thrown \
                 away.{attempts}\nIf the policy was new, it is permanent from now on. A push may still be outside of \
                 its scopes and package globs.",
            ));
            return;
        }
        Delivery::Command(_) => "the command gets an API key as NUGET_API_KEY",
        Delivery::Outputs | Delivery::OutputsAndEnvironment => "NUGET_API_KEY holds an API key",
    };
    let _ = log.info(&format!("Logged in to {host} as {user}: {what}, valid {valid}.{attempts}"));
    if api_key.expires.left(clock.date()).is_some_and(|left| left < SOON) {
        let text = format!("The API key is valid {valid}, which is soon: log in right before the push.");
        let _ = log.warning("NuGet login", &text);
    }
}

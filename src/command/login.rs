//! A login: everything is checked, then a key is requested and delivered.

use std::time::Duration;

use crate::clock::Clock;
use crate::command::exec;
use crate::endpoint::Endpoint;
use crate::environment::{Ci, Environment};
use crate::error::Error;
use crate::explain::Context;
use crate::github_actions::log::{LOGIN, Log};
use crate::github_actions::output_file::{OutputFile, OutputFileError};
use crate::http::client::Http;
use crate::package::Package;
use crate::sanitize::sanitize_line;
use crate::settings::{API_KEY_VARIABLE, Delivery, SYMBOL_API_KEY_VARIABLE, Settings, UsageError};
use crate::text::{Text, Words, text};
use crate::trusted_publishing::id_token::{IdTokenSource, IdTokenSourceError};
use crate::trusted_publishing::login::{LoggedIn, Login};
use crate::trusted_publishing::token_service::{ApiKey, Expiry};
use crate::trusted_publishing::verify_key::{self, Verdict};

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
        (Delivery::Command(_), _) | (Delivery::CheckOnly(_), Ci::GitLab) => None,
        (delivery, _) => Some(Files::open(delivery, environment)?),
    };
    // Before the login: a command that cannot be run gets no key.
    let program = match &settings.delivery {
        Delivery::Command(command) => Some((exec::find(command)?, command)),
        _ => None,
    };
    let http = Http::from_environment(environment, clock, log.redactor())?;
    let logged_in = Login { settings, source, http: &http, clock, log }.run()?;
    let push = match &settings.delivery {
        Delivery::CheckOnly(Some(package)) => {
            // The one that a service index has named, too.
            let service = &logged_in.token_service;
            if !service.is_nuget_org() && !service.is_loopback() {
                return Err(UsageError::PackageElsewhere(service.host()).into());
            }
            Some((package, verify_key::verify(&http, clock, &logged_in, package)?))
        }
        _ => None,
    };
    if let Some(files) = files {
        files.deliver(&logged_in.api_key)?;
    }
    let done = done(&logged_in, settings, push);
    let mut warnings = warnings(&logged_in, settings, environment, clock);
    if let Some((Package { id, version }, Verdict::Unknown)) = push {
        warnings.push(text!(
            "{} {} does not exist, so the push was not checked. Set `package` to an existing version. For a new package, only a \
             push can show whether it is allowed.",
            id,
            version
        ));
    }
    report(done, &warnings, &logged_in, settings, environment, log);
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
        IdTokenSourceError::NotPermitted(variable) => {
            Error::Usage(environment.other_ci().map_or(UsageError::NoJob(variable), UsageError::OtherCi))
        }
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
        Ok(Files { outputs, environment, check_only: matches!(delivery, Delivery::CheckOnly(_)) })
    }

    /// Writes the key to all of them, or to none; only that the policy matches, if nothing else was asked for.
    pub(crate) fn deliver(&self, api_key: &ApiKey) -> Result<(), OutputFileError> {
        let key = (API_KEY_VARIABLE, api_key.key.reveal());
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

/// Reports in the log what happened, and in the summary if there is something to do; an error of either does not undo the
/// login.
fn report(
    done: Text,
    warnings: &[Text],
    logged_in: &LoggedIn,
    settings: &Settings,
    environment: &Environment<'_>,
    log: &mut Log<'_>,
) {
    let _ = log.info(&done.to_string());
    for warning in warnings {
        let _ = log.warning(LOGIN, &warning.to_string());
    }
    // This one is in the log since before the login.
    let earlier = settings.warning();
    if logged_in.failed > 0 || !warnings.is_empty() || earlier.is_some() {
        let texts = [&done].into_iter().chain(&earlier).chain(warnings).map(Text::markdown);
        let _ = log.summarize(environment, &texts.collect::<Vec<_>>().join("\n\n"));
    }
}

/// What was done, in one sentence.
fn done(
    LoggedIn { api_key, token_service, failed, .. }: &LoggedIn,
    settings: &Settings,
    push: Option<(&Package, Verdict)>,
) -> Text {
    let (user, host) = (sanitize_line(&settings.user), token_service.host());
    let attempts = match failed {
        0 => text!("."),
        failed => text!(", after {} attempts.", Words(failed + 1)),
    };
    if let Delivery::CheckOnly(_) = settings.delivery {
        let push = match push {
            Some((package, Verdict::Allowed)) => text!(" and allows a push of {}", &package.id),
            None | Some((_, Verdict::Unknown)) => Text::default(),
        };
        return text!(
            "A trust policy of {} at {} matches this job{} (the API key was discarded){}",
            user,
            host,
            push,
            attempts
        );
    }
    text!("Logged in to {} as {}: NUGET_API_KEY is valid {}{}", host, user, api_key.expires.text(), attempts)
}

/// What is likely to fail after this login.
fn warnings(logged_in: &LoggedIn, settings: &Settings, environment: &Environment<'_>, clock: &dyn Clock) -> Vec<Text> {
    let mut warnings = Vec::new();
    let expires = &logged_in.api_key.expires;
    let is_check = matches!(settings.delivery, Delivery::CheckOnly(_));
    if !is_check && expires.left(clock.date()).is_some_and(|left| left < SOON) {
        warnings.push(text!("The API key is valid only {}. Log in directly before the push.", expires.text()));
    }
    if settings.delivery == Delivery::Outputs {
        // The runner generates such a name for a step without an `id:` (actions/runner, `JobExtension.cs`).
        if environment.shown("GITHUB_ACTION").is_some_and(|step| step.starts_with("__")) {
            warnings.push(text!(
                "This step has no `id:`, so no later step can read its API key. Add `id: login`, and use \
                 `steps.login.outputs.NUGET_API_KEY` in the push."
            ));
        }
        if environment.path(API_KEY_VARIABLE).is_some() {
            warnings.push(text!(
                "NUGET_API_KEY is already set in this job, and NuGet 7.6 and later use it where the push names no key. \
                 Remove it from `env:`."
            ));
        }
    }
    if !is_check
        && !matches!(settings.delivery, Delivery::Command(_))
        && environment.path(SYMBOL_API_KEY_VARIABLE).is_some()
    {
        warnings.push(text!(
            "NUGET_SYMBOL_API_KEY is set in this job, and NuGet uses it for symbol packages instead of the new API key. \
             Remove it from `env:`."
        ));
    }
    warnings
}

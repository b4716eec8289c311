//! What becomes of the key: the runner's files take it, and the log says so.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::github_actions::log::Log;
use crate::github_actions::output_file::{OutputFile, OutputFileError};
use crate::sanitize::sanitize_line;
use crate::settings::{Delivery, Settings};
use crate::trusted_publishing::login::Login;
use crate::trusted_publishing::token_service::{ApiKey, Expiry};

/// A key that is valid for less than this may not live to see a push that follows a build.
const SOON: Duration = Duration::from_secs(5 * 60);

/// The runner's files that the key goes to.
pub struct Files {
    outputs: OutputFile,
    environment: Option<OutputFile>,
    check_only: bool,
}

impl Files {
    /// Opens the files that a delivery needs.
    pub fn open(delivery: &Delivery, environment: &Environment<'_>) -> Result<Files, OutputFileError> {
        let outputs = OutputFile::open("GITHUB_OUTPUT", environment)?;
        let exported = *delivery == Delivery::OutputsAndEnvironment;
        let environment = exported.then(|| OutputFile::open("GITHUB_ENV", environment)).transpose()?;
        Ok(Files { outputs, environment, check_only: *delivery == Delivery::CheckOnly })
    }

    /// Writes the key to all of them, or to none; that the policy matches, where nothing else was asked for.
    pub fn deliver(&self, api_key: &ApiKey) -> anyhow::Result<()> {
        let key = ("NUGET_API_KEY", api_key.key.reveal());
        let records = match &api_key.expires {
            _ if self.check_only => vec![("policy-matches", "true")],
            Expiry::At(_, said) => vec![key, ("expires-at", said)],
            _ => vec![key],
        };
        let exported = self.environment.as_ref().map(|file| file.append(&[key])).transpose();
        let exported = exported.context("the file in GITHUB_ENV can't take the API key")?;
        let written = self.outputs.append(&records);
        if let (Err(_), Some(exported)) = (&written, exported) {
            exported.undo();
        }
        written.context("the file in GITHUB_OUTPUT can't take the API key").map(drop)
    }
}

/// Says in the log what happened, once the key is delivered: a log that ends early does not undo that.
pub fn tell<W: Write>(login: &Login, settings: &Settings, clock: &impl Clock, runner: &mut Log<W>) {
    let Login { api_key, host, failed } = login;
    let user = sanitize_line(&settings.user);
    let valid = api_key.expires.in_words();
    let attempts = match failed {
        0 => String::new(),
        failed => format!(" It took {} attempts.", failed + 1),
    };
    let what = match &settings.delivery {
        Delivery::CheckOnly => {
            let _ = runner.info(&format!(
                "A trust policy that {user} created at {host} matches this job: it gave an API key, which is thrown \
                 away.{attempts}\nIf the policy was new, it is permanent from now on. A push may still be outside of \
                 its scopes and package globs.",
            ));
            return;
        }
        Delivery::Command(_) => "the command gets an API key as NUGET_API_KEY",
        Delivery::Outputs | Delivery::OutputsAndEnvironment => "NUGET_API_KEY holds an API key",
    };
    let _ = runner.info(&format!("Logged in to {host} as {user}: {what}, valid {valid}.{attempts}"));
    if api_key.expires.left(clock.date()).is_some_and(|left| left < SOON) {
        let text = format!("The API key is valid {valid}, which is soon: log in right before the push.");
        let _ = runner.warning("NuGet login", &text);
    }
}

//! What the fuzz targets call (`fuzz/`): text from outside comes in as bytes, and what a job would show comes out. Built
//! for them alone (`--cfg fuzzing`, which cargo-fuzz sets).

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use reqwest::StatusCode;

use crate::command::delivery::Files;
use crate::endpoint::Endpoint;
use crate::environment::{Ci, Environment};
use crate::explain::trust_policy::Form;
use crate::explain::{self, Facts};
use crate::github_actions::log::Log;
use crate::http::client::Answer;
use crate::http::error::ResponseHead;
use crate::retry::{self, StopReason};
use crate::secret::{Redactor, Secret};
use crate::settings::Delivery;
use crate::tell_failure;
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::login::{AttemptError, LoginError};
use crate::trusted_publishing::{service_index, token_service};

/// What a login leaves behind.
#[derive(Debug, Default)]
pub struct Seen {
    /// The log, on GitHub.
    pub log: String,
    /// The step summary.
    pub summary: String,
    /// The file of outputs.
    pub outputs: String,
    /// The API key, if there was one.
    pub api_key: Option<String>,
}

fn secret(value: &str) -> Option<Secret> {
    Secret::new(value.to_owned(), 1..=16 * 1024).ok()
}

/// A failure as GitHub's runner gets it.
fn told(error: &anyhow::Error, facts: &Facts, masked: Option<&Secret>, folder: &Path) -> Seen {
    let summary = folder.join("summary");
    fs::write(&summary, "").expect("the folder takes files");
    let environment = |name: &str| (name == "GITHUB_STEP_SUMMARY").then(|| summary.clone().into_os_string());
    let mut log = Vec::new();
    let mut runner = Log::github(&mut log);
    masked.map(|secret| runner.mask(secret)).transpose().expect("a vector takes anything");
    tell_failure(error, facts, &Environment::new(&environment), &mut runner);
    let summary = fs::read_to_string(&summary).expect("the summary is text");
    Seen { log: String::from_utf8(log).expect("the log is text"), summary, ..Seen::default() }
}

/// An ID token, whose claims explain a failure and make a policy.
pub fn claims(id_token: &str, folder: &Path) -> Seen {
    let Some(id_token) = secret(id_token) else { return Seen::default() };
    let claims = Claims::of(&id_token, &Redactor::default());
    let _ = (claims.all().count(), claims.audiences().len());
    let facts = explain::of_claims(&claims);
    let form = Form::filled_in(&facts).map(|form| form.lines().collect::<Vec<_>>());
    let words = br#"{"error":"Workflow mismatch for policy 'p': expected 'x.yml', actual 'y.yml'"}"#;
    let mut seen = answered(401, words, claims, &id_token, folder);
    let mut answer = Vec::new();
    let runner = Log::terminal(Vec::new());
    runner.answer(&form.unwrap_or_default(), &mut answer).expect("a vector takes anything");
    seen.log.push_str(&String::from_utf8(answer).expect("an answer is text"));
    seen
}

/// A token service's answer of this status to an ID token that says nothing.
pub fn token_service(status: u16, body: &[u8], folder: &Path) -> Seen {
    let id_token = secret("eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl").expect("a plain text");
    answered(status, body, Claims::default(), &id_token, folder)
}

fn answered(status: u16, body: &[u8], claims: Claims, id_token: &Secret, folder: &Path) -> Seen {
    let from = Endpoint::parse("https://registry.example/token").expect("a plain URL");
    let masked = Redactor::default();
    masked.add(id_token);
    let facts = explain::of_claims(&claims);
    match token_service::api_key(answer(status, body, masked), &from) {
        Ok(api_key) => {
            let path = folder.join("outputs");
            fs::write(&path, "").expect("the folder takes files");
            let environment = |name: &str| (name == "GITHUB_OUTPUT").then(|| path.clone().into_os_string());
            let files = Files::open(&Delivery::Outputs, &Environment::new(&environment)).expect("the file is there");
            files.deliver(&api_key).expect("the file takes records");
            let _ = api_key.expires.left(UNIX_EPOCH);
            let mut log = Vec::new();
            let mut runner = Log::github(&mut log);
            runner.mask(&api_key.key).expect("a vector takes anything");
            runner.info(&api_key.expires.in_words()).expect("a vector takes anything");
            let log = String::from_utf8(log).expect("the log is text");
            let outputs = fs::read_to_string(&path).expect("outputs are text");
            Seen { log, outputs, api_key: Some(api_key.key.reveal().to_owned()), ..Seen::default() }
        }
        Err(error) => {
            let _ = error.retry();
            told(&gave_up(AttemptError::ExchangeError { error, claims }), &facts, Some(id_token), folder)
        }
    }
}

fn answer(status: u16, body: &[u8], masked: Redactor) -> Answer {
    let head = ResponseHead { status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK), retry_after: None };
    Answer::new("registry.example".to_owned(), head, true, body.to_vec(), masked)
}

fn gave_up(cause: AttemptError) -> anyhow::Error {
    LoginError { cause, attempts: 1, end: StopReason::Permanent }.into()
}

/// A service index; gives its token service as well.
pub fn service_index(body: &[u8], folder: &Path) -> (Seen, Option<String>) {
    let index = Endpoint::parse("https://registry.example/index.json").expect("a plain URL");
    match service_index::named(answer(200, body, Redactor::default()), &index) {
        Ok(found) => (Seen::default(), Some(found.url().to_string())),
        Err(error) => (told(&gave_up(error.into()), &Facts::new(), None, folder), None),
    }
}

/// A `Retry-After` header.
pub fn retry_after(value: &str) -> Option<Duration> {
    retry::retry_after(value, UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

/// The file with the event, which tells of a fork.
pub fn event(json: &[u8], folder: &Path) -> Seen {
    let Some(fork) = explain::fork_of(json) else { return Seen::default() };
    let mut facts = explain::of_place(Ci::GitHubActions);
    facts.extend([("fork", fork), ("quoted event", "'pull_request'".to_owned())]);
    told(&crate::trusted_publishing::id_token::IdTokenSourceError::NotPermitted("X").into(), &facts, None, folder)
}

/// Texts that come to each kind of line that the program prints.
pub fn printed(text: &str, title: &str) -> Seen {
    let environment = |name: &str| (name == "RUNNER_DEBUG").then(|| "1".into());
    let mut log = Vec::new();
    let mut runner = Log::github(&mut log);
    runner.read_debug_switch(&Environment::new(&environment));
    let prints = |runner: &mut Log<&mut Vec<u8>>| -> std::io::Result<()> {
        runner.info(text)?;
        runner.debug(text)?;
        runner.warning(title, text)?;
        runner.group(title, &[text.to_owned()])?;
        runner.error(title, text)
    };
    prints(&mut runner).expect("a vector takes anything");
    Seen { log: String::from_utf8(log).expect("the log is text"), ..Seen::default() }
}

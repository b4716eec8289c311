//! What the fuzz targets call (`fuzz/`): text from outside comes in as bytes, and what a job would show comes out. Built
//! for them alone (`--cfg fuzzing`, which cargo-fuzz sets).

use std::fs;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use reqwest::StatusCode;

use crate::cli::CheckFormat;
use crate::command::check;
use crate::command::login::Files;
use crate::endpoint::Endpoint;
use crate::environment::{Ci, Environment};
use crate::error::Error;
use crate::explain::Context;
use crate::explain::trust_policy::TrustPolicy;
use crate::github_actions::event::fork_of;
use crate::github_actions::log::{LOGIN_FAILED, Line, Log};
use crate::http::error::ResponseHead;
use crate::http::response::Response;
use crate::report_failure;
use crate::retry::{self, StopReason};
use crate::secret::{Redactor, Secret};
use crate::settings::Delivery;
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::id_token::IdTokenSourceError;
use crate::trusted_publishing::login::{AttemptError, LoginError};
use crate::trusted_publishing::service_message::ServiceError;
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
fn reported(error: &Error, context: &Context, masked: Option<&Secret>, folder: &Path) -> Seen {
    let summary = folder.join("summary");
    fs::write(&summary, "").expect("the folder takes files");
    let environment = |name: &str| (name == "GITHUB_STEP_SUMMARY").then(|| summary.clone().into_os_string());
    let log = logged(|log| {
        masked.map(|secret| log.mask(secret)).transpose()?;
        report_failure(LOGIN_FAILED, error, context, &Environment::new(&environment), log);
        Ok(())
    });
    let summary = fs::read_to_string(&summary).expect("the summary is text");
    Seen { log, summary, ..Seen::default() }
}

/// What is printed for GitHub's runner.
fn logged(print: impl FnOnce(&mut Log<'_>) -> std::io::Result<()>) -> String {
    let mut log = Vec::new();
    print(&mut Log::github(&mut log)).expect("a vector takes anything");
    String::from_utf8(log).expect("the log is text")
}

/// An ID token, whose claims explain a failure and make a policy.
pub fn claims(id_token: &str, folder: &Path) -> Seen {
    let Some(id_token) = secret(id_token) else { return Seen::default() };
    let claims = Claims::of(&id_token, &Redactor::default());
    let _ = (claims.all().count(), claims.audiences().len());
    let lines = TrustPolicy::of_claims(&claims).map(|policy| policy.lines(None)).unwrap_or_default();
    let message = br#"{"error":"Workflow mismatch for policy 'p': expected 'x.yml', actual 'y.yml'"}"#;
    let mut seen = answered(401, message, claims, &id_token, folder);
    let mut answer = Vec::new();
    Log::plain(Vec::new()).answer(&lines, &mut answer).expect("a vector takes anything");
    seen.log.push_str(&String::from_utf8(answer).expect("an answer is text"));
    seen
}

/// A token service's response of this status to an ID token that says nothing.
pub fn token_service(status: u16, body: &[u8], folder: &Path) -> Seen {
    let id_token = secret("eyJhbGciOiJub25lIn0.eyJzdWIiOiJub2JvZHkifQ.c2lnbmF0dXJl").expect("a plain text");
    answered(status, body, Claims::default(), &id_token, folder)
}

fn answered(status: u16, body: &[u8], claims: Claims, id_token: &Secret, folder: &Path) -> Seen {
    let redactor = Redactor::default();
    redactor.add(id_token);
    match token_service::api_key(response(status, body, redactor)) {
        Ok(api_key) => {
            let path = folder.join("outputs");
            fs::write(&path, "").expect("the folder takes files");
            let environment = |name: &str| (name == "GITHUB_OUTPUT").then(|| path.clone().into_os_string());
            let files = Files::open(&Delivery::Outputs, &Environment::new(&environment)).expect("the file is there");
            files.deliver(&api_key).expect("the file takes records");
            let _ = api_key.expires.left(UNIX_EPOCH);
            let log = logged(|log| {
                log.mask(&api_key.key)?;
                log.info(&api_key.expires.text().to_string())
            });
            let outputs = fs::read_to_string(&path).expect("outputs are text");
            Seen { log, outputs, api_key: Some(api_key.key.reveal().to_owned()), ..Seen::default() }
        }
        Err(error) => {
            let error = ServiceError::from(error);
            let _ = token_service::retry(&error);
            let mut context = Context::of_ci(Ci::GitHubActions);
            context.add_claims(&claims);
            reported(&login_error(AttemptError::Exchange { error, claims }), &context, Some(id_token), folder)
        }
    }
}

fn response(status: u16, body: &[u8], redactor: Redactor) -> Response {
    let head = ResponseHead { status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK), retry_after: None };
    Response { host: "registry.example".to_owned(), head, body: body.to_vec(), redactor }
}

fn login_error(cause: AttemptError) -> Error {
    LoginError { cause, attempts: 1, stop: StopReason::Permanent }.into()
}

/// A service index; gives its token service as well.
pub fn service_index(body: &[u8], folder: &Path) -> (Seen, Option<String>) {
    let index = Endpoint::parse("https://registry.example/index.json").expect("a plain URL");
    match service_index::named(response(200, body, Redactor::default()), &index) {
        Ok(found) => (Seen::default(), Some(found.url().to_string())),
        Err(error) => (reported(&login_error(error.into()), &Context::of_ci(Ci::GitHubActions), None, folder), None),
    }
}

/// A `Retry-After` header.
pub fn retry_after(value: &str) -> Option<Duration> {
    retry::retry_after(value, UNIX_EPOCH + Duration::from_secs(1_800_000_000), None)
}

/// The file with the event, which tells of a fork.
pub fn event(json: &[u8], folder: &Path) -> Seen {
    let Some(fork) = fork_of(json) else { return Seen::default() };
    let mut context = Context::of_ci(Ci::GitHubActions);
    (context.start.fork, context.start.event) = (Some(fork), "pull_request".to_owned());
    reported(&IdTokenSourceError::NotPermitted("X").into(), &context, None, folder)
}

/// A workflow file and an action, as `check` prints what it finds in them, in each format.
pub fn workflow(file: &str) -> String {
    let mut log = Vec::new();
    for format in [CheckFormat::Human, CheckFormat::Json, CheckFormat::Github] {
        check::texts(file, format, &Log::github(Vec::new()), &mut log).expect("a vector takes anything");
    }
    String::from_utf8(log).expect("the findings are text")
}

/// A workflow file, as `migrate` edits it.
pub fn migrate(file: &str) -> Vec<String> {
    crate::command::migrate::texts(file)
}

/// Texts in each kind of line that the program prints.
pub fn printed(text: &str, title: &str) -> Seen {
    let environment = |name: &str| (name == "RUNNER_DEBUG").then(|| "1".into());
    let log = logged(|log| {
        log.read_debug_switch(&Environment::new(&environment));
        log.info(text)?;
        log.debug(text)?;
        log.warning(title, text)?;
        log.report(title, &[Line::new("error", text)], &[Line::new("note", text)])?;
        log.error(title, text)
    });
    Seen { log, ..Seen::default() }
}

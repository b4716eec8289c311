//! The journey, top to bottom: identity, exchange; an attempt is both, and is made again where that can help.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::github_actions::log::Log;
use crate::http::client::Http;
use crate::http::error::Failure;
use crate::retry::{Attempts, Retry, Seconds, StopReason};
use crate::settings::{Service, Settings, lends_nuget_org_audience};
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::id_token::{IdTokenError, IdTokenSource};
use crate::trusted_publishing::service_index::{self, ServiceIndexError};
use crate::trusted_publishing::token_service::{ApiKey, ExchangeError, exchange};

/// Why an attempt brought no API key.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// It is not known where to.
    #[error(transparent)]
    ServiceIndexError(#[from] ServiceIndexError),
    /// There was nothing to exchange.
    #[error(transparent)]
    IdTokenError(#[from] IdTokenError),
    /// There was nothing to be had for it.
    #[error("{error}")]
    ExchangeError {
        /// Why.
        error: ExchangeError,
        /// What the ID token said.
        claims: Claims,
    },
    /// A credential must not go anywhere unmasked.
    #[error("the log can't be written, so nothing can be masked in it: {0}")]
    NotMasked(#[from] io::Error),
}

impl AttemptError {
    fn retry(&self, identity: &IdTokenSource) -> Retry {
        match self {
            AttemptError::ServiceIndexError(error) => error.retry(),
            AttemptError::IdTokenError(error) => error.retry(),
            AttemptError::ExchangeError { error, .. } => identity.retry(error.retry(), error.0.was_sent()),
            AttemptError::NotMasked(_) => Retry::Never,
        }
    }

    /// Why a request brought nothing, if that was it.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            AttemptError::IdTokenError(IdTokenError(failure))
            | AttemptError::ExchangeError { error: ExchangeError(failure), .. } => Some(failure),
            AttemptError::ServiceIndexError(ServiceIndexError::Failed(failure)) => Some(failure),
            AttemptError::ServiceIndexError(_) | AttemptError::NotMasked(_) => None,
        }
    }

    /// What the ID token said, if it came that far.
    pub fn claims(&self) -> Option<&Claims> {
        if let AttemptError::ExchangeError { claims, .. } = self { Some(claims) } else { None }
    }
}

/// The last attempt's error, and why it was the last.
#[derive(Debug)]
pub struct LoginError {
    /// What went wrong in the end.
    pub cause: AttemptError,
    /// How many attempts there were.
    pub attempts: u32,
    /// Why there is no other one.
    pub end: StopReason,
}

impl std::error::Error for LoginError {}

impl fmt::Display for LoginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoginError { cause, attempts, end } = self;
        match (attempts, end) {
            (1, StopReason::Permanent) => write!(formatter, "{cause}"),
            (1, end) => write!(formatter, "{cause}\nThere was one attempt: {end}."),
            (_, end) => write!(formatter, "{cause}\nThere were {attempts} attempts: {end}."),
        }
    }
}

/// What a login brought.
pub struct Login {
    /// The key.
    pub api_key: ApiKey,
    /// Who gave it.
    pub host: String,
    /// How many attempts brought nothing.
    pub failed: u32,
}

/// Gets an ID token and exchanges it for an API key, with as many attempts as can help before the deadline. Each
/// credential is masked before anything else happens to it.
pub async fn login<W: Write, C: Clock>(
    settings: &Settings,
    identity: &mut IdTokenSource,
    http: &Http<'_, C>,
    clock: &C,
    runner: &mut Log<W>,
) -> anyhow::Result<Login> {
    runner.mask(identity.credential()).map_err(AttemptError::NotMasked)?;
    let mut attempts = Attempts::begin(clock, settings.timeout);
    let mut token_service = match &settings.service {
        Service::At(token_service) => Some(token_service.clone()),
        Service::IndexedBy(_) => None,
    };
    if let Some(warning) = settings.warning() {
        runner.warning("NuGet login", &warning)?;
    }
    let api_key = loop {
        let attempt = async {
            let token_service = match &mut token_service {
                Some(known) => known,
                unknown => unknown.insert(indexed(settings, http, runner, attempts.left()).await?),
            };
            attempt(settings, token_service, identity, http, clock, runner, &attempts).await
        };
        let cause = match attempt.await {
            Ok(api_key) => break api_key,
            Err(cause) => cause,
        };
        let next = attempts.next(cause.retry(identity));
        let failed = attempts.failed();
        let wait = match next {
            Ok(wait) => wait,
            Err(end) => return Err(LoginError { cause, attempts: failed, end }.into()),
        };
        runner.info(&format!("Attempt {failed} failed, the next one follows in {}: {cause}", Seconds(wait)))?;
        clock.sleep(wait).await;
    };

    let host = token_service.as_ref().unwrap_or(settings.service.configured_endpoint()).host();
    Ok(Login { api_key, host, failed: attempts.failed() })
}

/// The token service that the service index names.
async fn indexed<W: Write, C: Clock>(
    settings: &Settings,
    http: &Http<'_, C>,
    runner: &mut Log<W>,
    left: Duration,
) -> Result<Endpoint, AttemptError> {
    let index = settings.service.configured_endpoint();
    let found = service_index::token_service(http, index, left).await?;
    if lends_nuget_org_audience(&settings.audience, &found) {
        return Err(ServiceIndexError::Audience { host: index.host(), found: found.host() }.into());
    }
    runner.info(&format!("The token service of {} is {}.", index.host(), found.without_query()))?;
    Ok(found)
}

/// One fresh ID token and one exchange.
async fn attempt<W: Write, C: Clock>(
    settings: &Settings,
    token_service: &Endpoint,
    identity: &mut IdTokenSource,
    http: &Http<'_, C>,
    clock: &C,
    runner: &mut Log<W>,
    attempts: &Attempts<'_, C>,
) -> Result<ApiKey, AttemptError> {
    let began = clock.now();
    let id_token = identity.id_token(http, &settings.audience, attempts.left()).await;
    if let Ok(id_token) = &id_token {
        runner.mask(id_token)?;
    }
    if let Some(request_url) = identity.request_url() {
        runner.debug(&request("GET", request_url, &id_token, clock.now() - began))?;
    }
    let id_token = id_token?;
    if runner.debugs() {
        for claim in Claims::of(&id_token, &runner.masked()).all() {
            runner.debug(&format!("claim {claim}"))?;
        }
    }

    let began = clock.now();
    let api_key = exchange(http, token_service, &settings.user, &id_token, attempts.left()).await;
    if let Ok(api_key) = &api_key {
        runner.mask(&api_key.key)?;
    }
    runner.debug(&request("POST", token_service, &api_key, clock.now() - began))?;
    api_key.map_err(|error| AttemptError::ExchangeError { error, claims: Claims::of(&id_token, &runner.masked()) })
}

/// A request in one line, for debugging.
fn request<T, E: fmt::Display>(method: &str, to: &Endpoint, outcome: &Result<T, E>, took: Duration) -> String {
    let outcome = match outcome {
        Ok(_) => "HTTP 200".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("{method} {}: {outcome} ({} ms)", to.without_query(), took.as_millis())
}

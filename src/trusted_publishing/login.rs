//! The login, top to bottom: an attempt is an ID token and its exchange, and is repeated where that can help.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::github_actions::log::{Log, NOT_MASKED};
use crate::http::client::Http;
use crate::retry::{Attempts, Retry, Seconds, StopReason};
use crate::settings::{Service, Settings, lends_nuget_org_audience};
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::id_token::{self, IdTokenSource};
use crate::trusted_publishing::service_index::{self, ServiceIndexError};
use crate::trusted_publishing::service_message::ServiceError;
use crate::trusted_publishing::token_service::{self, ApiKey, exchange};

/// Why an attempt gave no API key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttemptError {
    #[error(transparent)]
    ServiceIndex(#[from] ServiceIndexError),
    #[error("no ID token from GitHub: {0}")]
    IdToken(ServiceError),
    #[error("no API key from the token service: {error}")]
    Exchange { error: ServiceError, claims: Claims },
    /// A credential must not be handed on unmasked.
    #[error("{NOT_MASKED}: {0}")]
    NotMasked(#[from] io::Error),
}

impl AttemptError {
    fn retry(&self, source: &IdTokenSource) -> Retry {
        match self {
            AttemptError::ServiceIndex(error) => error.retry(),
            AttemptError::IdToken(error) => id_token::retry(error),
            AttemptError::Exchange { error, .. } => source.retry(token_service::retry(error), error.http.was_sent()),
            AttemptError::NotMasked(_) => Retry::Never,
        }
    }
}

/// The last attempt's error, and why it was the last.
#[derive(Debug)]
pub(crate) struct LoginError {
    pub(crate) cause: AttemptError,
    pub(crate) attempts: u32,
    pub(crate) stop: StopReason,
}

impl LoginError {
    /// The claims of the ID token, if there was one.
    pub(crate) fn claims(&self) -> Option<&Claims> {
        if let AttemptError::Exchange { claims, .. } = &self.cause { Some(claims) } else { None }
    }
}

impl std::error::Error for LoginError {}

impl fmt::Display for LoginError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LoginError { cause, attempts, stop } = self;
        match (attempts, stop) {
            (1, StopReason::Permanent) => write!(formatter, "{cause}"),
            (1, stop) => write!(formatter, "{cause}\nThere was one attempt: {stop}."),
            (_, stop) => write!(formatter, "{cause}\nThere were {attempts} attempts: {stop}."),
        }
    }
}

/// The result of a login.
pub(crate) struct LoggedIn {
    pub(crate) api_key: ApiKey,
    /// The token service's host.
    pub(crate) host: String,
    /// How many attempts failed.
    pub(crate) failed: u32,
}

/// A login with these settings.
pub(crate) struct Login<'a, 'log> {
    pub(crate) settings: &'a Settings,
    pub(crate) source: IdTokenSource,
    pub(crate) http: Http<'a>,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) log: &'a mut Log<'log>,
}

impl Login<'_, '_> {
    /// Gets an ID token and exchanges it for an API key, with as many attempts as can help before the deadline. Each
    /// credential is masked before anything else happens with it.
    pub(crate) fn run(mut self) -> Result<LoggedIn, LoginError> {
        let mut attempts = Attempts::begin(self.clock, self.settings.timeout);
        let mut token_service = match &self.settings.service {
            Service::At(token_service) => Some(token_service.clone()),
            Service::IndexedBy(_) => None,
        };
        let stopped = |cause, attempts, stop| LoginError { cause, attempts, stop };
        self.begin().map_err(|cause| stopped(cause, 1, StopReason::Permanent))?;
        let api_key = loop {
            let cause = match self.attempt(&mut token_service, &attempts) {
                Ok(api_key) => break api_key,
                Err(cause) => cause,
            };
            let next = attempts.next(cause.retry(&self.source));
            let failed = attempts.failed();
            let wait = match next {
                Ok(wait) => wait,
                Err(stop) => return Err(stopped(cause, failed, stop)),
            };
            let text = format!("Attempt {failed} failed, the next one follows in {}: {cause}", Seconds(wait));
            self.log.info(&text).map_err(|error| stopped(error.into(), failed, StopReason::Permanent))?;
            self.clock.sleep(wait);
        };
        let host = token_service.as_ref().unwrap_or(self.settings.service.configured_endpoint()).host();
        Ok(LoggedIn { api_key, host, failed: attempts.failed() })
    }

    fn begin(&mut self) -> Result<(), AttemptError> {
        self.log.mask(self.source.credential())?;
        match self.settings.warning() {
            Some(warning) => Ok(self.log.warning("NuGet login", &warning)?),
            None => Ok(()),
        }
    }

    /// One fresh ID token and one exchange; before that the service index, until it named the token service.
    fn attempt(
        &mut self,
        token_service: &mut Option<Endpoint>,
        attempts: &Attempts<'_>,
    ) -> Result<ApiKey, AttemptError> {
        let token_service = match token_service {
            Some(known) => known,
            unknown => unknown.insert(self.look_up_token_service(attempts.left())?),
        };

        let began = self.clock.now();
        let id_token = self.source.id_token(&self.http, &self.settings.audience, attempts.left());
        if let Ok(id_token) = &id_token {
            self.log.mask(id_token)?;
        }
        if let Some(request_url) = self.source.request_url() {
            self.log.debug(&request("GET", request_url, &id_token, self.clock.now() - began))?;
        }
        let id_token = id_token.map_err(AttemptError::IdToken)?;
        if self.log.debugs() {
            for claim in Claims::of(&id_token, &self.log.redactor()).all() {
                self.log.debug(&format!("claim {claim}"))?;
            }
        }

        let began = self.clock.now();
        let api_key = exchange(&self.http, token_service, &self.settings.user, &id_token, attempts.left());
        if let Ok(api_key) = &api_key {
            self.log.mask(&api_key.key)?;
        }
        self.log.debug(&request("POST", token_service, &api_key, self.clock.now() - began))?;
        let claims = || Claims::of(&id_token, &self.log.redactor());
        api_key.map_err(|error| AttemptError::Exchange { error, claims: claims() })
    }

    fn look_up_token_service(&mut self, left: Duration) -> Result<Endpoint, AttemptError> {
        let index = self.settings.service.configured_endpoint();
        let found = service_index::token_service(&self.http, index, left)?;
        if lends_nuget_org_audience(&self.settings.audience, &found) {
            return Err(ServiceIndexError::Audience { host: index.host(), found: found.host() }.into());
        }
        self.log.info(&format!("The token service of {} is {}.", index.host(), found.without_query()))?;
        Ok(found)
    }
}

/// A request in one line, for debugging.
fn request<T, E: fmt::Display>(method: &str, to: &Endpoint, outcome: &Result<T, E>, took: Duration) -> String {
    let outcome = match outcome {
        Ok(_) => "HTTP 200".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("{method} {}: {outcome} ({} ms)", to.without_query(), took.as_millis())
}

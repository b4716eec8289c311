//! The login, top to bottom: an attempt is an ID token and its exchange, and is repeated where that can help.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::github_actions::log::{LOGIN, Log, NOT_MASKED};
use crate::http::client::Http;
use crate::retry::{Attempts, Retry, Seconds, StopReason};
use crate::settings::{Service, Settings, lends_nuget_org_audience};
use crate::text::{self, Text, Words, text};
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::id_token::{self, IdTokenSource};
use crate::trusted_publishing::service_index::{self, ServiceIndexError};
use crate::trusted_publishing::service_message::ServiceError;
use crate::trusted_publishing::token_service::{self, ApiKey, exchange};

/// Why an attempt gave no API key.
#[derive(Debug)]
pub(crate) enum AttemptError {
    ServiceIndex(ServiceIndexError),
    /// GitHub gave no ID token.
    IdToken(ServiceError),
    /// The token service gave no API key.
    Exchange {
        error: ServiceError,
        claims: Claims,
    },
    /// A credential must not be used unmasked.
    NotMasked(io::Error),
}

text::errors!(AttemptError);

impl From<ServiceIndexError> for AttemptError {
    fn from(error: ServiceIndexError) -> AttemptError {
        AttemptError::ServiceIndex(error)
    }
}

impl From<io::Error> for AttemptError {
    fn from(error: io::Error) -> AttemptError {
        AttemptError::NotMasked(error)
    }
}

impl AttemptError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            AttemptError::ServiceIndex(error) => error.fact(),
            AttemptError::IdToken(error) | AttemptError::Exchange { error, .. } => error.http.fact(),
            AttemptError::NotMasked(error) => text!("{}: {}", Words(NOT_MASKED), error.to_string()),
        }
    }

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
    /// How many attempts there were, and why there was no other; nothing, if one was enough to know.
    pub(crate) fn history(&self) -> Option<Text> {
        match (self.attempts, self.stop) {
            (1, StopReason::Permanent) => None,
            (1, stop) => Some(text!("stopped after 1 attempt: {}", Words(stop))),
            (attempts, stop) => Some(text!("stopped after {} attempts: {}", Words(attempts), Words(stop))),
        }
    }

    /// The claims of the ID token, if there was one.
    pub(crate) fn claims(&self) -> Option<&Claims> {
        if let AttemptError::Exchange { claims, .. } = &self.cause { Some(claims) } else { None }
    }
}

/// The result of a login.
pub(crate) struct LoggedIn {
    pub(crate) api_key: ApiKey,
    pub(crate) token_service: Endpoint,
    /// How many attempts failed.
    pub(crate) failed: u32,
    /// Time until the deadline.
    pub(crate) left: Duration,
}

/// A login with these settings.
pub(crate) struct Login<'a, 'log> {
    pub(crate) settings: &'a Settings,
    pub(crate) source: IdTokenSource,
    pub(crate) http: &'a Http<'a>,
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
            let text = format!("Attempt {failed} failed: {cause}. Next attempt in {}.", Seconds(wait));
            self.log.info(&text).map_err(|error| stopped(error.into(), failed, StopReason::Permanent))?;
            self.clock.sleep(wait);
        };
        let token_service = token_service.unwrap_or_else(|| self.settings.service.configured_endpoint().clone());
        Ok(LoggedIn { api_key, token_service, failed: attempts.failed(), left: attempts.left() })
    }

    fn begin(&mut self) -> Result<(), AttemptError> {
        self.log.mask(self.source.credential())?;
        match self.settings.warning() {
            Some(warning) => Ok(self.log.warning(LOGIN, &warning.to_string())?),
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

        // Two services are asked one after the other: the second is connected to while the first answers.
        // (Not for another attempt: a server or a proxy for one connection at a time would fail again.)
        let is_first = attempts.failed() == 0;
        let ahead = self.source.request_url().filter(|github| is_first && github.host() != token_service.host());
        let ahead = ahead.and_then(|_| self.http.connect_ahead(token_service, attempts.left()));
        let began = self.clock.now();
        let id_token = self.source.id_token(self.http, &self.settings.audience, attempts.left());
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
        let api_key = exchange(self.http, token_service, ahead, &self.settings.user, &id_token, attempts.left());
        if let Ok(api_key) = &api_key {
            self.log.mask(&api_key.key)?;
        }
        self.log.debug(&request("POST", token_service, &api_key, self.clock.now() - began))?;
        let claims = || Claims::of(&id_token, &self.log.redactor());
        api_key.map_err(|error| AttemptError::Exchange { error, claims: claims() })
    }

    fn look_up_token_service(&mut self, left: Duration) -> Result<Endpoint, AttemptError> {
        let index = self.settings.service.configured_endpoint();
        let found = service_index::token_service(self.http, index, left)?;
        if lends_nuget_org_audience(&self.settings.audience, &found) {
            return Err(ServiceIndexError::Audience { found: found.host() }.into());
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

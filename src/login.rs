//! The journey, top to bottom: identity, exchange; an attempt is both, and is made again where that can help.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::time::Duration;

use crate::advice;
use crate::claims::Claims;
use crate::cli::{Service, Settings, lends_nuget_org_audience};
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::http::Http;
use crate::identity::{GitHub, NoIdToken};
use crate::retry::{Attempts, End, Retry, Seconds};
use crate::runner::Runner;
use crate::secret::Secret;
use crate::service_index::{self, NoTokenService};
use crate::token_service::{ApiKey, NoApiKey, exchange};

/// Why an attempt brought no API key.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// It is not known where to.
    #[error(transparent)]
    NoTokenService(#[from] NoTokenService),
    /// There was nothing to exchange.
    #[error(transparent)]
    NoIdToken(#[from] NoIdToken),
    /// There was nothing to be had for it.
    #[error("{error}")]
    NoApiKey {
        /// Why.
        error: NoApiKey,
        /// What the ID token said.
        claims: Claims,
    },
    /// A credential must not go anywhere unmasked.
    #[error("the log can't be written, so nothing can be masked in it: {0}")]
    NotMasked(#[from] io::Error),
}

impl AttemptError {
    fn retry(&self) -> Retry {
        match self {
            AttemptError::NoTokenService(error) => error.retry(),
            AttemptError::NoIdToken(error) => error.retry(),
            AttemptError::NoApiKey { error, .. } => error.retry(),
            AttemptError::NotMasked(_) => Retry::Never,
        }
    }

    /// The whole of what a service said, if it said no in its own words.
    pub fn words(&self) -> Option<&str> {
        match self {
            AttemptError::NoIdToken(NoIdToken(failure)) | AttemptError::NoApiKey { error: NoApiKey(failure), .. } => {
                failure.words()
            }
            AttemptError::NoTokenService(NoTokenService::Failed(failure)) => failure.words(),
            AttemptError::NoTokenService(_) | AttemptError::NotMasked(_) => None,
        }
    }

    /// What the ID token said, if it came that far.
    pub fn claims(&self) -> Option<&Claims> {
        if let AttemptError::NoApiKey { claims, .. } = self { Some(claims) } else { None }
    }
}

/// The last attempt's error, and why it was the last.
#[derive(Debug)]
pub struct GaveUp {
    /// What went wrong in the end.
    pub cause: AttemptError,
    attempts: u32,
    end: End,
}

impl std::error::Error for GaveUp {}

impl fmt::Display for GaveUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GaveUp { cause, attempts, end } = self;
        match (attempts, end) {
            (1, End::Permanent) => write!(formatter, "{cause}"),
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
    github: &GitHub,
    http: &Http<'_, C>,
    clock: &C,
    runner: &mut Runner<W>,
) -> anyhow::Result<Login> {
    runner.mask(github.request_token()).map_err(AttemptError::NotMasked)?;
    let mut attempts = Attempts::begin(clock, settings.timeout);
    let mut used = UsedTokens::default();
    let mut token_service = match &settings.service {
        Service::At(token_service) => Some(token_service.clone()),
        Service::IndexedBy(_) => None,
    };
    if let Some(warning) = advice::warning(settings) {
        runner.warning("NuGet login", &warning)?;
    }
    let api_key = loop {
        let attempt = async {
            let token_service = match &mut token_service {
                Some(known) => known,
                unknown => unknown.insert(indexed(settings, http, runner, attempts.left()).await?),
            };
            attempt(settings, token_service, github, http, clock, runner, &attempts, &mut used).await
        };
        let cause = match attempt.await {
            Ok(api_key) => break api_key,
            Err(cause) => cause,
        };
        let next = attempts.next(cause.retry());
        let failed = attempts.failed();
        let wait = match next {
            Ok(wait) => wait,
            Err(end) => return Err(GaveUp { cause, attempts: failed, end }.into()),
        };
        runner.say(&format!("Attempt {failed} failed, the next one follows in {}: {cause}", Seconds(wait)))?;
        clock.sleep(wait).await;
    };

    let host = token_service.as_ref().unwrap_or(settings.service.named()).host();
    Ok(Login { api_key, host, failed: attempts.failed() })
}

/// The token service that the service index names.
async fn indexed<W: Write, C: Clock>(
    settings: &Settings,
    http: &Http<'_, C>,
    runner: &mut Runner<W>,
    left: Duration,
) -> Result<Endpoint, AttemptError> {
    let index = settings.service.named();
    let found = service_index::token_service(http, index, left).await?;
    if lends_nuget_org_audience(&settings.audience, &found) {
        return Err(NoTokenService::Audience { host: index.host(), found: found.host() }.into());
    }
    runner.say(&format!("The token service of {} is {}.", index.host(), found.without_query()))?;
    Ok(found)
}

/// One fresh ID token and one exchange.
#[expect(clippy::too_many_arguments, reason = "all of the journey's parts meet here, and nowhere else")]
async fn attempt<W: Write, C: Clock>(
    settings: &Settings,
    token_service: &Endpoint,
    github: &GitHub,
    http: &Http<'_, C>,
    clock: &C,
    runner: &mut Runner<W>,
    attempts: &Attempts<'_, C>,
    used: &mut UsedTokens,
) -> Result<ApiKey, AttemptError> {
    let began = clock.now();
    let id_token = github.id_token(http, &settings.audience, attempts.left()).await;
    if let Ok(id_token) = &id_token {
        runner.mask(id_token)?;
    }
    runner.debug(&request("GET", github.request_url(), &id_token, clock.now() - began))?;
    let id_token = id_token?;
    if !used.is_new(&id_token) {
        return Err(NoIdToken(github.unusable("the `value` in its answer is one that was used before")).into());
    }
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
    api_key.map_err(|error| AttemptError::NoApiKey { error, claims: Claims::of(&id_token, &runner.masked()) })
}

/// A request in one line, for debugging.
fn request<T, E: fmt::Display>(method: &str, to: &Endpoint, outcome: &Result<T, E>, took: Duration) -> String {
    let outcome = match outcome {
        Ok(_) => "HTTP 200".to_owned(),
        Err(error) => error.to_string(),
    };
    format!("{method} {}: {outcome} ({} ms)", to.without_query(), took.as_millis())
}

/// The ID tokens that were sent, told by hashes that nobody else can compute.
#[derive(Default)]
struct UsedTokens {
    hasher: RandomState,
    hashes: HashSet<u64>,
}

impl UsedTokens {
    /// Whether a token was not sent yet; from here on it was.
    fn is_new(&mut self, id_token: &Secret) -> bool {
        self.hashes.insert(self.hasher.hash_one(id_token.reveal()))
    }
}

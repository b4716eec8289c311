//! Settings, from arguments and `INPUT_*` variables: validated before anything is sent.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};

use crate::cli::{GitLabOptions, Options};
use crate::endpoint::{Endpoint, EndpointError, shown, without_query};
use crate::environment::{Ci, Environment, NotUnicode, given};

/// The token service of nuget.org, as NuGet/login names it.
pub(crate) const NUGET_ORG_TOKEN_SERVICE: &str = "https://www.nuget.org/api/v2/token";
/// The audience that nuget.org's token service accepts.
pub(crate) const NUGET_ORG_AUDIENCE: &str = "https://www.nuget.org";
/// The usual variable with GitLab's ID token.
pub(crate) const ID_TOKEN_VARIABLE: &str = "NUGET_ID_TOKEN";
/// Time for everything by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest timeout, in seconds: a day, four times what a hosted job has.
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;
/// Longest audience, in bytes: a URL contains it, percent-encoded.
const LONGEST_AUDIENCE: usize = 1_000;

/// Validated settings.
#[derive(Debug)]
pub(crate) struct Settings {
    /// The nuget.org user that created the trust policy.
    pub(crate) user: String,
    pub(crate) service: Service,
    /// The `aud` claim to request.
    pub(crate) audience: String,
    /// Time for everything: all attempts and the waits between them.
    pub(crate) timeout: Duration,
    pub(crate) delivery: Delivery,
    pub(crate) ci: Ci,
    /// GitLab: the variable with the job's ID token.
    pub(crate) id_token_variable: String,
}

/// Where ID tokens are exchanged for API keys.
#[derive(Debug)]
pub(crate) enum Service {
    /// At this token service.
    At(Endpoint),
    /// At the one that this service index names.
    IndexedBy(Endpoint),
}

impl Service {
    /// What the user named: the token service, or the index.
    pub(crate) fn configured_endpoint(&self) -> &Endpoint {
        match self {
            Service::At(endpoint) | Service::IndexedBy(endpoint) => endpoint,
        }
    }
}

/// What a login is for.
pub(crate) enum Purpose {
    /// The outputs of a step; with the flags of the command line.
    Login { check_only: bool, export_env: bool },
    /// A command and its arguments.
    Exec(Vec<OsString>),
}

/// What the key is used for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Only a command gets it.
    Command(Vec<OsString>),
    /// It is discarded: the question is whether a policy matches.
    CheckOnly,
    /// The step's outputs.
    Outputs,
    /// The step's outputs, and the environment of all later steps.
    OutputsAndEnvironment,
}

/// An argument, an input or a CI system that the program cannot work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    /// clap's own message.
    #[error("{0}")]
    Arguments(String),
    #[error(
        "this is not a GitHub Actions job (GITHUB_ACTIONS is not `true`): nothing here would mask the API key in the \
         log, so none is made"
    )]
    NotGitHubActions,
    /// The host that is not a sandbox's.
    #[error(
        "this is no job (neither GITHUB_ACTIONS nor GITLAB_CI is `true`), and {0} is not on loopback: outside of a job \
         `exec` works against a sandbox only, with its --token-service-url or --source"
    )]
    NoSandbox(String),
    /// The host that is not the sandbox's.
    #[error(
        "ACTIONS_ID_TOKEN_REQUEST_URL is on loopback, so it is a sandbox's, but {0} is not on loopback: add the sandbox's \
         --token-service-url or --source"
    )]
    SandboxElsewhere(String),
    #[error(
        "GITHUB_ACTIONS and GITLAB_CI are both `true`, and no job is of both: unset the one that does not belong here"
    )]
    BothCis,
    /// The variable that a sandbox sets.
    #[error("this is no job (neither GITHUB_ACTIONS nor GITLAB_CI is `true`), and no sandbox: {0} is not set")]
    NoJob(&'static str),
    #[error(
        "this is a GitLab CI job, which has no step outputs to put an API key into: give it to the command that needs \
         it, with `nuget-login exec --user … -- command`, or add --check-only"
    )]
    NoOutputsOnGitLab,
    /// The value is not shown: it can be the ID token.
    #[error(
        "the flag --id-token-variable is not the name of a variable: give its name (NUGET_ID_TOKEN), not its value"
    )]
    IdTokenVariable,
    #[error("the command behind `--` is empty")]
    EmptyCommand,
    /// Where `user` is read.
    #[error("the input `user` ({0}) is empty")]
    NoUser(&'static str),
    /// Names on nuget.org have letters, digits, `.`, `_` and `-`.
    #[error("the input `user` is '{0}', but there is no @ in the user names of nuget.org")]
    EmailAddress(String),
    #[error("the input `token-service-url` {0}")]
    TokenServiceUrl(EndpointError),
    #[error("the input `source` {0}")]
    Source(EndpointError),
    #[error("the inputs `source` and `token-service-url` exclude each other: give one of them")]
    SourceAndTokenService,
    /// The ID token would have nuget.org's audience, and be sent to this host.
    #[error(
        "the input `source` is of {0}, which could redeem an ID token for nuget.org there: set the input `audience` to \
         what its token service expects"
    )]
    SourceAudience(String),
    /// The same for GitLab's only ID token, which could be redeemed for as long as the job runs.
    #[error(
        "the flag --token-service-url is of {0}, which could redeem the job's ID token at nuget.org: set `aud:` below \
         `id_tokens:`, and --audience, to what its token service expects"
    )]
    TokenServiceAudience(String),
    /// A URL must hold the audience.
    #[error("the input `audience` is {0} bytes long; give one of at most {LONGEST_AUDIENCE}")]
    LongAudience(usize),
    #[error("the input `timeout-seconds` is '{0}'; give whole seconds from 1 to {LONGEST_TIMEOUT}")]
    TimeoutSeconds(String),
    #[error("the input `{0}` is '{1}'; give true or false")]
    Boolean(&'static str, String),
    #[error("the inputs `check-only` and `export-env` exclude each other: a check throws its key away")]
    CheckOnlyExports,
    #[error(transparent)]
    NotUnicode(#[from] NotUnicode),
}

impl From<clap::Error> for UsageError {
    fn from(mut error: clap::Error) -> UsageError {
        for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand] {
            if let Some(ContextValue::String(given)) = error.get(kind) {
                let shown = ContextValue::String(shown(without_query(given)));
                error.insert(kind, shown);
            }
        }
        // A suggestion repeats the argument.
        error.remove(ContextKind::Suggested);
        let text = error.to_string();
        UsageError::Arguments(text.trim_start_matches("error: ").trim_end().to_owned())
    }
}

impl Settings {
    /// A warning about settings that work, but reveal more than necessary.
    pub(crate) fn warning(&self) -> Option<String> {
        let Service::At(token_service) = &self.service else { return None };
        lends_nuget_org_audience(&self.audience, token_service).then(|| {
            format!(
                "The ID token for {} is made out to nuget.org (audience {}): whoever runs that host could redeem it at \
                 nuget.org. Set the input `audience` to one of its own.",
                token_service.host(),
                self.audience,
            )
        })
    }

    /// Checks the CI system and every input; nothing is sent or written. A flag wins over its variable.
    pub(crate) fn resolve(
        options: Options,
        purpose: Purpose,
        environment: &Environment<'_>,
    ) -> Result<Settings, UsageError> {
        let ci = environment.ci();
        if environment.is_of_both() {
            return Err(UsageError::BothCis);
        }
        let (command, check_only, export_env) = match purpose {
            Purpose::Login { .. } if ci == Ci::None => return Err(UsageError::NotGitHubActions),
            Purpose::Login { check_only, export_env } => (None, check_only, export_env),
            Purpose::Exec(command) if command[0].is_empty() => return Err(UsageError::EmptyCommand),
            Purpose::Exec(command) => (Some(command), false, false),
        };
        // On GitLab, everybody who can start a pipeline can set variables.
        let from_variables = command.is_none() && ci == Ci::GitHubActions;
        // A flag wins over the variable of what it excludes, too.
        let named =
            [&options.source, &options.token_service_url].iter().any(|flag| flag.as_deref().and_then(given).is_some());
        let either = |flag: Option<String>, variable, reads_variable| match flag.as_deref().and_then(given) {
            None if reads_variable => environment.text(variable),
            flag => Ok(flag),
        };
        let where_to = |flag, variable| either(flag, variable, from_variables && !named);
        let input = |flag, variable| either(flag, variable, from_variables);
        let user = input(options.user, "INPUT_USER")?.ok_or(UsageError::NoUser(match from_variables {
            true => "flag --user, variable INPUT_USER",
            false => "flag --user; no variable is read here",
        }))?;
        let token_service = where_to(options.token_service_url, "INPUT_TOKEN_SERVICE_URL")?;
        let service = match (where_to(options.source, "INPUT_SOURCE")?, token_service) {
            (Some(_), Some(_)) => return Err(UsageError::SourceAndTokenService),
            (Some(source), None) => Service::IndexedBy(Endpoint::parse(&source).map_err(UsageError::Source)?),
            (None, url) => {
                let url = url.unwrap_or_else(|| NUGET_ORG_TOKEN_SERVICE.to_owned());
                Service::At(Endpoint::parse(&url).map_err(UsageError::TokenServiceUrl)?)
            }
        };
        if service.configured_endpoint().is_nuget_org() && user.contains('@') {
            return Err(UsageError::EmailAddress(shown(&user)));
        }
        let audience = input(options.audience, "INPUT_AUDIENCE")?.unwrap_or_else(|| NUGET_ORG_AUDIENCE.to_owned());
        if audience.len() > LONGEST_AUDIENCE {
            return Err(UsageError::LongAudience(audience.len()));
        }
        if let Service::IndexedBy(index) = &service
            && lends_nuget_org_audience(&audience, index)
        {
            return Err(UsageError::SourceAudience(index.host()));
        }
        if ci == Ci::GitLab && lends_nuget_org_audience(&audience, service.configured_endpoint()) {
            return Err(UsageError::TokenServiceAudience(service.configured_endpoint().host()));
        }
        let timeout = match input(options.timeout_seconds, "INPUT_TIMEOUT_SECONDS")? {
            Some(value) => seconds(&value).ok_or_else(|| UsageError::TimeoutSeconds(shown(&value)))?,
            None => DEFAULT_TIMEOUT,
        };
        // A flag wins over the variable of what it excludes, too.
        let delivered = check_only || export_env;
        let is = |flag: bool, name, variable| match either(None, variable, from_variables && !delivered)? {
            None => Ok(flag),
            Some(value) => boolean(&value).ok_or_else(|| UsageError::Boolean(name, shown(&value))),
        };
        let delivery = match command {
            Some(command) => Delivery::Command(command),
            None => {
                let check_only = is(check_only, "check-only", "INPUT_CHECK_ONLY")?;
                let export_env = is(export_env, "export-env", "INPUT_EXPORT_ENV")?;
                match (check_only, export_env) {
                    (true, true) => return Err(UsageError::CheckOnlyExports),
                    (true, false) => Delivery::CheckOnly,
                    (false, true) => Delivery::OutputsAndEnvironment,
                    (false, false) => Delivery::Outputs,
                }
            }
        };
        if ci == Ci::GitLab && matches!(delivery, Delivery::Outputs | Delivery::OutputsAndEnvironment) {
            return Err(UsageError::NoOutputsOnGitLab);
        }
        let id_token_variable = id_token_variable(options.gitlab, ci)?;
        Ok(Settings { user, service, audience, timeout, delivery, ci, id_token_variable })
    }
}

/// The variable with a GitLab job's ID token. It is not read elsewhere.
pub(crate) fn id_token_variable(options: GitLabOptions, ci: Ci) -> Result<String, UsageError> {
    let name = options.id_token_variable.as_deref().and_then(given).unwrap_or_else(|| ID_TOKEN_VARIABLE.to_owned());
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name || ci != Ci::GitLab { Ok(name) } else { Err(UsageError::IdTokenVariable) }
}

/// Whether a host other than nuget.org would get an ID token with nuget.org's audience, and could redeem it there.
pub(crate) fn lends_nuget_org_audience(audience: &str, to: &Endpoint) -> bool {
    let others = !to.is_nuget_org() && !to.is_loopback();
    others && audience.trim_end_matches('/') == NUGET_ORG_AUDIENCE
}

/// `true` or `false`, in the forms that YAML has for them (actions/toolkit, `getBooleanInput`).
fn boolean(value: &str) -> Option<bool> {
    match value {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whole seconds in digits, from one to [`LONGEST_TIMEOUT`].
fn seconds(value: &str) -> Option<Duration> {
    let seconds = value.bytes().all(|byte| byte.is_ascii_digit()).then(|| value.parse().ok())??;
    (1..=LONGEST_TIMEOUT).contains(&seconds).then_some(Duration::from_secs(seconds))
}

//! Settings, from arguments and `INPUT_*` variables: validated before anything is sent.

use std::ffi::OsString;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};

use crate::cli::{GitLabOptions, Options};
use crate::endpoint::{Endpoint, EndpointError, shown, without_query};
use crate::environment::{Ci, Environment, NotUnicode, given};
use crate::package::Package;
use crate::text::{self, Text, Words, text};

/// The token service of nuget.org, as NuGet/login names it.
pub(crate) const NUGET_ORG_TOKEN_SERVICE: &str = "https://www.nuget.org/api/v2/token";
/// The audience that nuget.org's token service accepts.
pub(crate) const NUGET_ORG_AUDIENCE: &str = "https://www.nuget.org";
/// The usual variable with GitLab's ID token.
pub(crate) const ID_TOKEN_VARIABLE: &str = "NUGET_ID_TOKEN";
/// The variable from which NuGet 7.6 and later take an API key.
pub(crate) const API_KEY_VARIABLE: &str = "NUGET_API_KEY";
/// The variable that wins over every other key where NuGet pushes symbol packages.
pub(crate) const SYMBOL_API_KEY_VARIABLE: &str = "NUGET_SYMBOL_API_KEY";
/// Time for everything by default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest timeout, in seconds: a day, four times what a hosted job has.
pub(crate) const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;
/// Longest name of a user on nuget.org, in characters.
const LONGEST_USER: usize = 64;
/// Longest audience, in bytes: a URL contains it, percent-encoded.
pub(crate) const LONGEST_AUDIENCE: usize = 1_000;

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
    Login { check_only: bool, package: Option<String>, export_env: bool },
    /// A command and its arguments.
    Exec(Vec<OsString>),
}

/// What the key is used for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Only a command gets it.
    Command(Vec<OsString>),
    /// It is discarded: the question is whether a policy matches, and whether it allows a push of this package.
    CheckOnly(Option<Package>),
    /// The step's outputs.
    Outputs,
    /// The step's outputs, and the environment of all later steps.
    OutputsAndEnvironment,
}

/// An argument, an input or a CI system that the program cannot work with.
#[derive(Debug)]
pub(crate) enum UsageError {
    /// clap's own message, without its usage lines.
    /// The message, and the subcommand whose arguments they are.
    Arguments(String, Option<&'static str>),
    NotGitHubActions,
    /// A CI system that nuget.org has no trust policy for.
    OtherCi(&'static str),
    /// The host that is not a sandbox's.
    NoSandbox(String),
    /// The host that is not the sandbox's.
    SandboxElsewhere(String),
    BothCis,
    /// The variable that a sandbox sets.
    NoJob(&'static str),
    NoOutputsOnGitLab,
    /// The value is not shown: it can be the ID token.
    IdTokenVariable,
    EmptyCommand,
    /// Whether it can be an input, or only a flag.
    NoUser {
        is_input: bool,
    },
    /// Not the form of a nuget.org profile name; with the name that it contains, if it does.
    NotAProfileName {
        given: String,
        name: Option<String>,
    },
    EmailAddress(String),
    /// The value is not shown.
    CredentialAsUser,
    /// Its length in characters. The value is not shown: it can be a credential.
    LongUser(usize),
    TokenServiceUrl(EndpointError),
    Source(EndpointError),
    SourceAndTokenService,
    /// The ID token would have nuget.org's audience, and be sent to this host.
    SourceAudience(String),
    /// The same for GitLab's only ID token, which could be redeemed for as long as the job runs.
    TokenServiceAudience(String),
    /// Its length in bytes. A URL must hold the audience.
    LongAudience(usize),
    TimeoutSeconds(String),
    Boolean(&'static str, String),
    CheckOnlyExports,
    Package(String),
    PackageWithoutCheck,
    /// The host of the token service.
    PackageElsewhere(String),
    NotUnicode(NotUnicode),
}

impl UsageError {
    pub(crate) fn fact(&self) -> Text {
        match self {
            UsageError::Arguments(message, _) => text!("{}", message),
            UsageError::NotGitHubActions => text!(
                "this is not a GitHub Actions job (GITHUB_ACTIONS is not `true`), so the API key could not be masked"
            ),
            UsageError::OtherCi(name) => {
                text!("this is a job of {}, for which nuget.org has no trust policy", Words(name))
            }
            UsageError::NoSandbox(host) => text!("this is not a CI job, and {} is not a loopback host", host),
            UsageError::SandboxElsewhere(host) => {
                text!(
                    "the ID tokens come from a sandbox (ACTIONS_ID_TOKEN_REQUEST_URL is a loopback URL), but {} is not \
                       a loopback host",
                    host
                )
            }
            UsageError::BothCis => text!("GITHUB_ACTIONS and GITLAB_CI are both `true`"),
            UsageError::NoJob(variable) => text!("this is not a CI job, and {} is unset", Words(variable)),
            UsageError::NoOutputsOnGitLab => text!("GitLab CI has no step outputs for the API key"),
            UsageError::IdTokenVariable => {
                text!("the flag `--id-token-variable` is not the name of an environment variable")
            }
            UsageError::EmptyCommand => text!("the command after `--` is empty"),
            UsageError::NoUser { is_input: true } => text!("`user` is empty"),
            UsageError::NoUser { is_input: false } => text!("the flag `--user` is missing or empty"),
            UsageError::NotAProfileName { given, .. } => {
                text!("`user` is `{}`, which is not a nuget.org profile name", given)
            }
            UsageError::EmailAddress(given) => text!("`user` is `{}`, an e-mail address", given),
            UsageError::CredentialAsUser => {
                text!("`user` is not a profile name: it has the form of a credential")
            }
            UsageError::LongUser(length) => {
                text!("`user` has {} characters, more than a profile name", Words(length))
            }
            UsageError::TokenServiceUrl(problem) => text!("`token-service-url` {}", problem.fact()),
            UsageError::Source(problem) => text!("`source` {}", problem.fact()),
            UsageError::SourceAndTokenService => text!("`source` and `token-service-url` are both set"),
            UsageError::SourceAudience(host) => {
                text!("the ID token would be issued for nuget.org, and {} could redeem it there", host)
            }
            UsageError::TokenServiceAudience(host) => {
                text!("the job's ID token is issued for nuget.org, and {} could redeem it there", host)
            }
            UsageError::LongAudience(length) => text!("`audience` is {} bytes long", Words(length)),
            UsageError::TimeoutSeconds(given) => text!("`timeout-seconds` is `{}`", given),
            UsageError::Boolean(name, given) => text!("`{}` is `{}`", name, given),
            UsageError::CheckOnlyExports => text!("`check-only` and `export-env` are both true"),
            UsageError::Package(given) => text!("`package` is `{}`, which is not an ID and a version", given),
            UsageError::PackageWithoutCheck => text!("`package` is set without `check-only`"),
            UsageError::PackageElsewhere(host) => text!("`package` is set, but {} is not nuget.org", host),
            UsageError::NotUnicode(error) => error.fact(),
        }
    }
}

text::errors!(UsageError);

impl From<NotUnicode> for UsageError {
    fn from(error: NotUnicode) -> UsageError {
        UsageError::NotUnicode(error)
    }
}

impl UsageError {
    pub(crate) fn of_arguments(mut error: clap::Error, subcommand: Option<&'static str>) -> UsageError {
        for kind in [ContextKind::InvalidArg, ContextKind::InvalidValue, ContextKind::InvalidSubcommand] {
            if let Some(ContextValue::String(given)) = error.get(kind) {
                let shown = ContextValue::String(shown(without_query(given)));
                error.insert(kind, shown);
            }
        }
        // A suggestion repeats the argument.
        error.remove(ContextKind::Suggested);
        let text = error.to_string();
        // What follows the first empty line is the usage, which the help has.
        let message = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
        UsageError::Arguments(message.split_whitespace().collect::<Vec<_>>().join(" "), subcommand)
    }
}

impl Settings {
    /// A warning about settings that work, but reveal more than necessary.
    pub(crate) fn warning(&self) -> Option<Text> {
        let Service::At(token_service) = &self.service else { return None };
        lends_nuget_org_audience(&self.audience, token_service).then(|| {
            text!(
                "The ID token for {} is issued for nuget.org, and that host could redeem it there. Set the input \
                 `audience` to the audience of that token service.",
                token_service.host(),
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
        let (command, check_only, package, export_env) = match purpose {
            Purpose::Login { .. } if ci == Ci::None => {
                return Err(environment.other_ci().map_or(UsageError::NotGitHubActions, UsageError::OtherCi));
            }
            Purpose::Login { check_only, package, export_env } => (None, check_only, package, export_env),
            Purpose::Exec(command) if command[0].is_empty() => return Err(UsageError::EmptyCommand),
            Purpose::Exec(command) => (Some(command), false, None, false),
        };
        // On GitLab, any user who can start a pipeline can set variables.
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
        let user = input(options.user, "INPUT_USER")?.ok_or(UsageError::NoUser { is_input: from_variables })?;
        let token_service = where_to(options.token_service_url, "INPUT_TOKEN_SERVICE_URL")?;
        let service = match (where_to(options.source, "INPUT_SOURCE")?, token_service) {
            (Some(_), Some(_)) => return Err(UsageError::SourceAndTokenService),
            (Some(source), None) => Service::IndexedBy(Endpoint::parse(&source).map_err(UsageError::Source)?),
            (None, url) => {
                let url = url.unwrap_or_else(|| NUGET_ORG_TOKEN_SERVICE.to_owned());
                Service::At(Endpoint::parse(&url).map_err(UsageError::TokenServiceUrl)?)
            }
        };
        if is_credential(bare_name(&user)) {
            return Err(UsageError::CredentialAsUser);
        }
        if service.configured_endpoint().is_nuget_org() {
            check_profile_name(&user)?;
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
        let (delivered, export_flag) = (check_only || export_env, export_env);
        let is = |flag: bool, name, variable| match either(None, variable, from_variables && !delivered)? {
            None => Ok(flag),
            Some(value) => boolean(&value).ok_or_else(|| UsageError::Boolean(name, shown(&value))),
        };
        let delivery = match command {
            Some(command) => Delivery::Command(command),
            None => {
                let check_only = is(check_only, "check-only", "INPUT_CHECK_ONLY")?;
                let export_env = is(export_env, "export-env", "INPUT_EXPORT_ENV")?;
                let package = match either(package, "INPUT_PACKAGE", from_variables && !export_flag)? {
                    Some(_) if !check_only => return Err(UsageError::PackageWithoutCheck),
                    Some(given) => Some(package_of(&given, service.configured_endpoint())?),
                    None => None,
                };
                match (check_only, export_env) {
                    (true, true) => return Err(UsageError::CheckOnlyExports),
                    (true, false) => Delivery::CheckOnly(package),
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

/// The package to check. Only nuget.org's route for that is known, and the sandbox has it too.
fn package_of(given: &str, service: &Endpoint) -> Result<Package, UsageError> {
    if !service.is_nuget_org() && !service.is_loopback() {
        return Err(UsageError::PackageElsewhere(service.host()));
    }
    Package::parse(given).ok_or_else(|| UsageError::Package(shown(given)))
}

/// Whether a user has the form of a profile name on nuget.org.
pub(crate) fn is_profile_name(user: &str) -> bool {
    (1..=LONGEST_USER).contains(&user.len())
        && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The profile name in what was given as a user, if it contains one: `@name`, a name in quotes, the URL of a profile.
pub(crate) fn contained_name(user: &str) -> Option<String> {
    let name = bare_name(user);
    is_profile_name(name).then(|| name.to_owned())
}

/// The name in what was given as one: without quotes, a leading `@` and the URL of a profile.
fn bare_name(user: &str) -> &str {
    let bare = user.trim_matches(['"', '\'', '`', ' ', '/']).trim_start_matches('@');
    let name = bare.rsplit_once("nuget.org/profiles/").map_or(bare, |(_, name)| name);
    name.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
}

/// Whether something has the form of a credential: an API key of nuget.org (before 2026 `oy2` and 43 characters of base32,
/// since then 84 characters with a mark), or a JSON web token.
fn is_credential(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_key = is_word && (text.len() == 46 && text.starts_with("oy2") || text.contains("JQQJ99"));
    is_key || text.starts_with("eyJ") && text.matches('.').count() == 2
}

/// Checks the form of a profile name on nuget.org: ASCII letters, digits, `.`, `_` and `-`.
fn check_profile_name(user: &str) -> Result<(), UsageError> {
    if is_profile_name(user) {
        return Ok(());
    }
    let name = bare_name(user);
    if name.len() > LONGEST_USER {
        return Err(UsageError::LongUser(name.chars().count()));
    }
    if name.contains('@') {
        return Err(UsageError::EmailAddress(shown(user)));
    }
    Err(UsageError::NotAProfileName { given: shown(user), name: contained_name(user) })
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

//! Arguments and `INPUT_*` variables become one validated [`Settings`].

use std::ffi::OsString;
use std::time::Duration;

use crate::endpoint::{Endpoint, NotAnEndpoint};
use crate::environment::{Environment, NotUnicode, given};
use crate::outside::one_line;

/// The token service of nuget.org, as NuGet/login names it.
pub const NUGET_ORG_TOKEN_SERVICE: &str = "https://www.nuget.org/api/v2/token";
/// The audience that nuget.org's token service accepts.
pub const NUGET_ORG_AUDIENCE: &str = "https://www.nuget.org";

/// Get a short-lived NuGet API key for this GitHub Actions job: no stored secret, just its ID token
///
/// Asks GitHub for the job's OIDC ID token, exchanges it at the registry's token service for a
/// temporary API key (nuget.org's lives about an hour), masks the key in the log and writes it to
/// the step's outputs.
#[derive(Debug, clap::Parser)]
#[command(version, verbatim_doc_comment, after_long_help = AFTER_HELP)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommand>,

    #[command(flatten)]
    options: Options,

    /// Only find out whether a trust policy matches: do the whole exchange, and throw the key away
    ///
    /// A new policy becomes permanent by this, as by any login.
    #[arg(long, verbatim_doc_comment)]
    check_only: bool,

    /// Hand the key to all later steps of the job too, as the variable NUGET_API_KEY
    ///
    /// NuGet 7.6 and later read it by themselves; so can everything else that runs in them.
    #[arg(long, verbatim_doc_comment)]
    export_env: bool,
}

/// What a login needs to know, however the key is delivered.
#[derive(Debug, clap::Args)]
#[allow(rustdoc::bare_urls, reason = "these comments are the text of `--help`")]
struct Options {
    /// nuget.org profile name of the person who created the trust policy (required)
    ///
    /// Not an organization, not the package owner, not an e-mail address.
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    user: Option<String>,

    /// URL of the token service [default: https://www.nuget.org/api/v2/token]
    ///
    /// https, or http to a loopback host.
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    token_service_url: Option<String>,

    /// V3 service index of the registry, which names its token service; instead of the URL above
    ///
    /// https, or http to a loopback host. Needs an --audience of its own, except at nuget.org.
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    source: Option<String>,

    /// Audience of the ID token, as the token service expects it [default: https://www.nuget.org]
    ///
    /// A token service other than nuget.org's should have an audience of its own: with nuget.org's
    /// it could redeem the ID token at nuget.org.
    #[arg(long, value_name = "AUDIENCE", verbatim_doc_comment)]
    audience: Option<String>,

    /// Time for everything, retries included, in whole seconds [default: 120]
    ///
    /// What passes (a busy server, a lost connection) is tried again until then.
    #[arg(long, value_name = "SECONDS", verbatim_doc_comment)]
    timeout_seconds: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum Subcommand {
    /// Log in right before a command, and give it the key as NUGET_API_KEY
    ///
    /// The key is in the command's environment and nowhere else: arguments would show it to other
    /// processes. To put it there all the same, let a shell do it:
    ///   nuget-login exec --user NAME -- sh -c 'push --key "$NUGET_API_KEY"'
    /// Output, signals and exit code are the command's; the words of the login go to standard error.
    /// In a job leave standard error alone: the runner reads the mask for the key there.
    /// Only flags count here, no INPUT_ variables: an earlier step could have set those. Outside of a
    /// job this works against a sandbox on loopback.
    /// Exit codes: the command's; 126 and 127 if it can't be run; 1 and 2 if there is no key.
    #[command(verbatim_doc_comment)]
    Exec {
        #[command(flatten)]
        options: Options,

        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
}

const AFTER_HELP: &str = "\
A flag wins over its variable. Empty or blank means absent; surrounding white space is ignored.
The variables are INPUT_USER, INPUT_TOKEN_SERVICE_URL, INPUT_SOURCE, INPUT_AUDIENCE,
INPUT_TIMEOUT_SECONDS, INPUT_CHECK_ONLY and INPUT_EXPORT_ENV.

Reads from the job's environment:
  ACTIONS_ID_TOKEN_REQUEST_URL    where GitHub issues ID tokens, and the token to ask with; both
  ACTIONS_ID_TOKEN_REQUEST_TOKEN  are there when the job has `permissions: id-token: write`
  GITHUB_ACTIONS                  must be `true`: elsewhere nothing could mask the key
  GITHUB_OUTPUT                   the file that takes the outputs
  GITHUB_ENV                      the file that takes variables, for --export-env
  GITHUB_STEP_SUMMARY             the file that takes the explanation of a failure
  GITHUB_ACTOR, GITHUB_EVENT_PATH who and what started the run, to explain a failure
  RUNNER_DEBUG                    `1` for more words in the log
  HTTPS_PROXY, NO_PROXY           a proxy for https, and the hosts that need none (lower case is
                                  read too); loopback hosts never go through it. HTTP_PROXY is
                                  only checked: nothing is sent by plain http elsewhere
  NODE_EXTRA_CA_CERTS             a file with certificates to trust besides the built-in and the
                                  system's ones
  SSL_CERT_FILE, SSL_CERT_DIR     certificates to trust instead of those

Outputs, written to the file in GITHUB_OUTPUT:
  NUGET_API_KEY   the API key, masked in the log
  expires-at      when it expires, if the token service says so in RFC 3339
  policy-matches  `true` after --check-only, which writes nothing else

Exit codes:
  0  the key is in the outputs; with --check-only, a policy matches
  1  the login failed; nothing was written; an error annotation says why
  2  wrong usage: an argument or an input, or not a GitHub Actions job
  Those of `exec` are the command's; 126 and 127 mean that it could not be run";

/// Time for everything, where nothing is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest time that can be asked for, in seconds: a day, four times what a hosted job has.
const LONGEST_TIMEOUT: u64 = 24 * 60 * 60;

/// Everything that the user decides, checked.
#[derive(Debug)]
pub struct Settings {
    /// The nuget.org user that created the trust policy.
    pub user: String,
    /// Where ID tokens are exchanged for API keys.
    pub service: Service,
    /// The `aud` claim to ask for.
    pub audience: String,
    /// Time for everything: all attempts and the waits between them.
    pub timeout: Duration,
    /// What becomes of the key.
    pub delivery: Delivery,
}

/// Where ID tokens are exchanged for API keys.
#[derive(Debug)]
pub enum Service {
    /// At this token service.
    At(Endpoint),
    /// At the one that this service index names.
    IndexedBy(Endpoint),
}

impl Service {
    /// What the user named: the token service, or the index.
    pub fn named(&self) -> &Endpoint {
        match self {
            Service::At(endpoint) | Service::IndexedBy(endpoint) => endpoint,
        }
    }
}

/// What becomes of the key.
#[derive(Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It goes to a command, alone.
    Command(Vec<OsString>),
    /// It is thrown away: a policy matches, and that was the question.
    CheckOnly,
    /// It goes to the step's outputs.
    Outputs,
    /// It goes there, and into the environment of all later steps.
    OutputsAndEnvironment,
}

/// An argument, an input or a place that the program can't work with. Ends in exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// The arguments can't be parsed: clap's own words.
    #[error("{0}")]
    Arguments(String),
    /// Not a job of GitHub Actions.
    #[error(
        "this is not a GitHub Actions job (GITHUB_ACTIONS is not `true`): nothing here would mask the API key in the \
         log, so none is made"
    )]
    NotGitHubActions,
    /// Neither a job nor a sandbox.
    #[error(
        "this is not a GitHub Actions job (GITHUB_ACTIONS is not `true`), and {0} is not on loopback: outside of a job \
         `exec` works against a sandbox only, with its --token-service-url or --source"
    )]
    NoSandbox(String),
    /// There is no command to run.
    #[error("the command behind `--` is empty")]
    EmptyCommand,
    /// `user` is absent.
    #[error("the input `user` (flag --user, variable INPUT_USER) is empty")]
    NoUser,
    /// `user` is no name that nuget.org knows. (Its names are of letters, digits, `.`, `_` and `-`.)
    #[error("the input `user` is '{0}', but there is no @ in the user names of nuget.org")]
    EmailAddress(String),
    /// `token-service-url` can't be used.
    #[error("the input `token-service-url` {0}")]
    TokenServiceUrl(NotAnEndpoint),
    /// `source` can't be used.
    #[error("the input `source` {0}")]
    Source(NotAnEndpoint),
    /// Both say where the token service is.
    #[error("the inputs `source` and `token-service-url` exclude each other: give one of them")]
    SourceAndTokenService,
    /// The ID token would be made out to nuget.org, and go to somebody else.
    #[error(
        "the input `source` is of {0}, which could redeem an ID token for nuget.org there: set the input `audience` to \
         what its token service expects"
    )]
    SourceAudience(String),
    /// `timeout-seconds` is no number, or not a sensible one.
    #[error("the input `timeout-seconds` is '{0}'; give whole seconds from 1 to {LONGEST_TIMEOUT}")]
    TimeoutSeconds(String),
    /// An input that is true or false is neither.
    #[error("the input `{0}` is '{1}'; give true or false")]
    Boolean(&'static str, String),
    /// There would be no key to export.
    #[error("the inputs `check-only` and `export-env` exclude each other: a check throws its key away")]
    CheckOnlyExports,
    /// A variable's value is not Unicode.
    #[error(transparent)]
    NotUnicode(#[from] NotUnicode),
}

impl From<clap::Error> for UsageError {
    fn from(error: clap::Error) -> UsageError {
        let words = error.to_string();
        UsageError::Arguments(words.trim_start_matches("error: ").trim_end().to_owned())
    }
}

impl Settings {
    /// Checks the place and every input; nothing is sent or written. A flag wins over its variable.
    pub fn resolve(arguments: Arguments, environment: &Environment<'_>) -> Result<Settings, UsageError> {
        let Arguments { command, options, check_only, export_env } = arguments;
        if command.is_none() && !environment.is_github_actions() {
            return Err(UsageError::NotGitHubActions);
        }
        let (options, command) = match command {
            Some(Subcommand::Exec { options, command }) => (options, Some(command)),
            None => (options, None),
        };
        if command.as_ref().is_some_and(|command| command[0].is_empty()) {
            return Err(UsageError::EmptyCommand);
        }
        let from_variables = command.is_none();
        // A flag wins over the variable of what it excludes, too.
        let named =
            [&options.source, &options.token_service_url].iter().any(|flag| flag.as_deref().and_then(given).is_some());
        let either = |flag: Option<String>, variable, reads_variable| match flag.as_deref().and_then(given) {
            None if reads_variable => environment.text(variable),
            flag => Ok(flag),
        };
        let where_to = |flag, variable| either(flag, variable, from_variables && !named);
        let input = |flag, variable| either(flag, variable, from_variables);
        let user = input(options.user, "INPUT_USER")?.ok_or(UsageError::NoUser)?;
        let token_service = where_to(options.token_service_url, "INPUT_TOKEN_SERVICE_URL")?;
        let service = match (where_to(options.source, "INPUT_SOURCE")?, token_service) {
            (Some(_), Some(_)) => return Err(UsageError::SourceAndTokenService),
            (Some(source), None) => Service::IndexedBy(Endpoint::parse(&source).map_err(UsageError::Source)?),
            (None, url) => {
                let url = url.unwrap_or_else(|| NUGET_ORG_TOKEN_SERVICE.to_owned());
                Service::At(Endpoint::parse(&url).map_err(UsageError::TokenServiceUrl)?)
            }
        };
        if service.named().is_nuget_org() && user.contains('@') {
            return Err(UsageError::EmailAddress(one_line(&user)));
        }
        let audience = input(options.audience, "INPUT_AUDIENCE")?.unwrap_or_else(|| NUGET_ORG_AUDIENCE.to_owned());
        if let Service::IndexedBy(index) = &service
            && lends_nuget_org_audience(&audience, index)
        {
            return Err(UsageError::SourceAudience(index.host()));
        }
        let timeout = match input(options.timeout_seconds, "INPUT_TIMEOUT_SECONDS")? {
            Some(value) => seconds(&value).ok_or_else(|| UsageError::TimeoutSeconds(one_line(&value)))?,
            None => DEFAULT_TIMEOUT,
        };
        let delivered = check_only || export_env;
        let is = |flag: bool, name, variable| match environment.text(variable)? {
            _ if delivered => Ok(flag),
            None => Ok(false),
            Some(value) => boolean(&value).ok_or_else(|| UsageError::Boolean(name, one_line(&value))),
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
        Ok(Settings { user, service, audience, timeout, delivery })
    }
}

/// Whether a host could redeem an ID token of this audience at nuget.org: it is somebody else's, and the ID token would be
/// made out to nuget.org.
pub fn lends_nuget_org_audience(audience: &str, to: &Endpoint) -> bool {
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

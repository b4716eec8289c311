//! What an error means, and how to fix it: the one place that explains. Pure: it reads nothing but its arguments.

mod context;
mod markdown;
pub(crate) mod report;
pub(crate) mod trust_policy;

use std::collections::HashSet;

pub(crate) use context::Context;
use markdown::Code;
use trust_policy::{TRUSTED_PUBLISHING, UNKNOWN};

use crate::environment::Ci;
use crate::error::Error;
use crate::github_actions::output_file::OutputFileError;
use crate::http::error::{Body, HttpError, Rejection, Unusable};
use crate::http::tls::CertificateProblem;
use crate::retry::StopReason;
use crate::settings::UsageError;
use crate::trusted_publishing::id_token::IdTokenSourceError;
use crate::trusted_publishing::login::{AttemptError, LoginError};
use crate::trusted_publishing::service_index::ServiceIndexError;
use crate::trusted_publishing::service_message::ServiceMessage;

/// Number of causes of one failure that are shown. More come of as many policies, and the first ones are enough.
const MOST_CAUSES: usize = 8;

/// An error, explained. Its texts are Markdown that reads well as plain text too; what came from outside is in code spans.
#[derive(Debug)]
pub(crate) struct Explanation {
    /// What happened, in our words and the service's.
    pub(crate) error: String,
    /// What it means; several, if the service named several reasons; none, if it is not known.
    pub(crate) causes: Vec<Cause>,
    /// How many more causes there are.
    pub(crate) more: usize,
    pub(crate) policy: ShownPolicy,
}

/// A cause, and its fix.
#[derive(Debug)]
pub(crate) struct Cause {
    pub(crate) cause: String,
    pub(crate) fix: String,
    pub(crate) policy: ShownPolicy,
}

/// Which policy is shown with a cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShownPolicy {
    /// None: it is not at fault.
    None,
    /// The one that the job needs as it is.
    AsItIs,
    /// The one that the job needs in a workflow file of its own repository.
    OnceMoved,
}

/// Explains an error with what is known of the job.
pub(crate) fn explain(error: &Error, context: &Context) -> Explanation {
    let found: Vec<Cause> = match error {
        Error::Usage(error) => Vec::from_iter(usage(error, context)),
        Error::IdTokenSource(error) => Vec::from_iter(id_token_source(error, context)),
        Error::OutputFile(error) => vec![output_file(error)],
        Error::Login(error) => login(error, context),
        // Their messages name the fix.
        Error::Setup(_)
        | Error::Command { .. }
        | Error::NotMasked(_)
        | Error::UnknownJob { .. }
        | Error::Repository(_)
        | Error::UnknownHost { .. }
        | Error::NotPrinted(_) => Vec::new(),
    };
    let policy = found.iter().map(|cause| cause.policy).find(|policy| *policy != ShownPolicy::None);
    let mut seen = HashSet::new();
    let mut causes = Vec::new();
    for cause in found {
        if seen.insert(cause.cause.clone()) && causes.len() < MOST_CAUSES {
            causes.push(cause);
        }
    }
    let more = seen.len() - causes.len();
    Explanation { error: error.to_string(), causes, more, policy: policy.unwrap_or(ShownPolicy::None) }
}

fn cause(cause: impl Into<String>, fix: impl Into<String>) -> Cause {
    Cause { cause: cause.into(), fix: fix.into(), policy: ShownPolicy::None }
}

/// A cause whose fix can be in the policy, which is shown too.
fn cause_in_policy(cause: impl Into<String>, fix: impl Into<String>) -> Cause {
    Cause { cause: cause.into(), fix: fix.into(), policy: ShownPolicy::AsItIs }
}

fn usage(error: &UsageError, context: &Context) -> Option<Cause> {
    Some(match error {
        UsageError::NoUser(_) if context.ci == Ci::GitLab => cause(
            "No user is given.",
            "Add `--user`, and the nuget.org profile name of the person who created the trust policy. If it comes \
             from a variable, check that the variable is there for this job: protected ones are for protected \
             branches and tags only.",
        ),
        UsageError::NoUser(_) => cause(
            "The input `user` is empty.",
            "Set it in the workflow file, below `with:` or as the flag `--user`, to the nuget.org profile name of \
             the person who created the trust policy. If it comes from a variable or a secret (`vars.…`, \
             `secrets.…`), check that this exists for this repository and environment; runs of forks get no secrets, \
             and those of Dependabot get Dependabot's.",
        ),
        UsageError::EmailAddress(_) => cause(
            "The input `user` looks like an e-mail address.",
            "Set it to the nuget.org profile name of the person who created the trust policy: what follows \
             https://www.nuget.org/profiles/ in the profile's URL.",
        ),
        UsageError::NotGitHubActions | UsageError::NoSandbox(_) | UsageError::NoJob(_) => cause(
            "The program runs outside of GitHub Actions and GitLab CI.",
            "Run it in a step of a workflow; in GitLab CI use `nuget-login exec`. To try it by hand, use what `cargo \
             run -p sandbox -- serve` exports.",
        ),
        UsageError::NoOutputsOnGitLab => cause(
            "In GitLab CI a plain login can't hand an API key on.",
            "Let the login run the command that needs the key: `nuget-login exec --user NAME -- sh -c 'dotnet nuget \
             push … --api-key \"$NUGET_API_KEY\"'`.",
        ),
        // Their messages name the fix.
        UsageError::Arguments(_)
        | UsageError::SandboxElsewhere(_)
        | UsageError::BothCis
        | UsageError::IdTokenVariable
        | UsageError::EmptyCommand
        | UsageError::TokenServiceUrl(_)
        | UsageError::Source(_)
        | UsageError::SourceAndTokenService
        | UsageError::SourceAudience(_)
        | UsageError::TokenServiceAudience(_)
        | UsageError::LongAudience(_)
        | UsageError::TimeoutSeconds(_)
        | UsageError::Boolean(..)
        | UsageError::CheckOnlyExports
        | UsageError::NotUnicode(_) => return None,
    })
}

fn id_token_source(error: &IdTokenSourceError, context: &Context) -> Option<Cause> {
    Some(match error {
        IdTokenSourceError::NotPermitted(_) => match (&context.start.fork, context.start.actor.as_deref()) {
            (Some(fork), _) => cause(
                format!(
                    "This run is of a pull request from a fork ({}), and GitHub gives such runs no ID tokens, as a \
                     rule.",
                    Code(fork)
                ),
                format!(
                    "Publish in a run that this repository starts: by a push, a release, or by hand. Add to the job \
                     that publishes: {}.",
                    Code(format!("if: github.event_name != '{}'", context.start.event))
                ),
            ),
            (None, Some("dependabot[bot]")) => cause(
                "Dependabot started this run, and it was given no right to ask for ID tokens.",
                "Publish in another run, after the merge, and add to the job that publishes: `if: github.actor != \
                 'dependabot[bot]'`. (If it is to publish anyway, give it `id-token: write`.)",
            ),
            (None, _) => cause(
                "This job may not ask GitHub for an ID token: it lacks `id-token: write`.",
                "Add this to the job in the workflow file, beside `runs-on:` (naming one permission takes away the \
                 others, and checkout needs `contents: read`):\n\
                 \n    permissions:\n      id-token: write\n      contents: read\n\n\
                 If this is a reusable workflow, the calling job needs it too, and so on up to the first one.",
            ),
        },
        IdTokenSourceError::NoIdToken(_) => cause(
            "This job got no ID token from GitLab.",
            "Add this to the job in .gitlab-ci.yml, beside `script:` (for another registry than nuget.org with its \
             audience):\n\
             \n    id_tokens:\n      NUGET_ID_TOKEN:\n        aud: https://www.nuget.org\n\n\
             If the job has one by another name, give that name: `--id-token-variable`.",
        ),
        IdTokenSourceError::NotAJsonWebToken(_) => cause(
            format!("The variable {} is not one that GitLab made of `id_tokens:`.", Code(&context.id_token_variable)),
            "Give the ID token below `id_tokens:` a name that no other variable has; or give its name: \
             `--id-token-variable`. (A CI_JOB_TOKEN is no ID token.)",
        ),
        IdTokenSourceError::Audience { .. } => cause(
            "The job's ID token is made out to somebody else.",
            "For nuget.org, set `aud:` below `id_tokens:` in .gitlab-ci.yml to `https://www.nuget.org`, a single \
             value, and leave `--audience` out. For another registry, set both `aud:` and `--audience` to what that \
             expects.",
        ),
        IdTokenSourceError::RequestUrl(..)
        | IdTokenSourceError::InvalidSecret(..)
        | IdTokenSourceError::NotUnicode(_) => return None,
    })
}

fn output_file(error: &OutputFileError) -> Cause {
    let variable = Code(error.variable());
    cause(
        "The API key could not be handed to other steps.",
        format!("The runner sets {variable} for each step and makes the file: leave both as they are."),
    )
}

fn login(error: &LoginError, context: &Context) -> Vec<Cause> {
    let (messages, http) = match &error.cause {
        AttemptError::ServiceIndex(error) => return Vec::from_iter(service_index(error)),
        AttemptError::NotMasked(_) => return Vec::new(),
        AttemptError::IdToken(error) | AttemptError::Exchange { error, .. } => (&error.messages, &error.http),
    };
    if !messages.is_empty() {
        return messages.iter().map(|message| service_message(message, context)).collect();
    }
    if error.stop == StopReason::TokenConsumed {
        return vec![cause(
            "The failure may be temporary; but GitLab gave this job one ID token, which may be used up now.",
            "Run the job again, with *Retry* on its page: then it has a new one. nuget.org gives one API key for a \
             user every 30 seconds; for outages see https://status.nuget.org. A key that nobody holds expires by \
             itself.",
        )];
    }
    // What is not known of a service's message is not explained by its status.
    if http.message().is_some() {
        return Vec::new();
    }
    if error.stop == StopReason::ResponsesLost {
        return vec![cause(
            "The token service got the ID tokens, and its answers were lost.",
            "Run the job again later. Keys that nobody holds expire by themselves, within the hour at nuget.org.",
        )];
    }
    let particular = match &error.cause {
        AttemptError::Exchange { .. } => exchange(http, context),
        _ => id_token(http),
    };
    Vec::from_iter(particular.or_else(|| http_error(http)))
}

/// What only an error of GitHub's ID-token service means.
fn id_token(error: &HttpError) -> Option<Cause> {
    match error {
        _ if error.rejection().is_some_and(|head| head.status == 401) => Some(cause(
            "GitHub does not accept this job's right to ask for ID tokens.",
            "That right lasts as long as the job. Leave ACTIONS_ID_TOKEN_REQUEST_URL and \
             ACTIONS_ID_TOKEN_REQUEST_TOKEN as the runner sets them in each job.",
        )),
        HttpError::Unusable { reason: Unusable::RepeatedIdToken, .. } => Some(cause(
            "Something between this job and GitHub keeps ID tokens, and gives an old one again.",
            "Look at what stands between them: HTTPS_PROXY, a cache, an `env:` or a self-hosted runner that \
             overwrites ACTIONS_ID_TOKEN_REQUEST_URL.",
        )),
        _ => None,
    }
}

/// What only an error of the token service means.
fn exchange(error: &HttpError, context: &Context) -> Option<Cause> {
    let head = error.rejection()?;
    match head.status.as_u16() {
        404 => Some(cause(
            format!("{} answered that there is nothing there.", Code(&context.service)),
            "If you set the input `token-service-url`, check it, or remove it for nuget.org. If you did not, \
             nuget.org's token service may be switched off: try again later.",
        )),
        429 => Some(cause(
            format!("Too many logins as {} in a short time.", Code(&context.user)),
            "nuget.org allows one API key for a user every 30 seconds. Log in in one job, not in each of a matrix; \
             or let it wait longer: `timeout-seconds: 300`.",
        )),
        _ if head.status.is_redirection() => Some(cause(
            "The token service is somewhere else, or something on the way redirects.",
            "A credential goes to the host that was named, and nowhere else. Set `token-service-url` to the final \
             address; or find out what redirects.",
        )),
        _ => None,
    }
}

fn service_index(error: &ServiceIndexError) -> Option<Cause> {
    const URL: &str = "Give the URL that `dotnet nuget push --source` takes; it ends in `index.json` as a rule.";
    let status = match error {
        ServiceIndexError::Http(error) => error.rejection().map(|head| head.status),
        _ => None,
    };
    match error {
        _ if status.is_some_and(|it| it == 401) => Some(cause(
            "The service index asks for credentials, and a login has none to show.",
            "Give the URL of the registry's token service instead: `token-service-url`.",
        )),
        _ if status.is_some_and(|it| it == 404) => Some(cause("There is no service index at the input `source`.", URL)),
        _ if status.is_some_and(|it| it.is_redirection()) => Some(cause(
            "The service index is somewhere else, or something on the way redirects.",
            "Set the input `source` to the final address; or find out what redirects.",
        )),
        ServiceIndexError::Http(HttpError::Unusable { .. }) => {
            Some(cause("What is at the input `source` is no service index.", URL))
        }
        ServiceIndexError::Http(error) => http_error(error),
        ServiceIndexError::Missing { .. } => Some(cause(
            "The registry's service index names no token service.",
            "Ask those who run the registry whether it has trusted publishing, and for the URL of its token service: \
             that goes into `token-service-url`. For nuget.org leave `source` out: its index does not name its token \
             service yet.",
        )),
        ServiceIndexError::Unusable { .. } | ServiceIndexError::Loopback { .. } => Some(cause(
            "The service index names a token service that no credential may be sent to.",
            "Those who run the registry have to give an https URL there.",
        )),
        // Its message names the fix.
        ServiceIndexError::Audience { .. } => None,
    }
}

/// What an error means whatever the service.
fn http_error(error: &HttpError) -> Option<Cause> {
    Some(match error {
        HttpError::Certificate { error, .. } => certificate(error.kind),
        HttpError::Proxy { proxy, head: Some(head), .. } if head.status == 407 => cause(
            "The proxy wants a user and a password that it knows.",
            format!("Put them into {}: `http://user:password@host:port`.", Code(proxy.variable)),
        ),
        HttpError::Proxy { host, head: Some(head), .. } if head.is_temporary() => cause(
            "The proxy has a problem, usually a temporary one.",
            format!(
                "Run the job again later. If it stays, ask the proxy's operator whether the proxy can reach {}.",
                Code(host)
            ),
        ),
        HttpError::Proxy { head: Some(head), .. } if head.status.is_client_error() => cause(
            "The proxy does not allow this host.",
            "Have it allowed there; or name it in NO_PROXY, where it can be reached without a proxy.",
        ),
        HttpError::Proxy { proxy, .. } => cause(
            format!("The proxy in {} gives no connection.", Code(proxy.variable)),
            "Check the proxy's address, and that it runs. Or name the host in NO_PROXY, where it can be reached \
             without a proxy.",
        ),
        HttpError::Rejected(Rejection { head, .. }) if head.status.is_redirection() => return None,
        HttpError::Rejected(Rejection { body: Body::Page, .. })
        | HttpError::Unusable { reason: Unusable::Page { .. }, .. } => cause(
            "A web page came back: probably a proxy or a firewall answered, or the service has an outage.",
            "On a self-hosted runner, allow the host in the firewall, or set HTTPS_PROXY. On a hosted runner, run \
             the job again later.",
        ),
        _ if error.rejection().is_some_and(|head| head.status.is_server_error()) => cause(
            "The service has a problem, usually a temporary one.",
            "Run the job again later. See https://www.githubstatus.com and https://status.nuget.org.",
        ),
        HttpError::Rejected(_) => return None,
        HttpError::Unusable { .. } => cause(
            "What answered is not the service that was asked.",
            "Is the input `token-service-url` right? Does something answer in the service's place: a proxy, or what \
             an overwritten ACTIONS_ID_TOKEN_REQUEST_URL names?",
        ),
        HttpError::TooLong { host, .. } => cause(
            format!("{} sent more than the service ever does.", Code(host)),
            "Check that the URL is right, and that no proxy or gateway responds in the service's place.",
        ),
        HttpError::NoResponse { host, .. } => cause(
            format!("{} did not respond completely.", Code(host)),
            "Run the job again later. If it stays, check what is between this runner and the host: a firewall, a \
             proxy or a gateway.",
        ),
        HttpError::Tls { temporary: true, .. } => cause(
            "The other side's TLS has a problem, usually a temporary one.",
            "Run the job again later. If it stays, ask those who run that server, or a proxy that breaks TLS open.",
        ),
        HttpError::Tls { temporary: false, .. } => cause(
            "The other side refuses TLS, or speaks none that this program knows.",
            "Is the URL right: does that port speak https, for that name? If it does, look for a firewall or a proxy \
             that breaks TLS open.",
        ),
        HttpError::NotConnected { host, .. } => cause(
            format!("This runner can't reach {}.", Code(host)),
            "On a self-hosted runner, allow it in the firewall, or set HTTPS_PROXY. On GitHub's runners, run the job \
             again later.",
        ),
    })
}

fn certificate(problem: CertificateProblem) -> Cause {
    match problem {
        CertificateProblem::Issuer => cause(
            "The other side's certificate is of an authority that is not trusted here.",
            "If that issuer is right (the certificate authority of a company, say), name a file with its certificate \
             in the environment variable NODE_EXTRA_CA_CERTS, which adds to the built-in and the system's ones; \
             SSL_CERT_FILE and SSL_CERT_DIR replace them.",
        ),
        CertificateProblem::Invalid => cause(
            "The server's certificate is not valid for this host, or not at this time.",
            "Check the URL, and the clock of this machine. If the certificate has expired, the server's operator \
             must renew it.",
        ),
        CertificateProblem::Unfit => cause(
            "The server's certificate, or a certificate in its chain, violates a rule for certificates.",
            "Ask the server's operator to have the certificate reissued without the problem that the message names. \
             Trusting the issuer does not help.",
        ),
    }
}

/// What a service's message means.
fn service_message(message: &ServiceMessage, context: &Context) -> Cause {
    const REPORT: &str = "Run the job again in a few minutes. If it stays, report it to the registry (nuget.org: \
                          support@nuget.org), with this message.";
    use ServiceMessage as Message;

    let on_gitlab = context.ci == Ci::GitLab;
    let (user, issuer, audience) = (Code(&context.user), Code(context.issuer()), Code(&context.audience));
    // The ID token is not as its issuer makes them.
    let malformed = |on_github: String| match on_gitlab {
        true => gitlab_token_malformed("The ID token is not as GitLab makes them.", context),
        false => cause(
            on_github,
            "Something other than GitHub answers at ACTIONS_ID_TOKEN_REQUEST_URL. GitHub sets that variable: look \
             for an `env:` or a self-hosted runner that overwrites it.",
        ),
    };
    match message {
        Message::JobNotRunning { state } => cause(
            format!("GitHub's ID-token service does not know yet that this job has started ({}).", Code(state)),
            "Run the job again. If it stays, look at https://www.githubstatus.com, or raise `timeout-seconds`.",
        ),
        Message::NoMatchingPolicy { .. } => no_matching_policy(context),
        Message::WorkflowMismatch { policy: name, expected, actual } => {
            workflow_mismatch(name, expected, actual, context.caller.as_deref())
        }
        Message::EnvironmentMismatch { policy: name, expected, actual } => {
            environment_mismatch([name, expected, actual], context)
        }
        Message::ForeignReusableWorkflow { job_workflow_ref, .. } => Cause {
            policy: ShownPolicy::OnceMoved,
            ..cause(
                format!(
                    "The job is defined in a reusable workflow of another repository, {}, which no policy can match.",
                    Code(job_workflow_ref)
                ),
                "Move the steps that log in and push into a job of a workflow file of this repository, one without \
                 `uses:` beside `runs-on:`. The reusable workflow can still build: it uploads the packages as an \
                 artifact, and the new job downloads them.",
            )
        },
        Message::PolicyExpired { policy } => cause(
            format!("The policy {} was not used within 7 days, and has expired.", Code(policy)),
            format!(
                "Sign in to nuget.org as {user}, open the page Trusted Publishing ({TRUSTED_PUBLISHING}), renew the \
                 policy, and run this job again within 7 days. After its first use a policy no longer expires."
            ),
        ),
        Message::EventNotAllowed { event } => cause(
            format!("nuget.org gives no API key to a run that the event {} started.", Code(event)),
            "Change `on:` in the workflow file: for example to `push` with `tags: [\"v*\"]`; `release`, \
             `workflow_dispatch` and `schedule` work too. (Anybody's pull request starts `pull_request_target`, with \
             this repository's rights.)",
        ),
        Message::RefMismatch { policy: name, expected, actual } => ref_mismatch(name, expected, actual),
        Message::RefNotABranch { git_ref, policy: name } => cause_in_policy(
            format!(
                "The policy {} is for the ref {}, and this job runs for a tag of that name; a policy's ref must be a \
                 branch.",
                Code(name),
                Code(git_ref)
            ),
            "On nuget.org, make *Ref* of the policy empty, and leave it to the job's `rules:` which tags publish. Or \
             run the job for the policy's branch.",
        ),
        Message::ClaimMissing { claim } => {
            let text = format!("The ID token does not say its {}, which nuget.org needs.", Code(claim));
            match on_gitlab {
                true => gitlab_token_malformed(text, context),
                false => cause(
                    text,
                    format!(
                        "GitHub's own ID tokens do; this one is of {issuer}. If that is \
                         https://token.actions.githubusercontent.com, run the job again, and report it if it stays. \
                         Any other issuer can't publish to nuget.org from here."
                    ),
                ),
            }
        }
        // Accounts
        Message::OrganizationAsUser => cause(
            format!("The input `user` is {user}, an organization; a policy belongs to a person."),
            "Set `user` to the nuget.org profile name of the person who created the policy.",
        ),
        Message::UserDeleted { name } => cause(
            format!("The nuget.org account {} was deleted.", Code(name)),
            "Create a policy with another account, and set the input `user` to its profile name.",
        ),
        Message::OrganizationDeleted { name } => cause(
            format!("The nuget.org organization {} was deleted.", Code(name)),
            format!("{user} edits the policy on nuget.org, and chooses another package owner."),
        ),
        Message::UserLocked { name } => cause(
            format!("The nuget.org account {} is locked.", Code(name)),
            format!("Sign in to nuget.org as {} to see why, or write to support@nuget.org.", Code(name)),
        ),
        Message::OrganizationLocked { name } => cause(
            format!("The nuget.org organization {} is locked.", Code(name)),
            format!("An administrator of {} asks support@nuget.org why.", Code(name)),
        ),
        Message::UserEmailNotConfirmed { name } => cause(
            format!("The e-mail address of the nuget.org account {} is not confirmed.", Code(name)),
            format!("Sign in to nuget.org as {}, and confirm it under Account settings.", Code(name)),
        ),
        Message::OrganizationEmailNotConfirmed { name } => cause(
            format!("The e-mail address of the nuget.org organization {} is not confirmed.", Code(name)),
            format!("An administrator of {} confirms it on nuget.org, under Manage Organizations.", Code(name)),
        ),
        Message::PackageOwnerGone => cause(
            "The policy matches, but its package owner no longer exists.",
            format!("{user} edits the policy on nuget.org, and chooses another package owner."),
        ),
        Message::ScopesNotValid { owner } => {
            let owner = Code(owner);
            cause_in_policy(
                format!("The policy matches, but {user} may no longer act for its package owner, {owner}."),
                format!(
                    "An administrator of {owner} adds {user} to it again, on nuget.org under Manage Organizations. \
                     Or a member of {owner} creates a new policy with the fields of the table, and the input `user` \
                     becomes that person's profile name."
                ),
            )
        }
        // The ID token
        Message::IssuerNotSupported => cause(
            format!("nuget.org accepts no ID tokens of {issuer}."),
            "It knows github.com and gitlab.com; GitHub Enterprise Server and self-hosted GitLab can't use trusted \
             publishing. Publish from there with an API key in a secret, or from github.com or gitlab.com.",
        ),
        Message::TokenNotValidated if context.issuer_is_an_enterprises() => cause(
            format!("nuget.org does not accept the issuer of this enterprise, {issuer}."),
            "An owner of the enterprise can switch its own issuer off, with GitHub's REST API: `PUT \
             /enterprises/ENTERPRISE/actions/oidc/customization/issuer` with `include_enterprise_slug` set to \
             `false`. That changes the issuer for every repository of the enterprise, so check what else trusts the \
             present one. Or publish with an API key in a secret.",
        ),
        Message::TokenNotValidated => {
            cause(format!("The token service could not make anything of the ID token of {issuer}."), REPORT)
        }
        Message::AudienceIncorrect if on_gitlab => cause(
            format!("The ID token is made out to the audience {audience}, and the token service expects another."),
            "For nuget.org, set `aud:` below `id_tokens:` to `https://www.nuget.org`, and leave `--audience` out. \
             For another registry, ask those who run it.",
        ),
        Message::AudienceIncorrect => cause(
            format!("The ID token was asked for with the audience {audience}, and the token service expects another."),
            "For nuget.org, remove the input `audience`, or set it to `https://www.nuget.org`. For another registry, \
             ask those who run it.",
        ),
        Message::SignatureInvalid => {
            cause("The token service can't verify the ID token's signature, nor could it on a second try.", REPORT)
        }
        Message::TokenExpired if on_gitlab => cause(
            "The job's ID token has expired: it is as old as the job, and lives as long as the job's `timeout:`.",
            "Log in earlier, or in a job of its own that only pushes (the packages come as artifacts); or give the \
             job a longer `timeout:`.",
        ),
        Message::TokenExpired => {
            cause("The token service treats fresh ID tokens as expired: its clock must be wrong.", REPORT)
        }
        Message::TokenNotYetValid => {
            cause("The token service treats ID tokens as not yet valid: its clock must be wrong.", REPORT)
        }
        Message::AudienceNotSingle => malformed(format!(
            "The login asked for the audience {audience}, but the ID token came with several, or none."
        )),
        Message::AudienceMissing => {
            malformed(format!("The login asked for the audience {audience}, but the ID token came without one."))
        }
        Message::IssuerMissing => malformed("The ID token does not say who issued it.".to_owned()),
        Message::IssuerNotHttps => malformed(format!("The ID token's issuer, {issuer}, is no https URL.")),
        Message::JtiMissing => malformed("The ID token has no unique ID (`jti`).".to_owned()),
        Message::TokenUsed if on_gitlab => cause(
            "The job's ID token has bought an API key before, and each buys one (that of `--check-only` counts).",
            "Log in once in a job: put all that needs the key into one command, `nuget-login exec … -- sh -c 'first \
             && second'`. Or give the job a second ID token, by another name below `id_tokens:`, and name it in \
             `--id-token-variable`.",
        ),
        Message::TokenUsed => cause(
            "The token service says that it knows each ID token already, though every attempt brings a fresh one.",
            "Something between this job and the token service sends requests twice: look at HTTPS_PROXY and gateways.",
        ),
        // The request
        Message::TokenNotParsed
        | Message::AuthorizationMissing
        | Message::AuthorizationRepeated
        | Message::AuthorizationNotBearer
        | Message::AuthorizationEmpty
        | Message::OnlyBearer
        | Message::ContentType
        | Message::UserAgentMissing
        | Message::UsernameMissing
        | Message::TokenTypeMissing => cause(
            "Something between this job and the token service changed the request.",
            "Look at what stands between them: HTTPS_PROXY, a gateway, the input `token-service-url` (nuget.org's is \
             https://www.nuget.org/api/v2/token).",
        ),
        Message::NotAuthenticated => cause(
            "The registry refused the ID token by a rule of its own.",
            format!("Ask those who run the registry at {} for the reason, with this message.", Code(&context.service)),
        ),
    }
}

fn gitlab_token_malformed(fact: impl Into<String>, context: &Context) -> Cause {
    let fix = format!(
        "Something other than an ID token of GitLab's is in the variable {}. Give it to the job by `id_tokens:`, \
         with `aud:`, and don't set a variable of that name elsewhere.",
        Code(&context.id_token_variable)
    );
    cause(fact, fix)
}

fn no_matching_policy(context: &Context) -> Cause {
    let user = Code(&context.user);
    let fix = if context.ci == Ci::GitLab {
        format!(
            "First, is the user {user} right? It must be the nuget.org profile name of the person who created the \
             policy (what follows https://www.nuget.org/profiles/ in the profile's URL): not the organization that \
             owns the packages, not an e-mail address or a display name. Second, is the policy one for GitLab, and \
             are its *Namespace path* and *Project path* those shown below? Third, if the project was deleted and \
             created again, or moved to another group, create a new policy."
        )
    } else if context.user_is_repository_owner() {
        format!(
            "First, the input `user` is {user}, which is also the owner of the repository. If that is an \
             organization: `user` must be the nuget.org profile name of the person who created the policy; \
             organizations can't create any. Second, compare *Repository owner* and *Repository* of the policy on \
             nuget.org with the table. Third, if the repository was deleted and created again, or transferred, \
             create a new policy."
        )
    } else {
        format!(
            "First, is the input {} right? It must be the nuget.org profile name of the person who created the \
             policy (what follows https://www.nuget.org/profiles/ in the profile's URL): not the organization that \
             owns the packages, not an e-mail address or a display name. Second, compare *Repository owner* and \
             *Repository* of the policy on nuget.org with the table. Third, if the repository was deleted and \
             created again, or transferred, create a new policy.",
            Code(format!("user: {}", context.user))
        )
    };
    cause_in_policy(format!("No trust policy that {user} created matches this job."), fix)
}

fn environment_mismatch([name, expected, actual]: [&str; 3], context: &Context) -> Cause {
    let on_gitlab = context.ci == Ci::GitLab;
    let workflow = Code(context.policy.as_ref().and_then(|policy| policy.workflow_file()).unwrap_or(UNKNOWN));
    let (line, file) = (
        Code(format!("environment: {expected}")),
        match on_gitlab {
            true => ".gitlab-ci.yml".to_owned(),
            false => workflow.to_string(),
        },
    );
    let (name, expected) = (Code(name), Code(expected));
    match (actual.is_empty(), on_gitlab) {
        (true, _) => cause_in_policy(
            format!("The policy {name} asks for the environment {expected}; this job names none."),
            format!(
                "Add the line {line} to the job in {file}{}, and leave the policy as it is. Or make *Environment* of \
                 the policy empty on nuget.org, and leave the job as it is.",
                if on_gitlab { "" } else { ", beside `runs-on:`" }
            ),
        ),
        (false, true) => cause_in_policy(
            format!("The policy {name} asks for the environment {expected}; this job names {}.", Code(actual)),
            format!(
                "Change the job's `environment:` in {file} to {expected}, and leave the policy as it is. Or set \
                 *Environment* of the policy to {} on nuget.org, and leave the job as it is. Upper and lower case \
                 count.",
                Code(actual)
            ),
        ),
        (false, false) => cause_in_policy(
            format!("The policy {name} asks for the environment {expected}; this job names {}.", Code(actual)),
            format!(
                "Change the job's line in {file} to {line}, and leave the policy as it is. Or set *Environment* of \
                 the policy to {} on nuget.org, and leave the job as it is.",
                Code(actual)
            ),
        ),
    }
}

fn workflow_mismatch(name: &str, expected: &str, actual: &str, caller: Option<&str>) -> Cause {
    let moved = Code(format!(".github/workflows/{expected}"));
    let (name, expected, actual) = (Code(name), Code(expected), Code(actual));
    match caller {
        Some(caller) => cause_in_policy(
            format!(
                "The policy {name} names the workflow file {expected}; this job is defined in the reusable workflow \
                 {actual}."
            ),
            format!(
                "On nuget.org, set *Workflow file* of the policy to {actual}: the file that defines the job counts, \
                 not {}, which calls it.",
                Code(caller)
            ),
        ),
        None => cause_in_policy(
            format!("The policy {name} names the workflow file {expected}; this job is defined in {actual}."),
            format!(
                "On nuget.org, set *Workflow file* of the policy to {actual}; or, if {expected} publishes too, \
                 create a second policy for {actual}. Or move the job into {moved}, and leave the policy as it is."
            ),
        ),
    }
}

fn ref_mismatch(name: &str, expected: &str, actual: &str) -> Cause {
    let branch = expected.strip_prefix("refs/heads/");
    let (name, expected, actual) = (Code(name), Code(expected), Code(actual));
    match branch {
        Some(branch) => cause_in_policy(
            format!(
                "The policy {name} is for the ref {expected}; but jobs say {actual}, without what stands before it."
            ),
            format!(
                "On nuget.org, set *Ref* of the policy to {}, if that is the branch that publishes; or make it \
                 empty, for any branch and tag. Upper and lower case count.",
                Code(branch)
            ),
        ),
        None => cause_in_policy(
            format!("The policy {name} is for the ref {expected}; this job runs for {actual}."),
            format!(
                "Run the job for {expected}; or set *Ref* of the policy to {actual} on nuget.org, if that is a \
                 branch. To publish from tags, make it empty: a policy's ref is a branch. Upper and lower case \
                 count."
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    /// What this file says, in pieces between its values. (Its longer string literals: short ones are not explanations.)
    fn texts() -> Vec<String> {
        let source = include_str!("mod.rs").split("#[cfg(test)]\nmod tests").next().unwrap();
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        // A continued literal is one line; an escaped quote is none.
        let mut joined = String::new();
        for part in code.replace("\\\"", "\u{1}").split("\\\n") {
            joined.push_str(if joined.is_empty() { part } else { part.trim_start() });
        }
        let literals = joined.split('"').skip(1).step_by(2).map(|it| it.replace('\u{1}', "\""));
        let pieces = literals.flat_map(|it| it.split(['{', '}']).map(str::to_owned).collect::<Vec<_>>());
        pieces
            .flat_map(|it| it.split("\\n").map(|it| it.trim().to_owned()).collect::<Vec<_>>())
            .filter(|it| it.len() > 30)
            .collect()
    }

    #[test]
    fn every_explanation_is_in_a_snapshot_and_in_the_readme() {
        let (snapshots, readme) = crate::snapshots_and_readme();
        let texts = texts();
        assert!(texts.len() > 150, "{texts:?}");
        let unseen = |text: &&String| !snapshots.iter().any(|it| it.contains(text.as_str()));
        let unseen = Vec::from_iter(texts.iter().filter(unseen));
        assert!(unseen.is_empty(), "no case in tests/cli/explanations.rs: {unseen:#?}");
        let unlisted = Vec::from_iter(texts.iter().filter(|text| !readme.contains(text.as_str())));
        assert!(unlisted.is_empty(), "not in the README's table: {unlisted:#?}");
    }
}

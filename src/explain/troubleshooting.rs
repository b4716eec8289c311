//! docs/troubleshooting.md, made of the program's own explanations. `UPDATE_DOCS=1 cargo test --lib troubleshooting`
//! writes it.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;

use super::report::{anchor, fixes};
use super::{Context, Explanation, explain};
use crate::endpoint::EndpointError;
use crate::environment::{Ci, NotUnicode};
use crate::error::Error;
use crate::explain::trust_policy::{Field, TrustPolicy};
use crate::github_actions::output_file::OutputFileError;
use crate::http::SetupError;
use crate::http::error::{Body, HttpError, NoResponse, ProxyName, Rejection, ResponseHead, Unusable};
use crate::http::proxy::ProxyError;
use crate::http::tls::{CertificateError, CertificateProblem, TrustError};
use crate::package::Package;
use crate::repository::RepositoryError;
use crate::retry::StopReason;
use crate::secret::InvalidSecret;
use crate::settings::UsageError;
use crate::text::{Code, capitalized, text};
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::id_token::IdTokenSourceError;
use crate::trusted_publishing::login::{AttemptError, LoginError};
use crate::trusted_publishing::obstacle::Obstacle;
use crate::trusted_publishing::service_index::ServiceIndexError;
use crate::trusted_publishing::service_message::{ServiceError, known_texts};
use crate::trusted_publishing::verify_key::PushError;

const DOCUMENT: &str = "docs/troubleshooting.md";

/// Stands for `<user>`, which does not have the form of a profile name.
const USER: &str = "USER";

/// Longest line, in characters; lines in code blocks are as long as what they show.
const WIDTH: usize = 120;

const INTRODUCTION: &str = "\
# Troubleshooting

Every message that nuget-login can end with, its cause, and how to fix it. Search this page for the text that you see,
or follow the `docs:` link of the failed step. Values of your job are in angle brackets here: `<user>`.

*The values below* are the trust policy in the log and in the summary of the failed step. `nuget-login policy` prints
them too.

The scripts of the action that download nuget-login have a page of their own:
[troubleshooting-download.md](troubleshooting-download.md).

A re-run of a job takes changes of a trust policy, a variable or a secret. It does not take a change of the workflow
file: that needs a new run, and for a tag a new or moved tag.

<!-- Generated from src/explain by `UPDATE_DOCS=1 cargo test --lib troubleshooting`. -->
";

/// What can go wrong with a key.
const AFTER_THE_LOGIN: &str = include_str!("after_the_login.md");

/// What more there is to say about a topic than its explanation does.
const BACKGROUND: &[(&str, &str)] = &[
    // Permissions
    (
        "No permission to request an ID token",
        "GitHub gives a job the right to request ID tokens only if its `permissions:` have `id-token: write`. A job's \
         `permissions:` replace those of the workflow, and every permission that is not listed is removed.",
    ),
    (
        "Request variables changed",
        "GitHub sets ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN in each job. In this job something \
         has changed them.",
    ),
    ("No ID token in GitLab CI", "GitLab gives a job an ID token only if the job has `id_tokens:`."),
    ("Not an ID token", "The variable contains something other than the ID token that `id_tokens:` creates."),
    (
        "ID token for another audience",
        "A registry accepts only ID tokens that were issued for it. nuget-login does not send an ID token to another one.",
    ),
    // Policies
    (
        "Workflow mismatch",
        "*Workflow File* of a trust policy is the name of the file that defines the job. If a workflow calls a reusable \
         workflow of the same repository, that is the called file.",
    ),
    (
        "Policy expired",
        "A policy for a private repository must be used within 7 days. After its first use it does not expire. A policy \
         for a public repository does not expire.",
    ),
    (
        "No matching trust policy",
        "The registry does not say whether the user is unknown or has no policy for this repository. nuget.org saves the \
         IDs of owner and repository with a policy: after a rename, a transfer, or a repository that was deleted and \
         created again, they differ. If several policies match, nuget.org uses the oldest.",
    ),
    (
        "Several trust policies",
        "nuget.org compared all policies of this user for this repository. One match is enough.",
    ),
    (
        "Event not allowed",
        "A pull request from a fork starts `pull_request_target` with the rights of the base repository.",
    ),
    // Inputs
    ("Wrong arguments", "The command line has an argument that nuget-login does not know, or lacks one."),
    (
        "Not a CI job",
        "Only a CI job has an ID token. To try nuget-login on your machine, use the [sandbox](sandbox.md).",
    ),
    ("CI system not supported", "nuget.org accepts ID tokens from GitHub Actions and from GitLab CI only."),
    (
        "Sandbox and another host",
        "A sandbox on this machine issues ID tokens that only this sandbox accepts. nuget-login does not send them to \
         another host.",
    ),
    ("Two CI systems", "A job belongs to one CI system. The variables of both are set."),
    ("No outputs in GitLab CI", "GitLab CI cannot pass a masked value from one job or step to another."),
    ("Variable name", "The flag names the variable that contains the ID token."),
    ("Empty command", "`nuget-login exec -- COMMAND` logs in and runs the command with the API key."),
    ("User missing", "The registry looks for trust policies that this user created."),
    (
        "User is not a profile name",
        "A profile name on nuget.org consists of ASCII letters, digits, dots, underscores and hyphens.",
    ),
    ("URL not accepted", "Credentials are sent only over https, or to a loopback host."),
    ("Source and token service", "`source` is the service index that names a token service. One of the two is enough."),
    (
        "Audience of nuget.org",
        "Every host that receives an ID token issued for nuget.org can exchange it there for an API key.",
    ),
    ("Audience too long", "The audience is part of the URL that requests an ID token."),
    ("Timeout out of range", "`timeout-seconds` limits all attempts and the waits between them."),
    ("Not true or false", "The input is a Boolean, as in YAML."),
    ("Check and export", "`check-only` discards its API key, so there is nothing to export."),
    ("Package to check", "`package` asks nuget.org whether the API key of `check-only` could push this package."),
    (
        "Push not allowed",
        "The login works, but the trust policy does not allow this package. A push would end with HTTP 403.",
    ),
    ("Push not checked", "The trust policy matches. The request that asks about the package failed."),
    ("Not UTF-8", "nuget-login reads environment variables as text."),
    // Services
    ("Job not running", "In the first second of a job GitHub can reject its request. nuget-login retries it."),
    ("Request token rejected", "The request token belongs to one job, and expires with it."),
    ("Request for an ID token rejected", "GitHub's ID-token service gave no known reason."),
    ("Unexpected response from GitHub", "The response of GitHub's ID-token service does not contain an ID token."),
    ("ID token repeated", "Each attempt requests a new ID token, because each one can be exchanged only once."),
    ("Token service not found", "The host responds, but has no token service at this URL."),
    ("Too many logins", "nuget.org limits the API keys of a user."),
    ("Unknown rejection", "The registry has a reason that this version of nuget-login does not know."),
    (
        "Responses lost",
        "Each exchange can have created an API key. nuget-login stops after three, so that no more unused keys exist.",
    ),
    ("Only ID token used", "In GitLab CI an exchange that reached the token service cannot be retried."),
    ("Redirect", "nuget-login does not follow redirects: a credential goes only to the host that you name."),
    ("Web page instead of a response", "A proxy, a firewall or a content delivery network responded with HTML."),
    ("Service unavailable", "The service has a temporary problem. nuget-login has retried until its deadline."),
    ("Unexpected response", "The response is not from the expected service, or the service has changed."),
    ("Response too large", "Responses of these services have a few kilobytes."),
    ("Incomplete response", "The connection was interrupted, or the response took too long."),
    // Connections
    ("Host not reachable", "The name cannot be resolved, or no connection was made within 10 seconds."),
    ("TLS interrupted", "The server ended the TLS handshake with an alert that is usually temporary."),
    ("TLS failure", "The server does not speak TLS 1.2 or 1.3, or something on the way interferes."),
    (
        "Certificate authority not trusted",
        "nuget-login trusts Mozilla's certificate authorities and those of the system. NODE_EXTRA_CA_CERTS adds others. \
         SSL_CERT_FILE and SSL_CERT_DIR replace all of them.",
    ),
    ("Certificate not valid", "The certificate is for another host or another time."),
    ("Certificate not acceptable", "The certificate violates a rule that no setting switches off."),
    ("Certificate file", "The variable names a file or a folder without usable certificates."),
    ("Proxy authentication", "The proxy requires a user and a password."),
    ("Proxy temporarily unavailable", "The proxy answered with a temporary failure."),
    ("Host refused by the proxy", "The proxy does not allow connections to this host."),
    ("Proxy not reachable", "No connection to the proxy was made, or it did not answer as a proxy does."),
    ("Proxy URL", "HTTPS_PROXY or HTTP_PROXY is set to something other than the URL of a proxy."),
    // The service index
    ("Service index is private", "nuget-login has no credentials for a service index."),
    ("No service index", "`source` is the URL of a NuGet V3 service index."),
    (
        "No token service in the service index",
        "A registry with trusted publishing lists its token service as `TokenService/1.0.0`. nuget.org does not list its \
         own yet.",
    ),
    (
        "Token service not allowed",
        "Credentials are sent only over https, and only a local index can name a local service.",
    ),
    // The machine
    ("Output file", "The runner reads the API key from a file that it creates for each step."),
    (
        "Log not writable",
        "An API key that cannot be masked in the log is not passed on. If a standard stream is closed or discarded, the \
         message begins with `standard output is closed or discarded`.",
    ),
    ("Thread limit", "nuget-login needs one thread for the network."),
    ("Command not found", "`exec` looks for the command in PATH before it logs in."),
    ("Command cannot be run", "`exec` has found the command, but the system does not run it."),
    ("Output not printed", "Standard output is closed, or its device is full."),
    // policy
    ("Repository not known", "Outside a CI job, `policy` reads the remote `origin` of the git repository."),
    ("Nothing to check", "Without arguments, `check` reads .github/workflows of the repository of the current folder."),
    ("Unreadable path", "`check` reads the files whose paths are its arguments."),
    ("Unreadable workflow folder", "`check` and `policy` read .github/workflows of the repository."),
    ("Nothing to migrate", "`migrate` needs a git repository."),
    ("Workflow not written", "`migrate --write` writes a new file beside each workflow, and renames it."),
    ("Host not supported", "nuget.org has trust policies for github.com and gitlab.com only."),
    ("Job not known", "Neither an ID token nor the runner's variables name the repository."),
];

fn context(ci: Ci) -> Context {
    let text = |text: &str| text.to_owned();
    let (repository, environment) = (Field::value("<repository>"), Field::value("<environment>"));
    let policy = match ci {
        Ci::GitLab => TrustPolicy::GitLab {
            namespace_path: Field::value("<namespace>"),
            project_path: Field::value("<project>"),
            r#ref: Field::value("<ref>"),
            environment,
        },
        _ => TrustPolicy::GitHub {
            repository_owner: Field::value("<owner>"),
            repository,
            workflow_file: Field::value("<workflow file>"),
            environment,
        },
    };
    let mut context = Context::of_ci(ci);
    context.user = text(USER);
    context.audience = text("<audience>");
    context.service = text("<URL>");
    context.id_token_variable = text("<variable>");
    context.policy = Some(policy);
    context.run.issuer = Some(text("<issuer>"));
    context
}

fn github(change: impl FnOnce(&mut Context)) -> Context {
    let mut context = context(Ci::GitHubActions);
    change(&mut context);
    context
}

/// An explanation with the text by which a user finds it.
struct Example {
    /// Where it differs from the others of its topic.
    case: &'static str,
    text: String,
    explanation: Explanation,
}

fn example(case: &'static str, error: Error, context: &Context) -> Example {
    let explanation = explain(&error, context);
    Example { case, text: error.fact().to_string(), explanation }
}

fn head(status: u16) -> ResponseHead {
    ResponseHead { status: StatusCode::from_u16(status).unwrap(), retry_after: None }
}

fn rejected(status: u16, body: Body) -> HttpError {
    HttpError::Rejected(Rejection { host: "<host>".to_owned(), head: head(status), body })
}

fn exchange_until(http: HttpError, stop: StopReason) -> Error {
    let cause = AttemptError::Exchange { error: ServiceError::from(http), claims: Claims::default() };
    Error::Login(LoginError { cause, attempts: 1, stop })
}

fn exchange(http: HttpError) -> Error {
    exchange_until(http, StopReason::Permanent)
}

fn id_token(http: HttpError) -> Error {
    let cause = AttemptError::IdToken(ServiceError::from(http));
    Error::Login(LoginError { cause, attempts: 1, stop: StopReason::Permanent })
}

fn index(error: ServiceIndexError) -> Error {
    let cause = AttemptError::ServiceIndex(error);
    Error::Login(LoginError { cause, attempts: 1, stop: StopReason::Permanent })
}

/// The messages of both services, each by itself.
fn service_messages() -> Vec<Example> {
    let example = |text: &String, case, context: &Context| Example {
        case,
        text: text.clone(),
        explanation: explain(&exchange(rejected(401, Body::Message(text.clone()))), context),
    };
    let mut examples = Vec::new();
    let plain = github(|_| {});
    for (text, name) in known_texts() {
        let on_gitlab = example(&text, "In GitLab CI", &context(Ci::GitLab));
        match name {
            // Only GitLab's policies have a ref.
            "RefMismatch" | "RefNotABranch" => {
                examples.push(Example { case: "", ..on_gitlab });
                continue;
            }
            "NoMatchingPolicy" => {
                let owner = github(|it| it.user = "<owner>".to_owned());
                examples.push(example(&text, "", &plain));
                examples.push(example(&text, "If `user` is the owner of the repository", &owner));
                let name = github(|it| it.user = "<display name>".to_owned());
                examples.push(example(&text, "If `user` does not have the form of a profile name", &name));
            }
            "WorkflowMismatch" => {
                examples.push(example(&text, "", &plain));
                let called = github(|it| it.caller = Some("<calling file>".to_owned()));
                examples.push(example(&text, "If a reusable workflow of the same repository defines the job", &called));
            }
            "EnvironmentMismatch" => {
                examples.push(example(&text, "", &plain));
                let without = text.replace("'<actual>'", "''");
                examples.push(example(&without, "If the job has no environment", &plain));
            }
            "TokenNotValidated" => {
                examples.push(example(&text, "", &plain));
                let issuer = "https://token.actions.githubusercontent.com/<enterprise>".to_owned();
                let enterprise = github(|it| it.obstacle = Some(Obstacle::Issuer(issuer)));
                examples.push(example(&text, "", &enterprise));
            }
            _ => examples.push(example(&text, "", &plain)),
        }
        // These are about workflow files.
        if ["WorkflowMismatch", "EventNotAllowed", "ForeignReusableWorkflow"].contains(&name) {
            continue;
        }
        let differs = examples.iter().all(|it| it.explanation.fixes_plain() != on_gitlab.explanation.fixes_plain());
        if differs {
            examples.push(on_gitlab);
        }
    }
    examples
}

impl Explanation {
    fn fixes_plain(&self) -> Vec<String> {
        // A new pipeline of GitLab's is a new run of GitHub's.
        let plain = |text: String| {
            text.replace(", then start a new pipeline", "")
                .replace(", then retry the job", "")
                .replace(", then start a new run (a re-run uses the old workflow file)", "")
                .replace(", then re-run the job", "")
        };
        self.fixes.iter().map(|fix| plain(fix.text.to_string())).collect()
    }
}

fn other_rejections() -> Vec<Example> {
    let plain = github(|_| {});
    let gitlab = context(Ci::GitLab);
    let two = "Workflow mismatch for policy '<policy 1>': expected '<expected>', actual '<actual>'. Environment mismatch for \
               policy '<policy 2>': expected '<expected>', actual '<actual>'";
    let several = exchange(rejected(401, Body::Message(two.to_owned())));
    let mut examples = vec![example("", several, &plain)];
    for (error, status) in
        [(404, Body::Other), (429, Body::Other), (401, Body::Other)].map(|(it, body)| (rejected(it, body), it))
    {
        examples.push(example(
            if status == 401 { "For each status from 400 to 499" } else { "" },
            exchange(error),
            &plain,
        ));
    }
    examples.push(example("At the token service", exchange(rejected(302, Body::Other)), &plain));
    examples.push(example("At GitHub's ID-token service", id_token(rejected(302, Body::Other)), &plain));
    examples.push(example("At the service index", index(ServiceIndexError::Http(rejected(302, Body::Other))), &plain));
    examples.push(example("", id_token(rejected(401, Body::Other)), &plain));
    examples.push(example("For each other status from 400 to 499", id_token(rejected(403, Body::Other)), &plain));
    examples.push(example("", exchange(rejected(403, Body::Page)), &plain));
    examples.push(example("", exchange(rejected(503, Body::Other)), &plain));
    let lost =
        HttpError::NoResponse { host: host(), head: None, reason: NoResponse::TimedOut(Duration::from_secs(30)) };
    examples.push(example("", exchange_until(lost, StopReason::ResponsesLost), &plain));
    let lost = HttpError::NoResponse { host: host(), head: None, reason: NoResponse::Incomplete };
    examples.push(example("", exchange_until(lost, StopReason::TokenConsumed), &gitlab));
    let package = Package { id: "<package>".to_owned(), version: "<version>".to_owned() };
    examples.push(example("", Error::Push(PushError { package, http: rejected(403, Body::Other) }), &plain));
    let package = Package { id: "<package>".to_owned(), version: "<version>".to_owned() };
    examples.push(example("", Error::Push(PushError { package, http: rejected(400, Body::Other) }), &plain));
    let unusable = |reason| HttpError::Unusable { host: host(), reason };
    examples.push(example("", id_token(unusable(Unusable::RepeatedIdToken)), &plain));
    examples.push(example("", id_token(unusable(Unusable::NotJson { wanted: "a string \"value\"" })), &plain));
    examples.push(example("", exchange(unusable(Unusable::NotJson { wanted: "a string \"apiKey\"" })), &plain));
    let short = Unusable::InvalidSecret { field: "apiKey", problem: InvalidSecret::Empty };
    examples.push(example("", exchange(unusable(short)), &plain));
    examples
}

fn host() -> String {
    "<host>".to_owned()
}

fn connections() -> Vec<Example> {
    let plain = github(|_| {});
    let proxy = || ProxyName { address: "<proxy>".to_owned(), variable: "HTTPS_PROXY" };
    let problem = || "<problem>".to_owned();
    let refused =
        |status| HttpError::Proxy { proxy: proxy(), host: host(), head: Some(head(status)), problem: problem() };
    let certificate = |kind, text: &str| HttpError::Certificate {
        host: host(),
        proxy: None,
        error: CertificateError::new("<server>".to_owned(), kind, text.to_owned()),
    };
    let response = |reason| HttpError::NoResponse { host: host(), head: None, reason };
    let errors = [
        HttpError::NotConnected { host: host(), problem: problem() },
        HttpError::Tls { host: host(), proxy: None, problem: problem(), temporary: true },
        HttpError::Tls { host: host(), proxy: None, problem: problem(), temporary: false },
        certificate(CertificateProblem::Issuer, "<issuer>"),
        certificate(CertificateProblem::Invalid, "<problem>"),
        certificate(CertificateProblem::Unfit, "<problem>"),
        refused(407),
        refused(503),
        refused(403),
        HttpError::Proxy { proxy: proxy(), host: host(), head: None, problem: problem() },
        response(NoResponse::TimedOut(Duration::from_secs(30))),
        response(NoResponse::Unreadable(problem())),
        response(NoResponse::Incomplete),
        HttpError::TooLong { host: host(), head: Some(head(200)) },
        HttpError::TooLong { host: host(), head: None },
    ];
    let mut examples = Vec::from_iter(errors.map(|error| example("", exchange(error), &plain)));
    examples.push(example(
        "",
        Error::Setup(SetupError::Trust(TrustError::new("<variable>", "<path>", "<problem>"))),
        &plain,
    ));
    examples.push(example("", Error::Setup(SetupError::Proxy(ProxyError::Malformed("HTTPS_PROXY"))), &plain));
    examples
}

fn service_index() -> Vec<Example> {
    let plain = github(|_| {});
    let not_json = HttpError::Unusable { host: host(), reason: Unusable::NotJson { wanted: "a list \"resources\"" } };
    let not_https = EndpointError::NotHttps { shown: "<URL>".to_owned() };
    [
        ServiceIndexError::Http(rejected(401, Body::Other)),
        ServiceIndexError::Http(rejected(404, Body::Other)),
        ServiceIndexError::Http(not_json),
        ServiceIndexError::Missing { host: host(), listed: "<resources>".to_owned() },
        ServiceIndexError::Unusable { host: host(), problem: not_https },
        ServiceIndexError::Loopback { host: host(), found: "<loopback host>".to_owned() },
        ServiceIndexError::Audience { found: host() },
    ]
    .map(|error| example("", index(error), &plain))
    .into_iter()
    .collect()
}

fn permissions() -> Vec<Example> {
    let plain = github(|_| {});
    let gitlab = context(Ci::GitLab);
    let source = |case, error, context: &Context| example(case, Error::IdTokenSource(error), context);
    let missing = || IdTokenSourceError::NotPermitted("ACTIONS_ID_TOKEN_REQUEST_URL");
    let fork = github(|it| {
        it.start.fork = Some("<fork>".to_owned());
        it.start.event = "pull_request".to_owned();
    });
    let dependabot = github(|it| it.start.actor = Some("dependabot[bot]".to_owned()));
    let not_https = EndpointError::NotHttps { shown: "<URL>".to_owned() };
    let audience = IdTokenSourceError::Audience {
        variable: "<variable>".to_owned(),
        found: vec!["<other audience>".to_owned()],
        wanted: "<audience>".to_owned(),
    };
    let mut examples = vec![
        source("", missing(), &plain),
        source("For a pull request from a fork", missing(), &fork),
        source("For Dependabot", missing(), &dependabot),
        source("", IdTokenSourceError::RequestUrl("ACTIONS_ID_TOKEN_REQUEST_URL", not_https), &plain),
        source(
            "",
            IdTokenSourceError::InvalidSecret("ACTIONS_ID_TOKEN_REQUEST_TOKEN".to_owned(), InvalidSecret::Character),
            &plain,
        ),
        source("", IdTokenSourceError::NoIdToken("<variable>".to_owned()), &gitlab),
        source("", IdTokenSourceError::NotAJsonWebToken("<variable>".to_owned()), &gitlab),
        source("", IdTokenSourceError::InvalidSecret("<variable>".to_owned(), InvalidSecret::Character), &gitlab),
        source("", audience, &gitlab),
    ];
    // What is missing is the note; a user searches for the fact.
    for example in &mut examples[..3] {
        example.text = example.explanation.fact.to_string();
    }
    examples
}

fn usage() -> Vec<Example> {
    let plain = github(|_| {});
    let text = |text: &str| text.to_owned();
    [
        UsageError::Arguments(text("unexpected argument '<argument>' found"), None),
        UsageError::NotGitHubActions,
        UsageError::NoJob("ACTIONS_ID_TOKEN_REQUEST_URL"),
        UsageError::OtherCi("Azure DevOps"),
        UsageError::NoSandbox(host()),
        UsageError::SandboxElsewhere(host()),
        UsageError::BothCis,
        UsageError::NoOutputsOnGitLab,
        UsageError::NoUser { is_input: true },
        UsageError::NoUser { is_input: false },
        UsageError::NotAProfileName {
            given: text("https://www.nuget.org/profiles/<name>"),
            name: Some(text("<name>")),
        },
        UsageError::NotAProfileName { given: text("<value>"), name: None },
        UsageError::EmailAddress(text("<address>")),
        UsageError::CredentialAsUser,
        UsageError::LongUser(65),
        UsageError::TokenServiceUrl(EndpointError::Malformed { shown: text("<value>"), cause: text("<problem>") }),
        UsageError::TokenServiceUrl(EndpointError::NotHttps { shown: text("<URL>") }),
        UsageError::Source(EndpointError::Credentials { host: host() }),
        UsageError::SourceAndTokenService,
        UsageError::SourceAudience(host()),
        UsageError::TokenServiceAudience(host()),
        UsageError::LongAudience(1_001),
        UsageError::TimeoutSeconds(text("<value>")),
        UsageError::Boolean("export-env", text("<value>")),
        UsageError::CheckOnlyExports,
        UsageError::Package(text("<value>")),
        UsageError::PackageWithoutCheck,
        UsageError::PackageElsewhere(host()),
        UsageError::IdTokenVariable,
        UsageError::EmptyCommand,
        UsageError::NotUnicode(NotUnicode(text("<variable>"))),
    ]
    .map(|error| {
        let case = match &error {
            UsageError::TokenServiceAudience(_) => "In GitLab CI",
            UsageError::NoUser { is_input: false } => "For `exec`, and in GitLab CI",
            _ => "",
        };
        example(case, Error::Usage(error), &plain)
    })
    .into_iter()
    .collect()
}

fn machine() -> Vec<Example> {
    let plain = github(|_| {});
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let command =
        |exit_code| Error::Command { program: "<command>".to_owned(), cause: "<problem>".to_owned(), exit_code };
    [
        Error::OutputFile(OutputFileError::Unset { variable: "GITHUB_OUTPUT" }),
        Error::OutputFile(OutputFileError::Unusable {
            variable: "GITHUB_OUTPUT",
            path: PathBuf::from("<path>"),
            cause: denied(),
        }),
        Error::OutputFile(OutputFileError::Unwritten { variable: "GITHUB_OUTPUT", cause: denied() }),
        Error::NotMasked(io::Error::from(io::ErrorKind::BrokenPipe)),
        Error::Setup(SetupError::Thread(anyhow::anyhow!("the network thread cannot be started: <problem>"))),
        command(127),
        command(126),
        Error::Repository(RepositoryError::NoGit(io::Error::from(io::ErrorKind::NotFound))),
        Error::Repository(RepositoryError::Refused("<message of git>".to_owned())),
        Error::Repository(RepositoryError::NoHost),
        Error::Repository(RepositoryError::NotUnicode),
        Error::NothingToCheck(text!("{}", "<reason>")),
        Error::UnreadablePath { path: "<path>".to_owned(), cause: denied() },
        Error::UnreadableWorkflows(denied()),
        Error::NothingToMigrate(text!("{}", "<reason>")),
        Error::NotWritten { file: "<file>".to_owned(), cause: denied() },
        Error::UnknownHost { host: host() },
        Error::UnknownJob(text!("{}", "<reason>")),
        Error::NotPrinted(io::Error::from(io::ErrorKind::BrokenPipe)),
    ]
    .map(|error| example("", error, &plain))
    .into_iter()
    .collect()
}

/// The chapters, in the order in which a login meets their subjects.
fn chapters() -> Vec<(&'static str, Vec<Example>)> {
    vec![
        ("Inputs and flags", usage()),
        ("The right to request an ID token", permissions()),
        ("Messages of GitHub and of the token service", service_messages()),
        ("Other rejections", other_rejections()),
        ("Connections", connections()),
        ("The service index", service_index()),
        ("The machine and the command", machine()),
    ]
}

/// The topics of a chapter, in the order of their first examples.
fn topics(examples: Vec<Example>) -> Vec<(&'static str, Vec<Example>)> {
    let mut topics: Vec<(&'static str, Vec<Example>)> = Vec::new();
    for example in examples {
        match topics.iter_mut().find(|(topic, _)| *topic == example.explanation.topic) {
            Some((_, examples)) => examples.push(example),
            None => topics.push((example.explanation.topic, vec![example])),
        }
    }
    topics
}

fn section(topic: &str, examples: &[Example]) -> String {
    let mut texts: Vec<&str> = Vec::new();
    examples.iter().for_each(|it| {
        if !texts.contains(&&*it.text) {
            texts.push(&it.text)
        }
    });
    let mut paragraphs = vec![format!("### {topic}"), format!("```text\n{}\n```", texts.join("\n"))];
    let background = BACKGROUND.iter().find(|(of, _)| *of == topic).map(|(_, text)| *text);
    paragraphs.extend(background.map(str::to_owned));
    let mut shown = BTreeSet::new();
    for Example { case, text, explanation } in examples {
        let advice = fixes(&explanation.fixes, |text| text.markdown());
        if !shown.insert(advice.clone()) {
            continue;
        }
        match (*case, shown.len()) {
            ("", 1) => {}
            ("", _) => paragraphs.push(format!("{}:", Code(text))),
            (case, _) => paragraphs.push(format!("**{case}:**")),
        }
        if explanation.fact.to_string() != *text {
            paragraphs.push(format!("{}.", capitalized(&explanation.fact.markdown())));
        } else {
            assert!(background.is_some(), "no cause in BACKGROUND: {topic}");
        }
        paragraphs.push(advice);
    }
    paragraphs.join("\n\n")
}

/// Breaks a paragraph or an item at blanks outside code spans.
fn wrap(line: &str) -> String {
    let indent = " ".repeat(line.find(". ").filter(|at| line[..*at].parse::<u8>().is_ok()).map_or(0, |at| at + 2));
    // A code span is one word.
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        match words.last_mut().filter(|last| last.matches('`').count() % 2 == 1) {
            Some(last) => *last = format!("{last} {word}"),
            None => words.push(word.to_owned()),
        }
    }
    let (mut wrapped, mut width) = (String::new(), 0);
    for word in words {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            wrapped += &format!("\n{indent}");
            width = indent.len();
        } else if width > 0 {
            wrapped.push(' ');
            width += 1;
        }
        wrapped += &word;
        width += length;
    }
    wrapped
}

fn wrap_all(document: &str) -> String {
    let mut is_fenced = false;
    let lines = document.lines().map(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        let is_kept = is_fence || is_fenced || line.starts_with('<') || line.chars().count() <= WIDTH;
        if is_kept { line.to_owned() } else { wrap(line) }
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

fn document() -> String {
    let mut parts = vec![INTRODUCTION.to_owned()];
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut chapters = Vec::from_iter(chapters().into_iter().map(|(chapter, examples)| (chapter, topics(examples))));
    // A topic of two chapters belongs to the first.
    for at in 1..chapters.len() {
        let (before, rest) = chapters.split_at_mut(at);
        for (topic, examples) in std::mem::take(&mut rest[0].1) {
            match before.iter_mut().flat_map(|(_, topics)| topics).find(|(known, _)| *known == topic) {
                Some((_, known)) => known.extend(examples),
                None => rest[0].1.push((topic, examples)),
            }
        }
    }
    let contents = chapters.iter().map(|(chapter, _)| format!("- [{chapter}](#{})", anchor(chapter)));
    let contents = contents.chain(["- [After the login](#after-the-login)".to_owned()]);
    parts.push(contents.collect::<Vec<_>>().join("\n"));
    for (chapter, topics) in &chapters {
        parts.push(format!("## {chapter}"));
        for (topic, examples) in topics {
            assert_eq!(seen.insert(anchor(topic), topic), None, "two headings with one anchor");
            parts.push(section(topic, examples));
        }
    }
    parts.push(AFTER_THE_LOGIN.trim_end().to_owned());
    let unused = BACKGROUND.iter().find(|(topic, _)| !seen.contains_key(&anchor(topic)));
    assert_eq!(unused, None, "a background of no topic");
    wrap_all(
        &parts
            .join("\n\n")
            .replace("\n\n\n", "\n\n")
            .replace(USER, "<user>")
            .replace("<user>:PASSWORD", "USER:PASSWORD"),
    )
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT)
}

#[test]
fn the_document_is_what_the_program_says() {
    let document = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path(), &document).unwrap();
    }
    let written = std::fs::read_to_string(path()).unwrap_or_default();
    assert!(written == document, "{DOCUMENT} is out of date: UPDATE_DOCS=1 cargo test --lib troubleshooting");
}

#[test]
fn every_link_of_a_failure_leads_to_a_heading() {
    let document = document();
    let anchors: BTreeSet<String> = document.lines().filter_map(|line| line.strip_prefix("### ")).map(anchor).collect();
    let mut links = 0;
    for snapshot in crate::snapshots() {
        for link in snapshot.split("docs/troubleshooting.md#").skip(1) {
            let link: String = link.chars().take_while(|c| c.is_alphanumeric() || *c == '-').collect();
            assert!(anchors.contains(&link), "no heading: {link}");
            links += 1;
        }
    }
    assert!(links > 100);
}

/// Each topic that the program can name is in an example.
#[test]
fn every_topic_is_in_the_document() {
    let document = document();
    let sources = [include_str!("mod.rs"), include_str!("login.rs"), include_str!("service_message.rs")];
    let mut topics = 0;
    for line in sources.iter().flat_map(|source| source.lines()) {
        // A topic is the only thing on its line that is a sentence of a few words in quotes, with a comma behind it.
        let Some(topic) = line.trim().strip_suffix("\",").and_then(|line| line.strip_prefix('"')) else { continue };
        let is_topic = topic.starts_with(|c: char| c.is_ascii_uppercase()) && topic.len() < 50 && !topic.contains('{');
        if is_topic {
            assert!(document.contains(&format!("\n### {topic}\n")), "no example of {topic}");
            topics += 1;
        }
    }
    assert!(topics > 50, "{topics}");
}

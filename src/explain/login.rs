//! What a failed login means: the errors of the services and of the network on the way.

use crate::explain::context::Context;
use crate::explain::explanation::{Explanation, Fix, fix};
use crate::explain::service_message;
use crate::explain::trust_policy::{ShownPolicy, TRUSTED_PUBLISHING};
use crate::http::error::{Body, HttpError, Rejection, ResponseHead, Unusable};
use crate::http::tls::CertificateProblem;
use crate::retry::{RESPONSES_LOST, StopReason};
use crate::text::{Text, Words, text};
use crate::trusted_publishing::login::{AttemptError, LoginError};
use crate::trusted_publishing::service_index::{ServiceIndexError, TOKEN_SERVICE};
use crate::trusted_publishing::verify_key::PushError;

/// Explains why a login failed, with what was answered and how many attempts there were.
pub(super) fn login(error: &LoginError, context: &Context) -> Explanation {
    let answer = error.cause.fact();
    let explanation = match &error.cause {
        AttemptError::ServiceIndex(error) => service_index(error),
        AttemptError::NotMasked(_) => not_masked(answer.clone()),
        AttemptError::IdToken(service) => {
            service_message::explain(&service.messages, context).unwrap_or_else(|| id_token(&service.http))
        }
        AttemptError::Exchange { error: service, .. } => service_message::explain(&service.messages, context)
            .unwrap_or_else(|| exchange(&service.http, error.stop, context)),
    };
    let is_fact = explanation.fact == answer;
    explanation.note((!is_fact).then_some(answer)).note(error.history())
}

/// What an error of GitHub's ID-token service means.
fn id_token(error: &HttpError) -> Explanation {
    match (error, status(error)) {
        (HttpError::Unusable { reason: Unusable::RepeatedIdToken, .. }, _) => Explanation::new(
            "ID token repeated",
            error.fact(),
            &[
                fix!("check HTTPS_PROXY: a cache between this job and GitHub returns old ID tokens"),
                do_not_set_request_variables(),
            ],
        ),
        // A web page is not from GitHub.
        (HttpError::Rejected(Rejection { body: Body::Page, .. }), _) => http(error),
        (_, Some(401)) => Explanation::new(
            "Request token rejected",
            text!("GitHub rejected this job's request token (HTTP 401)"),
            &[
                fix!("run the job again: a request token is valid only while its job runs"),
                do_not_set_request_variables(),
            ],
        ),
        (_, Some(300..=399)) => Explanation::new(
            "Redirect",
            error.fact(),
            &[
                do_not_set_request_variables(),
                fix!("check HTTPS_PROXY and the gateways on the way: one of them redirects"),
            ],
        ),
        (HttpError::Rejected(Rejection { head, .. }), Some(400..=499)) if !head.is_temporary() => Explanation::new(
            "Request for an ID token rejected",
            text!("GitHub rejected the request for an ID token (HTTP {})", Words(head.status.as_str())),
            &[
                fix!("run the job again, and check https://www.githubstatus.com"),
                fix!("check that the job has `id-token: write`, and that it is still running"),
                do_not_set_request_variables(),
            ],
        ),
        (HttpError::Unusable { reason, .. }, _) if !matches!(reason, Unusable::Page { .. }) => Explanation::new(
            "Unexpected response from GitHub",
            error.fact(),
            &[fix!("run the job again, and check https://www.githubstatus.com"), do_not_set_request_variables()],
        ),
        _ => http(error),
    }
}

/// What an error of the token service means.
fn exchange(error: &HttpError, stop: StopReason, context: &Context) -> Explanation {
    match (error, status(error), stop) {
        (_, _, StopReason::TokenConsumed) => Explanation::new(
            "Only ID token used",
            text!("the exchange failed, and GitLab gives a job only one ID token"),
            &[
                fix!("retry the job: it gets a new ID token"),
                fix!("wait 30 seconds between two logins of a user: nuget.org issues one API key in that time"),
                fix!("if the failure repeats, check https://status.nuget.org"),
            ],
        ),
        (_, _, StopReason::ResponsesLost) => Explanation::new(
            "Responses lost",
            text!("the token service did not respond to {} exchanges", Words(RESPONSES_LOST)),
            &[fix!(
                "run the job again later: API keys that were created and not used expire within one hour at nuget.org"
            )],
        ),
        (HttpError::Rejected(Rejection { body: Body::Page, head, .. }), _, _)
            if head.status != 404 && head.status != 429 =>
        {
            http(error)
        }
        (_, Some(404), _) => Explanation::new(
            "Token service not found",
            text!("there is no token service at {} (HTTP 404)", &context.service),
            &[
                fix!("remove `token-service-url` for nuget.org, or correct it for another registry"),
                fix!("for nuget.org, run the job again later: its token service can be switched off"),
            ],
        ),
        (_, Some(429), _) => Explanation::new(
            "Too many logins",
            text!("too many logins for {} in a short time (HTTP 429)", &context.user),
            &[
                fix!("wait one minute, and re-run the job"),
                fix!("or let the login wait longer: set `timeout-seconds: 300`"),
                fix!("or, with a matrix, log in and push in one job that runs after the others (`needs:`)"),
            ],
        ),
        (_, Some(300..=399), _) => Explanation::new(
            "Redirect",
            error.fact(),
            &[
                fix!("set `token-service-url` to the final URL: a credential is sent only to the host that you name"),
                fix!("check HTTPS_PROXY and the gateways on the way: one of them redirects"),
            ],
        ),
        (HttpError::Rejected(Rejection { head, .. }), Some(400..=499), _) if !head.is_temporary() => {
            unknown(*head, context)
        }
        _ => http(error),
    }
}

/// A rejection with a message that is not known, or without one.
fn unknown(head: ResponseHead, context: &Context) -> Explanation {
    let fact =
        text!("the token service rejected the login for an unknown reason (HTTP {})", Words(head.status.as_str()));
    let compare = match &context.obstacle {
        Some(obstacle) => {
            let obstacle = service_message::obstacle(obstacle, context);
            return Explanation {
                fixes: obstacle.fixes,
                policy: obstacle.policy,
                ..Explanation::new("Unknown rejection", text!("{}; {}", fact, obstacle.fact), &[])
            };
        }
        None => fix!("compare the trust policy at {} with the values below", Words(TRUSTED_PUBLISHING)),
    };
    let report = fix!("if they agree, report the message in the log to the registry (nuget.org: support@nuget.org)");
    Explanation::new("Unknown rejection", fact, &[compare, report]).show(ShownPolicy::default())
}

fn service_index(error: &ServiceIndexError) -> Explanation {
    let url = || fix!("set `source` to the URL that `dotnet nuget push --source` takes (it ends in index.json)");
    match error {
        ServiceIndexError::Http(error) => match (error, status(error)) {
            (_, Some(401)) => Explanation::new(
                "Service index is private",
                text!("the service index requires credentials (HTTP 401)"),
                &[fix!("set `token-service-url` to the URL of the token service instead of `source`")],
            ),
            (_, Some(404)) => Explanation::new(
                "No service index",
                text!("there is no service index at `source` (HTTP 404)"),
                &[url()],
            ),
            (_, Some(300..=399)) => {
                Explanation::new("Redirect", error.fact(), &[fix!("set `source` to the final URL")])
            }
            (HttpError::Unusable { .. }, _) => Explanation::new(
                "No service index",
                text!("the URL in `source` is not a NuGet V3 service index"),
                &[url()],
            ),
            _ => http(error),
        },
        ServiceIndexError::Missing { listed, .. } => Explanation::new(
            "No token service in the service index",
            error.fact(),
            &[
                fix!("for nuget.org, remove `source`"),
                fix!(
                    "for another registry, ask the operator for the URL of its token service, and set \
                     `token-service-url` to it"
                ),
            ],
        )
        .note(text!("it lists {}, not {}", listed, Words(TOKEN_SERVICE))),
        ServiceIndexError::Unusable { .. } | ServiceIndexError::Loopback { .. } => Explanation::new(
            "Token service not allowed",
            error.fact(),
            &[fix!("ask the operator of the registry to list its token service with an https URL")],
        ),
        ServiceIndexError::Audience { .. } => Explanation::new(
            "Audience of nuget.org",
            error.fact(),
            &[fix!("set `audience` to the audience that this registry expects")],
        ),
    }
}

/// Why a push was not allowed, or could not be checked.
pub(super) fn push(error: &PushError) -> Explanation {
    if !error.is_refusal() {
        let matches = text!("a trust policy matches this job, but the push could not be checked");
        let explanation = match status(&error.http) {
            Some(400..=499) => Explanation::new(
                "Push not checked",
                text!("the registry did not answer whether a push of {} is allowed", &error.package.id),
                &[fix!("remove `package` to test only the trust policy")],
            )
            .note(error.http.fact()),
            _ => http(&error.http),
        };
        return explanation.note(matches);
    }
    Explanation::new(
        "Push not allowed",
        error.fact(),
        &[
            fix!("check `Package Owner` of the trust policy: {} must belong to this account", &error.package.id),
            fix!(
                "check `Select Scopes` and `Glob Patterns and Packages` of the policy at {}",
                Words(TRUSTED_PUBLISHING)
            ),
            fix!("if several policies match this job, check the oldest: nuget.org uses it"),
        ],
    )
    .note(error.http.fact())
}

/// What an error means whatever the service.
fn http(error: &HttpError) -> Explanation {
    let new = |topic: &'static str, fixes: &[Fix]| Explanation::new(topic, error.fact(), fixes);
    let no_proxy = |host: &str| fix!("or add {} to NO_PROXY if the runner can reach it without a proxy", host);
    match error {
        HttpError::Certificate { error, .. } => certificate(error.kind, new),
        HttpError::Proxy { proxy, head: Some(head), .. } if head.status == 407 => new(
            "Proxy authentication",
            &[fix!(
                "set {} to `http://USER:PASSWORD@HOST:PORT`, with a user that the proxy accepts",
                Words(proxy.variable)
            )],
        ),
        HttpError::Proxy { host, head: Some(head), .. } if head.is_temporary() => new(
            "Proxy temporarily unavailable",
            &[
                fix!("run the job again later"),
                fix!("if the failure repeats, ask the operator of the proxy about connections to {}", host),
            ],
        ),
        HttpError::Proxy { host, head: Some(head), .. } if head.status.is_client_error() => {
            new("Host refused by the proxy", &[fix!("allow {} in the proxy", host), no_proxy(host)])
        }
        HttpError::Proxy { proxy, host, .. } => new(
            "Proxy not reachable",
            &[
                fix!("check the address in {}, in the `env:` of the workflow or on the runner", Words(proxy.variable)),
                fix!("check that the proxy is running"),
                no_proxy(host),
            ],
        ),
        HttpError::Rejected(Rejection { body: Body::Page, host, .. })
        | HttpError::Unusable { reason: Unusable::Page { .. }, host } => new(
            "Web page instead of a response",
            &[
                fix!("on a self-hosted runner, allow {} in the firewall, or set HTTPS_PROXY", host),
                fix!("on a hosted runner, run the job again later"),
            ],
        ),
        _ if status(error).is_some_and(|status| status >= 500) => new(
            "Service unavailable",
            &[fix!("run the job again later"), fix!("check https://www.githubstatus.com and https://status.nuget.org")],
        ),
        HttpError::Rejected(_) => new("Service unavailable", &[fix!("run the job again later")]),
        HttpError::Unusable { host, .. } => new(
            "Unexpected response",
            &[
                fix!("check `token-service-url`"),
                fix!("check HTTPS_PROXY and the gateways on the way: one of them responds instead of {}", host),
            ],
        ),
        HttpError::TooLong { host, .. } => new(
            "Response too large",
            &[
                fix!("check the URL of {}", host),
                fix!("check HTTPS_PROXY and the gateways on the way: one of them responds instead of {}", host),
            ],
        ),
        HttpError::NoResponse { host, .. } => new(
            "Incomplete response",
            &[
                fix!("run the job again later"),
                fix!("if the failure repeats, check the firewall, proxy or gateway between this runner and {}", host),
            ],
        ),
        HttpError::Tls { temporary: true, host, .. } => new(
            "TLS interrupted",
            &[
                fix!("run the job again later"),
                fix!("if the failure repeats, ask the operator of {} or of a proxy that inspects TLS", host),
            ],
        ),
        HttpError::Tls { temporary: false, host, .. } => new(
            "TLS failure",
            &[
                fix!("check that {} is the right host and port, and that it serves https", host),
                fix!("check for a firewall or a proxy that inspects TLS"),
            ],
        ),
        HttpError::NotConnected { host, .. } => new(
            "Host not reachable",
            &[
                fix!("on a self-hosted runner, allow {} in the firewall, or set HTTPS_PROXY", host),
                fix!("on a hosted runner, run the job again later"),
            ],
        ),
    }
}

fn certificate(problem: CertificateProblem, new: impl Fn(&'static str, &[Fix]) -> Explanation) -> Explanation {
    match problem {
        CertificateProblem::Issuer => new(
            "Certificate authority not trusted",
            &[
                fix!(
                    "if the issuer is your company's certificate authority, set NODE_EXTRA_CA_CERTS to a PEM file with its \
                     certificate"
                ),
                fix!("if it is not, check HTTPS_PROXY and the network: another server answers"),
            ],
        ),
        CertificateProblem::Invalid => new(
            "Certificate not valid",
            &[
                fix!("check the URL or HTTPS_PROXY, and the clock of this machine"),
                fix!("if the certificate has expired, ask the operator of the server to renew it"),
            ],
        ),
        CertificateProblem::Unfit => new(
            "Certificate not acceptable",
            &[fix!(
                "ask the operator of the server for a certificate without this problem (trusting its issuer does not help)"
            )],
        ),
    }
}

/// The status of a rejection, or of a response that is too long.
fn status(error: &HttpError) -> Option<u16> {
    error.rejection().map(|head| head.status.as_u16())
}

/// No secret can be masked.
pub(super) fn not_masked(fact: Text) -> Explanation {
    Explanation::new(
        "Log not writable",
        fact,
        &[fix!("do not redirect or close standard output and standard error of the login step")],
    )
}

pub(super) fn do_not_set_request_variables() -> Fix {
    fix!(
        "remove every `env:` entry that sets ACTIONS_ID_TOKEN_REQUEST_URL or ACTIONS_ID_TOKEN_REQUEST_TOKEN: GitHub sets \
         both in each job"
    )
}

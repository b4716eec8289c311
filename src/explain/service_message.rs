//! What the messages of GitHub's ID-token service and of nuget.org's token service mean.

use crate::environment::Ci;
use crate::explain::context::Context;
use crate::explain::explanation::{Explanation, Fix, fix};
use crate::explain::trust_policy::{ENVIRONMENT, REF, ShownPolicy, TRUSTED_PUBLISHING, TrustPolicy, WORKFLOW_FILE};
use crate::settings::{NUGET_ORG_TOKEN_SERVICE, contained_name, is_profile_name};
use crate::text::{Text, Words, text};
use crate::trusted_publishing::obstacle::Obstacle;
use crate::trusted_publishing::service_message::ServiceMessage;
use crate::yaml::scalar;

/// Number of policies with a fix of their own. A service can give reasons for hundreds.
const MOST_FIXES: usize = 8;

/// The distance of a message that says least about the job.
const FARTHEST: u8 = 4;

/// Explains a rejection with these messages, at least one: an obstacle first, then the policy that is nearest to the job.
pub(super) fn explain(messages: &[ServiceMessage], context: &Context) -> Option<Explanation> {
    let mut distinct: Vec<&ServiceMessage> = Vec::new();
    for nearness in 0..=FARTHEST {
        for it in messages.iter().filter(|it| distance(it) == nearness) {
            if !distinct.contains(&it) {
                distinct.push(it);
            }
        }
    }
    let (nearest, others) = distinct.split_first()?;
    if let Some(obstacle) = &context.obstacle
        && is_about_policies(nearest)
    {
        return Some(obstacle_and(obstacle, nearest, context));
    }
    let is_of_policy = |message: &&&ServiceMessage| policy_name(message).is_some();
    let policies = distinct.iter().filter(is_of_policy).count();
    if policies < 2 || !is_of_policy(&nearest) {
        return Some(one(nearest, context));
    }
    let first = one(nearest, context);
    let others = others.iter().filter(is_of_policy).take(MOST_FIXES - 1);
    let others = others.filter_map(|message| one(message, context).fixes.into_iter().next());
    let own = first.fixes.first().cloned();
    let fixes = own.into_iter().chain(others.map(|fix| fix!("or {}", fix.text))).chain([context.run_again()]);
    let fact = text!("none of the {} trust policies for this repository matches this job", Words(policies));
    let explanation = Explanation::new("Several trust policies", fact, &Vec::from_iter(fixes));
    Some(Explanation { policy: first.policy, ..explanation })
}

/// How far a policy is from the job, by the order of nuget.org's checks; an obstacle comes before all of them.
fn distance(message: &ServiceMessage) -> u8 {
    use ServiceMessage as Message;
    match message {
        Message::EventNotAllowed { .. } | Message::ForeignReusableWorkflow { .. } | Message::ClaimMissing { .. } => 0,
        Message::EnvironmentMismatch { .. } | Message::RefNotABranch { .. } => 1,
        Message::WorkflowMismatch { .. } | Message::RefMismatch { .. } => 2,
        Message::PolicyExpired { .. } => 3,
        _ => FARTHEST,
    }
}

/// The policy that a message is about.
fn policy_name(message: &ServiceMessage) -> Option<&String> {
    use ServiceMessage as Message;
    match message {
        Message::WorkflowMismatch { policy, .. }
        | Message::EnvironmentMismatch { policy, .. }
        | Message::RefMismatch { policy, .. }
        | Message::RefNotABranch { policy, .. }
        | Message::PolicyExpired { policy } => Some(policy),
        _ => None,
    }
}

/// Whether an obstacle can be behind a message.
fn is_about_policies(message: &ServiceMessage) -> bool {
    use ServiceMessage as Message;
    let is_issuer = matches!(message, Message::IssuerNotSupported | Message::TokenNotValidated);
    is_issuer || policy_name(message).is_some() || matches!(message, Message::NoMatchingPolicy { .. })
}

/// The explanation of an obstacle, and of what else is wrong.
fn obstacle_and(obstacle: &Obstacle, message: &ServiceMessage, context: &Context) -> Explanation {
    let mut explanation = self::obstacle(obstacle, context);
    // A policy for such a job is of no use; another user can be.
    if matches!(message, ServiceMessage::NoMatchingPolicy { .. })
        && let Some(user) = no_matching_policy(context).fixes.into_iter().next()
    {
        let is_restart_last = !matches!(obstacle, Obstacle::Issuer(_));
        explanation.fixes.insert(explanation.fixes.len() - usize::from(is_restart_last), user);
    }
    explanation
}

/// Explains why no trust policy can match a job.
pub(super) fn obstacle(obstacle: &Obstacle, context: &Context) -> Explanation {
    let new = |topic, fixes: &[Fix]| Explanation::new(topic, obstacle.fact(), fixes);
    match obstacle {
        Obstacle::ForeignReusableWorkflow(_) => new(
            "Reusable workflow of another repository",
            &[
                fix!(
                    "add a job with `steps:` for the login and the push to a workflow file of {}, with `id-token: write`",
                    path(context)
                ),
                fix!(
                    "let the reusable workflow only build: upload the packages as an artifact there, and download them \
                     in the new job (`needs:`)"
                ),
                fix!("create a trust policy with the values below at {}", Words(TRUSTED_PUBLISHING)),
                context.new_run(),
            ],
        )
        .show(ShownPolicy { is_moved: true, ..ShownPolicy::default() }),
        Obstacle::Event(event) => {
            let file = context.policy.as_ref().and_then(TrustPolicy::workflow_file);
            let file = file.map_or(text!("the workflow file"), |file| text!("{}", file));
            new(
                "Event not allowed",
                &[
                    fix!(
                        "remove {} from `on:` in {}, or move the job that publishes to another workflow file",
                        event,
                        file
                    ),
                    Fix {
                        text: text!("publish from another event, for example"),
                        lines: "on:\n  push:\n    tags: [\"v*\"]",
                    },
                    fix!("start a new run with that event (a re-run has the same event)"),
                ],
            )
        }
        Obstacle::Issuer(_) if obstacle.is_enterprise_issuer() => new(
            "Issuer of an enterprise",
            &[
                Fix {
                    text: text!(
                        "ask an owner of the enterprise to switch to GitHub's issuer for all its repositories"
                    ),
                    lines: "gh api --method PUT enterprises/ENTERPRISE/actions/oidc/customization/issuer \
                            --field include_enterprise_slug=false",
                },
                fix!("or publish with an API key in a secret"),
            ],
        ),
        Obstacle::Issuer(_) => new(
            "Issuer not supported",
            &[
                fix!(
                    "publish from github.com or gitlab.com: nuget.org does not support GitHub Enterprise Server or \
                     self-managed GitLab"
                ),
                fix!("or publish with an API key in a secret"),
            ],
        ),
    }
}

/// What a message means by itself.
fn one(message: &ServiceMessage, context: &Context) -> Explanation {
    use ServiceMessage as Message;

    let new = Explanation::new;
    let on_gitlab = context.ci == Ci::GitLab;
    let (user, issuer, audience) = (&context.user, context.issuer(), &context.audience);
    match message {
        Message::JobNotRunning { state } => new(
            "Job not running",
            text!("GitHub does not issue an ID token yet: the job is in the state {}", state),
            &[
                fix!("run the job again"),
                fix!("if the failure repeats, check https://www.githubstatus.com or increase `timeout-seconds`"),
            ],
        ),
        Message::NoMatchingPolicy { .. } => no_matching_policy(context),
        Message::WorkflowMismatch { policy: name, expected, actual } => {
            workflow_mismatch([name, expected, actual], context)
        }
        Message::EnvironmentMismatch { policy: name, expected, actual } => {
            environment_mismatch([name, expected, actual], context)
        }
        Message::RefMismatch { policy: name, expected, actual } => ref_mismatch([name, expected, actual], context),
        Message::RefNotABranch { git_ref, policy: name } => new(
            "Ref is a tag",
            text!(
                "the trust policy `{}` expects the branch {}, but this job runs for a tag of that name",
                name,
                git_ref
            ),
            &[
                clear(REF, name, git_ref, context),
                fix!("or start the job for the branch {}", git_ref),
                context.re_run(),
            ],
        )
        .show(ShownPolicy::marked(REF, text!("the policy has {}", git_ref))),
        Message::ForeignReusableWorkflow { job_workflow_ref, .. } => {
            obstacle(&Obstacle::ForeignReusableWorkflow(job_workflow_ref.clone()), context)
        }
        Message::PolicyExpired { policy } => new(
            "Policy expired",
            text!("the trust policy `{}` has expired: it was not used within 7 days after it was created", policy),
            &[
                fix!(
                    "sign in to nuget.org as {}, and click `Activate` for the policy `{}` at {}",
                    user,
                    policy,
                    Words(TRUSTED_PUBLISHING)
                ),
                fix!("start the job again within 7 days: after its first use the policy does not expire"),
            ],
        ),
        Message::EventNotAllowed { event } => obstacle(&Obstacle::Event(event.clone()), context),
        Message::ClaimMissing { claim } => {
            let fact = text!("the ID token from {} does not have the claim {}", issuer, claim);
            malformed("Claim missing", fact, context)
        }
        // Accounts
        Message::OrganizationAsUser => new(
            "User is an organization",
            text!("`user` is {}, an organization, but a trust policy belongs to a person", user),
            &[fix!("set `user` to the nuget.org profile name of the person who created the trust policy")],
        ),
        Message::UserDeleted { name } => new(
            "User deleted",
            text!("the nuget.org account {} is deleted", name),
            &[fix!("create a trust policy with another account, and set `user` to its profile name")],
        ),
        Message::OrganizationDeleted { name } => new(
            "Organization deleted",
            text!("the nuget.org organization {} is deleted", name),
            &[new_policy(), context.re_run()],
        ),
        Message::UserLocked { name } => new(
            "User locked",
            text!("the nuget.org account {} is locked", name),
            &[fix!("sign in to nuget.org as {} to see the reason, or contact support@nuget.org", name)],
        ),
        Message::OrganizationLocked { name } => new(
            "Organization locked",
            text!("the nuget.org organization {} is locked", name),
            &[fix!("contact support@nuget.org as an administrator of {}", name)],
        ),
        Message::UserEmailNotConfirmed { name } => new(
            "User not confirmed",
            text!("the e-mail address of the nuget.org account {} is not confirmed", name),
            &[fix!("sign in to nuget.org as {} and confirm the address in `Account settings`", name)],
        ),
        Message::OrganizationEmailNotConfirmed { name } => new(
            "Organization not confirmed",
            text!("the e-mail address of the nuget.org organization {} is not confirmed", name),
            &[fix!(
                "sign in to nuget.org as an administrator of {} and confirm the address in `Manage Organizations`",
                name
            )],
        ),
        Message::PackageOwnerGone => new(
            "Package owner deleted",
            text!("the trust policy matches, but its package owner no longer exists"),
            &[new_policy(), context.re_run()],
        ),
        Message::ScopesNotValid { owner } => new(
            "Package owner changed",
            text!("the trust policy matches, but {} is no longer allowed to act for the package owner {}", user, owner),
            &[
                fix!("ask an administrator of {} to add {} again in `Manage Organizations` on nuget.org", owner, user),
                fix!(
                    "or create a new policy with the account of a member of {}, and set `user` to that member's \
                     profile name",
                    owner
                ),
            ],
        )
        .show(ShownPolicy::default()),
        // The ID token
        Message::IssuerNotSupported if context.is_nuget_org && !Obstacle::is_supported_issuer(issuer) => {
            obstacle(&Obstacle::Issuer(issuer.to_owned()), context)
        }
        Message::IssuerNotSupported => {
            new("Issuer not supported", text!("the token service does not accept ID tokens from {}", issuer), &report())
        }
        Message::TokenNotValidated => new(
            "ID token not validated",
            text!("the token service could not validate the ID token from {}", issuer),
            &report(),
        ),
        Message::AudienceIncorrect => new(
            "Wrong audience",
            text!("the ID token was issued for the audience {}, which the token service does not accept", audience),
            &[
                match on_gitlab {
                    true => fix!(
                        "for nuget.org, set `aud: https://www.nuget.org` below `id_tokens:` and remove `--audience`"
                    ),
                    false => fix!("for nuget.org, remove `audience`"),
                },
                fix!("for another registry, ask the registry operator for the audience"),
            ],
        ),
        Message::SignatureInvalid => new(
            "Invalid signature",
            text!("the token service could not verify the signature of the ID token, also on a second attempt"),
            &report(),
        ),
        Message::TokenExpired if on_gitlab => new(
            "ID token expired",
            text!("the job's ID token has expired: GitLab issued it when the job started"),
            &[
                fix!("push in a job of its own that downloads the packages as artifacts"),
                fix!("or increase the job's `timeout:`, which is the lifetime of its ID token"),
            ],
        ),
        Message::TokenExpired => new(
            "ID token expired",
            text!("the token service rejects new ID tokens as expired: the service's clock is wrong"),
            &report(),
        ),
        Message::TokenNotYetValid => new(
            "ID token not yet valid",
            text!("the token service rejects ID tokens as not yet valid: the service's clock is wrong"),
            &report(),
        ),
        Message::AudienceNotSingle => {
            malformed("Several audiences", text!("the ID token must have exactly one audience ({})", audience), context)
        }
        Message::AudienceMissing => {
            malformed("Audience missing", text!("the ID token does not have the audience {}", audience), context)
        }
        Message::IssuerMissing => malformed("Issuer missing", text!("the ID token does not have an issuer"), context),
        Message::IssuerNotHttps => {
            malformed("Issuer not https", text!("the issuer of the ID token is not an https URL: {}", issuer), context)
        }
        Message::JtiMissing => {
            malformed("ID missing", text!("the ID token does not have a unique ID (`jti`)"), context)
        }
        Message::TokenNotParsed => malformed(
            "ID token not parsed",
            text!("the token service received something other than an ID token"),
            context,
        ),
        Message::TokenUsed if on_gitlab => new(
            "ID token already used",
            text!("the job's ID token has already been exchanged for an API key"),
            &[
                Fix {
                    text: text!("log in once in a job, and let one command do everything that needs the key"),
                    lines: "nuget-login exec --user NAME -- sh -c 'first command && second command'",
                },
                fix!("or add a second ID token below `id_tokens:`, and pass its name with `--id-token-variable`"),
            ],
        ),
        Message::TokenUsed => new(
            "ID token already used",
            text!("the token service rejects every ID token as already used, although each attempt has a new one"),
            &[fix!("check HTTPS_PROXY and the gateways on the way: one of them sends requests twice")],
        ),
        // The request
        Message::AuthorizationMissing => changed("Authorization header missing"),
        Message::AuthorizationRepeated => changed("Authorization header repeated"),
        Message::AuthorizationNotBearer => changed("Authorization header not Bearer"),
        Message::AuthorizationEmpty => changed("Authorization header empty"),
        Message::OnlyBearer => changed("Other authentication"),
        Message::ContentType => changed("Content-Type changed"),
        Message::UserAgentMissing => changed("User-Agent missing"),
        Message::UsernameMissing => changed("Username missing"),
        Message::TokenTypeMissing => changed("Token type missing"),
        Message::NotAuthenticated => new(
            "Rule of the registry",
            text!("the registry rejected the ID token by a rule of its own"),
            &[fix!("ask the operator of the registry for the reason, with the message in the log")],
        ),
    }
}

/// Fixes for what only the registry can change.
fn report() -> [Fix; 2] {
    [
        fix!("run the job again in a few minutes"),
        fix!("if the failure repeats, report the message in the log to the registry (nuget.org: support@nuget.org)"),
    ]
}

/// The request is not the one that was sent.
fn changed(topic: &'static str) -> Explanation {
    Explanation::new(
        topic,
        text!("the token service received a request that was changed on the way"),
        &[
            fix!("check HTTPS_PROXY and the gateways on the way: one of them changes requests"),
            fix!("check `token-service-url` (for nuget.org: {})", Words(NUGET_ORG_TOKEN_SERVICE)),
        ],
    )
}

/// The ID token is not as its issuer makes them.
fn malformed(topic: &'static str, fact: Text, context: &Context) -> Explanation {
    let fix = match context.ci {
        Ci::GitLab => fix!(
            "set {} only below `id_tokens:`, with `aud:`: its value is not an ID token from GitLab",
            &context.id_token_variable
        ),
        _ => fix!(
            "remove every `env:` entry and every runner setting that changes ACTIONS_ID_TOKEN_REQUEST_URL: the ID token \
             is not from GitHub"
        ),
    };
    Explanation::new(topic, fact, &[fix])
}

fn new_policy() -> Fix {
    fix!(
        "create a new trust policy at {} with another package owner: nuget.org does not let you edit the owner of a policy",
        Words(TRUSTED_PUBLISHING)
    )
}

/// A field of a policy to be changed.
fn change(field: &'static str, name: &str, [from, to]: [&str; 2], context: &Context) -> Fix {
    fix!(
        "change `{}` of the policy `{}` from {} to {} at {}, signed in as {}",
        field,
        name,
        from,
        to,
        Words(TRUSTED_PUBLISHING),
        &context.user
    )
}

/// A field of a policy to be emptied.
fn clear(field: &'static str, name: &str, from: &str, context: &Context) -> Fix {
    fix!(
        "remove {} from `{}` of the policy `{}` at {}, signed in as {}",
        from,
        field,
        name,
        Words(TRUSTED_PUBLISHING),
        &context.user
    )
}

/// `owner/repository` of the job.
fn path(context: &Context) -> Text {
    context.policy.as_ref().map_or(text!("this repository"), |policy| text!("{}", policy.path()))
}

fn no_matching_policy(context: &Context) -> Explanation {
    const TOPIC: &str = "No matching trust policy";
    let user = &context.user;
    let check = |who: Text| {
        fix!(
            "{}, and check at {} that a policy has exactly the values below (nuget.org adds the ID numbers itself)",
            who,
            Words(TRUSTED_PUBLISHING)
        )
    };
    let create =
        fix!("if no policy has them, create one: a renamed, transferred or re-created repository needs a new policy");
    let (fact, first, check) = if context.user_is_repository_owner() {
        (
            text!("{}, the repository owner, has no trust policy on nuget.org that matches this job", user),
            fix!(
                "if {} is an organization on nuget.org, set `user` to the profile name of the person who created the trust \
                 policy",
                user
            ),
            check(text!("if {} is your own profile, sign in to nuget.org", user)),
        )
    } else if !is_profile_name(user) {
        (
            text!("`user` is `{}`, which is not a nuget.org profile name", user),
            contained_name(user).map_or_else(
                || {
                    fix!(
                        "set `user` to the profile name of the person who created the trust policy: the part of the \
                         profile's URL after https://www.nuget.org/profiles/"
                    )
                },
                |name| fix!("set `user` to {}", name),
            ),
            check(text!("sign in to nuget.org as that person")),
        )
    } else {
        (
            text!("the nuget.org profile {} has no trust policy that matches this job in {}", user, path(context)),
            fix!("check `user`: it must be the profile name of the person who created the policy, not an organization"),
            check(text!("sign in to nuget.org as {}", user)),
        )
    };
    Explanation::new(TOPIC, fact, &[first, check, create, context.run_again()]).show(ShownPolicy::default())
}

fn environment_mismatch([name, expected, actual]: [&str; 3], context: &Context) -> Explanation {
    let file = match context.ci {
        Ci::GitLab => text!("{}", ".gitlab-ci.yml"),
        _ => match context.policy.as_ref().and_then(TrustPolicy::workflow_file) {
            Some(file) => text!("{}", file),
            None => text!("the workflow file"),
        },
    };
    let line = format!("environment: {}", scalar(expected));
    let (fact, policy, job) = match actual {
        "" => (
            text!("the trust policy `{}` expects the environment {}, but this job has no environment", name, expected),
            clear(ENVIRONMENT, name, expected, context),
            fix!("or, to keep the environment's protection, add `{}` to the job in {}", line, file),
        ),
        actual => (
            text!(
                "the trust policy `{}` expects the environment {}, but this job has the environment {}",
                name,
                expected,
                actual
            ),
            change(ENVIRONMENT, name, [expected, actual], context),
            fix!("or change the job in {} to `{}`", file, line),
        ),
    };
    Explanation::new("Environment mismatch", fact, &[policy, job, context.run_again()])
        .show(ShownPolicy::marked(ENVIRONMENT, text!("the policy has {}", expected)))
}

fn workflow_mismatch([name, expected, actual]: [&str; 3], context: &Context) -> Explanation {
    const TOPIC: &str = "Workflow mismatch";
    let change = change(WORKFLOW_FILE, name, [expected, actual], context);
    let second = fix!(
        "or, if a job in {} publishes too, keep this policy and create a second one with the values below",
        expected
    );
    let explanation = match &context.caller {
        Some(caller) => Explanation::new(
            TOPIC,
            text!(
                "this job is defined in the reusable workflow {}, called by {}, but the trust policy `{}` expects {}",
                actual,
                caller,
                name,
                expected
            ),
            &[change, second, context.re_run()],
        ),
        None => Explanation::new(
            TOPIC,
            text!(
                "the trust policy `{}` expects the workflow file {}, but this job is defined in {}",
                name,
                expected,
                actual
            ),
            &[change, second, fix!("or move the job to {}", expected), context.run_again()],
        ),
    };
    explanation.show(ShownPolicy::marked(WORKFLOW_FILE, text!("the policy has {}", expected)))
}

fn ref_mismatch([name, expected, actual]: [&str; 3], context: &Context) -> Explanation {
    let fact = text!("the trust policy `{}` expects the ref {}, but this job runs for {}", name, expected, actual);
    let clear = clear(REF, name, expected, context);
    let clear = fix!("to publish from tags or any branch, {}", clear.text);
    let other = match expected.strip_prefix("refs/heads/") {
        Some(branch) => fix!("or, {}", change(REF, name, [expected, branch], context).text),
        None => fix!("or start the job for {} (upper and lower case must be equal)", expected),
    };
    Explanation::new("Ref mismatch", fact, &[clear, other, context.re_run()])
        .show(ShownPolicy::marked(REF, text!("the policy has {}", expected)))
}

//! What an error means, and how to fix it: the one place that explains. Pure: it reads nothing but its arguments.

mod context;
mod explanation;
mod login;
pub(crate) mod report;
mod service_message;
mod troubleshooting;
pub(crate) mod trust_policy;

pub(crate) use context::Context;
use explanation::fix;
pub(crate) use explanation::{Explanation, Fix};
use login::{do_not_set_request_variables, not_masked};

use crate::environment::Ci;
use crate::error::Error;
use crate::http::SetupError;
use crate::http::proxy::ProxyError;
use crate::repository::RepositoryError;
use crate::settings::{LONGEST_AUDIENCE, LONGEST_TIMEOUT, NUGET_ORG_AUDIENCE, UsageError};
use crate::text::{Text, Words, text};
use crate::trusted_publishing::id_token::IdTokenSourceError;
use crate::trusted_publishing::obstacle::Obstacle;

/// How to try the program without a CI job.
const SANDBOX: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"), "/docs/sandbox.md");

/// Explains an error with what is known of the job.
pub(crate) fn explain(error: &Error, context: &Context) -> Explanation {
    let fact = error.fact();
    match error {
        Error::Usage(error) => usage(error, fact),
        Error::IdTokenSource(error) => id_token_source(error, fact, context),
        Error::Setup(error) => setup(error, fact),
        Error::OutputFile(_) => Explanation::new(
            "Output file",
            fact,
            &[fix!("do not change or unset GITHUB_OUTPUT and GITHUB_ENV: the runner creates both files for each step")],
        ),
        Error::Login(error) => login::login(error, context),
        Error::Push(error) => login::push(error),
        Error::Command { exit_code: 127, .. } => Explanation::new(
            "Command not found",
            fact,
            &[fix!("check the command after `--`: its name, and that it is installed in this job")],
        ),
        Error::Command { .. } => Explanation::new(
            "Command cannot be run",
            fact,
            &[fix!("check that the file after `--` is a program that this machine can run")],
        ),
        Error::NotMasked(_) => not_masked(fact),
        Error::Obstacle(obstacle) => service_message::obstacle(obstacle, context),
        Error::UnknownJob(_) => Explanation::new(
            "Job not known",
            fact,
            &[
                fix!("in GitHub Actions, add `id-token: write` to the job's permissions"),
                fix!("in GitLab CI, add an ID token to the job with `id_tokens:`"),
            ],
        ),
        Error::Repository(error) => repository(error, fact),
        Error::NothingToCheck(_) => Explanation::new(
            "Nothing to check",
            fact,
            &[
                fix!("run `nuget-login check` in a git repository"),
                fix!("or add the paths of workflow files: `nuget-login check .github/workflows/release.yml`"),
            ],
        ),
        Error::UnreadablePath { .. } => {
            Explanation::new("Unreadable path", fact, &[fix!("check the path and its permissions")])
        }
        Error::UnreadableWorkflows(_) => Explanation::new(
            "Unreadable workflow folder",
            fact,
            &[fix!("check that .github/workflows is a folder, and check its permissions")],
        ),
        Error::NothingToMigrate(_) => {
            Explanation::new("Nothing to migrate", fact, &[fix!("run `nuget-login migrate` in a git repository")])
        }
        Error::NotWritten { .. } => Explanation::new(
            "Workflow not written",
            fact,
            &[fix!("check the permissions of the file and its folder, and run `nuget-login migrate --write` again")],
        ),
        Error::UnknownHost { .. } => Explanation::new(
            "Host not supported",
            fact,
            &[
                fix!("publish from a repository on github.com or gitlab.com"),
                fix!("if the host is an alias in the configuration of ssh, set the remote to its real host name"),
            ],
        ),
        Error::NotPrinted(_) => {
            Explanation::new("Output not printed", fact, &[fix!("check where standard output of nuget-login goes")])
        }
    }
}

fn usage(error: &UsageError, fact: Text) -> Explanation {
    let new = Explanation::new;
    match error {
        UsageError::Arguments(_, subcommand) => {
            let help = match subcommand {
                Some("exec") => fix!("run `nuget-login exec --help` for the arguments"),
                Some("policy") => fix!("run `nuget-login policy --help` for the arguments"),
                Some("check") => fix!("run `nuget-login check --help` for the arguments"),
                Some("migrate") => fix!("run `nuget-login migrate --help` for the arguments"),
                _ => fix!("run `nuget-login --help` for the arguments"),
            };
            new("Wrong arguments", fact, &[help])
        }
        UsageError::NotGitHubActions | UsageError::NoJob(_) => new(
            "Not a CI job",
            fact,
            &[
                fix!("run nuget-login in a job of GitHub Actions"),
                fix!("or, in GitLab CI, use `nuget-login exec`"),
                fix!("or, to try it on this machine, use the sandbox: {}", Words(SANDBOX)),
            ],
        ),
        UsageError::OtherCi(_) => new(
            "CI system not supported",
            fact,
            &[
                fix!("publish from GitHub Actions or GitLab CI on github.com or gitlab.com"),
                fix!("or publish with an API key in a secret, and replace it before it expires (30 days at most)"),
            ],
        ),
        UsageError::NoSandbox(_) | UsageError::SandboxElsewhere(_) => new(
            "Sandbox and another host",
            fact,
            &[
                fix!("for the sandbox, set `--token-service-url` or `--source` to its loopback URL"),
                fix!("for a registry, run nuget-login in a job of GitHub Actions or GitLab CI"),
            ],
        ),
        UsageError::BothCis => {
            new("Two CI systems", fact, &[fix!("unset the variable that does not belong to this job")])
        }
        UsageError::NoOutputsOnGitLab => new(
            "No outputs in GitLab CI",
            fact,
            &[
                Fix {
                    text: text!("let nuget-login run the command that needs the key"),
                    lines: "nuget-login exec --user NAME -- sh -c 'dotnet nuget push … --api-key \"$NUGET_API_KEY\"'",
                },
                fix!("or add `--check-only` to test the trust policy"),
            ],
        ),
        UsageError::IdTokenVariable => new(
            "Variable name",
            fact,
            &[fix!("set it to the name of the variable (`NUGET_ID_TOKEN`), not to its value")],
        ),
        UsageError::EmptyCommand => {
            new("Empty command", fact, &[fix!("add the command that needs the API key after `--`")])
        }
        UsageError::NoUser { is_input: true } => new(
            "User missing",
            fact,
            &[
                fix!("set `user` to the nuget.org profile name of the person who created the trust policy"),
                fix!("if it comes from `vars` or `secrets`, check that it exists for this repository and environment"),
                fix!("if a fork or Dependabot started this run, publish from another run: this one has no secrets"),
            ],
        ),
        UsageError::NoUser { is_input: false } => new(
            "User missing",
            fact,
            &[
                fix!("add `--user` with the nuget.org profile name of the person who created the trust policy"),
                fix!(
                    "if it comes from a variable, check that the variable exists for this job (protected ones exist \
                      only for protected branches and tags)"
                ),
            ],
        ),
        UsageError::NotAProfileName { name: Some(name), .. } => {
            new("User is not a profile name", fact, &[fix!("set `user` to {}", name)])
        }
        UsageError::NotAProfileName { name: None, .. }
        | UsageError::EmailAddress(_)
        | UsageError::LongUser(_)
        | UsageError::CredentialAsUser => new(
            "User is not a profile name",
            fact,
            &[fix!(
                "set `user` to the profile name of the person who created the trust policy: the part of the profile's URL \
                 after https://www.nuget.org/profiles/"
            )],
        ),
        UsageError::TokenServiceUrl(problem) | UsageError::Source(problem) => {
            new("URL not accepted", fact, &[Fix { text: problem.fix(), lines: "" }])
        }
        UsageError::SourceAndTokenService => new("Source and token service", fact, &[fix!("remove one of the two")]),
        UsageError::SourceAudience(_) => {
            new("Audience of nuget.org", fact, &[fix!("set `audience` to the audience that this registry expects")])
        }
        UsageError::TokenServiceAudience(_) => new(
            "Audience of nuget.org",
            fact,
            &[fix!("set both `aud:` below `id_tokens:` and `--audience` to the audience that this registry expects")],
        ),
        UsageError::LongAudience(_) => new(
            "Audience too long",
            fact,
            &[fix!("set it to an audience of at most {} bytes", Words(LONGEST_AUDIENCE))],
        ),
        UsageError::TimeoutSeconds(_) => {
            new("Timeout out of range", fact, &[fix!("set it to whole seconds from 1 to {}", Words(LONGEST_TIMEOUT))])
        }
        UsageError::Boolean(..) => new("Not true or false", fact, &[fix!("set it to true or false")]),
        UsageError::CheckOnlyExports => {
            new("Check and export", fact, &[fix!("remove one of the two: a check discards its API key")])
        }
        UsageError::Package(_) => new(
            "Package to check",
            fact,
            &[fix!("set it to the ID and an existing version of a package, such as `Contoso.Sdk@1.2.3`")],
        ),
        UsageError::PackageWithoutCheck => {
            new("Package to check", fact, &[fix!("set `check-only` to true, or remove `package`")])
        }
        UsageError::PackageElsewhere(_) => {
            new("Package to check", fact, &[fix!("remove `package`: this check works only with nuget.org")])
        }
        UsageError::NotUnicode(_) => not_unicode(fact),
    }
}

fn not_unicode(fact: Text) -> Explanation {
    Explanation::new("Not UTF-8", fact, &[fix!("set it to text in UTF-8")])
}

fn id_token_source(error: &IdTokenSourceError, fact: Text, context: &Context) -> Explanation {
    match error {
        IdTokenSourceError::NotPermitted(_) => {
            no_permission(context).note(text!("{}: GitHub sets it only in jobs with this permission", fact))
        }
        IdTokenSourceError::NoIdToken(_) => Explanation::new(
            "No ID token in GitLab CI",
            text!("this job has no ID token from GitLab"),
            &[
                Fix {
                    text: text!("add this to the job in .gitlab-ci.yml (for another registry, with its audience)"),
                    lines: "id_tokens:\n  NUGET_ID_TOKEN:\n    aud: https://www.nuget.org",
                },
                fix!("if the ID token has another name, pass that name with `--id-token-variable`"),
            ],
        )
        .note(fact),
        IdTokenSourceError::NotAJsonWebToken(_) => Explanation::new(
            "Not an ID token",
            fact,
            &[
                fix!("give the ID token below `id_tokens:` a name that no other variable has"),
                fix!("or pass the name of the ID token with `--id-token-variable` (CI_JOB_TOKEN is not an ID token)"),
            ],
        ),
        IdTokenSourceError::Audience { .. } => Explanation::new(
            "ID token for another audience",
            fact,
            &[
                fix!("for nuget.org, set `aud: {}` below `id_tokens:` and remove `--audience`", NUGET_ORG_AUDIENCE),
                fix!("for another registry, set both `aud:` and `--audience` to the audience that it expects"),
            ],
        ),
        IdTokenSourceError::RequestUrl(..) | IdTokenSourceError::InvalidSecret(..) if context.ci == Ci::GitLab => {
            Explanation::new("Not an ID token", fact, &[fix!("do not set this variable: GitLab sets it in each job")])
        }
        IdTokenSourceError::RequestUrl(..) | IdTokenSourceError::InvalidSecret(..) => {
            Explanation::new("Request variables changed", fact, &[do_not_set_request_variables()])
        }
        IdTokenSourceError::NotUnicode(_) => not_unicode(fact),
    }
}

fn no_permission(context: &Context) -> Explanation {
    const TOPIC: &str = "No permission to request an ID token";
    // With the permission it would be rejected by nuget.org.
    if let Some(obstacle) = Obstacle::of_event(Some(context.start.event.clone())) {
        return service_message::obstacle(&obstacle, context);
    }
    match (&context.start.fork, context.start.actor.as_deref()) {
        (Some(fork), _) => Explanation::new(
            TOPIC,
            text!("this run is for a pull request from {}, and GitHub does not issue ID tokens for forks", fork),
            &[
                fix!("publish from a run of this repository: a push, a release or a manual run"),
                fix!("add `if: github.event_name != '{}'` to the job that publishes", &context.start.event),
                context.new_run(),
            ],
        ),
        (None, Some("dependabot[bot]")) => Explanation::new(
            TOPIC,
            text!("Dependabot started this run, and GitHub does not issue ID tokens for it"),
            &[
                fix!("publish from another run, after the merge"),
                fix!("add `if: github.actor != 'dependabot[bot]'` to the job that publishes"),
                context.new_run(),
            ],
        ),
        (None, _) => Explanation::new(
            TOPIC,
            text!("this job is not allowed to request an ID token: it does not have `id-token: write`"),
            &[
                Fix {
                    text: text!(
                        "add these lines to the job, at the same indentation as `runs-on:`, or to its `permissions:`"
                    ),
                    lines: "permissions:\n  \
                            id-token: write # to log in to nuget.org\n  \
                            contents: read  # for checkout; write, if the job creates a GitHub release",
                },
                fix!(
                    "if the job also pushes to GitHub Packages, add `packages: write`: permissions not listed are removed"
                ),
                fix!("if the job is in a reusable workflow, add the same permissions to each job that calls it"),
                context.new_run(),
            ],
        ),
    }
}

fn setup(error: &SetupError, fact: Text) -> Explanation {
    match error {
        SetupError::Trust(_) => Explanation::new(
            "Certificate file",
            fact,
            &[fix!("set the variable to a file or folder with certificates in PEM format, or unset it")],
        ),
        SetupError::Proxy(ProxyError::Malformed(_)) => Explanation::new(
            "Proxy URL",
            fact,
            &[fix!(
                "set it to a URL such as http://proxy.example:8080, with special characters of a password \
                   percent-encoded"
            )],
        ),
        SetupError::Proxy(ProxyError::NotUnicode(_)) => not_unicode(fact),
        SetupError::Thread(_) => {
            Explanation::new("Thread limit", fact, &[fix!("check the limits of processes and memory on this machine")])
        }
    }
}

fn repository(error: &RepositoryError, fact: Text) -> Explanation {
    let new = |fixes: &[Fix]| Explanation::new("Repository not known", fact, fixes);
    match error {
        RepositoryError::NoGit(_) => new(&[fix!("install git, or run `nuget-login policy` in a CI job")]),
        RepositoryError::Refused(_) | RepositoryError::NoHost => new(&[
            fix!("run `nuget-login policy` in a clone whose remote `origin` is on github.com or gitlab.com"),
            fix!("or run it in the CI job that publishes"),
        ]),
        RepositoryError::NotUnicode => new(&[fix!("move the clone to a folder with a name in UTF-8")]),
    }
}

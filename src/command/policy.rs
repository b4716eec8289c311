//! `nuget-login policy`: the policy that this job needs. Nothing is sent to a token service.

use std::io::Write;
use std::time::Duration;

use anyhow::Context;

use crate::clock::Clock;
use crate::environment::{Ci, Environment};
use crate::explain::trust_policy::{Form, TRUSTED_PUBLISHING};
use crate::explain::{self, Facts};
use crate::github_actions::log::Log;
use crate::http::client::Http;
use crate::repository::{self, Remote};
use crate::sanitize::sanitize_line;
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::id_token::{GitHub, GitLab, IdTokenSourceError};

/// The audience of an ID token that is only read: nobody accepts it.
const NOBODY: &str = "urn:nuget-login:policy";

/// A job, and how we know of it. Reads on from "The policy that … needs".
struct Job {
    named: String,
    known_by: String,
    facts: Facts,
}

/// The answer, as lines that are safe to print.
pub fn answer<W: Write>(
    id_token_variable: &str,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Log<W>,
) -> anyhow::Result<Vec<String>> {
    let jobs = match environment.ci() {
        Ci::GitHubActions => vec![github_job(environment, clock, runner)?],
        Ci::GitLab => vec![gitlab_job(id_token_variable, environment, runner)?],
        Ci::None => from_repository()?,
    };
    let mut lines = Vec::new();
    for Job { named, known_by, facts } in jobs {
        let form = Form::filled_in(&facts).with_context(|| {
            format!(
                "nothing is known of {named}, {known_by}. Give it an ID token: in GitHub Actions by `permissions: id-token: \
                 write`, in GitLab CI by `id_tokens:`"
            )
        })?;
        lines.push(format!("The trust policy that {named} needs, {known_by}:"));
        lines.extend(form.lines());
        lines.extend(form.remarks);
        lines.push(String::new());
    }
    lines.push(format!("Create it at {TRUSTED_PUBLISHING}"));
    lines.push("The login's `user` is the nuget.org profile name of the person who does.".to_owned());
    Ok(lines)
}

fn of_token(claims: &Claims) -> Job {
    Job { named: "this job".to_owned(), known_by: "by its ID token".to_owned(), facts: explain::of_claims(claims) }
}

/// A job without an ID token: what its runner says of it, under the names of facts.
fn of_variables(why: &str, facts: Vec<(&'static str, Option<String>)>) -> Job {
    Job {
        named: "this job".to_owned(),
        known_by: format!("by its runner's variables ({why})"),
        facts: explain::known(facts),
    }
}

fn github_job<W: Write>(environment: &Environment<'_>, clock: &impl Clock, runner: &mut Log<W>) -> anyhow::Result<Job> {
    let why = match GitHub::from_environment(environment) {
        Ok(github) => match claims_from(github, environment, clock, runner)? {
            Ok(claims) => return Ok(of_token(&claims)),
            Err(why) => why,
        },
        Err(error @ IdTokenSourceError::NotPermitted(_)) => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    let text = |name| environment.shown(name);
    let repository = text("GITHUB_REPOSITORY").unwrap_or_default();
    let (owner, name) = repository.split_once('/').unzip();
    let workflow = text("GITHUB_WORKFLOW_REF").and_then(|it| crate::trusted_publishing::claims::workflow_file(&it));
    let server = text("GITHUB_SERVER_URL").filter(|server| server != "https://github.com");
    Ok(of_variables(
        &why,
        vec![
            ("repository owner", owner.map(str::to_owned)),
            ("repository", name.map(str::to_owned)),
            ("workflow", workflow),
            ("environment hint", Some("the one that the job names (`environment:`), else empty".to_owned())),
            ("event", text("GITHUB_EVENT_NAME")),
            ("ref", text("GITHUB_REF")),
            ("issuer", server),
        ],
    ))
}

/// What an ID token for nobody says, or why there is none.
fn claims_from<W: Write>(
    mut github: GitHub,
    environment: &Environment<'_>,
    clock: &impl Clock,
    runner: &mut Log<W>,
) -> anyhow::Result<Result<Claims, String>> {
    runner.mask(github.request_token())?;
    let http = Http::from_environment(environment, clock, runner.masked())?;
    let runtime = crate::runtime()?;
    let id_token = runtime.block_on(github.id_token(&http, NOBODY, Duration::MAX));
    Ok(match id_token {
        Ok(id_token) => {
            runner.mask(&id_token)?;
            Ok(Claims::of(&id_token, &runner.masked()))
        }
        Err(error) => Err(error.to_string()),
    })
}

fn gitlab_job<W: Write>(
    id_token_variable: &str,
    environment: &Environment<'_>,
    runner: &mut Log<W>,
) -> anyhow::Result<Job> {
    let why = match GitLab::from_environment(id_token_variable, environment) {
        Ok(gitlab) => {
            runner.mask(gitlab.id_token())?;
            let job = of_token(&Claims::of(gitlab.id_token(), &runner.masked()));
            if job.facts.contains_key("project path") {
                return Ok(job);
            }
            format!("{} holds something else than GitLab's ID token", sanitize_line(id_token_variable))
        }
        Err(error) => error.to_string(),
    };
    let text = |name| environment.shown(name);
    let kind = if text("CI_COMMIT_TAG").is_some() { "tag" } else { "branch" };
    let r#ref = text("CI_COMMIT_REF_NAME");
    let project = text("CI_PROJECT_PATH").unwrap_or_default();
    let (namespace, name) = project.rsplit_once('/').unzip();
    Ok(of_variables(
        &why,
        vec![
            ("namespace path", namespace.map(str::to_owned)),
            ("project path", name.map(str::to_owned)),
            ("ref type", r#ref.is_some().then(|| kind.to_owned())),
            ("ref", r#ref),
            ("environment", text("CI_ENVIRONMENT_NAME")),
            ("issuer", text("CI_SERVER_URL").filter(|server| server != "https://gitlab.com")),
        ],
    ))
}

/// One job for each workflow file that logs in.
fn from_repository() -> anyhow::Result<Vec<Job>> {
    let context = "this is no job, and no repository to read a policy from";
    let Remote { host, path } = repository::origin().context(context)?;
    let known_by = format!("by this repository (`origin` is {path} at {host})");
    let (namespace, name) = path.rsplit_once('/').unwrap_or_default();
    let (namespace, name) = (Some(namespace.to_owned()), Some(name.to_owned()));
    let absent = "the one that the job names, else empty";
    match host.as_str() {
        "github.com" => {
            let job = |named: &str, file: Option<String>, environment: Option<String>| Job {
                named: named.to_owned(),
                known_by: known_by.clone(),
                facts: explain::known(vec![
                    ("repository owner", namespace.clone()),
                    ("repository", name.clone()),
                    ("workflow", file),
                    (
                        "workflow hint",
                        Some("the one that logs in: none in .github/workflows names a login step yet".into()),
                    ),
                    ("environment hint", environment),
                ]),
            };
            let workflows = repository::workflows(&repository::folder().context(context)?)?;
            if workflows.is_empty() {
                return Ok(vec![job("the job that publishes", None, Some(absent.to_owned()))]);
            }
            let environment = |names: &[String]| match names {
                [] => Some("leave empty: none was found in the file".to_owned()),
                names if names.iter().any(|name| name.contains("${{")) => Some(absent.to_owned()),
                names => Some(format!("{}, if the job that logs in names it, else empty", names.join(" or "))),
            };
            let workflows = workflows.into_iter();
            Ok(workflows.map(|it| job(&it.file, Some(it.file.clone()), environment(&it.environments))).collect())
        }
        "gitlab.com" => {
            let facts = vec![
                ("namespace path", namespace),
                ("project path", name),
                ("environment hint", Some(absent.to_owned())),
            ];
            Ok(vec![Job { named: "the job that publishes".to_owned(), known_by, facts: explain::known(facts) }])
        }
        host => anyhow::bail!(
            "the remote `origin` is at {host}: nuget.org knows jobs of github.com and gitlab.com only (an alias in the \
             configuration of ssh is not looked up)"
        ),
    }
}

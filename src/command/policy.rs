//! `nuget-login policy`: the policy that this job needs. Nothing is sent to a token service.

use std::io::Write;
use std::time::Duration;

use crate::cli::GitLabOptions;
use crate::clock::Clock;
use crate::environment::{Ci, Environment};
use crate::error::Error;
use crate::explain::trust_policy::{Field, NO_ENVIRONMENT, Run, TRUSTED_PUBLISHING, TrustPolicy, UNKNOWN};
use crate::github_actions::log::Log;
use crate::http::client::Http;
use crate::repository::{self, Remote};
use crate::sanitize::sanitize_line;
use crate::secret::Secret;
use crate::settings::id_token_variable;
use crate::trusted_publishing::claims::{Claims, workflow_file};
use crate::trusted_publishing::id_token::{GitHub, GitLab, IdTokenSourceError};

/// The audience of an ID token that is only read: no registry accepts it.
const NO_REGISTRY: &str = "urn:nuget-login:policy";

/// The hint for the environment where only the job's definition tells it.
const ENVIRONMENT_OF_JOB: &str = "the one that the job names, else empty";

/// A job, and how it is known. `known_by` reads on from "The policy that … needs".
struct Job {
    name: String,
    known_by: String,
    /// None if its repository is not known.
    policy: Option<TrustPolicy>,
    run: Run,
}

/// Prints the policies of this job, or of this repository, to `answers`.
pub(crate) fn run(
    options: GitLabOptions,
    environment: &Environment<'_>,
    clock: &dyn Clock,
    log: &mut Log<'_>,
    answers: &mut dyn Write,
) -> Result<(), Error> {
    let variable = id_token_variable(options, environment.ci())?;
    let jobs = match environment.ci() {
        Ci::GitHubActions => vec![github_job(environment, clock, log)?],
        Ci::GitLab => vec![gitlab_job(&variable, environment, log)?],
        Ci::None => jobs_of_repository()?,
    };
    let mut lines = Vec::new();
    for Job { name, known_by, policy, run } in jobs {
        let Some(policy) = policy else { return Err(Error::UnknownJob { job: name, known_by }) };
        lines.push(format!("The trust policy that {name} needs, {known_by}:"));
        lines.extend(policy.lines());
        lines.extend(policy.remarks(&run, UNKNOWN));
        lines.push(String::new());
    }
    lines.push(format!("Create it at {TRUSTED_PUBLISHING}"));
    lines.push("The login's `user` is the nuget.org profile name of the person who does.".to_owned());
    log.answer(&lines, answers).map_err(Error::NotPrinted)
}

fn job_of_claims(claims: &Claims) -> Job {
    Job {
        name: "this job".to_owned(),
        known_by: "by its ID token".to_owned(),
        policy: TrustPolicy::of_claims(claims),
        run: Run::of_claims(claims),
    }
}

/// A job without an ID token, which its runner's variables describe.
fn job_of_variables(why: &str, policy: Option<TrustPolicy>, run: Run) -> Job {
    Job { name: "this job".to_owned(), known_by: format!("by its runner's variables ({why})"), policy, run }
}

/// The claims of a masked ID token.
fn claims_of(id_token: &Secret, log: &mut Log<'_>) -> Result<Claims, Error> {
    log.mask(id_token).map_err(Error::NotMasked)?;
    Ok(Claims::of(id_token, &log.redactor()))
}

fn github_job(environment: &Environment<'_>, clock: &dyn Clock, log: &mut Log<'_>) -> Result<Job, Error> {
    let why = match GitHub::from_environment(environment) {
        Ok(mut github) => {
            log.mask(github.request_token()).map_err(Error::NotMasked)?;
            let http = Http::from_environment(environment, clock, log.redactor())?;
            match github.id_token(&http, NO_REGISTRY, Duration::MAX) {
                Ok(id_token) => return Ok(job_of_claims(&claims_of(&id_token, log)?)),
                Err(error) => format!("no ID token from GitHub: {error}"),
            }
        }
        Err(error @ IdTokenSourceError::NotPermitted(_)) => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    let text = |name| environment.shown(name);
    let repository = text("GITHUB_REPOSITORY").unwrap_or_default();
    let policy = repository.split_once('/').map(|(owner, name)| TrustPolicy::GitHub {
        repository_owner: owner.to_owned(),
        repository: Some(name.to_owned()),
        workflow_file: Field::of_job(text("GITHUB_WORKFLOW_REF").and_then(|it| workflow_file(&it)), UNKNOWN),
        environment: Field::hint("the one that the job names (`environment:`), else empty"),
    });
    let issuer = text("GITHUB_SERVER_URL").filter(|server| server != "https://github.com");
    let run = Run { event: text("GITHUB_EVENT_NAME"), r#ref: text("GITHUB_REF"), issuer };
    Ok(job_of_variables(&why, policy, run))
}

fn gitlab_job(variable: &str, environment: &Environment<'_>, log: &mut Log<'_>) -> Result<Job, Error> {
    let why = match GitLab::from_environment(variable, environment) {
        Ok(gitlab) => {
            let job = job_of_claims(&claims_of(gitlab.id_token(), log)?);
            if matches!(job.policy, Some(TrustPolicy::GitLab { .. })) {
                return Ok(job);
            }
            format!("{} holds something else than GitLab's ID token", sanitize_line(variable))
        }
        Err(error) => error.to_string(),
    };
    let text = |name| environment.shown(name);
    let kind = if text("CI_COMMIT_TAG").is_some() { "tag" } else { "branch" };
    let r#ref = text("CI_COMMIT_REF_NAME");
    let project = text("CI_PROJECT_PATH").unwrap_or_default();
    let policy = project.rsplit_once('/').map(|(namespace, project)| TrustPolicy::GitLab {
        namespace_path: Some(namespace.to_owned()),
        project_path: project.to_owned(),
        r#ref: Field::of_ref(r#ref.is_some().then_some(kind), r#ref.clone()),
        environment: Field::of_job(text("CI_ENVIRONMENT_NAME"), NO_ENVIRONMENT),
    });
    let issuer = text("CI_SERVER_URL").filter(|server| server != "https://gitlab.com");
    Ok(job_of_variables(&why, policy, Run { event: None, r#ref, issuer }))
}

/// A job for each workflow file of the repository that logs in.
fn jobs_of_repository() -> Result<Vec<Job>, Error> {
    let Remote { host, path } = repository::origin()?;
    let known_by = format!("by this repository (`origin` is {path} at {host})");
    let (namespace, repository) = path.rsplit_once('/').unwrap_or_default();
    let job = |name: &str, policy| Job {
        name: name.to_owned(),
        known_by: known_by.clone(),
        policy: Some(policy),
        run: Run::default(),
    };
    let publishing = "the job that publishes";
    match host.as_str() {
        "github.com" => {
            let policy = |workflow_file, environment: String| TrustPolicy::GitHub {
                repository_owner: namespace.to_owned(),
                repository: Some(repository.to_owned()),
                workflow_file,
                environment: Field::hint(environment),
            };
            let workflows = repository::workflows(&repository::folder()?)?;
            if workflows.is_empty() {
                let hint = "the one that logs in: none in .github/workflows names a login step yet";
                return Ok(vec![job(publishing, policy(Field::hint(hint), ENVIRONMENT_OF_JOB.to_owned()))]);
            }
            let environment = |names: &[String]| match names {
                [] => "leave empty: none was found in the file".to_owned(),
                names if names.iter().any(|name| name.contains("${{")) => ENVIRONMENT_OF_JOB.to_owned(),
                names => format!("{}, if the job that logs in names it, else empty", names.join(" or ")),
            };
            let of_file = |it: repository::Workflow| {
                let environment = environment(&it.environments);
                job(&it.file, policy(Field::of_job(Some(it.file.clone()), ""), environment))
            };
            Ok(workflows.into_iter().map(of_file).collect())
        }
        "gitlab.com" => Ok(vec![job(
            publishing,
            TrustPolicy::GitLab {
                namespace_path: Some(namespace.to_owned()),
                project_path: repository.to_owned(),
                r#ref: Field::of_ref(None, None),
                environment: Field::hint(ENVIRONMENT_OF_JOB),
            },
        )]),
        _ => Err(Error::UnknownHost { host }),
    }
}

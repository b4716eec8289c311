//! `nuget-login policy`: the policy that this job needs. Nothing is sent to a token service.

use std::io::Write;
use std::time::Duration;

use crate::cli::GitLabOptions;
use crate::clock::Clock;
use crate::command::workflow_files::WorkflowFiles;
use crate::environment::{Ci, Environment};
use crate::error::Error;
use crate::explain::Context;
use crate::explain::trust_policy::{Field, Run, TRUSTED_PUBLISHING, TrustPolicy};
use crate::github_actions::log::Log;
use crate::http::client::Http;
use crate::repository::{self, Remote};
use crate::sanitize::sanitize_line;
use crate::secret::Secret;
use crate::settings::id_token_variable;
use crate::text::{Text, capitalized, text};
use crate::trusted_publishing::claims::{Claims, workflow_file};
use crate::trusted_publishing::id_token::{GitHub, GitLab, IdTokenSourceError};
use crate::trusted_publishing::obstacle::{FORBIDDEN_EVENT, Obstacle};
use workflow::findings::{Code, findings};
use workflow::login::{Project, ProjectJob};
use workflow::yaml::Node;

/// The audience of an ID token that is only read: no registry accepts it.
const NO_REGISTRY: &str = "urn:nuget-login:policy";

/// A job, and how it is known.
struct Job {
    /// Reads on from "Trust policy for".
    name: Text,
    /// None if its repository is not known.
    policy: Option<TrustPolicy>,
    run: Run,
    obstacle: Option<Obstacle>,
    /// A line below the policy.
    note: Option<&'static str>,
}

/// The note for a job that other events start too.
const NOT_FOR_FORBIDDEN_EVENT: &str =
    "Note: the login fails in runs that the event pull_request_target starts, because nuget.org rejects them.";

/// Prints the policies of this job, or of this repository, to `answers`.
pub(crate) fn run(
    options: GitLabOptions,
    environment: &Environment<'_>,
    clock: &dyn Clock,
    log: &mut Log<'_>,
    answers: &mut dyn Write,
    context: &mut Context,
) -> Result<(), Error> {
    let variable = id_token_variable(options, environment.ci())?;
    let jobs = match environment.ci() {
        Ci::GitHubActions => vec![github_job(environment, clock, log)?],
        Ci::GitLab => vec![gitlab_job(&variable, environment, log)?],
        Ci::None => jobs_of_repository(log)?,
    };
    let (mut lines, mut first_obstacle) = (Vec::new(), None);
    for Job { name, policy, run, obstacle, note } in jobs {
        if let Some(obstacle) = obstacle {
            if first_obstacle.is_none() {
                (context.policy, context.run) = (policy, run);
                first_obstacle = Some(obstacle);
            }
            continue;
        }
        let Some(policy) = policy else { return Err(Error::UnknownJob(name)) };
        lines.push(format!("Trust policy for {name}:"));
        lines.extend(policy.lines(None));
        lines.extend(run.text().map(|run| capitalized(&format!("{run}."))));
        lines.extend(note.map(str::to_owned));
        lines.push(String::new());
    }
    if !lines.is_empty() {
        lines.push(format!("Create it at {TRUSTED_PUBLISHING}."));
        lines
            .push("Set \"user\" of the login to the nuget.org profile name of the account that creates it.".to_owned());
        log.answer(&lines, answers).map_err(Error::NotPrinted)?;
    }
    first_obstacle.map_or(Ok(()), |obstacle| Err(Error::Obstacle(obstacle)))
}

fn job_of_claims(claims: &Claims) -> Job {
    Job {
        name: text!("this job (from its ID token)"),
        policy: TrustPolicy::of_claims(claims),
        run: Run::of_claims(claims),
        obstacle: Obstacle::of_claims(claims),
        note: None,
    }
}

/// A job without an ID token, which its runner's variables describe. `server` is where it runs, if nuget.org does not
/// accept that.
fn job_of_variables(why: &Text, policy: Option<TrustPolicy>, run: Run, server: Option<String>) -> Job {
    let obstacle = server.map(Obstacle::Issuer).or_else(|| Obstacle::of_event(run.event.clone()));
    Job { name: text!("this job (from the runner's variables, because {})", why), policy, run, obstacle, note: None }
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
                Err(error) => error.http.fact(),
            }
        }
        Err(error @ IdTokenSourceError::NotPermitted(_)) => error.fact(),
        Err(error) => return Err(error.into()),
    };
    let text = |name| environment.shown(name);
    let repository = text("GITHUB_REPOSITORY").unwrap_or_default();
    let policy = repository.split_once('/').map(|(owner, name)| TrustPolicy::GitHub {
        repository_owner: Field::value(owner),
        repository: Field::value(name),
        workflow_file: Field::of_job(text("GITHUB_WORKFLOW_REF").and_then(|it| workflow_file(&it))),
        environment: Field::hint(environment_of_job()),
    });
    let server = text("GITHUB_SERVER_URL").filter(|server| server != "https://github.com");
    let run = Run { event: text("GITHUB_EVENT_NAME"), r#ref: text("GITHUB_REF"), issuer: None };
    Ok(job_of_variables(&why, policy, run, server))
}

fn gitlab_job(variable: &str, environment: &Environment<'_>, log: &mut Log<'_>) -> Result<Job, Error> {
    let why = match GitLab::from_environment(variable, environment) {
        Ok(gitlab) => {
            let job = job_of_claims(&claims_of(gitlab.id_token(), log)?);
            if matches!(job.policy, Some(TrustPolicy::GitLab { .. })) {
                return Ok(job);
            }
            text!("{} does not contain an ID token from GitLab", sanitize_line(variable))
        }
        Err(error) => error.fact(),
    };
    let text = |name| environment.shown(name);
    let kind = if text("CI_COMMIT_TAG").is_some() { "tag" } else { "branch" };
    let r#ref = text("CI_COMMIT_REF_NAME");
    let project = text("CI_PROJECT_PATH").unwrap_or_default();
    let policy = project.rsplit_once('/').map(|(namespace, project)| TrustPolicy::GitLab {
        namespace_path: Field::value(namespace),
        project_path: Field::value(project),
        r#ref: Field::of_ref(r#ref.is_some().then_some(kind), r#ref.clone()),
        environment: Field::of_environment(text("CI_ENVIRONMENT_NAME")),
    });
    let server = text("CI_SERVER_URL").filter(|server| server != "https://gitlab.com");
    Ok(job_of_variables(&why, policy, Run { event: None, r#ref, issuer: None }, server))
}

/// The hint for the environment where only the job's definition has it.
fn environment_of_job() -> Text {
    text!("the `environment:` of the job, or leave empty if it has none")
}

/// The jobs that log in to nuget.org, and those that call a reusable workflow of another repository for it.
fn jobs_of_workflows(
    files: &WorkflowFiles,
    job: &impl Fn(Text, TrustPolicy) -> Job,
    policy: &impl Fn(Field, Field) -> TrustPolicy,
) -> Vec<Job> {
    let project = Project::new(&files.files);
    let findings = findings(&project);
    let of = |it: &ProjectJob<'_, '_>| {
        let file = sanitize_line(it.workflow.file.name());
        let name = text!("job {} in {}", sanitize_line(it.job.id), &file);
        let environment = Field::of_environment(it.job.environment().map(sanitize_line));
        job(name, policy(Field::value(file), environment))
    };
    let login_jobs = project.login_jobs().into_iter().filter(|job| job.logins().iter().any(|login| login.is_nuget_org));
    let login_jobs = login_jobs.map(|it| {
        let (workflows, is_reached_otherwise) = it.started_by(FORBIDDEN_EVENT);
        match workflows.first() {
            None => of(&it),
            Some(_) if is_reached_otherwise => Job { note: Some(NOT_FOR_FORBIDDEN_EVENT), ..of(&it) },
            // The fix is for the file with the event, which can be the one that calls.
            Some(workflow) => Job {
                obstacle: Obstacle::of_event(Some(FORBIDDEN_EVENT.to_owned())),
                policy: Some(policy(Field::value(sanitize_line(workflow.file.name())), Field::of_environment(None))),
                ..of(&it)
            },
        }
    });
    let foreign = findings.iter().filter(|finding| finding.code == Code::ForeignReusableWorkflow);
    let foreign = foreign.filter_map(|finding| {
        let it = finding.job?;
        let called = it.job.node.get("uses").and_then(Node::text).map(sanitize_line)?;
        Some(Job { obstacle: Some(Obstacle::ForeignReusableWorkflow(called)), ..of(&it) })
    });
    login_jobs.chain(foreign).collect()
}

/// A job for each login of the repository.
fn jobs_of_repository(log: &mut Log<'_>) -> Result<Vec<Job>, Error> {
    let Remote { host, path } = repository::origin()?;
    let (namespace, repository) = path.rsplit_once('/').unwrap_or_default();
    let job = |what: Text, policy| Job {
        name: text!("{} (from the remote `origin`, {} at {})", what, &path, &host),
        policy: Some(policy),
        run: Run::default(),
        obstacle: None,
        note: None,
    };
    let publishing = || text!("the job that publishes");
    match host.as_str() {
        "github.com" => {
            let policy = |workflow_file, environment| TrustPolicy::GitHub {
                repository_owner: Field::value(namespace),
                repository: Field::value(repository),
                workflow_file,
                environment,
            };
            let files = WorkflowFiles::of_repository(&repository::folder()?)?;
            for refused in &files.refused {
                let line = refused.line_number().map_or(String::new(), |line| format!(":{line}"));
                let text = format!("{}{line} was skipped: {}", sanitize_line(&refused.path), refused.message());
                log.warning("Workflow file skipped", &text).map_err(Error::NotPrinted)?;
            }
            let jobs = jobs_of_workflows(&files, &job, &policy);
            if !jobs.is_empty() {
                return Ok(jobs);
            }
            let hint = match files.refused.is_empty() {
                true => text!("the file of the job that logs in (no file in .github/workflows has a login step yet)"),
                false => text!("the file of the job that logs in"),
            };
            Ok(vec![job(publishing(), policy(Field::hint(hint), Field::hint(environment_of_job())))])
        }
        "gitlab.com" => Ok(vec![job(
            publishing(),
            TrustPolicy::GitLab {
                namespace_path: Field::value(namespace),
                project_path: Field::value(repository),
                r#ref: Field::of_ref(None, None),
                environment: Field::hint(environment_of_job()),
            },
        )]),
        _ => Err(Error::UnknownHost { host }),
    }
}

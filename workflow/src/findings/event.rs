//! What starts a job that logs in: events, callers and a matrix.

use crate::login::ProjectJob;
use crate::model::{Level, Place, Uses};
use crate::yaml::Node;

use super::report::{Code, Fix, Report, code};

pub(super) fn forbidden_event<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (Some(event), Some((on, _))) = (it.workflow.event("pull_request_target"), it.workflow.on) else { return };
    let is_only_event = it.workflow.events.len() == 1;
    let logs_in = match is_only_event {
        true => it.logins().iter().any(|login| !login.is_conditional_inside),
        false => it.has_unconditional_login() && it.is_unconditional(),
    };
    // A condition in the called workflow can exclude the event.
    let calls_login = it.always_calls_login() && (is_only_event || it.is_unconditional());
    if logs_in || calls_login {
        let (event, on) = (Place::of(it.workflow.file, event), Place::of(it.workflow.file, on));
        let place = if event.line() == on.line() { event } else { on };
        let message = format!("job `{}` logs in for `pull_request_target`, an event that nuget.org rejects", it.job.id);
        let fix = "publish on another event, and remove conditions that hold for pull requests only";
        let fix = Fix::paste(fix, "on:\n  push:\n    tags: [\"v*\"]");
        report.add(Code::ForbiddenEvent, place, message, fix);
    }
}

pub(super) fn login_on_pull_request<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (workflow, job, logins) = (it.workflow, it.job, it.logins());
    if workflow.event("pull_request").is_none() || !it.is_unconditional() {
        return;
    }
    for login in logins.iter().filter(|login| it.always_runs(login)) {
        let message = "the login also runs for pull requests: it fails for forks, because GitHub does not issue ID tokens for them";
        let fix =
            Fix::paste(format!("add a condition to job {}", code(job.id)), "if: github.event_name != 'pull_request'");
        report.add(Code::LoginOnPullRequest, login.place.clone(), message, fix);
    }
}

/// A workflow of another repository cannot be read. It is known to log in where it gets a nuget.org user and the permission,
/// and no secret that could be a key.
pub(super) fn foreign_reusable_workflow<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let job = it.job;
    let Some((uses, Uses::Remote { owner, name, path, .. })) = job.uses() else { return };
    let inputs = job.node.get("with").map_or(&[][..], Node::entries);
    let is_user = |(key, _): &(Node, Node)| {
        let key = key.text().unwrap_or_default().to_lowercase();
        key.contains("user") && key.contains("nuget") || key == "user"
    };
    let is_push = path.to_lowercase().contains("nuget") && inputs.iter().any(is_user);
    if !is_push || job.level("id-token") != Some(Level::Write) || job.node.get("secrets").is_some() {
        return;
    }
    let message = format!(
        "job {} logs in within a workflow of another repository, {owner}/{name}, which nuget.org rejects",
        code(job.id)
    );
    let fix = Fix::text("copy the called workflow into this repository, or log in and push in a job of this workflow");
    report.add(Code::ForeignReusableWorkflow, Place::of(it.workflow.file, uses), message, fix);
}

pub(super) fn called_workflow<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (workflow, logins) = (it.workflow, it.logins());
    if workflow.event("workflow_call").is_none() {
        return;
    }
    for login in logins {
        let file = code(workflow.file.name());
        let message = format!("other workflows call this one, and the trust policy must name this file: {file}");
        let fix = Fix::text(format!("set \"Workflow File\" to {file} in the trust policy"));
        report.add(Code::CalledWorkflow, login.place.clone(), message, fix);
    }
}

pub(super) fn matrix_login<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (job, logins) = (it.job, it.logins());
    let Some(strategy) = job.node.get("strategy") else { return };
    let Some(matrix) = strategy.get("matrix") else { return };
    if strategy.get("max-parallel").and_then(Node::text) == Some("1") {
        return;
    }
    let lists = matrix.entries().iter().filter(|(key, _)| !matches!(key.text(), Some("include" | "exclude")));
    let is_single = matrix.get("include").is_none()
        && matrix.is_mapping()
        && lists.clone().all(|(_, list)| list.items().len() == 1);
    for login in logins {
        let step = &job.steps[login.step];
        // Such a condition selects one of the jobs.
        let selects = step
            .references()
            .iter()
            .any(|it| it.within == "if" && matches!(it.reference.names()[0], Some("matrix" | "runner" | "strategy")));
        if !is_single && !selects {
            let message = "each job of the matrix logs in, and nuget.org gives a user one key in 30 seconds";
            let fix = Fix::text("push all packages in one job, which needs the jobs of the matrix");
            report.add(Code::MatrixLogin, login.place.clone(), message, fix);
        }
    }
}

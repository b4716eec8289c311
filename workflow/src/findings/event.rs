//! Events and a matrix that start a login.

use crate::login::ProjectJob;
use crate::model::Place;
use crate::yaml::Node;

use super::report::{Code, Fix, Report, in_backticks};

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
        let fix = Fix::paste(
            format!("add a condition to job {}", in_backticks(job.id)),
            "if: github.event_name != 'pull_request'",
        );
        report.add(Code::LoginOnPullRequest, login.place.clone(), message, fix);
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

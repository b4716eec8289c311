//! Finds mistakes in workflows that log in: runs the checks in this folder on each workflow and each action. A finding is
//! certain: values that are not known have none.

mod called_workflow;
mod event;
mod fix;
mod inputs;
mod invalid_workflow;
mod job_permissions;
mod key_crosses_jobs;
mod key_flow;
mod push_key;
mod report;

use crate::login::{Login, Project, ProjectJob};
use crate::migrate::pushes_without_login;
use crate::model::{Action, all_references};

pub use report::{Code, Finding, Fix, Severity};

use key_flow::KeyFlow;
use report::Report;

/// The findings of all files, in no order, and with repetitions where two jobs share a step or an action.
pub fn findings<'p, 'a>(project: &'p Project<'a>) -> Vec<Finding<'p, 'a>> {
    let mut report = Report::new(project);
    for nth in 0..project.workflows.len() {
        workflow(&mut report, nth);
    }
    for (job, place) in pushes_without_login(project) {
        report.job = Some(job);
        push_key::no_login(&mut report, job.job, place);
    }
    report.job = None;
    for it in &project.actions {
        action(&mut report, it);
    }
    report.findings
}

fn workflow<'p, 'a>(report: &mut Report<'p, 'a>, nth: usize) {
    let project = report.project;
    let logs_in = project.logs_in(nth);
    report.inputs.clear();
    let keys = if logs_in { key_flow::key_references(project.jobs(nth)) } else { Vec::new() };
    let is_nuget_org =
        |it: ProjectJob<'p, 'a>| it.called_login().is_some() || it.logins().iter().any(|it| it.is_nuget_org);
    let is_nuget_org = project.jobs(nth).any(is_nuget_org);
    report.job = None;
    if logs_in {
        let file = project.workflows[nth].file;
        invalid_workflow::steps_not_available(report, file, file.document.root.get("env"), "the workflow");
    }
    for it in project.jobs(nth) {
        report.job = Some(it);
        called_workflow::foreign_reusable_workflow(report, it);
        if !logs_in {
            continue;
        }
        let logins = it.logins();
        let flow = KeyFlow { steps: &it.job.steps, logins, keys: &keys };
        if let Some(login) = logins.iter().find(|login| !login.is_conditional_inside) {
            job_permissions::no_id_token_permission(report, it, login);
        }
        if !logins.is_empty() {
            key_crosses_jobs::key_crosses_jobs(report, it);
            event::login_on_pull_request(report, it);
            event::matrix_login(report, it);
            called_workflow::called_workflow(report, it);
            key_flow::build_between(report, &flow);
            push_key::skip_duplicate(report, it.job);
            inputs::users(report, it);
        }
        job_permissions::caller_lacks_permissions(report, it);
        event::forbidden_event(report, it);
        let env = it.job.node.get("env");
        invalid_workflow::steps_not_available(report, it.workflow.file, env, "a job");
        let blocks = [Some(it.job.node), it.job.permissions, env].into_iter().flatten();
        blocks.for_each(|block| invalid_workflow::merge_key(report, it.workflow.file, block));
        invalid_workflow::invalid_call(report, it.workflow.file, it.job.node);
        invalid_workflow::invalid_steps(report, &it.job.steps);
        flow.check(report, |login| {
            key_crosses_jobs::is_key_crossing(it, login) || key_crosses_jobs::is_key_in_env(it, login)
        });
        inputs::conflicting(report, &it.job.steps, logins);
        inputs::unpinned(report, &it.job.steps, logins);
        if is_nuget_org {
            push_key::stored_key(report, it.job);
        }
        push_key::empty_variable(report, it.job);
        job_permissions::release_needs_contents_write(report, it.job);
        job_permissions::no_contents_permission(report, it);
    }
}

/// The mistakes in a local action, for all of its callers.
fn action<'p, 'a>(report: &mut Report<'p, 'a>, action: &'p Action<'a>) {
    let logins = report.project.logins(&action.steps);
    let outputs = action.outputs().into_iter().filter_map(|(_, value)| value);
    let outputs: Vec<_> = outputs.flat_map(|value| all_references(action.file, value, "outputs")).collect();
    let leaves = |login: &Login<'a>| outputs.iter().any(|found| login.is_used_by(found));
    KeyFlow { steps: &action.steps, logins: &logins, keys: &[] }.check(report, leaves);
    if !logins.is_empty() {
        invalid_workflow::context_not_available(report, action);
        invalid_workflow::invalid_steps(report, &action.steps);
    }
    inputs::conflicting(report, &action.steps, &logins);
    inputs::unpinned(report, &action.steps, &logins);
}

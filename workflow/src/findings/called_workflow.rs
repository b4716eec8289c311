//! Workflows that call one another.

use crate::login::ProjectJob;
use crate::model::{Level, Place, Uses};
use crate::yaml::Node;

use super::report::{Code, Fix, Report, in_backticks};

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
        in_backticks(job.id)
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
        let file = in_backticks(workflow.file.name());
        let message = format!("other workflows call this one, and the trust policy must name this file: {file}");
        let fix = Fix::text(format!("set \"Workflow File\" to {file} in the trust policy"));
        report.add(Code::CalledWorkflow, login.place.clone(), message, fix);
    }
}

//! Keys that are passed to another job.

use crate::login::{KEY, Login, MOST_VALUES_OF_CALL, ProjectJob, Use, can_request_id_token};
use crate::model::{Found, Place, all_references};
use crate::yaml::Node;

use super::fix::{login_step, permissions_fix};
use super::report::{Code, Fix, Report};

const CROSSES: &str = "GitHub does not pass masked values between jobs, so the API key cannot leave its job";

pub(super) fn key_crosses_jobs<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let fix = || Fix::text("move the login to the job that pushes, directly before the push");
    let outputs = outputs_with_keys(it, |found| it.logins().iter().any(|login| login.read_by(found) == Use::Key));
    for (_, place) in &outputs {
        report.add(Code::KeyCrossesJobs, place.clone(), CROSSES, fix());
    }
    let is_key = |output: &str| output == KEY || outputs.iter().any(|(name, _)| name == output);
    needed_keys(report, it, &is_key);
    let mut of_workflow = Vec::new();
    for (name, output) in it.workflow.call("outputs").map_or(&[][..], Node::entries).iter().take(MOST_VALUES_OF_CALL) {
        let Some(value) = output.get("value") else { continue };
        for found in all_references(it.workflow.file, value, "outputs") {
            if reads_output(&found, "jobs", it.job.id, &is_key) {
                of_workflow.push(name.text().unwrap_or_default().to_lowercase());
                report.add(Code::KeyCrossesJobs, found.place, CROSSES, fix());
            }
        }
    }
    if !of_workflow.is_empty() {
        for caller in it.callers() {
            needed_keys(report, caller, &|output| of_workflow.iter().any(|it| it == output));
        }
    }
}

fn reads_output(found: &Found<'_>, context: &str, job: &str, is_key: &dyn Fn(&str) -> bool) -> bool {
    matches!(found.reference.names()[..], [Some(it), Some(id), Some("outputs"), Some(output)]
        if it == context && id.eq_ignore_ascii_case(job) && is_key(output))
}

/// Reports each line that reads such an output of a job.
fn needed_keys<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>, is_key: &dyn Fn(&str) -> bool) {
    for other in it.dependents() {
        for found in other.job.needed(it.workflow.file) {
            if reads_output(found, "needs", it.job.id, is_key) {
                let login = format!("add the login to job `{}`, directly before the push", other.job.id);
                let mut fixes = vec![
                    Fix::paste(login, login_step("nuget-login")),
                    Fix::text("and replace the output with `steps.nuget-login.outputs.NUGET_API_KEY`"),
                ];
                if can_request_id_token(it.workflow, other.job) == Some(false) {
                    let fix = permissions_fix(report, other.job, ("id-token", "write"));
                    fixes.push(Fix { text: format!("and {}", fix.text), ..fix });
                }
                fixes.push(Fix::text(format!("and remove the login from job `{}`", it.job.id)));
                report.add_with_fixes(Code::KeyCrossesJobs, found.place.clone(), CROSSES, fixes);
            }
        }
    }
}

/// The outputs of a job with the key of one of its logins: their names, and the references.
fn outputs_with_keys<'a>(it: ProjectJob<'_, 'a>, is_of: impl Fn(&Found<'a>) -> bool) -> Vec<(String, Place<'a>)> {
    let mut outputs = Vec::new();
    for (name, value) in it.job.node.get("outputs").map_or(&[][..], Node::entries) {
        let references = all_references(it.workflow.file, value, "outputs");
        if let (Some(name), Some(found)) = (name.text(), references.into_iter().find(&is_of)) {
            outputs.push((name.to_lowercase(), found.place));
        }
    }
    outputs
}

/// Whether the key of a login goes to another job by an output, which is an error of its own.
pub(super) fn is_key_crossing<'a>(it: ProjectJob<'_, 'a>, login: &Login<'a>) -> bool {
    !outputs_with_keys(it, |found| login.read_by(found) == Use::Key).is_empty()
}

/// Whether a variable of the job or the workflow reads the key of a login, which is an error of its own.
pub(super) fn is_key_in_env<'a>(it: ProjectJob<'_, 'a>, login: &Login<'a>) -> bool {
    let file = it.workflow.file;
    let blocks = [it.job.node.get("env"), file.document.root.get("env")];
    blocks.into_iter().flatten().any(|env| all_references(file, env, "env").iter().any(|it| login.is_used_by(it)))
}

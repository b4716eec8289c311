//! Permissions that a login, a release or a checkout needs.

use crate::expression::only_reference;
use crate::login::{Login, ProjectJob, can_request_id_token};
use crate::model::{Job, Level, Place, Step, Uses, is_off, level};
use crate::script::Command;
use crate::yaml::Node;

use super::fix::permissions_fix;
use super::report::{Code, Report, in_backticks};

pub(super) fn no_id_token_permission<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>, login: &Login<'a>) {
    if can_request_id_token(it.workflow, it.job) != Some(false) {
        return;
    }
    let why = match (it.job.permissions, it.job.node.get("permissions")) {
        (None, _) => "it has no `permissions`, and the default does not include `id-token: write`",
        (_, Some(_)) => "its `permissions` do not include `id-token: write`",
        (_, None) => "the workflow's `permissions` do not include `id-token: write`",
    };
    let message = format!("job `{}` cannot request an ID token: {why}", it.job.id);
    let fix = permissions_fix(report, it.job, ("id-token", "write"));
    report.add(Code::NoIdTokenPermission, login.place.clone(), message, fix);
}

/// `caller-lacks-id-token` and `caller-lacks-permissions`.
pub(super) fn caller_lacks_permissions<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (Some(called), Some((uses, _))) = (it.called_login(), it.job.uses()) else { return };
    let lacks_id_token = can_request_id_token(it.workflow, it.job) == Some(false);
    let mut lacking = Vec::new();
    for (name, requested) in &report.of_called(it.job).requested {
        let granted = match it.job.permissions {
            Some(block) => level(block, name),
            // The default depends on the repository, but never includes this one.
            None if name == "id-token" && lacks_id_token => Level::None,
            None => Level::Unknown,
        };
        let is_less = match granted {
            Level::None => matches!(requested.as_str(), "read" | "write"),
            Level::Read => requested == "write",
            Level::Write | Level::Unknown => false,
        };
        if is_less {
            lacking.push((name.clone(), requested.clone()));
        }
    }
    let requests_id_token = lacking.iter().any(|(name, level)| name == "id-token" && level == "write");
    let (job, path) = (it.job.id, &called.file.path);
    let (code, more, message) = if requests_id_token || lacks_id_token && it.calls_login_that_needs_token() {
        let message = format!("job `{job}` calls {path}, which logs in, but does not grant `id-token: write`");
        (Code::CallerLacksIdToken, ("id-token", "write"), message)
    } else if let Some((name, level)) = lacking.first() {
        let all = lacking
            .iter()
            .map(|(name, level)| in_backticks(&format!("{name}: {level}")))
            .collect::<Vec<_>>()
            .join(", ");
        let message = format!(
            "job `{job}` calls {path}, but does not grant {all}, which a job there requests: GitHub does not start the run"
        );
        (Code::CallerLacksPermissions, (name.as_str(), level.as_str()), message)
    } else {
        return;
    };
    let fix = permissions_fix(report, it.job, more);
    report.add(code, Place::of(it.workflow.file, uses), message, fix);
}

/// Actions that write a release, in lower case.
const RELEASE_ACTIONS: [&str; 10] = [
    "softprops/action-gh-release",
    "ncipollo/release-action",
    "actions/create-release",
    "actions/upload-release-asset",
    "svenstaro/upload-release-action",
    "marvinpinto/action-automatic-releases",
    "googleapis/release-please-action",
    "google-github-actions/release-please-action",
    "release-drafter/release-drafter",
    "elgohr/github-release-action",
];

pub(super) fn release_needs_contents_write<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    if !matches!(job.level("contents"), Some(Level::None | Level::Read)) || is_off(job.node) {
        return;
    }
    for step in job.steps.iter().filter(|step| !is_off(step.node)) {
        let Some(place) = release_place(step).filter(|_| uses_job_token(step)) else { continue };
        let message =
            format!("the release cannot be written: job {} does not have `contents: write`", in_backticks(job.id));
        let fix = permissions_fix(report, job, ("contents", "write"));
        report.add(Code::ReleaseNeedsContentsWrite, place, message, fix);
    }
}

/// Where a step writes a release.
fn release_place<'a>(step: &Step<'a>) -> Option<Place<'a>> {
    if let Some((node, Uses::Remote { owner, name, .. })) = step.uses() {
        let action = format!("{owner}/{name}").to_lowercase();
        return RELEASE_ACTIONS.contains(&action.as_str()).then(|| Place::of(step.file, node));
    }
    let writes = |command: &&Command| {
        let is_release = command.program() == "gh" && command.argument(1) == "release";
        is_release && matches!(command.argument(2), "create" | "new" | "upload" | "edit" | "delete" | "delete-asset")
    };
    let command = step.script().commands.iter().find(writes)?;
    Some(step.place_in_script(command.words[0].at.start..command.words[2].at.end))
}

/// Whether a step has no other token than the job's own. `gh` needs one in its environment.
fn uses_job_token(step: &Step<'_>) -> bool {
    let is_own = |value: &Node| value.text().and_then(only_reference).is_some_and(|it| it.is_job_token());
    let variables: Vec<_> = ["GH_TOKEN", "GITHUB_TOKEN"].into_iter().filter_map(|name| step.variable(name)).collect();
    if step.run().is_some() {
        // `gh` prefers the first.
        return variables.first().is_some_and(|value| is_own(value));
    }
    let inputs = step.node.get("with").map_or(&[][..], Node::entries).iter();
    let mut tokens = inputs.filter(|(name, _)| name.text().is_some_and(|name| name.to_lowercase().contains("token")));
    tokens.all(|(_, value)| is_own(value)) && variables.into_iter().all(is_own)
}

pub(super) fn no_contents_permission<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (job, logs_in) = (it.job, !it.logins().is_empty());
    // A block that was written for the login, or that is in force for it.
    let is_of_login = logs_in || job.level("id-token") == Some(Level::Write);
    if !is_of_login || job.level("contents") != Some(Level::None) {
        return;
    }
    for step in job.steps.iter().filter(|step| is_checkout(step)) {
        let has_other = ["token", "ssh-key", "repository"].iter().any(|input| step.input(input).is_some());
        let Some((uses, _)) = step.uses().filter(|_| !has_other) else { continue };
        let message = format!(
            "job {} cannot check out a private repository: its permissions do not include `contents: read`",
            in_backticks(job.id)
        );
        let fix = permissions_fix(report, job, ("contents", "read"));
        report.add(Code::NoContentsPermission, Place::of(step.file, uses), message, fix);
    }
}

fn is_checkout(step: &Step<'_>) -> bool {
    matches!(step.uses(), Some((_, Uses::Remote { owner, name, path: "", .. }))
        if owner.eq_ignore_ascii_case("actions") && name.eq_ignore_ascii_case("checkout"))
}

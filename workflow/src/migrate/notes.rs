//! What is worth knowing about edited workflows.

use crate::edits::sort;
use crate::expression::references;
use crate::login::Project;
use crate::model::{Found, Job, Place, Step, Uses, Workflow, all_references};
use crate::permissions::unknown_uses;
use crate::push::pushes;
use crate::yaml::Node;

use super::analysis::KeyUse;
use super::plan::{JobPlan, Note, Options, Plan};

/// Notes about the edits of a job. `is_conditional`: whether the login has a condition.
pub(super) fn of_job(workflow: &Workflow<'_>, job: &Job<'_>, uses: &[KeyUse<'_>], is_conditional: bool) -> Vec<Note> {
    let mut notes = Vec::new();
    let line = |node: &Node| workflow.file.document.line_of(node.at().start);
    // A build between two pushes.
    if let [first, .., last] = uses {
        for step in job.steps.iter().take(last.step).skip(first.step + 1) {
            let Some(command) = step.script().commands.iter().find(|command| command.is_build()) else { continue };
            let message = "this runs between two pushes, and the API key is valid for about one hour".to_owned();
            notes.push(Note {
                line: step.place_in_script(command.words[0].at.clone()).line(),
                code: "build-between",
                message,
            });
            break;
        }
    }
    for uses in uses.chunk_by(|a, b| a.step == b.step) {
        let step = &job.steps[uses[0].step];
        let is_implicit =
            |step: &Step<'_>| pushes(step.script()).iter().any(|push| push.key.is_none() && !push.stores_key);
        if uses.iter().any(|it| it.secret.is_none()) || is_implicit(step) {
            let message =
                "the push reads the key from NUGET_API_KEY: NuGet 7.6 (.NET SDK 10.0.300) or later does".to_owned();
            notes.push(Note { line: step.run().map_or_else(|| line(step.node), line), code: "nuget-version", message });
        }
    }
    let is_free = job.condition().is_none() && !is_conditional;
    for event in ["pull_request", "pull_request_target"].into_iter().filter_map(|event| workflow.event(event)) {
        if is_free && job.needs().iter().all(|id| workflow.job(id).is_none_or(|job| job.condition().is_none())) {
            let message = format!(
                "the login in job `{}` also runs for pull requests, where it fails: GitHub issues no ID token to forks, and \
                 nuget.org rejects `pull_request_target`",
                job.id
            );
            notes.push(Note { line: line(event), code: "login-on-pull-request", message });
        }
    }
    notes
}

/// Steps with the job's token that a new block of permissions can take something from.
pub(super) fn check_permissions(workflow: &Workflow<'_>, job: &Job<'_>, had_block: bool) -> Vec<Note> {
    let lost =
        if had_block { "only has the permissions in the new block" } else { "had all default permissions before" };
    let note = |place: &Place<'_>| Note {
        line: place.line(),
        code: "check-permissions",
        message: format!("check the permissions of job `{}`: this step gets `GITHUB_TOKEN`, which {lost}", job.id),
    };
    let mut notes: Vec<_> = unknown_uses(job).iter().map(note).collect();
    for env in [job.node.get("env"), workflow.file.document.root.get("env")].into_iter().flatten() {
        let found = all_references(workflow.file, env, "env");
        notes.extend(found.iter().filter(|it| it.reference.is_job_token()).map(|it| note(&it.place)));
    }
    notes
}

/// Notes about an edited file.
pub(super) fn of_file(
    workflow: &Workflow<'_>,
    project: &Project<'_>,
    jobs: &[JobPlan],
    options: &Options<'_>,
) -> Vec<Note> {
    let mut notes = Vec::new();
    let document = &workflow.file.document;
    let is_login = jobs.iter().any(|job| job.logs_in);
    let comments = document
        .text
        .lines()
        .enumerate()
        .take(20)
        .filter(|(_, line)| line.trim_start_matches([' ', '\u{feff}']).starts_with('#'));
    for (nth, line) in comments {
        let line = line.to_lowercase();
        if line.contains("generated") && ["auto", "by ", "not edit", "from "].iter().any(|part| line.contains(part)) {
            let message = "the file says that it is generated: make the same edits where it comes from".to_owned();
            notes.push(Note { line: nth + 1, code: "generated-file", message });
            break;
        }
    }
    let is_commit = |reference: &str| reference.len() >= 40 && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let reference = options.uses.split(" #").next().unwrap_or_default().trim().rsplit('@').next().unwrap_or_default();
    let pinned = workflow.jobs.iter().flat_map(|job| &job.steps).find_map(|step| match step.uses() {
        Some((node, Uses::Remote { reference, .. })) if is_commit(reference) => Some(node),
        _ => None,
    });
    if let Some(node) = pinned.filter(|_| is_login && !is_commit(reference)) {
        let message = format!(
            "the file pins its actions: replace the tag in `{}` by the full SHA of its commit, or use `--uses ACTION@SHA`",
            options.uses
        );
        notes.push(Note { line: document.line_of(node.at().start), code: "unpinned", message });
    }
    let secrets: Vec<String> =
        jobs.iter().filter(|job| job.logs_in).flat_map(|job| &job.secrets).map(|name| name.to_lowercase()).collect();
    for step in workflow.jobs.iter().flat_map(|job| &job.steps) {
        let run = step.run().and_then(Node::text).unwrap_or_default();
        if step.script().comments().is_empty() || !run.contains("${{") {
            continue;
        }
        for reference in references(run) {
            let name = reference.of("secrets").filter(|name| secrets.iter().any(|it| it == name));
            if let Some(name) = name.filter(|_| step.script().is_comment(reference.at.start)) {
                let message = format!("a comment of the script still names the secret `{}`", name.to_uppercase());
                notes.push(Note {
                    line: step.place_in_script(reference.at).line(),
                    code: "secret-in-comment",
                    message,
                });
            }
        }
    }
    let is_called_here = || project.workflows.iter().flat_map(|it| &it.jobs).any(|job| job.calls(&workflow.file.path));
    if let Some(event) = workflow.event("workflow_call").filter(|_| is_login && !is_called_here()) {
        notes.push(Note {
            line: document.line_of(event.at().start),
            code: "caller-permissions",
            message: "no workflow of the repository calls this one: each caller's job must grant `id-token: write`"
                .to_owned(),
        });
    }
    notes
}

/// Finds which secrets nothing uses any more, and where the others are still used.
pub(super) fn remaining_secrets(project: &Project<'_>, plan: &mut Plan<'_>) {
    let mut names: Vec<String> = Vec::new();
    for file in &plan.files {
        let workflow = project.workflows.iter().find(|it| std::ptr::eq(it.file, file.file));
        for name in file.jobs.iter().filter(|job| job.logs_in).flat_map(|job| &job.secrets) {
            for name in workflow.map_or_else(Vec::new, |it| passed_names(project, it, name)) {
                if !names.iter().any(|it| it.eq_ignore_ascii_case(&name)) {
                    names.push(name);
                }
            }
        }
    }
    sort(&mut names, |a, b| a < b);
    let mut notes: Vec<(usize, Note)> = Vec::new();
    for name in names {
        let mut lines = Vec::new();
        for (nth, file) in plan.files.iter().enumerate() {
            let Some(workflow) = project.workflows.iter().find(|it| std::ptr::eq(it.file, file.file)) else { continue };
            for found in uses_of(workflow, &name) {
                let next = file.edits.partition_point(|edit| edit.at.start <= found.at.start);
                let is_replaced = file.edits[..next].iter().rev().take(3).any(|edit| found.at.end <= edit.at.end);
                if !is_replaced && !lines.contains(&(nth, found.line())) {
                    lines.push((nth, found.line()));
                }
            }
        }
        match lines.first() {
            None => plan.secrets_to_delete.push(name),
            Some((nth, line)) => {
                let path = |nth: usize| plan.files[nth].file.path.rsplit('/').next().unwrap_or_default();
                let all: Vec<_> = lines.iter().map(|(nth, line)| format!("{}:{line}", path(*nth))).collect();
                let message = format!("the secret `{name}` is still used: {}", all.join(", "));
                notes.push((*nth, Note { line: *line, code: "secret-still-used", message }));
            }
        }
    }
    for (nth, note) in notes {
        plan.files[nth].notes.push(note);
    }
}

/// The names of a secret in the repository: in a called workflow, those that its callers pass.
fn passed_names(project: &Project<'_>, workflow: &Workflow<'_>, name: &str) -> Vec<String> {
    if workflow.event("workflow_call").is_none() {
        return vec![name.to_owned()];
    }
    let mut names = if workflow.is_only_called() { Vec::new() } else { vec![name.to_owned()] };
    for caller in project.workflows.iter() {
        for job in &caller.jobs {
            if !job.calls(&workflow.file.path) {
                continue;
            }
            let Some(secrets) = job.node.get("secrets") else { continue };
            if secrets.text() == Some("inherit") {
                names.push(name.to_owned());
            }
            let Some((_, value)) = secrets.entry_ignoring_case(name) else { continue };
            for found in all_references(caller.file, value, "secrets") {
                if found.reference.of("secrets").is_some() {
                    let text = found.place.text();
                    names.push(text.rsplit('.').next().unwrap_or_default().trim_matches(['[', ']', '\'']).to_owned());
                }
            }
        }
    }
    names
}

/// The places where a workflow reads a secret.
fn uses_of<'a>(workflow: &Workflow<'a>, name: &str) -> Vec<Place<'a>> {
    let root = &workflow.file.document.root;
    let mut found = Vec::new();
    let is_use = |it: &Found<'_>| it.reference.of("secrets").is_some_and(|it| it.eq_ignore_ascii_case(name));
    if let Some(env) = root.get("env") {
        found.extend(all_references(workflow.file, env, "env").into_iter().filter(is_use).map(|it| it.place));
    }
    for job in &workflow.jobs {
        for (_, value) in job.node.entries().iter().filter(|(key, _)| key.text() != Some("steps")) {
            found.extend(all_references(workflow.file, value, "").into_iter().filter(is_use).map(|it| it.place));
        }
        for step in &job.steps {
            found.extend(step.references().iter().filter(|it| is_use(it)).map(|it| it.place.clone()));
        }
    }
    found
}

//! How later steps use a login's key, and what runs before they do.

use crate::login::{Delivery, KEY, Login, ProjectJob, Use};
use crate::model::{Found, Step, Uses, all_references, sorted_ids};
use crate::push::Push;
use crate::script::Command;

use super::fix::{give_key, give_key_to, key_of, login_step, variable_in};
use super::report::{Code, Fix, Report};

/// The steps of a job or an action, and the logins among them.
pub(super) struct KeyFlow<'w, 'p, 'a> {
    pub(super) steps: &'w [Step<'a>],
    pub(super) logins: &'w [Login<'a>],
    /// The steps whose keys are read in the workflow, by the jobs that read them.
    pub(super) keys: &'w [(ProjectJob<'p, 'a>, String)],
}

impl<'a> KeyFlow<'_, '_, 'a> {
    /// `key-not-used`, `wrong-reference` and `key-in-script`. `leaves` is whether an output or a variable passes
    /// a key on.
    pub(super) fn check(&self, report: &mut Report<'_, 'a>, leaves: impl Fn(&Login<'a>) -> bool) {
        let has_wrong_reference = self.wrong_references(report);
        for login in self.logins {
            // What a local action does with the key is its own finding.
            let is_inner = login.is_local && login.key_outputs.is_empty();
            let job = report.job;
            let is_read_elsewhere = |(reader, id): &(ProjectJob<'_, 'a>, String)| {
                login.id.is_some_and(|it| it.eq_ignore_ascii_case(id)) && job.is_some_and(|job| !job.is(reader))
            };
            let is_elsewhere = is_inner || has_wrong_reference || leaves(login) || self.is_used(login);
            if !is_elsewhere && !self.keys.iter().any(is_read_elsewhere) {
                self.key_not_used(report, login);
            }
        }
        self.keys_in_scripts(report);
    }

    fn is_used(&self, login: &Login<'a>) -> bool {
        login.delivery == Delivery::Elsewhere || login.used_inside || self.last_use(login).is_some()
    }

    /// The last step that reads the key. A condition that only tests it does not use it.
    fn last_use(&self, login: &Login<'a>) -> Option<usize> {
        let reads = |step: &Step<'a>| step.references().iter().any(|it| it.within != "if" && login.is_used_by(it));
        (login.step + 1..self.steps.len()).rev().find(|nth| reads(&self.steps[*nth]))
    }

    fn key_not_used(&self, report: &mut Report<'_, 'a>, login: &Login<'a>) {
        let reads = |step: &Step<'a>| step.references().iter().any(|it| login.is_used_by(it));
        let pushes = |step: &&Step<'a>| step.script().commands.iter().any(|command| Push::of(command).is_some());
        let give_key = |id: &str| match self.steps[login.step + 1..].iter().find(pushes) {
            Some(step) => give_key_to(step, id, login),
            None => give_key(id, login),
        };
        let (why, fixes) = match login.id {
            None => {
                let expected = self.expected_id(login);
                let id = expected.as_deref().unwrap_or("login");
                let mut fixes = vec![Fix::paste("add an id to the login step", format!("id: {id}"))];
                if expected.is_none() {
                    let fix = give_key(id);
                    fixes.push(Fix { text: format!("and {}", fix.text), ..fix });
                }
                ("the step has no `id`, so no other step can read its output", fixes)
            }
            Some(id) if self.steps[..login.step].iter().any(reads) => {
                let fix = format!("move step `{}` before the step that pushes", id);
                ("only earlier steps read its output", vec![Fix::text(fix)])
            }
            Some(id) => ("no later step of the job reads its output", vec![give_key(id)]),
        };
        let message = format!("the API key of this login is not used: {why}");
        report.add_with_fixes(Code::KeyNotUsed, login.place.clone(), &message, fixes);
    }

    /// The id of a step that does not exist, and whose key a later step reads.
    fn expected_id(&self, login: &Login<'a>) -> Option<String> {
        let later = &self.steps[login.step + 1..];
        let ids = later.iter().flat_map(Step::references).filter_map(names_key_of);
        ids.filter(|id| !self.steps.iter().any(|step| step.is(id))).map(str::to_owned).next()
    }

    /// Whether there was a wrong reference.
    fn wrong_references(&self, report: &mut Report<'_, 'a>) -> bool {
        let mut any = false;
        for (step, found) in self.steps.iter().flat_map(|step| step.references().iter().map(move |it| (step, it))) {
            let Some((why, login)) = self.wrong(report, found) else { continue };
            any = true;
            let fix = match login.and_then(|login| Some((login.id?, login))) {
                // In a script, the expression would be replaced with the key itself.
                Some((id, login)) if found.within == "run" => give_key_to(step, id, login),
                Some((id, login)) => Fix::text(format!("replace it with `{}`", key_of(id, login))),
                None => {
                    let text =
                        "add the login to this job, before the push: GitHub does not pass masked values between jobs";
                    Fix::paste(text, login_step(names_key_of(found).unwrap_or("nuget-login")))
                }
            };
            let message = format!("`{}` is always empty: {why}", found.place.text());
            report.add(Code::WrongReference, found.place.clone(), message, fix);
        }
        any
    }

    /// Why a reference to a key cannot give one, and the login that is meant.
    fn wrong(&self, report: &Report<'_, 'a>, found: &Found<'a>) -> Option<(String, Option<&Login<'a>>)> {
        if let Some(login) = self.logins.iter().find(|login| login.read_by(found) == Use::Wrong) {
            let is_key_of_other = self.logins.iter().any(|login| login.is_used_by(found));
            return (!is_key_of_other).then(|| ("the login step has no such output".to_owned(), Some(login)));
        }
        let id = names_key_of(found)?;
        if self.logins.iter().any(|login| login.read_by(found) != Use::Unrelated) {
            return None;
        }
        let meant = self.logins.iter().find(|login| login.id.is_some());
        let is_login_of_other_job = || {
            let mut logins = report.job.into_iter().flat_map(ProjectJob::others).flat_map(|job| job.logins());
            logins.any(|login| login.id.is_some_and(|it| it.eq_ignore_ascii_case(id)))
        };
        match self.steps.iter().find(|step| step.is(id)) {
            Some(step) if cannot_have_key(report, step) => Some((format!("step `{id}` does not log in"), meant)),
            Some(_) => None,
            None if meant.is_some() => Some((format!("this job has no step with the id `{id}`"), meant)),
            // A login without an id is the mistake then.
            None if !self.logins.is_empty() => None,
            None => is_login_of_other_job().then(|| (format!("step `{id}` is in another job"), None)),
        }
    }

    fn keys_in_scripts(&self, report: &mut Report<'_, 'a>) {
        let reads = |found: &Found<'a>| self.logins.iter().any(|login| login.read_by(found) == Use::Key);
        for step in self.steps.iter().filter(|step| step.run().is_some()) {
            for found in step.references().iter().filter(|found| found.within == "run") {
                let is_key = match found.reference.of("env").and_then(|name| step.variable(name)) {
                    Some(value) => all_references(step.file, value, "env").iter().any(reads),
                    None => reads(found),
                };
                if is_key {
                    let message = "the script contains the API key itself: GitHub writes the expanded script to a file";
                    let reference = found.place.text();
                    let own =
                        found.reference.of("env").and_then(|name| step.node.get("env")?.entry_ignoring_case(name));
                    let fix = match own.and_then(|(name, _)| name.text()) {
                        Some(name) => Fix::text(format!("replace the expression with {}", variable_in(step, name))),
                        None => Fix::paste(
                            format!(
                                "add it to the environment of the step, and use {} in the script",
                                variable_in(step, "NUGET_API_KEY")
                            ),
                            format!("env:\n  NUGET_API_KEY: ${{{{ {reference} }}}}"),
                        ),
                    };
                    report.add(Code::KeyInScript, found.place.clone(), message, fix);
                }
            }
        }
    }
}

/// The names of the steps whose keys are read anywhere in a workflow, in jobs that have no step of that name.
pub(super) fn key_references<'p, 'a: 'p>(
    jobs: impl Iterator<Item = ProjectJob<'p, 'a>>,
) -> Vec<(ProjectJob<'p, 'a>, String)> {
    let mut keys = Vec::new();
    for job in jobs {
        let ids = sorted_ids(&job.job.steps);
        for id in job.job.steps.iter().flat_map(Step::references).filter_map(names_key_of) {
            let at = ids.partition_point(|(it, _)| it.as_str() < id);
            if ids.get(at).is_none_or(|(it, _)| it != id) {
                keys.push((job, id.to_owned()));
            }
        }
    }
    keys
}

/// The step whose key a reference reads, by the output's name.
fn names_key_of<'f>(found: &'f Found<'_>) -> Option<&'f str> {
    match found.reference.names()[..] {
        [Some("steps"), Some(id), Some("outputs"), Some(KEY)] => Some(id),
        _ => None,
    }
}

/// Whether it is known that a step has no output with a key.
fn cannot_have_key(report: &Report<'_, '_>, step: &Step<'_>) -> bool {
    match step.uses() {
        // Actions that read vaults have the outputs that their inputs name.
        Some((_, Uses::Remote { .. })) => !step.text().to_lowercase().contains("nuget"),
        Some((_, Uses::Local(path))) => report.project.action(&path).is_some_and(|action| {
            !action.steps.is_empty() && action.outputs().iter().all(|(name, _)| !name.eq_ignore_ascii_case(KEY))
        }),
        // Any other program can write outputs.
        None => {
            let is_known = |command: &Command| {
                matches!(command.program().as_str(), "echo" | "git" | "gh" | "cd" | "mkdir" | "cp" | "mv" | "ls")
                    || command.is_build()
                    || Push::of(command).is_some()
            };
            let commands = &step.script().commands;
            !commands.is_empty() && commands.iter().all(is_known) && !step.text().to_lowercase().contains(KEY)
        }
    }
}

/// A build between the login and the push, in which the key can expire.
pub(super) fn build_between<'a>(report: &mut Report<'_, 'a>, flow: &KeyFlow<'_, '_, 'a>) {
    for login in flow.logins.iter().filter(|login| login.delivery == Delivery::Output) {
        let steps = &flow.steps[login.step + 1..];
        let is_push =
            |command: &Command| Push::of(command).is_some_and(|push| push.source.is_some() || push.key.is_some());
        let last_use = flow.last_use(login);
        let last =
            steps.iter().enumerate().rev().find(|(nth, step)| {
                Some(login.step + 1 + nth) == last_use || step.script().commands.iter().any(is_push)
            });
        let Some((last, step)) = last else { continue };
        // In the step that pushes, what comes before the push.
        let push = step.script().commands.iter().rposition(is_push);
        let before =
            steps[..last].iter().flat_map(|step| step.script().commands.iter().map(move |command| (step, command)));
        let within = step.script().commands.iter().take(push.unwrap_or(0)).map(|command| (step, command));
        let Some((step, command)) = before.chain(within).find(|(_, command)| command.is_build()) else { continue };
        let place =
            step.place_in_script(command.words[0].at.start..command.words[command.words.len().min(2) - 1].at.end);
        let message = "this runs between the login and the push, and the API key can expire in the meantime";
        report.add(Code::BuildBetween, place, message, Fix::text("move the login step directly before the push"));
    }
}

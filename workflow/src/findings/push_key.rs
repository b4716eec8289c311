//! Pushes to nuget.org: stored keys, missing keys, and `--skip-duplicate`.

use crate::key::{self, Part};
use crate::login::{ProjectJob, Scope, is_nuget_org};
use crate::model::{Job, Place, Step, Uses, is_off};
use crate::push::{Sources, Target, named_sources, pushes};
use crate::script::{Shell, variable};
use crate::yaml::Node;

use super::fix::{give_key_to, key_of, login_step, variable_in};
use super::report::{Code, Fix, Report, in_backticks};

/// A push to nuget.org by a secret, in a workflow that logs in.
pub(super) fn stored_key<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    let names = named_sources(&job.steps);
    for step in job.steps.iter().filter(|step| !is_off(step.node) && !is_off(job.node)) {
        let scope = Scope { step, action: None };
        stored_keys_of(report, scope, &names);
        match step.uses() {
            Some((_, Uses::Local(path))) => {
                let Some(action) = report.project.action(&path) else { continue };
                let names = names.iter().cloned().chain(named_sources(&action.steps)).collect::<Vec<_>>();
                for inner in &action.steps {
                    stored_keys_of(report, Scope { step: inner, action: Some((action, step)) }, &names);
                }
            }
            Some((_, Uses::Remote { .. })) => stored_key_input(report, step),
            None => {}
        }
    }
}

fn stored_keys_of<'a>(report: &mut Report<'_, 'a>, scope: Scope<'_, 'a>, names: &[(String, String)]) {
    let sources = Sources::new(scope, names);
    for push in pushes(scope.step.script()) {
        if sources.target(&push) == Target::NugetOrg {
            let parts = match &push.key {
                Some(word) => key::of_word(scope, word),
                None => key::of_variable(scope, "NUGET_API_KEY").unwrap_or_default(),
            };
            stored_key_finding(report, scope.step, &parts);
        }
    }
}

/// A third-party action that is given nuget.org and a secret as its key.
fn stored_key_input<'a>(report: &mut Report<'_, 'a>, step: &Step<'a>) {
    let inputs = step.node.get("with").map_or(&[][..], Node::entries);
    let names_nuget_org = inputs.iter().filter_map(|(_, value)| value.text()).any(|text| is_nuget_org(text.trim()));
    if !names_nuget_org {
        return;
    }
    for (name, value) in inputs {
        if name.text().is_some_and(|name| name.to_lowercase().contains("key")) {
            stored_key_finding(report, step, &key::of_input(Scope { step, action: None }, value));
        }
    }
}

/// Reports the secrets that a key is made of, if it is not that of a login with a secret as its substitute.
fn stored_key_finding<'a>(report: &mut Report<'_, 'a>, step: &Step<'a>, parts: &[Part<'a>]) {
    let is_of_step = |part: &Part<'_>| match part {
        Part::Login => true,
        Part::Elsewhere(place) => place.text().starts_with("steps"),
        _ => false,
    };
    if parts.iter().any(is_of_step) {
        return;
    }
    for secret in parts.iter().filter_map(Part::secret) {
        stored_secret(report, step, secret.place.clone());
    }
}

fn stored_secret<'a>(report: &mut Report<'_, 'a>, step: &Step<'a>, place: Place<'a>) {
    let message = format!("the push to nuget.org uses a stored key, `{}`, in place of the login's", place.text());
    let logins = report.job.map_or(&[][..], |job| job.logins());
    let variable = report.job.and_then(|it| outer_variable(it, &place));
    let is_in_script = step.run().is_some_and(|run| contains(run, &place)) && std::ptr::eq(step.file, place.file);
    let login = logins.iter().find(|login| login.id.is_some()).or(logins.first());
    // The id that `key-not-used` proposes.
    let login = login.map(|login| (login.id.unwrap_or("login"), login));
    let fixes = match (login, variable) {
        (None, name) => {
            let name = name.unwrap_or("NUGET_API_KEY");
            let variable = format!("env:\n  {name}: ${{{{ steps.nuget-login.outputs.NUGET_API_KEY }}}}");
            vec![
                Fix::paste("add the login to this job, before the push", login_step("nuget-login")),
                Fix::paste("and give its key to the step that pushes, and remove the secret", variable),
            ]
        }
        // Other contexts than `steps` are available there.
        (Some((id, login)), Some(name)) => vec![Fix::paste(
            "remove this line, and add to the step that pushes",
            format!("env:\n  {name}: ${{{{ {} }}}}", key_of(id, login)),
        )],
        // In a script, the expression would be replaced with the key itself.
        (Some((id, login)), None) if is_in_script => vec![give_key_to(step, id, login)],
        (Some((id, login)), None) => vec![Fix::text(format!("replace it with `{}`", key_of(id, login)))],
    };
    report.add_with_fixes(Code::StoredKey, place, &message, fixes);
}

/// Whether a value of the file is written around a place.
fn contains(node: &Node, place: &Place<'_>) -> bool {
    node.at().contains(&place.at.start)
}

/// The variable of the job or of the workflow that is defined at a place.
fn outer_variable<'a>(it: ProjectJob<'_, 'a>, place: &Place<'a>) -> Option<&'a str> {
    let file = it.workflow.file;
    let blocks = [it.job.node.get("env"), file.document.root.get("env")];
    let mut entries = blocks.into_iter().flatten().filter(|_| std::ptr::eq(file, place.file)).flat_map(Node::entries);
    entries.find(|(_, value)| contains(value, place))?.0.text()
}

/// A push without any key, where only a login is missing.
pub(super) fn no_login<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>, place: Place<'a>) {
    let message = format!(
        "the push to nuget.org has no API key: job {} can request an ID token, but does not log in",
        in_backticks(job.id)
    );
    let run = Fix::text("run `nuget-login migrate`, which adds the login and gives its key to the push");
    let paste = Fix::paste("or add the login before the push", login_step("nuget-login"));
    let variable = Fix::paste(
        "and give its key to the push",
        "env:\n  NUGET_API_KEY: ${{ steps.nuget-login.outputs.NUGET_API_KEY }}",
    );
    report.add_with_fixes(Code::NoLogin, place, &message, vec![run, paste, variable]);
}

/// A key that another shell than the step's would read: the push has none.
pub(super) fn empty_variable<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    for step in job.steps.iter().filter(|step| step.is_shell_known() && !is_off(step.node)) {
        for word in pushes(step.script()).into_iter().filter_map(|push| push.key) {
            let text = word.text.trim();
            let Some(name) = variable(text).filter(|name| step.variable(name).is_some()) else { continue };
            let is_environment = ["$env:", "${env:"].iter().any(|it| text.to_lowercase().starts_with(it));
            let is_read = match step.shell() {
                Shell::PowerShell => is_environment || step.script().assigned(name, word.at.start).is_some(),
                Shell::Posix => text.starts_with('$') && !is_environment,
                Shell::Cmd => text.starts_with('%'),
                Shell::Other => true,
            };
            if !is_read {
                let message =
                    format!("the push has no key: the shell of this step does not read the variable by `{text}`");
                let fix = Fix::text(format!("write {}", variable_in(step, name)));
                report.add(Code::EmptyVariable, step.place_in_script(word.at), message, fix);
            }
        }
    }
}

pub(super) fn skip_duplicate<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    for step in &job.steps {
        let commands = step.script().commands.iter().filter(|command| !command.only_prints());
        let Some(word) = commands.filter_map(|it| it.has(&["--skip-duplicate", "-SkipDuplicate"])).next() else {
            continue;
        };
        let message = "with this option a push of a reserved package ID is reported as a success";
        let fixes = vec![
            Fix::text("remove the option if each version is pushed only once"),
            Fix::text("or check on nuget.org that each package was published"),
        ];
        report.add_with_fixes(Code::SkipDuplicate, step.place_in_script(word.at.clone()), message, fixes);
    }
}

//! Files that GitHub rejects: ids, `uses`, `shell`, merge keys, and contexts that are not available.

use crate::login::reads_steps;
use crate::model::{Action, File, Place, Step, all_references, sorted_ids};
use crate::script::Shell;
use crate::yaml::Node;

use super::fix::input_of_action;
use super::report::{Code, Fix, Report, in_backticks};

fn rejected(file: &File) -> &'static str {
    if file.is_action() { "GitHub rejects the action" } else { "GitHub rejects this file" }
}

/// `invalid-workflow` in steps: invalid or repeated ids, invalid `uses`, scripts of actions without `shell`, merge keys.
pub(super) fn invalid_steps<'a>(report: &mut Report<'_, 'a>, steps: &[Step<'a>]) {
    let ids = sorted_ids(steps);
    for pair in ids.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let Some(id) = steps[pair[1].1].node.get("id") else { continue };
        let place = Place::of(steps[pair[1].1].file, id);
        let message = format!(
            "another step already has the id {} (case is ignored): {}",
            in_backticks(place.text()),
            rejected(place.file)
        );
        report.add(Code::InvalidWorkflow, place, message, Fix::text("give each step an id of its own"));
    }
    for step in steps {
        let is_word = |id: &str| {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            id.bytes().all(is_known) && !id.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        };
        if let Some(id) = step.node.get("id").filter(|_| step.id().is_some_and(|id| !is_word(id))) {
            let place = Place::of(step.file, id);
            let message = format!("{} is not a valid id: {}", in_backticks(place.text()), rejected(place.file));
            let fix = "use letters, digits, `_` and `-`, and begin with a letter or `_`";
            report.add(Code::InvalidWorkflow, place, message, Fix::text(fix));
        }
        invalid_action(report, step);
        if let Some(run) = step.run().filter(|_| is_composite(step.file) && step.node.get("shell").is_none()) {
            let shell = if step.shell() == Shell::PowerShell { "pwsh" } else { "bash" };
            let message = format!("a script in an action needs a `shell`: {}", rejected(step.file));
            let fix = Fix::paste("add the shell to the step", format!("shell: {shell}"));
            report.add(Code::InvalidWorkflow, Place::of(step.file, run), message, fix);
        }
        let blocks = [Some(step.node), step.node.get("with"), step.node.get("env")].into_iter().flatten();
        blocks.for_each(|block| merge_key(report, step.file, block));
    }
}

/// Whether the steps of an action are run.
fn is_composite(file: &File) -> bool {
    let using = || file.document.root.get("runs")?.get("using")?.text();
    file.is_action() && using() == Some("composite")
}

/// A mistake in `uses`, and its fix.
type Mistake = (String, &'static str);

fn uses_finding<'a>(report: &mut Report<'_, 'a>, file: &'a File, node: &Node, mistake: fn(&str) -> Option<Mistake>) {
    let Some((uses, text)) =
        node.get("uses").and_then(|uses| Some((uses, if uses.is_null() { "" } else { uses.text()?.trim() })))
    else {
        return;
    };
    let found = match text {
        "" => Some(("`uses` is empty".to_owned(), "write a value, or remove `uses`")),
        _ if text.contains("${{") => {
            Some(("`uses` cannot contain an expression".to_owned(), "write the value without an expression"))
        }
        _ => mistake(text),
    };
    if let Some((message, fix)) = found {
        let message = format!("{message}: {}", rejected(file));
        report.add(Code::InvalidWorkflow, Place::of(file, uses), message, Fix::text(fix));
    }
}

/// What a job calls (actions/languageservices, `validateWorkflowUsesFormat`).
pub(super) fn invalid_call<'a>(report: &mut Report<'_, 'a>, file: &'a File, job: &Node) {
    uses_finding(report, file, job, |text| {
        let (path, version) = text.split_once('@').unwrap_or((text, ""));
        let is_file =
            |name: &str| name.strip_suffix(".yml").or(name.strip_suffix(".yaml")).is_some_and(|it| !it.is_empty());
        let parts = path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>();
        let is_valid = match parts[..] {
            [".", ".github", "workflows" | "workflows-lab", name] => is_file(name) && !text.contains('@'),
            [_, _, ".github", "workflows" | "workflows-lab", name] => is_file(name) && is_version(version),
            _ => false,
        };
        let form = match text.starts_with('.') {
            true => "./.github/workflows/file.yml",
            false => "owner/name/.github/workflows/file.yml@version",
        };
        let message = || format!("{} is not in the form `{form}`", in_backticks(text));
        (!is_valid).then(|| (message(), "write the called workflow in this form"))
    });
}

/// What a step uses (actions/runner, `PipelineTemplateConverter`: "Expected format {org}/{repo}[/path]@ref").
fn invalid_action<'a>(report: &mut Report<'_, 'a>, step: &Step<'a>) {
    uses_finding(report, step.file, step.node, |text| {
        let (path, version) = text.split_once('@').unwrap_or((text, ""));
        let has_repository = path.split(['/', '\\']).filter(|part| !part.is_empty()).count() >= 2;
        let other = ["docker://", "./", ".\\"].iter().any(|prefix| text.starts_with(prefix));
        if other || has_repository && is_version(version) {
            return None;
        }
        let name = in_backticks(text);
        Some(if text.starts_with('.') {
            let fix = "begin the path of an action in this repository with `./`";
            (format!("{name} does not begin with `./`"), fix)
        } else if has_repository && version.is_empty() {
            (format!("{name} does not name a version"), "write the version after `@`: `owner/name@version`")
        } else {
            (format!("{name} is not in the form `owner/name@version`"), "write the action in this form")
        })
    });
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && !text.contains('@')
}

/// GitHub has anchors and aliases, but no merge keys.
pub(super) fn merge_key<'a>(report: &mut Report<'_, 'a>, file: &'a File, block: &'a Node) {
    if let Some((key, _)) = block.entry("<<").filter(|(_, value)| value.text().is_none()) {
        let message = format!("merge keys are not supported: {}", rejected(file));
        let fix = Fix::text("replace `<<` with the entries");
        report.add(Code::InvalidWorkflow, Place::of(file, key), message, fix);
    }
}

/// GitHub rejects a file that reads `steps` in the variables of a job or of the workflow.
pub(super) fn steps_not_available<'a>(report: &mut Report<'_, 'a>, file: &'a File, env: Option<&'a Node>, owner: &str) {
    for (name, value) in env.map_or(&[][..], Node::entries) {
        for found in all_references(file, value, "env").into_iter().filter(|found| reads_steps(&found.reference)) {
            let message = format!("`steps` is not available in the `env` of {owner}: {}", rejected(file));
            let line = format!("env:\n  {}: ${{{{ {} }}}}", name.text().unwrap_or_default(), found.place.text());
            let fix = Fix::paste("remove this line, and add to the step that needs the value", line);
            report.add(Code::StepsNotAvailable, found.place, message, fix);
        }
    }
}

/// An action that reads `vars` or `secrets` fails when it is loaded: "Unrecognized named-value" (actions/runner,
/// `action_yaml.json`).
pub(super) fn context_not_available<'a>(report: &mut Report<'_, 'a>, action: &Action<'a>) {
    for found in action.steps.iter().flat_map(Step::references) {
        let names = found.reference.names();
        let Some(context @ ("vars" | "secrets")) = names[0] else { continue };
        let message = format!("`{context}` is not available in an action: {}", rejected(action.file));
        let fixes = match names.get(1) {
            Some(Some(name)) => {
                let input = if name.ends_with("user") { "user".to_owned() } else { name.replace('_', "-") };
                let read = Fix::text(format!("and replace it with `inputs.{input}`"));
                input_of_action(&input, read, found.place.text())
            }
            _ => vec![Fix::text("add inputs to the action, and set them in each step that uses it")],
        };
        report.add_with_fixes(Code::ContextNotAvailable, found.place.clone(), &message, fixes);
    }
}

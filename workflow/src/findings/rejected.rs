//! What GitHub rejects.

use crate::login::reads_steps;
use crate::model::{Action, File, Place, Step, all_references, sorted_ids};
use crate::yaml::Node;

use super::fix::input_of_action;
use super::report::{Code, Fix, Report, code};

const REJECTED: &str = "GitHub rejects this file";

/// Ids that are not valid or are there already, what `uses` cannot be, a script of an action without a shell, and `<<`.
pub(super) fn invalid_steps<'a>(report: &mut Report<'_, 'a>, steps: &[Step<'a>]) {
    let ids = sorted_ids(steps);
    for pair in ids.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let Some(id) = steps[pair[1].1].node.get("id") else { continue };
        let place = Place::of(steps[pair[1].1].file, id);
        let message = format!("another step already has the id {} (case is ignored): {REJECTED}", code(place.text()));
        report.add(Code::InvalidWorkflow, place, message, Fix::text("give each step an id of its own"));
    }
    for step in steps {
        let is_word = |id: &str| {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            id.bytes().all(is_known) && !id.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        };
        if let Some(id) = step.node.get("id").filter(|_| step.id().is_some_and(|id| !is_word(id))) {
            let place = Place::of(step.file, id);
            let message = format!("{} is not a valid id: {REJECTED}", code(place.text()));
            let fix = "use letters, digits, `_` and `-`, and begin with a letter or `_`";
            report.add(Code::InvalidWorkflow, place, message, Fix::text(fix));
        }
        invalid_uses(report, step.file, step.node);
        if let Some(run) = step.run().filter(|_| step.file.is_action() && step.node.get("shell").is_none()) {
            let message = format!("a script in an action needs a `shell`: {REJECTED}");
            report.add(Code::InvalidWorkflow, Place::of(step.file, run), message, Fix::paste("add it", "shell: bash"));
        }
        let blocks = [Some(step.node), step.node.get("with"), step.node.get("env")].into_iter().flatten();
        blocks.for_each(|block| merge_key(report, step.file, block));
    }
}

/// What a step or a job uses (actions/runner, `PipelineTemplateConverter`: "Expected format {org}/{repo}[/path]@ref").
pub(super) fn invalid_uses<'a>(report: &mut Report<'_, 'a>, file: &'a File, node: &Node) {
    let Some((uses, text)) = node.get("uses").and_then(|uses| Some((uses, uses.text()?))) else { return };
    let (message, fix) = if text.contains("${{") {
        let fix = "write what is used, and its version, without an expression";
        (format!("`uses` cannot contain an expression: {REJECTED}"), fix)
    } else if !is_reference(text) {
        let fix = "write it as `owner/name@version`";
        (format!("{} has no version, or not the form of a reference: {REJECTED}", code(text)), fix)
    } else {
        return;
    };
    report.add(Code::InvalidWorkflow, Place::of(file, uses), message, Fix::text(fix));
}

fn is_reference(text: &str) -> bool {
    let is_local = text.starts_with("./") || text.starts_with(".\\");
    let (path, version) = text.split_once('@').unwrap_or((text, ""));
    let parts = path.split(['/', '\\']).filter(|part| !part.is_empty());
    is_local || text.contains("://") || parts.count() >= 2 && !version.is_empty() && !version.contains('@')
}

/// GitHub has anchors and aliases, but no merge keys.
pub(super) fn merge_key<'a>(report: &mut Report<'_, 'a>, file: &'a File, block: &'a Node) {
    if let Some((key, _)) = block.entry("<<").filter(|(_, value)| value.text().is_none()) {
        let message = format!("merge keys are not supported: {REJECTED}");
        let fix = Fix::text("replace `<<` with the entries");
        report.add(Code::InvalidWorkflow, Place::of(file, key), message, fix);
    }
}

/// GitHub rejects a file that reads `steps` in the variables of a job or of the workflow.
pub(super) fn steps_not_available<'a>(report: &mut Report<'_, 'a>, file: &'a File, env: Option<&'a Node>, owner: &str) {
    for (name, value) in env.map_or(&[][..], Node::entries) {
        for found in all_references(file, value, "env").into_iter().filter(|found| reads_steps(&found.reference)) {
            let message = format!("`steps` is not available in the `env` of {owner}: GitHub rejects this file");
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
        let message = format!("`{context}` is not available in an action: GitHub rejects the action");
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

//! The fixes that several findings have.

use crate::login::{KEY, Login};
use crate::model::{Job, Step};
use crate::permissions::{Block, entries, of_steps, raise};
use crate::script::Shell;

use super::report::{Fix, Report};

/// The expression that reads a login's key.
pub(super) fn key_of(id: &str, login: &Login<'_>) -> String {
    let output = login.key_outputs.first().map_or(KEY, String::as_str);
    let output = if output == KEY { "NUGET_API_KEY" } else { output };
    format!("steps.{id}.outputs.{output}")
}

/// A variable with the key, for the step that pushes.
fn key_variable(id: &str, login: &Login<'_>) -> String {
    format!("env:\n  NUGET_API_KEY: ${{{{ {} }}}}", key_of(id, login))
}

/// Gives the key to a step that is not known.
pub(super) fn give_key(id: &str, login: &Login<'_>) -> Fix {
    let text = "give the key to the step that pushes, and push with `--api-key \"$NUGET_API_KEY\"` (PowerShell: \
                `$env:NUGET_API_KEY`)";
    Fix::paste(text, key_variable(id, login))
}

/// Gives the key to this step, in the words of its shell.
pub(super) fn give_key_to(step: &Step<'_>, id: &str, login: &Login<'_>) -> Fix {
    let value = variable_in(step, "NUGET_API_KEY").replacen('`', "`--api-key ", 1);
    Fix::paste(format!("give the key to the step that pushes, and push with {value}"), key_variable(id, login))
}

/// A variable as the script of a step reads it, in backticks.
pub(super) fn variable_in(step: &Step<'_>, name: &str) -> String {
    match step.shell() {
        Shell::Posix if step.is_shell_known() => format!("`\"${name}\"`"),
        Shell::Posix => format!("`\"${name}\"` (PowerShell: `$env:{name}`)"),
        Shell::PowerShell => format!("`$env:{name}`"),
        Shell::Cmd => format!("`%{name}%`"),
        Shell::Other => format!("the variable `{name}`"),
    }
}

/// A login to paste.
pub(super) fn login_step(id: &str) -> String {
    format!(
        "- name: NuGet login\n  id: {id}\n  uses: org/nuget-login@v1\n  with:\n    user: ${{{{ vars.NUGET_USER }}}}"
    )
}

/// The block of permissions that a job needs, with `more` added.
pub(super) fn permissions_fix<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>, more: (&str, &str)) -> Fix {
    let mut all = vec![(more.0.to_owned(), more.1.to_owned())];
    let mut add = |block: Block| block.iter().for_each(|(name, level)| raise(&mut all, name, level));
    let block = job.permissions.filter(|block| block.is_mapping());
    if let Some(block) = block {
        add(entries(block));
    }
    // A block takes away what it does not name.
    if job.uses().is_some() {
        add(report.of_called(job).needed.clone());
    } else if job.permissions.is_none() {
        add(of_steps(report.project, job));
    } else if block.is_none() {
        // Not more than it had.
        add(of_steps(report.project, job).into_iter().map(|(name, _)| (name, "read".to_owned())).collect());
    }
    let id = job.id;
    let text = match job.node.get("permissions") {
        Some(_) => format!("replace the permissions of job `{id}`"),
        None => format!("add permissions to job `{id}`"),
    };
    let lines = all.iter().map(|(name, level)| format!("\n  {name}: {level}"));
    Fix::paste(text, format!("permissions:{}", lines.collect::<String>()))
}

/// What gives a value to an action: its input, where that is read, and the steps that use the action.
pub(super) fn input_of_action(input: &str, read: Fix, value: &str) -> Vec<Fix> {
    vec![
        Fix::paste("add an input to the action", format!("inputs:\n  {input}:\n    required: true")),
        read,
        Fix::paste("and set it in each step that uses the action", format!("with:\n  {input}: ${{{{ {value} }}}}")),
    ]
}

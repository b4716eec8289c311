//! What the program was asked to do.

pub(crate) mod check;
mod exec;
pub(crate) mod login;
pub(crate) mod migrate;
pub(crate) mod policy;
mod workflow_files;

use crate::sanitize::neutralize;

/// `1 file`, `2 files`.
fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A fix in one line, with the YAML to paste below it.
fn fix_lines(first: &str, text: &str, yaml: Option<&str>, indent: &str) -> Vec<String> {
    let colon = if yaml.is_some() { ":" } else { "" };
    let pasted = yaml.unwrap_or_default().lines().map(|line| format!("{indent}{}", neutralize(line)));
    [format!("{first}{text}{colon}")].into_iter().chain(pasted).collect()
}

//! How a failure is shown: a short annotation, the whole of it in the log, and the same in the step summary.

use crate::advice::{Explanation, Facts};
use crate::markdown::{cell, code};

/// nuget.org's page for policies.
const TRUSTED_PUBLISHING: &str = "https://www.nuget.org/account/trustedpublishing";

/// What stands above a failure.
pub const FAILED: &str = "NuGet login failed";

/// So many causes stand in the annotation.
const ANNOTATED: usize = 3;

/// The annotation: the causes, and what happened; the mend too, where what happened is the cause.
pub fn annotation(explanation: &Explanation) -> String {
    let causes = explanation.causes.iter().map(|it| it.cause.as_str()).filter(|cause| !cause.is_empty());
    let mut lines: Vec<&str> = causes.take(ANNOTATED).collect();
    lines.push(&explanation.error);
    if lines.len() == 1 {
        lines.extend(explanation.causes.first().map(|it| it.mend.as_str()));
    }
    lines.join("\n")
}

/// The lines of the log behind the annotation; none if that says it all.
pub fn log(explanation: &Explanation, facts: &Facts) -> Vec<String> {
    if explanation.causes.iter().all(|it| it.cause.is_empty()) {
        return Vec::new();
    }
    let mut lines: Vec<String> = Vec::new();
    for cause in &explanation.causes {
        lines.extend([cause.cause.clone(), cause.mend.clone()]);
    }
    lines.extend(several(explanation));
    if let Some(policy) = policy(explanation, facts) {
        lines.push("The policy that this job needs, in the words of nuget.org's form:".to_owned());
        let width = policy.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        lines.extend(
            policy.fields.iter().map(|(name, value)| format!("    {:width$} {}", format!("{name}:"), value.plain())),
        );
        lines.extend([policy.token, policy.note.to_owned(), format!("Policies are at {TRUSTED_PUBLISHING}")]);
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The same for the step summary, in Markdown.
pub fn summary(explanation: &Explanation, facts: &Facts) -> String {
    let mut paragraphs = vec![format!("### {FAILED}")];
    let happened = explanation.error.lines().map(|line| format!("> {}", code(line))).collect::<Vec<_>>().join("\\\n");
    let is_the_cause = explanation.causes.iter().all(|it| it.cause.is_empty());
    if is_the_cause {
        paragraphs.push(happened.clone());
    }
    for cause in &explanation.causes {
        paragraphs.extend([cause.cause.clone(), cause.mend.clone()]);
    }
    paragraphs.extend(several(explanation));
    if let Some(policy) = policy(explanation, facts) {
        let page = format!("[Trusted Publishing]({TRUSTED_PUBLISHING})");
        paragraphs.push(format!("The policy that this job needs, in the words of nuget.org's form ({page}):"));
        let rows = policy.fields.iter().map(|(name, value)| format!("\n| {name} | {} |", value.cell()));
        paragraphs.push(format!("| Field | For this job |\n|---|---|{}", rows.collect::<String>()));
        paragraphs.extend([policy.token, policy.note.to_owned()]);
    }
    if !is_the_cause {
        paragraphs.extend(["What happened:".to_owned(), happened]);
    }
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs.join("\n\n") + "\n\n"
}

fn several(explanation: &Explanation) -> Option<String> {
    let more = match explanation.more {
        0 if explanation.causes.len() < 2 => return None,
        0 => String::new(),
        more => format!(" {more} more are not shown."),
    };
    Some(format!("Each of these is about one policy; only the one that is meant for this job has to match.{more}"))
}

struct Policy {
    fields: [(&'static str, Value); 5],
    token: String,
    note: &'static str,
}

enum Value {
    Ours(&'static str),
    Outside(String),
}

impl Value {
    fn plain(&self) -> &str {
        match self {
            Value::Ours(text) => text,
            Value::Outside(text) => text,
        }
    }

    fn cell(&self) -> String {
        match self {
            Value::Ours(text) => (*text).to_owned(),
            Value::Outside(text) => cell(text),
        }
    }
}

/// The policy that the job needs, if one could be the cause and the ID token could be read.
fn policy(explanation: &Explanation, facts: &Facts) -> Option<Policy> {
    let value = |name, absent| facts.get(name).cloned().map_or(Value::Ours(absent), Value::Outside);
    facts.get("repository owner").filter(|_| explanation.policy)?;
    let said = |name| code(facts.get(name).map_or("?", String::as_str));
    let fields = [
        ("Package owner", Value::Ours("yours to choose: you, or an organization of yours")),
        ("Repository owner", value("repository owner", "?")),
        ("Repository", value("repository", "?")),
        ("Workflow file", value("workflow", "?")),
        ("Environment", value("environment", "empty: this job names none")),
    ];
    let user = facts.get("user").map(|user| user.to_lowercase()).unwrap_or_default();
    let hidden = fields.iter().any(|(_, value)| value.plain().to_lowercase().contains(&user));
    let note = match hidden {
        true => {
            "If a field reads ***, `user` is kept in a secret, which hides the word wherever it stands: use a variable."
        }
        false => "",
    };
    let token = format!(
        "This job's ID token is of the event {}, the ref {} and the issuer {}.",
        said("event"),
        said("ref"),
        said("issuer")
    );
    Some(Policy { fields, token, note })
}

//! How a failure is shown: a short annotation, the whole of it in the log, and the same in the step summary.

use crate::advice::{Explanation, Facts, Policy};
use crate::markdown::{cell, code};

/// nuget.org's page for policies.
const TRUSTED_PUBLISHING: &str = "https://www.nuget.org/account/trustedpublishing";

/// What stands above a failure.
pub const FAILED: &str = "NuGet login failed";

/// So many causes stand in the annotation.
const ANNOTATED: usize = 3;

/// The annotation: what it means, and what happened.
pub fn annotation(explanation: &Explanation) -> String {
    let causes = explanation.causes.iter().take(ANNOTATED).map(|it| it.cause.as_str());
    causes.chain([explanation.error.as_str()]).collect::<Vec<_>>().join("\n")
}

/// The lines of the log behind the annotation; none if that says all we know.
pub fn log(explanation: &Explanation, facts: &Facts) -> Vec<String> {
    let mut lines = Vec::from_iter(several(explanation));
    for cause in &explanation.causes {
        lines.extend([cause.cause.clone(), cause.mend.clone()]);
    }
    if let Some(policy) = Form::of(explanation, facts) {
        lines.push(format!("{}:", policy.heading));
        let width = policy.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        let fields = policy.fields.iter();
        lines.extend(fields.map(|(name, value)| format!("    {:width$} {}", format!("{name}:"), value.plain())));
        lines.extend([policy.run, policy.note.to_owned(), format!("Policies are at {TRUSTED_PUBLISHING}")]);
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The same for the step summary, in Markdown.
pub fn summary(explanation: &Explanation, facts: &Facts) -> String {
    let mut paragraphs = vec![format!("### {FAILED}")];
    paragraphs.extend(several(explanation));
    for cause in &explanation.causes {
        paragraphs.extend([format!("**{}**", cause.cause), cause.mend.clone()]);
    }
    if let Some(policy) = Form::of(explanation, facts) {
        paragraphs.push(format!("{} ([Trusted Publishing]({TRUSTED_PUBLISHING})):", policy.heading));
        let rows = policy.fields.iter().map(|(name, value)| format!("\n| {name} | {} |", value.cell()));
        paragraphs.push(format!("| Field on nuget.org | Value |\n|---|---|{}", rows.collect::<String>()));
        paragraphs.extend([policy.run, policy.note.to_owned()]);
    }
    let happened = explanation.error.lines().filter(|line| !line.trim().is_empty()).map(code);
    paragraphs.push("What happened:".to_owned());
    paragraphs.push(happened.map(|line| format!("> {line}")).collect::<Vec<_>>().join("\\\n"));
    paragraphs.retain(|paragraph| !paragraph.is_empty());
    paragraphs.join("\n\n")
}

fn several(explanation: &Explanation) -> Option<String> {
    let more = match explanation.more {
        0 if explanation.causes.len() < 2 => return None,
        0 => String::new(),
        more => format!(" ({more} more are not shown.)"),
    };
    Some(format!(
        "nuget.org compared several policies, and none matches. Find the one that is meant for this job, and mend that one \
         only.{more}"
    ))
}

/// nuget.org's form for a policy, filled in for the job.
struct Form {
    heading: &'static str,
    fields: [(&'static str, Value); 5],
    run: String,
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

    /// What did not come from us.
    fn outside(&self) -> &str {
        if let Value::Outside(text) = self { text } else { "" }
    }

    fn cell(&self) -> String {
        match self {
            Value::Ours(text) => (*text).to_owned(),
            Value::Outside(text) => cell(text),
        }
    }
}

impl Form {
    /// Empty forms are not shown: one that could not be the cause, or of an ID token that could not be read.
    fn of(explanation: &Explanation, facts: &Facts) -> Option<Form> {
        let heading = match explanation.policy {
            Policy::None => return None,
            Policy::AsItIs => "The policy that the job needs as it is now (change the policy or the job, not both)",
            Policy::OnceMoved => "The policy that the job needs once it is moved",
        };
        facts.get("repository owner")?;
        let value = |name, absent| facts.get(name).cloned().map_or(Value::Ours(absent), Value::Outside);
        let fields = [
            ("Package owner", Value::Ours("whoever owns the packages on nuget.org: you, or your organization")),
            ("Repository owner", value("repository owner", "?")),
            ("Repository", value("repository", "?")),
            ("Workflow file", value("workflow", "?")),
            ("Environment", value("environment", "leave empty: the job names none")),
        ];
        let said = |name| code(facts.get(name).map_or("?", String::as_str));
        let run = format!("This run: event {}, ref {}, issuer {}.", said("event"), said("ref"), said("issuer"));
        let user = facts.get("user").map(|user| user.to_lowercase()).unwrap_or_default();
        let note = match fields.iter().any(|(_, value)| value.outside().to_lowercase().contains(&user)) {
            true => {
                "If a field reads ***, `user` is kept in a secret, which hides the word wherever it stands: use a variable."
            }
            false => "",
        };
        Some(Form { heading, fields, run, note })
    }
}

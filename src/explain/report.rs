//! How an explanation is shown: as an annotation with the fact and the fixes, in the log with all of it, and in the step
//! summary as Markdown.

use crate::explain::context::Context;
use crate::explain::explanation::{Explanation, Fix};
use crate::explain::trust_policy::TRUSTED_PUBLISHING;
use crate::github_actions::log::Line;
use crate::text::{Text, capitalized, text};

/// The documentation of this version.
const TROUBLESHOOTING: &str =
    concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/v", env!("CARGO_PKG_VERSION"), "/docs/troubleshooting.md");

/// The fact and the fixes.
pub(crate) fn annotation(explanation: &Explanation) -> Vec<Line> {
    let mut lines = vec![Line::new("error", explanation.fact.to_string())];
    for Fix { text, lines: to_paste } in &explanation.fixes {
        let end = if to_paste.is_empty() { "" } else { ":" };
        lines.push(Line::new("fix", format!("{text}{end}")));
        lines.extend(to_paste.lines().map(|line| Line::new("", format!("  {line}"))));
    }
    lines
}

/// What the log has besides the annotation: the policy, the evidence and the link.
pub(crate) fn details(explanation: &Explanation, context: &Context) -> Vec<Line> {
    let mut lines = Vec::new();
    if let (Some(shown), Some(policy)) = (&explanation.policy, &context.policy) {
        // Not twice.
        let has_address = explanation.fixes.iter().any(|fix| fix.text.to_string().contains(TRUSTED_PUBLISHING));
        let mut policy = shown.lines(policy, !has_address).into_iter();
        lines.extend(policy.next().map(|heading| Line::new("policy", heading)));
        lines.extend(policy.map(|line| Line::new("", line)));
    }
    lines.extend(notes(explanation, context).iter().map(|note| Line::new("note", note.to_string())));
    lines.push(Line::new("docs", docs(explanation.topic)));
    lines
}

/// All of it, as Markdown.
pub(crate) fn summary(title: &str, explanation: &Explanation, context: &Context) -> String {
    let mut paragraphs = vec![format!("### {title}"), format!("**{}**", capitalized(&explanation.fact.markdown()))];
    paragraphs.push(fixes(&explanation.fixes, |text| text.markdown()));
    if let (Some(shown), Some(policy)) = (&explanation.policy, &context.policy) {
        paragraphs.push(shown.markdown(policy));
    }
    paragraphs.extend(notes(explanation, context).iter().map(|note| format!("> {}", capitalized(&note.markdown()))));
    paragraphs.push(format!("More help: [{}]({})", explanation.topic, docs(explanation.topic)));
    paragraphs.join("\n\n")
}

/// A list of fixes in Markdown, with fenced lines to paste.
pub(crate) fn fixes(fixes: &[Fix], markdown: impl Fn(&Text) -> String) -> String {
    let item = |(number, Fix { text, lines }): (usize, &Fix)| {
        let text = capitalized(&markdown(text));
        if lines.is_empty() {
            return format!("{number}. {text}.");
        }
        let language = if lines.contains(":\n") { "yaml" } else { "sh" };
        let lines = lines.lines().map(|line| format!("\n   {line}")).collect::<String>();
        format!("{number}. {text}:\n\n   ```{language}{lines}\n   ```")
    };
    (1..).zip(fixes).map(item).collect::<Vec<_>>().join("\n")
}

/// The anchor of a heading, as GitHub makes it.
pub(crate) fn anchor(topic: &str) -> String {
    topic.to_lowercase().replace(' ', "-").replace(['.', ',', '\'', '/'], "")
}

fn docs(topic: &str) -> String {
    format!("{TROUBLESHOOTING}#{}", anchor(topic))
}

fn notes(explanation: &Explanation, context: &Context) -> Vec<Text> {
    let mut notes = explanation.notes.clone();
    if let (Some(_), Some(policy)) = (&explanation.policy, &context.policy) {
        notes.extend(context.run.text());
        if policy.contains(&context.user) {
            notes.push(text!(
                "if a value reads ***, GitHub hides it because `user` is stored in a secret: store it in a variable"
            ));
        }
    }
    notes
}

//! How a failure is shown: a short annotation, the whole of it in the log, and the same in the step summary.

use crate::explain::markdown::Code;
use crate::explain::trust_policy::{TRUSTED_PUBLISHING, TrustPolicy};
use crate::explain::{Context, Explanation, ShownPolicy};
use crate::github_actions::log::LOGIN_FAILED;
use crate::sanitize::neutralize;

/// Number of causes in the annotation.
const ANNOTATED: usize = 3;

/// The annotation: what it means, and what happened.
pub(crate) fn annotation(explanation: &Explanation) -> String {
    let causes = explanation.causes.iter().take(ANNOTATED).map(|it| it.cause.as_str());
    causes.chain([explanation.error.as_str()]).collect::<Vec<_>>().join("\n")
}

/// The lines of the log behind the annotation; none if that says all we know.
pub(crate) fn log(explanation: &Explanation, context: &Context) -> Vec<String> {
    let mut lines = Vec::from_iter(several(explanation));
    for cause in &explanation.causes {
        lines.extend([cause.cause.clone(), cause.fix.clone()]);
    }
    if let Some((heading, policy)) = policy(explanation, context) {
        lines.push(format!("{heading}:"));
        lines.extend(policy.lines());
        lines.extend(remarks(policy, context));
        lines.push(format!("Policies are at {TRUSTED_PUBLISHING}"));
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The same for the step summary, in Markdown.
pub(crate) fn summary(explanation: &Explanation, context: &Context) -> String {
    let mut paragraphs = vec![format!("### {LOGIN_FAILED}")];
    paragraphs.extend(several(explanation));
    for cause in &explanation.causes {
        paragraphs.extend([format!("**{}**", cause.cause), cause.fix.clone()]);
    }
    if let Some((heading, policy)) = policy(explanation, context) {
        paragraphs.push(format!("{heading} ([Trusted Publishing]({TRUSTED_PUBLISHING})):"));
        paragraphs.push(policy.table());
        paragraphs.extend(remarks(policy, context));
    }
    let happened = explanation.error.lines().filter(|line| !line.trim().is_empty()).map(|line| Code(neutralize(line)));
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
    let several = match explanation.policy {
        ShownPolicy::None => "The token service gives several reasons.",
        _ => {
            "The token service compared several policies, and none matches. Find the one that is meant for this job, and \
             fix that one only."
        }
    };
    Some(format!("{several}{more}"))
}

/// The policy to show, and its heading; none that could not be the cause.
fn policy<'a>(explanation: &Explanation, context: &'a Context) -> Option<(&'static str, &'a TrustPolicy)> {
    let heading = match explanation.policy {
        ShownPolicy::None => return None,
        ShownPolicy::AsItIs => "The policy that the job needs as it is now (change the policy or the job, not both)",
        ShownPolicy::OnceMoved => "The policy that the job needs once it is moved",
    };
    Some((heading, context.policy.as_ref()?))
}

fn remarks(policy: &TrustPolicy, context: &Context) -> Vec<String> {
    policy.remarks(&context.run, &context.user)
}

//! How a failure is shown: a short annotation, the whole of it in the log, and the same in the step summary.

use crate::explain::markdown::code;
use crate::explain::trust_policy::{Form, TRUSTED_PUBLISHING};
use crate::explain::{Explanation, Facts, Policy};
use crate::sanitize::neutralize;

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
    if let Some((heading, form)) = policy(explanation, facts) {
        lines.push(format!("{heading}:"));
        lines.extend(form.lines());
        lines.extend(form.remarks);
        lines.push(format!("Policies are at {TRUSTED_PUBLISHING}"));
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
    if let Some((heading, form)) = policy(explanation, facts) {
        paragraphs.push(format!("{heading} ([Trusted Publishing]({TRUSTED_PUBLISHING})):"));
        paragraphs.push(form.table());
        paragraphs.extend(form.remarks);
    }
    let happened = explanation.error.lines().filter(|line| !line.trim().is_empty()).map(|line| code(&neutralize(line)));
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
        Policy::None => "The token service gives several reasons.",
        _ => {
            "The token service compared several policies, and none matches. Find the one that is meant for this job, and \
             mend that one only."
        }
    };
    Some(format!("{several}{more}"))
}

/// The policy to show, and what stands above it; none that could not be the cause.
fn policy(explanation: &Explanation, facts: &Facts) -> Option<(&'static str, Form)> {
    let heading = match explanation.policy {
        Policy::None => return None,
        Policy::AsItIs => "The policy that the job needs as it is now (change the policy or the job, not both)",
        Policy::OnceMoved => "The policy that the job needs once it is moved",
    };
    Some((heading, Form::filled_in(facts)?))
}

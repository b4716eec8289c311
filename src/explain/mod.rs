//! What an error means, and what the user should do about it: the one place that says so.

mod catalogue;
mod context;
mod markdown;
pub mod report;
mod template;
pub mod trust_policy;

use std::collections::HashSet;

use crate::http::error::Failure;
use crate::trusted_publishing::login::LoginError;

pub use catalogue::Policy;
use catalogue::{Advice, CATALOGUE, SaidBy};
#[cfg(fuzzing)]
pub use context::fork_of;
pub use context::{of_claims, of_place, of_run, of_settings};
pub use template::{Facts, known};
use template::{Found, begins, fill, find};

/// So many causes of one failure are told. More come of as many policies, and the first ones tell enough.
const MOST_CAUSES: usize = 8;

/// An error, explained. Its texts are Markdown that reads well as plain text too; what came from outside stands in code
/// spans.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What happened, in our words and the service's.
    pub error: String,
    /// What it means; several, where the service named several reasons; none, if we don't know.
    pub causes: Vec<Cause>,
    /// How many more causes there are.
    pub more: usize,
    /// The policy to show.
    pub policy: Policy,
}

/// One cause, and its mend.
#[derive(Debug, PartialEq, Eq)]
pub struct Cause {
    /// What it is.
    pub cause: String,
    /// What to do.
    pub mend: String,
}

/// Explains an error with what is known of the job.
pub fn explain(error: &anyhow::Error, facts: &Facts) -> Explanation {
    let text = format!("{error:#}");
    let gave_up = error.downcast_ref::<LoginError>();
    let failure = gave_up.and_then(|gave_up| gave_up.cause.failure());
    let words = failure.and_then(Failure::words);
    let mut found = words.map(|words| by_service(words, facts)).unwrap_or_default();
    if found.is_empty() {
        let end = gave_up.map(|gave_up| gave_up.end.to_string()).unwrap_or_default();
        let failure = failure.map(Failure::to_string).unwrap_or_default();
        // A service's words that we don't know are passed on as they are; and they can't choose among our own messages.
        let ours: &[&str] = if words.is_some() { &[&end] } else { &[&text, &failure, &end] };
        found.extend(by_us(ours, facts));
    }
    let policy = found.iter().map(|(advice, _)| advice.policy).find(|policy| *policy != Policy::None);
    let mut causes: Vec<Cause> = Vec::new();
    let mut seen = HashSet::new();
    for (advice, blanks) in &found {
        let cause = fill(advice.cause, facts, blanks);
        if seen.insert(cause.clone()) && causes.len() < MOST_CAUSES {
            causes.push(Cause { cause, mend: fill(advice.mend, facts, blanks) });
        }
    }
    let more = seen.len() - causes.len();
    Explanation { error: text, causes, more, policy: policy.unwrap_or(Policy::None) }
}

/// The advice for each message of a service that stands in its words, in their order, with what stands in its blanks.
fn by_service(words: &str, facts: &Facts) -> Vec<(&'static Advice, Facts)> {
    let mut found: Vec<(Found, &'static Advice)> = Vec::new();
    for advice in CATALOGUE.iter().filter(|advice| advice.said_by == SaidBy::Service) {
        let mut from = 0;
        while let Some(place) = find(advice.message, words, from) {
            from = place.end;
            if advice.when.holds(facts) {
                // In their order; of two advices for one message the first stays.
                let at = found.partition_point(|(other, _)| other.start <= place.start);
                found.insert(at, (place, advice));
            }
        }
    }
    let mut end = 0;
    found.retain(|(place, _)| {
        place.start >= end && {
            end = place.end;
            true
        }
    });
    found.into_iter().map(|(place, advice)| (advice, place.blanks)).collect()
}

/// The advice for a message of our own, with which one of `texts` begins: what stands behind may be from outside.
fn by_us(texts: &[&str], facts: &Facts) -> Option<(&'static Advice, Facts)> {
    let ours = CATALOGUE.iter().filter(|advice| advice.said_by == SaidBy::Us && advice.when.holds(facts));
    let mut all = ours.flat_map(|advice| texts.iter().map(move |text| (advice, text)));
    all.find_map(|(advice, text)| Some((advice, begins(advice.message, text)?)))
}

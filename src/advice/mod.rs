//! What an error means, and what the user should do about it: the one place that says so.

mod catalogue;
mod facts;
mod template;

use crate::cli::Settings;
use crate::login::GaveUp;

pub use catalogue::Policy;
use catalogue::{Advice, CATALOGUE, SaidBy};
pub use facts::{of_claims, of_place, of_settings};
pub use template::Facts;
use template::{fill, find};

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
    let words = error.downcast_ref::<GaveUp>().and_then(|gave_up| gave_up.cause.words());
    let mut found = words.map(|words| by_service(words, facts)).unwrap_or_default();
    if found.is_empty() {
        // What a service says can't choose among our own messages.
        let ours = words.and_then(|_| text.split_once(" answered HTTP ")).map_or(text.as_str(), |(before, after)| {
            let status = after.find(": ").unwrap_or(after.len());
            &text[..before.len() + " answered HTTP ".len() + status]
        });
        found.extend(by_us(ours, facts));
    }
    let policy = found.iter().map(|(advice, _)| advice.policy).find(|policy| *policy != Policy::None);
    let mut causes: Vec<Cause> = Vec::new();
    for (advice, facts) in &found {
        let cause = Cause { cause: fill(advice.cause, facts), mend: fill(advice.mend, facts) };
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let more = causes.len().saturating_sub(MOST_CAUSES);
    causes.truncate(MOST_CAUSES);
    Explanation { error: text, causes, more, policy: policy.unwrap_or(Policy::None) }
}

/// The advice for each message of a service that stands in its words, in their order.
fn by_service(words: &str, facts: &Facts) -> Vec<(&'static Advice, Facts)> {
    let mut found: Vec<(usize, &'static Advice, Facts)> = Vec::new();
    for advice in CATALOGUE.iter().filter(|advice| advice.said_by == SaidBy::Service) {
        let mut from = 0;
        while let Some(place) = find(advice.message, words, from) {
            from = place.end;
            let facts: Facts = facts.clone().into_iter().chain(place.blanks).collect();
            let taken = found.iter().any(|(start, ..)| *start == place.start);
            if !taken && advice.when.holds(&facts) {
                found.push((place.start, advice, facts));
            }
        }
    }
    found.sort_by_key(|(start, ..)| *start);
    found.into_iter().map(|(_, advice, facts)| (advice, facts)).collect()
}

/// The advice for a message of our own.
fn by_us(text: &str, facts: &Facts) -> Option<(&'static Advice, Facts)> {
    let ours = CATALOGUE.iter().filter(|advice| advice.said_by == SaidBy::Us && advice.when.holds(facts));
    let mut found = ours.filter_map(|advice| Some((advice, find(advice.message, text, 0)?.blanks)));
    found.next().map(|(advice, blanks)| (advice, facts.clone().into_iter().chain(blanks).collect()))
}

/// A warning about settings that work, but that give away more than they need to.
pub fn warning(settings: &Settings) -> Option<String> {
    settings.lends_nuget_org_audience().then(|| {
        format!(
            "The ID token for {} is made out to nuget.org (audience {}): whoever runs that host could redeem it at \
             nuget.org. Set the input `audience` to one of its own.",
            settings.token_service.host(),
            settings.audience,
        )
    })
}

//! Sentences with blanks: `{name}` in a message stands for what varies, `{name}` in an advice for what is known of it.

use std::collections::BTreeMap;

use crate::explain::markdown::code;
use crate::sanitize::truncate;

/// What is known, by name: of the job, of the settings, and of the message that is explained.
pub type Facts = BTreeMap<&'static str, String>;

/// Facts without those that nobody knows. (A loop, since `collect` brings a sort for every kind of iterator.)
pub fn known(facts: Vec<(&'static str, Option<String>)>) -> Facts {
    let mut known = Facts::new();
    for (name, value) in facts {
        if let Some(value) = value {
            known.insert(name, value);
        }
    }
    known
}

/// So many beginnings of a message are tried that do not go on as it does.
const MOST_STARTS: usize = 50;

/// Longest value that is put into a sentence, in characters.
const LONGEST_VALUE: usize = 200;

/// A place in a text that a message's template fits.
pub struct Found {
    /// Where it begins, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// What stands in the blanks.
    pub blanks: Facts,
}

/// The first place from `from` on that `template` fits. It must begin with a word, not with a blank; and that beginning
/// stands in no blank, since it would be of another message.
pub fn find(template: &'static str, text: &str, from: usize) -> Option<Found> {
    let first = template.split('{').next()?;
    let starts = text.get(from..)?.match_indices(first).map(|(at, _)| from + at);
    let mark = first.trim_end_matches(['\'', ' ']);
    starts.take(MOST_STARTS).find_map(|start| fits(template, text, start, |_, blank| !blank.contains(mark)))
}

/// What stands in the blanks of a `template` that `text` begins with: `{name}` is one word, `{name…}` may be several.
pub fn begins(template: &'static str, text: &str) -> Option<Facts> {
    let allowed = |name: &str, blank: &str| name.ends_with('…') || !blank.contains(char::is_whitespace);
    let begun = text.starts_with(template.split('{').next()?);
    begun.then(|| fits(template, text, 0, allowed))?.map(|found| found.blanks)
}

/// Whether `template` fits at `start`, with blanks that are `allowed`: their names, and what stands there.
fn fits(template: &'static str, text: &str, start: usize, allowed: impl Fn(&str, &str) -> bool) -> Option<Found> {
    let mut parts = template.split(['{', '}']);
    let first = parts.next()?;
    let mut end = start + first.len();
    let mut blanks = Facts::new();
    while let (Some(name), Some(literal)) = (parts.next(), parts.next()) {
        let length = if literal.is_empty() { text.len() - end } else { text[end..].find(literal)? };
        let blank = &text[end..end + length];
        if !allowed(name, blank) {
            return None;
        }
        blanks.insert(name.trim_end_matches('…'), truncate(blank.to_owned(), LONGEST_VALUE));
        end += length + literal.len();
    }
    Some(Found { start, end, blanks })
}

/// `template` with its blanks filled, each as a piece of code: `{name}` with what the message has in the blank of that
/// name, else with the fact; `{before|name}` with that behind `before`. What is not known is `?`.
pub fn fill(template: &str, facts: &Facts, blanks: &Facts) -> String {
    let mut filled = String::new();
    for (at, part) in template.split(['{', '}']).enumerate() {
        if at % 2 == 0 {
            filled.push_str(part);
            continue;
        }
        let (before, name) = part.split_once('|').unwrap_or(("", part));
        let value = blanks.get(name).or_else(|| facts.get(name)).map_or("?", String::as_str);
        filled.push_str(&code(&format!("{before}{value}")));
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_found_wherever_it_fits_and_its_blanks_are_read() {
        let template = "Mismatch for '{policy}': expected '{expected}'";
        let text = "Mismatch for 'a': expected 'x'. Mismatch for 'it's': expected ''";
        let first = find(template, text, 0).unwrap();
        assert_eq!((first.start, first.end), (0, 30));
        assert_eq!(first.blanks["policy"], "a");
        let second = find(template, text, first.end).unwrap();
        assert_eq!((second.blanks["policy"].as_str(), second.blanks["expected"].as_str()), ("it's", ""));
        assert_eq!(second.end, text.len());
        assert!(find(template, text, second.end).is_none());
        assert!(find(template, "Mismatch for 'a", 0).is_none());
        let broken = "Mismatch for 'a': expected 'x only. Mismatch for 'b': expected 'y'";
        assert_eq!(find(template, broken, 0).unwrap().blanks["policy"], "b", "the first does not go on");
        assert_eq!(find("HTTP {rest}", "an HTTP answer", 0).unwrap().blanks["rest"], "answer");
    }

    #[test]
    fn blanks_are_filled_as_code() {
        let facts = Facts::from([("a", "x`y".to_owned()), ("b", "y".to_owned())]);
        let blanks = Facts::from([("b", "z".to_owned())]);
        assert_eq!(fill("{a}, {key: |b} and {c}.", &facts, &blanks), "``x`y``, `key: z` and `?`.");
    }
}

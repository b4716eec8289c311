//! Sentences with blanks: `{name}` in a message stands for anything, `{name}` in an advice for what is known of it.

use std::collections::BTreeMap;

use crate::markdown::code;
use crate::outside::shortened;

/// What is known, by name: of the job, of the settings, and of the message that is explained.
pub type Facts = BTreeMap<&'static str, String>;

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

/// The first place from `from` on that `template` fits. It must begin with a word, not with a blank.
pub fn find(template: &'static str, text: &str, from: usize) -> Option<Found> {
    let mut parts = template.split(['{', '}']);
    let first = parts.next()?;
    let start = from + text.get(from..)?.find(first)?;
    let mut end = start + first.len();
    let mut blanks = Facts::new();
    while let (Some(name), Some(literal)) = (parts.next(), parts.next()) {
        let length = if literal.is_empty() { text.len() - end } else { text[end..].find(literal)? };
        blanks.insert(name, shortened(text[end..end + length].to_owned(), LONGEST_VALUE));
        end += length + literal.len();
    }
    Some(Found { start, end, blanks })
}

/// `template` with its blanks filled, each as a piece of code: `{name}` with the fact of that name, `{before|name}` with
/// that behind `before`. What is not known is `?`.
pub fn fill(template: &str, facts: &Facts) -> String {
    let mut filled = String::new();
    for (at, part) in template.split(['{', '}']).enumerate() {
        if at % 2 == 0 {
            filled.push_str(part);
            continue;
        }
        let (before, name) = part.split_once('|').unwrap_or(("", part));
        let value = facts.get(name).map_or("?", String::as_str);
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
        assert_eq!(find("HTTP {rest}", "an HTTP answer", 0).unwrap().blanks["rest"], "answer");
    }

    #[test]
    fn blanks_are_filled_as_code() {
        let facts = Facts::from([("a", "x`y".to_owned()), ("b", "z".to_owned())]);
        assert_eq!(fill("{a}, {key: |b} and {c}.", &facts), "``x`y``, `key: z` and `?`.");
    }
}

//! A value that neither `Debug` nor `Display` shows.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// From so many characters on, the beginning of a credential is told from other words; a shorter one only as a whole.
const RECOGNIZED: usize = 12;

/// So many secrets of a run are remembered.
const REMEMBERED: usize = 16;

/// A credential: the request token, an ID token, an API key.
///
/// It is visible ASCII without white space, so that it fits a request header, a mask and an output record alike and
/// can't break out of any of them.
#[derive(Clone)]
pub struct Secret(String);

/// Why a value can't be a [`Secret`]. Never says the value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There is nothing in it.
    #[error("is empty")]
    Empty,
    /// It holds white space, control characters or something outside ASCII.
    #[error("holds characters that no credential has (white space, control characters or non-ASCII)")]
    Character,
    /// It has an implausible length, in characters.
    #[error("is {0} characters long, which no credential of this kind is")]
    Length(usize),
}

impl Secret {
    /// Takes `value` if it is visible ASCII and its length in characters lies in `length`.
    pub fn new(value: String, length: RangeInclusive<usize>) -> Result<Secret, Unfit> {
        if value.is_empty() {
            Err(Unfit::Empty)
        } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            Err(Unfit::Character)
        } else if !length.contains(&value.len()) {
            Err(Unfit::Length(value.len()))
        } else {
            Ok(Secret(value))
        }
    }

    /// The value itself, for a request header, a mask, the runner's files or a command's environment; and to read the
    /// claims of an ID token, or to hash it. For nothing else.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// The secrets of a run, as far as they are masked: nothing that holds one of them is shown. Shared by what prints and
/// what reads from outside.
#[derive(Clone, Default)]
pub struct Masked(Rc<RefCell<Vec<Secret>>>);

impl Masked {
    /// Remembers a secret: the first one, and the last ones of a run that may have hundreds.
    pub fn add(&self, secret: &Secret) {
        let mut secrets = self.0.borrow_mut();
        if secrets.iter().any(|known| known.0 == secret.0) {
            return;
        }
        if secrets.len() == REMEMBERED {
            secrets.remove(1);
        }
        secrets.push(secret.clone());
    }

    /// `text` with every copy of a secret struck out, and every beginning of one: a service may echo what it was sent,
    /// and the rest may have been cut off. Of all of them at once: two may begin alike, or one in another, and nobody
    /// would know what is left of the second without its beginning.
    pub fn strike_out(&self, text: &str) -> String {
        // Where the longest of what ends at each byte begins; behind it, where nothing ends there.
        let mut begins = Vec::from_iter(1..=text.len());
        self.0.borrow().iter().for_each(|secret| find(&secret.0, text.as_bytes(), &mut begins));
        for at in (1..begins.len()).rev() {
            begins[at - 1] = begins[at - 1].min(begins[at]);
        }
        let mut struck = String::new();
        let mut was_secret = false;
        for (at, character) in text.char_indices() {
            let is_secret = begins[at] <= at;
            match (is_secret, was_secret) {
                (true, false) => struck.push_str("***"),
                (true, true) => {}
                (false, _) => struck.push(character),
            }
            was_secret = is_secret;
        }
        struck
    }
}

/// Finds each beginning of `secret` in `text` that is long enough, and sets where it begins at where it ends. By Knuth,
/// Morris and Pratt: in a time that grows with the text alone, however often the secret repeats itself.
fn find(secret: &str, text: &[u8], begins: &mut [usize]) {
    let recognized = RECOGNIZED.min(secret.len());
    let secret = &secret.as_bytes()[..secret.len().min(text.len())];
    // How much of the secret ends with each of its bytes, besides all of it up to there.
    let mut again = vec![0; secret.len()];
    let longer = |again: &[usize], mut length: usize, byte: u8| {
        while length > 0 && secret.get(length) != Some(&byte) {
            length = again[length - 1];
        }
        length + usize::from(secret.get(length) == Some(&byte))
    };
    for at in 1..secret.len() {
        again[at] = longer(&again, again[at - 1], secret[at]);
    }
    let mut length = 0;
    for (at, byte) in text.iter().enumerate() {
        length = longer(&again, length, *byte);
        if length >= recognized {
            begins[at] = begins[at].min(at + 1 - length);
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_visible_ascii_of_the_given_length_only() {
        let taken = |value: &str| Secret::new(value.to_owned(), 3..=5).map(|secret| secret.0);
        assert_eq!(taken("a%b").unwrap(), "a%b");
        assert_eq!(taken("").unwrap_err(), Unfit::Empty);
        assert_eq!(taken("ab").unwrap_err(), Unfit::Length(2));
        assert_eq!(taken("abcdef").unwrap_err(), Unfit::Length(6));
        for value in ["a b", "a\nb", "a\r\n", "\u{feff}ab", "a\u{7f}b", "käy"] {
            assert_eq!(taken(value).unwrap_err(), Unfit::Character, "{value:?}");
        }
    }

    fn masked(values: &[&str]) -> Masked {
        let masked = Masked::default();
        values.iter().for_each(|value| masked.add(&Secret::new((*value).to_owned(), 1..=99).unwrap()));
        masked
    }

    #[test]
    fn is_not_shown_by_debug_and_is_struck_out_of_an_echo() {
        assert_eq!(format!("{:?}", Secret::new("s3cr3t".to_owned(), 1..=9)), "Ok(Secret(***))");
        assert_eq!(masked(&["s3cr3t"]).strike_out("got s3cr3t, s3cr3t!"), "got ***, ***!");
        let long = masked(&["0123456789abcdefgh"]);
        assert_eq!(long.strike_out("x0123456789abcdefgh, 0123456789abcd…"), "x***, ***…");
        assert_eq!(long.strike_out("0123456789abc', and more 0123456789abé"), "***', and more ***é");
        assert_eq!(long.strike_out("é 0123456789a"), "é 0123456789a", "that may be anything");
    }

    #[test]
    fn of_two_with_one_beginning_nothing_is_left() {
        let masked = masked(&["eyJ0eXAiOiJKV1Q.first.s1gnature", "eyJ0eXAiOiJKV1Q.second.s1gnature"]);
        let text = "(eyJ0eXAiOiJKV1Q.second.s1gnature, eyJ0eXAiOiJKV1Q.first.s1g\u{2026}) eyJ0eXAiOiJKV1Q.third";
        assert_eq!(masked.strike_out(text), "(***, ***\u{2026}) ***third");
    }

    #[test]
    fn of_one_that_begins_in_another_nothing_is_left() {
        let masked = masked(&["header.header.claims", "header.claims.and-more"]);
        assert_eq!(masked.strike_out("a header.header.claims.and-more b"), "a *** b");
        assert_eq!(masked.strike_out("header.claims.and-more-header.header.claims"), "***-***");
        assert_eq!(masked.strike_out("header.claims.and-moreheader.header.claims"), "***");
    }

    #[test]
    fn one_that_repeats_itself_is_found_wherever_it_is_and_nowhere_else() {
        let masked = masked(&["abaabaab"]);
        assert_eq!(masked.strike_out("abaabaabaab abaababaabaab"), "*** abaab***");
        assert_eq!(masked.strike_out("abaaaabaab"), "abaaaabaab");
    }

    #[test]
    fn striking_out_one_that_repeats_itself_takes_no_longer() {
        let repeated = |length| "a".repeat(length);
        let masked = Masked::default();
        masked.add(&Secret::new(repeated(16_000), 1..=16_000).unwrap());
        let began = std::time::Instant::now();
        assert_eq!(masked.strike_out(&repeated(1_000_000)), "***");
        assert_eq!(masked.strike_out(&format!("{}b", repeated(11)).repeat(50_000)).len(), 600_000);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    #[test]
    fn the_first_and_the_last_ones_are_remembered() {
        let secrets = Vec::from_iter((0..20).map(|number| format!("a-secret-of-the-number-{number}-")));
        let masked = masked(&Vec::from_iter(secrets.iter().map(String::as_str)));
        masked.add(&Secret::new(secrets[19].clone(), 1..=99).unwrap());
        let forgotten = |secret: &&String| masked.strike_out(secret) != "***";
        assert_eq!(secrets.iter().filter(forgotten).count(), 4);
        assert_eq!(masked.strike_out(&secrets[0]), "***");
    }
}

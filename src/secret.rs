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

    /// `text` with every copy of this value struck out, and every beginning of one: a service may echo what it was sent,
    /// and the rest may have been cut off.
    pub fn strike_out(&self, text: &str) -> String {
        strike_out(std::slice::from_ref(self), text)
    }
}

/// `text` without what any of these secrets begins with. Of all of them at once: two tokens may have one header, and what
/// is left of one without its beginning would be known by nobody.
fn strike_out(secrets: &[Secret], text: &str) -> String {
    let mut struck = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let in_common = |secret: &Secret| {
            let same = secret.0.bytes().zip(rest.bytes()).take_while(|(ours, theirs)| ours == theirs).count();
            (same >= RECOGNIZED.min(secret.0.len())).then_some(same)
        };
        let length = match secrets.iter().filter_map(in_common).max() {
            Some(length) => {
                struck.push_str("***");
                length
            }
            None => {
                struck.push(next);
                next.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    struck
}

/// The secrets of a run, as far as they are masked: nothing that holds one of them is shown. Shared by what prints and
/// what reads from outside.
#[derive(Clone, Default)]
pub struct Masked(Rc<RefCell<Vec<Secret>>>);

impl Masked {
    /// Remembers a secret: the first one, and the last ones of a run that may have hundreds.
    pub fn add(&self, secret: &Secret) {
        let mut secrets = self.0.borrow_mut();
        if secrets.len() == REMEMBERED {
            secrets.remove(1);
        }
        secrets.push(secret.clone());
    }

    /// [`Secret::strike_out`] of all of them.
    pub fn strike_out(&self, text: &str) -> String {
        strike_out(&self.0.borrow(), text)
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

    #[test]
    fn is_not_shown_by_debug_and_is_struck_out_of_an_echo() {
        let secret = Secret::new("s3cr3t".to_owned(), 1..=9).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.strike_out("got s3cr3t, s3cr3t!"), "got ***, ***!");
        let long = Secret::new("0123456789abcdefgh".to_owned(), 1..=99).unwrap();
        assert_eq!(long.strike_out("x0123456789abcdefgh, 0123456789abcd…"), "x***, ***…");
        assert_eq!(long.strike_out("0123456789abc', and more 0123456789abé"), "***', and more ***é");
        assert_eq!(long.strike_out("é 0123456789a"), "é 0123456789a", "that may be anything");
    }

    #[test]
    fn of_two_with_one_beginning_nothing_is_left() {
        let masked = Masked::default();
        for value in ["eyJ0eXAiOiJKV1Q.first.s1gnature", "eyJ0eXAiOiJKV1Q.second.s1gnature"] {
            masked.add(&Secret::new(value.to_owned(), 1..=99).unwrap());
        }
        let text = "(eyJ0eXAiOiJKV1Q.second.s1gnature, eyJ0eXAiOiJKV1Q.first.s1g\u{2026}) eyJ0eXAiOiJKV1Q.third";
        assert_eq!(masked.strike_out(text), "(***, ***\u{2026}) ***third");
    }
}

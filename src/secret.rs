//! Secrets: a type that neither `Debug` nor `Display` shows, and the redactor that removes them from texts.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use crate::sanitize::is_unsafe;

/// Length of the runs of characters that are recognized as part of a credential; a shorter one only as a whole.
const RECOGNIZED: usize = 12;

/// Spreads the bits of eight characters (Fibonacci hashing: 2^64 divided by the golden ratio).
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Number of secrets of a run that are remembered.
const REMEMBERED: usize = 16;

/// A credential: the request token, an ID token, an API key.
///
/// It is visible ASCII without white space, so that it fits a request header, a mask and an output record alike and
/// cannot break out of any of them.
#[derive(Clone)]
pub(crate) struct Secret(String);

/// Why a value cannot be a [`Secret`]. Reads on from its name; never shows the value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidSecret {
    #[error("is empty")]
    Empty,
    #[error(
        "contains characters that a credential cannot have (white space, control characters, backticks or non-ASCII)"
    )]
    Character,
    #[error("is {0} characters long, which is not a valid length")]
    Length(usize),
}

impl Secret {
    /// Takes `value` if it is visible ASCII without backticks, which Markdown fences text with, and its length in characters lies in `length`.
    pub(crate) fn new(value: String, length: RangeInclusive<usize>) -> Result<Secret, InvalidSecret> {
        if value.is_empty() {
            Err(InvalidSecret::Empty)
        } else if !value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'`') {
            Err(InvalidSecret::Character)
        } else if !length.contains(&value.len()) {
            Err(InvalidSecret::Length(value.len()))
        } else {
            Ok(Secret(value))
        }
    }

    /// The value itself, for a request header, a mask, the runner's files or a command's environment; and to check an
    /// ID token's form, read its claims or hash it. For nothing else.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

/// The secrets of a run, as far as they are masked: nothing that holds one of them is shown. Shared by what prints and
/// what reads from outside.
#[derive(Clone, Default)]
pub(crate) struct Redactor(Rc<RefCell<Vec<Secret>>>);

impl Redactor {
    /// Remembers a secret: the first one, and the last ones of a run that can have hundreds.
    pub(crate) fn add(&self, secret: &Secret) {
        let mut secrets = self.0.borrow_mut();
        if secrets.iter().any(|known| known.0 == secret.0) {
            return;
        }
        if secrets.len() == REMEMBERED {
            secrets.remove(1);
        }
        secrets.push(secret.clone());
    }

    /// `text` with every secret replaced by `***`, also where a service cut or altered what it was sent: any run of
    /// [`RECOGNIZED`] characters of a secret, and the whole of its percent-encoded and base64 forms, in both cases with
    /// control and format characters (line breaks, zero-width characters) left out of the comparison.
    pub(crate) fn redact(&self, text: &str) -> String {
        let secrets = self.0.borrow();
        if secrets.is_empty() {
            return text.to_owned();
        }
        let visible = text.char_indices().filter(|(_, character)| !is_unsafe(*character));
        // What is compared, and where each of its bytes is in `text`.
        let (mut compared, mut places) = (String::new(), Vec::new());
        for (at, character) in visible {
            compared.push(character);
            places.resize(compared.len(), at);
        }
        let mut hidden = vec![false; compared.len()];
        hide_runs(&secrets, compared.as_bytes(), &mut hidden);
        let longest_word = compared.split(|it: char| !it.is_ascii_graphic()).map(str::len).max().unwrap_or(0);
        for form in secrets.iter().filter(|it| it.0.len() <= longest_word).flat_map(|secret| forms(&secret.0)) {
            for (at, _) in compared.match_indices(&form) {
                hidden[at..at + form.len()].fill(true);
            }
        }
        let mut redacted = String::new();
        let (mut shown, mut at) = (0, 0);
        while let Some(length) = hidden[at..].iter().position(|it| *it) {
            let begin = at + length;
            at = hidden[begin..].iter().position(|it| !*it).map_or(hidden.len(), |length| begin + length);
            redacted.push_str(&text[shown..places[begin]]);
            redacted.push_str("***");
            // Behind the last character, which is ASCII.
            shown = places[at - 1] + 1;
        }
        redacted + &text[shown..]
    }
}

/// Marks each byte of `text` that is part of a run of [`RECOGNIZED`] bytes of a secret. The runs of the text are looked up
/// in the secrets and not the other way round: the text is short, as a rule, and has few words that are long enough.
fn hide_runs(secrets: &[Secret], text: &[u8], hidden: &mut [bool]) {
    let is_long_enough = |run: &&[u8]| run.iter().all(u8::is_ascii_graphic);
    let mut found: HashMap<&[u8], bool> =
        text.windows(RECOGNIZED).filter(is_long_enough).map(|run| (run, false)).collect();
    if found.is_empty() {
        return;
    }
    // Most runs of a secret are not in a short text: a set of 64 bits, one for the beginning of each run, excludes them
    // without hashing. (A login would take 7 % more instructions.)
    let bit = |run: &[u8]| 1_u64 << (u64::from_le_bytes(run[..8].try_into().unwrap()).wrapping_mul(MIXER) >> 58);
    let bits = found.keys().fold(0, |bits, run| bits | bit(run));
    for run in secrets.iter().flat_map(|secret| secret.0.as_bytes().windows(RECOGNIZED)) {
        if bits & bit(run) != 0
            && let Some(found) = found.get_mut(run)
        {
            *found = true;
        }
    }
    for (at, run) in text.windows(RECOGNIZED).enumerate() {
        if found.get(run) == Some(&true) {
            hidden[at..at + RECOGNIZED].fill(true);
        }
    }
}

/// A secret as a whole, percent-encoded (RFC 3986) and in base64. What precedes it decides how base64 cuts it into groups of
/// three bytes; the groups at both ends also encode something else, and are left out.
fn forms(secret: &str) -> impl Iterator<Item = String> {
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let (mut upper, mut lower) = (String::new(), String::new());
    for byte in secret.bytes() {
        match is_kept(byte) {
            true => [&mut upper, &mut lower].map(|encoded| encoded.push(char::from(byte))),
            false => [upper.push_str(&format!("%{byte:02X}")), lower.push_str(&format!("%{byte:02x}"))],
        };
    }
    let base64 = (0..3).flat_map(move |before| {
        let encoded = STANDARD_NO_PAD.encode("x".repeat(before) + secret);
        let inner = encoded[before.min(1) * 4..encoded.len() / 4 * 4].to_owned();
        [inner.replace('+', "-").replace('/', "_"), inner]
    });
    [secret.to_owned(), upper, lower].into_iter().chain(base64.filter(|form| form.len() >= 8))
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
        assert_eq!(taken("").unwrap_err(), InvalidSecret::Empty);
        assert_eq!(taken("ab").unwrap_err(), InvalidSecret::Length(2));
        assert_eq!(taken("abcdef").unwrap_err(), InvalidSecret::Length(6));
        for value in ["a b", "a\nb", "a\r\n", "\u{feff}ab", "a\u{7f}b", "käy"] {
            assert_eq!(taken(value).unwrap_err(), InvalidSecret::Character, "{value:?}");
        }
    }

    fn masked(values: &[&str]) -> Redactor {
        let masked = Redactor::default();
        values.iter().for_each(|value| masked.add(&Secret::new((*value).to_owned(), 1..=99).unwrap()));
        masked
    }

    #[test]
    fn debug_does_not_show_a_secret() {
        assert_eq!(format!("{:?}", Secret::new("s3cr3t".to_owned(), 1..=9)), "Ok(Secret(***))");
    }

    #[test]
    fn a_secret_is_redacted_whole_and_in_runs_of_twelve_characters() {
        assert_eq!(masked(&["s3cr3t"]).redact("got s3cr3t, s3cr3t!"), "got ***, ***!");
        let long = masked(&["0123456789abcdefgh"]);
        assert_eq!(long.redact("x0123456789abcdefgh, 0123456789abcd…"), "x***, ***…");
        assert_eq!(long.redact("0123456789abc', and more 0123456789abé"), "***', and more ***é");
        assert_eq!(long.redact("é123456789abcdefgh 6789abcdefgh"), "é*** ***", "its first characters are missing");
        assert_eq!(long.redact("0123456789abXcdefgh"), "***Xcdefgh", "one character was inserted");
        assert_eq!(long.redact("é 0123456789a, 789abcdefgh"), "é 0123456789a, 789abcdefgh", "eleven can be anything");
        assert_eq!(long.redact("0123456789abcdefgh\n 0123456789abcdefgh\n"), "***\n ***\n");
        assert_eq!(long.redact(""), "");
    }

    #[test]
    fn control_and_format_characters_do_not_hide_a_secret() {
        let long = masked(&["0123456789abcdefgh", "sh0rt-one"]);
        let between = |with: &str| "0123456789abcdefgh".split("").collect::<Vec<_>>().join(with);
        for with in ["\n", "\r\n", "\0", "\u{200b}", "\u{ad}", "\u{feff}\u{202e}"] {
            let text = format!("é {} é", between(with));
            assert_eq!(long.redact(&text), format!("é {with}***{with} é"), "{with:?}");
            assert_eq!(long.redact(&format!("sh0rt{with}-one")), "***");
        }
        assert_eq!(long.redact(&between(" ")), between(" "), "a blank is a character like others");
    }

    #[test]
    fn whole_encoded_forms_are_redacted() {
        let masked = masked(&["oy2abc+/def.ghi?jkl~mnop"]);
        for before in ["", "a", "ab", "abc"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}oy2abc+/def.ghi?jkl~mnop"));
            for text in [encoded.replace('+', "-").replace('/', "_"), encoded] {
                let redacted = masked.redact(&text);
                assert!(redacted.contains("***") && redacted.len() < 12, "{redacted}");
            }
        }
        assert_eq!(masked.redact("oy2abc%2B%2Fdef.ghi%3Fjkl~mnop"), "***");
        assert_eq!(masked.redact("oy2abc%2b%2fdef.ghi%3fjkl~mnop"), "***");
    }

    #[test]
    fn secrets_with_a_common_prefix_are_fully_redacted() {
        let masked = masked(&["eyJ0eXAiOiJKV1Q.first.s1gnature", "eyJ0eXAiOiJKV1Q.second.s1gnature"]);
        let text = "(eyJ0eXAiOiJKV1Q.second.s1gnature, eyJ0eXAiOiJKV1Q.first.s1g\u{2026}) eyJ0eXAiOiJKV1Q.third";
        assert_eq!(masked.redact(text), "(***, ***\u{2026}) ***third");
    }

    #[test]
    fn secrets_that_overlap_are_fully_redacted() {
        let masked = masked(&["header.header.claims", "header.claims.and-more", "abaabaab"]);
        assert_eq!(masked.redact("a header.header.claims.and-more b"), "a *** b");
        assert_eq!(masked.redact("header.claims.and-more-header.header.claims"), "***-***");
        assert_eq!(masked.redact("abaabaabaab abaaaabaab"), "***aab abaaaabaab");
    }

    #[test]
    fn redaction_time_is_bounded() {
        // 64 K characters without a blank against four of the longest secrets.
        let random = |seed: u64| {
            let mut random = fastrand::Rng::with_seed(seed);
            String::from_iter((0..16 * 1024).map(|_| random.alphanumeric()))
        };
        let secrets = Vec::from_iter((0..4).map(random));
        let masked = Redactor::default();
        secrets.iter().for_each(|it| masked.add(&Secret::new(it.clone(), 1..=16 * 1024).unwrap()));
        let repeated = "a".repeat(64 * 1024);
        let began = std::time::Instant::now();
        assert_eq!(masked.redact(&secrets.concat()), "***");
        assert_eq!(masked.redact(&repeated), repeated);
        assert_eq!(masked.redact(&random(9).repeat(4)).len(), 64 * 1024);
        // Without optimizations; a release takes 5 to 14 milliseconds for each.
        assert!(began.elapsed().as_secs() < 3, "{:?}", began.elapsed());
    }

    #[test]
    fn the_first_and_the_last_ones_are_remembered() {
        let secrets = Vec::from_iter((0..20).map(|number| format!("a-secret-of-the-number-{number}-")));
        let masked = masked(&Vec::from_iter(secrets.iter().map(String::as_str)));
        masked.add(&Secret::new(secrets[19].clone(), 1..=99).unwrap());
        let forgotten = |secret: &&String| masked.redact(secret) != "***";
        assert_eq!(secrets.iter().filter(forgotten).count(), 4);
        assert_eq!(masked.redact(&secrets[0]), "***");
    }
}

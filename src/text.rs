//! Our own sentences with values in them: one text, shown plain or in Markdown.
//!
//! [`text!`] takes a template. Each `{}` stands for a value, and what is in backticks is a name or something to type:
//!
//! ```text
//! text!("set `Workflow File` of the policy `{}` to {}", policy, file)
//! plain:    set "Workflow File" of the policy "release" to release.yml
//! Markdown: set `Workflow File` of the policy `release` to `release.yml`
//! ```
//!
//! In Markdown every value is a code span, in which nothing has a meaning, wherever the value came from.

use std::borrow::Cow;
use std::fmt;

/// A sentence, or a part of one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Words of ours.
    Words(String),
    /// A value; in plain text in quotes, if the template has it in backticks.
    Code { text: String, is_quoted: bool },
}

/// A text from a template and its values.
macro_rules! text {
    ($template:literal $(, $value:expr)* $(,)?) => {
        $crate::text::Text::new($template, &[$(&$value as &dyn $crate::text::Value),*])
    };
}
pub(crate) use text;

/// What can stand for a `{}`.
pub(crate) trait Value {
    fn add_to(&self, text: &mut Text);
}

impl Value for String {
    fn add_to(&self, text: &mut Text) {
        text.0.push(Piece::Code { text: self.clone(), is_quoted: false });
    }
}

impl Value for &str {
    fn add_to(&self, text: &mut Text) {
        text.0.push(Piece::Code { text: (*self).to_owned(), is_quoted: false });
    }
}

impl Value for Text {
    fn add_to(&self, text: &mut Text) {
        text.0.extend(self.0.iter().cloned());
    }
}

impl<T: Value> Value for &T {
    fn add_to(&self, text: &mut Text) {
        (*self).add_to(text);
    }
}

/// A number, or something else that is a word of ours.
pub(crate) struct Words<T>(pub(crate) T);

impl<T: fmt::Display> Value for Words<T> {
    fn add_to(&self, text: &mut Text) {
        text.0.push(Piece::Words(self.0.to_string()));
    }
}

impl Text {
    /// What [`text!`] calls.
    pub(crate) fn new(template: &str, values: &[&dyn Value]) -> Text {
        debug_assert_eq!(template.matches("{}").count(), values.len(), "{template}");
        let (mut text, mut values) = (Text::default(), values.iter());
        for (at, part) in template.split('`').enumerate() {
            let mut inner = Text::default();
            for (nth, words) in part.split("{}").enumerate() {
                if nth > 0
                    && let Some(value) = values.next()
                {
                    value.add_to(&mut inner);
                }
                if !words.is_empty() {
                    inner.0.push(Piece::Words(words.to_owned()));
                }
            }
            match at % 2 {
                0 => text.0.append(&mut inner.0),
                _ => text.0.push(Piece::Code { text: inner.bare(), is_quoted: true }),
            }
        }
        text
    }

    /// Without any mark.
    fn bare(&self) -> String {
        let bare = |piece: &Piece| match piece {
            Piece::Words(text) | Piece::Code { text, .. } => text.clone(),
        };
        self.0.iter().map(bare).collect()
    }

    /// For Markdown.
    pub(crate) fn markdown(&self) -> String {
        let markdown = |piece: &Piece| match piece {
            Piece::Words(words) => words.clone(),
            Piece::Code { text, .. } => Code(text).to_string(),
        };
        self.0.iter().map(markdown).collect()
    }
}

/// For a log, a terminal or an annotation.
impl fmt::Display for Text {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Code { text, is_quoted: true } => write!(formatter, "\"{text}\""),
            Piece::Code { text, is_quoted: false } if text.is_empty() => formatter.write_str("(empty)"),
            Piece::Words(text) | Piece::Code { text, .. } => formatter.write_str(text),
        })
    }
}

/// With its first letter in upper case, where the text begins with a word that is not a name.
pub(crate) fn capitalized(text: &str) -> String {
    if text.starts_with("nuget") {
        return text.to_owned();
    }
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

/// Makes an error of each type: its message is its `fact()`.
macro_rules! errors {
    ($($error:ty),* $(,)?) => {$(
        impl std::fmt::Display for $error {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.fact().fmt(formatter)
            }
        }

        impl std::error::Error for $error {}
    )*};
}
pub(crate) use errors;

/// Longest run of backticks that is shown as it is; look-alikes replace longer ones.
const MOST_BACKTICKS: usize = 10;

/// A Markdown code span: fenced by one backtick more than it contains (CommonMark, section 6.1).
pub(crate) struct Code<T>(pub(crate) T);

impl<T: AsRef<str>> fmt::Display for Code<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = |text: &str| text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        // Of backticks beyond 80, cmark-gfm makes no fence.
        let text = match self.0.as_ref() {
            text if longest(text) > MOST_BACKTICKS => Cow::Owned(text.replace('`', "\u{2cb}")),
            text => Cow::Borrowed(text),
        };
        let (text, fence) = (&*text, "`".repeat(longest(&text) + 1));
        match text {
            "" => formatter.write_str("(empty)"),
            // A span cannot begin or end with a backtick of its own, nor keep blanks at both ends.
            _ if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) => {
                write!(formatter, "{fence} {text} {fence}")
            }
            _ => write!(formatter, "{fence}{text}{fence}"),
        }
    }
}

/// Markdown for a cell of a table. A `|` would end even a code span there, and a backslash before it does not help (GFM,
/// section 4.10): look-alikes replace both.
pub(crate) fn cell(text: &Text) -> String {
    text.markdown().replace('|', "\u{2758}").replace('\\', "\u{ff3c}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_plain_or_markdown() {
        let text = text!("the policy `{}` has {}, not `environment: {}`", "a`b", "x.yml", "y");
        assert_eq!(text.to_string(), "the policy \"a`b\" has x.yml, not \"environment: y\"");
        assert_eq!(text.markdown(), "the policy ``a`b`` has `x.yml`, not `environment: y`");
    }

    #[test]
    fn a_value_can_be_a_text_or_words() {
        let text = text!("{}: {} after {}", "host", text!("no {}", "answer"), Words(7));
        assert_eq!(text.to_string(), "host: no answer after 7");
        assert_eq!(text.markdown(), "`host`: no `answer` after 7");
    }

    #[test]
    fn a_template_in_a_value_is_not_read() {
        assert_eq!(text!("a {} {}", "`{}`", "b").markdown(), "a `` `{}` `` `b`");
    }

    #[test]
    fn a_code_span_is_fenced_by_more_backticks_than_it_contains() {
        let code = |text: &str| Code(text).to_string();
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code(" "), "`   `");
        assert_eq!(code(""), "(empty)");
        assert_eq!(code(&"`".repeat(11)), format!("`{}`", "\u{2cb}".repeat(11)));
    }

    #[test]
    fn a_table_cell_contains_no_pipe_and_no_backslash() {
        assert_eq!(cell(&text!("{}", "release.yml")), "`release.yml`");
        assert_eq!(cell(&text!("{}", r"<b>a\|b`")), "`` <b>a\u{ff3c}\u{2758}b` ``");
    }
}

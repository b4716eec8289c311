//! Text from outside in Markdown, where it must stay text.

use std::fmt;

/// Text as a code span, in which nothing has a meaning: fenced by one backtick more than it contains (CommonMark, section
/// 6.1).
pub(crate) struct Code<T>(pub(crate) T);

impl<T: AsRef<str>> fmt::Display for Code<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.as_ref();
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest + 1);
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

/// Text in a cell of a table. A `|` would end even a code span there, and a backslash before it does not help (GFM, section
/// 4.10): look-alikes replace both.
pub(crate) fn cell(text: &str) -> String {
    Code(text.replace('|', "\u{2758}").replace('\\', "\u{ff3c}")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_span_is_fenced_by_more_backticks_than_it_contains() {
        let code = |text: &str| Code(text).to_string();
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code(" "), "`   `");
        assert_eq!(code(""), "(empty)");
    }

    #[test]
    fn a_table_cell_contains_no_pipe_and_no_backslash() {
        assert_eq!(cell("release.yml"), "`release.yml`");
        assert_eq!(cell(r"<b>a\|b`"), "`` <b>a\u{ff3c}\u{2758}b` ``");
    }
}

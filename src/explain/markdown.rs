//! Outside text in Markdown, where it must stay text.

/// Text as a code span, in which nothing has a meaning: fenced by one backtick more than it holds (CommonMark, section
/// 6.1).
pub fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match text {
        "" => "(empty)".to_owned(),
        // A span can't begin or end with a backtick of its own, nor keep blanks at both ends.
        _ if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) => format!("{fence} {text} {fence}"),
        _ => format!("{fence}{text}{fence}"),
    }
}

/// Text in a cell of a table. A `|` would end even a code span there, and a backslash before it is no help (GFM, section
/// 4.10): look-alikes stand for both.
pub fn cell(text: &str) -> String {
    code(&text.replace('|', "\u{2758}").replace('\\', "\u{ff3c}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_span_is_fenced_by_more_backticks_than_it_holds() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code(" "), "`   `");
        assert_eq!(code(""), "(empty)");
    }

    #[test]
    fn a_cell_holds_no_pipe_and_no_backslash() {
        assert_eq!(cell("release.yml"), "`release.yml`");
        assert_eq!(cell(r"<b>a\|b`"), "`` <b>a\u{ff3c}\u{2758}b` ``");
    }
}

//! Untrusted text (a service's response, an input, an error of the system) made safe to show.

/// The longest piece of outside text that is shown, in characters. A service's own messages are far shorter; a page of
/// HTML is not worth more.
pub(crate) const LONGEST: usize = 1_000;

/// One line of at most [`LONGEST`] characters: white space is collapsed, and what [`neutralize`] breaks is broken.
pub(crate) fn sanitize_line(text: &str) -> String {
    truncate(sanitize_text(text), LONGEST)
}

/// One line of any length: white space is collapsed, and what [`neutralize`] breaks is broken.
pub(crate) fn sanitize_text(text: &str) -> String {
    neutralize(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// At most `longest` characters of a text, with an ellipsis where it was cut.
pub(crate) fn truncate(mut text: String, longest: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The same line, unable to act: no control characters, nothing that reorders or hides text, and nothing that the
/// runner reads as a command.
///
/// The runner takes `::` at the start of a line, white space aside, and `##[` anywhere in it (actions/runner,
/// `ActionCommand.cs`). It looks for them with .NET's culture-sensitive comparison, which passes over ignorable
/// characters in between, so those are broken too.
pub(crate) fn neutralize(line: &str) -> String {
    let mut neutral: String = line.chars().map(|c| if is_unsafe(c) { '\u{fffd}' } else { c }).collect();
    neutral = neutral.replace("##[", "## [");
    let start = neutral.len() - neutral.trim_start().len();
    if neutral[start..].starts_with("::") {
        neutral.insert(start + 1, ' ');
    }
    neutral
}

/// Whether a character acts on a log or hides in it: controls, line and paragraph separators, and
/// what Unicode calls default-ignorable (bidirectional controls, characters of no width, variation selectors).
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_one_bounded_line() {
        assert_eq!(sanitize_line(" a\r\n\tb\u{2028}c  d "), "a b c d");
        assert_eq!(sanitize_line(&"é".repeat(5_000)), format!("{}…", "é".repeat(LONGEST)));
    }

    #[test]
    fn no_character_is_left_that_acts() {
        assert_eq!(neutralize("a ##[error]b"), "a ## [error]b");
        assert_eq!(neutralize("####[group]"), "#### [group]");
        assert_eq!(neutralize("::error::x"), ": :error::x");
        assert_eq!(neutralize("\u{a0}\u{3000}::error::x"), "\u{a0}\u{3000}: :error::x");
        assert_eq!(
            neutralize("a\u{1b}[31mb\0\u{85}\u{202e}c\u{200b}"),
            "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}"
        );
        for ignorable in ['\u{200b}', '\u{ad}', '\u{fe0f}', '\u{e0041}', '\0'] {
            assert_eq!(neutralize(&format!("#{ignorable}#[error]")), "#\u{fffd}#[error]", "breaking it joins nothing");
            assert_eq!(neutralize(&format!("{ignorable}::error::")), "\u{fffd}::error::");
        }
        assert_eq!(neutralize("100 % – fine: a::b #1 [x]"), "100 % – fine: a::b #1 [x]");
    }
}

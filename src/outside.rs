//! Text from outside (a service's answer, an input, an error of the system) made safe to show.

/// The longest piece of outside text that is shown, in characters. A service's own messages are far shorter; a page of
/// HTML is not worth more.
const LONGEST: usize = 1_000;

/// One line of at most [`LONGEST`] characters: white space is folded, and what [`tame`] breaks is broken.
pub fn one_line(text: &str) -> String {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = tame(&folded);
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The same line, unable to act: no control characters, nothing that reorders or hides text, and nothing that the
/// runner reads as a command.
///
/// The runner takes `::` at the start of a line, white space aside, and `##[` anywhere in it (actions/runner,
/// `ActionCommand.cs`).
pub fn tame(line: &str) -> String {
    let mut tamed: String = line.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect();
    tamed = tamed.replace("##[", "## [");
    let start = tamed.len() - tamed.trim_start().len();
    if tamed[start..].starts_with("::") {
        tamed.insert(start + 1, ' ');
    }
    tamed
}

/// Whether a character does something to a log other than stand in it: controls, line and paragraph separators,
/// bidirectional controls, and characters of no width.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_becomes_one_bounded_line() {
        assert_eq!(one_line(" a\r\n\tb\u{2028}c  d "), "a b c d");
        assert_eq!(one_line(&"é".repeat(5_000)), format!("{}…", "é".repeat(LONGEST)));
    }

    #[test]
    fn nothing_is_left_that_acts() {
        assert_eq!(tame("a ##[error]b"), "a ## [error]b");
        assert_eq!(tame("####[group]"), "#### [group]");
        assert_eq!(tame("::error::x"), ": :error::x");
        assert_eq!(tame("\u{a0}\u{3000}::error::x"), "\u{a0}\u{3000}: :error::x");
        assert_eq!(tame("a\u{1b}[31mb\0\u{85}\u{202e}c\u{200b}"), "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}c\u{fffd}");
        assert_eq!(tame("##\u{200b}[error]"), "##\u{fffd}[error]", "breaking a character joins nothing");
        assert_eq!(tame("100 % – fine: a::b #1 [x]"), "100 % – fine: a::b #1 [x]");
    }
}

//! A check of step summaries with a parser of GitHub's Markdown: untrusted input must not add elements.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

/// The only link of a summary.
const LINK: &str = "https://www.nuget.org/account/trustedpublishing";

/// The first element of a summary that the program does not write: anything but one heading, paragraphs, code, the table
/// of a policy and the link to nuget.org's page. An empty summary has no elements.
pub fn unmeant(markdown: &str) -> Option<String> {
    let (mut headings, mut columns, mut cells) = (0, Vec::new(), 0);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => return Some(format!("HTML: {html}")),
            Event::Start(Tag::Image { dest_url, .. }) => return Some(format!("an image: {dest_url}")),
            Event::Start(Tag::Link { dest_url, .. }) if dest_url.as_ref() != LINK => {
                return Some(format!("a link: {dest_url}"));
            }
            Event::Start(tag @ (Tag::Item | Tag::Strikethrough | Tag::CodeBlock(CodeBlockKind::Fenced(_)))) => {
                return Some(format!("{tag:?}"));
            }
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Start(Tag::Table(alignments)) => columns.push(alignments.len()),
            Event::Start(Tag::TableCell) => cells += 1,
            _ => {}
        }
    }
    if headings != usize::from(!markdown.is_empty()) {
        return Some(format!("{headings} headings"));
    }
    if !columns.is_empty() && (columns != [2] || cells != 12) {
        return Some(format!("{} tables of {columns:?} columns with {cells} cells", columns.len()));
    }
    let control = markdown.chars().find(|c| c.is_control() && *c != '\n');
    control.map(|c| format!("the control character {:?}", c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unexpected_element_is_found() {
        let table = "| a | b |\n|---|---|".to_owned() + &"\n| x | `y` |".repeat(5);
        let meant = format!("### It failed\n\n**Why**\n\n{table}\n\n[here]({LINK}), `code <b>`\n");
        assert_eq!(unmeant(&meant), None);
        assert_eq!(unmeant(""), None);
        for more in [
            "<b>",
            "![x](https://x.example/)",
            "[x](https://x.example/)",
            "# x",
            "* x",
            "~~x~~",
            "```\nx",
            "~~~\nx",
            "\u{1b}",
        ] {
            assert!(unmeant(&format!("{meant}\n{more}\n")).is_some(), "{more}");
        }
        assert!(unmeant(&meant.replace("`y`", "`y` | z\n| v")).is_some());
    }
}

//! A check of step summaries with a parser of GitHub's Markdown: untrusted input must not add elements.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};

/// nuget.org's page for trust policies.
const TRUSTED_PUBLISHING: &str = "https://www.nuget.org/account/trustedpublishing";

/// How the links to the documentation end, before the anchor.
const TROUBLESHOOTING: &str = "/docs/troubleshooting.md";

/// The first element of a summary that the program does not write: anything but one heading, paragraphs, code, a list of
/// fixes with lines to paste, the table of a policy, quoted notes, and the links to nuget.org's page and to the
/// documentation. An empty summary has no elements.
pub fn unmeant(markdown: &str) -> Option<String> {
    let (mut headings, mut columns, mut cells, mut lists) = (0, Vec::new(), 0, 0);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Html(html) | Event::InlineHtml(html) => return Some(format!("HTML: {html}")),
            Event::Start(Tag::Image { dest_url, .. }) => return Some(format!("an image: {dest_url}")),
            Event::Start(Tag::Link { dest_url, .. }) if !is_ours(&dest_url) => {
                return Some(format!("a link: {dest_url}"));
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) if !["sh", "yaml"].contains(&&*language) => {
                return Some(format!("a code block of {language}"));
            }
            Event::Start(tag @ (Tag::Strikethrough | Tag::List(None) | Tag::CodeBlock(CodeBlockKind::Indented))) => {
                return Some(format!("{tag:?}"));
            }
            Event::Start(Tag::List(Some(_))) => lists += 1,
            Event::Start(Tag::Heading { .. }) => headings += 1,
            Event::Start(Tag::Table(alignments)) => columns.push(alignments.len()),
            Event::Start(Tag::TableCell) => cells += 1,
            _ => {}
        }
    }
    if headings != usize::from(!markdown.is_empty()) || lists > 1 {
        return Some(format!("{headings} headings and {lists} lists"));
    }
    if !columns.is_empty() && (columns != [2] || cells != 18) {
        return Some(format!("{} tables of {columns:?} columns with {cells} cells", columns.len()));
    }
    let control = markdown.chars().find(|c| c.is_control() && *c != '\n');
    control.map(|c| format!("the control character {:?}", c))
}

/// Whether the program writes a link.
fn is_ours(link: &str) -> bool {
    let docs = link.split_once('#').filter(|(page, _)| page.starts_with("https://github.com/"));
    let is_anchor = |anchor: &str| anchor.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    link == TRUSTED_PUBLISHING
        || docs.is_some_and(|(page, anchor)| page.ends_with(TROUBLESHOOTING) && is_anchor(anchor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unexpected_element_is_found() {
        let table = "| a | b |\n|---|---|".to_owned() + &"\n| x | `y` |".repeat(8);
        let fixes = "1. Add this:\n\n   ```yaml\n   a: b\n   ```\n2. Do that.";
        let docs = format!("https://github.com/org/x/blob/v1{TROUBLESHOOTING}#a-b");
        let links = format!("[here]({TRUSTED_PUBLISHING}), [there]({docs})");
        let meant = format!("### It failed\n\n**Why**\n\n{fixes}\n\n{table}\n\n{links}, `code <b>`\n");
        assert_eq!(unmeant(&meant), None);
        assert_eq!(unmeant(""), None);
        for more in [
            "<b>",
            "![x](https://x.example/)",
            "[x](https://x.example/)",
            "# x",
            "* x",
            "text\n\n1. x",
            "[x](https://github.com/org/x/docs/troubleshooting.md#a/b)",
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

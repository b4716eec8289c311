//! YAML with the place of everything in it: a thin layer over the events of the parser, bounded in depth and in size.

use std::collections::BinaryHeap;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// The deepest nesting that is read. A workflow needs about ten levels.
const DEEPEST: usize = 100;

/// The most values that are read, each alias counted with all that it stands for.
const MOST_VALUES: usize = 200_000;

/// The most keys and values whose keys are compared with each other. Most mappings are small: this needs no memory.
const MOST_COMPARED: usize = 20;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A text, and its first YAML document. GitHub reads one document of a file.
#[derive(Debug)]
pub struct Document {
    pub text: String,
    pub root: Node,
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
}

/// Why a text is not read as YAML, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct YamlError {
    pub line: usize,
    pub column: usize,
    pub reason: String,
}

/// A value where it is written. What an alias stands for is shared with the anchor.
#[derive(Debug, Clone)]
pub struct Node {
    at: Range<usize>,
    content: Rc<Content>,
}

#[derive(Debug)]
struct Content {
    /// Where the value is written; for an alias, at its anchor.
    at: Range<usize>,
    value: Value,
    /// The levels of nesting in it.
    depth: usize,
}

#[derive(Debug)]
enum Value {
    Scalar { text: String, style: ScalarStyle },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Document {
    /// Reads a text. Line ends of both kinds and a byte order mark are fine.
    pub fn parse(text: String) -> Result<Document, YamlError> {
        let begin = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
        let (root, repeated) = Builder::new(&text[begin..], begin).build()?;
        let lines = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let document = Document { text, root, lines };
        let Some(at) = repeated else { return Ok(document) };
        let (line, column) = document.line_and_column(at);
        Err(YamlError { line, column, reason: "this key is already defined in the mapping".to_owned() })
    }

    /// The line of a byte, from 1.
    pub fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at)
    }

    /// The line and the column of a byte, both from 1. Columns are counted in characters.
    pub fn line_and_column(&self, at: usize) -> (usize, usize) {
        let line = self.line_of(at);
        let before = self.text.get(self.lines[line - 1]..at).unwrap_or_default();
        (line, before.chars().filter(|c| *c != BYTE_ORDER_MARK).count() + 1)
    }

    /// A line by its number, without its end.
    pub fn line(&self, line: usize) -> &str {
        let start = self.lines.get(line - 1).copied().unwrap_or(self.text.len());
        let line = self.text[start..].split('\n').next().unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line).trim_start_matches(BYTE_ORDER_MARK)
    }
}

impl Node {
    /// Where it is written, in bytes of the document's text: an alias's own place.
    pub fn at(&self) -> Range<usize> {
        self.at.clone()
    }

    /// Where the value is written: for an alias, at its anchor.
    pub fn content_at(&self) -> Range<usize> {
        self.content.at.clone()
    }

    /// Whether it is an alias.
    pub fn is_alias(&self) -> bool {
        self.at != self.content.at && !self.at.is_empty()
    }

    /// Whether it is a block of lines.
    pub fn is_block_scalar(&self) -> bool {
        matches!(self.content.value, Value::Scalar { style: ScalarStyle::Literal | ScalarStyle::Folded, .. })
    }

    /// The text of a scalar, whatever its style or type.
    pub fn text(&self) -> Option<&str> {
        match &self.content.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it is absent in all but its key: the core schema's null.
    pub fn is_null(&self) -> bool {
        matches!(&self.content.value, Value::Scalar { text, style: ScalarStyle::Plain }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The items of a sequence; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.content.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    pub fn is_mapping(&self) -> bool {
        matches!(self.content.value, Value::Mapping(_))
    }

    /// The keys and values of a mapping, in their order; none of anything else.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.content.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of this key.
    pub fn entry(&self, key: &str) -> Option<&(Node, Node)> {
        self.entries().iter().find(|(it, _)| it.text() == Some(key))
    }

    /// The entry of this key, without regard to case: names of inputs and outputs.
    pub fn entry_ignoring_case(&self, key: &str) -> Option<&(Node, Node)> {
        self.entries().iter().find(|(it, _)| it.text().is_some_and(|it| it.eq_ignore_ascii_case(key)))
    }

    /// The value of this key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Where each byte of a scalar's text is written, in bytes of the document's text, and where the text ends. Folding
    /// and indentation change white space only, so that the other characters are found in their order.
    pub fn positions(&self, document: &str) -> Vec<usize> {
        let Value::Scalar { text, style } = &self.content.value else { return Vec::new() };
        let mut written = Written::new(document, self.content.at.clone(), *style);
        let mut positions = Vec::with_capacity(text.len() + 1);
        for char in text.chars() {
            let at = if char.is_whitespace() { written.at } else { written.next_visible() };
            positions.extend(std::iter::repeat_n(at, char.len_utf8()));
        }
        positions.push(written.at);
        positions
    }
}

/// The characters of a scalar as they are written.
struct Written<'a> {
    document: &'a str,
    at: usize,
    end: usize,
    style: ScalarStyle,
}

impl<'a> Written<'a> {
    fn new(document: &'a str, at: Range<usize>, style: ScalarStyle) -> Written<'a> {
        let skipped = match style {
            // The parser places a block at its first line, behind the line with the indicators.
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => 0,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        };
        Written { document, at: (at.start + skipped).min(at.end), end: at.end, style }
    }

    /// Moves behind the next character that is not white space, and returns where it begins.
    fn next_visible(&mut self) -> usize {
        while let Some((length, char)) = self.next() {
            let at = self.at;
            self.at += length;
            if !char.is_whitespace() {
                return at;
            }
        }
        self.at
    }

    /// The next character, and the number of bytes that it is written in.
    fn next(&self) -> Option<(usize, char)> {
        let rest = &self.document[self.at..self.end];
        let first = rest.chars().next()?;
        match (self.style, first) {
            (ScalarStyle::SingleQuoted, '\'') if rest.starts_with("''") => Some((2, '\'')),
            (ScalarStyle::DoubleQuoted, '\\') => {
                let escape = rest[1..].chars().next()?;
                let digits = match escape {
                    'x' => 2,
                    'u' => 4,
                    'U' => 8,
                    't' | 'n' | 'v' | 'f' | 'r' | 'N' | '_' | 'L' | 'P' => return Some((2, ' ')),
                    other => return Some((1 + other.len_utf8(), other)),
                };
                let code = rest.get(2..2 + digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
                Some((2 + code.map_or(0, |_| digits), code.and_then(char::from_u32).unwrap_or(escape)))
            }
            _ => Some((first.len_utf8(), first)),
        }
    }
}

/// A collection that is not complete.
struct Open {
    anchor: usize,
    start: usize,
    is_mapping: bool,
    nodes: Vec<Node>,
    /// The number of values before it.
    before: usize,
}

struct Builder<'a> {
    text: &'a str,
    /// The bytes before the text.
    begin: usize,
    /// Where each character begins; empty if each is a byte.
    bytes: Vec<usize>,
    open: Vec<Open>,
    /// The content of each complete anchor, and the number of values in it.
    anchors: Vec<Option<(Rc<Content>, usize)>>,
    values: usize,
    root: Option<Node>,
    /// Where a key is that its mapping has already.
    repeated: Option<usize>,
}

impl<'a> Builder<'a> {
    fn new(text: &'a str, begin: usize) -> Builder<'a> {
        let bytes = if text.is_ascii() { Vec::new() } else { text.char_indices().map(|(at, _)| at).collect() };
        Builder { text, begin, bytes, open: Vec::new(), anchors: Vec::new(), values: 0, root: None, repeated: None }
    }

    /// The value, and where a key is that its mapping has already. GitHub accepts no such key (actions/runner,
    /// `TemplateReader.cs`).
    fn build(mut self) -> Result<(Node, Option<usize>), YamlError> {
        // By pulling: the parser's own loader recurses.
        let mut parser = Parser::new_from_str(self.text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| refused(error.marker(), error.info()))?;
            self.values += 1;
            self.add(event, self.byte(&span.start), self.byte(&span.end)).map_err(|why| refused(&span.start, why))?;
            if self.values > MOST_VALUES {
                return Err(refused(&span.start, "more than 200,000 values, aliases included"));
            }
        }
        let root = self.root.unwrap_or_else(|| {
            let value = Value::Scalar { text: String::new(), style: ScalarStyle::Plain };
            let at = self.begin..self.begin;
            Node { at: at.clone(), content: Rc::new(Content { at, value, depth: 0 }) }
        });
        Ok((root, self.repeated))
    }

    /// The byte of a position, which the parser counts in characters.
    fn byte(&self, marker: &Marker) -> usize {
        let index = marker.index();
        let at = if self.bytes.is_empty() { index } else { *self.bytes.get(index).unwrap_or(&self.text.len()) };
        self.begin + at.min(self.text.len())
    }

    fn add(&mut self, event: Event<'_>, start: usize, end: usize) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let start = if !is_block { self.behind_properties(start, end) } else { start };
                let content =
                    Content { at: start..end, value: Value::Scalar { text: text.into_owned(), style }, depth: 0 };
                self.complete(content, anchor, 1);
            }
            Event::Alias(anchor) => {
                let (content, values) =
                    self.anchors.get(anchor).cloned().flatten().ok_or("an alias within its own anchor")?;
                self.values = self.values.saturating_add(values);
                if self.open.len() + content.depth > DEEPEST {
                    return Err("aliases that are nested too deep");
                }
                self.place(Node { at: start..end, content });
            }
            Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                if self.open.len() == DEEPEST {
                    return Err("more than 100 levels of nesting");
                }
                let is_mapping = matches!(event, Event::MappingStart(..));
                self.open.push(Open { anchor, start, is_mapping, nodes: Vec::new(), before: self.values });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { anchor, start, is_mapping, nodes, before }) = self.open.pop() else { return Ok(()) };
                // A block ends with the last value in it; the parser has seen what follows.
                let end = if end > start && self.closes(start) {
                    end
                } else {
                    nodes.last().map_or(start, |last| last.at.end.max(start))
                };
                if is_mapping && self.repeated.is_none() {
                    self.repeated = repeated(&nodes);
                }
                let depth = 1 + nodes.iter().map(|node| node.content.depth).max().unwrap_or(0);
                let value = if is_mapping { Value::Mapping(pairs(nodes)) } else { Value::Sequence(nodes) };
                self.complete(Content { at: start..end, value, depth }, anchor, self.values - before + 1);
            }
            _ => {}
        }
        Ok(())
    }

    /// Where the text of a scalar begins, which the parser places at its anchor.
    fn behind_properties(&self, start: usize, end: usize) -> usize {
        let mut rest = &self.text[start - self.begin..end - self.begin];
        while rest.starts_with(['&', '!']) {
            rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
        }
        end - rest.len()
    }

    /// Whether the collection that begins here has an end of its own.
    fn closes(&self, start: usize) -> bool {
        self.text[start - self.begin..].starts_with(['{', '['])
    }

    fn complete(&mut self, content: Content, anchor: usize, values: usize) {
        let (at, content) = (content.at.clone(), Rc::new(content));
        if anchor > 0 {
            // The parser counts anchors from 1.
            self.anchors.resize(self.anchors.len().max(anchor + 1), None);
            self.anchors[anchor] = Some((Rc::clone(&content), values));
        }
        self.place(Node { at, content });
    }

    fn place(&mut self, mut node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        // The parser places a value that is left out where it notices it, lines below.
        if let Some(key) = open.nodes.last()
            && node.at.is_empty()
            && open.is_mapping
            && open.nodes.len() % 2 == 1
        {
            node.at = key.at.end..key.at.end;
        }
        open.nodes.push(node);
    }
}

/// Where a key is, among keys and values, that is there before. Expressions are no keys of their own.
fn repeated(nodes: &[Node]) -> Option<usize> {
    let texts = nodes.iter().step_by(2).map(|key| key.text().filter(|text| !text.contains("${{")));
    if nodes.len() <= MOST_COMPARED {
        let is_repeated =
            |(nth, text): &(usize, Option<&str>)| text.is_some() && texts.clone().take(*nth).any(|it| it == *text);
        return texts.clone().enumerate().find(is_repeated).map(|(nth, _)| nodes[nth * 2].at.start);
    }
    // Sorted by a heap, whose code is small.
    let sorted = BinaryHeap::from_iter(texts.zip(0..)).into_sorted_vec();
    let pair = sorted.windows(2).find(|pair| pair[0].0.is_some() && pair[0].0 == pair[1].0)?;
    Some(nodes[pair[1].1 * 2].at.start)
}

fn pairs(nodes: Vec<Node>) -> Vec<(Node, Node)> {
    let mut pairs = Vec::with_capacity(nodes.len() / 2);
    let mut nodes = nodes.into_iter();
    while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
        pairs.push((key, value));
    }
    pairs
}

fn refused(marker: &Marker, reason: &str) -> YamlError {
    YamlError { line: marker.line().max(1), column: marker.col() + 1, reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn parse(text: &str) -> Document {
        Document::parse(text.to_owned()).unwrap()
    }

    fn written<'a>(document: &'a Document, node: &Node) -> &'a str {
        &document.text[node.at()]
    }

    #[test]
    fn a_key_that_its_mapping_has_already_is_an_error_at_its_place() {
        for (text, place) in [
            ("on: push\njobs:\n  a:\n    é: 1\n    b: 2\n    é: 3\n", (6, 5)),
            ("a: {é: 1, b: 2, \"b\": 3}", (1, 17)),
            ("a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\ng: 7\nh: 8\ni: 9\nj: 10\nb: 11\n", (11, 1)),
            ("\u{feff}a: 1\r\na: 2\r\n", (2, 1)),
        ] {
            let error = Document::parse(text.to_owned()).unwrap_err();
            assert_eq!(
                (error.line, error.column, error.reason.as_str()),
                (place.0, place.1, "this key is already defined in the mapping")
            );
        }
        for text in
            ["a: {b: 1}\nb: {b: 1}\n", "a: 1\nA: 1\n", "${{ insert }}: a\n${{ insert }}: b\n", "[a]: 1\n[b]: 2\n"]
        {
            parse(text);
        }
    }

    #[test]
    fn each_value_has_the_place_where_it_is_written() {
        let text = "on:\n  push: ~\n  workflow_dispatch:\n\njobs: # all\n  a: {b: [c, 'd ''e'], \"f\": \"g\"}\n  h:\n  - i\n  - j k\n    l\n# end\n";
        for text in
            [text.to_owned(), text.replace('\n', "\r\n"), format!("\u{feff}{text}"), text.replace("all", "älle")]
        {
            let document = parse(&text);
            let on = document.root.entry("on").unwrap();
            assert_eq!(written(&document, &on.0), "on");
            assert!(written(&document, &on.1).ends_with("workflow_dispatch"), "{:?}", written(&document, &on.1));
            let dispatch = on.1.entry("workflow_dispatch").unwrap();
            assert!(dispatch.1.is_null() && dispatch.1.at().start == dispatch.0.at().end);
            assert!(on.1.get("push").unwrap().is_null());
            let jobs = document.root.get("jobs").unwrap();
            let a = jobs.get("a").unwrap();
            assert_eq!(written(&document, a), "{b: [c, 'd ''e'], \"f\": \"g\"}");
            let b = a.get("b").unwrap();
            assert_eq!((written(&document, b), written(&document, &b.items()[1])), ("[c, 'd ''e']", "'d ''e'"));
            assert_eq!((b.items()[1].text(), a.get("f").unwrap().text()), (Some("d 'e"), Some("g")));
            let last = &jobs.get("h").unwrap().items()[1];
            assert_eq!((last.text(), document.line_and_column(last.at().start)), (Some("j k l"), (9, 5)));
            assert!(written(&document, last).ends_with("    l"), "{:?}", written(&document, last));
            assert_eq!(document.line(9), "  - j k");
            assert_eq!(document.line_and_column(on.0.at().start), (1, 1));
        }
    }

    #[test]
    fn a_place_within_a_scalar_is_found_for_every_style() {
        let text = "a: x ${{ y }}\nb: 'it''s ${{ y }}'\nc: \"\\u00e4\\n\\\"x\\\" ${{ y }}\"\nd: |2 # why\n   x\n\n   z ${{ y }}\ne: >-\n  x\n  z\n   ${{ y }}\nf: x\n  z ${{ y }}\n";
        for text in [text.to_owned(), text.replace('\n', "\r\n"), format!("\u{feff}# ö\n{text}")] {
            let document = parse(&text);
            let mut lines = Vec::new();
            for (_, value) in document.root.entries() {
                let at = value.text().unwrap().find("${{").unwrap();
                let positions = value.positions(&document.text);
                assert!(document.text[positions[at]..].starts_with("${{ y }}"), "{value:?}");
                lines.push(document.line_and_column(positions[at]).0);
            }
            let first = lines[0];
            assert_eq!(lines.iter().map(|line| line - first).collect::<Vec<_>>(), [0, 1, 2, 6, 10, 12]);
        }
    }

    #[test]
    fn an_alias_is_the_value_of_its_anchor_at_a_place_of_its_own() {
        let document = parse("a: &x {b: c}\nd: *x\ne: &y z\nf: *y\n");
        let (a, d) = (document.root.get("a").unwrap(), document.root.get("d").unwrap());
        assert_eq!(d.get("b").unwrap().at(), a.get("b").unwrap().at());
        assert_eq!((written(&document, d), document.root.get("f").unwrap().text()), ("*x", Some("z")));
    }

    #[test]
    fn what_is_not_yaml_is_an_error_at_its_line() {
        for (text, line) in [
            ("a: b\n c: d\n", 2),
            ("a: [b\nc: d\n", 2),
            ("<<<<<<< HEAD\na: b\n=======\n", 2),
            ("a: *b\n", 1),
            ("a: &b [*b]\n", 1),
            ("a:\n\t- b\n", 2),
            ("a: \"b\n", 2),
        ] {
            let error = Document::parse(text.to_owned()).unwrap_err();
            assert!(error.line.abs_diff(line) <= 1 && !error.reason.is_empty(), "{text:?}: {error:?}");
        }
        for text in ["", "# nothing\n", "--- \n", "~", "[]", "a: b\n---\nc: d\n"] {
            parse(text);
        }
    }

    #[test]
    fn hostile_yaml_is_refused_in_bounded_time() {
        let nested = |open: &str, line: &str| format!("{}{line}", open.repeat(10_000));
        let levels = (0..10_000).map(|level| format!("{}a:\n", " ".repeat(level))).take(1_400).collect::<String>();
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let items = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{items}]\n"));
        }
        let chain = (1..300)
            .fold("a0: &a0 [x]\n".to_owned(), |text, level| format!("{text}a{level}: &a{level} [*a{}]\n", level - 1));
        for text in [nested("[", "x"), nested("{a: ", "x"), nested("- ", "x"), nested("? ", "x"), levels, bomb, chain] {
            let began = Instant::now();
            assert!(Document::parse(text).is_err());
            assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        }
        let longest = 128 * 1024;
        for part in [
            "a: b\n",
            "- a\n",
            "a\n",
            "\n",
            "#\n",
            " ",
            "[],",
            "? a\n",
            "a: &a b\n",
            "'",
            "\"\\\n",
            "a b ",
            "- |\n  a\n",
            "%",
            "!a ",
            "&a ",
            "*a ",
            "a:\n- b\n",
            "{",
            "}",
            "- - ",
            ": ",
            "\t",
            "--- a\n",
            "\u{e9}: \u{e9}\n",
            "a,",
            "[a: b,",
            "!<a> b\n",
            "\r\n",
            "|\n a\n",
            "- {a: b, c: [d]}\n",
        ] {
            let began = Instant::now();
            let _ = Document::parse(part.repeat(longest / part.len()));
            let _ = Document::parse(format!("[{}", part.repeat(longest / part.len())));
            let _ = Document::parse(format!("a: {}", part.repeat(longest / part.len())));
            assert!(began.elapsed() < Duration::from_secs(5), "{part:?}: {:?}", began.elapsed());
        }
    }
}

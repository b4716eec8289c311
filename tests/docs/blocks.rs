//! The fenced blocks of the documents, and the code in their sentences.

use std::fs;

use crate::root;

/// The documents for people, by their paths in the repository, with their text.
pub(crate) fn documents() -> Vec<(String, String)> {
    let mut names: Vec<String> =
        ["README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned).to_vec();
    for folder in ["docs", "dotnet-tool"] {
        let files = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let mut files: Vec<String> = files.map(|name| format!("{folder}/{}", name.to_str().unwrap())).collect();
        files.sort();
        names.extend(files.into_iter().filter(|name| name.ends_with(".md")));
    }
    let read = |name: String| {
        let text = fs::read_to_string(root().join(&name)).unwrap().replace('\r', "");
        // `dotnet-tool/pack` fills these in.
        let text = text.replace("{repository}", env!("CARGO_PKG_REPOSITORY")).replace("{version}", "1.0.0");
        (name, text)
    };
    names.into_iter().map(read).collect()
}

/// A fenced block.
pub(crate) struct Block {
    pub(crate) document: String,
    /// Of its opening fence.
    pub(crate) line: usize,
    pub(crate) language: String,
    /// The heading that it is below.
    pub(crate) heading: String,
    /// Its lines, without the indentation of the fence.
    pub(crate) text: String,
}

impl Block {
    /// For the message of a failure.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }

    /// The commands of a console block: each with the lines that it printed.
    pub(crate) fn console(&self) -> Vec<(String, String)> {
        let mut commands: Vec<(String, String)> = Vec::new();
        for line in self.text.lines() {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), String::new())),
                (None, Some((command, _))) if command.ends_with('\\') => *command += &format!("\n{line}"),
                (None, Some((_, output))) => *output += &format!("{line}\n"),
                (None, None) => panic!("{}: output before a command", self.place()),
            }
        }
        commands
    }
}

/// Every fenced block of every document.
pub(crate) fn blocks() -> Vec<Block> {
    let mut blocks = Vec::new();
    for (document, text) in documents() {
        let mut heading = String::new();
        let mut open: Option<(Block, usize)> = None;
        for (nth, line) in text.lines().enumerate() {
            let trimmed = line.trim_start();
            match (&mut open, trimmed.strip_prefix("```")) {
                (None, Some(language)) => {
                    let (document, heading, language) = (document.clone(), heading.clone(), language.to_owned());
                    let block = Block { document, line: nth + 1, language, heading, text: String::new() };
                    open = Some((block, line.len() - trimmed.len()));
                }
                (None, None) => {
                    if line.starts_with('#') {
                        heading = line.trim_start_matches('#').trim_start().to_owned();
                    }
                }
                (Some(_), Some("")) => blocks.extend(open.take().map(|(block, _)| block)),
                (Some((block, indentation)), _) => {
                    block.text += &format!("{}\n", line.get(*indentation..).unwrap_or(""))
                }
            }
        }
        assert!(open.is_none(), "{document}: a block has no end");
    }
    blocks
}

/// The blocks in a language.
pub(crate) fn blocks_in(language: &str) -> Vec<Block> {
    blocks().into_iter().filter(|block| block.language == language).collect()
}

/// The lines outside fenced blocks.
pub(crate) fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The code in the sentences of a text. A span can go on in the next line, but not in the next paragraph.
pub(crate) fn code_spans(text: &str) -> Vec<String> {
    let lines: Vec<&str> = prose(text).map(str::trim).collect();
    let paragraphs = lines.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    paragraphs.flat_map(|it| it.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

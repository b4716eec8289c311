//! The commands of a `run:` script, as far as they can be known without running it: of sh, bash, PowerShell and cmd.

use std::ops::Range;

use crate::expression::end_of;

/// The deepest nesting of parentheses that is followed.
const DEEPEST: usize = 100;

/// What a script is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    Posix,
    PowerShell,
    Cmd,
    /// Python, or a shell of the user's own.
    Other,
}

/// What a script consists of. All places are bytes of its text.
#[derive(Debug, Default)]
pub struct Script {
    pub commands: Vec<Command>,
    pub assignments: Vec<Assignment>,
    /// Comments of the shell. GitHub expands expressions in them, without an effect.
    comments: Vec<Range<usize>>,
}

/// A command and its arguments, without what a here-document or another program gives to it.
#[derive(Debug)]
pub struct Command {
    pub words: Vec<Word>,
}

/// A word without its quotes. Variables and expressions stay as they are written.
#[derive(Debug, Clone)]
pub struct Word {
    pub text: String,
    pub at: Range<usize>,
}

impl Word {
    /// The name of the program that it is, in lower case, without folders and `.exe`.
    pub fn program(&self) -> String {
        let name = self.text.rsplit(['/', '\\']).next().unwrap_or_default().to_lowercase();
        name.strip_suffix(".exe").map(str::to_owned).unwrap_or(name)
    }
}

/// A variable of the shell that gets a value.
#[derive(Debug)]
pub struct Assignment {
    pub name: String,
    pub value: Word,
}

impl Script {
    pub fn parse(text: &str, shell: Shell) -> Script {
        if shell == Shell::Other {
            return Script::default();
        }
        let mut reader = Reader {
            text,
            shell,
            at: 0,
            outer: Vec::new(),
            words: Vec::new(),
            word: None,
            unclosed: false,
            script: Script::default(),
        };
        reader.read();
        reader.script
    }

    /// The comments, in their order.
    pub fn comments(&self) -> &[Range<usize>] {
        &self.comments
    }

    /// The words of what it runs, and the values of its variables.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let commands = self.commands.iter().filter(|command| !command.only_prints());
        let words = commands.flat_map(|command| &command.words);
        words.chain(self.assignments.iter().map(|it| &it.value)).map(|word| word.text.as_str())
    }

    /// Whether a byte is in a comment.
    pub fn is_comment(&self, at: usize) -> bool {
        let next = self.comments.partition_point(|comment| comment.start <= at);
        next > 0 && self.comments[next - 1].contains(&at)
    }

    /// The value that a variable got last, before this place.
    pub fn assigned(&self, name: &str, before: usize) -> Option<&Word> {
        let earlier = &self.assignments[..self.assignments.partition_point(|it| it.value.at.start < before)];
        earlier.iter().rfind(|it| it.name.eq_ignore_ascii_case(name)).map(|it| &it.value)
    }
}

impl Command {
    /// The program's name in lower case, without folders and `.exe`.
    pub fn program(&self) -> String {
        self.words.first().map_or_else(String::new, Word::program)
    }

    /// The text of an argument, from 1; empty if there is none.
    pub fn argument(&self, nth: usize) -> &str {
        self.words.get(nth).map_or("", |word| word.text.as_str())
    }

    /// Whether one of these options is given, in any case of its letters.
    pub fn has(&self, names: &[&str]) -> Option<&Word> {
        self.words.iter().find(|word| names.iter().any(|name| word.text.eq_ignore_ascii_case(name)))
    }

    /// The value of an option: the next word, or what follows `=`.
    pub fn option(&self, names: &[&str]) -> Option<Word> {
        self.option_from(1, names)
    }

    /// The same among the words from this one on.
    pub fn option_from(&self, first: usize, names: &[&str]) -> Option<Word> {
        for (nth, word) in self.words.iter().enumerate().skip(first) {
            for name in names {
                if word.text.eq_ignore_ascii_case(name) {
                    return self.words.get(nth + 1).cloned();
                }
                let (start, rest) = word.text.split_at_checked(name.len()).unwrap_or_default();
                if let Some(value) = rest.strip_prefix('=').filter(|_| start.eq_ignore_ascii_case(name)) {
                    return Some(Word { text: value.to_owned(), at: word.at.clone() });
                }
            }
        }
        None
    }

    /// Whether it prints its arguments, so that they are not a command's.
    pub fn only_prints(&self) -> bool {
        matches!(self.program().as_str(), "echo" | "printf" | "write-host" | "write-output" | "write-verbose" | "cat")
    }

    /// Whether it restores, builds, tests or packs.
    pub(crate) fn is_build(&self) -> bool {
        let argument = self.argument(1).to_lowercase();
        match self.program().as_str() {
            "dotnet" => {
                matches!(argument.as_str(), "restore" | "build" | "test" | "pack" | "publish" | "msbuild" | "vstest")
            }
            "nuget" => matches!(argument.as_str(), "restore" | "pack"),
            "msbuild" | "vstest.console" => true,
            _ => false,
        }
    }
}

/// A variable with what takes its place where it is not set: `${X:-default}`, `${X:?message}` (which has no value).
pub fn with_default(word: &str) -> Option<(&str, &str)> {
    let inner = word.strip_prefix("${")?.strip_suffix('}')?;
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|end| *end > 0)?;
    let (name, rest) = inner.split_at(end);
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    match rest.strip_prefix(['-', '=']) {
        Some(default) => Some((name, default)),
        None => rest.starts_with('?').then_some((name, "")),
    }
}

/// The variable that a word consists of: `$X`, `${X}`, `$env:X`, `%X%`.
pub fn variable(word: &str) -> Option<&str> {
    let name = if let Some(rest) = word.strip_prefix('$') {
        let rest = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(rest);
        rest.split_once(':').filter(|(scope, _)| scope.eq_ignore_ascii_case("env")).map_or(rest, |(_, name)| name)
    } else {
        word.strip_prefix('%')?.strip_suffix('%')?
    };
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(name)
}

struct Reader<'a> {
    text: &'a str,
    shell: Shell,
    at: usize,
    /// The commands around a parenthesis, and whether the parenthesis is an array's, whose lines are one command.
    outer: Vec<(Vec<Word>, Option<Word>, bool)>,
    words: Vec<Word>,
    word: Option<Word>,
    /// Whether an expression was not closed.
    unclosed: bool,
    script: Script,
}

impl Reader<'_> {
    fn read(&mut self) {
        // The end of each here-document that begins in this line.
        let mut documents: Vec<String> = Vec::new();
        while let Some(char) = self.peek() {
            let rest = &self.text[self.at..];
            if let Some(end) = self.expression() {
                self.take_to(end);
                continue;
            }
            match (self.shell, char) {
                (_, '\n') if self.outer.last().is_some_and(|(.., is_array)| *is_array) => {
                    self.at += 1;
                    self.end_word();
                }
                (_, '\n') => {
                    self.at += 1;
                    self.end_command();
                    documents.drain(..).for_each(|end| self.skip_document(&end));
                }
                (Shell::Posix, '\\') | (Shell::PowerShell, '`') | (Shell::Cmd, '^') => {
                    self.at += 1;
                    match self.peek() {
                        Some('\n') => {
                            self.at += 1;
                            self.end_word();
                        }
                        Some(escaped) => self.take(escaped),
                        None => {}
                    }
                }
                (_, char) if char.is_whitespace() => {
                    self.at += char.len_utf8();
                    self.end_word();
                }
                (Shell::PowerShell, '<') if rest.starts_with("<#") => {
                    let end = rest.find("#>").map_or(rest.len(), |end| end + 2);
                    self.comment(end);
                }
                (Shell::Posix | Shell::PowerShell, '#') if self.word.is_none() => {
                    self.comment(rest.find('\n').unwrap_or(rest.len()));
                }
                (Shell::Cmd, _) if self.word.is_none() && self.words.is_empty() && is_remark(rest) => {
                    self.comment(rest.find('\n').unwrap_or(rest.len()));
                }
                (Shell::PowerShell, '@') if rest.starts_with("@'\n") || rest.starts_with("@\"\n") => {
                    let end = if rest.starts_with("@'") { "\n'@" } else { "\n\"@" };
                    // The first line end can be the last one too.
                    self.take_to(rest[2..].find(end).map_or(self.text.len(), |at| self.at + 2 + at + end.len()));
                }
                (_, '"') | (Shell::Posix | Shell::PowerShell, '\'') => self.quoted(char),
                (Shell::Posix, '<') if rest.starts_with("<<") && !rest.starts_with("<<<") => {
                    self.end_word();
                    self.at += if rest.starts_with("<<-") { 3 } else { 2 };
                    documents.extend(self.delimiter());
                }
                (_, '$') if rest.starts_with("${") => {
                    let end = rest
                        .find(['}', '\n'])
                        .map_or(rest.len(), |end| end + usize::from(rest[end..].starts_with('}')));
                    self.take_to(self.at + end);
                }
                (_, '>' | '<') => {
                    self.at += 1;
                    self.end_word();
                    // `2>&1` is not the end of a command.
                    self.at += usize::from(self.peek() == Some('&'));
                }
                (_, '(') => {
                    self.at += 1;
                    if self.outer.len() < DEEPEST {
                        let is_array = self.word.as_ref().is_some_and(|word| match self.shell {
                            Shell::Posix => word.text.ends_with('='),
                            Shell::PowerShell => word.text == "@",
                            _ => false,
                        });
                        self.outer.push((std::mem::take(&mut self.words), self.word.take(), is_array));
                    }
                }
                (_, ')') => {
                    self.end_command();
                    if let Some((words, word, _)) = self.outer.pop() {
                        (self.words, self.word) = (words, word);
                        // Something that is not known.
                        self.take_text("()", self.at);
                    }
                    self.at += 1;
                }
                (Shell::PowerShell, '{' | '}') => {
                    self.at += 1;
                    self.end_command();
                }
                (Shell::PowerShell, ',') => {
                    self.at += 1;
                    self.end_word();
                    // The list goes on in the next line.
                    let rest = &self.text[self.at..];
                    self.at += rest.len() - rest.trim_start().len();
                }
                (_, ';' | '|' | '&') => {
                    self.at += 1;
                    self.end_command();
                }
                _ => self.take(char),
            }
        }
        self.end_command();
        while let Some((words, word, _)) = self.outer.pop() {
            (self.words, self.word) = (words, word);
            self.end_command();
        }
    }

    /// The end of the expression that begins here. After an unclosed one, the result is `None`.
    fn expression(&mut self) -> Option<usize> {
        if self.unclosed || !self.text[self.at..].starts_with("${{") {
            return None;
        }
        let end = end_of(self.text, self.at + 3);
        self.unclosed = end.is_none();
        end
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn take(&mut self, char: char) {
        self.take_to(self.at + char.len_utf8());
    }

    /// Adds the text up to `end` to the word.
    fn take_to(&mut self, end: usize) {
        let text = &self.text[self.at..end];
        self.take_text(text, end);
        self.at = end;
    }

    fn take_text(&mut self, text: &str, end: usize) {
        let start = self.at;
        let word = self.word.get_or_insert_with(|| Word { text: String::new(), at: start..start });
        word.text.push_str(text);
        word.at.end = end;
    }

    fn comment(&mut self, length: usize) {
        self.end_word();
        self.script.comments.push(self.at..self.at + length);
        self.at += length;
    }

    fn quoted(&mut self, quote: char) {
        self.take_text("", self.at + 1);
        self.at += 1;
        while let Some(char) = self.peek() {
            let rest = &self.text[self.at..];
            let escape = match self.shell {
                Shell::Posix => '\\',
                _ => '`',
            };
            if let Some(end) = self.expression() {
                self.take_to(end);
            } else if char == escape && quote == '"' && rest.len() > 1 {
                self.at += 1;
                if let Some(escaped) = self.peek() {
                    self.take(escaped);
                }
            } else if char == quote {
                self.at += 1;
                let at = self.at;
                self.word.iter_mut().for_each(|word| word.at.end = at);
                return;
            } else {
                self.take(char);
            }
        }
    }

    /// The word that ends a here-document.
    fn delimiter(&mut self) -> Option<String> {
        let line = self.text[self.at..].split('\n').next().unwrap_or_default();
        let word = line.trim_start().split([' ', ';', '|', '&', ')', '>']).next().unwrap_or_default();
        self.at += line.len() - line.trim_start().len() + word.len();
        let end = word.replace(['\'', '"', '\\'], "");
        (!end.is_empty()).then_some(end)
    }

    fn skip_document(&mut self, end: &str) {
        while self.at < self.text.len() {
            let line = self.text[self.at..].split('\n').next().unwrap_or_default();
            self.at = (self.at + line.len() + 1).min(self.text.len());
            if line.trim() == end {
                return;
            }
        }
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        let mut words = std::mem::take(&mut self.words);
        let mut first = 0;
        while let Some(word) = words.get(first) {
            let text = word.text.as_str();
            if let Some((name, value)) = text.split_once('=').filter(|(name, _)| is_variable_name(name)) {
                let at = word.at.end.saturating_sub(value.len()).max(word.at.start)..word.at.end;
                let value = Word { text: value.to_owned(), at };
                self.script.assignments.push(Assignment { name: name.to_owned(), value });
            } else if let Some(name) = variable(text).filter(|_| words.get(first + 1).is_some_and(|it| it.text == "="))
            {
                if let Some(value) = words.get(first + 2) {
                    self.script.assignments.push(Assignment { name: name.to_owned(), value: value.clone() });
                    // A value in quotes or an expression is no command.
                    first += usize::from(value.at.len() > value.text.len() || value.text.starts_with(['@', '$', '"']));
                }
                first += 1;
            } else if !PREFIXES.contains(&text.to_lowercase().as_str()) {
                break;
            }
            first += 1;
        }
        words.drain(..first.min(words.len()));
        if !words.is_empty() {
            self.script.commands.push(Command { words });
        }
    }
}

/// Words before a command.
const PREFIXES: [&str; 24] = [
    "{",
    "}",
    "!",
    "if",
    "then",
    "elif",
    "else",
    "while",
    "until",
    "do",
    "time",
    "sudo",
    "env",
    "exec",
    "command",
    "call",
    "export",
    "set",
    "try",
    "catch",
    "finally",
    "mono",
    "foreach-object",
    "@",
];

fn is_remark(rest: &str) -> bool {
    let rest = rest.strip_prefix('@').unwrap_or(rest).as_bytes();
    let is_rem = rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"rem"));
    rest.starts_with(b"::") || is_rem && rest.get(3).is_none_or(u8::is_ascii_whitespace)
}

fn is_variable_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(text: &str, shell: Shell) -> Vec<String> {
        let script = Script::parse(text, shell);
        let line =
            |command: &Command| command.words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" ");
        script.commands.iter().map(line).collect()
    }

    #[test]
    fn commands_are_separated_as_a_posix_shell_separates_them() {
        let text = "set -e\nA=b dotnet pack -o out && dotnet nuget push \\\n  \"out/*.nupkg\" --api-key ${{ steps.a.outputs.b }}; x | y\n\
                    if ! gh release view \"$TAG\"; then gh release create $(git tag) --notes '; not this'; fi # or this\n\
                    for f in *.nupkg; do dotnet nuget push \"$f\" 2>&1; done\n(cd x && ./build.sh)";
        assert_eq!(
            commands(text, Shell::Posix),
            [
                "-e",
                "dotnet pack -o out",
                "dotnet nuget push out/*.nupkg --api-key ${{ steps.a.outputs.b }}",
                "x",
                "y",
                "gh release view $TAG",
                "git tag",
                "gh release create $() --notes ; not this",
                "fi",
                "for f in *.nupkg",
                "dotnet nuget push $f 2 1",
                "done",
                "cd x",
                "./build.sh",
                "()",
            ]
        );
    }

    #[test]
    fn here_documents_and_comments_are_not_commands() {
        let text = "cat > x <<'END'\ndotnet nuget push a\nEND\n# dotnet nuget push b\ncat <<-EOF > y\n\tdotnet nuget push c\n\tEOF\nls";
        assert_eq!(commands(text, Shell::Posix), ["cat x", "cat y", "ls"]);
        let script = Script::parse(text, Shell::Posix);
        assert!(script.is_comment(text.find("push b").unwrap()) && !script.is_comment(text.find("push a").unwrap()));
        let text = "$x = @'\ndotnet nuget push a\n'@\n<# dotnet\nnuget push b #>\nls # c";
        assert_eq!(commands(text, Shell::PowerShell), ["ls"]);
        assert_eq!(commands("rem dotnet pack\n:: x\n@REM y\ndir ^\n  /b", Shell::Cmd), ["dir /b"]);
        assert_eq!(commands("import os", Shell::Other), Vec::<String>::new());
    }

    #[test]
    fn commands_are_separated_as_powershell_separates_them() {
        let text = "foreach ($p in Get-ChildItem out\\*.nupkg) { dotnet nuget push $p.FullName `\n  -k $env:KEY }\n\
                    & \"$tools\\nuget.exe\" push a.nupkg -ApiKey ${env:KEY}\n$key = '${{ secrets.K }}'\n$r = dotnet pack";
        let script = Script::parse(text, Shell::PowerShell);
        let lines = commands(text, Shell::PowerShell);
        assert_eq!(
            lines[2..4],
            ["dotnet nuget push $p.FullName -k $env:KEY", "$tools\\nuget.exe push a.nupkg -ApiKey ${env:KEY}"]
        );
        assert_eq!(lines.last().unwrap(), "dotnet pack");
        let nuget = &script.commands[3];
        assert_eq!(
            (nuget.program().as_str(), nuget.option(&["-apikey"]).unwrap().text.as_str()),
            ("nuget", "${env:KEY}")
        );
        assert_eq!(script.assigned("KEY", usize::MAX).unwrap().text, "${{ secrets.K }}");
    }

    #[test]
    fn an_option_has_its_value_behind_it_or_in_it() {
        let script = Script::parse("dotnet nuget push a -K b --source=\"https://x/y\" --skip-duplicate", Shell::Posix);
        let push = &script.commands[0];
        assert_eq!(push.option(&["--api-key", "-k"]).unwrap().text, "b");
        assert_eq!(push.option(&["-s", "--source"]).unwrap().text, "https://x/y");
        assert!(push.has(&["--skip-duplicate"]).is_some() && push.option(&["--none"]).is_none());
        for (word, name) in
            [("$KEY", "KEY"), ("${KEY}", "KEY"), ("$env:KEY", "KEY"), ("${env:KEY}", "KEY"), ("%KEY%", "KEY")]
        {
            assert_eq!(variable(word), Some(name));
        }
        for word in ["KEY", "$", "$a.b", "$KEY-x", "%a", "${{ env.KEY }}"] {
            assert_eq!(variable(word), None, "{word}");
        }
    }

    #[test]
    fn a_hostile_script_costs_no_more_than_its_length() {
        for part in
            ["(", ")", "\"", "'", "$(", "${", "${{", "<<a\n", "@'\n", "\\", "`", "{", "<#", "a=", "$a =", "# \n", "é"]
        {
            for shell in [Shell::Posix, Shell::PowerShell, Shell::Cmd] {
                let _ = Script::parse(&part.repeat(100_000 / part.len()), shell);
            }
        }
    }
}

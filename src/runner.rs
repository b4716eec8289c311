//! The runner's commands and its summary: the only place that prints, and the only one that knows how to escape.

use std::io::{self, Write};
use std::iter;

use crate::environment::Environment;
use crate::outside::{shortened, tame};
use crate::records::{ends_with_newline, open};
use crate::secret::{Masked, Secret};

/// The runner cuts an annotation's text at 4,096 characters (actions/runner, `ExecutionContext.cs`).
const LONGEST_ANNOTATION: usize = 4_000;

/// Where a step's words go.
pub struct Runner<W> {
    log: W,
    other: Option<W>,
    reads_commands: bool,
    debugs: bool,
    masked: Masked,
}

impl<W: Write> Runner<W> {
    /// GitHub's runner, which reads commands out of what is printed.
    pub fn github(log: W) -> Runner<W> {
        Runner { log, other: None, reads_commands: true, debugs: false, masked: Masked::default() }
    }

    /// A person. No command is printed: nobody would obey it.
    pub fn terminal(log: W) -> Runner<W> {
        Runner { log, other: None, reads_commands: false, debugs: false, masked: Masked::default() }
    }

    /// Prints masks to `other` too: the runner reads both streams of a step, and may not see this one.
    pub fn mask_also_on(&mut self, other: W) {
        self.other = Some(other);
    }

    /// What was masked so far, and will be.
    pub fn masked(&self) -> Masked {
        self.masked.clone()
    }

    /// Makes the runner replace `secret` by `***` in everything that is printed from now on. An error means that the
    /// mask may not have arrived, and that `secret` must go nowhere.
    pub fn mask(&mut self, secret: &Secret) -> io::Result<()> {
        self.masked.add(secret);
        for log in iter::once(&mut self.log).chain(&mut self.other) {
            if self.reads_commands {
                writeln!(log, "::add-mask::{}", escape_data(secret.reveal()))?;
            }
            log.flush()?;
        }
        Ok(())
    }

    /// Switches [`Runner::debug`] on where it was asked for: a run that was started with debug logging has RUNNER_DEBUG
    /// set by the runner, or ACTIONS_STEP_DEBUG by hand.
    pub fn read_debug_switch(&mut self, environment: &Environment<'_>) {
        let asked = environment.is("RUNNER_DEBUG", "1") || environment.is("ACTIONS_STEP_DEBUG", "true");
        self.debugs = self.reads_commands && asked;
    }

    /// Whether [`Runner::debug`] prints anything.
    pub fn debugs(&self) -> bool {
        self.debugs
    }

    /// Prints a line for those who look for an error.
    pub fn debug(&mut self, text: &str) -> io::Result<()> {
        if !self.debugs {
            return Ok(());
        }
        writeln!(self.log, "::debug::{}", escape_data(&tame(&self.without_secrets(text))))?;
        self.log.flush()
    }

    /// Prints plain lines.
    pub fn say(&mut self, text: &str) -> io::Result<()> {
        for line in self.without_secrets(text).lines() {
            writeln!(self.log, "{}", tame(line))?;
        }
        self.log.flush()
    }

    /// Prints what somebody asked for to `answers`, which may be a pipe or a file: as safe to show as a log, and without
    /// a mask line in it.
    pub fn answer(&self, lines: &[String], answers: &mut dyn Write) -> io::Result<()> {
        for line in self.without_secrets(&lines.join("\n")).lines() {
            writeln!(answers, "{}", tame(line))?;
        }
        answers.flush()
    }

    /// Prints plain lines that are folded under a title; nothing, if there are none.
    pub fn group(&mut self, title: &str, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.reads_commands {
            writeln!(self.log, "::group::{}", escape_data(title))?;
        }
        self.say(&lines.join("\n"))?;
        if self.reads_commands {
            writeln!(self.log, "::endgroup::")?;
        }
        self.log.flush()
    }

    /// Adds Markdown to the summary of this step, which stands on the page of the run. There is none where the runner
    /// offers no file for it.
    pub fn summarize(&self, environment: &Environment<'_>, markdown: &str) -> io::Result<()> {
        let path = environment.path("GITHUB_STEP_SUMMARY").filter(|path| self.reads_commands && path.is_file());
        let Some(path) = path else { return Ok(()) };
        let mut file = open(&path)?;
        let start = if ends_with_newline(&mut file)? { "" } else { "\n\n" };
        file.write_all(format!("{start}{}\n\n", self.without_secrets(markdown)).as_bytes())
    }

    /// Annotates the run with an error.
    pub fn error(&mut self, title: &str, text: &str) -> io::Result<()> {
        self.annotate("error", title, text)
    }

    /// Annotates the run with a warning.
    pub fn warning(&mut self, title: &str, text: &str) -> io::Result<()> {
        self.annotate("warning", title, text)
    }

    fn annotate(&mut self, level: &str, title: &str, text: &str) -> io::Result<()> {
        let text = self.without_secrets(text).lines().map(tame).collect::<Vec<_>>().join("\n");
        let text = shortened(text, LONGEST_ANNOTATION);
        if !self.reads_commands {
            return self.say(&format!("{level}: {text}"));
        }
        writeln!(self.log, "::{level} title={}::{}", escape_property(title), escape_data(&text))?;
        self.log.flush()
    }

    /// The runner would replace them too; but a service may echo what it was sent an attempt ago, and a mask is one
    /// line of a log that others can write to.
    fn without_secrets(&self, text: &str) -> String {
        text.lines().map(|line| self.masked.strike_out(line)).collect::<Vec<_>>().join("\n")
    }
}

/// Where a stream of a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// To the runner, as far as this can be told: a pipe, or a terminal.
    Read,
    /// Into a file, whose lines the runner does not see.
    Kept,
    /// Nowhere, and masks with it: a closed stream, for which the null device stands in, or one that was redirected
    /// there.
    Discarded,
}

impl Stream {
    /// Where `stream` leads.
    #[cfg(unix)]
    pub fn of(stream: &(impl std::os::fd::AsFd + io::IsTerminal)) -> Stream {
        use std::fs::File;
        use std::os::unix::fs::FileTypeExt;
        let metadata = stream.as_fd().try_clone_to_owned().and_then(|stream| File::from(stream).metadata());
        match metadata.map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_char_device() && !stream.is_terminal() => Stream::Discarded,
            Ok(kind) if kind.is_file() => Stream::Kept,
            _ => Stream::Read,
        }
    }

    /// Where `stream` leads.
    #[cfg(windows)]
    pub fn of(stream: &(impl winapi_util::AsHandleRef + io::IsTerminal)) -> Stream {
        match winapi_util::file::typ(stream) {
            Ok(kind) if kind.is_char() && !stream.is_terminal() => Stream::Discarded,
            Ok(kind) if kind.is_disk() => Stream::Kept,
            Ok(_) => Stream::Read,
            // A closed one.
            Err(_) => Stream::Discarded,
        }
    }
}

/// Escapes the text of a workflow command (actions/toolkit, `command.ts`).
fn escape_data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of a workflow command.
fn escape_property(text: &str) -> String {
    escape_data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Runner<&mut Vec<u8>>) -> io::Result<()>) -> String {
        let mut log = Vec::new();
        print(&mut Runner::github(&mut log)).unwrap();
        String::from_utf8(log).unwrap()
    }

    #[test]
    fn an_annotation_is_one_escaped_line() {
        let line = printed(|runner| runner.error("a: b, c", "100 %\nnext\r\n::error::no\nrest ##[error]no"));
        assert_eq!(line, "::error title=a%3A b%2C c::100 %25%0Anext%0A: :error::no%0Arest ## [error]no\n");
    }

    #[test]
    fn an_annotation_fits_what_the_runner_keeps() {
        let line = printed(|runner| runner.warning("t", &"é".repeat(10_000)));
        assert_eq!(line, format!("::warning title=t::{}…\n", "é".repeat(LONGEST_ANNOTATION)));
    }

    #[test]
    fn a_plain_line_is_never_a_command() {
        assert_eq!(
            printed(|runner| runner.say("one\n  ::set-output name=x::y\r\n##[error]")),
            "one\n  : :set-output name=x::y\n## [error]\n"
        );
    }

    #[test]
    fn a_mask_is_escaped_and_is_printed_for_the_runner_only() {
        let secret = Secret::new("a%0Ab".to_owned(), 1..=9).unwrap();
        assert_eq!(printed(|runner| runner.mask(&secret)), "::add-mask::a%250Ab\n");
        let mut log = Vec::new();
        Runner::terminal(&mut log).mask(&secret).unwrap();
        assert!(log.is_empty());
    }

    #[test]
    fn what_was_masked_is_never_printed() {
        let secret = |value: &str| Secret::new(value.to_owned(), 1..=9).unwrap();
        let log = printed(|runner| {
            runner.mask(&secret("first"))?;
            runner.mask(&secret("second"))?;
            runner.say("first, second, third")?;
            runner.error("t", "first\nsecond")
        });
        assert!(log.ends_with("\n***, ***, third\n::error title=t::***%0A***\n"), "{log}");
    }
}

//! The runner's commands and its summary: the only place that prints, and the only one that knows how to escape.

use std::fs::File;
use std::io::{self, Write};
use std::iter;

use crate::environment::Environment;
use crate::explain::report::FAILED;
use crate::github_actions::output_file::{ends_with_newline, open};
use crate::sanitize::{neutralize, truncate};
use crate::secret::{Redactor, Secret};

/// The runner cuts an annotation's text at 4,096 characters (actions/runner, `ExecutionContext.cs`).
const LONGEST_ANNOTATION: usize = 4_000;

/// Where a step's words go.
pub struct Log<W> {
    log: W,
    /// Takes the masks too.
    other: Option<W>,
    reads_commands: bool,
    debugs: bool,
    masked: Redactor,
}

impl Log<Box<dyn Write>> {
    /// The log of the step that this process runs in. GitHub's runner reads commands from both streams, so that the other
    /// one serves where the first does not reach it. Standard output is not the log where a command or an answer has it,
    /// which must have no masks in it. An error means that nothing could be masked; an annotation says so.
    pub fn of_this_step(stdout_is_log: bool) -> io::Result<Self> {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let (into, beside) = (Stream::of(&stdout), Stream::of(&stderr));
        let (stdout, stderr) = (writer(unbuffered(&stdout)), writer(unbuffered(&stderr)));
        let (name, stream, log, other) = match stdout_is_log {
            // A file alone is masked for nobody. (Two files can be a runner's own.)
            true if into == Stream::Kept && beside == Stream::Discarded => ("error", beside, stderr, stdout),
            true => ("output", into, stdout, stderr),
            false => ("error", beside, stderr, stdout),
        };
        if stream == Stream::Discarded {
            let text =
                format!("standard {name} is closed or discarded, so nothing could be masked: leave it to the runner");
            let _ = Log::github(other).error(FAILED, &text);
            return Err(io::Error::other(text));
        }
        let mut runner = Log::github(log);
        if stream == Stream::Kept && stdout_is_log {
            runner.other = Some(other);
        }
        Ok(runner)
    }
}

fn writer(stream: io::Result<File>) -> Box<dyn Write> {
    // `Stream::of` calls a stream that cannot be duplicated discarded.
    stream.map_or_else(|_| Box::new(io::sink()) as Box<dyn Write>, |file| Box::new(file))
}

impl<W: Write> Log<W> {
    /// GitHub's runner, which reads commands out of what is printed.
    pub fn github(log: W) -> Log<W> {
        Log { log, other: None, reads_commands: true, debugs: false, masked: Redactor::default() }
    }

    /// A person. No command is printed: nobody would obey it.
    pub fn terminal(log: W) -> Log<W> {
        Log { log, other: None, reads_commands: false, debugs: false, masked: Redactor::default() }
    }

    /// What was masked so far, and will be.
    pub fn masked(&self) -> Redactor {
        self.masked.clone()
    }

    /// Makes the runner replace `secret` by `***` in everything that is printed from now on. An error means that the
    /// mask may not have arrived, and that `secret` must go nowhere.
    pub fn mask(&mut self, secret: &Secret) -> io::Result<()> {
        self.masked.add(secret);
        if !self.reads_commands {
            return Ok(());
        }
        // A command counts at the start of a line only, and another process may have left its line unfinished.
        let line = format!("\n::add-mask::{}", escape_data(secret.reveal()));
        for log in iter::once(&mut self.log).chain(&mut self.other) {
            print_line(log, &line)?;
        }
        Ok(())
    }

    /// Switches [`Log::debug`] on where it was asked for: a run that was started with debug logging has RUNNER_DEBUG
    /// set by the runner, or ACTIONS_STEP_DEBUG by hand.
    pub fn read_debug_switch(&mut self, environment: &Environment<'_>) {
        let asked = environment.is("RUNNER_DEBUG", "1") || environment.is("ACTIONS_STEP_DEBUG", "true");
        self.debugs = self.reads_commands && asked;
    }

    /// Whether [`Log::debug`] prints anything.
    pub fn debugs(&self) -> bool {
        self.debugs
    }

    /// Prints a line for those who look for an error.
    pub fn debug(&mut self, text: &str) -> io::Result<()> {
        if !self.debugs {
            return Ok(());
        }
        let line = format!("::debug::{}", escape_data(&neutralize(&self.without_secrets(text))));
        print_line(&mut self.log, &line)
    }

    /// Prints plain lines.
    pub fn info(&mut self, text: &str) -> io::Result<()> {
        self.without_secrets(text).lines().try_for_each(|line| print_line(&mut self.log, &neutralize(line)))
    }

    /// Prints what somebody asked for to `answers`, which may be a pipe or a file: as safe to show as a log, and without
    /// a mask line in it.
    pub fn answer(&self, lines: &[String], answers: &mut dyn Write) -> io::Result<()> {
        self.without_secrets(&lines.join("\n")).lines().try_for_each(|line| print_line(answers, &neutralize(line)))
    }

    /// Prints plain lines that are sanitize_text under a title; nothing, if there are none.
    pub fn group(&mut self, title: &str, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.reads_commands {
            print_line(&mut self.log, &format!("::group::{}", escape_data(title)))?;
        }
        self.info(&lines.join("\n"))?;
        if self.reads_commands {
            print_line(&mut self.log, "::endgroup::")?;
        }
        Ok(())
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
        let text = self.without_secrets(text).lines().map(neutralize).collect::<Vec<_>>().join("\n");
        let text = truncate(text, LONGEST_ANNOTATION);
        if !self.reads_commands {
            return self.info(&format!("{level}: {text}"));
        }
        let line = format!("::{level} title={}::{}", escape_property(title), escape_data(&text));
        print_line(&mut self.log, &line)
    }

    /// The runner would replace them too; but a service may echo what it was sent an attempt ago, and a mask is one
    /// line of a log that others can write to.
    fn without_secrets(&self, text: &str) -> String {
        self.masked.redact(text)
    }
}

/// Prints a line in one write. The runner reads a step's streams line by line, and other processes of the step write to
/// them too: up to PIPE_BUF (4,096 bytes on Linux) nothing can get in between (POSIX, `write`).
fn print_line(log: &mut (impl Write + ?Sized), line: &str) -> io::Result<()> {
    log.write_all(format!("{line}\n").as_bytes())?;
    log.flush()
}

/// A standard stream without the standard library's buffers, which divide a long line, and without its habit of passing
/// over errors of a stream that is not open for writing.
#[cfg(unix)]
fn unbuffered(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// The same.
#[cfg(windows)]
fn unbuffered(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    stream.as_handle().try_clone_to_owned().map(File::from)
}

/// Where a stream of a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// To the runner, as far as this can be told: a pipe, or a terminal.
    Read,
    /// Into a file, whose lines the runner does not see.
    Kept,
    /// Nowhere, and masks with it: a stream that is closed, is not open for writing or leads to the null device.
    Discarded,
}

impl Stream {
    /// Where `stream` leads.
    #[cfg(unix)]
    pub fn of(stream: &(impl std::os::fd::AsFd + io::IsTerminal)) -> Stream {
        use std::os::unix::fs::FileTypeExt;
        let kind = unbuffered(stream).and_then(|mut file| {
            // To write nothing fails where the stream is open for reading only; std takes that for success later.
            let _nothing = file.write(&[])?;
            Ok(file.metadata()?.file_type())
        });
        match kind {
            Ok(kind) if kind.is_char_device() && !stream.is_terminal() => Stream::Discarded,
            Ok(kind) if kind.is_file() => Stream::Kept,
            Ok(_) => Stream::Read,
            Err(_) => Stream::Discarded,
        }
    }

    /// Where `stream` leads.
    #[cfg(windows)]
    pub fn of(stream: &(impl winapi_util::AsHandleRef + io::IsTerminal)) -> Stream {
        match winapi_util::file::typ(stream) {
            Ok(kind) if kind.is_pipe() || stream.is_terminal() => Stream::Read,
            Ok(kind) if kind.is_disk() => Stream::Kept,
            // The null device; a null handle (of a process without a console) or a closed one, to which the standard
            // library writes without an error.
            _ => Stream::Discarded,
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

    fn printed(print: impl FnOnce(&mut Log<&mut Vec<u8>>) -> io::Result<()>) -> String {
        let mut log = Vec::new();
        print(&mut Log::github(&mut log)).unwrap();
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
            printed(|runner| runner.info("one\n  ::set-output name=x::y\r\n##[error]")),
            "one\n  : :set-output name=x::y\n## [error]\n"
        );
    }

    #[test]
    fn a_mask_is_escaped_and_is_printed_for_the_runner_only() {
        let secret = Secret::new("a%0Ab".to_owned(), 1..=9).unwrap();
        assert_eq!(printed(|runner| runner.mask(&secret)), "\n::add-mask::a%250Ab\n");
        let mut log = Vec::new();
        Log::terminal(&mut log).mask(&secret).unwrap();
        assert!(log.is_empty());
    }

    /// A stream that keeps what comes in one write apart from the next.
    struct Writes(Vec<String>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_one_write() {
        let secret = Secret::new("s".repeat(4_000), 1..=4_000).unwrap();
        let debugging = |name: &str| (name == "RUNNER_DEBUG").then(|| "1".into());
        let mut log = Writes(Vec::new());
        let mut runner = Log::github(&mut log);
        runner.read_debug_switch(&Environment::new(&debugging));
        runner.mask(&secret).unwrap();
        runner.debug("debug").unwrap();
        runner.warning("title", "two\nlines").unwrap();
        runner.group("title", &["line".to_owned()]).unwrap();
        let mut answer = Writes(Vec::new());
        runner.answer(&["a".to_owned(), "b".to_owned()], &mut answer).unwrap();
        let lines = [
            "::debug::debug\n",
            "::warning title=title::two%0Alines\n",
            "::group::title\n",
            "line\n",
            "::endgroup::\n",
        ];
        assert_eq!(log.0[0], format!("\n::add-mask::{}\n", "s".repeat(4_000)));
        assert_eq!(log.0[1..], lines);
        assert_eq!(answer.0, ["a\n", "b\n"]);
    }

    #[test]
    fn what_was_masked_is_never_printed() {
        let secret = |value: &str| Secret::new(value.to_owned(), 1..=9).unwrap();
        let log = printed(|runner| {
            runner.mask(&secret("first"))?;
            runner.mask(&secret("second"))?;
            runner.info("first, second, third")?;
            runner.error("t", "first,\nsecond")
        });
        assert!(log.ends_with("\n***, ***, third\n::error title=t::***,%0A***\n"), "{log}");
    }
}

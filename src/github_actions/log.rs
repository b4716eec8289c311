//! The log of a step, which GitHub's runner reads workflow commands from, and the step summary. Nothing else prints, help
//! aside, and nothing else escapes.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::environment::Environment;
use crate::github_actions::output_file::append;
use crate::sanitize::{neutralize, truncate};
use crate::secret::{Redactor, Secret};

/// The title of the annotation of a failed login.
pub const LOGIN_FAILED: &str = "NuGet login failed";
/// The title of a warning.
pub(crate) const LOGIN: &str = "NuGet login";

/// What an error of the log means where something is to be masked.
pub(crate) const NOT_MASKED: &str = "the log cannot be written, so no secret can be masked in it";

/// Where to read more about it.
const NOT_MASKED_DOCS: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/v",
    env!("CARGO_PKG_VERSION"),
    "/docs/troubleshooting.md#log-not-writable"
);

/// The runner cuts the text of an annotation at 4,096 characters (actions/runner, `ExecutionContext.cs`).
const LONGEST_ANNOTATION: usize = 4_000;

/// Time for a pipe that is full.
const FULL_PIPE: Duration = Duration::from_secs(5);

/// A line of a report: what it is, and its text. A line without a label continues the one before it.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    label: &'static str,
    text: String,
}

impl Line {
    pub(crate) fn new(label: &'static str, text: impl Into<String>) -> Line {
        Line { label, text: text.into() }
    }

    /// `fix: text`; `paint` shows the label.
    fn shown(&self, paint: impl Fn(&str) -> String) -> String {
        let text = neutralize(&self.text);
        if self.label.is_empty() { format!("  {text}") } else { format!("{} {text}", paint(self.label)) }
    }
}

/// The log. Secrets are redacted in everything that it prints: a service can echo what it was sent by an earlier attempt,
/// and a mask is only a line of a log that others can write to.
pub struct Log<'a> {
    stream: Box<dyn Write + 'a>,
    /// Gets the masks as well, where the runner does not read the first.
    other: Option<Box<dyn Write + 'a>>,
    prints_commands: bool,
    /// Whether labels are coloured, for a person at a terminal.
    is_coloured: bool,
    debug: bool,
    redactor: Redactor,
}

/// An annotation of a file.
pub(crate) struct Annotation<'a> {
    pub(crate) level: &'static str,
    pub(crate) file: &'a str,
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) title: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Log<'a> {
    /// A log for GitHub's runner, with workflow commands.
    pub fn github(stream: impl Write + 'a) -> Log<'a> {
        Log { prints_commands: true, ..Log::plain(stream) }
    }

    /// A log without workflow commands: nothing would obey them.
    pub fn plain(stream: impl Write + 'a) -> Log<'a> {
        let stream = Box::new(stream);
        let redactor = Redactor::default();
        Log { stream, other: None, prints_commands: false, is_coloured: false, debug: false, redactor }
    }

    /// A log on standard error for no runner: for a person, or for the log of GitLab CI.
    pub fn on_standard_error(environment: &Environment<'_>) -> Log<'a> {
        Log { is_coloured: io::stderr().is_terminal() && takes_colours(environment), ..Log::plain(io::stderr()) }
    }

    /// The log of the step that this process runs in. GitHub's runner reads commands from both streams, so that the other
    /// one serves where the first does not reach it. Standard output is not the log where a command or an answer has it,
    /// which must have no masks in it. `None` means that nothing could be masked; an annotation is printed then.
    ///
    /// A person's terminal gets no workflow commands: it would show a mask instead of obeying it. It is one where a sandbox
    /// issues ID tokens, and no runner has set its variables. (act has a terminal for each step.)
    pub fn of_this_step(stdout_is_log: bool, environment: &Environment<'_>) -> Option<Self> {
        let is_terminal = if stdout_is_log { io::stdout().is_terminal() } else { io::stderr().is_terminal() };
        let (stdout, stderr) = (unbuffered(&io::stdout()), unbuffered(&io::stderr()));
        let (into, beside) = (Stream::of(&stdout), Stream::of(&stderr));
        let (stdout, stderr) = (writer(stdout), writer(stderr));
        let (name, leads_to, stream, other) = match stdout_is_log {
            // Masks that are only in a file do not reach the runner. (If both lead to files, a runner can have set that up.)
            true if into == Stream::File && beside == Stream::Nowhere => ("error", beside, stderr, stdout),
            true => ("output", into, stdout, stderr),
            false => ("error", beside, stderr, stdout),
        };
        if leads_to == Stream::Nowhere {
            let text = format!(
                "standard {name} is closed or discarded, so no secret could be masked\nfix: do not redirect standard \
                 {name} of the login step\ndocs: {NOT_MASKED_DOCS}"
            );
            let _ = Log::github(other).error(LOGIN_FAILED, &text);
            return None;
        }
        let is_sandbox = environment.text("ACTIONS_ID_TOKEN_REQUEST_URL").ok().flatten();
        let is_sandbox = is_sandbox.and_then(|url| Endpoint::parse(&url).ok()).is_some_and(|url| url.is_loopback());
        if is_terminal && is_sandbox && !environment.has_runner() {
            return Some(Log { is_coloured: takes_colours(environment), ..Log::plain(stream) });
        }
        let mut log = Log::github(stream);
        if leads_to == Stream::File && stdout_is_log {
            log.other = Some(other);
        }
        Some(log)
    }

    /// What was masked so far, and will be.
    pub(crate) fn redactor(&self) -> Redactor {
        self.redactor.clone()
    }

    /// Makes the runner replace `secret` by `***` in everything that is printed from now on. An error means that the mask
    /// is possibly not printed: `secret` must not be used.
    pub(crate) fn mask(&mut self, secret: &Secret) -> io::Result<()> {
        self.redactor.add(secret);
        if !self.prints_commands {
            return Ok(());
        }
        // A command counts at the start of a line only, and another process can have left its line unfinished.
        let line = format!("\n::add-mask::{}", escape_data(secret.reveal()));
        print_line(&mut self.stream, &line)?;
        self.other.as_mut().map_or(Ok(()), |other| print_line(other, &line))
    }

    /// Switches [`Log::debug`] on where it was asked for: the runner sets RUNNER_DEBUG in a run with debug logging, and
    /// ACTIONS_STEP_DEBUG is set by hand.
    pub(crate) fn read_debug_switch(&mut self, environment: &Environment<'_>) {
        let asked = environment.is("RUNNER_DEBUG", "1") || environment.is("ACTIONS_STEP_DEBUG", "true");
        self.debug = self.prints_commands && asked;
    }

    /// Whether [`Log::debug`] prints anything.
    pub(crate) fn debugs(&self) -> bool {
        self.debug
    }

    /// Prints a line that is shown in debug logs only.
    pub(crate) fn debug(&mut self, text: &str) -> io::Result<()> {
        if !self.debug {
            return Ok(());
        }
        let line = format!("::debug::{}", escape_data(&neutralize(&self.redactor.redact(text))));
        print_line(&mut self.stream, &line)
    }

    /// Prints plain lines.
    pub(crate) fn info(&mut self, text: &str) -> io::Result<()> {
        self.redactor.redact(text).lines().try_for_each(|line| print_line(&mut self.stream, &neutralize(line)))
    }

    /// Prints what was asked for to `answers`, which can be a pipe or a file: as safe as a log, without masks.
    pub(crate) fn answer(&self, lines: &[String], answers: &mut dyn Write) -> io::Result<()> {
        let text = self.redactor.redact(&lines.join("\n"));
        text.lines().try_for_each(|line| print_line(answers, &neutralize(line)))
    }

    /// Prints an annotation with a place to `answers`, in one line.
    pub(crate) fn answer_annotation(&self, annotation: &Annotation<'_>, answers: &mut dyn Write) -> io::Result<()> {
        let Annotation { level, file, line, column, title, text } = annotation;
        let text = self.redactor.redact(text).lines().map(neutralize).collect::<Vec<_>>().join("\n");
        let text = escape_data(&truncate(text, LONGEST_ANNOTATION));
        let (file, title) = (escape_property(&neutralize(file)), escape_property(title));
        print_line(answers, &format!("::{level} file={file},line={line},col={column},title={title}::{text}"))
    }

    /// Adds Markdown to the step summary, where the runner has a file for it.
    pub(crate) fn summarize(&self, environment: &Environment<'_>, markdown: &str) -> io::Result<()> {
        let path = environment.path("GITHUB_STEP_SUMMARY").filter(|path| self.prints_commands && path.is_file());
        let Some(path) = path else { return Ok(()) };
        append(&path, "\n\n", &format!("{}\n\n", self.redactor.redact(markdown))).map(drop)
    }

    /// Reports an error: `annotated` annotates the run, and `details` follow in the log.
    pub(crate) fn report(&mut self, title: &str, annotated: &[Line], details: &[Line]) -> io::Result<()> {
        if !self.prints_commands {
            let lines = annotated.iter().chain(details).enumerate();
            return lines.map(|(at, line)| (if at == 0 { "" } else { "  " }, line)).try_for_each(|(indent, line)| {
                let line = self.redacted(line).shown(|label| self.label(label));
                print_line(&mut self.stream, &format!("{indent}{line}"))
            });
        }
        let annotated = annotated.iter().map(|line| self.redacted(line)).enumerate();
        // The level of the annotation is the label of its first line.
        let annotated = annotated.map(|(at, line)| if at == 0 { line.text } else { line.shown(|it| format!("{it}:")) });
        self.annotate("error", title, &annotated.collect::<Vec<_>>().join("\n"))?;
        details.iter().try_for_each(|line| {
            let line = self.redacted(line).shown(|label| format!("{label}:"));
            print_line(&mut self.stream, &neutralize(&line))
        })
    }

    fn redacted(&self, line: &Line) -> Line {
        Line { label: line.label, text: self.redactor.redact(&line.text) }
    }

    fn label(&self, label: &str) -> String {
        // Select Graphic Rendition (ECMA-48): bold, and red, green or cyan.
        let colour = match label {
            "error" => "1;31",
            "fix" => "1;32",
            _ => "1;36",
        };
        if self.is_coloured { format!("\x1b[{colour}m{label}:\x1b[0m") } else { format!("{label}:") }
    }

    /// Annotates the run with an error.
    pub(crate) fn error(&mut self, title: &str, text: &str) -> io::Result<()> {
        self.annotate("error", title, text)
    }

    /// Annotates the run with a warning.
    pub(crate) fn warning(&mut self, title: &str, text: &str) -> io::Result<()> {
        self.annotate("warning", title, text)
    }

    fn annotate(&mut self, level: &str, title: &str, text: &str) -> io::Result<()> {
        let text = self.redactor.redact(text).lines().map(neutralize).collect::<Vec<_>>().join("\n");
        let text = truncate(text, LONGEST_ANNOTATION);
        if !self.prints_commands {
            return self.info(&format!("{level}: {text}"));
        }
        let line = format!("::{level} title={}::{}", escape_property(title), escape_data(&text));
        match (print_line(&mut self.stream, &line), &mut self.other) {
            // Its file can be full.
            (Err(_), Some(other)) => print_line(other, &line),
            (printed, _) => printed,
        }
    }
}

/// Whether a terminal takes colours (no-color.org). A Windows console would have to be switched to them.
fn takes_colours(environment: &Environment<'_>) -> bool {
    cfg!(unix) && !environment.is("TERM", "dumb") && environment.path("NO_COLOR").is_none()
}

/// Prints a line in one write. The runner reads a step's streams line by line, and other processes of the step write to
/// them too: up to PIPE_BUF (4,096 bytes on Linux) nothing can get in between (POSIX, `write`).
///
/// Another process can have made the pipe non-blocking, and filled it: then it is tried for some seconds.
fn print_line(stream: &mut dyn Write, line: &str) -> io::Result<()> {
    let (began, line) = (Instant::now(), format!("{line}\n"));
    let mut rest = line.as_bytes();
    while !rest.is_empty() {
        match stream.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => rest = &rest[length..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && began.elapsed() < FULL_PIPE => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error),
        }
    }
    stream.flush()
}

/// Standard output for answers, which end in an error where it is not open for writing.
pub fn standard_output() -> Box<dyn Write> {
    // The standard library translates for a Windows console.
    if cfg!(windows) { Box::new(io::stdout()) } else { writer(unbuffered(&io::stdout())) }
}

fn writer(stream: io::Result<File>) -> Box<dyn Write> {
    stream.map_or_else(|error| Box::new(Closed(error.kind())) as Box<dyn Write>, |file| Box::new(file))
}

/// A stream that cannot be used.
struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

/// A standard stream without the standard library's buffers, which divide a long line, and without its habit of ignoring
/// errors of a stream that is not open for writing.
#[cfg(unix)]
fn unbuffered(stream: &impl std::os::fd::AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// As on Unix.
#[cfg(windows)]
fn unbuffered(stream: &impl std::os::windows::io::AsHandle) -> io::Result<File> {
    stream.as_handle().try_clone_to_owned().map(File::from)
}

/// Where a stream of a step leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    /// To the runner, as far as this can be known: a pipe, or a terminal (act gives one to each step).
    Runner,
    /// To a file, whose lines the runner does not read.
    File,
    /// Nowhere: the stream is closed, is not open for writing or leads to the null device.
    Nowhere,
}

impl Stream {
    fn of(stream: &io::Result<File>) -> Stream {
        stream.as_ref().ok().and_then(|file| Stream::of_file(file).ok()).unwrap_or(Stream::Nowhere)
    }

    #[cfg(unix)]
    fn of_file(mut file: &File) -> io::Result<Stream> {
        use std::os::unix::fs::FileTypeExt;
        let kind = file.metadata()?.file_type();
        if !kind.is_socket() {
            // To write nothing fails where the stream is open for reading only. (To a socket it can be a message.)
            let _nothing = file.write(&[])?;
        }
        Ok(match kind {
            kind if kind.is_char_device() && !file.is_terminal() => Stream::Nowhere,
            kind if kind.is_file() => Stream::File,
            _ => Stream::Runner,
        })
    }

    #[cfg(windows)]
    fn of_file(file: &File) -> io::Result<Stream> {
        Ok(match winapi_util::file::typ(file)? {
            kind if kind.is_pipe() || file.is_terminal() => Stream::Runner,
            kind if kind.is_disk() => Stream::File,
            // The null device; a null handle (of a process without a console) or a closed one, to which the standard
            // library writes without an error.
            _ => Stream::Nowhere,
        })
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

    fn printed(print: impl FnOnce(&mut Log<'_>) -> io::Result<()>) -> String {
        let mut log = Vec::new();
        print(&mut Log::github(&mut log)).unwrap();
        String::from_utf8(log).unwrap()
    }

    #[test]
    fn an_annotation_is_one_escaped_line() {
        let line = printed(|log| log.error("a: b, c", "100 %\nnext\r\n::error::no\nrest ##[error]no"));
        assert_eq!(line, "::error title=a%3A b%2C c::100 %25%0Anext%0A: :error::no%0Arest ## [error]no\n");
    }

    #[test]
    fn an_annotation_fits_what_the_log_keeps() {
        let line = printed(|log| log.warning("t", &"é".repeat(10_000)));
        assert_eq!(line, format!("::warning title=t::{}…\n", "é".repeat(LONGEST_ANNOTATION)));
    }

    #[test]
    fn a_plain_line_is_never_a_command() {
        assert_eq!(
            printed(|log| log.info("one\n  ::set-output name=x::y\r\n##[error]")),
            "one\n  : :set-output name=x::y\n## [error]\n"
        );
    }

    #[test]
    fn a_mask_is_escaped_and_is_printed_for_the_runner_only() {
        let secret = Secret::new("a%0Ab".to_owned(), 1..=9).unwrap();
        assert_eq!(printed(|log| log.mask(&secret)), "\n::add-mask::a%250Ab\n");
        let mut log = Vec::new();
        Log::plain(&mut log).mask(&secret).unwrap();
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
        let mut writes = Writes(Vec::new());
        let mut log = Log::github(&mut writes);
        log.read_debug_switch(&Environment::new(&debugging));
        log.mask(&secret).unwrap();
        log.debug("debug").unwrap();
        log.warning("title", "two\nlines").unwrap();
        log.report("title", &[Line::new("error", "fact"), Line::new("fix", "do")], &[Line::new("note", "line")])
            .unwrap();
        let mut answer = Writes(Vec::new());
        log.answer(&["a".to_owned(), "b".to_owned()], &mut answer).unwrap();
        drop(log);
        let lines = [
            "::debug::debug\n",
            "::warning title=title::two%0Alines\n",
            "::error title=title::fact%0Afix: do\n",
            "note: line\n",
        ];
        assert_eq!(writes.0[0], format!("\n::add-mask::{}\n", "s".repeat(4_000)));
        assert_eq!(writes.0[1..], lines);
        assert_eq!(answer.0, ["a\n", "b\n"]);
    }

    #[test]
    fn what_was_masked_is_never_printed() {
        let secret = |value: &str| Secret::new(value.to_owned(), 1..=9).unwrap();
        let log = printed(|log| {
            log.mask(&secret("first"))?;
            log.mask(&secret("second"))?;
            log.info("first, second, third")?;
            log.error("t", "first,\nsecond")
        });
        assert!(log.ends_with("\n***, ***, third\n::error title=t::***,%0A***\n"), "{log}");
    }
}

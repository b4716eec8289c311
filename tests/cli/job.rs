//! A job that runs the binary as a step, with nothing in its environment but what the job sets. What must hold for
//! every step is checked in [`Job::run`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use nuget_login::cli::CommandLine;
use nuget_login::clock::Clock;
use nuget_login::environment::Environment;
use nuget_login::github_actions::log::Log;
use sandbox::Sandbox;
use sandbox::runner::{Line, read_log, read_outputs};

/// A step to be run.
pub(crate) struct Job<'a> {
    sandbox: &'a Sandbox,
    environment: BTreeMap<&'static str, OsString>,
    arguments: Vec<OsString>,
    secrets: Vec<String>,
    directory: tempfile::TempDir,
    stdout: Option<Stdio>,
    stderr: Option<Stdio>,
    through: Option<&'static str>,
    within: Option<PathBuf>,
}

/// A step that was run.
pub(crate) struct Step {
    /// The exit code.
    pub(crate) code: i32,
    /// What was printed, on both streams.
    pub(crate) log: String,
    /// The same, as the runner understands it.
    pub(crate) lines: Vec<Line>,
    /// The outputs, as the runner reads them.
    pub(crate) outputs: BTreeMap<String, String>,
    /// The content of the file of outputs.
    pub(crate) output_file: String,
    /// The step summary.
    pub(crate) summary: String,
}

/// git, without what it sets for its hooks, which would make every folder this repository.
pub(crate) fn git() -> Command {
    let mut git = Command::new("git");
    for name in ["GIT_COMMON_DIR", "GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"] {
        git.env_remove(name);
    }
    git
}

/// The program under test: the build that cargo made for this test, or another one to be held to the same.
pub(crate) fn program() -> OsString {
    std::env::var_os("NUGET_LOGIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_nuget-login").into())
}

impl<'a> Job<'a> {
    /// The seed job with its login step, as the action sets it up.
    pub(crate) fn new(sandbox: &'a Sandbox) -> Job<'a> {
        let job = Job {
            sandbox,
            environment: BTreeMap::new(),
            arguments: Vec::new(),
            secrets: Vec::new(),
            directory: tempfile::tempdir().unwrap(),
            stdout: None,
            stderr: None,
            through: None,
            within: None,
        };
        fs::write(job.output(), "").unwrap();
        fs::write(job.directory.path().join("summary"), "").unwrap();
        let (output, summary) = (job.output(), job.directory.path().join("summary"));
        let job = match std::env::var_os("SystemRoot") {
            // Windows cannot open a socket without it.
            Some(root) => job.set("SystemRoot", root),
            None => job,
        };
        let job = job.set("GITHUB_OUTPUT", output).set("GITHUB_STEP_SUMMARY", summary).set("INPUT_AUDIENCE", "");
        sandbox.step_environment().into_iter().fold(job, |job, (name, value)| job.set(name, value))
    }

    /// GitLab's seed job, which checks its policy: with flags, since nothing else is read there, and the ID token.
    pub(crate) fn gitlab(sandbox: &'a Sandbox) -> Job<'a> {
        let job = Job::new(sandbox);
        let names: Vec<&str> = job.environment.keys().copied().filter(|name| *name != "SystemRoot").collect();
        let job = names.into_iter().fold(job, |job, name| job.unset(name));
        let job = sandbox.gitlab_environment().into_iter().fold(job, |job, (name, value)| job.set(name, value));
        job.arguments(["--check-only", "--user=contoso-bot", "--token-service-url", &sandbox.token_service_url()])
    }

    /// Sets a variable.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name, value.into());
        self
    }

    /// Sets PATH to that of the test, for what the step starts.
    pub(crate) fn with_path(self) -> Self {
        self.set("PATH", std::env::var_os("PATH").unwrap())
    }

    /// Takes a variable away.
    pub(crate) fn unset(mut self, name: &'static str) -> Self {
        self.environment.remove(name);
        self
    }

    /// Adds arguments.
    pub(crate) fn arguments<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(T::into));
        self
    }

    /// Takes the arguments away.
    pub(crate) fn without_arguments(mut self) -> Self {
        self.arguments.clear();
        self
    }

    /// Names one more value that must not be shown, besides what the sandbox made.
    pub(crate) fn secret(mut self, value: &str) -> Self {
        self.secrets.push(value.to_owned());
        self
    }

    /// Sends standard output somewhere else than into [`Step::log`].
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.stdout = Some(stdout.into());
        self
    }

    /// Sends standard error somewhere else.
    #[cfg(windows)]
    pub(crate) fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Runs in another folder than the test.
    pub(crate) fn within(mut self, folder: &std::path::Path) -> Self {
        self.within = Some(folder.to_owned());
        self
    }

    /// Starts a shell instead, with the program's path behind its arguments.
    #[cfg(target_os = "linux")]
    pub(crate) fn through(mut self, shell: &'static str) -> Self {
        self.through = Some(shell);
        self
    }

    /// Starts in a mount namespace, by a script that `exec`s `$0` in the end.
    #[cfg(target_os = "linux")]
    pub(crate) fn in_namespace(self, script: &'static str) -> Self {
        self.through("unshare").arguments(["--user", "--map-root-user", "--mount", "sh", "-c", script])
    }

    /// A folder of this step's own.
    pub(crate) fn directory(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// The file of outputs.
    pub(crate) fn output(&self) -> PathBuf {
        self.directory.path().join("output")
    }

    /// Runs the step, and nothing more.
    pub(crate) fn execute(&mut self) -> Output {
        self.spawn().wait_with_output().unwrap()
    }

    /// Starts the step.
    pub(crate) fn spawn(&mut self) -> Child {
        let stdout = self.stdout.take().unwrap_or_else(Stdio::piped);
        let program = program();
        let mut command = Command::new(self.through.map_or(program.clone(), OsString::from));
        command.args(&self.arguments);
        if self.through.is_some() {
            command.arg(program);
        }
        if let Some(folder) = &self.within {
            command.current_dir(folder);
        }
        command
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(self.stderr.take().unwrap_or_else(Stdio::piped))
            .spawn()
            .unwrap()
    }

    /// Runs the step, and checks what must hold for every one.
    pub(crate) fn run(self) -> Step {
        self.checked(|job| {
            let ran = job.execute();
            let log = String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap();
            (ran.status.code().unwrap(), log)
        })
    }

    /// The same, not as a process, but with another clock.
    pub(crate) fn run_by(self, clock: &dyn Clock) -> Step {
        self.checked(|job| {
            let mut log = Vec::new();
            let arguments = [OsString::from("nuget-login")].into_iter().chain(job.arguments.iter().cloned());
            let command_line = CommandLine::parse(arguments).unwrap();
            let environment = |name: &str| job.environment.get(name).cloned();
            let is_github = job.environment.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
            let mut step_log = if is_github { Log::github(&mut log) } else { Log::plain(&mut log) };
            let code =
                nuget_login::run(command_line, &Environment::new(&environment), clock, &mut step_log, &mut Vec::new());
            drop(step_log);
            (code.into(), String::from_utf8(log).unwrap())
        })
    }

    fn checked(mut self, run: impl FnOnce(&mut Self) -> (i32, String)) -> Step {
        let before = fs::read_to_string(self.output()).unwrap();
        let elsewhere = self.stdout.is_some();
        let (code, log) = run(&mut self);
        let output_file = fs::read_to_string(self.output()).unwrap();
        let step = Step {
            code,
            lines: read_log(&log),
            outputs: read_outputs(&output_file).unwrap().into_iter().collect(),
            log,
            output_file,
            summary: fs::read_to_string(self.directory.path().join("summary")).unwrap(),
        };

        assert!(!step.log.contains("panicked"), "{}", step.log);
        let is_unsafe = |char: char| char != '\n' && (char.is_control() || ('\u{2028}'..='\u{202e}').contains(&char));
        assert!(!step.summary.contains(is_unsafe), "{:?}", step.summary);
        assert!(!step.lines.iter().any(|line| matches!(line, Line::Command(_))), "a command: {}", step.log);
        let is_github = self.environment.get("GITHUB_ACTIONS").is_some_and(|value| value == "true");
        let asked = ["--help", "-h", "--version", "-V", "policy"];
        let asked = step.code == 0 && self.arguments.iter().any(|it| asked.iter().any(|asked| it == asked));
        if step.code == 0 && !asked && !is_github {
            assert_eq!(step.output_file, "", "GitLab has no outputs");
        } else if step.code == 0 && !asked {
            let checked = step.outputs.get("policy-matches").is_some_and(|value| value == "true");
            let key = step.outputs.get("NUGET_API_KEY").is_some_and(|key| !key.is_empty());
            assert!(checked != key, "{}", step.output_file);
            assert!(step.errors().is_empty(), "{}", step.log);
            let was_repeated = step.text().iter().any(|line| line.ends_with(" attempts."));
            let is_worth_a_summary = was_repeated || !step.warnings().is_empty();
            assert_eq!(!step.summary.is_empty(), is_worth_a_summary, "{}\n{}", step.log, step.summary);
        } else {
            assert_eq!(step.output_file, before, "a failed step writes nothing");
            let expected = if is_github && !asked { 1 } else { 0 };
            assert!(step.errors().len() == expected || elsewhere, "{}", step.log);
            if !asked && !elsewhere {
                step.assert_report_has_its_shape(is_github);
            } else if asked {
                assert_eq!(step.summary, "");
            }
        }
        if !is_github {
            assert!(step.lines.iter().all(|line| matches!(line, Line::Text(_))), "a command: {}", step.log);
            assert_eq!(step.summary, "");
        }
        self.assert_no_secret_shown(&step, &before);
        step
    }

    /// Secrets are only in mask lines, and the API key also in the output file: in no encoding that reveals them elsewhere.
    fn assert_no_secret_shown(&self, step: &Step, before: &str) {
        let added = step.output_file.strip_prefix(before).unwrap();
        let secrets = secrets(self.sandbox).into_iter().chain(self.secrets.iter().cloned()).collect::<Vec<_>>();
        for secret in &secrets {
            let delivered = step.outputs.get("NUGET_API_KEY") == Some(secret);
            let others = if delivered { added.replacen(secret, "", 1) } else { added.to_owned() };
            assert_hidden(secret, &step.lines, &[&others]);
        }
        let files = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap().path());
        let exported = self.environment.get("GITHUB_ENV").map(PathBuf::from);
        for file in files.filter(|file| file.is_file() && *file != self.output() && Some(file) != exported.as_ref()) {
            let text = fs::read_to_string(&file).unwrap();
            secrets.iter().for_each(|secret| assert_hidden(secret, &[], &[&text]));
        }
    }
}

/// Every credential that a sandbox made: random values, which are nowhere by chance.
pub(crate) fn secrets(sandbox: &Sandbox) -> Vec<String> {
    let made = [sandbox.id_tokens(), sandbox.api_keys(), vec![sandbox.request_token().to_owned()]];
    made.into_iter().flatten().collect()
}

/// The beginning of the note about so many attempts, in a report.
pub(crate) fn stopped_after(attempts: usize) -> String {
    format!("\nnote: stopped after {attempts} attempt{}: ", if attempts == 1 { "" } else { "s" })
}

/// The end of that note, if the next attempt would be after the deadline of so many seconds.
pub(crate) fn out_of_time(timeout: u64) -> String {
    format!(", too late for the time limit (timeout-seconds: {timeout})\n")
}

/// Looks for a secret in a log, mask lines aside, and in other texts: as it is, its signature alone, and in base64 and
/// percent encoding.
#[track_caller]
pub(crate) fn assert_hidden(secret: &str, log: &[Line], texts: &[&str]) {
    let log = log.iter().filter(|line| !matches!(line, Line::Mask(_))).map(|line| format!("{line:?}"));
    let shown = log.chain(texts.iter().map(|text| (*text).to_owned())).collect::<Vec<_>>();
    for form in forms(secret) {
        let found = shown.iter().find(|text| text.contains(&form));
        assert_eq!(found, None, "a secret is shown, as {form}");
    }
}

fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned(), url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()];
    forms.extend(secret.rsplit_once('.').map(|(_, signature)| signature.to_owned()));
    // The text before it decides how it is cut into groups of three; the groups at both ends have something else in them.
    for before in 0..3 {
        let encoded = STANDARD_NO_PAD.encode("x".repeat(before) + secret);
        let inner = &encoded[if before == 0 { 0 } else { 4 }..encoded.len() / 4 * 4 - 4];
        forms.extend([inner.to_owned(), inner.replace('+', "-").replace('/', "_")]);
    }
    forms.retain(|form| form.len() >= 8);
    forms
}

#[test]
fn a_secret_is_found_in_every_form() {
    let secret = "oy2abc+/def.ghi?jkl~mnop";
    for before in ["", "a", "ab"] {
        let text = format!("{before}{secret}");
        for shown in [text.clone(), STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(text + "behind it")] {
            assert!(forms(secret).iter().any(|form| shown.contains(form)), "{shown}");
        }
    }
    assert!(forms(secret).contains(&"oy2abc%2B%2Fdef.ghi%3Fjkl%7Emnop".to_owned()));
}

impl Step {
    /// The texts of the error annotations.
    pub(crate) fn errors(&self) -> Vec<&str> {
        self.annotations("error")
    }

    /// The texts of the warning annotations.
    pub(crate) fn warnings(&self) -> Vec<&str> {
        self.annotations("warning")
    }

    fn annotations(&self, wanted: &str) -> Vec<&str> {
        self.pick(|line| match line {
            Line::Annotation { level, message, .. } if level == wanted => Some(message),
            _ => None,
        })
    }

    /// The masked values, in order.
    pub(crate) fn masks(&self) -> Vec<&str> {
        self.pick(|line| if let Line::Mask(value) = line { Some(value) } else { None })
    }

    /// The plain lines that are not empty.
    pub(crate) fn text(&self) -> Vec<&str> {
        self.pick(|line| match line {
            Line::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        })
    }

    fn pick(&self, part: impl Fn(&Line) -> Option<&String>) -> Vec<&str> {
        self.lines.iter().filter_map(part).map(String::as_str).collect()
    }

    /// The report of the failure, if the step failed with this exit code: the fact, then lines that begin with `fix: `,
    /// `policy: `, `note: ` or `docs: `. On GitHub the fact and the fixes come from the annotation, the rest from the plain
    /// lines after it; in other logs all lines are plain, and their indent is removed here.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> String {
        assert_eq!(self.code, code, "{}", self.log);
        self.report()
    }

    /// As [`Step::failed`], whatever the exit code.
    #[track_caller]
    pub(crate) fn report(&self) -> String {
        let starts = |line: &Line| match line {
            Line::Annotation { level, .. } => level == "error",
            Line::Text(text) => text.starts_with("error: "),
            _ => false,
        };
        let at = self.lines.iter().position(starts).unwrap_or_else(|| panic!("no error: {}", self.log));
        let is_plain = matches!(self.lines[at], Line::Text(_));
        let lines = self.lines[at..].iter().filter_map(|line| match line {
            Line::Annotation { message, .. } => Some(message.as_str()),
            Line::Text(text) if text.is_empty() => None,
            Line::Text(text) if is_plain => Some(text.strip_prefix("  ").unwrap_or(text)),
            Line::Text(text) => Some(text),
            _ => None,
        });
        let report = lines.collect::<Vec<_>>().join("\n");
        if is_plain { report["error: ".len()..].to_owned() } else { report }
    }

    /// One fact, then fixes, then evidence, then a link; in the summary as well.
    #[track_caller]
    fn assert_report_has_its_shape(&self, is_github: bool) {
        let report = self.report();
        if report.contains(" is closed or discarded, so no secret could be masked\nfix: ") {
            // Nothing else can be known then.
            return;
        }
        let mut lines = report.lines();
        let fact = lines.next().unwrap_or_default();
        assert!(!fact.is_empty() && !fact.starts_with("fix: "), "a fact: {report}");
        // Continued lines aside.
        let labels = Vec::from_iter(lines.filter(|line| !line.starts_with(' ')).map(|line| {
            let label = line.split(": ").next().unwrap();
            let order = ["fix", "policy", "note", "docs"].iter().position(|it| *it == label);
            order.unwrap_or_else(|| panic!("no label: {line}\n{report}"))
        }));
        assert!(labels.is_sorted() && labels[0] == 0, "fixes, a policy, notes, a link: {report}");
        assert_eq!(labels.iter().filter(|label| **label == 1).count().max(1), 1, "one policy: {report}");
        assert_eq!(labels.iter().filter(|label| **label == 3).count(), 1, "one link: {report}");
        assert!(!report.lines().any(|line| line.strip_prefix("note: ") == Some(fact)), "twice: {report}");
        assert!(self.lines.iter().all(|line| !matches!(line, Line::Group(_))), "folded away: {}", self.log);
        if is_github {
            let annotated = self.errors()[0];
            let evidence = ["\npolicy: ", "\nnote: ", "\ndocs: "];
            assert!(!evidence.iter().any(|it| annotated.contains(it)), "{annotated}");
            assert!(!self.text().iter().any(|line| line.starts_with("fix: ")), "{}", self.log);
        }
    }

    /// The API key, if the step succeeded.
    #[track_caller]
    pub(crate) fn api_key(&self) -> &str {
        assert_eq!(self.code, 0, "{}", self.log);
        &self.outputs["NUGET_API_KEY"]
    }
}

/// Whether [`Job::in_namespace`] works here; prints it where it does not.
#[cfg(target_os = "linux")]
pub(crate) fn has_namespaces() -> bool {
    let unshare = ["--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"];
    let works = Command::new("unshare").args(unshare).status().is_ok_and(|status| status.success());
    if !works {
        eprintln!("skipped: no mount namespaces here");
    }
    works
}

/// A file that standard output can be appended to.
pub(crate) fn appended(path: &std::path::Path) -> fs::File {
    OpenOptions::new().append(true).create(true).open(path).unwrap()
}

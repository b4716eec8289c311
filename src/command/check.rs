//! `nuget-login check`: mistakes in workflow files, found before they are run. Nothing is sent anywhere.

use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::CheckFormat;
use crate::command::workflow_files::{Refused, RefusedError, WorkflowFiles};
use crate::command::{counted, fix_lines};
use crate::environment::{Ci, Environment};
use crate::error::Error;
use crate::explain::trust_policy::{Field, TrustPolicy};
use crate::github_actions::log::{Annotation, Log};
use crate::repository;
use crate::sanitize::{neutralize, sanitize_line, sanitize_text};
use crate::trusted_publishing::obstacle::FORBIDDEN_EVENT;
use workflow::findings::{Code, Finding, Fix, Severity, findings};
use workflow::login::{Project, ProjectJob};

/// The most characters of a source line that are shown.
const LONGEST_LINE: usize = 160;

/// A finding as it is shown.
struct Shown {
    code: Code,
    file: String,
    line: usize,
    column: usize,
    message: String,
    fixes: Vec<Fix>,
    source: Source,
}

/// A line of a file, and a place in it. In characters.
struct Source {
    line: String,
    start: usize,
    length: usize,
}

/// Checks the files that are named, or all workflows of the repository, and prints the findings to `answers`. Returns the
/// exit code: 1 if there are errors.
pub(crate) fn run(
    paths: &[PathBuf],
    notes: bool,
    format: Option<CheckFormat>,
    environment: &Environment<'_>,
    log: &Log<'_>,
    answers: &mut dyn Write,
) -> Result<u8, Error> {
    let default = if environment.ci() == Ci::GitHubActions { CheckFormat::Github } else { CheckFormat::Human };
    let format = format.unwrap_or(default);
    let root = repository::folder();
    let files = match (root, paths) {
        (Ok(root), []) => WorkflowFiles::of_repository(&root)?,
        (Err(error), []) => return Err(Error::NothingToCheck(error.fact())),
        (root, paths) => WorkflowFiles::named(paths, &root.unwrap_or_else(|_| root_of(&paths[0])))?,
    };
    let exit_code = checked(&files, notes, format, log, answers);
    // The process ends here: nothing has to be freed value by value.
    std::mem::forget(files);
    exit_code
}

/// Prints the findings in these files.
fn checked(
    files: &WorkflowFiles,
    notes: bool,
    format: CheckFormat,
    log: &Log<'_>,
    answers: &mut dyn Write,
) -> Result<u8, Error> {
    let project = Project::new(&files.files);
    let findings = findings(&project);
    let shown = Shown::all(&files.refused, findings, notes);
    let errors = shown.iter().filter(|it| it.code.severity() == Severity::Error).count();
    let mut tail = Vec::new();
    if format != CheckFormat::Json {
        tail = policies(&project);
        tail.extend(stored_keys(&project));
        tail.push(summary(&shown, errors, &project, files));
    }
    print(&shown, &tail, format, log, answers).map_err(Error::NotPrinted)?;
    Ok(u8::from(errors > 0))
}

/// A text as a workflow and as the action that it can use.
#[cfg(fuzzing)]
pub(crate) fn texts(text: &str, format: CheckFormat, log: &Log<'_>, answers: &mut dyn Write) -> Result<u8, Error> {
    let mut files = WorkflowFiles::default();
    for path in [".github/workflows/x.yml", ".github/actions/x/action.yml"] {
        files.add(path.to_owned(), Ok(text.as_bytes().to_vec()));
    }
    checked(&files, true, format, log, answers)
}

fn print(
    shown: &[Shown],
    tail: &[String],
    format: CheckFormat,
    log: &Log<'_>,
    answers: &mut dyn Write,
) -> io::Result<()> {
    let mut lines = Vec::new();
    for it in shown {
        match format {
            CheckFormat::Human => lines.extend(it.human()),
            CheckFormat::Json => lines.push(it.json()),
            CheckFormat::Github => it.annotate(log, answers)?,
        }
    }
    lines.extend_from_slice(tail);
    log.answer(&lines, answers)
}

/// The root of the paths of local actions outside of a git repository: the folder with `.github`.
fn root_of(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let github = absolute.ancestors().find(|it| it.file_name().is_some_and(|name| name == ".github"));
    github.or(Some(&absolute)).and_then(Path::parent).map_or_else(|| PathBuf::from("."), Path::to_owned)
}

impl Shown {
    /// All findings in the order of files and lines, each once.
    fn all(refused: &[Refused], findings: Vec<Finding<'_, '_>>, notes: bool) -> Vec<Shown> {
        let wanted = |it: &Finding<'_, '_>| notes || it.code.severity() == Severity::Error;
        let mut findings: Vec<_> = findings.into_iter().filter(wanted).map(Some).collect();
        // By a heap, whose code is small.
        let mut keys = BinaryHeap::new();
        for (nth, it) in refused.iter().enumerate() {
            keys.push((it.path.as_str(), 0, Code::NotYaml, 0, nth));
        }
        for (nth, it) in findings.iter().flatten().enumerate() {
            let (line, column) = it.place.file.document.line_and_column(it.place.at.start);
            keys.push((it.place.file.path.as_str(), line, it.code, column, refused.len() + nth));
        }
        let mut order = keys.into_sorted_vec();
        order.dedup_by(|b, a| (a.0, a.1, a.2) == (b.0, b.1, b.2));
        let shown = |nth: usize| match refused.get(nth) {
            Some(it) => Some(Shown::of_refused(it)),
            None => findings[nth - refused.len()].take().map(Shown::of),
        };
        order.into_iter().map(|key| key.4).filter_map(shown).collect()
    }

    fn of(finding: Finding<'_, '_>) -> Shown {
        let Finding { code, place, message, fixes, .. } = finding;
        let document = &place.file.document;
        let (line, column) = document.line_and_column(place.at.start);
        let length = place.text().split(['\r', '\n']).next().unwrap_or_default().trim_end().chars().count();
        let source = Source { line: document.line(line).to_owned(), start: column - 1, length };
        let fix = |fix: Fix| Fix { text: sanitize_line(&fix.text), ..fix };
        let (file, message) = (sanitize_line(&place.file.path), sanitize_text(&message));
        Shown { code, file, line, column, message, fixes: fixes.into_iter().map(fix).collect(), source }
    }

    fn of_refused(refused: &Refused) -> Shown {
        let (code, line, column, fix) = match &refused.error {
            RefusedError::Yaml(error) => {
                (Code::NotYaml, error.line, error.column, "correct the YAML: GitHub cannot run this file")
            }
            RefusedError::Unreadable(_) => {
                (Code::UnreadableFile, 1, 1, "replace the file: GitHub cannot read it either")
            }
        };
        let message = refused.message();
        let source = Source { line: refused.line.clone(), start: column - 1, length: 1 };
        let fixes = vec![Fix { text: fix.to_owned(), yaml: None }];
        Shown { code, file: sanitize_line(&refused.path), line, column, message, fixes, source }
    }

    fn level(&self) -> &'static str {
        match self.code.severity() {
            Severity::Error => "error",
            Severity::Note => "note",
        }
    }

    fn docs(&self) -> String {
        let (repository, version) = (env!("CARGO_PKG_REPOSITORY"), env!("CARGO_PKG_VERSION"));
        format!("{repository}/blob/v{version}/docs/check.md#{}", self.code.as_str())
    }

    /// The fixes as plain text, with the YAML below each.
    fn fix_lines(&self, first: &str, indent: &str) -> Vec<String> {
        self.fixes.iter().flat_map(|fix| fix_lines(first, &fix.text, fix.yaml.as_deref(), indent)).collect()
    }

    fn human(&self) -> Vec<String> {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let mut lines = vec![
            format!("{}[{}]: {}", self.level(), self.code.as_str(), self.message),
            format!("{margin}--> {}:{}:{}", self.file, self.line, self.column),
        ];
        if let Some((line, marks)) = self.source.marked() {
            lines.push(format!("{margin} |"));
            lines.push(format!("{number} | {line}"));
            lines.push(format!("{margin} | {marks}"));
        }
        lines.extend(self.fix_lines("  fix: ", "         "));
        lines.extend([format!("  docs: {}", self.docs()), String::new()]);
        lines
    }

    /// One object, in one line.
    fn json(&self) -> String {
        let fix = self.fix_lines("", "  ").join("\n");
        let text = |text: &str| serde_json::Value::from(text).to_string();
        format!(
            r#"{{"file":{},"line":{},"column":{},"code":{},"level":{},"message":{},"fix":{}}}"#,
            text(&self.file),
            self.line,
            self.column,
            text(self.code.as_str()),
            text(self.level()),
            text(&self.message),
            text(&fix),
        )
    }

    fn annotate(&self, log: &Log<'_>, answers: &mut dyn Write) -> io::Result<()> {
        let mut text = vec![self.message.clone()];
        text.extend(self.fix_lines("fix: ", "  "));
        text.push(format!("docs: {}", self.docs()));
        let annotation = Annotation {
            level: if self.code.severity() == Severity::Error { "error" } else { "notice" },
            file: &self.file,
            line: self.line,
            column: self.column,
            title: self.code.as_str(),
            text: &text.join("\n"),
        };
        log.answer_annotation(&annotation, answers)
    }
}

impl Source {
    /// The line, safe to show, and the marks below it. A part of a long line.
    fn marked(&self) -> Option<(String, String)> {
        if self.line.trim().is_empty() {
            return None;
        }
        let from =
            if self.start > LONGEST_LINE / 2 && self.line.chars().count() > LONGEST_LINE { self.start - 20 } else { 0 };
        // A tab would move the marks.
        let shown = |part: String| neutralize(&part.replace('\t', " "));
        let line: String = self.line.chars().skip(from).take(LONGEST_LINE).collect();
        let cut = if from > 0 { "…" } else { "" };
        let end = if self.line.chars().count() > from + LONGEST_LINE { "…" } else { "" };
        let marked = format!("{cut}{}{end}", shown(line.clone()));
        // Characters that were inserted before the marks move them.
        let before = format!("{cut}{}", shown(line.chars().take(self.start - from).collect())).chars().count();
        let length = self.length.clamp(1, LONGEST_LINE.saturating_sub(self.start - from).max(1));
        Some((marked, format!("{}{}", " ".repeat(before), "^".repeat(length))))
    }
}

/// The policy that each job with a login needs.
fn policies(project: &Project<'_>) -> Vec<String> {
    let mut jobs = project.login_jobs();
    jobs.retain(|job| job.logins().iter().any(|login| login.is_nuget_org));
    // git is asked only if there is a policy to show.
    let (owner, name) = if jobs.is_empty() { None } else { repository::on_github() }.unzip();
    jobs.iter().flat_map(|job| policy(job, owner.as_deref(), name.as_deref())).collect()
}

fn policy(login_job: &ProjectJob<'_, '_>, owner: Option<&str>, name: Option<&str>) -> Vec<String> {
    let file = sanitize_line(login_job.workflow.file.name());
    // The job can move to another workflow file, which changes the policy. No other finding does.
    let is_forbidden = matches!(login_job.started_by(FORBIDDEN_EVENT), (workflows, false) if !workflows.is_empty());
    let first = if is_forbidden { format!(" (fix {} first)", Code::ForbiddenEvent.as_str()) } else { String::new() };
    let heading = format!("Trust policy for job `{}` in {file}{first}:", sanitize_line(login_job.job.id));
    let policy = TrustPolicy::GitHub {
        repository_owner: Field::of_job(owner.map(str::to_owned)),
        repository: Field::of_job(name.map(str::to_owned)),
        workflow_file: Field::value(file),
        environment: Field::of_environment(login_job.job.environment().map(sanitize_line)),
    };
    [heading].into_iter().chain(policy.lines(None)).chain([String::new()]).collect()
}

/// How many pushes still use a stored key; nothing where none does.
fn stored_keys(project: &Project<'_>) -> Option<String> {
    let pushes = match workflow::migrate::stored_keys(project) {
        0 => return None,
        1 => "1 push to nuget.org uses a stored key".to_owned(),
        number => format!("{number} pushes to nuget.org use a stored key"),
    };
    Some(format!("{pushes}: run `nuget-login migrate` to replace it by a login"))
}

fn summary(shown: &[Shown], errors: usize, project: &Project<'_>, files: &WorkflowFiles) -> String {
    let notes = match shown.len() - errors {
        0 => String::new(),
        notes => format!(", {}", counted(notes, "note")),
    };
    if files.checked == 0 && files.refused.is_empty() {
        return "no workflow file was found in .github/workflows; `check` reads GitHub workflows only".to_owned();
    }
    let not_readable = match files.refused.len() {
        0 => String::new(),
        refused => format!(", {refused} not readable"),
    };
    let logins = match project.login_jobs().len() {
        0 => "no job logs in".to_owned(),
        1 => "1 job logs in".to_owned(),
        jobs => format!("{jobs} jobs log in"),
    };
    format!("{} checked{not_readable}, {logins}: {}{notes}", counted(files.checked, "file"), counted(errors, "error"))
}

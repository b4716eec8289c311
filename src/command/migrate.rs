//! `nuget-login migrate`: from a stored key to a login, in workflow files. Nothing is sent anywhere.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::cli::{MigrateFormat, MigrateOptions};
use crate::command::workflow_files::{Refused, RefusedError, WorkflowFiles};
use crate::command::{counted, fix_lines};
use crate::error::Error;
use crate::explain::trust_policy::{Field, TRUSTED_PUBLISHING, TrustPolicy};
use crate::github_actions::log::Log;
use crate::repository;
use crate::sanitize::{neutralize, sanitize_line, sanitize_text};
use crate::text::text;
use workflow::diff::unified;
use workflow::login::Project;
use workflow::migrate::{FilePlan, JobPlan, Options, Permissions, Plan, Policy, plan, replace};
use workflow::model::File;

/// Longest file besides workflows that is read for a hint, in bytes.
const LONGEST_HINT: u64 = 1024 * 1024;

/// The variable with the name of the user.
const USER: &str = "${{ vars.NUGET_USER }}";

/// Migrates the files that are named, or all workflows of the repository, and prints what is to be done to `answers`.
/// Returns the exit code: 1 if something is left to do.
pub(crate) fn run(options: &MigrateOptions, log: &Log<'_>, answers: &mut dyn Write) -> Result<u8, Error> {
    let root = repository::folder().map_err(|error| Error::NothingToMigrate(error.fact()))?;
    let mut files = WorkflowFiles::of_repository(&root)?;
    let named = match &options.files[..] {
        [] => None,
        paths => Some(WorkflowFiles::named(paths, &root)?),
    };
    let asked: Option<Vec<String>> = named.map(|named| {
        let asked =
            named.files.iter().map(|file| file.path.clone()).chain(named.refused.iter().map(|it| it.path.clone()));
        let asked = asked.collect();
        files.join(named);
        asked
    });
    let is_asked = |path: &str| asked.as_ref().is_none_or(|asked| asked.iter().any(|it| it == path));
    files.refused.retain(|refused| is_asked(&refused.path));
    let own = format!("{}@v{}", repository_name(), env!("CARGO_PKG_VERSION"));
    let uses = options.uses.clone().unwrap_or(own);
    let read = |path: &str| read_hint(&root, path);
    let settings = Options {
        user: options.user.as_deref().unwrap_or(USER),
        uses: &uses,
        environment: options.environment.as_deref(),
        assume_nuget_org: options.assume_nuget_org,
        read: &read,
    };
    let project = Project::new(&files.files);
    let is_asked_file = |file: &File| is_asked(&file.path);
    let plan = match options.replace {
        true => Plan { files: replace(&project, &is_asked_file, &uses), ..Plan::default() },
        false => plan(&project, &is_asked_file, &settings),
    };
    let mut report = Report { plan: &plan, files: &files, options, others: Vec::new(), written: 0 };
    if !options.replace && asked.is_none() {
        report.others = other_systems(&root, &settings);
    }
    if options.write {
        for file in &plan.files {
            if let Some(text) = &file.edited {
                write(&root, &file.file.path, text)?;
                report.written += 1;
            }
        }
    }
    let lines = match options.format {
        Some(MigrateFormat::Json) => vec![report.json()],
        _ => report.human(),
    };
    log.answer(&lines, answers).map_err(Error::NotPrinted)?;
    Ok(u8::from(report.is_open()))
}

/// What a text becomes as a workflow: unchanged, or edited. With every target taken for nuget.org too.
#[cfg(fuzzing)]
pub(crate) fn texts(text: &str) -> Vec<String> {
    let mut files = WorkflowFiles::default();
    files.add(".github/workflows/x.yml".to_owned(), Ok(text.as_bytes().to_vec()));
    let project = Project::new(&files.files);
    let mut texts = Vec::new();
    for assume_nuget_org in [false, true] {
        let uses = "org/nuget-login@v1";
        let options = Options { user: USER, uses, environment: Some("release"), assume_nuget_org, read: &|_| None };
        let plan = plan(&project, &|_| true, &options);
        let replaced = replace(&project, &|_| true, uses);
        for file in plan.files.into_iter().chain(replaced) {
            let diff = unified(&file.file.path, &file.file.document.text, &file.edits);
            assert!(file.edited.is_none() || !diff.is_empty(), "an edit without a difference");
            texts.extend(file.edited);
        }
    }
    texts
}

/// `owner/name` of this project.
fn repository_name() -> &'static str {
    env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/")
}

/// A file of the repository that can name the target of a push.
fn read_hint(root: &Path, path: &str) -> Option<String> {
    let path = root.join(path);
    // A link can leave the repository, or lead to what never ends.
    if !fs::symlink_metadata(&path).is_ok_and(|it| it.is_file()) {
        return None;
    }
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(LONGEST_HINT).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Replaces a file by a complete one: by a new file beside it, which is renamed.
fn write(root: &Path, path: &str, text: &str) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::NotWritten { file: path.to_owned(), cause: error };
    let target = root.join(path);
    let permissions = fs::metadata(&target).map_err(failed)?.permissions();
    let name = format!(".{}.nuget-login", target.file_name().unwrap_or_default().to_string_lossy());
    let beside: PathBuf = target.with_file_name(name);
    let written = fs::File::create_new(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.set_permissions(permissions)?;
        file.sync_all()?;
        fs::rename(&beside, &target)
    });
    written.map_err(|error| {
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(&beside);
        }
        failed(error)
    })
}

/// The files of other systems that push, and what to do with them.
fn other_systems(root: &Path, settings: &Options<'_>) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let pushes = |text: &str| {
        let text = text.to_lowercase();
        text.contains("nuget push") || text.contains("nuget.exe push") || text.contains("nugetcommand@")
    };
    let mut found = Vec::new();
    if read_hint(root, ".gitlab-ci.yml").is_some_and(|text| pushes(&text)) {
        let user = settings.user.replace(USER, "$NUGET_USER");
        let lines = [
            "publish:",
            "  id_tokens:",
            "    NUGET_ID_TOKEN:",
            "      aud: https://www.nuget.org",
            "  script:",
            "    - dotnet pack -o packages",
            &format!(
                "    - nuget-login exec --user \"{user}\" -- dotnet nuget push \"packages/*.nupkg\" --source \
                 https://api.nuget.org/v3/index.json"
            ),
        ];
        found.push((".gitlab-ci.yml", "gitlab-ci", lines.map(str::to_owned).to_vec()));
    }
    for name in ["azure-pipelines.yml", "azure-pipelines.yaml"] {
        if read_hint(root, name).is_some_and(|text| pushes(&text)) {
            found.push((name, "azure-devops", Vec::new()));
        }
    }
    found
}

struct Report<'r, 'a> {
    plan: &'r Plan<'a>,
    files: &'r WorkflowFiles,
    options: &'r MigrateOptions,
    others: Vec<(&'static str, &'static str, Vec<String>)>,
    written: usize,
}

impl Report<'_, '_> {
    /// Whether something is left to do.
    fn is_open(&self) -> bool {
        let to_write = !self.options.write && self.plan.files.iter().any(|file| file.edited.is_some());
        let by_hand = self.plan.files.iter().flat_map(|file| &file.jobs).any(|job| !job.by_hand.is_empty());
        let is_refused = self.plan.files.iter().flat_map(|file| &file.notes).any(|note| note.code == "refused");
        to_write || by_hand || is_refused || !self.files.refused.is_empty() || !self.others.is_empty()
    }

    fn json(&self) -> String {
        let mut files: Vec<Value> = self.plan.files.iter().map(file_json).collect();
        for refused in &self.files.refused {
            let (line, code) = refusal(refused);
            let note = json!([{"line": line, "code": code, "message": refused.message()}]);
            files.push(json!({"file": sanitize_line(&refused.path), "jobs": [], "by_hand": note, "notes": note}));
        }
        for (file, code, _) in &self.others {
            let note = json!([{"line": 1, "code": code, "message": other_message(code)}]);
            files.push(json!({"file": file, "jobs": [], "notes": note}));
        }
        let (owner, name) = self.repository();
        let policy = |policy: &Policy| {
            json!({
                "repository_owner": owner,
                "repository": name,
                "workflow_file": policy.file,
                "environment": policy.environment,
            })
        };
        let policies: Vec<Value> = self.plan.policies.iter().map(policy).collect();
        json!({"files": files, "secrets_to_delete": self.plan.secrets_to_delete, "policies": policies}).to_string()
    }

    fn human(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for file in &self.plan.files {
            let diff = unified(&file.file.path, &file.file.document.text, &file.edits);
            lines.extend(diff.iter().map(|line| shown(line)));
            if !diff.is_empty() {
                lines.push(String::new());
            }
        }
        self.by_hand(&mut lines);
        for file in &self.plan.files {
            for note in &file.notes {
                let path = sanitize_line(&file.file.path);
                lines.push(format!("note[{}]: {path}:{}: {}", note.code, note.line, sanitize_text(&note.message)));
            }
        }
        if lines.last().is_some_and(|line| line.starts_with("note")) {
            lines.push(String::new());
        }
        self.steps(&mut lines);
        lines.push(self.summary());
        lines
    }

    fn by_hand(&self, lines: &mut Vec<String>) {
        for file in &self.plan.files {
            let path = sanitize_line(&file.file.path);
            for job in &file.jobs {
                for it in &job.by_hand {
                    lines.push(format!("by hand[{}]: {}", it.code, sanitize_text(&it.message)));
                    lines.push(format!("  --> {path}:{} (job `{}`)", it.line, sanitize_line(&job.job)));
                    lines.extend(fix_lines("  fix: ", &sanitize_text(&it.fix), it.yaml.as_deref(), "         "));
                    lines.push(String::new());
                }
            }
        }
        for refused in &self.files.refused {
            let (line, code) = refusal(refused);
            lines.push(format!("by hand[{code}]: {}", refused.message()));
            lines.push(format!("  --> {}:{line}", sanitize_line(&refused.path)));
            lines.push("  fix: correct the file, and run `nuget-login migrate` again".to_owned());
            lines.push(String::new());
        }
        for (file, code, yaml) in &self.others {
            lines.push(format!("by hand[{code}]: {}", other_message(code)));
            lines.push(format!("  --> {file}:1"));
            lines.extend(yaml.iter().map(|line| format!("         {line}")));
            lines.push(String::new());
        }
    }

    /// The owner and the name of the repository for the policies, empty where they are not known.
    fn repository(&self) -> (String, String) {
        // git is asked only if there is a policy to show.
        if self.plan.policies.is_empty() { None } else { repository::on_github() }.unwrap_or_default()
    }

    /// What to do on nuget.org and on GitHub.
    fn steps(&self, lines: &mut Vec<String>) {
        let (owner, name) = self.repository();
        let field = |value: &str, hint| if value.is_empty() { Field::hint(hint) } else { Field::value(value) };
        for policy in &self.plan.policies {
            lines.push(format!("Trust policy for {}:", sanitize_line(&policy.file)));
            let policy = TrustPolicy::GitHub {
                repository_owner: field(&owner, text!("the owner of the repository on GitHub")),
                repository: field(&name, text!("the name of the repository on GitHub")),
                workflow_file: Field::value(sanitize_line(&policy.file)),
                environment: Field::of_environment(policy.environment.as_deref().map(sanitize_line)),
            };
            lines.extend(policy.lines(None));
            lines.push(String::new());
        }
        if !self.plan.policies.is_empty() {
            lines.push(format!("Create it at {TRUSTED_PUBLISHING}, before the next release."));
            lines.push(
                "For an organization, create it from a shared account: it becomes inactive when its creator leaves."
                    .to_owned(),
            );
            lines.push(String::new());
            if self.options.user.is_none() {
                lines.push(
                    "Set the variable NUGET_USER to the nuget.org profile name of the account that creates the policy:"
                        .to_owned(),
                );
                lines.push("    gh variable set NUGET_USER --body NAME".to_owned());
                lines.push(String::new());
            }
        }
        // These commands are for a shell: a name from a file must not be able to act there. No secret has another name.
        let mut secrets = self.plan.secrets_to_delete.iter().filter(|name| is_plain(name, "_")).peekable();
        if secrets.peek().is_some() {
            lines.push("After the first release, delete the secrets, and the old keys on nuget.org:".to_owned());
            lines.extend(secrets.map(|name| format!("    gh secret delete {name}")));
            // Without `--env`, a secret of the repository is deleted.
            for name in self.plan.environments.iter().filter(|name| is_plain(name, "_-./ ")) {
                lines.push(format!("For a secret of the environment `{name}`:"));
                lines.push(format!("    gh secret delete NAME --env '{name}'"));
            }
            lines.push(String::new());
        }
    }

    fn summary(&self) -> String {
        let edited = self.plan.files.iter().filter(|file| file.edited.is_some()).count();
        let by_hand = self.plan.files.iter().flat_map(|file| &file.jobs).map(|job| job.by_hand.len()).sum::<usize>()
            + self.files.refused.len()
            + self.others.len();
        let left = if by_hand > 0 { format!(", {by_hand} to do by hand") } else { String::new() };
        match (edited, self.options.write) {
            (0, _) if by_hand == 0 => "nothing to migrate".to_owned(),
            (_, true) => format!("{} written{left}", counted(self.written, "file")),
            (0, false) => format!("no file to write{left}"),
            (_, false) => format!("{} to write: run the same command with `--write`{left}", counted(edited, "file")),
        }
    }
}

fn other_message(code: &str) -> &'static str {
    match code {
        "gitlab-ci" => "GitLab CI is not edited: paste this job, and remove the stored key",
        _ => "nuget.org has no trust policy for Azure DevOps yet: the pipeline keeps its stored key",
    }
}

/// The line and the code of a file that is not read.
fn refusal(refused: &Refused) -> (usize, &'static str) {
    match &refused.error {
        RefusedError::Yaml(error) => (error.line, "not-yaml"),
        RefusedError::Unreadable(_) => (1, "unreadable-file"),
    }
}

/// A line of a diff, unable to act. Tabs stay.
fn shown(line: &str) -> String {
    line.split('\t').map(neutralize).collect::<Vec<_>>().join("\t")
}

fn file_json(file: &FilePlan<'_>) -> Value {
    let job = |job: &JobPlan| {
        let by_hand = |it: &workflow::migrate::ByHand| json!({"line": it.line, "code": it.code, "message": sanitize_text(&it.message), "fix": sanitize_text(&it.fix)});
        let permissions = match &job.permissions {
            None => Value::Null,
            Some(Permissions::All(all)) => json!(all),
            Some(Permissions::Block(block)) => {
                Value::Object(block.iter().map(|(name, level)| (name.clone(), json!(level))).collect::<Map<_, _>>())
            }
        };
        json!({
            "job": job.job,
            "edited": job.edited,
            "expressions": job.expressions,
            "secrets": job.secrets,
            "permissions": permissions,
            "by_hand": job.by_hand.iter().map(by_hand).collect::<Vec<_>>(),
        })
    };
    let note =
        |it: &workflow::migrate::Note| json!({"line": it.line, "code": it.code, "message": sanitize_text(&it.message)});
    json!({
        "file": file.file.path,
        "jobs": file.jobs.iter().map(job).collect::<Vec<_>>(),
        "notes": file.notes.iter().map(note).collect::<Vec<_>>(),
    })
}

/// Whether a name has only letters and digits of ASCII, and these other characters.
fn is_plain(name: &str, others: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

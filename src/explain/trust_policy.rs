//! The trust policy that a job needs, with the fields of nuget.org's form.

use crate::text::{Text, Words, capitalized, cell, text};
use crate::trusted_publishing::claims::Claims;

/// Shown for what is not known.
pub(crate) const UNKNOWN: &str = "?";

/// nuget.org's page for policies.
pub(crate) const TRUSTED_PUBLISHING: &str = "https://www.nuget.org/account/trustedpublishing";

// Labels of the form (NuGet gallery, `TrustedPublishing.cshtml`, August 2026).
const REPOSITORY_OWNER: &str = "Repository Owner";
const REPOSITORY: &str = "Repository";
pub(crate) const WORKFLOW_FILE: &str = "Workflow File";
const NAMESPACE_PATH: &str = "Namespace Path";
const PROJECT_PATH: &str = "Project Path";
pub(crate) const REF: &str = "Ref";
pub(crate) const ENVIRONMENT: &str = "Environment";

/// A policy.
pub(crate) enum TrustPolicy {
    GitHub { repository_owner: Field, repository: Field, workflow_file: Field, environment: Field },
    GitLab { namespace_path: Field, project_path: Field, r#ref: Field, environment: Field },
}

/// The content of a field: the job's value, and a hint for the user.
#[derive(Clone)]
pub(crate) struct Field {
    job: Option<String>,
    hint: Text,
}

impl Field {
    pub(crate) fn hint(hint: Text) -> Field {
        Field { job: None, hint }
    }

    pub(crate) fn value(job: impl Into<String>) -> Field {
        Field { job: Some(job.into()), hint: Text::default() }
    }

    /// The job's value, if it is known.
    pub(crate) fn of_job(job: Option<String>) -> Field {
        job.map_or(Field::hint(text!("{}", Words(UNKNOWN))), Field::value)
    }

    /// The job's value, with the ID that nuget.org saves with it.
    fn with_id(job: Option<String>, id: Option<String>) -> Field {
        let id = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
        let hint = id.map(|id| text!("(#{})", Words(id)));
        match job {
            Some(job) => Field { job: Some(job), hint: hint.unwrap_or_default() },
            None => Field::of_job(None),
        }
    }

    /// The environment of a job that is known.
    pub(crate) fn of_environment(environment: Option<String>) -> Field {
        environment.map_or(Field::hint(text!("(empty)")), Field::value)
    }

    /// The ref of a policy for a GitLab job that runs for this ref.
    pub(crate) fn of_ref(kind: Option<&str>, r#ref: Option<String>) -> Field {
        match kind {
            Some("branch") => Field { job: r#ref, hint: text!("(or empty, for any branch)") },
            Some(_) => Field::hint(text!("(empty: this job runs for a tag, and a policy cannot name a tag)")),
            None => Field::hint(text!("the branch that publishes (`main`), or empty for tags and any branch")),
        }
    }

    fn text(&self) -> Text {
        match &self.job {
            Some(job) if self.hint == Text::default() => text!("{}", job),
            Some(job) => text!("{} {}", job, self.hint),
            None => self.hint.clone(),
        }
    }
}

impl TrustPolicy {
    /// The policy for the job of an ID token; none if the claims do not name the repository.
    pub(crate) fn of_claims(claims: &Claims) -> Option<TrustPolicy> {
        let environment = Field::of_environment(claims.text("environment"));
        let project = claims.text("project_path").unwrap_or_default();
        if let Some((_, project_path)) = project.rsplit_once('/') {
            return Some(TrustPolicy::GitLab {
                namespace_path: Field::with_id(claims.text("namespace_path"), claims.text("namespace_id")),
                project_path: Field::with_id(Some(project_path.to_owned()), claims.text("project_id")),
                r#ref: Field::of_ref(claims.text("ref_type").as_deref(), claims.text("ref")),
                environment,
            });
        }
        let repository = claims.text("repository").unwrap_or_default();
        let repository = repository.split_once('/').map(|(_, name)| name.to_owned());
        Some(TrustPolicy::GitHub {
            repository_owner: Field::with_id(
                Some(claims.text("repository_owner")?),
                claims.text("repository_owner_id"),
            ),
            repository: Field::with_id(repository, claims.text("repository_id")),
            workflow_file: Field::of_job(claims.workflow()),
            environment,
        })
    }

    fn fields(&self) -> Vec<(&'static str, Field)> {
        let provider = |name: &str| ("CI/CD Provider", Field::hint(text!("{}", Words(name))));
        let mut fields = vec![(
            "Package Owner",
            Field::hint(text!("the account that owns the packages: you, or your organization")),
        )];
        match self {
            TrustPolicy::GitHub { repository_owner, repository, workflow_file, environment } => fields.extend([
                provider("GitHub Actions"),
                (REPOSITORY_OWNER, repository_owner.clone()),
                (REPOSITORY, repository.clone()),
                (WORKFLOW_FILE, workflow_file.clone()),
                (ENVIRONMENT, environment.clone()),
            ]),
            TrustPolicy::GitLab { namespace_path, project_path, r#ref, environment } => fields.extend([
                provider("GitLab CI/CD"),
                (NAMESPACE_PATH, namespace_path.clone()),
                (PROJECT_PATH, project_path.clone()),
                (REF, r#ref.clone()),
                (ENVIRONMENT, environment.clone()),
            ]),
        }
        let scope = text!("`Push new packages and package versions`");
        let glob = text!("the IDs of the packages, or {} for all", "*");
        fields.extend([("Select Scopes", Field::hint(scope)), ("Glob Patterns and Packages", Field::hint(glob))]);
        fields
    }

    /// The workflow file that defines the job.
    pub(crate) fn workflow_file(&self) -> Option<&str> {
        match self {
            TrustPolicy::GitHub { workflow_file, .. } => workflow_file.job.as_deref(),
            TrustPolicy::GitLab { .. } => None,
        }
    }

    /// The repository's owner on GitHub.
    pub(crate) fn repository_owner(&self) -> Option<&str> {
        match self {
            TrustPolicy::GitHub { repository_owner, .. } => repository_owner.job.as_deref(),
            TrustPolicy::GitLab { .. } => None,
        }
    }

    /// `owner/repository`, or GitLab's path of the project.
    pub(crate) fn path(&self) -> String {
        let (TrustPolicy::GitHub { repository_owner: owner, repository: name, .. }
        | TrustPolicy::GitLab { namespace_path: owner, project_path: name, .. }) = self;
        let [owner, name] = [owner, name].map(|field| field.job.as_deref().unwrap_or(UNKNOWN));
        format!("{owner}/{name}")
    }

    /// The fields as lines of text.
    pub(crate) fn lines(&self, mark: Option<&Mark>) -> Vec<String> {
        let fields = self.fields();
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        let line = |(name, field): &(&str, Field)| {
            let mark = mark.filter(|mark| mark.field == *name);
            let mark = mark.map(|mark| format!("  \u{2190} {}", mark.text)).unwrap_or_default();
            format!("  {:width$} {}{mark}", format!("{name}:"), field.text())
        };
        fields.iter().map(line).collect()
    }

    /// The fields as a Markdown table.
    fn table(&self, mark: Option<&Mark>) -> String {
        let row = |(name, field): (&str, Field)| match mark.filter(|mark| mark.field == name) {
            Some(mark) => format!("\n| **{name}** | {} \u{2190} **{}** |", cell(&field.text()), cell(&mark.text)),
            None => format!("\n| {name} | {} |", cell(&field.text())),
        };
        let rows = self.fields().into_iter().map(row).collect::<String>();
        format!("| Field | Value |\n|---|---|{rows}")
    }

    /// Whether a value of the job contains the user's name, which a secret of that name hides.
    pub(crate) fn contains(&self, user: &str) -> bool {
        let user = user.to_lowercase();
        self.fields().iter().filter_map(|(_, field)| field.job.as_ref()).any(|job| job.to_lowercase().contains(&user))
    }
}

/// A field in which the policy and the job differ.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    pub(crate) field: &'static str,
    /// What the policy has.
    pub(crate) text: Text,
}

/// A policy that is shown with an explanation.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShownPolicy {
    /// Whether it is for the job once it is moved to a workflow file of its own repository.
    pub(crate) is_moved: bool,
    /// The field that fails.
    pub(crate) mark: Option<Mark>,
}

impl ShownPolicy {
    /// With a field in which the policy has this.
    pub(crate) fn marked(field: &'static str, text: Text) -> ShownPolicy {
        ShownPolicy { mark: Some(Mark { field, text }), ..ShownPolicy::default() }
    }

    fn heading(&self) -> &'static str {
        match self.is_moved {
            true => "trust policy for the new job",
            false => "trust policy that fits this job without a change of the workflow file",
        }
    }

    /// With the address of the form, if `has_address`.
    pub(crate) fn lines(&self, policy: &TrustPolicy, has_address: bool) -> Vec<String> {
        let address = if has_address { format!(", at {TRUSTED_PUBLISHING}") } else { String::new() };
        let heading = format!("{}{address}:", self.heading());
        [heading].into_iter().chain(policy.lines(self.mark.as_ref())).collect()
    }

    pub(crate) fn markdown(&self, policy: &TrustPolicy) -> String {
        format!(
            "{} ([nuget.org]({TRUSTED_PUBLISHING})):\n\n{}",
            capitalized(self.heading()),
            policy.table(self.mark.as_ref())
        )
    }
}

/// What is known of a run besides its policy.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) event: Option<String>,
    pub(crate) r#ref: Option<String>,
    pub(crate) issuer: Option<String>,
}

impl Run {
    pub(crate) fn of_claims(claims: &Claims) -> Run {
        Run { event: claims.text("event_name"), r#ref: claims.text("ref"), issuer: claims.text("iss") }
    }

    /// What is known, in one line; nothing if that is nothing.
    pub(crate) fn text(&self) -> Option<Text> {
        let known = [("event", &self.event), ("ref", &self.r#ref), ("issuer", &self.issuer)];
        let known = known.iter().filter_map(|(name, value)| Some(text!("{} {}", Words(*name), value.as_ref()?)));
        let known = known.reduce(|all, next| text!("{}, {}", all, next))?;
        Some(text!("this run: {}", known))
    }
}

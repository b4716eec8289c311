//! The trust policy that a job needs, with the fields of nuget.org's form.

use crate::explain::markdown::{Code, cell};
use crate::trusted_publishing::claims::Claims;

/// Shown for what is not known.
pub(crate) const UNKNOWN: &str = "?";

/// nuget.org's page for policies.
pub(crate) const TRUSTED_PUBLISHING: &str = "https://www.nuget.org/account/trustedpublishing";

/// The hint for the environment of a job that names none.
pub(crate) const NO_ENVIRONMENT: &str = "leave empty: the job names none";

/// A policy (NuGet gallery, `TrustedPublishing.cshtml`, August 2026).
pub(crate) enum TrustPolicy {
    GitHub { repository_owner: String, repository: Option<String>, workflow_file: Field, environment: Field },
    GitLab { namespace_path: Option<String>, project_path: String, r#ref: Field, environment: Field },
}

/// The content of a field: the job's value, and a hint for the user.
#[derive(Clone)]
pub(crate) struct Field {
    job: Option<String>,
    hint: String,
}

impl Field {
    pub(crate) fn hint(hint: impl Into<String>) -> Field {
        Field { job: None, hint: hint.into() }
    }

    /// The job's value; the hint where it has none.
    pub(crate) fn of_job(job: Option<String>, hint: &str) -> Field {
        match job {
            Some(job) => Field { job: Some(job), hint: String::new() },
            None => Field::hint(hint),
        }
    }

    /// The ref of a policy for a GitLab job that runs for this ref.
    pub(crate) fn of_ref(kind: Option<&str>, r#ref: Option<String>) -> Field {
        match kind {
            Some("branch") => Field { job: r#ref, hint: "(or empty, for any)".to_owned() },
            Some(_) => Field::hint("leave empty: the job runs for a tag, and a policy's ref is a branch"),
            None => Field::hint("the branch that publishes (`main`); empty for any, and for tags"),
        }
    }

    fn text(&self, show: impl Fn(&str) -> String) -> String {
        let parts = [self.job.as_deref().map(show).unwrap_or_default(), self.hint.clone()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl TrustPolicy {
    /// The policy for the job of an ID token; none if the claims do not name the repository.
    pub(crate) fn of_claims(claims: &Claims) -> Option<TrustPolicy> {
        let environment = Field::of_job(claims.text("environment"), NO_ENVIRONMENT);
        let project = claims.text("project_path").unwrap_or_default();
        if let Some((_, project_path)) = project.rsplit_once('/') {
            return Some(TrustPolicy::GitLab {
                namespace_path: claims.text("namespace_path"),
                project_path: project_path.to_owned(),
                r#ref: Field::of_ref(claims.text("ref_type").as_deref(), claims.text("ref")),
                environment,
            });
        }
        let repository = claims.text("repository").unwrap_or_default();
        Some(TrustPolicy::GitHub {
            repository_owner: claims.text("repository_owner")?,
            repository: repository.split_once('/').map(|(_, name)| name.to_owned()),
            workflow_file: Field::of_job(claims.workflow(), UNKNOWN),
            environment,
        })
    }

    fn fields(&self) -> Vec<(&'static str, Field)> {
        let package_owner = Field::hint("whoever owns the packages on nuget.org: you, or your organization");
        let known = |value: &Option<String>| Field::of_job(value.clone(), UNKNOWN);
        match self {
            TrustPolicy::GitHub { repository_owner, repository, workflow_file, environment } => vec![
                ("Package owner", package_owner),
                ("Repository owner", known(&Some(repository_owner.clone()))),
                ("Repository", known(repository)),
                ("Workflow file", workflow_file.clone()),
                ("Environment", environment.clone()),
            ],
            TrustPolicy::GitLab { namespace_path, project_path, r#ref, environment } => vec![
                ("Package owner", package_owner),
                ("Namespace path", known(namespace_path)),
                ("Project path", known(&Some(project_path.clone()))),
                ("Ref", r#ref.clone()),
                ("Environment", environment.clone()),
            ],
        }
    }

    /// The workflow file that defines the job.
    pub(crate) fn workflow_file(&self) -> Option<&str> {
        match self {
            TrustPolicy::GitHub { workflow_file, .. } => workflow_file.job.as_deref(),
            TrustPolicy::GitLab { .. } => None,
        }
    }

    /// The fields as lines of text.
    pub(crate) fn lines(&self) -> Vec<String> {
        let fields = self.fields();
        let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        let line =
            |(name, field): &(&str, Field)| format!("    {:width$} {}", format!("{name}:"), field.text(str::to_owned));
        fields.iter().map(line).collect()
    }

    /// The fields as a Markdown table.
    pub(crate) fn table(&self) -> String {
        let row = |(name, field): (&str, Field)| format!("\n| {name} | {} |", field.text(cell));
        let rows = self.fields().into_iter().map(row).collect::<String>();
        format!("| Field on nuget.org | Value |\n|---|---|{rows}")
    }

    /// What else is known, in Markdown that reads well as plain text too. `user` is the user of the login.
    pub(crate) fn remarks(&self, run: &Run, user: &str) -> Vec<String> {
        let mut remarks = Vec::new();
        let known = [("event", &run.event), ("ref", &run.r#ref), ("issuer", &run.issuer)];
        let known = known.iter().filter_map(|(name, value)| Some(format!("{name} {}", Code(value.as_ref()?))));
        let known = known.collect::<Vec<_>>().join(", ");
        if !known.is_empty() {
            remarks.push(format!("This run: {known}."));
        }
        if let Some(issuer) = run.issuer.as_ref().filter(|issuer| !ISSUERS.contains(&issuer.as_str())) {
            remarks.push(format!(
                "nuget.org accepts no ID tokens of {}: only those of github.com and gitlab.com.",
                Code(issuer)
            ));
        }
        match self {
            TrustPolicy::GitLab { .. } => remarks.push("The policy's publisher is GitLab.".to_owned()),
            TrustPolicy::GitHub { .. } if self.contains(user) => remarks.push(
                "If a field reads ***, `user` is kept in a secret, which hides the word wherever it stands: use a variable."
                    .to_owned(),
            ),
            TrustPolicy::GitHub { .. } => {}
        }
        remarks
    }

    /// Whether a value of the job contains the user's name, which a secret of that name hides.
    fn contains(&self, user: &str) -> bool {
        let user = user.to_lowercase();
        self.fields().iter().filter_map(|(_, field)| field.job.as_ref()).any(|job| job.to_lowercase().contains(&user))
    }
}

/// The issuers of the ID tokens that nuget.org accepts.
const ISSUERS: [&str; 2] = ["https://token.actions.githubusercontent.com", "https://gitlab.com"];

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
}

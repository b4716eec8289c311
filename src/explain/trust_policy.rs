//! nuget.org's form for a trust policy, filled in for a job.

use crate::explain::Facts;
use crate::explain::markdown::{cell, code};

/// nuget.org's page for policies.
pub const TRUSTED_PUBLISHING: &str = "https://www.nuget.org/account/trustedpublishing";

const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";
const GITLAB_ISSUER: &str = "https://gitlab.com";

/// The fields of a policy (NuGet gallery, `TrustedPublishing.cshtml`, August 2026).
pub struct Form {
    fields: Vec<(&'static str, Value)>,
    /// What else is known of the job, in Markdown that reads well as plain text too.
    pub remarks: Vec<String>,
}

/// What belongs into a field: something of the job, and what we say to it.
struct Value {
    job: Option<String>,
    ours: String,
}

impl Value {
    fn ours(text: &str) -> Value {
        Value { job: None, ours: text.to_owned() }
    }

    fn plain(&self) -> String {
        let parts = [self.job.as_deref().unwrap_or_default(), &self.ours];
        parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
    }

    fn cell(&self) -> String {
        let job = self.job.as_deref().map(cell).unwrap_or_default();
        [job.as_str(), &self.ours].into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

impl Form {
    /// The form for the job that `facts` tell of; none if they don't say whose it is.
    pub fn filled_in(facts: &Facts) -> Option<Form> {
        let gitlab = facts.contains_key("project path");
        if !gitlab && !facts.contains_key("repository owner") {
            return None;
        }
        let value = |name, absent: &str| match facts.get(name) {
            Some(job) => Value { job: Some(job.clone()), ours: String::new() },
            None => Value::ours(absent),
        };
        let environment = facts.get("environment hint").map_or("leave empty: the job names none", String::as_str);
        let owner = Value::ours("whoever owns the packages on nuget.org: you, or your organization");
        let fields = if gitlab {
            let r#ref = match facts.get("ref type").map(String::as_str) {
                Some("branch") => Value { ours: "(or empty, for any)".to_owned(), ..value("ref", "") },
                Some(_) => Value::ours("leave empty: the job runs for a tag, and a policy's ref is a branch"),
                None => Value::ours("the branch that publishes (`main`); empty for any, and for tags"),
            };
            vec![
                ("Package owner", owner),
                ("Namespace path", value("namespace path", "?")),
                ("Project path", value("project path", "?")),
                ("Ref", r#ref),
                ("Environment", value("environment", environment)),
            ]
        } else {
            vec![
                ("Package owner", owner),
                ("Repository owner", value("repository owner", "?")),
                ("Repository", value("repository", "?")),
                ("Workflow file", value("workflow", facts.get("workflow hint").map_or("?", String::as_str))),
                ("Environment", value("environment", environment)),
            ]
        };
        let known = ["event", "ref", "issuer"].iter();
        let known = known.filter_map(|name| Some(format!("{name} {}", code(facts.get(name)?)))).collect::<Vec<_>>();
        let mut remarks = Vec::new();
        if !known.is_empty() {
            remarks.push(format!("This run: {}.", known.join(", ")));
        }
        let issuer = facts.get("issuer").filter(|issuer| ![GITHUB_ISSUER, GITLAB_ISSUER].contains(&issuer.as_str()));
        if let Some(issuer) = issuer {
            remarks.push(format!(
                "nuget.org accepts no ID tokens of {}: only those of github.com and gitlab.com.",
                code(issuer)
            ));
        }
        if gitlab {
            remarks.push("The policy's publisher is GitLab.".to_owned());
        }
        // GitLab has no secrets that are hidden so.
        let user = facts.get("user").filter(|_| !gitlab).map(|user| user.to_lowercase());
        let holds_user = |value: &Value| Some(value.job.as_ref()?.to_lowercase().contains(user.as_ref()?));
        if fields.iter().any(|(_, value)| holds_user(value) == Some(true)) {
            remarks.push(
                "If a field reads ***, `user` is kept in a secret, which hides the word wherever it stands: use a variable."
                    .to_owned(),
            );
        }
        Some(Form { fields, remarks })
    }

    /// The fields as lines of text.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let width = self.fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 1;
        let fields = self.fields.iter();
        fields.map(move |(name, value)| format!("    {:width$} {}", format!("{name}:"), value.plain()))
    }

    /// The fields as a Markdown table.
    pub fn table(&self) -> String {
        let rows = self.fields.iter().map(|(name, value)| format!("\n| {name} | {} |", value.cell()));
        format!("| Field on nuget.org | Value |\n|---|---|{}", rows.collect::<String>())
    }
}

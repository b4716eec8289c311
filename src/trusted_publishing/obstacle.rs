//! Why nuget.org rejects a job whatever its trust policies are (NuGet gallery, August 2026).

use crate::text::{Text, text};
use crate::trusted_publishing::claims::Claims;

/// The issuers of the ID tokens that nuget.org accepts.
const ISSUERS: [&str; 2] = ["https://token.actions.githubusercontent.com", "https://gitlab.com"];

/// The event that nuget.org does not accept: a fork's pull request starts it with the rights of the base repository.
pub(crate) const FORBIDDEN_EVENT: &str = "pull_request_target";

/// What no trust policy can change, safe to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The job is defined in this reusable workflow of another repository.
    ForeignReusableWorkflow(String),
    /// This event started the run.
    Event(String),
    /// This is the issuer of the ID token, or the server that the job is on.
    Issuer(String),
}

impl Obstacle {
    pub(crate) fn of_claims(claims: &Claims) -> Option<Obstacle> {
        if let Some(issuer) = claims.text("iss").filter(|issuer| !Obstacle::is_supported_issuer(issuer)) {
            return Some(Obstacle::Issuer(issuer));
        }
        let foreign = claims.foreign_workflow().map(Obstacle::ForeignReusableWorkflow);
        foreign.or_else(|| Obstacle::of_event(claims.text("event_name")))
    }

    /// Whether nuget.org accepts ID tokens from an issuer.
    pub(crate) fn is_supported_issuer(issuer: &str) -> bool {
        ISSUERS.contains(&issuer)
    }

    pub(crate) fn of_event(event: Option<String>) -> Option<Obstacle> {
        event.filter(|event| event == FORBIDDEN_EVENT).map(Obstacle::Event)
    }

    /// Whether the issuer is an enterprise's own on GitHub's host.
    pub(crate) fn is_enterprise_issuer(&self) -> bool {
        matches!(self, Obstacle::Issuer(issuer) if issuer.starts_with(&format!("{}/", ISSUERS[0])))
    }

    pub(crate) fn fact(&self) -> Text {
        match self {
            Obstacle::ForeignReusableWorkflow(workflow) => text!(
                "this job is defined in {}, and nuget.org accepts only workflow files of the same repository",
                workflow
            ),
            Obstacle::Event(event) => text!("nuget.org does not accept runs that the event {} starts", event),
            Obstacle::Issuer(issuer) if self.is_enterprise_issuer() => {
                text!("nuget.org does not accept the issuer of this enterprise, {}", issuer)
            }
            Obstacle::Issuer(issuer) => text!("nuget.org does not accept ID tokens from {}", issuer),
        }
    }
}

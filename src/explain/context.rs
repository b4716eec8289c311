//! What is known of the job and of the settings, to explain an error. It decides nothing.

use crate::environment::Ci;
use crate::explain::trust_policy::{Run, TrustPolicy, UNKNOWN};
use crate::github_actions::event::RunStart;
use crate::sanitize::sanitize_line;
use crate::settings::Settings;
use crate::trusted_publishing::claims::Claims;

/// What is known, safe to show.
pub(crate) struct Context {
    pub(crate) ci: Ci,
    /// The user of the login.
    pub(crate) user: String,
    pub(crate) audience: String,
    /// URL of the token service or the service index.
    pub(crate) service: String,
    pub(crate) id_token_variable: String,
    /// The policy that the job needs.
    pub(crate) policy: Option<TrustPolicy>,
    pub(crate) run: Run,
    /// The workflow file that calls the one that defines the job.
    pub(crate) caller: Option<String>,
    /// What GitHub's runner says of the run, where the ID token cannot.
    pub(crate) start: RunStart,
}

impl Context {
    pub(crate) fn of_ci(ci: Ci) -> Context {
        let [user, audience, service, id_token_variable] = [(); 4].map(|()| UNKNOWN.to_owned());
        let (policy, run, caller, start) = (None, Run::default(), None, RunStart::default());
        Context { ci, user, audience, service, id_token_variable, policy, run, caller, start }
    }

    pub(crate) fn add_settings(&mut self, settings: &Settings) {
        self.user = sanitize_line(&settings.user);
        self.audience = sanitize_line(&settings.audience);
        self.service = settings.service.configured_endpoint().without_query();
        self.id_token_variable = settings.id_token_variable.clone();
    }

    pub(crate) fn add_claims(&mut self, claims: &Claims) {
        self.policy = TrustPolicy::of_claims(claims);
        self.run = Run::of_claims(claims);
        self.caller = claims.caller();
    }

    pub(crate) fn issuer(&self) -> &str {
        self.run.issuer.as_deref().unwrap_or(UNKNOWN)
    }

    /// Whether the ID token is of an enterprise's own issuer on GitHub's host.
    pub(crate) fn issuer_is_an_enterprises(&self) -> bool {
        self.issuer().starts_with("https://token.actions.githubusercontent.com/")
    }

    /// Whether `user` is the name of the repository's owner.
    pub(crate) fn user_is_repository_owner(&self) -> bool {
        matches!(&self.policy, Some(TrustPolicy::GitHub { repository_owner: owner, .. }) if owner.eq_ignore_ascii_case(&self.user))
    }
}

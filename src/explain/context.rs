//! What is known of the job and of the settings, to explain an error.

use crate::environment::Ci;
use crate::explain::explanation::{Fix, fix};
use crate::explain::trust_policy::{Run, TrustPolicy, UNKNOWN};
use crate::github_actions::event::RunStart;
use crate::sanitize::sanitize_line;
use crate::settings::Settings;
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::obstacle::Obstacle;

/// What is known, safe to show.
pub(crate) struct Context {
    pub(crate) ci: Ci,
    /// The user of the login.
    pub(crate) user: String,
    pub(crate) audience: String,
    /// URL of the token service or the service index.
    pub(crate) service: String,
    pub(crate) id_token_variable: String,
    /// Whether the rules of nuget.org apply; a sandbox has them too.
    pub(crate) is_nuget_org: bool,
    /// The policy that the job needs.
    pub(crate) policy: Option<TrustPolicy>,
    pub(crate) run: Run,
    /// The workflow file that calls the one that defines the job.
    pub(crate) caller: Option<String>,
    pub(crate) obstacle: Option<Obstacle>,
    /// Who started the run.
    pub(crate) actor: Option<String>,
    /// The run as GitHub's runner describes it, for a job without an ID token.
    pub(crate) start: RunStart,
}

impl Context {
    pub(crate) fn of_ci(ci: Ci) -> Context {
        let [user, audience, service, id_token_variable] = [(); 4].map(|()| UNKNOWN.to_owned());
        let (policy, run, caller, start) = (None, Run::default(), None, RunStart::default());
        let (obstacle, actor) = (None, None);
        Context {
            ci,
            user,
            audience,
            service,
            id_token_variable,
            is_nuget_org: true,
            policy,
            run,
            caller,
            obstacle,
            actor,
            start,
        }
    }

    pub(crate) fn add_settings(&mut self, settings: &Settings) {
        self.user = sanitize_line(&settings.user);
        self.audience = sanitize_line(&settings.audience);
        self.service = settings.service.configured_endpoint().without_query();
        self.id_token_variable = settings.id_token_variable.clone();
        let service = settings.service.configured_endpoint();
        self.is_nuget_org = service.is_nuget_org() || service.is_loopback();
    }

    pub(crate) fn add_claims(&mut self, claims: &Claims) {
        self.policy = TrustPolicy::of_claims(claims);
        self.run = Run::of_claims(claims);
        self.caller = claims.caller();
        self.obstacle = Obstacle::of_claims(claims).filter(|_| self.is_nuget_org);
        self.actor = claims.text("actor");
    }

    pub(crate) fn issuer(&self) -> &str {
        self.run.issuer.as_deref().unwrap_or(UNKNOWN)
    }

    /// Whether `user` is the repository's owner, as far as known not a person: that one would have started the run.
    pub(crate) fn user_is_repository_owner(&self) -> bool {
        let started = self.actor.as_ref().is_some_and(|actor| actor.eq_ignore_ascii_case(&self.user));
        let owner = self.policy.as_ref().and_then(TrustPolicy::repository_owner);
        owner.is_some_and(|owner| owner.eq_ignore_ascii_case(&self.user)) && !started
    }

    /// How to start the job again after a change on nuget.org, of a variable or of a secret.
    pub(crate) fn re_run(&self) -> Fix {
        match self.ci {
            Ci::GitLab => fix!("retry the job"),
            _ => fix!("re-run the job"),
        }
    }

    /// How to start the job again after a change of the workflow file: a re-run takes the file of its commit.
    pub(crate) fn new_run(&self) -> Fix {
        match self.ci {
            Ci::GitLab => fix!("commit the change, and start a new pipeline"),
            _ if self.is_for_a_tag() => {
                fix!("commit the change, and push a new tag or the moved tag: a re-run uses the old workflow file")
            }
            _ => fix!("commit the change, and start a new run: a re-run uses the old workflow file"),
        }
    }

    /// How to start the job again after a change that can be in the workflow file or elsewhere.
    pub(crate) fn run_again(&self) -> Fix {
        match self.ci {
            Ci::GitLab => fix!("retry the job, or, if .gitlab-ci.yml has changed, start a new pipeline"),
            _ if self.is_for_a_tag() => {
                fix!("re-run the job, or, if the workflow file has changed, push a new tag: a re-run uses the old file")
            }
            _ => fix!(
                "re-run the job, or, if the workflow file has changed, start a new run: a re-run uses the old file"
            ),
        }
    }

    fn is_for_a_tag(&self) -> bool {
        self.run.r#ref.as_ref().is_some_and(|it| it.starts_with("refs/tags/"))
    }
}

//! The failures in GitLab CI, as a user sees them.

use sandbox::config::Config;
use sandbox::faults::{Answer, Effect, Route};
use sandbox::{Claims, Sandbox};
use serde_json::json;

use crate::job::Job;

use super::{AUDIENCE, error, shown};

/// The failure of GitLab's seed job in a changed world.
#[track_caller]
fn gitlab(name: &str, change: impl FnOnce(&mut Config)) {
    let sandbox = Sandbox::with(change);
    shown(&format!("gitlab_{name}"), &sandbox, &Job::gitlab(&sandbox).run());
}

/// The failure of GitLab's seed job with another ID token, or none.
#[track_caller]
fn gitlab_token(name: &str, audience: &str, change: impl FnOnce(&mut Claims)) {
    let sandbox = Sandbox::with(|_| {});
    let token = sandbox.gitlab_id_token(audience, change);
    shown(&format!("gitlab_{name}"), &sandbox, &Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", token).run());
}

#[test]
fn gitlab_policies() {
    gitlab("no_policy", |config| config.gitlab_policies[0].project_path = "contoso-cli".to_owned());
    gitlab("policy_expired", |config| config.gitlab_policies[0].age_days = 8);
    gitlab("ref_differs", |config| config.gitlab_policies[0].r#ref = "Main".to_owned());
    gitlab("ref_by_its_full_name", |config| config.gitlab_policies[0].r#ref = "refs/heads/main".to_owned());
    gitlab("ref_no_branch", |config| {
        let job = config.gitlab_job.as_mut().unwrap();
        (job.r#ref, job.ref_type) = ("v1.0.0".to_owned(), "tag".to_owned());
        config.gitlab_policies[0].r#ref = "v1.0.0".to_owned();
    });
    gitlab("environment_missing", |config| config.gitlab_policies[0].environment = "production".to_owned());
    gitlab("environment_differs", |config| {
        config.gitlab_job.as_mut().unwrap().environment = Some("Production".to_owned());
        config.gitlab_policies[0].environment = "production".to_owned();
    });
    for claim in ["namespace_path", "project_path", "namespace_id", "project_id"] {
        gitlab_token(&format!("claim_missing_{claim}"), AUDIENCE, |claims| drop(claims.remove(claim)));
    }
}

#[test]
fn gitlab_id_tokens() {
    gitlab_token("issuer_not_supported", AUDIENCE, |claims| claims["iss"] = json!("https://gitlab.contoso.example"));
    gitlab_token("issuer_missing", AUDIENCE, |claims| drop(claims.remove("iss")));
    gitlab_token("issuer_not_https", AUDIENCE, |claims| claims["iss"] = json!("http://gitlab.com"));
    gitlab_token("jti_missing", AUDIENCE, |claims| drop(claims.remove("jti")));
    gitlab_token("audience_of_another", "https://vault.contoso.example", |_| {});
    gitlab_token("token_not_yet_valid", AUDIENCE, |claims| {
        claims["nbf"] = json!(4_000_000_000_u64);
        claims["exp"] = json!(4_000_003_600_u64);
    });
    gitlab_token("token_expired", AUDIENCE, |claims| {
        claims["nbf"] = json!(1_600_000_000);
        claims["exp"] = json!(1_600_003_600);
    });
    let sandbox = Sandbox::with(|_| {});
    shown("gitlab_token_missing", &sandbox, &Job::gitlab(&sandbox).unset("NUGET_ID_TOKEN").run());
    let job = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", "glcbt-64_aBcDeFgHiJkLmNoPqRsT");
    shown("gitlab_token_no_json_web_token", &sandbox, &job.run());
    let (_, token) = sandbox.gitlab_environment()[1].clone();
    assert_eq!(Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &token).run().code, 0);
    shown("gitlab_token_used_already", &sandbox, &Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &token).run());
    let flags = ["--audience=https://nuget.contoso.example", "--token-service-url", &sandbox.token_service_url()];
    let token = sandbox.gitlab_id_token("https://nuget.contoso.example", |_| {});
    let job = Job::gitlab(&sandbox).without_arguments().arguments(["--check-only", "--user=contoso-bot"]);
    shown("gitlab_audience_differs", &sandbox, &job.arguments(flags).set("NUGET_ID_TOKEN", token).run());
}

#[test]
fn gitlab_jobs() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::new(503, "text/plain", "")));
    shown("gitlab_token_spent", &sandbox, &Job::gitlab(&sandbox).run());
    sandbox.fault(Route::TokenService, 2, Effect::Instead(error(429, "Too many requests, slow down.")));
    shown("gitlab_token_spent_in_words", &sandbox, &Job::gitlab(&sandbox).run());
    // nuget-login detects both before nuget.org, except for another registry.
    for (nth, (name, words)) in (3..).zip([
        ("gitlab_audience_missing", "The JSON web token must have an aud claim."),
        ("gitlab_audiences_several", "The JSON web token must have exactly one aud claim value."),
    ]) {
        sandbox.fault(Route::TokenService, nth, Effect::Instead(error(401, words)));
        shown(name, &sandbox, &Job::gitlab(&sandbox).run());
    }
    shown("gitlab_user_empty", &sandbox, &Job::gitlab(&sandbox).without_arguments().arguments(["--check-only"]).run());
    shown("gitlab_no_json_web_token", &sandbox, &Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", "glcbt-64_xyz").run());
    let plain = Job::gitlab(&sandbox).without_arguments().arguments(["--user", "contoso-bot"]);
    shown("gitlab_no_outputs", &sandbox, &plain.run());
}

//! The token service for jobs in GitLab CI: the differences from GitHub Actions.

use sandbox::config::{Config, GitLabPolicy, ProjectIds, Visibility};
use sandbox::wire::{self, Answer};
use sandbox::{Claims, Sandbox};
use serde_json::json;
use time::Duration;

const AUDIENCE: &str = "https://www.nuget.org";
const NO_POLICY: &str = "No matching trust policy owned by user 'contoso-bot' was found.";

fn exchange(sandbox: &Sandbox, token: &str) -> Answer {
    wire::exchange(sandbox.base_url(), token, "contoso-bot").unwrap()
}

/// The message for the default GitLab CI job in a changed config, with changed claims.
fn refusal(change: impl FnOnce(&mut Config), claims: impl FnOnce(&mut Claims)) -> String {
    let sandbox = Sandbox::with(change);
    let answer = exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, claims));
    assert_eq!(answer.status, 401, "{answer:?}");
    answer.json()["error"].as_str().unwrap().to_owned()
}

/// A private project, whose policies have no IDs at their creation.
fn private(change: impl FnOnce(&mut Config)) -> Sandbox {
    Sandbox::with(|config| {
        config.gitlab_job.as_mut().unwrap().project_visibility = Visibility::Private;
        config.job.repository_visibility = Visibility::Private;
        change(config);
    })
}

fn policy(config: &mut Config) -> &mut GitLabPolicy {
    &mut config.gitlab_policies[0]
}

#[test]
fn a_matching_policy_creates_one_key_for_each_token() {
    let sandbox = private(|_| {});
    let token = sandbox.gitlab_id_token(AUDIENCE, |_| {});
    let answer = exchange(&sandbox, &token);
    assert_eq!(answer.json()["apiKey"], json!(sandbox.api_keys()[0]));
    let ids = ProjectIds { project_id: "51290387".to_owned(), namespace_id: "7734112".to_owned() };
    assert_eq!(sandbox.gitlab_policies()[0].used_by, Some(ids));
    assert_eq!(sandbox.policies()[0].used_by, None, "the policy for another issuer");
    let again = exchange(&sandbox, &token);
    assert!(again.json()["error"].as_str().unwrap().starts_with("This bearer token has already been used."));
}

#[test]
fn a_policy_does_not_match_jobs_of_another_issuer() {
    assert_eq!(refusal(|config| config.gitlab_policies.clear(), |_| {}), NO_POLICY);
    let sandbox = Sandbox::with(|config| config.policies.clear());
    let answer = exchange(&sandbox, &sandbox.forge(AUDIENCE, |_| {}));
    assert_eq!(answer.json()["error"], NO_POLICY);
}

#[test]
fn a_token_must_be_signed_by_its_issuer() {
    let sandbox = Sandbox::with(|_| {});
    let token = sandbox.forge(AUDIENCE, |claims| claims["iss"] = json!("https://gitlab.com"));
    assert_eq!(exchange(&sandbox, &token).json()["error"], "The JSON web token has an invalid signature.");
    let refused = |issuer: &str| refusal(|_| {}, |claims| claims["iss"] = json!(issuer));
    assert_eq!(refused("https://gitlab.contoso.example"), "The JSON web token iss claim is not supported.");
    assert_eq!(refused("https://gitlab.com/contoso"), "The JSON web token could not be validated.");
}

#[test]
fn a_missing_required_claim_is_disclosed() {
    for claim in ["namespace_path", "project_path", "namespace_id", "project_id"] {
        let message = format!("The JSON Web Token is missing the required claim '{claim}'.");
        assert_eq!(refusal(|_| {}, |claims| drop(claims.remove(claim))), message);
    }
}

#[test]
fn different_paths_are_not_disclosed_and_case_is_ignored() {
    assert_eq!(refusal(|config| policy(config).namespace_path = "fabrikam".to_owned(), |_| {}), NO_POLICY);
    assert_eq!(refusal(|config| policy(config).project_path = "contoso-cli".to_owned(), |_| {}), NO_POLICY);
    let sandbox = Sandbox::with(|config| {
        policy(config).namespace_path = "Contoso".to_owned();
        policy(config).project_path = "CONTOSO-sdk".to_owned();
    });
    assert_eq!(exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, |_| {})).status, 200);
}

#[test]
fn a_subgroup_is_part_of_the_namespace() {
    let sandbox = Sandbox::with(|config| {
        config.gitlab_job.as_mut().unwrap().project_path = "contoso/sdks/contoso-sdk".to_owned();
        policy(config).namespace_path = "contoso/sdks".to_owned();
    });
    assert_eq!(exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, |_| {})).status, 200);
}

#[test]
fn a_policy_of_a_public_project_is_permanent_from_its_creation() {
    let sandbox = Sandbox::with(|_| {});
    let ids = ProjectIds { project_id: "51290387".to_owned(), namespace_id: "7734112".to_owned() };
    assert_eq!(sandbox.gitlab_policies()[0].used_by, Some(ids));
    sandbox.advance(Duration::days(300));
    assert_eq!(exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, |_| {})).status, 200);
    let again = sandbox.gitlab_id_token(AUDIENCE, |claims| claims["project_id"] = json!("51290388"));
    assert_eq!(exchange(&sandbox, &again).json()["error"], NO_POLICY);
}

#[test]
fn the_first_use_of_a_policy_of_a_private_project_saves_the_ids_within_seven_days() {
    let expired = "The policy 'contoso-sdk on GitLab' has expired. Sign in and renew the trust policy on the Trusted \
                   Publishing page.";
    assert_eq!(refusal(|config| policy(config).age_days = 8, |_| {}), expired);
    let other = || Some(ProjectIds { project_id: "1".to_owned(), namespace_id: "7734112".to_owned() });
    assert_eq!(refusal(|config| policy(config).used_by = other(), |_| {}), NO_POLICY);
    let sandbox = private(|_| {});
    sandbox.advance(Duration::days(8));
    assert_eq!(exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, |_| {})).json()["error"], expired);
    let sandbox = private(|config| policy(config).environment = "production".to_owned());
    assert_eq!(sandbox.gitlab_policies()[0].used_by, None);
    assert_eq!(exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, |_| {})).status, 401);
    assert!(sandbox.gitlab_policies()[0].used_by.is_some(), "even if a later check fails");
}

#[test]
fn a_ref_must_be_a_branch_and_is_case_sensitive() {
    let mismatch = |expected: &str, actual: &str| {
        format!("Ref mismatch for policy 'contoso-sdk on GitLab': expected '{expected}', actual '{actual}'")
    };
    let wants = |name: &'static str| move |config: &mut Config| policy(config).r#ref = name.to_owned();
    assert_eq!(refusal(wants("Main"), |_| {}), mismatch("Main", "main"));
    assert_eq!(refusal(wants("refs/heads/main"), |_| {}), mismatch("refs/heads/main", "main"));
    assert_eq!(refusal(wants("main"), |claims| drop(claims.remove("ref"))), mismatch("main", ""));
    let tag = |config: &mut Config| {
        let job = config.gitlab_job.as_mut().unwrap();
        (job.r#ref, job.ref_type) = ("v1.0.0".to_owned(), "tag".to_owned());
        policy(config).r#ref = "v1.0.0".to_owned();
    };
    assert_eq!(refusal(tag, |_| {}), "Ref 'v1.0.0' for policy 'contoso-sdk on GitLab' must be a branch.");
    let sandbox = Sandbox::with(wants("main"));
    assert_eq!(exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, |_| {})).status, 200);
}

#[test]
fn an_environment_is_case_sensitive() {
    let mismatch = |actual: &str| {
        format!("Environment mismatch for policy 'contoso-sdk on GitLab': expected 'production', actual '{actual}'")
    };
    let wants = |config: &mut Config| policy(config).environment = "production".to_owned();
    assert_eq!(refusal(wants, |_| {}), mismatch(""));
    let named = |name: &'static str| move |claims: &mut Claims| drop(claims.insert("environment".into(), json!(name)));
    assert_eq!(refusal(wants, named("Production")), mismatch("Production"));
    let sandbox = Sandbox::with(wants);
    assert_eq!(exchange(&sandbox, &sandbox.gitlab_id_token(AUDIENCE, named("production"))).status, 200);
}

#[test]
fn a_token_expires_after_an_hour() {
    let sandbox = Sandbox::with(|_| {});
    let token = sandbox.gitlab_id_token(AUDIENCE, |_| {});
    sandbox.advance(Duration::minutes(64));
    assert_eq!(exchange(&sandbox, &token).status, 200);
    let token = sandbox.gitlab_id_token(AUDIENCE, |_| {});
    sandbox.advance(Duration::minutes(66));
    assert_eq!(exchange(&sandbox, &token).json()["error"], "The JSON web token has expired.");
}

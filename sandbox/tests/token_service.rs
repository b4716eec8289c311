//! The token service's checks in the service's order, one test for each.

use sandbox::Sandbox;
use sandbox::config::{Account, Config, Policy, RepositoryIds, Scope, Visibility};
use sandbox::wire::{self, Answer, send};
use serde_json::json;
use time::Duration;

const AUDIENCE: &str = "https://www.nuget.org";
const BODY: &[u8] = br#"{"username":"contoso-bot","tokenType":"ApiKey"}"#;
const NO_POLICY: &str = "No matching trust policy owned by user 'contoso-bot' was found.";

/// Posts with exactly these headers.
fn post(sandbox: &Sandbox, headers: &[(&str, &[u8])], body: &[u8]) -> Answer {
    send(sandbox.base_url(), "POST /api/v2/token", headers, body).unwrap()
}

/// Posts a token with a valid request.
fn exchange(sandbox: &Sandbox, token: &str) -> Answer {
    exchange_for(sandbox, token, "contoso-bot")
}

fn exchange_for(sandbox: &Sandbox, token: &str, user: &str) -> Answer {
    wire::exchange(sandbox.base_url(), token, user).unwrap()
}

fn fresh(sandbox: &Sandbox) -> String {
    sandbox.forge(AUDIENCE, |_| {})
}

/// A private repository, whose policies have no IDs at their creation.
fn private(change: impl FnOnce(&mut Config)) -> Sandbox {
    Sandbox::with(|config| {
        config.job.repository_visibility = Visibility::Private;
        change(config);
    })
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!((answer.status, answer.reason.as_str()), (status, message));
    assert_eq!(answer.json(), json!({ "error": message }));
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"));
}

/// The default job with changed claims is refused with this message.
#[track_caller]
fn assert_token_refused(change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>), message: &str) {
    let sandbox = Sandbox::with(|_| {});
    let token = sandbox.forge(AUDIENCE, change);
    assert_refused(&exchange(&sandbox, &token), 401, message);
}

/// The default job is refused with this status and message in a changed config.
#[track_caller]
fn assert_config_refused(change: impl FnOnce(&mut Config), status: u16, message: &str) {
    let sandbox = Sandbox::with(change);
    assert_refused(&exchange(&sandbox, &fresh(&sandbox)), status, message);
}

#[test]
fn a_matching_policy_creates_a_key() {
    let sandbox = Sandbox::with(|_| {});
    let answer = exchange(&sandbox, &fresh(&sandbox));
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json.as_object().unwrap().keys().collect::<Vec<_>>(), ["tokenType", "expires", "apiKey"]);
    assert_eq!(json["tokenType"], "ApiKey");
    assert_eq!(json["apiKey"].as_str().unwrap(), sandbox.api_keys()[0]);
    let expires = json["expires"].as_str().unwrap();
    assert_eq!((expires.len(), &expires[27..]), (33, "+00:00"), "{expires}");
}

#[test]
fn step_1_a_disabled_service_is_a_404_without_json() {
    let sandbox = Sandbox::with(|config| config.service.enabled = false);
    let answer = exchange(&sandbox, &fresh(&sandbox));
    assert_eq!(answer.status, 404);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
}

#[test]
fn step_2_the_authorization_header() {
    let sandbox = Sandbox::with(|_| {});
    let refused = |headers: &[(&str, &[u8])], message| assert_refused(&post(&sandbox, headers, BODY), 401, message);
    refused(&[], "The Authorization header is missing.");
    refused(
        &[("Authorization", b"Bearer a"), ("Authorization", b"Bearer b")],
        "Only one Authorization header is allowed.",
    );
    refused(&[("Authorization", b"Basic a")], "The Authorization header value must start with 'Bearer '.");
    refused(&[("Authorization", b"Bearer")], "The Authorization header value must start with 'Bearer '.");
    // A no-break space: HTTP does not remove it from the end of a header.
    refused(&[("Authorization", b"Bearer \xa0")], "The bearer token is missing from the Authorization header.");
}

#[test]
fn step_3_the_content_type() {
    let sandbox = Sandbox::with(|_| {});
    let message = "The request must have a Content-Type of 'application/json'.";
    for content_type in ["text/plain", "application/jsonp", ""] {
        let headers: [(&str, &[u8]); 2] = [("Authorization", b"Bearer x"), ("Content-Type", content_type.as_bytes())];
        assert_refused(&post(&sandbox, &headers, BODY), 415, message);
    }
}

#[test]
fn step_4_the_user_agent_and_the_body() {
    let sandbox = Sandbox::with(|_| {});
    let json: (&str, &[u8]) = ("Content-Type", b"Application/JSON; charset=utf-8");
    let bearer: (&str, &[u8]) = ("Authorization", b"bearer x");
    assert_refused(&post(&sandbox, &[bearer, json], BODY), 400, "A User-Agent header is required.");
    let headers = [bearer, json, ("User-Agent", b"test".as_slice())];
    for body in [r#"{"tokenType":"ApiKey"}"#, r#"{"username":" ","tokenType":"ApiKey"}"#] {
        let message = "The username property in the request body is required.";
        assert_refused(&post(&sandbox, &headers, body.as_bytes()), 400, message);
    }
    for body in [r#"{"username":"contoso-bot"}"#, r#"{"Username":"contoso-bot","tokenType":"apikey"}"#] {
        let message = "The tokenType property in the request body is required and must set to 'ApiKey'.";
        assert_refused(&post(&sandbox, &headers, body.as_bytes()), 400, message);
    }
    assert_eq!(post(&sandbox, &headers, b"{").status, 500);
}

#[test]
fn step_5_an_unknown_user_is_refused_before_the_token() {
    let sandbox = Sandbox::with(|config| config.users[0].deleted = true);
    for user in ["unknown", "bot@contoso.example", "contoso-bot"] {
        let message = format!("No matching trust policy owned by user '{user}' was found.");
        assert_refused(&exchange_for(&sandbox, "not a token", user), 401, &message);
    }
}

#[test]
fn step_6_a_text_that_is_not_a_json_web_token_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    for token in ["x", "a.b", "a.b.c", "e30.e30.!", "e30.W10.eA"] {
        let message = "The bearer token could not be parsed as a JSON web token.";
        assert_refused(&exchange(&sandbox, token), 401, message);
    }
}

#[test]
fn step_6_a_token_must_have_one_audience() {
    let message = "The JSON web token must have exactly one aud claim value.";
    assert_token_refused(|claims| drop(claims.remove("aud")), message);
    assert_token_refused(|claims| claims["aud"] = json!([AUDIENCE, "other"]), message);
    assert_token_refused(|claims| claims["aud"] = json!([]), message);
    assert_token_refused(|claims| claims["aud"] = json!(" "), "The JSON web token must have an aud claim.");
}

#[test]
fn step_6_the_issuer_must_be_a_supported_https_url() {
    let refused = |issuer: &str, message| assert_token_refused(|claims| claims["iss"] = json!(issuer), message);
    assert_token_refused(|claims| drop(claims.remove("iss")), "The JSON web token must have an iss claim.");
    refused("github", "The JSON web token iss claim must be a valid HTTPS URL.");
    refused("http://token.actions.githubusercontent.com", "The JSON web token iss claim must be a valid HTTPS URL.");
    refused("https://ghes.contoso.example/_services/token", "The JSON web token iss claim is not supported.");
}

#[test]
fn step_6_a_token_must_have_an_id() {
    assert_token_refused(|claims| drop(claims.remove("jti")), "The JSON web token must have a jti claim.");
}

#[test]
fn step_6_the_signature_is_checked_before_lifetime_and_audience() {
    let sandbox = Sandbox::with(|_| {});
    let expired = sandbox.forge("other", |claims| claims["exp"] = json!(1));
    let (signed, _) = expired.rsplit_once('.').unwrap();
    let (_, other) = fresh(&sandbox).rsplit_once('.').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let message = "The JSON web token has an invalid signature.";
    assert_refused(&exchange(&sandbox, &format!("{signed}.{other}")), 401, message);
    assert_refused(&exchange(&sandbox, &format!("{signed}.")), 401, message);
}

#[test]
fn step_6_the_lifetime_has_five_minutes_of_clock_skew() {
    let sandbox = Sandbox::with(|_| {});
    let token = fresh(&sandbox);
    sandbox.advance(Duration::minutes(10) + Duration::seconds(2));
    assert_refused(&exchange(&sandbox, &token), 401, "The JSON web token has expired.");
    sandbox.advance(Duration::seconds(-10));
    assert_eq!(exchange(&sandbox, &token).status, 200);
    sandbox.advance(Duration::minutes(-26));
    assert_refused(&exchange(&sandbox, &token), 401, "The JSON web token is not yet valid.");
    assert_token_refused(|claims| drop(claims.remove("exp")), "The JSON web token could not be validated.");
}

#[test]
fn step_6_the_audience_must_be_nuget_orgs() {
    for audience in
        ["api://AzureADTokenExchange", "https://www.nuget.org//", "https://www.nuget.org/api", "https://nuget.org"]
    {
        let message = "The JSON web token has an incorrect audience.";
        assert_token_refused(|claims| claims["aud"] = json!(audience), message);
    }
}

#[test]
fn step_6_a_trailing_slash_of_the_audience_is_ignored() {
    let sandbox = Sandbox::with(|_| {});
    for audience in ["https://www.nuget.org/", "https://www.nuget.org"] {
        assert_eq!(exchange(&sandbox, &sandbox.forge(audience, |_| {})).status, 200, "{audience}");
    }
    let list = sandbox.forge(AUDIENCE, |claims| claims["aud"] = json!(["https://www.nuget.org/"]));
    assert_eq!(exchange(&sandbox, &list).status, 200);
}

#[test]
fn step_6_an_issuer_with_an_enterprise_slug_cannot_be_validated() {
    let slug = json!("https://token.actions.githubusercontent.com/contoso");
    assert_token_refused(|claims| claims["iss"] = slug, "The JSON web token could not be validated.");
}

#[test]
fn step_7_only_policies_that_the_user_created_are_evaluated() {
    assert_config_refused(|config| config.policies.clear(), 401, NO_POLICY);
    let other = |config: &mut Config| {
        config.users.push(Account { name: "another-user".to_owned(), ..config.users[0].clone() });
        config.policies[0].created_by = "another-user".to_owned();
    };
    assert_config_refused(other, 401, NO_POLICY);
    // The most frequent mistake: the policy's owner instead of its creator.
    let sandbox = Sandbox::with(|_| {});
    let message = "No matching trust policy owned by user 'contoso' was found.";
    assert_refused(&exchange_for(&sandbox, &fresh(&sandbox), "contoso"), 401, message);
}

#[test]
fn step_7_a_missing_or_blank_required_claim_is_disclosed() {
    for claim in ["repository", "repository_owner", "repository_owner_id", "repository_id", "event_name"] {
        let message = format!("The JSON Web Token is missing the required claim '{claim}'.");
        assert_token_refused(|claims| drop(claims.remove(claim)), &message);
        assert_token_refused(|claims| claims[claim] = json!(" "), &message);
    }
}

#[test]
fn step_7_a_different_owner_or_repository_is_not_disclosed_and_case_is_ignored() {
    assert_config_refused(|config| config.policies[0].repository_owner = "fabrikam".to_owned(), 401, NO_POLICY);
    assert_config_refused(|config| config.policies[0].repository = "other".to_owned(), 401, NO_POLICY);
    let sandbox = Sandbox::with(|config| {
        config.policies[0].repository_owner = "CONTOSO".to_owned();
        config.policies[0].repository = "Contoso-SDK".to_owned();
        config.policies[0].workflow = "Release.YML".to_owned();
    });
    assert_eq!(exchange_for(&sandbox, &fresh(&sandbox), "Contoso-Bot").status, 200);
}

#[test]
fn step_7_a_policy_of_a_public_repository_is_permanent_from_its_creation() {
    let sandbox = Sandbox::with(|_| {});
    let ids = RepositoryIds { repository_id: "615301293".to_owned(), repository_owner_id: "84120337".to_owned() };
    assert_eq!(sandbox.policies()[0].used_by, Some(ids));
    sandbox.advance(Duration::days(300));
    assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 200);
    // A deleted repository that was created again has another ID.
    let again = sandbox.forge(AUDIENCE, |claims| claims["repository_id"] = json!("615301294"));
    assert_refused(&exchange(&sandbox, &again), 401, NO_POLICY);
}

#[test]
fn step_7_a_policy_of_another_repository_has_no_ids_at_its_creation() {
    let ids = |change: fn(&mut Config)| Sandbox::with(change).policies()[0].used_by.clone();
    assert_eq!(ids(|config| config.policies[0].repository = "contoso-cli".to_owned()), None);
    assert_eq!(ids(|config| config.policies[0].repository_owner = "fabrikam".to_owned()), None);
    assert_eq!(ids(|config| config.job.repository_visibility = Visibility::Internal), None);
    assert_ne!(ids(|config| config.policies[0].repository = "Contoso-SDK".to_owned()), None);
}

#[test]
fn step_7_a_policy_of_a_private_repository_expires_after_seven_days_without_use() {
    assert_config_refused(
        |config| config.policies[0].age_days = 8,
        401,
        "The policy 'contoso-sdk release' has expired. Sign in and renew the trust policy on the Trusted Publishing \
         page.",
    );
    let sandbox = private(|_| {});
    sandbox.advance(Duration::days(7) + Duration::minutes(1));
    assert_refused(
        &exchange(&sandbox, &fresh(&sandbox)),
        401,
        "The policy 'contoso-sdk release' has expired. Sign in and renew the trust policy on the Trusted Publishing \
         page.",
    );
    let sandbox = private(|_| {});
    sandbox.advance(Duration::days(7) - Duration::minutes(1));
    assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 200);
    sandbox.advance(Duration::days(300));
    assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 200, "permanent since its first use");
    let renewed = private(|config| config.policies[0].age_days = 6);
    assert_eq!(exchange(&renewed, &fresh(&renewed)).status, 200);
}

#[test]
fn step_7_the_first_use_saves_the_ids_even_if_a_later_check_fails() {
    let sandbox = private(|config| config.policies[0].workflow = "publish.yml".to_owned());
    assert_eq!(sandbox.policies()[0].used_by, None);
    assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 401);
    let ids = RepositoryIds { repository_id: "615301293".to_owned(), repository_owner_id: "84120337".to_owned() };
    assert_eq!(sandbox.policies()[0].used_by, Some(ids));
}

#[test]
fn step_7_other_ids_of_owner_or_repository_are_not_disclosed() {
    let used_by = |repository_id: &str, repository_owner_id: &str| {
        Some(RepositoryIds {
            repository_id: repository_id.to_owned(),
            repository_owner_id: repository_owner_id.to_owned(),
        })
    };
    assert_config_refused(|config| config.policies[0].used_by = used_by("1", "84120337"), 401, NO_POLICY);
    assert_config_refused(|config| config.policies[0].used_by = used_by("615301293", "1"), 401, NO_POLICY);
}

#[test]
fn step_7_the_event_pull_request_target_is_not_allowed() {
    let message = "The GitHub Actions event 'pull_request_target' is not allowed.";
    assert_config_refused(|config| config.job.event_name = "pull_request_target".to_owned(), 401, message);
}

#[test]
fn step_7_the_workflow_file_must_define_the_job() {
    assert_token_refused(
        |claims| drop(claims.remove("job_workflow_ref")),
        "The JSON Web Token is missing the required claim 'job_workflow_ref'.",
    );
    for reusable in [
        "contoso/workflows/.github/workflows/publish.yml@refs/heads/main",
        "contoso/contoso-sdk/.github/workflows/release.yml",
    ] {
        let message = format!(
            "Claim 'job_workflow_ref' has value '{reusable}' which does not start with \
             contoso/contoso-sdk/.github/workflows/."
        );
        assert_config_refused(|config| config.job.job_workflow_ref = Some(reusable.to_owned()), 401, &message);
    }
    assert_config_refused(
        |config| config.policies[0].workflow = "publish.yml".to_owned(),
        401,
        "Workflow mismatch for policy 'contoso-sdk release': expected 'publish.yml', actual 'release.yml'",
    );
}

#[test]
fn step_7_the_environment_is_checked_only_if_the_policy_has_one() {
    let needs_production = |config: &mut Config| config.policies[0].environment = "Production".to_owned();
    assert_config_refused(
        needs_production,
        401,
        "Environment mismatch for policy 'contoso-sdk release': expected 'Production', actual ''",
    );
    let in_staging = |config: &mut Config| {
        needs_production(config);
        config.job.environment = Some("staging".to_owned());
    };
    assert_config_refused(
        in_staging,
        401,
        "Environment mismatch for policy 'contoso-sdk release': expected 'Production', actual 'staging'",
    );
    let in_production = |config: &mut Config| {
        needs_production(config);
        config.job.environment = Some("production".to_owned());
    };
    let any = |config: &mut Config| config.job.environment = Some("any".to_owned());
    for sandbox in [Sandbox::with(in_production), Sandbox::with(any)] {
        assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 200);
    }
}

#[test]
fn step_7_disclosed_reasons_are_joined_from_the_oldest_policy_on() {
    let several = |config: &mut Config| {
        let policy = |name: &str, change: fn(&mut Policy)| {
            let mut policy = Policy { name: name.to_owned(), ..Config::default().policies[0].clone() };
            change(&mut policy);
            policy
        };
        config.policies = vec![
            policy("one", |policy| policy.workflow = "a.yml".to_owned()),
            policy("two", |policy| policy.repository = "hidden".to_owned()),
            policy("three", |policy| policy.age_days = 30),
            policy("four", |policy| policy.environment = "e".to_owned()),
        ];
    };
    assert_config_refused(
        several,
        401,
        "Workflow mismatch for policy 'one': expected 'a.yml', actual 'release.yml'. The policy 'three' has expired. \
         Sign in and renew the trust policy on the Trusted Publishing page. Environment mismatch for policy 'four': \
         expected 'e', actual ''",
    );
}

#[test]
fn step_7_the_oldest_of_several_matching_policies_is_used() {
    let sandbox = Sandbox::with(|config| {
        let policy = config.policies[0].clone();
        let scoped = |name: &str, scope| Policy { name: name.to_owned(), scopes: vec![scope], ..policy.clone() };
        let mismatch = Policy { workflow: "other.yml".to_owned(), ..policy.clone() };
        config.policies = vec![mismatch, scoped("older", Scope::Unlist), scoped("newer", Scope::All)];
    });
    let answer = exchange(&sandbox, &fresh(&sandbox));
    let key = answer.json()["apiKey"].as_str().unwrap().to_owned();
    let package = sandbox::package::build("my-sdk", "1.0.0");
    // The newer policy would allow it.
    assert_eq!(wire::push(sandbox.base_url(), Some(&key), &package).unwrap().status, 403);
}

#[test]
fn step_7_a_newer_policy_is_used_if_the_older_does_not_match() {
    let sandbox = Sandbox::with(|config| {
        let mut other = config.policies[0].clone();
        other.workflow = "other.yml".to_owned();
        config.policies.insert(0, other);
    });
    assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 200);
}

#[test]
fn step_8_locked_unconfirmed_and_deleted_accounts_are_refused() {
    let refuses = |change: fn(&mut Config), message| assert_config_refused(change, 400, message);
    refuses(|config| config.users[0].locked = true, "The user 'contoso-bot' is locked.");
    refuses(
        |config| config.users[0].confirmed = false,
        "The user 'contoso-bot' does not have a confirmed email address.",
    );
    refuses(|config| config.organizations[0].locked = true, "The organization 'contoso' is locked.");
    refuses(
        |config| config.organizations[0].confirmed = false,
        "The organization 'contoso' does not have a confirmed email address.",
    );
    refuses(
        |config| config.organizations[0].deleted = true,
        "The package owner of the match trust policy not longer exists.",
    );
    refuses(
        |config| config.organizations[0].members.clear(),
        "The scopes on the generated API key are not valid. Confirm that you still have permissions to operate on \
         behalf of package owner 'contoso'.",
    );
}

#[test]
fn step_8_accounts_are_checked_after_the_policies() {
    let locked_without_policy = |config: &mut Config| {
        config.users[0].locked = true;
        config.policies.clear();
    };
    assert_config_refused(locked_without_policy, 401, NO_POLICY);
}

#[test]
fn step_8_an_organization_with_a_policy_is_refused() {
    let sandbox = Sandbox::with(|config| config.policies[0].created_by = "contoso".to_owned());
    assert_refused(
        &exchange_for(&sandbox, &fresh(&sandbox), "contoso"),
        400,
        "Generating fetching tokens directly for organizations is not supported. The trust policy is created on the \
         profile of one of the organization's administrators and is scoped to the organization in the policy.",
    );
}

#[test]
fn step_9_each_token_can_be_exchanged_once() {
    let sandbox = Sandbox::with(|_| {});
    let token = fresh(&sandbox);
    assert_eq!(exchange(&sandbox, &token).status, 200);
    let message = "This bearer token has already been used. A new bearer token must be used for each request.";
    assert_refused(&exchange(&sandbox, &token), 401, message);
    assert_eq!(sandbox.api_keys().len(), 1);
    assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 200);
}

#[test]
fn step_10_a_second_key_of_one_user_within_30_seconds_is_a_429() {
    let sandbox = Sandbox::with(|config| config.service.seconds_between_keys = 30.0);
    assert_eq!(exchange(&sandbox, &fresh(&sandbox)).status, 200);
    let token = fresh(&sandbox);
    let answer = exchange(&sandbox, &token);
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(answer.status == 429 && (1..=30).contains(&seconds), "{answer:?}");
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
    sandbox.advance(Duration::seconds(30));
    assert_eq!(exchange(&sandbox, &token).status, 200, "a token is still valid after a 429");
}

//! The issuers: another JWT library accepts their tokens with the published metadata.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use sandbox::Sandbox;
use sandbox::config::Visibility;
use sandbox::wire::{Answer, send};
use serde_json::Value;

fn get(sandbox: &Sandbox, path: &str, bearer: Option<&str>) -> Answer {
    let bearer = bearer.map(|token| format!("Bearer {token}"));
    let headers: Vec<(&str, &[u8])> = bearer.iter().map(|it| ("Authorization", it.as_bytes())).collect();
    send(sandbox.base_url(), &format!("GET {path}"), &headers, b"").unwrap()
}

fn issue(sandbox: &Sandbox, query: &str) -> String {
    let url = sandbox.id_token_request_url();
    let path = format!("{}{query}", url.strip_prefix(sandbox.base_url()).unwrap());
    let answer = get(sandbox, &path, Some(sandbox.request_token()));
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let token = json["value"].as_str().unwrap().to_owned();
    assert_eq!(json["count"], token.len());
    token
}

/// The claims, if another library accepts the token with the published key.
fn accepted(sandbox: &Sandbox, token: &str, audience: &str) -> Result<Value, jsonwebtoken::errors::Error> {
    accepted_at(sandbox, "", token, audience)
}

fn accepted_at(
    sandbox: &Sandbox,
    folder: &str,
    token: &str,
    audience: &str,
) -> Result<Value, jsonwebtoken::errors::Error> {
    let metadata = get(sandbox, &format!("{folder}/.well-known/openid-configuration"), None).json();
    let jwks = metadata["jwks_uri"].as_str().unwrap().strip_prefix(sandbox.base_url()).unwrap().to_owned();
    let keys: JwkSet = serde_json::from_value(get(sandbox, &jwks, None).json()).unwrap();
    let key = keys.find(&decode_header(token)?.kid.unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&[audience]);
    validation.set_issuer(&[metadata["issuer"].as_str().unwrap()]);
    validation.validate_nbf = true;
    Ok(decode::<Value>(token, &DecodingKey::from_jwk(key)?, &validation)?.claims)
}

#[test]
fn a_token_is_accepted_by_another_library_with_the_published_keys() {
    let sandbox = Sandbox::with(|_| {});
    let token = issue(&sandbox, "&audience=https%3A%2F%2Fwww.nuget.org");
    let claims = accepted(&sandbox, &token, "https://www.nuget.org").unwrap();
    for (claim, value) in [
        ("iss", "https://token.actions.githubusercontent.com"),
        ("aud", "https://www.nuget.org"),
        ("sub", "repo:contoso/contoso-sdk:ref:refs/tags/v1.0.0"),
        ("repository", "contoso/contoso-sdk"),
        ("repository_owner", "contoso"),
        ("repository_id", "615301293"),
        ("repository_owner_id", "84120337"),
        ("repository_visibility", "public"),
        ("event_name", "push"),
        ("ref", "refs/tags/v1.0.0"),
        ("ref_type", "tag"),
        ("workflow_ref", "contoso/contoso-sdk/.github/workflows/release.yml@refs/tags/v1.0.0"),
        ("job_workflow_ref", "contoso/contoso-sdk/.github/workflows/release.yml@refs/tags/v1.0.0"),
        ("actor", "octocat"),
        ("runner_environment", "github-hosted"),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    for claim in ["jti", "sha", "run_id", "workflow", "actor_id"] {
        assert!(claims[claim].as_str().is_some_and(|value| !value.is_empty()), "{claim}");
    }
    assert!(claims["nbf"].as_i64().unwrap() <= claims["iat"].as_i64().unwrap());
    assert_eq!(claims.get("environment"), None);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
}

#[test]
fn gitlabs_token_is_accepted_only_with_gitlabs_keys() {
    let sandbox = Sandbox::with(|config| config.gitlab_job.as_mut().unwrap().environment = Some("production".into()));
    let token = sandbox.gitlab_id_token("https://www.nuget.org", |_| {});
    let claims = accepted_at(&sandbox, "/gitlab", &token, "https://www.nuget.org").unwrap();
    for (claim, value) in [
        ("iss", "https://gitlab.com"),
        ("sub", "project_path:contoso/contoso-sdk:ref_type:branch:ref:main"),
        ("namespace_path", "contoso"),
        ("project_path", "contoso/contoso-sdk"),
        ("namespace_id", "7734112"),
        ("project_id", "51290387"),
        ("ref", "main"),
        ("ref_type", "branch"),
        ("ref_path", "refs/heads/main"),
        ("environment", "production"),
    ] {
        assert_eq!(claims[claim], value, "{claim}");
    }
    assert!(accepted(&sandbox, &sandbox.forge("a", |_| {}), "a").is_ok());
    assert!(accepted_at(&sandbox, "/gitlab", &sandbox.gitlab_id_token("b", |_| {}), "a").is_err());
    let keys =
        |folder: &str| get(&sandbox, &format!("{folder}/.well-known/jwks"), None).json()["keys"][0]["kid"].clone();
    assert_ne!(keys(""), keys("/gitlab"));
}

#[test]
fn a_changed_token_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let token = issue(&sandbox, "&audience=a");
    let other = issue(&sandbox, "&audience=b");
    let (signed, _) = other.rsplit_once('.').unwrap();
    let (_, signature) = token.rsplit_once('.').unwrap();
    assert!(accepted(&sandbox, &token, "a").is_ok());
    assert!(accepted(&sandbox, &format!("{signed}.{signature}"), "b").is_err());
}

#[test]
fn every_token_has_its_own_id_and_the_requested_audience() {
    let sandbox = Sandbox::with(|_| {});
    let claims = |query: &str, audience: &str| accepted(&sandbox, &issue(&sandbox, query), audience).unwrap();
    let one = claims("&audience=a%26b%20c%2B", "a&b c+");
    let two = claims("&audience=a%26b%20c%2B", "a&b c+");
    assert_ne!(one["jti"], two["jti"]);
    claims("", "https://github.com/contoso");
}

#[test]
fn the_claims_are_configurable() {
    let sandbox = Sandbox::with(|config| {
        config.job.environment = Some("production".to_owned());
        config.job.job_workflow_ref = Some("a/b/.github/workflows/c.yml@main".to_owned());
        config.job.omit_claims = vec!["actor".to_owned()];
        config.job.claims.insert("run_id".to_owned(), "7".into());
        config.job.r#ref = "refs/heads/main".to_owned();
        config.job.repository_visibility = Visibility::Private;
    });
    let claims = accepted(&sandbox, &issue(&sandbox, "&audience=a"), "a").unwrap();
    assert_eq!(claims["environment"], "production");
    assert_eq!(claims["sub"], "repo:contoso/contoso-sdk:environment:production");
    assert_eq!(claims["job_workflow_ref"], "a/b/.github/workflows/c.yml@main");
    assert_eq!(claims["ref_type"], "branch");
    assert_eq!(claims["run_id"], "7");
    assert_eq!(claims["repository_visibility"], "private");
    assert_eq!(claims.get("actor"), None);
}

#[test]
fn the_request_token_is_required() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.id_token_request_url();
    let path = url.strip_prefix(sandbox.base_url()).unwrap();
    for bearer in [None, Some("wrong")] {
        assert_eq!(get(&sandbox, path, bearer).status, 401);
    }
    assert!(sandbox.id_tokens().is_empty());
}

//! The push endpoint, as NuGet clients use it.

use sandbox::Sandbox;
use sandbox::config::{Account, Config, Package, Policy, Scope};
use sandbox::package::build;
use sandbox::wire::{Answer, exchange, push, send};
use serde_json::json;
use time::Duration;

const NOT_AUTHORIZED: &str =
    "The specified API key is invalid, has expired, or does not have permission to access the specified package.";

/// A key for the seed job.
fn key(sandbox: &Sandbox) -> String {
    let token = sandbox.forge("https://www.nuget.org", |_| {});
    let answer = exchange(sandbox.base_url(), &token, "contoso-bot").unwrap();
    answer.json()["apiKey"].as_str().unwrap().to_owned()
}

fn push_version(sandbox: &Sandbox, key: &str, id: &str, version: &str) -> Answer {
    push(sandbox.base_url(), Some(key), &build(id, version)).unwrap()
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!((answer.status, answer.reason.as_str(), answer.body.as_str()), (status, message, message));
}

/// What a push of `my-sdk` 1.0.0 meets in a world where the policy was changed.
#[track_caller]
fn assert_policy_refuses(change: impl FnOnce(&mut Config, &mut Policy), id: &str) {
    let sandbox = Sandbox::with(|config| {
        let mut policy = config.policies[0].clone();
        change(config, &mut policy);
        config.policies[0] = policy;
    });
    assert_refused(&push_version(&sandbox, &key(&sandbox), id, "1.0.0"), 403, NOT_AUTHORIZED);
    assert!(!sandbox.has_package(id, "1.0.0"));
}

#[test]
fn the_index_lists_the_push_endpoint_and_the_token_service() {
    let sandbox = Sandbox::with(|_| {});
    let index = send(sandbox.base_url(), "GET /v3/index.json", &[], b"").unwrap().json();
    assert_eq!(index["version"], "3.0.0");
    let of_type = |kind: &str| {
        let resources = index["resources"].as_array().unwrap();
        resources.iter().find(|resource| resource["@type"] == kind).unwrap()["@id"].clone()
    };
    assert_eq!(of_type("PackagePublish/2.0.0"), json!(sandbox.push_url().trim_end_matches('/')));
    assert_eq!(of_type("TokenService/1.0.0"), json!(sandbox.token_service_url()));
}

#[test]
fn a_key_serves_any_number_of_pushes_until_it_expires() {
    let sandbox = Sandbox::with(|_| {});
    let key = key(&sandbox);
    for version in ["1.0.0", "1.1.0"] {
        assert_eq!(push_version(&sandbox, &key, "my-sdk", version).status, 201);
        assert!(sandbox.has_package("My-SDK", version));
    }
    sandbox.advance(Duration::hours(1) + Duration::seconds(1));
    assert_refused(&push_version(&sandbox, &key, "my-sdk", "1.2.0"), 403, NOT_AUTHORIZED);
}

#[test]
fn a_package_can_be_the_body_itself() {
    let sandbox = Sandbox::with(|_| {});
    let key = key(&sandbox);
    let headers: [(&str, &[u8]); 1] = [("X-NuGet-ApiKey", key.as_bytes())];
    let answer = send(sandbox.base_url(), "PUT /api/v2/package", &headers, &build("my-sdk", "1.0.0")).unwrap();
    assert_eq!(answer.status, 201);
}

#[test]
fn a_package_can_be_large() {
    let sandbox = Sandbox::with(|_| {});
    // What stands before an archive is not read.
    let package = [vec![0; 5_000_000], build("my-sdk", "1.0.0")].concat();
    assert_eq!(push(sandbox.base_url(), Some(&key(&sandbox)), &package).unwrap().status, 201);
}

#[test]
fn a_push_needs_a_key_that_was_made_here() {
    let sandbox = Sandbox::with(|_| {});
    let package = build("my-sdk", "1.0.0");
    let answer = push(sandbox.base_url(), None, &package).unwrap();
    assert_refused(&answer, 401, "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service");
    assert_eq!(answer.header("www-authenticate"), Some("ApiKey realm=\"127.0.0.1\""));
    assert_refused(&push(sandbox.base_url(), Some(&"x".repeat(84)), &package).unwrap(), 403, NOT_AUTHORIZED);
}

#[test]
fn a_body_that_is_not_a_package_is_a_bad_request() {
    let sandbox = Sandbox::with(|_| {});
    let answer = push(sandbox.base_url(), Some(&key(&sandbox)), b"not a zip").unwrap();
    let message = "Failed to read the package file. Ensure it is a valid NuGet package with a valid manifest.";
    assert_refused(&answer, 400, message);
}

#[test]
fn a_version_is_pushed_once() {
    let sandbox = Sandbox::with(|_| {});
    let key = key(&sandbox);
    assert_eq!(push_version(&sandbox, &key, "my-sdk", "1.0").status, 201);
    let message = "A package with ID 'My-SDK' and version '1.0.0' already exists and cannot be modified.";
    assert_refused(&push_version(&sandbox, &key, "My-SDK", "1.0.0+build.7"), 409, message);
}

#[test]
fn a_key_carries_its_policys_owner_scopes_and_globs() {
    let with_package = |config: &mut Config, owner: &str| {
        config.users.push(Account { name: "fabrikam".to_owned(), ..config.users[0].clone() });
        let package = Package { id: "my-sdk".to_owned(), owner: owner.to_owned(), versions: vec!["0.9.0".to_owned()] };
        config.packages.push(package);
    };
    assert_policy_refuses(|config, _| with_package(config, "fabrikam"), "my-sdk");
    assert_policy_refuses(|_, policy| policy.scopes = vec![Scope::PushVersion], "my-sdk");
    assert_policy_refuses(|_, policy| policy.scopes = vec![Scope::Unlist, Scope::Verify], "my-sdk");
    assert_policy_refuses(|_, policy| policy.packages = vec!["my-*".to_owned()], "other");

    let sandbox = Sandbox::with(|config| {
        with_package(config, "contoso");
        config.policies[0].scopes = vec![Scope::PushVersion];
        config.policies[0].packages = vec!["My-*".to_owned()];
    });
    assert_eq!(push_version(&sandbox, &key(&sandbox), "my-sdk", "1.0.0").status, 201);
}

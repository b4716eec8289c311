//! `verifykey`: whether a key allows a push of an ID, without a push.

use sandbox::Sandbox;
use sandbox::config::{Account, Config, Package, Scope};
use sandbox::faults::Route;
use sandbox::wire::{Answer, exchange, verify_key};
use serde_json::json;
use time::Duration;

const NOT_AUTHORIZED: &str =
    "The specified API key is invalid, has expired, or does not have permission to access the specified package.";

/// A sandbox with version 1.0.0 of `My-SDK`, and a key for the default job.
fn start(change: impl FnOnce(&mut Config)) -> (Sandbox, String) {
    let sandbox = Sandbox::with(|config| {
        let (id, owner) = ("My-SDK".to_owned(), "contoso".to_owned());
        config.packages.push(Package { id, owner, versions: vec!["1.0.0".to_owned()] });
        change(config);
    });
    let token = sandbox.forge("https://www.nuget.org", |_| {});
    let answer = exchange(sandbox.base_url(), &token, "contoso-bot").unwrap();
    let key = answer.json()["apiKey"].as_str().unwrap().to_owned();
    (sandbox, key)
}

fn verify(change: impl FnOnce(&mut Config)) -> Answer {
    let (sandbox, key) = start(change);
    verify_key(sandbox.base_url(), Some(&key), "my-sdk", "1.0").unwrap()
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!((answer.status, answer.reason.as_str(), answer.body.as_str()), (status, message, message));
}

#[test]
fn a_key_that_allows_a_push_is_a_200_with_an_empty_object() {
    let scopes = |scope: Scope| move |config: &mut Config| config.policies[0].scopes = vec![scope];
    let globs = |config: &mut Config| config.policies[0].packages = vec!["other".to_owned(), "my-*".to_owned()];
    let answers = [verify(|_| {}), verify(scopes(Scope::Push)), verify(scopes(Scope::PushVersion)), verify(globs)];
    for answer in answers {
        assert_eq!((answer.status, answer.json()), (200, json!({})), "{answer:?}");
        assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    }
}

#[test]
fn a_key_can_be_verified_again_and_is_still_valid() {
    let (sandbox, key) = start(|_| {});
    for _ in 0..2 {
        assert_eq!(verify_key(sandbox.base_url(), Some(&key), "my-sdk", "1.0.0").unwrap().status, 200);
    }
    let package = sandbox::package::build("my-sdk", "1.1.0");
    assert_eq!(sandbox::wire::push(sandbox.base_url(), Some(&key), &package).unwrap().status, 201);
    assert_eq!(sandbox.requests().iter().filter(|request| request.route == Route::VerifyKey).count(), 2);
}

#[test]
fn a_key_that_does_not_allow_a_push_is_a_403() {
    let refused = |change: fn(&mut Config)| assert_refused(&verify(change), 403, NOT_AUTHORIZED);
    refused(|config| config.policies[0].scopes = vec![Scope::Unlist]);
    refused(|config| config.policies[0].scopes = vec![Scope::Verify]);
    refused(|config| config.policies[0].packages = vec!["other".to_owned()]);
    refused(|config| {
        config.users.push(Account { name: "fabrikam".to_owned(), ..config.users[0].clone() });
        config.packages[0].owner = "fabrikam".to_owned();
    });
    let message = "The specified API key is scoped to an owner that is locked. Please contact support@nuget.org.";
    assert_refused(&verify(|config| config.organizations[0].locked_after_login = true), 403, message);
}

#[test]
fn a_version_that_does_not_exist_is_a_404() {
    let (sandbox, key) = start(|config| config.policies[0].packages = vec!["my-*".to_owned()]);
    for (id, version) in [("My-SDK", "1.0.1"), ("my-other", "1.0.0"), ("Other", "1.0.0")] {
        let message = format!("A package with ID '{id}' and version '{version}' does not exist.");
        assert_refused(&verify_key(sandbox.base_url(), Some(&key), id, version).unwrap(), 404, &message);
    }
}

#[test]
fn a_missing_key_is_a_401_and_an_invalid_key_is_a_403() {
    let (sandbox, key) = start(|_| {});
    for version in ["1.0.0", "9.9.9"] {
        let answer = verify_key(sandbox.base_url(), None, "my-sdk", version).unwrap();
        let message = "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service";
        assert_refused(&answer, 401, message);
        assert_eq!(answer.header("www-authenticate"), Some("ApiKey realm=\"127.0.0.1\""));
        let answer = verify_key(sandbox.base_url(), Some(&"x".repeat(84)), "my-sdk", version).unwrap();
        assert_refused(&answer, 403, NOT_AUTHORIZED);
    }
    sandbox.advance(Duration::hours(1) + Duration::seconds(1));
    assert_refused(&verify_key(sandbox.base_url(), Some(&key), "my-sdk", "1.0.0").unwrap(), 403, NOT_AUTHORIZED);
}

//! The push endpoint for packages, with the requests of NuGet clients.

use sandbox::Sandbox;
use sandbox::config::{Account, Config, Package, Policy, ReservedPrefix, Scope};
use sandbox::package::{build, build_symbols};
use sandbox::wire::{Answer, exchange, push, send};
use serde_json::json;
use time::Duration;

const NO_KEY: &str = "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service";
const NOT_AUTHORIZED: &str =
    "The specified API key is invalid, has expired, or does not have permission to access the specified package.";

/// A key for the default job.
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

/// A push of version 1.0.0 with a changed policy is refused with this status and message.
#[track_caller]
fn assert_push_refused(id: &str, change: impl FnOnce(&mut Config, &mut Policy), status: u16, message: &str) {
    let sandbox = Sandbox::with(|config| {
        let mut policy = config.policies[0].clone();
        change(config, &mut policy);
        config.policies[0] = policy;
    });
    assert_refused(&push_version(&sandbox, &key(&sandbox), id, "1.0.0"), status, message);
    assert!(!sandbox.has_package(id, "1.0.0"));
}

fn with_package(config: &mut Config, owner: &str) {
    config.users.push(Account { name: "fabrikam".to_owned(), ..config.users[0].clone() });
    let versions = vec!["0.9.0".to_owned()];
    config.packages.push(Package { id: "my-sdk".to_owned(), owner: owner.to_owned(), versions });
}

#[test]
fn the_index_lists_the_push_endpoints_and_the_token_service() {
    let sandbox = Sandbox::with(|_| {});
    let index = send(sandbox.base_url(), "GET /v3/index.json", &[], b"").unwrap().json();
    assert_eq!(index["version"], "3.0.0");
    let of_type = |kind: &str| {
        let resources = index["resources"].as_array().unwrap();
        resources.iter().find(|resource| resource["@type"] == kind).unwrap()["@id"].clone()
    };
    assert_eq!(of_type("PackagePublish/2.0.0"), json!(sandbox.push_url().trim_end_matches('/')));
    assert_eq!(of_type("SymbolPackagePublish/4.9.0"), format!("{}/api/v2/symbolpackage", sandbox.base_url()));
    assert_eq!(of_type("TokenService/1.0.0"), json!(sandbox.token_service_url()));
}

#[test]
fn a_key_is_valid_for_any_number_of_pushes_until_it_expires() {
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
    // A zip archive can begin with any bytes.
    let package = [vec![0; 5_000_000], build("my-sdk", "1.0.0")].concat();
    assert_eq!(push(sandbox.base_url(), Some(&key(&sandbox)), &package).unwrap().status, 201);
}

#[test]
fn a_missing_key_is_a_401_and_an_unknown_key_is_a_403() {
    let sandbox = Sandbox::with(|_| {});
    let package = build("my-sdk", "1.0.0");
    for key in [None, Some("")] {
        let answer = push(sandbox.base_url(), key, &package).unwrap();
        assert_refused(&answer, 401, NO_KEY);
        assert_eq!(answer.header("www-authenticate"), Some("ApiKey realm=\"127.0.0.1\""));
    }
    assert_refused(&push(sandbox.base_url(), Some(&"x".repeat(84)), &package).unwrap(), 403, NOT_AUTHORIZED);
}

#[test]
fn the_key_is_checked_before_the_body() {
    let sandbox = Sandbox::with(|config| config.policies[0].scopes = vec![Scope::Unlist]);
    let without_push = key(&sandbox);
    let form: (&str, &[u8]) = ("Content-Type", b"multipart/form-data");
    let put = |key: &str| {
        let headers = [form, ("X-NuGet-ApiKey", key.as_bytes())];
        send(sandbox.base_url(), "PUT /api/v2/package", &headers, b"not a form").unwrap()
    };
    let without_key = send(sandbox.base_url(), "PUT /api/v2/package", &[form], b"not a form").unwrap();
    assert_refused(&without_key, 401, NO_KEY);
    assert_refused(&put("unknown"), 403, NOT_AUTHORIZED);
    assert_refused(&put(&without_push), 403, NOT_AUTHORIZED);
    let sandbox = Sandbox::with(|_| {});
    let headers = [form, ("X-NuGet-ApiKey", key(&sandbox).into_bytes().leak() as &[u8])];
    let answer = send(sandbox.base_url(), "PUT /api/v2/package", &headers, b"not a form").unwrap();
    assert_eq!(answer.status, 400, "a valid key: {answer:?}");
}

#[test]
fn a_body_that_is_not_a_package_is_a_bad_request() {
    let sandbox = Sandbox::with(|_| {});
    let answer = push(sandbox.base_url(), Some(&key(&sandbox)), b"not a zip").unwrap();
    let message = "Failed to read the package file. Ensure it is a valid NuGet package with a valid manifest.";
    assert_refused(&answer, 400, message);
}

#[test]
fn a_symbol_package_at_the_endpoint_for_packages_is_a_bad_request() {
    let sandbox = Sandbox::with(|_| {});
    let answer = push(sandbox.base_url(), Some(&key(&sandbox)), &build_symbols("my-sdk", "1.0.0")).unwrap();
    let message = "Snupkg upload failed. Please use latest NuGet clients (v 4.9.0 or above) and a V3 endpoint to push \
                   Symbol packages. For details, refer \
                   https://docs.microsoft.com/nuget/create-packages/symbol-packages-snupkg";
    assert_refused(&answer, 400, message);
}

#[test]
fn an_existing_version_is_a_conflict() {
    let sandbox = Sandbox::with(|_| {});
    let key = key(&sandbox);
    assert_eq!(push_version(&sandbox, &key, "my-sdk", "1.0").status, 201);
    let message = "A package with ID 'My-SDK' and version '1.0.0' already exists and cannot be modified.";
    assert_refused(&push_version(&sandbox, &key, "My-SDK", "1.0.0+build.7"), 409, message);
}

#[test]
fn a_push_outside_the_policys_owner_scopes_or_globs_is_a_403() {
    let refused = |id: &str, change: fn(&mut Config, &mut Policy)| assert_push_refused(id, change, 403, NOT_AUTHORIZED);
    refused("my-sdk", |config, _| with_package(config, "fabrikam"));
    refused("my-sdk", |_, policy| policy.scopes = vec![Scope::PushVersion]);
    refused("my-sdk", |_, policy| policy.scopes = vec![Scope::Unlist, Scope::Verify]);
    refused("my-sdk", |config, policy| {
        with_package(config, "contoso");
        policy.scopes = vec![Scope::Verify];
    });
    refused("other", |_, policy| policy.packages = vec!["my-*".to_owned(), "their-sdk".to_owned()]);
}

#[test]
fn a_push_inside_the_policys_owner_scopes_and_globs_is_accepted() {
    let pushed = |scopes: &[Scope], is_new: bool| {
        let sandbox = Sandbox::with(|config| {
            if !is_new {
                with_package(config, "contoso");
            }
            config.policies[0].scopes = scopes.to_vec();
            config.policies[0].packages = vec!["other".to_owned(), "My-*".to_owned()];
        });
        push_version(&sandbox, &key(&sandbox), "my-sdk", "1.0.0").status == 201
    };
    for scopes in [&[Scope::All][..], &[Scope::Push], &[Scope::Unlist, Scope::Push]] {
        assert!(pushed(scopes, true) && pushed(scopes, false), "{scopes:?}");
    }
    assert!(pushed(&[Scope::PushVersion], false));
}

#[test]
fn scopes_and_globs_are_read_from_the_config() {
    let seed = include_str!("../src/contoso.toml");
    let scoped = seed.replace("# scopes = [", "scopes = [");
    let config = Config::parse(&scoped.replace("# packages = [", "packages = [")).unwrap();
    assert_eq!(config.policies[0].scopes, [Scope::PushVersion]);
    assert_eq!(config.policies[0].packages, ["my-*"]);
    assert_eq!(Config::parse(&seed.replace("# packages = [", "globs = [")).unwrap().policies[0].packages, ["my-*"]);
    let policy = &Config::default().policies[0];
    assert_eq!((policy.scopes.as_slice(), policy.packages.as_slice()), (&[Scope::All][..], &["*".to_owned()][..]));
}

#[test]
fn an_owner_that_is_locked_after_the_login_is_a_403() {
    let message = "The specified API key is scoped to an owner that is locked. Please contact support@nuget.org.";
    let locked = |config: &mut Config| config.organizations[0].locked_after_login = true;
    assert_push_refused("my-sdk", |config, _| locked(config), 403, message);
    let with_versions = |config: &mut Config, _: &mut Policy| {
        locked(config);
        with_package(config, "contoso");
    };
    assert_push_refused("my-sdk", with_versions, 403, message);
}

#[test]
fn a_new_id_with_a_reserved_prefix_is_a_conflict() {
    let reserve = |owners: &'static [&'static str]| {
        move |config: &mut Config, _: &mut Policy| {
            let owners = owners.iter().map(|owner| (*owner).to_owned()).collect();
            config.reserved_prefixes.push(ReservedPrefix { prefix: "My-".to_owned(), owners });
        }
    };
    let message = "This package ID has been reserved. Please request access to upload to this reserved namespace from \
                   the owner of the reserved prefix, or re-upload the package with a different ID. Go to \
                   https://docs.microsoft.com/nuget/reference/id-prefix-reservation learn more about Package ID prefix \
                   reservation.";
    assert_push_refused("my-sdk", reserve(&["fabrikam"]), 409, message);
    let message = "The package ID is reserved. You can upload your package with a different package ID. Reach out to \
                   support@nuget.org if you have questions.";
    assert_push_refused("my-sdk", reserve(&[]), 409, message);
}

#[test]
fn a_reserved_prefix_does_not_affect_its_owner_other_ids_and_existing_ids() {
    let reserved = |owner: &'static str| {
        move |config: &mut Config| {
            let owners = vec!["northwind".to_owned(), owner.to_owned()];
            config.reserved_prefixes.push(ReservedPrefix { prefix: "my-".to_owned(), owners });
        }
    };
    let sandbox = Sandbox::with(reserved("Contoso"));
    assert_eq!(push_version(&sandbox, &key(&sandbox), "my-sdk", "1.0.0").status, 201);
    let sandbox = Sandbox::with(reserved("fabrikam"));
    assert_eq!(push_version(&sandbox, &key(&sandbox), "other-my-sdk", "1.0.0").status, 201);
    let sandbox = Sandbox::with(|config| {
        reserved("fabrikam")(config);
        with_package(config, "contoso");
    });
    assert_eq!(push_version(&sandbox, &key(&sandbox), "my-sdk", "1.0.0").status, 201);
}

#[test]
fn reserved_prefixes_are_read_from_the_config() {
    let seed = include_str!("../src/contoso.toml");
    let text = ["[[reserved_prefix]]", "prefix = \"fabrikam.\"", "owners = [\"fabrikam\"]"]
        .iter()
        .fold(seed.to_owned(), |text, line| text.replace(&format!("# {line}"), line));
    let sandbox = Sandbox::start(Config::parse(&text).unwrap(), 0).unwrap();
    assert_eq!(push_version(&sandbox, &key(&sandbox), "Fabrikam.Sdk", "1.0.0").status, 409);
}

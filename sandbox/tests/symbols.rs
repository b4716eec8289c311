//! The push endpoint for symbol packages.

use sandbox::Sandbox;
use sandbox::config::{Account, Config, Package, Scope};
use sandbox::package::{archive, build, build_symbols};
use sandbox::wire::{Answer, exchange, push, push_symbols, send};

const NOT_AUTHORIZED: &str =
    "The specified API key is invalid, has expired, or does not have permission to access the specified package.";
const SYMBOLS: &str = "<packageTypes><packageType name=\"SymbolsPackage\" /></packageTypes>";

/// A key for the default job.
fn key(sandbox: &Sandbox) -> String {
    let token = sandbox.forge("https://www.nuget.org", |_| {});
    let answer = exchange(sandbox.base_url(), &token, "contoso-bot").unwrap();
    answer.json()["apiKey"].as_str().unwrap().to_owned()
}

/// A sandbox with version 1.0.0 of `my-sdk`.
fn with_package(change: impl FnOnce(&mut Config)) -> Sandbox {
    Sandbox::with(|config| {
        let (id, owner) = ("my-sdk".to_owned(), "contoso".to_owned());
        config.packages.push(Package { id, owner, versions: vec!["1.0.0".to_owned()] });
        change(config);
    })
}

fn push_with_key(sandbox: &Sandbox, symbols: &[u8]) -> Answer {
    push_symbols(sandbox.base_url(), Some(&key(sandbox)), symbols).unwrap()
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, message: &str) {
    assert_eq!((answer.status, answer.reason.as_str(), answer.body.as_str()), (status, message, message));
}

#[test]
fn the_key_of_the_package_push_is_valid_for_its_symbols() {
    let sandbox = Sandbox::with(|_| {});
    let (key, symbols) = (key(&sandbox), build_symbols("My-SDK", "1.0"));
    assert_eq!(push(sandbox.base_url(), Some(&key), &build("my-sdk", "1.0.0")).unwrap().status, 201);
    assert_eq!(sandbox.symbols("my-sdk", "1.0.0"), None);
    for path in ["/api/v2/symbolpackage", "/api/v2/symbolpackage/"] {
        let headers: [(&str, &[u8]); 1] = [("X-NuGet-ApiKey", key.as_bytes())];
        let answer = send(sandbox.base_url(), &format!("PUT {path}"), &headers, &symbols).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    assert_eq!(sandbox.symbols("my-sdk", "1.0.0"), Some(symbols));
}

#[test]
fn newer_symbols_replace_older_symbols() {
    let sandbox = with_package(|_| {});
    let newer = archive("my-sdk", "1.0.0", SYMBOLS, &[("newer.pdb", "BSJB")]);
    assert_eq!(push_with_key(&sandbox, &build_symbols("my-sdk", "1.0.0")).status, 201);
    assert_eq!(push_with_key(&sandbox, &newer).status, 201);
    assert_eq!(sandbox.symbols("my-sdk", "1.0.0"), Some(newer));
}

#[test]
fn symbols_of_a_version_that_does_not_exist_are_a_404() {
    let sandbox = with_package(|_| {});
    for (id, version) in [("my-sdk", "1.0.1"), ("Other", "1.0.0")] {
        let message = format!(
            "A package with ID '{id}' and version '{version}' does not exist. Please upload the package before \
             uploading its symbols."
        );
        assert_refused(&push_with_key(&sandbox, &build_symbols(id, version)), 404, &message);
        assert_eq!(sandbox.symbols(id, version), None);
    }
}

#[test]
fn an_invalid_symbol_package_is_a_bad_request() {
    let sandbox = with_package(|_| {});
    let refused = |metadata: &str, files: &[(&str, &str)], message: &str| {
        assert_refused(&push_with_key(&sandbox, &archive("my-sdk", "1.0.0", metadata, files)), 400, message);
    };
    let pdb = ("lib/my-sdk.pdb", "BSJB");
    let no_type =
        "The uploaded package is not a valid symbols package. The required 'SymbolsPackage' package type is missing.";
    assert_refused(&push_with_key(&sandbox, &build("my-sdk", "1.0.0")), 400, no_type);
    let two_types = SYMBOLS.replace("<packageType ", "<packageType name=\"Dependency\" /><packageType ");
    refused(&two_types, &[pdb], no_type);
    let authors = format!("<authors>contoso</authors><owners>contoso</owners>{SYMBOLS}");
    let message = "Invalid metadata items specified in nuspec. Please remove 'Authors,Owners' from the nuspec.";
    refused(&authors, &[pdb], message);
    let message = "Invalid file found in the uploaded package. Symbols packages should only contain '.pdb' files.";
    refused(SYMBOLS, &[pdb, ("lib/my-sdk.dll", "MZ")], message);
    refused(SYMBOLS, &[], "The package does not contain any symbol (.pdb) files.");
    let message = "The NuGet package is invalid. The error encountered was:'End of Central Directory record could not \
                   be found.'. Correct the error and try again.";
    assert_refused(&push_with_key(&sandbox, b"not a zip"), 400, message);
    assert_eq!(sandbox.symbols("my-sdk", "1.0.0"), None);
}

#[test]
fn the_key_is_checked_as_for_a_package() {
    let sandbox = with_package(|_| {});
    let symbols = build_symbols("my-sdk", "1.0.0");
    let message = "An API key must be provided in the 'X-NuGet-ApiKey' header to use this service";
    assert_refused(&push_symbols(sandbox.base_url(), None, &symbols).unwrap(), 401, message);
    assert_refused(&push_symbols(sandbox.base_url(), Some("unknown"), b"x").unwrap(), 403, NOT_AUTHORIZED);

    let refused = |change: fn(&mut Config), message: &str| {
        assert_refused(&push_with_key(&with_package(change), &symbols), 403, message);
    };
    refused(|config| config.policies[0].scopes = vec![Scope::Unlist, Scope::Verify], NOT_AUTHORIZED);
    refused(|config| config.policies[0].packages = vec!["other".to_owned()], NOT_AUTHORIZED);
    let other_owner = |config: &mut Config| {
        config.users.push(Account { name: "fabrikam".to_owned(), ..config.users[0].clone() });
        config.packages[0].owner = "fabrikam".to_owned();
    };
    refused(other_owner, NOT_AUTHORIZED);
    let message = "The specified API key is scoped to an owner that is locked. Please contact support@nuget.org.";
    refused(|config| config.organizations[0].locked_after_login = true, message);

    let sandbox = with_package(|config| config.policies[0].scopes = vec![Scope::PushVersion]);
    assert_eq!(push_with_key(&sandbox, &symbols).status, 201);
}

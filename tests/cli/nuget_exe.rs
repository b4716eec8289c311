//! NuGet's own client pushes with a key from the binary. Needs mono, and nuget.exe in `NUGET_EXE`; `.ci/run` has both.

use std::fs;
use std::process::{Command, Output};

use sandbox::config::ReservedPrefix;
use sandbox::{Sandbox, package};

use crate::job::Job;

/// Pushes version 1.0.0 of a package to the sandbox's service index.
fn push(sandbox: &Sandbox, id: &str, key: &str) -> Output {
    push_file(sandbox, id, key, &["nupkg"])
}

/// Pushes the first of these files, which are in one folder, to the sandbox's service index.
fn push_file(sandbox: &Sandbox, id: &str, key: &str, extensions: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    for extension in extensions {
        let build = if *extension == "snupkg" { package::build_symbols } else { package::build };
        fs::write(home.path().join(format!("{id}.1.0.0.{extension}")), build(id, "1.0.0")).unwrap();
    }
    let package = home.path().join(format!("{id}.1.0.0.{}", extensions[0]));
    Command::new("mono")
        .arg(std::env::var_os("NUGET_EXE").expect("NUGET_EXE is the path of nuget.exe"))
        .arg("push")
        .arg(&package)
        .args(["-Source", &sandbox.service_index_url(), "-ApiKey", key, "-NonInteractive", "-ForceEnglishOutput"])
        .env("HOME", home.path())
        .output()
        .unwrap()
}

#[test]
#[ignore = "needs mono and nuget.exe"]
fn a_real_client_pushes_with_the_key_and_is_told_of_a_refusal() {
    let sandbox = Sandbox::with(|config| config.policies[0].packages = vec!["my-*".to_owned()]);
    let step = Job::new(&sandbox).run();

    let pushed = push(&sandbox, "my-sdk", step.api_key());
    let said = String::from_utf8_lossy(&pushed.stdout);
    assert!(pushed.status.success(), "{pushed:?}");
    assert!(said.contains("Your package was pushed."), "{said}");
    assert!(sandbox.has_package("my-sdk", "1.0.0"));

    let again = push(&sandbox, "my-sdk", step.api_key());
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("409 (A package with ID 'my-sdk' and version '1.0.0'"), "{said}");

    let outside = push(&sandbox, "other", step.api_key());
    let said = String::from_utf8_lossy(&outside.stderr);
    assert!(!outside.status.success() && said.contains("403 (The specified API key is invalid"), "{said}");
    assert!(!sandbox.has_package("other", "1.0.0"));
}

#[test]
#[ignore = "needs mono and nuget.exe"]
fn a_real_client_pushes_the_symbol_package_with_the_package() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).run();
    let pushed = push_file(&sandbox, "my-sdk", step.api_key(), &["nupkg", "snupkg"]);
    assert!(pushed.status.success(), "{pushed:?}");
    assert!(sandbox.has_package("my-sdk", "1.0.0"));
    assert_eq!(sandbox.symbols("my-sdk", "1.0.0"), Some(package::build_symbols("my-sdk", "1.0.0")));

    let alone = push_file(&sandbox, "my-sdk", step.api_key(), &["snupkg"]);
    assert!(alone.status.success(), "{alone:?}");
    let refused = push_file(&sandbox, "other", step.api_key(), &["snupkg"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("404 (A package with ID 'other' and version '1.0.0'"), "{said}");
}

#[test]
#[ignore = "needs mono and nuget.exe"]
fn a_real_client_shows_the_message_of_a_reserved_id() {
    let sandbox = Sandbox::with(|config| {
        let owners = vec!["fabrikam".to_owned()];
        config.reserved_prefixes.push(ReservedPrefix { prefix: "my-".to_owned(), owners });
    });
    let step = Job::new(&sandbox).run();
    let refused = push(&sandbox, "my-sdk", step.api_key());
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("409 (This package ID has been reserved."), "{said}");
    assert!(!sandbox.has_package("my-sdk", "1.0.0"));
}

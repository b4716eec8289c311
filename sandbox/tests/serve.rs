//! `sandbox serve`: its exports, its routes and its config.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use sandbox::wire::send;

/// Stops the program at the end of a test.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program and its exports, which it prints when it is ready.
fn served(arguments: &[&str]) -> (Served, HashMap<String, String>) {
    serving(arguments, 7)
}

fn serving(arguments: &[&str], exports: usize) -> (Served, HashMap<String, String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sandbox"));
    let mut child = command.arg("serve").args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(exports);
    let served = Served(child);
    let exports = lines.map(|line| {
        let line = line.unwrap();
        let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
        (name.to_owned(), value.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap().to_owned())
    });
    (served, exports.collect())
}

#[test]
fn the_exports_are_those_of_a_login_step_and_the_urls_serve() {
    let (_served, exports) = served(&[]);
    // Not RUNNER_OS and GITHUB_RUN_ID, which identify a real runner.
    let mut names: Vec<_> = exports.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "GITHUB_ACTIONS",
            "GITHUB_OUTPUT",
            "INPUT_TOKEN_SERVICE_URL",
            "INPUT_USER",
            "SANDBOX_SOURCE",
        ]
    );
    assert_eq!(exports["GITHUB_ACTIONS"], "true");
    assert_eq!(exports["INPUT_USER"], "contoso-bot");
    assert_eq!(std::fs::read_to_string(&exports["GITHUB_OUTPUT"]).unwrap(), "");
    std::fs::remove_file(&exports["GITHUB_OUTPUT"]).unwrap();
    let base = exports["INPUT_TOKEN_SERVICE_URL"].strip_suffix("/api/v2/token").unwrap();
    let path = exports["ACTIONS_ID_TOKEN_REQUEST_URL"].strip_prefix(base).unwrap();
    let bearer = format!("Bearer {}", exports["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]);
    let answer = send(base, &format!("GET {path}"), &[("Authorization", bearer.as_bytes())], b"").unwrap();
    assert_eq!(answer.status, 200);
}

#[test]
fn a_gitlab_ci_job_has_its_token_in_a_variable() {
    let (_served, exports) = serving(&["--gitlab"], 3);
    assert_eq!(exports["GITLAB_CI"], "true");
    let base = exports["TOKEN_SERVICE_URL"].strip_suffix("/api/v2/token").unwrap();
    let answer = sandbox::wire::exchange(base, &exports["NUGET_ID_TOKEN"], "contoso-bot").unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[test]
fn release_assets_are_served_only_from_the_folder() {
    let folder = std::env::temp_dir().join(format!("sandbox-releases-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("v1.0.0")).unwrap();
    std::fs::write(folder.join("v1.0.0/asset"), "bytes").unwrap();
    std::fs::write(folder.join("asset"), "outside a release").unwrap();
    let (_served, exports) = served(&["--releases", folder.to_str().unwrap()]);
    let base = exports["INPUT_TOKEN_SERVICE_URL"].strip_suffix("/api/v2/token").unwrap();
    let get = |path: &str| send(base, &format!("GET /releases/download/{path}"), &[], b"").unwrap();
    assert_eq!((get("v1.0.0/asset").status, get("v1.0.0/asset").body.as_str()), (200, "bytes"));
    for path in ["v1.0.0/other", "v1.0.0/..%2Fasset", "../asset", "%2E%2E/asset", "v1.0.0%2F/asset", "v1.0.0/"] {
        assert_eq!(get(path).status, 404, "{path}");
    }
    std::fs::remove_file(&exports["GITHUB_OUTPUT"]).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_config_file_replaces_the_default_config() {
    let file = std::env::temp_dir().join(format!("sandbox-config-{}.toml", std::process::id()));
    let seed = include_str!("../src/contoso.toml");
    std::fs::write(&file, seed.replace("contoso-bot", "fabrikam-bot")).unwrap();
    let (_served, exports) = served(&["--config", file.to_str().unwrap()]);
    assert_eq!(exports["INPUT_USER"], "fabrikam-bot");
    std::fs::remove_file(&exports["GITHUB_OUTPUT"]).unwrap();

    std::fs::write(&file, "[job]\n").unwrap();
    let failed = Command::new(env!("CARGO_BIN_EXE_sandbox")).args(["serve", "--config"]).arg(&file).output().unwrap();
    let error = String::from_utf8(failed.stderr).unwrap();
    assert!(!failed.status.success() && error.contains("is not a valid config"), "{error}");
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn the_help_lists_the_routes_and_fits_into_100_columns() {
    let help = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_sandbox")).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.lines().all(|line| line.len() <= 100), "{text}");
        text
    };
    for arguments in [&["--help"][..], &["run", "--help"], &["run", "-h"], &["serve", "-h"]] {
        assert!(help(arguments).contains("Usage: sandbox"));
    }
    let text = help(&["serve", "--help"]);
    for route in ["POST /api/v2/token", "PUT  /api/v2/symbolpackage", "GET  /api/v2/verifykey/{id}/{version}"] {
        assert!(text.contains(route), "{text}");
    }
}

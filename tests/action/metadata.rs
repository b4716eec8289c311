//! `action.yml` agrees with the program and its documentation.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// Every `INPUT_…` in a text.
fn input_variables(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("INPUT_").map(|(at, _)| &text[at..]);
    let names = starts.map(|text| text.split(|c: char| !c.is_ascii_uppercase() && c != '_').next().unwrap().to_owned());
    names.filter(|name| name != "INPUT_").collect()
}

/// The steps of the action, as text.
fn steps() -> Vec<String> {
    let action = read("action.yml");
    let (_, steps) = action.split_once("  steps:\n").unwrap();
    steps.split("\n    - ").map(str::to_owned).collect()
}

#[test]
fn both_steps_set_every_variable_that_the_program_reads() {
    let binary = input_variables(&read("src/settings.rs"));
    assert!(binary.len() >= 3, "{binary:?}");
    for id in ["id: unix", "id: windows"] {
        let step = steps().into_iter().find(|step| step.contains(id)).unwrap();
        let set: BTreeSet<String> = step
            .lines()
            .filter_map(|line| line.trim().split_once(": ${{ inputs."))
            .map(|(name, _)| name.to_owned())
            .collect();
        let inputs: BTreeSet<String> = set.iter().filter(|name| name.starts_with("INPUT_")).cloned().collect();
        assert_eq!(inputs, binary, "{id}");
        let others: Vec<&String> = set.difference(&inputs).collect();
        assert_eq!(others, ["ACTION_BINARY", "ACTION_INSTALL_ONLY", "ACTION_MIRROR"], "{id}");
    }
}

#[test]
fn no_script_contains_an_expression() {
    let action = read("action.yml");
    for line in action.lines().filter(|line| line.contains("${{")) {
        let key = line.trim().split(':').next().unwrap();
        let fine = key.starts_with("INPUT_") || key.starts_with("ACTION_") || key == "value" || key == "shell";
        assert!(fine, "{line}");
    }
    assert!(!action.contains("uses:"), "the action uses no other action");
}

#[test]
fn the_defaults_are_those_of_the_program() {
    let action = read("action.yml");
    let settings = read("src/settings.rs");
    // An input that excludes another is empty, so that the binary sees which one was given; its description says more.
    for (input, constant) in [("token-service-url", "NUGET_ORG_TOKEN_SERVICE"), ("audience", "NUGET_ORG_AUDIENCE")] {
        let (_, rest) = action.split_once(&format!("\n  {input}:\n")).unwrap();
        let description = rest.lines().next().unwrap();
        let default = description.split(['(', ',', ' ', ')']).find(|word| word.starts_with("https://")).unwrap();
        assert!(settings.contains(&format!("{constant}: &str = \"{default}\"")), "{input}: {default}");
        assert!(rest.lines().nth(2).unwrap().ends_with("default: \"\""), "{input}");
    }
    let timeout = "DEFAULT_TIMEOUT: Duration = Duration::from_secs(120)";
    assert!(action.contains("\n    default: \"120\"\n") && settings.contains(timeout));
}

#[test]
fn every_input_and_output_is_in_the_readme() {
    let action = read("action.yml");
    let readme = read("README.md");
    let names = action.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let names: Vec<&str> = names.filter(|name| !name.starts_with(' ') && *name != "steps").collect();
    assert_eq!(names.len(), 15, "{names:?}");
    for name in names {
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
}

#[test]
fn cargo_binstall_finds_the_assets_of_a_release() {
    let (_, url) = read("Cargo.toml").split_once("\npkg-url = \"").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let url = url.lines().next().unwrap().trim_end_matches('"').to_owned();
    let repository = env!("CARGO_PKG_REPOSITORY");
    assert!(read("dist/fetch.sh").contains(&format!("\nreleases={repository}/releases/download\n")));
    assert!(read("dist/fetch.ps1").contains(&format!("\n$releases = '{repository}/releases/download'\n")));
    for (target, extension) in [("x86_64-unknown-linux-musl", ""), ("x86_64-pc-windows-msvc", ".exe")] {
        let parts = [("repo", repository), ("version", "1.2.3"), ("target", target), ("binary-ext", extension)];
        let url = parts.iter().fold(url.clone(), |url, (name, value)| url.replace(&format!("{{ {name} }}"), value));
        assert_eq!(url, format!("{repository}/releases/download/v1.2.3/nuget-login-{target}{extension}"));
    }
}

#[test]
fn release_txt_names_this_version_and_known_targets_with_digests() {
    let release = read("dist/release.txt");
    let mut lines = release.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some(concat!("version ", env!("CARGO_PKG_VERSION"))));
    let mut named = BTreeSet::new();
    for line in lines {
        let [target, asset, digest] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let windows = if target.contains("windows") { ".exe" } else { "" };
        assert_eq!(asset, format!("nuget-login-{target}{windows}"));
        assert!(read(".github/workflows/build.yml").contains(&format!("target: {target},")), "{target}");
        assert!(named.insert(target.to_owned()), "{target} is named twice");
        assert!(digest.len() == 64 && digest.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{line}");
    }
    assert!(release.ends_with('\n') && !release.contains('\r'));
}

#[test]
fn a_released_program_is_tested_in_another_job_than_it_is_built() {
    let workflow = read(".github/workflows/build.yml");
    let (build, test) = workflow.split_once("\n  test:\n").unwrap();
    assert!(!build.contains("cargo test") && !build.contains("-p sandbox") && test.contains("cargo test"));
    let matrix = |job: &str| -> Vec<String> {
        let legs = job.lines().filter_map(|line| line.trim().strip_prefix("- { target: "));
        legs.map(str::to_owned).collect()
    };
    assert_eq!(matrix(build), matrix(test));
    assert_eq!(matrix(build).len(), 6);
    for leg in matrix(build) {
        let target = leg.split(',').next().unwrap();
        assert!(build.contains(&format!("\n      {target}: ${{{{ steps.digest.outputs.{target} }}}}\n")), "{target}");
        assert!(build.contains(&format!("\n          ${{{{ jobs.build.outputs.{target} }}}}\n")), "{target}");
    }
    assert!(read(".github/workflows/release-prepare.yml").contains("DIGESTS: ${{ needs.build.outputs.digests }}"));
}

//! Where the program runs, its arguments and its help.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sandbox::Sandbox;

use crate::job::Job;

#[test]
fn outside_of_a_job_nothing_is_sent_and_no_command_is_printed() {
    let sandbox = Sandbox::with(|_| {});
    let places = [
        Job::new(&sandbox).unset("GITHUB_ACTIONS"),
        Job::new(&sandbox).set("GITHUB_ACTIONS", ""),
        Job::new(&sandbox).set("GITHUB_ACTIONS", "false"),
        // The CI system is checked before the inputs.
        Job::new(&sandbox).unset("GITHUB_ACTIONS").set("INPUT_USER", ""),
    ];
    for job in places {
        let step = job.run();
        let fact = "this is not a GitHub Actions job (GITHUB_ACTIONS is not \"true\"), so the API key could not be masked\n\
                    fix: run nuget-login in a job of GitHub Actions\n";
        assert!(step.failed(2).starts_with(fact), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn unknown_arguments_are_a_usage_error_without_usage_lines() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).arguments(["--usr", "x"]).run();
    assert_eq!(
        step.errors(),
        ["unexpected argument '--usr' found\nfix: run \"nuget-login --help\" for the arguments"],
        "without clap's usage, which the help has"
    );
    let step = Job::new(&sandbox).arguments(["surplus\n::error::forged ##[error]x"]).run();
    // What follows a `#` can be a secret, as in a URL.
    let error = step.failed(2);
    assert!(error.starts_with("unrecognized subcommand 'surplus ::error::forged'\nfix: "), "{error}");
    let step = Job::new(&sandbox).arguments(["exec", "--user=x"]).run();
    let error = step.failed(2);
    assert!(error.starts_with("the following required arguments were not provided: <COMMAND>...\nfix: "), "{error}");
    let step = Job::new(&sandbox).unset("GITHUB_ACTIONS").arguments(["--usr"]).run();
    assert_eq!(step.code, 2);
    assert_eq!(
        step.text()[..2],
        ["error: unexpected argument '--usr' found", "  fix: run \"nuget-login --help\" for the arguments"]
    );
    assert!(sandbox.requests().is_empty());
}

#[test]
fn help_and_version_work_anywhere() {
    let sandbox = Sandbox::with(|_| {});
    for place in ["true", ""] {
        let step = Job::new(&sandbox).set("GITHUB_ACTIONS", place).arguments(["--version"]).run();
        assert_eq!((step.code, step.log.as_str()), (0, concat!("nuget-login ", env!("CARGO_PKG_VERSION"), "\n")));
    }
    assert_eq!(Job::new(&sandbox).arguments(["-h"]).run().code, 0);
}

#[test]
fn the_help_names_every_variable_output_and_exit_code() {
    let sandbox = Sandbox::with(|_| {});
    let help = Job::new(&sandbox).arguments(["--help"]).run();
    assert_eq!(help.code, 0);
    let read = variables(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")));
    assert!(read.contains("RUNNER_DEBUG") && read.contains("INPUT_USER"), "{read:?}");
    let outputs = ["NUGET_API_KEY", "expires-at", "policy-matches"];
    let exit_codes =
        ["\n  0  ", "\n  1  ", "\n  2  ", " with 126 if it cannot be run", " with 127 if it was not found"];
    let defaults = ["[default: 120]", "https://www.nuget.org/api/v2/token", "[default: https://www.nuget.org]"];
    for word in read.iter().map(String::as_str).chain(outputs).chain(exit_codes).chain(defaults) {
        assert!(help.log.contains(word), "{word} is not in\n{}", help.log);
    }
    assert!(help.log.lines().all(|line| line.len() <= 105), "lines fit a terminal");
}

/// The names of variables in the source files of a folder, without those that only `policy` reads (`GITHUB_…` in the help).
fn variables(folder: &Path) -> BTreeSet<String> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let texts =
        files.iter().filter(|file| !file.ends_with("command/policy.rs")).map(|file| fs::read_to_string(file).unwrap());
    let names = texts.flat_map(|text| text.split('"').map(str::to_owned).collect::<Vec<_>>()).filter(|word| {
        let of_cargo = word.starts_with("CARGO_") || word == "UPDATE_DOCS";
        let has_letters = word.bytes().any(|byte| byte.is_ascii_uppercase());
        has_letters
            && word.contains('_')
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            && !of_cargo
    });
    names.chain(folders.iter().flat_map(|folder| variables(folder))).collect()
}

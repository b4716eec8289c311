//! Warnings about workflow files in which a push cannot use the new API key.

use sandbox::Sandbox;

use crate::job::{Job, Step};

const NO_ID: &str = "This step has no \"id:\", so no later step can read its API key. Add \"id: login\", and use \
                     \"steps.login.outputs.NUGET_API_KEY\" in the push.";
const KEY_IS_SET: &str = "NUGET_API_KEY is already set in this job, and NuGet 7.6 and later use it where the push names no \
                          key. Remove it from \"env:\".";
const SYMBOL_KEY_IS_SET: &str = "NUGET_SYMBOL_API_KEY is set in this job, and NuGet uses it for symbol packages instead of \
                                 the new API key. Remove it from \"env:\".";
const OLD_KEY: &str = "oy2aaaabbbbccccddddeeeeffffgggghhhhiiiijjjjkkk";

/// A successful login of a job with these variables and arguments.
#[track_caller]
fn logged_in(variables: &[(&'static str, &str)], arguments: &[&str]) -> Step {
    let sandbox = Sandbox::with(|_| {});
    let job = Job::new(&sandbox).secret(OLD_KEY).arguments(arguments.iter().copied());
    let step = variables.iter().fold(job, |job, (name, value)| job.set(name, *value)).run();
    assert_eq!(step.code, 0, "{}", step.log);
    step
}

#[test]
fn a_step_without_an_id_is_a_warning() {
    for name in ["__run", "__run_2", "__org_nuget-login"] {
        let step = logged_in(&[("GITHUB_ACTION", name)], &[]);
        assert_eq!(step.warnings(), [NO_ID], "{name}");
        assert!(
            step.summary.contains(" This step has no `id:`, ") || step.summary.contains("\nThis step has no `id:`, ")
        );
    }
    for name in ["login", "run", "_run", ""] {
        let step = logged_in(&[("GITHUB_ACTION", name)], &[]);
        assert!(step.warnings().is_empty() && step.summary.is_empty(), "{name}: {}", step.log);
    }
}

#[test]
fn a_step_without_an_id_is_not_a_warning_if_no_output_is_needed() {
    for arguments in [["--export-env"], ["--check-only"]] {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox).arguments(arguments).set("GITHUB_ACTION", "__run");
        let file = job.directory().join("env");
        std::fs::write(&file, "").unwrap();
        let step = job.set("GITHUB_ENV", file).run();
        assert_eq!(step.code, 0, "{}", step.log);
        assert!(step.warnings().is_empty(), "{arguments:?}: {}", step.log);
    }
}

#[test]
#[cfg(unix)]
fn a_step_without_an_id_is_not_a_warning_with_exec() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    let job = Job::new(&sandbox).with_path().set("GITHUB_ACTION", "__run").set("NUGET_API_KEY", OLD_KEY);
    let exec = ["exec", "--user=contoso-bot", "--token-service-url", &url, "--", "printenv", "NUGET_API_KEY"];
    let ran = job.set("NUGET_SYMBOL_API_KEY", OLD_KEY).arguments(exec).execute();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), sandbox.api_keys()[0], "the new key");
    assert!(!String::from_utf8(ran.stderr).unwrap().contains("::warning"));
}

#[test]
fn an_api_key_that_is_already_set_is_a_warning_without_its_value() {
    // [`Job::run`] checks that the value is not shown.
    let step = logged_in(&[("NUGET_API_KEY", OLD_KEY)], &[]);
    assert_eq!(step.warnings(), [KEY_IS_SET]);
    let step = logged_in(&[("NUGET_SYMBOL_API_KEY", OLD_KEY)], &[]);
    assert_eq!(step.warnings(), [SYMBOL_KEY_IS_SET]);
    let all = [("GITHUB_ACTION", "__run"), ("NUGET_API_KEY", OLD_KEY), ("NUGET_SYMBOL_API_KEY", OLD_KEY)];
    let step = logged_in(&all, &[]);
    assert_eq!(step.warnings(), [NO_ID, KEY_IS_SET, SYMBOL_KEY_IS_SET]);
    let step = logged_in(&[("NUGET_API_KEY", ""), ("NUGET_SYMBOL_API_KEY", " ")], &[]);
    assert!(step.warnings().is_empty(), "{}", step.log);
    // A check is not followed by a push.
    let step = logged_in(&all, &["--check-only"]);
    assert!(step.warnings().is_empty(), "{}", step.log);
}

#[test]
fn an_exported_key_replaces_an_earlier_one_but_not_that_for_symbol_packages() {
    let sandbox = Sandbox::with(|_| {});
    let job = Job::new(&sandbox).secret(OLD_KEY).arguments(["--export-env"]).set("NUGET_API_KEY", OLD_KEY);
    let file = job.directory().join("env");
    std::fs::write(&file, "").unwrap();
    let step = job.set("GITHUB_ENV", file).set("NUGET_SYMBOL_API_KEY", OLD_KEY).run();
    assert_eq!(step.warnings(), [SYMBOL_KEY_IS_SET], "{}", step.log);
}

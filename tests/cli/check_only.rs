//! `check-only` finds out whether a policy matches, and hands nothing on.

use sandbox::Sandbox;
use sandbox::config::Visibility;
use sandbox::faults::{Effect, Route};

use crate::job::Job;

#[test]
fn a_policy_that_matches_is_said_and_no_key_is_handed_on() {
    for (variable, flag) in
        [("true", None), ("TRUE", None), ("false", Some("--check-only")), ("", Some("--check-only"))]
    {
        let sandbox = Sandbox::with(|config| config.job.repository_visibility = Visibility::Private);
        let step = Job::new(&sandbox).set("INPUT_CHECK_ONLY", variable).arguments(flag).run();
        assert_eq!(step.code, 0, "{}", step.log);
        assert_eq!(step.outputs.keys().collect::<Vec<_>>(), ["policy-matches"]);
        assert!(!step.output_file.contains(&sandbox.api_keys()[0]));
        assert!(step.masks().contains(&sandbox.api_keys()[0].as_str()), "it is masked all the same");
        assert!(step.text()[0].starts_with("A trust policy that contoso-bot created at 127.0.0.1:"), "{}", step.log);
        assert!(step.text()[1].contains("it is permanent from now on"), "{}", step.log);
        assert!(sandbox.policies()[0].used_by.is_some(), "and so it is");
    }
}

#[test]
fn a_policy_that_does_not_match_fails_as_any_login_does() {
    let sandbox = Sandbox::with(|config| config.policies[0].workflow = "publish.yml".to_owned());
    let step = Job::new(&sandbox).arguments(["--check-only"]).run();
    assert!(step.failed(1).contains("Workflow mismatch for policy"), "{}", step.log);
}

#[test]
fn temporary_failures_are_retried() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::TokenService, 1, Effect::Reset);
    let step = Job::new(&sandbox).arguments(["--check-only"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    assert!(step.text()[1].ends_with("thrown away. It took 2 attempts."), "{}", step.log);
}

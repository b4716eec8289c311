//! Jobs that no trust policy can match: the report begins with the obstacle, whatever else is wrong.

use sandbox::Sandbox;
use sandbox::config::Config;
use sandbox::faults::Route;

use crate::job::{Job, Step};

/// A change of the seed job, the fact about it and its first fix.
type Case = (fn(&mut Config), &'static str, &'static str);

const CASES: [Case; 3] = [
    (
        |config| {
            let called = "contoso/workflows/.github/workflows/publish.yml@refs/heads/main";
            config.job.job_workflow_ref = Some(called.to_owned());
        },
        "this job is defined in contoso/workflows/.github/workflows/publish.yml@refs/heads/main, and nuget.org \
         accepts only workflow files of the same repository",
        "fix: add a job with \"steps:\" for the login and the push to a workflow file of contoso/contoso-sdk, with ",
    ),
    (
        |config| config.job.event_name = "pull_request_target".to_owned(),
        "nuget.org does not accept runs that the event pull_request_target starts",
        "fix: remove pull_request_target from \"on:\" in release.yml, or move the job that publishes to ",
    ),
    (
        |config| config.job.issuer = Some("https://github.contoso.example/_services/token".to_owned()),
        "nuget.org does not accept ID tokens from https://github.contoso.example/_services/token",
        "fix: publish from github.com or gitlab.com: ",
    ),
];

/// The report begins with the obstacle and its first fix, and the annotation and the summary as well.
#[track_caller]
fn assert_obstacle(step: &Step, fact: &str, fix: &str) -> String {
    let error = step.failed(1);
    assert!(error.starts_with(&format!("{fact}\n{fix}")), "{error}");
    assert_eq!(error.matches(fact).count(), 1, "the fact once: {error}");
    assert!(step.errors()[0].starts_with(&format!("{fact}\n{fix}")), "{}", step.log);
    let summary = step.summary.replace('`', "").to_lowercase();
    assert!(summary.contains(&format!("\n\n**{}**\n\n1. ", fact.to_lowercase())), "{summary}");
    error
}

#[test]
fn an_obstacle_is_the_fact_for_a_known_and_for_an_unknown_user() {
    for (change, fact, fix) in CASES {
        for user in ["contoso-bot", "unknown-user"] {
            for check_only in [None, Some("--check-only")] {
                let sandbox = Sandbox::with(change);
                let step = Job::new(&sandbox).set("INPUT_USER", user).arguments(check_only).run();
                let error = assert_obstacle(&step, fact, fix);
                assert!(error.contains("\nnote: 127.0.0.1:"), "the evidence: {error}");
                assert!(sandbox.api_keys().is_empty());
            }
        }
    }
}

#[test]
fn an_obstacle_with_an_unknown_user_also_has_a_fix_for_the_user() {
    // The service checks the issuer before the user.
    for (change, fact, fix) in &CASES[..2] {
        let sandbox = Sandbox::with(change);
        let step = Job::new(&sandbox).set("INPUT_USER", "unknown-user").run();
        let error = assert_obstacle(&step, fact, fix);
        let fixes = Vec::from_iter(error.lines().filter(|line| line.starts_with("fix: ")));
        assert!(fixes[fixes.len() - 2].starts_with("fix: check \"user\": it must be the profile name "), "{error}");
        assert!(error.contains("No matching trust policy owned by user 'unknown-user' was found."), "{error}");
    }
}

#[test]
fn policy_fails_with_the_obstacle() {
    for (change, fact, fix) in CASES {
        let sandbox = Sandbox::with(change);
        let step = Job::new(&sandbox).arguments(["policy"]).run();
        let error = assert_obstacle(&step, fact, fix);
        assert!(!error.contains("\nnote: 127.0.0.1:"), "no service has answered: {error}");
        assert!(sandbox.requests().iter().all(|request| request.route == Route::IdToken));
    }
}

#[test]
fn a_job_in_a_foreign_reusable_workflow_gets_the_policy_for_a_new_job() {
    let (change, fact, fix) = CASES[0];
    for arguments in [&[][..], &["--check-only"], &["policy"]] {
        let sandbox = Sandbox::with(change);
        let step = Job::new(&sandbox).set("INPUT_USER", "unknown-user").arguments(arguments.iter().copied()).run();
        let error = assert_obstacle(&step, fact, fix);
        let policy = error.split_once("\npolicy: trust policy for the new job:\n").unwrap().1;
        assert!(policy.contains("    Repository Owner:           contoso (#"), "{error}");
        assert!(policy.contains("\n    Workflow File:              release.yml\n"), "the caller's file: {error}");
        assert!(step.summary.contains("\n\nTrust policy for the new job ([nuget.org]("), "{}", step.summary);
        assert!(step.summary.contains("\n| Workflow File | `release.yml` |\n"), "{}", step.summary);
    }
    // No policy helps the others.
    for (change, ..) in &CASES[1..] {
        let sandbox = Sandbox::with(change);
        let step = Job::new(&sandbox).arguments(["policy"]).run();
        assert!(!step.failed(1).contains("\npolicy: "), "{}", step.log);
    }
}

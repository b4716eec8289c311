//! `check-only` tests whether a trust policy matches, and discards the API key.

use sandbox::Sandbox;
use sandbox::config::Visibility;
use sandbox::faults::{Effect, Route};

use crate::job::Job;

#[test]
fn a_matching_policy_is_reported_and_the_key_is_discarded() {
    for (variable, flag) in
        [("true", None), ("TRUE", None), ("false", Some("--check-only")), ("", Some("--check-only"))]
    {
        let sandbox = Sandbox::with(|config| config.job.repository_visibility = Visibility::Private);
        let step = Job::new(&sandbox).set("INPUT_CHECK_ONLY", variable).arguments(flag).run();
        assert_eq!(step.code, 0, "{}", step.log);
        assert_eq!(step.outputs.keys().collect::<Vec<_>>(), ["policy-matches"]);
        assert!(!step.output_file.contains(&sandbox.api_keys()[0]));
        assert!(step.masks().contains(&sandbox.api_keys()[0].as_str()), "the key is masked before it is discarded");
        let host = sandbox.base_url().trim_start_matches("http://");
        let line = format!("A trust policy of contoso-bot at {host} matches this job (the API key was discarded).");
        assert_eq!(step.text(), [line]);
        assert!(sandbox.policies()[0].used_by.is_some(), "a check makes the policy permanent");
    }
}

#[test]
fn a_policy_that_does_not_match_fails_like_a_login() {
    let sandbox = Sandbox::with(|config| config.policies[0].workflow = "publish.yml".to_owned());
    let step = Job::new(&sandbox).arguments(["--check-only"]).run();
    let fact = "the trust policy \"contoso-sdk release\" expects the workflow file publish.yml, but this job is defined in \
                release.yml\n";
    assert!(step.failed(1).starts_with(fact), "{}", step.log);
}

#[test]
fn temporary_failures_are_retried() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::TokenService, 1, Effect::Reset);
    let step = Job::new(&sandbox).arguments(["--check-only"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    assert!(
        step.text()[1].ends_with(" matches this job (the API key was discarded), after 2 attempts."),
        "{}",
        step.log
    );
}

/// A sandbox with the package Contoso.Sdk 1.2.3 of the organization, and another one of another owner.
fn with_packages(change: impl FnOnce(&mut sandbox::config::Config)) -> Sandbox {
    Sandbox::with(|config| {
        let package = |id: &str, owner: &str| sandbox::config::Package {
            id: id.to_owned(),
            owner: owner.to_owned(),
            versions: vec!["1.2.3".to_owned()],
        };
        config.packages = vec![package("Contoso.Sdk", "contoso"), package("Fabrikam.Sdk", "fabrikam")];
        change(config);
    })
}

#[test]
fn a_package_that_the_policy_allows_is_reported() {
    let sandbox = with_packages(|_| {});
    let step = Job::new(&sandbox).arguments(["--check-only"]).set("INPUT_PACKAGE", "contoso.sdk@1.2.3").run();
    assert_eq!(step.code, 0, "{}", step.log);
    assert!(step.text()[0].contains(" matches this job and allows a push of contoso.sdk (the API key"), "{}", step.log);
    assert!(!sandbox.has_package("Contoso.Sdk", "1.2.4"), "nothing is pushed");
}

#[test]
fn a_package_of_another_owner_scope_or_glob_fails_the_check() {
    for (id, change) in [
        ("Fabrikam.Sdk", (|_| {}) as fn(&mut sandbox::config::Config)),
        ("Contoso.Sdk", |config| config.policies[0].packages = vec!["Other.*".to_owned()]),
    ] {
        let sandbox = with_packages(change);
        let package = format!("{id}@1.2.3");
        let step = Job::new(&sandbox).arguments(["--check-only", "--package", &package]).run();
        let report = step.failed(1);
        assert!(
            report.starts_with(&format!("the API key of this trust policy is not allowed to push {id}\n")),
            "{report}"
        );
        assert!(
            report.contains("note: 127.0.0.1:")
                && report.contains("answered HTTP 403 Forbidden: The specified API key "),
            "{report}"
        );
    }
}

#[test]
fn a_version_that_does_not_exist_shows_nothing_about_a_push() {
    let sandbox = with_packages(|_| {});
    let step = Job::new(&sandbox).arguments(["--check-only", "--package=Contoso.New@1.0.0"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    let shown =
        "Contoso.New 1.0.0 does not exist, so the push was not checked. Set \"package\" to an existing version.";
    assert!(step.warnings()[0].starts_with(shown), "{}", step.log);
    assert!(step.summary.contains("so the push was not checked"), "{}", step.summary);
}

#[test]
fn a_web_page_is_not_an_answer_about_a_push() {
    for status in [200, 403, 404] {
        let sandbox = with_packages(|_| {});
        sandbox.fault(
            Route::VerifyKey,
            1,
            Effect::Instead(sandbox::faults::Answer::new(status, "text/html", "<html>Blocked</html>")),
        );
        let step = Job::new(&sandbox).arguments(["--check-only", "--package=Contoso.Sdk@1.2.3"]).run();
        let report = step.failed(1);
        assert!(!report.contains("not allowed to push") && !report.contains("allows a push"), "{report}");
    }
}

#[test]
fn a_temporary_failure_of_the_registry_is_retried_until_the_deadline() {
    let sandbox = with_packages(|_| {});
    sandbox.fault(Route::VerifyKey, 1, Effect::Reset);
    let step = Job::new(&sandbox).arguments(["--check-only", "--package=Contoso.Sdk@1.2.3"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    let sandbox = with_packages(|_| {});
    (1..50).for_each(|nth| sandbox.fault(Route::VerifyKey, nth, Effect::Reset));
    let job = Job::new(&sandbox).arguments(["--check-only", "--package=Contoso.Sdk@1.2.3"]);
    let began = std::time::Instant::now();
    job.set("INPUT_TIMEOUT_SECONDS", "2").run().failed(1);
    assert!(began.elapsed().as_secs() < 4, "{:?}", began.elapsed());
}

#[test]
fn a_package_is_refused_before_any_request_where_it_cannot_be_checked() {
    let sandbox = with_packages(|_| {});
    for (arguments, fact) in [
        (vec!["--package=Contoso.Sdk@1.2.3"], "\"package\" is set without \"check-only\"\n"),
        (vec!["--check-only", "--package=Contoso.Sdk"], "\"package\" is \"Contoso.Sdk\", which is not an ID"),
        (
            vec![
                "--check-only",
                "--package=Contoso.Sdk@1.2.3",
                "--token-service-url=https://nuget.contoso.example/token",
                "--audience=x",
            ],
            "\"package\" is set, but nuget.contoso.example is not nuget.org\n",
        ),
    ] {
        let step = Job::new(&sandbox).arguments(arguments).run();
        assert!(step.failed(2).starts_with(fact), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn the_key_is_sent_to_the_token_service_that_issued_it() {
    use crate::scripted::{self, Scripted};
    let sandbox = Sandbox::with(|_| {});
    let key = serde_json::json!({ "apiKey": "k".repeat(84) }).to_string();
    let service = Scripted::start(vec![scripted::json(&key), scripted::json("{}")]);
    let index = serde_json::json!({ "version": "3.0.0", "resources": [
        { "@id": format!("http://{}/api/v2/token", service.host), "@type": "TokenService/1.0.0" }
    ] });
    let index = Scripted::start(vec![scripted::json(&index.to_string())]);
    let job = Job::new(&sandbox).unset("INPUT_TOKEN_SERVICE_URL").secret(&"k".repeat(84));
    let job = job.set("INPUT_SOURCE", format!("http://{}/v3/index.json", index.host));
    let step = job.arguments(["--check-only", "--package=Contoso.Sdk@1.2.3"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    assert!(service.requests()[1].starts_with("GET /api/v2/verifykey/Contoso.Sdk/1.2.3 HTTP/1.1\r\n"));
    assert_eq!(index.requests().len(), 1);
}

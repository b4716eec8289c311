//! A GitLab CI job: one ID token in a variable, only flags, and a runner that masks nothing.

use sandbox::Sandbox;
use sandbox::config::Visibility;
use sandbox::faults::{Answer, Effect, Route};
use serde_json::json;

use crate::fast_clock::FastClock;
use crate::job::{Job, out_of_time, stopped_after};

#[test]
fn a_matching_policy_is_reported_and_the_key_is_discarded() {
    let sandbox = Sandbox::with(|config| config.gitlab_job.as_mut().unwrap().project_visibility = Visibility::Private);
    let step = Job::gitlab(&sandbox).run();
    assert_eq!(step.code, 0, "{}", step.log);
    let host = sandbox.base_url().trim_start_matches("http://");
    let line = format!("A trust policy of contoso-bot at {host} matches this job (the API key was discarded).");
    assert_eq!(step.text(), [line]);
    assert!(sandbox.gitlab_policies()[0].used_by.is_some());
    assert_eq!(sandbox.requests().len(), 1, "GitLab issued the ID token before the job");
}

#[test]
#[cfg(unix)]
fn exec_gives_the_key_to_a_command() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    let job = Job::gitlab(&sandbox).with_path().without_arguments();
    let exec = ["exec", "--user=contoso-bot", "--token-service-url", &url, "--", "sh", "-c", "printenv NUGET_API_KEY"];
    let ran = job.arguments(exec).execute();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), sandbox.api_keys()[0]);
    let stderr = String::from_utf8(ran.stderr).unwrap();
    let host = sandbox.base_url().trim_start_matches("http://");
    let line = format!("Logged in to {host} as contoso-bot: NUGET_API_KEY is valid until ");
    assert!(stderr.starts_with(&line), "{stderr}");
    let secrets = [&sandbox.api_keys(), &sandbox.id_tokens()].map(|it| it[0].clone());
    assert!(secrets.iter().all(|secret| !stderr.contains(secret)), "no mask line, which would show it: {stderr}");
}

#[test]
fn the_variable_can_have_another_name() {
    let sandbox = Sandbox::with(|_| {});
    let (_, token) = sandbox.gitlab_environment()[1].clone();
    let job = || Job::gitlab(&sandbox).unset("NUGET_ID_TOKEN").set("MY_TOKEN", &token);
    let step = job().run();
    assert_eq!((step.code, sandbox.requests().len()), (1, 0), "{}", step.log);
    let step = job().arguments(["--id-token-variable", "MY_TOKEN"]).run();
    assert_eq!(step.code, 0, "{}", step.log);
    // The token in the place of another argument is not shown.
    let step = job().arguments(["--id-token-variable", "MY_TOKEN", "--timeout-seconds", &token]).run();
    assert_eq!(step.code, 2);
    assert!(step.failed(2).starts_with("\"timeout-seconds\" is \"***…\"\n"), "{}", step.log);
    // The token in the place of its name is not shown: `run` checks it.
    let step = job().arguments(["--id-token-variable", &token]).run();
    let fact = "the flag \"--id-token-variable\" is not the name of an environment variable\n";
    assert!(step.failed(2).starts_with(fact), "{}", step.log);
}

#[test]
fn a_plain_login_on_gitlab_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    for more in [None, Some("--export-env")] {
        let job = Job::gitlab(&sandbox).without_arguments();
        let step = job.arguments(["--user=contoso-bot", "--token-service-url", &url]).arguments(more).run();
        let error = step.failed(2);
        assert!(
            error.starts_with("GitLab CI has no step outputs for the API key\nfix: let nuget-login run "),
            "{error}"
        );
        assert!(error.contains("\n    nuget-login exec --user NAME -- sh -c "), "{error}");
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn the_ci_system_is_detected_by_two_variables_and_not_by_a_token() {
    let sandbox = Sandbox::with(|config| {
        config.job.repository_visibility = Visibility::Private;
        config.gitlab_job.as_mut().unwrap().project_visibility = Visibility::Private;
    });
    // GitLab's token is ignored in GitHub Actions, and GitHub's variables are ignored in GitLab CI.
    let (_, token) = sandbox.gitlab_environment()[1].clone();
    let step = Job::new(&sandbox).set("NUGET_ID_TOKEN", &token).run();
    assert!(!step.api_key().is_empty());
    assert!(sandbox.policies()[0].used_by.is_some() && sandbox.gitlab_policies()[0].used_by.is_none());
    let url = sandbox.id_token_request_url();
    let job = Job::gitlab(&sandbox).unset("NUGET_ID_TOKEN").set("ACTIONS_ID_TOKEN_REQUEST_URL", url);
    let step = job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", sandbox.request_token()).run();
    let error = step.failed(1);
    assert!(error.starts_with("this job has no ID token from GitLab\nfix: "), "{error}");
    assert!(error.contains("\nnote: the environment variable NUGET_ID_TOKEN is unset\n"), "{error}");
    // Both variables: GitHub's runner would read what is printed.
    let step = Job::new(&sandbox).set("GITLAB_CI", "true").run();
    assert!(step.failed(2).starts_with("GITHUB_ACTIONS and GITLAB_CI are both \"true\"\nfix: unset "), "{}", step.log);
    let step = Job::gitlab(&sandbox).set("GITLAB_CI", "1").run();
    assert_eq!(step.code, 2, "{}", step.log);
}

#[test]
fn an_unusable_token_is_reported_before_anything_is_sent() {
    let sandbox = Sandbox::with(|_| {});
    for (value, fact) in [
        ("", "this job has no ID token from GitLab\n"),
        (
            "glcbt-64_not-a-json-web-token",
            "the environment variable NUGET_ID_TOKEN does not contain a JSON web token\n",
        ),
        (
            "a.b c.d",
            "the environment variable NUGET_ID_TOKEN contains characters that a credential cannot have (white space, \
             control characters, backticks or non-ASCII)\n",
        ),
        (
            "abc.def.ghi",
            "the ID token in NUGET_ID_TOKEN was issued for no audience, not for \"https://www.nuget.org\"\n",
        ),
    ] {
        let job = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", value);
        let step = if value.len() > 9 { job.secret(value) } else { job }.run();
        assert!(step.failed(1).starts_with(fact), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn a_token_is_only_sent_to_its_audience() {
    let sandbox = Sandbox::with(|_| {});
    for (audience, issued_for) in [
        (json!("https://vault.example"), "\"https://vault.example\""),
        (
            json!(["https://www.nuget.org", "https://vault.example"]),
            "\"https://www.nuget.org\", \"https://vault.example\"",
        ),
    ] {
        let token = sandbox.gitlab_id_token("", |claims| claims["aud"] = audience);
        let step = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &token).run();
        let fact =
            format!("the ID token in NUGET_ID_TOKEN was issued for {issued_for}, not for \"https://www.nuget.org\"\n");
        assert!(step.failed(1).starts_with(&fact), "{}", step.log);
    }
    // A token for nuget.org is not sent with another audience in the flag.
    let step = Job::gitlab(&sandbox).arguments(["--audience", "https://nuget.contoso.example"]).run();
    assert!(step.failed(1).contains(", not for \"https://nuget.contoso.example\"\n"), "{}", step.log);
    // It is not sent to a host that could redeem it at nuget.org.
    let flags = ["--check-only", "--user=contoso-bot", "--token-service-url", "https://registry.example/token"];
    let step = Job::gitlab(&sandbox).without_arguments().arguments(flags).run();
    let fact = "the job's ID token is issued for nuget.org, and registry.example could redeem it there\n";
    assert!(step.failed(2).starts_with(fact), "{}", step.log);
    assert!(sandbox.requests().is_empty());
    let alone = sandbox.gitlab_id_token("", |claims| claims["aud"] = json!(["https://www.nuget.org"]));
    assert_eq!(Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &alone).run().code, 0, "an array of one is one");
}

/// nuget.org ignores the slash, too.
#[test]
fn an_audience_with_a_trailing_slash_is_accepted() {
    for (issued_for, flag) in [
        ("https://www.nuget.org/", None),
        ("https://www.nuget.org", Some("--audience=https://www.nuget.org/")),
        ("https://www.nuget.org/", Some("--audience=https://www.nuget.org")),
    ] {
        let sandbox = Sandbox::with(|_| {});
        let token = sandbox.gitlab_id_token(issued_for, |_| {});
        let step = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &token).arguments(flag).run();
        assert_eq!(step.code, 0, "{issued_for}, {flag:?}: {}", step.log);
        assert_eq!(sandbox.api_keys().len(), 1);
    }
}

#[test]
fn an_exchange_that_did_not_arrive_is_retried_with_the_same_token() {
    let sandbox = Sandbox::with(|_| {});
    // Nothing listens on that port.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let index = Answer::json(
        200,
        json!({"resources": [{"@id": format!("http://127.0.0.1:{port}/"), "@type": "TokenService/1.0.0"}]}),
    );
    sandbox.fault(Route::Other, 1, Effect::Reset);
    sandbox.fault(Route::Other, 2, Effect::Instead(index));
    let flags = ["--check-only", "--user=contoso-bot", "--source", &sandbox.service_index_url()];
    let clock = FastClock::new(&sandbox);
    let step = Job::gitlab(&sandbox).without_arguments().arguments(flags).run_by(&clock);
    let error = step.failed(1);
    assert!(step.log.contains("Attempt 1 failed"), "the index, which gets no token: {}", step.log);
    assert!(step.log.contains("Attempt 3 failed"), "no connection: {}", step.log);
    assert!(error.starts_with(&format!("cannot connect to 127.0.0.1:{port}: ")), "{error}");
    assert!(error.contains(&out_of_time(120)), "{error}");
}

#[test]
fn an_exchange_that_can_have_arrived_is_not_retried() {
    let answers = [
        Effect::Lost,
        Effect::Reset,
        Effect::CutOff(10),
        Effect::Instead(Answer::new(503, "text/plain", "")),
        Effect::Instead(Answer::new(429, "text/html", "<html>").with("Retry-After", "1")),
        Effect::Instead(Answer::json(401, r#"{"error":"The JSON web token is not yet valid."}"#)),
        Effect::Instead(Answer::json(401, r#"{"error":"The JSON web token has an invalid signature."}"#)),
    ];
    for answer in answers {
        let sandbox = Sandbox::with(|_| {});
        sandbox.fault(Route::TokenService, 1, answer);
        let step = Job::gitlab(&sandbox).run_by(&FastClock::new(&sandbox));
        assert_eq!((step.code, sandbox.requests().len()), (1, 1), "{}", step.log);
        let note = stopped_after(1) + "the job has only one ID token, and it was already sent\n";
        assert!(step.failed(1).contains(&note), "{}", step.log);
    }
}

#[test]
fn only_flags_are_read_in_gitlab_ci() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::gitlab(&sandbox).without_arguments().set("INPUT_USER", "x").set("INPUT_CHECK_ONLY", "true").run();
    let fact = "the flag \"--user\" is missing or empty\nfix: add \"--user\" with the nuget.org profile name ";
    assert!(step.failed(2).starts_with(fact), "{}", step.log);
    for value in ["true", "nonsense"] {
        let step = Job::gitlab(&sandbox).set("INPUT_AUDIENCE", "x").set("INPUT_EXPORT_ENV", value).run();
        assert_eq!(step.code, 0, "{}", step.log);
    }
    #[cfg(unix)]
    {
        let no_text = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"\xff");
        let step = Job::gitlab(&sandbox).set("INPUT_CHECK_ONLY", no_text).run();
        assert_eq!(step.code, 0, "{}", step.log);
    }
}

#[test]
fn a_token_that_is_given_as_an_argument_is_not_shown() {
    let sandbox = Sandbox::with(|_| {});
    let (_, token) = sandbox.gitlab_environment()[1].clone();
    // `run` checks that it is not shown.
    let step = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &token).arguments([&token]).run();
    assert!(step.failed(2).contains("***"), "{}", step.log);
    // It is not shown as the value of another flag either.
    for flag in ["--token-service-url", "--timeout-seconds"] {
        let job = Job::gitlab(&sandbox).without_arguments().set("NUGET_ID_TOKEN", &token);
        let step = job.arguments(["exec", "--user=me", flag, &token, "--", "true"]).run();
        assert!(step.failed(2).contains("\"***"), "{}", step.log);
        assert!(!step.log.contains(&token[..80]), "{}", step.log);
    }
}

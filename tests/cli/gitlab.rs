//! A job of GitLab CI: one ID token in a variable, flags for everything, and no runner that masks.

use sandbox::Sandbox;
use sandbox::config::Visibility;
use sandbox::faults::{Answer, Effect, Route};
use serde_json::json;

use crate::fast_clock::FastClock;
use crate::job::Job;

#[test]
fn a_policy_that_matches_is_said_and_nothing_is_handed_on() {
    let sandbox = Sandbox::with(|config| config.gitlab_job.as_mut().unwrap().project_visibility = Visibility::Private);
    let step = Job::gitlab(&sandbox).run();
    assert_eq!(step.code, 0, "{}", step.log);
    assert!(step.text()[0].starts_with("A trust policy that contoso-bot created at 127.0.0.1:"), "{}", step.log);
    assert!(sandbox.gitlab_policies()[0].used_by.is_some());
    assert_eq!(sandbox.requests().len(), 1, "GitLab is asked nothing");
}

#[test]
#[cfg(unix)]
fn exec_gives_the_key_to_a_command() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    let job = Job::gitlab(&sandbox).with_path().without_arguments();
    let words = ["exec", "--user=contoso-bot", "--token-service-url", &url, "--", "sh", "-c", "printenv NUGET_API_KEY"];
    let ran = job.arguments(words).execute();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(String::from_utf8(ran.stdout).unwrap().trim(), sandbox.api_keys()[0]);
    let stderr = String::from_utf8(ran.stderr).unwrap();
    assert!(stderr.starts_with("Logged in to 127.0.0.1:"), "{stderr}");
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
    // Nor is the token shown where another argument should be.
    let step = job().arguments(["--id-token-variable", "MY_TOKEN", "--timeout-seconds", &token]).run();
    assert_eq!(step.code, 2);
    assert!(step.log.contains("is '***…'"), "{}", step.log);
    // The token where its name should be: it is not shown, and `run` looks for it.
    let step = job().arguments(["--id-token-variable", &token]).run();
    assert_eq!(step.code, 2);
    assert!(step.log.contains("--id-token-variable is not the name of a variable"), "{}", step.log);
}

#[test]
fn a_plain_login_on_gitlab_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let url = sandbox.token_service_url();
    for more in [None, Some("--export-env")] {
        let job = Job::gitlab(&sandbox).without_arguments();
        let step = job.arguments(["--user=contoso-bot", "--token-service-url", &url]).arguments(more).run();
        assert_eq!(step.code, 2);
        assert!(step.text()[1].starts_with("this is a GitLab CI job, which has no step outputs"), "{}", step.log);
        assert!(step.log.contains("nuget-login exec"), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn the_ci_system_is_told_by_two_variables_and_by_no_token() {
    let sandbox = Sandbox::with(|config| {
        config.job.repository_visibility = Visibility::Private;
        config.gitlab_job.as_mut().unwrap().project_visibility = Visibility::Private;
    });
    // A token of GitLab's on GitHub is not looked at, and GitHub's variables are not on GitLab.
    let (_, token) = sandbox.gitlab_environment()[1].clone();
    let step = Job::new(&sandbox).set("NUGET_ID_TOKEN", &token).run();
    assert!(!step.api_key().is_empty());
    assert!(sandbox.policies()[0].used_by.is_some() && sandbox.gitlab_policies()[0].used_by.is_none());
    let url = sandbox.id_token_request_url();
    let job = Job::gitlab(&sandbox).unset("NUGET_ID_TOKEN").set("ACTIONS_ID_TOKEN_REQUEST_URL", url);
    let step = job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", sandbox.request_token()).run();
    assert!(step.log.contains("this job has no ID token: the variable NUGET_ID_TOKEN is not set"), "{}", step.log);
    // Both: GitHub's runner would read what is printed.
    let step = Job::new(&sandbox).set("GITLAB_CI", "true").run();
    assert!(step.failed(2).starts_with("GITHUB_ACTIONS and GITLAB_CI are both `true`"), "{}", step.log);
    let step = Job::gitlab(&sandbox).set("GITLAB_CI", "1").run();
    assert_eq!(step.code, 2, "{}", step.log);
}

#[test]
fn an_unusable_token_is_reported_before_anything_is_sent() {
    let sandbox = Sandbox::with(|_| {});
    for (value, problem) in [
        ("", "the variable NUGET_ID_TOKEN is not set"),
        ("glcbt-64_not-a-json-web-token", "NUGET_ID_TOKEN holds no ID token: it is not a JSON web token"),
        ("a.b c.d", "NUGET_ID_TOKEN holds characters that no credential has"),
        ("abc.def.ghi", "NUGET_ID_TOKEN is for the audience of nobody, but 'https://www.nuget.org' is to get it"),
    ] {
        let job = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", value);
        let step = if value.len() > 9 { job.secret(value) } else { job }.run();
        assert_eq!(step.code, 1);
        assert!(step.text().iter().any(|line| line.contains(problem)), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn a_token_is_sent_to_its_audience_only() {
    let sandbox = Sandbox::with(|_| {});
    let audiences = [json!("https://vault.example"), json!(["https://www.nuget.org", "https://vault.example"])];
    for audience in audiences {
        let token = sandbox.gitlab_id_token("", |claims| claims["aud"] = audience);
        let step = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &token).run();
        assert_eq!(step.code, 1);
        assert!(step.log.contains("'https://vault.example', but 'https://www.nuget.org' is to get it"), "{}", step.log);
    }
    // A token for nuget.org is not lent to another registry, whatever the flag says.
    let step = Job::gitlab(&sandbox).arguments(["--audience", "https://nuget.contoso.example"]).run();
    assert!(step.log.contains("but 'https://nuget.contoso.example' is to get it"), "{}", step.log);
    // Nor to a host that could redeem it at nuget.org.
    let flags = ["--check-only", "--user=contoso-bot", "--token-service-url", "https://registry.example/token"];
    let step = Job::gitlab(&sandbox).without_arguments().arguments(flags).run();
    assert_eq!(step.code, 2);
    let problem =
        "the flag --token-service-url is of registry.example, which could redeem the job's ID token at nuget.org";
    assert!(step.log.contains(problem), "{}", step.log);
    assert!(sandbox.requests().is_empty());
    let alone = sandbox.gitlab_id_token("", |claims| claims["aud"] = json!(["https://www.nuget.org"]));
    assert_eq!(Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &alone).run().code, 0, "an array of one is one");
}

#[test]
fn an_exchange_that_did_not_arrive_is_retried_with_the_same_token() {
    let sandbox = Sandbox::with(|_| {});
    // Nobody listens there, for a while.
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
    assert_eq!(step.code, 1);
    assert!(step.log.contains("Attempt 1 failed"), "the index, which gets no token: {}", step.log);
    assert!(step.log.contains("Attempt 3 failed"), "no connection: {}", step.log);
    assert!(step.log.contains("would come too late for the deadline"), "{}", step.log);
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
        let end = "There was one attempt: the job's only ID token was sent, and each is good for one exchange.";
        assert!(step.log.contains(end), "{}", step.log);
    }
}

#[test]
fn flags_alone_count() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::gitlab(&sandbox).without_arguments().set("INPUT_USER", "x").set("INPUT_CHECK_ONLY", "true").run();
    assert!(step.log.contains("the input `user` (flag --user; no variable is read here) is empty"), "{}", step.log);
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
    // `run` looks for it.
    let step = Job::gitlab(&sandbox).set("NUGET_ID_TOKEN", &token).arguments([&token]).run();
    assert!(step.log.contains("***"), "{}", step.log);
    assert_eq!(step.code, 2);
    // Nor as the value of another flag.
    for flag in ["--token-service-url", "--timeout-seconds"] {
        let job = Job::gitlab(&sandbox).without_arguments().set("NUGET_ID_TOKEN", &token);
        let step = job.arguments(["exec", "--user=me", flag, &token, "--", "true"]).run();
        assert!(step.log.contains("'***"), "{}", step.log);
        assert!(!step.log.contains(&token[..80]), "{}", step.log);
        assert_eq!(step.code, 2);
    }
}

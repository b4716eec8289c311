//! Rejections by both services, and responses without the requested value.

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Route};
use serde_json::json;

use crate::job::Job;

/// The report of a step with this response from one service.
#[track_caller]
fn answered(route: Route, answer: Answer) -> String {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(route, 1, Effect::Instead(answer));
    let step = Job::new(&sandbox).run();
    assert_eq!(sandbox.requests().iter().filter(|request| request.route == route).count(), 1);
    step.failed(1).replace(sandbox.base_url().trim_start_matches("http://"), "HOST")
}

fn json_answer(status: u16, body: serde_json::Value) -> Answer {
    Answer::new(status, "application/json; charset=utf-8", body.to_string())
}

#[test]
fn a_wrong_request_token_is_rejected_by_github() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token").secret("wrong-token").run();
    let error = step.failed(1);
    assert!(
        error.starts_with("GitHub rejected this job's request token (HTTP 401)\nfix: run the job again: "),
        "{error}"
    );
    let note = "answered HTTP 401 Unauthorized: The request token is missing or wrong.\n";
    assert!(error.contains(note), "{error}");
    assert!(sandbox.requests().iter().all(|request| request.route == Route::IdToken));
}

#[test]
fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        for route in [Route::IdToken, Route::TokenService] {
            let elsewhere = Sandbox::with(|_| {});
            let location = elsewhere.token_service_url();
            let error = answered(route, Answer::new(status, "text/plain", "").with("Location", &location));
            let fact = format!("HOST answered HTTP {status} ");
            assert!(error.starts_with(&fact), "{error}");
            assert!(error.contains(", a redirect, which nuget-login does not follow\nfix: "), "{error}");
            assert!(elsewhere.requests().is_empty());
        }
    }
}

#[test]
fn only_a_json_message_is_shown() {
    let assert_note = |body: serde_json::Value, note: &str| {
        let error = answered(Route::TokenService, json_answer(401, body));
        assert!(error.contains(&format!("\nnote: HOST answered HTTP 401 Unauthorized{note}\n")), "{error}");
    };
    assert_note(json!({ "error": "Some words." }), ": Some words.");
    for body in [json!({ "error": 7 }), json!({ "error": " " }), json!(["error"]), json!({ "detail": "x" })] {
        assert_note(body, " without a message");
    }
    assert_note(json!({ "error": [0, {}], "message": "A gateway's words." }), ": A gateway's words.");
    let page = answered(Route::TokenService, Answer::new(403, "text/html", "<html>blocked</html>"));
    assert!(page.starts_with("HOST answered HTTP 403 Forbidden with HTML instead of JSON\n"), "{page}");
    assert!(!page.contains("blocked"), "{page}");
}

#[test]
fn a_200_with_an_unusable_token_is_a_failure() {
    for (body, problem) in [
        (r#"{"value":"abcdef.ghi"}"#, "the value in its response is not a JSON web token"),
        (
            r#"{"value":"a.b.c\n::stop::"}"#,
            "the value in its response contains characters that a credential cannot have (white space, control characters, \
             backticks or non-ASCII)",
        ),
    ] {
        let error = answered(Route::IdToken, Answer::json(200, body));
        assert!(error.starts_with(&format!("HOST answered HTTP 200, but {problem}\nfix: ")), "{error}");
    }
}

#[test]
fn a_200_without_a_key_is_a_failure() {
    let long = "k".repeat(4097);
    for (body, problem) in [
        (r#"{"tokenType":"ApiKey"}"#.to_owned(), "the response is not JSON with a string \"apiKey\""),
        (r#"{"apiKey":null}"#.to_owned(), "the response is not JSON with a string \"apiKey\""),
        (r#"{"apiKey":{"a-secret-key":1}}"#.to_owned(), "the response is not JSON with a string \"apiKey\""),
        (r#"["a-secret-key",null]"#.to_owned(), "the response is not JSON with a string \"apiKey\""),
        (r#"{"apiKey":""}"#.to_owned(), "the apiKey in its response is empty"),
        (
            r#"{"apiKey":"short"}"#.to_owned(),
            "the apiKey in its response is 5 characters long, which is not a valid length",
        ),
        (
            format!(r#"{{"apiKey":"{long}"}}"#),
            "the apiKey in its response is 4097 characters long, which is not a valid length",
        ),
        (
            r#"{"apiKey":"a-secret-key a"}"#.to_owned(),
            "the apiKey in its response contains characters that a credential cannot have ",
        ),
        (
            r#"{"apiKey":"a-secret-key\n"}"#.to_owned(),
            "the apiKey in its response contains characters that a credential cannot have ",
        ),
        (
            r#"{"apiKey":"a-secret-keyß"}"#.to_owned(),
            "the apiKey in its response contains characters that a credential cannot have ",
        ),
        (
            r#"{"apiKey":"a-secret-key\u0000"}"#.to_owned(),
            "the apiKey in its response contains characters that a credential cannot have ",
        ),
    ] {
        let error = answered(Route::TokenService, Answer::json(200, body));
        assert!(error.starts_with(&format!("HOST answered HTTP 200, but {problem}")), "{error}");
        assert!(!error.contains("a-secret-key"), "{error}");
    }
}

/// The report of a step that got this message, without the message itself.
#[track_caller]
fn explained(route: Route, status: u16, message: &str) -> String {
    let sandbox = Sandbox::with(|_| {});
    let answer = json_answer(status, json!({ "error": message, "message": message }));
    (1..20).for_each(|nth| sandbox.fault(route, nth, Effect::Instead(answer.clone())));
    let error = Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "1").run().failed(1);
    let host = sandbox.base_url().trim_start_matches("http://");
    assert!(error.contains(&format!("{host} answered HTTP {status} ")) && error.contains(message), "{error}");
    let is_explained =
        |line: &&str| !line.contains(message) && !line.contains(" attempts: ") && !line.contains(" attempt: ");
    error.lines().filter(is_explained).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_message_without_full_stop_or_in_another_case_is_explained_the_same() {
    for (route, status, message, other_case) in [
        (
            Route::IdToken,
            403,
            "Can't issue ID_TOKEN for job in 'Pending' state.",
            "can't issue id_token for job in 'Pending' State.",
        ),
        (
            Route::TokenService,
            401,
            "No matching trust policy owned by user 'contoso-bot' was found.",
            "No Matching Trust Policy owned by user 'contoso-bot' was found.",
        ),
        (
            Route::TokenService,
            401,
            "Workflow mismatch for policy 'release': expected 'publish.yml', actual 'release.yml'.",
            "workflow mismatch for policy 'release': expected 'publish.yml', Actual 'release.yml'.",
        ),
        (
            Route::TokenService,
            401,
            "The policy 'release' has expired. Sign in and renew the trust policy on the Trusted Publishing page.",
            "the policy 'release' has expired. sign in and renew the trust policy on the trusted publishing page.",
        ),
        (
            Route::TokenService,
            401,
            "The GitHub Actions event 'pull_request_target' is not allowed.",
            "The github actions Event 'pull_request_target' is not allowed.",
        ),
        (Route::TokenService, 401, "The user 'contoso-bot' is locked.", "THE USER 'contoso-bot' IS LOCKED."),
        (Route::TokenService, 401, "The JSON web token has expired.", "The JSON Web Token has expired."),
        (
            Route::TokenService,
            401,
            "The JSON web token has an incorrect audience.",
            "THE JSON WEB TOKEN HAS AN INCORRECT AUDIENCE.",
        ),
        (
            Route::TokenService,
            415,
            "The request must have a Content-Type of 'application/json'.",
            "The request must have a content-type of 'application/json'.",
        ),
    ] {
        let expected = explained(route, status, message);
        assert!(!expected.contains("nuget-login does not know") && expected.contains("\nfix: "), "{expected}");
        for variant in [message.trim_end_matches('.'), other_case, other_case.trim_end_matches('.')] {
            assert_eq!(explained(route, status, variant), expected, "{variant}");
        }
    }
}

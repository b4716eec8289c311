//! Either side says no, or says yes without what was asked for.

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Route};
use serde_json::json;

use crate::job::Job;

/// The error of a step that got this answer from one side.
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
    assert!(error.starts_with("no ID token from GitHub: 127.0.0.1:"), "{error}");
    assert!(error.ends_with("answered HTTP 401 Unauthorized: The request token is missing or wrong."), "{error}");
    assert!(sandbox.requests().iter().all(|request| request.route == Route::IdToken));
}

#[test]
fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        for route in [Route::IdToken, Route::TokenService] {
            let elsewhere = Sandbox::with(|_| {});
            let location = elsewhere.token_service_url();
            let error = answered(route, Answer::new(status, "text/plain", "").with("Location", &location));
            assert!(error.contains(", a redirect, which is never followed"), "{error}");
            assert!(elsewhere.requests().is_empty());
        }
    }
}

#[test]
fn only_a_message_in_json_is_shown() {
    let exchange = |body: serde_json::Value| answered(Route::TokenService, json_answer(401, body));
    assert!(exchange(json!({ "error": "Some words." })).ends_with("HTTP 401 Unauthorized: Some words."));
    for body in [json!({ "error": 7 }), json!({ "error": " " }), json!(["error"]), json!({ "detail": "x" })] {
        assert!(exchange(body).ends_with("HTTP 401 Unauthorized without a message of its own"));
    }
    assert!(exchange(json!({ "error": [0, {}], "message": "A gateway's words." })).ends_with(": A gateway's words."));
    let page = answered(Route::TokenService, Answer::new(403, "text/html", "<html>blocked</html>"));
    assert!(page.ends_with("HTTP 403 Forbidden with a web page instead of a message"));
}

#[test]
fn a_200_without_a_token_is_a_failure() {
    for (body, problem) in [
        (r#"{"count":0}"#, "the answer is not JSON with a string `value`"),
        (r#"{"value":7}"#, "the answer is not JSON with a string `value`"),
        (r#"{"value":""}"#, "the `value` in its answer is empty"),
        (r#"{"value":"abcdef.ghi"}"#, "the `value` in its answer is not a JSON web token"),
        (
            r#"{"value":"a.b.c\n::stop::"}"#,
            "the `value` in its answer holds characters that no credential has (white space, control characters or \
             non-ASCII)",
        ),
    ] {
        let error = answered(Route::IdToken, Answer::json(200, body));
        assert!(
            error.ends_with(&format!("\nno ID token from GitHub: HOST answered HTTP 200, but {problem}")),
            "{error}"
        );
    }
}

#[test]
fn a_200_without_a_key_is_a_failure() {
    let long = "k".repeat(4097);
    for (body, problem) in [
        (r#"{"tokenType":"ApiKey"}"#.to_owned(), "the answer is not JSON with a string `apiKey`"),
        (r#"{"apiKey":null}"#.to_owned(), "the answer is not JSON with a string `apiKey`"),
        (r#"{"apiKey":{"a-secret-key":1}}"#.to_owned(), "the answer is not JSON with a string `apiKey`"),
        (r#"["a-secret-key",null]"#.to_owned(), "the answer is not JSON with a string `apiKey`"),
        (r#"{"apiKey":""}"#.to_owned(), "the `apiKey` in its answer is empty"),
        (r#"{"apiKey":"short"}"#.to_owned(), "the `apiKey` in its answer is 5 characters long"),
        (format!(r#"{{"apiKey":"{long}"}}"#), "the `apiKey` in its answer is 4097 characters long"),
        (r#"{"apiKey":"a-secret-key a"}"#.to_owned(), "the `apiKey` in its answer holds characters"),
        (r#"{"apiKey":"a-secret-key\n"}"#.to_owned(), "the `apiKey` in its answer holds characters"),
        (r#"{"apiKey":"a-secret-keyß"}"#.to_owned(), "the `apiKey` in its answer holds characters"),
        (r#"{"apiKey":"a-secret-key\u0000"}"#.to_owned(), "the `apiKey` in its answer holds characters"),
    ] {
        let error = answered(Route::TokenService, Answer::json(200, body));
        let expected = format!("no API key from the token service: HOST answered HTTP 200, but {problem}");
        assert!(error.contains(&expected), "{error}");
        assert!(!error.contains("a-secret-key"), "{error}");
    }
}

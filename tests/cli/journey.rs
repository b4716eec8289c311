//! A whole login: an ID token becomes an API key that pushes a package.

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Route};
use sandbox::package;
use sandbox::runner::Line;
use sandbox::wire::push;

use crate::job::{Job, Step, appended};
use crate::scripted::{Scripted, json};

#[test]
fn a_login_gives_a_key_that_pushes() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).run();
    let key = step.api_key();
    assert_eq!(sandbox.api_keys(), [key]);
    assert_eq!(step.outputs.keys().collect::<Vec<_>>(), ["NUGET_API_KEY", "expires-at"]);
    let pushed = push(sandbox.base_url(), Some(key), &package::build("my-sdk", "1.0.0")).unwrap();
    assert_eq!(pushed.status, 201);
}

#[test]
fn a_login_prints_one_line_with_the_expiry_of_the_key() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).run();
    let host = sandbox.base_url().trim_start_matches("http://");
    let expires = &step.outputs["expires-at"];
    let (date, time) = (&expires[..10], &expires[11..16]);
    assert_eq!(
        step.text(),
        [format!("Logged in to {host} as contoso-bot: NUGET_API_KEY is valid until {date} {time} UTC.")]
    );
    assert!(step.warnings().is_empty());
    assert_eq!(step.summary, "");
}

#[test]
fn each_credential_is_masked_once_and_in_order() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).run();
    assert_eq!(step.masks(), [sandbox.request_token(), &sandbox.id_tokens()[0], step.api_key()]);
}

#[test]
fn a_key_is_masked_before_it_is_written() {
    let sandbox = Sandbox::with(|_| {});
    let job = Job::new(&sandbox);
    // Both go to the end of one file, so that it shows their order.
    let both = job.directory().join("both");
    let mut job = job.stdout(appended(&both)).set("GITHUB_OUTPUT", &both);
    assert!(job.execute().status.success());
    let written = std::fs::read_to_string(&both).unwrap();
    let mask = written.find(&format!("::add-mask::{}\n", sandbox.api_keys()[0])).unwrap();
    assert!(mask < written.find("NUGET_API_KEY<<").unwrap(), "{written}");
}

#[test]
fn the_requests_have_exactly_these_bytes() {
    let id_token = "aGVhZGVy.Y2xhaW1z.c2ln";
    let sandbox = Sandbox::with(|_| {});
    let github = Scripted::start(vec![json(&format!(r#"{{"count":22,"value":"{id_token}"}}"#))]);
    let nuget = Scripted::start(vec![json(r#"{"tokenType":"ApiKey","apiKey":"oy2key-that-is-long-enough"}"#)]);
    let (github_host, nuget_host) = (github.host.clone(), nuget.host.clone());
    let step = Job::new(&sandbox)
        .set("ACTIONS_ID_TOKEN_REQUEST_URL", format!("http://{github_host}/token?api-version=2.0"))
        .set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "the-request-token")
        .set("INPUT_TOKEN_SERVICE_URL", format!("http://{nuget_host}/api/v2/token"))
        .set("INPUT_USER", "contoso \"bot\" ä")
        .secret("the-request-token")
        .secret(id_token)
        .run();
    assert_eq!(step.api_key(), "oy2key-that-is-long-enough");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        github.requests(),
        [format!(
            "GET /token?api-version=2.0&audience=https%3A%2F%2Fwww.nuget.org HTTP/1.1\r\n\
             authorization: Bearer the-request-token\r\n\
             accept: application/json\r\n\
             user-agent: nuget-login/{version}\r\n\
             host: {github_host}\r\n\r\n"
        )]
    );
    let body = r#"{"username":"contoso \"bot\" ä","tokenType":"ApiKey"}"#;
    assert_eq!(
        nuget.requests(),
        [format!(
            "POST /api/v2/token HTTP/1.1\r\n\
             content-type: application/json\r\n\
             authorization: Bearer {id_token}\r\n\
             accept: application/json\r\n\
             user-agent: nuget-login/{version}\r\n\
             host: {nuget_host}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )]
    );
}

#[test]
fn any_audience_is_percent_encoded_in_a_url_with_or_without_a_query() {
    let sandbox = Sandbox::with(|_| {});
    let audience = "api://a b+c&d=e#f%20ü";
    let encoded = "audience=api%3A%2F%2Fa%20b%2Bc%26d%3De%23f%2520%C3%BC";
    let plain = sandbox.id_token_request_url().replace("?api-version=2.0", "");
    for (url, query) in [
        (sandbox.id_token_request_url(), format!("?api-version=2.0&{encoded}")),
        (plain.clone(), format!("?{encoded}")),
        (format!("{plain}?"), format!("?{encoded}")),
        (format!("{plain}?a=%2F#fragment"), format!("?a=%2F&{encoded}")),
    ] {
        let step = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", &url).set("INPUT_AUDIENCE", audience).run();
        let note = "answered HTTP 401 Unauthorized: The JSON web token has an incorrect audience.\n";
        assert!(step.failed(1).contains(note), "{}", step.log);
        let requests = sandbox.requests();
        let request = requests.iter().rfind(|request| request.route == Route::IdToken).unwrap();
        assert!(request.target.ends_with(&query), "{url}: {}", request.target);
    }
    let audience_of = |token: &str| sandbox::jwt::Jwt::parse(token).unwrap().claims["aud"].clone();
    assert!(sandbox.id_tokens().iter().all(|token| audience_of(token) == audience));
}

#[test]
fn localhost_is_loopback() {
    let sandbox = Sandbox::with(|_| {});
    let at_localhost = |url: String| url.replace("127.0.0.1", "LOCALHOST");
    let step = Job::new(&sandbox)
        .set("ACTIONS_ID_TOKEN_REQUEST_URL", at_localhost(sandbox.id_token_request_url()))
        .set("INPUT_TOKEN_SERVICE_URL", at_localhost(sandbox.token_service_url()))
        .run();
    step.api_key();
    assert!(step.text()[0].starts_with("Logged in to localhost:"), "{}", step.log);
}

#[test]
fn a_key_that_expires_soon_is_a_warning() {
    for (minutes, warned) in [(5, true), (10, false)] {
        let sandbox = Sandbox::with(|config| config.service.key_lifetime_minutes = minutes);
        let step = Job::new(&sandbox).run();
        step.api_key();
        let warnings = step.warnings().join("\n");
        let is_warning = warnings.starts_with("The API key is valid only until ")
            && warnings.ends_with(" UTC. Log in directly before the push.");
        assert_eq!(is_warning, warned, "{}", step.log);
        assert_eq!(step.summary.ends_with("Log in directly before the push.\n\n"), warned, "{}", step.summary);
    }
}

#[test]
fn a_login_after_several_attempts_reports_their_number() {
    let sandbox = Sandbox::with(|_| {});
    assert!(!Job::new(&sandbox).run().text()[0].contains("attempt"));
    sandbox.fault(Route::IdToken, 2, Effect::Reset);
    let step = Job::new(&sandbox).run();
    step.api_key();
    assert!(step.text()[1].ends_with(" UTC, after 2 attempts."), "{}", step.log);
    let summary = step.summary.trim_end();
    assert!(
        summary.starts_with("Logged in to `127.0.0.1:") && summary.ends_with(" UTC, after 2 attempts."),
        "{summary}"
    );
}

#[test]
fn debug_logging_shows_requests_and_claims_and_no_token() {
    let debug = |step: &Step| {
        let lines =
            step.lines.iter().filter_map(|line| if let Line::Debug(text) = line { Some(text.clone()) } else { None });
        lines.collect::<Vec<_>>()
    };
    for (name, value, debugs) in [
        ("RUNNER_DEBUG", "1", true),
        ("ACTIONS_STEP_DEBUG", "true", true),
        ("RUNNER_DEBUG", "0", false),
        ("ACTIONS_STEP_DEBUG", "", false),
    ] {
        let sandbox = Sandbox::with(|_| {});
        let step = Job::new(&sandbox).set(name, value).run();
        step.api_key();
        let lines = debug(&step);
        assert_eq!(!lines.is_empty(), debugs, "{}", step.log);
        if debugs {
            let host = sandbox.base_url();
            assert!(
                lines[0].starts_with(&format!("GET {host}/_apis/distributedtask/jobs/oidctoken: HTTP 200 (")),
                "{lines:?}"
            );
            assert!(lines.iter().any(|line| line == "claim repository = \"contoso/contoso-sdk\""), "{lines:?}");
            assert!(lines.iter().any(|line| line.starts_with("claim exp = ")), "{lines:?}");
            assert!(lines.last().unwrap().starts_with(&format!("POST {host}/api/v2/token: HTTP 200 (")), "{lines:?}");
        }
    }
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::new(503, "text/html", "<p>")));
    let step = Job::new(&sandbox).set("RUNNER_DEBUG", "1").run();
    assert!(debug(&step).iter().any(|line| line.contains("answered HTTP 503 Service Unavailable")), "{}", step.log);
    // Outside a job, the log is for a person: it has no commands.
    let step = Job::new(&sandbox).unset("GITHUB_ACTIONS").set("RUNNER_DEBUG", "1").run();
    assert_eq!(step.code, 2);
}

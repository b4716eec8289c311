//! The log and the step summary of every failure, as a user sees them. The snapshots are to be read; CONTRIBUTING explains
//! how new ones are accepted.

#[cfg(target_os = "linux")]
mod connections;
mod gitlab;

use std::fs;
use std::time::Duration;

use sandbox::Sandbox;
use sandbox::config::{Account, Config, Policy, RepositoryIds};
use sandbox::faults::{Answer, Effect, Route};
use sandbox::runner::render;
use serde_json::{Value, json};

use crate::job::{Job, Step};

const AUDIENCE: &str = "https://www.nuget.org";

/// A job's failure as it is shown, without what differs from run to run.
#[track_caller]
fn shown(name: &str, sandbox: &Sandbox, step: &Step) {
    assert_ne!(step.code, 0, "{}", step.log);
    let clean = |text: &str| {
        let text = without_ports(text).replace(sandbox.request_token(), "***");
        let lines = text.lines().filter(|line| !line.starts_with("Attempt ")).map(without_attempts);
        lines.collect::<Vec<_>>().join("\n")
    };
    let log = clean(&render(&step.log).join("\n"));
    let summary = clean(&step.summary);
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, format!("{log}\n\n=== summary\n\n{summary}"));
    });
}

/// A note about a deadline, without the numbers that differ from run to run.
fn without_attempts(line: &str) -> String {
    let Some((attempts, deadline)) = line.split_once(", too late for the time limit (timeout-seconds: ") else {
        return line.to_owned();
    };
    let label = &attempts[..attempts.find(|char: char| char.is_ascii_digit()).unwrap()];
    format!(
        "{label}… attempts: the next one would start in …, too late for the time limit (timeout-seconds: {deadline}"
    )
}

/// `HOST` for each port of this machine.
fn without_ports(text: &str) -> String {
    let without = |text: String, name: &str| {
        let mut parts = text.split(name);
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + "HOST" + part.trim_start_matches(|char: char| char.is_ascii_digit()))
    };
    ["127.0.0.1:", "localhost:"].into_iter().fold(text.to_owned(), without)
}

/// The failure of the seed job in a changed world.
#[track_caller]
fn world(name: &str, change: impl FnOnce(&mut Config)) {
    let sandbox = Sandbox::with(change);
    let step = Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "1").run();
    shown(name, &sandbox, &step);
}

/// The failure of a step of the seed job.
#[track_caller]
fn step(name: &str, change: impl FnOnce(Job<'_>) -> Job<'_>) {
    let sandbox = Sandbox::with(|_| {});
    shown(name, &sandbox, &change(Job::new(&sandbox)).run());
}

/// The failure of a step that got this answer, always.
#[track_caller]
fn answered(name: &str, route: Route, answer: Answer) {
    let sandbox = Sandbox::with(|_| {});
    (1..50).for_each(|nth| sandbox.fault(route, nth, Effect::Instead(answer.clone())));
    let step = Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "1").run();
    shown(name, &sandbox, &step);
}

fn error(status: u16, message: &str) -> Answer {
    Answer::json(status, json!({ "error": message }))
}

fn claim(name: &str, value: Value) -> impl FnOnce(&mut Config) {
    let name = name.to_owned();
    move |config| drop(config.job.claims.insert(name, value))
}

fn missing(claim: &str) -> impl FnOnce(&mut Config) {
    move |config| config.job.omit_claims.push(claim.to_owned())
}

#[test]
fn policies() {
    step("user_unknown", |job| job.set("INPUT_USER", "unknown-user"));
    step("user_is_the_organization", |job| job.set("INPUT_USER", "contoso"));
    world("repository_differs", |config| config.policies[0].repository = "contoso-cli".to_owned());
    world("repository_was_made_anew", |config| {
        let ids = |id: &str| RepositoryIds { repository_id: id.to_owned(), repository_owner_id: id.to_owned() };
        config.policies[0].used_by = Some(ids("1"));
    });
    world("policy_expired", |config| config.policies[0].age_days = 8);
    let foreign = |config: &mut Config| {
        let called = "contoso/workflows/.github/workflows/publish.yml@refs/heads/main";
        config.job.job_workflow_ref = Some(called.to_owned());
    };
    let sandbox = Sandbox::with(foreign);
    shown("obstacle_and_user_unknown", &sandbox, &Job::new(&sandbox).set("INPUT_USER", "unknown-user").run());
    shown("obstacle_in_policy", &sandbox, &Job::new(&sandbox).arguments(["policy"]).run());
    world("event_not_allowed", |config| config.job.event_name = "pull_request_target".to_owned());
    world("reusable_workflow_of_another_repository", foreign);
    world("reusable_workflow_of_this_repository", |config| {
        let called = "contoso/contoso-sdk/.github/workflows/publish.yml@refs/heads/main";
        config.job.job_workflow_ref = Some(called.to_owned());
    });
    world("workflow_differs", |config| config.policies[0].workflow = "publish.yml".to_owned());
    world("environment_missing", |config| config.policies[0].environment = "production".to_owned());
    world("environment_differs", |config| {
        config.policies[0].environment = "production".to_owned();
        config.job.environment = Some("staging".to_owned());
    });
    world("several_policies", |config| {
        let policy = |name: &str, workflow: &str, environment: &str| Policy {
            name: name.to_owned(),
            workflow: workflow.to_owned(),
            environment: environment.to_owned(),
            ..Config::default().policies[0].clone()
        };
        config.policies = vec![
            policy("nightly", "nightly.yml", ""),
            policy("release", "release.yml", "production"),
            Policy { age_days: 9, ..policy("old", "release.yml", "") },
        ];
    });
    world("two_policies", |config| {
        let policy = |workflow: &str| Policy { workflow: workflow.to_owned(), ..Config::default().policies[0].clone() };
        config.policies = vec![policy("nightly.yml"), policy("weekly.yml")];
    });
    world("two_policies_expired", |config| {
        let policy =
            |name: &str| Policy { name: name.to_owned(), age_days: 9, ..Config::default().policies[0].clone() };
        config.policies = vec![policy("old"), policy("older")];
    });
    for name in ["repository", "repository_owner", "repository_owner_id", "repository_id", "event_name"] {
        world(&format!("claim_missing_{name}"), missing(name));
    }
    world("claim_missing_job_workflow_ref", missing("job_workflow_ref"));
}

#[test]
fn accounts() {
    world("user_locked", |config| config.users[0].locked = true);
    world("user_unconfirmed", |config| config.users[0].confirmed = false);
    world("user_deleted", |config| config.users[0].deleted = true);
    world("organization_locked", |config| config.organizations[0].locked = true);
    world("organization_unconfirmed", |config| config.organizations[0].confirmed = false);
    world("organization_deleted", |config| config.organizations[0].deleted = true);
    world("membership_lost", |config| {
        let admin = Account { name: "contoso-admin".to_owned(), ..config.users[0].clone() };
        config.users.push(admin);
        config.organizations[0].members = vec!["contoso-admin".to_owned()];
    });
    // In the service's source, but not to be reached today.
    answered(
        "organization_as_user",
        Route::TokenService,
        error(
            400,
            "Generating fetching tokens directly for organizations is not supported. The trust policy is created on the \
             profile of one of the organization's administrators and is scoped to the organization in the policy.",
        ),
    );
    answered("account_deleted", Route::TokenService, error(400, "The organization 'contoso' is deleted."));
    answered("account_deleted_since", Route::TokenService, error(400, "The user 'contoso-bot' is deleted."));
}

#[test]
fn id_tokens() {
    world("issuer_not_supported", |config| {
        config.job.issuer = Some("https://github.contoso.example/_services/token".into())
    });
    world("issuer_of_an_enterprise", |config| {
        config.job.issuer = Some("https://token.actions.githubusercontent.com/contoso".to_owned());
    });
    world("issuer_not_https", claim("iss", json!("http://token.actions.githubusercontent.com")));
    world("issuer_missing", missing("iss"));
    world("audience_missing", claim("aud", json!("")));
    world("audiences_several", claim("aud", json!(["https://www.nuget.org", "https://other.example"])));
    step("audience_differs", |job| job.set("INPUT_AUDIENCE", "https://nuget.contoso.example"));
    world("jti_missing", missing("jti"));
    world("token_expired", |config| {
        config.job.claims.insert("nbf".to_owned(), json!(1_600_000_000));
        config.job.claims.insert("exp".to_owned(), json!(1_600_000_300));
    });
    world("token_not_yet_valid", |config| {
        config.job.claims.insert("nbf".to_owned(), json!(4_000_000_000_u64));
        config.job.claims.insert("exp".to_owned(), json!(4_000_000_300_u64));
    });
    world("token_not_validated", missing("exp"));

    let issued = |value: &str| Answer::json(200, json!({ "value": value }));
    let sandbox = Sandbox::with(|_| {});
    for nth in 1..3 {
        let token = sandbox.forge("https://www.nuget.org", |_| {});
        let (signed, _) = token.rsplit_once('.').unwrap();
        let forged = issued(&format!("{signed}.{}", "A".repeat(342)));
        sandbox.fault(Route::IdToken, nth, Effect::Instead(forged));
    }
    shown("signature_invalid", &sandbox, &Job::new(&sandbox).run());
    answered("token_no_json_web_token", Route::IdToken, issued("not.a.token"));

    // A cache between the job and GitHub returns old ID tokens.
    let sandbox = Sandbox::with(|_| {});
    let tokens = [(); 3].map(|()| sandbox.forge("https://www.nuget.org", |_| {}));
    for (nth, token) in (1..).zip(tokens.iter().chain(&tokens).chain(&tokens[..1])) {
        sandbox.fault(Route::IdToken, nth, Effect::Instead(issued(token)));
    }
    for _ in &tokens {
        Job::new(&sandbox).run().api_key();
    }
    let job = tokens.iter().fold(Job::new(&sandbox), |job, token| job.secret(token));
    let step = job.run();
    shown("token_repeated", &sandbox, &step);
    let used = "This bearer token has already been used. A new bearer token must be used for each request.";
    answered("token_used_already", Route::TokenService, error(401, used));
}

#[test]
fn requests_that_something_changed_on_the_way() {
    for (name, status, message) in [
        ("header_missing", 401, "The Authorization header is missing."),
        ("header_twice", 401, "Only one Authorization header is allowed."),
        ("header_not_bearer", 401, "The Authorization header value must start with 'Bearer '."),
        ("header_empty", 401, "The bearer token is missing from the Authorization header."),
        ("header_cookie", 401, "Only Bearer token authentication is accepted."),
        ("content_type", 415, "The request must have a Content-Type of 'application/json'."),
        ("user_agent", 400, "A User-Agent header is required."),
        ("username_missing", 400, "The username property in the request body is required."),
        ("token_type", 400, "The tokenType property in the request body is required and must set to 'ApiKey'."),
        ("not_authenticated", 401, "The request could not be authenticated."),
    ] {
        answered(&format!("request_{name}"), Route::TokenService, error(status, message));
    }
}

#[test]
fn services() {
    world("token_service_switched_off", |config| config.service.enabled = false);
    let sandbox = Sandbox::with(|config| config.service.seconds_between_keys = 30.0);
    Job::new(&sandbox).run().api_key();
    let again = Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "1").run();
    shown("too_many_requests", &sandbox, &again);

    let page = |status| Answer::new(status, "text/html", "<html><body>Blocked by Contoso Shield</body></html>");
    answered("page_instead_of_a_key", Route::TokenService, page(200));
    answered("page_instead_of_an_id_token", Route::IdToken, page(403));
    answered("service_unavailable", Route::TokenService, Answer::new(503, "text/plain", ""));
    answered(
        "redirect",
        Route::TokenService,
        Answer::new(302, "text/plain", "").with("Location", "https://x.example/"),
    );
    let endless = Effect::Endless {
        start: b"HTTP/1.1 200 OK\r\n\r\n{".to_vec(),
        then: vec![b' '; 65_536],
        pause: Duration::ZERO,
    };
    let failing = |name: &str, effect: Effect| {
        let sandbox = Sandbox::with(|_| {});
        (1..9).for_each(|nth| sandbox.fault(Route::IdToken, nth, effect.clone()));
        shown(name, &sandbox, &Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "1").run());
    };
    failing("response_too_long", endless);
    failing("response_incomplete", Effect::Bytes(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()));
    answered("message_not_known", Route::TokenService, error(401, "Your request was not nice."));
    // Messages of nuget-login.
    answered(
        "not_found_in_words",
        Route::TokenService,
        error(404, "There is no GITHUB_OUTPUT with a web page instead of."),
    );
    let no_key = Answer::json(200, r#"{"apiKey":"short"}"#);
    answered("key_of_no_use", Route::TokenService, no_key);
    answered("request_token_of_another_job", Route::IdToken, Answer::new(401, "text/plain", ""));
    answered("response_without_an_id_token", Route::IdToken, Answer::json(200, r#"{"value":null}"#));
    answered("request_for_an_id_token_rejected", Route::IdToken, Answer::new(403, "text/plain", ""));
    step("request_token_wrong", |job| job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token"));
    let pending = json!({ "message": "Can't issue ID_TOKEN for job in 'Pending' state." }).to_string();
    answered("job_pending", Route::IdToken, Answer::json(403, pending));
}

#[test]
fn jobs_without_the_right_to_ask() {
    step("permission_missing", |job| job.unset("ACTIONS_ID_TOKEN_REQUEST_URL"));
    step("dependabot", |job| job.unset("ACTIONS_ID_TOKEN_REQUEST_URL").set("GITHUB_ACTOR", "dependabot[bot]"));
    let fork = json!({ "full_name": "octocat/contoso-sdk" });
    for (name, event_name, head) in [
        ("fork", "pull_request", fork.clone()),
        ("fork_reviewed", "pull_request_review", fork.clone()),
        ("fork_with_the_rights_of_the_base", "pull_request_target", fork),
        ("fork_deleted", "pull_request", Value::Null),
        ("pull_request_of_this_repository", "pull_request", json!({ "full_name": "contoso/contoso-sdk" })),
    ] {
        step(name, |job| {
            let base = json!({ "repo": { "full_name": "contoso/contoso-sdk", "fork": false } });
            let pull_request = json!({ "body": "x".repeat(2_000_000), "head": { "repo": head }, "base": base });
            let event = json!({ "number": 7, "pull_request": pull_request });
            let file = job.directory().join("event.json");
            fs::write(&file, event.to_string()).unwrap();
            let job = job.unset("ACTIONS_ID_TOKEN_REQUEST_URL").set("GITHUB_EVENT_NAME", event_name);
            job.set("GITHUB_EVENT_PATH", file)
        });
    }
    step("user_empty", |job| job.set("INPUT_USER", ""));
    for (name, user) in [
        ("user_a_profile_url", "https://www.nuget.org/profiles/contoso-bot"),
        ("user_a_display_name", "Contoso Bot"),
        ("user_an_api_key", &format!("oy2{}", "a".repeat(43))),
    ] {
        step(name, |job| job.set("INPUT_USER", user).unset("INPUT_TOKEN_SERVICE_URL"));
    }
    step("user_an_e_mail_address", |job| job.set("INPUT_USER", "me@contoso.example").unset("INPUT_TOKEN_SERVICE_URL"));
}

#[test]
fn places_and_files() {
    step("no_job", |job| job.unset("GITHUB_ACTIONS"));
    let exec = ["exec", "--user=contoso-bot", "--token-service-url=http://127.0.0.1:1/", "--", "true"];
    step("no_job_and_no_sandbox", |job| {
        job.unset("GITHUB_ACTIONS").unset("ACTIONS_ID_TOKEN_REQUEST_URL").arguments(exec)
    });
    step("other_ci", |job| job.unset("GITHUB_ACTIONS").set("TF_BUILD", "True"));
    step("argument_unknown", |job| job.arguments(["--usr", "contoso-bot"]));
    step("no_output_file", |job| job.unset("GITHUB_OUTPUT"));
    step("output_file_no_file", |job| job.set("GITHUB_OUTPUT", "/"));
    step("no_environment_file", |job| job.set("INPUT_EXPORT_ENV", "true"));
}

#[test]
fn indexes() {
    let index = |name: &str, answer: Answer| {
        let sandbox = Sandbox::with(|_| {});
        sandbox.fault(Route::Other, 1, Effect::Instead(answer));
        let job = Job::new(&sandbox).unset("INPUT_TOKEN_SERVICE_URL").set("INPUT_SOURCE", sandbox.service_index_url());
        shown(&format!("index_{name}"), &sandbox, &job.run());
    };
    let listing = |resources: Value| Answer::json(200, json!({ "resources": resources }));
    index("without_a_token_service", listing(json!([{ "@id": "x", "@type": "PackagePublish/2.0.0" }])));
    index("with_an_unusable_one", listing(json!([{ "@id": "http://x.example/", "@type": "TokenService/1.0.0" }])));
    index("of_something_else", Answer::json(200, "[]"));
    index("private", Answer::new(401, "text/plain", ""));
    index("moved", Answer::new(301, "text/plain", "").with("Location", "https://x.example/"));
    index("absent", Answer::new(404, "text/plain", ""));
}

//! Text from outside can't act: neither as a command, nor as an output, nor by hiding or leaking anything.

use rcgen::SanType;
use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Route};
use serde_json::json;

use crate::job::Job;
use crate::scripted::Scripted;
use crate::tls_world::{Authority, tls_front};

/// Attempts to break out of an annotation, a log line or an output record.
const ATTACKS: &[&str] = &[
    "\n::add-mask::x",
    "\r::error::forged",
    "\r\n  ::set-output name=NUGET_API_KEY::forged",
    "\n::stop-commands::x\n",
    "##[error]forged",
    "x ##[set-env name=PATH]/tmp",
    "##\u{200b}[command]",
    "\u{2028}::error::forged\u{85}::error::forged",
    "%0A::error::forged%0D%0A",
    "\u{1b}[2J\u{1b}[31m\u{8}\u{7}\0",
    "\u{202e}drowssap\u{2066}",
    "\nNUGET_API_KEY<<x\nforged\nx\n",
    "ghadelimiter_",
    "\u{a0}\n\u{3000}::warning::forged",
];

#[test]
fn messages_of_both_sides_stay_one_line_of_one_annotation() {
    for attack in ATTACKS {
        for (route, field) in [(Route::IdToken, "message"), (Route::TokenService, "error")] {
            let sandbox = Sandbox::with(|_| {});
            let body = json!({ field: format!("before{attack}after") }).to_string();
            sandbox.fault(route, 1, Effect::Instead(Answer::json(400, body)));
            let step = Job::new(&sandbox).run();
            let error = step.failed(1);
            let (_, message) = error.split_once("HTTP 400 Bad Request: ").unwrap();
            assert!(message.starts_with("before") && message.ends_with("after"), "{attack:?}: {message:?}");
            assert!(!message.contains(char::is_control), "{message:?}");
            assert!(step.text().is_empty() && step.warnings().is_empty(), "{}", step.log);
        }
    }
}

#[test]
fn inputs_cannot_act() {
    for attack in ATTACKS.iter().filter(|attack| !attack.contains('\0')) {
        let sandbox = Sandbox::with(|_| {});
        let user = format!("x{attack}x");
        let step = Job::new(&sandbox).set("INPUT_USER", &user).run();
        let error = step.failed(1);
        assert!(error.contains("No matching trust policy owned by user 'x"), "{error}");
        let sent: serde_json::Value = serde_json::from_slice(&sandbox.requests()[1].body).unwrap();
        assert_eq!(sent["username"], user, "sent as given, shown harmless");

        // In a success line too.
        let sandbox = Sandbox::with(|config| {
            config.users[0].name = user.clone();
            config.policies[0].created_by = user.clone();
            config.organizations[0].members = vec![user.clone()];
        });
        let step = Job::new(&sandbox).set("INPUT_USER", &user).run();
        step.api_key();
        assert_eq!(step.text().len(), 1, "{}", step.log);

        let url = format!("http://x{attack}.example");
        Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", &url).run().failed(2);
        Job::new(&sandbox).arguments([format!("--x{attack}")]).run().failed(2);
    }
}

#[test]
fn a_service_that_echoes_a_credential_does_not_get_it_shown() {
    let sandbox = Sandbox::with(|_| {});
    let echo = json!({ "message": format!("bad token '{}'", sandbox.request_token()) }).to_string();
    sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::json(400, echo)));
    assert!(Job::new(&sandbox).run().failed(1).ends_with("bad token '***'"));

    let id_token = sandbox.forge("https://www.nuget.org", |_| {});
    // The beginning of a credential must not be left at the place where a long message is cut.
    for padding in [0, 900, 990, 1_000] {
        let issued = json!({ "value": id_token }).to_string();
        let nth = |route| 1 + sandbox.requests().iter().filter(|request| request.route == route).count();
        sandbox.fault(Route::IdToken, nth(Route::IdToken), Effect::Instead(Answer::json(200, issued)));
        let echo = json!({ "error": format!("{} {id_token}", "x".repeat(padding)) }).to_string();
        sandbox.fault(Route::TokenService, nth(Route::TokenService), Effect::Instead(Answer::json(400, echo)));
        let step = Job::new(&sandbox).secret(&id_token[..40]).run();
        assert!(!step.failed(1).contains("eyJ"), "{}", step.log);
        // Nor what stands behind a header that it has in common with the request token.
        let payload = id_token.split('.').nth(1).unwrap();
        assert!(!step.failed(1).contains(&payload[..12]), "{}", step.log);
    }
}

#[test]
fn a_credential_in_an_expiry_is_redacted() {
    let sandbox = Sandbox::with(|_| {});
    let id_token = sandbox.forge("https://www.nuget.org", |_| {});
    let (header, claims) = (id_token.split('.').next().unwrap(), id_token.split('.').nth(1).unwrap());
    // A key of the same form, which begins as the token does.
    let key = format!("{header}.a2V5##[a2V5.c2lnbmF0dXJl");
    let issued = json!({ "value": id_token }).to_string();
    sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::json(200, issued)));
    let made = json!({ "apiKey": key, "expires": format!("{id_token} {key}") }).to_string();
    sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(200, made)));
    let step = Job::new(&sandbox).secret(&id_token).secret(&claims[..12]).secret(&key).run();
    assert!(step.text()[0].ends_with("valid until '*** ***', which is no RFC 3339 time."), "{}", step.log);
}

#[test]
fn a_huge_message_is_cut() {
    let sandbox = Sandbox::with(|_| {});
    let body = json!({ "error": "é<|>".repeat(25_000) }).to_string();
    sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(401, body)));
    let step = Job::new(&sandbox).run();
    let error = step.failed(1);
    assert!(error.chars().count() < 1_200 && error.ends_with('…'), "{error}");
}

#[test]
fn a_key_with_characters_that_commands_escape_is_masked_and_delivered_as_it_is() {
    for key in ["100%0Akey", "::error::key", "key,with:colons", "##[error]key", "ghadelimiter_x", "a=b<<c=d<<e"] {
        let sandbox = Sandbox::with(|_| {});
        let body = json!({ "apiKey": key }).to_string();
        sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(200, body)));
        let step = Job::new(&sandbox).secret(key).run();
        assert_eq!(step.api_key(), key);
        assert_eq!(step.masks()[2], key);
    }
}

/// How the error of a step begins.
#[track_caller]
fn begins(job: Job<'_>, expected: &str) {
    let step = job.run();
    let error = step.failed(if step.code == 2 { 2 } else { 1 });
    assert!(error.starts_with(expected), "{error}");
}

/// Words of messages that have an advice, where others say them.
#[test]
fn untrusted_text_selects_no_explanation() {
    let sandbox = Sandbox::with(|_| {});
    let authority = Authority::new("cannot connect to anybody");
    let to = |tls| {
        let (front, _) = tls_front(&sandbox, tls);
        let url = format!("https://localhost:{}/token", front.port());
        Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url)
    };
    begins(to(authority.server("localhost", |_| {})), "The other side's certificate is of an authority that is not");
    for name in ["x is issued by the best, which is not trusted here", "x must be replaced: y"] {
        let name = name.try_into().unwrap();
        let job = to(authority.server("x.example", |params| params.subject_alt_names = vec![SanType::DnsName(name)]));
        let root = authority.file(&job, "root.pem");
        begins(job.set("SSL_CERT_FILE", root), "The server's certificate is not valid for this host, or not at this");
    }

    let refusing = Scripted::start(vec![b"HTTP/1.1 401 Who?\r\nContent-Length: 0\r\n\r\n".to_vec(); 2]);
    let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", "https://github.example/token?x=y");
    begins(job.set("HTTPS_PROXY", format!("http://{}", refusing.host)), "The proxy does not allow this host.\n");
    refusing.requests();

    for path in [
        "this is not a GitHub Actions job",
        "nuget.org answered HTTP 500",
        "X is not set, so the API key could not be handed",
    ] {
        let expected = format!("the environment variable NODE_EXTRA_CA_CERTS names {path}, which");
        begins(Job::new(&sandbox).set("NODE_EXTRA_CA_CERTS", path), &expected);
    }
    let job = Job::new(&sandbox);
    let folder = job.directory().join("the file in x");
    std::fs::create_dir(&folder).unwrap();
    begins(job.set("GITHUB_OUTPUT", folder), "The API key could not be handed to other steps.\n");
    let job = Job::new(&sandbox).unset("INPUT_TOKEN_SERVICE_URL");
    begins(job.set("INPUT_USER", "the input `user` is@x.example"), "The input `user` looks like an e-mail address.\n");
}

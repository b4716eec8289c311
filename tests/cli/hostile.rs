//! Untrusted input cannot act as a command or an output, and cannot hide or reveal anything.

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
fn a_service_message_is_one_line_of_the_report() {
    for attack in ATTACKS {
        for (route, field) in [(Route::IdToken, "message"), (Route::TokenService, "error")] {
            let sandbox = Sandbox::with(|_| {});
            let body = json!({ field: format!("before{attack}after") }).to_string();
            sandbox.fault(route, 1, Effect::Instead(Answer::json(400, body)));
            let step = Job::new(&sandbox).run();
            let error = step.failed(1);
            let notes = Vec::from_iter(error.lines().filter(|line| line.contains("answered HTTP 400 Bad Request: ")));
            let [note] = notes[..] else { panic!("{error}") };
            let (_, message) = note.split_once("HTTP 400 Bad Request: ").unwrap();
            assert!(message.starts_with("before") && message.ends_with("after"), "{attack:?}: {message:?}");
            assert!(!message.contains(char::is_control), "{message:?}");
            assert!(note.starts_with("note: ") && step.warnings().is_empty(), "{}", step.log);
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
        let is_name = user.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let fact = if is_name {
            format!("the nuget.org profile {user} has no trust policy ")
        } else {
            "\"user\" is \"x".to_owned()
        };
        assert!(error.starts_with(&fact), "{error}");
        assert!(error.contains("answered HTTP 401 Unauthorized: No matching trust policy owned by user 'x"), "{error}");
        let sent: serde_json::Value = serde_json::from_slice(&sandbox.requests()[1].body).unwrap();
        assert_eq!(sent["username"], user, "sent unchanged, shown sanitized");

        // The same in the line after a login.
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
fn a_credential_in_a_service_message_is_redacted() {
    let sandbox = Sandbox::with(|_| {});
    let echo = json!({ "message": format!("bad token '{}'", sandbox.request_token()) }).to_string();
    sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::json(400, echo)));
    assert!(Job::new(&sandbox).run().failed(1).contains("HTTP 400 Bad Request: bad token '***'\n"));

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
        // The claims follow a header that both tokens have in common.
        let payload = id_token.split('.').nth(1).unwrap();
        assert!(!step.failed(1).contains(&payload[..12]), "{}", step.log);
    }
}

#[test]
fn a_credential_in_an_expiry_is_redacted() {
    let sandbox = Sandbox::with(|_| {});
    let id_token = sandbox.forge("https://www.nuget.org", |_| {});
    let (header, claims) = (id_token.split('.').next().unwrap(), id_token.split('.').nth(1).unwrap());
    // A key of the same form, which begins like the token.
    let key = format!("{header}.a2V5##[a2V5.c2lnbmF0dXJl");
    let issued = json!({ "value": id_token }).to_string();
    sandbox.fault(Route::IdToken, 1, Effect::Instead(Answer::json(200, issued)));
    let made = json!({ "apiKey": key, "expires": format!("{id_token} {key}") }).to_string();
    sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(200, made)));
    let step = Job::new(&sandbox).secret(&id_token).secret(&claims[..12]).secret(&key).run();
    assert!(step.text()[0].ends_with("is valid until *** *** (not a time in RFC 3339)."), "{}", step.log);
}

#[test]
fn a_huge_message_is_truncated() {
    let sandbox = Sandbox::with(|_| {});
    let body = json!({ "error": "é<|>".repeat(25_000) }).to_string();
    sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(401, body)));
    let step = Job::new(&sandbox).run();
    let error = step.failed(1);
    let notes = Vec::from_iter(error.lines().filter(|line| line.contains("answered HTTP 401 Unauthorized: é<|>")));
    let [note] = notes[..] else { panic!("{error}") };
    assert!(note.chars().count() < 1_200 && note.ends_with('…'), "{note}");
    assert!(error.chars().count() < 3_000, "{error}");
}

#[test]
fn a_key_with_characters_that_commands_escape_is_masked_and_delivered_unchanged() {
    for key in ["100%0Akey", "::error::key", "key,with:colons", "##[error]key", "ghadelimiter_x", "a=b<<c=d<<e"] {
        let sandbox = Sandbox::with(|_| {});
        let body = json!({ "apiKey": key }).to_string();
        sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(200, body)));
        let step = Job::new(&sandbox).secret(key).run();
        assert_eq!(step.api_key(), key);
        assert_eq!(step.masks()[2], key);
    }
}

/// A step fails with an explanation of this topic.
#[track_caller]
fn is_explained(job: Job<'_>, topic: &str) {
    let step = job.run();
    let error = step.failed(if step.code == 2 { 2 } else { 1 });
    assert!(error.ends_with(&format!("/docs/troubleshooting.md#{topic}")), "{error}");
}

/// Messages of nuget-login in untrusted text.
#[test]
fn untrusted_text_selects_no_explanation() {
    let sandbox = Sandbox::with(|_| {});
    let authority = Authority::new("cannot connect to anybody");
    let to = |tls| {
        let (front, _) = tls_front(&sandbox, tls);
        let url = format!("https://localhost:{}/token", front.port());
        Job::new(&sandbox).set("INPUT_TOKEN_SERVICE_URL", url)
    };
    is_explained(to(authority.server("localhost", |_| {})), "certificate-authority-not-trusted");
    for name in ["x was issued by the best, which this machine does not trust", "x cannot be accepted: y"] {
        let name = name.try_into().unwrap();
        let job = to(authority.server("x.example", |params| params.subject_alt_names = vec![SanType::DnsName(name)]));
        let root = authority.file(&job, "root.pem");
        is_explained(job.set("SSL_CERT_FILE", root), "certificate-not-valid");
    }

    let refusing = Scripted::start(vec![b"HTTP/1.1 401 Who?\r\nContent-Length: 0\r\n\r\n".to_vec(); 2]);
    let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_URL", "https://github.example/token?x=y");
    is_explained(job.set("HTTPS_PROXY", format!("http://{}", refusing.host)), "host-refused-by-the-proxy");
    refusing.requests();

    for path in [
        "this is not a GitHub Actions job",
        "nuget.org answered HTTP 500",
        "the API key cannot be passed to later steps: X is unset",
    ] {
        is_explained(Job::new(&sandbox).set("NODE_EXTRA_CA_CERTS", path), "certificate-file");
    }
    let job = Job::new(&sandbox);
    let folder = job.directory().join("the file in x");
    std::fs::create_dir(&folder).unwrap();
    is_explained(job.set("GITHUB_OUTPUT", folder), "output-file");
    let job = Job::new(&sandbox).unset("INPUT_TOKEN_SERVICE_URL");
    is_explained(job.set("INPUT_USER", "the input `user` is empty@x.example"), "user-is-not-a-profile-name");
}

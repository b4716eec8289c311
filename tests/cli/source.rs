//! `source`: nuget-login finds the token service in the registry's service index.

use std::time::Duration;

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Fault, Route};
use serde_json::json;

use crate::fast_clock::FastClock;
use crate::job::{Job, out_of_time};
use crate::tls_world::{Authority, proxy, tls_front};

fn job(sandbox: &Sandbox) -> Job<'_> {
    Job::new(sandbox).unset("INPUT_TOKEN_SERVICE_URL").set("INPUT_SOURCE", sandbox.service_index_url())
}

/// The report of a step with this index; only the index was requested.
#[track_caller]
fn refused(index: serde_json::Value) -> String {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::Other, 1, Effect::Instead(Answer::json(200, index)));
    let step = job(&sandbox).run();
    assert_eq!(sandbox.requests().len(), 1);
    step.failed(1).replace(sandbox.base_url().trim_start_matches("http://"), "HOST")
}

#[test]
fn the_token_service_in_the_index_gets_the_id_token() {
    let sandbox = Sandbox::with(|_| {});
    let step = job(&sandbox).run();
    step.api_key();
    let base = sandbox.base_url();
    let host = base.trim_start_matches("http://");
    assert_eq!(step.text()[0], format!("The token service of {host} is {base}/api/v2/token."));
    let requests = sandbox.requests();
    assert_eq!(requests[0].target, "/v3/index.json");
    assert!(requests[0].header("authorization").is_empty(), "an index gets no credential");
    Job::new(&sandbox)
        .unset("INPUT_TOKEN_SERVICE_URL")
        .arguments(["--source", &sandbox.service_index_url()])
        .run()
        .api_key();
}

#[test]
fn one_or_several_types_are_understood() {
    let sandbox = Sandbox::with(|_| {});
    let id = sandbox.token_service_url();
    let index = json!({ "resources": [
        { "@id": "x", "@type": "PackagePublish/2.0.0", "comment": { "deep": [] } },
        { "@id": null, "@type": "TokenService/1.0.0" }, { "@type": 7 }, "odd", null,
        { "@id": format!("{id}?hidden=in-the-log"), "@type": ["Something", "tokenservice/1.0.0"] },
    ]});
    let index = format!("\u{feff}{index}");
    sandbox.fault(Route::Other, 1, Effect::Instead(Answer::json(200, index)));
    let step = job(&sandbox).run();
    step.api_key();
    assert!(!step.log.contains("hidden"), "{}", step.log);
}

#[test]
fn an_index_is_not_requested_twice() {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::Other, 1, Effect::Reset);
    sandbox.fault(Route::Other, 2, Effect::Instead(Answer::new(503, "text/html", "").with("Retry-After", "4")));
    sandbox.fault(Route::TokenService, 1, Effect::Reset);
    let clock = FastClock::new(&sandbox);
    job(&sandbox).run_by(&clock).api_key();
    assert_eq!(clock.waits().len(), 3);
    assert!(clock.waits()[1] >= Duration::from_secs(4));
    assert_eq!(sandbox.requests().iter().filter(|request| request.route == Route::Other).count(), 3);
}

#[test]
fn an_index_without_a_token_service_is_reported_with_its_resources() {
    let index = json!({ "resources": [
        { "@id": "x", "@type": "PackagePublish/2.0.0" },
        { "@id": "y", "@type": "SearchQueryService\n::error::x" },
        { "@id": "z", "@type": "PackagePublish/2.0.0" },
        ["https://nuget.example/token", "TokenService/1.0.0"],
    ]});
    let error = refused(index);
    assert!(error.starts_with("the service index of HOST does not list a token service\nfix: "), "{error}");
    let note = "\nnote: it lists PackagePublish/2.0.0, SearchQueryService ::error::x, not TokenService/1.0.0\n";
    assert!(error.contains(note), "{error}");
    let error = refused(json!({ "resources": [] }));
    assert!(error.contains("\nnote: it lists nothing, not TokenService/1.0.0\n"), "{error}");
    // Messages of nuget-login as types.
    for message in
        ["the input `user` is empty", "this is not a GitHub Actions job", "cannot connect to HOST: the TLS handshake "]
    {
        let error = refused(json!({ "resources": [{ "@id": "x", "@type": message }] }));
        assert!(error.starts_with("the service index of HOST does not list a token service\nfix: "), "{error}");
    }
    let many: Vec<_> = (10..90).map(|n| json!({ "@id": "x", "@type": format!("T{n}") })).collect();
    let error = refused(json!({ "resources": many }));
    assert!(
        error.contains("note: it lists T10, T11, ") && error.contains(", T48, T49, not TokenService/1.0.0\n"),
        "{error}"
    );
    for odd in [json!([]), json!({}), json!({ "resources": 7 })] {
        let error = refused(odd);
        assert!(error.starts_with("the URL in \"source\" is not a NuGet V3 service index\nfix: "), "{error}");
        let note = "\nnote: HOST answered HTTP 200, but the response is not JSON with a list \"resources\"\n";
        assert!(error.contains(note), "{error}");
    }
}

#[test]
fn a_credential_is_only_sent_to_its_own_service() {
    let named = |id: &str| refused(json!({ "resources": [{ "@id": id, "@type": "TokenService/1.0.0" }] }));
    for id in
        ["http://nuget.example/token", "ftp://nuget.example/", "/api/token", "https://user:pa55word@nuget.example/"]
    {
        let error = named(id);
        assert!(error.starts_with("the token service in the service index of HOST "), "{error}");
        assert!(!error.contains("pa55word"), "{error}");
    }
    let error = named("https://nuget.example/token");
    let fact =
        "the ID token would be issued for nuget.org, and nuget.example could redeem it there\nfix: set \"audience\"";
    assert!(error.starts_with(fact), "{error}");
}

#[test]
fn an_index_on_another_host_cannot_list_a_loopback_host() {
    let sandbox = Sandbox::with(|_| {});
    let authority = Authority::new("Contoso Root");
    let (front, _) = tls_front(&sandbox, authority.server("nuget.example", |_| {}));
    let (proxy, _) = proxy(front);
    let job =
        job(&sandbox).set("INPUT_SOURCE", "https://nuget.example/v3/index.json").set("INPUT_AUDIENCE", "nuget.example");
    let file = authority.file(&job, "root.pem");
    let step = job.set("HTTPS_PROXY", proxy.to_string()).set("SSL_CERT_FILE", file).run();
    let fact = "the token service in the service index of nuget.example is a loopback host: 127.0.0.1:";
    assert!(step.failed(1).starts_with(fact), "{}", step.log);
    assert!(sandbox.id_tokens().is_empty());
}

#[test]
fn a_silent_index_is_retried_until_the_deadline_and_a_rejection_is_final() {
    let sandbox = Sandbox::with(|_| {});
    (1..9).for_each(|nth| {
        sandbox.fault(Route::Other, nth, Fault { delay: Duration::from_secs(3_600), effect: Effect::Answered })
    });
    let clock = FastClock::impatient(&sandbox);
    let step = job(&sandbox).set("INPUT_TIMEOUT_SECONDS", "7").run_by(&clock);
    let error = step.failed(1);
    assert!(
        error.starts_with("the response from 127.0.0.1:") && error.contains(" was not complete within "),
        "{error}"
    );
    assert!(error.contains("\nnote: stopped after ") && error.contains(&out_of_time(7)), "{error}");
    assert!(clock.elapsed() <= Duration::from_secs(8), "{:?}", clock.elapsed());
    for (status, fact) in [
        (401, "the service index requires credentials (HTTP 401)\n"),
        (302, "HOST answered HTTP 302 Found, a redirect, which nuget-login does not follow\n"),
        (404, "there is no service index at \"source\" (HTTP 404)\n"),
    ] {
        let sandbox = Sandbox::with(|_| {});
        sandbox.fault(Route::Other, 1, Effect::Instead(Answer::new(status, "text/plain", "").with("Location", "/x")));
        let step = job(&sandbox).run();
        let error = step.failed(1).replace(sandbox.base_url().trim_start_matches("http://"), "HOST");
        assert!(error.starts_with(fact), "{error}");
        assert_eq!(sandbox.requests().len(), 1);
    }
}

#[test]
fn a_flag_overrides_the_variable_of_the_excluded_input() {
    let sandbox = Sandbox::with(|_| {});
    Job::new(&sandbox).arguments(["--source", &sandbox.service_index_url()]).run().api_key();
    job(&sandbox).arguments(["--token-service-url", &sandbox.token_service_url()]).run().api_key();
    let step = Job::new(&sandbox).set("INPUT_EXPORT_ENV", "true").arguments(["--check-only"]).run();
    assert_eq!(step.outputs["policy-matches"], "true");
}

#[test]
fn source_and_audience_are_checked_before_anything_is_sent() {
    let sandbox = Sandbox::with(|_| {});
    let both = Job::new(&sandbox).set("INPUT_SOURCE", sandbox.service_index_url()).run();
    let expected = "\"source\" and \"token-service-url\" are both set\nfix: remove one of the two\n";
    assert!(both.failed(2).starts_with(expected), "{}", both.log);
    for audience in ["", "https://www.nuget.org", "https://www.nuget.org/"] {
        let step = job(&sandbox)
            .set("INPUT_SOURCE", "https://nuget.example/v3/index.json")
            .set("INPUT_AUDIENCE", audience)
            .run();
        let fact = "the ID token would be issued for nuget.org, and nuget.example could redeem it there\n";
        assert!(step.failed(2).starts_with(fact), "{}", step.log);
    }
    for source in ["http://nuget.example/v3/index.json", "nonsense", "https://me:pa55word@nuget.example/"] {
        let step = job(&sandbox).set("INPUT_SOURCE", source).secret("pa55word").run();
        assert!(step.failed(2).starts_with("\"source\" "), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

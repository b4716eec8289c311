//! `source`: the token service is found in the registry's service index.

use std::time::Duration;

use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Fault, Route};
use serde_json::json;

use crate::fast_clock::FastClock;
use crate::job::Job;
use crate::tls_world::{Authority, proxy, tls_front};

fn job(sandbox: &Sandbox) -> Job<'_> {
    Job::new(sandbox).unset("INPUT_TOKEN_SERVICE_URL").set("INPUT_SOURCE", sandbox.service_index_url())
}

/// The error of a step whose index is this; nothing was sent but the request for it.
#[track_caller]
fn refused(index: serde_json::Value) -> String {
    let sandbox = Sandbox::with(|_| {});
    sandbox.fault(Route::Other, 1, Effect::Instead(Answer::json(200, index)));
    let step = job(&sandbox).run();
    assert_eq!(sandbox.requests().len(), 1);
    step.failed(1).replace(sandbox.base_url().trim_start_matches("http://"), "HOST")
}

#[test]
fn the_token_service_that_the_index_names_is_asked() {
    let sandbox = Sandbox::with(|_| {});
    let step = job(&sandbox).run();
    step.api_key();
    let base = sandbox.base_url();
    let host = base.trim_start_matches("http://");
    assert_eq!(step.text()[0], format!("The token service of {host} is {base}/api/v2/token."));
    let requests = sandbox.requests();
    assert_eq!(requests[0].target, "/v3/index.json");
    assert!(requests[0].header("authorization").is_empty(), "an index is told nothing");
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
    let expected = "the service index of HOST names no TokenService/1.0.0; it has PackagePublish/2.0.0, SearchQueryService ::error::x";
    assert!(error.ends_with(expected), "{error}");
    assert!(refused(json!({ "resources": [] })).ends_with("names no TokenService/1.0.0; it has nothing"));
    // Words that something else has an advice for.
    for words in
        ["there is no @ in the user names of nuget.org", "this is not a GitHub Actions job", "HOST: TLS fails: "]
    {
        let error = refused(json!({ "resources": [{ "@id": "x", "@type": words }] }));
        assert!(error.starts_with("The registry's service index names no token service.\n"), "{error}");
    }
    let many: Vec<_> = (10..90).map(|n| json!({ "@id": "x", "@type": format!("T{n}") })).collect();
    let error = refused(json!({ "resources": many }));
    assert!(error.ends_with(", T48, T49"), "{error}");
    for odd in [json!([]), json!({}), json!({ "resources": 7 })] {
        assert!(refused(odd).contains("answered HTTP 200, but the answer is not JSON with a list of `resources`"));
    }
}

#[test]
fn a_credential_is_sent_to_its_own_service_only() {
    let named = |id: &str| refused(json!({ "resources": [{ "@id": id, "@type": "TokenService/1.0.0" }] }));
    for id in
        ["http://nuget.example/token", "ftp://nuget.example/", "/api/token", "https://user:pa55word@nuget.example/"]
    {
        let error = named(id);
        assert!(error.contains("the TokenService/1.0.0 in the service index of HOST "), "{error}");
        assert!(!error.contains("pa55word"), "{error}");
    }
    let error = named("https://nuget.example/token");
    assert!(error.contains("names the token service of nuget.example, which could redeem"), "{error}");
}

#[test]
fn an_index_of_another_host_cannot_name_loopback() {
    let sandbox = Sandbox::with(|_| {});
    let authority = Authority::new("Contoso Root");
    let (front, _) = tls_front(&sandbox, authority.server("nuget.example", |_| {}));
    let (proxy, _) = proxy(front);
    let job =
        job(&sandbox).set("INPUT_SOURCE", "https://nuget.example/v3/index.json").set("INPUT_AUDIENCE", "nuget.example");
    let file = authority.file(&job, "root.pem");
    let step = job.set("HTTPS_PROXY", proxy.to_string()).set("SSL_CERT_FILE", file).run();
    assert!(
        step.failed(1).contains("in the service index of nuget.example is on loopback (127.0.0.1:"),
        "{}",
        step.log
    );
    assert!(sandbox.id_tokens().is_empty());
}

#[test]
fn an_index_that_hangs_ends_with_the_deadline_and_one_that_refuses_at_once() {
    let sandbox = Sandbox::with(|_| {});
    (1..9).for_each(|nth| {
        sandbox.fault(Route::Other, nth, Fault { delay: Duration::from_secs(3_600), effect: Effect::Answered })
    });
    let clock = FastClock::impatient(&sandbox);
    let step = job(&sandbox).set("INPUT_TIMEOUT_SECONDS", "7").run_by(&clock);
    assert!(step.failed(1).contains("no service index: "), "{}", step.log);
    assert!(clock.elapsed() <= Duration::from_secs(8), "{:?}", clock.elapsed());
    for (status, words) in [(401, "asks for credentials"), (302, "somewhere else"), (404, "There is no service index")]
    {
        let sandbox = Sandbox::with(|_| {});
        sandbox.fault(Route::Other, 1, Effect::Instead(Answer::new(status, "text/plain", "").with("Location", "/x")));
        let step = job(&sandbox).run();
        assert!(step.failed(1).contains(words), "{}", step.log);
        assert_eq!(sandbox.requests().len(), 1);
    }
}

#[test]
fn a_flag_silences_the_variable_of_what_it_excludes() {
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
    assert_eq!(both.failed(2), "the inputs `source` and `token-service-url` exclude each other: give one of them");
    for audience in ["", "https://www.nuget.org", "https://www.nuget.org/"] {
        let step = job(&sandbox)
            .set("INPUT_SOURCE", "https://nuget.example/v3/index.json")
            .set("INPUT_AUDIENCE", audience)
            .run();
        assert!(step.failed(2).contains("the input `source` is of nuget.example, which could redeem"), "{}", step.log);
    }
    for source in ["http://nuget.example/v3/index.json", "nonsense", "https://me:pa55word@nuget.example/"] {
        let step = job(&sandbox).set("INPUT_SOURCE", source).secret("pa55word").run();
        assert!(step.failed(2).starts_with("the input `source` "), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

//! Inputs: where they come from, and what is refused before anything is sent.

use sandbox::Sandbox;

use crate::job::Job;

/// Runs a step that must fail before its first request, and gives its error.
#[track_caller]
fn refused(code: i32, change: impl FnOnce(Job<'_>) -> Job<'_>) -> String {
    let sandbox = Sandbox::with(|_| {});
    let step = change(Job::new(&sandbox)).run();
    assert!(sandbox.requests().is_empty(), "{}", step.log);
    step.failed(code).to_owned()
}

#[test]
fn a_flag_wins_over_its_variable() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox)
        .set("INPUT_USER", "somebody")
        .set("INPUT_TOKEN_SERVICE_URL", "https://example.invalid/token")
        .set("INPUT_AUDIENCE", "nobody")
        .arguments(["--user", "contoso-bot", "--audience=https://www.nuget.org", "--token-service-url"])
        .arguments([sandbox.token_service_url()])
        .run();
    step.api_key();
}

#[test]
fn white_space_around_an_input_does_not_count() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox)
        .set("INPUT_USER", " contoso-bot\n")
        .set("INPUT_TOKEN_SERVICE_URL", format!("\t{} ", sandbox.token_service_url()))
        .arguments(["--audience", " https://www.nuget.org "])
        .run();
    step.api_key();
}

#[test]
fn empty_and_blank_mean_absent() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).set("INPUT_AUDIENCE", " ").arguments(["--user", "", "--audience", " \n"]).run();
    step.api_key();
    // A flag that holds nothing silences no variable either.
    Job::new(&sandbox).arguments(["--source=", "--token-service-url", " "]).run().api_key();
}

#[test]
fn an_e_mail_address_is_refused_as_user() {
    for (url, refused) in
        [("https://www.nuget.org/api/v2/token", true), ("", true), ("https://nuget.contoso.example/token", false)]
    {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox).set("INPUT_USER", "me@contoso.example").set("INPUT_TOKEN_SERVICE_URL", url);
        // No ID token comes, so nothing is sent to that host.
        let step = job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token").run();
        assert_eq!(step.code, if refused { 2 } else { 1 }, "{}", step.log);
        if refused {
            assert!(step.errors()[0].contains("the input `user` is 'me@contoso.example', but there is no @"));
            assert!(sandbox.requests().is_empty());
        }
    }
}

#[test]
fn a_user_is_required() {
    for user in ["", " \t"] {
        let error = refused(2, |job| job.set("INPUT_USER", user));
        assert_eq!(error, "The input `user` is empty.\nthe input `user` (flag --user, variable INPUT_USER) is empty");
    }
    refused(2, |job| job.unset("INPUT_USER"));
}

#[test]
fn a_token_service_must_be_an_https_url_or_on_loopback() {
    let error = |url: &str| refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", url));
    let clear = |url: &str| {
        format!(
            "the input `token-service-url` is '{url}', but credentials are sent over https only: give an https URL \
             (http is for loopback hosts such as 127.0.0.1)"
        )
    };
    for url in [
        "http://www.nuget.org/api/v2/token",
        "http://127.0.0.1.example/",
        "http://localhost.example/",
        "http://sub.localhost/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://[::2]/",
        "ftp://www.nuget.org/token",
        "file:///etc/passwd",
        "data:text/plain,x",
    ] {
        assert_eq!(error(url), clear(url));
    }
    for (url, cause) in [
        ("www.nuget.org/api", "relative URL without a base"),
        // Words that something of ours has an advice for.
        ("the file in GITHUB_OUTPUT can't take the API key: x", "relative URL without a base"),
        ("https://", "empty host"),
        ("https://host:99999/", "invalid port number"),
        ("https://b\u{fc}cher.example/", "a host outside ASCII must be given in its `xn--` form"),
        ("https://a b/", "the host is neither a name nor an address that a server can have"),
        ("https://{server}/api/token", "the host is neither a name nor an address that a server can have"),
        ("https://a\"b/", "the host is neither a name nor an address that a server can have"),
        ("https://a..b/", "the host is neither a name nor an address that a server can have"),
    ] {
        let expected =
            format!("the input `token-service-url` is not a URL: '{url}' ({cause}); give an absolute https URL");
        assert_eq!(error(url), expected);
    }
}

#[test]
fn a_url_that_no_server_takes_is_refused() {
    let url = format!("https://host.example/{}", "x".repeat(9_000));
    let error = refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", url));
    assert!(error.ends_with("x…' (it is longer than 8192 bytes); give an absolute https URL"), "{error}");
}

#[test]
fn an_audience_fits_a_url() {
    let error = refused(2, |job| job.set("INPUT_AUDIENCE", "a".repeat(1_001)));
    assert_eq!(error, "the input `audience` is 1001 bytes long; give one of at most 1000");
    let sandbox = Sandbox::with(|_| {});
    Job::new(&sandbox).set("INPUT_AUDIENCE", "\u{e4}".repeat(500)).run().failed(1);
    assert_eq!(sandbox.requests().len(), 2, "both services took it");
}

#[test]
fn a_url_with_credentials_is_refused_and_not_shown() {
    for url in ["https://user:pa55word@host.example/token", "https://pa55word@host.example/token"] {
        let error = refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", url).secret("pa55word"));
        assert_eq!(
            error,
            "the input `token-service-url` holds a user name or a password before its host (host.example): leave them out"
        );
    }
    refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", "https//user:pa55word@host").secret("pa55word"));
    refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", "ftp://user:pa55word@host").secret("pa55word"));
}

#[test]
fn the_query_of_a_url_is_not_shown() {
    for (url, shown) in [
        ("http://registry.example/t?code=s3cret-code", "http://registry.example/t"),
        ("http://registry.example?code=s3cret-code", "http://registry.example"),
        ("http://registry.example/t#code=s3cret-code", "http://registry.example/t"),
        ("registry.example/t?code=s3cret-code&x=https://a/", "registry.example/t"),
        ("https://a b/t?code=s3cret-code", "https://a b/t"),
        ("https://host:99999/?code=s3cret-code", "https://host:99999/"),
        ("?code=s3cret-code", ""),
    ] {
        for (input, variable) in [("token-service-url", "INPUT_TOKEN_SERVICE_URL"), ("source", "INPUT_SOURCE")] {
            let error = refused(2, |job| job.unset("INPUT_TOKEN_SERVICE_URL").set(variable, url).secret("s3cret-code"));
            let beginnings = [" is", " is not a URL:"].map(|is| format!("the input `{input}`{is} '{shown}'"));
            assert!(beginnings.iter().any(|beginning| error.starts_with(beginning)), "{error}");
        }
        let error = refused(1, |job| job.set("ACTIONS_ID_TOKEN_REQUEST_URL", url).secret("s3cret-code"));
        assert!(error.contains(&format!("'{shown}'")), "{error}");
    }
    let long = format!("https://host.example/t?code={}", "s3cret-code".repeat(900));
    refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", long).secret("s3cret-code"));
    // Nor where there should be no URL.
    for arguments in [
        &["https://host.example/t?code=s3cret-code"][..],
        &["policy", "https://host.example/t?code=s3cret-code"],
        &["exec", "https://host.example/t#code=s3cret-code"],
        &["--check-only=https://host.example/t?code=s3cret-code"],
        &["--source=x", "https://host.example/t?code=s3cret-code"],
    ] {
        let error = refused(2, |job| job.arguments(arguments).secret("s3cret-code"));
        assert!(error.contains("'https://host.example/t'"), "{error}");
    }
}

#[test]
fn a_password_in_a_url_is_not_shown_by_any_usage_error() {
    let urls =
        ["https://user:pa55word@host.example/t", "https://user:pa55word%40host.example/t", "https://h:pa55word/"];
    for url in urls {
        let arguments = [
            &[url][..],
            &["policy", url],
            &["exec", url],
            &["--timeout-seconds", url],
            &["--check-only", "--source", url],
            &["--user", url],
        ];
        for arguments in arguments {
            refused(2, |job| {
                let job = job.unset("INPUT_TOKEN_SERVICE_URL").arguments(arguments.iter().copied());
                job.secret("pa55word").set("INPUT_CHECK_ONLY", if arguments[0] == "--user" { "x" } else { "" })
            });
        }
    }
}

#[test]
fn the_request_url_must_be_https_or_loopback_too() {
    for url in ["http://token.actions.example/x", "http://user:pa55word@127.0.0.1/", "nonsense"] {
        let error = refused(1, |job| job.set("ACTIONS_ID_TOKEN_REQUEST_URL", url).secret("pa55word"));
        assert!(error.contains("the environment variable ACTIONS_ID_TOKEN_REQUEST_URL "), "{error}");
    }
}

#[test]
fn a_job_without_the_permission_is_explained() {
    for name in ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"] {
        for error in [refused(1, |job| job.unset(name)), refused(1, |job| job.set(name, " "))] {
            assert!(
                error.starts_with("This job may not ask GitHub for an ID token: it lacks `id-token: write`.\n"),
                "{error}"
            );
            assert!(
                error.ends_with(&format!("\nthis job can't ask GitHub for an ID token: {name} is not set")),
                "{error}"
            );
        }
    }
}

#[test]
fn a_request_token_that_no_header_can_hold_is_refused() {
    let error = refused(1, |job| job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "to\nken").secret("to\nken"));
    assert!(error.contains("the environment variable ACTIONS_ID_TOKEN_REQUEST_TOKEN holds characters"), "{error}");
}

#[test]
#[cfg(unix)]
fn a_variable_that_is_not_unicode_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let garbage = || OsString::from_vec(vec![b'x', 0xff]);
    assert_eq!(
        refused(2, |job| job.set("INPUT_USER", garbage())),
        "the environment variable INPUT_USER is not valid UTF-8"
    );
    refused(1, |job| job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", garbage()));
    refused(2, |job| job.arguments([garbage()]));
}

#[test]
fn nuget_orgs_audience_for_another_token_service_is_a_warning() {
    let warnings = |url: &str, audience: &str| {
        let sandbox = Sandbox::with(|_| {});
        // No ID token comes, so nothing is sent to that host.
        let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token");
        let step = job.set("INPUT_TOKEN_SERVICE_URL", url).set("INPUT_AUDIENCE", audience).run();
        step.failed(1);
        step.warnings().join("\n")
    };
    for audience in ["", "https://www.nuget.org", "https://www.nuget.org/"] {
        let warning = warnings("https://nuget.contoso.example/token", audience);
        assert!(warning.contains("nuget.contoso.example"), "{warning}");
        assert!(warning.contains("redeem it at nuget.org. Set the input `audience`"), "{warning}");
    }
    assert_ne!(warnings("https://nuget.org.example/token", ""), "");
    assert_ne!(warnings("https://notnuget.org/token", ""), "");
    assert_eq!(warnings("https://nuget.contoso.example/token", "nuget.contoso.example"), "");
    assert_eq!(warnings("https://www.nuget.org/api/v2/token", ""), "");
    assert_eq!(warnings("https://nuget.org/api/v2/token", ""), "");
    assert_eq!(warnings("https://www.nuget.org.:8443/api/v2/token", ""), "");
    assert_eq!(warnings("https://localhost/api/v2/token", ""), "");
}

#[test]
fn a_timeout_is_whole_seconds_up_to_a_day() {
    for value in ["0", "-1", "1.5", "2m", "+3", "86401", "99999999999999999999", "٣", "1 0"] {
        assert_eq!(
            refused(2, |job| job.set("INPUT_TIMEOUT_SECONDS", value)),
            format!("the input `timeout-seconds` is '{value}'; give whole seconds from 1 to 86400")
        );
    }
    for value in ["86400", " 007 ", ""] {
        let sandbox = Sandbox::with(|_| {});
        Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "0").arguments(["--timeout-seconds=60"]).run().api_key();
        Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", value).run().api_key();
    }
}

#[test]
fn a_switch_is_true_or_false_and_nothing_else() {
    for (name, variable) in [("check-only", "INPUT_CHECK_ONLY"), ("export-env", "INPUT_EXPORT_ENV")] {
        for value in ["yes", "1", "tRue", "on"] {
            let error = refused(2, |job| job.set(variable, value));
            assert_eq!(error, format!("the input `{name}` is '{value}'; give true or false"));
        }
    }
    let error = refused(2, |job| job.set("INPUT_CHECK_ONLY", "true").set("INPUT_EXPORT_ENV", "true"));
    assert!(error.starts_with("the inputs `check-only` and `export-env` exclude each other"), "{error}");
}

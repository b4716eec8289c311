//! Inputs: where they are read, and what is refused before anything is sent.

use sandbox::Sandbox;

use crate::job::Job;

/// The report of a step that must fail before its first request.
#[track_caller]
fn refused(code: i32, change: impl FnOnce(Job<'_>) -> Job<'_>) -> String {
    let sandbox = Sandbox::with(|_| {});
    let step = change(Job::new(&sandbox)).run();
    assert!(sandbox.requests().is_empty(), "{}", step.log);
    step.failed(code)
}

#[test]
fn a_flag_wins_over_its_variable() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox)
        .set("INPUT_USER", "unknown-user")
        .set("INPUT_TOKEN_SERVICE_URL", "https://example.invalid/token")
        .set("INPUT_AUDIENCE", "other")
        .arguments(["--user", "contoso-bot", "--audience=https://www.nuget.org", "--token-service-url"])
        .arguments([sandbox.token_service_url()])
        .run();
    step.api_key();
}

#[test]
fn white_space_around_an_input_is_ignored() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox)
        .set("INPUT_USER", " contoso-bot\n")
        .set("INPUT_TOKEN_SERVICE_URL", format!("\t{} ", sandbox.token_service_url()))
        .arguments(["--audience", " https://www.nuget.org "])
        .run();
    step.api_key();
}

#[test]
fn empty_and_blank_inputs_are_absent() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).set("INPUT_AUDIENCE", " ").arguments(["--user", "", "--audience", " \n"]).run();
    step.api_key();
    // An empty flag does not override a variable either.
    Job::new(&sandbox).arguments(["--source=", "--token-service-url", " "]).run().api_key();
}

#[test]
fn an_e_mail_address_is_refused_as_user() {
    for (url, refused) in
        [("https://www.nuget.org/api/v2/token", true), ("", true), ("https://nuget.contoso.example/token", false)]
    {
        let sandbox = Sandbox::with(|_| {});
        let job = Job::new(&sandbox).set("INPUT_USER", "me@contoso.example").set("INPUT_TOKEN_SERVICE_URL", url);
        // GitHub issues no ID token, so nothing is sent to that host.
        let step = job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token").run();
        assert_eq!(step.code, if refused { 2 } else { 1 }, "{}", step.log);
        if refused {
            let fact = "\"user\" is \"me@contoso.example\", an e-mail address\nfix: set \"user\" to the profile ";
            assert!(step.failed(2).starts_with(fact), "{}", step.log);
            assert!(sandbox.requests().is_empty());
        }
    }
}

/// The report of a step with this user of nuget.org's service.
#[track_caller]
fn refused_user(user: &str) -> String {
    refused(2, |job| job.unset("INPUT_TOKEN_SERVICE_URL").set("INPUT_USER", user))
}

#[test]
fn a_user_of_nuget_org_in_another_form_is_refused_with_the_corrected_name() {
    for user in [
        "https://www.nuget.org/profiles/contoso-bot",
        "https://www.nuget.org/profiles/contoso-bot/",
        "www.nuget.org/profiles/contoso-bot",
        "nuget.org/profiles/contoso-bot",
        "@contoso-bot",
        "\"contoso-bot\"",
        "'contoso-bot'",
        "`contoso-bot`",
        "\"@contoso-bot\"",
    ] {
        let error = refused_user(user);
        let expected = format!(
            "\"user\" is \"{user}\", which is not a nuget.org profile name\nfix: set \"user\" to contoso-bot\n"
        );
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn a_user_of_nuget_org_that_contains_no_name_is_refused_with_the_form_of_names() {
    for user in [
        "Contoso Bot",
        "contoso-bot,contoso-admin",
        "${{ secrets.NUGET_USER }}",
        "$NUGET_USER",
        "https://www.nuget.org/profiles/",
        "https://github.com/contoso-bot",
        "Jos\u{e9}",
    ] {
        let error = refused_user(user);
        let expected = format!(
            "\"user\" is \"{}\", which is not a nuget.org profile name\nfix: set \"user\" to the profile \
             name of the person who created the trust policy: the part of the profile's URL after \
             https://www.nuget.org/profiles/\n",
            user
        );
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn an_api_key_as_user_is_refused_and_not_shown() {
    let old = format!("oy2{}", "abcdefghijklmnopqrstuvwxyz234567abcdefghijk");
    let new = format!("{}JQQJ99{}", "k".repeat(52), "k".repeat(26));
    assert_eq!((old.len(), new.len()), (46, 84));
    let quoted = [format!("\"{old}\""), format!("@{old}"), format!("https://www.nuget.org/profiles/{old}/")];
    for key in [old.clone(), new, format!("eyJhbGciOiJSUzI1NiJ9.{}.c2ln", "e".repeat(40))].into_iter().chain(quoted) {
        a_credential_as_user_is_refused(&key, key.trim_matches(['"', '@', '/']).rsplit('/').next().unwrap());
    }
}

#[track_caller]
fn a_credential_as_user_is_refused(key: &str, secret: &str) {
    let refused = |service: Option<&str>| {
        refused(2, |job| {
            let job = job.unset("INPUT_TOKEN_SERVICE_URL").set("INPUT_USER", key).secret(secret);
            job.arguments(service.map(|url| format!("--token-service-url={url}")))
        })
    };
    for service in
        [None, Some("https://www.nuget.org/api/v2/token"), Some("https://int.nugettest.nuget.org/api/v2/token")]
    {
        let error = refused(service);
        let fact = "\"user\" is not a profile name: it has the form of a credential\nfix: set \"user\" to the profile ";
        assert!(error.starts_with(fact), "{error}");
        assert!(!error.contains(secret), "{error}");
    }
}

#[test]
fn a_name_of_nuget_org_is_accepted_in_every_form_that_it_can_have() {
    for user in ["contoso-bot", "Contoso.Bot_2", "x", "2"] {
        let sandbox = Sandbox::with(|_| {});
        // GitHub issues no ID token, so nothing is sent to nuget.org.
        let job = Job::new(&sandbox).unset("INPUT_TOKEN_SERVICE_URL").set("INPUT_USER", user);
        let step = job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token").run();
        assert!(step.failed(1).starts_with("GitHub rejected this job's request token (HTTP 401)\n"), "{}", step.log);
    }
}

#[test]
fn a_user_of_another_registry_can_have_any_form() {
    let sandbox = Sandbox::with(|config| {
        config.users[0].name = "Contoso Bot".to_owned();
        config.policies[0].created_by = "Contoso Bot".to_owned();
        config.organizations[0].members = vec!["Contoso Bot".to_owned()];
    });
    Job::new(&sandbox).set("INPUT_USER", "Contoso Bot").run().api_key();
}

#[test]
fn other_ci_systems_are_named() {
    for (variable, value, name) in [
        ("TF_BUILD", "True", "Azure DevOps"),
        ("APPVEYOR", "True", "AppVeyor"),
        ("CIRCLECI", "true", "CircleCI"),
        ("JENKINS_URL", "https://jenkins.example/", "Jenkins"),
    ] {
        let error = refused(2, |job| job.unset("GITHUB_ACTIONS").set(variable, value));
        let expected = format!(
            "this is a job of {name}, for which nuget.org has no trust policy\nfix: publish from GitHub Actions or GitLab CI \
             on github.com or gitlab.com\nfix: or publish with an API key in a secret, and replace it before it expires \
             (30 days at most)\n"
        );
        assert!(error.starts_with(&expected), "{error}");
    }
    // The variable of a tool, in a job of GitHub Actions.
    let sandbox = Sandbox::with(|_| {});
    Job::new(&sandbox).set("JENKINS_URL", "https://jenkins.example/").run().api_key();
}

#[test]
fn a_user_is_required() {
    for user in ["", " \t"] {
        let error = refused(2, |job| job.set("INPUT_USER", user));
        let fact = "\"user\" is empty\nfix: set \"user\" to the nuget.org profile name of the person who created ";
        assert!(error.starts_with(fact), "{error}");
    }
    refused(2, |job| job.unset("INPUT_USER"));
}

#[test]
fn a_token_service_must_be_an_https_url_or_on_loopback() {
    let error = |url: &str| refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", url));
    let is_clear_text = |url: &str| {
        format!(
            "\"token-service-url\" is not an https URL: \"{url}\"\nfix: set it to an https URL; plain http is \
             allowed only for loopback hosts such as 127.0.0.1\n"
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
        assert!(error(url).starts_with(&is_clear_text(url)), "{}", error(url));
    }
    for (url, cause) in [
        ("www.nuget.org/api", "relative URL without a base"),
        // A message of nuget-login.
        ("the file in GITHUB_OUTPUT cannot be written: x", "relative URL without a base"),
        ("https://", "empty host"),
        ("https://host:99999/", "invalid port number"),
        ("https://b\u{fc}cher.example/", "a host outside ASCII must be given in its xn-- form"),
        ("https://a b/", "the host is neither a name nor an address that a server can have"),
        ("https://{server}/api/token", "the host is neither a name nor an address that a server can have"),
        ("https://a\"b/", "the host is neither a name nor an address that a server can have"),
        ("https://a..b/", "the host is neither a name nor an address that a server can have"),
    ] {
        let expected = format!(
            "\"token-service-url\" is not an absolute URL: \"{url}\" ({cause})\nfix: set it to an absolute https \
             URL\n"
        );
        assert!(error(url).starts_with(&expected), "{}", error(url));
    }
}

#[test]
fn a_url_of_more_than_8192_bytes_is_refused() {
    let url = format!("https://host.example/{}", "x".repeat(9_000));
    let error = refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", url));
    assert!(error.lines().next().unwrap().ends_with("x…\" (it is longer than 8192 bytes)"), "{error}");
}

#[test]
fn an_audience_has_at_most_1000_bytes() {
    let error = refused(2, |job| job.set("INPUT_AUDIENCE", "a".repeat(1_001)));
    let expected = "\"audience\" is 1001 bytes long\nfix: set it to an audience of at most 1000 bytes\n";
    assert!(error.starts_with(expected), "{error}");
    let sandbox = Sandbox::with(|_| {});
    Job::new(&sandbox).set("INPUT_AUDIENCE", "\u{e4}".repeat(500)).run().failed(1);
    assert_eq!(sandbox.requests().len(), 2, "both services accepted the length");
}

#[test]
fn a_url_with_credentials_is_refused_and_not_shown() {
    for url in ["https://user:pa55word@host.example/token", "https://pa55word@host.example/token"] {
        let error = refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", url).secret("pa55word"));
        let expected = "\"token-service-url\" contains a user name or a password for host.example\n\
                        fix: remove the user name and the password from the URL\n";
        assert!(error.starts_with(expected), "{error}");
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
            let facts =
                ["an https URL", "an absolute URL"].map(|kind| format!("\"{input}\" is not {kind}: \"{shown}\""));
            assert!(facts.iter().any(|fact| error.starts_with(fact)), "{error}");
        }
        let error = refused(1, |job| job.set("ACTIONS_ID_TOKEN_REQUEST_URL", url).secret("s3cret-code"));
        assert!(error.starts_with("the environment variable ACTIONS_ID_TOKEN_REQUEST_URL is not an "), "{error}");
        assert!(error.contains(&format!(": \"{shown}\"")), "{error}");
    }
    let long = format!("https://host.example/t?code={}", "s3cret-code".repeat(900));
    refused(2, |job| job.set("INPUT_TOKEN_SERVICE_URL", long).secret("s3cret-code"));
    // In the place of another argument.
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
        assert!(error.starts_with("the environment variable ACTIONS_ID_TOKEN_REQUEST_URL "), "{error}");
        assert!(
            error.contains("\nfix: remove every \"env:\" entry that sets ACTIONS_ID_TOKEN_REQUEST_URL "),
            "{error}"
        );
    }
}

#[test]
fn a_job_without_the_permission_is_explained() {
    for name in ["ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"] {
        for error in [refused(1, |job| job.unset(name)), refused(1, |job| job.set(name, " "))] {
            let fact =
                "this job is not allowed to request an ID token: it does not have \"id-token: write\"\nfix: add ";
            assert!(error.starts_with(fact), "{error}");
            assert!(error.contains("\n    permissions:\n      id-token: write "), "{error}");
            assert!(error.contains(&format!("\nnote: {name} is unset: ")), "{error}");
        }
    }
}

#[test]
fn a_request_token_that_is_not_a_header_value_is_refused() {
    let error = refused(1, |job| job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "to\nken").secret("to\nken"));
    let fact =
        "the environment variable ACTIONS_ID_TOKEN_REQUEST_TOKEN contains characters that a credential cannot have ";
    assert!(error.starts_with(fact), "{error}");
}

#[test]
#[cfg(unix)]
fn a_variable_that_is_not_unicode_is_refused() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let garbage = || OsString::from_vec(vec![b'x', 0xff]);
    let error = refused(2, |job| job.set("INPUT_USER", garbage()));
    assert!(
        error.starts_with("the environment variable INPUT_USER is not valid UTF-8\nfix: set it to text in UTF-8\n")
    );
    refused(1, |job| job.set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", garbage()));
    refused(2, |job| job.arguments([garbage()]));
}

#[test]
fn nuget_orgs_audience_for_another_token_service_is_a_warning() {
    let warnings = |url: &str, audience: &str| {
        let sandbox = Sandbox::with(|_| {});
        // GitHub issues no ID token, so nothing is sent to that host.
        let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "wrong-token");
        let step = job.set("INPUT_TOKEN_SERVICE_URL", url).set("INPUT_AUDIENCE", audience).run();
        step.failed(1);
        step.warnings().join("\n")
    };
    for audience in ["", "https://www.nuget.org", "https://www.nuget.org/"] {
        let warning = warnings("https://nuget.contoso.example/token", audience);
        assert_eq!(
            warning,
            "The ID token for nuget.contoso.example is issued for nuget.org, and that host could redeem it there. Set the \
             input \"audience\" to the audience of that token service."
        );
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
fn a_timeout_is_between_1_second_and_one_day() {
    for value in ["0", "-1", "1.5", "2m", "+3", "86401", "99999999999999999999", "٣", "1 0"] {
        let error = refused(2, |job| job.set("INPUT_TIMEOUT_SECONDS", value));
        let expected = format!("\"timeout-seconds\" is \"{value}\"\nfix: set it to whole seconds from 1 to 86400\n");
        assert!(error.starts_with(&expected), "{error}");
    }
    for value in ["86400", " 007 ", ""] {
        let sandbox = Sandbox::with(|_| {});
        Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", "0").arguments(["--timeout-seconds=60"]).run().api_key();
        Job::new(&sandbox).set("INPUT_TIMEOUT_SECONDS", value).run().api_key();
    }
}

#[test]
fn a_switch_other_than_true_or_false_is_refused() {
    for (name, variable) in [("check-only", "INPUT_CHECK_ONLY"), ("export-env", "INPUT_EXPORT_ENV")] {
        for value in ["yes", "1", "tRue", "on"] {
            let error = refused(2, |job| job.set(variable, value));
            let expected = format!("\"{name}\" is \"{value}\"\nfix: set it to true or false\n");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
    let error = refused(2, |job| job.set("INPUT_CHECK_ONLY", "true").set("INPUT_EXPORT_ENV", "true"));
    let fact = "\"check-only\" and \"export-env\" are both true\nfix: remove one of the two";
    assert!(error.starts_with(fact), "{error}");
}

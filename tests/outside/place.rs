//! Where the program runs, and how it is called.

use sandbox::Sandbox;

use crate::job::Job;

#[test]
fn without_github_actions_nothing_is_sent_and_nothing_is_a_command() {
    let sandbox = Sandbox::with(|_| {});
    let places = [
        Job::new(&sandbox).unset("GITHUB_ACTIONS"),
        Job::new(&sandbox).set("GITHUB_ACTIONS", ""),
        Job::new(&sandbox).set("GITHUB_ACTIONS", "false"),
        // A bad input as well: the place comes first.
        Job::new(&sandbox).unset("GITHUB_ACTIONS").set("INPUT_USER", ""),
    ];
    for job in places {
        let step = job.run();
        assert_eq!(step.code, 2, "{}", step.log);
        assert!(step.text()[1].starts_with("this is not a GitHub Actions job"), "{}", step.log);
    }
    assert!(sandbox.requests().is_empty());
}

#[test]
fn arguments_that_are_not_known_are_wrong_usage() {
    let sandbox = Sandbox::with(|_| {});
    let step = Job::new(&sandbox).arguments(["--usr", "x"]).run();
    assert_eq!(
        step.failed(2),
        "unexpected argument '--usr' found\n\nUsage: nuget-login [OPTIONS]\n       nuget-login <COMMAND>\n\nFor more information, try '--help'."
    );
    let step = Job::new(&sandbox).arguments(["surplus\n::error::forged ##[error]x"]).run();
    assert!(step.failed(2).starts_with("unrecognized subcommand 'surplus\n: :error::forged ## [error]x'"));
    let step = Job::new(&sandbox).unset("GITHUB_ACTIONS").arguments(["--usr"]).run();
    assert_eq!(step.code, 2);
    assert_eq!(step.text()[0], "error: unexpected argument '--usr' found");
    assert!(sandbox.requests().is_empty());
}

#[test]
fn help_and_version_work_anywhere() {
    let sandbox = Sandbox::with(|_| {});
    for place in ["true", ""] {
        let step = Job::new(&sandbox).set("GITHUB_ACTIONS", place).arguments(["--version"]).run();
        assert_eq!((step.code, step.log.as_str()), (0, concat!("nuget-login ", env!("CARGO_PKG_VERSION"), "\n")));
    }
    assert_eq!(Job::new(&sandbox).arguments(["-h"]).run().code, 0);
}

#[test]
fn help_names_every_input_variable_output_and_exit_code() {
    let sandbox = Sandbox::with(|_| {});
    let help = Job::new(&sandbox).arguments(["--help"]).run();
    assert_eq!(help.code, 0);
    for word in [
        "--user <NAME>",
        "--token-service-url <URL>",
        "--audience <AUDIENCE>",
        "INPUT_USER",
        "INPUT_TOKEN_SERVICE_URL",
        "INPUT_AUDIENCE",
        "--timeout-seconds <SECONDS>",
        "INPUT_TIMEOUT_SECONDS",
        "[default: 120]",
        "https://www.nuget.org/api/v2/token",
        "[default: https://www.nuget.org]",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
        "GITHUB_ACTIONS",
        "GITHUB_OUTPUT",
        "--check-only",
        "INPUT_CHECK_ONLY",
        "--export-env",
        "INPUT_EXPORT_ENV",
        "GITHUB_ENV",
        "policy-matches",
        "--source <URL>",
        "INPUT_SOURCE",
        "HTTPS_PROXY",
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_FILE",
        "NUGET_API_KEY",
        "expires-at",
        "  0  ",
        "  1  ",
        "  2  ",
    ] {
        assert!(help.log.contains(word), "{word} is not in\n{}", help.log);
    }
    assert!(help.log.lines().all(|line| line.len() <= 105), "lines fit a terminal");
}

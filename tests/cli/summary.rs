//! Claims and messages cannot add commands to the log or Markdown to the summary, as a parser of GitHub's dialect reads it.

use fastrand::Rng;
use sandbox::Sandbox;
use sandbox::faults::{Answer, Effect, Route};
use sandbox::runner::Line;
use serde_json::json;

use crate::job::{Job, Step};
use crate::scripted::{self, Scripted};

/// Pieces of attacks, to be put together at random.
const PIECES: &[&str] = &[
    "|",
    "\\|",
    "\\",
    "`",
    "``",
    "```",
    "\n",
    "\r\n",
    "\n\n",
    "\n| a | b |\n|---|---|\n",
    "<b>",
    "</td></table>",
    "<!--",
    "<script>alert(1)</script>",
    "![x](https://evil.example/x.png)",
    "[x](javascript:x)",
    "https://evil.example",
    "www.evil.example",
    "@octocat",
    "# ",
    "\n# heading\n",
    "> ",
    "* ",
    "_x_",
    "**x**",
    "~~",
    "&lt;",
    "&#124;",
    "***",
    "'",
    "::error::x",
    "\n::set-output name=a::b",
    "##[group]",
    "\u{202e}",
    "\u{200b}",
    "\u{0}",
    "\u{1b}[31m",
    " ",
    "  \n",
    "release.yml",
    "é",
    "}",
    "{user}",
    "\t",
    "    code",
    "Workflow mismatch for policy 'x': expected 'y', actual 'z'",
];

fn attack(random: &mut Rng) -> String {
    "x".to_owned() + &(0..random.usize(1..8)).map(|_| *random.choice(PIECES).unwrap()).collect::<String>()
}

/// The summary has only the Markdown of nuget-login, and as many fixes as the log.
#[track_caller]
fn assert_intact(step: &Step) {
    let fixes = step.report().lines().filter(|line| line.starts_with("fix: ")).count();
    let listed =
        step.summary.lines().filter(|line| line.split_once(". ").is_some_and(|(n, _)| n.parse::<u8>().is_ok()));
    assert_eq!(listed.count(), fixes, "{}", step.summary);
    assert_eq!(sandbox::summary::unmeant(&step.summary), None, "{}", step.summary);
    assert!(step.summary.len() < 64 * 1024);
}

#[test]
fn claims_cannot_break_log_or_summary() {
    let mut random = Rng::with_seed(1);
    for _ in 0..120 {
        let mut attack = || attack(&mut random);
        let sandbox = Sandbox::with(|config| {
            for claim in ["repository", "repository_owner", "workflow_ref", "job_workflow_ref", "environment", "ref"] {
                config.job.claims.insert(claim.to_owned(), json!(attack()));
            }
            config.job.claims.insert("repository".to_owned(), json!(format!("{}/{}", attack(), attack())));
            let file = format!("a/b/.github/workflows/{}@x", attack());
            config.job.claims.insert("job_workflow_ref".to_owned(), json!(file));
        });
        let step = Job::new(&sandbox).run();
        step.failed(1);
        assert!(step.summary.contains("| Repository Owner |"), "{}", step.summary);
        assert_intact(&step);
    }
}

#[test]
fn messages_cannot_break_log_or_summary() {
    let mut random = Rng::with_seed(2);
    for _ in 0..120 {
        let message = match random.u8(..4) {
            0 => attack(&mut random),
            1 => {
                let (policy, file) = (attack(&mut random), attack(&mut random));
                format!("Workflow mismatch for policy '{policy}': expected '{file}', actual '{}'", attack(&mut random))
            }
            2 => format!("The GitHub Actions event '{}' is not allowed.", attack(&mut random)),
            _ => format!("Environment mismatch for policy '{}': expected 'x', actual ''", attack(&mut random)),
        };
        let sandbox = Sandbox::with(|_| {});
        let body = json!({ "error": message }).to_string();
        sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(400, body)));
        let step = Job::new(&sandbox).set("INPUT_USER", format!("x{}", attack(&mut random).replace('\0', ""))).run();
        step.failed(1);
        assert_intact(&step);
    }
}

#[test]
fn a_message_of_100_kilobytes_is_truncated_and_200_policies_are_summarized() {
    for message in [
        "|<b>`\n".repeat(20_000),
        (0..200).map(|n| format!("Workflow mismatch for policy 'p{n}': expected 'a.yml', actual 'b.yml'. ")).collect(),
    ] {
        let sandbox = Sandbox::with(|_| {});
        let body = json!({ "error": message }).to_string();
        sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(401, body)));
        let step = Job::new(&sandbox).run();
        let error = step.failed(1);
        assert!(step.errors()[0].len() < 2_000, "{}", step.log);
        assert!(step.log.len() < 16_000 && step.summary.len() < 8_000, "{}", step.log);
        assert_intact(&step);
        if message.contains("p199") {
            let fact = "none of the 200 trust policies for this repository matches this job\n";
            assert!(error.starts_with(fact), "{error}");
            for shown in (0..8).map(|n| format!("\"Workflow File\" of the policy \"p{n}\" from a.yml to b.yml ")) {
                assert_eq!(error.matches(&shown).count(), 1, "{error}");
            }
            assert!(!error.contains("\"p8\"") && step.summary.contains("`p7`"), "{error}");
        }
    }
}

#[test]
fn a_secret_in_a_service_message_is_redacted_in_the_summary() {
    let sandbox = Sandbox::with(|_| {});
    let token = sandbox.request_token().to_owned();
    let body =
        json!({ "error": format!("Workflow mismatch for policy '{token}': expected '{token}', actual '{token}'") });
    let answer = Answer::json(401, body);
    sandbox.fault(Route::TokenService, 1, Effect::Instead(answer));
    // [`Job::run`] checks that it is not shown.
    let step = Job::new(&sandbox).run();
    assert!(step.summary.contains("***"), "{}", step.summary);
}

#[test]
fn no_part_of_a_secret_is_shown_if_it_is_truncated_or_escaped() {
    // The runner masks only whole values, so a part of one would be visible.
    let parts = |secret: &str| {
        secret.as_bytes().chunks(60).map(|part| String::from_utf8(part.to_vec()).unwrap()).collect::<Vec<_>>()
    };
    let assert_hidden = |step: &Step, secret: &str| {
        let shown = step.lines.iter().filter(|line| !matches!(line, Line::Mask(_))).map(|line| format!("{line:?}"));
        let shown = shown.chain([step.summary.clone()]).collect::<String>();
        // The first part of an ID token is its header, which is the same for all.
        assert!(!parts(secret).iter().skip(2).any(|part| part.len() == 60 && shown.contains(part.as_str())), "{shown}");
    };
    for (before, after) in [("", "|"), ("", "."), (&*"x".repeat(150), ""), (&*"x ".repeat(470), "`")] {
        // An earlier ID token, in a message of the token service.
        let sandbox = Sandbox::with(|_| {});
        let token = sandbox
            .forge("https://www.nuget.org", |claims| drop(claims.insert("x".to_owned(), json!("x".repeat(900)))));
        let issued = Answer::json(200, json!({ "value": token }));
        sandbox.fault(Route::IdToken, 1, Effect::Instead(issued));
        sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::new(503, "text/html", "")));
        let message = format!(
            "The policy '{before}{token}{after}' has expired. Sign in and renew the trust policy on the Trusted Publishing page."
        );
        let answer = Answer::json(401, json!({ "error": message }));
        sandbox.fault(Route::TokenService, 2, Effect::Instead(answer));
        let step = Job::new(&sandbox).set("RUNNER_DEBUG", "1").run();
        step.failed(1);
        assert_hidden(&step, &token);

        // The same ID token, in the place of the expiry.
        let sandbox = Sandbox::with(|_| {});
        let token = sandbox
            .forge("https://www.nuget.org", |claims| drop(claims.insert("x".to_owned(), json!("x".repeat(900)))));
        let issued = Answer::json(200, json!({ "value": token }));
        sandbox.fault(Route::IdToken, 1, Effect::Instead(issued));
        let created = json!({ "apiKey": "k".repeat(84), "expires": format!("{before}{token}{after}") }).to_string();
        sandbox.fault(Route::TokenService, 1, Effect::Instead(Answer::json(200, created)));
        let step = Job::new(&sandbox).secret(&token).run();
        step.api_key();
        assert_hidden(&step, &token);

        // The request token, in a claim.
        let sandbox = Sandbox::with(|_| {});
        let request_token = "r3quest-t0ken.".repeat(40);
        let token = sandbox.forge("https://www.nuget.org", |claims| {
            claims.insert("environment".to_owned(), json!(format!("{before}{request_token}{after}")));
            claims.insert("repository".to_owned(), json!("contoso/other"));
        });
        let github = Scripted::start(vec![scripted::json(&json!({ "value": token }).to_string())]);
        let job = Job::new(&sandbox).set("ACTIONS_ID_TOKEN_REQUEST_TOKEN", &request_token).set("RUNNER_DEBUG", "1");
        let step = job.set("ACTIONS_ID_TOKEN_REQUEST_URL", format!("http://{}/", github.host)).run();
        assert!(step.failed(1).contains("answered HTTP 401 Unauthorized: No matching trust policy"), "{}", step.log);
        let shown = step.summary.clone() + &step.text().join("\n");
        assert!(!shown.contains("t0ken.r3quest") && !shown.contains("t0ken&#46;"), "{shown}");
    }
}

#[test]
fn a_summary_begins_on_a_line_of_its_own() {
    let sandbox = Sandbox::with(|_| {});
    let job = Job::new(&sandbox).set("INPUT_USER", "unknown-user");
    std::fs::write(job.directory().join("summary"), "before").unwrap();
    assert!(job.run().summary.starts_with(
        "before\n\n### NuGet login failed\n\n**The nuget.org profile `unknown-user` has no trust policy "
    ));
}

#[test]
#[cfg(unix)]
fn a_pipe_in_the_place_of_a_file_is_ignored() {
    let sandbox = Sandbox::with(|_| {});
    let job = Job::new(&sandbox).unset("ACTIONS_ID_TOKEN_REQUEST_URL").set("GITHUB_EVENT_NAME", "pull_request");
    let pipe = job.directory().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    job.set("GITHUB_EVENT_PATH", &pipe).set("GITHUB_STEP_SUMMARY", &pipe).run().failed(1);
}

#[test]
fn without_a_summary_file_a_failure_is_reported_in_the_log_only() {
    for path in ["", "/nowhere/summary"] {
        let sandbox = Sandbox::with(|_| {});
        let step = Job::new(&sandbox).set("GITHUB_STEP_SUMMARY", path).set("INPUT_USER", "unknown-user").run();
        let error = step.failed(1);
        assert!(error.contains("answered HTTP 401 Unauthorized: No matching trust policy"), "{error}");
        assert!(error.contains("\n    Repository Owner:           contoso (#"), "{error}");
    }
}

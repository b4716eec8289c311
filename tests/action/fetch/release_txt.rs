//! Only the program that `release.txt` names runs.

use std::fs;
use std::path::Path;

use crate::checkout::{sha256, target};

use super::{RELEASED, Runner, mirror, mirror_of};

#[test]
fn a_file_with_another_digest_is_not_run() {
    let other = "#!/bin/sh\necho ran for contoso-bot\n";
    for (bytes, named) in [(other.as_bytes(), other), (b"", ""), (&RELEASED.as_bytes()[..40], &RELEASED[..40])] {
        let mirror = mirror_of(bytes);
        let runner = Runner::new(&mirror.url);
        let error = runner.fails("not-the-released-file");
        let [is, expected] = [named, RELEASED].map(|text| sha256(text.as_bytes()));
        assert!(error.contains(&format!("its SHA-256 is {is}, not {expected}\n")), "{error}");
        assert!(!runner.cached().exists());
    }
}

#[test]
fn a_commit_without_a_release_is_explained() {
    let runner = Runner::new("");
    fs::write(runner.release_txt(), concat!("version ", env!("CARGO_PKG_VERSION"), "\n")).unwrap();
    let error = runner.fails("no-release-in-this-commit");
    assert!(error.starts_with(&format!("this commit of the action has no release for {}\n", target())), "{error}");
    assert!(error.contains("input \"binary\""), "{error}");
}

#[test]
fn an_invalid_digest_stops_the_step() {
    let mirror = mirror();
    for digest in ["", "abc", &"z".repeat(64), &"A".repeat(64), &"0".repeat(63)] {
        let runner = Runner::new(&mirror.url);
        let release = fs::read_to_string(runner.release_txt()).unwrap();
        fs::write(runner.release_txt(), release.replace(&sha256(RELEASED.as_bytes()), digest)).unwrap();
        runner.fails("no-sha-256-in-this-commit");
    }
    let digest = sha256(RELEASED.as_bytes());
    let line = |asset: &str, rest: &str| format!("{} {asset} {digest}{rest}\n", target());
    let asset = crate::checkout::asset();
    for lines in [
        line(&asset, "") + &line(&asset, ""),
        line("../other/nuget-login", ""),
        line(&asset, " x"),
        line(&asset, "\r"),
        line("*", ""),
    ] {
        let runner = Runner::new(&mirror.url);
        fs::write(runner.release_txt(), format!("version {}\n{lines}", env!("CARGO_PKG_VERSION"))).unwrap();
        runner.fails("no-sha-256-in-this-commit");
    }
    assert!(mirror.asked().is_empty());
}

/// Pieces that a release.txt may be damaged or forged with.
const PIECES: [&str; 16] = [
    "\n",
    "\r\n",
    " ",
    "\t",
    "#",
    "version ",
    "0",
    "a",
    "../",
    "/",
    "-",
    "$(touch ran)",
    "`touch ran`",
    "\"",
    "*",
    "é",
];

#[test]
fn whatever_release_txt_holds_only_what_it_names_runs() {
    // `FUZZ_SECONDS` is for more than the few that every run tries.
    let seconds = std::env::var("FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(3);
    let until = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let mut random = fastrand::Rng::with_seed(7);
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).set("RUNNER_TOOL_CACHE", "");
    let genuine = fs::read_to_string(runner.release_txt()).unwrap();
    let (digest, line) = (sha256(RELEASED.as_bytes()), genuine.lines().last().unwrap().to_owned());
    let (mut ran, mut refused) = (0, 0);
    // On a slow machine, until both were seen.
    while std::time::Instant::now() < until || ran == 0 || refused == 0 {
        let mut text = genuine.clone();
        for _ in 0..random.usize(1..4) {
            let places = text.char_indices().map(|(at, _)| at).collect::<Vec<_>>();
            let [from, to] = [0; 2].map(|_| places[random.usize(..places.len())]);
            let to = if random.bool() { from } else { to.clamp(from, from + 3.min(text.len() - from)) };
            let to = (to..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap();
            let piece = if random.u8(..8) == 0 { genuine.as_str() } else { PIECES[random.usize(..PIECES.len())] };
            text.replace_range(from..to, piece);
        }
        fs::write(runner.release_txt(), &text).unwrap();
        let output = runner.run();
        let log = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.code() == Some(7) && log.ends_with("ran for contoso-bot\n") {
            // White space, comments and other lines may differ.
            let words = line.split(' ').collect::<Vec<_>>();
            let names = text.lines().any(|line| line.split_whitespace().take(3).eq(words.iter().copied()));
            assert!(names && text.contains(&digest), "ran for {text:?}");
            ran += 1;
        } else {
            assert!(output.status.code() == Some(1) && !log.contains("ran for"), "{text:?}: {log}");
            let mut lines = log.lines().rev();
            assert!(lines.next().is_some_and(|line| line.starts_with("docs: https://github.com/")), "{text:?}: {log}");
            assert!(lines.any(|line| line.starts_with("::error title=NuGet login failed::")), "{text:?}: {log}");
            refused += 1;
        }
        assert!(!runner.path("ran").exists() && !Path::new("ran").exists(), "{text:?} acted");
        runner.assert_clean();
    }
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
}

//! The checks before a release: `.github/scripts/publish-release` in its own repository, with a stand-in for GitHub's
//! command-line tool that serves a folder as the draft release and records its arguments.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::checkout::git;

const TARGETS: [&str; 6] = ["a", "b", "c", "d", "e.exe", "f.exe"];

/// Released, but not in `dist/release.txt`: the action does not run them.
const SANDBOXES: [&str; 3] = ["nuget-login-sandbox-a", "nuget-login-sandbox-b", "nuget-login-sandbox-e.exe"];

/// The part of `gh` that the script uses. `DRAFT` is the draft's folder, `BUILT` the commit that it was built from.
/// `$DRAFT.meanwhile-upload` and `$DRAFT.meanwhile-edit` contain commands that another person runs on the draft then.
const GH: &str = r#"#!/bin/sh
set -eu
echo "$*" >>"$ASKED"
case "$1 $2 $*" in
"release list "*) cat "$DRAFT.releases" ;;
"release view "*isDraft*) cat "$DRAFT.is-draft" ;;
"release view "*) echo "$BUILT" ;;
"release download "*) [ ! -e "$DRAFT.unreachable" ] && cp "$DRAFT"/* "$5" ;;
"release upload "*) cp "$4" "$5" "$DRAFT/" && cd "$DRAFT" && . "$DRAFT.meanwhile-upload" ;;
"release edit "*) echo false >"$DRAFT.is-draft" && cd "$DRAFT" && . "$DRAFT.meanwhile-edit" ;;
"attestation verify "*) [ ! -e "$DRAFT.unattested" ] ;;
"attestation download "*) echo '{"bundle":1}' >"sha256:$(sha256sum <"$3" | cut -c 1-64).jsonl" ;;
"api "*) cat "$DRAFT.immutable" ;;
*) exit 9 ;;
esac
"#;

/// A repository with the built commit P and its release commit, and the draft release.
struct Repository {
    folder: tempfile::TempDir,
    built: String,
}

impl Repository {
    fn new() -> Repository {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository { folder, built: String::new() };
        let root = repository.root();
        fs::create_dir_all(root.join("dist")).unwrap();
        fs::create_dir_all(root.join(".github/scripts")).unwrap();
        for script in ["before-release", "publish-release", "release-txt"] {
            let path = format!(".github/scripts/{script}");
            fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path), root.join(&path)).unwrap();
        }
        fs::write(root.join("dist/release.txt"), "version 1.2.3\n").unwrap();
        fs::write(root.join("CHANGELOG.md"), "## 1.2.3 – not released yet\n").unwrap();
        fs::write(root.join("source"), "code\n").unwrap();
        let cargo = "[package]\nversion = \"1.2.3\"\nrepository = \"https://github.com/org/nuget-login\"\n";
        fs::write(root.join("Cargo.toml"), cargo).unwrap();
        fs::create_dir(repository.path("draft")).unwrap();
        for target in TARGETS {
            fs::write(repository.path("draft").join(format!("nuget-login-{target}")), format!("program {target}"))
                .unwrap();
        }
        for other in ["man-and-completions.tar.gz", "sbom.cdx.json"].into_iter().chain(SANDBOXES) {
            fs::write(repository.path("draft").join(other), other).unwrap();
        }
        fs::write(repository.path("draft.is-draft"), "true\n").unwrap();
        fs::write(repository.path("draft.immutable"), "true\n").unwrap();
        fs::write(repository.path("draft.releases"), "1\n").unwrap();
        fs::write(repository.path("draft.meanwhile-upload"), "").unwrap();
        fs::write(repository.path("draft.meanwhile-edit"), "").unwrap();
        fs::create_dir(repository.path("bin")).unwrap();
        fs::write(repository.path("bin/gh"), GH).unwrap();
        Command::new("chmod").arg("+x").arg(repository.path("bin/gh")).status().unwrap();
        repository.git(&["init", "-q", "-b", "main"]);
        let built = repository.commit("P");
        let text = repository.script("release-txt", &["1.2.3".as_ref(), repository.path("draft").as_os_str()]);
        fs::write(root.join("dist/release.txt"), text.stdout).unwrap();
        fs::write(root.join("CHANGELOG.md"), "## 1.2.3 – 2026-11-22\n").unwrap();
        repository.commit(&format!("Release v1.2.3: digests of the programs built from {built}"));
        Repository { built, ..repository }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("repository")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut git = git();
        git.current_dir(self.root()).args(["-c", "user.name=t", "-c", "user.email=t@example.com"]).args(arguments);
        let ran = git.output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Commits everything; returns the commit.
    fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn script(&self, name: &str, arguments: &[&std::ffi::OsStr]) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut script = Command::new(self.root().join(".github/scripts").join(name));
        script.current_dir(self.root()).args(arguments).env("PATH", path);
        script.env("GITHUB_REF_NAME", "v1.2.3").env("GITHUB_REPOSITORY", "org/nuget-login");
        script.env("DRAFT", self.path("draft")).env("BUILT", &self.built).env("ASKED", self.path("asked"));
        script.output().unwrap()
    }

    /// Runs the script. Returns whether it succeeded, whether the release is public, and the log.
    fn publish(&self) -> (bool, bool, String) {
        let ran = self.script("publish-release", &[]);
        let public = fs::read_to_string(self.path("draft.is-draft")).is_ok_and(|it| it == "false\n");
        let log = String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap();
        (ran.status.success(), public, log)
    }

    #[track_caller]
    fn refuses(&self, why: &str) {
        let (succeeded, public, log) = self.publish();
        assert!(!succeeded && !public && log.contains(why), "{log}");
    }
}

#[test]
fn assets_that_are_attested_and_in_release_txt_are_published() {
    let repository = Repository::new();
    let (succeeded, public, log) = repository.publish();
    assert!(succeeded && public, "{log}");
    let sums = fs::read_to_string(repository.path("draft/SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 11);
    assert_eq!(fs::read_to_string(repository.path("draft/provenance.jsonl")).unwrap(), "{\"bundle\":1}\n");
    let asked = fs::read_to_string(repository.path("asked")).unwrap();
    let verified = asked.lines().filter(|line| line.starts_with("attestation verify")).collect::<Vec<_>>();
    assert_eq!(verified.len(), 11);
    assert!(verified.iter().all(|line| line.contains(&format!("--source-digest {}", repository.built))), "{asked}");
}

#[test]
fn an_interrupted_run_can_be_repeated() {
    let repository = Repository::new();
    fs::write(repository.path("draft/SHA256SUMS"), "").unwrap();
    fs::write(repository.path("draft/provenance.jsonl"), "").unwrap();
    let (succeeded, public, log) = repository.publish();
    assert!(succeeded && public, "{log}");
}

#[test]
fn assets_that_are_not_in_release_txt_are_not_published() {
    let tampered = Repository::new();
    fs::write(tampered.path("draft/nuget-login-a"), "another program").unwrap();
    tampered.refuses("dist/release.txt does not match the assets of the draft");
    let more = Repository::new();
    fs::write(more.path("draft/nuget-login-evil"), "").unwrap();
    more.refuses("the draft does not contain exactly six programs");
    let fewer = Repository::new();
    fs::remove_file(fewer.path("draft/nuget-login-a")).unwrap();
    fewer.refuses("the draft does not contain exactly six programs");
    let other = Repository::new();
    fs::rename(other.path("draft/sbom.cdx.json"), other.path("draft/nuget-login-g")).unwrap();
    other.refuses("the draft does not contain exactly six programs");
    let no_sandbox = Repository::new();
    fs::rename(no_sandbox.path("draft/nuget-login-sandbox-a"), no_sandbox.path("draft/nuget-login-g")).unwrap();
    no_sandbox.refuses("the draft does not contain exactly six programs, three sandboxes");
}

#[test]
fn a_line_of_release_txt_without_an_asset_stops_the_release() {
    for line in ["a  evil 0000", "# a comment", "a ../evil 0000", ""] {
        let repository = Repository::new();
        let file = repository.root().join("dist/release.txt");
        fs::write(&file, fs::read_to_string(&file).unwrap() + line + "\n").unwrap();
        repository.commit("more");
        repository.refuses("dist/release.txt does not match the assets of the draft");
    }
}

#[test]
fn a_tag_that_differs_from_the_built_commit_is_not_published() {
    let changed = Repository::new();
    fs::write(changed.root().join("source"), "other code\n").unwrap();
    changed.commit("sneak");
    changed.refuses("in: source");
    let moved = Repository::new();
    fs::rename(moved.root().join("source"), moved.root().join("CHANGELOG.md")).unwrap();
    moved.commit("sneak");
    moved.refuses("in: source");
    let mut elsewhere = Repository::new();
    elsewhere.git(&["checkout", "-q", "--orphan", "other"]);
    elsewhere.built = elsewhere.commit("unrelated");
    elsewhere.git(&["checkout", "-q", "main"]);
    elsewhere.refuses("v1.2.3 does not contain the commit");
}

#[test]
fn without_a_draft_or_an_attestation_nothing_is_published() {
    let none = Repository::new();
    fs::write(none.path("draft.releases"), "0\n").unwrap();
    fs::remove_file(none.path("draft.is-draft")).unwrap();
    none.refuses("the draft release v1.2.3 does not exist");
    let unattested = Repository::new();
    fs::write(unattested.path("draft.unattested"), "").unwrap();
    unattested.refuses("");
}

#[test]
fn a_mutable_release_is_reported() {
    let repository = Repository::new();
    fs::write(repository.path("draft.immutable"), "false\n").unwrap();
    let (succeeded, _, log) = repository.publish();
    assert!(!succeeded && log.contains("but not immutable"), "{log}");
}

#[test]
fn an_asset_that_changes_after_verification_is_reported() {
    for change in ["echo evil >nuget-login-a", "rm nuget-login-a", "echo >nuget-login-g", "echo >SHA256SUMS"] {
        let before = Repository::new();
        fs::write(before.path("draft.meanwhile-upload"), change).unwrap();
        before.refuses("::error title=Not published::the assets of v1.2.3 are not the verified ones");
        let after = Repository::new();
        fs::write(after.path("draft.meanwhile-edit"), change).unwrap();
        let (succeeded, public, log) = after.publish();
        assert!(!succeeded && public, "{log}");
        let error = "::error title=Published, but not verified::the assets of v1.2.3 are not the verified ones";
        assert!(log.contains(error) && log.contains("in docs/releasing.md"), "{log}");
    }
}

#[test]
fn a_public_release_is_verified_again_without_any_change() {
    let repository = Repository::new();
    fs::write(repository.path("draft.meanwhile-edit"), ": >\"$DRAFT.unreachable\"").unwrap();
    let (succeeded, public, log) = repository.publish();
    assert!(!succeeded && public && log.contains("cannot be downloaded: run this job again"), "{log}");
    fs::remove_file(repository.path("draft.unreachable")).unwrap();
    fs::remove_file(repository.path("asked")).unwrap();
    let (succeeded, _, log) = repository.publish();
    assert!(succeeded, "{log}");
    let asked = fs::read_to_string(repository.path("asked")).unwrap();
    assert!(!asked.contains("release upload") && !asked.contains("release edit"), "{asked}");
    fs::write(repository.path("draft/nuget-login-a"), "evil").unwrap();
    let (succeeded, _, log) = repository.publish();
    assert!(
        !succeeded && log.contains("::error title=Published, but not verified::dist/release.txt does not match"),
        "{log}"
    );
}

#[test]
fn a_tag_with_two_drafts_or_in_another_repository_is_not_published() {
    let two = Repository::new();
    fs::write(two.path("draft.releases"), "2\n").unwrap();
    two.refuses("2 releases or drafts have the tag v1.2.3");
    let other = Repository::new();
    let cargo = fs::read_to_string(other.root().join("Cargo.toml")).unwrap();
    fs::write(other.root().join("Cargo.toml"), cargo.replace("org/nuget-login", "contoso/other")).unwrap();
    other.refuses(
        "the repository in Cargo.toml is https://github.com/contoso/other, not https://github.com/org/nuget-login",
    );
}

/// What `before-release` says about a repository in which the version is prepared, after a change.
fn before_release(change: impl FnOnce(&Repository)) -> (bool, String) {
    let repository = Repository::new();
    fs::write(repository.root().join("dist/release.txt"), "# a comment\nversion 1.2.3\n").unwrap();
    fs::write(repository.path("draft.releases"), "").unwrap();
    let origin = repository.path("origin");
    assert!(git().args(["init", "-q", "--bare"]).arg(&origin).status().unwrap().success());
    repository.git(&["remote", "add", "origin", origin.to_str().unwrap()]);
    change(&repository);
    let ran = repository.script("before-release", &[]);
    (ran.status.success(), String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap())
}

#[test]
fn a_release_starts_only_if_its_version_is_prepared_and_new() {
    let (started, log) = before_release(|_| {});
    assert!(started, "{log}");
    let write = |path: &'static str, text: &'static str| {
        move |repository: &Repository| fs::write(repository.root().join(path), text).unwrap()
    };
    let digest = "version 1.2.3\nx86_64-unknown-linux-musl nuget-login-x86_64-unknown-linux-musl 0123\n";
    for ((started, log), fact) in [
        (before_release(write("dist/release.txt", "version 1.2.4\n")), "has version 1.2.4, and Cargo.toml has 1.2.3"),
        (before_release(write("dist/release.txt", digest)), "contains digests of an earlier version"),
        (before_release(write("CHANGELOG.md", "## Not released yet\n")), "CHANGELOG.md has no section for 1.2.3"),
        (
            before_release(|it| fs::write(it.path("draft.releases"), "v1.2.3\n").unwrap()),
            "a release or a draft v1.2.3 exists",
        ),
        (
            before_release(|it| drop(it.git(&["push", "-q", "origin", "HEAD:refs/heads/release/v1.2.3"]))),
            "refs/heads/release/v1.2.3 exists",
        ),
        (
            before_release(|it| drop(it.git(&["push", "-q", "origin", "HEAD:refs/tags/v1.2.3"]))),
            "refs/tags/v1.2.3 exists",
        ),
    ] {
        assert!(!started && log.contains(fact) && log.contains("%0Afix: "), "{fact}: {log}");
    }
}

/// Every place that names a repository of the program names the one in Cargo.toml.
#[test]
fn one_repository_is_named_everywhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, repository) = env!("CARGO_PKG_REPOSITORY").split_once("github.com/").unwrap();
    let listed = git().args(["ls-files"]).current_dir(root).output().unwrap();
    let mut seen = 0;
    for file in String::from_utf8(listed.stdout).unwrap().lines().filter(|file| !file.starts_with("fuzz/corpus")) {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        for (start, _) in text.match_indices("/nuget-login") {
            let before = &text[..start];
            let owner =
                &before[before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '-').map_or(0, |at| at + 1)..];
            let place = &before[..before.len() - owner.len()];
            let after = text[start + "/nuget-login".len()..].chars().next().unwrap_or(' ');
            let is_repository = place.ends_with("github.com/") || place.ends_with("uses: ") || after == '@';
            if is_repository && !owner.is_empty() && !"-.".contains(after) {
                assert_eq!(format!("{owner}/nuget-login"), repository, "{file}");
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

/// A release pull request may be merged only if a tag of the merge could be published.
#[test]
fn a_release_pull_request_that_publish_would_refuse_is_not_merged() {
    let check = |branch: &str, meanwhile: Option<&str>, update: &[&str]| {
        let repository = Repository::new();
        repository.git(&["branch", "release/v1.2.3"]);
        repository.git(&["reset", "-q", "--hard", &repository.built]);
        if let Some(file) = meanwhile {
            fs::write(repository.root().join(file), "merged meanwhile\n").unwrap();
            repository.commit("Another change");
        }
        if !update.is_empty() {
            repository.git(&["switch", "-q", "release/v1.2.3"]);
            repository.git(update);
            repository.git(&["switch", "-q", "main"]);
        }
        repository.git(&["merge", "-q", "--no-ff", "-m", "what GitHub tests", "release/v1.2.3"]);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/scripts/check-release-pull-request");
        let ran = Command::new(path).current_dir(repository.root()).env("GITHUB_HEAD_REF", branch).output().unwrap();
        (ran.status.success(), String::from_utf8(ran.stdout).unwrap())
    };
    let (passed, log) = check("release/v1.2.3", None, &[]);
    assert!(passed && log.contains("Only dist/release.txt and CHANGELOG.md differ"), "{log}");
    // With the buttons "Update with merge commit" and "Update with rebase", too.
    for update in [vec![], vec!["merge", "-q", "-m", "update", "main"], vec!["rebase", "-q", "main"]] {
        let (passed, log) = check("release/v1.2.3", Some("source"), &update);
        assert!(!passed && log.contains(" in: source%0Afix: "), "{update:?}: {log}");
    }
    let (passed, log) = check("release/v1.2.3", None, &["commit", "-q", "--amend", "-m", "Release"]);
    assert!(!passed && log.contains("does not contain the built commit ''"), "{log}");
    let (passed, log) = check("another-branch", Some("source"), &[]);
    assert!(passed, "{log}");
}

/// `check-settings` with a stand-in for `gh` that answers from a folder, by `jq`.
#[test]
fn a_setting_that_a_release_needs_and_that_is_missing_is_named() {
    if Command::new("jq").arg("--version").output().is_err() {
        eprintln!("skipped: jq is not here");
        return;
    }
    let check = |settings: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let gh = folder.path().join("gh");
        let answers = folder.path().join("answers");
        for (path, json) in settings {
            let file = answers.join(path).join("json");
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, json).unwrap();
        }
        let script = "#!/bin/sh\nset -eu\nf=$ANSWERS/${2%\\?*}/json\n[ -e \"$f\" ] || { echo '{}'; exit 1; }\n\
                      case $3 in --jq) jq -r \"$4\" \"$f\" ;; esac\n";
        fs::write(&gh, script).unwrap();
        Command::new("chmod").arg("+x").arg(&gh).status().unwrap();
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/scripts/check-settings");
        let ran = Command::new(script).arg("o/r").env("PATH", path).env("ANSWERS", answers).output().unwrap();
        (ran.status.code(), String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap())
    };
    let complete = [
        ("repos/o/r", r#"{"visibility": "public"}"#),
        ("repos/o/r/immutable-releases", r#"{"enabled": true, "enforced_by_owner": false}"#),
        ("repos/o/r/private-vulnerability-reporting", r#"{"enabled": true}"#),
        ("repos/o/r/actions/permissions/workflow", r#"{"can_approve_pull_request_reviews": true}"#),
        (
            "repos/o/r/environments/release",
            r#"{"protection_rules": [{"type": "branch_policy"}, {"type": "required_reviewers"}]}"#,
        ),
        (
            "repos/o/r/environments/release/deployment-branch-policies",
            r#"{"branch_policies": [{"name": "v*", "type": "tag"}]}"#,
        ),
        (
            "repos/o/r/rules/branches/main",
            r#"[{"type": "deletion"}, {"type": "pull_request", "parameters": {"required_approving_review_count": 1}},
                {"type": "required_status_checks", "parameters": {"strict_required_status_checks_policy": true,
                 "required_status_checks": [{"context": "passed"}]}}]"#,
        ),
        ("repos/o/r/rulesets", r#"[{"id": 1, "enforcement": "disabled"}, {"id": 2, "enforcement": "active"}]"#),
        (
            "repos/o/r/rulesets/2",
            r#"{"conditions": {"ref_name": {"include": ["refs/tags/v*.*.*"], "exclude": []}},
                "rules": [{"type": "deletion"}, {"type": "update"}]}"#,
        ),
        ("repos/o/r/actions/variables/NUGET_USER", r#"{"name": "NUGET_USER", "value": "contoso"}"#),
    ];
    let (code, log, errors) = check(&complete);
    assert_eq!((code, log.matches("ok ").count(), log.contains("MISSING")), (Some(0), 10, false), "{log}{errors}");
    for (index, (path, _)) in complete.iter().enumerate().skip(1) {
        let mut changed = complete.to_vec();
        changed.remove(index);
        let (code, log, errors) = check(&changed);
        assert!(code == Some(1) && log.contains("MISSING"), "{path}: {log}{errors}");
    }
    let (code, _, errors) = check(&[]);
    assert!(code == Some(2) && errors.contains("o/r cannot be read"), "{errors}");
}

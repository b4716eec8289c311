//! A rehearsal of a release as docs/releasing.md describes it: from the version to the first login with the tag, and what
//! to do when it stops. The workflows `release-prepare` and `release-publish`, those that they call and the check of the
//! pull request run as they are under a workflow engine (nektos/act), on the machine itself.
//!
//! The folder `rehearsal` has the stand-ins: `gh` and GitHub's own actions, which keep their state in a folder, and
//! `cargo`, which "builds" the program in `NUGET_LOGIN`, and a text for each target whose runner is not here. The tests
//! are GitHub's side of a pull request, its asset host, and nuget.org. What only GitHub has is not rehearsed: permissions,
//! approvals, rules for branches and tags, signatures.
//!
//! Needs act in `ACT`, a release build in `NUGET_LOGIN`, curl and jq; `.ci/run` has them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use sandbox::Sandbox;
use sandbox::faults::Answer;
use serde_json::{Value, json};

use crate::checkout::{asset, git, target};
use crate::dotnet_tool::GLOBS;
use crate::internet::Internet;
use crate::mirror::{found, status};

const STAND_INS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/action/rehearsal");

/// The labels of the runners in the workflows.
const RUNNERS: [&str; 7] = [
    "ubuntu-24.04",
    "ubuntu-24.04-arm",
    "macos-15",
    "macos-15-intel",
    "windows-2025",
    "windows-11-arm",
    "ubuntu-latest",
];

/// Each step with bash reads this at its start. Its output goes to a file, because act can lose the end of it.
const STEP_LOG: &str = "case $0 in */act/workflow/*) exec >>\"$STAND_IN/log\" 2>&1 ;; esac\n";

/// A job of a user in another repository.
const USER: &str = r#"
on: push
permissions: {}
jobs:
  publish:
    runs-on: ubuntu-latest
    permissions:
      id-token: write
    steps:
      - uses: ACTION
        id: login
        with:
          user: contoso-bot
      - shell: bash
        run: echo "a key of ${#NUGET_API_KEY} characters"
        env:
          NUGET_API_KEY: ${{ steps.login.outputs.NUGET_API_KEY }}
"#;

/// `OWNER/NAME` of this repository.
fn repository() -> &'static str {
    env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/")
}

/// The repository at GitHub, and a maintainer's clone.
struct Rehearsal {
    folder: tempfile::TempDir,
    /// The next version.
    version: String,
}

/// What a workflow did.
struct Run {
    succeeded: bool,
    /// What its bash steps printed.
    steps: String,
    /// The log of act.
    act: String,
}

impl Run {
    #[track_caller]
    fn succeeds_with(&self, message: &str) {
        assert!(self.succeeded && self.steps.contains(message), "{message}\n{}\n{}", self.steps, self.act);
    }

    #[track_caller]
    fn fails_with(&self, message: &str) {
        assert!(!self.succeeded && self.steps.contains(message), "{message}\n{}\n{}", self.steps, self.act);
    }
}

/// A draft or a published release.
struct Release {
    folder: PathBuf,
    tag: String,
    is_published: bool,
}

impl Rehearsal {
    /// This repository after step 1 of docs/releasing.md: the new version is in `main`.
    fn new() -> Rehearsal {
        let version = match [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR")] {
            ["0", _] => "1.0.0".to_owned(), // as docs/releasing.md says
            [major, minor] => format!("{major}.{}.0", minor.parse::<u64>().unwrap() + 1),
        };
        let rehearsal = Rehearsal { folder: tempfile::tempdir().unwrap(), version };
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let listed = git().args(["ls-files", "-z"]).current_dir(root).output().unwrap();
        // Two thirds of the files are read only by tests, which the stand-in for cargo does not run.
        let is_read = |file: &&str| !file.starts_with("tests/cli/") && !file.starts_with("fuzz/corpus/");
        for file in String::from_utf8(listed.stdout).unwrap().split_terminator('\0').filter(is_read) {
            let copy = rehearsal.checkout().join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(root.join(file), copy).unwrap();
        }
        rehearsal.git("init -q -b main");
        rehearsal.git("config user.name t");
        rehearsal.git("config user.email t@example.com");
        for folder in ["releases", "attestations", "artifacts"] {
            fs::create_dir_all(rehearsal.github(folder)).unwrap();
        }
        fs::write(rehearsal.github("step-log"), STEP_LOG).unwrap();
        rehearsal.allow_pull_requests(true);

        rehearsal.git("add -A");
        rehearsal.git("commit -q -m before");
        let version = &rehearsal.version;
        let mut set_version = Command::new(rehearsal.checkout().join(".github/scripts/set-version"));
        assert!(set_version.arg(version).env("CARGO_NET_OFFLINE", "true").status().unwrap().success());
        let section = format!("\n## {version} – not released yet\n\nA change.\n\n## ");
        rehearsal.edit("CHANGELOG.md", |text| text.replacen("\n## ", &section, 1));
        rehearsal.git("commit -q -a -m P");
        rehearsal.git(&format!("init -q --bare -b main {}", rehearsal.github("origin.git").display()));
        rehearsal.git(&format!("remote add origin {}", rehearsal.github("origin.git").display()));
        rehearsal.git("push -q origin main");
        rehearsal
    }

    fn checkout(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    /// A path in the state of the stand-in for GitHub.
    fn github(&self, name: &str) -> PathBuf {
        self.folder.path().join("github").join(name)
    }

    fn tag_name(&self) -> String {
        format!("v{}", self.version)
    }

    /// Sets whether a workflow can open a pull request.
    fn allow_pull_requests(&self, allowed: bool) {
        let settings = json!({"immutable": true, "pull-requests": allowed});
        fs::write(self.github("settings.json"), settings.to_string()).unwrap();
    }

    fn edit(&self, file: &str, edit: impl FnOnce(&str) -> String) {
        let path = self.checkout().join(file);
        let text = fs::read_to_string(&path).unwrap();
        let edited = edit(&text);
        assert_ne!(edited, text, "{file}");
        fs::write(path, edited).unwrap();
    }

    /// Runs git in the clone. Returns what it prints.
    fn git(&self, arguments: &str) -> String {
        let ran = git().current_dir(self.checkout()).args(arguments.split(' ')).output().unwrap();
        assert!(ran.status.success(), "git {arguments}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Runs a maintainer's command in the clone.
    fn shell(&self, command: &str) {
        let path = format!("{STAND_INS}/bin:{}", std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell.args(["-ec", command]).current_dir(self.checkout()).env("PATH", path);
        shell.env("STAND_IN", self.github("")).env("GH_TOKEN", "maintainer").env("GITHUB_REPOSITORY", repository());
        let ran = shell.output().unwrap();
        assert!(ran.status.success(), "{command}: {ran:?}");
    }

    /// Changes a file in `main`, as the merge of a pull request does.
    fn merge_change(&self, file: &str, edit: impl FnOnce(&str) -> String) {
        self.git("switch -q main");
        self.edit(file, edit);
        self.git(&format!("commit -q -m change {file}"));
        self.git("push -q origin main");
    }

    /// Runs a workflow of this repository at a commit, for an event.
    fn run(&self, workflow: &str, event: &str, payload: &Value, commit: &str, more: &[String]) -> Run {
        fs::remove_dir_all(self.github("artifacts")).unwrap();
        fs::create_dir(self.github("artifacts")).unwrap();
        self.git(&format!("checkout -q --detach {commit}"));
        // act reads the workflows here; the jobs check out the commit.
        let mut stand_ins = BTreeSet::new();
        for file in fs::read_dir(self.checkout().join(".github/workflows")).unwrap() {
            let file = file.unwrap().path();
            let text = fs::read_to_string(&file).unwrap();
            for (_, action) in text.lines().filter_map(|line| line.split_once("uses: actions/")) {
                let action = action.split(' ').next().unwrap();
                let (name, _) = action.split_once('@').unwrap();
                stand_ins.insert(format!("--local-repository=actions/{action}={STAND_INS}/actions/{name}"));
            }
            fs::write(file, for_act(&text)).unwrap();
        }
        let mut arguments = vec![event.to_owned(), format!("-W=.github/workflows/{workflow}")];
        arguments.extend(stand_ins);
        arguments.extend_from_slice(more);
        let run = self.act(&self.checkout(), payload, &arguments);
        self.git("checkout -q -- .");
        run
    }

    /// Runs act in a folder.
    fn act(&self, folder: &Path, payload: &Value, arguments: &[String]) -> Run {
        fs::write(self.github("log"), "").unwrap();
        fs::write(self.github("event.json"), payload.to_string()).unwrap();
        // A new machine, without a tool cache.
        let home = tempfile::tempdir().unwrap();
        let path = format!("{STAND_INS}/bin:{}", std::env::var("PATH").unwrap());
        let mut act = Command::new(std::env::var_os("ACT").expect("ACT is the path of nektos/act"));
        act.current_dir(folder).env_clear().env("PATH", path).env("HOME", home.path()).args(arguments);
        act.args(["--no-skip-checkout", "--no-cache-server", "-s", "GITHUB_TOKEN=token"]);
        act.arg("-e").arg(self.github("event.json"));
        act.args(RUNNERS.map(|runner| format!("-P={runner}=-self-hosted")));
        for (name, value) in [
            ("STAND_IN", self.folder.path().join("github").into_os_string()),
            ("BASH_ENV", self.github("step-log").into()),
            ("PROGRAM", std::env::var_os("NUGET_LOGIN").expect("NUGET_LOGIN is the path of a release build")),
            ("HOST_TARGET", target().into()),
        ] {
            act.arg(format!("--env={name}={}", value.display()));
        }
        let ran = act.output().unwrap();
        Run {
            succeeded: ran.status.success(),
            steps: fs::read_to_string(self.github("log")).unwrap(),
            act: (String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr)).into_owned(),
        }
    }

    /// Starts `release-prepare` on a branch, in a repository of this name.
    fn prepare_on(&self, branch: &str, repository: &str) -> Run {
        let payload = json!({"ref": format!("refs/heads/{branch}")});
        let repository = [format!("--env=GITHUB_REPOSITORY={repository}")];
        self.run("release-prepare.yml", "workflow_dispatch", &payload, "origin/main", &repository)
    }

    /// Step 2 of docs/releasing.md.
    fn prepare(&self) -> Run {
        self.prepare_on("main", repository())
    }

    /// The check of the release pull request, for its merge into `main` that GitHub tests.
    fn check_pull_request(&self) -> Run {
        let branch = format!("release/{}", self.tag_name());
        self.git("fetch -q --prune origin");
        self.git("checkout -q --detach origin/main");
        self.git(&format!("merge -q --no-ff -m merge origin/{branch}"));
        self.git("push -q --force origin HEAD:refs/pull/1/merge");
        let merge = self.git("rev-parse HEAD");
        let payload = json!({"number": 1, "pull_request": {"head": {"ref": branch}, "base": {"ref": "main"}}});
        let job = ["-j", "release-pull-request"].map(str::to_owned);
        self.run("ci.yml", "pull_request", &payload, &merge, &job)
    }

    /// The end of step 3.
    fn merge_pull_request(&self) {
        self.git("switch -q main");
        self.git(&format!("merge -q --no-ff -m merge origin/release/{}", self.tag_name()));
        self.git("push -q origin main");
    }

    /// Step 4, without a signature.
    fn tag(&self, commit: &str) {
        self.git(&format!("tag -a -m release {} {commit}", self.tag_name()));
        self.git(&format!("push -q origin {}", self.tag_name()));
    }

    fn delete_tag(&self) {
        let text = documented("**A tag on the wrong commit.**", "\n- **", &self.version);
        self.shell(text.rsplit('`').nth(1).unwrap());
    }

    /// A draft that release-prepare did not create.
    fn create_draft(&self) {
        let tag = self.tag_name();
        self.shell(&format!("gh release create {tag} --draft --target main --title {tag} --notes n Cargo.toml"));
    }

    /// "Start again", with that many drafts.
    fn start_again(&self, drafts: usize, merged: bool) {
        let text = documented("### Start again", "\n2. ", &self.version);
        let commands = text.split("```").nth(1).unwrap().strip_prefix("sh\n").unwrap();
        let (draft, others) = commands.split_once('\n').unwrap();
        assert!(draft.contains("# once for each draft"), "{draft}");
        for command in std::iter::repeat_n(draft, drafts).chain(others.trim().lines()) {
            self.shell(&format!("{command} || true"));
        }
        if merged {
            self.merge_change("dist/release.txt", |text| format!("{}\n", text.lines().next().unwrap()));
        }
        assert!(self.releases().is_empty());
        let refs = self.git("ls-remote origin");
        assert!(!refs.contains(&self.tag_name()), "{refs}");
    }

    /// Steps 5 and 6.
    fn publish(&self, internet: &Internet, sandbox: &Sandbox) -> Run {
        let commit = self.git(&format!("rev-parse {}^{{commit}}", self.tag_name()));
        let payload = json!({"ref": format!("refs/tags/{}", self.tag_name()), "after": commit});
        let mut more = online(internet, sandbox);
        more.push(format!("--env=GITHUB_REPOSITORY={}", repository()));
        more.push("--var=NUGET_USER=contoso-bot".to_owned());
        self.run("release-publish.yml", "push", &payload, &commit, &more)
    }

    /// Step 7: a job of another repository logs in with the action at a tag.
    fn log_in_with(&self, tag: &str, internet: &Internet, sandbox: &Sandbox) -> Run {
        let folder = tempfile::tempdir().unwrap();
        let (user, action) = (folder.path().join("user"), folder.path().join("action"));
        // A runner downloads an archive of the tag.
        fs::create_dir(&action).unwrap();
        self.shell(&format!("git archive {tag} | tar -x -C {}", action.display()));
        fs::create_dir(&user).unwrap();
        fs::write(user.join("workflow.yml"), USER.replace("ACTION", &format!("{}@{tag}", repository()))).unwrap();
        for arguments in ["init -q", "add .", "-c user.name=t -c user.email=t@example.com commit -qm user"] {
            assert!(git().current_dir(&user).args(arguments.split(' ')).status().unwrap().success());
        }
        let mut arguments = online(internet, sandbox);
        arguments.push(format!("--local-repository={}@{tag}={}", repository(), action.display()));
        let more = ["push", "-W=workflow.yml", "--env=GITHUB_REPOSITORY=contoso/contoso-sdk"];
        arguments.extend(more.map(str::to_owned));
        self.act(&user, &json!({}), &arguments)
    }

    fn releases(&self) -> Vec<Release> {
        releases(&self.github("releases"))
    }

    fn is_published(&self) -> bool {
        self.releases().iter().any(|release| release.is_published)
    }

    /// The hosts that a job uses: GitHub with the assets of published releases, and a sandbox as nuget.org.
    fn internet(&self, sandbox: &Arc<Sandbox>) -> Internet {
        let (folder, sandbox) = (self.github("releases"), Arc::clone(sandbox));
        let hosts = ["github.com", "release-assets.githubusercontent.com", "www.nuget.org", "api.nuget.org"];
        Internet::start(&hosts, move |request| match request.host.as_str() {
            "www.nuget.org" => request.forward(sandbox.base_url()),
            "api.nuget.org" => {
                let parts = request.path().split('/').collect::<Vec<_>>();
                let ["", "v3-flatcontainer", id, version, _] = parts[..] else { return status(404) };
                status(if sandbox.has_package(id, version) { 200 } else { 404 })
            }
            host => {
                let path = request.path().strip_prefix(&format!("/{}/releases/download/", repository()));
                let asset = path.and_then(|path| path.split_once('/')).and_then(|(tag, asset)| {
                    let release = releases(&folder).into_iter().find(|it| it.is_published && it.tag == tag)?;
                    fs::read(release.folder.join("assets").join(asset)).ok()
                });
                match asset {
                    None => status(404),
                    Some(_) if host == "github.com" => {
                        let location = format!("https://release-assets.githubusercontent.com{}", request.path());
                        Answer::new(302, "text/plain", "").with("Location", &location).to_bytes()
                    }
                    Some(bytes) => found(&bytes),
                }
            }
        })
    }
}

/// The drafts and releases in a folder of the stand-in for GitHub.
fn releases(folder: &Path) -> Vec<Release> {
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |folder: PathBuf| {
        let json: Value = serde_json::from_slice(&fs::read(folder.join("json")).unwrap()).unwrap();
        let tag = json["tagName"].as_str().unwrap().to_owned();
        Release { folder, tag, is_published: !json["isDraft"].as_bool().unwrap() }
    };
    folders.map(read).collect()
}

/// Arguments of act for a job with an ID token, and with these hosts.
fn online(internet: &Internet, sandbox: &Sandbox) -> Vec<String> {
    let authority = internet.authority.path().display();
    vec![
        format!("--env=https_proxy={}", internet.proxy),
        format!("--env=SSL_CERT_FILE={authority}"),
        format!("--env=CURL_CA_BUNDLE={authority}"),
        format!("--env=ACTIONS_ID_TOKEN_REQUEST_URL={}", sandbox.id_token_request_url()),
        format!("--env=ACTIONS_ID_TOKEN_REQUEST_TOKEN={}", sandbox.request_token()),
    ]
}

/// A workflow without what act cannot do: it does not know `$/`, and of the outputs of a matrix it keeps those of one
/// job. So each job of a matrix whose outputs are used becomes a job of its own.
fn for_act(workflow: &str) -> String {
    let workflow = workflow.replace("uses: $/", "uses: ./");
    if !workflow.contains("jobs.build.outputs") {
        return workflow;
    }
    let (head, rest) = workflow.split_once("\n  build:\n").unwrap();
    let (job, others) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let (before, matrix) = job.split_once("    strategy:\n").unwrap();
    let (matrix, after) = matrix.split_once("    runs-on:").unwrap();
    let job = format!("  NAME:\n{before}    runs-on:{after}");
    let (mut head, mut jobs, mut names) = (head.to_owned(), String::new(), Vec::new());
    for entry in matrix.lines().filter_map(|line| line.trim().strip_prefix("- { ")?.strip_suffix(" }")) {
        let value = |key: &str| entry.split(", ").find_map(|it| it.strip_prefix(key)?.strip_prefix(": "));
        let target = value("target").unwrap();
        let name = format!("build-{target}");
        let mut job = job.replace("NAME", &name);
        for key in ["target", "runner", "suffix"] {
            job = job.replace(&format!("${{{{ matrix.{key} }}}}"), value(key).unwrap_or_default());
        }
        head = head.replace(&format!("jobs.build.outputs.{target} "), &format!("jobs.{name}.outputs.{target} "));
        jobs = jobs + &job + "\n\n";
        names.push(name);
    }
    let others = others.replace("needs: build\n", &format!("needs: [{}]\n", names.join(", ")));
    let workflow = format!("{head}\n{jobs}{others}");
    assert!(!jobs.contains("matrix.") && !workflow.contains("jobs.build.outputs"), "{workflow}");
    workflow
}

/// nuget.org with the trust policy of docs/releasing.md, and the job that pushes the .NET tools.
fn nuget_org(version: &str) -> Sandbox {
    let (owner, name) = repository().split_once('/').unwrap();
    Sandbox::with(|config| {
        config.organizations[0].name = owner.to_owned();
        config.job.repository = repository().to_owned();
        config.job.workflow = "release-publish.yml".to_owned();
        let file = ".github/workflows/dotnet-tool-publish.yml";
        config.job.job_workflow_ref = Some(format!("{}/{file}@refs/tags/v{version}", repository()));
        config.job.r#ref = format!("refs/tags/v{version}");
        config.job.environment = Some("release".to_owned());
        let policy = &mut config.policies[0];
        policy.owner = owner.to_owned();
        policy.repository_owner = owner.to_owned();
        policy.repository = name.to_owned();
        policy.workflow = "dotnet-tool-publish.yml".to_owned();
        policy.environment = "release".to_owned();
        policy.packages = GLOBS.map(str::to_owned).to_vec();
    })
}

/// What docs/releasing.md has between two texts, for a version.
fn documented(before: &str, after: &str, version: &str) -> String {
    let document = include_str!("../../docs/releasing.md");
    let (_, rest) = document.split_once(before).unwrap_or_else(|| panic!("{before}"));
    let (text, _) = rest.split_once(after).unwrap_or_else(|| panic!("{after}"));
    text.replace("<version>", version)
}

#[test]
#[ignore = "needs act"]
fn a_release_that_cannot_be_finished_builds_nothing() {
    let rehearsal = Rehearsal::new();
    let tag = rehearsal.tag_name();
    let refused = |run: Run, why: &str| {
        run.fails_with("::error title=Release not started::");
        run.fails_with(why);
        assert_eq!(fs::read_dir(rehearsal.github("artifacts")).unwrap().count(), 0, "{}", run.act);
    };
    let run = rehearsal.prepare_on("main", "contoso/other");
    refused(run, &format!("the repository in Cargo.toml is https://github.com/{}", repository()));

    rehearsal.create_draft();
    refused(rehearsal.prepare(), &format!("a release or a draft {tag} exists"));
    rehearsal.start_again(1, false);
    rehearsal.git(&format!("push -q origin HEAD:refs/heads/release/{tag}"));
    refused(rehearsal.prepare(), &format!("refs/heads/release/{tag} exists"));
    rehearsal.start_again(0, false);
    rehearsal.tag("main");
    refused(rehearsal.prepare(), &format!("refs/tags/{tag} exists"));
    rehearsal.start_again(0, false);

    rehearsal.merge_change("CHANGELOG.md", |text| text.replace(&format!("## {} ", rehearsal.version), "## "));
    refused(rehearsal.prepare(), &format!("CHANGELOG.md has no section for {}", rehearsal.version));
    rehearsal.merge_change("dist/release.txt", |text| format!("{text}{} {} {:064}\n", target(), asset(), 0));
    refused(rehearsal.prepare(), "dist/release.txt contains digests of an earlier version");

    let elsewhere = rehearsal.prepare_on("feature", repository());
    assert!(elsewhere.succeeded && elsewhere.steps.is_empty(), "{}{}", elsewhere.steps, elsewhere.act);
    assert!(rehearsal.releases().is_empty());
}

#[test]
#[ignore = "needs act"]
fn a_release_that_another_change_has_overtaken_is_not_merged_and_can_start_again() {
    let rehearsal = Rehearsal::new();
    let tag = rehearsal.tag_name();
    // Without the setting, a maintainer opens the pull request.
    rehearsal.allow_pull_requests(false);
    let run = rehearsal.prepare();
    run.succeeds_with("::warning title=No pull request::");
    run.succeeds_with(&format!("https://github.com/{}/compare/main...release/{tag}?expand=1", repository()));
    assert!(!rehearsal.github("pull-request.json").exists());
    rehearsal.check_pull_request().succeeds_with("Only dist/release.txt and CHANGELOG.md differ");

    rehearsal.merge_change("README.md", |text| format!("{text}\n"));
    rehearsal.check_pull_request().fails_with("::error title=Do not merge::main differs from the built commit");

    rehearsal.start_again(1, false);
    rehearsal.allow_pull_requests(true);
    rehearsal.prepare().succeeds_with("");
    let json: Value = serde_json::from_slice(&fs::read(rehearsal.github("pull-request.json")).unwrap()).unwrap();
    assert_eq!((&json["base"], &json["head"]), (&json!("main"), &json!(format!("release/{tag}"))));
    rehearsal.check_pull_request().succeeds_with("Only dist/release.txt and CHANGELOG.md differ");
    assert!(!rehearsal.is_published());
}

#[test]
#[ignore = "needs act"]
fn a_release_is_published_and_its_tag_logs_in() {
    let rehearsal = Rehearsal::new();
    let tag = rehearsal.tag_name();
    let nuget_org = Arc::new(nuget_org(&rehearsal.version));
    let internet = rehearsal.internet(&nuget_org);
    let prepare = || {
        rehearsal.prepare().succeeds_with("");
        rehearsal.check_pull_request().succeeds_with("Only dist/release.txt and CHANGELOG.md differ");
        rehearsal.merge_pull_request();
    };
    let refused = |why: &str| {
        let run = rehearsal.publish(&internet, &nuget_org);
        run.fails_with("::error title=Not published::");
        run.fails_with(why);
        assert!(!rehearsal.is_published() && internet.asked().is_empty(), "{}{}", run.steps, run.act);
    };
    // A tag before its draft.
    rehearsal.tag("main");
    refused(&format!("the draft release {tag} does not exist"));
    rehearsal.delete_tag();

    // Another file under the name of an asset, and then a second draft.
    prepare();
    rehearsal.tag("main");
    let assets = rehearsal.releases()[0].folder.join("assets");
    fs::write(assets.join(asset()), "another program").unwrap();
    refused("dist/release.txt does not match the assets of the draft");
    rehearsal.create_draft();
    refused(&format!("2 releases or drafts have the tag {tag}"));
    rehearsal.start_again(2, true);

    // A tag on a later commit than the merge.
    prepare();
    let merge = rehearsal.git("rev-parse main");
    rehearsal.merge_change("README.md", |text| format!("{text}\n"));
    rehearsal.tag("main");
    refused("in: README.md");
    rehearsal.delete_tag();

    rehearsal.tag(&merge);
    let run = rehearsal.publish(&internet, &nuget_org);
    run.succeeds_with(&format!("Published {tag}."));
    assert!(rehearsal.is_published());
    for id in ["nuget-login", "nuget-login.linux-x64", "nuget-login.win-arm64", "nuget-login-sandbox"] {
        assert!(nuget_org.has_package(id, &rehearsal.version), "{id}\n{}{}", run.steps, run.act);
    }

    let contoso = Arc::new(Sandbox::with(|_| {}));
    let internet = rehearsal.internet(&contoso);
    rehearsal.log_in_with(&tag, &internet, &contoso).succeeds_with("a key of 84 characters");
    let path = format!("/{}/releases/download/{tag}/{}", repository(), asset());
    let urls = ["github.com", "release-assets.githubusercontent.com"].map(|host| format!("https://{host}{path}"));
    assert_eq!(internet.asked()[..2], urls);
    let move_v1 = documented("Only then move the tag `v1` to it:", "A bad release", &rehearsal.version);
    rehearsal.shell(move_v1.split('`').nth(1).unwrap());
    rehearsal.log_in_with("v1", &internet, &contoso).succeeds_with("a key of 84 characters");
}

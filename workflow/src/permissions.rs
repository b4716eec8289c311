//! What the steps of a job need from `GITHUB_TOKEN`: a table of known actions and commands. It decides what a new block
//! of permissions has, which takes away everything else.

use crate::edits::sort;
use crate::login::{Project, is_nuget_org};
use crate::model::{Found, Job, Place, Step, Uses};
use crate::push::{Push, named_sources};
use crate::script::{Command, variable};
use crate::yaml::Node;

/// Permissions and their levels, in the order of a block.
pub(crate) type Block = Vec<(String, String)>;

/// Names and the level of each.
type Needs = &'static [(&'static str, &'static str)];

const CONTENTS_WRITE: Needs = &[("contents", "write")];
const RELEASE_TOOL: Needs = &[("contents", "write"), ("issues", "write"), ("pull-requests", "write")];
const PULL_REQUEST: Needs = &[("contents", "write"), ("pull-requests", "write")];
const COMMENT: Needs = &[("issues", "write"), ("pull-requests", "write")];
const PACKAGES_WRITE: Needs = &[("packages", "write")];
const TEST_REPORT: Needs = &[("checks", "write"), ("pull-requests", "write")];
const ATTESTATION: Needs = &[("attestations", "write"), ("contents", "read")];

/// Actions in lower case, and what they need.
const ACTIONS: [(&str, Needs); 53] = [
    ("actions/checkout", &[("contents", "read")]),
    ("softprops/action-gh-release", CONTENTS_WRITE),
    ("ncipollo/release-action", CONTENTS_WRITE),
    ("actions/create-release", CONTENTS_WRITE),
    ("actions/upload-release-asset", CONTENTS_WRITE),
    ("svenstaro/upload-release-action", CONTENTS_WRITE),
    ("marvinpinto/action-automatic-releases", CONTENTS_WRITE),
    ("elgohr/github-release-action", CONTENTS_WRITE),
    ("alexellis/upload-assets", CONTENTS_WRITE),
    ("shogo82148/actions-upload-release-asset", CONTENTS_WRITE),
    ("release-drafter/release-drafter", PULL_REQUEST),
    ("cycjimmy/semantic-release-action", RELEASE_TOOL),
    ("codfish/semantic-release-action", RELEASE_TOOL),
    ("googleapis/release-please-action", RELEASE_TOOL),
    ("google-github-actions/release-please-action", RELEASE_TOOL),
    ("changesets/action", PULL_REQUEST),
    ("peaceiris/actions-gh-pages", CONTENTS_WRITE),
    ("peter-evans/create-pull-request", PULL_REQUEST),
    ("stefanzweifel/git-auto-commit-action", CONTENTS_WRITE),
    ("jamesives/github-pages-deploy-action", CONTENTS_WRITE),
    ("ad-m/github-push-action", CONTENTS_WRITE),
    ("endbug/add-and-commit", CONTENTS_WRITE),
    ("mathieudutour/github-tag-action", CONTENTS_WRITE),
    ("anothrnick/github-tag-action", CONTENTS_WRITE),
    ("rickstaa/action-create-tag", CONTENTS_WRITE),
    ("actions-js/push", CONTENTS_WRITE),
    ("hub4j/create-tag", CONTENTS_WRITE),
    ("peter-evans/create-or-update-comment", COMMENT),
    ("peter-evans/repository-dispatch", CONTENTS_WRITE),
    ("marocchino/sticky-pull-request-comment", COMMENT),
    ("thollander/actions-comment-pull-request", COMMENT),
    ("mshick/add-pr-comment", COMMENT),
    ("apexskier/github-release-commenter", COMMENT),
    ("actions/labeler", COMMENT),
    ("actions/stale", COMMENT),
    ("actions/first-interaction", COMMENT),
    ("dawidd6/action-download-artifact", &[("actions", "read")]),
    ("actions/delete-package-versions", PACKAGES_WRITE),
    ("actions/deploy-pages", &[("pages", "write")]),
    ("actions/configure-pages", &[("pages", "read")]),
    ("actions/attest-build-provenance", ATTESTATION),
    ("actions/attest-sbom", ATTESTATION),
    ("actions/attest", ATTESTATION),
    ("dorny/test-reporter", &[("actions", "read"), ("checks", "write")]),
    ("enricomi/publish-unit-test-result-action", TEST_REPORT),
    ("mikepenz/action-junit-report", TEST_REPORT),
    ("dorny/paths-filter", &[("pull-requests", "read")]),
    ("myrotvoets/set-commit-status-action", &[("statuses", "write")]),
    ("bobheadxi/deployments", &[("deployments", "write")]),
    ("chrnorm/deployment-action", &[("deployments", "write")]),
    ("chrnorm/deployment-status", &[("deployments", "write")]),
    ("ossf/scorecard-action", &[("security-events", "write")]),
    ("github/codeql-action", &[("actions", "read"), ("contents", "read"), ("security-events", "write")]),
];

/// Parts of a script of actions/github-script, and what they need.
const CALLS: [(&str, Needs); 18] = [
    ("createRelease", CONTENTS_WRITE),
    ("updateRelease", CONTENTS_WRITE),
    ("deleteRelease", CONTENTS_WRITE),
    ("uploadReleaseAsset", CONTENTS_WRITE),
    ("createRef", CONTENTS_WRITE),
    ("updateRef", CONTENTS_WRITE),
    ("createTag", CONTENTS_WRITE),
    ("createCommit(", CONTENTS_WRITE),
    ("createOrUpdateFileContents", CONTENTS_WRITE),
    ("createDispatchEvent", CONTENTS_WRITE),
    (".repos.", &[("contents", "read")]),
    (".issues.", &[("issues", "write")]),
    (".pulls.", &[("pull-requests", "write")]),
    (".checks.", &[("checks", "write")]),
    ("createCommitStatus", &[("statuses", "write")]),
    ("createDeployment", &[("deployments", "write")]),
    ("createWorkflowDispatch", &[("actions", "write")]),
    (".actions.", &[("actions", "read")]),
];

/// Raises a permission of a block to a level.
pub(crate) fn raise(block: &mut Block, name: &str, level: &str) {
    match block.iter_mut().find(|(it, _)| it == name) {
        Some((_, it)) if it == "write" || it == level || level == "none" => {}
        Some((_, it)) => *it = level.to_owned(),
        None => block.push((name.to_owned(), level.to_owned())),
    }
}

/// The permissions of the workflow of this repository that a job calls.
#[derive(Debug, Default, Clone)]
pub(crate) struct OfCalled {
    /// What its jobs request by blocks of permissions. GitHub does not start a run whose caller grants less.
    pub(crate) requested: Block,
    /// The same, and what the steps of its other jobs need.
    pub(crate) needed: Block,
}

/// What the jobs of the called workflow have to get from the job that calls it, also for the workflows called there.
pub(crate) fn of_called<'a>(project: &Project<'a>, caller: &Job<'a>) -> OfCalled {
    let mut all = OfCalled::default();
    let (mut callers, mut seen) = (vec![caller], Vec::new());
    while let Some(caller) = callers.pop() {
        let Some((_, Uses::Local(path))) = caller.uses() else { continue };
        let Some(called) = project.workflows.iter().find(|it| it.file.path == path) else { continue };
        if seen.contains(&path) {
            continue;
        }
        seen.push(path);
        for job in &called.jobs {
            match job.permissions.filter(|block| block.is_mapping()) {
                Some(block) => {
                    for (name, level) in entries(block) {
                        raise(&mut all.requested, &name, &level);
                        raise(&mut all.needed, &name, &level);
                    }
                }
                None if job.uses().is_some() => callers.push(job),
                None => of_steps(project, job).iter().for_each(|(name, level)| raise(&mut all.needed, name, level)),
            }
        }
    }
    all
}

/// The entries of a block of permissions.
pub(crate) fn entries(block: &Node) -> Block {
    let text = |node: &Node| node.text().unwrap_or_default().trim().to_owned();
    block.entries().iter().map(|(name, level)| (text(name), text(level))).collect()
}

/// What the steps of a job need, with those of the local actions that they use.
pub(crate) fn of_steps(project: &Project<'_>, job: &Job<'_>) -> Block {
    let mut block = Block::new();
    add_steps(&mut block, project, &job.steps, &mut Vec::new());
    sort(&mut block, |a, b| a.0 == "contents" && b.0 != "contents");
    block
}

/// Adds what steps need. Each local action is read once: it can use itself, more than once.
fn add_steps(block: &mut Block, project: &Project<'_>, steps: &[Step<'_>], seen: &mut Vec<String>) {
    let sources = named_sources(steps);
    for step in steps {
        for (name, level) in of_step(step, &sources) {
            raise(block, name, level);
        }
        if let Some((_, Uses::Local(path))) = step.uses()
            && !seen.contains(&path)
            && let Some(action) = project.action(&path)
        {
            seen.push(path);
            add_steps(block, project, &action.steps, seen);
        }
    }
}

fn of_step(step: &Step<'_>, sources: &[(String, String)]) -> Vec<(&'static str, &'static str)> {
    let mut needs = Vec::new();
    let text = || step.text();
    match step.uses() {
        Some((_, Uses::Remote { owner, name, .. })) => {
            let action = format!("{owner}/{name}").to_lowercase();
            needs.extend(ACTIONS.iter().filter(|(it, _)| *it == action).flat_map(|(_, needs)| *needs));
            match action.as_str() {
                "actions/github-script" => {
                    let script = step.input("script").and_then(|(_, value)| value.text()).unwrap_or_default();
                    needs.extend(CALLS.iter().filter(|(it, _)| script.contains(it)).flat_map(|(_, needs)| *needs));
                }
                "actions/download-artifact"
                    if ["run-id", "github-token"].iter().any(|input| step.input(input).is_some()) =>
                {
                    needs.push(("actions", "read"));
                }
                "docker/login-action" | "docker/build-push-action" if text().contains("ghcr.io") => {
                    needs.push(("packages", "write"));
                }
                "actions/setup-dotnet" | "actions/setup-node" if text().contains(".pkg.github.com") => {
                    needs.push(("packages", "read"));
                }
                _ => {}
            }
        }
        Some(_) => {}
        None => {
            let feeds = [GITHUB_CONTAINERS, GITHUB_PACKAGES].map(|feed| names(step, feed));
            let commands = step.script().commands.iter().filter(|command| !command.only_prints());
            commands.for_each(|command| needs.extend(of_command(step, command, feeds, sources)));
        }
    }
    needs
}

const GITHUB_CONTAINERS: &str = "ghcr.io";
const GITHUB_PACKAGES: &str = "nuget.pkg.github.com";

/// Whether a step names a feed, also in the value of a variable that is an alias.
fn names(step: &Step<'_>, feed: &str) -> bool {
    let variables = step.node.get("env").map_or(&[][..], Node::entries).iter();
    step.text().contains(feed) || variables.filter_map(|(_, value)| value.text()).any(|value| value.contains(feed))
}

fn of_command(
    step: &Step<'_>,
    command: &Command,
    [containers, packages]: [bool; 2],
    sources: &[(String, String)],
) -> Needs {
    match (command.program().as_str(), command.argument(1), command.argument(2)) {
        ("gh", "release", "view" | "list" | "download") => &[("contents", "read")],
        ("gh", "release", _) => CONTENTS_WRITE,
        ("gh", "issue", _) => &[("issues", "write")],
        ("gh", "pr", _) => &[("pull-requests", "write")],
        ("gh", "workflow", "list" | "view") => &[("actions", "read")],
        ("gh", "workflow", _) => &[("actions", "write")],
        ("gh", "run", _) => &[("actions", "read")],
        ("gh", "attestation", _) => &[("attestations", "read")],
        ("git", "push", _) => CONTENTS_WRITE,
        ("git", ..) if command.has(&["push"]).is_some() => CONTENTS_WRITE,
        ("docker", ..) if containers => PACKAGES_WRITE,
        ("npx" | "semantic-release" | "pnpx" | "bunx" | "yarn", ..)
            if command.words.iter().any(|word| word.text.split('@').next() == Some("semantic-release")) =>
        {
            RELEASE_TOOL
        }
        ("npx", ..) if command.has(&["release-please"]).is_some() => RELEASE_TOOL,
        ("curl", ..) if packages => PACKAGES_WRITE,
        _ if pushes_to_github(step, command, packages, sources) => PACKAGES_WRITE,
        ("dotnet" | "nuget", "nuget" | "sources" | "restore", _) if packages => &[("packages", "read")],
        _ => &[],
    }
}

/// Whether it is a push that can go to GitHub Packages: by its source, or by a variable in a step that names it.
fn pushes_to_github(step: &Step<'_>, command: &Command, names_packages: bool, sources: &[(String, String)]) -> bool {
    let Some(source) = Push::of(command).and_then(|push| push.source) else { return false };
    if let Some((_, url)) = sources.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(&source.text)) {
        return url.contains(GITHUB_PACKAGES);
    }
    if source.text.contains(GITHUB_PACKAGES) {
        return true;
    }
    let named = variable(&source.text).and_then(|name| {
        let assigned = step.script().assigned(name, usize::MAX).map(|word| word.text.clone());
        assigned.or_else(|| step.variable(name)?.text().map(str::to_owned))
    });
    match named {
        Some(value) if !value.contains("${{") => value.contains(GITHUB_PACKAGES),
        _ => !is_nuget_org(&source.text) && (names_packages || source.text.to_lowercase().contains("github")),
    }
}

/// The places where steps that are not in the table get the job's token.
pub(crate) fn unknown_uses<'a>(job: &Job<'a>) -> Vec<Place<'a>> {
    let gives_token = |found: &&Found<'a>| found.within != "if" && found.reference.is_job_token();
    let place = |step: &Step<'a>| {
        if let Some(script) = step.input("script").filter(|_| is_github_script(step)) {
            return has_unknown_calls(script.1.text()?).then(|| Place::of(step.file, &script.0));
        }
        let found = step.references().iter().find(gives_token)?;
        of_step(step, &[]).is_empty().then(|| found.place.clone())
    };
    job.steps.iter().filter_map(place).collect()
}

fn is_github_script(step: &Step<'_>) -> bool {
    let is_it = |owner: &str, name: &str| owner.eq_ignore_ascii_case("actions") && name == "github-script";
    matches!(step.uses(), Some((_, Uses::Remote { owner, name, .. })) if is_it(owner, name))
}

/// Whether a script, which has the job's token, calls something that is not in the table.
fn has_unknown_calls(script: &str) -> bool {
    let is_open = ["github.request", "github.graphql", "require(", "import("].iter().any(|call| script.contains(call));
    is_open || script.contains("github.rest.") && !CALLS.iter().any(|(call, _)| script.contains(call))
}

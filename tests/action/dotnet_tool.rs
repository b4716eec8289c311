//! The .NET tools: what `dotnet-tool/pack` makes of a folder of assets, and the pushes of a release against the sandbox.
//!
//! Text files stand in for the programs. Hosted CI installs and runs the packages of real ones with the SDK. The ignored
//! tests need mono, and nuget.exe in `NUGET_EXE`; `.ci/run` has both.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Cursor, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::Sandbox;
use sandbox::config::{self, ReservedPrefix};
use zip::ZipArchive;

use crate::checkout::{git, sha256};
use crate::mirror::{Mirror, found, status};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The globs of the trust policy in docs/releasing.md.
pub(crate) const GLOBS: [&str; 4] = ["nuget-login", "nuget-login.*", "nuget-login-sandbox", "nuget-login-sandbox.*"];

/// The targets of the sandbox as a tool.
const SANDBOX_TARGETS: [&str; 3] = ["x86_64-unknown-linux-musl", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"];

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// The targets of a release, as the workflow that builds it has them.
fn targets() -> BTreeSet<String> {
    let workflow = read(".github/workflows/build.yml");
    let legs = workflow.lines().filter_map(|line| line.trim().strip_prefix("- { target: "));
    legs.map(|leg| leg.split(',').next().unwrap().to_owned()).collect()
}

/// The runtime identifier of a target.
fn rid(target: &str) -> String {
    let architecture = if target.starts_with("aarch64") { "arm64" } else { "x64" };
    let systems = [("linux", "linux"), ("windows", "win"), ("darwin", "osx")];
    let (_, system) = systems.into_iter().find(|(name, _)| target.contains(name)).unwrap();
    format!("{system}-{architecture}")
}

fn extension(target: &str) -> &'static str {
    if target.contains("windows") { ".exe" } else { "" }
}

/// Tool and target of each asset.
fn programs() -> Vec<(&'static str, String)> {
    let logins = targets().into_iter().map(|target| ("nuget-login", target));
    logins.chain(SANDBOX_TARGETS.map(|target| ("nuget-login-sandbox", target.to_owned()))).collect()
}

fn asset(tool: &str, target: &str) -> String {
    format!("{tool}-{target}{}", extension(target))
}

/// A checkout of a release, with a folder of assets beside it.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new() -> Checkout {
        let checkout = Checkout(tempfile::tempdir().unwrap());
        for folder in ["dotnet-tool", "dist", ".github/scripts"] {
            fs::create_dir_all(checkout.root().join(folder)).unwrap();
            for file in fs::read_dir(Path::new(ROOT).join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
                fs::copy(&file, checkout.root().join(folder).join(file.file_name().unwrap())).unwrap();
            }
        }
        for file in ["Cargo.toml", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"] {
            fs::copy(Path::new(ROOT).join(file), checkout.root().join(file)).unwrap();
        }
        fs::create_dir(checkout.path("assets")).unwrap();
        let (mut release, mut sums) = (format!("version {}\n", env!("CARGO_PKG_VERSION")), String::new());
        for (tool, target) in programs() {
            let asset = asset(tool, &target);
            let program = format!("{tool} for {target}\n").repeat(100);
            fs::write(checkout.path("assets").join(&asset), &program).unwrap();
            let digest = sha256(program.as_bytes());
            match tool {
                "nuget-login" => release += &format!("{target} {asset} {digest}\n"),
                _ => sums += &format!("{digest}  {asset}\n"),
            }
        }
        fs::write(checkout.root().join("dist/release.txt"), release).unwrap();
        fs::write(checkout.path("assets/SHA256SUMS"), sums).unwrap();
        for arguments in ["init -q", "add .", "-c user.name=t -c user.email=t@example.com commit -qm release"] {
            checkout.git(arguments);
        }
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn root(&self) -> PathBuf {
        self.path("checkout")
    }

    fn git(&self, arguments: &str) -> String {
        let ran = git().current_dir(self.root()).args(arguments.split(' ')).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Packs into a folder.
    fn try_pack(&self, folder: &str) -> Output {
        let mut pack = Command::new("python3");
        pack.arg(self.root().join("dotnet-tool/pack"))
            .arg(self.path("assets"))
            .arg(self.path(folder))
            .current_dir(self.path(""))
            .output()
            .unwrap()
    }

    /// The packages, by ID.
    #[track_caller]
    fn pack(&self, folder: &str) -> BTreeMap<String, Package> {
        let ran = self.try_pack(folder);
        assert!(ran.status.success(), "{ran:?}");
        let files = fs::read_dir(self.path(folder)).unwrap().map(|entry| entry.unwrap().path());
        let suffix = format!(".{}.nupkg", env!("CARGO_PKG_VERSION"));
        let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().strip_suffix(&suffix).unwrap().to_owned();
        files.map(|file| (name(&file), Package::read(&file))).collect()
    }

    #[track_caller]
    fn is_refused(&self, why: &str) {
        let ran = self.try_pack("refused");
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(!ran.status.success() && error.contains(why), "{ran:?}");
        assert!(!self.path("refused").exists(), "packages of a refused release");
    }
}

/// A package: its files, by name.
struct Package {
    bytes: Vec<u8>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Package {
    fn read(file: &Path) -> Package {
        let bytes = fs::read(file).unwrap();
        let mut archive = ZipArchive::new(Cursor::new(&bytes)).unwrap();
        let mut files = BTreeMap::new();
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let name = entry.name().unwrap().into_owned();
            assert!(files.insert(name, content).is_none(), "an entry is there twice");
        }
        Package { bytes, files }
    }

    #[track_caller]
    fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.files.get(name).unwrap_or_else(|| panic!("{name} is missing"))).unwrap()
    }

    fn manifest(&self) -> &str {
        self.text(self.files.keys().find(|name| name.ends_with(".nuspec") && !name.contains('/')).unwrap())
    }

    /// The files below `tools`, where no other folder is allowed beside those of the archive.
    fn tool_files(&self) -> Vec<&str> {
        let archive = |name: &str| name.starts_with("_rels/") || name.starts_with("package/");
        let in_folders = self.files.keys().filter(|name| name.contains('/') && !archive(name));
        in_folders.map(|name| name.strip_prefix("tools/").unwrap()).collect()
    }
}

/// The text of the only element of this name.
#[track_caller]
fn field<'a>(document: &'a roxmltree::Document<'_>, name: &str) -> &'a str {
    let mut elements = document.descendants().filter(|node| node.tag_name().name() == name);
    let element = elements.next().unwrap_or_else(|| panic!("{name} is missing"));
    assert!(elements.next().is_none(), "{name} is there twice");
    element.text().unwrap_or_default()
}

/// The attributes of all elements of this name.
fn attributes(text: &str, name: &str) -> Vec<Vec<(String, String)>> {
    let document = roxmltree::Document::parse(text).unwrap();
    let elements = document.descendants().filter(|node| node.tag_name().name() == name);
    let pairs = |node: roxmltree::Node<'_, '_>| {
        node.attributes().map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned())).collect()
    };
    elements.map(pairs).collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

#[test]
fn a_tool_names_one_package_for_each_target() {
    let packages = Checkout::new().pack("packages");
    assert_eq!(packages.len(), programs().len() + 2);
    for tool in ["nuget-login", "nuget-login-sandbox"] {
        let package = &packages[tool];
        assert_eq!(attributes(package.manifest(), "packageType"), [pairs([("name", "DotnetTool")])]);
        assert_eq!(package.tool_files(), ["any/any/DotnetToolSettings.xml"]);
        let settings = package.text("tools/any/any/DotnetToolSettings.xml");
        assert_eq!(attributes(settings, "DotNetCliTool"), [pairs([("Version", "2")])]);
        assert_eq!(attributes(settings, "Command"), [pairs([("Name", tool)])]);
        let named = attributes(settings, "RuntimeIdentifierPackage").into_iter().collect::<BTreeSet<_>>();
        let rids = programs().into_iter().filter(|program| program.0 == tool).map(|program| rid(&program.1));
        let expected = rids.map(|rid| pairs([("RuntimeIdentifier", &rid), ("Id", &format!("{tool}.{rid}"))]));
        assert_eq!(named, expected.collect());
    }
}

#[test]
fn each_asset_is_the_entry_point_of_one_package() {
    let checkout = Checkout::new();
    let packages = checkout.pack("packages");
    for (tool, target) in programs() {
        let (rid, program) = (rid(&target), format!("{tool}{}", extension(&target)));
        let package = &packages[&format!("{tool}.{rid}")];
        assert_eq!(attributes(package.manifest(), "packageType"), [pairs([("name", "DotnetToolRidPackage")])]);
        let settings = format!("any/{rid}/DotnetToolSettings.xml");
        assert_eq!(package.tool_files(), [settings.clone(), format!("any/{rid}/{program}")]);
        let settings = package.text(&format!("tools/{settings}"));
        assert_eq!(attributes(settings, "DotNetCliTool"), [pairs([("Version", "2")])]);
        let command = pairs([("Name", tool), ("EntryPoint", &program), ("Runner", "executable")]);
        assert_eq!(attributes(settings, "Command"), [command]);
        let released = fs::read(checkout.path("assets").join(asset(tool, &target))).unwrap();
        assert_eq!(package.files[&format!("tools/any/{rid}/{program}")], released);
    }
}

#[test]
fn a_manifest_has_what_nuget_org_requires_and_shows() {
    let checkout = Checkout::new();
    let commit = checkout.git("rev-parse HEAD");
    for (id, package) in checkout.pack("packages") {
        let manifest = package.manifest();
        let document = roxmltree::Document::parse(manifest).unwrap();
        let metadata = document.root_element();
        assert_eq!(metadata.tag_name().namespace(), Some("http://schemas.microsoft.com/packaging/2013/05/nuspec.xsd"));
        assert!(package.files.contains_key(&format!("{id}.nuspec")));
        let identity = sandbox::package::read(&package.bytes).unwrap();
        assert_eq!((&*identity.id, &*identity.version), (&*id, env!("CARGO_PKG_VERSION")));
        assert_eq!(field(&document, "license"), env!("CARGO_PKG_LICENSE"));
        assert_eq!(attributes(manifest, "license"), [pairs([("type", "expression")])]);
        // The gallery rejects another one, and none (`PackageMetadataValidationService.cs`).
        assert_eq!(field(&document, "licenseUrl"), "https://licenses.nuget.org/MIT%20OR%20Apache-2.0");
        assert_eq!(field(&document, "projectUrl"), env!("CARGO_PKG_REPOSITORY"));
        let url = format!("{}.git", env!("CARGO_PKG_REPOSITORY"));
        let repository = pairs([("type", "git"), ("url", &url), ("commit", &commit)]);
        assert_eq!(attributes(manifest, "repository"), [repository]);
        for (name, limit) in [("authors", 4000), ("description", 4000), ("tags", 4000), ("releaseNotes", 35000)] {
            let length = field(&document, name).len();
            assert!((1..limit).contains(&length), "{id}: {name} has {length} bytes");
        }
        assert!(
            field(&document, "releaseNotes").starts_with("### Added\n\n- "),
            "{}",
            field(&document, "releaseNotes")
        );
        assert!(package.files[field(&document, "icon")].starts_with(b"\x89PNG\r\n\x1a\n"));
        let readme = package.text(field(&document, "readme"));
        assert!(readme.starts_with("# nuget-login") && !readme.contains(['{', '}']), "{readme}");
        assert!(readme.lines().all(|line| line.len() <= 200) && (25..45).contains(&readme.lines().count()), "{readme}");
        assert!(readme.split("](").skip(1).all(|link| link.starts_with("https://")), "{readme}");
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            assert_eq!(package.text(licence), read(licence));
        }
    }
}

#[test]
fn a_package_follows_the_open_packaging_conventions() {
    for (id, package) in Checkout::new().pack("packages") {
        let types = package.text("[Content_Types].xml");
        let extensions = attributes(types, "Default").into_iter().map(|pairs| pairs[0].1.clone()).collect::<Vec<_>>();
        let names = attributes(types, "Override").into_iter().map(|pairs| pairs[0].1.clone()).collect::<Vec<_>>();
        for file in package.files.keys().filter(|file| *file != "[Content_Types].xml") {
            let extension = Path::new(file).extension().map(|extension| extension.to_str().unwrap());
            let has_type = match extension.or(file.ends_with("/.rels").then_some("rels")) {
                Some(extension) => extensions.iter().any(|known| known == extension),
                None => names.contains(&format!("/{file}")),
            };
            assert!(has_type, "{id}: {file} has no content type");
        }
        let related = attributes(package.text("_rels/.rels"), "Relationship");
        assert_eq!(related.len(), 2);
        for relationship in related {
            let (_, target) = relationship.iter().find(|(name, _)| name == "Target").unwrap();
            assert!(package.files.contains_key(target.trim_start_matches('/')), "{id}: {target}");
        }
    }
}

#[test]
fn the_same_assets_give_the_same_bytes() {
    let checkout = Checkout::new();
    let (first, second) = (checkout.pack("first"), checkout.pack("second"));
    for (id, package) in first {
        assert_eq!(package.bytes, second[&id].bytes, "{id}");
    }
}

#[test]
fn an_asset_that_is_not_the_released_one_is_not_packed() {
    let replaced = Checkout::new();
    let login = asset("nuget-login", "x86_64-pc-windows-msvc");
    fs::write(replaced.path("assets").join(&login), "evil").unwrap();
    replaced.is_refused(&format!("{login} has the SHA-256 {}", sha256(b"evil")));
    let replaced = Checkout::new();
    let sandbox = asset("nuget-login-sandbox", SANDBOX_TARGETS[0]);
    fs::write(replaced.path("assets").join(&sandbox), "evil").unwrap();
    replaced.is_refused(&format!("{sandbox} has the SHA-256"));

    let unnamed = Checkout::new();
    fs::write(unnamed.path("assets/SHA256SUMS"), "").unwrap();
    unnamed.is_refused("nuget-login-sandbox-x86_64-unknown-linux-musl has no digest in SHA256SUMS");
    let unreleased = Checkout::new();
    fs::write(unreleased.root().join("dist/release.txt"), "version 1.0.0\n").unwrap();
    fs::write(unreleased.root().join("CHANGELOG.md"), "# Changelog\n\n## 1.0.0 – 2026-11-22\n\n- It.\n").unwrap();
    unreleased.is_refused("nuget-login-x86_64-unknown-linux-musl has no digest in dist/release.txt");
    let incomplete = Checkout::new();
    fs::remove_file(incomplete.path("assets").join(&login)).unwrap();
    incomplete.is_refused(&format!("does not contain {login}"));
}

#[test]
fn the_release_notes_are_the_section_of_the_version() {
    let checkout = Checkout::new();
    let version = env!("CARGO_PKG_VERSION");
    let text = format!(
        "# Changelog\n\n## Not released yet\n\n- New.\n\n## {version} – 2026-11-22\n\n- A <b> & c.\n\n## 0.0.1\n\n- Old.\n"
    );
    fs::write(checkout.root().join("CHANGELOG.md"), text).unwrap();
    let packages = checkout.pack("packages");
    let document = roxmltree::Document::parse(packages["nuget-login"].manifest()).unwrap();
    assert_eq!(field(&document, "releaseNotes"), "- A <b> & c.");
    fs::write(checkout.root().join("CHANGELOG.md"), "# Changelog\n\n## 9.0.0\n\n- New.\n").unwrap();
    checkout.is_refused(&format!("CHANGELOG.md has no section for {version}"));
}

#[test]
fn the_icon_is_what_its_script_draws() {
    let folder = tempfile::tempdir().unwrap();
    let drawn = folder.path().join("icon.png");
    assert!(Command::new(Path::new(ROOT).join("dotnet-tool/icon")).arg(&drawn).status().unwrap().success());
    assert_eq!(fs::read(drawn).unwrap(), fs::read(Path::new(ROOT).join("dotnet-tool/icon.png")).unwrap());
}

/// `dotnet`, as far as the script uses it: a push by curl, or by nuget.exe where `NUGET_EXE` is set.
const DOTNET: &str = r#"#!/bin/sh
[ "$1 $2 $4 $6" = "nuget push --source --api-key" ] || exit 9
echo "${3##*/}" >>"$ASKED"
if [ "$FAIL" = "${3##*/}" ]; then exit 1; fi
if [ -n "${NUGET_EXE:-}" ]; then
    exec mono "$NUGET_EXE" push "$3" -Source "$5" -ApiKey "$7" -NonInteractive -ForceEnglishOutput
fi
exec curl -q --silent --show-error --fail-with-body -X PUT -F "package=@$3" -H "X-NuGet-ApiKey: $7" "$PUSH"
"#;

/// A release's job: the packages, and a registry with the trust policy of docs/releasing.md.
struct Job {
    checkout: Checkout,
    sandbox: Sandbox,
    attempt: u32,
    /// The package whose push is interrupted.
    interrupted: String,
    nuget_exe: Option<String>,
}

impl Job {
    fn new(change: impl FnOnce(&mut config::Config)) -> Job {
        let checkout = Checkout::new();
        checkout.pack("packages");
        fs::create_dir(checkout.path("bin")).unwrap();
        fs::write(checkout.path("bin/dotnet"), DOTNET).unwrap();
        fs::set_permissions(checkout.path("bin/dotnet"), fs::Permissions::from_mode(0o755)).unwrap();
        let sandbox = Sandbox::with(|config| {
            config.policies[0].packages = GLOBS.map(str::to_owned).to_vec();
            change(config);
        });
        Job { checkout, sandbox, attempt: 1, interrupted: String::new(), nuget_exe: None }
    }

    /// Runs the script with a key from nuget-login itself. Gives success, and the log.
    fn push(&self, what: &str) -> (bool, String) {
        let base = self.sandbox.token_service_url().replace("/token", "");
        let mut exec = Command::new(env!("CARGO_BIN_EXE_nuget-login"));
        exec.args(["exec", "--user", "contoso-bot", "--token-service-url", &self.sandbox.token_service_url(), "--"]);
        exec.args(["bash", ".github/scripts/push-dotnet-tools", what]).arg(self.checkout.path("packages"));
        exec.current_dir(self.checkout.root()).envs(self.sandbox.step_environment());
        exec.env("PATH", format!("{}:{}", self.checkout.path("bin").display(), std::env::var("PATH").unwrap()));
        exec.env("HOME", self.checkout.path("")).env("ASKED", self.checkout.path("asked"));
        exec.env("PUSH", self.sandbox.push_url()).env("SOURCE", self.sandbox.service_index_url());
        exec.env("VERIFY_KEY", format!("{base}/verifykey")).env("GITHUB_RUN_ATTEMPT", self.attempt.to_string());
        exec.env("FAIL", format!("{}.{}.nupkg", self.interrupted, env!("CARGO_PKG_VERSION")));
        exec.env("NUGET_EXE", self.nuget_exe.as_deref().unwrap_or_default());
        let ran = exec.output().unwrap();
        let log = String::from_utf8_lossy(&ran.stdout) + String::from_utf8_lossy(&ran.stderr);
        (ran.status.success(), log.into_owned())
    }

    /// The packages whose push was started since the last call.
    fn asked(&self) -> Vec<String> {
        let file = self.checkout.path("asked");
        let text = fs::read_to_string(&file).unwrap_or_default();
        fs::write(file, "").unwrap();
        let suffix = format!(".{}.nupkg", env!("CARGO_PKG_VERSION"));
        text.lines().map(|line| line.strip_suffix(&suffix).unwrap().to_owned()).collect()
    }

    fn is_published(&self, id: &str) -> bool {
        self.sandbox.has_package(id, env!("CARGO_PKG_VERSION"))
    }

    #[track_caller]
    fn pushes_everything(&self) {
        let (succeeded, log) = self.push("platforms");
        assert!(succeeded, "{log}");
        assert_eq!(self.asked().len(), programs().len());
        assert!(!self.is_published("nuget-login") && !self.is_published("nuget-login-sandbox"));
        assert!(programs().iter().all(|(tool, target)| self.is_published(&format!("{tool}.{}", rid(target)))));
        let (succeeded, log) = self.push("tools");
        assert!(succeeded, "{log}");
        assert_eq!(
            self.asked().into_iter().collect::<BTreeSet<_>>(),
            ["nuget-login", "nuget-login-sandbox"].map(str::to_owned).into()
        );
        assert!(self.is_published("nuget-login") && self.is_published("nuget-login-sandbox"));
    }
}

#[test]
fn a_release_pushes_the_tools_after_the_packages_that_they_name() {
    Job::new(|_| {}).pushes_everything();
}

#[test]
fn the_documented_trust_policy_matches_the_job_that_pushes() {
    let (document, workflow) = (read("docs/releasing.md"), read(".github/workflows/dotnet-tool-publish.yml"));
    let row = |field: &str| {
        let line = document.lines().find(|line| line.trim().starts_with(&format!("| {field} |")));
        line.unwrap_or_else(|| panic!("{field} is missing")).to_owned()
    };
    assert!(GLOBS.iter().all(|glob| row("Glob Patterns and Packages").contains(&format!("`{glob}`"))));
    // nuget.org compares the file that defines the job, in a called workflow too.
    assert!(row("Workflow File").contains("`dotnet-tool-publish.yml`"));
    assert!(
        read(".github/workflows/release-publish.yml").contains("uses: $/.github/workflows/dotnet-tool-publish.yml")
    );
    let (_, push) = workflow.split_once("\n  push:\n").unwrap();
    assert!(push.contains("\n    environment: release\n") && row("Environment").contains("`release`"));
    assert!(push.contains("\n      id-token: write") && push.contains("\n        uses: ./ "));
    let owner_and_name = env!("CARGO_PKG_REPOSITORY").strip_prefix("https://github.com/").unwrap();
    let (owner, name) = owner_and_name.split_once('/').unwrap();
    assert!(row("Repository Owner").contains(owner) && row("Repository").contains(name));
    let calls = push.lines().filter_map(|line| line.trim().strip_prefix("run: .github/scripts/push-dotnet-tools "));
    let calls = calls.map(|call| call.split(' ').next().unwrap()).collect::<Vec<_>>();
    assert_eq!(calls, ["platforms", "wait", "tools"]);
}

#[test]
fn a_release_builds_the_sandbox_for_the_targets_of_its_tool() {
    let workflow = read(".github/workflows/sandbox.yml");
    let legs = workflow.lines().filter_map(|line| line.trim().strip_prefix("- { target: "));
    let legs = legs.map(|leg| leg.split(',').next().unwrap()).collect::<BTreeSet<_>>();
    assert_eq!(legs, SANDBOX_TARGETS.into());
    for target in SANDBOX_TARGETS {
        assert!(targets().contains(target));
        assert!(
            workflow.contains(&format!("\n      {target}: ${{{{ steps.digest.outputs.{target} }}}}\n")),
            "{target}"
        );
        assert!(workflow.contains(&format!("\n          ${{{{ jobs.build.outputs.{target} }}}}\n")), "{target}");
    }
    assert!(read(".github/workflows/release-prepare.yml").contains("DIGESTS: ${{ needs.sandbox.outputs.digests }}"));
}

#[test]
fn a_half_finished_push_is_completed_by_another_attempt() {
    let mut job = Job::new(|_| {});
    job.interrupted = "nuget-login.osx-x64".to_owned();
    let (succeeded, log) = job.push("platforms");
    assert!(!succeeded && log.contains("nuget-login.osx-x64 was rejected: its message is above"), "{log}");
    let first = job.asked();
    assert!(!job.is_published("nuget-login.osx-x64"));

    job.interrupted.clear();
    job.attempt = 2;
    let (succeeded, log) = job.push("platforms");
    assert!(succeeded, "{log}");
    let second = job.asked();
    assert_eq!(first.len() - 1 + second.len(), programs().len());
    assert_eq!(second[0], "nuget-login.osx-x64");
    assert_eq!(log.matches("exists: an earlier attempt pushed it").count(), first.len() - 1, "{log}");
}

#[test]
fn a_version_that_exists_in_the_first_attempt_fails() {
    let job = Job::new(|_| {});
    assert!(job.push("platforms").0);
    let (succeeded, log) = job.push("platforms");
    assert!(!succeeded && log.contains("exists already. If an earlier run of this release pushed it"), "{log}");
}

#[test]
fn a_reserved_id_fails_in_every_attempt() {
    let mut job = Job::new(|config| {
        let owners = vec!["fabrikam".to_owned()];
        config.reserved_prefixes.push(ReservedPrefix { prefix: "nuget-login".to_owned(), owners });
    });
    for attempt in [1, 2] {
        job.attempt = attempt;
        let (succeeded, log) = job.push("platforms");
        assert!(!succeeded && log.contains("means that the ID is reserved"), "{log}");
        assert!(log.contains("This package ID has been reserved."), "{log}");
    }
}

#[test]
fn a_version_of_another_owner_is_not_taken_for_an_earlier_attempt() {
    let mut job = Job::new(|config| {
        let package = config::Package {
            id: "nuget-login.osx-x64".to_owned(),
            owner: "fabrikam".to_owned(),
            versions: vec![env!("CARGO_PKG_VERSION").to_owned()],
        };
        config.packages.push(package);
    });
    for attempt in [1, 2] {
        job.attempt = attempt;
        let (succeeded, log) = job.push("platforms");
        assert!(!succeeded && log.contains("the key is not allowed to push nuget-login.osx-x64 (403)"), "{log}");
    }
}

#[test]
fn the_tools_wait_until_the_packages_that_they_name_can_be_downloaded() {
    let checkout = Checkout::new();
    checkout.pack("packages");
    let version = env!("CARGO_PKG_VERSION");
    let late = AtomicU32::new(3);
    let registry = Mirror::start(move |path| {
        let slow = path.starts_with("/nuget-login.osx-arm64/");
        let early = slow && late.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if early { status(404) } else { found(b"") }
    });
    let wait = |tries: &str| {
        let mut wait = Command::new("bash");
        wait.current_dir(checkout.root())
            .args([".github/scripts/push-dotnet-tools", "wait"])
            .arg(checkout.path("packages"));
        wait.env("DOWNLOADS", &registry.url).env("TRIES", tries).env("PAUSE", "0").output().unwrap()
    };
    let ended = wait("2");
    let log = String::from_utf8_lossy(&ended.stdout);
    assert!(!ended.status.success() && log.contains(&format!("nuget-login.osx-arm64 {version} cannot")), "{log}");
    assert!(wait("5").status.success());
    let asked = registry.asked().into_iter().collect::<BTreeSet<_>>();
    assert_eq!(asked.len(), programs().len());
    let path = format!("/nuget-login.win-x64/{version}/nuget-login.win-x64.{version}.nupkg");
    assert!(asked.contains(&path), "{asked:?}");
}

/// NuGet's own client.
fn nuget_exe(home: &Path, arguments: &[&str]) -> String {
    let nuget_exe = std::env::var_os("NUGET_EXE").expect("NUGET_EXE is the path of nuget.exe");
    let ran = Command::new("mono").arg(nuget_exe).args(arguments).arg("-NonInteractive").env("HOME", home).output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
#[ignore = "needs mono and nuget.exe"]
fn a_real_client_reads_and_unpacks_the_packages() {
    let checkout = Checkout::new();
    let packages = checkout.pack("packages");
    let (folder, feed) = (checkout.path("packages"), checkout.path("feed"));
    let home = checkout.path("");
    let listed = nuget_exe(&home, &["list", "-Source", folder.to_str().unwrap()]);
    let expected = packages.keys().map(|id| format!("{id} {}\n", env!("CARGO_PKG_VERSION"))).collect::<BTreeSet<_>>();
    assert_eq!(listed.split_inclusive('\n').map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    for (id, package) in packages {
        let file = folder.join(format!("{id}.{}.nupkg", env!("CARGO_PKG_VERSION")));
        nuget_exe(&home, &["add", file.to_str().unwrap(), "-Source", feed.to_str().unwrap(), "-Expand"]);
        let unpacked = feed.join(&id).join(env!("CARGO_PKG_VERSION"));
        let content =
            package.files.iter().filter(|(name, _)| !name.starts_with(['_', '[']) && !name.starts_with("package/"));
        for (name, bytes) in content {
            assert_eq!(&fs::read(unpacked.join(name)).unwrap(), bytes, "{id}: {name}");
        }
    }
}

#[test]
#[ignore = "needs mono and nuget.exe"]
fn a_real_client_pushes_the_packages() {
    let mut job = Job::new(|_| {});
    job.nuget_exe = Some(std::env::var("NUGET_EXE").expect("NUGET_EXE is the path of nuget.exe"));
    job.pushes_everything();
    job.attempt = 2;
    let (succeeded, log) = job.push("platforms");
    assert!(succeeded && job.asked().is_empty(), "{log}");
}

//! `dist/fetch.sh` under every shell that is here: what it gets, checks and runs, and what it refuses.
//!
//! A shell script stands in for the binary: to `fetch.sh` it is bytes with a digest. The real one is in `workflow.rs`.
//! `FETCH_SHELL` names the shell (`busybox sh`); `.ci/run` goes through all that are there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::checkout::{asset_path, check_out, in_path, sha256, target};
use crate::mirror::{Mirror, found, status};

/// What is released here: says its version, else that it ran.
const RELEASED: &str = concat!(
    "#!/bin/sh\nif [ \"${1:-}\" = --version ]; then echo nuget-login ",
    env!("CARGO_PKG_VERSION"),
    "; else echo \"ran for $INPUT_USER\"; exit 7; fi\n"
);

/// Tools that the script may use, besides those that download, and `sleep`, which does not wait here (but where it is
/// needed instead of `timeout`).
const TOOLS: &[&str] = &[
    "cat",
    "chmod",
    "cp",
    "cut",
    "find",
    "grep",
    "head",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sh",
    "sha256sum",
    "shasum",
    "timeout",
    "tr",
    "uname",
];

/// A runner with the action checked out.
struct Runner {
    folder: tempfile::TempDir,
    shell: Vec<PathBuf>,
    environment: BTreeMap<&'static str, OsString>,
}

impl Runner {
    /// A runner whose action was released with [`RELEASED`], with `mirror` to get it from.
    fn new(mirror: &str) -> Runner {
        let folder = tempfile::Builder::new().prefix("a runner's ").tempdir().unwrap();
        check_out(&folder.path().join("the action"), RELEASED.as_bytes());
        fs::create_dir(folder.path().join("temp")).unwrap();
        let environment = BTreeMap::from([
            ("PATH", std::env::var_os("PATH").unwrap()),
            ("RUNNER_TEMP", folder.path().join("temp").into()),
            ("RUNNER_TOOL_CACHE", folder.path().join("tool cache").into()),
            ("INPUT_USER", "contoso-bot".into()),
            ("ACTION_MIRROR", mirror.into()),
            ("ACTION_BINARY", "".into()),
        ]);
        let shell = std::env::var("FETCH_SHELL").unwrap_or_else(|_| "sh".to_owned());
        Runner { folder, shell: shell_of(&shell), environment }
    }

    fn set(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name, value.into());
        self
    }

    /// Leaves only [`TOOLS`] on the path, and these: names, or names with the program behind them.
    fn with_tools(self, more: &[(&str, &str)]) -> Self {
        let folder = self.path("tools");
        fs::create_dir(&folder).unwrap();
        let sleep = if in_path("timeout").is_some() { "true" } else { "sleep" };
        let tools = TOOLS.iter().map(|name| (*name, *name)).chain([("sleep", sleep)]).chain(more.iter().copied());
        for (name, program) in tools {
            if let Some(program) = in_path(program) {
                symlink(program, folder.join(name)).unwrap();
            }
        }
        self.set("PATH", folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cached(&self) -> PathBuf {
        self.path("tool cache").join("nuget-login").join(env!("CARGO_PKG_VERSION")).join(target()).join("nuget-login")
    }

    /// Puts something into the tool cache.
    fn cache(&self, put: impl FnOnce(&Path)) {
        fs::create_dir_all(self.cached().parent().unwrap()).unwrap();
        put(&self.cached());
    }

    fn release_txt(&self) -> PathBuf {
        self.path("the action/dist/release.txt")
    }

    fn run(&self) -> Output {
        let mut command = Command::new(&self.shell[0]);
        command.args(&self.shell[1..]).arg(self.path("the action/dist/fetch.sh"));
        command.env_clear().envs(&self.environment).output().unwrap()
    }

    #[track_caller]
    fn succeeds(&self) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(7), "the exit code is the binary's: {log} {:?}", ran.stderr);
        assert!(log.ends_with("ran for contoso-bot\n"), "{log}");
        log
    }

    /// Runs, and gives the text of the one annotation; nothing ran, and nothing is left behind.
    #[track_caller]
    fn fails(&self) -> String {
        let ran = self.run();
        let log = String::from_utf8(ran.stdout).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{log} {}", String::from_utf8_lossy(&ran.stderr));
        assert!(!log.contains("ran for"), "{log}");
        assert_eq!(fs::read_dir(self.path("temp")).unwrap().count(), 0);
        let annotation = log.lines().last().unwrap().strip_prefix("::error title=NuGet login failed::");
        annotation.unwrap_or_else(|| panic!("no annotation: {log}")).to_owned()
    }
}

/// The downloaders that are here: how each is called, and the program behind it.
fn downloaders() -> impl Iterator<Item = [(&'static str, &'static str); 1]> {
    let tools = [("curl", "curl"), ("wget", "wget"), ("wget", "busybox")].into_iter();
    tools.filter(|(_, program)| in_path(program).is_some()).map(|tool| [tool])
}

/// A mirror with this asset.
fn mirror_of(bytes: &'static [u8]) -> Mirror {
    Mirror::start(move |path| if path == asset_path() { found(bytes) } else { status(404) })
}

fn mirror() -> Mirror {
    mirror_of(RELEASED.as_bytes())
}

/// A shell's path, and the arguments that make it a shell.
fn shell_of(words: &str) -> Vec<PathBuf> {
    let mut words = words.split(' ');
    let program = in_path(words.next().unwrap()).unwrap();
    std::iter::once(program).chain(words.map(PathBuf::from)).collect()
}

#[test]
fn a_fresh_download_is_checked_run_and_kept_for_the_next_job() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    runner.succeeds();
    assert_eq!(mirror.asked(), [asset_path()]);
    assert_eq!(fs::read(runner.cached()).unwrap(), RELEASED.as_bytes());
    assert_eq!(fs::metadata(runner.cached()).unwrap().permissions().mode() & 0o777, 0o644, "data, not a program");
    runner.succeeds();
    assert_eq!(mirror.asked().len(), 1, "the second run takes it from the cache");
}

#[test]
fn what_runs_is_a_private_copy() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    runner.succeeds();
    let private: Vec<PathBuf> = fs::read_dir(runner.path("temp")).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(fs::metadata(&private[0]).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(private[0].join("nuget-login")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_poisoned_cache_is_passed_over_and_mended() {
    let poisons: [fn(&Path); 5] = [
        |cached| fs::write(cached, "#!/bin/sh\necho poisoned\n").unwrap(),
        |cached| fs::write(cached, "").unwrap(),
        |cached| fs::File::create(cached).unwrap().set_len(1 << 40).unwrap(),
        |cached| {
            fs::write(cached.with_extension("real"), RELEASED).unwrap();
            fs::rename(cached.with_extension("real"), cached).unwrap();
            fs::OpenOptions::new().append(true).open(cached).unwrap().set_len(RELEASED.len() as u64 + 1).unwrap();
        },
        |cached| assert!(Command::new("mkfifo").arg(cached).status().unwrap().success()),
    ];
    for poison in poisons {
        let mirror = mirror();
        let runner = Runner::new(&mirror.url);
        runner.cache(poison);
        let log = runner.succeeds();
        assert!(!log.contains("poisoned"), "{log}");
        assert_eq!(mirror.asked().len(), 1);
        assert_eq!(fs::read(runner.cached()).unwrap(), RELEASED.as_bytes());
        assert!(fs::symlink_metadata(runner.cached()).unwrap().is_file());
    }
}

#[test]
fn a_cache_that_can_not_be_used_is_none() {
    let mirror = mirror();
    // A folder where the file should be, and a file where the folder should be.
    let runner = Runner::new(&mirror.url);
    runner.cache(|cached| fs::create_dir(cached).unwrap());
    runner.succeeds();
    let runner = Runner::new(&mirror.url);
    fs::write(runner.path("tool cache"), "").unwrap();
    runner.succeeds();
    Runner::new(&mirror.url).set("RUNNER_TOOL_CACHE", "").succeeds();
    Runner::new(&mirror.url).set("RUNNER_TOOL_CACHE", "/proc/nowhere").succeeds();
    let runner = Runner::new(&mirror.url);
    fs::create_dir(runner.path("tool cache")).unwrap();
    if let Some(_mounted) = Mounted::on(runner.path("tool cache"), "ro") {
        runner.succeeds();
    }
}

#[test]
fn nothing_is_written_through_a_link_or_into_a_folder_in_the_cache() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    runner.cache(|cached| fs::create_dir(cached).unwrap());
    runner.succeeds();
    assert_eq!(fs::read_dir(runner.cached()).unwrap().count(), 0);

    let runner = Runner::new(&mirror.url);
    let victim = runner.path("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("nuget-login"), "mine").unwrap();
    let folder = runner.cached().parent().unwrap().to_owned();
    fs::create_dir_all(folder.parent().unwrap()).unwrap();
    symlink(&victim, &folder).unwrap();
    runner.succeeds();
    assert_eq!(fs::read_to_string(victim.join("nuget-login")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}

#[test]
fn bytes_that_were_not_released_are_not_run() {
    let other = "#!/bin/sh\necho ran for contoso-bot\n";
    for (bytes, named) in [(other.as_bytes(), other), (b"", ""), (&RELEASED.as_bytes()[..40], &RELEASED[..40])] {
        let mirror = mirror_of(bytes);
        let runner = Runner::new(&mirror.url);
        let error = runner.fails();
        assert!(error.contains(&sha256(named.as_bytes())), "{error}");
        assert!(error.contains(&sha256(RELEASED.as_bytes())), "{error}");
        assert!(error.contains("is not what was released"), "{error}");
        assert!(!runner.cached().exists());
    }
}

#[test]
fn a_release_of_another_version_is_not_run() {
    let other = "#!/bin/sh\necho nuget-login 0.0.9\n";
    let mirror = mirror_of(other.as_bytes());
    let runner = Runner::new(&mirror.url);
    check_out(&runner.path("the action"), other.as_bytes());
    let error = runner.fails();
    assert!(error.contains("it calls itself 'nuget-login 0.0.9', and this action needs nuget-login"), "{error}");
}

#[test]
fn a_download_that_breaks_off_is_tried_again() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let mirror = Mirror::start(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => found(RELEASED.as_bytes())[..100].to_vec(),
        1 => status(503),
        _ => found(RELEASED.as_bytes()),
    });
    Runner::new(&mirror.url).with_tools(&[("curl", "curl")]).succeeds();
    assert_eq!(mirror.asked().len(), 3);
}

#[test]
fn a_server_that_never_has_it_is_given_up() {
    let mirror = Mirror::start(|_| status(503));
    let error = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]).fails();
    assert!(error.contains("can't be downloaded") && error.contains("503"), "{error}");
    assert_eq!(mirror.asked().len(), 3);
}

#[test]
fn an_answer_without_an_end_is_not_stored() {
    for tools in downloaders() {
        let mirror = Mirror::start(|_| found(&vec![b'x'; 40 * 1024 * 1024]));
        let runner = Runner::new(&mirror.url).with_tools(&tools);
        let error = runner.fails();
        assert!(error.contains("can't be stored in") || error.contains("is not what was released"), "{error}");
        assert!(!runner.cached().exists());
    }
}

/// Mounts a small file system on a folder, where that is allowed; takes it away again.
struct Mounted(PathBuf);

impl Mounted {
    fn on(folder: PathBuf, options: &str) -> Option<Mounted> {
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&folder).output();
        mounted.is_ok_and(|it| it.status.success()).then_some(Mounted(folder))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_named() {
    for tools in downloaders() {
        let mirror = Mirror::start(|_| found(&vec![b'x'; 1024 * 1024]));
        let runner = Runner::new(&mirror.url).with_tools(&tools);
        let Some(_mounted) = Mounted::on(runner.path("temp"), "size=64k") else { return };
        let error = runner.fails();
        assert!(error.contains("is the disk full?"), "{error}");
    }
}

#[test]
fn a_folder_that_forbids_programs_is_named() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    let Some(_mounted) = Mounted::on(runner.path("temp"), "noexec") else { return };
    let error = runner.fails();
    assert!(error.contains("are programs forbidden there (noexec)?"), "{error}");
}

#[test]
fn a_proxys_password_is_not_shown() {
    for tools in downloaders() {
        for proxy in
            ["http://me:pa55@word@p.invalid:80", "me:pa55#word@p:80", "socks6://me:pa55word@p", "htp://me:pa55word@p"]
        {
            for name in ["https_proxy", "HTTPS_PROXY"] {
                let runner = Runner::new("https://mirror.invalid").with_tools(&tools).set(name, proxy);
                let ran = runner.run();
                let log = String::from_utf8(ran.stdout).unwrap() + &String::from_utf8(ran.stderr).unwrap();
                assert!(!ran.status.success() && !log.contains("pa55"), "{log}");
            }
        }
    }
}

#[test]
fn an_asset_that_is_not_there_is_named_at_once() {
    for tools in downloaders() {
        let mirror = Mirror::start(|_| status(404));
        let error = Runner::new(&mirror.url).with_tools(&tools).fails();
        assert!(error.contains(&format!("{}{} is not there (404)", mirror.url, asset_path())), "{error}");
        assert_eq!(mirror.asked().len(), 1);
    }
}

#[test]
fn what_can_not_be_had_is_asked_for_once() {
    for tools in downloaders() {
        for (code, times) in [(403, 1), (410, 1), (408, 3), (429, 3), (500, 3)] {
            let mirror = Mirror::start(move |_| status(code));
            let error = Runner::new(&mirror.url).with_tools(&tools).fails();
            let expected = if times == 1 { "is refused to this runner" } else { "can't be downloaded" };
            assert!(error.contains(expected), "{tools:?}, {code}: {error}");
            assert_eq!(mirror.asked().len(), times, "{tools:?}, {code}: {error}");
        }
    }
}

#[test]
fn curl_wget_and_busybox_are_each_enough() {
    for tools in downloaders() {
        let mirror = mirror();
        Runner::new(&mirror.url).with_tools(&tools).succeeds();
    }
}

#[test]
fn a_system_without_timeout_is_watched_by_the_script_itself() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]);
    let tools = runner.path("tools");
    let _ = fs::remove_file(tools.join("timeout"));
    fs::remove_file(tools.join("sleep")).unwrap();
    symlink(in_path("sleep").unwrap(), tools.join("sleep")).unwrap();
    runner.succeeds();
    runner.succeeds();
    assert_eq!(mirror.asked().len(), 1);
}

#[test]
fn without_curl_and_wget_the_error_says_so() {
    let error = Runner::new(&mirror().url).with_tools(&[]).fails();
    assert!(error.starts_with("neither curl nor wget is here: install one"), "{error}");
}

#[test]
fn without_a_tool_for_digests_nothing_runs() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]);
    for tool in ["sha256sum", "shasum"] {
        let _ = fs::remove_file(runner.path("tools").join(tool));
    }
    assert!(runner.fails().starts_with("nothing here can check a SHA-256: install sha256sum, shasum or openssl"));
    symlink(in_path("openssl").unwrap(), runner.path("tools/openssl")).unwrap();
    runner.succeeds();
}

#[test]
fn jobs_at_once_do_not_trip_over_each_other() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..8).map(|_| scope.spawn(|| runner.run())).collect();
        for job in jobs {
            assert_eq!(job.join().unwrap().status.code(), Some(7));
        }
    });
    let kept: Vec<_> = fs::read_dir(runner.cached().parent().unwrap()).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(kept, [runner.cached()], "no half-written copies are left");
}

#[test]
fn a_mirror_is_an_https_url_or_on_loopback() {
    for mirror in [
        "http://mirror.example",
        "ftp://mirror.example",
        "mirror.example",
        "https://u:pa55word@mirror.example",
        "file:///x",
        "http://127.0.0.1@mirror.example",
        "http://127.0.0.1.example",
        "https://m/$(id)",
        "https://m/`id`",
        "https://",
        "--help",
        "https://m/a b",
        "https://m/%0A::error::x\n::error::x",
    ] {
        let error = Runner::new(mirror).fails();
        assert!(error.contains("give an https URL without user, password"), "{mirror}: {error}");
        assert!(!error.contains("pa55word"), "{error}");
    }
}

#[test]
fn a_mirror_on_loopback_is_asked_without_the_proxy_and_others_through_it() {
    for tools in downloaders().filter(|[(_, program)]| *program != "busybox") {
        // In its own words, since wget tells them alone.
        let proxy = Mirror::start(|_| b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n".to_vec());
        let mirror = mirror();
        let behind_proxy = |mirror: &str| {
            Runner::new(mirror).with_tools(&tools).set("https_proxy", &proxy.url).set("http_proxy", &proxy.url)
        };
        behind_proxy(&mirror.url).succeeds();
        assert!(proxy.asked().is_empty());
        let error = behind_proxy("https://mirror.example/releases").fails();
        assert!(error.contains("https://mirror.example/releases/v"), "{error}");
        assert_eq!(proxy.asked(), ["mirror.example:443"]);
    }
}

#[test]
fn nobodys_configuration_takes_part() {
    let mirror = mirror();
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(".curlrc"), "url = http://127.0.0.1:1/\nheader = \"Authorization: Bearer x\"\n")
        .unwrap();
    fs::write(
        home.path().join(".wgetrc"),
        "header = Authorization: Bearer x\nuser_agent = x\noutput_document = /dev/null\n",
    )
    .unwrap();
    for tools in downloaders().filter(|[(_, program)]| *program != "busybox") {
        Runner::new(&mirror.url).set("HOME", home.path()).with_tools(&tools).succeeds();
    }
}

#[test]
fn inputs_that_are_not_even_set_are_empty() {
    let proxy = Mirror::start(|_| status(403));
    let mut runner = Runner::new("").with_tools(&[("curl", "curl")]).set("https_proxy", &proxy.url);
    runner.environment.remove("ACTION_MIRROR");
    runner.environment.remove("ACTION_BINARY");
    assert!(runner.fails().starts_with("https://github.com/org/nuget-login/releases/download/v"));
    assert_eq!(proxy.asked(), ["github.com:443"]);
}

#[test]
fn a_platform_without_a_release_is_named() {
    for (os, arch) in [("Linux", "ARM"), ("Linux", "X86"), ("FreeBSD", "X64"), ("Linux", "s390x")] {
        let error = Runner::new("").set("RUNNER_OS", os).set("RUNNER_ARCH", arch).fails();
        assert!(error.starts_with(&format!("there is no release for {os} {arch}: build nuget-login")), "{error}");
        assert!(error.contains("`binary`"), "{error}");
    }
}

#[test]
fn without_the_runners_variables_the_machine_is_asked() {
    let mirror = mirror();
    Runner::new(&mirror.url).set("RUNNER_OS", "").set("RUNNER_ARCH", "").succeeds();
}

#[test]
fn a_commit_without_a_release_points_to_the_input_binary() {
    let runner = Runner::new("");
    fs::write(runner.release_txt(), concat!("version ", env!("CARGO_PKG_VERSION"), "\n")).unwrap();
    let error = runner.fails();
    assert!(error.starts_with(&format!("this commit of the action names no release for {}", target())), "{error}");
    assert!(error.contains("`binary`"), "{error}");
}

#[test]
fn a_digest_that_is_none_stops_everything() {
    let mirror = mirror();
    for digest in ["", "abc", &"z".repeat(64), &"A".repeat(64), &"0".repeat(63)] {
        let runner = Runner::new(&mirror.url);
        let release = fs::read_to_string(runner.release_txt()).unwrap();
        fs::write(runner.release_txt(), release.replace(&sha256(RELEASED.as_bytes()), digest)).unwrap();
        assert!(runner.fails().contains("holds no SHA-256"));
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
        assert!(runner.fails().contains("holds no SHA-256"), "{lines}");
    }
    assert!(mirror.asked().is_empty());
}

#[test]
fn an_installed_binary_of_the_same_version_is_used_as_it_is() {
    let runner = Runner::new("https://mirror.invalid");
    let binary = runner.path("my nuget-login");
    fs::write(&binary, RELEASED).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    let runner = runner.set("ACTION_BINARY", &binary);
    let log = runner.succeeds();
    let notice = format!("Using {}, SHA-256 {}", binary.display(), sha256(RELEASED.as_bytes()));
    assert!(log.starts_with(&format!("::notice title=NuGet login::{notice}\n")), "{log}");
    assert!(!runner.cached().exists());

    let needs = concat!("this action needs nuget-login ", env!("CARGO_PKG_VERSION"));
    fs::write(&binary, "#!/bin/sh\necho nuget-login 0.0.1\n").unwrap();
    let error = runner.fails();
    assert!(error.contains("(nuget-login 0.0.1)") && error.contains(needs), "{error}");
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o644)).unwrap();
    let error = runner.fails();
    assert!(error.contains("is it executable (chmod +x)") && error.to_lowercase().contains(needs), "{error}");
    fs::remove_file(&binary).unwrap();
    assert!(runner.fails().contains("where there is no plain file"));
    let runner = runner.set("ACTION_BINARY", "nuget-login\n::error::x%0A");
    assert!(runner.fails().starts_with("the input `binary` is 'nuget-login ::error::x%250A': give an absolute path"));
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
    while std::time::Instant::now() < until {
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
            assert!(
                log.lines().last().is_some_and(|line| line.starts_with("::error title=NuGet login failed::")),
                "{text:?}: {log}"
            );
            refused += 1;
        }
        assert!(!runner.path("ran").exists() && !Path::new("ran").exists(), "{text:?} acted");
        for entry in fs::read_dir(runner.path("temp")).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
    }
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
}

//! The download of the asset, and its failures.

use std::fs;

use crate::checkout::{asset_path, in_path};
use crate::mirror::{Mirror, found, status};

use super::{Mounted, RELEASED, Runner, mirror};

/// The installed download tools: the name of each, and its program.
pub(crate) fn downloaders() -> impl Iterator<Item = [(&'static str, &'static str); 1]> {
    let tools = [("curl", "curl"), ("wget", "wget"), ("wget", "busybox")].into_iter();
    tools.filter(|(_, program)| in_path(program).is_some()).map(|tool| [tool])
}

#[test]
fn an_interrupted_download_is_retried() {
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
fn an_unavailable_server_is_an_error_after_three_attempts() {
    let mirror = Mirror::start(|_| status(503));
    let error = Runner::new(&mirror.url).with_tools(&[("curl", "curl")]).fails("cannot-be-downloaded");
    assert!(error.contains("note: ") && error.contains("503"), "{error}");
    assert_eq!(mirror.asked().len(), 3);
}

#[test]
fn an_asset_larger_than_any_release_is_downloaded_once() {
    for tools in downloaders() {
        let mirror = Mirror::start(|_| found(&vec![b'x'; 40 * 1024 * 1024]));
        let runner = Runner::new(&mirror.url).with_tools(&tools);
        let error = runner.fails("larger-than-any-release");
        assert!(error.contains("a release has at most 16 MiB"), "{error}");
        assert_eq!(mirror.asked().len(), 1);
        assert!(!runner.cached().exists());
    }
}

#[test]
fn a_full_disk_is_explained() {
    for tools in downloaders() {
        let mirror = Mirror::start(|_| found(&vec![b'x'; 1024 * 1024]));
        let runner = Runner::new(&mirror.url).with_tools(&tools);
        let Some(_mounted) = Mounted::on(runner.path("temp"), "size=64k") else { return };
        assert!(runner.fails("cannot-be-stored").contains("fix: free disk space"));
    }
}

#[test]
fn a_password_of_the_proxy_is_not_shown() {
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
fn a_missing_asset_is_requested_once() {
    for tools in downloaders() {
        let mirror = Mirror::start(|_| status(404));
        let error = Runner::new(&mirror.url).with_tools(&tools).fails("asset-not-in-the-mirror");
        assert!(error.starts_with(&format!("{}{} does not exist in the mirror", mirror.url, asset_path())), "{error}");
        assert_eq!(mirror.asked().len(), 1);
    }
}

#[test]
fn a_permanent_status_is_final_and_a_temporary_one_is_retried() {
    for tools in downloaders() {
        for (code, times) in [(403, 1), (410, 1), (408, 3), (429, 3), (500, 3)] {
            let mirror = Mirror::start(move |_| status(code));
            let anchor = if times == 1 { "access-denied" } else { "cannot-be-downloaded" };
            let error = Runner::new(&mirror.url).with_tools(&tools).fails(anchor);
            assert_eq!(mirror.asked().len(), times, "{tools:?}, {code}: {error}");
        }
    }
}

#[test]
fn each_of_curl_wget_and_busybox_is_enough() {
    for tools in downloaders() {
        let mirror = mirror();
        Runner::new(&mirror.url).with_tools(&tools).succeeds();
    }
}

#[test]
fn missing_curl_and_wget_are_an_error() {
    let error = Runner::new(&mirror().url).with_tools(&[]).fails("curl-and-wget-are-missing");
    assert!(error.contains("fix: install curl or wget"), "{error}");
}

#[test]
fn busybox_wget_with_a_proxy_is_an_error_before_any_attempt() {
    if in_path("busybox").is_none() {
        return;
    }
    for name in ["https_proxy", "HTTPS_PROXY"] {
        let runner = Runner::new("https://mirror.invalid").with_tools(&[("wget", "busybox")]);
        let error = runner.set(name, "http://proxy.invalid:80").fails("busybox-wget-and-a-proxy");
        assert!(error.contains("fix: install curl"), "{error}");
    }
}

#[test]
fn a_mirror_must_be_an_https_url_or_on_loopback() {
    for mirror in [
        "http://mirror.example",
        "ftp://mirror.example",
        "mirror.example",
        "https://u:pa55word@mirror.example",
        "https://mirror.example/x?code=pa55word",
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
        let error = Runner::new(mirror).fails("mirror-url");
        assert!(!error.contains("pa55word"), "{error}");
    }
}

#[test]
fn only_a_mirror_that_is_not_on_loopback_is_reached_through_the_proxy() {
    for tools in downloaders().filter(|[(_, program)]| *program != "busybox") {
        // With a reason phrase, which is what wget prints.
        let proxy = Mirror::start(|_| b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n".to_vec());
        let mirror = mirror();
        let behind_proxy = |mirror: &str| {
            Runner::new(mirror).with_tools(&tools).set("https_proxy", &proxy.url).set("http_proxy", &proxy.url)
        };
        behind_proxy(&mirror.url).succeeds();
        assert!(proxy.asked().is_empty());
        let error = behind_proxy("https://mirror.example/releases").fails("access-denied");
        assert!(error.starts_with("access to https://mirror.example/releases/v"), "{error}");
        assert_eq!(proxy.asked(), ["mirror.example:443"]);
    }
}

#[test]
fn configuration_files_of_the_tools_are_not_read() {
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

//! Where the asset comes from, and what can go wrong on the way.

use std::fs;

use crate::checkout::{asset_path, in_path};
use crate::mirror::{Mirror, found, status};

use super::{Mounted, RELEASED, Runner, mirror};

/// The downloaders that are here: how each is called, and the program behind it.
pub(crate) fn downloaders() -> impl Iterator<Item = [(&'static str, &'static str); 1]> {
    let tools = [("curl", "curl"), ("wget", "wget"), ("wget", "busybox")].into_iter();
    tools.filter(|(_, program)| in_path(program).is_some()).map(|tool| [tool])
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
fn without_curl_and_wget_the_error_says_so() {
    let error = Runner::new(&mirror().url).with_tools(&[]).fails();
    assert!(error.starts_with("neither curl nor wget is here: install one"), "{error}");
}

#[test]
fn a_mirror_is_an_https_url_or_on_loopback() {
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

//! The tool cache, which every job can write to.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::checkout::asset_path;

use super::{Mounted, RELEASED, Runner, mirror};

#[test]
fn a_download_is_checked_run_and_cached_for_the_next_job() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    runner.succeeds();
    assert_eq!(mirror.asked(), [asset_path()]);
    assert_eq!(fs::read(runner.cached()).unwrap(), RELEASED.as_bytes());
    assert_eq!(fs::metadata(runner.cached()).unwrap().permissions().mode() & 0o777, 0o644, "data, not a program");
    runner.succeeds();
    assert_eq!(mirror.asked().len(), 1, "the second run uses the cache");
}

#[test]
fn a_poisoned_cache_is_ignored_and_replaced() {
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

/// Another process can replace the file by a named pipe after it was seen to be a regular file.
#[test]
fn a_cached_file_without_an_end_is_ignored_after_the_time_limit() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl"), ("mkfifo", "mkfifo")]);
    let runner = runner.with_stand_in("sleep", r#"[ "$1" != 20 ] || set -- 2; exec "$REAL" "$@""#);
    let swap = r#"rm -f "$3"; mkfifo "$3"; exec "$REAL" "$@""#;
    let runner = runner.with_stand_in("install", swap);
    runner.cache(|cached| fs::write(cached, RELEASED).unwrap());
    assert!(runner.succeeds().contains("is ignored"));
    assert_eq!(mirror.asked().len(), 1);
}

#[test]
fn an_unusable_cache_is_not_used() {
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
fn a_link_that_another_process_creates_in_the_cache_is_not_written_through() {
    let mirror = mirror();
    for (tool, swap) in [
        // A folder, after it was made.
        (
            "mkdir",
            r#""$REAL" "$@"; case $last in *-linux-* | *-apple-*) rmdir "$last"; ln -s "$VICTIM" "$last" ;; esac"#,
        ),
        ("mkdir", r#""$REAL" "$@"; [ "$last" != nuget-login ] || { rmdir "$last"; ln -s "$VICTIM" "$last"; }"#),
        // The new file, after its name was chosen.
        (
            "mktemp",
            r#"new=$("$REAL" "$@"); echo "$new"
            case $new in *.new.*) rm -f "$new"; ln -s "$VICTIM/nuget-login" "$new" ;; esac"#,
        ),
        // The copy, before the new file takes its place.
        ("mv", r#"[ -e "$last" ] || ln -s "$VICTIM" "$last"; "$REAL" "$@""#),
    ] {
        let runner = Runner::new(&mirror.url).with_tools(&[("curl", "curl"), ("rmdir", "rmdir")]);
        let victim = runner.path("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("nuget-login"), "mine").unwrap();
        fs::set_permissions(victim.join("nuget-login"), fs::Permissions::from_mode(0o600)).unwrap();
        let runner = runner.set("VICTIM", &victim).with_stand_in(tool, &format!("for last; do :; done\n{swap}"));
        runner.succeeds();
        assert_eq!(fs::read_to_string(victim.join("nuget-login")).unwrap(), "mine", "{swap}");
        assert_eq!(fs::metadata(victim.join("nuget-login")).unwrap().permissions().mode() & 0o777, 0o600, "{swap}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 1, "{swap}");
    }
}

#[test]
fn concurrent_jobs_do_not_disturb_each_other() {
    let mirror = mirror();
    let runner = Runner::new(&mirror.url);
    std::thread::scope(|scope| {
        let jobs: Vec<_> = (0..8).map(|_| scope.spawn(|| runner.run())).collect();
        for job in jobs {
            assert_eq!(job.join().unwrap().status.code(), Some(7));
        }
    });
    runner.assert_clean();
    let kept: Vec<_> = fs::read_dir(runner.cached().parent().unwrap()).unwrap().map(|it| it.unwrap().path()).collect();
    assert_eq!(kept, [runner.cached()], "no incomplete copies are left");
}

//! What a whole login opens, as the kernel sees it: the files that it was given, and its two hosts.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use sandbox::Sandbox;

use crate::job::Job;

/// What every process opens before its `main`, or Rust's runtime for itself.
const SYSTEM: [&str; 7] =
    ["/etc/ld.so", "/lib", "/usr/lib", "/proc/self/", "/sys/fs/cgroup", "/dev/null", "/proc/stat"];

/// Some of them are not on every processor.
const TRACED: &str = "trace=?open,openat,?creat,connect,sendto,execve,?unlink,unlinkat,?rename,?renameat,renameat2";

#[test]
fn no_file_but_its_inputs_and_no_host_but_its_two() {
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no strace here");
        return;
    }
    let sandbox = Sandbox::with(|config| config.policies[0].workflow = "other.yml".to_owned());
    let trace = tempfile::NamedTempFile::new().unwrap();
    let trace_path = trace.path().to_str().unwrap().to_owned();
    let job = Job::new(&sandbox).through("strace");
    let job = job.arguments(["-f", "-qq", "-o", &trace_path, "-e", TRACED]);
    let mut job = job.with_path();
    let given = [job.output(), job.directory().join("summary")].map(|path| path.display().to_string());
    assert!(!job.execute().status.success(), "it fails, so that it explains as well");

    let port = sandbox.base_url().rsplit(':').next().unwrap().to_owned();
    let trace = fs::read_to_string(&trace_path).unwrap();
    let mut connections = 0;
    for line in trace.lines() {
        // The rest of a call that another thread came between.
        if line.contains(" resumed>") {
            continue;
        }
        let path = line.split('"').nth(1).unwrap_or_default();
        if line.contains("connect(") {
            assert!(line.contains(&format!("sin_port=htons({port})")) && line.contains("127.0.0.1"), "{line}");
            connections += 1;
        } else if line.contains("open") && !line.contains("ENOENT") && !line.contains("<unfinished") {
            let known = given.iter().any(|it| it == path) || SYSTEM.iter().any(|it| path.starts_with(it));
            assert!(known, "{line}");
        } else if line.contains("unlink") || line.contains("rename") || line.contains("sin_port=htons(53)") {
            panic!("{line}");
        }
    }
    assert_eq!(connections, 2, "{trace}");
    assert_eq!(trace.matches("execve(").count(), 1, "no other program");
    assert!(trace.contains(&given[1]), "the summary");
}

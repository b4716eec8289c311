//! Core dumps and signals.

/// Switches core dumps off: an abort would write the memory, and with it the tokens, to a file. Best effort: a container may
/// forbid the request.
///
/// On Linux by `PR_SET_DUMPABLE`, which also holds where cores go to a program (RLIMIT_CORE does not; core(5)), and which a
/// command that `exec` starts does not inherit (prctl(2)).
pub fn forbid_core_dumps() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    #[cfg(all(unix, not(target_os = "linux")))]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) });
    }
}

/// Makes a write beyond the file size limit (`ulimit -f`) an error, in place of a signal that ends the process between two
/// halves of a record. By a handler that does nothing: a command that `exec` starts does not inherit it.
pub fn survive_file_size_limit() {
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
}

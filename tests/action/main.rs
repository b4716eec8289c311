//! The action: its metadata, the script that gets the binary, the gate before a release, and the whole of it under a
//! workflow engine.

#[cfg(unix)]
mod checkout;
#[cfg(unix)]
mod fetch;
mod metadata;
#[cfg(unix)]
mod mirror;
#[cfg(target_os = "linux")]
mod release;
#[cfg(unix)]
mod workflow;

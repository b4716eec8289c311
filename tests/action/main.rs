//! The action: its metadata, the scripts that download the program and their documentation, the checks before a
//! release, and whole workflows under a workflow engine: of a user, and of a release.

mod checkout;
#[cfg(unix)]
mod dotnet_tool;
#[cfg(unix)]
mod fetch;
mod fetch_ps1;
#[cfg(target_os = "linux")]
mod internet;
mod metadata;
#[cfg(unix)]
mod migrated_workflow;
mod mirror;
#[cfg(target_os = "linux")]
mod rehearsal;
#[cfg(target_os = "linux")]
mod release;
mod troubleshooting;
#[cfg(unix)]
mod workflow;

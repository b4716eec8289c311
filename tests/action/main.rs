//! The action: its metadata, the scripts that download the program and their documentation, the checks before a
//! release, and a whole workflow under a workflow engine.

mod checkout;
#[cfg(unix)]
mod dotnet_tool;
#[cfg(unix)]
mod fetch;
mod fetch_ps1;
mod metadata;
#[cfg(unix)]
mod migrated_workflow;
mod mirror;
#[cfg(target_os = "linux")]
mod release;
mod troubleshooting;
#[cfg(unix)]
mod workflow;

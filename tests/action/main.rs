//! The action: its metadata, the scripts that get the binary, and the whole of it under a workflow engine.

#[cfg(unix)]
mod checkout;
#[cfg(unix)]
mod fetch;
mod metadata;
#[cfg(unix)]
mod mirror;
#[cfg(unix)]
mod workflow;

//! What the program was asked to do.

pub(crate) mod check;
mod exec;
pub(crate) mod login;
pub(crate) mod migrate;
pub(crate) mod policy;
mod workflow_files;

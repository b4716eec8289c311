//! Workflow files and composite actions: what they contain about logins. Pure: reads no files, and prints nothing. The
//! text that it returns is untrusted.
//!
//! A crate of its own, since it is compiled for size: a login does not need it.

pub mod diff;
mod edits;
pub mod expression;
pub mod findings;
mod key;
pub mod login;
pub mod migrate;
pub mod model;
mod permissions;
mod push;
pub mod script;
pub mod yaml;

//! What the program was asked to do.

mod exec;
pub(crate) mod login;
pub(crate) mod policy;

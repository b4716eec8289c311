//! What the program was asked to do.

pub mod delivery;
pub mod exec;
pub mod policy;

//! GitHub's runner: the log that it reads commands from, and the files that it reads after a step.

pub(crate) mod event;
pub mod log;
pub(crate) mod output_file;

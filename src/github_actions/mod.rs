//! GitHub's runner: the log that it reads commands from, and the files that it reads after a step.

pub mod log;
pub mod output_file;

//! The built binary, from outside: as a step of a job runs it.

mod ahead;
mod check;
mod check_only;
mod delivery;
mod exec;
mod explanations;
mod fast_clock;
mod gitlab;
mod hostile;
mod inputs;
mod job;
mod journey;
#[cfg(target_os = "linux")]
mod limits;
mod migrate;
mod network;
mod nuget_exe;
mod obstacles;
mod opens;
mod place;
mod policy;
mod proxies;
mod random_faults;
mod rejection;
mod retries;
mod scripted;
mod source;
mod summary;
mod tls_world;
mod trust;
mod wiring;

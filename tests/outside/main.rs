//! The built binary, from outside: as a step of a job runs it.

mod delivery;
mod hostile;
mod inputs;
mod job;
mod journey;
mod network;
mod nuget_exe;
mod place;
mod rejection;
mod scripted;

//! `nuget-login`: trusted publishing to NuGet registries from CI. See the README, and `--help` for its usage.

use std::env;
use std::process::ExitCode;

use nuget_login::cli::CommandLine;
use nuget_login::clock::SystemClock;
use nuget_login::environment::{Ci, Environment};
use nuget_login::github_actions::log::{Log, standard_output};
use nuget_login::process;

fn main() -> ExitCode {
    process::forbid_core_dumps();
    process::survive_file_size_limit();
    let environment = Environment::new(&|name| env::var_os(name));
    let command_line = match CommandLine::parse(env::args_os()) {
        Ok(command_line) => command_line,
        Err(help) => {
            // A closed pipe is not an error.
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let log = match environment.ci() {
        Ci::GitHubActions => Log::of_this_step(command_line.stdout_is_log, &environment),
        Ci::GitLab | Ci::None => Some(Log::on_standard_error(&environment)),
    };
    let Some(mut log) = log else { return ExitCode::FAILURE };
    ExitCode::from(nuget_login::run(command_line, &environment, &SystemClock, &mut log, &mut standard_output()))
}

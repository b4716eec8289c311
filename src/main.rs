//! `nuget-login`: trusted publishing to NuGet registries from CI. See the README for what it does and `--help` for how
//! it is called.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use nuget_login::UsageError;
use nuget_login::cli::Arguments;
use nuget_login::clock::SystemClock;
use nuget_login::environment::{Ci, Environment};
use nuget_login::github_actions::log::Log;

fn main() -> ExitCode {
    nuget_login::process::forbid_core_dumps();
    let environment = Environment::new(&|name| env::var_os(name));
    let arguments = match Arguments::try_parse() {
        Err(error) if !error.use_stderr() => {
            // `--help` or `--version`; a closed pipe is not worth a word.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        arguments => arguments.map_err(UsageError::from),
    };
    // By the word alone, so that it is known for arguments that cannot be parsed, too: the command's output, or the answer.
    let stdout_is_log = env::args_os().nth(1).is_none_or(|word| word != "exec" && word != "policy");
    let runner: Result<Log<Box<dyn Write>>, _> = match environment.ci() {
        Ci::GitHubActions => Log::of_this_step(stdout_is_log),
        Ci::GitLab | Ci::None => Ok(Log::terminal(Box::new(io::stderr()))),
    };
    let Ok(mut runner) = runner else { return ExitCode::FAILURE };
    ExitCode::from(nuget_login::run(arguments, &environment, &SystemClock, &mut runner, &mut io::stdout()))
}

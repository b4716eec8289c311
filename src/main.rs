//! `nuget-login`: trusted publishing to NuGet registries from CI. See the README for what it does and `--help` for how
//! it is called.

use std::env;
use std::io;
use std::process::ExitCode;

use clap::Parser;

use nuget_login::cli::{Arguments, UsageError};
use nuget_login::clock::SystemClock;
use nuget_login::environment::Environment;
use nuget_login::runner::{Runner, is_discarded};

fn main() -> ExitCode {
    let environment = Environment(&|name| env::var_os(name));
    let arguments = match Arguments::try_parse() {
        Err(error) if !error.use_stderr() => {
            // `--help` or `--version`; a closed pipe is not worth a word.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        arguments => arguments.map_err(UsageError::from),
    };
    // Told by the word alone, so that it holds for arguments that can't be parsed, too.
    let stdout_is_ours = env::args_os().nth(1).is_none_or(|word| word != "exec");
    ExitCode::from(if !environment.is_github_actions() {
        nuget_login::run(arguments, &environment, &SystemClock, &mut Runner::terminal(io::stderr()))
    } else if !stdout_is_ours && !is_discarded(&io::stderr()) {
        nuget_login::run(arguments, &environment, &SystemClock, &mut Runner::github(io::stderr()))
    } else if !stdout_is_ours {
        let text = "standard error is closed or discarded, so nothing could be masked: leave it to the runner";
        let _ = Runner::github(io::stdout()).error(nuget_login::FAILED, text);
        1
    } else if is_discarded(&io::stdout()) {
        // The runner reads commands from both streams, so that it learns of this at least.
        let text = "standard output is closed or discarded, so nothing could be masked: leave it to the runner";
        let _ = Runner::github(io::stderr()).error(nuget_login::FAILED, text);
        1
    } else {
        nuget_login::run(arguments, &environment, &SystemClock, &mut Runner::github(io::stdout()))
    })
}

//! `nuget-login`: trusted publishing to NuGet registries from CI. See the README for what it does and `--help` for how
//! it is called.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use nuget_login::UsageError;
use nuget_login::cli::Arguments;
use nuget_login::clock::SystemClock;
use nuget_login::environment::{Environment, Place};
use nuget_login::runner::{Runner, is_discarded};

fn main() -> ExitCode {
    let environment = Environment::new(&|name| env::var_os(name));
    let arguments = match Arguments::try_parse() {
        Err(error) if !error.use_stderr() => {
            // `--help` or `--version`; a closed pipe is not worth a word.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        arguments => arguments.map_err(UsageError::from),
    };
    // Told by the word alone, so that it holds for arguments that can't be parsed, too.
    let stdout_is_ours = env::args_os().nth(1).is_none_or(|word| word != "exec" && word != "policy");
    let run = |runner: &mut Runner<Box<dyn Write>>| {
        nuget_login::run(arguments, &environment, &SystemClock, runner, &mut io::stdout())
    };
    if environment.place() != Place::GitHub {
        return ExitCode::from(run(&mut Runner::terminal(Box::new(io::stderr()))));
    }
    // The runner reads commands from both streams, so that it learns of one that is discarded from the other at least.
    let (ours, other, discarded): (Box<dyn Write>, Box<dyn Write>, _) = match stdout_is_ours {
        true => (Box::new(io::stdout()), Box::new(io::stderr()), is_discarded(&io::stdout()).then_some("output")),
        false => (Box::new(io::stderr()), Box::new(io::stdout()), is_discarded(&io::stderr()).then_some("error")),
    };
    if let Some(stream) = discarded {
        let text =
            format!("standard {stream} is closed or discarded, so nothing could be masked: leave it to the runner");
        let _ = Runner::github(other).error(nuget_login::FAILED, &text);
        return ExitCode::FAILURE;
    }
    ExitCode::from(run(&mut Runner::github(ours)))
}

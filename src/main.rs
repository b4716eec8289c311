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
use nuget_login::runner::{Runner, Stream};

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
    // The runner reads commands from both streams, so that it learns by the other one what ours can't tell it.
    let (stdout, stderr): (Box<dyn Write>, Box<dyn Write>) = (Box::new(io::stdout()), Box::new(io::stderr()));
    let (into, beside) = (Stream::of(&io::stdout()), Stream::of(&io::stderr()));
    let (name, stream, ours, other) = match stdout_is_ours {
        // A file alone is masked for nobody. (Two files may be a runner's own.)
        true if into == Stream::Kept && beside == Stream::Discarded => ("error", beside, stderr, stdout),
        true => ("output", into, stdout, stderr),
        false => ("error", beside, stderr, stdout),
    };
    if stream == Stream::Discarded {
        let text =
            format!("standard {name} is closed or discarded, so nothing could be masked: leave it to the runner");
        let _ = Runner::github(other).error(nuget_login::FAILED, &text);
        return ExitCode::FAILURE;
    }
    let mut runner = Runner::github(ours);
    // Standard output is the command's, or the answer's, and has no masks in it.
    if stream == Stream::Kept && stdout_is_ours {
        runner.mask_also_on(other);
    }
    ExitCode::from(run(&mut runner))
}

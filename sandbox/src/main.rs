//! A loopback GitHub, GitLab and nuget.org: `sandbox run` runs a command as a step of a job there, `sandbox serve` serves
//! until it is stopped and prints what a shell must export.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use anyhow::{Context, ensure};
use clap::Parser;
use sandbox::Sandbox;
use sandbox::config::Config;
use sandbox::runner::{Renderer, read_outputs};

/// A loopback GitHub and nuget.org to log in to
#[derive(Parser)]
enum Command {
    /// Run a command as a step of a GitHub Actions job, show masked values as ***, and stop
    ///
    /// SANDBOX_SOURCE is the service index to push packages to. `exec` takes flags only: give it
    /// `--token-service-url "$INPUT_TOKEN_SERVICE_URL"`.
    #[command(verbatim_doc_comment)]
    Run {
        /// TOML file with the job, accounts, policies and settings [default: the story in sandbox/src/contoso.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Serve until stopped; print the exports that a shell needs when ready
    Serve {
        /// Port on 127.0.0.1; 0 takes a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// TOML file with the job, accounts, policies and settings [default: the story in sandbox/src/contoso.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Folder with release assets to serve: one folder a tag, the assets in it
        #[arg(long, value_name = "FOLDER")]
        releases: Option<PathBuf>,
        /// Print the exports of a job of GitLab CI instead, with its one ID token
        #[arg(long)]
        gitlab: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    match Command::parse() {
        Command::Run { config, command } => run(read_config(config)?, &command),
        Command::Serve { port, config, releases, gitlab } => serve(port, read_config(config)?, releases, gitlab),
    }
}

fn read_config(file: Option<PathBuf>) -> anyhow::Result<Config> {
    let Some(file) = file else { return Ok(Config::default()) };
    let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    Config::parse(&text).with_context(|| format!("{} is not a valid config", file.display()))
}

/// Runs a command with the environment of a step, and ends with its exit code.
fn run(config: Config, command: &[OsString]) -> anyhow::Result<ExitCode> {
    let sandbox = Sandbox::start(config, 0)?;
    let folder = std::env::temp_dir().join(format!("nuget-login-sandbox-{:016x}", rand::random::<u64>()));
    fs::create_dir(&folder).with_context(|| format!("{} cannot be created", folder.display()))?;
    let ended = run_step(&sandbox, command, &folder);
    // The outputs contain the key.
    fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    ended
}

fn run_step(sandbox: &Sandbox, command: &[OsString], folder: &Path) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command.split_first().context("the command is empty")?;
    let files = ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_STEP_SUMMARY"].map(|name| (name, folder.join(name)));
    for (_, file) in &files {
        fs::File::create_new(file)?;
    }
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .envs(sandbox.step_environment())
        .env("SANDBOX_SOURCE", sandbox.service_index_url())
        .envs(files.clone())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("the command '{}' cannot be run", program.to_string_lossy()))?;
    // The runner applies a mask to both streams.
    let renderer = Arc::new(Mutex::new(Renderer::default()));
    let (stdout, stderr) = (child.stdout.take().context("no output")?, child.stderr.take().context("no errors")?);
    let errors = thread::spawn({
        let renderer = Arc::clone(&renderer);
        move || show(stderr, &renderer, &mut io::stderr())
    });
    show(stdout, &renderer, &mut io::stdout())?;
    errors.join().expect("it does not panic")?;
    let status = child.wait()?;
    let outputs = read_outputs(&fs::read_to_string(&files[0].1)?).map_err(anyhow::Error::msg)?;
    let mut renderer = renderer.lock().expect("it was not poisoned");
    for (name, value) in outputs {
        renderer
            .line(&format!("Output {name}: {value}"))
            .iter()
            .try_for_each(|line| writeln!(io::stdout(), "{line}"))?;
    }
    // On Unix a signal has no code: a shell's 128 and more is close enough.
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(128)).unwrap_or(1)))
}

/// Shows a stream as GitHub does, line by line.
fn show(stream: impl Read, renderer: &Mutex<Renderer>, to: &mut impl Write) -> io::Result<()> {
    for line in BufReader::new(stream).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        for shown in renderer.lock().expect("it was not poisoned").line(&line) {
            writeln!(to, "{shown}")?;
        }
    }
    Ok(())
}

/// Serves, and prints the exports of a shell.
fn serve(port: u16, config: Config, releases: Option<PathBuf>, gitlab: bool) -> anyhow::Result<ExitCode> {
    ensure!(!gitlab || config.gitlab_job.is_some(), "--gitlab needs a [gitlab_job] in the config");
    let sandbox = Sandbox::start_with_releases(config, port, releases)?;
    let exports = if gitlab {
        let token_service = ("TOKEN_SERVICE_URL", sandbox.token_service_url());
        sandbox.gitlab_environment().into_iter().chain([token_service]).collect::<Vec<_>>()
    } else {
        let output = std::env::temp_dir().join(format!("nuget-login-output-{:016x}", rand::random::<u64>()));
        fs::File::create_new(&output).with_context(|| format!("{} can't be made", output.display()))?;
        let output = ("GITHUB_OUTPUT", output.display().to_string());
        [output].into_iter().chain(sandbox.step_environment()).collect()
    };
    let mut stdout = io::stdout().lock();
    for (name, value) in exports {
        writeln!(stdout, "export {name}='{}'", value.replace('\'', r"'\''"))?;
    }
    stdout.flush()?;
    if gitlab {
        let url = sandbox.token_service_url();
        writeln!(
            io::stderr(),
            "The ID token is good for one login: nuget-login exec --user contoso-bot --token-service-url {url} -- \
             printenv NUGET_API_KEY"
        )?;
    }
    let (index, releases) = (sandbox.service_index_url(), sandbox.releases_url());
    writeln!(io::stderr(), "Serving. Packages can be pushed to {index}; release assets are at {releases}")?;
    loop {
        std::thread::park();
    }
}

//! A GitHub, GitLab and nuget.org on loopback. `sandbox run` runs a command as a step of a job. `sandbox serve` serves
//! until it is stopped, and prints the exports for a shell.

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

/// The routes, for `--help`.
const ROUTES: &str = "\
GitHub:
  GET  /_apis/distributedtask/jobs/oidctoken  ID token
  GET  /.well-known/openid-configuration      Issuer metadata
  GET  /.well-known/jwks                      Public keys
  GET  /releases/download/{tag}/{asset}       Release asset, with --releases

GitLab:
  GET  /gitlab/.well-known/openid-configuration  Issuer metadata
  GET  /gitlab/.well-known/jwks                  Public keys

nuget.org:
  GET  /v3/index.json                    Service index
  POST /api/v2/token                     Exchange an ID token for an API key
  PUT  /api/v2/package                   Push a package
  PUT  /api/v2/symbolpackage             Push a symbol package
  GET  /api/v2/verifykey/{id}/{version}  Check whether a key allows a push";

/// A GitHub, GitLab and nuget.org on loopback, to test logins and pushes
#[derive(Parser)]
enum Command {
    /// Run a command as a step of a GitHub Actions job, and show masked values as ***
    ///
    /// The sandbox stops when the command ends. SANDBOX_SOURCE is the URL of the service index for
    /// pushes. `nuget-login exec` reads flags only: pass
    /// `--token-service-url "$INPUT_TOKEN_SERVICE_URL"`.
    #[command(verbatim_doc_comment)]
    Run {
        /// Config file in TOML [default: sandbox/src/contoso.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Serve until stopped, and print the exports for a shell
    #[command(after_long_help = ROUTES)]
    Serve {
        /// Port on 127.0.0.1; 0 selects a free port
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Config file in TOML [default: sandbox/src/contoso.toml]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Folder with release assets to serve: one folder for each tag
        #[arg(long, value_name = "FOLDER")]
        releases: Option<PathBuf>,
        /// Print the exports of a GitLab CI job, with its ID token
        #[arg(long)]
        gitlab: bool,
    },
}

fn main() -> ExitCode {
    let ended = match Command::parse() {
        Command::Run { config, command } => read_config(config).and_then(|config| run(config, &command)),
        Command::Serve { port, config, releases, gitlab } => {
            read_config(config).and_then(|config| serve(port, config, releases, gitlab))
        }
    };
    // `main` would add a backtrace, where RUST_BACKTRACE is set.
    ended.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn read_config(file: Option<PathBuf>) -> anyhow::Result<Config> {
    let Some(file) = file else { return Ok(Config::default()) };
    let text = fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    Config::parse(&text).with_context(|| format!("{} is not a valid config", file.display()))
}

/// Runs a command with the environment of a step, and returns its exit code.
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
        .env_remove("RUNNER_OS")
        .env_remove("GITHUB_RUN_ID")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("the command '{}' cannot be run", program.to_string_lossy()))?;
    // The sandbox is not a real runner, even inside one. A mask applies to both streams.
    let renderer = Arc::new(Mutex::new(Renderer::default()));
    let (stdout, stderr) = (
        child.stdout.take().context("standard output is not a pipe")?,
        child.stderr.take().context("standard error is not a pipe")?,
    );
    let errors = thread::spawn({
        let renderer = Arc::clone(&renderer);
        move || show(stderr, &renderer, &mut io::stderr())
    });
    show(stdout, &renderer, &mut io::stdout())?;
    errors.join().expect("the thread does not panic")?;
    let status = child.wait()?;
    let outputs = read_outputs(&fs::read_to_string(&files[0].1)?).map_err(anyhow::Error::msg)?;
    let mut renderer = renderer.lock().expect("no holder panics");
    for (name, value) in outputs {
        renderer
            .line(&format!("Output {name}: {value}"))
            .iter()
            .try_for_each(|line| writeln!(io::stdout(), "{line}"))?;
    }
    // On Unix, a command that was ended by a signal has no exit code. Shells use codes from 128.
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(128)).unwrap_or(1)))
}

/// Shows a stream line by line as GitHub does.
fn show(stream: impl Read, renderer: &Mutex<Renderer>, to: &mut impl Write) -> io::Result<()> {
    for line in BufReader::new(stream).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        for shown in renderer.lock().expect("no holder panics").line(&line) {
            writeln!(to, "{shown}")?;
        }
    }
    Ok(())
}

/// Serves, and prints the exports for a shell.
fn serve(port: u16, config: Config, releases: Option<PathBuf>, gitlab: bool) -> anyhow::Result<ExitCode> {
    ensure!(!gitlab || config.gitlab_job.is_some(), "--gitlab requires [gitlab_job] in the config");
    let sandbox = Sandbox::start_with_releases(config, port, releases)?;
    let exports = if gitlab {
        let token_service = ("TOKEN_SERVICE_URL", sandbox.token_service_url());
        sandbox.gitlab_environment().into_iter().chain([token_service]).collect::<Vec<_>>()
    } else {
        let output = std::env::temp_dir().join(format!("nuget-login-output-{:016x}", rand::random::<u64>()));
        fs::File::create_new(&output).with_context(|| format!("{} cannot be created", output.display()))?;
        let output = ("GITHUB_OUTPUT", output.display().to_string());
        let source = ("SANDBOX_SOURCE", sandbox.service_index_url());
        [output, source].into_iter().chain(sandbox.step_environment()).collect()
    };
    let mut stdout = io::stdout().lock();
    for (name, value) in exports {
        writeln!(stdout, "export {name}='{}'", value.replace('\'', r"'\''"))?;
    }
    stdout.flush()?;
    let mut text = String::new();
    if gitlab {
        let user = sandbox.gitlab_policies().first().map(|policy| policy.created_by.clone()).unwrap_or_default();
        let url = sandbox.token_service_url();
        text = format!(
            "The ID token is valid for one login: nuget-login exec --user {user} --token-service-url {url} -- printenv \
             NUGET_API_KEY\n"
        );
    }
    let (index, releases) = (sandbox.service_index_url(), sandbox.releases_url());
    text += &format!("Serving. The service index is {index}\nRelease assets are at {releases}\n");
    io::stderr().write_all(text.as_bytes())?;
    loop {
        std::thread::park();
    }
}

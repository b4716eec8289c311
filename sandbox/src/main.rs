//! `sandbox serve`: a loopback GitHub, GitLab and nuget.org, and what a shell must export to log in there by hand.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use sandbox::Sandbox;
use sandbox::config::Config;

/// A loopback GitHub and nuget.org to log in to
#[derive(Parser)]
enum Command {
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

fn main() -> anyhow::Result<()> {
    let Command::Serve { port, config, releases, gitlab } = Command::parse();
    let config = match config {
        Some(file) => {
            let text = fs::read_to_string(&file).with_context(|| format!("{} can't be read", file.display()))?;
            Config::parse(&text).with_context(|| format!("{} is not a valid config", file.display()))?
        }
        None => Config::default(),
    };
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

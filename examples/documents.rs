//! `cargo run --example documents -- FOLDER`: man pages and shell completions, made of the command line itself, for a
//! release. The binary does not carry them.

use std::fs;
use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use nuget_login::cli::Arguments;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).context("usage: documents FOLDER")?;
    write(Path::new(&folder))
}

/// Writes `man/*.1` and `completions/*` into a folder.
fn write(folder: &Path) -> anyhow::Result<()> {
    let (man, completions) = (folder.join("man"), folder.join("completions"));
    fs::create_dir_all(&man)?;
    fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Arguments::command(), &man)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
        clap_complete::generate_to(shell, &mut Arguments::command(), "nuget-login", &completions)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path, name: &str) -> String {
        fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn there_is_a_man_page_for_each_command_and_a_completion_for_each_shell() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        for (page, words) in [
            ("nuget-login.1", ["\\-\\-check\\-only", "NUGET_API_KEY", "Exit codes"]),
            ("nuget-login-exec.1", ["\\-\\-token\\-service\\-url", "COMMAND", "127 if it was not found"]),
            ("nuget-login-check.1", ["\\-\\-notes", "FILES", "Exit codes"]),
            ("nuget-login-policy.1", ["\\-\\-id\\-token\\-variable", "trust policy", "origin"]),
        ] {
            let text = read(folder.path(), &format!("man/{page}"));
            assert!(words.iter().all(|word| text.contains(word)), "{page}: {text}");
        }
        for completion in ["nuget-login.bash", "nuget-login.fish", "_nuget-login.ps1", "_nuget-login"] {
            let text = read(folder.path(), &format!("completions/{completion}"));
            for word in ["check-only", "exec", "policy", "timeout-seconds", "id-token-variable"] {
                assert!(text.contains(word), "{completion}: {word}");
            }
        }
    }
}

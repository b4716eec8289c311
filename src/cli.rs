//! The command line, and its help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

/// A command line, parsed.
pub struct CommandLine {
    pub(crate) arguments: Result<Arguments, clap::Error>,
    /// Whether standard output is free for the log: it is the command's with `exec`, and the answer's with `policy` and `check`. Known
    /// from the subcommand alone, so that it is known for arguments that cannot be parsed, too.
    pub stdout_is_log: bool,
    /// The subcommand, also for arguments that cannot be parsed.
    pub(crate) subcommand: Option<&'static str>,
}

impl CommandLine {
    /// Parses arguments, the program's name first. The error is `--help` or `--version`, to be printed.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, clap::Error> {
        let arguments = Vec::from_iter(arguments);
        let Some(first) = arguments.get(1) else {
            // The action's step has inputs in place of arguments, and each of its jobs would pay for all subcommands.
            let arguments = Ok(Arguments::default());
            return Ok(CommandLine { arguments, stdout_is_log: true, subcommand: None });
        };
        let mut subcommands = ["exec", "policy", "check", "migrate"].into_iter();
        let subcommand = subcommands.find(|it| first == it);
        match Arguments::try_parse_from(arguments) {
            Err(help) if !help.use_stderr() => Err(help),
            arguments => Ok(CommandLine { arguments, stdout_is_log: subcommand.is_none(), subcommand }),
        }
    }
}

/// Log in to a NuGet registry from a CI job, without a stored secret
///
/// nuget-login requests the job's OIDC ID token from GitHub, exchanges it at the registry's token
/// service for a temporary API key (at nuget.org it is valid for about one hour), masks the key in
/// the log and writes it to the step's outputs. In GitLab CI, `exec` passes the key to a command.
#[derive(Debug, Default, clap::Parser)]
#[command(version, bin_name = "nuget-login", verbatim_doc_comment, after_long_help = include_str!("help.txt").trim_end())]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(after_help = concat!("Documentation: ", env!("CARGO_PKG_REPOSITORY")))]
pub struct Arguments {
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Subcommand>,

    /// What a login needs to know.
    #[command(flatten)]
    pub options: Options,

    /// Test the trust policy: log in and discard the API key
    ///
    /// Like any login, this makes a new policy permanent.
    #[arg(long, verbatim_doc_comment)]
    pub check_only: bool,

    /// With --check-only: also test whether a push of this package is allowed
    ///
    /// ID@VERSION of an existing version, such as Contoso.Sdk@1.2.3. For nuget.org only.
    #[arg(long, value_name = "PACKAGE", verbatim_doc_comment)]
    pub package: Option<String>,

    /// Also set NUGET_API_KEY for all later steps of the job
    ///
    /// NuGet 7.6 and later read it by themselves. Every other program in these steps can read it
    /// too.
    #[arg(long, verbatim_doc_comment)]
    pub export_env: bool,
}

impl Arguments {
    /// The variable with GitLab's ID token, if a flag names it.
    pub(crate) fn id_token_variable(&self) -> Option<&str> {
        let gitlab = match &self.command {
            Some(Subcommand::Exec { options, .. }) => &options.gitlab,
            Some(Subcommand::Policy { gitlab }) => gitlab,
            Some(Subcommand::Check { .. } | Subcommand::Migrate(_)) => return None,
            None => &self.options.gitlab,
        };
        gitlab.id_token_variable.as_deref()
    }
}

/// What a login needs to know, however the key is delivered.
#[derive(Debug, Default, clap::Args)]
#[allow(rustdoc::bare_urls, reason = "these comments are the text of `--help`")]
pub struct Options {
    /// nuget.org profile name of the trust policy's creator (required)
    ///
    /// The person who created the policy: not an organization, and not an e-mail address.
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    pub user: Option<String>,

    /// Token service [default: https://www.nuget.org/api/v2/token]
    ///
    /// https, or http to a loopback host.
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    pub token_service_url: Option<String>,

    /// V3 service index, instead of --token-service-url
    ///
    /// The index must list a TokenService/1.0.0. https, or http to a loopback host. Requires
    /// --audience, except for nuget.org.
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    pub source: Option<String>,

    /// Audience of the ID token [default: https://www.nuget.org]
    ///
    /// Use the audience that the token service expects. A registry that receives an ID token with
    /// nuget.org's audience could redeem it at nuget.org.
    #[arg(long, value_name = "AUDIENCE", verbatim_doc_comment)]
    pub audience: Option<String>,

    /// Time limit of the login, in whole seconds [default: 120]
    ///
    /// Temporary failures (a busy server, a lost connection) are retried until then.
    #[arg(long, value_name = "SECONDS", verbatim_doc_comment)]
    pub timeout_seconds: Option<String>,

    /// Where GitLab's ID token is.
    #[command(flatten)]
    pub gitlab: GitLabOptions,
}

/// What only jobs of GitLab CI need.
#[derive(Debug, Default, clap::Args)]
pub struct GitLabOptions {
    /// GitLab CI: variable with the ID token [default: NUGET_ID_TOKEN]
    ///
    /// Its name below `id_tokens:`, not its value. Ignored outside GitLab CI.
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    pub id_token_variable: Option<String>,
}

/// What the program can do besides a login for the next step.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Log in and run a command with the API key in NUGET_API_KEY
    ///
    /// The key is only in the command's environment: arguments are visible to other processes. For
    /// a program that needs it as an argument, use a shell:
    ///   nuget-login exec --user NAME -- sh -c 'push --key "$NUGET_API_KEY"'
    /// The command is looked up before the login: on PATH, and on Windows with PATHEXT.
    /// Output, signals and exit code are the command's. Messages of the login go to standard error.
    /// In GitHub Actions, do not redirect standard error: the runner reads the mask for the key there.
    /// GitLab does not mask the key: the command must not print its environment.
    /// Only flags are read here, not INPUT_ variables: an earlier step could have set them. Works in
    /// GitHub Actions and GitLab CI, and elsewhere with a sandbox on a loopback host.
    /// Exit codes: the command's; 126 if it cannot be run; 127 if it was not found; 1 or 2 if the
    /// login failed.
    #[command(verbatim_doc_comment)]
    Exec {
        /// What a login needs to know.
        #[command(flatten)]
        options: Options,

        /// Command and arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Print the trust policy that this job needs, without a login
    ///
    /// In a job, the policy is read from the job's ID token, which is not sent to a token service,
    /// or from the runner's variables if the job has no ID token. Elsewhere it is derived from the
    /// git repository in the current folder: its remote `origin`, and on GitHub its workflow files
    /// that have a login step. Exits with 1 if no trust policy can match the job.
    #[command(verbatim_doc_comment)]
    Policy {
        /// Where the ID token is.
        #[command(flatten)]
        gitlab: GitLabOptions,
    },
    /// Find mistakes in workflow files before they are run: nothing is sent, no ID token is needed
    ///
    /// Checks the jobs that log in, with NuGet/login, with this action or with `nuget-login`, and what
    /// they use: local actions and called workflows. Without FILES: all of .github/workflows.
    ///
    /// Examples:
    ///   nuget-login check
    ///   nuget-login check --notes .github/workflows/release.yml
    ///   nuget-login check --format json | jq -r 'select(.code == "stored-key") | .file'
    ///
    /// Exit codes: 0 without errors; 1 with errors; 2 for wrong usage, or outside of a repository.
    #[command(verbatim_doc_comment)]
    Check {
        /// Workflow files and local actions to check
        #[arg(value_name = "FILES")]
        files: Vec<PathBuf>,

        /// Show notes too: what works, and is worth knowing
        #[arg(long)]
        notes: bool,

        /// How findings are printed [default: human; in a job of GitHub Actions: github]
        ///
        /// `json` prints one object a line; `github` prints annotations.
        #[arg(long, value_name = "FORMAT", hide_possible_values = true, verbatim_doc_comment)]
        format: Option<CheckFormat>,
    },
    /// Replace stored nuget.org keys in workflow files by a login: print the changes, or write them
    ///
    /// Edits the jobs that push to nuget.org with a secret: adds the login, lets the push use its key,
    /// and adds `id-token: write` with the permissions that the job needs. Prints the diff, what to do
    /// by hand, and the trust policies to create. Nothing is sent. Without FILES: all of
    /// .github/workflows.
    ///
    /// Examples:
    ///   nuget-login migrate
    ///   nuget-login migrate --write
    ///   nuget-login migrate --environment release --write .github/workflows/release.yml
    ///   nuget-login migrate --format json | jq -r '.secrets_to_delete[]'
    ///
    /// Exit codes: 0 if nothing is left to do; 1 if there is something to write or to do by hand; 2 for
    /// wrong usage, or outside of a repository.
    #[command(verbatim_doc_comment)]
    Migrate(MigrateOptions),
}

/// What `migrate` edits, and how.
#[derive(Debug, clap::Args)]
pub struct MigrateOptions {
    /// Workflow files to migrate
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,

    /// Write the files
    #[arg(long)]
    pub write: bool,

    /// nuget.org profile name for the logins [default: ${{ vars.NUGET_USER }}]
    #[arg(long, value_name = "NAME", value_parser = user)]
    pub user: Option<String>,

    /// Add this environment to the publishing jobs that have none
    #[arg(long, value_name = "NAME", value_parser = one_line)]
    pub environment: Option<String>,

    /// Action that logs in [default: this one, at this version's tag]
    #[arg(long, value_name = "ACTION@REF", value_parser = action)]
    pub uses: Option<String>,

    /// Only replace `uses: NuGet/login@…` by this action
    #[arg(long)]
    pub replace: bool,

    /// Also edit jobs whose push has an unknown target: a script, a build tool or another action
    #[arg(long)]
    pub assume_nuget_org: bool,

    /// How the plan is printed [default: human]
    ///
    /// `json` prints one object.
    #[arg(long, value_name = "FORMAT", hide_possible_values = true, verbatim_doc_comment)]
    pub format: Option<MigrateFormat>,
}

/// A value that a workflow file can have.
fn one_line(value: &str) -> Result<String, &'static str> {
    let is_wrong = value.trim().is_empty() || value.chars().any(char::is_control);
    if is_wrong { Err("not a name") } else { Ok(value.to_owned()) }
}

/// A profile name, or an expression.
fn user(value: &str) -> Result<String, &'static str> {
    if value.contains('@') { Err("an e-mail address, and not a profile name") } else { one_line(value) }
}

/// An action with its version; a comment can follow.
fn action(value: &str) -> Result<String, &'static str> {
    let (action, comment) = value.split_once(" #").unwrap_or((value, ""));
    let is_safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | '+');
    let is_action = action.trim_end().split_once('@').is_some_and(|(path, reference)| {
        path.split('/').count() >= 2 && path.split('/').all(|part| !part.is_empty()) && !reference.is_empty()
    });
    if is_action && action.trim_end().chars().all(is_safe) && !comment.chars().any(char::is_control) {
        return Ok(value.to_owned());
    }
    Err("not an action with its version, such as org/nuget-login@v1")
}

/// How `migrate` prints its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MigrateFormat {
    /// As a diff, with instructions.
    Human,
    /// For programs.
    Json,
}

/// How `check` prints findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum CheckFormat {
    /// With the source line.
    Human,
    /// For programs.
    Json,
    /// As annotations.
    Github,
}

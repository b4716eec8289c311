//! The command line, and its help.

use std::ffi::OsString;

use clap::Parser;

/// A command line, parsed.
pub struct CommandLine {
    pub(crate) arguments: Result<Arguments, clap::Error>,
    /// Whether standard output is free for the log: it is the command's with `exec`, and the answer's with `policy`. Known
    /// from the subcommand alone, so that it is known for arguments that cannot be parsed, too.
    pub stdout_is_log: bool,
}

impl CommandLine {
    /// Parses arguments, the program's name first. The error is `--help` or `--version`, to be printed.
    pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<CommandLine, clap::Error> {
        let arguments = Vec::from_iter(arguments);
        let stdout_is_log = arguments.get(1).is_none_or(|word| word != "exec" && word != "policy");
        match Arguments::try_parse_from(arguments) {
            Err(help) if !help.use_stderr() => Err(help),
            arguments => Ok(CommandLine { arguments, stdout_is_log }),
        }
    }
}

/// Get a short-lived NuGet API key for this CI job: no stored secret, just its ID token
///
/// Asks GitHub for the job's OIDC ID token, exchanges it at the registry's token service for a
/// temporary API key (nuget.org's lives about an hour), masks the key in the log and writes it to
/// the step's outputs. In GitLab CI `exec` gives the key to a command.
#[derive(Debug, clap::Parser)]
#[command(version, bin_name = "nuget-login", verbatim_doc_comment, after_long_help = include_str!("help.txt").trim_end())]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do instead.
    #[command(subcommand)]
    pub command: Option<Subcommand>,

    /// What a login needs to know.
    #[command(flatten)]
    pub options: Options,

    /// Only find out whether a trust policy matches: do the whole exchange, and throw the key away
    ///
    /// A new policy becomes permanent by this, as by any login.
    #[arg(long, verbatim_doc_comment)]
    pub check_only: bool,

    /// Hand the key to all later steps of the job too, as the variable NUGET_API_KEY
    ///
    /// NuGet 7.6 and later read it by themselves; so can everything else that runs in them.
    #[arg(long, verbatim_doc_comment)]
    pub export_env: bool,
}

impl Arguments {
    /// The variable with GitLab's ID token, if a flag names it.
    pub(crate) fn id_token_variable(&self) -> Option<&str> {
        let gitlab = match &self.command {
            Some(Subcommand::Exec { options, .. }) => &options.gitlab,
            Some(Subcommand::Policy { gitlab }) => gitlab,
            None => &self.options.gitlab,
        };
        gitlab.id_token_variable.as_deref()
    }
}

/// What a login needs to know, however the key is delivered.
#[derive(Debug, clap::Args)]
#[allow(rustdoc::bare_urls, reason = "these comments are the text of `--help`")]
pub struct Options {
    /// nuget.org profile name of the person who created the trust policy (required)
    ///
    /// Not an organization, not the package owner, not an e-mail address.
    #[arg(long, value_name = "NAME", verbatim_doc_comment)]
    pub user: Option<String>,

    /// URL of the token service [default: https://www.nuget.org/api/v2/token]
    ///
    /// https, or http to a loopback host.
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    pub token_service_url: Option<String>,

    /// V3 service index of the registry, which names its token service; instead of the URL above
    ///
    /// https, or http to a loopback host. Needs an --audience of its own, except at nuget.org.
    #[arg(long, value_name = "URL", verbatim_doc_comment)]
    pub source: Option<String>,

    /// Audience of the ID token, as the token service expects it [default: https://www.nuget.org]
    ///
    /// A token service other than nuget.org's should have an audience of its own: with nuget.org's
    /// it could redeem the ID token at nuget.org.
    #[arg(long, value_name = "AUDIENCE", verbatim_doc_comment)]
    pub audience: Option<String>,

    /// Time for everything, retries included, in whole seconds [default: 120]
    ///
    /// What is temporary (a busy server, a lost connection) is tried again until then.
    #[arg(long, value_name = "SECONDS", verbatim_doc_comment)]
    pub timeout_seconds: Option<String>,

    /// Where GitLab's ID token is.
    #[command(flatten)]
    pub gitlab: GitLabOptions,
}

/// What only jobs of GitLab CI need.
#[derive(Debug, clap::Args)]
pub struct GitLabOptions {
    /// GitLab CI: the variable that holds the job's ID token [default: NUGET_ID_TOKEN]
    ///
    /// Its name below `id_tokens:`, not its value. Elsewhere it is not read.
    #[arg(long, value_name = "VARIABLE", verbatim_doc_comment)]
    pub id_token_variable: Option<String>,
}

/// What the program can do besides a login for the next step.
#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Log in right before a command, and give it the key as NUGET_API_KEY
    ///
    /// The key is in the command's environment and nowhere else: arguments would show it to other
    /// processes. To put it there anyway, let a shell do it:
    ///   nuget-login exec --user NAME -- sh -c 'push --key "$NUGET_API_KEY"'
    /// Before the login the command is found as a shell finds it: on PATH, on Windows with PATHEXT.
    /// Output, signals and exit code are the command's; the words of the login go to standard error.
    /// In a job of GitHub Actions leave standard error alone: the runner reads the mask for the key
    /// there. GitLab masks nothing: see that the command does not print its environment.
    /// Only flags count here, no INPUT_ variables: an earlier step could have set those. Works in jobs
    /// of GitHub Actions and GitLab CI; outside of a job against a sandbox on loopback.
    /// Exit codes: the command's; 126 if it cannot be run; 127 if it was not found; 1 and 2 if there is
    /// no key.
    #[command(verbatim_doc_comment)]
    Exec {
        /// What a login needs to know.
        #[command(flatten)]
        options: Options,

        /// The command and its arguments
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// Print the trust policy that this job needs, field by field; log in nowhere
    ///
    /// In a job it is read from the job's ID token, which goes to no token service, or from the
    /// runner's variables where there is none. Elsewhere it is guessed from the git repository that
    /// you stand in: its remote `origin`, and for GitHub the workflow files that name a login step.
    #[command(verbatim_doc_comment)]
    Policy {
        /// Where the ID token is.
        #[command(flatten)]
        gitlab: GitLabOptions,
    },
}

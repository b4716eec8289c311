//! Every message that we can explain: who says it, what it means, and what to do. The README's table of troubles is this.

use super::template::Facts;

/// A message, and what to say about it.
pub struct Advice {
    /// Who says it.
    pub said_by: SaidBy,
    /// Its words, with `{name}` for what varies.
    pub message: &'static str,
    /// In which case; the first advice for a message that holds is given.
    pub when: Case,
    /// What it means, in one sentence. Empty where the message is our own, and says it.
    pub cause: &'static str,
    /// What to do.
    pub mend: &'static str,
    /// Whether a policy could be the cause, so that the one that this job needs is shown.
    pub policy: bool,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaidBy {
    /// GitHub's ID-token service, or the token service (NuGet gallery, August 2026).
    Service,
    /// This program.
    Us,
}

/// When an advice holds, besides its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// Always.
    Any,
    /// The run is of a pull request from a fork.
    Fork,
    /// Dependabot started the run.
    Dependabot,
    /// `user` is the name of the repository's owner.
    UserIsRepositoryOwner,
    /// The job is defined in a reusable workflow of this repository.
    Called,
    /// The job names no environment.
    NoEnvironment,
    /// The ID token comes from an enterprise's own issuer on github.com.
    EnterpriseIssuer,
}

impl Case {
    /// Whether it is so.
    pub fn holds(self, facts: &Facts) -> bool {
        let fact = |name| facts.get(name).map(String::as_str).unwrap_or_default();
        match self {
            Case::Any => true,
            Case::Fork => facts.contains_key("fork"),
            Case::Dependabot => fact("actor") == "dependabot[bot]",
            Case::UserIsRepositoryOwner => fact("user").eq_ignore_ascii_case(fact("repository owner")),
            Case::Called => facts.contains_key("caller"),
            Case::NoEnvironment => fact("actual").is_empty(),
            Case::EnterpriseIssuer => fact("issuer").starts_with("https://token.actions.githubusercontent.com/"),
        }
    }

    /// In words, for the table.
    #[cfg(test)]
    pub fn in_words(self) -> &'static str {
        match self {
            Case::Any => "",
            Case::Fork => "in a pull request from a fork",
            Case::Dependabot => "in a run that Dependabot started",
            Case::UserIsRepositoryOwner => "where `user` is the repository's owner",
            Case::Called => "in a reusable workflow",
            Case::NoEnvironment => "in a job without an environment",
            Case::EnterpriseIssuer => "with an enterprise's issuer",
        }
    }
}

const fn us(message: &'static str, when: Case, cause: &'static str, mend: &'static str) -> Advice {
    Advice { said_by: SaidBy::Us, message, when, cause, mend, policy: false }
}

const fn service(message: &'static str, cause: &'static str, mend: &'static str) -> Advice {
    Advice { said_by: SaidBy::Service, message, when: Case::Any, cause, mend, policy: false }
}

const fn policy(message: &'static str, when: Case, cause: &'static str, mend: &'static str) -> Advice {
    Advice { said_by: SaidBy::Service, message, when, cause, mend, policy: true }
}

/// Something on the way changed what we sent.
const CHANGED: &str = "Something between this job and the token service changed the request.";
const CHANGED_MEND: &str = "Look at what stands between them: HTTPS_PROXY, a gateway, `token-service-url`. nuget.org's own \
                            address is https://www.nuget.org/api/v2/token.";

/// All of it. Of our own messages the first that fits counts, so that the particular ones stand before the general.
pub const CATALOGUE: &[Advice] = &[
    // Policies.
    policy(
        "No matching trust policy owned by user '{asked}' was found.",
        Case::UserIsRepositoryOwner,
        "No trust policy that {user} created matches this job.",
        "The input `user` is {user}, which is also the owner of the repository. If that is an organization: `user` must \
         be the nuget.org profile name of the person who created the policy; organizations can't create any. If it is \
         that person, compare the policy on nuget.org with the fields below, letter by letter. A repository that was \
         deleted, made anew or transferred needs a new policy.",
    ),
    policy(
        "No matching trust policy owned by user '{asked}' was found.",
        Case::Any,
        "No trust policy that {user} created matches this job.",
        "First look at `user`: it must be the nuget.org profile name of the person who created the policy, not the \
         organization that owns the packages, not an e-mail address or a display name. Then compare the policy on \
         nuget.org with the fields below, letter by letter. A repository that was deleted, made anew or transferred \
         needs a new policy.",
    ),
    policy(
        "The policy '{policy}' has expired. Sign in and renew the trust policy on the Trusted Publishing page.",
        Case::Any,
        "The policy {policy} was not used within 7 days, and has expired.",
        "Its creator, {user}, signs in to nuget.org, renews it on the page Trusted Publishing, and runs this job again \
         within 7 days. From its first use on a policy is permanent.",
    ),
    policy(
        "The GitHub Actions event '{event}' is not allowed.",
        Case::Any,
        "nuget.org gives no API key to a run that the event {event} started.",
        "Start the workflow by another one: `push` (of a tag, say), `release`, `workflow_dispatch` or `schedule`. \
         (`pull_request_target` runs with this repository's rights for anybody's pull request.)",
    ),
    policy(
        "Claim 'job_workflow_ref' has value '{value}' which does not start with {folder}/.github/workflows/.",
        Case::Any,
        "The job is defined in a reusable workflow of another repository, {value}, which no policy for this repository \
         can match.",
        "Log in and push in a job that is written in a workflow file of this repository. The reusable workflow may build \
         the packages and hand them over as an artifact.",
    ),
    policy(
        "Workflow mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::Called,
        "The policy {policy} names the workflow file {expected}; this job is defined in the reusable workflow {actual}.",
        "The file that defines the job counts, not {caller}, which calls it: set *Workflow file* of the policy to \
         {actual}.",
    ),
    policy(
        "Workflow mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::Any,
        "The policy {policy} names the workflow file {expected}; this job is defined in {actual}.",
        "Set *Workflow file* of the policy to {actual}, or move the job into {.github/workflows/|expected}.",
    ),
    policy(
        "Environment mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::NoEnvironment,
        "The policy {policy} asks for the environment {expected}; this job names none.",
        "Add the line {environment: |expected} to the job in {workflow}, beside `runs-on:`; or make *Environment* of the \
         policy empty.",
    ),
    policy(
        "Environment mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::Any,
        "The policy {policy} asks for the environment {expected}; this job names {actual}.",
        "Change the job's line in {workflow} to {environment: |expected}; or set *Environment* of the policy to {actual}.",
    ),
    policy(
        "The JSON Web Token is missing the required claim '{claim}'.",
        Case::Any,
        "The ID token says nothing of {claim}, which every policy needs.",
        "GitHub's own ID tokens have it. Its issuer is {issuer}: if that is not github.com, nuget.org has no policies for \
         it.",
    ),
    // Accounts.
    service(
        "Generating fetching tokens directly for organizations is not supported.",
        "The input `user` is {user}, an organization; a policy belongs to a person.",
        "Set `user` to the nuget.org profile name of the person who created the policy.",
    ),
    service(
        "The {kind} '{name}' is deleted.",
        "The nuget.org account {name} was deleted.",
        "Create a policy with an account that is there, and set `user` to the profile name of the person who creates it.",
    ),
    service(
        "The {kind} '{name}' is locked.",
        "The nuget.org account {name} is locked.",
        "Its owner signs in to nuget.org to see why, or writes to support@nuget.org.",
    ),
    service(
        "The {kind} '{name}' does not have a confirmed email address.",
        "The e-mail address of the nuget.org account {name} is not confirmed.",
        "Sign in to nuget.org, and confirm it under Account settings.",
    ),
    service(
        "The package owner of the match trust policy not longer exists.",
        "The policy matches, but its package owner is no longer there.",
        "{user} edits the policy on nuget.org, and chooses another package owner.",
    ),
    service(
        "The scopes on the generated API key are not valid. Confirm that you still have permissions to operate on behalf \
         of package owner '{owner}'.",
        "The policy matches, but {user} may no longer act for its package owner, {owner}.",
        "An administrator of {owner} makes {user} a member again; or a member creates a policy, and becomes `user`.",
    ),
    // The ID token.
    service(
        "The JSON web token iss claim is not supported.",
        "nuget.org accepts no ID tokens of {issuer}.",
        "It knows github.com and gitlab.com; GitHub Enterprise Server and a GitLab of one's own can't use trusted \
         publishing. Publish from there with an API key of your own, or from github.com.",
    ),
    Advice {
        said_by: SaidBy::Service,
        message: "The JSON web token could not be validated.",
        when: Case::EnterpriseIssuer,
        cause: "nuget.org does not accept the issuer of this enterprise, {issuer}.",
        mend: "An owner of the enterprise switches off its own issuer (`include_enterprise_slug` in the OIDC settings of \
               GitHub's REST API); then ID tokens come from https://token.actions.githubusercontent.com.",
        policy: false,
    },
    service(
        "The JSON web token could not be validated.",
        "The token service could not make anything of the ID token of {issuer}.",
        "Run the job again. If it stays, say so to the registry, with this message.",
    ),
    service(
        "The JSON web token has an incorrect audience.",
        "The ID token was asked for with the audience {audience}, which is not the token service's.",
        "Set the input `audience` to what the token service at {service} expects; nuget.org's is \
         `https://www.nuget.org`, the default.",
    ),
    service(
        "The JSON web token has an invalid signature.",
        "The token service can't verify the ID token's signature, also not a second time.",
        "It may not have heard of GitHub's newest key yet, or can't reach GitHub: run the job again in some minutes. If it \
         stays, say so to the registry, with this message.",
    ),
    service(
        "The JSON web token has expired.",
        "The token service takes fresh ID tokens for expired: its clock is ahead of GitHub's.",
        "Run the job again in some minutes. If it stays, say so to the registry, with this message.",
    ),
    service(
        "The JSON web token is not yet valid.",
        "The token service takes fresh ID tokens for not yet valid: its clock is behind GitHub's.",
        "Run the job again in some minutes. If it stays, say so to the registry, with this message.",
    ),
    service(
        "The JSON web token must have exactly one aud claim value.",
        "The ID token has no audience, or several.",
        "Set the input `audience` to the one that the token service expects; this one was asked for with {audience}.",
    ),
    service(
        "The JSON web token must have an aud claim.",
        "The ID token has no audience.",
        "Set the input `audience` to the one that the token service expects; this one was asked for with {audience}.",
    ),
    service(
        "The JSON web token must have an iss claim.",
        "The ID token does not say who issued it.",
        "GitHub's own do: look at what sets ACTIONS_ID_TOKEN_REQUEST_URL in this job.",
    ),
    service(
        "The JSON web token iss claim must be a valid HTTPS URL.",
        "The ID token's issuer, {issuer}, is no https URL.",
        "GitHub's own is: look at what sets ACTIONS_ID_TOKEN_REQUEST_URL in this job.",
    ),
    service(
        "The JSON web token must have a jti claim.",
        "The ID token has no number of its own.",
        "GitHub's own have: look at what sets ACTIONS_ID_TOKEN_REQUEST_URL in this job.",
    ),
    service("The bearer token could not be parsed as a JSON web token.", CHANGED, CHANGED_MEND),
    service(
        "This bearer token has already been used. A new bearer token must be used for each request.",
        "The token service says that it knows each ID token already, though every attempt brings a fresh one.",
        "Something between this job and the token service sends requests twice: look at HTTPS_PROXY and gateways.",
    ),
    // The request.
    service("The Authorization header is missing.", CHANGED, CHANGED_MEND),
    service("Only one Authorization header is allowed.", CHANGED, CHANGED_MEND),
    service("The Authorization header value must start with 'Bearer '.", CHANGED, CHANGED_MEND),
    service("The bearer token is missing from the Authorization header.", CHANGED, CHANGED_MEND),
    service("Only Bearer token authentication is accepted.", CHANGED, CHANGED_MEND),
    service("The request must have a Content-Type of 'application/json'.", CHANGED, CHANGED_MEND),
    service("A User-Agent header is required.", CHANGED, CHANGED_MEND),
    service("The username property in the request body is required.", CHANGED, CHANGED_MEND),
    service("The tokenType property in the request body is required and must set to 'ApiKey'.", CHANGED, CHANGED_MEND),
    service(
        "The request could not be authenticated.",
        "The registry refused the ID token by a rule of its own.",
        "Ask the registry at {service} for the reason, with this message.",
    ),
    // GitHub.
    service(
        "Can't issue ID_TOKEN for job in '{state}' state.",
        "GitHub has not started this job yet, as far as its ID-token service knows ({state}).",
        "Run the job again. If it stays, look at https://www.githubstatus.com, or raise `timeout-seconds`.",
    ),
    // Before the network.
    us(
        "the input `user` (flag --user, variable INPUT_USER) is empty",
        Case::Any,
        "",
        "Set it to the nuget.org profile name of the person who created the trust policy. If it comes from a secret or a \
         variable: is it there for this repository, this environment and this event? Runs of forks and of Dependabot get \
         no secrets. A variable is better: a secret is masked out of error messages too.",
    ),
    us(
        "is an e-mail address, which nuget.org's token service does not know",
        Case::Any,
        "",
        "Set it to the nuget.org profile name of the person who created the trust policy: what stands behind \
         https://www.nuget.org/profiles/.",
    ),
    us(
        "this job can't ask GitHub for an ID token: {variable} is not set",
        Case::Fork,
        "This run is of a pull request from the fork {fork}, and GitHub gives such runs no ID tokens.",
        "Publish in a run that this repository starts: by a push, a release, or by hand. In runs of pull requests leave \
         the login out: `if: github.event_name != 'pull_request'`.",
    ),
    us(
        "this job can't ask GitHub for an ID token: {variable} is not set",
        Case::Dependabot,
        "Dependabot started this run, and GitHub gives such runs no ID tokens.",
        "Publish in another run, after the merge. In these leave the login out: `if: github.actor != 'dependabot[bot]'`.",
    ),
    us(
        "this job can't ask GitHub for an ID token: {variable} is not set",
        Case::Any,
        "",
        "Give the job the permission (naming one permission takes away the others, so name what checkout needs too):\n\
         \n    permissions:\n      id-token: write\n      contents: read\n\n\
         Where another workflow calls this one, every caller up the chain must give it too.",
    ),
    us(
        "this is not a GitHub Actions job",
        Case::Any,
        "",
        "Run it in a step of a workflow. To try it by hand, use what `cargo run -p sandbox -- serve` exports.",
    ),
    us(
        "GITHUB_OUTPUT",
        Case::Any,
        "",
        "The runner sets GITHUB_OUTPUT for each step and makes the file: leave both as they are.",
    ),
    // The network.
    us(
        "is issued by {whom}, which is not trusted here",
        Case::Any,
        "",
        "If that issuer is right (the certificate authority of a company, say), name a file with its certificate in the \
         environment variable NODE_EXTRA_CA_CERTS, which adds to the built-in and the system's ones; SSL_CERT_FILE and \
         SSL_CERT_DIR replace them.",
    ),
    us(
        "gives no connection to {host}: it answered HTTP 407",
        Case::Any,
        "",
        "Put the user and the password that the proxy knows into HTTPS_PROXY: http://user:password@host:port.",
    ),
    us(
        "gives no connection to {host}: it answered HTTP 4",
        Case::Any,
        "",
        "Have the host allowed there; or name it in NO_PROXY, where it can be reached without a proxy.",
    ),
    us(
        "the `value` in its answer is one that was used before",
        Case::Any,
        "Something between this job and GitHub keeps ID tokens, and gives an old one again.",
        "Look at what stands between them: HTTPS_PROXY, a cache, what sets ACTIONS_ID_TOKEN_REQUEST_URL.",
    ),
    us(
        "no API key from the token service: {host} answered HTTP 404",
        Case::Any,
        "There is no token service at {service}.",
        "Is the input `token-service-url` right? nuget.org's is https://www.nuget.org/api/v2/token, the default; it \
         answers like this too while its token service is switched off.",
    ),
    us(
        "no API key from the token service: {host} answered HTTP 429",
        Case::Any,
        "The token service gives {user} keys only so often.",
        "nuget.org makes one key in 30 seconds for a user. Log in once in a run, not in each job of a matrix; or raise \
         `timeout-seconds`.",
    ),
    us(
        "no ID token from GitHub: {host} answered HTTP 401",
        Case::Any,
        "GitHub does not accept this job's right to ask for ID tokens.",
        "It ends with the job. Leave ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN as the runner sets \
         them in each job.",
    ),
    us(
        "no API key from the token service: {host} answered HTTP {status}, a redirect, which is never followed",
        Case::Any,
        "",
        "A credential goes to the host that was named, and nowhere else. Set `token-service-url` to the final address; or \
         find out what redirects on the way.",
    ),
    us(
        "with a web page instead of",
        Case::Any,
        "Somebody else answered in the service's place: a proxy, a firewall or the network in front of it.",
        "On a runner of your own, have the host allowed, or set HTTPS_PROXY. Elsewhere, run the job again later.",
    ),
    us(
        " answered HTTP 5",
        Case::Any,
        "",
        "The service has trouble of its own, which mostly passes: run the job again later. See \
         https://www.githubstatus.com and https://status.nuget.org.",
    ),
    us(
        "stayed without an answer, and each may have made an API key",
        Case::Any,
        "",
        "Run the job again later. Keys that nobody holds expire by themselves, within the hour at nuget.org.",
    ),
    us(
        "cannot connect to {host}: ",
        Case::Any,
        "",
        "Can this runner reach the host? On one of your own, allow it in the firewall, or set HTTPS_PROXY.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A text of the catalogue in a cell of the README's table.
    fn cell(text: &str) -> String {
        let blanks = text.split(['{', '}']).enumerate();
        let text: String = blanks.map(|(at, part)| if at % 2 == 0 { part } else { "…" }).collect();
        let lines = text.lines().filter(|line| !line.is_empty());
        let line = |line: &str| match line.strip_prefix("    ") {
            Some(code) => format!("`{}`", code.trim()),
            None => line.to_owned(),
        };
        lines.map(line).collect::<Vec<_>>().join(" ")
    }

    fn row(advice: &Advice) -> String {
        let message = advice.message.trim_start_matches([',', ' ']);
        let case = match advice.when {
            Case::Any => String::new(),
            case => format!(" ({})", case.in_words()),
        };
        let what = [advice.cause, advice.mend].map(cell).join(" ");
        format!("| {}{case} | {} |", cell(message), what.trim())
    }

    #[test]
    fn the_readme_has_every_message_with_its_advice() {
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let text = std::fs::read_to_string(readme).unwrap();
        let table = CATALOGUE.iter().map(row).collect::<Vec<_>>().join("\n");
        if std::env::var_os("UPDATE_README").is_some() {
            const MARKS: [&str; 2] = ["<!-- troubles -->\n", "\n<!-- /troubles -->"];
            let (before, rest) = text.split_once(MARKS[0]).unwrap();
            let (_, after) = rest.split_once(MARKS[1]).unwrap();
            let head = "| message | what it means, and what to do |\n|---|---|\n";
            std::fs::write(readme, [before, MARKS[0], head, &table, MARKS[1], after].concat()).unwrap();
            return;
        }
        assert!(text.contains(&table), "UPDATE_README=1 cargo test -p nuget-login --lib puts it there");
    }

    #[test]
    fn no_advice_is_hidden_by_one_before_it() {
        for (at, advice) in CATALOGUE.iter().enumerate() {
            let hides = |before: &&Advice| {
                let same = before.said_by == advice.said_by && before.message == advice.message;
                same && (before.when == Case::Any || before.when == advice.when)
            };
            assert!(CATALOGUE[..at].iter().find(hides).is_none(), "{}", advice.message);
        }
    }
}

//! Every message that we can explain: who says it, what it means, and what to do. The README's table of troubles is this.

use super::template::Facts;

/// A message, and what to say about it.
pub struct Advice {
    /// Who says it.
    pub said_by: SaidBy,
    /// Its words, all or a part; of ours, all or the beginning. `{name}` stands for what varies: in a service's words for
    /// anything, in ours for one word, and `{name…}` for several.
    pub message: &'static str,
    /// In which case; the first advice for a message that holds is given.
    pub when: Case,
    /// What it means, in one sentence.
    pub cause: &'static str,
    /// What to do.
    pub mend: &'static str,
    /// Which policy is shown, where one could be the cause.
    pub policy: Policy,
}

/// Which policy is shown with an advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// None: it is not at fault.
    None,
    /// The one that this job needs as it is.
    AsItIs,
    /// The one that this job needs once it is in a workflow file of its own repository.
    OnceMoved,
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
    /// It is a job of GitLab CI.
    GitLab,
    /// The ID token comes from an enterprise's own issuer on github.com.
    EnterpriseIssuer,
}

impl Case {
    /// Whether it is so, by what is known.
    pub fn holds(self, facts: &Facts) -> bool {
        let fact = |name| facts.get(name).map(String::as_str).unwrap_or_default();
        match self {
            Case::Any => true,
            Case::Fork => facts.contains_key("fork"),
            Case::Dependabot => fact("actor") == "dependabot[bot]",
            Case::UserIsRepositoryOwner => fact("user").eq_ignore_ascii_case(fact("repository owner")),
            Case::Called => facts.contains_key("caller"),
            Case::GitLab => facts.contains_key("gitlab"),
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
            Case::GitLab => "in GitLab CI",
            Case::EnterpriseIssuer => "with an enterprise's issuer",
        }
    }
}

/// Of a message of our own.
const fn us(message: &'static str, when: Case, cause: &'static str, mend: &'static str) -> Advice {
    Advice { said_by: SaidBy::Us, message, when, cause, mend, policy: Policy::None }
}

/// Of a service's message, in GitLab's jobs alone.
const fn gitlab(message: &'static str, cause: &'static str, mend: &'static str) -> Advice {
    Advice { when: Case::GitLab, ..service(message, cause, mend) }
}

/// Of a service's message, whose mend is not in the policy.
const fn service(message: &'static str, cause: &'static str, mend: &'static str) -> Advice {
    Advice { said_by: SaidBy::Service, message, when: Case::Any, cause, mend, policy: Policy::None }
}

/// Of a service's message, whose mend may be in the policy: that is shown too, as this job needs it.
const fn policy(message: &'static str, when: Case, cause: &'static str, mend: &'static str) -> Advice {
    Advice { said_by: SaidBy::Service, message, when, cause, mend, policy: Policy::AsItIs }
}

const NO_JOB: &str = "The program runs outside of GitHub Actions and GitLab CI.";
const NO_JOB_MEND: &str = "Run it in a step of a workflow; in GitLab CI use `nuget-login exec`. To try it by hand, use what \
                           `cargo run -p sandbox -- serve` exports.";
const NOT_AS_GITLABS: &str = "The ID token is not as GitLab makes them.";
const CHANGED: &str = "Something between this job and the token service changed the request.";
const CHANGED_MEND: &str = "Look at what stands between them: HTTPS_PROXY, a gateway, the input `token-service-url` \
                            (nuget.org's is https://www.nuget.org/api/v2/token).";
const NOT_GITHUB: &str = "Something other than GitHub answers at ACTIONS_ID_TOKEN_REQUEST_URL. GitHub sets that variable: \
                          look for an `env:` or a self-hosted runner that overwrites it.";
const NOT_GITLAB: &str = "Something other than an ID token of GitLab's is in the variable {id token variable}. Give it to the job by \
                          `id_tokens:`, with `aud:`, and don't set a variable of that name elsewhere.";
const NOT_HANDED: &str = "The API key could not be handed to other steps.";
const NOT_HANDED_MEND: &str = "The runner sets {variable} for each step and makes the file: leave both as they are.";
const NOT_TRUSTED: &str = "The other side's certificate is of an authority that is not trusted here.";
const NOT_TRUSTED_MEND: &str = "If that issuer is right (the certificate authority of a company, say), name a file with \
                                its certificate in the environment variable NODE_EXTRA_CA_CERTS, which adds to the \
                                built-in and the system's ones; SSL_CERT_FILE and SSL_CERT_DIR replace them.";
const REFUSED: &str = "The server's certificate is not valid for this host, or not at this time.";
const REFUSED_MEND: &str = "Check the URL, and the clock of this machine. If the certificate has expired, the server's \
                            operator must renew it.";
const UNFIT: &str = "The server's certificate, or a certificate in its chain, violates a rule for certificates.";
const UNFIT_MEND: &str = "Ask the server's operator to have the certificate reissued without the problem that the message \
                          names. Trusting the issuer does not help.";
const REPORT: &str = "Run the job again in a few minutes. If it stays, report it to the registry (nuget.org: \
                      support@nuget.org), with this message.";

/// All of it. Of our own messages the first that fits counts, so that the particular ones stand before the general; they
/// are written from their beginning on, or from that of a [`Failure`](crate::http::error::Failure) or of an
/// [`StopReason`](crate::retry::StopReason).
pub const CATALOGUE: &[Advice] = &[
    // Before the network.
    us(
        "the input `user` ({where…}) is empty",
        Case::GitLab,
        "No user is given.",
        "Add `--user`, and the nuget.org profile name of the person who created the trust policy. If it comes from a \
         variable, check that the variable is there for this job: protected ones are for protected branches and tags only.",
    ),
    us(
        "the input `user` ({where…}) is empty",
        Case::Any,
        "The input `user` is empty.",
        "Set it in the workflow file, below `with:` or as the flag `--user`, to the nuget.org profile name of the person \
         who created the trust policy. If it comes from a variable or a secret (`vars.…`, `secrets.…`), check that this exists for this \
         repository and environment; runs of forks get no secrets, and those of Dependabot get Dependabot's.",
    ),
    us(
        "the input `user` is '{given…}', but there is no @ in the user names of nuget.org",
        Case::Any,
        "The input `user` looks like an e-mail address.",
        "Set it to the nuget.org profile name of the person who created the trust policy: what follows \
         https://www.nuget.org/profiles/ in the profile's URL.",
    ),
    us(
        "this job can't ask GitHub for an ID token: {variable} is not set",
        Case::Fork,
        "This run is of a pull request from a fork ({fork}), and GitHub gives such runs no ID tokens, as a rule.",
        "Publish in a run that this repository starts: by a push, a release, or by hand. Add to the job that publishes: \
         {if: github.event_name != |quoted event}.",
    ),
    us(
        "this job can't ask GitHub for an ID token: {variable} is not set",
        Case::Dependabot,
        "Dependabot started this run, and it was given no right to ask for ID tokens.",
        "Publish in another run, after the merge, and add to the job that publishes: `if: github.actor != \
         'dependabot[bot]'`. (If it is to publish anyway, give it `id-token: write`.)",
    ),
    us(
        "this job can't ask GitHub for an ID token: {variable} is not set",
        Case::Any,
        "This job may not ask GitHub for an ID token: it lacks `id-token: write`.",
        "Add this to the job in the workflow file, beside `runs-on:` (naming one permission takes away the others, and \
         checkout needs `contents: read`):\n\
         \n    permissions:\n      id-token: write\n      contents: read\n\n\
         If this is a reusable workflow, the calling job needs it too, and so on up to the first one.",
    ),
    us(
        "this job has no ID token: the variable ",
        Case::GitLab,
        "This job got no ID token from GitLab.",
        "Add this to the job in .gitlab-ci.yml, beside `script:` (for another registry than nuget.org with its audience):\n\
         \n    id_tokens:\n      NUGET_ID_TOKEN:\n        aud: https://www.nuget.org\n\n\
         If the job has one by another name, give that name: `--id-token-variable`.",
    ),
    us(
        "the environment variable {variable} holds no ID token: it is not a JSON web token",
        Case::GitLab,
        "The variable {id token variable} is not one that GitLab made of `id_tokens:`.",
        "Give the ID token below `id_tokens:` a name that no other variable has; or give its name: `--id-token-variable`. (A \
         CI_JOB_TOKEN is no ID token.)",
    ),
    us(
        "the ID token in {variable} is for the audience {found…}, but {wanted…} is to get it",
        Case::GitLab,
        "The job's ID token is made out to somebody else.",
        "For nuget.org, set `aud:` below `id_tokens:` in .gitlab-ci.yml to `https://www.nuget.org`, a single value, and leave \
         `--audience` out. For another registry, set both `aud:` and `--audience` to what that expects.",
    ),
    us(
        "this is a GitLab CI job, which has no step outputs to put an API key into",
        Case::GitLab,
        "In GitLab CI a plain login can't hand an API key on.",
        "Let the login run the command that needs the key: `nuget-login exec --user NAME -- sh -c 'dotnet nuget push … \
         --api-key \"$NUGET_API_KEY\"'`.",
    ),
    // Policies.
    Advice {
        policy: Policy::AsItIs,
        ..gitlab(
            "No matching trust policy owned by user '{asked}' was found.",
            "No trust policy that {user} created matches this job.",
            "First, is the user {user} right? It must be the nuget.org profile name of the person who created the policy \
             (what follows https://www.nuget.org/profiles/ in the profile's URL): not the organization that owns the \
             packages, not an e-mail address or a display name. Second, is the policy one for GitLab, and are its *Namespace path* and \
             *Project path* those shown below? Third, if the project was deleted and created again, or moved to another \
             group, create a new policy.",
        )
    },
    policy(
        "No matching trust policy owned by user '{asked}' was found.",
        Case::UserIsRepositoryOwner,
        "No trust policy that {user} created matches this job.",
        "First, the input `user` is {user}, which is also the owner of the repository. If that is an organization: `user` \
         must be the nuget.org profile name of the person who created the policy; organizations can't create any. Second, \
         compare *Repository owner* and *Repository* of the policy on nuget.org with the table. Third, if the repository \
         was deleted and created again, or transferred, create a new policy.",
    ),
    policy(
        "No matching trust policy owned by user '{asked}' was found.",
        Case::Any,
        "No trust policy that {user} created matches this job.",
        "First, is the input {user: |user} right? It must be the nuget.org profile name of the person who created the \
         policy (what follows https://www.nuget.org/profiles/ in the profile's URL): not the organization that owns the \
         packages, not an e-mail address or a display name. Second, compare *Repository owner* and *Repository* of the policy on nuget.org \
         with the table. Third, if the repository was deleted and created again, or transferred, create a new policy.",
    ),
    policy(
        "Workflow mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::Called,
        "The policy {policy} names the workflow file {expected}; this job is defined in the reusable workflow {actual}.",
        "On nuget.org, set *Workflow file* of the policy to {actual}: the file that defines the job counts, not {caller}, \
         which calls it.",
    ),
    policy(
        "Workflow mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::Any,
        "The policy {policy} names the workflow file {expected}; this job is defined in {actual}.",
        "On nuget.org, set *Workflow file* of the policy to {actual}; or, if {expected} publishes too, create a second \
         policy for {actual}. Or move the job into {.github/workflows/|expected}, and leave the policy as it is.",
    ),
    policy(
        "Environment mismatch for policy '{policy}': expected '{expected}', actual ''",
        Case::GitLab,
        "The policy {policy} asks for the environment {expected}; this job names none.",
        "Add the line {environment: |expected} to the job in .gitlab-ci.yml, and leave the policy as it is. Or make \
         *Environment* of the policy empty on nuget.org, and leave the job as it is.",
    ),
    policy(
        "Environment mismatch for policy '{policy}': expected '{expected}', actual ''",
        Case::Any,
        "The policy {policy} asks for the environment {expected}; this job names none.",
        "Add the line {environment: |expected} to the job in {workflow}, beside `runs-on:`, and leave the policy as it is. \
         Or make *Environment* of the policy empty on nuget.org, and leave the job as it is.",
    ),
    policy(
        "Environment mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::GitLab,
        "The policy {policy} asks for the environment {expected}; this job names {actual}.",
        "Change the job's `environment:` in .gitlab-ci.yml to {expected}, and leave the policy as it is. Or set \
         *Environment* of the policy to {actual} on nuget.org, and leave the job as it is. Upper and lower case count.",
    ),
    policy(
        "Environment mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::Any,
        "The policy {policy} asks for the environment {expected}; this job names {actual}.",
        "Change the job's line in {workflow} to {environment: |expected}, and leave the policy as it is. Or set \
         *Environment* of the policy to {actual} on nuget.org, and leave the job as it is.",
    ),
    Advice {
        policy: Policy::OnceMoved,
        ..policy(
            "Claim 'job_workflow_ref' has value '{value}' which does not start with {folder}/.github/workflows/.",
            Case::Any,
            "The job is defined in a reusable workflow of another repository, {value}, which no policy can match.",
            "Move the steps that log in and push into a job of a workflow file of this repository, one without `uses:` \
             beside `runs-on:`. The reusable workflow can still build: it uploads the packages as an artifact, and the new \
             job downloads them.",
        )
    },
    service(
        "The policy '{policy}' has expired. Sign in and renew the trust policy on the Trusted Publishing page.",
        "The policy {policy} was not used within 7 days, and has expired.",
        "Sign in to nuget.org as {user}, open the page Trusted Publishing \
         (https://www.nuget.org/account/trustedpublishing), renew the policy, and run this job again within 7 days. After \
         its first use a policy no longer expires.",
    ),
    service(
        "The GitHub Actions event '{event}' is not allowed.",
        "nuget.org gives no API key to a run that the event {event} started.",
        "Change `on:` in the workflow file: for example to `push` with `tags: [\"v*\"]`; `release`, `workflow_dispatch` and \
         `schedule` work too. (Anybody's pull request starts `pull_request_target`, with this repository's rights.)",
    ),
    policy(
        "Ref mismatch for policy '{policy}': expected 'refs/heads/{branch}', actual '{actual}'",
        Case::Any,
        "The policy {policy} is for the ref {refs/heads/|branch}; but jobs say {actual}, without what stands before it.",
        "On nuget.org, set *Ref* of the policy to {branch}, if that is the branch that publishes; or make it empty, for any \
         branch and tag. Upper and lower case count.",
    ),
    policy(
        "Ref mismatch for policy '{policy}': expected '{expected}', actual '{actual}'",
        Case::Any,
        "The policy {policy} is for the ref {expected}; this job runs for {actual}.",
        "Run the job for {expected}; or set *Ref* of the policy to {actual} on nuget.org, if that is a branch. To publish \
         from tags, make it empty: a policy's ref is a branch. Upper and lower case count.",
    ),
    policy(
        "Ref '{ref}' for policy '{policy}' must be a branch.",
        Case::Any,
        "The policy {policy} is for the ref {ref}, and this job runs for a tag of that name; a policy's ref must be a branch.",
        "On nuget.org, make *Ref* of the policy empty, and leave it to the job's `rules:` which tags publish. Or run the job \
         for the policy's branch.",
    ),
    gitlab(
        "The JSON Web Token is missing the required claim '{claim}'.",
        "The ID token does not say its {claim}, which nuget.org needs.",
        NOT_GITLAB,
    ),
    service(
        "The JSON Web Token is missing the required claim '{claim}'.",
        "The ID token does not say its {claim}, which nuget.org needs.",
        "GitHub's own ID tokens do; this one is of {issuer}. If that is https://token.actions.githubusercontent.com, run \
         the job again, and report it if it stays. Any other issuer can't publish to nuget.org from here.",
    ),
    // Accounts.
    service(
        "Generating fetching tokens directly for organizations is not supported.",
        "The input `user` is {user}, an organization; a policy belongs to a person.",
        "Set `user` to the nuget.org profile name of the person who created the policy.",
    ),
    service(
        "The user '{name}' is deleted.",
        "The nuget.org account {name} was deleted.",
        "Create a policy with another account, and set the input `user` to its profile name.",
    ),
    service(
        "The organization '{name}' is deleted.",
        "The nuget.org organization {name} was deleted.",
        "{user} edits the policy on nuget.org, and chooses another package owner.",
    ),
    service(
        "The user '{name}' is locked.",
        "The nuget.org account {name} is locked.",
        "Sign in to nuget.org as {name} to see why, or write to support@nuget.org.",
    ),
    service(
        "The organization '{name}' is locked.",
        "The nuget.org organization {name} is locked.",
        "An administrator of {name} asks support@nuget.org why.",
    ),
    service(
        "The user '{name}' does not have a confirmed email address.",
        "The e-mail address of the nuget.org account {name} is not confirmed.",
        "Sign in to nuget.org as {name}, and confirm it under Account settings.",
    ),
    service(
        "The organization '{name}' does not have a confirmed email address.",
        "The e-mail address of the nuget.org organization {name} is not confirmed.",
        "An administrator of {name} confirms it on nuget.org, under Manage Organizations.",
    ),
    service(
        "The package owner of the match trust policy not longer exists.",
        "The policy matches, but its package owner no longer exists.",
        "{user} edits the policy on nuget.org, and chooses another package owner.",
    ),
    policy(
        "The scopes on the generated API key are not valid. Confirm that you still have permissions to operate on behalf \
         of package owner '{owner}'.",
        Case::Any,
        "The policy matches, but {user} may no longer act for its package owner, {owner}.",
        "An administrator of {owner} adds {user} to it again, on nuget.org under Manage Organizations. Or a member of \
         {owner} creates a new policy with the fields of the table, and the input `user` becomes that person's profile \
         name.",
    ),
    // The ID token.
    service(
        "The JSON web token iss claim is not supported.",
        "nuget.org accepts no ID tokens of {issuer}.",
        "It knows github.com and gitlab.com; GitHub Enterprise Server and self-hosted GitLab can't use trusted publishing. \
         Publish from there with an API key in a secret, or from github.com or gitlab.com.",
    ),
    Advice {
        when: Case::EnterpriseIssuer,
        ..service(
            "The JSON web token could not be validated.",
            "nuget.org does not accept the issuer of this enterprise, {issuer}.",
            "An owner of the enterprise can switch its own issuer off, with GitHub's REST API: `PUT \
             /enterprises/ENTERPRISE/actions/oidc/customization/issuer` with `include_enterprise_slug` set to `false`. \
             That changes the issuer for every repository of the enterprise, so check what else trusts \
             the present one. Or publish with an API key in a secret.",
        )
    },
    service(
        "The JSON web token could not be validated.",
        "The token service could not make anything of the ID token of {issuer}.",
        REPORT,
    ),
    gitlab(
        "The JSON web token has an incorrect audience.",
        "The ID token is made out to the audience {audience}, and the token service expects another.",
        "For nuget.org, set `aud:` below `id_tokens:` to `https://www.nuget.org`, and leave `--audience` out. For another \
         registry, ask those who run it.",
    ),
    service(
        "The JSON web token has an incorrect audience.",
        "The ID token was asked for with the audience {audience}, and the token service expects another.",
        "For nuget.org, remove the input `audience`, or set it to `https://www.nuget.org`. For another registry, ask those \
         who run it.",
    ),
    service(
        "The JSON web token has an invalid signature.",
        "The token service can't verify the ID token's signature, nor could it on a second try.",
        REPORT,
    ),
    gitlab(
        "The JSON web token has expired.",
        "The job's ID token has expired: it is as old as the job, and lives as long as the job's `timeout:`.",
        "Log in earlier, or in a job of its own that only pushes (the packages come as artifacts); or give the job a longer \
         `timeout:`.",
    ),
    service(
        "The JSON web token has expired.",
        "The token service treats fresh ID tokens as expired: its clock must be wrong.",
        REPORT,
    ),
    service(
        "The JSON web token is not yet valid.",
        "The token service treats ID tokens as not yet valid: its clock must be wrong.",
        REPORT,
    ),
    gitlab("The JSON web token must have exactly one aud claim value.", NOT_AS_GITLABS, NOT_GITLAB),
    service(
        "The JSON web token must have exactly one aud claim value.",
        "The login asked for the audience {audience}, but the ID token came with several, or none.",
        NOT_GITHUB,
    ),
    gitlab("The JSON web token must have an aud claim.", NOT_AS_GITLABS, NOT_GITLAB),
    service(
        "The JSON web token must have an aud claim.",
        "The login asked for the audience {audience}, but the ID token came without one.",
        NOT_GITHUB,
    ),
    gitlab("The JSON web token must have an iss claim.", NOT_AS_GITLABS, NOT_GITLAB),
    service("The JSON web token must have an iss claim.", "The ID token does not say who issued it.", NOT_GITHUB),
    gitlab("The JSON web token iss claim must be a valid HTTPS URL.", NOT_AS_GITLABS, NOT_GITLAB),
    service(
        "The JSON web token iss claim must be a valid HTTPS URL.",
        "The ID token's issuer, {issuer}, is no https URL.",
        NOT_GITHUB,
    ),
    gitlab("The JSON web token must have a jti claim.", NOT_AS_GITLABS, NOT_GITLAB),
    service("The JSON web token must have a jti claim.", "The ID token has no unique ID (`jti`).", NOT_GITHUB),
    gitlab(
        "This bearer token has already been used. A new bearer token must be used for each request.",
        "The job's ID token has bought an API key before, and each buys one (that of `--check-only` counts).",
        "Log in once in a job: put all that needs the key into one command, `nuget-login exec … -- sh -c 'first && second'`. \
         Or give the job a second ID token, by another name below `id_tokens:`, and name it in `--id-token-variable`.",
    ),
    service(
        "This bearer token has already been used. A new bearer token must be used for each request.",
        "The token service says that it knows each ID token already, though every attempt brings a fresh one.",
        "Something between this job and the token service sends requests twice: look at HTTPS_PROXY and gateways.",
    ),
    service("The bearer token could not be parsed as a JSON web token.", CHANGED, CHANGED_MEND),
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
        "Ask those who run the registry at {service} for the reason, with this message.",
    ),
    // GitHub.
    service(
        "Can't issue ID_TOKEN for job in '{state}' state.",
        "GitHub's ID-token service does not know yet that this job has started ({state}).",
        "Run the job again. If it stays, look at https://www.githubstatus.com, or raise `timeout-seconds`.",
    ),
    us(
        "no ID token from GitHub: {host} answered HTTP 401",
        Case::Any,
        "GitHub does not accept this job's right to ask for ID tokens.",
        "That right lasts as long as the job. Leave ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN as \
         the runner sets them in each job.",
    ),
    us(
        "no ID token from GitHub: {host} answered HTTP 200, but the `value` in its answer is one that was used before",
        Case::Any,
        "Something between this job and GitHub keeps ID tokens, and gives an old one again.",
        "Look at what stands between them: HTTPS_PROXY, a cache, an `env:` or a self-hosted runner that overwrites \
         ACTIONS_ID_TOKEN_REQUEST_URL.",
    ),
    // The place.
    us("this is not a GitHub Actions job", Case::Any, NO_JOB, NO_JOB_MEND),
    us("this is no job (", Case::Any, NO_JOB, NO_JOB_MEND),
    us("{variable} is not set, so the API key could not be handed", Case::Any, NOT_HANDED, NOT_HANDED_MEND),
    us("the file in {variable} can't take the API key: ", Case::Any, NOT_HANDED, NOT_HANDED_MEND),
    us(
        "the job's only ID token was sent, and each is good for one exchange",
        Case::GitLab,
        "The failure may be temporary; but GitLab gave this job one ID token, which may be used up now.",
        "Run the job again, with *Retry* on its page: then it has a new one. nuget.org gives one API key for a user every 30 \
         seconds; for outages see https://status.nuget.org. A key that nobody holds expires by itself.",
    ),
    // The network.
    us(
        "cannot connect to {host}: the certificate of {server} is issued by {whom…}, which is not trusted here",
        Case::Any,
        NOT_TRUSTED,
        NOT_TRUSTED_MEND,
    ),
    us(
        "the proxy {proxy} in {variable} gives no connection to {host}: the certificate of {server} is issued by {whom…}, which is not \
         trusted here",
        Case::Any,
        NOT_TRUSTED,
        NOT_TRUSTED_MEND,
    ),
    us(
        "the proxy {proxy} in {variable} gives no connection to {host}: it answered HTTP 407",
        Case::Any,
        "The proxy wants a user and a password that it knows.",
        "Put them into {variable}: `http://user:password@host:port`.",
    ),
    us("cannot connect to {host}: the certificate of {server} is refused: ", Case::Any, REFUSED, REFUSED_MEND),
    us(
        "the proxy {proxy} in {variable} gives no connection to {host}: the certificate of {server} is refused: ",
        Case::Any,
        REFUSED,
        REFUSED_MEND,
    ),
    us("cannot connect to {host}: the certificate of {server} must be replaced: ", Case::Any, UNFIT, UNFIT_MEND),
    us(
        "the proxy {proxy} in {variable} gives no connection to {host}: the certificate of {server} must be replaced: ",
        Case::Any,
        UNFIT,
        UNFIT_MEND,
    ),
    us(
        "the proxy {proxy} in {variable} temporarily gives no connection to {host}: ",
        Case::Any,
        "The proxy has a problem, usually a temporary one.",
        "Run the job again later. If it stays, ask the proxy's operator whether the proxy can reach {host}.",
    ),
    us(
        "the proxy {proxy} in {variable} gives no connection to {host}: it answered HTTP 4",
        Case::Any,
        "The proxy does not allow this host.",
        "Have it allowed there; or name it in NO_PROXY, where it can be reached without a proxy.",
    ),
    us(
        "the proxy {proxy} in {variable} gives no connection to {host}: ",
        Case::Any,
        "The proxy in {variable} gives no connection.",
        "Check the proxy's address, and that it runs. Or name the host in NO_PROXY, where it can be reached without a proxy.",
    ),
    us(
        "the service index of {host} names no TokenService/1.0.0; it has ",
        Case::Any,
        "The registry's service index names no token service.",
        "Ask those who run the registry whether it has trusted publishing, and for the URL of its token service: that goes \
         into `token-service-url`. For nuget.org leave `source` out: its index does not name its token service yet.",
    ),
    us(
        "no service index: {host} answered HTTP 401",
        Case::Any,
        "The service index asks for credentials, and a login has none to show.",
        "Give the URL of the registry's token service instead: `token-service-url`.",
    ),
    us(
        "no service index: {host} answered HTTP {status…}, a redirect, which is never followed",
        Case::Any,
        "The service index is somewhere else, or something on the way redirects.",
        "Set the input `source` to the final address; or find out what redirects.",
    ),
    us(
        "no service index: {host} answered HTTP 200, but ",
        Case::Any,
        "What is at the input `source` is no service index.",
        "Give the URL that `dotnet nuget push --source` takes; it ends in `index.json` as a rule.",
    ),
    us(
        "the TokenService/1.0.0 in the service index of {host} ",
        Case::Any,
        "The service index names a token service that no credential may be sent to.",
        "Those who run the registry have to give an https URL there.",
    ),
    us(
        "no service index: {host} answered HTTP 404",
        Case::Any,
        "There is no service index at the input `source`.",
        "Give the URL that `dotnet nuget push --source` takes; it ends in `index.json` as a rule.",
    ),
    us(
        "no API key from the token service: {host} answered HTTP 404",
        Case::Any,
        "{service} answered that there is nothing there.",
        "If you set the input `token-service-url`, check it, or remove it for nuget.org. If you did not, nuget.org's token \
         service may be switched off: try again later.",
    ),
    us(
        "no API key from the token service: {host} answered HTTP 429",
        Case::Any,
        "Too many logins as {user} in a short time.",
        "nuget.org allows one API key for a user every 30 seconds. Log in in one job, not in each of a matrix; or let it \
         wait longer: `timeout-seconds: 300`.",
    ),
    us(
        "no API key from the token service: {host} answered HTTP {status…}, a redirect, which is never followed",
        Case::Any,
        "The token service is somewhere else, or something on the way redirects.",
        "A credential goes to the host that was named, and nowhere else. Set `token-service-url` to the final address; or \
         find out what redirects.",
    ),
    us(
        "{host} answered HTTP {status…} with a web page instead of",
        Case::Any,
        "A web page came back: probably a proxy or a firewall answered, or the service has an outage.",
        "On a self-hosted runner, allow the host in the firewall, or set HTTPS_PROXY. On a hosted runner, run the job \
         again later.",
    ),
    us(
        "{host} answered HTTP 200, but ",
        Case::Any,
        "What answered is not the service that was asked.",
        "Is the input `token-service-url` right? Does something answer in the service's place: a proxy, or what an \
         overwritten ACTIONS_ID_TOKEN_REQUEST_URL names?",
    ),
    us(
        "{host} answered HTTP 5",
        Case::Any,
        "The service has a problem, usually a temporary one.",
        "Run the job again later. See https://www.githubstatus.com and https://status.nuget.org.",
    ),
    us(
        "{number} exchanges stayed without an answer, and each may have made an API key",
        Case::Any,
        "The token service got the ID tokens, and its answers were lost.",
        "Run the job again later. Keys that nobody holds expire by themselves, within the hour at nuget.org.",
    ),
    us(
        "cannot connect to {host}: TLS breaks off",
        Case::Any,
        "The other side's TLS has a problem, usually a temporary one.",
        "Run the job again later. If it stays, ask those who run that server, or a proxy that breaks TLS open.",
    ),
    us(
        "cannot connect to {host}: TLS fails",
        Case::Any,
        "The other side refuses TLS, or speaks none that this program knows.",
        "Is the URL right: does that port speak https, for that name? If it does, look for a firewall or a proxy that \
         breaks TLS open.",
    ),
    us(
        "cannot connect to {host}: ",
        Case::Any,
        "This runner can't reach {host}.",
        "On a self-hosted runner, allow it in the firewall, or set HTTPS_PROXY. On GitHub's runners, run the job again \
         later.",
    ),
];

#[cfg(test)]
mod tests {
    use super::super::{by_service, by_us};
    use super::*;

    /// A text of the catalogue in a cell of the README's table: blanks are names in italics, and each line of an
    /// example of YAML is code.
    fn cell(text: &str) -> String {
        let blank = |blank: &str| match blank.split_once('|') {
            Some((before, name)) => format!("`{}` *{name}*", before.trim()),
            None => format!("*{}*", blank.trim_end_matches('…')),
        };
        let parts = text.split(['{', '}']).enumerate();
        let text: String = parts.map(|(at, part)| if at % 2 == 0 { part.to_owned() } else { blank(part) }).collect();
        let line = |line: &str| match line.strip_prefix("    ") {
            Some(yaml) => Some(format!("`{}`", yaml.trim())),
            None => Some(line.to_owned()).filter(|line| !line.is_empty()),
        };
        text.lines().filter_map(line).collect::<Vec<_>>().join(" ")
    }

    fn message(advice: &Advice) -> String {
        let case = match advice.when {
            Case::Any => String::new(),
            case => format!(" ({})", case.in_words()),
        };
        // Where it ends inside a sentence.
        let ends_with = |ends: &[&str]| ends.iter().any(|end| advice.message.ends_with(end));
        let after = match () {
            () if ends_with(&[" ", ":", "(", ",", ", but"]) => " …",
            () if ends_with(&["HTTP 4", "HTTP 5"]) => "…",
            () => "",
        };
        format!("{}{after}{case}", cell(advice.message.trim()))
    }

    /// The table's rows; messages with the same advice share one.
    fn table() -> String {
        let mut rows: Vec<(Vec<String>, String)> = Vec::new();
        for advice in CATALOGUE {
            let what = [advice.cause, advice.mend].map(cell).join(" ");
            match rows.iter_mut().find(|(_, same)| *same == what) {
                Some((messages, _)) => messages.push(message(advice)),
                None => rows.push((vec![message(advice)], what)),
            }
        }
        let row = |(messages, what): (Vec<String>, String)| format!("| {} | {what} |", messages.join("<br>"));
        rows.into_iter().map(row).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_readme_has_every_message_with_its_advice() {
        let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let text = std::fs::read_to_string(readme).unwrap();
        let table = table();
        if std::env::var_os("UPDATE_README").is_some() {
            const MARKS: [&str; 2] = ["<!-- troubles -->\n", "\n<!-- /troubles -->"];
            let (before, rest) = text.split_once(MARKS[0]).unwrap();
            let (_, after) = rest.split_once(MARKS[1]).unwrap();
            let head = "\n| message | what it means, and what to do |\n|---|---|\n";
            std::fs::write(readme, [before, MARKS[0], head, &table, "\n", MARKS[1], after].concat()).unwrap();
            return;
        }
        assert!(text.contains(&table), "UPDATE_README=1 cargo test -p nuget-login --lib puts it there");
    }

    #[test]
    fn every_blank_is_one_of_the_message_or_a_fact() {
        let blanks = |text: &'static str| text.split(['{', '}']).skip(1).step_by(2);
        for advice in CATALOGUE {
            for blank in [advice.cause, advice.mend].into_iter().flat_map(blanks) {
                let name = blank.split_once('|').map_or(blank, |(_, name)| name);
                let is_fact = include_str!("context.rs").contains(&format!("(\"{name}\", "));
                let is_said = blanks(advice.message).any(|it| it.trim_end_matches('…') == name);
                assert!(is_fact || is_said, "{{{name}}} in: {}", advice.mend);
            }
        }
    }

    /// Each stands in a snapshot of what a user reads, with its message.
    #[test]
    fn every_advice_was_seen_from_outside() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/snapshots");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let accepted = files.filter(|path| path.extension().is_some_and(|extension| extension == "snap"));
        let shown: Vec<String> = accepted.map(|path| std::fs::read_to_string(path).unwrap()).collect();
        let is_in = |texts: [&str; 3], snapshot: &str| {
            let literals = texts.into_iter().flat_map(|text| text.split(['{', '}']).step_by(2));
            literals.flat_map(str::lines).all(|literal| snapshot.contains(literal.trim()))
        };
        let unseen = |advice: &&Advice| {
            !shown.iter().any(|snapshot| is_in([advice.message, advice.cause, advice.mend], snapshot))
        };
        let unseen: Vec<&str> = CATALOGUE.iter().filter(unseen).map(|advice| advice.message).collect();
        assert_eq!(unseen, [""; 0], "each needs a case in tests/cli/explanations.rs, and its snapshot");
    }

    #[test]
    fn each_message_has_its_own_advice_and_not_that_of_one_before_it() {
        for advice in CATALOGUE {
            let filled = |(at, part): (usize, &'static str)| match at % 2 {
                0 => part,
                _ if part.ends_with('…') => "5xx of it",
                _ => "x",
            };
            let said: String = advice.message.split(['{', '}']).enumerate().map(filled).collect();
            // Of one that a failure ends, that failure is looked at too.
            let wanted = ["no ID token from GitHub: ", "no service index: ", "no API key from the token service: "];
            let failure = wanted.iter().find_map(|wanted| said.strip_prefix(wanted)).unwrap_or_default();
            let fact = match advice.when {
                Case::Any => ("", ""),
                Case::Fork => ("fork", "x"),
                Case::Dependabot => ("actor", "dependabot[bot]"),
                Case::UserIsRepositoryOwner => ("repository owner", "me"),
                Case::Called => ("caller", "x"),
                Case::GitLab => ("gitlab", "x"),
                Case::EnterpriseIssuer => ("issuer", "https://token.actions.githubusercontent.com/x"),
            };
            let facts = Facts::from([("user", "me"), fact].map(|(name, value)| (name, value.to_owned())));
            let given = match advice.said_by {
                SaidBy::Service => by_service(&said, &facts),
                SaidBy::Us => Vec::from_iter(by_us(&[&said, failure], &facts)),
            };
            let given: Vec<_> = given.iter().map(|(given, _)| (given.message, given.when)).collect();
            assert_eq!(given, [(advice.message, advice.when)]);
        }
    }
}

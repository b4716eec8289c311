//! Mistakes in workflows that log in, and notes about such workflows: one function for each code. A finding is certain:
//! values that are not known have none.

use std::collections::BinaryHeap;

use crate::key::{self, Part};
use crate::login::{
    Delivery, KEY, Login, Project, ProjectJob, Scope, Use, User, can_request_id_token, is_nuget_org, reads_steps,
};
use crate::migrate::pushes_without_login;
use crate::model::{self, Action, File, Found, Job, Level, Place, Step, Uses, all_references, is_off};
use crate::permissions::{Block, OfCalled, entries, of_called, of_steps, raise};
use crate::push::{Push, Sources, Target, named_sources, pushes};
use crate::script::{Command, Shell, variable};
use crate::yaml::Node;

/// Errors make a login or a release fail; notes do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Error,
    Note,
}

macro_rules! codes {
    ($($severity:ident $name:ident $text:literal)*) => {
        /// What a finding is about. `docs/check.md` has a section for each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($name),* }

        impl Code {
            #[cfg(test)]
            pub const ALL: &[Code] = &[$(Code::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity),* }
            }
        }
    };
}

codes! {
    Error NotYaml "not-yaml"
    Error UnreadableFile "unreadable-file"
    Error InvalidWorkflow "invalid-workflow"
    Error NoIdTokenPermission "no-id-token-permission"
    Error CallerLacksIdToken "caller-lacks-id-token"
    Error CallerLacksPermissions "caller-lacks-permissions"
    Error MissingUser "missing-user"
    Error EmailUser "email-user"
    Error ForbiddenEvent "forbidden-event"
    Error ForeignReusableWorkflow "foreign-reusable-workflow"
    Error KeyNotUsed "key-not-used"
    Error WrongReference "wrong-reference"
    Error KeyCrossesJobs "key-crosses-jobs"
    Error StoredKey "stored-key"
    Error StepsNotAvailable "steps-not-available"
    Error ContextNotAvailable "context-not-available"
    Error EmptyVariable "empty-variable"
    Error KeyAlwaysEmpty "key-always-empty"
    Error ConflictingInputs "conflicting-inputs"
    Error NoLogin "no-login"
    Error ReleaseNeedsContentsWrite "release-needs-contents-write"
    Note NoContentsPermission "no-contents-permission"
    Note BuildBetween "build-between"
    Note KeyInScript "key-in-script"
    Note MatrixLogin "matrix-login"
    Note Unpinned "unpinned"
    Note SkipDuplicate "skip-duplicate"
    Note UserFromSecret "user-from-secret"
    Note LoginOnPullRequest "login-on-pull-request"
    Note CalledWorkflow "called-workflow"
}

/// An instruction, and YAML to paste where that is the fix.
#[derive(Debug, Clone)]
pub struct Fix {
    pub text: String,
    pub yaml: Option<String>,
}

impl Fix {
    fn text(text: impl Into<String>) -> Fix {
        Fix { text: text.into(), yaml: None }
    }

    fn paste(text: impl Into<String>, yaml: impl Into<String>) -> Fix {
        Fix { text: text.into(), yaml: Some(yaml.into()) }
    }
}

/// A mistake, or a note, at its place.
#[derive(Clone)]
pub struct Finding<'p, 'a> {
    pub code: Code,
    pub place: Place<'a>,
    /// The job that it is in.
    pub job: Option<ProjectJob<'p, 'a>>,
    /// Untrusted, as everything from a file.
    pub message: String,
    pub fixes: Vec<Fix>,
}

/// The findings of all files, in no order, and with repetitions where two jobs share a step or an action.
pub fn findings<'p, 'a>(project: &'p Project<'a>) -> Vec<Finding<'p, 'a>> {
    let mut report =
        Report { project, job: None, findings: Vec::new(), last: Vec::new(), inputs: Vec::new(), called: Vec::new() };
    for nth in 0..project.workflows.len() {
        report.workflow(nth);
    }
    for (job, place) in pushes_without_login(project) {
        report.job = Some(job);
        no_login(&mut report, job.job, place);
    }
    report.job = None;
    for action in &project.actions {
        report.action(action);
    }
    report.findings
}

struct Report<'p, 'a> {
    project: &'p Project<'a>,
    /// The job that is looked at.
    job: Option<ProjectJob<'p, 'a>>,
    findings: Vec<Finding<'p, 'a>>,
    /// The file and the line of the last finding of each code.
    last: Vec<(Code, *const File, usize)>,
    /// The inputs of the workflow whose callers were checked, and whether the login is for nuget.org.
    inputs: Vec<(String, bool)>,
    /// What workflows that are called have to get, by their paths.
    called: Vec<(&'a str, OfCalled)>,
}

/// The most inputs and outputs of a called workflow that are followed.
const MOST_VALUES_OF_CALL: usize = 50;

impl<'p, 'a> Report<'p, 'a> {
    fn add(&mut self, code: Code, place: Place<'a>, message: impl AsRef<str>, fix: Fix) {
        self.add_with_fixes(code, place, message.as_ref(), vec![fix]);
    }

    fn add_with_fixes(&mut self, code: Code, place: Place<'a>, message: &str, fixes: Vec<Fix>) {
        // Each line has a finding once: one line can be the whole file.
        let line = (std::ptr::from_ref(place.file), place.line());
        if self.last.contains(&(code, line.0, line.1)) {
            return;
        }
        self.last.retain(|(it, ..)| *it != code);
        self.last.push((code, line.0, line.1));
        self.findings.push(Finding { code, place, job: self.job, message: message.to_owned(), fixes });
    }

    /// What the workflow that a job calls has to get.
    fn of_called(&mut self, job: &Job<'a>) -> &OfCalled {
        let path = job.uses().map_or("", |(node, _)| node.text().unwrap_or_default());
        let known = self.called.iter().position(|(it, _)| *it == path);
        let nth = known.unwrap_or_else(|| {
            self.called.push((path, of_called(self.project, job)));
            self.called.len() - 1
        });
        &self.called[nth].1
    }

    fn workflow(&mut self, nth: usize) {
        let project = self.project;
        let logs_in = project.logs_in(nth);
        self.inputs.clear();
        let keys = if logs_in { key_references(project.jobs(nth)) } else { Vec::new() };
        let is_nuget_org =
            |it: ProjectJob<'p, 'a>| it.called_login().is_some() || it.logins().iter().any(|it| it.is_nuget_org);
        let is_nuget_org = project.jobs(nth).any(is_nuget_org);
        self.job = None;
        if logs_in {
            let file = project.workflows[nth].file;
            steps_not_available(self, file, file.document.root.get("env"), "the workflow");
        }
        for it in project.jobs(nth) {
            self.job = Some(it);
            foreign_reusable_workflow(self, it);
            if !logs_in {
                continue;
            }
            let logins = it.logins();
            let wiring = Wiring { steps: &it.job.steps, logins, keys: &keys };
            if let Some(login) = logins.iter().find(|login| !login.is_conditional_inside) {
                no_id_token_permission(self, it, login);
            }
            if !logins.is_empty() {
                key_crosses_jobs(self, it);
                login_on_pull_request(self, it);
                matrix_login(self, it);
                called_workflow(self, it);
                build_between(self, &wiring);
                skip_duplicate(self, it.job);
                users(self, it);
            }
            caller_lacks_permissions(self, it);
            forbidden_event(self, it);
            let env = it.job.node.get("env");
            steps_not_available(self, it.workflow.file, env, "a job");
            let blocks = [Some(it.job.node), it.job.permissions, env].into_iter().flatten();
            blocks.for_each(|block| merge_key(self, it.workflow.file, block));
            invalid_steps(self, &it.job.steps);
            wiring.check(self, |login| is_key_crossing(it, login) || is_key_in_env(it, login));
            unpinned(self, &it.job.steps, logins);
            if is_nuget_org {
                stored_key(self, it.job);
            }
            empty_variable(self, it.job);
            release_needs_contents_write(self, it.job);
            no_contents_permission(self, it);
        }
    }

    /// The mistakes in a local action, for all of its callers.
    fn action(&mut self, action: &'p Action<'a>) {
        let logins = self.project.logins(&action.steps);
        let outputs = action.outputs().into_iter().filter_map(|(_, value)| value);
        let outputs: Vec<_> = outputs.flat_map(|value| all_references(action.file, value, "outputs")).collect();
        let leaves = |login: &Login<'a>| outputs.iter().any(|found| login.is_used_by(found));
        Wiring { steps: &action.steps, logins: &logins, keys: &[] }.check(self, leaves);
        if !logins.is_empty() {
            context_not_available(self, action);
            invalid_steps(self, &action.steps);
        }
        unpinned(self, &action.steps, &logins);
    }
}

/// The names of the steps whose keys are read anywhere in a workflow, in jobs that have no step of that name.
fn key_references<'p, 'a: 'p>(jobs: impl Iterator<Item = ProjectJob<'p, 'a>>) -> Vec<(ProjectJob<'p, 'a>, String)> {
    let mut keys = Vec::new();
    for job in jobs {
        let ids = ids_of(&job.job.steps);
        for id in job.job.steps.iter().flat_map(Step::references).filter_map(names_key_of) {
            let at = ids.partition_point(|(it, _)| it.as_str() < id);
            if ids.get(at).is_none_or(|(it, _)| it != id) {
                keys.push((job, id.to_owned()));
            }
        }
    }
    keys
}

/// A name from a file in backticks.
fn code(name: &str) -> String {
    format!("`{name}`")
}

/// The block of permissions that a job needs, with this in it.
fn permissions_fix<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>, more: (&str, &str)) -> Fix {
    let mut all = vec![(more.0.to_owned(), more.1.to_owned())];
    let mut add = |block: Block| block.iter().for_each(|(name, level)| raise(&mut all, name, level));
    let block = job.permissions.filter(|block| block.is_mapping());
    if let Some(block) = block {
        add(entries(block));
    }
    // A block takes away what it does not name.
    if job.uses().is_some() {
        add(report.of_called(job).needed.clone());
    } else if job.permissions.is_none() {
        add(of_steps(report.project, job));
    } else if block.is_none() {
        // Not more than it had.
        add(of_steps(report.project, job).into_iter().map(|(name, _)| (name, "read".to_owned())).collect());
    }
    let id = job.id;
    let text = match job.node.get("permissions") {
        Some(_) => format!("replace the permissions of job `{id}`"),
        None => format!("add permissions to job `{id}`"),
    };
    let lines = all.iter().map(|(name, level)| format!("\n  {name}: {level}"));
    Fix::paste(text, format!("permissions:{}", lines.collect::<String>()))
}

/// What GitHub does not accept in steps: an id that is not valid or is there already, an expression in `uses`, and `<<`.
fn invalid_steps<'a>(report: &mut Report<'_, 'a>, steps: &[Step<'a>]) {
    let ids = ids_of(steps);
    for pair in ids.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let Some(id) = steps[pair[1].1].node.get("id") else { continue };
        let place = Place::of(steps[pair[1].1].file, id);
        let message = format!("another step already has the id {} (case is ignored): {REJECTED}", code(place.text()));
        report.add(Code::InvalidWorkflow, place, message, Fix::text("give each step an id of its own"));
    }
    for step in steps {
        let is_word = |id: &str| {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            id.bytes().all(is_known) && !id.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        };
        if let Some(id) = step.node.get("id").filter(|_| step.id().is_some_and(|id| !is_word(id))) {
            let place = Place::of(step.file, id);
            let message = format!("{} is not a valid id: {REJECTED}", code(place.text()));
            let fix = "use letters, digits, `_` and `-`, and begin with a letter or `_`";
            report.add(Code::InvalidWorkflow, place, message, Fix::text(fix));
        }
        if let Some(uses) = step.node.get("uses").filter(|uses| uses.text().is_some_and(|text| text.contains("${{"))) {
            let message = format!("`uses` cannot contain an expression: {REJECTED}");
            let fix = Fix::text("write the action and its version without an expression");
            report.add(Code::InvalidWorkflow, Place::of(step.file, uses), message, fix);
        }
        let blocks = [Some(step.node), step.node.get("with"), step.node.get("env")].into_iter().flatten();
        blocks.for_each(|block| merge_key(report, step.file, block));
    }
}

/// GitHub has anchors and aliases, but no merge keys.
fn merge_key<'a>(report: &mut Report<'_, 'a>, file: &'a File, block: &'a Node) {
    if let Some((key, _)) = block.entry("<<").filter(|(_, value)| value.text().is_none()) {
        let message = format!("merge keys are not supported: {REJECTED}");
        let fix = Fix::text("replace `<<` with the entries");
        report.add(Code::InvalidWorkflow, Place::of(file, key), message, fix);
    }
}

const REJECTED: &str = "GitHub rejects this file";

/// The ids of steps in lower case and the numbers of the steps, sorted.
fn ids_of(steps: &[Step<'_>]) -> Vec<(String, usize)> {
    let ids = steps.iter().enumerate().filter_map(|(nth, step)| Some((step.id()?.to_lowercase(), nth)));
    BinaryHeap::from_iter(ids).into_sorted_vec()
}

fn no_id_token_permission<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>, login: &Login<'a>) {
    if can_request_id_token(it.workflow, it.job) != Some(false) {
        return;
    }
    let why = match (it.job.permissions, it.job.node.get("permissions")) {
        (None, _) => "it has no `permissions`, and the default does not include `id-token: write`",
        (_, Some(_)) => "its `permissions` do not include `id-token: write`",
        (_, None) => "the workflow's `permissions` do not include `id-token: write`",
    };
    let message = format!("job `{}` cannot request an ID token: {why}", it.job.id);
    let fix = permissions_fix(report, it.job, ("id-token", "write"));
    report.add(Code::NoIdTokenPermission, login.place.clone(), message, fix);
}

/// `caller-lacks-id-token` and `caller-lacks-permissions`.
fn caller_lacks_permissions<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (Some(called), Some((uses, _))) = (it.called_login(), it.job.uses()) else { return };
    let lacks_id_token = can_request_id_token(it.workflow, it.job) == Some(false);
    let mut lacking = Vec::new();
    for (name, level) in &report.of_called(it.job).requested {
        let granted = match it.job.permissions {
            Some(block) => model::level(block, name),
            // The default depends on the repository, but never includes this one.
            None if name == "id-token" && lacks_id_token => Level::None,
            None => Level::Unknown,
        };
        let is_less = match granted {
            Level::None => matches!(level.as_str(), "read" | "write"),
            Level::Read => level == "write",
            Level::Write | Level::Unknown => false,
        };
        if is_less {
            lacking.push((name.clone(), level.clone()));
        }
    }
    let requests_id_token = lacking.iter().any(|(name, level)| name == "id-token" && level == "write");
    let (job, path) = (it.job.id, &called.file.path);
    let (code, more, message) = if requests_id_token || lacks_id_token && it.calls_login_that_needs_token() {
        let message = format!("job `{job}` calls {path}, which logs in, but does not grant `id-token: write`");
        (Code::CallerLacksIdToken, ("id-token", "write"), message)
    } else if let Some((name, level)) = lacking.first() {
        let all = lacking.iter().map(|(name, level)| code(&format!("{name}: {level}"))).collect::<Vec<_>>().join(", ");
        let message = format!(
            "job `{job}` calls {path}, but does not grant {all}, which a job there requests: GitHub does not start the run"
        );
        (Code::CallerLacksPermissions, (name.as_str(), level.as_str()), message)
    } else {
        return;
    };
    let fix = permissions_fix(report, it.job, more);
    report.add(code, Place::of(it.workflow.file, uses), message, fix);
}

/// `missing-user`, `email-user` and `user-from-secret`.
fn users<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    for login in it.logins() {
        match &login.user {
            User::Input(name, place) => {
                let input = (name.clone(), login.is_nuget_org);
                if report.inputs.contains(&input) || report.inputs.len() >= MOST_VALUES_OF_CALL {
                    continue;
                }
                report.inputs.push(input);
                let is_certain = it.is_unconditional() && it.always_runs(login);
                let users = passed_users(it, name, place).into_iter();
                for user in users.filter(|user| is_certain || !matches!(user, User::Missing(..))) {
                    user_finding(report, login, user);
                }
            }
            user => user_finding(report, login, user.clone()),
        }
    }
}

/// The users that the callers give to an input of the workflow.
fn passed_users<'a>(it: ProjectJob<'_, 'a>, name: &str, inner: &Place<'a>) -> Vec<User<'a>> {
    let default = || it.workflow.call("inputs")?.entry_ignoring_case(name)?.1.get("default")?.text();
    let passed = |caller: ProjectJob<'_, 'a>| {
        let (uses, _) = caller.job.uses()?;
        let (text, place) = match caller.job.node.get("with").and_then(|with| with.entry_ignoring_case(name)) {
            Some(entry) => (entry.1.text(), Place::of_entry(caller.workflow.file, entry)),
            None => (default(), inner.clone()),
        };
        Some(match text.unwrap_or_default().trim() {
            "" => User::Missing(name.to_owned(), Place::of(caller.workflow.file, uses)),
            text if text.contains("${{") => User::Unknown,
            text => User::Literal(text.to_owned(), place),
        })
    };
    it.callers().into_iter().filter_map(passed).collect()
}

fn user_finding<'a>(report: &mut Report<'_, 'a>, login: &Login<'a>, user: User<'a>) {
    let profile_name =
        |input: &str| format!("set `{input}` to the nuget.org profile name of the person who created the trust policy");
    match user {
        User::Missing(input, place) => {
            let similar = report.job.and_then(|it| it.job.steps.get(login.step)?.input("username"));
            let message = match similar {
                Some(_) if input == "user" => {
                    "the login has no `user`, but has `username`: did you mean `user`?".to_owned()
                }
                _ if input == "user" => "the login has no `user`".to_owned(),
                _ => format!("the login has no `user`: the input `{input}` is not set"),
            };
            let with = |value: &str| format!("with:\n  {input}: ${{{{ {value} }}}}");
            let fixes = match place.file.is_action() {
                true => {
                    let read = Fix::paste("and read it", with(&format!("inputs.{input}")));
                    input_of_action(&input, read, "vars.NUGET_USER")
                }
                false => vec![Fix::paste(profile_name(&input), with("vars.NUGET_USER"))],
            };
            report.add_with_fixes(Code::MissingUser, place, &message, fixes);
        }
        User::Literal(user, place) if is_expression_without_braces(&user) => {
            let message = format!("the login has no `user`: `{user}` is not an expression");
            let fix = Fix::text(format!("replace it with `${{{{ {user} }}}}`"));
            report.add(Code::MissingUser, place, message, fix);
        }
        // Another registry can accept e-mail addresses.
        User::Literal(user, place) if user.contains('@') && login.is_nuget_org => {
            let message = format!("`user` is an e-mail address, but nuget.org expects a profile name: `{user}`");
            report.add(Code::EmailUser, place, message, Fix::text(profile_name("user")));
        }
        // `secrets` is not available in an action.
        User::Secret(place) if !place.file.is_action() => {
            let message = "`user` is read from a secret, so GitHub masks the name in error messages and policies";
            let fix = Fix::paste("store the name as a variable", "user: ${{ vars.NUGET_USER }}");
            report.add(Code::UserFromSecret, place, message, fix);
        }
        _ => {}
    }
}

/// Whether a text is a name in a context, such as `vars.NUGET_USER`.
fn is_expression_without_braces(text: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let name = text.split_once('.').filter(|(context, _)| matches!(*context, "vars" | "secrets" | "env" | "inputs"));
    name.is_some_and(|(_, name)| !name.is_empty() && is_name(name))
}

fn forbidden_event<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (Some(event), Some((on, _))) = (it.workflow.event("pull_request_target"), it.workflow.on) else { return };
    let is_only_event = it.workflow.events.len() == 1;
    let logs_in = match is_only_event {
        true => it.logins().iter().any(|login| !login.is_conditional_inside),
        false => it.has_unconditional_login() && it.is_unconditional(),
    };
    // A condition in the called workflow can exclude the event.
    let calls_login = it.always_calls_login() && (is_only_event || it.is_unconditional());
    if logs_in || calls_login {
        let (event, on) = (Place::of(it.workflow.file, event), Place::of(it.workflow.file, on));
        let place = if event.line() == on.line() { event } else { on };
        let message = format!("job `{}` logs in for `pull_request_target`, an event that nuget.org rejects", it.job.id);
        let fix = "publish on another event, and remove conditions that hold for pull requests only";
        let fix = Fix::paste(fix, "on:\n  push:\n    tags: [\"v*\"]");
        report.add(Code::ForbiddenEvent, place, message, fix);
    }
}

/// A workflow of another repository cannot be read. It is known to log in where it gets a nuget.org user and the permission,
/// and no secret that could be a key.
fn foreign_reusable_workflow<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let job = it.job;
    let Some((uses, Uses::Remote { owner, name, path, .. })) = job.uses() else { return };
    let inputs = job.node.get("with").map_or(&[][..], Node::entries);
    let is_user = |(key, _): &(Node, Node)| {
        let key = key.text().unwrap_or_default().to_lowercase();
        key.contains("user") && key.contains("nuget") || key == "user"
    };
    let is_push = path.to_lowercase().contains("nuget") && inputs.iter().any(is_user);
    if !is_push || job.level("id-token") != Some(Level::Write) || job.node.get("secrets").is_some() {
        return;
    }
    let message = format!(
        "job {} logs in within a workflow of another repository, {owner}/{name}, which nuget.org rejects",
        code(job.id)
    );
    let fix = Fix::text("copy the called workflow into this repository, or log in and push in a job of this workflow");
    report.add(Code::ForeignReusableWorkflow, Place::of(it.workflow.file, uses), message, fix);
}

/// How steps hand the key on.
struct Wiring<'w, 'p, 'a> {
    steps: &'w [Step<'a>],
    logins: &'w [Login<'a>],
    /// The steps whose keys are read in the workflow, by the jobs that read them.
    keys: &'w [(ProjectJob<'p, 'a>, String)],
}

impl<'a> Wiring<'_, '_, 'a> {
    /// `key-not-used`, `wrong-reference` and `key-in-script`. `leaves` is whether an output or a variable passes
    /// a key on.
    fn check(&self, report: &mut Report<'_, 'a>, leaves: impl Fn(&Login<'a>) -> bool) {
        let has_wrong_reference = self.wrong_references(report);
        for login in self.logins {
            // What a local action does with the key is its own finding.
            let is_inner = login.is_local && login.key_outputs.is_empty();
            let job = report.job;
            let is_read_elsewhere = |(reader, id): &(ProjectJob<'_, 'a>, String)| {
                login.id.is_some_and(|it| it.eq_ignore_ascii_case(id)) && job.is_some_and(|job| !job.is(reader))
            };
            let is_elsewhere = is_inner || has_wrong_reference || leaves(login) || self.is_used(login);
            if !is_elsewhere && !self.keys.iter().any(is_read_elsewhere) {
                self.key_not_used(report, login);
            }
        }
        self.keys_in_scripts(report);
        for login in self.logins {
            self.inputs(report, login);
        }
    }

    /// `key-always-empty` and `conflicting-inputs`.
    fn inputs(&self, report: &mut Report<'_, 'a>, login: &Login<'a>) {
        if let Some((why, fix, place)) = &login.conflict {
            report.add(Code::ConflictingInputs, place.clone(), *why, Fix::text(*fix));
        }
        let later = self.steps[login.step + 1..].iter().filter(|_| login.is_check_only).flat_map(Step::references);
        for found in later.filter(|found| found.within != "if" && login.read_by(found) == Use::Key) {
            let message = format!("`{}` is always empty: the login has `check-only: true`", found.place.text());
            let fixes = vec![Fix::text("remove `check-only` from the login"), Fix::text("or remove the push")];
            report.add_with_fixes(Code::KeyAlwaysEmpty, found.place.clone(), &message, fixes);
        }
    }

    fn is_used(&self, login: &Login<'a>) -> bool {
        login.delivery == Delivery::Elsewhere || login.used_inside || self.last_use(login).is_some()
    }

    /// The last step that reads the key. A condition that only tests it does not use it.
    fn last_use(&self, login: &Login<'a>) -> Option<usize> {
        let reads = |step: &Step<'a>| step.references().iter().any(|it| it.within != "if" && login.is_used_by(it));
        (login.step + 1..self.steps.len()).rev().find(|nth| reads(&self.steps[*nth]))
    }

    fn key_not_used(&self, report: &mut Report<'_, 'a>, login: &Login<'a>) {
        let reads = |step: &Step<'a>| step.references().iter().any(|it| login.is_used_by(it));
        let pushes = |step: &&Step<'a>| step.script().commands.iter().any(|command| Push::of(command).is_some());
        let give_key = |id: &str| match self.steps[login.step + 1..].iter().find(pushes) {
            Some(step) => give_key_to(step, id, login),
            None => give_key(id, login),
        };
        let (why, fixes) = match login.id {
            None => {
                let expected = self.expected_id(login);
                let id = expected.as_deref().unwrap_or("login");
                let mut fixes = vec![Fix::paste("add an id to the login step", format!("id: {id}"))];
                if expected.is_none() {
                    let fix = give_key(id);
                    fixes.push(Fix { text: format!("and {}", fix.text), ..fix });
                }
                ("the step has no `id`, so no other step can read its output", fixes)
            }
            Some(id) if self.steps[..login.step].iter().any(reads) => {
                let fix = format!("move step `{}` before the step that pushes", id);
                ("only earlier steps read its output", vec![Fix::text(fix)])
            }
            Some(id) => ("no later step of the job reads its output", vec![give_key(id)]),
        };
        let message = format!("the API key of this login is not used: {why}");
        report.add_with_fixes(Code::KeyNotUsed, login.place.clone(), &message, fixes);
    }

    /// The id of a step that does not exist, and whose key a later step reads.
    fn expected_id(&self, login: &Login<'a>) -> Option<String> {
        let later = &self.steps[login.step + 1..];
        let ids = later.iter().flat_map(Step::references).filter_map(names_key_of);
        ids.filter(|id| !self.steps.iter().any(|step| step.is(id))).map(str::to_owned).next()
    }

    /// Whether there was a wrong reference.
    fn wrong_references(&self, report: &mut Report<'_, 'a>) -> bool {
        let mut any = false;
        for (step, found) in self.steps.iter().flat_map(|step| step.references().iter().map(move |it| (step, it))) {
            let Some((why, login)) = self.wrong(report, found) else { continue };
            any = true;
            let fix = match login.and_then(|login| Some((login.id?, login))) {
                // In a script, the expression would be replaced with the key itself.
                Some((id, login)) if found.within == "run" => give_key_to(step, id, login),
                Some((id, login)) => Fix::text(format!("replace it with `{}`", key_of(id, login))),
                None => {
                    let text =
                        "add the login to this job, before the push: GitHub does not pass masked values between jobs";
                    Fix::paste(text, login_step(names_key_of(found).unwrap_or("nuget-login")))
                }
            };
            let message = format!("`{}` is always empty: {why}", found.place.text());
            report.add(Code::WrongReference, found.place.clone(), message, fix);
        }
        any
    }

    /// Why a reference to a key cannot give one, and the login that is meant.
    fn wrong(&self, report: &Report<'_, 'a>, found: &Found<'a>) -> Option<(String, Option<&Login<'a>>)> {
        if let Some(login) = self.logins.iter().find(|login| login.read_by(found) == Use::Wrong) {
            let is_key_of_other = self.logins.iter().any(|login| login.is_used_by(found));
            return (!is_key_of_other).then(|| ("the login step has no such output".to_owned(), Some(login)));
        }
        let id = names_key_of(found)?;
        if self.logins.iter().any(|login| login.read_by(found) != Use::Unrelated) {
            return None;
        }
        let meant = self.logins.iter().find(|login| login.id.is_some());
        let is_login_of_other_job = || {
            let mut logins = report.job.into_iter().flat_map(ProjectJob::others).flat_map(|job| job.logins());
            logins.any(|login| login.id.is_some_and(|it| it.eq_ignore_ascii_case(id)))
        };
        match self.steps.iter().find(|step| step.is(id)) {
            Some(step) if cannot_have_key(report, step) => Some((format!("step `{id}` does not log in"), meant)),
            Some(_) => None,
            None if meant.is_some() => Some((format!("this job has no step with the id `{id}`"), meant)),
            // A login without an id is the mistake then.
            None if !self.logins.is_empty() => None,
            None => is_login_of_other_job().then(|| (format!("step `{id}` is in another job"), None)),
        }
    }

    fn keys_in_scripts(&self, report: &mut Report<'_, 'a>) {
        let reads = |found: &Found<'a>| self.logins.iter().any(|login| login.read_by(found) == Use::Key);
        for step in self.steps.iter().filter(|step| step.run().is_some()) {
            for found in step.references().iter().filter(|found| found.within == "run") {
                let is_key = match found.reference.of("env").and_then(|name| step.variable(name)) {
                    Some(value) => all_references(step.file, value, "env").iter().any(reads),
                    None => reads(found),
                };
                if is_key {
                    let message = "the script contains the API key itself: GitHub writes the expanded script to a file";
                    let reference = found.place.text();
                    let own =
                        found.reference.of("env").and_then(|name| step.node.get("env")?.entry_ignoring_case(name));
                    let fix = match own.and_then(|(name, _)| name.text()) {
                        Some(name) => Fix::text(format!("replace the expression with {}", variable_in(step, name))),
                        None => Fix::paste(
                            format!(
                                "add it to the environment of the step, and use {} in the script",
                                variable_in(step, "NUGET_API_KEY")
                            ),
                            format!("env:\n  NUGET_API_KEY: ${{{{ {reference} }}}}"),
                        ),
                    };
                    report.add(Code::KeyInScript, found.place.clone(), message, fix);
                }
            }
        }
    }
}

/// A variable as the script of a step reads it, in backticks.
fn variable_in(step: &Step<'_>, name: &str) -> String {
    match step.shell() {
        Shell::Posix if step.is_shell_known() => format!("`\"${name}\"`"),
        Shell::Posix => format!("`\"${name}\"` (PowerShell: `$env:{name}`)"),
        Shell::PowerShell => format!("`$env:{name}`"),
        Shell::Cmd => format!("`%{name}%`"),
        Shell::Other => format!("the variable `{name}`"),
    }
}

/// The expression that reads a login's key.
fn key_of(id: &str, login: &Login<'_>) -> String {
    let output = login.key_outputs.first().map_or(KEY, String::as_str);
    let output = if output == KEY { "NUGET_API_KEY" } else { output };
    format!("steps.{id}.outputs.{output}")
}

/// The same in the environment of the step that pushes.
fn key_variable(id: &str, login: &Login<'_>) -> String {
    format!("env:\n  NUGET_API_KEY: ${{{{ {} }}}}", key_of(id, login))
}

fn give_key(id: &str, login: &Login<'_>) -> Fix {
    let text = "give the key to the step that pushes, and push with `--api-key \"$NUGET_API_KEY\"` (PowerShell: \
                `$env:NUGET_API_KEY`)";
    Fix::paste(text, key_variable(id, login))
}

/// The same for the shell of the step that pushes.
fn give_key_to(step: &Step<'_>, id: &str, login: &Login<'_>) -> Fix {
    let value = variable_in(step, "NUGET_API_KEY").replacen('`', "`--api-key ", 1);
    Fix::paste(format!("give the key to the step that pushes, and push with {value}"), key_variable(id, login))
}

/// A login to paste.
fn login_step(id: &str) -> String {
    format!(
        "- name: NuGet login\n  id: {id}\n  uses: org/nuget-login@v1\n  with:\n    user: ${{{{ vars.NUGET_USER }}}}"
    )
}

/// The step whose key a reference reads, by the output's name.
fn names_key_of<'f>(found: &'f Found<'_>) -> Option<&'f str> {
    match found.reference.names()[..] {
        [Some("steps"), Some(id), Some("outputs"), Some(KEY)] => Some(id),
        _ => None,
    }
}

/// Whether it is known that a step has no output with a key.
fn cannot_have_key(report: &Report<'_, '_>, step: &Step<'_>) -> bool {
    match step.uses() {
        // Actions that read vaults have the outputs that their inputs name.
        Some((_, Uses::Remote { .. })) => !step.text().to_lowercase().contains("nuget"),
        Some((_, Uses::Local(path))) => report.project.action(&path).is_some_and(|action| {
            !action.steps.is_empty() && action.outputs().iter().all(|(name, _)| !name.eq_ignore_ascii_case(KEY))
        }),
        // Any other program can write outputs.
        None => {
            let is_known = |command: &Command| {
                matches!(command.program().as_str(), "echo" | "git" | "gh" | "cd" | "mkdir" | "cp" | "mv" | "ls")
                    || is_build(command)
                    || Push::of(command).is_some()
            };
            let commands = &step.script().commands;
            !commands.is_empty() && commands.iter().all(is_known) && !step.text().to_lowercase().contains(KEY)
        }
    }
}

/// The outputs of a job with the key of one of its logins: their names, and the references.
fn outputs_with_keys<'a>(it: ProjectJob<'_, 'a>, is_of: impl Fn(&Found<'a>) -> bool) -> Vec<(String, Place<'a>)> {
    let mut outputs = Vec::new();
    for (name, value) in it.job.node.get("outputs").map_or(&[][..], Node::entries) {
        let references = all_references(it.workflow.file, value, "outputs");
        if let (Some(name), Some(found)) = (name.text(), references.into_iter().find(&is_of)) {
            outputs.push((name.to_lowercase(), found.place));
        }
    }
    outputs
}

/// Whether the key of a login goes to another job by an output, which is an error of its own.
fn is_key_crossing<'a>(it: ProjectJob<'_, 'a>, login: &Login<'a>) -> bool {
    !outputs_with_keys(it, |found| login.read_by(found) == Use::Key).is_empty()
}

/// Whether a variable of the job or the workflow reads the key of a login, which is an error of its own.
fn is_key_in_env<'a>(it: ProjectJob<'_, 'a>, login: &Login<'a>) -> bool {
    let file = it.workflow.file;
    let blocks = [it.job.node.get("env"), file.document.root.get("env")];
    blocks.into_iter().flatten().any(|env| all_references(file, env, "env").iter().any(|it| login.is_used_by(it)))
}

const CROSSES: &str = "GitHub does not pass masked values between jobs, so the API key cannot leave its job";

fn key_crosses_jobs<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let fix = || Fix::text("move the login to the job that pushes, directly before the push");
    let outputs = outputs_with_keys(it, |found| it.logins().iter().any(|login| login.read_by(found) == Use::Key));
    for (_, place) in &outputs {
        report.add(Code::KeyCrossesJobs, place.clone(), CROSSES, fix());
    }
    let is_key = |output: &str| output == KEY || outputs.iter().any(|(name, _)| name == output);
    needed_keys(report, it, &is_key);
    let mut of_workflow = Vec::new();
    for (name, output) in it.workflow.call("outputs").map_or(&[][..], Node::entries).iter().take(MOST_VALUES_OF_CALL) {
        let Some(value) = output.get("value") else { continue };
        for found in all_references(it.workflow.file, value, "outputs") {
            if reads_output(&found, "jobs", it.job.id, &is_key) {
                of_workflow.push(name.text().unwrap_or_default().to_lowercase());
                report.add(Code::KeyCrossesJobs, found.place, CROSSES, fix());
            }
        }
    }
    if !of_workflow.is_empty() {
        for caller in it.callers() {
            needed_keys(report, caller, &|output| of_workflow.iter().any(|it| it == output));
        }
    }
}

fn reads_output(found: &Found<'_>, context: &str, job: &str, is_key: &dyn Fn(&str) -> bool) -> bool {
    matches!(found.reference.names()[..], [Some(it), Some(id), Some("outputs"), Some(output)]
        if it == context && id.eq_ignore_ascii_case(job) && is_key(output))
}

/// Reports each line that reads such an output of a job.
fn needed_keys<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>, is_key: &dyn Fn(&str) -> bool) {
    for other in it.dependents() {
        for found in other.job.needed(it.workflow.file) {
            if reads_output(found, "needs", it.job.id, is_key) {
                let login = format!("add the login to job `{}`, directly before the push", other.job.id);
                let mut fixes = vec![
                    Fix::paste(login, login_step("nuget-login")),
                    Fix::text("and replace the output with `steps.nuget-login.outputs.NUGET_API_KEY`"),
                ];
                if can_request_id_token(it.workflow, other.job) == Some(false) {
                    let fix = permissions_fix(report, other.job, ("id-token", "write"));
                    fixes.push(Fix { text: format!("and {}", fix.text), ..fix });
                }
                fixes.push(Fix::text(format!("and remove the login from job `{}`", it.job.id)));
                report.add_with_fixes(Code::KeyCrossesJobs, found.place.clone(), CROSSES, fixes);
            }
        }
    }
}

/// A push to nuget.org by a secret, in a workflow that logs in.
fn stored_key<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    let names = named_sources(&job.steps);
    for step in job.steps.iter().filter(|step| !is_off(step.node) && !is_off(job.node)) {
        let scope = Scope { step, action: None };
        stored_keys_of(report, scope, &names);
        match step.uses() {
            Some((_, Uses::Local(path))) => {
                let Some(action) = report.project.action(&path) else { continue };
                let names = names.iter().cloned().chain(named_sources(&action.steps)).collect::<Vec<_>>();
                for inner in &action.steps {
                    stored_keys_of(report, Scope { step: inner, action: Some((action, step)) }, &names);
                }
            }
            Some((_, Uses::Remote { .. })) => stored_key_input(report, step),
            None => {}
        }
    }
}

fn stored_keys_of<'a>(report: &mut Report<'_, 'a>, scope: Scope<'_, 'a>, names: &[(String, String)]) {
    let sources = Sources::new(scope, names);
    for push in pushes(scope.step.script()) {
        if sources.target(&push) == Target::NugetOrg {
            let parts = match &push.key {
                Some(word) => key::of_word(scope, word),
                None => key::of_variable(scope, "NUGET_API_KEY").unwrap_or_default(),
            };
            stored_key_finding(report, scope.step, &parts);
        }
    }
}

/// Reports the secrets that a key is made of, if it is not that of a login with a secret as its substitute.
fn stored_key_finding<'a>(report: &mut Report<'_, 'a>, step: &Step<'a>, parts: &[Part<'a>]) {
    let is_of_step = |part: &Part<'_>| match part {
        Part::Login => true,
        Part::Elsewhere(place) => place.text().starts_with("steps"),
        _ => false,
    };
    if parts.iter().any(is_of_step) {
        return;
    }
    for secret in parts.iter().filter_map(Part::secret) {
        stored_secret(report, step, secret.place.clone());
    }
}

fn stored_secret<'a>(report: &mut Report<'_, 'a>, step: &Step<'a>, place: Place<'a>) {
    let message = format!("the push to nuget.org uses a stored key, `{}`, in place of the login's", place.text());
    let logins = report.job.map_or(&[][..], |job| job.logins());
    let variable = report.job.and_then(|it| outer_variable(it, &place));
    let is_in_script = step.run().is_some_and(|run| contains(run, &place)) && std::ptr::eq(step.file, place.file);
    let login = logins.iter().find(|login| login.id.is_some()).or(logins.first());
    // The id that `key-not-used` proposes.
    let login = login.map(|login| (login.id.unwrap_or("login"), login));
    let fixes = match (login, variable) {
        (None, name) => {
            let name = name.unwrap_or("NUGET_API_KEY");
            let variable = format!("env:\n  {name}: ${{{{ steps.nuget-login.outputs.NUGET_API_KEY }}}}");
            vec![
                Fix::paste("add the login to this job, before the push", login_step("nuget-login")),
                Fix::paste("and give its key to the step that pushes, and remove the secret", variable),
            ]
        }
        // Other contexts than `steps` are available there.
        (Some((id, login)), Some(name)) => vec![Fix::paste(
            "remove this line, and add to the step that pushes",
            format!("env:\n  {name}: ${{{{ {} }}}}", key_of(id, login)),
        )],
        // In a script, the expression would be replaced with the key itself.
        (Some((id, login)), None) if is_in_script => vec![give_key_to(step, id, login)],
        (Some((id, login)), None) => vec![Fix::text(format!("replace it with `{}`", key_of(id, login)))],
    };
    report.add_with_fixes(Code::StoredKey, place, &message, fixes);
}

/// Whether a value of the file is written around a place.
fn contains(node: &Node, place: &Place<'_>) -> bool {
    node.at().contains(&place.at.start)
}

/// The variable of the job or of the workflow that is defined at a place.
fn outer_variable<'a>(it: ProjectJob<'_, 'a>, place: &Place<'a>) -> Option<&'a str> {
    let file = it.workflow.file;
    let blocks = [it.job.node.get("env"), file.document.root.get("env")];
    let mut entries = blocks.into_iter().flatten().filter(|_| std::ptr::eq(file, place.file)).flat_map(Node::entries);
    entries.find(|(_, value)| contains(value, place))?.0.text()
}

/// GitHub rejects a file that reads `steps` in the variables of a job or of the workflow.
fn steps_not_available<'a>(report: &mut Report<'_, 'a>, file: &'a File, env: Option<&'a Node>, owner: &str) {
    for (name, value) in env.map_or(&[][..], Node::entries) {
        for found in all_references(file, value, "env").into_iter().filter(|found| reads_steps(&found.reference)) {
            let message = format!("`steps` is not available in the `env` of {owner}: GitHub rejects this file");
            let line = format!("env:\n  {}: ${{{{ {} }}}}", name.text().unwrap_or_default(), found.place.text());
            let fix = Fix::paste("remove this line, and add to the step that needs the value", line);
            report.add(Code::StepsNotAvailable, found.place, message, fix);
        }
    }
}

/// An action that reads `vars` or `secrets` fails when it is loaded: "Unrecognized named-value" (actions/runner,
/// `action_yaml.json`).
fn context_not_available<'a>(report: &mut Report<'_, 'a>, action: &Action<'a>) {
    for found in action.steps.iter().flat_map(Step::references) {
        let names = found.reference.names();
        let Some(context @ ("vars" | "secrets")) = names[0] else { continue };
        let message = format!("`{context}` is not available in an action: GitHub rejects the action");
        let fixes = match names.get(1) {
            Some(Some(name)) => {
                let input = if name.ends_with("user") { "user".to_owned() } else { name.replace('_', "-") };
                let read = Fix::text(format!("and replace it with `inputs.{input}`"));
                input_of_action(&input, read, found.place.text())
            }
            _ => vec![Fix::text("add inputs to the action, and set them in each step that uses it")],
        };
        report.add_with_fixes(Code::ContextNotAvailable, found.place.clone(), &message, fixes);
    }
}

/// What gives a value to an action: its input, where that is read, and the steps that use the action.
fn input_of_action(input: &str, read: Fix, value: &str) -> Vec<Fix> {
    vec![
        Fix::paste("add an input to the action", format!("inputs:\n  {input}:\n    required: true")),
        read,
        Fix::paste("and set it in each step that uses the action", format!("with:\n  {input}: ${{{{ {value} }}}}")),
    ]
}

/// A push without any key, where only a login is missing.
fn no_login<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>, place: Place<'a>) {
    let message = format!(
        "the push to nuget.org has no API key: job {} can request an ID token, but does not log in",
        code(job.id)
    );
    let run = Fix::text("run `nuget-login migrate`, which adds the login and gives its key to the push");
    let paste = Fix::paste("or add the login before the push", login_step("nuget-login"));
    let variable = Fix::paste(
        "and give its key to the push",
        "env:\n  NUGET_API_KEY: ${{ steps.nuget-login.outputs.NUGET_API_KEY }}",
    );
    report.add_with_fixes(Code::NoLogin, place, &message, vec![run, paste, variable]);
}

/// A key that another shell than the step's would read: the push has none.
fn empty_variable<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    for step in job.steps.iter().filter(|step| step.is_shell_known() && !is_off(step.node)) {
        for word in pushes(step.script()).into_iter().filter_map(|push| push.key) {
            let text = word.text.trim();
            let Some(name) = variable(text).filter(|name| step.variable(name).is_some()) else { continue };
            let is_environment = ["$env:", "${env:"].iter().any(|it| text.to_lowercase().starts_with(it));
            let is_read = match step.shell() {
                Shell::PowerShell => is_environment || step.script().assigned(name, word.at.start).is_some(),
                Shell::Posix => text.starts_with('$') && !is_environment,
                Shell::Cmd => text.starts_with('%'),
                Shell::Other => true,
            };
            if !is_read {
                let message =
                    format!("the push has no key: the shell of this step does not read the variable by `{text}`");
                let fix = Fix::text(format!("write {}", variable_in(step, name)));
                report.add(Code::EmptyVariable, step.place_in_script(word.at), message, fix);
            }
        }
    }
}

/// A third-party action that is given nuget.org and a secret as its key.
fn stored_key_input<'a>(report: &mut Report<'_, 'a>, step: &Step<'a>) {
    let inputs = step.node.get("with").map_or(&[][..], Node::entries);
    let names_nuget_org = inputs.iter().filter_map(|(_, value)| value.text()).any(|text| is_nuget_org(text.trim()));
    if !names_nuget_org {
        return;
    }
    for (name, value) in inputs {
        if name.text().is_some_and(|name| name.to_lowercase().contains("key")) {
            stored_key_finding(report, step, &key::of_input(Scope { step, action: None }, value));
        }
    }
}

/// Actions that write a release, in lower case.
const RELEASE_ACTIONS: [&str; 10] = [
    "softprops/action-gh-release",
    "ncipollo/release-action",
    "actions/create-release",
    "actions/upload-release-asset",
    "svenstaro/upload-release-action",
    "marvinpinto/action-automatic-releases",
    "googleapis/release-please-action",
    "google-github-actions/release-please-action",
    "release-drafter/release-drafter",
    "elgohr/github-release-action",
];

fn release_needs_contents_write<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    if !matches!(job.level("contents"), Some(Level::None | Level::Read)) || is_off(job.node) {
        return;
    }
    for step in job.steps.iter().filter(|step| !is_off(step.node)) {
        let Some(place) = release_place(step).filter(|_| uses_job_token(step)) else { continue };
        let message = format!("the release cannot be written: job {} does not have `contents: write`", code(job.id));
        let fix = permissions_fix(report, job, ("contents", "write"));
        report.add(Code::ReleaseNeedsContentsWrite, place, message, fix);
    }
}

/// Where a step writes a release.
fn release_place<'a>(step: &Step<'a>) -> Option<Place<'a>> {
    if let Some((node, Uses::Remote { owner, name, .. })) = step.uses() {
        let action = format!("{owner}/{name}").to_lowercase();
        return RELEASE_ACTIONS.contains(&action.as_str()).then(|| Place::of(step.file, node));
    }
    let writes = |command: &&Command| {
        let is_release = command.program() == "gh" && command.argument(1) == "release";
        is_release && matches!(command.argument(2), "create" | "new" | "upload" | "edit" | "delete" | "delete-asset")
    };
    let command = step.script().commands.iter().find(writes)?;
    Some(step.place_in_script(command.words[0].at.start..command.words[2].at.end))
}

/// Whether a step has no other token than the job's own. `gh` needs one in its environment.
fn uses_job_token(step: &Step<'_>) -> bool {
    let is_own =
        |value: &Node| value.text().and_then(crate::expression::only_reference).is_some_and(|it| it.is_job_token());
    let variables: Vec<_> = ["GH_TOKEN", "GITHUB_TOKEN"].into_iter().filter_map(|name| step.variable(name)).collect();
    if step.run().is_some() {
        // `gh` prefers the first.
        return variables.first().is_some_and(|value| is_own(value));
    }
    let inputs = step.node.get("with").map_or(&[][..], Node::entries).iter();
    let mut tokens = inputs.filter(|(name, _)| name.text().is_some_and(|name| name.to_lowercase().contains("token")));
    tokens.all(|(_, value)| is_own(value)) && variables.into_iter().all(is_own)
}

fn is_checkout(step: &Step<'_>) -> bool {
    matches!(step.uses(), Some((_, Uses::Remote { owner, name, path: "", .. }))
        if owner.eq_ignore_ascii_case("actions") && name.eq_ignore_ascii_case("checkout"))
}

fn no_contents_permission<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (job, logs_in) = (it.job, !it.logins().is_empty());
    // A block that was written for the login, or that is in force for it.
    let is_of_login = logs_in || job.level("id-token") == Some(Level::Write);
    if !is_of_login || job.level("contents") != Some(Level::None) {
        return;
    }
    for step in job.steps.iter().filter(|step| is_checkout(step)) {
        let has_other = ["token", "ssh-key", "repository"].iter().any(|input| step.input(input).is_some());
        let Some((uses, _)) = step.uses().filter(|_| !has_other) else { continue };
        let message = format!(
            "job {} cannot check out a private repository: its permissions do not include `contents: read`",
            code(job.id)
        );
        let fix = permissions_fix(report, job, ("contents", "read"));
        report.add(Code::NoContentsPermission, Place::of(step.file, uses), message, fix);
    }
}

/// A build between the login and the push, in which the key can expire.
fn build_between<'a>(report: &mut Report<'_, 'a>, wiring: &Wiring<'_, '_, 'a>) {
    for login in wiring.logins.iter().filter(|login| login.delivery == Delivery::Output) {
        let steps = &wiring.steps[login.step + 1..];
        let is_push =
            |command: &Command| Push::of(command).is_some_and(|push| push.source.is_some() || push.key.is_some());
        let last_use = wiring.last_use(login);
        let last =
            steps.iter().enumerate().rev().find(|(nth, step)| {
                Some(login.step + 1 + nth) == last_use || step.script().commands.iter().any(is_push)
            });
        let Some((last, step)) = last else { continue };
        // In the step that pushes, what comes before the push.
        let push = step.script().commands.iter().rposition(is_push);
        let before =
            steps[..last].iter().flat_map(|step| step.script().commands.iter().map(move |command| (step, command)));
        let within = step.script().commands.iter().take(push.unwrap_or(0)).map(|command| (step, command));
        let Some((step, command)) = before.chain(within).find(|(_, command)| is_build(command)) else { continue };
        let place =
            step.place_in_script(command.words[0].at.start..command.words[command.words.len().min(2) - 1].at.end);
        let message = "this runs between the login and the push, and the API key can expire in the meantime";
        report.add(Code::BuildBetween, place, message, Fix::text("move the login step directly before the push"));
    }
}

/// Whether a command restores, builds, tests or packs.
pub(crate) fn is_build(command: &Command) -> bool {
    let argument = command.argument(1).to_lowercase();
    match command.program().as_str() {
        "dotnet" => {
            matches!(argument.as_str(), "restore" | "build" | "test" | "pack" | "publish" | "msbuild" | "vstest")
        }
        "nuget" => matches!(argument.as_str(), "restore" | "pack"),
        "msbuild" | "vstest.console" => true,
        _ => false,
    }
}

fn matrix_login<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (job, logins) = (it.job, it.logins());
    let Some(strategy) = job.node.get("strategy") else { return };
    let Some(matrix) = strategy.get("matrix") else { return };
    if strategy.get("max-parallel").and_then(Node::text) == Some("1") {
        return;
    }
    let lists = matrix.entries().iter().filter(|(key, _)| !matches!(key.text(), Some("include" | "exclude")));
    let is_single = matrix.get("include").is_none()
        && matrix.is_mapping()
        && lists.clone().all(|(_, list)| list.items().len() == 1);
    for login in logins {
        let step = &job.steps[login.step];
        // Such a condition selects one of the jobs.
        let selects = step
            .references()
            .iter()
            .any(|it| it.within == "if" && matches!(it.reference.names()[0], Some("matrix" | "runner" | "strategy")));
        if !is_single && !selects {
            let message = "each job of the matrix logs in, and nuget.org gives a user one key in 30 seconds";
            let fix = Fix::text("push all packages in one job, which needs the jobs of the matrix");
            report.add(Code::MatrixLogin, login.place.clone(), message, fix);
        }
    }
}

fn unpinned<'a>(report: &mut Report<'_, 'a>, steps: &[Step<'a>], logins: &[Login<'a>]) {
    for login in logins.iter().filter(|login| login.is_unpinned) {
        let Some((_, Uses::Remote { owner, name, reference, .. })) = steps[login.step].uses() else { continue };
        if reference.contains("${{") {
            continue;
        }
        let message = format!(
            "{} can change: {reference} is a tag or a branch",
            code(login.place.text().trim_matches(['"', '\'']))
        );
        let fix = format!("replace {} with the full SHA of its commit", code(&format!("{owner}/{name}@{reference}")));
        report.add(Code::Unpinned, login.place.clone(), message, Fix::text(fix));
    }
}

fn skip_duplicate<'a>(report: &mut Report<'_, 'a>, job: &Job<'a>) {
    for step in &job.steps {
        let commands = step.script().commands.iter().filter(|command| !command.only_prints());
        let Some(word) = commands.filter_map(|it| it.has(&["--skip-duplicate", "-SkipDuplicate"])).next() else {
            continue;
        };
        let message = "with this option a push of a reserved package ID is reported as a success";
        let fixes = vec![
            Fix::text("remove the option if each version is pushed only once"),
            Fix::text("or check on nuget.org that each package was published"),
        ];
        report.add_with_fixes(Code::SkipDuplicate, step.place_in_script(word.at.clone()), message, fixes);
    }
}

fn login_on_pull_request<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (workflow, job, logins) = (it.workflow, it.job, it.logins());
    if workflow.event("pull_request").is_none() || !it.is_unconditional() {
        return;
    }
    for login in logins.iter().filter(|login| it.always_runs(login)) {
        let message = "the login also runs for pull requests: it fails for forks, because GitHub does not issue ID tokens for them";
        let fix =
            Fix::paste(format!("add a condition to job {}", code(job.id)), "if: github.event_name != 'pull_request'");
        report.add(Code::LoginOnPullRequest, login.place.clone(), message, fix);
    }
}

fn called_workflow<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    let (workflow, logins) = (it.workflow, it.logins());
    if workflow.event("workflow_call").is_none() {
        return;
    }
    for login in logins {
        let file = code(workflow.file.name());
        let message = format!("other workflows call this one, and the trust policy must name this file: {file}");
        let fix = Fix::text(format!("set \"Workflow File\" to {file} in the trust policy"));
        report.add(Code::CalledWorkflow, login.place.clone(), message, fix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Document;

    const DOCUMENTATION: &str = include_str!("../../docs/check.md");

    /// These files. A line with a path begins a file.
    fn files(text: &str) -> Option<Vec<File>> {
        let parts: Vec<&str> = text.split("# .github/").collect();
        let named = parts[1..].iter().map(|part| {
            let (path, text) = part.split_once('\n').unwrap();
            (format!(".github/{path}"), text)
        });
        let alone = (parts.len() == 1).then(|| (".github/workflows/x.yml".to_owned(), text));
        let file = |(path, text): (String, &str)| Some(File { path, document: Document::parse(text.to_owned()).ok()? });
        named.chain(alone).map(file).collect()
    }

    /// The codes of what is found in these files.
    fn codes(text: &str) -> Vec<&'static str> {
        let Some(files) = files(text) else { return vec![Code::NotYaml.as_str()] };
        findings(&Project::new(&files)).iter().map(|it| it.code.as_str()).collect()
    }

    #[test]
    fn every_code_is_documented_with_an_example_that_fails_and_its_fix() {
        for &code in Code::ALL {
            let name = code.as_str();
            let section =
                DOCUMENTATION.split(&format!("\n## {name}\n")).nth(1).unwrap_or_else(|| panic!("no section {name}"));
            let section = section.split("\n## ").next().unwrap();
            let example = |kind: &str| {
                section.split(&format!("```yaml\n# {kind}\n")).nth(1).map(|it| it.split("```").next().unwrap())
            };
            match example("fails") {
                Some(fails) => assert!(codes(fails).contains(&name), "{name}: {:?}", codes(fails)),
                None => assert_eq!(code, Code::UnreadableFile),
            }
            match example("passes") {
                Some(passes) => assert!(!codes(passes).contains(&name), "{name}: {:?}", codes(passes)),
                None => assert!(matches!(code, Code::UnreadableFile | Code::NotYaml | Code::CalledWorkflow), "{name}"),
            }
            let part = DOCUMENTATION.split("\n# Notes\n").nth(usize::from(code.severity() == Severity::Note)).unwrap();
            assert!(part.contains(&format!("\n## {name}\n")), "{name} is in the wrong part");
        }
        assert_eq!(DOCUMENTATION.matches("# fails\n").count(), Code::ALL.len() - 1);
    }

    #[test]
    fn a_stored_key_is_found_through_the_variables_around_a_step_in_every_spelling() {
        let workflow = |reference: &str, value: &str| {
            format!(
                "on: push\nenv: {{NUGET_KEY: \"{value}\"}}\njobs:\n  a:\n    permissions: {{id-token: write}}\n    env: {{JOB: \"${{{{ {reference} }}}}\"}}\n    steps:\n    \
                 - uses: NuGet/login@v1\n      id: login\n      with: {{user: a}}\n    - run: dotnet nuget push x --source nuget.org --api-key $NUGET_KEY\n      \
                 env: {{NUGET_KEY: \"${{{{ {reference} }}}}\"}}\n"
            )
        };
        let count = |text: &str| codes(text).iter().filter(|code| **code == "stored-key").count();
        for reference in
            ["env.NUGET_KEY", "env['NUGET_KEY']", "env . NUGET_KEY", "ENV.nuget_key", "env [ 'Nuget_Key' ]"]
        {
            assert_eq!(count(&workflow(reference, "${{ secrets.K }}")), 1, "{reference}");
            // A variable of the outermost block does not see itself.
            for value in ["${{ env.NUGET_KEY }}", "${{ steps.login.outputs.NUGET_API_KEY || secrets.K }}", "x"] {
                assert_eq!(count(&workflow(reference, value)), 0, "{reference}, {value}");
            }
        }
        assert_eq!(count(&workflow("env.JOB", "${{ secrets.K }}")), 0);
    }

    const CALLED: &str = "# .github/workflows/publish.yml\non: workflow_call\njobs:\n";
    const LOGIN: &str = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n    - run: ${{ steps.login.outputs.NUGET_API_KEY }}\n";

    /// A caller for these events, and a called workflow with these jobs.
    fn called(events: &str, jobs: &str) -> String {
        let caller = "jobs:\n  call:\n    permissions: {id-token: write}\n    uses: ./.github/workflows/publish.yml\n";
        format!("# .github/workflows/release.yml\non: {events}\n{caller}{CALLED}{jobs}")
    }

    #[test]
    fn an_event_is_forbidden_only_where_a_login_of_the_called_workflow_is_unconditional() {
        let condition = "if: github.event_name == 'push'";
        let conditional_job = format!("  a:\n    {condition}\n    steps:\n{LOGIN}");
        let conditional_step =
            format!("  b:\n    steps:\n{}", LOGIN.replacen("      id", &format!("      {condition}\n      id"), 1));
        let after_conditional = format!("  d:\n    needs: A\n    steps:\n{LOGIN}");
        let unconditional = format!("  c:\n    steps:\n{LOGIN}");
        for events in ["pull_request_target", "[push, pull_request_target]"] {
            for (jobs, is_forbidden) in [
                (conditional_job.clone(), false),
                (conditional_step.clone(), false),
                (format!("{conditional_job}{after_conditional}"), false),
                (format!("{conditional_job}{conditional_step}{unconditional}"), true),
                ("  a:\n    uses: ./.github/workflows/publish.yml\n".to_owned(), false),
            ] {
                let codes = codes(&called(events, &jobs));
                assert_eq!(codes.contains(&"forbidden-event"), is_forbidden, "{events}: {jobs}");
            }
        }
    }

    /// What is found in a caller with this block of permissions, for a called workflow with these jobs.
    fn found_in_caller(permissions: &str, jobs: &str) -> Vec<String> {
        let text = called("push", jobs).replacen("    permissions: {id-token: write}\n", permissions, 1);
        let files = files(&text).unwrap();
        let project = Project::new(&files);
        let found = findings(&project).into_iter().filter(|it| it.place.file.name() == "release.yml");
        found.map(|it| format!("{}: {}; {}", it.code.as_str(), it.message, shown_fixes(&it))).collect()
    }

    fn shown_fixes(found: &Finding<'_, '_>) -> String {
        let fix = |it: &Fix| format!("{} {}", it.text, it.yaml.as_deref().unwrap_or_default());
        found.fixes.iter().map(fix).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn the_fix_of_a_caller_grants_what_all_jobs_of_the_called_workflow_need() {
        let own = "    permissions: {id-token: write, contents: write}\n    steps:\n";
        let jobs = format!(
            "  lint:\n    permissions: {{pull-requests: write, contents: read}}\n    steps: [{{run: make}}]\n  a:\n{own}{LOGIN}  \
             mirror:\n    steps: [{{run: dotnet nuget push x -s https://nuget.pkg.github.com/c/index.json}}]\n"
        );
        for permissions in ["", "    permissions: {contents: read, checks: write}\n"] {
            let [found] = &found_in_caller(permissions, &jobs)[..] else { panic!("one finding") };
            assert!(
                found.starts_with("caller-lacks-id-token: job `call` calls .github/workflows/publish.yml, "),
                "{found}"
            );
            for line in ["id-token: write", "contents: write", "pull-requests: write", "packages: write"] {
                assert!(found.contains(&format!("\n  {line}")), "{found}");
            }
            assert_eq!(found.contains("\n  checks: write"), !permissions.is_empty(), "{found}");
        }
    }

    #[test]
    fn the_fix_of_permissions_keeps_what_the_steps_of_a_job_without_a_block_need() {
        let steps = "    - uses: actions/checkout@v5\n    - run: dotnet nuget push x -s https://nuget.pkg.github.com/c/index.json\n    \
                     - uses: peter-evans/create-or-update-comment@v4\n    - uses: actions/attest@v3\n";
        let fix = |permissions: &str| {
            let text = format!("on: push\n{permissions}jobs:\n  a:\n    steps:\n{LOGIN}{steps}");
            let files = files(&text).unwrap();
            let project = Project::new(&files);
            let found = findings(&project).into_iter().find(|it| it.code == Code::NoIdTokenPermission).unwrap();
            found.fixes[0].yaml.clone().unwrap()
        };
        let names = ["packages", "issues", "pull-requests", "attestations"];
        let block = |level: &str| names.map(|name| format!("\n  {name}: {level}")).concat();
        let expected = |level: &str| format!("permissions:\n  id-token: write\n  contents: read{}", block(level));
        assert_eq!(fix(""), expected("write"));
        assert_eq!(fix("permissions: read-all\n"), expected("read"));
        assert_eq!(fix("permissions: {contents: read}\n"), "permissions:\n  id-token: write\n  contents: read");
    }

    #[test]
    fn a_caller_that_grants_less_than_a_called_job_requests_is_an_error() {
        let block = "    permissions: {id-token: write, contents: write, packages: read}\n    steps:\n";
        let jobs = format!("  a:\n    if: inputs.publish\n{block}{LOGIN}");
        let grants = |block: &str| found_in_caller(&format!("    permissions: {block}\n"), &jobs);
        let [found] = &grants("{id-token: write, contents: read}")[..] else { panic!("one finding") };
        let expected = "caller-lacks-permissions: job `call` calls .github/workflows/publish.yml, but does not \
                        grant `contents: write`, `packages: read`, which a job there requests: GitHub does not start the run; ";
        assert!(found.starts_with(expected), "{found}");
        let fix = "replace the permissions of job `call` permissions:\n  contents: write\n  id-token: write\n  packages: read";
        assert!(found.ends_with(fix), "{found}");
        for block in ["{id-token: write, contents: write, packages: write}", "write-all", "\"${{ inputs.p }}\""] {
            assert_eq!(grants(block), Vec::<String>::new(), "{block}");
        }
        // The caller of a caller.
        let between =
            "# .github/workflows/between.yml\non: workflow_call\njobs: {x: {uses: ./.github/workflows/publish.yml}}\n";
        let text = called("push", &jobs).replacen("publish.yml", "between.yml", 1) + between;
        let text = text.replacen("{id-token: write}", "{id-token: write, contents: read}", 1);
        assert!(codes(&text).contains(&"caller-lacks-permissions"));
        // Nothing is requested without a block, and the default is not known.
        let jobs = format!("  a:\n    steps:\n{LOGIN}    - uses: softprops/action-gh-release@v2\n");
        assert_eq!(
            found_in_caller("    permissions: {id-token: write, contents: read}\n", &jobs),
            Vec::<String>::new()
        );
        let jobs = format!(
            "  lint:\n    permissions: {{checks: write}}\n    steps: [{{run: x}}]\n  a:\n    if: x\n    steps:\n{LOGIN}"
        );
        assert_eq!(found_in_caller("", &jobs), Vec::<String>::new());
    }

    #[test]
    fn a_key_that_the_shell_does_not_read_is_an_error() {
        for (shell, key, is_read) in [
            ("pwsh", "$env:KEY", true),
            ("pwsh", "\"${env:KEY}\"", true),
            ("pwsh", "$KEY", false),
            ("pwsh", "%KEY%", false),
            ("bash", "\"$KEY\"", true),
            ("bash", "$env:KEY", false),
            ("bash", "%KEY%", false),
            ("cmd", "%KEY%", true),
            ("cmd", "$KEY", false),
            ("python", "$KEY", true),
            // A variable of the script, which the file does not give.
            ("pwsh", "$OTHER", true),
            // The shell is a guess.
            ("${{ matrix.shell }}", "%KEY%", true),
        ] {
            let push = format!(
                "    - shell: {shell}\n      env: {{KEY: \"${{{{ steps.l.outputs.NUGET_API_KEY }}}}\"}}\n      run: |\n"
            );
            let command = format!("        dotnet nuget push x -s nuget.org -k {key}\n");
            let job = "on: push\njobs:\n  a:\n    permissions: {id-token: write}\n    steps:\n";
            let login = "    - {uses: NuGet/login@v1, id: l, with: {user: a}}\n";
            let found = codes(&format!("{job}{login}{push}{command}")).contains(&"empty-variable");
            assert_eq!(found, !is_read, "{shell}: {key}");
            let assigned = format!("{job}{login}{push}        $KEY = $env:KEY\n{command}");
            assert!(shell != "pwsh" || key == "%KEY%" || !codes(&assigned).contains(&"empty-variable"), "{key}");
        }
    }

    #[test]
    fn a_caller_that_may_never_reach_the_login_has_no_finding() {
        let condition = "if: inputs.publish";
        let login = format!("    steps:\n{LOGIN}").replace("user: a", "user: \"${{ inputs.user }}\"");
        for (jobs, is_certain) in [
            (format!("  a:\n{login}"), true),
            (format!("  a:\n    {condition}\n{login}"), false),
            (format!("  a:\n{}", login.replacen("      id", &format!("      {condition}\n      id"), 1)), false),
            (format!("  b: {{{condition}}}\n  a:\n    needs: b\n{login}"), false),
        ] {
            let found = found_in_caller("", &jobs).concat();
            assert_eq!(found.contains("caller-lacks-id-token"), is_certain, "{jobs}: {found}");
            assert_eq!(found.contains("missing-user"), is_certain, "{jobs}: {found}");
        }
        // The same in a local action.
        let action = format!("inputs: {{user: {{}}}}\nruns:\n  using: composite\n{}", login.replace("    ", "  "));
        let condition = format!("\n    {condition}\n    id: login");
        let action_with = |action: &str| {
            format!(
                "# .github/workflows/x.yml\non: pull_request_target\njobs: {{a: {{steps: [{{uses: ./.github/a}}]}}}}\n# .github/a/action.yml\n{action}"
            )
        };
        let expected = ["no-id-token-permission", "missing-user", "forbidden-event"];
        let found = codes(&action_with(&action));
        assert!(expected.iter().all(|code| found.contains(code)), "{found:?}");
        assert_eq!(
            codes(&action_with(&action.replacen("\n    id: login", &condition, 1))),
            ["key-in-script", "unpinned"]
        );
        // GitHub checks blocks before any condition.
        let jobs = format!("  a:\n    if: inputs.publish\n    permissions: {{id-token: write}}\n{login}");
        assert!(found_in_caller("", &jobs).concat().contains("caller-lacks-id-token"));
    }

    #[test]
    fn the_events_of_a_job_are_those_of_all_its_callers() {
        let jobs = format!("  a:\n    steps:\n{LOGIN}");
        let started_by = |text: &str| {
            let files = files(text).unwrap();
            let project = Project::new(&files);
            let [job] = project.login_jobs()[..] else { panic!("one job logs in") };
            let (workflows, is_reached_otherwise) = job.started_by("pull_request_target");
            (workflows.iter().map(|it| it.file.name().to_owned()).collect::<Vec<_>>(), is_reached_otherwise)
        };
        let release = || vec!["release.yml".to_owned()];
        assert_eq!(started_by(&called("pull_request_target", &jobs)), (release(), false));
        assert_eq!(started_by(&called("[push, pull_request_target]", &jobs)), (release(), true));
        assert_eq!(started_by(&called("push", &jobs)), (vec![], true));
        let other = "# .github/workflows/other.yml\non: push\njobs: {call: {uses: ./.github/workflows/publish.yml}}\n";
        let both = format!("{}{other}", called("pull_request_target", &jobs));
        assert_eq!(started_by(&both), (release(), true));
        let between = both.replace("on: push", "on: workflow_call");
        assert_eq!(started_by(&between), (release(), true));
        assert_eq!(started_by(&format!("{CALLED}{jobs}")), (vec![], true));
        assert_eq!(started_by(&format!("on: pull_request_target\njobs:\n{jobs}")), (vec!["x.yml".to_owned()], false));
    }

    /// Each finding of a job with these lines: the code, the message and the fixes.
    fn found(lines: &str) -> Vec<String> {
        let text = format!("on: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n{lines}");
        let files = files(&text).unwrap();
        let shown = |it: &Finding<'_, '_>| {
            let fixes = it.fixes.iter().map(|it| format!("; {} {}", it.text, it.yaml.as_deref().unwrap_or_default()));
            format!("{}@{}: {}{}", it.code.as_str(), it.place.line(), it.message, fixes.collect::<String>())
        };
        let project = Project::new(&files);
        findings(&project).iter().filter(|it| it.code.severity() == Severity::Error).map(shown).collect()
    }

    const PUSH: &str = "    - run: dotnet nuget push x -s nuget.org -k $KEY\n";

    #[test]
    fn the_fix_of_a_stored_key_is_for_the_place_where_it_is() {
        let login = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n    - run: ${{ steps.login.outputs.NUGET_API_KEY }}\n";
        let key = "${{ secrets.K }}";
        let fix = |lines: &str| found(lines).concat();
        let of_job = fix(&format!("    env:\n      Key: {key}\n    steps:\n{login}{PUSH}"));
        assert!(of_job.starts_with("stored-key@6: "), "{of_job}");
        let expected =
            "; remove this line, and add to the step that pushes env:\n  Key: ${{ steps.login.outputs.NUGET_API_KEY }}";
        assert!(of_job.ends_with(expected), "{of_job}");
        let of_step = fix(&format!("    steps:\n{login}{PUSH}      env: {{KEY: \"{key}\"}}\n"));
        assert!(of_step.ends_with("; replace it with `steps.login.outputs.NUGET_API_KEY` "), "{of_step}");
        for run in [
            PUSH.replace("$KEY", key),
            format!("    - run: |\n        KEY={key}\n        dotnet nuget push x -s nuget.org -k $KEY\n"),
        ] {
            let of_script = fix(&format!("    steps:\n{login}{run}"));
            assert!(
                of_script.contains("; give the key to the step that pushes") && !of_script.contains("replace it"),
                "{of_script}"
            );
        }
    }

    #[test]
    fn the_fix_of_a_stored_key_in_a_job_without_a_login_has_the_login() {
        let login = "    steps:\n    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n    - run: ${{ steps.login.outputs.NUGET_API_KEY }}\n";
        let push = PUSH.replace("$KEY", "${{ secrets.K }}");
        let text = found(&format!("{login}  b:\n    steps:\n{push}")).concat();
        let fix = "; add the login to this job, before the push - name: NuGet login\n  id: nuget-login\n";
        assert!(text.starts_with("stored-key@12: ") && text.contains(fix), "{text}");
        assert!(text.ends_with("NUGET_API_KEY: ${{ steps.nuget-login.outputs.NUGET_API_KEY }}"), "{text}");
    }

    #[test]
    fn steps_are_not_available_in_the_variables_of_a_job_and_of_a_workflow() {
        let login = "    steps:\n    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n";
        let key = "\"${{ steps.login.outputs.NUGET_API_KEY }}\"";
        let of_job = found(&format!("    env: {{KEY: {key}}}\n{login}{PUSH}"));
        let expected = "steps-not-available@5: `steps` is not available in the `env` of a job: GitHub rejects this file; remove this line, and \
                        add to the step that needs the value env:\n  KEY: ${{ steps.login.outputs.NUGET_API_KEY }}";
        assert_eq!(of_job, [expected]);
        let of_workflow = found(&format!("{login}{PUSH}env: {{KEY: {key}}}\n"));
        assert_eq!(of_workflow, [expected.replace("@5", "@10").replace("a job", "the workflow")]);
        assert_eq!(found(&format!("{login}{PUSH}      env: {{KEY: {key}}}\n")), Vec::<String>::new());
    }

    #[test]
    fn inputs_that_this_action_rejects_or_that_leave_the_key_empty_are_errors() {
        let codes = |action: &str, with: &str, use_: &str| {
            let key = "${{ steps.login.outputs.NUGET_API_KEY }}";
            let push = if use_.is_empty() { String::new() } else { format!("    - {use_}: {key}\n") };
            let found = found(&format!(
                "    steps:\n    - uses: {action}@v1\n      id: login\n      with: {{user: a, {with}}}\n{push}"
            ));
            found.iter().map(|it| it.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let ours = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
        assert_eq!(codes(ours, "check-only: true", "run"), ["key-always-empty@9"]);
        assert_eq!(codes(ours, "check-only: true", ""), Vec::<String>::new());
        assert_eq!(codes(ours, "check-only: true", "if"), Vec::<String>::new());
        assert_eq!(codes("NuGet/login", "check-only: true", "run"), Vec::<String>::new());
        for with in [
            "check-only: false",
            "check-only: \"${{ inputs.check }}\"",
            "export-env: true",
            "package: \"${{ inputs.p }}\"",
        ] {
            assert_eq!(codes(ours, with, "run"), Vec::<String>::new(), "{with}");
        }
        assert_eq!(codes(ours, "check-only: true, export-env: true", ""), ["conflicting-inputs@8"]);
        assert_eq!(codes(ours, "package: A@1.0.0, export-env: true", ""), ["conflicting-inputs@8"]);
        assert_eq!(codes(ours, "package: A@1.0.0, check-only: true", ""), Vec::<String>::new());
        assert_eq!(codes("NuGet/login", "package: A@1.0.0", "run"), Vec::<String>::new());
    }

    #[test]
    fn an_id_that_a_later_step_reads_is_proposed_for_a_login_without_one() {
        let login = "    steps:\n    - uses: NuGet/login@v1\n      with: {user: a}\n";
        let with_reader = found(&format!("{login}    - run: ${{{{ steps.nuget.outputs.NUGET_API_KEY }}}}\n")).concat();
        assert!(with_reader.ends_with("; add an id to the login step id: nuget"), "{with_reader}");
        let without = found(&format!("{login}{PUSH}")).concat();
        assert!(without.contains("id: login; and give the key to the step that pushes"), "{without}");
    }

    /// All findings of a job with these lines, notes too, as code, line and fixes.
    fn all_found(lines: &str) -> Vec<String> {
        let text = format!("on: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n{lines}");
        let files = files(&text).unwrap();
        let project = Project::new(&files);
        let shown = |it: &Finding<'_, '_>| format!("{}@{}: {}", it.code.as_str(), it.place.line(), shown_fixes(it));
        findings(&project).iter().filter(|it| it.code != Code::Unpinned).map(shown).collect()
    }

    #[test]
    fn a_fix_for_a_script_has_the_variable_as_the_shell_of_the_step_reads_it() {
        let key = "${{ steps.login.outputs.NUGET_API_KEY }}";
        let login = LOGIN.lines().take(3).map(|line| format!("{line}\n")).collect::<String>();
        for (shell, variable, own) in [
            ("bash", "`\"$NUGET_API_KEY\"`", "`\"$Key\"`"),
            ("pwsh", "`$env:NUGET_API_KEY`", "`$env:Key`"),
            ("cmd", "`%NUGET_API_KEY%`", "`%Key%`"),
            (
                "${{ matrix.shell }}",
                "`\"$NUGET_API_KEY\"` (PowerShell: `$env:NUGET_API_KEY`)",
                "`\"$Key\"` (PowerShell: `$env:Key`)",
            ),
            ("python {0}", "the variable `NUGET_API_KEY`", "the variable `Key`"),
        ] {
            let run = |script: &str, env: &str| {
                let step = format!("    - run: {script}\n      shell: {shell}\n      env: {{Key: \"{env}\"}}\n");
                all_found(&format!("    steps:\n{login}{step}")).concat()
            };
            let direct = run(&format!("push {key}"), "x");
            let expected = format!(
                "add it to the environment of the step, and use {variable} in the script env:\n  NUGET_API_KEY: {key}"
            );
            assert_eq!(direct, format!("key-in-script@9: {expected}"));
            let through_variable = run("push ${{ env.key }}", key);
            assert_eq!(through_variable, format!("key-in-script@9: replace the expression with {own} "));
            if shell.starts_with("python") {
                continue;
            }
            let push = |key: &str| run(&format!("dotnet nuget push x -s nuget.org -k {key}"), "x");
            let stored = push("${{ secrets.K }}");
            let option = variable.replacen('`', "`--api-key ", 1);
            assert!(
                stored.contains("stored-key@9: ") && stored.contains(&format!("push with {option} env:")),
                "{stored}"
            );
            let unused = push("x");
            let option = variable.replacen('`', "`--api-key ", 1);
            assert!(
                unused.starts_with("key-not-used@6: give the key to the step that pushes, and push with"),
                "{unused}"
            );
            assert!(unused.contains(&format!("push with {option} env:")), "{unused}");
            let wrong = push(&key.replace("login", "other"));
            assert!(
                wrong.starts_with("wrong-reference@9: ") && wrong.contains(&format!("push with {option} env:")),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_action_gets_its_user_as_an_input() {
        let found = |with: &str| {
            let text = format!(
                "# .github/workflows/x.yml\non: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n    steps: [{{uses: ./.github/a}}]\n\
                 # .github/a/action.yml\nruns:\n  using: composite\n  steps:\n{}",
                LOGIN.replace("    ", "  ").replace("user: a", with)
            );
            let files = files(&text).unwrap();
            let project = Project::new(&files);
            let errors = findings(&project).into_iter().filter(|it| it.code.severity() == Severity::Error);
            errors.map(|it| format!("{}: {}; {}", it.code.as_str(), it.message, shown_fixes(&it))).collect::<Vec<_>>()
        };
        let input = "add an input to the action inputs:\n  user:\n    required: true; and";
        for context in ["vars", "secrets"] {
            let expected = format!(
                "context-not-available: `{context}` is not available in an action: GitHub rejects the action; {input} replace it with \
                 `inputs.user` ; and set it in each step that uses the action with:\n  user: ${{{{ {context}.NUGET_USER }}}}"
            );
            assert_eq!(found(&format!("user: \"${{{{ {context}.NUGET_USER }}}}\"")), [expected]);
        }
        let expected = format!(
            "missing-user: the login has no `user`; {input} read it with:\n  user: ${{{{ inputs.user }}}}; and set it in each step \
             that uses the action with:\n  user: ${{{{ vars.NUGET_USER }}}}"
        );
        assert_eq!(found(""), [expected]);
        for with in ["user: a", "user: \"${{ github.repository_owner }}\"", "user: \"${{ env.USER }}\""] {
            assert_eq!(found(with), Vec::<String>::new(), "{with}");
        }
    }

    #[test]
    fn what_github_rejects_in_the_steps_of_a_login_is_an_error() {
        let push = "    - run: push\n      env: {KEY: \"${{ steps.login.outputs.NUGET_API_KEY }}\"}\n";
        let login = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n";
        let found = |lines: &str| {
            all_found(lines).iter().map(|it| it.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let steps = |more: &str| found(&format!("    steps:\n{login}{push}{more}"));
        assert_eq!(steps("    - run: x\n      id: LOGIN\n"), ["invalid-workflow@12"]);
        assert_eq!(steps("    - run: x\n      id: a b\n"), ["invalid-workflow@12"]);
        assert_eq!(steps("    - uses: a/b@${{ github.sha }}\n"), ["invalid-workflow@11"]);
        assert_eq!(steps("    - run: x\n      env: {<<: {A: b}, C: d}\n"), ["invalid-workflow@12"]);
        let expression =
            steps("").len() + found(&format!("    steps:\n{}{push}", login.replace("@v1", "@${{ github.sha }}"))).len();
        assert_eq!(expression, 1);
        for step in ["{run: x, id: login_2-B}", "{run: 'x ${{ github.sha }}', id: _a}", "{run: x, env: &e {A: b}}"] {
            assert_eq!(steps(&format!("    - {step}\n")), Vec::<String>::new(), "{step}");
        }
        assert_eq!(found(&format!("    env: {{<<: &e {{A: b}}}}\n    steps:\n{login}{push}")), ["invalid-workflow@5"]);
        assert_eq!(
            found(&format!(
                "    strategy: {{matrix: {{include: [{{<<: {{A: b}}}}], max-parallel: 1}}, max-parallel: 1}}\n    steps:\n{login}{push}"
            )),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_login_is_unused_though_another_job_has_one_of_the_same_id() {
        let login = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n";
        let push = "    - run: push\n      env: {KEY: \"${{ steps.Login.outputs.NUGET_API_KEY }}\"}\n";
        let other = |steps: &str| {
            found(&format!("    steps:\n{login}  b:\n    permissions: {{id-token: write}}\n    steps:\n{steps}"))
                .concat()
        };
        assert!(other(&format!("{login}{push}")).starts_with("key-not-used@6: "));
        // The reference is the mistake.
        let wrong = other(push);
        assert!(wrong.starts_with("wrong-reference@13: "), "{wrong}");
        let fix = "add the login to this job, before the push: GitHub does not pass masked values between jobs - name: NuGet login\n  id: login\n";
        assert!(wrong.contains(fix), "{wrong}");
    }

    #[test]
    fn steps_and_jobs_that_never_run_write_no_release() {
        let release = "    - uses: softprops/action-gh-release@v2\n";
        let codes = |job: &str, step: &str| found(&format!("{job}    steps:\n{LOGIN}{release}{step}")).len();
        assert_eq!(codes("", ""), 1);
        assert_eq!(codes("", "      if: success()\n"), 1);
        assert_eq!(codes("", "      if: ${{ false }}\n"), 0);
    }

    #[test]
    fn a_user_that_is_a_name_in_a_context_is_not_an_expression() {
        let found =
            |user: &str| found(&format!("    steps:\n{}", LOGIN.replace("user: a", &format!("user: {user}")))).concat();
        for user in ["vars.NUGET_USER", "secrets.USER", "env.NUGET_USER", "inputs.user"] {
            let expected = format!(
                "missing-user@8: the login has no `user`: `{user}` is not an expression; replace it with `${{{{ {user} }}}}` "
            );
            assert_eq!(found(user), expected);
        }
        for user in ["contoso.bot", "vars", "vars.", "vars.a.b", "environment.x", "\"${{ vars.NUGET_USER }}\""] {
            assert_eq!(found(user), "", "{user}");
        }
    }

    #[test]
    fn the_jobs_of_a_matrix_log_in_at_once_unless_they_run_one_after_the_other() {
        let found = |strategy: &str| {
            all_found(&format!("    strategy: {{{strategy}}}\n    steps:\n{LOGIN}"))
                .iter()
                .any(|it| it.starts_with("matrix-login"))
        };
        assert!(found("matrix: {a: [1, 2]}") && found("matrix: {a: [1, 2]}, max-parallel: 2"));
        assert!(!found("matrix: {a: [1, 2]}, max-parallel: 1"));
    }

    #[test]
    fn an_address_in_place_of_a_user_is_marked_itself() {
        for (with, marked) in [
            ("{user: a@b.example}", "a@b.example"),
            ("{user: \"a@b.example\"}", "\"a@b.example\""),
            ("\n        user:\n          a@b.example", "user"),
        ] {
            let text = format!(
                "on: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n    steps:\n{}",
                LOGIN.replace("{user: a}", with)
            );
            let files = files(&text).unwrap();
            let project = Project::new(&files);
            let found = findings(&project).into_iter().find(|it| it.code == Code::EmailUser).unwrap();
            assert_eq!(found.place.text(), marked);
        }
    }

    #[test]
    fn a_login_without_a_user_is_explained_once() {
        let missing = |with: &str| {
            found(&format!(
                "    steps:\n    - uses: NuGet/login@v1\n      id: login\n      with: {{{with}}}\n    - run: ${{{{ steps.login.outputs.NUGET_API_KEY }}}}\n"
            ))
            .concat()
        };
        let text = missing("");
        assert!(
            text.starts_with("missing-user@6: the login has no `user`; set `user` to the nuget.org profile name"),
            "{text}"
        );
        assert!(text.ends_with("with:\n  user: ${{ vars.NUGET_USER }}"), "{text}");
        let text = missing("username: a");
        assert!(text.contains("the login has no `user`, but has `username`: did you mean `user`?; "), "{text}");
    }
}

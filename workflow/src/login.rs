//! The steps that log in, also within local actions, and what they are given.

use crate::expression::{Reference, only_reference, references};
use crate::model::{Action, File, Found, Job, Level, Place, Step, Uses, Workflow, all_references, is_off};
use crate::script::{Command, variable};
use crate::yaml::Node;

/// The most logins of a file or an action that are followed, and the deepest nesting of local actions (GitHub allows 10).
const MOST_LOGINS: usize = 50;
const DEEPEST: usize = 10;
/// The most inputs and outputs of a called workflow that are followed.
pub(crate) const MOST_VALUES_OF_CALL: usize = 50;

/// The output with the key, in lower case.
pub const KEY: &str = "nuget_api_key";

/// A step that logs in.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    /// Its number in the job or the action.
    pub step: usize,
    /// What logs in there: the value of `uses:`, or a command.
    pub place: Place<'a>,
    pub id: Option<&'a str>,
    pub user: User<'a>,
    pub delivery: Delivery,
    /// Outputs of the step with the key, and all of its outputs, in lower case.
    pub key_outputs: Vec<String>,
    pub outputs: Vec<String>,
    /// Whether it is for nuget.org, and not for another registry.
    pub is_nuget_org: bool,
    /// Whether a local action logs in, and uses the key itself.
    pub is_local: bool,
    pub used_inside: bool,
    /// Whether a condition within the local action can skip it.
    pub is_conditional_inside: bool,
    /// Whether an action that logs in is not pinned by a commit. Local actions are part of the commit.
    pub is_unpinned: bool,
    /// Whether it only checks, by a literal `check-only: true`, so that its key is always empty.
    pub is_check_only: bool,
    /// Why the program rejects its inputs, the fix, and the place of an input that causes it.
    pub conflict: Option<(&'static str, &'static str, Place<'a>)>,
}

/// Where the key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Into an output.
    Output,
    /// Into the environment of all later steps, or of a command; or nowhere.
    Elsewhere,
}

/// The user of a login. Each with the place where it is decided.
#[derive(Debug, Clone)]
pub enum User<'a> {
    /// The input of this name is not set.
    Missing(String, Place<'a>),
    Literal(String, Place<'a>),
    Secret(Place<'a>),
    /// An input of the action or of the called workflow.
    Input(String, Place<'a>),
    Unknown,
}

/// How a reference relates to a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It reads something else.
    Unrelated,
    /// It reads the key.
    Key,
    /// It can read the key: by a computed name, or as a part of more.
    Possible,
    /// It names the login's step, and a value that the step does not have.
    Wrong,
}

impl<'a> Login<'a> {
    /// A login to nuget.org with an output, by a pinned action or a command.
    fn new(nth: usize, step: &Step<'a>, place: Place<'a>, user: User<'a>) -> Login<'a> {
        Login {
            step: nth,
            place,
            id: step.id(),
            user,
            delivery: Delivery::Output,
            key_outputs: vec![KEY.to_owned()],
            outputs: [KEY, "expires-at", "policy-matches"].map(str::to_owned).to_vec(),
            is_nuget_org: true,
            is_local: false,
            used_inside: false,
            is_conditional_inside: false,
            is_unpinned: false,
            is_check_only: false,
            conflict: None,
        }
    }

    /// What a reference reads of this login.
    pub fn read_by(&self, found: &Found<'_>) -> Use {
        let names = found.reference.names();
        if names.first() != Some(&Some("steps")) {
            return Use::Unrelated;
        }
        let id = self.id.map(str::to_lowercase);
        match names.get(1) {
            None | Some(None) => {}
            Some(Some(step)) if Some(*step) == id.as_deref() => {}
            Some(_) => return Use::Unrelated,
        }
        match names[..] {
            [_, _, Some("outcome" | "conclusion"), ..] => Use::Unrelated,
            [_, _, Some("outputs"), Some(output), ..] => match () {
                () if self.key_outputs.iter().any(|it| it == output) => Use::Key,
                () if self.outputs.iter().any(|it| it == output) || names[1].is_none() => Use::Unrelated,
                () => Use::Wrong,
            },
            [_, Some(_), Some(part), ..] if part != "outputs" => Use::Wrong,
            _ => Use::Possible,
        }
    }

    pub fn is_used_by(&self, found: &Found<'_>) -> bool {
        matches!(self.read_by(found), Use::Key | Use::Possible)
    }
}

/// The names around a step: its variables, and the inputs of the action that it is in.
#[derive(Clone, Copy)]
pub struct Scope<'s, 'a> {
    pub step: &'s Step<'a>,
    /// The local action that the step is in, and the step that uses it.
    pub action: Option<(&'s Action<'a>, &'s Step<'a>)>,
}

/// All files that belong together: a repository's workflows, and what they use.
pub struct Project<'a> {
    pub workflows: Vec<Workflow<'a>>,
    pub actions: Vec<Action<'a>>,
    /// The logins of each action, once they are known.
    action_logins: Vec<Option<Vec<Login<'a>>>>,
    /// For each job of each workflow.
    links: Vec<Vec<Links<'a>>>,
    /// For each workflow, the jobs that call it.
    callers: Vec<Vec<(usize, usize)>>,
    /// For each workflow, whether it logs in: itself, or in one that it calls.
    logs_in: Vec<bool>,
    /// The same where no condition can prevent it.
    always_logs_in: Vec<bool>,
    /// The same where the caller's permissions decide.
    needs_token: Vec<bool>,
}

/// What a job has to do with logins.
struct Links<'a> {
    logins: Vec<Login<'a>>,
    /// The workflow that it calls.
    called: Option<usize>,
}

/// A job, and where it is. For `policy`: the file, the job's environment, and the users of its logins.
#[derive(Clone, Copy)]
pub struct ProjectJob<'p, 'a> {
    project: &'p Project<'a>,
    at: (usize, usize),
    pub workflow: &'p Workflow<'a>,
    pub job: &'p Job<'a>,
}

impl<'p, 'a> ProjectJob<'p, 'a> {
    pub fn logins(&self) -> &'p [Login<'a>] {
        &self.project.links[self.at.0][self.at.1].logins
    }

    pub fn is(&self, other: &ProjectJob<'_, '_>) -> bool {
        self.at == other.at
    }

    /// The workflow of this repository that it calls, where that logs in.
    pub fn called_login(&self) -> Option<&'p Workflow<'a>> {
        let called = self.project.links[self.at.0][self.at.1].called?;
        self.project.logs_in[called].then(|| &self.project.workflows[called])
    }

    /// Whether the login there needs the permission of this job, and no condition can prevent it.
    pub fn calls_login_that_needs_token(&self) -> bool {
        self.project.links[self.at.0][self.at.1].called.is_some_and(|called| self.project.needs_token[called])
    }

    /// Whether the workflow of this repository that it calls logs in, whatever the event is.
    pub fn always_calls_login(&self) -> bool {
        self.project.links[self.at.0][self.at.1].called.is_some_and(|called| self.project.always_logs_in[called])
    }

    /// Whether it and all jobs that it needs run for every event.
    pub fn is_unconditional(&self) -> bool {
        self.workflow.is_unconditional(self.at.1)
    }

    /// Whether a login runs whenever the job runs.
    pub fn always_runs(&self, login: &Login<'_>) -> bool {
        self.job.steps[login.step].condition().is_none() && !login.is_conditional_inside
    }

    pub fn has_unconditional_login(&self) -> bool {
        self.logins().iter().any(|login| self.always_runs(login))
    }

    /// The jobs that need this one.
    pub fn dependents(self) -> impl Iterator<Item = ProjectJob<'p, 'a>> {
        self.workflow.dependents(self.at.1).iter().map(move |&job| self.project.project_job((self.at.0, job)))
    }

    /// The workflows that `event` starts and that run this job, itself or by a call; and whether it can be reached in
    /// another way.
    pub fn started_by(&self, event: &str) -> (Vec<&'p Workflow<'a>>, bool) {
        let (mut workflows, mut is_reached_otherwise) = (Vec::new(), false);
        let mut is_known = vec![false; self.project.workflows.len()];
        is_known[self.at.0] = true;
        let mut next = vec![self.at.0];
        while let Some(nth) = next.pop() {
            let (workflow, callers) = (&self.project.workflows[nth], &self.project.callers[nth]);
            if workflow.event(event).is_some() {
                workflows.push(workflow);
            }
            let is_called = workflow.event("workflow_call").is_some();
            let is_other = |name: &str| name != event && name != "workflow_call";
            is_reached_otherwise |= workflow.events.is_empty()
                || workflow.events.iter().any(|(name, _)| is_other(name))
                || is_called && callers.is_empty();
            for &(caller, _) in callers.iter().filter(|_| is_called) {
                if !std::mem::replace(&mut is_known[caller], true) {
                    next.push(caller);
                }
            }
        }
        (workflows, is_reached_otherwise)
    }

    /// The other jobs of its workflow.
    pub fn others(self) -> impl Iterator<Item = ProjectJob<'p, 'a>> {
        self.project.jobs(self.at.0).filter(move |job| !job.is(&self))
    }

    /// The jobs that call the workflow of this one.
    pub fn callers(&self) -> Vec<ProjectJob<'p, 'a>> {
        if self.workflow.event("workflow_call").is_none() {
            return Vec::new();
        }
        self.project.callers[self.at.0].iter().map(|&at| self.project.project_job(at)).collect()
    }
}

impl<'a> Project<'a> {
    pub fn new(files: &'a [File]) -> Project<'a> {
        let mut project = Project {
            workflows: files.iter().filter(|file| !file.is_action()).map(Workflow::read).collect(),
            actions: files.iter().filter(|file| file.is_action()).map(Action::read).collect(),
            action_logins: Vec::new(),
            links: Vec::new(),
            callers: Vec::new(),
            logs_in: Vec::new(),
            always_logs_in: Vec::new(),
            needs_token: Vec::new(),
        };
        project.action_logins = project.actions.iter().map(|_| None).collect();
        for nth in 0..project.actions.len() {
            project.follow(nth, 0);
        }
        let links = |job: &Job<'a>| match is_off(job.node) {
            true => Links { logins: Vec::new(), called: None },
            false => Links { logins: project.logins(&job.steps), called: project.called(job) },
        };
        project.links = project.workflows.iter().map(|it| it.jobs.iter().map(links).collect()).collect();
        project.callers = project.workflows.iter().map(|_| Vec::new()).collect();
        for (workflow, links) in project.links.iter().enumerate() {
            for (job, links) in links.iter().enumerate() {
                if let Some(called) = links.called {
                    project.callers[called].push((workflow, job));
                }
            }
        }
        project.logs_in = project.reached_by(|it| !it.logins().is_empty(), |_| true);
        let always = |it: &ProjectJob<'_, 'a>| it.has_unconditional_login();
        project.always_logs_in = project.reached_by(always, |it| it.is_unconditional());
        let inherits = |it: &ProjectJob<'_, 'a>| matches!(it.job.level("id-token"), None | Some(Level::Write));
        project.needs_token = project.reached_by(always, |it| it.is_unconditional() && inherits(it));
        project
    }

    /// The workflows with such a job that logs in, or calls such a workflow.
    fn reached_by(
        &self,
        logs_in: impl Fn(&ProjectJob<'_, 'a>) -> bool,
        counts: impl Fn(&ProjectJob<'_, 'a>) -> bool,
    ) -> Vec<bool> {
        let mut reached = vec![false; self.workflows.len()];
        // Callers of callers: as often as workflows can be nested.
        for _ in 0..DEEPEST {
            for nth in 0..self.workflows.len() {
                let is_reached = |it: ProjectJob<'_, 'a>| {
                    let called = self.links[it.at.0][it.at.1].called;
                    (logs_in(&it) || called.is_some_and(|called| reached[called])) && counts(&it)
                };
                reached[nth] = reached[nth] || self.jobs(nth).any(is_reached);
            }
        }
        reached
    }

    fn project_job(&self, at: (usize, usize)) -> ProjectJob<'_, 'a> {
        let workflow = &self.workflows[at.0];
        ProjectJob { project: self, at, workflow, job: &workflow.jobs[at.1] }
    }

    /// The jobs of a workflow.
    pub fn jobs(&self, workflow: usize) -> impl Iterator<Item = ProjectJob<'_, 'a>> {
        (0..self.workflows[workflow].jobs.len()).map(move |nth| self.project_job((workflow, nth)))
    }

    /// The jobs that log in, workflow by workflow.
    pub fn login_jobs(&self) -> Vec<ProjectJob<'_, 'a>> {
        let jobs = (0..self.workflows.len()).flat_map(|nth| self.jobs(nth));
        jobs.filter(|job| !job.logins().is_empty()).collect()
    }

    pub fn logs_in(&self, workflow: usize) -> bool {
        self.logs_in[workflow]
    }

    /// The workflow of this repository that a job calls.
    fn called(&self, job: &Job<'a>) -> Option<usize> {
        match job.uses()? {
            (_, Uses::Local(path)) => self.workflows.iter().position(|workflow| workflow.file.path == path),
            _ => None,
        }
    }

    fn action_at(&self, path: &str) -> Option<usize> {
        self.actions.iter().position(|action| action.file.folder() == path)
    }

    /// The local action in this folder.
    pub fn action(&self, path: &str) -> Option<&Action<'a>> {
        self.action_at(path).map(|nth| &self.actions[nth])
    }

    /// Finds the logins of a local action, and of the actions that it uses, once each.
    fn follow(&mut self, nth: usize, depth: usize) {
        if self.action_logins[nth].is_some() || depth > DEEPEST {
            return;
        }
        // An action that uses itself has nothing more to add.
        self.action_logins[nth] = Some(Vec::new());
        for step in 0..self.actions[nth].steps.len() {
            if let Some((_, Uses::Local(path))) = self.actions[nth].steps[step].uses()
                && let Some(used) = self.action_at(&path)
            {
                self.follow(used, depth + 1);
            }
        }
        self.action_logins[nth] = Some(self.logins(&self.actions[nth].steps));
    }

    /// The logins among these steps.
    pub fn logins(&self, steps: &[Step<'a>]) -> Vec<Login<'a>> {
        let mut logins = Vec::new();
        for (nth, step) in steps.iter().enumerate().filter(|(_, step)| !is_off(step.node)) {
            match step.uses() {
                Some((node, Uses::Local(path))) => {
                    logins.extend(self.local_logins(nth, step, Place::of(step.file, node), &path))
                }
                Some((node, Uses::Remote { owner, name, path: "", reference })) => {
                    logins.extend(action_login(nth, step, Place::of(step.file, node), owner, name, reference));
                }
                // Most scripts do not have to be read.
                _ if !step.run().and_then(Node::text).is_some_and(|run| run.contains("nuget-login")) => {}
                _ => {
                    logins.extend(step.script().commands.iter().filter_map(|command| command_login(nth, step, command)))
                }
            }
            if logins.len() >= MOST_LOGINS {
                logins.truncate(MOST_LOGINS);
                break;
            }
        }
        logins
    }

    /// The logins of an action of the repository, as the step that uses it has them.
    fn local_logins(&self, nth: usize, step: &Step<'a>, place: Place<'a>, path: &str) -> Vec<Login<'a>> {
        let Some(nth_action) = self.action_at(path) else { return Vec::new() };
        let (action, logins) =
            (&self.actions[nth_action], self.action_logins[nth_action].as_deref().unwrap_or_default());
        let outputs = action.outputs();
        let seen_from_outside = |login: &Login<'a>| {
            let has_key = |value: &'a Node| {
                all_references(action.file, value, "outputs").iter().any(|found| login.is_used_by(found))
            };
            let with_key = outputs.iter().filter(|(_, value)| value.is_some_and(has_key));
            let later = action.steps.iter().skip(login.step + 1).flat_map(Step::references);
            let is_conditional_inside = login.is_conditional_inside || action.steps[login.step].condition().is_some();
            let user = match (Scope { step, action: None }).given(&login.user, action, &place) {
                User::Missing(_, at) if is_conditional_inside && std::ptr::eq(at.file, step.file) => User::Unknown,
                user => user,
            };
            Login {
                step: nth,
                place: place.clone(),
                id: step.id(),
                user,
                is_conditional_inside,
                key_outputs: with_key.map(|(name, _)| name.to_lowercase()).collect(),
                outputs: outputs.iter().map(|(name, _)| name.to_lowercase()).collect(),
                is_local: true,
                used_inside: login.used_inside || later.into_iter().any(|it| it.within != "if" && login.is_used_by(it)),
                is_unpinned: false,
                conflict: None,
                ..login.clone()
            }
        };
        logins.iter().map(seen_from_outside).collect()
    }
}

/// The action of this project, and the one that it can replace.
fn is_login_action(owner: &str, name: &str) -> bool {
    let ours =
        env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/").split_once('/').unwrap_or_default();
    [("NuGet", "login"), ours].iter().any(|it| it.0.eq_ignore_ascii_case(owner) && it.1.eq_ignore_ascii_case(name))
}

fn action_login<'a>(
    nth: usize,
    step: &Step<'a>,
    place: Place<'a>,
    owner: &str,
    name: &str,
    reference: &str,
) -> Option<Login<'a>> {
    let input = |name| step.input(name).and_then(|(_, value)| value.text()).map_or("", str::trim);
    let is_on = |name| !matches!(input(name), "" | "false" | "False" | "FALSE");
    if !is_login_action(owner, name) || is_on("install-only") {
        return None;
    }
    let is_ours = !owner.eq_ignore_ascii_case("nuget");
    let scope = Scope { step, action: None };
    let missing = User::Missing("user".to_owned(), place.clone());
    let user = match step.input("user") {
        None => missing,
        Some(entry) => scope.user(entry.1.text().unwrap_or_default(), Place::of_entry(step.file, entry), missing),
    };
    let is_commit = matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    let elsewhere = is_ours && (is_on("check-only") || is_on("export-env"));
    let is_true = |name| is_ours && input(name).eq_ignore_ascii_case("true");
    let has_package = !matches!(input("package"), "") && !input("package").contains("${{");
    let conflict = match () {
        () if !is_ours => None,
        () if is_true("check-only") && is_true("export-env") => Some((
            "the inputs `check-only` and `export-env` are both true",
            "remove `check-only` or `export-env`",
            "export-env",
        )),
        () if has_package && !is_on("check-only") => Some((
            "the input `package` is set without `check-only`",
            "add `check-only: true`, or remove `package`",
            "package",
        )),
        () => None,
    };
    let place_of = |name| Some(Place::of(step.file, &step.input(name)?.0));
    let conflict = conflict.and_then(|(why, fix, name)| Some((why, fix, place_of(name)?)));
    let mut login = Login {
        delivery: if elsewhere { Delivery::Elsewhere } else { Delivery::Output },
        is_nuget_org: is_for_nuget_org([input("token-service-url"), input("source")]),
        is_unpinned: !is_commit,
        is_check_only: is_true("check-only"),
        conflict,
        ..Login::new(nth, step, place, user)
    };
    if !is_ours {
        login.outputs.truncate(1);
    }
    Some(login)
}

/// Whether these settings leave it at nuget.org.
fn is_for_nuget_org(settings: [&str; 2]) -> bool {
    settings.iter().all(|url| url.is_empty() || is_nuget_org(url))
}

/// Whether a text names nuget.org, by its exact host or as the source that NuGet knows by default.
pub fn is_nuget_org(text: &str) -> bool {
    let rest = text.split_once("://").filter(|(scheme, _)| scheme.eq_ignore_ascii_case("https")).map(|(_, rest)| rest);
    let host = rest.map_or("", |rest| rest.split(['/', ':', '?', '#']).next().unwrap_or_default());
    let hosts = ["api.nuget.org", "www.nuget.org", "nuget.org"];
    hosts.iter().any(|it| it.eq_ignore_ascii_case(host)) || text.eq_ignore_ascii_case("nuget.org")
}

/// The login that a command is: `nuget-login`, also by `dnx` and `dotnet tool run`.
fn command_login<'a>(nth: usize, step: &Step<'a>, command: &Command) -> Option<Login<'a>> {
    let first = match (command.program().as_str(), command.argument(1), command.argument(2)) {
        ("nuget-login", ..) => 0,
        ("dotnet", "tool", "run" | "exec") => command.words.iter().position(|word| word.text == "nuget-login")?,
        ("dnx", ..) => command.words.iter().position(|word| word.text.split('@').next() == Some("nuget-login"))?,
        _ => return None,
    };
    let name = &command.words[first];
    let mut words = &command.words[first + 1..];
    if first > 0 && words.first().is_some_and(|word| word.text == "--") {
        words = &words[1..];
    }
    let is_exec = words.first().is_some_and(|word| word.text == "exec");
    let options = words.split(|word| word.text == "--").next().unwrap_or_default();
    let options = Command { words: [name].into_iter().chain(options).cloned().collect() };
    let is_known = is_exec || words.first().is_none_or(|word| word.text.starts_with('-'));
    if !is_known || options.has(&["--help", "-h", "--version", "-V"]).is_some() {
        return None;
    }
    let scope = Scope { step, action: None };
    let place = step.place_in_script(name.at.clone());
    let is_open = words.iter().any(|word| word.text.starts_with(['$', '@', '%']));
    let missing = User::Missing("user".to_owned(), place.clone());
    let user = match options.option(&["--user"]) {
        Some(word) => scope.user_of_word(&word.text, step.place_in_script(word.at), missing),
        None if is_open => User::Unknown,
        None if is_exec => missing,
        None => match step.variable("INPUT_USER") {
            Some(value) => scope.user(value.text().unwrap_or_default(), Place::of(step.file, value), missing),
            None => missing,
        },
    };
    let is_check_only = options.has(&["--check-only"]).is_some();
    let elsewhere = is_exec || is_open || is_check_only || options.has(&["--export-env"]).is_some();
    let url = |name| options.option(&[name]).map_or(String::new(), |word| word.text);
    Some(Login {
        delivery: if elsewhere { Delivery::Elsewhere } else { Delivery::Output },
        is_nuget_org: is_for_nuget_org([&url("--token-service-url"), &url("--source")]),
        is_check_only,
        ..Login::new(nth, step, place, user)
    })
}

impl<'a> Scope<'_, 'a> {
    /// The user that a text is, which is at `place`; `missing` if it is empty.
    fn user(&self, text: &str, place: Place<'a>, missing: User<'a>) -> User<'a> {
        let text = text.trim();
        if text.is_empty() {
            return missing;
        }
        if !text.contains("${{") {
            return User::Literal(text.to_owned(), place);
        }
        let Some(reference) = only_reference(text) else { return User::Unknown };
        if reference.of("secrets").is_some() {
            return User::Secret(place);
        }
        if let Some(input) = reference.of("inputs") {
            return User::Input(input.to_owned(), place);
        }
        let value = reference.of("env").and_then(|name| self.step.variable(name)).and_then(|value| value.text());
        match value {
            // Variables of one block do not see each other.
            Some(value) if !references(value).iter().any(|it| it.of("env").is_some()) => {
                self.user(value, place, missing)
            }
            _ => User::Unknown,
        }
    }

    /// The same for a word of a script.
    fn user_of_word(&self, word: &str, place: Place<'a>, missing: User<'a>) -> User<'a> {
        match variable(word) {
            None if word.contains(['$', '%', '`']) && !word.contains("${{") => User::Unknown,
            None => self.user(word, place, missing),
            Some(name) => match self.step.variable(name).and_then(|value| value.text()) {
                Some(value) => self.user(value, place, missing),
                None => User::Unknown,
            },
        }
    }

    /// The user of a login within an action, as the step that uses the action decides it.
    fn given(&self, user: &User<'a>, action: &Action<'a>, login: &Place<'a>) -> User<'a> {
        let User::Input(input, inner) = user else { return user.clone() };
        let missing = User::Missing(input.clone(), login.clone());
        if let Some(entry) = self.step.input(input) {
            return self.user(entry.1.text().unwrap_or_default(), Place::of_entry(self.step.file, entry), missing);
        }
        let default = action.default(input).and_then(|default| default.text()).unwrap_or_default();
        self.user(default, inner.clone(), missing)
    }

    /// The value of an input of the action that the step is in.
    pub fn input(&self, name: &str) -> Option<&'a Node> {
        let (action, step) = self.action?;
        step.input(name).map(|(_, value)| value).or_else(|| action.default(name))
    }
}

/// Whether it reads an output of a step, or another value of the `steps` context.
pub fn reads_steps(reference: &Reference) -> bool {
    reference.names().first() == Some(&Some("steps"))
}

/// Whether the job can request an ID token: `None` if the caller decides, or if it is not known.
pub fn can_request_id_token(workflow: &Workflow<'_>, job: &Job<'_>) -> Option<bool> {
    match job.level("id-token") {
        Some(Level::Write) => Some(true),
        Some(Level::Unknown) => None,
        Some(_) => Some(false),
        // The default never includes it. A called workflow has what its caller has.
        None if workflow.is_only_called() || workflow.events.is_empty() => None,
        None => Some(false),
    }
}

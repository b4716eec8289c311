//! What a job does with a stored key: where the key comes from, and where the push goes.

use std::cell::OnceCell;
use std::collections::BinaryHeap;

use crate::edits::sort;
use crate::expression::{condition_references, only_reference, references};
use crate::key::{self, Part, Secret, Variable, written_name};
use crate::login::{Project, ProjectJob, Scope, is_nuget_org};
use crate::model::{Action, EnvLevel, File, Job, Level, Place, Step, Uses, all_references, is_off};
use crate::push::{OTHER_FEEDS, Push, Sources, Target, is_named, named_sources, of_feeds, of_urls, pushes};
use crate::script::{Command, Shell, Word};
use crate::yaml::Node;

use super::plan::{ByHand, Options};

/// A step that uses a key.
#[derive(Debug, Clone)]
pub(super) struct KeyUse<'a> {
    /// Its number in the job.
    pub(super) step: usize,
    /// None if the push has no key.
    pub(super) secret: Option<Secret<'a>>,
}

impl<'a> KeyUse<'a> {
    /// The variable of the job or of the workflow with the secret.
    pub(super) fn outer(&self) -> Option<Variable<'a>> {
        self.secret.as_ref()?.outer
    }
}

#[derive(Default)]
pub(super) struct Analysis<'a> {
    pub(super) uses: Vec<KeyUse<'a>>,
    pub(super) by_hand: Vec<ByHand>,
    /// The number of pushes to nuget.org with a stored key.
    pub(super) pushes: usize,
    /// Outer variables that something needs which is done by hand.
    pub(super) hidden: Vec<usize>,
    secrets: Vec<String>,
}

impl Analysis<'_> {
    /// The names of the secrets, as they are written.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let of_uses = self.uses.iter().filter_map(|it| Some(&it.secret.as_ref()?.name));
        for name in of_uses.chain(&self.secrets) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        sort(&mut names, |a, b| a < b);
        names
    }
}

/// Commands that publish to something else than a NuGet feed of packages, or only configure one.
const OTHER_PUBLISHERS: [&str; 6] =
    ["choco", "publish-module", "publish-psresource", "publish-script", "npm", "register-psrepository"];

pub(super) fn analyse<'a>(project: &Project<'a>, it: ProjectJob<'_, 'a>, options: &Options<'_>) -> Analysis<'a> {
    let job = it.job;
    let mut found = Analysis::default();
    if is_off(job.node) || it.logins().iter().any(|login| login.is_nuget_org) {
        return found;
    }
    if job.uses().is_some() {
        called(project, it, options, &mut found);
        return found;
    }
    let names = named_sources(&job.steps);
    let mut reader = Reader { it, options, names, found, nth: 0, has_push_without_key: OnceCell::new() };
    for (nth, step) in job.steps.iter().enumerate().filter(|(_, step)| !is_off(step.node)) {
        reader.nth = nth;
        match step.uses() {
            Some((_, Uses::Local(path))) => match project.action(&path) {
                Some(action) => reader.local_action(step, action),
                None => reader.foreign_action(step, &path),
            },
            Some((_, Uses::Remote { owner, name, .. })) => reader.foreign_action(step, &format!("{owner}/{name}")),
            None => reader.script(Scope { step, action: None }, step),
        }
    }
    found = std::mem::take(&mut reader.found);
    // A variable around all steps says less than a push in one of them.
    if found.uses.is_empty() && found.by_hand.is_empty() {
        reader.found = found;
        reader.outer_scripts();
        found = reader.found;
    }
    found.uses.extend(keyless(it).into_iter().map(|(step, _)| KeyUse { step, secret: None }));
    found.uses = without_repetitions(&found.uses);
    if !found.uses.is_empty() || !found.by_hand.is_empty() {
        conditional(it, &mut found);
        forbidden(it, &mut found);
    }
    found
}

/// Each secret once, in the order of the steps: a variable around the steps once for each of them.
fn without_repetitions<'a>(uses: &[KeyUse<'a>]) -> Vec<KeyUse<'a>> {
    let place = |it: &KeyUse<'_>| it.secret.as_ref().map_or(0, |secret| secret.place.at.start);
    // What two steps share by an anchor has one place.
    let is_shared = |it: &KeyUse<'_>| it.secret.as_ref().is_some_and(|secret| secret.outer.is_none());
    let of_step = |it: &KeyUse<'_>| if is_shared(it) { 0 } else { it.step + 1 };
    // Sorted by heaps, whose code is small.
    let by_place: BinaryHeap<_> = uses.iter().enumerate().map(|(nth, it)| (place(it), of_step(it), nth)).collect();
    let mut once = by_place.into_sorted_vec();
    once.dedup_by_key(|(place, step, _)| (*place, *step));
    let by_step: BinaryHeap<_> = once.into_iter().map(|(place, _, nth)| (uses[nth].step, place, nth)).collect();
    by_step.into_sorted_vec().into_iter().map(|(.., nth)| uses[nth].clone()).collect()
}

/// `forbidden-event`.
fn forbidden<'a>(it: ProjectJob<'_, 'a>, found: &mut Analysis<'a>) {
    let events = &it.workflow.events;
    let Some(first) = found.uses.first() else { return };
    if events.len() == 1 && events[0].0 == "pull_request_target" {
        let line = match &first.secret {
            Some(secret) => secret.place.line(),
            None => it.workflow.file.document.line_of(it.job.steps[first.step].node.at().start),
        };
        found.by_hand.push(ByHand {
            line,
            code: "forbidden-event",
            message: "the workflow only runs on `pull_request_target`, an event that nuget.org rejects".to_owned(),
            fix: "publish on another event".to_owned(),
            yaml: Some("on:\n  push:\n    tags: [\"v*\"]".to_owned()),
        });
    }
}

/// The steps that push to nuget.org without any key, in a job that can request ID tokens and does not log in, and the
/// places of the pushes.
pub(super) fn keyless<'a>(it: ProjectJob<'_, 'a>) -> Vec<(usize, Place<'a>)> {
    let job = it.job;
    let mut found = Vec::new();
    if is_off(job.node) || !it.logins().is_empty() || job.level("id-token") != Some(Level::Write) {
        return found;
    }
    let names = named_sources(&job.steps);
    for (nth, step) in job.steps.iter().enumerate() {
        if can_provide_key(step) {
            return found;
        }
        let sources = Sources::new(Scope { step, action: None }, &names);
        let has_variable = step.variable("NUGET_API_KEY").is_some()
            || step.script().assigned("NUGET_API_KEY", usize::MAX).is_some()
            || step.script().assigned("env:NUGET_API_KEY", usize::MAX).is_some();
        if has_variable || is_off(step.node) {
            continue;
        }
        for push in pushes(step.script()) {
            let has_key = push.key.is_some() || push.stores_key || push.is_open;
            if !has_key && sources.target(&push) == Target::NugetOrg {
                found.push((nth, step.place_in_script(push.at..push.end.max(push.at + 1))));
            }
        }
    }
    found
}

/// Whether a step can give a key to later ones in a way that is not followed.
fn can_provide_key(step: &Step<'_>) -> bool {
    let text = step.text().to_lowercase();
    let writes = (text.contains("github_env") || text.contains("set-env") || text.contains("setapikey"))
        || text.contains("apikeys")
        || text.contains("source ./")
        || step.script().commands.iter().any(|command| matches!(command.program().as_str(), "." | "source"));
    let provides = match step.uses() {
        Some((_, Uses::Local(_))) => true,
        Some((_, Uses::Remote { owner, name, .. })) => {
            let action = format!("{owner}/{name}").to_lowercase();
            ["nuget", "vault", "secret", "login", "key", "env", "op"].iter().any(|part| action.contains(part))
                && !matches!(action.as_str(), "nuget/setup-nuget")
        }
        None => false,
    };
    writes || provides
}

/// Whether a name is that of a key for a feed.
fn is_key_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    name.contains("nuget")
        && !has(&["choco", "psgallery", "cert", "sign"])
        && !has(&OTHER_FEEDS)
        && (has(&["key", "token", "secret", "auth"])
            || !has(&["user", "source", "url", "feed", "owner", "mail", "name", "version", "config", "pass"]))
}

/// Whether a step runs a script or a build tool that can push, and no push that is seen.
fn runs_tool(step: &Step<'_>) -> bool {
    let commands = &step.script().commands;
    let is_other = |it: &Command| OTHER_PUBLISHERS.contains(&it.program().as_str()) || Push::of(it).is_some();
    step.uses().is_none() && commands.iter().any(can_push) && !commands.iter().any(is_other)
}

fn is_publishing(text: &str) -> bool {
    ["publish", "push", "deploy", "release"].iter().any(|part| is_named(text, part))
}

/// The scripts and the targets of build tools that a step runs.
fn scripts<'s>(step: &'s Step<'_>) -> impl Iterator<Item = &'s Command> {
    let is_file =
        |word: &Word| word.text.starts_with("./") || word.text.starts_with(".\\") || has_script_extension(&word.text);
    let is_tool = |command: &Command| matches!(command.program().as_str(), "make" | "nuke" | "just" | "dotnet");
    let is_script = move |command: &&Command| command.words.iter().take(2).any(is_file) || is_tool(command);
    step.script().commands.iter().filter(is_script).filter(|command| can_push(command))
}

/// Whether a step can need a variable without naming it: it runs a script or a target of a build tool that publishes.
pub(super) fn can_need_variable(step: &Step<'_>) -> bool {
    let publishes = |command: &Command| command.words.iter().any(|word| is_publishing(&word.text));
    step.uses().is_none() && !is_off(step.node) && scripts(step).any(publishes)
}

/// Whether a text has a command that pushes in it, such as one for another shell.
fn mentions_push(text: &str) -> bool {
    ["nuget push", "nuget.exe push"].iter().any(|it| is_named(text, it))
}

/// Whether a text suggests that something is published.
fn suggests_publishing(text: &str) -> bool {
    ["publish", "push", "deploy", "release", "nuget", "pack"].iter().any(|part| is_named(text, part))
}

struct Reader<'p, 'o, 'a> {
    it: ProjectJob<'p, 'a>,
    options: &'p Options<'o>,
    names: Vec<(String, String)>,
    found: Analysis<'a>,
    /// The step of the job.
    nth: usize,
    has_push_without_key: OnceCell<bool>,
}

impl<'a> Reader<'_, '_, 'a> {
    fn line(&self, place: &Place<'a>, step: &Step<'a>) -> usize {
        match std::ptr::eq(place.file, self.it.workflow.file) {
            true => place.line(),
            // In a local action: the step that uses it.
            false => Place::of(step.file, step.node).line(),
        }
    }

    fn by_hand(
        &mut self,
        line: usize,
        code: &'static str,
        message: impl Into<String>,
        fix: impl Into<String>,
        yaml: Option<String>,
    ) {
        self.found.by_hand.push(ByHand { line, code, message: message.into(), fix: fix.into(), yaml });
    }

    fn login_yaml(&self) -> Option<String> {
        Some(format!(
            "permissions:\n  id-token: write  # and what the job's steps need\nsteps:\n  - name: NuGet login\n    id: \
             nuget-login\n    uses: {}\n    with:\n      user: {}\n  - name: Push  # the step that uses the key\n    env:\n      \
             NUGET_API_KEY: ${{{{ steps.nuget-login.outputs.NUGET_API_KEY }}}}",
            self.options.uses, self.options.user
        ))
    }

    /// Notes the secrets that this step uses.
    fn use_all(&mut self, secrets: Vec<Secret<'a>>) {
        let step = self.nth;
        self.found.uses.extend(secrets.into_iter().map(|secret| KeyUse { step, secret: Some(secret) }));
    }

    /// Notes the secrets of what is done by hand.
    fn keep(&mut self, secrets: &[Secret<'a>]) {
        for secret in secrets {
            self.found.secrets.push(secret.name.clone());
            self.found.hidden.extend(secret.outer.map(|(_, entry)| entry.0.at().start));
        }
    }

    /// A step, or one of a local action; `step` is that of the job.
    fn script(&mut self, scope: Scope<'_, 'a>, step: &Step<'a>) {
        let inner = scope.step;
        let names = std::mem::take(&mut self.names);
        let sources = Sources::new(scope, &names);
        // Where each secret goes.
        let mut targets: Vec<(Target, usize)> = Vec::new();
        let others = |command: &&Command| OTHER_PUBLISHERS.contains(&command.program().as_str());
        for word in inner.script().commands.iter().filter(others).flat_map(|command| &command.words[1..]) {
            targets.extend(key::secrets(key::of_word(scope, word)).iter().map(|it| (Target::Other, it.place.at.start)));
        }
        let pushes = pushes(inner.script());
        let (mut is_read, mut is_open) = (false, false);
        for push in &pushes {
            let parts = key_of(scope, push, &sources);
            is_read |= !parts.is_empty();
            let target = sources.target(push);
            is_open |= parts.is_empty() && !push.stores_key && target != Target::Other;
            if !parts.iter().any(|part| matches!(part, Part::Login)) {
                targets.extend(parts.iter().filter_map(Part::secret).map(|it| (target, it.place.at.start)));
                self.push(step, push, target, parts);
            }
        }
        let is_other = |at: usize| targets.iter().any(|(target, it)| *target != Target::NugetOrg && *it == at);
        let is_shared = targets.iter().any(|(target, _)| *target != Target::NugetOrg);
        let shared = targets.iter().find(|(target, at)| is_shared && *target == Target::NugetOrg && is_other(*at));
        if let Some((_, at)) = shared {
            let line = inner.file.document.line_of(*at);
            let message = "one variable has the key for nuget.org and for another feed in one step";
            let fix = "give the push to nuget.org a variable of its own, and run `nuget-login migrate` again";
            let yaml = "env:\n  NUGET_ORG_KEY: ${{ secrets.NUGET_API_KEY }}".to_owned();
            self.by_hand(line, "shared-variable", message, fix, Some(yaml));
        }
        if is_named(inner.run().and_then(Node::text).unwrap_or_default(), "<apikeys>") {
            let secrets: Vec<_> = step_secrets(inner, true).into_iter().map(|(_, secret)| secret).collect();
            self.key_in_config(step, &secrets);
        }
        if pushes.is_empty() {
            self.tool(scope, step);
        } else if is_open && !is_read {
            let mut secrets = step_secrets(inner, true);
            secrets.retain(|(name, _)| name.is_empty() || !variable_uses(inner, name).is_empty());
            self.tool_target(step, secrets, "the push gets its options in a way that is not followed", &[]);
        }
        self.names = names;
    }

    /// A push whose key is made of these parts.
    fn push(&mut self, step: &Step<'a>, push: &Push, target: Target, parts: Vec<Part<'a>>) {
        let elsewhere = parts.iter().find_map(|part| match part {
            Part::Elsewhere(place) => Some(place.clone()),
            _ => None,
        });
        let secrets = key::secrets(parts);
        match target {
            Target::Other => {}
            _ if push.stores_key => {
                // A push that names its key does not read it there.
                if (target == Target::NugetOrg || push.source.is_none()) && self.pushes_without_key() {
                    self.key_in_config(step, &secrets);
                }
            }
            Target::NugetOrg if !secrets.is_empty() => {
                self.found.pushes += 1;
                self.use_all(secrets);
            }
            Target::NugetOrg => {
                let Some(place) = elsewhere else { return };
                let line = self.line(&place, step);
                // What is written out can be a key.
                let is_shown = place.text().starts_with(['$', '%']) || place.text().contains("${{");
                let shown = if is_shown { format!(": `{}`", shown(&place)) } else { String::new() };
                let message = format!("the key of the push to nuget.org is not a secret{shown}");
                let fix = "log in directly before the push, and replace the key by the login's output";
                self.by_hand(line, "key-from-elsewhere", message, fix, self.login_yaml());
            }
            Target::Unknown if secrets.is_empty() => {
                // A secret whose name is computed.
                if let Some(place) = elsewhere.filter(|place| place.text().starts_with("secrets")) {
                    let line = self.line(&place, step);
                    self.unknown_target(step, &[], Some(line), "the name of its secret is computed", &[]);
                }
            }
            Target::Unknown if self.options.assume_nuget_org => self.use_all(secrets),
            Target::Unknown => {
                let why = match &push.source {
                    None => "the push has no source".to_owned(),
                    Some(source) => format!("the file does not define the source `{}`", source.text.trim()),
                };
                self.unknown_target(step, &secrets, None, &why, &["nuget.config", "NuGet.config", "NuGet.Config"]);
            }
        }
    }

    /// Whether a step pushes without naming a key.
    fn pushes_without_key(&self) -> bool {
        *self.has_push_without_key.get_or_init(|| {
            let mut all = self.it.job.steps.iter().flat_map(|step| pushes(step.script()));
            all.any(|push| push.key.is_none() && !push.stores_key)
        })
    }

    fn key_in_config(&mut self, step: &Step<'a>, secrets: &[Secret<'a>]) {
        let Some(first) = secrets.first() else { return };
        let line = self.line(&first.place, step);
        self.keep(secrets);
        let message = "the key is stored in a nuget.config, and the push reads it there";
        let fix = "log in directly before the push, give the login's output to the push, and remove the command that stores the key";
        self.by_hand(line, "key-in-config", message, fix, self.login_yaml());
    }

    /// `files`: those of the repository that can name the target.
    fn unknown_target(
        &mut self,
        step: &Step<'a>,
        secrets: &[Secret<'a>],
        line: Option<usize>,
        why: &str,
        files: &[&str],
    ) {
        self.keep(secrets);
        let own = secrets.iter().find(|secret| secret.outer.is_none());
        let line = line.or_else(|| own.map(|secret| self.line(&secret.place, step)));
        let line = line.unwrap_or_else(|| match step.run() {
            Some(run) => step.file.document.line_of(run.at().start),
            None => Place::of(step.file, step.node).line(),
        });
        let hint = files.iter().find_map(|path| {
            let text = (self.options.read)(path)?;
            let line = text.lines().position(|line| {
                line.split(['"', '\'', ' ', '<', '>', '(', ')', ';', '='])
                    .any(|word| is_nuget_org(word) && word.contains("://"))
            })?;
            Some(format!("{path}:{} names nuget.org", line + 1))
        });
        let hint = hint.map_or(String::new(), |hint| format!(" ({hint})"));
        let message = format!("the target of the push is not known: {why}{hint}");
        let fix = "if it is nuget.org, run `nuget-login migrate` with `--assume-nuget-org`, or make these edits";
        self.by_hand(line, "unknown-target", message, fix, self.login_yaml());
    }

    /// A script or a build tool that gets a key.
    fn tool(&mut self, scope: Scope<'_, 'a>, step: &Step<'a>) {
        let inner = scope.step;
        let commands = &inner.script().commands;
        if commands.iter().any(|command| OTHER_PUBLISHERS.contains(&command.program().as_str())) {
            return;
        }
        let tools: Vec<&Command> = commands.iter().filter(|command| can_push(command)).collect();
        let mut secrets = Vec::new();
        let text = inner.run().and_then(Node::text).unwrap_or_default();
        let has_word = |it: &str| inner.script().texts().any(|text| text.eq_ignore_ascii_case(it));
        let pushes = inner.script().texts().any(mentions_push) || has_word("nuget") && has_word("push");
        let is_relevant = |variable: &str, secret: &str| {
            pushes || is_key_name(variable) || is_key_name(secret) || {
                let is_key = |name: &str| ["api_key", "apikey", "api-key"].iter().any(|it| is_named(name, it));
                let suggests = ["nuget", "nupkg"].iter().any(|it| is_named(inner.text(), it));
                (is_key(variable) || is_key(secret)) && suggests
            }
        };
        let is_other_shell = inner.shell() == Shell::Other && inner.run().is_some();
        if !tools.is_empty() || is_other_shell {
            secrets.extend(step_secrets(inner, false).into_iter().filter(|(name, it)| is_relevant(name, &it.name)));
        }
        // What a command gets in its arguments.
        for word in commands.iter().filter(|command| takes_key(command)).flat_map(|command| &command.words) {
            let in_word = key::secrets(key::within_word(scope, word)).into_iter();
            secrets.extend(in_word.filter(|it| is_relevant("", &it.name)).map(|it| ("", it)));
        }
        if is_other_shell {
            secrets.extend(step_secrets(inner, true).into_iter().filter(|(_, it)| is_relevant("", &it.name)));
        }
        // What names only another feed.
        if secrets.is_empty() || of_feeds(inner) == Target::Other {
            return;
        }
        let runs = tools.first().map_or("a script", |command| command.words[0].text.as_str());
        self.tool_target(step, secrets, &format!("`{}` gets the key", shown_text(runs)), &files_of(text));
    }

    /// `secrets`, each with the variable that has it.
    fn tool_target(&mut self, step: &Step<'a>, secrets: Vec<(&str, Secret<'a>)>, why: &str, files: &[String]) {
        // A tool can have the keys of several feeds.
        let is_for_nuget = |(name, secret): &(&str, Secret<'a>)| is_key_name(name) || is_key_name(&secret.name);
        let named = secrets.iter().any(is_for_nuget);
        let secrets = secrets.into_iter().filter(|it| !named || is_for_nuget(it)).map(|(_, secret)| secret);
        let secrets: Vec<_> = secrets.collect();
        let Some(first) = secrets.first() else { return };
        let is_one = secrets.iter().all(|secret| secret.name.eq_ignore_ascii_case(&first.name));
        if self.options.assume_nuget_org && is_one {
            self.use_all(secrets);
        } else {
            self.unknown_target(step, &secrets, None, why, &files.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// Variables of the job or of the workflow with a key, where no step of the job reads one by its name.
    fn outer_scripts(&mut self) {
        let root = &self.it.workflow.file.document.root;
        let job = self.it.job;
        for (nth, step) in job.steps.iter().enumerate().filter(|(_, step)| !is_off(step.node)) {
            if !runs_tool(step)
                || scripts(step).next().is_none()
                || !is_publishing(step.text()) && !is_publishing(job.id)
            {
                continue;
            }
            let mut secrets = Vec::new();
            let blocks = [(EnvLevel::Job, job.node.get("env")), (EnvLevel::Workflow, root.get("env"))];
            for (level, entry) in blocks
                .iter()
                .flat_map(|(level, env)| env.map_or(&[][..], Node::entries).iter().map(move |it| (*level, it)))
            {
                let of_entry = key::secrets(key::of_entry(step, (level, entry)));
                let name = entry.0.text().unwrap_or_default();
                secrets.extend(
                    of_entry.into_iter().filter(|it| is_key_name(name) || is_key_name(&it.name)).map(|it| (name, it)),
                );
            }
            if of_feeds(step) != Target::Other {
                self.nth = nth;
                let text = step.run().and_then(Node::text).unwrap_or_default();
                self.tool_target(step, secrets, "a script or a build tool gets the key", &files_of(text));
            }
        }
    }

    /// An action of another repository, or one that is not here.
    fn foreign_action(&mut self, step: &Step<'a>, action: &str) {
        let action = action.to_lowercase();
        let text = step.text();
        if action == "nuget/setup-nuget" {
            let scope = Scope { step, action: None };
            let key = step.input("nuget-api-key").map(|(_, value)| key::secrets(key::of_input(scope, value)));
            return self.key_in_config(step, &key.filter(|_| self.pushes_without_key()).unwrap_or_default());
        }
        let is_known = action.starts_with("actions/") || action.starts_with("docker/") || action.starts_with("github/");
        let runs_push = action == "actions/github-script" && is_named(text, "nuget") && is_named(text, "push");
        if is_known && !runs_push || action == "nuget/login" {
            return;
        }
        let pushes = mentions_push(text);
        let inputs = step.node.get("with").map_or(&[][..], Node::entries);
        let texts = || inputs.iter().filter_map(|(name, value)| Some((name.text()?, value.text()?.trim())));
        let in_command = || text.match_indices("http").map(|(at, _)| &text[at..]);
        let names_nuget_org =
            texts().any(|(_, text)| is_nuget_org(text)) || pushes && of_urls(in_command()) == Target::NugetOrg;
        let is_source =
            |name: &str| ["source", "feed", "server", "url", "registry"].iter().any(|part| is_named(name, part));
        let names_other = texts().any(|(name, text)| is_source(name) && text.contains("://") && !is_nuget_org(text));
        let is_nuget = is_named(&action, "nuget") || names_nuget_org;
        let mut secrets = Vec::new();
        for (name, value) in inputs.iter().filter_map(|(name, value)| Some((name.text()?, value))) {
            let is_key = ["key", "token", "secret"].iter().any(|part| is_named(name, part));
            let found = key::secrets(key::of_input(Scope { step, action: None }, value)).into_iter();
            let is_relevant =
                |it: &Secret<'_>| is_key_name(name) || is_key_name(&it.name) || is_nuget && is_key || pushes;
            secrets.extend(found.filter(is_relevant).map(|it| (name, it)));
        }
        let of_env = step_secrets(step, false).into_iter();
        secrets.extend(of_env.filter(|(name, it)| is_key_name(name) || is_key_name(&it.name) || pushes));
        if secrets.is_empty() || names_other && !names_nuget_org {
            return;
        }
        if names_nuget_org {
            self.found.pushes += 1;
            self.use_all(secrets.into_iter().map(|(_, secret)| secret).collect());
        } else {
            let why = format!("the action `{}` gets the key", shown_text(&action));
            self.tool_target(step, secrets, &why, &[]);
        }
    }

    fn local_action(&mut self, step: &Step<'a>, action: &Action<'a>) {
        let names = std::mem::take(&mut self.names);
        self.names = names.iter().cloned().chain(named_sources(&action.steps)).collect();
        for inner in &action.steps {
            if inner.run().is_some() {
                self.script(Scope { step: inner, action: Some((action, step)) }, step);
            } else if let Some((_, Uses::Remote { owner, name, .. })) = inner.uses() {
                self.inner_foreign_action(step, action, inner, &format!("{owner}/{name}"));
            }
        }
        self.names = names;
    }

    /// An action within a local one.
    fn inner_foreign_action(&mut self, step: &Step<'a>, action: &Action<'a>, inner: &Step<'a>, name: &str) {
        if !is_named(name, "nuget") || is_named(name, "setup-nuget") {
            return;
        }
        let inputs = inner.node.get("with").map_or(&[][..], Node::entries);
        let scope = Scope { step: inner, action: Some((action, step)) };
        let of_input = |(name, value): &'a (Node, Node)| {
            let found = key::secrets(key::of_input(scope, value)).into_iter();
            found.map(|secret| (name.text().unwrap_or_default(), secret))
        };
        let secrets: Vec<_> = inputs.iter().flat_map(of_input).collect();
        if secrets.is_empty() {
            return;
        }
        if inputs.iter().filter_map(|(_, value)| value.text()).any(|text| is_nuget_org(text.trim())) {
            self.use_all(secrets.into_iter().map(|(_, secret)| secret).collect());
        } else {
            self.tool_target(step, secrets, &format!("the action `{}` gets the key", shown_text(name)), &[]);
        }
    }
}

/// What the key of a push is made of.
fn key_of<'a>(scope: Scope<'_, 'a>, push: &Push, sources: &Sources<'_, 'a>) -> Vec<Part<'a>> {
    let symbol_key = push.symbol_key.as_ref().filter(|_| sources.are_symbols_for_nuget_org(push));
    let keys = [push.key.as_ref(), symbol_key].into_iter().flatten();
    let mut parts: Vec<_> = keys.flat_map(|word| key::of_word(scope, word)).collect();
    let variable = key::of_variable(scope, "NUGET_API_KEY").unwrap_or_default();
    if push.key.is_none() {
        parts.extend(variable);
    } else if let Some(name) = parts.iter().find_map(|part| Some(part.secret()?.name.to_lowercase())) {
        // The same secret in the step's own variable, which NuGet does not read beside a key.
        let is_same = |it: &Secret<'_>| it.outer.is_none() && it.name.to_lowercase() == name;
        parts.extend(variable.into_iter().filter(|part| part.secret().is_some_and(is_same)));
    }
    parts
}

fn shown(place: &Place<'_>) -> String {
    shown_text(place.text())
}

/// The beginning of a text, for a message.
fn shown_text(text: &str) -> String {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    line.chars().take(60).collect()
}

fn has_script_extension(path: &str) -> bool {
    let extensions = [".sh", ".ps1", ".cmd", ".bat", ".cake", ".fsx", ".csx", ".py", ".proj", ".targets"];
    extensions.iter().any(|extension| path.to_lowercase().ends_with(extension))
}

/// The files that a script runs, and those that its tools read.
fn files_of(text: &str) -> Vec<String> {
    let mut files = Vec::new();
    for word in
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '&' | '|' | '(' | ')')).take(1_000)
    {
        let path = word.replace('\\', "/");
        let path = path.trim_start_matches("./");
        if has_script_extension(path) && !path.starts_with('/') && !path.contains("..") && !path.contains(':') {
            files.push(path.to_owned());
        }
    }
    if !files.is_empty()
        || is_named(text, "cake")
        || is_named(text, "nuke")
        || is_named(text, "fake")
        || is_named(text, "build")
    {
        files.extend(
            ["build.cake", "build/Build.cs", "build/Program.cs", "build.fsx", "build/build.fsx"].map(str::to_owned),
        );
    }
    if text.contains("make") {
        files.push("Makefile".to_owned());
    }
    files
}

/// Whether a command can push in a way that is not seen here.
fn can_push(command: &Command) -> bool {
    let argument = command.argument(1).to_lowercase();
    match command.program().as_str() {
        "dotnet" => {
            !matches!(
                argument.as_str(),
                "restore"
                    | "build"
                    | "test"
                    | "pack"
                    | "publish"
                    | "msbuild"
                    | "vstest"
                    | "nuget"
                    | "format"
                    | "clean"
                    | "--info"
                    | "--version"
                    | "tool"
                    | "workload"
                    | "new"
                    | "sln"
                    | "add"
                    | "list"
                    | "nbgv"
                    | "gitversion"
                    | "dev-certs"
            ) || argument == "tool" && matches!(command.argument(2), "run" | "exec")
        }
        "nuget" | "git" | "gh" | "cd" | "mkdir" | "ls" | "dir" | "cp" | "mv" | "rm" | "export" | "chmod" | "cat"
        | "pwd" | "tee" | "find" | "ls." | "sed" | "grep" | "awk" | "jq" | "tar" | "zip" | "unzip" | "[" | "[["
        | "test" | "fi" | "done" | "esac" | "exit" | "get-childitem" | "write-host" | "set-location" | "new-item"
        | "copy-item" | "remove-item" | "echo" | "printf" | "write-output" | "for" | "while" | "case" | "foreach"
        | "throw" | "sleep" | "source" | "." | "read" | "true" | "false" | "apt-get" | "apt" | "brew" | "sudo"
        | "()" | "shopt" | "local" | "return" | "break" | "continue" | "msbuild" | "docker" | "npm" | "npx"
        | "pnpm" | "yarn" | "-e" | "-eu" | "-euo" | "-x" | "-ex" | "-o" | "pipefail" | "-" => false,
        program => {
            !command.only_prints()
                && !program.starts_with(['-', '$', '"', '(', ')', '{', '}', '[', '<', '>', '#', '=', '@'])
        }
    }
}

/// Whether a key among the arguments of a command can be pushed with.
fn takes_key(command: &Command) -> bool {
    let is_nuget = command.program() == "nuget" || command.program() == "dotnet" && command.argument(1) == "nuget";
    let is_test = matches!(command.program().as_str(), "[" | "[[" | "test" | "git" | "gh" | "if" | "export");
    let is_docker = command.program() == "docker" && !command.words.iter().any(|word| suggests_publishing(&word.text));
    // `$x -eq ''`
    let is_value =
        command.words.len() == 1 || command.program().starts_with('$') && command.argument(1).starts_with('-');
    !is_nuget
        && !is_test
        && !is_docker
        && !is_value
        && !command.only_prints()
        && !OTHER_PUBLISHERS.contains(&command.program().as_str())
}

/// The secrets in the variables of a step, or in its script, with the names of the variables.
fn step_secrets<'a>(step: &Step<'a>, of_script: bool) -> Vec<(&'a str, Secret<'a>)> {
    let mut secrets = Vec::new();
    for entry in step.node.get("env").map_or(&[][..], Node::entries) {
        let found = key::secrets(key::of_entry(step, (EnvLevel::Step, entry)));
        secrets.extend(found.into_iter().map(|it| (entry.0.text().unwrap_or_default(), it)));
    }
    if of_script {
        for found in step.references().iter().filter(|found| found.within == "run") {
            let parts = key::of_reference(step, &found.reference, &found.place);
            secrets.extend(
                parts
                    .iter()
                    .filter_map(Part::secret)
                    .filter(|it| it.place.at == found.place.at)
                    .map(|it| ("", it.clone())),
            );
        }
    }
    secrets
}

/// Where a script reads a variable of the environment: places in its text.
fn variable_uses(step: &Step<'_>, name: &str) -> Vec<usize> {
    let text = step.run().and_then(Node::text).unwrap_or_default();
    let mut found = Vec::new();
    if name.is_empty() {
        return found;
    }
    let (bytes, is_word) = (text.as_bytes(), |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_');
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices(&name.to_ascii_lowercase()) {
        let before = &lower[..at];
        let is_end = !bytes.get(at + name.len()).is_some_and(is_word);
        let prefixes: &[&str] = match step.shell() {
            Shell::Posix | Shell::Other => &["$", "${", "$env:", "${env:"],
            Shell::PowerShell => &["$env:", "${env:"],
            Shell::Cmd => &["%", "!"],
        };
        let Some(prefix) = prefixes.iter().find(|prefix| before.ends_with(**prefix)) else { continue };
        let start = at - prefix.len();
        let is_escaped = before[..start].ends_with(['\\', '`']);
        if is_end && !is_escaped && !step.script().is_comment(start) {
            found.push(start);
        }
    }
    found
}

/// Whether a step reads a variable by its name, from around it.
pub(super) fn reads_variable(step: &Step<'_>, name: &str) -> bool {
    let is_own = step.definition(name, None).is_some_and(|(level, _)| level == EnvLevel::Step);
    !is_own
        && (!variable_uses(step, name).is_empty()
            || step
                .references()
                .iter()
                .any(|it| it.reference.of("env").is_some_and(|it| it.eq_ignore_ascii_case(name)))
            || name.eq_ignore_ascii_case("NUGET_API_KEY") && {
                pushes(step.script()).iter().any(|push| push.key.is_none())
            })
}

/// Whether a job reads a variable outside of its steps.
pub(super) fn job_reads_variable(file: &File, job: &Job<'_>, name: &str) -> bool {
    let parts = job.node.entries().iter().filter(|(key, _)| !matches!(key.text(), Some("steps" | "env")));
    parts
        .flat_map(|(_, value)| all_references(file, value, ""))
        .any(|it| it.reference.of("env").is_some_and(|it| it.eq_ignore_ascii_case(name)))
}

/// `conditional-on-key`: tests that only ask whether the secret is set.
fn conditional<'a>(it: ProjectJob<'_, 'a>, found: &mut Analysis<'a>) {
    let secrets: Vec<String> = found.secrets().iter().map(|name| name.to_lowercase()).collect();
    let mut lines = Vec::new();
    let needed = it.job.needs().into_iter().filter_map(|id| it.workflow.job(id));
    for job in std::iter::once(it.job).chain(needed) {
        let is_own = std::ptr::eq(job, it.job);
        if let Some(condition) = job.condition() {
            let read = condition.text().map(condition_references).unwrap_or_default();
            if read
                .iter()
                .any(|reference| reference.of("secrets").is_some_and(|name| secrets.contains(&name.to_owned())))
            {
                lines.push(it.workflow.file.document.line_of(condition.at().start));
            }
        }
        for step in &job.steps {
            let is_key = |parts: Vec<Part<'a>>| {
                parts.iter().filter_map(Part::secret).any(|it| secrets.contains(&it.name.to_lowercase()))
            };
            for it in step.references() {
                let asks = match it.within {
                    "if" => is_own,
                    "env" | "run" => it.reference.of("secrets").is_some() && is_comparison(step, &it.place),
                    _ => false,
                };
                if asks && is_key(key::of_reference(step, &it.reference, &it.place)) {
                    lines.push(it.place.line());
                }
            }
            let is_key_variable =
                |name: &str| step.definition(name, None).is_some_and(|entry| is_key(key::of_entry(step, entry)));
            lines.extend(tests(step, &is_key_variable, &secrets));
        }
    }
    for line in lines {
        found.by_hand.push(ByHand {
            line,
            code: "conditional-on-key",
            message: "this asks whether the secret is set, and without the secret the push no longer runs".to_owned(),
            fix: "replace the test by a condition on the repository or the event, and run `nuget-login migrate` again"
                .to_owned(),
            yaml: Some("if: github.repository_owner == 'contoso'".to_owned()),
        });
    }
}

/// Whether an expression in a variable compares the secret, and does not give it.
fn is_comparison(step: &Step<'_>, place: &Place<'_>) -> bool {
    let rest = step.file.document.text[place.at.end..].trim_start();
    rest.starts_with("!=") || rest.starts_with("==")
}

/// How far before a variable an `if` is searched for in its line, in bytes.
const LONGEST_TEST: usize = 500;

/// The lines in which a script tests whether a key is set.
fn tests(step: &Step<'_>, is_key: &dyn Fn(&str) -> bool, secrets: &[String]) -> Vec<usize> {
    let text = step.run().and_then(Node::text).unwrap_or_default();
    let mut places = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    let blocks = [step.node.get("env")].into_iter().flatten().flat_map(Node::entries).filter_map(|(key, _)| key.text());
    names.extend(blocks);
    // Names that the script has, of outer variables.
    for word in text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.len() > 2).take(20_000)
    {
        if !names.contains(&word) && step.variable(word).is_some() {
            names.push(word);
        }
    }
    for name in names.into_iter().filter(|name| is_key(name)) {
        places.extend(variable_uses(step, name));
    }
    if text.contains("${{") {
        for reference in references(text) {
            let is_secret = reference.of("secrets").is_some_and(|name| secrets.iter().any(|it| it == name));
            if (is_secret || reference.of("env").is_some_and(is_key)) && !step.script().is_comment(reference.at.start) {
                places.push(reference.at.start);
            }
        }
    }
    if places.is_empty() {
        return Vec::new();
    }
    let mut in_brackets = vec![false; text.len()];
    let is_bracket = |command: &&Command| matches!(command.program().as_str(), "[" | "[[" | "test");
    for word in step.script().commands.iter().filter(is_bracket).flat_map(|command| &command.words) {
        in_brackets[word.at.clone()].fill(true);
    }
    let is_test = |at: &usize| {
        let near = (at.saturating_sub(LONGEST_TEST)..=*at).find_map(|from| text.get(from..*at));
        let line = near.unwrap_or_default().rsplit('\n').next().unwrap_or_default().to_lowercase();
        let is_if = line.split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "if" | "elseif" | "unless"));
        let asks = is_if && step.shell() != Shell::Posix || line.contains("isnullor");
        in_brackets[*at] || asks && !line.contains("push")
    };
    let lines = places.into_iter().filter(is_test).map(|at| step.place_in_script(at..at + 1).line());
    lines.collect()
}

/// A job that calls a workflow: where the key is passed to one that is not in the repository.
fn called<'a>(project: &Project<'a>, it: ProjectJob<'_, 'a>, options: &Options<'_>, found: &mut Analysis<'a>) {
    let Some((uses, called)) = it.job.uses() else { return };
    let path = match &called {
        Uses::Local(path) if project.workflows.iter().any(|workflow| workflow.file.path == *path) => return,
        // What is here, and was not read, does not name NuGet.
        Uses::Local(path) if (options.read)(path).is_some() => return,
        Uses::Local(path) => path.clone(),
        Uses::Remote { owner, name, path, .. } => format!("{owner}/{name}/{path}"),
    };
    let Some((_, secrets)) = it.job.node.entry("secrets") else { return };
    let file = it.workflow.file;
    let is_other = ["docker", "container", "image", "npm", "helm", "pages", "docs", "pypi", "maven"]
        .iter()
        .any(|part| is_named(&path, part));
    let mut line = None;
    if secrets.text().is_some_and(|text| text == "inherit") {
        let name = path.rsplit('/').next().unwrap_or_default();
        let suggests = ["publish", "push", "release"].iter().any(|part| is_named(name, part)) && !is_other;
        if suggests || is_named(name, "nuget") {
            line = Some(file.document.line_of(secrets.at().start));
        }
    }
    for (name, value) in secrets.entries() {
        for reference in all_references(file, value, "") {
            let secret = written_name(&reference.place);
            if reference.reference.is_stored_secret() && (is_key_name(&secret) || name.text().is_some_and(is_key_name))
            {
                line.get_or_insert(reference.place.line());
                found.secrets.push(secret);
            }
        }
    }
    let Some(line) = line else { return };
    let where_it_is = match called {
        Uses::Local(_) => format!("{path} is not in the repository"),
        Uses::Remote { owner, name, .. } => format!("the called workflow is in another repository, {owner}/{name}"),
    };
    let _ = uses;
    let yaml = format!(
        "permissions:\n  id-token: write\n  contents: read\nsteps:\n  - uses: actions/checkout@v4\n  - run: dotnet pack -o out\n  - name: NuGet login\n    id: nuget-login\n    uses: {}\n    with:\n      user: {}\n  - run: dotnet nuget push \"out/*.nupkg\" --source https://api.nuget.org/v3/index.json\n    env:\n      NUGET_API_KEY: ${{{{ steps.nuget-login.outputs.NUGET_API_KEY }}}}",
        options.uses, options.user
    );
    found.by_hand.push(ByHand {
        line,
        code: "called-workflow",
        message: format!("the key can be used in a workflow that nuget-login does not edit: {where_it_is}"),
        fix: "log in and push in a job of this repository".to_owned(),
        yaml: Some(yaml),
    });
}

/// Whether a value is nothing but a secret.
pub(super) fn is_only_secret(node: &Node) -> bool {
    node.text().and_then(only_reference).is_some_and(|it| it.of("secrets").is_some())
}

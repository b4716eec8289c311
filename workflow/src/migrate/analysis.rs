//! What a job does with a stored key: where the key comes from, and where the push goes.

use crate::expression::{condition_references, only_reference};
use crate::login::{KEY, Project, ProjectJob, Scope, is_nuget_org};
use crate::model::{Action, EnvLevel, File, Job, Level, Place, Step, Uses, all_references, is_off};
use crate::push::{Push, is_named, value_of_word};
use crate::script::{Command, Shell, Word, variable};
use crate::yaml::Node;

use super::{ByHand, Options};

/// A step that uses a key.
#[derive(Debug, Clone)]
pub(super) struct KeyUse<'a> {
    /// Its number in the job.
    pub(super) step: usize,
    pub(super) source: Source<'a>,
}

/// Where the key is written. The place is that of `secrets.X`.
#[derive(Debug, Clone)]
pub(super) enum Source<'a> {
    /// In the step itself.
    InPlace { place: Place<'a>, name: String },
    /// In a variable of the job or of the workflow.
    Outer { level: EnvLevel, entry: &'a (Node, Node), place: Place<'a>, name: String },
    /// Nowhere: the push has no key.
    Missing,
}

impl<'a> KeyUse<'a> {
    pub(super) fn outer(&self) -> Option<(EnvLevel, &'a (Node, Node))> {
        match &self.source {
            Source::Outer { level, entry, .. } => Some((*level, entry)),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> Option<&str> {
        match &self.source {
            Source::InPlace { name, .. } | Source::Outer { name, .. } => Some(name),
            Source::Missing => None,
        }
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
        let of_uses = self.uses.iter().filter_map(|it| it.name().map(str::to_owned));
        for name in of_uses.chain(self.secrets.iter().cloned()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        crate::edits::sort(&mut names, |a, b| a < b);
        names
    }
}

/// What a value is made of.
#[derive(Debug, Clone)]
enum Value<'a> {
    Secret {
        place: Place<'a>,
        name: String,
        outer: Option<(EnvLevel, &'a (Node, Node))>,
    },
    Login,
    Token,
    /// A vault's output, an input, or a value that is written out.
    Elsewhere(Place<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    NugetOrg,
    Other,
    Unknown,
}

/// Feeds that a source's name gives away.
const OTHER_FEEDS: [&str; 12] = [
    "github",
    "azure",
    "devops",
    "myget",
    "gitlab",
    "artifactory",
    "nexus",
    "proget",
    "cloudsmith",
    "feedz",
    "local",
    "gpr",
];

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
    let names = source_names(&job.steps);
    let mut reader = Reader { it, options, names, found, nth: 0 };
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
    found = reader.found;
    // A variable around all steps says less than a push in one of them.
    if found.uses.is_empty() && found.by_hand.is_empty() {
        let mut reader = Reader { it, options, names: Vec::new(), found, nth: 0 };
        reader.outer_scripts();
        found = reader.found;
    }
    for (step, _) in keyless(it) {
        found.uses.push(KeyUse { step, source: Source::Missing });
    }
    let uses = std::mem::take(&mut found.uses);
    for it in uses {
        let is_new = |other: &KeyUse<'a>| match (&it.source, &other.source) {
            (Source::InPlace { place: a, .. }, Source::InPlace { place: b, .. }) => a.at != b.at,
            (Source::Outer { entry: a, .. }, Source::Outer { entry: b, .. }) => {
                it.step != other.step || a.0.at() != b.0.at()
            }
            (Source::Missing, Source::Missing) => it.step != other.step,
            _ => true,
        };
        if found.uses.iter().all(is_new) {
            found.uses.push(it);
        }
    }
    if !found.uses.is_empty() || !found.by_hand.is_empty() {
        conditional(it, &mut found);
        forbidden(it, &mut found);
    }
    found
}

/// `forbidden-event`.
fn forbidden<'a>(it: ProjectJob<'_, 'a>, found: &mut Analysis<'a>) {
    let events = &it.workflow.events;
    let Some(first) = found.uses.first() else { return };
    if events.len() == 1 && events[0].0 == "pull_request_target" {
        let line = match &first.source {
            Source::InPlace { place, .. } | Source::Outer { place, .. } => place.line(),
            Source::Missing => it.workflow.file.document.line_of(it.job.steps[first.step].node.at().start),
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
    let names = source_names(&job.steps);
    for (nth, step) in job.steps.iter().enumerate() {
        if can_provide_key(step) {
            return found;
        }
        let scope = Scope { step, action: None };
        for command in step.script().commands.iter().filter(|_| !is_off(step.node)) {
            let Some(push) = Push::of(command).filter(|push| push.key.is_none() && !push.stores_key) else { continue };
            let has_variable = step.definition("NUGET_API_KEY").is_some()
                || step.script().assigned("NUGET_API_KEY", usize::MAX).is_some()
                || step.script().assigned("env:NUGET_API_KEY", usize::MAX).is_some();
            // Options in a variable can have a key.
            let is_open =
                command.words.iter().skip(2).any(|word| word.text.starts_with(['@', '$']) && is_options(&word.text));
            if !has_variable && !is_open && target(scope, &push, &names) == Target::NugetOrg {
                let last =
                    command.words.iter().rfind(|word| is_named(&word.text, "push")).map_or(push.at, |it| it.at.end);
                found.push((nth, step.place_in_script(push.at..last.max(push.at + 1))));
            }
        }
    }
    found
}

fn is_options(word: &str) -> bool {
    word.starts_with('@') || ["arg", "opt", "param", "[@]", "[*]", "key"].iter().any(|part| is_named(word, part))
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

/// The sources that commands add under a name, with their URLs as far as the file tells them.
fn source_names(steps: &[Step<'_>]) -> Vec<(String, String)> {
    let mut names = Vec::new();
    for step in steps {
        for (name, url) in crate::push::source_names(std::slice::from_ref(step)) {
            let url = value_of_word(Scope { step, action: None }, &url, usize::MAX, 0).unwrap_or(url);
            names.push((name, url));
        }
    }
    names
}

fn target(scope: Scope<'_, '_>, push: &Push, names: &[(String, String)]) -> Target {
    let by_feed = || if names_only_nuget_org(scope.step) { Target::NugetOrg } else { Target::Unknown };
    let Some(source) = &push.source else { return by_feed() };
    let Some(text) = value_of_word(scope, &source.text, push.at, 0) else {
        return if variable(&source.text).is_some() { by_feed() } else { Target::Unknown };
    };
    let url = names.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(&text)).map(|(_, url)| url);
    let text = url.unwrap_or(&text);
    match () {
        () if is_nuget_org(text) => Target::NugetOrg,
        () if text.contains(['$', '%']) || text.is_empty() => Target::Unknown,
        () if text.contains(['/', '\\', ':']) => Target::Other,
        () if OTHER_FEEDS.iter().any(|feed| is_named(text, feed)) => Target::Other,
        () => Target::Unknown,
    }
}

/// Whether the only feeds in a step are nuget.org's.
fn names_only_nuget_org(step: &Step<'_>) -> bool {
    let script = step.script();
    let run = step.run().and_then(Node::text).unwrap_or_default();
    let of_run = run.match_indices("http").filter(|(at, _)| !script.is_comment(*at)).map(|(at, _)| &run[at..]);
    let env = step.node.get("env").map_or(&[][..], Node::entries).iter().filter_map(|(_, value)| value.text());
    let of_env = env.flat_map(|text| text.match_indices("http").map(|(at, _)| &text[at..]));
    let urls = of_run.chain(of_env).filter(|rest| rest.starts_with("https://") || rest.starts_with("http://"));
    let url =
        |rest: &'_ str| rest.split(['"', '\'', ' ', '\n', ')', ';', '`', ',']).next().unwrap_or_default().to_owned();
    let is_feed = |url: &String| ["nuget", "/v3/", "index.json", "/api/v2", "pkgs."].iter().any(|it| is_named(url, it));
    let feeds: Vec<String> = urls.map(url).filter(is_feed).collect();
    !feeds.is_empty() && feeds.iter().all(|feed| is_nuget_org(feed))
}

/// Whether a name is that of a key for a feed.
fn is_key_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    name.contains("nuget")
        && !has(&["github", "gpr", "azure", "myget", "choco", "psgallery", "cert", "sign"])
        && (has(&["key", "token", "api", "secret", "auth"])
            || !has(&["user", "source", "url", "feed", "owner", "mail", "name", "version", "config", "pass"]))
}

/// Whether a text suggests that something is published.
fn suggests_publishing(text: &str) -> bool {
    ["publish", "push", "deploy", "release", "nuget", "pack"].iter().any(|part| is_named(text, part))
}

/// The name of a secret as it is written.
fn written_name(place: &Place<'_>) -> String {
    let text = place.text();
    let name = match text.rsplit_once('[') {
        Some((_, index)) => index.trim_end_matches(']').trim().trim_matches('\''),
        None => text.rsplit('.').next().unwrap_or_default(),
    };
    name.trim().to_owned()
}

struct Reader<'p, 'o, 'a> {
    it: ProjectJob<'p, 'a>,
    options: &'p Options<'o>,
    names: Vec<(String, String)>,
    found: Analysis<'a>,
    /// The step of the job.
    nth: usize,
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

    /// The secrets among the values, as uses of this step.
    fn use_all(&mut self, values: &[Value<'a>]) {
        for value in values {
            if let Value::Secret { place, name, outer } = value {
                let (place, name) = (place.clone(), name.clone());
                let source = match outer {
                    Some((level, entry)) => Source::Outer { level: *level, entry, place, name },
                    None => Source::InPlace { place, name },
                };
                self.found.uses.push(KeyUse { step: self.nth, source });
            }
        }
    }

    /// Notes the secrets of what is done by hand.
    fn keep(&mut self, values: &[Value<'a>]) {
        for value in values {
            if let Value::Secret { name, outer, .. } = value {
                self.found.secrets.push(name.clone());
                self.found.hidden.extend(outer.iter().map(|(_, entry)| entry.0.at().start));
            }
        }
    }

    /// A step, or one of a local action; `step` is that of the job.
    fn script(&mut self, scope: Scope<'_, 'a>, step: &Step<'a>) {
        let inner = scope.step;
        let mut secrets_for: Vec<(Target, usize)> = Vec::new();
        let mut has_push = false;
        for command in &inner.script().commands {
            let Some(push) = Push::of(command) else {
                if OTHER_PUBLISHERS.contains(&command.program().as_str()) {
                    let values = command.words.iter().skip(1).flat_map(|word| of_word(scope, word, 0));
                    secrets_for.extend(values.filter_map(|it| secret_at(&it)).map(|at| (Target::Other, at)));
                }
                continue;
            };
            has_push = true;
            let keys = [&push.key, &push.symbol_key];
            let mut values: Vec<_> = keys.into_iter().flatten().flat_map(|word| of_word(scope, word, 0)).collect();
            if push.key.is_none() {
                values.extend(of_variable(scope, "NUGET_API_KEY", usize::MAX, 0).unwrap_or_default());
            }
            if values.iter().any(|value| matches!(value, Value::Login)) {
                continue;
            }
            let target = target(scope, &push, &self.names);
            secrets_for.extend(values.iter().filter_map(secret_at).map(|at| (target, at)));
            let has_secret = values.iter().any(|value| matches!(value, Value::Secret { .. }));
            match target {
                Target::Other => {}
                _ if push.stores_key => {
                    if has_secret && (target == Target::NugetOrg || push.source.is_none()) {
                        self.key_in_config(step, &values);
                    }
                }
                Target::NugetOrg => {
                    self.found.pushes += usize::from(has_secret);
                    if has_secret {
                        self.use_all(&values);
                    } else if let Some(Value::Elsewhere(place)) =
                        values.iter().find(|it| matches!(it, Value::Elsewhere(_)))
                    {
                        let line = self.line(place, step);
                        let message = format!("the key of the push to nuget.org is not a secret: `{}`", shown(place));
                        let fix = "log in directly before the push, and replace the key by the login's output";
                        self.by_hand(line, "key-from-elsewhere", message, fix, self.login_yaml());
                    }
                }
                Target::Unknown if !has_secret => {}
                Target::Unknown if self.options.assume_nuget_org => self.use_all(&values),
                Target::Unknown => {
                    let why = match &push.source {
                        None => "the push has no source".to_owned(),
                        Some(source) => format!("the file does not define the source `{}`", source.text.trim()),
                    };
                    self.unknown_target(step, &values, &why, &["nuget.config", "NuGet.config", "NuGet.Config"]);
                }
            }
        }
        let shared = secrets_for.iter().find(|(target, at)| {
            *target == Target::NugetOrg && secrets_for.iter().any(|(other, it)| *other != Target::NugetOrg && it == at)
        });
        if let Some((_, at)) = shared {
            let line = inner.file.document.line_of(*at);
            let message = "one variable has the key for nuget.org and for another feed in one step";
            let fix = "give the push to nuget.org a variable of its own, and run `nuget-login migrate` again";
            self.by_hand(
                line,
                "shared-variable",
                message,
                fix,
                Some("env:\n  NUGET_ORG_KEY: ${{ secrets.NUGET_API_KEY }}".to_owned()),
            );
        }
        if is_named(inner.run().and_then(Node::text).unwrap_or_default(), "<apikeys>") {
            let values: Vec<_> = step_values(inner, true).into_iter().map(|(_, value)| value).collect();
            if !values.is_empty() {
                self.key_in_config(step, &values);
            }
        }
        if !has_push {
            self.tool(scope, step);
        }
    }

    fn key_in_config(&mut self, step: &Step<'a>, values: &[Value<'a>]) {
        let Some(Value::Secret { place, .. }) = values.iter().find(|it| matches!(it, Value::Secret { .. })) else {
            return;
        };
        let line = self.line(place, step);
        self.keep(values);
        let message = "the key is stored in a nuget.config, and the push reads it there";
        let fix = "log in directly before the push, give the login's output to the push, and remove the command that stores the key";
        self.by_hand(line, "key-in-config", message, fix, self.login_yaml());
    }

    /// `files`: those of the repository that can name the target.
    fn unknown_target(&mut self, step: &Step<'a>, values: &[Value<'a>], why: &str, files: &[&str]) {
        self.keep(values);
        let secret = values.iter().find_map(|value| match value {
            Value::Secret { place, outer: None, .. } => Some(self.line(place, step)),
            _ => None,
        });
        let line = secret.unwrap_or_else(|| match step.run() {
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
        let mut values = Vec::new();
        let text = inner.run().and_then(Node::text).unwrap_or_default();
        let is_relevant = |variable: &str, secret: &str| {
            is_key_name(variable) || is_key_name(secret) || {
                let is_key = |name: &str| ["api_key", "apikey", "api-key"].iter().any(|it| is_named(name, it));
                let suggests = ["nuget", "nupkg"].iter().any(|it| is_named(inner.text(), it));
                (is_key(variable) || is_key(secret)) && suggests
            }
        };
        let is_other_shell = inner.shell() == Shell::Other && inner.run().is_some();
        if !tools.is_empty() || is_other_shell {
            values.extend(step_values(inner, false).into_iter().filter(
                |(variable, value)| matches!(value, Value::Secret { name, .. } if is_relevant(variable, name)),
            ));
        }
        // What a command gets in its arguments.
        for command in commands.iter().filter(|command| takes_key(command)) {
            for word in &command.words {
                let in_word = of_part(scope, word);
                let variable = word.text.clone();
                values.extend(
                    in_word
                        .into_iter()
                        .filter(|value| matches!(value, Value::Secret { name, .. } if is_relevant("", name)))
                        .map(|it| (variable.clone(), it)),
                );
            }
        }
        if is_other_shell {
            values.extend(
                step_values(inner, true)
                    .into_iter()
                    .filter(|(_, value)| matches!(value, Value::Secret { name, .. } if is_relevant("", name))),
            );
        }
        let values: Vec<_> = values.into_iter().map(|(_, value)| value).collect();
        if values.is_empty() {
            return;
        }
        let runs = tools.first().map_or("a script", |command| command.words[0].text.as_str());
        self.tool_target(step, &values, &format!("`{}` gets the key", shown_text(runs)), &files_of(text));
    }

    fn tool_target(&mut self, step: &Step<'a>, values: &[Value<'a>], why: &str, files: &[String]) {
        if self.options.assume_nuget_org {
            self.use_all(values);
        } else {
            self.unknown_target(step, values, why, &files.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    /// Variables of the job or of the workflow with a key, where no step of the job reads one by its name.
    fn outer_scripts(&mut self) {
        let root = &self.it.workflow.file.document.root;
        let job = self.it.job;
        for (nth, step) in job.steps.iter().enumerate().filter(|(_, step)| !is_off(step.node)) {
            let commands = &step.script().commands;
            let runs_tool = commands.iter().any(can_push)
                && !commands.iter().any(|it| OTHER_PUBLISHERS.contains(&it.program().as_str()));
            if step.uses().is_some() || !runs_tool || commands.iter().any(|it| Push::of(it).is_some()) {
                continue;
            }
            let is_publishing =
                |text: &str| ["publish", "push", "deploy", "release"].iter().any(|part| is_named(text, part));
            if !is_publishing(step.text()) && !is_publishing(job.id) {
                continue;
            }
            let mut values = Vec::new();
            let blocks = [(EnvLevel::Job, job.node.get("env")), (EnvLevel::Workflow, root.get("env"))];
            for (level, entry) in blocks
                .iter()
                .flat_map(|(level, env)| env.map_or(&[][..], Node::entries).iter().map(move |it| (*level, it)))
            {
                let of_entry = of_value(Scope { step, action: None }, step.file, &entry.1, Some((level, entry)), 0);
                let name = entry.0.text().unwrap_or_default();
                values.extend(of_entry.into_iter().filter(|value| {
                    matches!(value, Value::Secret { name: secret, .. } if is_key_name(name) || is_key_name(secret))
                }));
            }
            if !values.is_empty() {
                self.nth = nth;
                let text = step.run().and_then(Node::text).unwrap_or_default();
                self.tool_target(step, &values, "a script or a build tool gets the key", &files_of(text));
            }
        }
    }

    /// An action of another repository, or one that is not here.
    fn foreign_action(&mut self, step: &Step<'a>, action: &str) {
        let action = action.to_lowercase();
        let is_known = action.starts_with("actions/") || action.starts_with("docker/") || action.starts_with("github/");
        if is_known || action == "nuget/setup-nuget" || action == "nuget/login" {
            return;
        }
        let inputs = step.node.get("with").map_or(&[][..], Node::entries);
        let texts = || inputs.iter().filter_map(|(name, value)| Some((name.text()?, value.text()?.trim())));
        let names_nuget_org = texts().any(|(_, text)| is_nuget_org(text));
        let is_source =
            |name: &str| ["source", "feed", "server", "url", "registry"].iter().any(|part| is_named(name, part));
        let names_other = texts().any(|(name, text)| is_source(name) && text.contains("://") && !is_nuget_org(text));
        let is_nuget = is_named(&action, "nuget") || names_nuget_org;
        let mut values = Vec::new();
        for (name, value) in inputs.iter().filter_map(|(name, value)| Some((name.text()?, value))) {
            for found in of_value(Scope { step, action: None }, step.file, value, None, 0) {
                let Value::Secret { name: secret, .. } = &found else { continue };
                let is_key = ["key", "token", "secret"].iter().any(|part| is_named(name, part));
                if is_key_name(name) || is_key_name(secret) || is_nuget && is_key {
                    values.push(found);
                }
            }
        }
        let of_env = step_values(step, false).into_iter();
        values.extend(of_env.filter_map(|(variable, value)| match &value {
            Value::Secret { name, .. } if is_key_name(&variable) || is_key_name(name) => Some(value),
            _ => None,
        }));
        if values.is_empty() || names_other && !names_nuget_org {
            return;
        }
        if names_nuget_org {
            self.found.pushes += 1;
            self.use_all(&values);
        } else {
            let why = format!("the action `{}` gets the key", shown_text(&action));
            self.tool_target(step, &values, &why, &[]);
        }
    }

    fn local_action(&mut self, step: &Step<'a>, action: &Action<'a>) {
        let names = std::mem::take(&mut self.names);
        self.names = names.iter().cloned().chain(source_names(&action.steps)).collect();
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
        let values: Vec<_> = inputs.iter().flat_map(|(_, value)| of_value(scope, inner.file, value, None, 0)).collect();
        let values: Vec<_> = values.into_iter().filter(|value| matches!(value, Value::Secret { .. })).collect();
        if values.is_empty() {
            return;
        }
        if inputs.iter().filter_map(|(_, value)| value.text()).any(|text| is_nuget_org(text.trim())) {
            self.use_all(&values);
        } else {
            self.tool_target(step, &values, &format!("the action `{}` gets the key", shown_text(name)), &[]);
        }
    }
}

fn shown(place: &Place<'_>) -> String {
    shown_text(place.text())
}

/// The beginning of a text, for a message.
fn shown_text(text: &str) -> String {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    line.chars().take(60).collect()
}

fn secret_at(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::Secret { place, .. } => Some(place.at.start),
        _ => None,
    }
}

/// The files that a script runs, and those that its tools read.
fn files_of(text: &str) -> Vec<String> {
    let mut files = Vec::new();
    for word in
        text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '&' | '|' | '(' | ')')).take(1_000)
    {
        let path = word.replace('\\', "/");
        let path = path.trim_start_matches("./");
        let is_script = [".sh", ".ps1", ".cmd", ".bat", ".cake", ".fsx", ".csx", ".py", ".proj", ".targets"]
            .iter()
            .any(|end| path.to_lowercase().ends_with(end));
        if is_script && !path.starts_with('/') && !path.contains("..") && !path.contains(':') {
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
        | "()" | "shopt" | "local" | "return" | "break" | "continue" | "msbuild" | "docker" | "npm" | "-e" | "-eu"
        | "-euo" | "-x" | "-ex" | "-o" | "pipefail" | "-" => false,
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
    let is_value = command.words.len() == 1;
    !is_nuget
        && !is_test
        && !is_docker
        && !is_value
        && !command.only_prints()
        && !OTHER_PUBLISHERS.contains(&command.program().as_str())
}

/// The secrets in the variables of a step, or in its script, with the names of the variables.
fn step_values<'a>(step: &Step<'a>, of_script: bool) -> Vec<(String, Value<'a>)> {
    let mut values = Vec::new();
    for (name, value) in step.node.get("env").map_or(&[][..], Node::entries) {
        let name = name.text().unwrap_or_default();
        let found = of_value(Scope { step, action: None }, step.file, value, None, 0);
        values.extend(found.into_iter().map(|it| (name.to_owned(), it)));
    }
    if of_script {
        for found in step.references().iter().filter(|found| found.within == "run") {
            if found.reference.is_stored_secret() {
                let (place, name) = (found.place.clone(), written_name(&found.place));
                values.push((String::new(), Value::Secret { place, name, outer: None }));
            }
        }
    }
    values.retain(|(_, value)| matches!(value, Value::Secret { .. }));
    values
}

/// What a word of a script is made of.
fn of_word<'a>(scope: Scope<'_, 'a>, word: &Word, depth: usize) -> Vec<Value<'a>> {
    let step = scope.step;
    let place = || step.place_in_script(word.at.clone());
    if depth > 4 {
        return vec![Value::Elsewhere(place())];
    }
    let text = word.text.trim();
    let text =
        text.strip_prefix("$(").and_then(|it| it.strip_suffix(')')).filter(|it| it.starts_with('$')).unwrap_or(text);
    if let Some(name) = variable(text) {
        return of_variable(scope, name, word.at.start, depth).unwrap_or_else(|| vec![Value::Elsewhere(place())]);
    }
    let values = of_part(scope, word);
    if values.is_empty() && !text.is_empty() { vec![Value::Elsewhere(place())] } else { values }
}

/// The values of the expressions in a word.
fn of_part<'a>(scope: Scope<'_, 'a>, word: &Word) -> Vec<Value<'a>> {
    let step = scope.step;
    if !word.text.contains("${{") {
        let names =
            word.text.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '$' | '{' | '}' | '%' | ':'));
        return names
            .filter_map(variable)
            .filter_map(|name| of_variable(scope, name, word.at.start, 0))
            .flatten()
            .collect();
    }
    let at = step.place_in_script(word.at.clone()).at;
    let in_word = step
        .references()
        .iter()
        .filter(|it| it.within == "run" && at.start <= it.place.at.start && it.place.at.start < at.end);
    in_word.flat_map(|found| of_reference(scope, &found.reference, &found.place, None, 0)).collect()
}

/// The value of a variable; none if it is not known.
fn of_variable<'a>(scope: Scope<'_, 'a>, name: &str, before: usize, depth: usize) -> Option<Vec<Value<'a>>> {
    if depth > 4 {
        return None;
    }
    let step = scope.step;
    if let Some(word) = step.script().assigned(name, before) {
        return Some(of_word(scope, word, depth + 1));
    }
    let defined = step.definition(name).map(|it| (step, it));
    let (step, (level, entry)) = defined.or_else(|| {
        let (_, outer) = scope.action?;
        Some((outer, outer.definition(name)?))
    })?;
    let outer = (level != EnvLevel::Step).then_some((level, entry));
    Some(of_value(scope, step.file, &entry.1, outer, depth + 1))
}

/// What a value of the file is made of.
fn of_value<'a>(
    scope: Scope<'_, 'a>,
    file: &'a File,
    node: &'a Node,
    outer: Option<(EnvLevel, &'a (Node, Node))>,
    depth: usize,
) -> Vec<Value<'a>> {
    let references = all_references(file, node, "");
    if references.is_empty() && node.text().is_some_and(|text| !text.trim().is_empty()) {
        return vec![Value::Elsewhere(Place::of(file, node))];
    }
    references.iter().flat_map(|it| of_reference(scope, &it.reference, &it.place, outer, depth)).collect()
}

fn of_reference<'a>(
    scope: Scope<'_, 'a>,
    reference: &crate::expression::Reference,
    place: &Place<'a>,
    outer: Option<(EnvLevel, &'a (Node, Node))>,
    depth: usize,
) -> Vec<Value<'a>> {
    let names = reference.names();
    if let [Some("steps"), _, Some("outputs"), Some(KEY)] = names[..] {
        return vec![Value::Login];
    }
    if reference.is_job_token() {
        return vec![Value::Token];
    }
    if reference.of("secrets").is_some() {
        return vec![Value::Secret { place: place.clone(), name: written_name(place), outer }];
    }
    if let Some(name) = reference.of("env").filter(|_| depth < 4) {
        let defined = scope.step.definition(name).map(|it| (scope.step, it));
        let defined = defined.or_else(|| scope.action.and_then(|(_, outer)| Some((outer, outer.definition(name)?))));
        if let Some((step, (level, entry))) = defined {
            let outer = (level != EnvLevel::Step).then_some((level, entry));
            return of_value(scope, step.file, &entry.1, outer, depth + 1);
        }
    }
    if let Some((_, outer_step)) = scope.action
        && let Some(name) = reference.of("inputs")
        && let Some((_, value)) = outer_step.input(name)
    {
        return of_value(Scope { step: outer_step, action: None }, outer_step.file, value, None, depth + 1);
    }
    match names.first() {
        // Parts of a condition.
        Some(Some("github" | "matrix" | "runner" | "job" | "strategy")) => Vec::new(),
        _ => vec![Value::Elsewhere(place.clone())],
    }
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
    let is_own = step.definition(name).is_some_and(|(level, _)| level == EnvLevel::Step);
    !is_own
        && (!variable_uses(step, name).is_empty()
            || step
                .references()
                .iter()
                .any(|it| it.reference.of("env").is_some_and(|it| it.eq_ignore_ascii_case(name)))
            || name.eq_ignore_ascii_case("NUGET_API_KEY") && {
                let mut commands = step.script().commands.iter();
                commands.any(|it| Push::of(it).is_some_and(|push| push.key.is_none()))
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
            let scope = Scope { step, action: None };
            let is_key = |values: Vec<Value<'a>>| {
                values
                    .iter()
                    .any(|value| matches!(value, Value::Secret { name, .. } if secrets.contains(&name.to_lowercase())))
            };
            for it in step.references() {
                let values = || of_reference(scope, &it.reference, &it.place, None, 0);
                match it.within {
                    "if" if is_own && is_key(values()) => lines.push(it.place.line()),
                    "env"
                        if it.reference.of("secrets").is_some()
                            && is_comparison(step, &it.place)
                            && is_key(values()) =>
                    {
                        lines.push(it.place.line());
                    }
                    _ => {}
                }
            }
            lines.extend(tests(
                step,
                &|name: &str| {
                    step.definition(name).is_some_and(|(level, entry)| {
                        let outer = (level != EnvLevel::Step).then_some((level, entry));
                        is_key(of_value(scope, step.file, &entry.1, outer, 0))
                    })
                },
                &secrets,
            ));
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
        if !names.contains(&word) && step.definition(word).is_some() {
            names.push(word);
        }
    }
    for name in names.into_iter().filter(|name| is_key(name)) {
        places.extend(variable_uses(step, name));
    }
    if text.contains("${{") {
        for reference in crate::expression::references(text) {
            let is_secret = reference.of("secrets").is_some_and(|name| secrets.iter().any(|it| it == name));
            if (is_secret || reference.of("env").is_some_and(is_key)) && !step.script().is_comment(reference.at.start) {
                places.push(reference.at.start);
            }
        }
    }
    let is_test = |at: &usize| {
        let in_brackets = step.script().commands.iter().any(|command| {
            matches!(command.program().as_str(), "[" | "[[" | "test")
                && command.words.iter().any(|word| word.at.start <= *at && *at < word.at.end)
        });
        let line = text[..*at].rsplit('\n').next().unwrap_or_default().to_lowercase();
        let is_if = line.split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "if" | "elseif" | "unless"));
        let asks = is_if && step.shell() != Shell::Posix || line.contains("isnullor");
        in_brackets || asks && !line.contains("push")
    };
    let lines = places.into_iter().filter(is_test).map(|at| step.place_in_script(at..at + 1).line());
    lines.collect()
}

/// A job that calls a workflow: where the key is passed to one that is not in the repository.
fn called<'a>(project: &Project<'a>, it: ProjectJob<'_, 'a>, options: &Options<'_>, found: &mut Analysis<'a>) {
    let Some((uses, called)) = it.job.uses() else { return };
    let path = match &called {
        Uses::Local(path) if project.workflows.iter().any(|workflow| workflow.file.path == *path) => return,
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
        let suggests = ["publish", "push", "deploy", "release"].iter().any(|part| is_named(name, part)) && !is_other;
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
        Uses::Local(_) => format!("{path} is not in the repository or does not name NuGet"),
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

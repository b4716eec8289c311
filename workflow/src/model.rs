//! Workflow files and composite actions as GitHub reads them.

use std::cell::OnceCell;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::expression::{Reference, condition_references, references};
use crate::script::{Script, Shell};
use crate::yaml::{Document, Node};

/// A file of the repository that is YAML.
#[derive(Debug)]
pub struct File {
    /// Its path in the repository, with `/`.
    pub path: String,
    pub document: Document,
}

impl File {
    /// The name without its folders, as a trust policy has it.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Whether it is an action and not a workflow.
    pub fn is_action(&self) -> bool {
        self.document.root.get("runs").is_some() && self.document.root.get("jobs").is_none()
    }
}

/// A place in a file.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    pub file: &'a File,
    pub at: Range<usize>,
}

impl<'a> Place<'a> {
    pub fn of(file: &'a File, node: &Node) -> Place<'a> {
        Place { file, at: node.at() }
    }

    /// The value of an entry, or its key if the value begins in another line.
    pub fn of_entry(file: &'a File, (key, value): &(Node, Node)) -> Place<'a> {
        let [key, value] = [key, value].map(|node| Place::of(file, node));
        if key.line() == value.line() { value } else { key }
    }

    pub fn line(&self) -> usize {
        self.file.document.line_of(self.at.start)
    }

    /// The text of the file at this place.
    pub fn text(&self) -> &'a str {
        self.file.document.text.get(self.at.clone()).unwrap_or_default()
    }
}

#[derive(Debug)]
pub struct Workflow<'a> {
    pub file: &'a File,
    /// The key `on` and its value.
    pub on: Option<&'a (Node, Node)>,
    /// The names of the events, each once, where they are written.
    pub events: Vec<(&'a str, &'a Node)>,
    pub jobs: Vec<Job<'a>>,
    graph: OnceCell<Graph>,
}

/// How the jobs of a workflow need each other.
#[derive(Debug)]
struct Graph {
    /// For each job, those that need it.
    dependents: Vec<Vec<usize>>,
    /// For each job, whether a condition can skip it: its own, or one of a job that it needs.
    conditional: Vec<bool>,
}

#[derive(Debug)]
pub struct Job<'a> {
    /// Its number among the workflow's.
    pub nth: usize,
    pub id: &'a str,
    pub node: &'a Node,
    /// The block in force: the job's, else the workflow's.
    pub permissions: Option<&'a Node>,
    pub steps: Vec<Step<'a>>,
    needed: OnceCell<Vec<Found<'a>>>,
}

/// A composite action of the repository, or another one, which has no steps.
#[derive(Debug)]
pub struct Action<'a> {
    pub file: &'a File,
    pub steps: Vec<Step<'a>>,
}

/// A step of a job or of a composite action.
#[derive(Debug)]
pub struct Step<'a> {
    pub file: &'a File,
    pub node: &'a Node,
    /// What its script is written in, and whether that is not a guess.
    shell: Shell,
    is_shell_known: bool,
    script: OnceCell<Script>,
    /// The variables around it: the job's and the workflow's.
    outer: [Option<&'a Node>; 2],
    positions: OnceCell<Vec<usize>>,
    references: OnceCell<Vec<Found<'a>>>,
}

/// Where an `env:` block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum EnvLevel {
    Step,
    Job,
    Workflow,
}

/// What `uses:` names.
#[derive(Debug, PartialEq, Eq)]
pub enum Uses<'a> {
    /// A path in the repository.
    Local(String),
    Remote {
        owner: &'a str,
        name: &'a str,
        path: &'a str,
        /// Empty without a version.
        reference: &'a str,
    },
}

/// Whether a job or a step never runs.
pub fn is_off(node: &Node) -> bool {
    let condition = node.get("if").and_then(Node::text).unwrap_or_default();
    let condition = condition.trim().trim_start_matches("${{").trim_end_matches("}}");
    condition.trim().eq_ignore_ascii_case("false")
}

/// What a permission allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    None,
    Read,
    Write,
    Unknown,
}

impl<'a> Workflow<'a> {
    pub fn read(file: &'a File) -> Workflow<'a> {
        let root = &file.document.root;
        let permissions = root.get("permissions");
        let job = |(nth, (key, node)): (usize, &'a (Node, Node))| {
            let id = key.text()?;
            let context = StepContext { file, env: [node.get("env"), root.get("env")], shells: [node, root], node };
            Some(Job {
                nth,
                id,
                node,
                permissions: node.get("permissions").or(permissions),
                steps: node.get("steps").map_or(&[][..], Node::items).iter().map(|it| context.step(it)).collect(),
                needed: OnceCell::new(),
            })
        };
        let jobs = root.get("jobs").map_or(&[][..], Node::entries).iter().enumerate().filter_map(job).collect();
        let on = root.entry("on");
        Workflow { file, on, events: on.map(|(_, on)| events(on)).unwrap_or_default(), jobs, graph: OnceCell::new() }
    }

    pub fn event(&self, name: &str) -> Option<&'a Node> {
        self.events.iter().find(|(event, _)| *event == name).map(|(_, node)| *node)
    }

    /// Whether only other workflows start it.
    pub fn is_only_called(&self) -> bool {
        !self.events.is_empty() && self.events.iter().all(|(event, _)| *event == "workflow_call")
    }

    /// What it has below `on.workflow_call`, such as `inputs`.
    pub fn call(&self, key: &str) -> Option<&'a Node> {
        self.on?.1.get("workflow_call")?.get(key)
    }

    pub fn job(&self, id: &str) -> Option<&Job<'a>> {
        self.jobs.iter().find(|job| job.id.eq_ignore_ascii_case(id))
    }

    /// The jobs that need this one, by their numbers.
    pub fn dependents(&self, job: usize) -> &[usize] {
        &self.graph().dependents[job]
    }

    /// Whether a job and all that it needs run for every event.
    pub fn is_unconditional(&self, job: usize) -> bool {
        !self.graph().conditional[job]
    }

    fn graph(&self) -> &Graph {
        self.graph.get_or_init(|| {
            // Sorted by a heap, whose code is small.
            let numbers = self.jobs.iter().map(|job| job.id.to_ascii_lowercase()).zip(0..);
            let numbers = BinaryHeap::from_iter(numbers).into_sorted_vec();
            let mut dependents = vec![Vec::new(); self.jobs.len()];
            for (nth, job) in self.jobs.iter().enumerate() {
                for needed in job.needs() {
                    let needed = needed.to_ascii_lowercase();
                    let at = numbers.partition_point(|(id, _)| *id < needed);
                    if let Some((_, number)) = numbers.get(at).filter(|(id, _)| *id == needed) {
                        dependents[*number].push(nth);
                    }
                }
            }
            let mut conditional: Vec<_> = self.jobs.iter().map(|job| job.condition().is_some()).collect();
            let mut next: Vec<_> = (0..self.jobs.len()).filter(|nth| conditional[*nth]).collect();
            while let Some(nth) = next.pop() {
                for &dependent in &dependents[nth] {
                    if !std::mem::replace(&mut conditional[dependent], true) {
                        next.push(dependent);
                    }
                }
            }
            Graph { dependents, conditional }
        })
    }
}

/// The most events of a workflow that are read. GitHub has fewer.
const MOST_EVENTS: usize = 100;

fn events(on: &Node) -> Vec<(&str, &Node)> {
    let keys = on.entries().iter().map(|(key, _)| key);
    let alone = (!on.is_null()).then_some(on);
    let mut events: Vec<(&str, &Node)> = Vec::new();
    for node in alone.into_iter().chain(on.items()).chain(keys) {
        if let Some(name) = node.text()
            && events.len() < MOST_EVENTS
            && !events.iter().any(|(event, _)| *event == name)
        {
            events.push((name, node));
        }
    }
    events
}

impl<'a> Job<'a> {
    /// What the block in force allows; `None` without a block.
    pub fn level(&self, permission: &str) -> Option<Level> {
        Some(level(self.permissions?, permission))
    }

    pub fn condition(&self) -> Option<&'a Node> {
        self.node.get("if")
    }

    /// The workflow that it calls.
    pub fn uses(&self) -> Option<(&'a Node, Uses<'a>)> {
        uses(self.node)
    }

    /// Whether it calls the workflow of the repository with this path.
    pub fn calls(&self, path: &str) -> bool {
        matches!(self.uses(), Some((_, Uses::Local(it))) if it == path)
    }

    pub fn needs(&self) -> Vec<&'a str> {
        let Some(needs) = self.node.get("needs") else { return Vec::new() };
        needs.text().into_iter().chain(needs.items().iter().filter_map(Node::text)).collect()
    }

    /// What it reads of the jobs that it needs.
    pub fn needed(&self, file: &'a File) -> &[Found<'a>] {
        self.needed.get_or_init(|| {
            let mut found = all_references(file, self.node, "needs");
            found.retain(|it| it.reference.names().first() == Some(&Some("needs")));
            found
        })
    }

    /// The name of its environment, which can be an expression.
    pub fn environment(&self) -> Option<&'a str> {
        let environment = self.node.get("environment")?;
        let name = environment.get("name").unwrap_or(environment);
        name.text().map(str::trim).filter(|text| !text.is_empty() && !name.is_null())
    }
}

/// What a block of permissions allows.
pub fn level(block: &Node, permission: &str) -> Level {
    let of = |text: &str| match text {
        "write" | "write-all" => Level::Write,
        "read" | "read-all" => Level::Read,
        "none" => Level::None,
        _ => Level::Unknown,
    };
    match block.text() {
        Some(all @ ("write-all" | "read-all")) => of(all),
        Some(_) => Level::Unknown,
        None if !block.is_mapping() => Level::Unknown,
        // What is not named is not allowed.
        None => block.get(permission).map_or(Level::None, |value| value.text().map_or(Level::Unknown, of)),
    }
}

impl<'a> Action<'a> {
    pub fn read(file: &'a File) -> Action<'a> {
        let root = &file.document.root;
        let context = StepContext { file, env: [None, None], shells: [root, root], node: root };
        let steps = root.get("runs").and_then(|runs| runs.get("steps")).map_or(&[][..], Node::items);
        Action { file, steps: steps.iter().map(|step| context.step(step)).collect() }
    }

    /// The names and values of its outputs.
    pub fn outputs(&self) -> Vec<(&'a str, Option<&'a Node>)> {
        let outputs = self.file.document.root.get("outputs").map_or(&[][..], Node::entries);
        outputs.iter().filter_map(|(key, output)| Some((key.text()?, output.get("value")))).collect()
    }

    /// The default of an input.
    pub fn default(&self, input: &str) -> Option<&'a Node> {
        self.file.document.root.get("inputs")?.entry_ignoring_case(input)?.1.get("default")
    }
}

struct StepContext<'a> {
    file: &'a File,
    env: [Option<&'a Node>; 2],
    shells: [&'a Node; 2],
    node: &'a Node,
}

impl<'a> StepContext<'a> {
    fn step(&self, node: &'a Node) -> Step<'a> {
        let run = node.get("run").and_then(Node::text);
        let (shell, is_shell_known) = run.map_or((Shell::Other, true), |run| self.shell(node, run));
        let (script, positions, references) = Default::default();
        Step { file: self.file, node, shell, is_shell_known, script, outer: self.env, positions, references }
    }

    /// The shell of a script, and whether it is known.
    fn shell(&self, step: &Node, run: &str) -> (Shell, bool) {
        let defaults = self.shells.iter().map(|node| node.get("defaults")?.get("run")?.get("shell"));
        let named = [step.get("shell")].into_iter().chain(defaults).flatten().find_map(Node::text);
        let by_content = || {
            let is_powershell = ["$env:", "`\n", "Get-ChildItem"].iter().any(|sign| run.contains(sign));
            (if is_powershell { Shell::PowerShell } else { Shell::Posix }, is_powershell)
        };
        if let Some(named) = named {
            let shell = match named.split_whitespace().next().unwrap_or_default() {
                "bash" | "sh" | "dash" | "zsh" => Shell::Posix,
                "pwsh" | "powershell" => Shell::PowerShell,
                "cmd" => Shell::Cmd,
                name if name.contains("${{") => return by_content(),
                _ => Shell::Other,
            };
            return (shell, true);
        }
        let Some(runner) = self.node.get("runs-on") else { return by_content() };
        let labels = runner.text().into_iter().chain(runner.items().iter().filter_map(Node::text));
        let labels = labels.collect::<Vec<_>>().join(" ").to_lowercase();
        match () {
            () if labels.contains("${{") => by_content(),
            () if labels.contains("windows") => (Shell::PowerShell, true),
            () => (Shell::Posix, true),
        }
    }
}

/// A reference in a value of a step, and where it is.
#[derive(Debug)]
pub struct Found<'a> {
    pub reference: Reference,
    pub place: Place<'a>,
    /// The key of the step that has the value: `run`, `with`, `env`, …
    pub within: &'a str,
}

impl<'a> Step<'a> {
    pub fn id(&self) -> Option<&'a str> {
        self.node.get("id")?.text().filter(|id| !id.is_empty())
    }

    /// Whether it is the step that an expression names, in lower case.
    pub fn is(&self, id: &str) -> bool {
        self.id().is_some_and(|it| it.to_lowercase() == id)
    }

    pub fn uses(&self) -> Option<(&'a Node, Uses<'a>)> {
        uses(self.node)
    }

    pub fn condition(&self) -> Option<&'a Node> {
        self.node.get("if")
    }

    /// The step as it is written.
    pub fn text(&self) -> &'a str {
        Place::of(self.file, self.node).text()
    }

    pub fn run(&self) -> Option<&'a Node> {
        self.node.get("run").filter(|run| run.text().is_some())
    }

    /// The key and the value of an input that it gives to its action.
    pub fn input(&self, name: &str) -> Option<&'a (Node, Node)> {
        self.node.get("with")?.entry_ignoring_case(name)
    }

    /// The entry that gives a variable to it, and how far out that is; with `inside`, by the blocks around that one, whose
    /// variables its values can read.
    pub fn definition(&self, name: &str, inside: Option<EnvLevel>) -> Option<(EnvLevel, &'a (Node, Node))> {
        let envs = [
            (EnvLevel::Step, self.node.get("env")),
            (EnvLevel::Job, self.outer[0]),
            (EnvLevel::Workflow, self.outer[1]),
        ];
        let around = envs.into_iter().filter(|(level, _)| inside.is_none_or(|inside| *level > inside));
        around
            .filter_map(|(level, env)| Some((level, env?)))
            .find_map(|(level, env)| Some((level, env.entry_ignoring_case(name)?)))
    }

    pub fn shell(&self) -> Shell {
        self.shell
    }

    /// Whether the shell is not a guess.
    pub fn is_shell_known(&self) -> bool {
        self.is_shell_known
    }

    /// The value of a variable that the file gives to it.
    pub fn variable(&self, name: &str) -> Option<&'a Node> {
        self.definition(name, None).map(|(_, entry)| &entry.1)
    }

    pub fn script(&self) -> &Script {
        let run = self.run().and_then(Node::text).unwrap_or_default();
        self.script.get_or_init(|| Script::parse(run, self.shell))
    }

    /// A range of the script as a place in the file.
    pub fn place_in_script(&self, at: Range<usize>) -> Place<'a> {
        let Some(run) = self.run() else { return Place::of(self.file, self.node) };
        let positions = self.positions.get_or_init(|| run.positions(&self.file.document.text));
        Place { file: self.file, at: positions[at.start]..end_position(positions, at.end).max(positions[at.start]) }
    }

    /// What its values read. What has no effect is left out: its name, and comments of a script.
    pub fn references(&self) -> &[Found<'a>] {
        self.references.get_or_init(|| self.find_references())
    }

    fn find_references(&self) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        for (key, value) in self.node.entries() {
            let within = key.text().unwrap_or_default();
            match within {
                "name" | "id" | "uses" => {}
                "if" => {
                    let read = value.text().map(condition_references).unwrap_or_default();
                    found.extend(places(self.file, value, read, within));
                }
                "run" => {
                    let mut read = value.text().map(references).unwrap_or_default();
                    read.retain(|reference| !self.script().is_comment(reference.at.start));
                    found.extend(places(self.file, value, read, within));
                }
                _ => found.extend(all_references(self.file, value, within)),
            }
        }
        found
    }
}

/// The ids of steps in lower case and the numbers of the steps, sorted.
pub(crate) fn sorted_ids(steps: &[Step<'_>]) -> Vec<(String, usize)> {
    let ids = steps.iter().enumerate().filter_map(|(nth, step)| Some((step.id()?.to_lowercase(), nth)));
    BinaryHeap::from_iter(ids).into_sorted_vec()
}

/// What the expressions of all scalars in a value read.
pub fn all_references<'a>(file: &'a File, node: &'a Node, within: &'a str) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    let mut rest = vec![node];
    while let Some(node) = rest.pop() {
        if let Some(text) = node.text() {
            found.extend(places(file, node, references(text), within));
        }
        rest.extend(node.items().iter().rev());
        rest.extend(node.entries().iter().rev().map(|(_, value)| value));
    }
    found
}

fn places<'a>(file: &'a File, node: &'a Node, references: Vec<Reference>, within: &'a str) -> Vec<Found<'a>> {
    if references.is_empty() {
        return Vec::new();
    }
    let positions = node.positions(&file.document.text);
    let place = |reference: Reference| {
        let place = Place { file, at: positions[reference.at.start]..end_position(&positions, reference.at.end) };
        Found { reference, place, within }
    };
    references.into_iter().map(place).collect()
}

/// The position behind the byte before `end`.
pub(crate) fn end_position(positions: &[usize], end: usize) -> usize {
    end.checked_sub(1).map_or(positions[end], |last| positions[last] + 1)
}

fn uses(node: &Node) -> Option<(&Node, Uses<'_>)> {
    let uses = node.get("uses")?;
    let text = uses.text()?.trim();
    if let Some(path) = text.strip_prefix("./") {
        let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect::<Vec<_>>();
        let is_inside = parts.iter().all(|part| *part != ".." && !part.contains(['\\', ':', '\0']));
        return is_inside.then(|| (uses, Uses::Local(parts.join("/"))));
    }
    // GitHub rejects `uses` without a version (`invalid-workflow`). It is read all the same, so that the login is found.
    let (path, reference) = text.split_once('@').unwrap_or((text, ""));
    let (owner, path) = path.split_once('/').filter(|(owner, _)| !owner.contains(':') && !owner.starts_with('.'))?;
    let (name, path) = path.split_once('/').unwrap_or((path, ""));
    Some((uses, Uses::Remote { owner, name, path, reference }))
}

/// Whether a file can matter: it names the login, or something that is local, which can log in.
pub fn can_log_in(text: &str) -> bool {
    text.contains("./")
        || text.as_bytes().windows(5).any(|word| matches!(word[0], b'n' | b'N') && word.eq_ignore_ascii_case(b"nuget"))
}

/// The paths of local actions and workflows that a file uses: folders and files, to be read as well.
pub fn local_uses(file: &File) -> Vec<String> {
    let root = &file.document.root;
    let jobs = root.get("jobs").map_or(&[][..], Node::entries).iter().map(|(_, job)| job);
    let steps = jobs.clone().chain(root.get("runs")).filter_map(|it| it.get("steps")).flat_map(Node::items);
    let local = |node| match uses(node)? {
        (_, Uses::Local(path)) => Some(path),
        _ => None,
    };
    jobs.chain(steps).filter_map(local).collect()
}

//! From a stored key to a login: the edits of workflow files. Pure: nothing is read or written here.
//!
//! A job is edited only where its push goes to nuget.org for certain. The edits are made twice, as ranges of bytes and in
//! the value of the document. The file is refused where the two differ.

mod analysis;
mod change;
mod notes;
mod plan;

use crate::edits::{Edits, Tree, sort};
use crate::key::Secret;
use crate::login::{Project, ProjectJob};
use crate::model::{EnvLevel, File, Job, Place, Step, Uses, Workflow, end_position};
use crate::permissions::{Block, entries, of_called, of_steps, raise};
use crate::yaml::Node;

pub use plan::{ByHand, FilePlan, JobPlan, Note, Options, Permissions, Plan, Policy};

use analysis::KeyUse;
use change::{Change, Conditions};

/// The pushes to nuget.org with a stored key.
pub fn stored_keys(project: &Project<'_>) -> usize {
    let options = Options { user: "", uses: "", environment: None, assume_nuget_org: false, read: &|_| None };
    let jobs = (0..project.workflows.len()).flat_map(|nth| project.jobs(nth));
    jobs.map(|it| analysis::analyse(project, it, &options).pushes).sum()
}

/// The places of pushes to nuget.org without any key, in jobs that can request ID tokens and do not log in.
pub fn pushes_without_login<'p, 'a>(project: &'p Project<'a>) -> Vec<(ProjectJob<'p, 'a>, Place<'a>)> {
    let jobs = (0..project.workflows.len()).flat_map(|nth| project.jobs(nth));
    jobs.flat_map(|it| analysis::keyless(it).into_iter().map(move |(_, place)| (it, place))).collect()
}

/// Plans the edits of the workflows that are asked for, and of their callers.
pub fn plan<'a>(project: &Project<'a>, asked: &dyn Fn(&File) -> bool, options: &Options<'_>) -> Plan<'a> {
    let mut planner = Planner { project, options, workflows: Vec::new() };
    for (nth, workflow) in project.workflows.iter().enumerate() {
        let jobs: Vec<_> = match asked(workflow.file) {
            true => project.jobs(nth).map(|it| planner.job(it)).collect(),
            false => workflow.jobs.iter().map(|_| Planned::default()).collect(),
        };
        planner.workflows.push(jobs);
    }
    planner.callers();
    planner.finish()
}

/// A job and what is to be done in it.
#[derive(Default)]
struct Planned<'a> {
    uses: Vec<KeyUse<'a>>,
    by_hand: Vec<ByHand>,
    /// The secrets of what is done by hand.
    secrets: Vec<String>,
    /// The entries of outer `env:` blocks that a job which is not edited needs.
    needed: Vec<usize>,
    conditions: Conditions,
    /// Whether it calls a workflow that logs in after the edits.
    calls_login: bool,
}

impl Planned<'_> {
    fn is_edited(&self) -> bool {
        self.by_hand.is_empty() && !self.uses.is_empty()
    }
}

/// An entry of an outer `env:` that goes, and the number of the job that has it. A list of them is in the order of the file.
type Removable<'a> = (Option<usize>, &'a (Node, Node));

fn nth_removable(list: &[Removable<'_>], entry: &(Node, Node)) -> Result<usize, usize> {
    list.binary_search_by_key(&entry.0.at().start, |(_, it)| it.0.at().start)
}

struct Planner<'p, 'o, 'a> {
    project: &'p Project<'a>,
    options: &'p Options<'o>,
    /// For each job of each workflow.
    workflows: Vec<Vec<Planned<'a>>>,
}

impl<'a> Planner<'_, '_, 'a> {
    fn job(&self, it: ProjectJob<'_, 'a>) -> Planned<'a> {
        let mut found = analysis::analyse(self.project, it, self.options);
        let mut planned = Planned { secrets: found.secrets(), ..Planned::default() };
        if found.by_hand.is_empty() && !found.uses.is_empty() {
            match change::conditions(it.job, &found.uses) {
                Ok(conditions) => planned.conditions = conditions,
                Err(by_hand) => found.by_hand.push(by_hand),
            }
        }
        let needed = found.uses.iter().filter_map(|it| it.outer().map(|(_, entry)| entry.0.at().start));
        planned.needed = needed.chain(found.hidden).collect();
        sort(&mut found.by_hand, |a, b| (a.line, a.code) < (b.line, b.code));
        found.by_hand.dedup_by_key(|it| (it.line, it.code));
        planned.by_hand = found.by_hand;
        planned.uses = found.uses;
        planned
    }

    /// Marks the jobs that call an edited workflow, and those that call these.
    fn callers(&mut self) {
        let mut rest: Vec<usize> = Vec::new();
        for (nth, jobs) in self.workflows.iter().enumerate() {
            if jobs.iter().any(Planned::is_edited) {
                rest.push(nth);
            }
        }
        while let Some(called) = rest.pop() {
            let path = &self.project.workflows[called].file.path;
            for (nth, workflow) in self.project.workflows.iter().enumerate() {
                for (at, job) in workflow.jobs.iter().enumerate() {
                    if job.calls(path) && !self.workflows[nth][at].calls_login {
                        self.workflows[nth][at].calls_login = true;
                        rest.push(nth);
                    }
                }
            }
        }
    }

    fn finish(self) -> Plan<'a> {
        let mut plan = Plan::default();
        for (nth, workflow) in self.project.workflows.iter().enumerate() {
            plan.files.push(self.file(nth, workflow));
        }
        for file in plan.files.iter().filter(|it| it.edited.is_some()) {
            for job in file.jobs.iter().filter(|job| job.logs_in) {
                let policy = Policy { file: file.file.name().to_owned(), environment: job.environment.clone() };
                let had = job.environment.iter().find(|name| job.had_environment && !plan.environments.contains(name));
                plan.environments.extend(had.cloned());
                if !plan.policies.contains(&policy) {
                    plan.policies.push(policy);
                }
            }
        }
        notes::remaining_secrets(self.project, &mut plan);
        for file in &mut plan.files {
            sort(&mut file.notes, |a, b| a < b);
            file.notes.dedup();
        }
        plan.files.retain(|it| it.edited.is_some() || !it.jobs.is_empty() || !it.notes.is_empty());
        plan
    }

    fn file(&self, nth: usize, workflow: &Workflow<'a>) -> FilePlan<'a> {
        let planned = &self.workflows[nth];
        let mut change = Change::new(workflow.file);
        let mut jobs = Vec::new();
        let mut notes = Vec::new();
        let removable = self.removable(nth);
        let inherited = self.inherited(workflow);
        for (job, planned) in workflow.jobs.iter().zip(planned) {
            let is_edited = planned.is_edited();
            if !is_edited && planned.by_hand.is_empty() && !planned.calls_login {
                continue;
            }
            let mut result = JobPlan { job: job.id.to_owned(), by_hand: planned.by_hand.clone(), ..JobPlan::default() };
            result.secrets.clone_from(&planned.secrets);
            if is_edited {
                self.edit(&mut change, job, planned, &removable, &mut result);
                // Here, and not at the end: edits are made in the order of the file, where they cost the least.
                let own = removable.iter().filter(|(of_job, _)| *of_job == Some(job.nth));
                own.for_each(|(of_job, entry)| change.remove_variable(*of_job, entry));
                notes.extend(notes::of_job(workflow, job, &planned.uses, planned.conditions.condition.is_some()));
            }
            if is_edited || planned.calls_login {
                let needs = match job.uses() {
                    Some(_) => of_called(self.project, job).needed,
                    None => of_steps(self.project, job),
                };
                let had_block = job.permissions.is_some();
                let (permissions, is_new) = match inherited.clone().filter(|_| !had_block) {
                    // What its callers allow, which are edited.
                    Some(block) => (Permissions::Block(block), false),
                    None => change.permissions(job, needs),
                };
                let grants = result.by_hand.is_empty() || planned.calls_login;
                result.edited = grants;
                result.permissions = Some(permissions);
                if is_new && job.uses().is_none() {
                    notes.extend(notes::check_permissions(workflow, job, had_block));
                }
            }
            jobs.push(result);
        }
        let of_workflow = removable.iter().filter(|(of_job, _)| of_job.is_none());
        of_workflow.for_each(|(of_job, entry)| change.remove_variable(*of_job, entry));
        let edits = change.edits.0.clone();
        let edited = if edits.is_empty() { Ok(None) } else { change.verified().map(Some) };
        let is_edited = matches!(edited, Ok(Some(_)));
        if let Err(why) = &edited {
            for job in jobs.iter_mut().filter(|job| job.edited) {
                let line = job.expressions.first().copied();
                let line = line
                    .or_else(|| workflow.job(&job.job).map(|it| workflow.file.document.line_of(it.node.at().start)));
                job.by_hand.push(refused(line.unwrap_or(1), why));
                (job.edited, job.logs_in) = (false, false);
                job.expressions.clear();
            }
        }
        if is_edited {
            notes.extend(notes::of_file(workflow, self.project, &jobs, self.options));
        } else {
            notes.clear();
        }
        let edits = if is_edited { edits } else { Vec::new() };
        FilePlan { file: workflow.file, edits, edited: edited.ok().flatten(), jobs, notes }
    }

    /// The edits of one job but for its permissions.
    fn edit(
        &self,
        change: &mut Change<'a>,
        job: &Job<'a>,
        planned: &Planned<'a>,
        removable: &[Removable<'a>],
        result: &mut JobPlan,
    ) {
        let id = change::free_id(job);
        change.login(job, &planned.uses, &planned.conditions, &id, self.options);
        for it in &planned.uses {
            match &it.secret {
                Some(Secret { place, outer: None, .. }) => {
                    change.replace_key(place, &id);
                    result.expressions.push(place.line());
                }
                Some(Secret { place, outer: Some((_, entry)), .. }) => {
                    change.add_variable(job, it.step, &entry.0, Some((&entry.1, place)), &id);
                    if nth_removable(removable, entry).is_ok() {
                        result.expressions.push(place.line());
                    }
                }
                None => change.add_named_variable(job, it.step, "NUGET_API_KEY", &id),
            }
        }
        sort(&mut result.expressions, |a, b| a < b);
        result.expressions.dedup();
        result.environment = job.environment().map(str::to_owned);
        result.had_environment = result.environment.is_some();
        if let (Some(name), None) = (self.options.environment, job.node.get("environment")) {
            change.environment(job, name);
            result.environment = Some(name.to_owned());
        }
        result.logs_in = true;
    }

    /// The entries of the `env:` of jobs and of the workflow that no step needs after the edits.
    fn removable(&self, nth: usize) -> Vec<Removable<'a>> {
        let workflow = &self.project.workflows[nth];
        let mut removable: Vec<Removable<'a>> = Vec::new();
        for (job, planned) in workflow.jobs.iter().zip(&self.workflows[nth]).filter(|(_, it)| it.is_edited()) {
            for (level, entry) in planned.uses.iter().filter_map(KeyUse::outer) {
                let of_job = (level == EnvLevel::Job).then_some(job.nth);
                if let Err(at) = nth_removable(&removable, entry)
                    && !self.is_needed(nth, of_job, entry)
                {
                    removable.insert(at, (of_job, entry));
                }
            }
        }
        removable
    }

    /// Whether a step that does not get a variable of its own reads this one.
    fn is_needed(&self, nth: usize, of_job: Option<usize>, entry: &'a (Node, Node)) -> bool {
        let workflow = &self.project.workflows[nth];
        let name = entry.0.text().unwrap_or_default();
        let is_covered = |planned: &Planned<'a>, step: usize| {
            let first = planned.uses.partition_point(|it| it.step < step);
            let mut of_step = planned.uses[first..].iter().take_while(|it| it.step == step);
            of_step.any(|it| it.outer().is_some_and(|(_, it)| it.0.at() == entry.0.at()))
        };
        let mut jobs = workflow.jobs.iter().zip(&self.workflows[nth]);
        jobs.any(|(job, planned)| {
            if of_job.is_some_and(|nth| nth != job.nth) {
                return false;
            }
            let is_shadowed =
                of_job.is_none() && job.node.get("env").is_some_and(|env| env.entry_ignoring_case(name).is_some());
            let reads = |nth: usize| {
                let step = &job.steps[nth];
                analysis::reads_variable(step, name) || analysis::can_need_variable(step)
            };
            let is_open = |nth: usize| !(planned.is_edited() && is_covered(planned, nth)) && reads(nth);
            let hidden = !planned.is_edited() && planned.needed.contains(&entry.0.at().start);
            !is_shadowed
                && (hidden
                    || (0..job.steps.len()).any(is_open)
                    || analysis::job_reads_variable(workflow.file, job, name))
        })
    }

    /// What a workflow that is only called has from its callers in the repository, with `id-token: write`; none if one of
    /// them has no block.
    fn inherited(&self, workflow: &Workflow<'a>) -> Option<Block> {
        if !workflow.is_only_called() {
            return None;
        }
        let jobs = self.project.workflows.iter().flat_map(|it| &it.jobs);
        let mut callers = jobs.filter(|job| job.calls(&workflow.file.path)).peekable();
        callers.peek()?;
        let mut inherited = Block::new();
        for caller in callers {
            let block = caller.permissions.filter(|block| block.is_mapping())?;
            entries(block).iter().for_each(|(name, level)| raise(&mut inherited, name, level));
        }
        raise(&mut inherited, "id-token", "write");
        Some(inherited)
    }
}

fn refused(line: usize, why: &str) -> ByHand {
    ByHand {
        line,
        code: "refused",
        message: format!("the file is not edited: {why}"),
        fix: "make the edits by hand, or write the job without anchors and on lines of its own".to_owned(),
        yaml: None,
    }
}

/// The edits that replace NuGet/login by another action, and their lines.
pub fn replace<'a>(project: &Project<'a>, asked: &dyn Fn(&File) -> bool, uses: &str) -> Vec<FilePlan<'a>> {
    let workflows = project.workflows.iter().map(|it| (it.file, it.jobs.iter().flat_map(|job| &job.steps).collect()));
    let actions = project.actions.iter().map(|it| (it.file, it.steps.iter().collect()));
    let mut plans = Vec::new();
    let files: Vec<(&'a File, Vec<&Step<'a>>)> = workflows.chain(actions).collect();
    for (file, steps) in files.into_iter().filter(|(file, _)| asked(file)) {
        let (mut edits, mut notes) = (Edits::default(), Vec::new());
        let uses = uses.split(" #").next().unwrap_or_default().trim_end();
        for step in steps {
            let Some((node, Uses::Remote { owner, name, path: "", .. })) = step.uses() else { continue };
            if !owner.eq_ignore_ascii_case("nuget") || !name.eq_ignore_ascii_case("login") {
                continue;
            }
            let text = node.text().unwrap_or_default();
            // Quotes stay.
            let positions = node.positions(&file.document.text);
            let (start, end) = (text.len() - text.trim_start().len(), text.trim_end().len());
            edits.replace(positions[start]..end_position(&positions, end), uses.to_owned());
            let line = file.document.line_of(node.at().start);
            if file.document.line(line).contains(" #") {
                let message = "the comment behind `uses:` can still name the version of NuGet/login".to_owned();
                notes.push(Note { line, code: "stale-comment", message });
            }
        }
        if edits.0.is_empty() {
            continue;
        }
        let edited =
            change::verified(file, &edits, |tree| *tree = Tree::of(&file.document.root, &file.document.text, &edits.0));
        let mut plan = FilePlan { file, edits: edits.0, edited: None, jobs: Vec::new(), notes };
        match edited {
            Ok(text) => plan.edited = Some(text),
            Err(why) => {
                plan.notes.push(Note { line: 1, code: "refused", message: format!("the file is not edited: {why}") })
            }
        }
        plans.push(plan);
    }
    plans
}

//! The edits of one file, as bytes and as a value.

use crate::edits::{Edit, Edits, Tree, sort};
use crate::expression::condition_references;
use crate::model::{File, Job, Place, Step};
use crate::permissions::{Block, entries, raise};
use crate::yaml::{Document, Node};

use super::analysis::{KeyUse, is_only_secret};
use super::plan::{ByHand, Options, Permissions};

/// A change of a document's value.
type Expected = Box<dyn Fn(&mut Tree)>;

pub(super) struct Change<'a> {
    pub(super) file: &'a File,
    pub(super) edits: Edits,
    /// Parts of scalars that are replaced.
    replaced: Vec<Edit>,
    expected: Vec<Expected>,
    /// The names of the variables that the last step got: the numbers of its job and its own, and the names.
    added: (usize, usize, Vec<String>),
    /// Login steps are inserted last, since they move the others.
    logins: Vec<Expected>,
}

/// What a login step has from the steps that use its key.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    pub(super) condition: Option<Scalar>,
    continue_on_error: Option<String>,
}

/// A value, and how it is written.
#[derive(Debug, Clone)]
pub(super) struct Scalar {
    value: String,
    written: String,
}

/// The most conditions that one login can have.
const MOST_CONDITIONS: usize = 20;

/// The conditions of the steps that use a key, for the login; or why there is none.
pub(super) fn conditions(job: &Job<'_>, uses: &[KeyUse<'_>]) -> Result<Conditions, ByHand> {
    let mut steps: Vec<usize> = uses.iter().map(|it| it.step).collect();
    sort(&mut steps, |a, b| a < b);
    steps.dedup();
    let first = steps.first().copied().unwrap_or_default();
    let file = job.steps[first].file;
    let mut all: Vec<Scalar> = Vec::new();
    let mut is_conditional = true;
    for nth in &steps {
        let step = &job.steps[*nth];
        let Some((node, text)) = step.condition().and_then(|node| Some((node, node.text()?))) else {
            is_conditional = false;
            continue;
        };
        for reference in condition_references(text) {
            let own = reference
                .of("env")
                .is_some_and(|name| step.node.get("env").is_some_and(|env| env.entry_ignoring_case(name).is_some()));
            let later = matches!(reference.names()[..], [Some("steps"), Some(id), ..] if job.steps[first..].iter().any(|step| step.is(id)));
            if own || later {
                let what =
                    if own { "a variable of the step's own `env:`" } else { "a step behind the place of the login" };
                return Err(ByHand {
                    line: file.document.line_of(node.at().start),
                    code: "conditional-on-key",
                    message: format!("the condition of the step cannot be the login's: it reads {what}"),
                    fix:
                        "write the condition so that it holds before the step too, and run `nuget-login migrate` again"
                            .to_owned(),
                    yaml: None,
                });
            }
        }
        let value = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let written = file.document.text[node.at()].trim();
        let is_one_line = !written.contains('\n') && !node.is_alias() && !node.is_block_scalar();
        let scalar = match is_one_line {
            true => Scalar { value: text.to_owned(), written: written.to_owned() },
            false => Scalar { written: quoted(&value), value },
        };
        if all.iter().any(|it| bare(&it.value) == bare(&scalar.value)) {
            continue;
        }
        if all.len() == MOST_CONDITIONS {
            return Err(ByHand {
                line: file.document.line_of(node.at().start),
                code: "conditional-on-key",
                message: "the pushes have too many different conditions for one login".to_owned(),
                fix: "give them one condition, and run `nuget-login migrate` again".to_owned(),
                yaml: None,
            });
        }
        all.push(scalar);
    }
    let condition = match &all[..] {
        _ if !is_conditional => None,
        [] => None,
        [one] => Some(one.clone()),
        several => {
            let value = several.iter().map(|it| format!("({})", bare(&it.value))).collect::<Vec<_>>().join(" || ");
            Some(Scalar { written: quoted(&value), value })
        }
    };
    let tolerated = steps.iter().map(|nth| job.steps[*nth].node.get("continue-on-error").and_then(Node::text));
    let tolerated = tolerated.collect::<Option<Vec<_>>>().and_then(|all| Some((*all.first()?).to_owned()));
    Ok(Conditions { condition, continue_on_error: tolerated })
}

/// A condition without the braces around it.
fn bare(condition: &str) -> &str {
    let trimmed = condition.trim();
    let inner = trimmed.strip_prefix("${{").and_then(|it| it.strip_suffix("}}"));
    inner.filter(|it| !it.contains("${{")).map_or(trimmed, str::trim)
}

/// A value as YAML in a block: plain where it can be.
fn quoted(value: &str) -> String {
    let first = value.chars().next().unwrap_or(' ');
    let starts_plain = first.is_alphanumeric() || first == '(' || value.starts_with("${{");
    let is_plain = starts_plain
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.contains(['\n', '\r', '\t'])
        && !value.ends_with([' ', ':'])
        && !is_typed(value);
    if is_plain { value.to_owned() } else { format!("'{}'", value.replace('\'', "''")) }
}

/// Whether YAML 1.1 or 1.2 reads something else than a text.
fn is_typed(value: &str) -> bool {
    ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&value.to_lowercase().as_str())
        || value.parse::<f64>().is_ok()
}

/// A value as YAML in a flow mapping.
fn flow_quoted(value: &str) -> String {
    let is_plain = quoted(value) == value && !value.contains(['{', '}', '[', ']', ',', '\'', '"', '#', ':']);
    match () {
        () if is_plain => value.to_owned(),
        () if !value.contains(['"', '\\']) => format!("\"{value}\""),
        () => format!("'{}'", value.replace('\'', "''")),
    }
}

/// An id that no step of the job has.
pub(super) fn free_id(job: &Job<'_>) -> String {
    let is_taken = |id: &str| job.steps.iter().any(|step| step.is(id));
    let numbered = (2..).map(|number| format!("nuget-login-{number}"));
    std::iter::once("nuget-login".to_owned()).chain(numbered).find(|id| !is_taken(id)).unwrap_or_default()
}

fn key(id: &str) -> String {
    format!("steps.{id}.outputs.NUGET_API_KEY")
}

fn flow_block(block: &Block) -> String {
    let entries: Vec<_> = block.iter().map(|(name, level)| format!("{name}: {level}")).collect();
    format!("{{{}}}", entries.join(", "))
}

fn tree_of(block: &Block) -> Tree {
    Tree::Mapping(block.iter().map(|(name, level)| (Tree::scalar(name), Tree::scalar(level))).collect())
}

impl<'a> Change<'a> {
    pub(super) fn new(file: &'a File) -> Change<'a> {
        Change {
            file,
            edits: Edits::default(),
            replaced: Vec::new(),
            expected: Vec::new(),
            added: (0, 0, Vec::new()),
            logins: Vec::new(),
        }
    }

    fn document(&self) -> &'a Document {
        &self.file.document
    }

    fn text(&self) -> &'a str {
        &self.document().text
    }

    /// Where the line of a byte begins.
    fn line_start(&self, at: usize) -> usize {
        let start = self.text()[..at].rfind('\n').map_or(0, |at| at + 1);
        if start == 0 && self.text().starts_with('\u{feff}') && at >= 3 { 3 } else { start }
    }

    /// Where the next line begins, or the end of the text.
    fn line_end(&self, at: usize) -> usize {
        self.text()[at..].find('\n').map_or(self.text().len(), |end| at + end + 1)
    }

    /// The line end of the lines here.
    fn eol(&self, at: usize) -> &'static str {
        let text = self.text();
        let end = text[..at].rfind('\n').or_else(|| text[at..].find('\n').map(|end| at + end));
        if end.is_some_and(|end| text[..end].ends_with('\r')) { "\r\n" } else { "\n" }
    }

    /// The spaces before a byte, if there is nothing else in its line before it.
    fn indent(&self, at: usize) -> Option<&'a str> {
        let before = &self.text()[self.line_start(at)..at];
        before.bytes().all(|byte| byte == b' ').then_some(before)
    }

    fn column(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    fn is_flow(&self, node: &Node) -> bool {
        // A sequence that is not indented begins with its first item.
        self.text()[node.content_at().start..].starts_with(if node.is_mapping() { '{' } else { '[' })
    }

    /// The spaces that a block is indented by.
    fn unit(&self) -> usize {
        let Some((key, jobs)) = self.document().root.entry("jobs") else { return 2 };
        let Some((first, _)) = jobs.entries().first().filter(|_| !self.is_flow(jobs)) else { return 2 };
        match self.column(first.at().start).saturating_sub(self.column(key.at().start)) {
            unit @ 1..=8 => unit,
            _ => 2,
        }
    }

    /// The start of the line, above the comment lines directly above it that are not indented deeper.
    fn above_comments(&self, at: usize, deepest: usize) -> usize {
        let mut start = self.line_start(at);
        while start > 0 {
            let above = self.line_start(start - 1);
            let line = &self.text()[above..start];
            let comment = line.trim_start_matches(' ');
            if !comment.starts_with('#') || line.len() - comment.len() > deepest || above == start {
                break;
            }
            start = above;
        }
        start
    }

    pub(super) fn replace_key(&mut self, place: &Place<'a>, id: &str) {
        if !std::ptr::eq(place.file, self.file) {
            return self.impossible();
        }
        let text = self.text();
        let (before, after) = (text[..place.at.start].trim_end(), text[place.at.end..].trim_start());
        let is_alone = before.ends_with("${{") && after.starts_with("}}");
        let (at, new) = match is_alone {
            true => (before.len() - 3..text.len() - after.len() + 2, format!("${{{{ {} }}}}", key(id))),
            false => (place.at.clone(), key(id)),
        };
        self.edits.replace(at.clone(), new.clone());
        let nth = self.replaced.partition_point(|it| it.at.start < at.start);
        if self.replaced.get(nth).is_none_or(|it| it.at != at) {
            self.replaced.insert(nth, Edit { at, text: new });
        }
    }

    /// Makes the comparison fail.
    fn impossible(&mut self) {
        self.expected.push(Box::new(|tree| *tree = Tree::Sequence(Vec::new())));
    }

    pub(super) fn login(
        &mut self,
        job: &Job<'a>,
        uses: &[KeyUse<'_>],
        conditions: &Conditions,
        id: &str,
        options: &Options<'_>,
    ) {
        let Some(nth) = uses.iter().map(|it| it.step).min() else { return };
        let step = job.steps[nth].node;
        let mut fields =
            vec![("name", "NuGet login".to_owned(), "NuGet login".to_owned()), ("id", id.to_owned(), id.to_owned())];
        if let Some(Scalar { value, written }) = &conditions.condition {
            fields.push(("if", value.clone(), written.clone()));
        }
        if let Some(value) = &conditions.continue_on_error {
            fields.push(("continue-on-error", value.clone(), value.clone()));
        }
        let uses_value = options.uses.split(" #").next().unwrap_or_default().trim_end();
        fields.push(("uses", uses_value.to_owned(), options.uses.to_owned()));
        let mut tree: Vec<(Tree, Tree)> =
            fields.iter().map(|(key, value, _)| (Tree::scalar(key), Tree::scalar(value))).collect();
        tree.push((Tree::scalar("with"), Tree::mapping(&[("user", Tree::scalar(options.user))])));
        let (of_job, tree) = (job.nth, Tree::Mapping(tree));
        self.logins.push(Box::new(move |root| {
            if let Some(Tree::Sequence(steps)) = root.job(of_job).and_then(|job| job.get("steps")) {
                steps.insert(nth.min(steps.len()), tree.clone());
            }
        }));
        let Some(steps) = job.node.get("steps") else { return };
        if self.is_flow(steps) {
            let fields: Vec<_> =
                fields.iter().map(|(key, value, _)| format!("{key}: {}", flow_quoted(value))).collect();
            let text = format!("{{{}, with: {{user: {}}}}}, ", fields.join(", "), flow_quoted(options.user));
            return self.edits.insert(step.at().start, text);
        }
        let Some(dash) = self.dash(step.at().start) else { return self.impossible() };
        let Some(indent) = self.indent(dash) else { return self.impossible() };
        let between = &self.text()[dash + 1..step.at().start];
        // The dash can have a line of its own.
        let is_alone = between.contains('\n') && between.trim().is_empty();
        let spaces = if !between.is_empty() && between.bytes().all(|byte| byte == b' ') { between } else { " " };
        let start = self.above_comments(dash, indent.len());
        let eol = self.eol(start);
        let inner = match is_alone {
            true => " ".repeat(self.column(step.at().start)),
            false => format!("{indent} {spaces}"),
        };
        let deeper = " ".repeat(self.unit());
        let mut lines = String::new();
        for (nth, (key, _, written)) in fields.iter().enumerate() {
            let begin = match nth {
                0 if is_alone => format!("{indent}-{eol}{inner}"),
                0 => format!("{indent}-{spaces}"),
                _ => inner.clone(),
            };
            lines.push_str(&format!("{begin}{key}: {written}{eol}"));
        }
        lines.push_str(&format!("{inner}with:{eol}{inner}{deeper}user: {}{eol}", quoted(options.user)));
        let is_blank = |line: &str| line.trim().is_empty();
        let above = start.checked_sub(1).map(|end| &self.text()[self.line_start(end)..end]);
        if above.is_some_and(is_blank) {
            lines.push_str(eol);
        }
        self.edits.insert(start, lines);
    }

    /// The dash of the item that begins here.
    fn dash(&self, at: usize) -> Option<usize> {
        let mut end = at;
        // Mostly in the same line. Above it there can be comments.
        for _ in 0..100 {
            let start = self.line_start(end);
            let line = &self.text()[start..end];
            let trimmed = line.trim_start_matches(' ');
            if trimmed.starts_with('-') {
                return Some(start + line.len() - trimmed.len());
            }
            if !trimmed.trim().is_empty() && !trimmed.starts_with(['#', '&', '!']) {
                return None;
            }
            end = start.checked_sub(1)?;
        }
        None
    }

    /// Inserts an entry of a job before its steps, or before the workflow that it calls.
    fn job_entry(&mut self, job: &Job<'a>, key: &str, written: Written<'_>) {
        let Some((before, _)) = job.node.entry("steps").or_else(|| job.node.entry("uses")) else {
            return self.impossible();
        };
        let at = before.at().start;
        if self.is_flow(job.node) {
            let text = match written {
                Written::Block(block) => flow_block(block),
                Written::Text(text) => flow_quoted(text),
            };
            return self.edits.insert(at, format!("{key}: {text}, "));
        }
        let Some(indent) = self.indent(at) else { return self.impossible() };
        let start = self.above_comments(at, indent.len());
        let eol = self.eol(start);
        let text = match written {
            Written::Text(text) => format!("{indent}{key}: {}{eol}", quoted(text)),
            Written::Block(block) => {
                let deeper = " ".repeat(self.unit());
                let lines = block.iter().map(|(name, level)| format!("{indent}{deeper}{name}: {level}{eol}"));
                format!("{indent}{key}:{eol}{}", lines.collect::<String>())
            }
        };
        self.edits.insert(start, text);
    }

    fn expect_in_job(&mut self, job: &Job<'a>, key: &'static str, value: Tree) {
        let nth = job.nth;
        self.expected.push(Box::new(move |root| {
            if let Some(job) = root.job(nth) {
                job.set(key, value.clone());
            }
        }));
    }

    pub(super) fn environment(&mut self, job: &Job<'a>, name: &str) {
        self.job_entry(job, "environment", Written::Text(name));
        self.expect_in_job(job, "environment", Tree::scalar(name));
    }

    /// Lets a job request ID tokens. Returns its permissions then, and whether it has a new block that takes something away.
    pub(super) fn permissions(&mut self, job: &Job<'a>, needs: Block) -> (Permissions, bool) {
        let own = job.node.get("permissions");
        let all = job.permissions.and_then(Node::text).map(str::trim);
        if all == Some("write-all") {
            return (Permissions::All("write-all".to_owned()), false);
        }
        let is_new = job.permissions.is_none() || all == Some("read-all");
        let mut block: Block = match job.permissions {
            None => needs,
            // Not more than it had.
            Some(_) if all == Some("read-all") => {
                needs.into_iter().map(|(name, _)| (name, "read".to_owned())).collect()
            }
            Some(block) => entries(block),
        };
        if job.permissions.is_some() && block.iter().any(|(name, level)| name == "id-token" && level == "write") {
            return (Permissions::Block(block), false);
        }
        if job.permissions.is_none() {
            block.retain(|(name, _)| name != "id-token");
            block.insert(0, ("id-token".to_owned(), "write".to_owned()));
        }
        raise(&mut block, "id-token", "write");
        self.expect_in_job(job, "permissions", tree_of(&block));
        match own {
            None => self.job_entry(job, "permissions", Written::Block(&block)),
            Some(node) => self.own_permissions(node, &block),
        }
        (Permissions::Block(block), is_new)
    }

    fn own_permissions(&mut self, node: &Node, block: &Block) {
        const LINE: &str = "id-token: write";
        if node.is_alias() {
            return self.edits.replace(node.at(), flow_block(block));
        }
        if node.is_null() && node.at().is_empty() {
            // Behind the colon.
            let Some(colon) = self.text()[node.at().end..].find(':') else { return self.impossible() };
            return self.edits.insert(node.at().end + colon + 1, format!(" {}", flow_block(block)));
        }
        if let Some((_, level)) = node.entry("id-token") {
            return self.edits.replace(level.at(), "write".to_owned());
        }
        match (node.entries().last(), self.is_flow(node)) {
            (None, _) => self.edits.replace(node.at(), flow_block(block)),
            (Some((_, last)), true) => self.edits.insert(last.at().end, format!(", {LINE}")),
            (Some((key, last)), false) => {
                let first = node.entries().first().map_or(key, |(key, _)| key).at().start;
                let Some(indent) = self.indent(first) else { return self.impossible() };
                self.line_after(last.at().end, &format!("{indent}{LINE}"));
            }
        }
    }

    /// Inserts a line behind that of a byte.
    fn line_after(&mut self, at: usize, line: &str) {
        let (end, eol) = (self.line_end(at), self.eol(at));
        let text = if self.text()[..end].ends_with('\n') { format!("{line}{eol}") } else { format!("{eol}{line}") };
        self.edits.insert(end, text);
    }

    /// Gives a step a variable with the login's key, as an outer variable had it.
    pub(super) fn add_variable(
        &mut self,
        job: &Job<'a>,
        step: usize,
        name: &Node,
        value: Option<(&Node, &Place<'a>)>,
        id: &str,
    ) {
        let (Some(name), Some((node, place))) = (name.text(), value) else { return self.impossible() };
        let expression = format!("${{{{ {} }}}}", key(id));
        let value = match is_only_secret(node) {
            true => expression,
            false => {
                let text = node.text().unwrap_or_default();
                let positions = node.positions(self.text());
                let start = positions.partition_point(|at| *at < place.at.start);
                let end = positions.partition_point(|at| *at < place.at.end).min(text.len());
                match (text.get(..start), text.get(end..)) {
                    (Some(before), Some(after)) if !text.contains('\n') => format!("{before}{}{after}", key(id)),
                    _ => return self.impossible(),
                }
            }
        };
        self.variable(job, step, name, &value);
    }

    pub(super) fn add_named_variable(&mut self, job: &Job<'a>, step: usize, name: &str, id: &str) {
        self.variable(job, step, name, &format!("${{{{ {} }}}}", key(id)));
    }

    fn variable(&mut self, job: &Job<'a>, nth: usize, name: &str, value: &str) {
        if (self.added.0, self.added.1) != (job.nth, nth) {
            self.added = (job.nth, nth, Vec::new());
        }
        if self.added.2.iter().any(|it| it == name) {
            return;
        }
        let is_new = self.added.2.is_empty();
        self.added.2.push(name.to_owned());
        let (of_job, new_name, new_value) = (job.nth, name.to_owned(), value.to_owned());
        self.expected.push(Box::new(move |root| {
            let steps = root.job(of_job).and_then(|job| job.get("steps"));
            let Some(Tree::Sequence(steps)) = steps else { return };
            let Some(step) = steps.get_mut(nth) else { return };
            if !matches!(step.get("env"), Some(Tree::Mapping(_))) {
                step.set("env", Tree::Mapping(Vec::new()));
            }
            if let Some(env) = step.get("env") {
                env.set(&new_name, Tree::scalar(&new_value));
            }
        }));
        let step: &Step<'a> = &job.steps[nth];
        let deeper = " ".repeat(self.unit());
        match step.node.entry("env") {
            Some((_, env)) if env.is_alias() => self.impossible(),
            Some((key, env)) if env.entries().is_empty() => {
                let Some(indent) = self
                    .indent(key.at().start)
                    .map(str::to_owned)
                    .or_else(|| Some(" ".repeat(self.column(key.at().start))))
                else {
                    return;
                };
                if self.is_flow(env) {
                    let text = if is_new { format!("{{{name}: {}}}", flow_quoted(value)) } else { String::new() };
                    if is_new { self.edits.replace(env.at(), text) } else { self.impossible() }
                } else {
                    self.line_after(key.at().end, &format!("{indent}{deeper}{name}: {}", quoted(value)));
                }
            }
            Some((_, env)) if self.is_flow(env) => {
                let last = env.entries().last().map_or(env.at().end, |(_, value)| value.at().end);
                self.edits.insert(last, format!(", {name}: {}", flow_quoted(value)));
            }
            Some((_, env)) => {
                let (first, last) = (&env.entries()[0].0, &env.entries()[env.entries().len() - 1].1);
                let Some(indent) = self.indent(first.at().start) else { return self.impossible() };
                match last.is_block_scalar() || last.is_alias() {
                    true => {
                        let start = self.line_start(first.at().start);
                        let eol = self.eol(start);
                        self.edits.insert(start, format!("{indent}{name}: {}{eol}", quoted(value)));
                    }
                    false => self.line_after(last.at().end, &format!("{indent}{name}: {}", quoted(value))),
                }
            }
            None => {
                let Some((before, _)) = step.node.entry("run").or_else(|| step.node.entry("uses")) else {
                    return self.impossible();
                };
                let at = before.at().start;
                if self.is_flow(step.node) {
                    let text = match is_new {
                        true => format!("env: {{{name}: {}}}, ", flow_quoted(value)),
                        false => return self.impossible(),
                    };
                    self.edits.insert(at, text);
                } else {
                    let column = " ".repeat(self.column(at));
                    let eol = self.eol(at);
                    let begin = if is_new { format!("env:{eol}") } else { String::new() };
                    match self.indent(at) {
                        Some(indent) => {
                            let start = self.above_comments(at, indent.len());
                            let begin = if is_new { format!("{indent}{begin}") } else { begin };
                            self.edits.insert(start, format!("{begin}{indent}{deeper}{name}: {}{eol}", quoted(value)));
                        }
                        // Behind the dash; only the first variable can be there.
                        None if is_new => self
                            .edits
                            .insert(at, format!("{begin}{column}{deeper}{name}: {}{eol}{column}", quoted(value))),
                        None => self.impossible(),
                    }
                }
            }
        }
    }

    /// Removes an entry of the `env:` of a job (by its number) or of the workflow, and the block if nothing is left in it.
    /// In the order of the file.
    pub(super) fn remove_variable(&mut self, job: Option<usize>, entry: &'a (Node, Node)) {
        let root = &self.document().root;
        let owner = match job {
            Some(nth) => root.get("jobs").and_then(|jobs| jobs.entries().get(nth)).map(|(_, job)| job),
            None => Some(root),
        };
        let Some((key, env)) = owner.and_then(|owner| owner.entry("env")) else { return self.impossible() };
        let Some(nth) = env.entries().iter().position(|it| it.0.at() == entry.0.at()).filter(|_| !env.is_alias())
        else {
            return self.impossible();
        };
        let name = entry.0.text().unwrap_or_default().to_owned();
        self.expected.push(Box::new(move |root| {
            let owner = match job {
                Some(nth) => root.job(nth),
                None => Some(root),
            };
            let Some(owner) = owner else { return };
            if let Some(env) = owner.get("env") {
                env.remove(&name);
                if matches!(env, Tree::Mapping(entries) if entries.is_empty()) {
                    owner.remove("env");
                }
            }
        }));
        if self.is_flow(env) {
            let all = env.entries();
            let at = match (all.get(nth + 1), nth.checked_sub(1)) {
                (Some((next, _)), _) => entry.0.at().start..next.at().start,
                (None, Some(before)) => all[before].1.at().end..entry.1.at().end,
                (None, None) => {
                    let Some(_) = self.indent(key.at().start) else { return self.impossible() };
                    self.line_start(key.at().start)..self.line_end(env.at().end)
                }
            };
            return self.edits.replace(at, String::new());
        }
        if self.indent(entry.0.at().start).is_none() {
            return self.impossible();
        }
        let is_gone = |(key, _): &(Node, Node)| {
            let start = self.line_start(key.at().start);
            let next = self.edits.0.partition_point(|edit| edit.at.start <= start);
            self.edits.0[..next].iter().rev().take(3).any(|edit| edit.text.is_empty() && start < edit.at.end)
        };
        let end = entry.1.at().end.max(entry.0.at().end);
        let is_last = nth + 1 == env.entries().len() && env.entries()[..nth].iter().all(is_gone);
        if is_last && end == self.text().len() {
            // All lines at once: the one before them becomes the last one.
            let from = key.at().start;
            self.edits.0.retain(|edit| edit.at.is_empty() || edit.at.start < from);
            return self.remove_lines(from, end);
        }
        self.remove_lines(entry.0.at().start, end);
        if is_last {
            self.remove_lines(key.at().start, key.at().end);
        }
    }

    fn remove_lines(&mut self, from: usize, to: usize) {
        let start = self.line_start(from);
        // A block of lines ends where the next line begins.
        let end = if to > from && self.line_start(to) == to { to } else { self.line_end(to) };
        // A last line has no end, and the one before it has none then.
        let is_open_end = end == self.text().len() && !self.text().ends_with('\n');
        let start = if is_open_end { self.text()[..start].trim_end_matches(['\r', '\n']).len() } else { start };
        self.edits.replace(start..end, String::new());
    }

    /// The edited text, if it has the value that it must have.
    pub(super) fn verified(&self) -> Result<String, String> {
        let (expected, logins, replaced) = (&self.expected, &self.logins, &self.replaced);
        verified(self.file, &self.edits, |tree| {
            *tree = Tree::of(&self.document().root, self.text(), replaced);
            expected.iter().chain(logins).for_each(|change| change(tree));
        })
    }
}

enum Written<'w> {
    Block(&'w Block),
    Text(&'w str),
}

/// The edited text of a file, if its value is the one that `expect` makes.
pub(super) fn verified(file: &File, edits: &Edits, expect: impl FnOnce(&mut Tree)) -> Result<String, String> {
    let text = edits.apply(&file.document.text).ok_or("two edits overlap")?;
    let edited = Document::parse(text).map_err(|error| format!("the result is not YAML in line {}", error.line))?;
    let mut tree = Tree::Sequence(Vec::new());
    expect(&mut tree);
    if !tree.is(&Tree::of(&edited.root, &edited.text, &[])) {
        return Err("the result differs in more than the intended edits".to_owned());
    }
    Ok(edited.text)
}

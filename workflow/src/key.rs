//! What an API key is made of: secrets, the output of a login, or something that the file does not tell.

use crate::expression::Reference;
use crate::login::{KEY, Scope};
use crate::model::{EnvLevel, File, Place, Step, all_references};
use crate::script::{Word, variable, with_default};
use crate::yaml::Node;

/// A secret in a value.
#[derive(Debug, Clone)]
pub(crate) struct Secret<'a> {
    /// The place of `secrets.X`.
    pub(crate) place: Place<'a>,
    /// As it is written.
    pub(crate) name: String,
    /// The variable around the step that has it.
    pub(crate) outer: Option<Variable<'a>>,
}

/// A variable that the file gives to a step, and how far out that is.
pub(crate) type Variable<'a> = (EnvLevel, &'a (Node, Node));

/// A part of a key.
#[derive(Debug, Clone)]
pub(crate) enum Part<'a> {
    Secret(Secret<'a>),
    /// The output of a login.
    Login,
    /// The job's own token.
    Token,
    /// A vault's output, an input, or a value that is written out.
    Elsewhere(Place<'a>),
}

impl<'a> Part<'a> {
    pub(crate) fn secret(&self) -> Option<&Secret<'a>> {
        match self {
            Part::Secret(secret) => Some(secret),
            _ => None,
        }
    }
}

/// The secrets among these parts.
pub(crate) fn secrets(parts: Vec<Part<'_>>) -> Vec<Secret<'_>> {
    let secret = |part| match part {
        Part::Secret(secret) => Some(secret),
        _ => None,
    };
    parts.into_iter().filter_map(secret).collect()
}

/// The longest value that is searched, in bytes, and the most values of a search: each can name others.
const LONGEST_VALUE: usize = 1_000;
const MOST_VALUES: usize = 20;

/// What a word of a script is made of.
pub(crate) fn of_word<'a>(scope: Scope<'_, 'a>, word: &Word) -> Vec<Part<'a>> {
    Search::new().word(scope, word)
}

/// What the expressions and variables in a word are.
pub(crate) fn within_word<'a>(scope: Scope<'_, 'a>, word: &Word) -> Vec<Part<'a>> {
    Search::new().within_word(scope, word)
}

/// What a variable is made of at the end of a script; none if it is not known.
pub(crate) fn of_variable<'a>(scope: Scope<'_, 'a>, name: &str) -> Option<Vec<Part<'a>>> {
    Search::new().variable(scope, name, usize::MAX)
}

/// What an input is made of.
pub(crate) fn of_input<'a>(scope: Scope<'_, 'a>, value: &'a Node) -> Vec<Part<'a>> {
    Search::new().value(scope, scope.step.file, value, None)
}

/// What the value of a variable is made of.
pub(crate) fn of_entry<'a>(step: &Step<'a>, entry: Variable<'a>) -> Vec<Part<'a>> {
    Search::new().value(Scope { step, action: None }, step.file, &entry.1.1, Some(entry))
}

/// What a reference of a step is.
pub(crate) fn of_reference<'a>(step: &Step<'a>, reference: &Reference, place: &Place<'a>) -> Vec<Part<'a>> {
    Search::new().reference(Scope { step, action: None }, reference, place, None)
}

/// The name of a secret as it is written.
pub(crate) fn written_name(place: &Place<'_>) -> String {
    let text = place.text();
    let name = match text.rsplit_once('[') {
        Some((_, index)) => index.trim_end_matches(']').trim().trim_matches('\''),
        None => text.rsplit('.').next().unwrap_or_default(),
    };
    name.trim().to_owned()
}

struct Search {
    /// How many values are still followed.
    left: usize,
}

impl Search {
    fn new() -> Search {
        Search { left: MOST_VALUES }
    }

    fn goes_on(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn word<'a>(&mut self, scope: Scope<'_, 'a>, word: &Word) -> Vec<Part<'a>> {
        let elsewhere = || vec![Part::Elsewhere(scope.step.place_in_script(word.at.clone()))];
        let text = word.text.trim();
        let inner = text.strip_prefix("$(").and_then(|it| it.strip_suffix(')')).filter(|it| it.starts_with('$'));
        let text = inner.unwrap_or(text);
        if let Some(name) = variable(text) {
            return self.variable(scope, name, word.at.start).unwrap_or_else(elsewhere);
        }
        if let Some((name, default)) = with_default(text) {
            let default = Word { text: default.to_owned(), at: word.at.clone() };
            let mut parts = self.variable(scope, name, word.at.start).unwrap_or_else(elsewhere);
            parts.extend(if default.text.is_empty() { Vec::new() } else { self.word(scope, &default) });
            return parts;
        }
        let parts = self.within_word(scope, word);
        if parts.is_empty() && !text.is_empty() { elsewhere() } else { parts }
    }

    fn within_word<'a>(&mut self, scope: Scope<'_, 'a>, word: &Word) -> Vec<Part<'a>> {
        let step = scope.step;
        if !word.text.contains("${{") {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '{' | '}' | '%' | ':');
            let names = word.text.split(|c| !is_name(c)).filter_map(variable);
            return names.filter_map(|name| self.variable(scope, name, word.at.start)).flatten().collect();
        }
        // References of a script are in their order.
        let (references, at) = (step.references(), step.place_in_script(word.at.clone()).at);
        let start = references.iter().position(|found| found.within == "run").unwrap_or(references.len());
        let script = &references[start..];
        let script = &script[..script.partition_point(|found| found.within == "run")];
        let first = script.partition_point(|found| found.place.at.start < at.start);
        let in_word = script[first..].iter().take_while(|found| found.place.at.start < at.end);
        in_word.flat_map(|found| self.reference(scope, &found.reference, &found.place, None)).collect()
    }

    fn variable<'a>(&mut self, scope: Scope<'_, 'a>, name: &str, before: usize) -> Option<Vec<Part<'a>>> {
        if !self.goes_on() {
            return None;
        }
        if let Some(word) = scope.step.script().assigned(name, before) {
            return Some(self.word(scope, word));
        }
        let (scope, entry) = defined(scope, name, None)?;
        Some(self.value(scope, scope.step.file, &entry.1.1, Some(entry)))
    }

    /// What a value of the file is made of, which can be that of a variable.
    fn value<'a>(
        &mut self,
        scope: Scope<'_, 'a>,
        file: &'a File,
        node: &'a Node,
        entry: Option<Variable<'a>>,
    ) -> Vec<Part<'a>> {
        let Some(text) = node.text().map(str::trim).filter(|text| !text.is_empty()) else { return Vec::new() };
        let references = if text.len() > LONGEST_VALUE { Vec::new() } else { all_references(file, node, "") };
        if references.is_empty() || !self.goes_on() {
            return vec![Part::Elsewhere(Place::of(file, node))];
        }
        references.iter().flat_map(|it| self.reference(scope, &it.reference, &it.place, entry)).collect()
    }

    fn reference<'a>(
        &mut self,
        scope: Scope<'_, 'a>,
        reference: &Reference,
        place: &Place<'a>,
        entry: Option<Variable<'a>>,
    ) -> Vec<Part<'a>> {
        if let [Some("steps"), _, Some("outputs"), Some(KEY)] = reference.names()[..] {
            return vec![Part::Login];
        }
        if reference.is_job_token() {
            return vec![Part::Token];
        }
        if reference.of("secrets").is_some() {
            let outer = entry.filter(|(level, _)| *level != EnvLevel::Step);
            return vec![Part::Secret(Secret { place: place.clone(), name: written_name(place), outer })];
        }
        // A variable sees those of the blocks around its own.
        let inside = entry.map(|(level, _)| level);
        if let Some((scope, entry)) = reference.of("env").and_then(|name| defined(scope, name, inside)) {
            return self.value(scope, scope.step.file, &entry.1.1, Some(entry));
        }
        if let Some((_, step)) = scope.action
            && let Some((_, value)) = reference.of("inputs").and_then(|name| step.input(name))
        {
            return self.value(Scope { step, action: None }, step.file, value, None);
        }
        match reference.names().first() {
            // Parts of a condition.
            Some(Some("github" | "matrix" | "runner" | "job" | "strategy")) => Vec::new(),
            _ => vec![Part::Elsewhere(place.clone())],
        }
    }
}

/// The variable of this name that a step has, by the blocks around `inside` if it is given, or that an action has from the
/// step that uses it.
fn defined<'s, 'a>(
    scope: Scope<'s, 'a>,
    name: &str,
    inside: Option<EnvLevel>,
) -> Option<(Scope<'s, 'a>, Variable<'a>)> {
    if let Some(entry) = scope.step.definition(name, inside) {
        return Some((scope, entry));
    }
    let (_, step) = scope.action?;
    Some((Scope { step, action: None }, step.definition(name, None)?))
}

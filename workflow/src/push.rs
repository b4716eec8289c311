//! Commands that push packages: where to, and with which key.

use std::cell::OnceCell;

use crate::login::{Scope, is_nuget_org, reads_steps};
use crate::model::{Found, Place, Step, all_references};
use crate::script::{Command, Word, variable};
use crate::yaml::Node;

/// A command that gives a key and a source to NuGet.
pub(crate) struct Push {
    pub(crate) key: Option<Word>,
    pub(crate) symbol_key: Option<Word>,
    pub(crate) source: Option<Word>,
    pub(crate) at: usize,
    /// Whether it stores the key, and does not push.
    pub(crate) stores_key: bool,
}

/// Options of `nuget push` without a value.
const SWITCHES: [&str; 7] = [
    "-skipduplicate",
    "-noninteractive",
    "-nosymbols",
    "-noserviceendpoint",
    "-disablebuffering",
    "-forceenglishoutput",
    "-allowinsecureconnections",
];

impl Push {
    /// The push that a command is, or that it runs, such as `retry 3 dotnet nuget push`.
    pub(crate) fn of(command: &Command) -> Option<Push> {
        let runs_no_other = || {
            matches!(command.program().as_str(), "gh" | "git" | "nuget-login" | "dnx" | "docker" | "choco")
                || command.only_prints()
        };
        let first = (0..command.words.len()).find(|nth| is_push(&command.words[*nth..]))?;
        if first > 0 && runs_no_other() {
            return None;
        }
        let command = Command { words: command.words[first..].to_vec() };
        let stores_key = command.argument(1).eq_ignore_ascii_case("setapikey");
        let mut key = command.option(&["--api-key", "-k", "-apikey"]);
        if stores_key {
            key = command.words.get(2).cloned();
        } else if key.is_none() && !command.argument(1).eq_ignore_ascii_case("nuget") {
            key = positional_key(&command.words[2..]);
        }
        let source = command.option(&["--source", "-s", "-source", "-src"]);
        let symbol_key = command.option(&["--symbol-api-key", "-sk", "-symbolapikey"]);
        Some(Push { key, symbol_key, source, at: command.words[0].at.start, stores_key })
    }
}

fn is_push(words: &[Word]) -> bool {
    let argument = |nth: usize| words.get(nth).map_or("", |word| word.text.as_str());
    let program = words[0].program();
    let is_nuget = || program == "nuget" || variable(&words[0].text).is_some_and(|name| is_named(name, "nuget"));
    if program == "dotnet" {
        return argument(1).eq_ignore_ascii_case("nuget") && argument(2).eq_ignore_ascii_case("push");
    }
    (argument(1).eq_ignore_ascii_case("push") || argument(1).eq_ignore_ascii_case("setapikey")) && is_nuget()
}

/// Whether a name contains another one, which is in lower case.
pub(crate) fn is_named(name: &str, part: &str) -> bool {
    name.to_lowercase().contains(part)
}

/// The key as the second word without an option.
fn positional_key(words: &[Word]) -> Option<Word> {
    let (mut nth, mut seen) = (0, 0);
    while let Some(word) = words.get(nth) {
        if word.text.starts_with('-') {
            let is_switch = SWITCHES.contains(&word.text.to_lowercase().as_str()) || word.text.contains('=');
            nth += usize::from(!is_switch);
        } else {
            seen += 1;
            if seen == 2 {
                return Some(word.clone());
            }
        }
        nth += 1;
    }
    None
}

/// The sources that commands add under a name: name and URL.
pub(crate) fn source_names(steps: &[Step<'_>]) -> Vec<(String, String)> {
    let commands = steps.iter().flat_map(|step| &step.script().commands);
    let added = commands.filter_map(|command| {
        let argument = |nth| command.argument(nth).to_lowercase();
        let (url, name) =
            match (command.program().as_str(), argument(1).as_str(), argument(2).as_str(), argument(3).as_str()) {
                ("dotnet", "nuget", "add", "source") => {
                    (command.argument(4).to_owned(), command.option(&["--name", "-n"])?)
                }
                ("nuget", "sources", "add", _) => (command.option(&["-source"])?.text, command.option(&["-name"])?),
                _ => return None,
            };
        Some((name.text, url))
    });
    added.collect()
}

pub(crate) fn is_target_nuget_org(
    scope: Scope<'_, '_>,
    push: &Push,
    names: &[(String, String)],
    names_one_feed: &OnceCell<bool>,
) -> bool {
    let Some(source) = &push.source else { return false };
    match value_of_word(scope, &source.text, push.at, 0) {
        Some(text) => {
            let url = names.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(&text)).map(|(_, url)| url);
            is_nuget_org(url.unwrap_or(&text))
        }
        // A variable that the script gets in a way that is not followed; but the script names one feed only.
        None => variable(&source.text).is_some() && *names_one_feed.get_or_init(|| names_nuget_org_only(scope.step)),
    }
}

/// Whether all addresses in a script are of nuget.org.
pub(crate) fn names_nuget_org_only(step: &Step<'_>) -> bool {
    let run = step.run().and_then(Node::text).unwrap_or_default();
    let urls = run.match_indices("https://").map(|(at, _)| &run[at..]);
    let mut feeds = urls.map(|rest| rest.split(['"', '\'', ' ', '\n', ')', ';']).next().unwrap_or_default()).peekable();
    feeds.peek().is_some() && feeds.all(is_nuget_org)
}

/// The value of a word, where the file tells it.
pub(crate) fn value_of_word(scope: Scope<'_, '_>, text: &str, before: usize, depth: usize) -> Option<String> {
    if depth > 4 {
        return None;
    }
    if let Some(name) = variable(text) {
        if let Some(word) = scope.step.script().assigned(name, before) {
            return value_of_word(scope, &word.text, word.at.start, depth + 1);
        }
        let value = scope.step.variable(name)?.text()?;
        return if value == text { None } else { value_of_word(scope, value, before, depth + 1) };
    }
    if !text.contains("${{") {
        return (!text.contains(['$', '%'])).then(|| text.trim().to_owned());
    }
    let reference = crate::expression::only_reference(text)?;
    let value = match (reference.of("env"), reference.of("inputs")) {
        (Some(name), _) => scope.step.variable(name)?.text()?,
        (_, Some(name)) => scope.input(name)?.text()?,
        _ => return None,
    };
    if value.contains("${{") { None } else { Some(value.trim().to_owned()) }
}

/// The secrets that a word of a script is made of.
pub(crate) fn secrets_in_word<'a>(scope: Scope<'_, 'a>, word: &Word, depth: usize) -> Vec<Place<'a>> {
    let step = scope.step;
    if depth > 4 {
        return Vec::new();
    }
    if let Some(name) = variable(&word.text) {
        if let Some(assigned) = step.script().assigned(name, word.at.start) {
            return secrets_in_word(scope, assigned, depth + 1);
        }
        return secrets_of_variable(scope, name, 0, &mut Vec::new());
    }
    // References of a script are in their order.
    let (references, at) = (step.references(), step.place_in_script(word.at.clone()).at);
    let start = references.iter().position(|found| found.within == "run").unwrap_or(references.len());
    let script = &references[start..];
    let first = script.partition_point(|found| found.within == "run" && found.place.at.start < at.start);
    let found: Vec<_> =
        script[first..].iter().take_while(|it| it.within == "run" && it.place.at.start < at.end).collect();
    stored_secrets(scope, &found, 0, &mut Vec::new())
}

/// The longest value that is searched for secrets, in bytes, and the most values of a search.
const LONGEST_VALUE: usize = 1_000;
const MOST_VALUES: usize = 10;

/// The secrets that an input of an action is made of.
pub(crate) fn secrets_in<'a>(scope: Scope<'_, 'a>, value: &'a Node) -> Vec<Place<'a>> {
    secrets_of_value(scope, value, 0, &mut Vec::new())
}

/// The secrets that a variable is made of, by the blocks of variables from `first` on.
pub(crate) fn secrets_of_variable<'a>(
    scope: Scope<'_, 'a>,
    name: &str,
    first: usize,
    seen: &mut Vec<*const Node>,
) -> Vec<Place<'a>> {
    match scope.step.variable_from(name, first) {
        // A variable sees those of the blocks around its own.
        Some((block, value)) => secrets_of_value(scope, value, block + 1, seen),
        None => Vec::new(),
    }
}

fn secrets_of_value<'a>(
    scope: Scope<'_, 'a>,
    value: &'a Node,
    first: usize,
    seen: &mut Vec<*const Node>,
) -> Vec<Place<'a>> {
    let is_long = value.text().is_none_or(|text| text.len() > LONGEST_VALUE);
    if is_long || seen.len() >= MOST_VALUES || seen.contains(&std::ptr::from_ref(value)) {
        return Vec::new();
    }
    seen.push(value);
    let references = all_references(scope.step.file, value, "");
    stored_secrets(scope, &references.iter().collect::<Vec<_>>(), first, seen)
}

pub(crate) fn stored_secrets<'a>(
    scope: Scope<'_, 'a>,
    found: &[&Found<'a>],
    first: usize,
    seen: &mut Vec<*const Node>,
) -> Vec<Place<'a>> {
    // The key of a login with a secret as its substitute.
    if found.iter().any(|it| reads_steps(&it.reference)) {
        return Vec::new();
    }
    let mut places = Vec::new();
    for found in found {
        let reference = &found.reference;
        if reference.is_stored_secret() {
            places.push(found.place.clone());
        } else if let Some(name) = reference.of("env") {
            places.extend(secrets_of_variable(scope, name, first, seen));
        } else if let Some((_, outer)) = scope.action
            && let Some(value) = reference.of("inputs").and_then(|name| outer.input(name)).map(|(_, value)| value)
        {
            places.extend(secrets_of_value(Scope { step: outer, action: None }, value, 0, seen));
        }
    }
    places
}

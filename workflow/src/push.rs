//! Commands that push packages: where to, and with which key.

use std::cell::OnceCell;

use crate::expression::only_reference;
use crate::login::{Scope, is_nuget_org};
use crate::model::Step;
use crate::script::{Command, Script, Word, variable};
use crate::yaml::Node;

/// A command that gives a key and a source to NuGet.
pub(crate) struct Push {
    pub(crate) key: Option<Word>,
    pub(crate) symbol_key: Option<Word>,
    /// Where symbols go, if it is named.
    pub(crate) symbol_source: Option<Word>,
    pub(crate) source: Option<Word>,
    pub(crate) at: usize,
    /// Where the name of the command ends.
    pub(crate) end: usize,
    /// Whether a variable can have more options of it.
    pub(crate) is_open: bool,
    /// Whether it stores the key, and does not push.
    pub(crate) stores_key: bool,
}

/// Options of the commands of NuGet without a value.
const SWITCHES: [&str; 9] = [
    "--store-password-in-clear-text",
    "--allow-insecure-connections",
    "-skipduplicate",
    "-noninteractive",
    "-nosymbols",
    "-noserviceendpoint",
    "-disablebuffering",
    "-forceenglishoutput",
    "-allowinsecureconnections",
];

/// The pushes of a script, with the options that they have in an array of their own.
pub(crate) fn pushes(script: &Script) -> Vec<Push> {
    let mut pushes: Vec<Push> = script.commands.iter().filter_map(Push::of).collect();
    if pushes.iter().all(|push| push.key.is_some() || push.stores_key) {
        return pushes;
    }
    let is_list = |command: &&Command| {
        let is_appended = command.words[0].text.starts_with('$') && command.argument(1) == "+=";
        (command.words[0].text.starts_with('-') || is_appended) && Push::of(command).is_none()
    };
    let lists: Vec<_> = script.commands.iter().filter(is_list).collect();
    let only = |names: &[&str]| match &lists.iter().filter_map(|it| it.option_from(0, names)).collect::<Vec<_>>()[..] {
        [one] => Some(one.clone()),
        _ => None,
    };
    let (key, source) = (only(&KEY_OPTIONS), only(&SOURCE_OPTIONS));
    for push in pushes.iter_mut().filter(|push| push.key.is_none() && !push.stores_key) {
        push.key.clone_from(&key);
        push.source = push.source.take().or_else(|| source.clone());
    }
    pushes
}

const KEY_OPTIONS: [&str; 3] = ["--api-key", "-k", "-apikey"];
const SOURCE_OPTIONS: [&str; 4] = ["--source", "-s", "-source", "-src"];

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
        let mut key = command.option(&KEY_OPTIONS);
        if stores_key {
            key = command.words.get(2).cloned();
        } else if key.is_none() && !command.argument(1).eq_ignore_ascii_case("nuget") {
            key = positional(&command.words[2..], 1).cloned();
        }
        let source = command.option(&SOURCE_OPTIONS);
        let symbol_key = command.option(&["--symbol-api-key", "-sk", "-symbolapikey"]);
        let symbol_source = command.option(&["--symbol-source", "-ss", "-symbolsource"]);
        let at = command.words[0].at.start;
        let end = command.words.iter().rfind(|word| is_named(&word.text, "push")).map_or(at, |it| it.at.end);
        let is_open = command.words.iter().skip(2).any(|word| has_options(&word.text));
        Some(Push { key, symbol_key, symbol_source, source, at, end, is_open, stores_key })
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

/// Whether a word can stand for options.
fn has_options(word: &str) -> bool {
    let names = ["arg", "opt", "param", "[@]", "[*]", "key"];
    word.starts_with('@')
        || matches!(word, "$@" | "$*")
        || word.starts_with('$') && names.iter().any(|part| is_named(word, part))
}

/// Whether a name contains another one, which is in lower case.
pub(crate) fn is_named(name: &str, part: &str) -> bool {
    name.to_lowercase().contains(part)
}

/// A word by its number among those that are neither options nor values of options.
fn positional(words: &[Word], nth: usize) -> Option<&Word> {
    let mut is_value = false;
    let is_positional = |word: &&Word| {
        let was_value = std::mem::take(&mut is_value);
        let is_option = word.text.starts_with('-') && !was_value;
        let is_switch = || SWITCHES.contains(&word.text.to_lowercase().as_str()) || word.text.contains('=');
        is_value = is_option && !is_switch();
        !is_option && !was_value
    };
    words.iter().filter(is_positional).nth(nth)
}

/// Where a push goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    NugetOrg,
    Other,
    Unknown,
}

/// Feeds that a source's name gives away.
pub(crate) const OTHER_FEEDS: [&str; 12] = [
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

/// The sources that commands of these steps add under a name: the name, and the URL as far as the file tells it.
pub(crate) fn named_sources(steps: &[Step<'_>]) -> Vec<(String, String)> {
    let mut sources = Vec::new();
    for step in steps {
        let scope = Scope { step, action: None };
        for command in &step.script().commands {
            let argument = |nth| command.argument(nth).to_lowercase();
            let is = |words: &[&str]| words.iter().enumerate().all(|(nth, word)| argument(nth + 1) == *word);
            let (url, name) = match command.program().as_str() {
                "dotnet" if is(&["nuget", "add", "source"]) => {
                    (positional(&command.words[4..], 0).cloned(), command.option(&["--name", "-n"]))
                }
                "nuget" if is(&["sources", "add"]) => (command.option(&["-source"]), command.option(&["-name"])),
                _ => continue,
            };
            if let (Some(url), Some(name)) = (url, name) {
                let known = value_of_word(scope, &url.text, usize::MAX, 0);
                sources.push((name.text, known.unwrap_or(url.text)));
            }
        }
    }
    sources
}

/// The sources that a step can push to.
pub(crate) struct Sources<'s, 'a> {
    scope: Scope<'s, 'a>,
    named: &'s [(String, String)],
    feeds: OnceCell<Target>,
}

impl<'s, 'a> Sources<'s, 'a> {
    pub(crate) fn new(scope: Scope<'s, 'a>, named: &'s [(String, String)]) -> Sources<'s, 'a> {
        Sources { scope, named, feeds: OnceCell::new() }
    }

    pub(crate) fn target(&self, push: &Push) -> Target {
        match &push.source {
            Some(source) => self.target_of(source),
            None => self.of_feeds(),
        }
    }

    /// Whether the key for symbols is one for nuget.org, if the push goes there.
    pub(crate) fn are_symbols_for_nuget_org(&self, push: &Push) -> bool {
        push.symbol_source.as_ref().is_none_or(|source| self.target_of(source) == Target::NugetOrg)
    }

    fn of_feeds(&self) -> Target {
        *self.feeds.get_or_init(|| of_feeds(self.scope.step))
    }

    fn target_of(&self, source: &Word) -> Target {
        let Some(text) = value_of_word(self.scope, &source.text, source.at.start, 0) else {
            // A variable that is not followed; but the step can name one feed only.
            return if source.text.starts_with('$') { self.of_feeds() } else { Target::Unknown };
        };
        let url = self.named.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case(&text)).map(|(_, url)| url);
        let text = url.unwrap_or(&text);
        match () {
            () if is_nuget_org(text) => Target::NugetOrg,
            () if text.contains(['$', '%']) || text.is_empty() => Target::Unknown,
            () if text.contains(['/', '\\', ':']) => Target::Other,
            () if OTHER_FEEDS.iter().any(|feed| is_named(text, feed)) => Target::Other,
            () => Target::Unknown,
        }
    }
}

/// What all feeds in a step are, by their URLs.
pub(crate) fn of_feeds(step: &Step<'_>) -> Target {
    let script = step.script();
    let run = step.run().and_then(Node::text).unwrap_or_default();
    let of_run = run.match_indices("http").filter(|(at, _)| !script.is_comment(*at)).map(|(at, _)| &run[at..]);
    let env = step.node.get("env").map_or(&[][..], Node::entries).iter().filter_map(|(_, value)| value.text());
    let of_env = env.flat_map(|text| text.match_indices("http").map(|(at, _)| &text[at..]));
    of_urls(of_run.chain(of_env))
}

/// What all feeds among these URLs are; each with the text behind it.
pub(crate) fn of_urls<'t>(texts: impl Iterator<Item = &'t str>) -> Target {
    let urls = texts.filter(|rest| rest.starts_with("https://") || rest.starts_with("http://"));
    let url =
        |rest: &'_ str| rest.split(['"', '\'', ' ', '\n', ')', ';', '`', ',']).next().unwrap_or_default().to_owned();
    let is_feed = |url: &String| ["nuget", "/v3/", "index.json", "/api/v2", "pkgs."].iter().any(|it| is_named(url, it));
    let (mut nuget_org, mut other) = (false, false);
    for url in urls.map(url).filter(is_feed) {
        *(if is_nuget_org(&url) { &mut nuget_org } else { &mut other }) = true;
    }
    match (nuget_org, other) {
        (true, false) => Target::NugetOrg,
        (false, true) => Target::Other,
        _ => Target::Unknown,
    }
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
    let reference = only_reference(text)?;
    let value = match (reference.of("env"), reference.of("inputs")) {
        (Some(name), _) => scope.step.variable(name)?.text()?,
        (_, Some(name)) => scope.input(name)?.text()?,
        _ => return None,
    };
    if value.contains("${{") { None } else { Some(value.trim().to_owned()) }
}

//! Edits of a text as ranges of bytes, and the value that a document must have after them.

use std::ops::Range;

use crate::yaml::Node;

/// A part of a text that is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    pub at: Range<usize>,
    pub text: String,
}

/// All edits of a text, in its order. Insertions at one place keep their order.
#[derive(Debug, Default)]
pub(crate) struct Edits(pub(crate) Vec<Edit>);

impl Edits {
    pub(crate) fn insert(&mut self, at: usize, text: String) {
        self.replace(at..at, text);
    }

    pub(crate) fn replace(&mut self, at: Range<usize>, text: String) {
        let edit = Edit { at, text };
        let place = self.0.partition_point(|it| it.at.start <= edit.at.start);
        let is_known = self.0[..place].iter().rev().take_while(|it| it.at.start == edit.at.start).any(|it| *it == edit);
        if edit.at.is_empty() || !is_known {
            self.0.insert(place, edit);
        }
    }

    /// The edited text; nothing where edits overlap.
    pub(crate) fn apply(&self, text: &str) -> Option<String> {
        let mut edited = String::with_capacity(text.len() + 1024);
        let mut from = 0;
        for Edit { at, text: new } in &self.0 {
            edited.push_str(text.get(from..at.start)?);
            edited.push_str(new);
            from = at.end;
        }
        edited.push_str(text.get(from..)?);
        Some(edited)
    }
}

/// Sorts a short list by insertion: the standard library's sort is much code. Equal items keep their order.
pub(crate) fn sort<T>(items: &mut [T], is_before: fn(&T, &T) -> bool) {
    for end in 1..items.len() {
        let mut at = end;
        while at > 0 && is_before(&items[at], &items[at - 1]) {
            items.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// A value, wherever it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Scalar(String),
    Sequence(Vec<Tree>),
    Mapping(Vec<(Tree, Tree)>),
}

impl Tree {
    pub(crate) fn scalar(text: &str) -> Tree {
        Tree::Scalar(text.to_owned())
    }

    pub(crate) fn mapping(entries: &[(&str, Tree)]) -> Tree {
        Tree::Mapping(entries.iter().map(|(key, value)| (Tree::scalar(key), value.clone())).collect())
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<&mut Tree> {
        match self {
            Tree::Mapping(entries) => {
                entries.iter_mut().find(|(it, _)| matches!(it, Tree::Scalar(it) if it == key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The job of this number.
    pub(crate) fn job(&mut self, nth: usize) -> Option<&mut Tree> {
        match self.get("jobs")? {
            Tree::Mapping(jobs) => jobs.get_mut(nth).map(|(_, job)| job),
            _ => None,
        }
    }

    /// Gives a mapping this entry, in place of another one of this key.
    pub(crate) fn set(&mut self, key: &str, value: Tree) {
        match (self.get(key), &value) {
            (Some(_), _) => self.get(key).into_iter().for_each(|it| *it = value.clone()),
            (None, _) => {
                if let Tree::Mapping(entries) = self {
                    entries.push((Tree::scalar(key), value));
                }
            }
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        if let Tree::Mapping(entries) = self {
            entries.retain(|(it, _)| !matches!(it, Tree::Scalar(it) if it == key));
        }
    }

    /// Whether two values are the same, but for the order of a mapping's entries.
    pub(crate) fn is(&self, other: &Tree) -> bool {
        match (self, other) {
            (Tree::Scalar(a), Tree::Scalar(b)) => a == b,
            (Tree::Sequence(a), Tree::Sequence(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is(b)),
            (Tree::Mapping(a), Tree::Mapping(b)) => {
                let mut used = vec![false; b.len()];
                a.len() == b.len()
                    && a.iter().enumerate().all(|(nth, (key, value))| {
                        // Nearly always at the same place.
                        let near =
                            (nth.saturating_sub(3)..b.len().min(nth + 4)).find(|at| !used[*at] && b[*at].0.is(key));
                        let found = near.or_else(|| (0..b.len()).find(|at| !used[*at] && b[*at].0.is(key)));
                        found.is_some_and(|at| {
                            used[at] = true;
                            value.is(&b[at].1)
                        })
                    })
            }
            _ => false,
        }
    }

    /// The value of a node after replacements of parts of its scalars. A replacement in what an alias stands for is not
    /// followed: it would change more than one place.
    pub(crate) fn of(node: &Node, document: &str, replaced: &[Edit]) -> Tree {
        if let Some(text) = node.text() {
            return Tree::Scalar(after(node, text, document, replaced));
        }
        // What an alias stands for stays as it is.
        let replaced = if node.is_alias() { &[] } else { replaced };
        if node.is_mapping() {
            let entry =
                |(key, value): &(Node, Node)| (Tree::of(key, document, &[]), Tree::of(value, document, replaced));
            return Tree::Mapping(node.entries().iter().map(entry).collect());
        }
        Tree::Sequence(node.items().iter().map(|item| Tree::of(item, document, replaced)).collect())
    }
}

fn after(node: &Node, text: &str, document: &str, replaced: &[Edit]) -> String {
    let at = node.content_at();
    let within = |edit: &&Edit| at.start <= edit.at.start && edit.at.end <= at.end && !node.is_alias();
    let first = replaced.partition_point(|edit| edit.at.start < at.start);
    let mut edits = replaced[first..].iter().take_while(|edit| edit.at.start < at.end).filter(within).peekable();
    if edits.peek().is_none() {
        return text.to_owned();
    }
    let positions = node.positions(document);
    let (mut result, mut from) = (String::new(), 0);
    for edit in edits {
        let start = positions.partition_point(|position| *position < edit.at.start);
        let end = positions.partition_point(|position| *position < edit.at.end).min(text.len());
        result.push_str(text.get(from..start).unwrap_or_default());
        result.push_str(&edit.text);
        from = end;
    }
    result.push_str(text.get(from..).unwrap_or_default());
    result
}

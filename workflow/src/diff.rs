//! A unified diff from the edits themselves: nothing has to be searched for.

use crate::edits::Edit;

/// Lines around a change.
const CONTEXT: usize = 3;

/// A change of whole lines: the first old line and the number of them, and the new ones.
struct Change {
    first: usize,
    old: usize,
    new: Vec<String>,
}

/// The lines of a unified diff, without line ends. Empty without a difference.
pub fn unified(path: &str, text: &str, edits: &[Edit]) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let changes = changes(text, &lines, edits);
    if changes.is_empty() {
        return Vec::new();
    }
    let mut diff = vec![format!("--- a/{path}"), format!("+++ b/{path}")];
    let (mut next, mut moved) = (0, 0_isize);
    while next < changes.len() {
        // Changes whose context touches are in one hunk.
        let end_of = |nth: usize| changes[nth].first + changes[nth].old;
        let mut last = next;
        while last + 1 < changes.len() && changes[last + 1].first <= end_of(last) + 2 * CONTEXT {
            last += 1;
        }
        let from = changes[next].first.saturating_sub(CONTEXT);
        let to = (end_of(last) + CONTEXT).min(lines.len());
        let hunk = &changes[next..=last];
        let grown = hunk.iter().map(|it| it.new.len() as isize - it.old as isize).sum::<isize>();
        let new_length = (to - from) as isize + grown;
        diff.push(format!("@@ -{},{} +{},{} @@", from + 1, to - from, from as isize + 1 + moved, new_length));
        let mut at = from;
        for change in hunk {
            lines[at..change.first].iter().for_each(|line| push(&mut diff, ' ', line));
            at = change.first + change.old;
            lines[change.first..at].iter().for_each(|line| push(&mut diff, '-', line));
            change.new.iter().for_each(|line| push(&mut diff, '+', line));
        }
        lines[at..to].iter().for_each(|line| push(&mut diff, ' ', line));
        moved += grown;
        next = last + 1;
    }
    diff
}

fn push(diff: &mut Vec<String>, sign: char, line: &str) {
    let text = line.strip_suffix('\n').unwrap_or(line);
    diff.push(format!("{sign}{}", text.strip_suffix('\r').unwrap_or(text)));
    if !line.ends_with('\n') {
        diff.push("\\ No newline at end of file".to_owned());
    }
}

fn changes(text: &str, lines: &[&str], edits: &[Edit]) -> Vec<Change> {
    let starts: Vec<usize> = lines.iter().scan(0, |at, line| Some(std::mem::replace(at, *at + line.len()))).collect();
    let line_of = |at: usize| starts.partition_point(|start| *start <= at).saturating_sub(1);
    let mut changes = Vec::new();
    let mut nth = 0;
    while nth < edits.len() {
        let first = if edits[nth].at.start >= text.len() && text.ends_with('\n') {
            lines.len()
        } else {
            line_of(edits[nth].at.start)
        };
        let begin = starts.get(first).copied().unwrap_or(text.len());
        let (mut end, mut new, mut at) = (edits[nth].at.start, String::new(), begin);
        // All edits that share a line with this one.
        while let Some(edit) = edits.get(nth).filter(|edit| edit.at.start <= end) {
            new.push_str(text.get(at..edit.at.start).unwrap_or_default());
            new.push_str(&edit.text);
            at = edit.at.end;
            let is_whole = starts.binary_search(&at).is_ok() || at == text.len();
            let is_whole = is_whole && (new.is_empty() || new.ends_with('\n'));
            end = if is_whole { at } else { starts.get(line_of(at) + 1).copied().unwrap_or(text.len()) };
            nth += 1;
            // An edit further on in a line that is whole by now begins anew.
            if is_whole && edits.get(nth).is_none_or(|next| next.at.start > at) {
                break;
            }
        }
        new.push_str(&text[at..end]);
        let old = starts.partition_point(|start| *start < end) - first;
        changes.push(trimmed(first, &lines[first..first + old], &new));
    }
    let mut merged: Vec<Change> = Vec::new();
    for change in changes.into_iter().filter(|change| change.old > 0 || !change.new.is_empty()) {
        match merged.last_mut() {
            // What is removed comes before what is new.
            Some(last) if last.first + last.old == change.first => {
                last.old += change.old;
                last.new.extend(change.new);
            }
            _ => merged.push(change),
        }
    }
    merged
}

/// Without the lines that are the same at both ends.
fn trimmed(first: usize, old: &[&str], new: &str) -> Change {
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let before = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(old, new)| old == new).count();
    let new = new[..new.len() - after].iter().map(|line| (*line).to_owned()).collect();
    Change { first: first + before, old: old.len() - after, new }
}

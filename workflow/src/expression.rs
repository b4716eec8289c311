//! Expressions of GitHub Actions: which values they read. Names are compared without case, so that they are kept in lower
//! case.

use std::ops::Range;

/// A path that an expression reads, such as `steps.login.outputs.NUGET_API_KEY`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub path: Vec<Segment>,
    /// Where it is, in bytes of the text that it was found in.
    pub at: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    Name(String),
    /// `*`, or an index that is computed.
    Any,
}

impl Reference {
    /// The path as names; `None` in place of what is not known.
    pub fn names(&self) -> Vec<Option<&str>> {
        let mut names = Vec::with_capacity(self.path.len());
        for segment in &self.path {
            names.push(match segment {
                Segment::Name(name) => Some(name.as_str()),
                Segment::Any => None,
            });
        }
        names
    }

    /// The name behind a context, where the reference has these two parts: `NUGET_USER` of `secrets.NUGET_USER`.
    pub fn of(&self, context: &str) -> Option<&str> {
        match self.names()[..] {
            [Some(it), Some(name)] if it == context => Some(name),
            _ => None,
        }
    }

    /// Whether it is the job's own token: `github.token` or `secrets.GITHUB_TOKEN`.
    pub fn is_job_token(&self) -> bool {
        self.of("github") == Some("token") || self.of("secrets") == Some("github_token")
    }

    /// Whether it is a secret that is stored: all but the job's own token are.
    pub fn is_stored_secret(&self) -> bool {
        self.of("secrets").is_some() && !self.is_job_token()
    }
}

/// The expressions `${{ … }}` of a text, from the first brace to the last one.
pub fn expressions(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find("${{").map(|at| from + at) {
        // An expression that is not closed ends the search: so would another one, and each costs the rest of the text.
        let Some(end) = end_of(text, start + 3) else { break };
        found.push(start..end);
        from = end;
    }
    found
}

/// The end of the expression that begins here, braces included. Braces in a string do not close it.
pub fn end_of(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut in_string) = (start, false);
    while at < bytes.len() {
        match bytes[at] {
            b'\'' => in_string = !in_string,
            b'}' if !in_string && bytes.get(at + 1) == Some(&b'}') => return Some(at + 2),
            _ => {}
        }
        at += 1;
    }
    None
}

/// What the expressions `${{ … }}` of a text read.
pub fn references(text: &str) -> Vec<Reference> {
    expressions(text).into_iter().flat_map(|it| read(text, it.start + 3..it.end - 2)).collect()
}

/// What a condition reads, which is an expression without braces too.
pub fn condition_references(text: &str) -> Vec<Reference> {
    if text.contains("${{") { references(text) } else { read(text, 0..text.len()) }
}

/// The path that a text consists of, in one expression, with nothing around it.
pub fn only_reference(text: &str) -> Option<Reference> {
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix("${{")?.strip_suffix("}}")?.trim();
    let [reference] = &references(trimmed)[..] else { return None };
    (trimmed[reference.at.clone()] == *inner).then(|| reference.clone())
}

/// The paths in an expression. What is not an expression has none, or some: nothing depends on it.
fn read(text: &str, range: Range<usize>) -> Vec<Reference> {
    let (bytes, end) = (text.as_bytes(), range.end);
    let mut found = Vec::new();
    // The paths with an index that is being read.
    let mut open: Vec<Reference> = Vec::new();
    let mut current: Option<Reference> = None;
    let mut at = range.start;
    while at < end {
        match bytes[at] {
            b'\'' => {
                found.extend(current.take());
                at = string(bytes, at, end).1;
                continue;
            }
            b'.' if current.is_some() => {
                let start = (at + 1..end).find(|at| !bytes[*at].is_ascii_whitespace()).unwrap_or(end);
                let name = word(bytes, start, end);
                let segment = match &text[name.clone()] {
                    "" if bytes.get(start) == Some(&b'*') => Segment::Any,
                    name => Segment::Name(name.to_lowercase()),
                };
                at = name.end + usize::from(segment == Segment::Any);
                current.iter_mut().for_each(|reference| reference.add(segment.clone(), at));
                continue;
            }
            b'[' => {
                if let Some(mut reference) = current.take() {
                    if let Some((name, next)) = index(text, at, end) {
                        reference.add(Segment::Name(name), next);
                        (current, at) = (Some(reference), next);
                        continue;
                    }
                    open.push(reference);
                }
            }
            b']' => {
                found.extend(current.take());
                if let Some(mut reference) = open.pop() {
                    reference.add(Segment::Any, at + 1);
                    current = Some(reference);
                }
            }
            byte if is_word(byte) && !byte.is_ascii_digit() && byte != b'-' => {
                found.extend(current.take());
                let name = word(bytes, at, end);
                let calls = text[name.end..end].trim_start().starts_with('(');
                if !calls {
                    let path = vec![Segment::Name(text[name.clone()].to_lowercase())];
                    current = Some(Reference { path, at: name.clone() });
                }
                at = name.end;
                continue;
            }
            byte if byte.is_ascii_digit() => {
                found.extend(current.take());
                at = word(bytes, at, end).end;
                continue;
            }
            byte if byte.is_ascii_whitespace() => {}
            _ => found.extend(current.take()),
        }
        at += 1;
    }
    found.extend(current);
    found.extend(open);
    found
}

impl Reference {
    fn add(&mut self, segment: Segment, end: usize) {
        self.path.push(segment);
        self.at.end = end;
    }
}

/// The name in `['name']`, and the end of it.
fn index(text: &str, at: usize, end: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let skip = |at: usize| (at..end).find(|at| !bytes[*at].is_ascii_whitespace());
    let quote = skip(at + 1).filter(|at| bytes[*at] == b'\'')?;
    let (name, behind) = string(bytes, quote, end);
    let close = skip(behind).filter(|at| bytes[*at] == b']')?;
    Some((text.get(name)?.replace("''", "'").to_lowercase(), close + 1))
}

/// The content of the string whose quote is here, and the end of it.
fn string(bytes: &[u8], quote: usize, end: usize) -> (Range<usize>, usize) {
    let mut at = quote + 1;
    while at < end {
        if bytes[at] == b'\'' {
            if bytes.get(at + 1) != Some(&b'\'') || at + 1 == end {
                return (quote + 1..at, at + 1);
            }
            at += 1;
        }
        at += 1;
    }
    (quote + 1..end, end)
}

fn word(bytes: &[u8], start: usize, end: usize) -> Range<usize> {
    start.min(end)..(start..end).find(|at| !is_word(bytes[*at])).unwrap_or(end)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let shown = |it: Reference| it.names().iter().map(|name| name.unwrap_or("*")).collect::<Vec<_>>().join("/");
        references(text).into_iter().map(shown).collect()
    }

    #[test]
    fn every_spelling_of_a_path_is_the_same_path() {
        for text in [
            "steps.login.outputs.NUGET_API_KEY",
            "steps['login'].outputs.NUGET_API_KEY",
            "STEPS [ 'Login' ]['outputs'] . nuget_api_key",
            "steps.login.outputs['NUGET_API_KEY']",
        ] {
            for text in [format!("${{{{ {text} }}}}"), format!("x ${{{{{text}}}}} y")] {
                assert_eq!(paths(&text), ["steps/login/outputs/nuget_api_key"], "{text}");
            }
        }
    }

    #[test]
    fn paths_are_found_within_functions_operators_and_indices() {
        let text = "${{ format('{0}', steps.a.outputs.x) || env.B && !secrets['C'] == github.event.y-z }} ${{1}}";
        assert_eq!(paths(text), ["steps/a/outputs/x", "env/b", "secrets/c", "github/event/y-z"]);
        assert_eq!(paths("${{ steps[matrix.id].outputs.key }}"), ["matrix/id", "steps/*/outputs/key"]);
        assert_eq!(paths("${{ toJSON(steps) }}${{ steps.*.outputs }}"), ["steps", "steps/*/outputs"]);
        assert_eq!(paths("${{ fromJSON(needs.a.outputs.b)[0].c }}"), ["needs/a/outputs/b", "c"]);
    }

    #[test]
    fn strings_and_text_outside_expressions_are_not_paths() {
        assert_eq!(paths("steps.a.outputs.b {{ steps.a }} $ { { x } }"), Vec::<String>::new());
        assert_eq!(paths("${{ 'it''s ${{ steps.a }}' }}"), Vec::<String>::new());
        assert_eq!(paths("${{ steps.a"), Vec::<String>::new());
        let text = "ä ${{ env.A }} ${{ env.B }}";
        assert_eq!(references(text).iter().map(|it| &text[it.at.clone()]).collect::<Vec<_>>(), ["env.A", "env.B"]);
    }

    #[test]
    fn a_condition_is_an_expression_with_or_without_braces() {
        assert_eq!(condition_references("steps.a.outcome == 'x' && github.ref").len(), 2);
        assert_eq!(condition_references("${{ github.ref }}").len(), 1);
        assert_eq!(only_reference(" ${{ inputs.who }}\n").unwrap().of("inputs"), Some("who"));
        for text in ["a${{ inputs.who }}", "${{ inputs.who || 'x' }}", "${{ f(inputs.who) }}", "${{ 'x' }}", "x"] {
            assert_eq!(only_reference(text), None, "{text}");
        }
    }

    #[test]
    fn broken_expressions_cost_no_more_than_their_length() {
        for part in ["${{", "${{ '", "${{ a[", "${{ a.", "]", "a.b[", "'", "${{ a }}", "${{ a['"] {
            let _ = references(&part.repeat(300_000 / part.len()));
            let _ = condition_references(&part.repeat(300_000 / part.len()));
        }
    }
}

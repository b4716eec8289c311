//! GitHub's runner: it reads commands in the log, hides masked values, and reads the output file
//! (actions/runner, `ActionCommand.cs`, `FileCommandManager.cs`).

/// A line of a step's log, parsed as the runner does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Text.
    Text(String),
    /// `::add-mask::`: the value is hidden in all later lines.
    Mask(String),
    /// `::error::`, `::warning::` or `::notice::`.
    Annotation {
        /// `error`, `warning` or `notice`.
        level: String,
        /// The property `title`.
        title: Option<String>,
        /// The text.
        message: String,
    },
    /// `::group::`: the title of a folded group, which ends with `::endgroup::`.
    Group(String),
    /// `::endgroup::`.
    EndGroup,
    /// `::debug::`, shown if debug logging is enabled.
    Debug(String),
    /// Any other command, unchanged.
    Command(String),
}

/// Parses a log.
pub fn read_log(log: &str) -> Vec<Line> {
    log.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).map(read_line).collect()
}

fn read_line(line: &str) -> Line {
    let command = line.trim().strip_prefix("::").and_then(|rest| rest.split_once("::"));
    let Some((head, data)) = command else {
        // The older form is a command at any position in the line.
        let older = line.find("##[").is_some_and(|at| line[at..].contains(']'));
        return if older { Line::Command(line.to_owned()) } else { Line::Text(line.to_owned()) };
    };
    let (name, properties) = head.split_once(' ').unwrap_or((head, ""));
    let message = unescape(data);
    match name {
        "add-mask" => Line::Mask(message),
        "error" | "warning" | "notice" => {
            let title = properties.split(',').find_map(|property| property.trim().strip_prefix("title="));
            let title = title.map(|title| unescape(&title.replace("%3A", ":").replace("%2C", ",")));
            Line::Annotation { level: name.to_owned(), title, message }
        }
        "group" => Line::Group(message),
        "endgroup" => Line::EndGroup,
        "debug" => Line::Debug(message),
        _ => Line::Command(line.to_owned()),
    }
}

fn unescape(text: &str) -> String {
    text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
}

/// The log as GitHub shows it: without masked values and mask lines, with annotations.
pub fn render(log: &str) -> Vec<String> {
    let mut renderer = Renderer::default();
    log.trim_end_matches('\n').split('\n').flat_map(|line| renderer.line(line)).collect()
}

/// Renders a log line by line as GitHub does.
#[derive(Debug, Default)]
pub struct Renderer {
    masks: Vec<String>,
}

impl Renderer {
    /// Renders the next line of the log.
    pub fn line(&mut self, line: &str) -> Vec<String> {
        let text = match read_line(line.strip_suffix('\r').unwrap_or(line)) {
            Line::Mask(value) => {
                self.masks.extend(Some(value).filter(|value| !value.is_empty()));
                return Vec::new();
            }
            Line::EndGroup => return Vec::new(),
            Line::Text(text) | Line::Command(text) => text,
            Line::Group(title) => format!("▼ {title}"),
            Line::Debug(text) => format!("##[debug]{text}"),
            Line::Annotation { level, message, .. } => {
                let level = level[..1].to_uppercase() + &level[1..];
                format!("{level}: {message}")
            }
        };
        let masked = self.masks.iter().fold(text, |text, mask| text.replace(mask, "***"));
        masked.lines().map(str::to_owned).collect()
    }
}

/// The names and values in an output file. The error is the runner's message.
pub fn read_outputs(file: &str) -> Result<Vec<(String, String)>, String> {
    let mut outputs = Vec::new();
    let mut lines = file.split_inclusive('\n');
    let without_newline = |line: &'_ str| line.strip_suffix('\n').unwrap_or(line).to_owned();
    while let Some(line) = lines.next().map(without_newline) {
        if line.is_empty() {
            continue;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (heredoc, equals) {
            (Some(at), equals) if equals.is_none_or(|equals| at < equals) => {
                let (name, delimiter) = (&line[..at], &line[at + 2..]);
                if name.is_empty() || delimiter.is_empty() {
                    return Err(format!("Invalid format '{line}'"));
                }
                let mut value = Vec::new();
                loop {
                    let next = lines.next().map(without_newline);
                    let next = next.ok_or_else(|| format!("Matching delimiter not found '{delimiter}'"))?;
                    if next == delimiter {
                        break;
                    }
                    value.push(next);
                }
                outputs.push((name.to_owned(), value.join("\n")));
            }
            (_, Some(at)) if at > 0 => outputs.push((line[..at].to_owned(), line[at + 1..].to_owned())),
            _ => return Err(format!("Invalid format '{line}'")),
        }
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_at_the_runners_positions() {
        let log = "plain\n  ::error title=a%3A b,line=1::x%0Ay%25\nnot ::error::\nx ##[error]y\n::add-mask::s%0D\n::group::g\n::endgroup::\n::debug::d\n::set-env name=x::y";
        let annotation =
            Line::Annotation { level: "error".to_owned(), title: Some("a: b".to_owned()), message: "x\ny%".to_owned() };
        let expected = [
            Line::Text("plain".to_owned()),
            annotation,
            Line::Text("not ::error::".to_owned()),
            Line::Command("x ##[error]y".to_owned()),
            Line::Mask("s\r".to_owned()),
            Line::Group("g".to_owned()),
            Line::EndGroup,
            Line::Debug("d".to_owned()),
            Line::Command("::set-env name=x::y".to_owned()),
        ];
        assert_eq!(read_log(log), expected);
    }

    #[test]
    fn a_value_is_hidden_after_its_mask_line() {
        let log = "key\n::add-mask::key\na key\n::error title=t::the key%0Anext\n";
        assert_eq!(render(log), ["key", "a ***", "Error: the ***", "next"]);
    }

    #[test]
    fn outputs_are_parsed_by_the_runners_rules() {
        let file = "a=1=2\n\nb<<end\nx\ny<<z\nend\nc=<<\nd<<e\ne\n";
        let pairs = [("a", "1=2"), ("b", "x\ny<<z"), ("c", "<<"), ("d", "")];
        assert_eq!(read_outputs(file).unwrap(), pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(read_outputs("a<<end\nx\n").unwrap_err().contains("delimiter not found"));
        assert!(read_outputs("nonsense\n").unwrap_err().contains("Invalid format"));
    }
}

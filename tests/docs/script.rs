//! The words of the commands in an example: enough of a shell for the documents, and not more.

/// The simple commands of a script, in order, those of here-documents too.
pub(crate) fn commands(script: &str) -> Vec<Vec<String>> {
    let (script, documents) = without_here_documents(script);
    let mut commands = split(&script);
    commands.extend(documents.iter().flat_map(|document| split(document)));
    commands
}

/// A script without its here-documents (of a shell, or strings of PowerShell), and these.
fn without_here_documents(script: &str) -> (String, Vec<String>) {
    let (mut rest, mut documents) = (String::new(), Vec::new());
    let mut lines = script.lines();
    while let Some(line) = lines.next() {
        let (command, end) = match line.split_once(" <<'") {
            Some((command, end)) => (command, end.trim_end_matches('\'').to_owned()),
            None if line == "@'" => ("", "'@".to_owned()),
            None => {
                rest += &format!("{line}\n");
                continue;
            }
        };
        let mut document = String::new();
        let after = loop {
            let line = lines.next().expect("the end of a here-document");
            match line.strip_prefix(&end) {
                Some(after) => break after.trim_start_matches([' ', '|']),
                None => document += &format!("{line}\n"),
            }
        };
        documents.push(document);
        rest += &format!("{command}{after}\n");
    }
    (rest, documents)
}

fn split(script: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
    let mut characters = script.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next().expect("the end of a quotation") {
                        next if next == c => break,
                        '\\' if c == '"' => word.extend(characters.next()),
                        next => word.push(next),
                    }
                }
            }
            '\\' => match characters.next() {
                Some('\n') => words.extend(word.take()),
                next => word.get_or_insert_default().extend(next),
            },
            '#' if word.is_none() => while characters.next_if(|next| *next != '\n').is_some() {},
            '\n' | ';' | '&' | '|' | '(' | ')' => {
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            ' ' => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.into_iter().map(without_redirections).filter(|words| !words.is_empty()).collect()
}

/// A command without variables before it and files that it reads or writes.
fn without_redirections(words: Vec<String>) -> Vec<String> {
    let is_variable = |word: &String| word.split_once('=').is_some_and(|(name, _)| !name.contains(['-', '/', '$']));
    let words = words.into_iter().skip_while(is_variable);
    words.filter(|word| !word.starts_with(['<', '>']) || word.starts_with("<") && word.ends_with('>')).collect()
}

#[test]
fn a_script_is_split_into_the_words_of_its_commands() {
    let script = "a=1 b -c \"d $e\" \\\n  'f g' >h # i\ncat >j <<'END'\nk l\nEND\nm \"$n\" | o <p && q <r>\n";
    let words = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(commands(script), ["b,-c,d $e,f g", "cat", "m,$n", "o", "q,<r>", "k,l"].map(words));
    assert_eq!(commands("@'\na b\n'@ | Set-Content c.ps1\n"), ["Set-Content,c.ps1", "a,b"].map(words));
}

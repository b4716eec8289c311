//! The structure of the source: arrows between files point one way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// From the top: a folder imports only from those below it, and from single files.
const FOLDERS: [&str; 7] = ["command", "explain", "error", "trusted_publishing", "http", "github_actions", "settings"];

type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_file_imports_itself_through_others() {
    for root in ["src", "sandbox/src", "workflow/src"] {
        let mut imports = imports(root);
        assert!(imports.len() > 15, "{imports:?}");
        // What imports nothing that is left goes, until a cycle alone is left.
        while let Some(free) = imports.iter().find(|(_, to)| to.is_empty()).map(|(name, _)| name.clone()) {
            imports.remove(&free);
            imports.values_mut().for_each(|to| {
                to.remove(&free);
            });
        }
        assert!(imports.is_empty(), "a cycle in {root}: {imports:?}");
    }
}

#[test]
fn a_folder_imports_only_from_those_below_it() {
    let top = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
    let place = |name: &str| FOLDERS.iter().position(|folder| *folder == top(name));
    for (from, imported) in imports("src") {
        for to in imported.iter().filter(|to| top(to) != top(&from)) {
            // A single file imports from single files only.
            let allowed = place(to).is_none_or(|to| place(&from).is_some_and(|from| from < to));
            assert!(allowed || from == "lib", "{from} imports {to}");
        }
    }
}

/// The modules of a crate, and what each imports, by their paths. Tests are left out.
fn imports(root: &str) -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(root);
    let mut files = Vec::new();
    list(&root, &mut files);
    files.retain(|file| !fs::read_to_string(file).unwrap().contains("\n#![cfg(test)]\n"));
    let name = |file: &PathBuf| {
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let parts = path.iter().map(|part| part.to_str().unwrap().to_owned());
        parts.filter(|part| part != "mod").collect::<Vec<_>>().join("::")
    };
    let names = BTreeSet::from_iter(files.iter().map(name));
    files.iter().map(|file| (name(file), imported(&name(file), &fs::read_to_string(file).unwrap(), &names))).collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

/// What a module imports: each `crate::…` and `super::…` in it, up to the last part that is a module.
fn imported(of: &str, text: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let parent = of.rsplit_once("::").map_or("", |(parent, _)| parent);
    // A folder's own file uses the others without naming the crate.
    let children = names.iter().filter_map(|name| name.strip_prefix(of)?.strip_prefix("::").map(|child| (name, child)));
    let used = children.filter(|(_, child)| code.contains(&format!("{child}::")));
    let mut imported = BTreeSet::from_iter(used.map(|(name, _)| name.clone()));
    for (word, base) in [("crate::", ""), ("super::", parent)] {
        for rest in code.split(word).skip(1) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && !"_:#".contains(c)).unwrap_or(rest.len());
            let path = format!("{base}::{}", &rest[..end]);
            let group = rest[end..].strip_prefix('{').and_then(|group| group.split('}').next()).unwrap_or_default();
            let parts = group.split(',').map(|part| part.trim().split([':', ' ']).next().unwrap());
            let paths = parts.map(|part| format!("{path}::{part}"));
            imported.extend(paths.filter_map(|path| module(&path, names)).filter(|module| module != of));
        }
    }
    imported
}

/// The longest beginning of a path that is a module.
fn module(path: &str, names: &BTreeSet<String>) -> Option<String> {
    let parts: Vec<&str> = path.split("::").filter(|part| !part.is_empty()).collect();
    (1..=parts.len()).rev().map(|length| parts[..length].join("::")).find(|path| names.contains(path))
}

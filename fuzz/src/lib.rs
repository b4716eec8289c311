//! The fuzz targets, as functions of bytes that panic where something must not be. Each is run by cargo-fuzz, and its
//! corpus is replayed by `cargo test` here.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nuget_login::fuzz::{self, Seen};
use nuget_login::github_actions::log::LOGIN_FAILED as FAILED;
use sandbox::runner::{Line, read_log, read_outputs};

/// A folder for the runner's files, one for a thread.
fn with_folder<T>(run: impl FnOnce(&Path) -> T) -> T {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap();
    }
    FOLDER.with(|folder| run(folder.path()))
}

/// Nothing in a log and a summary but what the program means to say.
fn assert_contained(seen: &Seen) {
    let lines = read_log(&seen.log);
    let mut errors = 0;
    for line in &lines {
        match line {
            Line::Text(text) => assert!(!text.chars().any(char::is_control), "a control character: {text:?}"),
            Line::Annotation { level, title, .. } => {
                assert_eq!((level.as_str(), title.as_deref()), ("error", Some(FAILED)), "{line:?}");
                errors += 1;
            }
            Line::Mask(_) => {}
            line => panic!("not ours: {line:?}"),
        }
    }
    let failed = !seen.log.is_empty() && seen.api_key.is_none();
    assert_eq!((errors == 1, !seen.summary.is_empty()), (failed, failed), "{seen:?}");
    let count = |wanted: fn(&Line) -> bool| lines.iter().filter(|line| wanted(line)).count();
    assert!(count(|line| matches!(line, Line::Mask(_))) <= 1, "{lines:?}");
    assert_eq!(sandbox::summary::unmeant(&seen.summary), None, "{}", seen.summary);
    let text = |line: &Line| match line {
        Line::Text(text) | Line::Annotation { message: text, .. } => text.clone(),
        _ => String::new(),
    };
    let shown = lines.iter().map(text).chain([seen.summary.clone()]).collect::<Vec<_>>();
    for mask in lines.iter().filter_map(|line| if let Line::Mask(value) = line { Some(value) } else { None }) {
        // Shorter ones may be words of ours.
        let shows = |it: &String| it.contains(mask) || it.contains(&mask.replace("##[", "## ["));
        assert!(mask.len() < 12 || !shown.iter().any(shows), "{mask} in {seen:?}");
    }
}

/// An ID token: the bytes are its claims.
pub fn claims(data: &[u8]) {
    let payload = URL_SAFE_NO_PAD.encode(data);
    assert_contained(&with_folder(|folder| fuzz::claims(&format!("e30.{payload}.c2ln"), folder)));
    // A shorter one can be a word of ours, which would then be redacted.
    if let Ok(token) = str::from_utf8(data)
        && token.len() > 50
    {
        assert_contained(&with_folder(|folder| fuzz::claims(token, folder)));
    }
}

/// A token service's answer: two bytes are its status.
pub fn token_service(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk() else { return };
    let status = 200 + u16::from_be_bytes(*status) % 400;
    let seen = with_folder(|folder| fuzz::token_service(status, body, folder));
    assert_contained(&seen);
    match &seen.api_key {
        // What is delivered is the key, and a time at most.
        Some(api_key) => {
            let outputs = read_outputs(&seen.outputs).unwrap();
            assert_eq!((outputs[0].0.as_str(), &outputs[0].1), ("NUGET_API_KEY", api_key));
            assert!(outputs.len() == 1 || outputs.len() == 2 && outputs[1].0 == "expires-at", "{outputs:?}");
            assert!(api_key.bytes().all(|byte| byte.is_ascii_graphic()), "{api_key:?}");
            assert_eq!(status, 200);
        }
        None => assert!(seen.outputs.is_empty() && !seen.summary.is_empty()),
    }
}

/// A service index.
pub fn service_index(data: &[u8]) {
    let (seen, found) = with_folder(|folder| fuzz::service_index(data, folder));
    assert_contained(&seen);
    assert_eq!(found.is_some(), seen.log.is_empty(), "one of both: {seen:?}");
    // A credential goes there.
    if let Some(url) = found.map(|url| url::Url::parse(&url).unwrap()) {
        assert!(url.scheme() == "https" && url.username().is_empty() && url.password().is_none(), "{url}");
    }
}

/// A `Retry-After` header.
pub fn retry_after(data: &[u8]) {
    let Ok(value) = str::from_utf8(data) else { return };
    let year = std::time::Duration::from_secs(365 * 24 * 60 * 60);
    assert!(fuzz::retry_after(value).is_none_or(|absence| absence <= year), "{value:?}");
}

/// The file with the event that started a run.
pub fn event(data: &[u8]) {
    assert_contained(&with_folder(|folder| fuzz::event(data, folder)));
}

/// The writer of commands: what one call prints is one command.
pub fn printed(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let (title, text) = text.split_once('\0').unwrap_or(("title", text));
    let seen = fuzz::printed(text, title);
    let count = |wanted: &dyn Fn(&Line) -> bool| read_log(&seen.log).iter().filter(|line| wanted(line)).count();
    let is = |wanted: &'static str| move |line: &Line| matches!(line, Line::Annotation { level, title: Some(_), .. } if level == wanted);
    // A failure is an annotation too.
    assert_eq!((count(&is("error")), count(&is("warning"))), (2, 1), "{}", seen.log);
    assert_eq!(count(&|line| matches!(line, Line::Debug(_))), 1, "{}", seen.log);
    let others = |line: &Line| !matches!(line, Line::Annotation { .. } | Line::Debug(_) | Line::Text(_));
    assert_eq!(count(&others), 0, "{}", seen.log);
}

/// A workflow file, or an action.
pub fn workflow(data: &[u8]) {
    let Ok(file) = str::from_utf8(data) else { return };
    let began = std::time::Instant::now();
    let printed = fuzz::workflow(file);
    for line in read_log(&printed) {
        match line {
            Line::Text(text) => assert!(!text.chars().any(char::is_control), "a control character: {text:?}"),
            Line::Annotation { level, title: Some(_), .. } if level == "error" || level == "notice" => {}
            line => panic!("not ours: {line:?}"),
        }
    }
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

/// A workflow file that is migrated: what comes out is YAML, and a second run changes nothing.
pub fn migrate(data: &[u8]) {
    let Ok(file) = str::from_utf8(data) else { return };
    let began = std::time::Instant::now();
    for edited in fuzz::migrate(file) {
        assert_ne!(edited, file);
        let again = fuzz::migrate(&edited);
        // What is edited with an option can leave something to edit with another one.
        assert!(again.iter().all(|text| fuzz::migrate(text).is_empty()), "{edited}");
    }
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// The files with names, and what fuzzing found.
    fn replay(target: &str, run: fn(&[u8])) {
        let folder = format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
        let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() > 2, "{folder} holds nothing");
        files.iter().for_each(|file| run(&fs::read(file).unwrap()));
        let found = fs::read_to_string(format!("{folder}.txt")).unwrap();
        assert!(found.lines().count() > 10, "{folder}.txt holds nothing");
        found.lines().for_each(|line| run(&STANDARD.decode(line).unwrap()));
    }

    macro_rules! replays {
        ($($target:ident)*) => { $(#[test] fn $target() { replay(stringify!($target), super::$target); })* };
    }

    replays! { claims event migrate printed retry_after service_index token_service workflow }
}

//! The inputs and the version of a login.

use crate::login::{Login, MOST_VALUES_OF_CALL, ProjectJob, Use, User};
use crate::model::{Place, Step, Uses};

use super::fix::input_of_action;
use super::report::{Code, Fix, Report, in_backticks};

/// `missing-user`, `email-user` and `user-from-secret`.
pub(super) fn users<'a>(report: &mut Report<'_, 'a>, it: ProjectJob<'_, 'a>) {
    for login in it.logins() {
        match &login.user {
            User::Input(name, place) => {
                let input = (name.clone(), login.is_nuget_org);
                if report.inputs.contains(&input) || report.inputs.len() >= MOST_VALUES_OF_CALL {
                    continue;
                }
                report.inputs.push(input);
                let is_certain = it.is_unconditional() && it.always_runs(login);
                let users = passed_users(it, name, place).into_iter();
                for user in users.filter(|user| is_certain || !matches!(user, User::Missing(..))) {
                    user_finding(report, login, user);
                }
            }
            user => user_finding(report, login, user.clone()),
        }
    }
}

/// The users that the callers give to an input of the workflow.
fn passed_users<'a>(it: ProjectJob<'_, 'a>, name: &str, inner: &Place<'a>) -> Vec<User<'a>> {
    let default = || it.workflow.call("inputs")?.entry_ignoring_case(name)?.1.get("default")?.text();
    let passed = |caller: ProjectJob<'_, 'a>| {
        let (uses, _) = caller.job.uses()?;
        let (text, place) = match caller.job.node.get("with").and_then(|with| with.entry_ignoring_case(name)) {
            Some(entry) => (entry.1.text(), Place::of_entry(caller.workflow.file, entry)),
            None => (default(), inner.clone()),
        };
        Some(match text.unwrap_or_default().trim() {
            "" => User::Missing(name.to_owned(), Place::of(caller.workflow.file, uses)),
            text if text.contains("${{") => User::Unknown,
            text => User::Literal(text.to_owned(), place),
        })
    };
    it.callers().into_iter().filter_map(passed).collect()
}

fn user_finding<'a>(report: &mut Report<'_, 'a>, login: &Login<'a>, user: User<'a>) {
    let profile_name =
        |input: &str| format!("set `{input}` to the nuget.org profile name of the person who created the trust policy");
    match user {
        User::Missing(input, place) => {
            let similar = report.job.and_then(|it| it.job.steps.get(login.step)?.input("username"));
            let message = match similar {
                Some(_) if input == "user" => {
                    "the login has no `user`, but has `username`: did you mean `user`?".to_owned()
                }
                _ if input == "user" => "the login has no `user`".to_owned(),
                _ => format!("the login has no `user`: the input `{input}` is not set"),
            };
            let with = |value: &str| format!("with:\n  {input}: ${{{{ {value} }}}}");
            let fixes = match place.file.is_action() {
                true => {
                    let read = Fix::paste("and read it", with(&format!("inputs.{input}")));
                    input_of_action(&input, read, "vars.NUGET_USER")
                }
                false => vec![Fix::paste(profile_name(&input), with("vars.NUGET_USER"))],
            };
            report.add_with_fixes(Code::MissingUser, place, &message, fixes);
        }
        User::Literal(user, place) if is_expression_without_braces(&user) => {
            let message = format!("the login has no `user`: `{user}` is not an expression");
            let fix = Fix::text(format!("replace it with `${{{{ {user} }}}}`"));
            report.add(Code::MissingUser, place, message, fix);
        }
        // Another registry can accept e-mail addresses.
        User::Literal(user, place) if user.contains('@') && login.is_nuget_org => {
            let message = format!("`user` is an e-mail address, but nuget.org expects a profile name: `{user}`");
            report.add(Code::EmailUser, place, message, Fix::text(profile_name("user")));
        }
        // `secrets` is not available in an action.
        User::Secret(place) if !place.file.is_action() => {
            let message = "`user` is read from a secret, so GitHub masks the name in error messages and policies";
            let fix = Fix::paste("store the name as a variable", "user: ${{ vars.NUGET_USER }}");
            report.add(Code::UserFromSecret, place, message, fix);
        }
        _ => {}
    }
}

/// Whether a text is a name in a context, such as `vars.NUGET_USER`.
fn is_expression_without_braces(text: &str) -> bool {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let name = text.split_once('.').filter(|(context, _)| matches!(*context, "vars" | "secrets" | "env" | "inputs"));
    name.is_some_and(|(_, name)| !name.is_empty() && is_name(name))
}

pub(super) fn unpinned<'a>(report: &mut Report<'_, 'a>, steps: &[Step<'a>], logins: &[Login<'a>]) {
    for login in logins.iter().filter(|login| login.is_unpinned) {
        let Some((_, Uses::Remote { owner, name, reference, .. })) = steps[login.step].uses() else { continue };
        if reference.is_empty() || reference.contains("${{") {
            continue;
        }
        let message = format!(
            "{} can change: {reference} is a tag or a branch",
            in_backticks(login.place.text().trim_matches(['"', '\'']))
        );
        let fix =
            format!("replace {} with the full SHA of its commit", in_backticks(&format!("{owner}/{name}@{reference}")));
        report.add(Code::Unpinned, login.place.clone(), message, Fix::text(fix));
    }
}

/// `key-always-empty` and `conflicting-inputs`.
pub(super) fn conflicting<'a>(report: &mut Report<'_, 'a>, steps: &[Step<'a>], logins: &[Login<'a>]) {
    for login in logins {
        if let Some((why, fix, place)) = &login.conflict {
            report.add(Code::ConflictingInputs, place.clone(), *why, Fix::text(*fix));
        }
        let later = steps[login.step + 1..].iter().filter(|_| login.is_check_only).flat_map(Step::references);
        for found in later.filter(|found| found.within != "if" && login.read_by(found) == Use::Key) {
            let message = format!("`{}` is always empty: the login has `check-only: true`", found.place.text());
            let fixes = vec![Fix::text("remove `check-only` from the login"), Fix::text("or remove the push")];
            report.add_with_fixes(Code::KeyAlwaysEmpty, found.place.clone(), &message, fixes);
        }
    }
}

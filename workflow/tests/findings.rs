//! What is found in workflows, and in the examples of docs/check.md.

use workflow::findings::{Code, Finding, Fix, Severity, findings};
use workflow::login::Project;
use workflow::model::File;
use workflow::yaml::Document;

const DOCUMENTATION: &str = include_str!("../../docs/check.md");

/// These files. A line with a path begins a file.
fn files(text: &str) -> Option<Vec<File>> {
    let parts: Vec<&str> = text.split("# .github/").collect();
    let named = parts[1..].iter().map(|part| {
        let (path, text) = part.split_once('\n').unwrap();
        (format!(".github/{path}"), text)
    });
    let alone = (parts.len() == 1).then(|| (".github/workflows/x.yml".to_owned(), text));
    let file = |(path, text): (String, &str)| Some(File { path, document: Document::parse(text.to_owned()).ok()? });
    named.chain(alone).map(file).collect()
}

/// The codes of what is found in these files.
fn codes(text: &str) -> Vec<&'static str> {
    let Some(files) = files(text) else { return vec![Code::NotYaml.as_str()] };
    findings(&Project::new(&files)).iter().map(|it| it.code.as_str()).collect()
}

#[test]
fn every_code_is_documented_with_an_example_that_fails_and_its_fix() {
    for &code in Code::ALL {
        let name = code.as_str();
        let section =
            DOCUMENTATION.split(&format!("\n## {name}\n")).nth(1).unwrap_or_else(|| panic!("no section {name}"));
        let section = section.split("\n## ").next().unwrap();
        let example = |kind: &str| {
            section.split(&format!("```yaml\n# {kind}\n")).nth(1).map(|it| it.split("```").next().unwrap())
        };
        match example("fails") {
            Some(fails) => assert!(codes(fails).contains(&name), "{name}: {:?}", codes(fails)),
            None => assert_eq!(code, Code::UnreadableFile),
        }
        match example("passes") {
            Some(passes) => assert!(!codes(passes).contains(&name), "{name}: {:?}", codes(passes)),
            None => assert!(matches!(code, Code::UnreadableFile | Code::NotYaml | Code::CalledWorkflow), "{name}"),
        }
        let part = DOCUMENTATION.split("\n# Notes\n").nth(usize::from(code.severity() == Severity::Note)).unwrap();
        assert!(part.contains(&format!("\n## {name}\n")), "{name} is in the wrong part");
    }
    assert_eq!(DOCUMENTATION.matches("# fails\n").count(), Code::ALL.len() - 1);
}

#[test]
fn a_stored_key_is_found_through_the_variables_around_a_step_in_every_spelling() {
    let workflow = |reference: &str, value: &str| {
        format!(
            "on: push\nenv: {{NUGET_KEY: \"{value}\"}}\njobs:\n  a:\n    permissions: {{id-token: write}}\n    env: {{JOB: \"${{{{ {reference} }}}}\"}}\n    steps:\n    \
             - uses: NuGet/login@v1\n      id: login\n      with: {{user: a}}\n    - run: dotnet nuget push x --source nuget.org --api-key $NUGET_KEY\n      \
             env: {{NUGET_KEY: \"${{{{ {reference} }}}}\"}}\n"
        )
    };
    let count = |text: &str| codes(text).iter().filter(|code| **code == "stored-key").count();
    for reference in ["env.NUGET_KEY", "env['NUGET_KEY']", "env . NUGET_KEY", "ENV.nuget_key", "env [ 'Nuget_Key' ]"] {
        assert_eq!(count(&workflow(reference, "${{ secrets.K }}")), 1, "{reference}");
        // A variable of the outermost block does not see itself.
        for value in ["${{ env.NUGET_KEY }}", "${{ steps.login.outputs.NUGET_API_KEY || secrets.K }}", "x"] {
            assert_eq!(count(&workflow(reference, value)), 0, "{reference}, {value}");
        }
    }
    assert_eq!(count(&workflow("env.JOB", "${{ secrets.K }}")), 0);
}

const CALLED: &str = "# .github/workflows/publish.yml\non: workflow_call\njobs:\n";
const LOGIN: &str = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n    - run: ${{ steps.login.outputs.NUGET_API_KEY }}\n";

/// These steps of a job in an action, where a script has a shell.
fn steps_of_action(steps: &str) -> String {
    let run = "- run: ${{ steps.login.outputs.NUGET_API_KEY }}";
    steps.replace("    ", "  ").replace(run, "- {shell: bash, run: \"${{ steps.login.outputs.NUGET_API_KEY }}\"}")
}

/// A caller for these events, and a called workflow with these jobs.
fn called(events: &str, jobs: &str) -> String {
    let caller = "jobs:\n  call:\n    permissions: {id-token: write}\n    uses: ./.github/workflows/publish.yml\n";
    format!("# .github/workflows/release.yml\non: {events}\n{caller}{CALLED}{jobs}")
}

#[test]
fn an_event_is_forbidden_only_where_a_login_of_the_called_workflow_is_unconditional() {
    let condition = "if: github.event_name == 'push'";
    let conditional_job = format!("  a:\n    {condition}\n    steps:\n{LOGIN}");
    let conditional_step =
        format!("  b:\n    steps:\n{}", LOGIN.replacen("      id", &format!("      {condition}\n      id"), 1));
    let after_conditional = format!("  d:\n    needs: A\n    steps:\n{LOGIN}");
    let unconditional = format!("  c:\n    steps:\n{LOGIN}");
    for events in ["pull_request_target", "[push, pull_request_target]"] {
        for (jobs, is_forbidden) in [
            (conditional_job.clone(), false),
            (conditional_step.clone(), false),
            (format!("{conditional_job}{after_conditional}"), false),
            (format!("{conditional_job}{conditional_step}{unconditional}"), true),
            ("  a:\n    uses: ./.github/workflows/publish.yml\n".to_owned(), false),
        ] {
            let codes = codes(&called(events, &jobs));
            assert_eq!(codes.contains(&"forbidden-event"), is_forbidden, "{events}: {jobs}");
        }
    }
}

/// What is found in a caller with this block of permissions, for a called workflow with these jobs.
fn found_in_caller(permissions: &str, jobs: &str) -> Vec<String> {
    let text = called("push", jobs).replacen("    permissions: {id-token: write}\n", permissions, 1);
    let files = files(&text).unwrap();
    let project = Project::new(&files);
    let found = findings(&project).into_iter().filter(|it| it.place.file.name() == "release.yml");
    found.map(|it| format!("{}: {}; {}", it.code.as_str(), it.message, shown_fixes(&it))).collect()
}

fn shown_fixes(found: &Finding<'_, '_>) -> String {
    let fix = |it: &Fix| format!("{} {}", it.text, it.yaml.as_deref().unwrap_or_default());
    found.fixes.iter().map(fix).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_fix_of_a_caller_grants_what_all_jobs_of_the_called_workflow_need() {
    let own = "    permissions: {id-token: write, contents: write}\n    steps:\n";
    let jobs = format!(
        "  lint:\n    permissions: {{pull-requests: write, contents: read}}\n    steps: [{{run: make}}]\n  a:\n{own}{LOGIN}  \
         mirror:\n    steps: [{{run: dotnet nuget push x -s https://nuget.pkg.github.com/c/index.json}}]\n"
    );
    for permissions in ["", "    permissions: {contents: read, checks: write}\n"] {
        let [found] = &found_in_caller(permissions, &jobs)[..] else { panic!("one finding") };
        assert!(
            found.starts_with("caller-lacks-id-token: job `call` calls .github/workflows/publish.yml, "),
            "{found}"
        );
        for line in ["id-token: write", "contents: write", "pull-requests: write", "packages: write"] {
            assert!(found.contains(&format!("\n  {line}")), "{found}");
        }
        assert_eq!(found.contains("\n  checks: write"), !permissions.is_empty(), "{found}");
    }
}

#[test]
fn the_fix_of_permissions_keeps_what_the_steps_of_a_job_without_a_block_need() {
    let steps = "    - uses: actions/checkout@v5\n    - run: dotnet nuget push x -s https://nuget.pkg.github.com/c/index.json\n    \
                 - uses: peter-evans/create-or-update-comment@v4\n    - uses: actions/attest@v3\n";
    let fix = |permissions: &str| {
        let text = format!("on: push\n{permissions}jobs:\n  a:\n    steps:\n{LOGIN}{steps}");
        let files = files(&text).unwrap();
        let project = Project::new(&files);
        let found = findings(&project).into_iter().find(|it| it.code == Code::NoIdTokenPermission).unwrap();
        found.fixes[0].yaml.clone().unwrap()
    };
    let names = ["packages", "issues", "pull-requests", "attestations"];
    let block = |level: &str| names.map(|name| format!("\n  {name}: {level}")).concat();
    let expected = |level: &str| format!("permissions:\n  id-token: write\n  contents: read{}", block(level));
    assert_eq!(fix(""), expected("write"));
    assert_eq!(fix("permissions: read-all\n"), expected("read"));
    assert_eq!(fix("permissions: {contents: read}\n"), "permissions:\n  id-token: write\n  contents: read");
}

#[test]
fn a_caller_that_grants_less_than_a_called_job_requests_is_an_error() {
    let block = "    permissions: {id-token: write, contents: write, packages: read}\n    steps:\n";
    let jobs = format!("  a:\n    if: inputs.publish\n{block}{LOGIN}");
    let grants = |block: &str| found_in_caller(&format!("    permissions: {block}\n"), &jobs);
    let [found] = &grants("{id-token: write, contents: read}")[..] else { panic!("one finding") };
    let expected = "caller-lacks-permissions: job `call` calls .github/workflows/publish.yml, but does not \
                    grant `contents: write`, `packages: read`, which a job there requests: GitHub does not start the run; ";
    assert!(found.starts_with(expected), "{found}");
    let fix =
        "replace the permissions of job `call` permissions:\n  contents: write\n  id-token: write\n  packages: read";
    assert!(found.ends_with(fix), "{found}");
    for block in ["{id-token: write, contents: write, packages: write}", "write-all", "\"${{ inputs.p }}\""] {
        assert_eq!(grants(block), Vec::<String>::new(), "{block}");
    }
    // The caller of a caller.
    let between =
        "# .github/workflows/between.yml\non: workflow_call\njobs: {x: {uses: ./.github/workflows/publish.yml}}\n";
    let text = called("push", &jobs).replacen("publish.yml", "between.yml", 1) + between;
    let text = text.replacen("{id-token: write}", "{id-token: write, contents: read}", 1);
    assert!(codes(&text).contains(&"caller-lacks-permissions"));
    // Nothing is requested without a block, and the default is not known.
    let jobs = format!("  a:\n    steps:\n{LOGIN}    - uses: softprops/action-gh-release@v2\n");
    assert_eq!(found_in_caller("    permissions: {id-token: write, contents: read}\n", &jobs), Vec::<String>::new());
    let jobs = format!(
        "  lint:\n    permissions: {{checks: write}}\n    steps: [{{run: x}}]\n  a:\n    if: x\n    steps:\n{LOGIN}"
    );
    assert_eq!(found_in_caller("", &jobs), Vec::<String>::new());
}

#[test]
fn a_key_that_the_shell_does_not_read_is_an_error() {
    for (shell, key, is_read) in [
        ("pwsh", "$env:KEY", true),
        ("pwsh", "\"${env:KEY}\"", true),
        ("pwsh", "$KEY", false),
        ("pwsh", "%KEY%", false),
        ("bash", "\"$KEY\"", true),
        ("bash", "$env:KEY", false),
        ("bash", "%KEY%", false),
        ("cmd", "%KEY%", true),
        ("cmd", "$KEY", false),
        ("python", "$KEY", true),
        // A variable of the script, which the file does not give.
        ("pwsh", "$OTHER", true),
        // The shell is a guess.
        ("${{ matrix.shell }}", "%KEY%", true),
    ] {
        let push = format!(
            "    - shell: {shell}\n      env: {{KEY: \"${{{{ steps.l.outputs.NUGET_API_KEY }}}}\"}}\n      run: |\n"
        );
        let command = format!("        dotnet nuget push x -s nuget.org -k {key}\n");
        let job = "on: push\njobs:\n  a:\n    permissions: {id-token: write}\n    steps:\n";
        let login = "    - {uses: NuGet/login@v1, id: l, with: {user: a}}\n";
        let found = codes(&format!("{job}{login}{push}{command}")).contains(&"empty-variable");
        assert_eq!(found, !is_read, "{shell}: {key}");
        let assigned = format!("{job}{login}{push}        $KEY = $env:KEY\n{command}");
        assert!(shell != "pwsh" || key == "%KEY%" || !codes(&assigned).contains(&"empty-variable"), "{key}");
    }
}

#[test]
fn a_caller_that_may_never_reach_the_login_has_no_finding() {
    let condition = "if: inputs.publish";
    let login = format!("    steps:\n{LOGIN}").replace("user: a", "user: \"${{ inputs.user }}\"");
    for (jobs, is_certain) in [
        (format!("  a:\n{login}"), true),
        (format!("  a:\n    {condition}\n{login}"), false),
        (format!("  a:\n{}", login.replacen("      id", &format!("      {condition}\n      id"), 1)), false),
        (format!("  b: {{{condition}}}\n  a:\n    needs: b\n{login}"), false),
    ] {
        let found = found_in_caller("", &jobs).concat();
        assert_eq!(found.contains("caller-lacks-id-token"), is_certain, "{jobs}: {found}");
        assert_eq!(found.contains("missing-user"), is_certain, "{jobs}: {found}");
    }
    // The same in a local action.
    let action = format!("inputs: {{user: {{}}}}\nruns:\n  using: composite\n{}", steps_of_action(&login));
    let condition = format!("\n    {condition}\n    id: login");
    let action_with = |action: &str| {
        format!(
            "# .github/workflows/x.yml\non: pull_request_target\njobs: {{a: {{steps: [{{uses: ./.github/a}}]}}}}\n# .github/a/action.yml\n{action}"
        )
    };
    let expected = ["no-id-token-permission", "missing-user", "forbidden-event"];
    let found = codes(&action_with(&action));
    assert!(expected.iter().all(|code| found.contains(code)), "{found:?}");
    assert_eq!(codes(&action_with(&action.replacen("\n    id: login", &condition, 1))), ["key-in-script", "unpinned"]);
    // GitHub checks blocks before any condition.
    let jobs = format!("  a:\n    if: inputs.publish\n    permissions: {{id-token: write}}\n{login}");
    assert!(found_in_caller("", &jobs).concat().contains("caller-lacks-id-token"));
}

#[test]
fn the_events_of_a_job_are_those_of_all_its_callers() {
    let jobs = format!("  a:\n    steps:\n{LOGIN}");
    let started_by = |text: &str| {
        let files = files(text).unwrap();
        let project = Project::new(&files);
        let [job] = project.login_jobs()[..] else { panic!("one job logs in") };
        let (workflows, is_reached_otherwise) = job.started_by("pull_request_target");
        (workflows.iter().map(|it| it.file.name().to_owned()).collect::<Vec<_>>(), is_reached_otherwise)
    };
    let release = || vec!["release.yml".to_owned()];
    assert_eq!(started_by(&called("pull_request_target", &jobs)), (release(), false));
    assert_eq!(started_by(&called("[push, pull_request_target]", &jobs)), (release(), true));
    assert_eq!(started_by(&called("push", &jobs)), (vec![], true));
    let other = "# .github/workflows/other.yml\non: push\njobs: {call: {uses: ./.github/workflows/publish.yml}}\n";
    let both = format!("{}{other}", called("pull_request_target", &jobs));
    assert_eq!(started_by(&both), (release(), true));
    let between = both.replace("on: push", "on: workflow_call");
    assert_eq!(started_by(&between), (release(), true));
    assert_eq!(started_by(&format!("{CALLED}{jobs}")), (vec![], true));
    assert_eq!(started_by(&format!("on: pull_request_target\njobs:\n{jobs}")), (vec!["x.yml".to_owned()], false));
}

/// The findings of these files that are wanted: the code, the line, the message and the fixes.
fn shown(text: &str, is_wanted: impl Fn(Code) -> bool) -> Vec<String> {
    let files = files(text).unwrap();
    let project = Project::new(&files);
    let shown =
        |it: &Finding<'_, '_>| format!("{}@{}: {}; {}", it.code.as_str(), it.place.line(), it.message, shown_fixes(it));
    findings(&project).iter().filter(|it| is_wanted(it.code)).map(shown).collect()
}

/// The errors of a job with these lines.
fn found(lines: &str) -> Vec<String> {
    let text = format!("on: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n{lines}");
    shown(&text, |code| code.severity() == Severity::Error)
}

const PUSH: &str = "    - run: dotnet nuget push x -s nuget.org -k $KEY\n";

#[test]
fn the_fix_of_a_stored_key_is_for_the_place_where_it_is() {
    let login = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n    - run: ${{ steps.login.outputs.NUGET_API_KEY }}\n";
    let key = "${{ secrets.K }}";
    let fix = |lines: &str| found(lines).concat();
    let of_job = fix(&format!("    env:\n      Key: {key}\n    steps:\n{login}{PUSH}"));
    assert!(of_job.starts_with("stored-key@6: "), "{of_job}");
    let expected =
        "; remove this line, and add to the step that pushes env:\n  Key: ${{ steps.login.outputs.NUGET_API_KEY }}";
    assert!(of_job.ends_with(expected), "{of_job}");
    let of_step = fix(&format!("    steps:\n{login}{PUSH}      env: {{KEY: \"{key}\"}}\n"));
    assert!(of_step.ends_with("; replace it with `steps.login.outputs.NUGET_API_KEY` "), "{of_step}");
    for run in [
        PUSH.replace("$KEY", key),
        format!("    - run: |\n        KEY={key}\n        dotnet nuget push x -s nuget.org -k $KEY\n"),
    ] {
        let of_script = fix(&format!("    steps:\n{login}{run}"));
        assert!(
            of_script.contains("; give the key to the step that pushes") && !of_script.contains("replace it"),
            "{of_script}"
        );
    }
}

#[test]
fn the_fix_of_a_stored_key_in_a_job_without_a_login_has_the_login() {
    let login = "    steps:\n    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n    - run: ${{ steps.login.outputs.NUGET_API_KEY }}\n";
    let push = PUSH.replace("$KEY", "${{ secrets.K }}");
    let text = found(&format!("{login}  b:\n    steps:\n{push}")).concat();
    let fix = "; add the login to this job, before the push - name: NuGet login\n  id: nuget-login\n";
    assert!(text.starts_with("stored-key@12: ") && text.contains(fix), "{text}");
    assert!(text.ends_with("NUGET_API_KEY: ${{ steps.nuget-login.outputs.NUGET_API_KEY }}"), "{text}");
}

#[test]
fn steps_are_not_available_in_the_variables_of_a_job_and_of_a_workflow() {
    let login = "    steps:\n    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n";
    let key = "\"${{ steps.login.outputs.NUGET_API_KEY }}\"";
    let of_job = found(&format!("    env: {{KEY: {key}}}\n{login}{PUSH}"));
    let expected = "steps-not-available@5: `steps` is not available in the `env` of a job: GitHub rejects this file; remove this line, and \
                    add to the step that needs the value env:\n  KEY: ${{ steps.login.outputs.NUGET_API_KEY }}";
    assert_eq!(of_job, [expected]);
    let of_workflow = found(&format!("{login}{PUSH}env: {{KEY: {key}}}\n"));
    assert_eq!(of_workflow, [expected.replace("@5", "@10").replace("a job", "the workflow")]);
    assert_eq!(found(&format!("{login}{PUSH}      env: {{KEY: {key}}}\n")), Vec::<String>::new());
}

#[test]
fn inputs_that_this_action_rejects_or_that_leave_the_key_empty_are_errors() {
    let codes = |action: &str, with: &str, use_: &str| {
        let key = "${{ steps.login.outputs.NUGET_API_KEY }}";
        let push = if use_.is_empty() { String::new() } else { format!("    - {use_}: {key}\n") };
        let found = found(&format!(
            "    steps:\n    - uses: {action}@v1\n      id: login\n      with: {{user: a, {with}}}\n{push}"
        ));
        found.iter().map(|it| it.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ours = env!("CARGO_PKG_REPOSITORY").trim_start_matches("https://github.com/");
    assert_eq!(codes(ours, "check-only: true", "run"), ["key-always-empty@9"]);
    assert_eq!(codes(ours, "check-only: true", ""), Vec::<String>::new());
    assert_eq!(codes(ours, "check-only: true", "if"), Vec::<String>::new());
    assert_eq!(codes("NuGet/login", "check-only: true", "run"), Vec::<String>::new());
    for with in
        ["check-only: false", "check-only: \"${{ inputs.check }}\"", "export-env: true", "package: \"${{ inputs.p }}\""]
    {
        assert_eq!(codes(ours, with, "run"), Vec::<String>::new(), "{with}");
    }
    assert_eq!(codes(ours, "check-only: true, export-env: true", ""), ["conflicting-inputs@8"]);
    assert_eq!(codes(ours, "package: A@1.0.0, export-env: true", ""), ["conflicting-inputs@8"]);
    assert_eq!(codes(ours, "package: A@1.0.0, check-only: true", ""), Vec::<String>::new());
    assert_eq!(codes("NuGet/login", "package: A@1.0.0", "run"), Vec::<String>::new());
}

#[test]
fn an_id_that_a_later_step_reads_is_proposed_for_a_login_without_one() {
    let login = "    steps:\n    - uses: NuGet/login@v1\n      with: {user: a}\n";
    let with_reader = found(&format!("{login}    - run: ${{{{ steps.nuget.outputs.NUGET_API_KEY }}}}\n")).concat();
    assert!(with_reader.ends_with("; add an id to the login step id: nuget"), "{with_reader}");
    let without = found(&format!("{login}{PUSH}")).concat();
    assert!(without.contains("id: login; and give the key to the step that pushes"), "{without}");
}

/// All findings of a job with these lines, notes too, as code, line and fixes.
fn all_found(lines: &str) -> Vec<String> {
    let text = format!("on: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n{lines}");
    let files = files(&text).unwrap();
    let project = Project::new(&files);
    let shown = |it: &Finding<'_, '_>| format!("{}@{}: {}", it.code.as_str(), it.place.line(), shown_fixes(it));
    findings(&project).iter().filter(|it| it.code != Code::Unpinned).map(shown).collect()
}

#[test]
fn a_fix_for_a_script_has_the_variable_as_the_shell_of_the_step_reads_it() {
    let key = "${{ steps.login.outputs.NUGET_API_KEY }}";
    let login = LOGIN.lines().take(3).map(|line| format!("{line}\n")).collect::<String>();
    for (shell, variable, own) in [
        ("bash", "`\"$NUGET_API_KEY\"`", "`\"$Key\"`"),
        ("pwsh", "`$env:NUGET_API_KEY`", "`$env:Key`"),
        ("cmd", "`%NUGET_API_KEY%`", "`%Key%`"),
        (
            "${{ matrix.shell }}",
            "`\"$NUGET_API_KEY\"` (PowerShell: `$env:NUGET_API_KEY`)",
            "`\"$Key\"` (PowerShell: `$env:Key`)",
        ),
        ("python {0}", "the variable `NUGET_API_KEY`", "the variable `Key`"),
    ] {
        let run = |script: &str, env: &str| {
            let step = format!("    - run: {script}\n      shell: {shell}\n      env: {{Key: \"{env}\"}}\n");
            all_found(&format!("    steps:\n{login}{step}")).concat()
        };
        let direct = run(&format!("push {key}"), "x");
        let expected = format!(
            "add it to the environment of the step, and use {variable} in the script env:\n  NUGET_API_KEY: {key}"
        );
        assert_eq!(direct, format!("key-in-script@9: {expected}"));
        let through_variable = run("push ${{ env.key }}", key);
        assert_eq!(through_variable, format!("key-in-script@9: replace the expression with {own} "));
        if shell.starts_with("python") {
            continue;
        }
        let push = |key: &str| run(&format!("dotnet nuget push x -s nuget.org -k {key}"), "x");
        let stored = push("${{ secrets.K }}");
        let option = variable.replacen('`', "`--api-key ", 1);
        assert!(stored.contains("stored-key@9: ") && stored.contains(&format!("push with {option} env:")), "{stored}");
        let unused = push("x");
        let option = variable.replacen('`', "`--api-key ", 1);
        assert!(unused.starts_with("key-not-used@6: give the key to the step that pushes, and push with"), "{unused}");
        assert!(unused.contains(&format!("push with {option} env:")), "{unused}");
        let wrong = push(&key.replace("login", "other"));
        assert!(
            wrong.starts_with("wrong-reference@9: ") && wrong.contains(&format!("push with {option} env:")),
            "{wrong}"
        );
    }
}

#[test]
fn an_action_gets_its_user_as_an_input() {
    let found = |with: &str| {
        let text = format!(
            "# .github/workflows/x.yml\non: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n    steps: [{{uses: ./.github/a}}]\n\
             # .github/a/action.yml\nruns:\n  using: composite\n  steps:\n{}",
            steps_of_action(LOGIN).replace("user: a", with)
        );
        let files = files(&text).unwrap();
        let project = Project::new(&files);
        let errors = findings(&project).into_iter().filter(|it| it.code.severity() == Severity::Error);
        errors.map(|it| format!("{}: {}; {}", it.code.as_str(), it.message, shown_fixes(&it))).collect::<Vec<_>>()
    };
    let input = "add an input to the action inputs:\n  user:\n    required: true; and";
    for context in ["vars", "secrets"] {
        let expected = format!(
            "context-not-available: `{context}` is not available in an action: GitHub rejects the action; {input} replace it with \
             `inputs.user` ; and set it in each step that uses the action with:\n  user: ${{{{ {context}.NUGET_USER }}}}"
        );
        assert_eq!(found(&format!("user: \"${{{{ {context}.NUGET_USER }}}}\"")), [expected]);
    }
    let expected = format!(
        "missing-user: the login has no `user`; {input} read it with:\n  user: ${{{{ inputs.user }}}}; and set it in each step \
         that uses the action with:\n  user: ${{{{ vars.NUGET_USER }}}}"
    );
    assert_eq!(found(""), [expected]);
    for with in ["user: a", "user: \"${{ github.repository_owner }}\"", "user: \"${{ env.USER }}\""] {
        assert_eq!(found(with), Vec::<String>::new(), "{with}");
    }
}

#[test]
fn a_script_in_an_action_needs_a_shell() {
    let of_action = |steps: &str| {
        let text = format!("# .github/a/action.yml\nruns:\n  using: composite\n{steps}");
        shown(&text, |code| code == Code::InvalidWorkflow)
    };
    let action =
        |shell: &str| of_action(&steps_of_action(&format!("    steps:\n{LOGIN}")).replace("shell: bash, ", shell));
    let expected = |shell: &str| {
        format!(
            "invalid-workflow@7: a script in an action needs a `shell`: GitHub rejects the action; add the shell to the step shell: {shell}"
        )
    };
    assert_eq!(action(""), [expected("bash")]);
    assert_eq!(action("env: {A: b}, ").len(), 1);
    assert_eq!(action("shell: pwsh, "), Vec::<String>::new());
    let steps = steps_of_action(&format!("    steps:\n{LOGIN}"));
    assert_eq!(of_action(&steps.replace("shell: bash, run: \"", "run: \"push $env:A ")), [expected("pwsh")]);
}

#[test]
fn what_github_rejects_in_the_steps_of_a_login_is_an_error() {
    let push = "    - run: push\n      env: {KEY: \"${{ steps.login.outputs.NUGET_API_KEY }}\"}\n";
    let login = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n";
    let found =
        |lines: &str| all_found(lines).iter().map(|it| it.split(':').next().unwrap().to_owned()).collect::<Vec<_>>();
    let steps = |more: &str| found(&format!("    steps:\n{login}{push}{more}"));
    assert_eq!(steps("    - run: x\n      id: LOGIN\n"), ["invalid-workflow@12"]);
    assert_eq!(steps("    - run: x\n      id: a b\n"), ["invalid-workflow@12"]);
    for (uses, message) in [
        (
            "a/b",
            "`a/b` does not name a version: GitHub rejects this file; write the version after `@`: `owner/name@version`",
        ),
        (
            "a/b@",
            "`a/b@` does not name a version: GitHub rejects this file; write the version after `@`: `owner/name@version`",
        ),
        ("https://x.example/a/b", "`https://x.example/a/b` does not name a version: "),
        ("a@v1", "`a@v1` is not in the form `owner/name@version`: "),
        ("a/b@v1@v2", "`a/b@v1@v2` is not in the form `owner/name@version`: "),
        ("/b@v1", "`/b@v1` is not in the form `owner/name@version`: "),
        (
            ".github/a",
            "`.github/a` does not begin with `./`: GitHub rejects this file; begin the path of an action in this repository with `./`",
        ),
        ("\"\"", "`uses` is empty: "),
        ("~", "`uses` is empty: "),
        ("a/b@${{ github.sha }}", "`uses` cannot contain an expression: "),
    ] {
        let found = crate::found(&format!("    steps:\n{login}{push}    - uses: {uses}\n"));
        let [found] = &found[..] else { panic!("{uses}: {found:?}") };
        assert!(found.starts_with(&format!("invalid-workflow@11: {message}")), "{found}");
    }
    for uses in ["a/b@v1", "a/b/c@refs/heads/x", "./.github/a", ".\\a", "docker://alpine:3", "https://x.example/a/b@v1"]
    {
        assert_eq!(steps(&format!("    - uses: {uses}\n")), Vec::<String>::new(), "{uses}");
    }
    // The login itself.
    assert_eq!(found(&format!("    steps:\n{}{push}", login.replace("@v1", ""))), ["invalid-workflow@6"]);
    let caller = |uses: &str| steps(&format!("  b:\n    uses: {uses}\n"));
    for uses in [
        "a/b/.github/workflows/c.yml",
        "a/b/.github/workflows/${{ inputs.c }}.yml@v1",
        "a/b/c.yml@v1",
        "a/b@v1",
        "docker://alpine:3",
        "/b/.github/workflows/c.yml@v1",
        "a/b/.github/workflows/c.json@v1",
        ".github/workflows/c.yml",
        "./.github/workflows/c.yml@main",
        "./.github/workflows/d/c.yml",
        "./.github/workflows/.yml",
    ] {
        assert_eq!(caller(uses), ["invalid-workflow@12"], "{uses}");
    }
    for uses in ["a/b/.github/workflows/c.yml@v1", "./.github/workflows/c.yaml", "./.github/workflows-lab/c.yml"] {
        assert_eq!(caller(uses), Vec::<String>::new(), "{uses}");
    }
    assert_eq!(steps("    - run: x\n      env: {<<: {A: b}, C: d}\n"), ["invalid-workflow@12"]);
    let expression =
        steps("").len() + found(&format!("    steps:\n{}{push}", login.replace("@v1", "@${{ github.sha }}"))).len();
    assert_eq!(expression, 1);
    for step in ["{run: x, id: login_2-B}", "{run: 'x ${{ github.sha }}', id: _a}", "{run: x, env: &e {A: b}}"] {
        assert_eq!(steps(&format!("    - {step}\n")), Vec::<String>::new(), "{step}");
    }
    assert_eq!(found(&format!("    env: {{<<: &e {{A: b}}}}\n    steps:\n{login}{push}")), ["invalid-workflow@5"]);
    assert_eq!(
        found(&format!(
            "    strategy: {{matrix: {{include: [{{<<: {{A: b}}}}], max-parallel: 1}}, max-parallel: 1}}\n    steps:\n{login}{push}"
        )),
        Vec::<String>::new()
    );
}

#[test]
fn a_login_is_unused_though_another_job_has_one_of_the_same_id() {
    let login = "    - uses: NuGet/login@v1\n      id: login\n      with: {user: a}\n";
    let push = "    - run: push\n      env: {KEY: \"${{ steps.Login.outputs.NUGET_API_KEY }}\"}\n";
    let other = |steps: &str| {
        found(&format!("    steps:\n{login}  b:\n    permissions: {{id-token: write}}\n    steps:\n{steps}")).concat()
    };
    assert!(other(&format!("{login}{push}")).starts_with("key-not-used@6: "));
    // The reference is the mistake.
    let wrong = other(push);
    assert!(wrong.starts_with("wrong-reference@13: "), "{wrong}");
    let fix = "add the login to this job, before the push: GitHub does not pass masked values between jobs - name: NuGet login\n  id: login\n";
    assert!(wrong.contains(fix), "{wrong}");
}

#[test]
fn steps_and_jobs_that_never_run_write_no_release() {
    let release = "    - uses: softprops/action-gh-release@v2\n";
    let codes = |job: &str, step: &str| found(&format!("{job}    steps:\n{LOGIN}{release}{step}")).len();
    assert_eq!(codes("", ""), 1);
    assert_eq!(codes("", "      if: success()\n"), 1);
    assert_eq!(codes("", "      if: ${{ false }}\n"), 0);
}

#[test]
fn a_user_that_is_a_name_in_a_context_is_not_an_expression() {
    let found =
        |user: &str| found(&format!("    steps:\n{}", LOGIN.replace("user: a", &format!("user: {user}")))).concat();
    for user in ["vars.NUGET_USER", "secrets.USER", "env.NUGET_USER", "inputs.user"] {
        let expected = format!(
            "missing-user@8: the login has no `user`: `{user}` is not an expression; replace it with `${{{{ {user} }}}}` "
        );
        assert_eq!(found(user), expected);
    }
    for user in ["contoso.bot", "vars", "vars.", "vars.a.b", "environment.x", "\"${{ vars.NUGET_USER }}\""] {
        assert_eq!(found(user), "", "{user}");
    }
}

#[test]
fn the_jobs_of_a_matrix_log_in_at_once_unless_they_run_one_after_the_other() {
    let found = |strategy: &str| {
        all_found(&format!("    strategy: {{{strategy}}}\n    steps:\n{LOGIN}"))
            .iter()
            .any(|it| it.starts_with("matrix-login"))
    };
    assert!(found("matrix: {a: [1, 2]}") && found("matrix: {a: [1, 2]}, max-parallel: 2"));
    assert!(!found("matrix: {a: [1, 2]}, max-parallel: 1"));
}

#[test]
fn an_address_in_place_of_a_user_is_marked_itself() {
    for (with, marked) in [
        ("{user: a@b.example}", "a@b.example"),
        ("{user: \"a@b.example\"}", "\"a@b.example\""),
        ("\n        user:\n          a@b.example", "user"),
    ] {
        let text = format!(
            "on: push\njobs:\n  a:\n    permissions: {{id-token: write}}\n    steps:\n{}",
            LOGIN.replace("{user: a}", with)
        );
        let files = files(&text).unwrap();
        let project = Project::new(&files);
        let found = findings(&project).into_iter().find(|it| it.code == Code::EmailUser).unwrap();
        assert_eq!(found.place.text(), marked);
    }
}

#[test]
fn a_login_without_a_user_is_explained_once() {
    let missing = |with: &str| {
        found(&format!(
            "    steps:\n    - uses: NuGet/login@v1\n      id: login\n      with: {{{with}}}\n    - run: ${{{{ steps.login.outputs.NUGET_API_KEY }}}}\n"
        ))
        .concat()
    };
    let text = missing("");
    assert!(
        text.starts_with("missing-user@6: the login has no `user`; set `user` to the nuget.org profile name"),
        "{text}"
    );
    assert!(text.ends_with("with:\n  user: ${{ vars.NUGET_USER }}"), "{text}");
    let text = missing("username: a");
    assert!(text.contains("the login has no `user`, but has `username`: did you mean `user`?; "), "{text}");
}

//! Trust policies for GitHub Actions (NuGet/NuGetGallery, `GitHubTokenPolicyValidator.cs`).

use time::OffsetDateTime;

use super::{Mismatch, disclosed, pin, required};
use crate::config::{Policy, RepositoryIds};
use crate::jwt::Jwt;

/// Checks a verified token against a policy, in the service's order. The first use of a policy without IDs saves the
/// repository's IDs in it, even if a later check fails.
pub(crate) fn evaluate(
    policy: &mut Policy,
    first_use_until: OffsetDateTime,
    token: &Jwt,
    now: OffsetDateTime,
    banned_events: &[String],
) -> Result<(), Mismatch> {
    let repository = required(token, "repository")?;
    let repository_owner = required(token, "repository_owner")?;
    let repository_owner_id = required(token, "repository_owner_id")?;
    let repository_id = required(token, "repository_id")?;
    let event = required(token, "event_name")?;
    let Policy { repository_owner: owner, repository: wanted, .. } = &*policy;
    if !repository_owner.eq_ignore_ascii_case(owner) || !repository.eq_ignore_ascii_case(&format!("{owner}/{wanted}")) {
        return Err(Mismatch::Undisclosed);
    }

    let ids =
        RepositoryIds { repository_id: repository_id.to_owned(), repository_owner_id: repository_owner_id.to_owned() };
    pin(&mut policy.used_by, ids, &policy.name, first_use_until, now)?;

    let Policy { name, repository_owner: owner, repository: wanted, .. } = &*policy;
    if banned_events.iter().any(|banned| banned.eq_ignore_ascii_case(event)) {
        return disclosed(format!("The GitHub Actions event '{event}' is not allowed."));
    }

    let defined_in = required(token, "job_workflow_ref")?;
    let folder = format!("{owner}/{wanted}/.github/workflows/");
    let file = match defined_in.split_at_checked(folder.len()) {
        Some((start, file)) if start.eq_ignore_ascii_case(&folder) => file.split_once('@').map(|(file, _)| file),
        _ => None,
    };
    let Some(file) = file else {
        return disclosed(format!(
            "Claim 'job_workflow_ref' has value '{defined_in}' which does not start with {folder}."
        ));
    };
    if !file.eq_ignore_ascii_case(&policy.workflow) {
        let expected = &policy.workflow;
        return disclosed(format!("Workflow mismatch for policy '{name}': expected '{expected}', actual '{file}'"));
    }

    let (expected, actual) = (policy.environment.trim(), token.text("environment").unwrap_or_default());
    if !expected.is_empty() && !actual.eq_ignore_ascii_case(expected) {
        return disclosed(format!(
            "Environment mismatch for policy '{name}': expected '{expected}', actual '{actual}'"
        ));
    }
    Ok(())
}

//! Trust policies for GitLab CI (NuGet/NuGetGallery, `GitLabTokenPolicyValidator.cs`).

use time::OffsetDateTime;

use super::{Mismatch, disclosed, pin, required};
use crate::config::{GitLabPolicy, ProjectIds};
use crate::jwt::Jwt;

/// Checks a verified token against a policy, in the service's order. The first use of a policy without IDs saves the
/// project's IDs in it, even if a later check fails.
pub(crate) fn evaluate(
    policy: &mut GitLabPolicy,
    first_use_until: OffsetDateTime,
    token: &Jwt,
    now: OffsetDateTime,
) -> Result<(), Mismatch> {
    let namespace_path = required(token, "namespace_path")?;
    let project_path = required(token, "project_path")?;
    let namespace_id = required(token, "namespace_id")?.to_owned();
    let project_id = required(token, "project_id")?.to_owned();

    let wanted = format!("{}/{}", policy.namespace_path, policy.project_path);
    if !namespace_path.eq_ignore_ascii_case(&policy.namespace_path) || !project_path.eq_ignore_ascii_case(&wanted) {
        return Err(Mismatch::Undisclosed);
    }
    let ids = ProjectIds { project_id, namespace_id };
    pin(&mut policy.used_by, ids, &policy.name, first_use_until, now)?;

    // The names of GitLab's branches and environments are case-sensitive.
    let GitLabPolicy { name, r#ref, environment, .. } = &*policy;
    let (expected, actual) = (r#ref.trim(), token.text("ref").unwrap_or_default());
    if !expected.is_empty() && actual != expected {
        return disclosed(format!("Ref mismatch for policy '{name}': expected '{expected}', actual '{actual}'"));
    }
    if !expected.is_empty() && !token.text("ref_type").is_some_and(|kind| kind.eq_ignore_ascii_case("branch")) {
        return disclosed(format!("Ref '{actual}' for policy '{name}' must be a branch."));
    }
    let (expected, actual) = (environment.trim(), token.text("environment").unwrap_or_default());
    if !expected.is_empty() && actual != expected {
        return disclosed(format!(
            "Environment mismatch for policy '{name}': expected '{expected}', actual '{actual}'"
        ));
    }
    Ok(())
}

//! What GitHub's ID-token service and nuget.org's token service say when they reject a request, as far as it is known
//! (NuGet gallery, August 2026). Parsed once, here; retries and explanations read the type.

use crate::sanitize::truncate;

/// A known message, with what it contains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServiceMessage {
    // GitHub
    JobNotRunning { state: String },
    // The trust policies of a user
    NoMatchingPolicy { user: String },
    WorkflowMismatch(Mismatch),
    EnvironmentMismatch(Mismatch),
    RefMismatch(Mismatch),
    RefNotABranch { r#ref: String, policy: String },
    ForeignReusableWorkflow { job_workflow_ref: String },
    PolicyExpired { policy: String },
    EventNotAllowed { event: String },
    ClaimMissing { claim: String },
    // Accounts
    OrganizationAsUser,
    UserDeleted { name: String },
    OrganizationDeleted { name: String },
    UserLocked { name: String },
    OrganizationLocked { name: String },
    UserEmailNotConfirmed { name: String },
    OrganizationEmailNotConfirmed { name: String },
    PackageOwnerGone,
    ScopesNotValid { owner: String },
    // The ID token
    IssuerNotSupported,
    TokenNotValidated,
    AudienceIncorrect,
    SignatureInvalid,
    TokenExpired,
    TokenNotYetValid,
    AudienceNotSingle,
    AudienceMissing,
    IssuerMissing,
    IssuerNotHttps,
    JtiMissing,
    TokenUsed,
    TokenNotParsed,
    // The request
    AuthorizationMissing,
    AuthorizationRepeated,
    AuthorizationNotBearer,
    AuthorizationEmpty,
    OnlyBearer,
    ContentType,
    UserAgentMissing,
    UsernameMissing,
    TokenTypeMissing,
    NotAuthenticated,
}

/// A field of a policy that differs from the job's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) policy: String,
    pub(crate) expected: String,
    pub(crate) actual: String,
}

/// A message's text, with `{}` for each value, and what makes the message of the values.
type Known = (&'static str, fn(&[&str]) -> ServiceMessage);

const KNOWN: &[Known] = &[
    ("Can't issue ID_TOKEN for job in '{}' state.", |it| JobNotRunning { state: value(it[0]) }),
    ("No matching trust policy owned by user '{}' was found.", |it| NoMatchingPolicy { user: value(it[0]) }),
    ("Workflow mismatch for policy '{}': expected '{}', actual '{}'", |it| WorkflowMismatch(mismatch(it))),
    ("Environment mismatch for policy '{}': expected '{}', actual '{}'", |it| EnvironmentMismatch(mismatch(it))),
    ("Ref mismatch for policy '{}': expected '{}', actual '{}'", |it| RefMismatch(mismatch(it))),
    ("Ref '{}' for policy '{}' must be a branch.", |it| RefNotABranch { r#ref: value(it[0]), policy: value(it[1]) }),
    ("Claim 'job_workflow_ref' has value '{}' which does not start with {}/.github/workflows/.", |it| {
        ForeignReusableWorkflow { job_workflow_ref: value(it[0]) }
    }),
    ("The policy '{}' has expired. Sign in and renew the trust policy on the Trusted Publishing page.", |it| {
        PolicyExpired { policy: value(it[0]) }
    }),
    ("The GitHub Actions event '{}' is not allowed.", |it| EventNotAllowed { event: value(it[0]) }),
    ("The JSON Web Token is missing the required claim '{}'.", |it| ClaimMissing { claim: value(it[0]) }),
    ("Generating fetching tokens directly for organizations is not supported.", |_| OrganizationAsUser),
    ("The user '{}' is deleted.", |it| UserDeleted { name: value(it[0]) }),
    ("The organization '{}' is deleted.", |it| OrganizationDeleted { name: value(it[0]) }),
    ("The user '{}' is locked.", |it| UserLocked { name: value(it[0]) }),
    ("The organization '{}' is locked.", |it| OrganizationLocked { name: value(it[0]) }),
    ("The user '{}' does not have a confirmed email address.", |it| UserEmailNotConfirmed { name: value(it[0]) }),
    ("The organization '{}' does not have a confirmed email address.", |it| OrganizationEmailNotConfirmed {
        name: value(it[0]),
    }),
    ("The package owner of the match trust policy not longer exists.", |_| PackageOwnerGone),
    (
        "The scopes on the generated API key are not valid. Confirm that you still have permissions to operate on behalf \
         of package owner '{}'.",
        |it| ScopesNotValid { owner: value(it[0]) },
    ),
    ("The JSON web token iss claim is not supported.", |_| IssuerNotSupported),
    ("The JSON web token could not be validated.", |_| TokenNotValidated),
    ("The JSON web token has an incorrect audience.", |_| AudienceIncorrect),
    ("The JSON web token has an invalid signature.", |_| SignatureInvalid),
    ("The JSON web token has expired.", |_| TokenExpired),
    ("The JSON web token is not yet valid.", |_| TokenNotYetValid),
    ("The JSON web token must have exactly one aud claim value.", |_| AudienceNotSingle),
    ("The JSON web token must have an aud claim.", |_| AudienceMissing),
    ("The JSON web token must have an iss claim.", |_| IssuerMissing),
    ("The JSON web token iss claim must be a valid HTTPS URL.", |_| IssuerNotHttps),
    ("The JSON web token must have a jti claim.", |_| JtiMissing),
    ("This bearer token has already been used. A new bearer token must be used for each request.", |_| TokenUsed),
    ("The bearer token could not be parsed as a JSON web token.", |_| TokenNotParsed),
    ("The Authorization header is missing.", |_| AuthorizationMissing),
    ("Only one Authorization header is allowed.", |_| AuthorizationRepeated),
    ("The Authorization header value must start with 'Bearer '.", |_| AuthorizationNotBearer),
    ("The bearer token is missing from the Authorization header.", |_| AuthorizationEmpty),
    ("Only Bearer token authentication is accepted.", |_| OnlyBearer),
    ("The request must have a Content-Type of 'application/json'.", |_| ContentType),
    ("A User-Agent header is required.", |_| UserAgentMissing),
    ("The username property in the request body is required.", |_| UsernameMissing),
    ("The tokenType property in the request body is required and must set to 'ApiKey'.", |_| TokenTypeMissing),
    ("The request could not be authenticated.", |_| NotAuthenticated),
];

use ServiceMessage::*;

/// Longest value that is kept, in characters.
const LONGEST_VALUE: usize = 200;

/// Number of beginnings of a message that are tried and do not continue as the message does.
const MOST_BEGINNINGS: usize = 50;

fn value(text: &str) -> String {
    truncate(text.to_owned(), LONGEST_VALUE)
}

fn mismatch(values: &[&str]) -> Mismatch {
    Mismatch { policy: value(values[0]), expected: value(values[1]), actual: value(values[2]) }
}

impl ServiceMessage {
    /// The known messages in `text`, in their order: nuget.org joins those of several policies. What is not known is
    /// passed over.
    pub(crate) fn all_in(text: &str) -> Vec<ServiceMessage> {
        let mut found: Vec<(Match<'_>, &Known)> = Vec::new();
        for known in KNOWN {
            let mut from = 0;
            while let Some(place) = find(known.0, text, from) {
                from = place.end;
                let at = found.partition_point(|(other, _)| other.start <= place.start);
                found.insert(at, (place, known));
            }
        }
        let mut end = 0;
        let mut messages = Vec::new();
        for (place, (_, make)) in found {
            if place.start >= end {
                end = place.end;
                messages.push(make(&place.values));
            }
        }
        messages
    }
}

/// A place in a text, in bytes.
struct Match<'a> {
    start: usize,
    end: usize,
    values: Vec<&'a str>,
}

/// The first place from `from` on that `pattern` fits. Its beginning is in none of the values, where it would be that of
/// another message.
fn find<'a>(pattern: &str, text: &'a str, from: usize) -> Option<Match<'a>> {
    let beginning = pattern.split("{}").next()?;
    let mark = beginning.trim_end_matches(['\'', ' ']);
    let starts = text.get(from..)?.match_indices(beginning).map(|(at, _)| from + at);
    let is_one = |found: &Match<'_>| !found.values.iter().any(|value| value.contains(mark));
    starts.take(MOST_BEGINNINGS).find_map(|start| fit(pattern, text, start).filter(is_one))
}

fn fit<'a>(pattern: &str, text: &'a str, start: usize) -> Option<Match<'a>> {
    let mut literals = pattern.split("{}");
    let mut end = start + literals.next()?.len();
    let mut values = Vec::new();
    for literal in literals {
        let length = text[end..].find(literal)?;
        values.push(&text[end..end + length]);
        end += length + literal.len();
    }
    Some(Match { start, end, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(policy: &str, expected: &str, actual: &str) -> ServiceMessage {
        let text = |it: &str| it.to_owned();
        WorkflowMismatch(Mismatch { policy: text(policy), expected: text(expected), actual: text(actual) })
    }

    #[test]
    fn every_known_message_is_found_and_is_itself() {
        for (pattern, make) in KNOWN {
            let values = vec!["x"; pattern.matches("{}").count()];
            assert_eq!(ServiceMessage::all_in(&pattern.replace("{}", "x")), [make(&values)], "{pattern}");
        }
    }

    #[test]
    fn several_messages_are_found_in_their_order() {
        let text = "Workflow mismatch for policy 'a': expected 'x', actual 'y'. No matching trust policy owned by user \
                    'me' was found. Workflow mismatch for policy 'it's': expected '', actual ''";
        let user = "me".to_owned();
        let expected = [workflow("a", "x", "y"), NoMatchingPolicy { user }, workflow("it's", "", "")];
        assert_eq!(ServiceMessage::all_in(text), expected);
    }

    #[test]
    fn a_message_that_does_not_continue_is_passed_over() {
        let cut = "Workflow mismatch for policy 'a': expected 'x only. ";
        assert_eq!(ServiceMessage::all_in(cut), []);
        let then = "Workflow mismatch for policy 'b': expected 'y', actual 'z'";
        assert_eq!(ServiceMessage::all_in(&format!("{cut}{then}")), [workflow("b", "y", "z")]);
        assert_eq!(ServiceMessage::all_in("something else"), []);
    }

    #[test]
    fn a_long_value_is_truncated() {
        let text = format!("The user '{}' is locked.", "n".repeat(300));
        assert_eq!(ServiceMessage::all_in(&text), [UserLocked { name: format!("{}…", "n".repeat(LONGEST_VALUE)) }]);
    }
}

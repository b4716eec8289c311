//! What GitHub's ID-token service and nuget.org's token service say when they reject a request, as far as it is known
//! (NuGet gallery, August 2026). Parsed once, here; retries and explanations read the type.

use std::fmt;

use crate::http::error::HttpError;
use crate::sanitize::truncate;

/// A service gave nothing usable.
#[derive(Debug)]
pub(crate) struct ServiceError {
    pub(crate) http: HttpError,
    /// What the service said, as far as it is known.
    pub(crate) messages: Vec<ServiceMessage>,
}

impl ServiceError {
    /// The known message, if the service's text begins with it and has no other.
    pub(crate) fn only_message(&self) -> Option<&ServiceMessage> {
        match &self.messages[..] {
            [message] if ServiceMessage::begins(self.http.message().unwrap_or_default()) => Some(message),
            _ => None,
        }
    }
}

impl From<HttpError> for ServiceError {
    fn from(http: HttpError) -> ServiceError {
        ServiceError { messages: ServiceMessage::all_in(http.message().unwrap_or_default()), http }
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.http.fmt(formatter)
    }
}

/// Longest value that is kept, in characters.
const LONGEST_VALUE: usize = 200;

/// Number of places at which a message is tried to fit.
const MOST_BEGINNINGS: usize = 50;

/// Defines the enum, and [`KNOWN`]: each message's text, with `{}` for each of its values in their order.
macro_rules! messages {
    ($($name:ident $({ $($field:ident),* })? = $text:expr;)*) => {
        /// A known message, with what it contains.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum ServiceMessage {
            $($name $({ $($field: String),* })?,)*
        }

        /// Each message's text, with the names of its values in their places, and its name.
        #[cfg(test)]
        pub(crate) fn known_texts() -> Vec<(String, &'static str)> {
            vec![$({
                let names: &[&str] = &[$($(concat!("<", stringify!($field), ">")),*)?];
                (names.iter().fold($text.to_owned(), |text, name| text.replacen("{}", name, 1)), stringify!($name))
            }),*]
        }

        const KNOWN: &[Known] = &[$(($text, |_values| {
            let mut _values = _values.iter().map(|value| truncate((*value).to_owned(), LONGEST_VALUE));
            ServiceMessage::$name $({ $($field: _values.next().unwrap_or_default()),* })?
        }),)*];
    };
}

type Known = (&'static str, fn(&[&str]) -> ServiceMessage);

messages! {
    // GitHub
    JobNotRunning { state } = "Can't issue ID_TOKEN for job in '{}' state";
    // The trust policies of a user
    NoMatchingPolicy { user } = "No matching trust policy owned by user '{}' was found.";
    WorkflowMismatch { policy, expected, actual } = "Workflow mismatch for policy '{}': expected '{}', actual '{}'";
    EnvironmentMismatch { policy, expected, actual } = "Environment mismatch for policy '{}': expected '{}', actual '{}'";
    RefMismatch { policy, expected, actual } = "Ref mismatch for policy '{}': expected '{}', actual '{}'";
    RefNotABranch { git_ref, policy } = "Ref '{}' for policy '{}' must be a branch.";
    ForeignReusableWorkflow { job_workflow_ref, repository } =
        "Claim 'job_workflow_ref' has value '{}' which does not start with {}/.github/workflows/.";
    PolicyExpired { policy } =
        "The policy '{}' has expired. Sign in and renew the trust policy on the Trusted Publishing page.";
    EventNotAllowed { event } = "The GitHub Actions event '{}' is not allowed.";
    ClaimMissing { claim } = "The JSON Web Token is missing the required claim '{}'.";
    // Accounts
    OrganizationAsUser = "Generating fetching tokens directly for organizations is not supported.";
    UserDeleted { name } = "The user '{}' is deleted.";
    OrganizationDeleted { name } = "The organization '{}' is deleted.";
    UserLocked { name } = "The user '{}' is locked.";
    OrganizationLocked { name } = "The organization '{}' is locked.";
    UserEmailNotConfirmed { name } = "The user '{}' does not have a confirmed email address.";
    OrganizationEmailNotConfirmed { name } = "The organization '{}' does not have a confirmed email address.";
    PackageOwnerGone = "The package owner of the match trust policy not longer exists.";
    ScopesNotValid { owner } = "The scopes on the generated API key are not valid. Confirm that you still have permissions \
                                to operate on behalf of package owner '{}'.";
    // The ID token
    IssuerNotSupported = "The JSON web token iss claim is not supported.";
    TokenNotValidated = "The JSON web token could not be validated.";
    AudienceIncorrect = "The JSON web token has an incorrect audience.";
    SignatureInvalid = "The JSON web token has an invalid signature.";
    TokenExpired = "The JSON web token has expired.";
    TokenNotYetValid = "The JSON web token is not yet valid.";
    AudienceNotSingle = "The JSON web token must have exactly one aud claim value.";
    AudienceMissing = "The JSON web token must have an aud claim.";
    IssuerMissing = "The JSON web token must have an iss claim.";
    IssuerNotHttps = "The JSON web token iss claim must be a valid HTTPS URL.";
    JtiMissing = "The JSON web token must have a jti claim.";
    TokenUsed = "This bearer token has already been used.";
    TokenNotParsed = "The bearer token could not be parsed as a JSON web token.";
    // The request
    AuthorizationMissing = "The Authorization header is missing.";
    AuthorizationRepeated = "Only one Authorization header is allowed.";
    AuthorizationNotBearer = "The Authorization header value must start with 'Bearer '.";
    AuthorizationEmpty = "The bearer token is missing from the Authorization header.";
    OnlyBearer = "Only Bearer token authentication is accepted.";
    ContentType = "The request must have a Content-Type of 'application/json'.";
    UserAgentMissing = "A User-Agent header is required.";
    UsernameMissing = "The username property in the request body is required.";
    TokenTypeMissing = "The tokenType property in the request body is required and must set to 'ApiKey'.";
    NotAuthenticated = "The request could not be authenticated.";
}

impl ServiceMessage {
    /// Whether a known message is where `text` begins.
    fn begins(text: &str) -> bool {
        let text = Haystack::new(text);
        let begins =
            |pattern: &str| text.lower.starts_with(&first_literal(pattern)) && fit(pattern, &text, 0).is_some();
        KNOWN.iter().any(|(pattern, _)| begins(pattern))
    }

    /// The known messages in `text`, in their order: nuget.org joins those of several policies. What is not known is
    /// passed over.
    pub(crate) fn all_in(text: &str) -> Vec<ServiceMessage> {
        let text = &Haystack::new(text);
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

/// A text in which messages are looked for without regard to case, as ASCII has it.
struct Haystack<'a> {
    text: &'a str,
    /// Of the same length.
    lower: String,
}

impl Haystack<'_> {
    fn new(text: &str) -> Haystack<'_> {
        Haystack { text, lower: text.to_ascii_lowercase() }
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
fn find<'a>(pattern: &str, text: &Haystack<'a>, from: usize) -> Option<Match<'a>> {
    let beginning = first_literal(pattern);
    let mark = pattern.split("{}").next().unwrap_or_default().trim_end_matches(['\'', ' ']);
    let starts = text.lower.get(from..)?.match_indices(&*beginning).map(|(at, _)| from + at);
    let is_one = |found: &Match<'_>| !found.values.iter().any(|value| value.contains(mark));
    starts.take(MOST_BEGINNINGS).find_map(|start| fit(pattern, text, start).filter(is_one))
}

/// The literals of a pattern, to be found: in lower case, without the full stop, which a service can leave out.
fn literals(pattern: &str) -> impl Iterator<Item = String> {
    pattern.trim_end_matches('.').split("{}").map(str::to_ascii_lowercase)
}

fn first_literal(pattern: &str) -> String {
    literals(pattern).next().unwrap_or_default()
}

/// The match of `pattern` at `start`, where its first literal is.
fn fit<'a>(pattern: &str, text: &Haystack<'a>, start: usize) -> Option<Match<'a>> {
    let mut literals = literals(pattern);
    let mut end = start + literals.next()?.len();
    let mut values = Vec::new();
    for literal in literals {
        let length = text.lower[end..].find(&literal)?;
        values.push(&text.text[end..end + length]);
        end += length + literal.len();
    }
    Some(Match { start, end, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workflow(policy: &str, expected: &str, actual: &str) -> ServiceMessage {
        let [policy, expected, actual] = [policy, expected, actual].map(str::to_owned);
        ServiceMessage::WorkflowMismatch { policy, expected, actual }
    }

    #[test]
    fn every_known_message_is_found_and_is_itself() {
        for (pattern, make) in KNOWN {
            let values = vec!["x"; pattern.matches("{}").count()];
            assert_eq!(ServiceMessage::all_in(&pattern.replace("{}", "x")), [make(&values)], "{pattern}");
        }
    }

    /// Each is explained in a snapshot of what a user reads.
    #[test]
    fn every_known_message_is_in_a_snapshot() {
        let snapshots = crate::snapshots();
        for (text, _) in KNOWN {
            let is_in = |shown: &&String| text.split("{}").all(|literal| shown.contains(literal.trim()));
            assert!(snapshots.iter().any(|it| is_in(&it)), "no case in tests/cli/explanations.rs: {text}");
        }
    }

    #[test]
    fn case_and_the_full_stop_make_no_difference() {
        for text in [
            "no matching Trust policy owned by user 'Me' was found",
            "NO MATCHING TRUST POLICY OWNED BY USER 'Me' WAS FOUND.",
        ] {
            assert_eq!(ServiceMessage::all_in(text), [ServiceMessage::NoMatchingPolicy { user: "Me".to_owned() }]);
        }
    }

    #[test]
    fn several_messages_are_found_in_their_order() {
        let text = "Workflow mismatch for policy 'a': expected 'x', actual 'y'. No matching trust policy owned by user \
                    'me' was found. Workflow mismatch for policy 'it's': expected '', actual ''";
        let user = "me".to_owned();
        let expected = [workflow("a", "x", "y"), ServiceMessage::NoMatchingPolicy { user }, workflow("it's", "", "")];
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
        let name = format!("{}…", "n".repeat(LONGEST_VALUE));
        assert_eq!(ServiceMessage::all_in(&text), [ServiceMessage::UserLocked { name }]);
    }
}

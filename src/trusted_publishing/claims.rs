//! The claims of an ID token, for explaining: nothing here is verified, and nothing is granted for it.

use std::mem;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::sanitize::sanitize_line;
use crate::secret::{Redactor, Secret};

/// The claims of an ID token about its job.
#[derive(Debug, Default)]
pub(crate) struct Claims(Map<String, Value>);

impl Claims {
    /// The claims of a token, without what is masked; none if they cannot be read.
    pub(crate) fn of(id_token: &Secret, masked: &Redactor) -> Claims {
        let payload = id_token.reveal().split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let mut claims: Map<_, _> = payload.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
        redact_all(&mut claims, masked);
        Claims(claims)
    }

    /// A claim that is a text with something in it, made safe to show.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.0.get(name)?.as_str().map(sanitize_line).filter(|text| !text.is_empty())
    }

    /// The audiences that the token was issued for, as they are.
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match self.0.get("aud") {
            Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
            audience => Vec::from_iter(audience.and_then(Value::as_str)),
        }
    }

    /// Every claim, made safe to show. The token is a credential; its claims are not.
    pub(crate) fn all(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, value)| sanitize_line(&format!("{name} = {value}")))
    }

    /// The workflow file that a policy for this job has to name: `release.yml`. The one that defines the job counts,
    /// which for a reusable workflow is the called one; but one of another repository cannot be named.
    pub(crate) fn workflow(&self) -> Option<String> {
        let triggered = self.text("workflow_ref");
        let defining = self.text("job_workflow_ref").filter(|defining| {
            let repository = defining.split("/.github/workflows/").next().unwrap_or_default();
            self.text("repository").is_some_and(|ours| ours.eq_ignore_ascii_case(repository))
        });
        workflow_file(&defining.or(triggered)?)
    }

    /// The workflow that defines the job, where it is one of another repository.
    pub(crate) fn foreign_workflow(&self) -> Option<String> {
        let (defining, repository) = (self.text("job_workflow_ref")?, self.text("repository")?);
        let (of, _) = defining.split_once("/.github/workflows/")?;
        (!of.eq_ignore_ascii_case(&repository)).then_some(defining)
    }

    /// The workflow file that was triggered, where it is not the one that a policy has to name.
    pub(crate) fn caller(&self) -> Option<String> {
        workflow_file(&self.text("workflow_ref")?).filter(|caller| self.workflow().as_ref() != Some(caller))
    }
}

/// Redacts every name and value.
fn redact_all(claims: &mut Map<String, Value>, masked: &Redactor) {
    let redacted = mem::take(claims).into_iter().map(|(name, mut value)| {
        redact(&mut value, masked);
        (masked.redact(&name), value)
    });
    *claims = redacted.collect();
}

/// Redacts every text in a value.
fn redact(value: &mut Value, masked: &Redactor) {
    match value {
        Value::String(text) => *text = masked.redact(text),
        Value::Array(values) => values.iter_mut().for_each(|value| redact(value, masked)),
        Value::Object(values) => redact_all(values, masked),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The file's name in `owner/name/.github/workflows/file@ref`.
pub(crate) fn workflow_file(workflow_ref: &str) -> Option<String> {
    let (_, file) = workflow_ref.split_once("/.github/workflows/")?;
    file.split('@').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(value: &str) -> Secret {
        Secret::new(value.to_owned(), 1..=9_999).unwrap()
    }

    fn claims(payload: &str) -> Claims {
        let masked = Redactor::default();
        masked.add(&secret("masked##[before"));
        Claims::of(&secret(&format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(payload))), &masked)
    }

    #[test]
    fn a_called_workflow_defines_the_job_if_it_is_of_the_same_repository() {
        let called = |repository: &str| {
            let job = format!("{repository}/.github/workflows/publish.yml@refs/heads/main");
            claims(&format!(
                r#"{{"repository":"a/b","workflow_ref":"a/b/.github/workflows/ci.yml@x","job_workflow_ref":"{job}"}}"#
            ))
        };
        assert_eq!(called("A/b").workflow().as_deref(), Some("publish.yml"));
        assert_eq!(called("A/b").caller().as_deref(), Some("ci.yml"));
        assert_eq!(called("a/c").workflow().as_deref(), Some("ci.yml"));
        assert_eq!(called("a/c").caller(), None);
    }

    #[test]
    fn a_text_that_is_not_a_token_has_no_claims() {
        for token in ["x", "a.b.c", "a.!.c", "..", "e30.W10.x"] {
            assert_eq!(Claims::of(&secret(token), &Redactor::default()).all().count(), 0);
        }
        let odd = claims(r#"{"ref":7,"sub":"","iss":"a\n::error::b","workflow_ref":"nonsense"}"#);
        assert_eq!((odd.text("ref"), odd.text("sub"), odd.workflow(), odd.caller()), (None, None, None, None));
        assert_eq!(odd.text("iss").as_deref(), Some("a ::error::b"));
    }

    #[test]
    fn what_is_masked_is_in_no_claim() {
        let claims =
            claims(r#"{"aud":["a masked##[before b"],"z masked##[before":{"masked##[before":"masked##[before"}}"#);
        assert_eq!(claims.audiences(), ["a *** b"]);
        let all = Vec::from_iter(claims.all());
        assert_eq!(all, [r#"aud = ["a *** b"]"#, r#"z *** = {"***":"***"}"#]);
    }
}

//! The ID token that GitLab issued to the job: the only one, and it cannot be renewed.

use crate::environment::Environment;
use crate::sanitize::sanitize_line;
use crate::secret::{Redactor, Secret};
use crate::trusted_publishing::claims::Claims;
use crate::trusted_publishing::jwt::{TOKEN_LENGTH, is_json_web_token};

use super::error::IdTokenSourceError;

/// A job's ID token, in the variable that `id_tokens:` names (docs.gitlab.com, "ID token authentication").
#[derive(Debug)]
pub(crate) struct GitLab {
    variable: String,
    id_token: Secret,
}

impl GitLab {
    pub(crate) fn from_environment(
        variable: &str,
        environment: &Environment<'_>,
    ) -> Result<GitLab, IdTokenSourceError> {
        let shown = || sanitize_line(variable);
        let value = environment.text(variable)?.ok_or_else(|| IdTokenSourceError::NoIdToken(shown()))?;
        let invalid = |problem| IdTokenSourceError::InvalidSecret(shown(), problem);
        let id_token = Secret::new(value, TOKEN_LENGTH).map_err(invalid)?;
        if !is_json_web_token(id_token.reveal()) {
            return Err(IdTokenSourceError::NotAJsonWebToken(shown()));
        }
        Ok(GitLab { variable: variable.to_owned(), id_token })
    }

    /// Refuses a token that was issued for other audiences than `audience`: its receiver could redeem it there. The claim
    /// is not verified; a false one would gain nothing.
    pub(crate) fn checked(self, audience: &str) -> Result<GitLab, IdTokenSourceError> {
        let claims = Claims::of(&self.id_token, &Redactor::default());
        let audiences = claims.audiences();
        // nuget.org ignores a slash at the end.
        if let [issued_for] = audiences[..]
            && issued_for.trim_end_matches('/') == audience.trim_end_matches('/')
        {
            return Ok(self);
        }
        Err(IdTokenSourceError::Audience {
            variable: sanitize_line(&self.variable),
            found: audiences.into_iter().map(sanitize_line).collect(),
            wanted: sanitize_line(audience),
        })
    }

    pub(crate) fn id_token(&self) -> &Secret {
        &self.id_token
    }
}

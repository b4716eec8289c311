//! The ID token that GitLab gave to the job: the only one, and not to be renewed.

use crate::environment::Environment;
use crate::sanitize::sanitize_line;
use crate::secret::{Redactor, Secret};
use crate::trusted_publishing::claims::Claims;

use super::{IdTokenSourceError, TOKEN_LENGTH, is_json_web_token};

/// A job's ID token, in the variable that `id_tokens:` names (docs.gitlab.com, "ID token authentication").
#[derive(Debug)]
pub struct GitLab {
    variable: String,
    id_token: Secret,
}

impl GitLab {
    /// Takes the token.
    pub fn from_environment(variable: &str, environment: &Environment<'_>) -> Result<GitLab, IdTokenSourceError> {
        let shown = || sanitize_line(variable);
        let value = environment.text(variable)?.ok_or_else(|| IdTokenSourceError::IdTokenError(shown()))?;
        let is_json_web_token = is_json_web_token(&value);
        let id_token =
            Secret::new(value, TOKEN_LENGTH).map_err(|unfit| IdTokenSourceError::InvalidSecret(shown(), unfit))?;
        if !is_json_web_token {
            return Err(IdTokenSourceError::NoJsonWebToken(shown()));
        }
        Ok(GitLab { variable: variable.to_owned(), id_token })
    }

    /// Refuses a token that is made out to others than `audience`: whoever gets it could redeem it there. What it says of
    /// itself is enough for that, since a lie helps nobody.
    pub fn checked(self, audience: &str) -> Result<GitLab, IdTokenSourceError> {
        let claims = Claims::of(&self.id_token, &Redactor::default());
        let audiences = claims.audiences();
        if audiences == [audience] {
            return Ok(self);
        }
        let quoted = audiences.iter().map(|it| format!("'{}'", sanitize_line(it))).collect::<Vec<_>>().join(", ");
        Err(IdTokenSourceError::Audience {
            variable: sanitize_line(&self.variable),
            found: if quoted.is_empty() { "of nobody".to_owned() } else { quoted },
            wanted: format!("'{}'", sanitize_line(audience)),
        })
    }

    /// The token.
    pub fn id_token(&self) -> &Secret {
        &self.id_token
    }
}

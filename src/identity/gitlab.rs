//! The ID token that GitLab gave to the job: the only one, and not to be renewed.

use crate::claims::Claims;
use crate::environment::Environment;
use crate::outside::one_line;
use crate::secret::{Masked, Secret};

use super::{IdentityError, TOKEN_LENGTH, is_json_web_token};

/// A job's ID token, in the variable that `id_tokens:` names (docs.gitlab.com, "ID token authentication").
#[derive(Debug)]
pub struct GitLab {
    variable: String,
    id_token: Secret,
}

impl GitLab {
    /// Takes the token.
    pub fn from_environment(variable: &str, environment: &Environment<'_>) -> Result<GitLab, IdentityError> {
        let shown = || one_line(variable);
        let value = environment.text(variable)?.ok_or_else(|| IdentityError::NoIdToken(shown()))?;
        let is_json_web_token = is_json_web_token(&value);
        let id_token = Secret::new(value, TOKEN_LENGTH).map_err(|unfit| IdentityError::Unfit(shown(), unfit))?;
        if !is_json_web_token {
            return Err(IdentityError::NoJsonWebToken(shown()));
        }
        Ok(GitLab { variable: variable.to_owned(), id_token })
    }

    /// Refuses a token that is made out to others than `audience`: whoever gets it could redeem it there. What it says of
    /// itself is enough for that, since a lie helps nobody.
    pub fn checked(self, audience: &str) -> Result<GitLab, IdentityError> {
        let claims = Claims::of(&self.id_token, &Masked::default());
        let audiences = claims.audiences();
        if audiences == [audience] {
            return Ok(self);
        }
        let quoted = audiences.iter().map(|it| format!("'{}'", one_line(it))).collect::<Vec<_>>().join(", ");
        Err(IdentityError::Audience {
            variable: one_line(&self.variable),
            found: if quoted.is_empty() { "of nobody".to_owned() } else { quoted },
            wanted: format!("'{}'", one_line(audience)),
        })
    }

    /// The token.
    pub fn id_token(&self) -> &Secret {
        &self.id_token
    }
}

//! The issuers of ID tokens: each has a key, metadata, and signed JSON web tokens.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer, Verifier};
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use crate::config::{GitLabJob, Job};

/// The lifetime of GitHub's ID tokens.
const GITHUB_LIFETIME: Duration = Duration::minutes(5);

/// The lifetime of GitLab's ID tokens: the job's timeout (docs.gitlab.com, "ID token authentication").
const GITLAB_LIFETIME: Duration = Duration::hours(1);

/// An issuer of ID tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    /// GitHub, for jobs in GitHub Actions.
    GitHub,
    /// gitlab.com, for jobs in GitLab CI.
    GitLab,
}

impl Issuer {
    /// The issuer with that host.
    pub fn at(host: &str) -> Option<Issuer> {
        [Issuer::GitHub, Issuer::GitLab].into_iter().find(|it| it.url()["https://".len()..].eq_ignore_ascii_case(host))
    }

    /// The `iss` claim of its tokens.
    pub fn url(self) -> &'static str {
        match self {
            Issuer::GitHub => "https://token.actions.githubusercontent.com",
            Issuer::GitLab => "https://gitlab.com",
        }
    }

    /// The prefix of its routes in the sandbox, which has both issuers on one port.
    pub fn folder(self) -> &'static str {
        match self {
            Issuer::GitHub => "",
            Issuer::GitLab => "/gitlab",
        }
    }

    /// The key ID in the JWKS and in each token's header.
    fn key_id(self) -> &'static str {
        match self {
            Issuer::GitHub => "38826b17-6a30-5f9b-b169-8beb8202f723",
            Issuer::GitLab => "4i3sFE7sxqNPOT7FdvcGA1ZVGGI_r-tsDXnEuYT4ZqE",
        }
    }

    /// Created once for each process, because it takes a fraction of a second.
    fn private_key(self) -> &'static RsaPrivateKey {
        static GITHUB: OnceLock<RsaPrivateKey> = OnceLock::new();
        static GITLAB: OnceLock<RsaPrivateKey> = OnceLock::new();
        let key = match self {
            Issuer::GitHub => &GITHUB,
            Issuer::GitLab => &GITLAB,
        };
        key.get_or_init(|| RsaPrivateKey::new(&mut rand::thread_rng(), 2048).expect("2048 bits are a valid size"))
    }

    /// The OpenID Connect metadata of a sandbox at `base`.
    pub fn openid_configuration(self, base: &str) -> Value {
        json!({
            "issuer": self.url(),
            "jwks_uri": format!("{base}{}/.well-known/jwks", self.folder()),
            "subject_types_supported": ["public", "pairwise"],
            "response_types_supported": ["id_token"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid"],
        })
    }

    /// The public keys.
    pub fn jwks(self) -> Value {
        let key = self.private_key().to_public_key();
        let number = |number: &BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
        let (n, e) = (number(key.n()), number(key.e()));
        json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": self.key_id(), "n": n, "e": e }] })
    }

    /// A JSON web token with these claims, signed with RS256 and the key in [`Issuer::jwks`].
    pub fn sign(self, claims: &Map<String, Value>) -> String {
        let header = json!({ "typ": "JWT", "alg": "RS256", "kid": self.key_id() });
        let part = |json: String| URL_SAFE_NO_PAD.encode(json);
        let signed = format!("{}.{}", part(header.to_string()), part(Value::Object(claims.clone()).to_string()));
        let signature = SigningKey::<Sha256>::new(self.private_key().clone()).sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// The claims of GitHub's ID token for `job` and `audience`, issued at `now`.
pub fn github_claims(job: &Job, audience: &str, now: OffsetDateTime) -> Map<String, Value> {
    let workflow_ref = format!("{}/.github/workflows/{}@{}", job.repository, job.workflow, job.r#ref);
    let subject = match &job.environment {
        Some(environment) => format!("repo:{}:environment:{environment}", job.repository),
        None => format!("repo:{}:ref:{}", job.repository, job.r#ref),
    };
    let ref_type = if job.r#ref.starts_with("refs/tags/") { "tag" } else { "branch" };
    let now = now.unix_timestamp();
    let claims = json!({
        "jti": random_uuid(),
        "sub": subject,
        "aud": audience,
        "ref": job.r#ref,
        "sha": "5c3b8e1f0a4d2b7c9e6f1a0d3b5c8e7f2a4d6b9c",
        "repository": job.repository,
        "repository_owner": job.repository_owner(),
        "repository_owner_id": job.repository_owner_id,
        "run_id": "9128374650",
        "run_number": "42",
        "run_attempt": "1",
        "repository_visibility": job.repository_visibility,
        "repository_id": job.repository_id,
        "actor_id": "583231",
        "actor": job.actor,
        "workflow": job.workflow,
        "head_ref": "",
        "base_ref": "",
        "event_name": job.event_name,
        "ref_protected": "false",
        "ref_type": ref_type,
        "workflow_ref": workflow_ref,
        "job_workflow_ref": job.job_workflow_ref.as_ref().unwrap_or(&workflow_ref),
        "runner_environment": "github-hosted",
        "iss": job.issuer.as_deref().unwrap_or(Issuer::GitHub.url()),
        "nbf": now - 600,
        "exp": now + GITHUB_LIFETIME.whole_seconds(),
        "iat": now,
    });
    changed(claims, job.environment.as_ref(), &job.claims, &job.omit_claims)
}

/// The claims of GitLab's ID token for `job` and `audience`, issued at `now` (docs.gitlab.com, "ID token
/// authentication").
pub fn gitlab_claims(job: &GitLabJob, audience: &str, now: OffsetDateTime) -> Map<String, Value> {
    let GitLabJob { project_path, project_id, namespace_id, r#ref, ref_type, .. } = job;
    let refs = if ref_type == "tag" { "tags" } else { "heads" };
    let now = now.unix_timestamp();
    let claims = json!({
        "namespace_id": namespace_id,
        "namespace_path": job.namespace_path(),
        "project_id": project_id,
        "project_path": project_path,
        "user_id": "1189467",
        "user_login": "octocat",
        "user_email": "octocat@contoso.example",
        "user_access_level": "owner",
        "pipeline_id": "1302847561",
        "pipeline_source": "push",
        "job_id": "6574839201",
        "ref": r#ref,
        "ref_type": ref_type,
        "ref_path": format!("refs/{refs}/{}", r#ref),
        "ref_protected": "true",
        "runner_id": 12270807,
        "runner_environment": "gitlab-hosted",
        "sha": "5c3b8e1f0a4d2b7c9e6f1a0d3b5c8e7f2a4d6b9c",
        "project_visibility": job.project_visibility,
        "ci_config_ref_uri": format!("gitlab.com/{project_path}//.gitlab-ci.yml@refs/{refs}/{}", r#ref),
        "jti": random_uuid(),
        "iss": job.issuer.as_deref().unwrap_or(Issuer::GitLab.url()),
        "iat": now,
        "nbf": now - 5,
        "exp": now + GITLAB_LIFETIME.whole_seconds(),
        "sub": format!("project_path:{project_path}:ref_type:{ref_type}:ref:{}", r#ref),
        "aud": audience,
    });
    changed(claims, job.environment.as_ref(), &job.claims, &job.omit_claims)
}

/// `claims` with the changes in the config.
fn changed(
    claims: Value,
    environment: Option<&String>,
    more: &BTreeMap<String, Value>,
    less: &[String],
) -> Map<String, Value> {
    let Value::Object(mut claims) = claims else { unreachable!("the claims are an object") };
    claims.extend(environment.map(|it| ("environment".to_owned(), json!(it))));
    claims.extend(more.clone());
    claims.retain(|name, _| !less.contains(name));
    claims
}

/// Whether `token` is signed with RS256 and the key of `jwks` that its header names.
pub fn is_signed_by(token: &crate::jwt::Jwt, jwks: &Value) -> bool {
    let verified = || {
        let kid = token.header.get("kid")?;
        let key = jwks["keys"].as_array()?.iter().find(|key| key.get("kid") == Some(kid))?;
        let number = |name: &str| Some(BigUint::from_bytes_be(&URL_SAFE_NO_PAD.decode(key[name].as_str()?).ok()?));
        let key = RsaPublicKey::new(number("n")?, number("e")?).ok()?;
        let signature = Signature::try_from(token.signature.as_slice()).ok()?;
        VerifyingKey::<Sha256>::new(key).verify(token.signed.as_bytes(), &signature).ok()
    };
    token.header.get("alg").is_some_and(|alg| alg == "RS256") && verified().is_some()
}

fn random_uuid() -> String {
    let [a, b]: [u64; 2] = rand::random();
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        (b >> 48) & 0x3fff | 0x8000,
        b & 0xffff_ffff_ffff
    )
}

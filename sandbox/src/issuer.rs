//! GitHub's ID-token issuer: a key, its metadata and JSON web tokens signed with it.

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

use crate::config::Job;

/// The `iss` claim of github.com's tokens.
pub const GITHUB_ISSUER: &str = "https://token.actions.githubusercontent.com";

/// How long an ID token is valid.
const LIFETIME: Duration = Duration::minutes(5);

/// The key's name in the JWKS and in each token's header.
const KEY_ID: &str = "38826b17-6a30-5f9b-b169-8beb8202f723";

/// Made once a process: it takes a fraction of a second.
fn private_key() -> &'static RsaPrivateKey {
    static KEY: OnceLock<RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| RsaPrivateKey::new(&mut rand::thread_rng(), 2048).expect("2048 bits are a valid size"))
}

/// The OpenID Connect metadata of an issuer that is reached at `base`.
pub fn openid_configuration(base: &str) -> Value {
    json!({
        "issuer": GITHUB_ISSUER,
        "jwks_uri": format!("{base}/.well-known/jwks"),
        "subject_types_supported": ["public", "pairwise"],
        "response_types_supported": ["id_token"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid"],
    })
}

/// The public keys, as a relying party fetches them.
pub fn jwks() -> Value {
    let key = private_key().to_public_key();
    let number = |number: &BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    let (n, e) = (number(key.n()), number(key.e()));
    json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID, "n": n, "e": e }] })
}

/// The claims of an ID token for `job`, issued at `now` to `audience`.
pub fn claims(job: &Job, audience: &str, now: OffsetDateTime) -> Map<String, Value> {
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
        "repository_visibility": "public",
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
        "iss": job.issuer.as_deref().unwrap_or(GITHUB_ISSUER),
        "nbf": now - 600,
        "exp": now + LIFETIME.whole_seconds(),
        "iat": now,
    });
    let Value::Object(mut claims) = claims else { unreachable!("the literal is an object") };
    if let Some(environment) = &job.environment {
        claims.insert("environment".to_owned(), json!(environment));
    }
    claims.extend(job.claims.clone());
    claims.retain(|name, _| !job.omit_claims.contains(name));
    claims
}

/// A JSON web token with these claims, signed with RS256 by the key in [`jwks`].
pub fn sign(claims: &Map<String, Value>) -> String {
    let header = json!({ "typ": "JWT", "alg": "RS256", "kid": KEY_ID });
    let part = |json: String| URL_SAFE_NO_PAD.encode(json);
    let signed = format!("{}.{}", part(header.to_string()), part(Value::Object(claims.clone()).to_string()));
    let signature = SigningKey::<Sha256>::new(private_key().clone()).sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// Whether `token` was signed with RS256 by the key of `jwks` that its header names.
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

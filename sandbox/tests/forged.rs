//! Forged tokens: each is refused with the right message. The attacker knows all public information: the issuers' public
//! keys, a valid token's claims, and the policies.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rsa::RsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::EncodePublicKey;
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use sandbox::Sandbox;
use sandbox::jwt::Jwt;
use sandbox::wire::{exchange, send};
use serde_json::{Map, Value, json};

const AUDIENCE: &str = "https://www.nuget.org";
const SIGNATURE: &str = "The JSON web token has an invalid signature.";

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// The message for a token. No key is created.
#[track_caller]
fn refusal(sandbox: &Sandbox, token: &str) -> String {
    let before = sandbox.api_keys().len();
    let answer = exchange(sandbox.base_url(), token, "contoso-bot").unwrap();
    assert_eq!((answer.status, sandbox.api_keys().len()), (401, before), "{answer:?}");
    answer.json()["error"].as_str().unwrap().to_owned()
}

/// The claims and the key ID of a valid token.
fn valid(sandbox: &Sandbox) -> (Map<String, Value>, String) {
    let token = Jwt::parse(&sandbox.forge(AUDIENCE, |_| {})).unwrap();
    (token.claims, token.header["kid"].as_str().unwrap().to_owned())
}

fn public_key(sandbox: &Sandbox) -> rsa::RsaPublicKey {
    let jwks = send(sandbox.base_url(), "GET /.well-known/jwks", &[], b"").unwrap().json();
    let number = |name: &str| {
        let bytes = URL_SAFE_NO_PAD.decode(jwks["keys"][0][name].as_str().unwrap()).unwrap();
        rsa::BigUint::from_bytes_be(&bytes)
    };
    rsa::RsaPublicKey::new(number("n"), number("e")).unwrap()
}

#[test]
fn a_token_without_a_signature_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let (claims, kid) = valid(&sandbox);
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let signed = format!("{}.{}", part(&json!({ "alg": alg, "kid": kid })), part(&Value::Object(claims.clone())));
        assert_eq!(refusal(&sandbox, &format!("{signed}.")), SIGNATURE, "{alg}");
        assert_eq!(refusal(&sandbox, &format!("{signed}.AAAA")), SIGNATURE, "{alg}");
    }
    let signed = format!("{}.{}", part(&json!({ "kid": kid })), part(&Value::Object(claims)));
    assert_eq!(refusal(&sandbox, &format!("{signed}.")), SIGNATURE, "without alg");
}

#[test]
fn a_token_signed_with_the_public_key_as_a_shared_secret_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let (claims, kid) = valid(&sandbox);
    let key = public_key(&sandbox);
    let secrets = [
        key.to_public_key_pem(rsa::pkcs8::LineEnding::LF).unwrap().into_bytes(),
        key.to_public_key_der().unwrap().into_vec(),
        key.n().to_bytes_be(),
        Vec::new(),
    ];
    for secret in &secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS512] {
            let header = Header { kid: Some(kid.clone()), ..Header::new(algorithm) };
            let token = encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap();
            assert_eq!(refusal(&sandbox, &token), SIGNATURE);
        }
    }
}

#[test]
fn a_token_signed_with_another_key_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let (claims, kid) = valid(&sandbox);
    let theirs = RsaPrivateKey::new(&mut rand::thread_rng(), 2048).unwrap();
    let number = |number: &rsa::BigUint| URL_SAFE_NO_PAD.encode(number.to_bytes_be());
    let jwk = json!({ "kty": "RSA", "kid": "theirs", "n": number(theirs.n()), "e": number(theirs.e()) });
    for header in [
        json!({ "alg": "RS256", "kid": kid }),
        json!({ "alg": "RS256", "kid": "theirs" }),
        json!({ "alg": "RS256", "kid": "theirs", "jwk": jwk }),
        json!({ "alg": "RS256", "kid": kid, "jku": "https://evil.example/jwks" }),
        json!({ "alg": "RS256" }),
    ] {
        let signed = format!("{}.{}", part(&header), part(&Value::Object(claims.clone())));
        let signature = SigningKey::<Sha256>::new(theirs.clone()).sign(signed.as_bytes());
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()));
        assert_eq!(refusal(&sandbox, &token), SIGNATURE, "{header}");
    }
}

#[test]
fn a_valid_signature_of_other_claims_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let token = sandbox.forge(AUDIENCE, |_| {});
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut changed = Jwt::parse(&token).unwrap().claims;
    changed["jti"] = json!("another");
    assert_eq!(refusal(&sandbox, &format!("{header}.{}.{signature}", part(&Value::Object(changed)))), SIGNATURE);
    assert_eq!(refusal(&sandbox, &format!("{header}.{claims}.AAAA{}", &signature[4..])), SIGNATURE);
    assert_eq!(exchange(sandbox.base_url(), &token, "contoso-bot").unwrap().status, 200, "unchanged");
}

#[test]
fn a_token_of_another_issuer_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let refused = |issuer: &str| refusal(&sandbox, &sandbox.forge(AUDIENCE, |claims| claims["iss"] = json!(issuer)));
    assert_eq!(refused("https://evil.example"), "The JSON web token iss claim is not supported.");
    let look_alikes = ["https://token.actions.githubusercontent.com.evil.example", "https://evil.example/gitlab.com"];
    for issuer in look_alikes {
        assert_eq!(refused(issuer), "The JSON web token iss claim is not supported.");
    }
    assert_eq!(refused("https://gitlab.com"), SIGNATURE, "signed by GitHub");
    let token = sandbox.gitlab_id_token(AUDIENCE, |claims| {
        claims["iss"] = json!("https://token.actions.githubusercontent.com");
    });
    assert_eq!(refusal(&sandbox, &token), SIGNATURE, "signed by GitLab");
}

#[test]
fn a_token_for_another_audience_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let refused = |audience: Value| refusal(&sandbox, &sandbox.forge("", |claims| claims["aud"] = audience));
    for audience in ["https://vault.example", "https://www.nuget.org.evil.example", "HTTPS://WWW.NUGET.ORG"] {
        assert_eq!(refused(json!(audience)), "The JSON web token has an incorrect audience.");
    }
    let one = "The JSON web token must have exactly one aud claim value.";
    assert_eq!(refused(json!([AUDIENCE, "https://vault.example"])), one);
    assert_eq!(refused(json!([])), one);
}

#[test]
fn a_future_or_expired_token_is_refused() {
    let sandbox = Sandbox::with(|_| {});
    let refused = |nbf: i64, exp: i64| {
        let times = |claims: &mut Map<String, Value>| (claims["nbf"], claims["exp"]) = (json!(nbf), json!(exp));
        refusal(&sandbox, &sandbox.forge(AUDIENCE, times))
    };
    assert_eq!(refused(4_000_000_000, 4_000_000_300), "The JSON web token is not yet valid.");
    assert_eq!(refused(1_000_000_000, 1_000_000_300), "The JSON web token has expired.");
}

#[test]
fn a_used_token_is_refused_by_its_id() {
    let sandbox = Sandbox::with(|_| {});
    let used = "This bearer token has already been used. A new bearer token must be used for each request.";
    let token = sandbox.forge(AUDIENCE, |claims| claims["jti"] = json!("seen"));
    assert_eq!(exchange(sandbox.base_url(), &token, "contoso-bot").unwrap().status, 200);
    assert_eq!(refusal(&sandbox, &token), used);
    let other = sandbox.forge(AUDIENCE, |claims| {
        claims["jti"] = json!("seen");
        claims["run_id"] = json!("another run");
    });
    assert_eq!(refusal(&sandbox, &other), used, "the same ID in another token");
}

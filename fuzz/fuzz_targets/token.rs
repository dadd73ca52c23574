//! No text is a token that panics, and none is accepted that this key did not sign.
//!
//! An input whose first byte is odd is a token's text; of an even one, the rest is a header and claims,
//! parted by a NUL, which are signed so that what lies behind the signature is reached too.

#![no_main]

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use descope_magiclink::SessionToken;
use descope_magiclink::{Session, SessionValidator};
use libfuzzer_sys::fuzz_target;

const PROJECT: &str = "P2aAc4T2V93bddihGEx2Ryhc8e5Z";

static KEY: LazyLock<EcdsaKeyPair> =
    LazyLock::new(|| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap());

static VALIDATOR: LazyLock<SessionValidator> = LazyLock::new(|| {
    let (x, y) = KEY.public_key().as_ref()[1..].split_at(32);
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","alg":"ES256","kid":"k","x":"{}","y":"{}"}}"#,
        URL_SAFE_NO_PAD.encode(x),
        URL_SAFE_NO_PAD.encode(y)
    );
    SessionValidator::builder(PROJECT)
        .key_set(jwk)
        .token_cache_bytes(1 << 16)
        .build()
        .unwrap()
});

fn signed(header: &[u8], claims: &[u8]) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = KEY.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// Asks a session everything.
fn use_up(session: &Session) {
    assert!(!session.user_id().is_empty());
    let _ = (session.issued_at(), session.expires_at());
    let _ = (session.is_mfa(), session.custom_claims(), session.claims());
    assert_eq!(session.has_roles(["r"]), session.roles().any(|role| role == "r"));
    for tenant in session.tenants() {
        let tenant = session.tenant(tenant).unwrap();
        assert!(tenant.has_permissions(tenant.permissions()));
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else {
        return;
    };
    if kind % 2 == 1 {
        let text = String::from_utf8_lossy(data);
        assert!(VALIDATOR.validate_cached(&SessionToken::new(text)).is_err());
        return;
    }
    let at = data.iter().position(|byte| *byte == 0).unwrap_or(0);
    let (header, claims) = data.split_at(at);
    let header = match header {
        [] => br#"{"alg":"ES256","kid":"k"}"#,
        header => header,
    };
    let claims = claims.strip_prefix(&[0]).unwrap_or(claims);
    let token = SessionToken::new(signed(header, claims));
    for _ in 0..2 {
        if let Ok(session) = VALIDATOR.validate_cached(&token) {
            // Whatever else it is, what was accepted is JSON for everyone else too.
            assert!(serde_json::from_slice::<serde_json::Value>(claims).is_ok());
            use_up(&session);
        }
    }
});

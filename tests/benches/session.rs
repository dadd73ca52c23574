//! Session validation beside the bare signature check of aws-lc-rs, in one run.
//!
//! The bare check gets a parsed key and a decoded signature; what validation costs beside it is all
//! that this crate adds: splitting, base64url, JSON, claims.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a benchmark that cannot run may panic"
)]

use std::time::SystemTime;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use descope_magiclink::SessionToken;
use descope_magiclink::SessionValidator;
use divan::{Bencher, black_box};
use serde_json::json;
use signing::{Key, PROJECT, Pair, key_set, merged, session_claims, unb64};

#[expect(dead_code, reason = "shared with the tests")]
#[path = "../it/session/signing.rs"]
mod signing;

fn main() {
    divan::Divan::from_args().sample_count(2000).main();
}

/// A token as a user with a tenant, some roles and a custom claim has it.
fn token(key: &Key) -> String {
    #[expect(clippy::disallowed_methods, reason = "the token must be good now")]
    let now = SystemTime::now();
    key.sign(&merged(
        session_claims(now),
        json!({
            "dct": "T2aAc4T2V93bddihGEx2Ryhc8e5Z",
            "permissions": ["invoice:read", "invoice:write"],
            "roles": ["member"],
            "tenants": {"T2aAc4T2V93bddihGEx2Ryhc8e5Z": {"permissions": ["User Admin"], "roles": ["Tenant Admin"]}},
            "plan": "pro",
        }),
    ))
}

fn validator(key: &Key) -> SessionValidator {
    SessionValidator::builder(PROJECT)
        .key_set(key_set(&[key]))
        .build()
        .unwrap()
}

fn bare(bencher: Bencher<'_, '_>, key: &Key, public: &ParsedPublicKey) {
    let token = token(key);
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = unb64(signature);
    bencher.bench(|| {
        public
            .verify_sig(black_box(message.as_bytes()), black_box(&signature))
            .is_ok()
    });
}

fn ours(bencher: Bencher<'_, '_>, key: &Key) {
    let validator = validator(key);
    let token = SessionToken::new(token(key));
    bencher.bench(|| validator.validate_cached(black_box(&token)).unwrap());
}

#[divan::bench]
fn rs256_a_bare_verify(bencher: Bencher<'_, '_>) {
    let key = Key::rsa("k");
    let Pair::Rsa(pair) = &key.pair else { return };
    let public =
        ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()).unwrap();
    bare(bencher, &key, &public);
}

#[divan::bench]
fn rs256_b_validate(bencher: Bencher<'_, '_>) {
    ours(bencher, &Key::rsa("k"));
}

/// With the key parsed from the key set for each token.
#[divan::bench]
fn rs256_c_validate_with_cold_key(bencher: Bencher<'_, '_>) {
    let key = Key::rsa("k");
    let keys = key_set(&[&key]);
    let token = SessionToken::new(token(&key));
    bencher.bench(|| {
        SessionValidator::builder(PROJECT)
            .key_set(black_box(keys.as_str()))
            .build()
            .unwrap()
            .validate_cached(black_box(&token))
            .unwrap()
    });
}

#[divan::bench]
fn rs256_d_validate_remembered(bencher: Bencher<'_, '_>) {
    let key = Key::rsa("k");
    let validator = SessionValidator::builder(PROJECT)
        .key_set(key_set(&[&key]))
        .token_cache_bytes(1 << 20)
        .build()
        .unwrap();
    let token = SessionToken::new(token(&key));
    bencher.bench(|| validator.validate_cached(black_box(&token)).unwrap());
}

#[divan::bench]
fn es256_a_bare_verify(bencher: Bencher<'_, '_>) {
    let key = Key::p256("k");
    let Pair::Ec(pair, _) = &key.pair else { return };
    let public =
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).unwrap();
    bare(bencher, &key, &public);
}

#[divan::bench]
fn es256_b_validate(bencher: Bencher<'_, '_>) {
    ours(bencher, &Key::p256("k"));
}

/// The access checks of a typical handler.
#[divan::bench]
fn access_checks(bencher: Bencher<'_, '_>) {
    let key = Key::rsa("k");
    let session = validator(&key)
        .validate_cached(&SessionToken::new(token(&key)))
        .unwrap();
    bencher.bench(|| {
        let session = black_box(&session);
        session.has_permissions(["invoice:read"])
            && session
                .tenant("T2aAc4T2V93bddihGEx2Ryhc8e5Z")
                .is_ok_and(|tenant| tenant.has_roles(["Tenant Admin"]))
    });
}

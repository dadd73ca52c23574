//! The signatures of Wycheproof against this crate's verification. It is private, so its modules are compiled in here:
//! the vectors take long to compile, and nothing else in `src/` needs them.

#![allow(
    dead_code,
    unexpected_cfgs,
    unreachable_pub,
    unused_imports,
    clippy::all,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "modules of another crate, of which this uses a part"
)]

#[path = "../src/error/mod.rs"]
mod error;
#[path = "../src/jwt/mod.rs"]
mod jwt;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt::json::Document;
use jwt::jwk::{Algorithm, VerifyingKey};
use serde_json::json;
use wycheproof::{TestResult, ecdsa, rsa_pkcs1_verify};

fn key(jwk: &serde_json::Value) -> Option<VerifyingKey> {
    let document = Document::parse(jwk.to_string().as_bytes()).unwrap();
    VerifyingKey::from_jwk(document.root().as_object().unwrap())
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

fn rsa_vectors(name: rsa_pkcs1_verify::TestName) -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    let set = rsa_pkcs1_verify::TestSet::load(name).unwrap();
    for group in set.test_groups {
        let n = without_leading_zeros(&group.key.n);
        let key =
            key(&json!({"kty": "RSA", "alg": "RS256", "n": encode(n), "e": encode(&group.key.e)}));
        // Keys with a small exponent are none of ours; their signatures must still be judged well.
        let key = key.unwrap_or_else(|| {
            let e = without_leading_zeros(&group.key.e);
            let key = RsaPublicKeyComponents { n, e }
                .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
                .unwrap();
            VerifyingKey::new(Algorithm::Rs256, key)
        });
        for test in group.tests {
            let found = key.verifies(&test.msg, &test.sig);
            // "Acceptable" is a digest named without its NULL parameter. RFC 8017 wants one.
            let expected = test.result == TestResult::Valid;
            assert_eq!(found, expected, "{name:?} {}: {}", test.tc_id, test.comment);
            *if found { &mut accepted } else { &mut refused } += 1;
        }
    }
    (accepted, refused)
}

#[test]
fn rsa_signatures_of_wycheproof() {
    use rsa_pkcs1_verify::TestName;

    for name in [
        TestName::Rsa2048Sha256,
        TestName::Rsa3072Sha256,
        TestName::Rsa4096Sha256,
        TestName::Rsa8192Sha256,
    ] {
        let (accepted, refused) = rsa_vectors(name);
        assert!(
            accepted >= 5 && refused >= 100,
            "{name:?}: {accepted}, {refused}"
        );
    }
}

fn ec_vectors(name: ecdsa::TestName, curve: &str, len: usize) -> (usize, usize) {
    let (mut accepted, mut refused) = (0, 0);
    for group in ecdsa::TestSet::load(name).unwrap().test_groups {
        let point = &group.key.key;
        assert_eq!(point.len(), 1 + 2 * len);
        let (x, y) = point[1..].split_at(len);
        let key = key(&json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})).unwrap();
        for test in group.tests {
            let found = key.verifies(&test.msg, &test.sig);
            let expected = test.result == TestResult::Valid;
            assert_eq!(found, expected, "{name:?} {}: {}", test.tc_id, test.comment);
            *if found { &mut accepted } else { &mut refused } += 1;
        }
    }
    (accepted, refused)
}

#[test]
fn ecdsa_signatures_of_wycheproof() {
    use ecdsa::TestName;

    for (name, curve, len) in [
        (TestName::EcdsaSecp256r1Sha256P1363, "P-256", 32),
        (TestName::EcdsaSecp384r1Sha384P1363, "P-384", 48),
    ] {
        let (accepted, refused) = ec_vectors(name, curve, len);
        assert!(
            accepted >= 80 && refused >= 80,
            "{name:?}: {accepted}, {refused}"
        );
    }
}

#[test]
fn der_signatures_are_refused() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).unwrap();
    for group in set.test_groups {
        let (x, y) = group.key.key[1..].split_at(32);
        let key =
            key(&json!({"kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y)})).unwrap();
        for test in group.tests {
            assert!(!key.verifies(&test.msg, &test.sig), "{}", test.tc_id);
        }
    }
}

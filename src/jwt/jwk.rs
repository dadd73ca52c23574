//! Public keys: what a JSON Web Key must be like to be used, and the check of a signature.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{Document, Item, Object};
use crate::error::KeyProblem;

const MAX_KEY_ID: usize = 256;
/// A signature algorithm. There is no symmetric one and no "none", so neither can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Algorithm {
    Rs256,
    Es256,
    Es384,
}

impl Algorithm {
    /// By the exact, case-sensitive name of RFC 7518 section 3.1.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "ES384" => Some(Self::Es384),
            _ => None,
        }
    }
}

/// A public key, parsed and ready, for one algorithm only.
pub(crate) struct VerifyingKey {
    algorithm: Algorithm,
    key: ParsedPublicKey,
    /// Tells two keys apart whatever they are called.
    fingerprint: [u8; 32],
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VerifyingKey")
            .field(&self.algorithm)
            .finish()
    }
}

impl VerifyingKey {
    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && self.fingerprint == other.fingerprint
    }

    /// Whether the signature is one of this key over the message.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// Reads a JSON Web Key, or tells that it is none to be used: RFC 7517 section 4, RFC 7518
    /// section 6, RFC 8725 section 3.5.
    pub(crate) fn from_jwk(jwk: Object<'_>) -> Option<Self> {
        let text = |name| jwk.get(name).and_then(Item::as_str);
        let public_only = !["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
            .iter()
            .any(|name| jwk.get(name).is_some());
        if jwk.has_repeats() || !public_only || !is_for_signatures(jwk) {
            return None;
        }
        let algorithm = match (text("kty")?, text("crv")) {
            ("RSA", _) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("EC", Some("P-384")) => Algorithm::Es384,
            _ => return None,
        };
        // A key without `alg` fits one algorithm of ours only; one with it must say just that.
        if let Some(named) = jwk.get("alg")
            && named.as_str().and_then(Algorithm::from_name) != Some(algorithm)
        {
            return None;
        }
        match algorithm {
            Algorithm::Rs256 => Self::rsa(&decode(text("n")?)?, &decode(text("e")?)?),
            Algorithm::Es256 => Self::ec(algorithm, 32, &decode(text("x")?)?, &decode(text("y")?)?),
            Algorithm::Es384 => Self::ec(algorithm, 48, &decode(text("x")?)?, &decode(text("y")?)?),
        }
    }

    fn rsa(n: &[u8], e: &[u8]) -> Option<Self> {
        let (first, last) = (n.first()?, n.last()?);
        let bits = (n.len() * 8).checked_sub(first.leading_zeros() as usize)?;
        let minimal = *first != 0 && *e.first()? != 0;
        if !minimal || !(2048..=8192).contains(&bits) || last % 2 == 0 {
            return None;
        }
        // 65537 is what everyone uses; smaller exponents leave no margin for padding mistakes.
        let exponent = e
            .iter()
            .try_fold(0_u64, |sum, byte| {
                sum.checked_mul(256)?.checked_add(u64::from(*byte))
            })
            .filter(|exponent| (65_537..1 << 33).contains(exponent))?;
        if exponent % 2 == 0 || roca::is_suspect(n) {
            return None;
        }
        let key = RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .ok()?;
        Some(Self::new(Algorithm::Rs256, key))
    }

    fn ec(algorithm: Algorithm, len: usize, x: &[u8], y: &[u8]) -> Option<Self> {
        if x.len() != len || y.len() != len {
            return None;
        }
        let verification = match algorithm {
            Algorithm::Es384 => &ECDSA_P384_SHA384_FIXED,
            _ => &ECDSA_P256_SHA256_FIXED,
        };
        // Parsing refuses a point off the curve, and this form has no point at infinity.
        let point = [&[4], x, y].concat();
        let key = ParsedPublicKey::new(verification, point).ok()?;
        Some(Self::new(algorithm, key))
    }

    pub(crate) fn new(algorithm: Algorithm, key: ParsedPublicKey) -> Self {
        let mut digest = Context::new(&SHA256);
        digest.update(key.as_ref());
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.finish().as_ref());
        Self {
            algorithm,
            key,
            fingerprint,
        }
    }
}

fn is_for_signatures(jwk: Object<'_>) -> bool {
    let use_fits = jwk
        .get("use")
        .is_none_or(|value| value.as_str() == Some("sig"));
    let operations_fit = jwk.get("key_ops").is_none_or(|value| {
        value.as_array().is_some_and(|operations| {
            operations
                .filter(|operation| operation.as_str() == Some("verify"))
                .count()
                == 1
        })
    });
    use_fits && operations_fit
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The usable keys of a project, by name.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: HashMap<Box<str>, Arc<VerifyingKey>>,
}

impl KeySet {
    /// Reads `{"keys": [...]}`. Keys that cannot be used are skipped, so that one odd key does not
    /// take the others down; a name that occurs twice is not used at all, since the signature of one
    /// key must never be taken for that of another.
    pub(crate) fn from_json(text: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyProblem> {
        let document = Document::parse(text).map_err(|_| KeyProblem::InvalidJson)?;
        let keys = document
            .root()
            .as_object()
            .and_then(|root| root.get("keys"))
            .and_then(Item::as_array)
            .ok_or(KeyProblem::InvalidJson)?;
        Self::from_keys(keys, allowed)
    }

    /// Reads what a user may have at hand: a key set, or one key alone.
    pub(crate) fn from_user_json(text: &[u8], allowed: &[Algorithm]) -> Result<Self, KeyProblem> {
        let document = Document::parse(text).map_err(|_| KeyProblem::InvalidJson)?;
        let root = document.root().as_object().ok_or(KeyProblem::InvalidJson)?;
        match root.get("keys") {
            Some(keys) => Self::from_keys(keys.as_array().ok_or(KeyProblem::InvalidJson)?, allowed),
            None => Self::from_keys(std::iter::once(document.root()), allowed),
        }
    }

    fn from_keys<'d>(
        keys: impl Iterator<Item = Item<'d>>,
        allowed: &[Algorithm],
    ) -> Result<Self, KeyProblem> {
        let mut found: HashMap<Box<str>, Option<Arc<VerifyingKey>>> = HashMap::new();
        for jwk in keys.filter_map(Item::as_object) {
            let id = jwk.get("kid").and_then(Item::as_str);
            let Some(id) = id.filter(|id| is_key_id(id)) else {
                continue;
            };
            let key = VerifyingKey::from_jwk(jwk)
                .filter(|key| allowed.contains(&key.algorithm))
                .map(Arc::new);
            found
                .entry(id.into())
                .and_modify(|earlier| *earlier = None)
                .or_insert(key);
        }
        let keys: HashMap<_, _> = found
            .into_iter()
            .filter_map(|(id, key)| Some((id, key?)))
            .collect();
        if keys.is_empty() {
            return Err(KeyProblem::NoUsableKey);
        }
        Ok(Self { keys })
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Arc<VerifyingKey>> {
        self.keys.get(id)
    }
}

/// The mark that the ROCA flaw (CVE-2017-15361) leaves on RSA keys: modulo each of these primes the
/// modulus is a power of 65537. A sound key has the mark by chance once in a hundred million times.
mod roca {
    const PRIMES: [u32; 38] = [
        3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];

    pub(crate) fn is_suspect(modulus: &[u8]) -> bool {
        PRIMES.iter().all(|prime| {
            let rest = modulus
                .iter()
                .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
            let mut power = 1;
            (0..*prime).any(|_| {
                power = power * 65_537 % prime;
                power == rest
            })
        })
    }
}

/// Whether a text can be the name of a key: not empty, short, no control characters.
pub(crate) fn is_key_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_KEY_ID && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(jwk: &serde_json::Value) -> Option<VerifyingKey> {
        let document = Document::parse(jwk.to_string().as_bytes()).unwrap();
        VerifyingKey::from_jwk(document.root().as_object().unwrap())
    }

    #[test]
    fn the_examples_of_rfc_7515() {
        // Appendix A.2.
        let rsa = key(&json!({
            "kty": "RSA", "e": "AQAB",
            "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        }));
        let message = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        assert!(
            rsa.unwrap()
                .verifies(message.as_bytes(), &decode(signature).unwrap())
        );
        // Appendix A.3.
        let ec = key(&json!({
            "kty": "EC", "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        }));
        let message = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(
            ec.unwrap()
                .verifies(message.as_bytes(), &decode(signature).unwrap())
        );
    }

    #[test]
    fn sound_keys_have_no_roca_mark() {
        use aws_lc_rs::rsa::{KeyPair, KeySize};
        use aws_lc_rs::signature::KeyPair as _;

        // Modulo 11, only 1 and 10 are powers of 65537; this is 5, and its last byte alone would be 1.
        assert!(!roca::is_suspect(&[5, 1]));
        for _ in 0..3 {
            let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
            // The modulus begins after the fixed head of a key of this size.
            let der = pair.public_key().as_ref().to_vec();
            assert!(!roca::is_suspect(&der[9..9 + 256]));
        }
    }
}

//! Keys made at run time, and tokens of any shape signed with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Longer than any call takes on however busy a machine: for calls whose limit is not what is tested.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Tells a story with ever longer limits of real time, until it does not end with `None`: the machine was too slow.
pub(crate) async fn with_a_limit_that_fits(story: impl AsyncFn(Duration) -> Option<()>) {
    let mut limit = Duration::from_millis(100);
    while story(limit).await.is_none() {
        limit *= 2;
        assert!(limit < LONG, "no limit fits");
    }
}

pub(crate) const PROJECT: &str = "P2aAc4T2V93bddihGEx2Ryhc8e5Z";
pub(crate) const USER: &str = "U2aAc4T2V93bddihGEx2Ryhc8e5Z";

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn unb64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A private key with a name.
pub(crate) struct Key {
    pub(crate) kid: String,
    pub(crate) pair: Pair,
}

pub(crate) enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
}

impl Key {
    pub(crate) fn rsa(kid: &str) -> Self {
        Self::rsa_of_size(kid, KeySize::Rsa2048)
    }

    pub(crate) fn rsa_of_size(kid: &str, size: KeySize) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: Pair::Rsa(RsaKeyPair::generate(size).unwrap()),
        }
    }

    pub(crate) fn p256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self {
            kid: kid.to_owned(),
            pair: Pair::Ec(pair, "P-256"),
        }
    }

    pub(crate) fn p384(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        Self {
            kid: kid.to_owned(),
            pair: Pair::Ec(pair, "P-384"),
        }
    }

    pub(crate) fn alg(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_, "P-256") => "ES256",
            Pair::Ec(..) => "ES384",
        }
    }

    /// The public half as a JSON Web Key.
    pub(crate) fn jwk(&self) -> Value {
        let common = json!({"kid": self.kid, "alg": self.alg(), "use": "sig"});
        let own = match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = rsa_components(pair.public_key().as_ref());
                json!({"kty": "RSA", "n": b64(n), "e": b64(e)})
            }
            Pair::Ec(pair, curve) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point[1..].split_at((point.len() - 1) / 2);
                json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)})
            }
        };
        merged(common, own)
    }

    pub(crate) fn sign_bytes(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Pair::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
        }
    }

    pub(crate) fn header(&self) -> Value {
        json!({"alg": self.alg(), "kid": self.kid, "typ": "JWT"})
    }

    /// A token of these claims.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_with_header(&self.header(), claims)
    }

    pub(crate) fn sign_with_header(&self, header: &Value, claims: &Value) -> String {
        self.sign_texts(header.to_string(), claims.to_string())
    }

    /// A token of texts that need not be JSON.
    pub(crate) fn sign_texts(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        self.sign_parts(&b64(header), &b64(claims))
    }

    /// A token of parts that need not be base64url.
    pub(crate) fn sign_parts(&self, header: &str, claims: &str) -> String {
        let input = format!("{header}.{claims}");
        let signature = b64(self.sign_bytes(input.as_bytes()));
        format!("{input}.{signature}")
    }
}

/// A key set of these keys.
pub(crate) fn key_set(keys: &[&Key]) -> String {
    jwks(keys.iter().map(|key| key.jwk()).collect())
}

pub(crate) fn jwks(keys: Vec<Value>) -> String {
    json!({ "keys": keys }).to_string()
}

pub(crate) fn seconds(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// The claims of a session that is good at `now` for ten minutes.
pub(crate) fn session_claims(now: SystemTime) -> Value {
    let now = seconds(now);
    json!({
        "iss": PROJECT, "sub": USER, "drn": "DS", "iat": now, "exp": now + 600,
        "rexp": "2099-01-25T08:56:38Z", "amr": ["email"],
    })
}

/// The claims of a refresh token that is good at `now` for four weeks.
pub(crate) fn refresh_claims(now: SystemTime) -> Value {
    let now = seconds(now);
    json!({
        "iss": PROJECT, "sub": USER, "drn": "DSR", "iat": now, "exp": now + 2_419_200,
        "amr": ["email"],
    })
}

/// The members of both objects; those of the second win, and a `null` there removes.
pub(crate) fn merged(mut base: Value, change: Value) -> Value {
    let base_members = base.as_object_mut().unwrap();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            base_members.remove(name);
        } else {
            base_members.insert(name.clone(), value.clone());
        }
    }
    base
}

/// The modulus and the exponent of an RSA public key in DER (RFC 8017 A.1.1).
fn rsa_components(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    /// The content of the first element, and what follows it.
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (len, start) = match usize::from(der[1]) {
            short @ 0..0x80 => (short, 2),
            long => {
                let end = 2 + (long - 0x80);
                let len = der[2..end]
                    .iter()
                    .fold(0, |len, byte| len * 256 + usize::from(*byte));
                (len, end)
            }
        };
        der[start..].split_at(len)
    }
    let strip = |integer: &[u8]| integer.strip_prefix(&[0]).unwrap_or(integer).to_vec();
    let (sequence, _) = element(der);
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    (strip(n), strip(e))
}

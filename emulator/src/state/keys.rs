//! Signing keys and the tokens they sign.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::error::{ApiError, StartError};
use crate::random;
use crate::settings::SigningAlgorithm;

/// The service keeps a rotated key valid for this many rotations.
const KEPT_ROTATIONS: usize = 12;

/// A private key of one of the two kinds.
enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl Pair {
    fn generate(algorithm: SigningAlgorithm) -> Option<Arc<Self>> {
        match algorithm {
            SigningAlgorithm::Rs256 => RsaKeyPair::generate(KeySize::Rsa2048).ok().map(Self::Rsa),
            SigningAlgorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
                .ok()
                .map(Self::Ec),
        }
        .map(Arc::new)
    }

    fn from_pkcs8(algorithm: SigningAlgorithm, document: &[u8]) -> Result<Self, String> {
        match algorithm {
            SigningAlgorithm::Rs256 => {
                RsaKeyPair::from_pkcs8(document)
                    .map(Self::Rsa)
                    .map_err(|reason| {
                        format!(
                            "not an RSA private key of 2048 bits or more in PKCS#8 form ({reason})"
                        )
                    })
            }
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document)
                    .map(Self::Ec)
                    .map_err(|reason| format!("not a P-256 private key in PKCS#8 form ({reason})"))
            }
        }
    }

    fn to_pkcs8(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(pair) => {
                let document: Result<Pkcs8V1Der<'_>, _> = pair.as_der();
                document.ok().map(|document| document.as_ref().to_vec())
            }
            Self::Ec(pair) => pair
                .to_pkcs8v1()
                .ok()
                .map(|document| document.as_ref().to_vec()),
        }
    }

    fn algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::Rsa(_) => SigningAlgorithm::Rs256,
            Self::Ec(_) => SigningAlgorithm::Es256,
        }
    }

    fn public(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ec(pair) => pair.public_key().as_ref(),
        }
    }

    fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(pair) => {
                let public = pair.public_key();
                json!({
                    "alg": "RS256",
                    "e": URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
                    "kid": kid,
                    "kty": "RSA",
                    "n": URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
                    "use": "sig",
                })
            }
            Self::Ec(_) => {
                // The uncompressed point: a byte that says so, then 32 bytes of each coordinate.
                let point = self.public().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                json!({
                    "alg": "ES256",
                    "crv": "P-256",
                    "kid": kid,
                    "kty": "EC",
                    "use": "sig",
                    "x": URL_SAFE_NO_PAD.encode(x),
                    "y": URL_SAFE_NO_PAD.encode(y),
                })
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
            Self::Ec(pair) => Some(pair.sign(&random, message).ok()?.as_ref().to_vec()),
        }
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static dyn VerificationAlgorithm = match self {
            Self::Rsa(_) => &RSA_PKCS1_2048_8192_SHA256,
            Self::Ec(_) => &ECDSA_P256_SHA256_FIXED,
        };
        UnparsedPublicKey::new(algorithm, self.public())
            .verify(message, signature)
            .is_ok()
    }
}

/// A key pair that is there or being made; `None` inside when it could not be made.
type Slot = Arc<OnceLock<Option<Arc<Pair>>>>;

/// RSA pairs of this process, in order of first use: all emulators share the material, each under its own key ids.
static POOL: Mutex<Vec<Slot>> = Mutex::new(Vec::new());

/// The pair that signs forged tokens; no emulator publishes it.
static FORGER: OnceLock<Option<Arc<Pair>>> = OnceLock::new();

/// The RSA pair at an index of the pool. Making one takes about 0.1 s, so a thread begins with it at once, and whoever
/// needs it first waits for what is left.
fn pooled(index: usize) -> Slot {
    let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    while pool.len() <= index {
        let slot = Slot::default();
        let made = Arc::clone(&slot);
        pool.push(slot);
        // Without a thread the first user makes the pair, so a failure here costs only time.
        let _ = std::thread::Builder::new()
            .name("emulator-key".to_owned())
            .spawn(move || {
                made.get_or_init(|| Pair::generate(SigningAlgorithm::Rs256))
                    .is_some()
            });
    }
    pool.get(index).map(Arc::clone).unwrap_or_default()
}

/// One key pair under one key id.
#[derive(Clone)]
struct SigningKey {
    kid: String,
    algorithm: SigningAlgorithm,
    slot: Slot,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

/// A key as it is written to a file.
#[derive(Serialize, Deserialize)]
struct SavedKey {
    kid: String,
    algorithm: SigningAlgorithm,
    /// The PKCS#8 document, in base64url.
    pkcs8: String,
}

impl Serialize for SigningKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document = self.pair().ok().and_then(Pair::to_pkcs8);
        SavedKey {
            kid: self.kid.clone(),
            algorithm: self.algorithm,
            pkcs8: URL_SAFE_NO_PAD.encode(document.ok_or_else(|| {
                serde::ser::Error::custom(format!("the key {} cannot be written", self.kid))
            })?),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SigningKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let saved = SavedKey::deserialize(deserializer)?;
        let document = URL_SAFE_NO_PAD
            .decode(&saved.pkcs8)
            .map_err(|reason| D::Error::custom(format!("pkcs8: {reason}")))?;
        let pair = Pair::from_pkcs8(saved.algorithm, &document).map_err(D::Error::custom)?;
        Ok(Self {
            kid: saved.kid,
            ..Self::ready(pair)
        })
    }
}

impl SigningKey {
    fn from_pool(algorithm: SigningAlgorithm, index: usize) -> Result<Self, StartError> {
        let kid = random::id("SK")
            .map_err(|_| StartError::Key("the system gave no randomness".to_owned()))?;
        Ok(Self {
            kid,
            algorithm,
            slot: match algorithm {
                SigningAlgorithm::Rs256 => pooled(index),
                // Made in microseconds, by whoever needs it first.
                SigningAlgorithm::Es256 => Slot::default(),
            },
        })
    }

    /// A key that is there, under an id that follows from it, so that both survive a restart.
    fn ready(pair: Pair) -> Self {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pair.public());
        let text: String = URL_SAFE_NO_PAD
            .encode(digest)
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(27)
            .collect();
        Self {
            kid: format!("SK{text:0<27}"),
            algorithm: pair.algorithm(),
            slot: Arc::new(OnceLock::from(Some(Arc::new(pair)))),
        }
    }

    fn pair(&self) -> Result<&Pair, ApiError> {
        made(&self.slot, self.algorithm)
    }

    fn sign(&self, claims: &Map<String, Value>) -> Result<String, ApiError> {
        sign(self.pair()?, &self.kid, claims)
    }
}

fn made(
    slot: &OnceLock<Option<Arc<Pair>>>,
    algorithm: SigningAlgorithm,
) -> Result<&Pair, ApiError> {
    slot.get_or_init(|| Pair::generate(algorithm))
        .as_deref()
        .ok_or_else(|| ApiError::internal("The cryptographic library could not generate a key"))
}

/// Signs claims with a key pair under a key id.
fn sign(pair: &Pair, kid: &str, claims: &Map<String, Value>) -> Result<String, ApiError> {
    let header = json!({ "alg": pair.algorithm().as_str(), "kid": kid, "typ": "JWT" });
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    let payload =
        serde_json::to_string(claims).map_err(|reason| ApiError::internal(reason.to_string()))?;
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = pair
        .sign(token.as_bytes())
        .ok_or_else(|| ApiError::internal("The token could not be signed"))?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
    Ok(token)
}

/// The keys of one project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeyRing {
    /// Newest first; the first one signs.
    keys: Vec<SigningKey>,
    /// Of keys to come.
    algorithm: SigningAlgorithm,
    #[serde(skip)]
    next_in_pool: usize,
    hidden: BTreeSet<String>,
    served: Option<Value>,
}

impl KeyRing {
    pub(crate) fn new(
        algorithm: SigningAlgorithm,
        pkcs8: Option<&[u8]>,
    ) -> Result<Self, StartError> {
        let (key, next_in_pool) = match pkcs8 {
            Some(document) => {
                let pair = Pair::from_pkcs8(algorithm, document).map_err(|problem| {
                    StartError::Setting {
                        setting: "signing_key_pkcs8",
                        problem,
                    }
                })?;
                (SigningKey::ready(pair), 0)
            }
            None => (SigningKey::from_pool(algorithm, 0)?, 1),
        };
        Ok(Self {
            keys: vec![key],
            algorithm,
            next_in_pool,
            hidden: BTreeSet::new(),
            served: None,
        })
    }

    pub(crate) fn kids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.kid.clone()).collect()
    }

    pub(crate) fn sign(&self, claims: &Map<String, Value>) -> Result<String, ApiError> {
        self.current()?.sign(claims)
    }

    /// Signs with a key that no one publishes, under the id of the current one.
    pub(crate) fn forge(&self, claims: &Map<String, Value>) -> Result<String, ApiError> {
        let forger = made(&FORGER, SigningAlgorithm::Rs256)?;
        sign(forger, &self.current()?.kid, claims)
    }

    fn current(&self) -> Result<&SigningKey, ApiError> {
        self.keys.first().ok_or_else(|| {
            ApiError::internal("Every signing key was removed; rotate to get a new one")
        })
    }

    /// The claims of a token that one of our keys signed; says nothing about times.
    pub(crate) fn open(&self, token: &str) -> Option<Map<String, Value>> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, payload) = message.split_once('.')?;
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        let text = |name: &str| header.get(name).and_then(Value::as_str);
        let kid = text("kid")?;
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        if text("alg") != Some(key.algorithm.as_str()) || header.get("crit").is_some() {
            return None;
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        if !key.pair().ok()?.verifies(message.as_bytes(), &signature) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// What the keys operation responds with: the public keys, or what a test put in their place.
    pub(crate) fn published(&self) -> Result<Value, ApiError> {
        if let Some(served) = &self.served {
            return Ok(served.clone());
        }
        let shown = self
            .keys
            .iter()
            .filter(|key| !self.hidden.contains(&key.kid));
        let keys = shown
            .map(|key| Ok(key.pair()?.jwk(&key.kid)))
            .collect::<Result<Vec<_>, ApiError>>()?;
        Ok(json!({ "keys": keys }))
    }

    /// A new key signs; the old ones stay valid for twelve rotations. Gives the new key id.
    pub(crate) fn rotate(&mut self) -> Result<String, StartError> {
        let key = SigningKey::from_pool(self.algorithm, self.next_in_pool)?;
        let kid = key.kid.clone();
        self.next_in_pool += 1;
        self.keys.insert(0, key);
        self.keys.truncate(KEPT_ROTATIONS + 1);
        Ok(kid)
    }

    /// Forgets every key but the current one.
    pub(crate) fn keep_current_only(&mut self) {
        self.keys.truncate(1);
    }

    /// Forgets a key; tokens that it signed stop being valid. False when there is no such key.
    pub(crate) fn remove(&mut self, kid: &str) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| key.kid != kid);
        self.keys.len() < before
    }

    /// Keeps a key for signing but out of the published set.
    pub(crate) fn hide(&mut self, kid: &str) {
        self.hidden.insert(kid.to_owned());
    }

    /// Responds with this in place of the key set; `None` publishes the real one, hidden keys included.
    pub(crate) fn serve(&mut self, body: Option<Value>) {
        if body.is_none() {
            self.hidden.clear();
        }
        self.served = body;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(algorithm: SigningAlgorithm) -> Result<KeyRing, StartError> {
        KeyRing::new(algorithm, None)
    }

    fn claims() -> Map<String, Value> {
        json!({ "sub": "U1" }).as_object().cloned().unwrap()
    }

    #[test]
    fn opens_what_it_signed_and_nothing_else() {
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
            let mut keys = ring(algorithm).unwrap();
            let token = keys.sign(&claims()).unwrap();
            assert_eq!(keys.open(&token), Some(claims()));

            assert_eq!(keys.open(&keys.forge(&claims()).unwrap()), None);
            let stranger = ring(algorithm).unwrap();
            assert_eq!(stranger.open(&token), None, "another emulator's token");
            assert_eq!(keys.open(""), None);
            assert_eq!(keys.open("a.b.c"), None);

            keys.rotate().unwrap();
            assert_eq!(
                keys.open(&token),
                Some(claims()),
                "a rotated key stays valid"
            );
            let copy: KeyRing =
                serde_json::from_value(serde_json::to_value(&keys).unwrap()).unwrap();
            assert_eq!(copy.open(&token), Some(claims()), "and survives a file");
            assert_eq!(copy.kids(), keys.kids());
            keys.keep_current_only();
            assert_eq!(keys.open(&token), None, "a revoked key does not");
        }
    }

    #[test]
    fn a_key_given_as_pkcs8_keeps_its_id() {
        for algorithm in [SigningAlgorithm::Rs256, SigningAlgorithm::Es256] {
            let document = Pair::generate(algorithm).unwrap().to_pkcs8().unwrap();
            let one = KeyRing::new(algorithm, Some(&document)).unwrap();
            let other = KeyRing::new(algorithm, Some(&document)).unwrap();
            assert_eq!(one.kids(), other.kids());
            assert_eq!(one.kids().first().unwrap().len(), 29);
            assert!(other.open(&one.sign(&claims()).unwrap()).is_some());
            assert!(KeyRing::new(algorithm, Some(b"nonsense")).is_err());
        }
    }

    #[test]
    fn the_published_set_can_be_hidden_replaced_and_restored() {
        let mut keys = ring(SigningAlgorithm::Rs256).unwrap();
        let kid = keys.kids().remove(0);
        let count = |keys: &KeyRing| {
            keys.published().unwrap()["keys"]
                .as_array()
                .map_or(0, Vec::len)
        };
        assert_eq!(count(&keys), 1);
        keys.hide(&kid);
        assert_eq!(count(&keys), 0);
        keys.serve(Some(json!({ "keys": "broken" })));
        assert_eq!(keys.published().unwrap()["keys"], "broken");
        keys.serve(None);
        assert_eq!(count(&keys), 1);
        assert!(keys.remove(&kid));
        assert!(!keys.remove(&kid));
        assert!(keys.sign(&claims()).is_err());
    }
}

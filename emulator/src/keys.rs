//! Signing keys and the tokens they sign.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::{ApiError, StartError};
use crate::random;

/// The service keeps a rotated key valid for this many rotations.
const KEPT_ROTATIONS: usize = 12;

/// A key pair that is there or being made; `None` inside when it could not be made.
type Slot = Arc<OnceLock<Option<Arc<RsaKeyPair>>>>;

/// Key pairs of this process, in order of first use: all emulators share the material, each under its own key ids.
static POOL: Mutex<Vec<Slot>> = Mutex::new(Vec::new());

/// The pair that signs forged tokens; no emulator publishes it.
static FORGER: OnceLock<Option<Arc<RsaKeyPair>>> = OnceLock::new();

/// The pair at an index of the pool. Making one takes about 0.1 s, so a thread begins with it at once, and whoever
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
            .spawn(move || made.get_or_init(generate).is_some());
    }
    pool.get(index).map(Arc::clone).unwrap_or_default()
}

fn generate() -> Option<Arc<RsaKeyPair>> {
    RsaKeyPair::generate(KeySize::Rsa2048).ok().map(Arc::new)
}

fn ready(slot: &OnceLock<Option<Arc<RsaKeyPair>>>) -> Result<&RsaKeyPair, ApiError> {
    slot.get_or_init(generate).as_deref().ok_or_else(|| {
        ApiError::internal("The cryptographic library could not generate an RSA key")
    })
}

/// One key pair under one key id.
#[derive(Clone)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pair: Slot,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl SigningKey {
    fn from_pool(index: usize) -> Result<Self, StartError> {
        let kid = random::id("SK")
            .map_err(|_| StartError::Key("the system gave no randomness".to_owned()))?;
        Ok(Self {
            kid,
            pair: pooled(index),
        })
    }

    /// A key from a PKCS#8 document, so that tokens survive a restart.
    fn from_pkcs8(document: &[u8]) -> Result<Self, StartError> {
        let pair = RsaKeyPair::from_pkcs8(document).map_err(|reason| StartError::Setting {
            setting: "signing_key_pkcs8",
            problem: format!(
                "not an RSA private key of 2048 bits or more in PKCS#8 form ({reason})"
            ),
        })?;
        // The id follows from the key, so that it too survives a restart.
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, pair.public_key().as_ref());
        let text: String = URL_SAFE_NO_PAD
            .encode(digest)
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(27)
            .collect();
        Ok(Self {
            kid: format!("SK{text:0<27}"),
            pair: Arc::new(OnceLock::from(Some(Arc::new(pair)))),
        })
    }

    fn jwk(&self) -> Result<Value, ApiError> {
        let public = ready(&self.pair)?.public_key();
        Ok(json!({
            "alg": "RS256",
            "e": URL_SAFE_NO_PAD.encode(public.exponent().big_endian_without_leading_zero()),
            "kid": self.kid,
            "kty": "RSA",
            "n": URL_SAFE_NO_PAD.encode(public.modulus().big_endian_without_leading_zero()),
            "use": "sig",
        }))
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ready(&self.pair).is_ok_and(|pair| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
                .verify(message, signature)
                .is_ok()
        })
    }
}

/// Signs claims with a key pair under a key id.
fn sign(pair: &RsaKeyPair, kid: &str, claims: &Map<String, Value>) -> Result<String, ApiError> {
    let header = json!({ "alg": "RS256", "kid": kid, "typ": "JWT" });
    let mut token = URL_SAFE_NO_PAD.encode(header.to_string());
    token.push('.');
    let payload =
        serde_json::to_string(claims).map_err(|reason| ApiError::internal(reason.to_string()))?;
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        token.as_bytes(),
        &mut signature,
    )
    .map_err(|_| ApiError::internal("The token could not be signed"))?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&signature, &mut token);
    Ok(token)
}

/// The keys of one project.
#[derive(Debug, Clone)]
pub(crate) struct KeyRing {
    /// Newest first; the first one signs.
    keys: Vec<SigningKey>,
    next_in_pool: usize,
    hidden: BTreeSet<String>,
    served: Option<Value>,
}

impl KeyRing {
    pub(crate) fn new(pkcs8: Option<&[u8]>) -> Result<Self, StartError> {
        let (key, next_in_pool) = match pkcs8 {
            Some(document) => (SigningKey::from_pkcs8(document)?, 0),
            None => (SigningKey::from_pool(0)?, 1),
        };
        Ok(Self {
            keys: vec![key],
            next_in_pool,
            hidden: BTreeSet::new(),
            served: None,
        })
    }

    pub(crate) fn kids(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.kid.clone()).collect()
    }

    pub(crate) fn sign(&self, claims: &Map<String, Value>) -> Result<String, ApiError> {
        let key = self.current()?;
        sign(ready(&key.pair)?, &key.kid, claims)
    }

    /// Signs with a key that no one publishes, under the id of the current one.
    pub(crate) fn forge(&self, claims: &Map<String, Value>) -> Result<String, ApiError> {
        sign(ready(&FORGER)?, &self.current()?.kid, claims)
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
        if header.get("alg").and_then(Value::as_str) != Some("RS256")
            || header.get("crit").is_some()
        {
            return None;
        }
        let kid = header.get("kid").and_then(Value::as_str)?;
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        if !key.verifies(message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?) {
            return None;
        }
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
    }

    /// What the keys operation answers: the public keys, or what a test put in their place.
    pub(crate) fn published(&self) -> Result<Value, ApiError> {
        if let Some(served) = &self.served {
            return Ok(served.clone());
        }
        let shown = self
            .keys
            .iter()
            .filter(|key| !self.hidden.contains(&key.kid));
        let keys = shown.map(SigningKey::jwk).collect::<Result<Vec<_>, _>>()?;
        Ok(json!({ "keys": keys }))
    }

    /// A new key signs; the old ones stay valid for twelve rotations. Gives the new key id.
    pub(crate) fn rotate(&mut self) -> Result<String, StartError> {
        let key = SigningKey::from_pool(self.next_in_pool)?;
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

    /// Answers this in place of the key set; `None` publishes the real one, hidden keys included.
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

    fn claims() -> Map<String, Value> {
        json!({ "sub": "U1" }).as_object().cloned().unwrap()
    }

    #[test]
    fn opens_what_it_signed_and_nothing_else() {
        let mut ring = KeyRing::new(None).unwrap();
        let token = ring.sign(&claims()).unwrap();
        assert_eq!(ring.open(&token), Some(claims()));

        assert_eq!(ring.open(&ring.forge(&claims()).unwrap()), None);
        assert_eq!(
            KeyRing::new(None).unwrap().open(&token),
            None,
            "another emulator's token"
        );
        assert_eq!(ring.open(""), None);
        assert_eq!(ring.open("a.b.c"), None);

        ring.rotate().unwrap();
        assert_eq!(
            ring.open(&token),
            Some(claims()),
            "a rotated key stays valid"
        );
        ring.keep_current_only();
        assert_eq!(ring.open(&token), None, "a revoked key does not");
    }

    #[test]
    fn a_key_given_as_pkcs8_keeps_its_id() {
        use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
        let slot = pooled(0);
        let pair = ready(&slot).unwrap();
        let document: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let first = KeyRing::new(Some(document.as_ref())).unwrap();
        let second = KeyRing::new(Some(document.as_ref())).unwrap();
        assert_eq!(first.kids(), second.kids());
        assert_eq!(first.kids().first().unwrap().len(), 29);
        assert!(second.open(&first.sign(&claims()).unwrap()).is_some());
        assert!(KeyRing::new(Some(b"nonsense")).is_err());
    }

    #[test]
    fn the_published_set_can_be_hidden_replaced_and_restored() {
        let mut ring = KeyRing::new(None).unwrap();
        let kid = ring.kids().remove(0);
        let count = |ring: &KeyRing| {
            ring.published().unwrap()["keys"]
                .as_array()
                .map_or(0, Vec::len)
        };
        assert_eq!(count(&ring), 1);
        ring.hide(&kid);
        assert_eq!(count(&ring), 0);
        ring.serve(Some(json!({ "keys": "broken" })));
        assert_eq!(ring.published().unwrap()["keys"], "broken");
        ring.serve(None);
        assert_eq!(count(&ring), 1);
        assert!(ring.remove(&kid));
        assert!(!ring.remove(&kid));
        assert!(ring.sign(&claims()).is_err());
    }
}

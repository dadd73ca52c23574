//! Values that only who has the key can read or write: the server sees none.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use descope_magiclink::{ConfigError, Secret, StoreError};

/// Of the form below. A later one gets another number.
const FORM: u8 = 1;

/// Seals with one key, and opens with any.
pub(crate) struct Sealing {
    keys: Vec<LessSafeKey>,
}

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealing").finish_non_exhaustive()
    }
}

impl Sealing {
    pub(crate) fn new(key: &Secret, other: Option<&Secret>) -> Result<Self, ConfigError> {
        let mut keys = vec![parse("key", key)?];
        if let Some(other) = other {
            keys.push(parse("other_key", other)?);
        }
        Ok(Self { keys })
    }

    /// Seals a value that is to be read under this name alone.
    pub(crate) fn seal(&self, name: &[u8], mut value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let failed = |_| StoreError::new("the value could not be sealed");
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(failed)?;
        let key = self.keys.first().ok_or_else(|| StoreError::new("no key"))?;
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, Aad::from(name), &mut value)
            .map_err(failed)?;
        Ok([&[FORM][..], &nonce, &value].concat())
    }

    /// The value, if it was sealed with one of the keys and under this name.
    pub(crate) fn open(&self, name: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (form, rest) = sealed.split_first()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        self.keys.iter().filter(|_| *form == FORM).find_map(|key| {
            let mut value = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = key.open_in_place(nonce, Aad::from(name), &mut value);
            Some(opened.ok()?.to_vec())
        })
    }
}

fn parse(name: &'static str, key: &Secret) -> Result<LessSafeKey, ConfigError> {
    let problem = "must be 32 random bytes in base64: openssl rand -base64 32";
    STANDARD
        .decode(key.expose_secret().trim())
        .ok()
        .filter(|bytes| bytes.len() == AES_256_GCM.key_len())
        .and_then(|bytes| UnboundKey::new(&AES_256_GCM, &bytes).ok())
        .map(LessSafeKey::new)
        .ok_or(ConfigError::InvalidSetting { name, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Secret {
        Secret::new(STANDARD.encode([byte; 32]))
    }

    #[test]
    fn a_value_opens_under_its_name_and_key_alone() {
        let sealing = Sealing::new(&key(1), None).unwrap();
        let sealed = sealing.seal(b"name", b"value".to_vec()).unwrap();
        assert!(!sealed.windows(5).any(|part| part == b"value"));
        assert_eq!(sealing.open(b"name", &sealed).unwrap(), b"value");
        assert_eq!(sealing.open(b"other", &sealed), None);
        assert_ne!(sealing.seal(b"name", b"value".to_vec()).unwrap(), sealed);
        let other = Sealing::new(&key(2), None).unwrap();
        assert_eq!(other.open(b"name", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(sealing.open(b"name", &changed), None, "{at}");
            assert_eq!(sealing.open(b"name", &sealed[..at]), None, "{at}");
        }
    }

    #[test]
    fn a_key_is_changed_in_three_steps_and_no_value_is_lost() {
        let steps = [
            (key(1), None),
            (key(1), Some(key(2))),
            (key(2), Some(key(1))),
            (key(2), None),
        ];
        let steps = steps.map(|(key, other)| Sealing::new(&key, other.as_ref()).unwrap());
        // While a step is rolled out, processes of two steps are there.
        for pair in steps.windows(2) {
            for (from, to) in [(&pair[0], &pair[1]), (&pair[1], &pair[0])] {
                let sealed = from.seal(b"name", b"value".to_vec()).unwrap();
                assert_eq!(to.open(b"name", &sealed).unwrap(), b"value");
            }
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        for text in [
            "",
            "secret",
            &STANDARD.encode([1; 31]),
            &STANDARD.encode([1; 33]),
        ] {
            let error = Sealing::new(&Secret::new(text), None).unwrap_err();
            assert!(error.to_string().contains("openssl rand"), "{text}");
        }
    }
}

//! What ties a form, and if wanted a link, to one browser: a random value in a cookie that no page of
//! another host can set or read.

use std::time::Duration;

use aws_lc_rs::{digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::cookies::SameSite;
use crate::cookies::cookie_header::values;
use crate::cookies::set_cookie::SetCookie;

/// Length of a random value in bytes.
const LENGTH: usize = 32;

/// A cookie that holds a random value.
#[derive(Debug, Clone)]
pub(super) struct BindingCookie {
    name: String,
    secure: bool,
    max_age: Duration,
}

impl BindingCookie {
    /// Over plain http, which is for this machine only, browsers refuse the prefix.
    pub(super) fn new(name: &str, secure: bool, max_age: Duration) -> Self {
        Self {
            name: if secure {
                format!("__Host-{name}")
            } else {
                name.to_owned()
            },
            secure,
            max_age,
        }
    }

    /// The value that the browser has, if it can be one of ours.
    pub(super) fn read(&self, headers: &HeaderMap) -> Option<Binding> {
        let lines = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
        values(lines, &self.name).find_map(Binding::parse)
    }

    /// The `Set-Cookie` that stores a value.
    pub(super) fn store(&self, binding: &Binding) -> Option<HeaderValue> {
        let cookie = SetCookie {
            name: &self.name,
            value: &encode(&binding.0),
            // Not strict: the link in the mail is another site's, and the value must not change
            // under a form that is open in another tab.
            same_site: SameSite::Lax,
            secure: self.secure,
            path: "/",
            domain: None,
            max_age: Some(self.max_age.as_secs()),
        };
        cookie.line()
    }
}

/// A browser's random value.
#[derive(Clone)]
pub(super) struct Binding([u8; LENGTH]);

impl Binding {
    /// A new one; none should the system have no random numbers.
    pub(super) fn random() -> Option<Self> {
        let mut bytes = [0; LENGTH];
        rand::fill(&mut bytes).ok()?;
        Some(Self(bytes))
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// What may be shown of it: from this the value cannot be found.
    pub(super) fn fingerprint(&self) -> String {
        encode(digest::digest(&digest::SHA256, &self.0).as_ref())
    }

    /// Proof that a form with these fields was made for this browser.
    pub(super) fn sign(&self, fields: &[&str]) -> String {
        encode(hmac::sign(&self.key(), &message(fields)).as_ref())
    }

    /// Whether the proof is the one for these fields, in constant time.
    pub(super) fn is_signed(&self, fields: &[&str], proof: &str) -> bool {
        URL_SAFE_NO_PAD
            .decode(proof)
            .is_ok_and(|proof| hmac::verify(&self.key(), &message(fields), &proof).is_ok())
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

/// The fields, each with its length, so that no two lists give the same bytes.
fn message(fields: &[&str]) -> Vec<u8> {
    let mut message = Vec::new();
    for field in fields {
        message.extend_from_slice(&field.len().to_be_bytes());
        message.extend_from_slice(field.as_bytes());
    }
    message
}

/// A random text, for what must be unique; none should the system have no random numbers.
pub(super) fn random_text() -> Option<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).ok()?;
    Some(encode(&bytes))
}

pub(super) fn hash(text: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    for (to, from) in hash
        .iter_mut()
        .zip(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
    {
        *to = *from;
    }
    hash
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_holds_for_its_fields_and_its_browser_only() {
        let (one, other) = (Binding::random().unwrap(), Binding::random().unwrap());
        let proof = one.sign(&["id", "token", ""]);
        assert!(one.is_signed(&["id", "token", ""], &proof));
        assert!(!one.is_signed(&["id", "token", "/"], &proof));
        assert!(!one.is_signed(&["idt", "oken", ""], &proof));
        assert!(!other.is_signed(&["id", "token", ""], &proof));
        assert!(!one.is_signed(&["id", "token", ""], ""));
        assert!(!one.is_signed(&["id", "token", ""], "no base64!"));
    }

    #[test]
    fn a_cookie_that_was_stored_is_read_and_nothing_else_is() {
        let cookie = BindingCookie::new("form", true, Duration::from_secs(3600));
        let binding = Binding::random().unwrap();
        let stored = cookie.store(&binding).unwrap();
        let stored = stored.to_str().unwrap();
        assert!(stored.starts_with("__Host-form="), "{stored}");
        for part in ["; Secure", "; HttpOnly", "; Path=/", "; SameSite=Lax"] {
            assert!(stored.contains(part), "{stored}");
        }
        let read = |line: &str| {
            let mut headers = HeaderMap::new();
            let line = [b"city=Z\xfcrich; other=\xff; ", line.as_bytes()].concat();
            headers.insert(COOKIE, HeaderValue::from_bytes(&line).unwrap());
            cookie.read(&headers).map(|binding| binding.fingerprint())
        };
        let pair = stored.split(';').next().unwrap();
        assert_eq!(read(&format!("a=b; {pair}")), Some(binding.fingerprint()));
        assert_eq!(
            read(&format!("__Host-form=short; {pair}")),
            Some(binding.fingerprint())
        );
        assert_eq!(read("form=abc; __Host-form=short"), None);
    }
}

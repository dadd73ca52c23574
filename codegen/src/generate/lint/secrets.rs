//! What looks like a secret must not be printed.

use serde_json::{Map, Value};

/// String formats that the generator turns into redacting types.
const SECRET_FORMATS: [&str; 4] = ["session-jwt", "refresh-jwt", "magic-link-token", "password"];

/// Parts of a property's name, in whatever case, that make it look like a secret.
const SECRET_WORDS: [&str; 21] = [
    "assertion",
    "bearer",
    "code",
    "cookie",
    "credential",
    "jwt",
    "key",
    "link",
    "nonce",
    "otp",
    "passcode",
    "passphrase",
    "password",
    "passwd",
    "pin",
    "secret",
    "seed",
    "signature",
    "ticket",
    "token",
    "verifier",
];

/// Properties that look like secrets and are none, each with the reason.
const NO_SECRETS: [(&str, &str); 12] = [
    ("cookieDomain", "an attribute of a cookie, not its value"),
    (
        "cookieExpiration",
        "an attribute of a cookie, not its value",
    ),
    ("cookieMaxAge", "an attribute of a cookie, not its value"),
    ("cookieName", "the name of a cookie, not its value"),
    ("cookiePath", "an attribute of a cookie, not its value"),
    ("errorCode", "names a kind of failure"),
    (
        "hashedPassword",
        "an object; its members are judged by themselves",
    ),
    ("keyId", "names an access key, is not one"),
    ("key_ops", "what a public key is for"),
    ("keys", "public keys"),
    (
        "sessionCookieDomain",
        "an attribute of a cookie, not its value",
    ),
    ("sessionCookieName", "the name of a cookie, not its value"),
];

/// What is wrong with a property that looks like a secret and would be printed.
pub(super) fn secret(name: &str, members: &Map<String, Value>) -> Option<String> {
    let excused = NO_SECRETS.iter().any(|(known, _)| *known == name);
    (looks_secret(name) && !excused && !prints_nothing(members)).then(|| {
        format!(
            "`{name}` looks like a secret; make it text with `format: {}`, or list it in NO_SECRETS of \
             codegen/src/generate/lint/secrets.rs with a reason",
            SECRET_FORMATS.join("`, `format: ")
        )
    })
}

fn is_secret(members: &Map<String, Value>) -> bool {
    let format = members.get("format").and_then(Value::as_str);
    format.is_some_and(|format| SECRET_FORMATS.contains(&format))
}

pub(crate) fn looks_secret(name: &str) -> bool {
    let lower = name.to_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word))
}

/// Whether no value of a schema shows when it is printed: redacted text, a flag, a free-form object
/// (which prints the names of its members), and lists and maps of these.
pub(super) fn prints_nothing(members: &Map<String, Value>) -> bool {
    let each = |keyword| members.get(keyword).and_then(Value::as_object);
    match members.get("type").and_then(Value::as_str) {
        Some("string") => is_secret(members),
        Some("boolean") => true,
        Some("array") => each("items").is_some_and(prints_nothing),
        Some("object") => match each("additionalProperties") {
            Some(values) if !values.is_empty() => prints_nothing(values),
            _ => !members.contains_key("properties"),
        },
        _ => false,
    }
}

//! What the programs here have in common.

use serde::Deserialize;

pub const PROJECT: &str = "P2aAc4T2V93bddihGEx2Ryhc8e5Z";
pub const KEYS_PATH: &str = "/v2/keys/P2aAc4T2V93bddihGEx2Ryhc8e5Z";
pub const KEY_ID: &str = "SK2aAc4T2V93bddihGEx2Ryhc8e5Z";

/// A key as the service publishes it.
#[derive(Deserialize)]
pub struct Jwk {
    pub kid: String,
    #[serde(default)]
    pub n: String,
    #[serde(default)]
    pub e: String,
    #[serde(default)]
    pub x: String,
    #[serde(default)]
    pub y: String,
}

#[derive(Deserialize)]
pub struct Jwks {
    pub keys: Vec<Jwk>,
}

/// The claims that an application without this crate would read.
#[derive(Deserialize)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub exp: i64,
    #[serde(default)]
    pub permissions: Vec<String>,
    #[serde(default)]
    pub roles: Vec<String>,
    #[serde(default)]
    pub tenants: std::collections::BTreeMap<String, Tenant>,
}

#[derive(Deserialize)]
pub struct Tenant {
    #[serde(default)]
    pub permissions: Vec<String>,
    #[serde(default)]
    pub roles: Vec<String>,
}

pub fn unb64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(text)
        .expect("base64url")
}

/// A runtime of the caller's own, as small as can be.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

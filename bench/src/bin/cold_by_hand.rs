//! The same with reqwest, serde_json and aws-lc-rs alone: `cold_by_hand URL TOKEN`.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use descope_magiclink_bench::{Claims, Jwks, KEYS_PATH, runtime, unb64};

fn main() {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("a URL") + KEYS_PATH;
    let token = args.next().expect("a token");
    let keys: Jwks = runtime().block_on(async {
        let http = reqwest::Client::builder().build().expect("a client");
        let response = http.get(url).send().await.expect("a response");
        response.json().await.expect("a key set")
    });
    let (message, signature) = token.rsplit_once('.').expect("a token");
    let (header, claims) = message.split_once('.').expect("a token");
    let header: serde_json::Value = serde_json::from_slice(&unb64(header)).expect("a header");
    let is_named = |key: &&descope_magiclink_bench::Jwk| header["kid"] == key.kid.as_str();
    let key = keys.keys.iter().find(is_named).expect("the key");
    let key = RsaPublicKeyComponents {
        n: unb64(&key.n),
        e: unb64(&key.e),
    };
    key.verify(
        &RSA_PKCS1_2048_8192_SHA256,
        message.as_bytes(),
        &unb64(signature),
    )
    .expect("a good signature");
    let claims: Claims = serde_json::from_slice(&unb64(claims)).expect("claims");
    assert!(!claims.sub.is_empty());
}

//! Does work in slices, so that programs can be measured in turn: for each line of standard input, a number, it does
//! the work so many times and writes an empty line. Whoever drives it reads the CPU time of the process.
//!
//! `work validate HOW KEYS TOKEN` (files), HOW one of `bare`, `crate`, `remembered`, `jsonwebtoken`, `oxitoken`;
//! `work call HOW URL IN_FLIGHT`, HOW one of `reqwest`, `crate`.

use std::fs::read_to_string;
use std::hint::black_box;
use std::io::Write as _;
use std::time::Duration;

use aws_lc_rs::signature::RsaPublicKeyComponents;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use descope_magiclink::{Client, DeliveryMethod, SessionToken, SessionValidator};
use descope_magiclink_bench::{Claims, Jwk, Jwks, PROJECT, runtime, unb64};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use oxitoken::error::JwtError;
use oxitoken::validation::keystore::LocalKeystore;
use oxitoken::validation::{ValidationPipeline, VerificationKey};
use serde::{Deserialize, Serialize};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match *args.as_slice() {
        ["validate", how, keys, token] => {
            let keys = read_to_string(keys).expect("keys");
            validate(how, &keys, &read_to_string(token).expect("a token"));
        }
        ["call", how, url, in_flight] => call(how, url, in_flight.parse().expect("a number")),
        _ => panic!("see the first lines of work.rs"),
    }
}

fn in_slices(mut work: impl FnMut()) {
    for line in std::io::stdin().lines() {
        let times = line.expect("a line").parse().expect("a number");
        for _ in 0_usize..times {
            work();
        }
        let mut out = std::io::stdout();
        out.write_all(b"\n")
            .and_then(|()| out.flush())
            .expect("standard output");
    }
}

/// The token's key, by `kid`, and whether it is an RSA key.
fn key_of(keys: &str, token: &str) -> (Jwk, bool) {
    let keys: Jwks = serde_json::from_str(keys).expect("keys");
    let header = jsonwebtoken::decode_header(token).expect("a header");
    let is_named = |key: &Jwk| Some(&key.kid) == header.kid.as_ref();
    let key = keys.keys.into_iter().find(is_named).expect("the key");
    let is_rsa = !key.n.is_empty();
    (key, is_rsa)
}

fn parsed(key: &Jwk, is_rsa: bool) -> ParsedPublicKey {
    if is_rsa {
        let parts = RsaPublicKeyComponents {
            n: unb64(&key.n),
            e: unb64(&key.e),
        };
        return parts
            .to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256)
            .expect("a key");
    }
    let point = [&[4], &*unb64(&key.x), &*unb64(&key.y)].concat();
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).expect("a key")
}

#[derive(Deserialize)]
struct Header {
    alg: oxitoken::Algorithm,
    kid: String,
}

impl oxitoken::header::Alg for Header {
    fn alg(&self) -> oxitoken::Algorithm {
        self.alg
    }
}

impl oxitoken::header::Kid for Header {
    fn kid(&self) -> &str {
        &self.kid
    }
}

/// The backend that it has for aws-lc-rs does not compile with the version that is used here.
struct Backend {
    algorithm: oxitoken::Algorithm,
    key: ParsedPublicKey,
}

impl VerificationKey for Backend {
    fn alg(&self) -> Option<oxitoken::Algorithm> {
        Some(self.algorithm)
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JwtError> {
        let verified = self.key.verify_sig(message, signature);
        verified.map_err(|_| JwtError::InvalidSignature)
    }
}

/// For the traits of another crate.
#[derive(Deserialize)]
#[serde(transparent)]
struct Own(Claims);

impl oxitoken::claims::Iss for Own {
    fn iss(&self) -> &str {
        &self.0.iss
    }
}

impl oxitoken::claims::Exp for Own {
    fn exp(&self) -> i64 {
        self.0.exp
    }
}

fn validate(how: &str, keys: &str, token: &str) {
    let (key, is_rsa) = key_of(keys, token);
    match how {
        "bare" => {
            let key = parsed(&key, is_rsa);
            let (message, signature) = token.rsplit_once('.').expect("a token");
            let signature = unb64(signature);
            in_slices(|| {
                key.verify_sig(black_box(message.as_bytes()), black_box(&signature))
                    .expect("a good signature");
            });
        }
        "crate" | "remembered" => {
            let bytes = if how == "crate" { 0 } else { 1 << 20 };
            let validator = SessionValidator::builder(PROJECT).token_cache_bytes(bytes);
            let validator = validator.key_set(keys).build().expect("a validator");
            let token = SessionToken::new(token);
            in_slices(|| {
                drop(
                    validator
                        .validate_cached(black_box(&token))
                        .expect("a session"),
                )
            });
        }
        "jsonwebtoken" => {
            let (algorithm, key) = if is_rsa {
                (
                    Algorithm::RS256,
                    DecodingKey::from_rsa_components(&key.n, &key.e),
                )
            } else {
                (
                    Algorithm::ES256,
                    DecodingKey::from_ec_components(&key.x, &key.y),
                )
            };
            let key = key.expect("a key");
            let mut validation = Validation::new(algorithm);
            validation.set_issuer(&[PROJECT]);
            in_slices(|| {
                let claims = jsonwebtoken::decode::<Claims>(black_box(token), &key, &validation);
                drop(claims.expect("claims"));
            });
        }
        "oxitoken" => {
            let algorithm = if is_rsa {
                oxitoken::Algorithm::RS256
            } else {
                oxitoken::Algorithm::ES256
            };
            let parsed = parsed(&key, is_rsa);
            let mut keys = LocalKeystore::empty();
            keys.add_key(
                key.kid,
                Backend {
                    algorithm,
                    key: parsed,
                },
            );
            let pipeline = ValidationPipeline::<Header, Own, _>::builder(keys)
                .with_issuer_validator(PROJECT)
                .with_expiration_validator()
                .build();
            in_slices(|| {
                drop(
                    pipeline
                        .verify(black_box(token.as_bytes()))
                        .expect("claims"),
                );
            });
        }
        _ => panic!("validate by what?"),
    }
}

fn call(how: &str, url: &str, in_flight: usize) {
    let runtime = runtime();
    match how {
        "reqwest" => {
            let http = reqwest::Client::builder()
                .no_proxy()
                .build()
                .expect("a client");
            in_slices(|| {
                let calls = (0..in_flight).map(|_| {
                    let (http, url) = (http.clone(), url.to_owned());
                    async move { sign_in_by_hand(&http, &url).await }
                });
                runtime.block_on(all(calls));
            });
        }
        "crate" => {
            let client = Client::builder(PROJECT)
                .base_url(url)
                .build()
                .expect("a client");
            in_slices(|| {
                let calls = (0..in_flight).map(|_| {
                    let client = client.clone();
                    async move {
                        let sent = client
                            .magic_link()
                            .sign_in(DeliveryMethod::Email, "joe@example.com")
                            .redirect_url("https://app.example.com/verify")
                            .send()
                            .await
                            .expect("a response");
                        assert!(!sent.masked_address().to_string().is_empty());
                    }
                });
                runtime.block_on(all(calls));
            });
        }
        _ => panic!("call by what?"),
    }
}

/// Spawns calls on the runtime that polls this, and waits for them.
async fn all(calls: impl Iterator<Item = impl Future<Output = ()> + Send + 'static>) {
    calls.collect::<tokio::task::JoinSet<_>>().join_all().await;
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SignIn<'a> {
    login_id: &'a str,
    redirect_url: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedIn {
    masked_email: String,
}

/// The bytes of a sign-in as the crate sends them, written by hand.
async fn sign_in_by_hand(http: &reqwest::Client, url: &str) {
    let body = SignIn {
        login_id: "joe@example.com",
        redirect_url: "https://app.example.com/verify",
    };
    let response: SignedIn = http
        .post(format!("{url}/v1/auth/magiclink/signin/email"))
        .bearer_auth(PROJECT)
        .header("accept", "application/json")
        .header("x-descope-project-id", PROJECT)
        .header("x-descope-sdk-name", "rust")
        .header("x-descope-sdk-version", "0.1.0")
        .header("user-agent", "descope-magiclink/0.1.0")
        .timeout(Duration::from_secs(30))
        .json(&body)
        .send()
        .await
        .expect("a response")
        .json()
        .await
        .expect("the response");
    assert!(!response.masked_email.is_empty());
}

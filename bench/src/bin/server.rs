//! The service's part: makes keys, and tokens that are good for a day, in a folder, and serves the keys and
//! one response to every sign-in over http and https: `server FOLDER`. Ends with its standard input.

use std::fs::write;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use descope_magiclink_bench::{KEY_ID, PROJECT, runtime};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn main() {
    let folder = std::env::args().nth(1).expect("a folder");
    let folder = Path::new(&folder);
    let keys = tokens(folder);
    write(folder.join("keys.json"), &keys).expect("the folder");
    let certificate =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    write(folder.join("ca.pem"), certificate.cert.pem()).expect("the folder");
    let key = PrivateKeyDer::try_from(certificate.signing_key.serialize_der()).expect("a key");
    let tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .expect("a configuration");
    let tls = TlsAcceptor::from(Arc::new(tls));
    std::thread::spawn(|| {
        let end = std::io::stdin().lines().count();
        std::process::exit(i32::from(end != 0));
    });
    runtime().block_on(async {
        let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let secure = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
        println!(
            "http://127.0.0.1:{} https://localhost:{}",
            port(&plain),
            port(&secure)
        );
        let keys: Arc<str> = keys.into();
        let of_plain = Arc::clone(&keys);
        tokio::spawn(async move {
            while let Ok((stream, _)) = plain.accept().await {
                tokio::spawn(serve(at_once(stream), Arc::clone(&of_plain)));
            }
        });
        while let Ok((stream, _)) = secure.accept().await {
            let (tls, keys) = (tls.clone(), Arc::clone(&keys));
            tokio::spawn(async move {
                if let Ok(stream) = tls.accept(at_once(stream)).await {
                    serve(stream, keys).await;
                }
            });
        }
    });
}

/// Small writes go out at once.
fn at_once(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("an open socket");
    stream
}

/// Responds to each request, told by the end of its head and `Content-Length`.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, keys: Arc<str>) {
    let mut read = Vec::new();
    loop {
        let head = loop {
            match read.windows(4).position(|window| window == b"\r\n\r\n") {
                Some(at) => break at + 4,
                None if matches!(stream.read_buf(&mut read).await, Ok(1..)) => {}
                None => return,
            }
        };
        let text = String::from_utf8_lossy(&read[..head]).to_ascii_lowercase();
        let length = text.split_once("content-length:").map_or(0, |(_, rest)| {
            let value = rest.split("\r\n").next().unwrap_or_default();
            value.trim().parse().expect("a length")
        });
        while read.len() < head + length {
            if !matches!(stream.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
        }
        let body = if text.starts_with("get ") {
            &*keys
        } else {
            r#"{"maskedEmail":"j***@example.com"}"#
        };
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
        read.drain(..head + length);
    }
}

/// Writes tokens of several sizes, and gives their keys.
fn tokens(folder: &Path) -> String {
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let random = SystemRandom::new();
    let sign = |algorithm: &str, claims: &Value| {
        let kid = format!("{KEY_ID}{algorithm}");
        let header = json!({"alg": algorithm, "kid": kid, "typ": "JWT"});
        let message = format!("{}.{}", b64(header.to_string()), b64(claims.to_string()));
        let signature = if algorithm == "ES256" {
            ec.sign(&random, message.as_bytes())
                .expect("a signature")
                .as_ref()
                .to_vec()
        } else {
            let mut signature = vec![0; rsa.public_modulus_len()];
            rsa.sign(
                &RSA_PKCS1_SHA256,
                &random,
                message.as_bytes(),
                &mut signature,
            )
            .expect("a signature");
            signature
        };
        format!("{message}.{}", b64(signature))
    };
    let put = |name: &str, token: String| write(folder.join(name), token).expect("the folder");
    let user = user_claims();
    put("rs256", sign("RS256", &user));
    put("es256", sign("ES256", &user));
    let large = with(&user, "permissions", (0..40).map(permission).collect());
    let custom = |n: usize| {
        (
            format!("custom_claim_{n}"),
            json!({"plan": "pro", "seats": n, "since": "2026-01-25"}),
        )
    };
    put(
        "rs256_7k",
        sign(
            "RS256",
            &with(
                &large,
                "nsec",
                (0..55).map(custom).collect::<Map<_, _>>().into(),
            ),
        ),
    );
    let tenant = |n: usize| {
        (
            format!("T2aAc4T2V93bddihGEx2Ry{n:06}"),
            json!({"permissions": ["User Admin"], "roles": ["Tenant Admin"]}),
        )
    };
    let tenants = |most| (0..most).map(tenant).collect::<Map<_, _>>().into();
    put(
        "rs256_100_tenants",
        sign("RS256", &with(&user, "tenants", tenants(100))),
    );
    let public = rsa.public_key();
    let n = public.modulus().big_endian_without_leading_zero().to_vec();
    let e = public.exponent().big_endian_without_leading_zero().to_vec();
    let (x, y) = ec.public_key().as_ref()[1..].split_at(32);
    json!({"keys": [
        {"kid": format!("{KEY_ID}RS256"), "alg": "RS256", "use": "sig", "kty": "RSA", "n": b64(n), "e": b64(e)},
        {"kid": format!("{KEY_ID}ES256"), "alg": "ES256", "use": "sig", "kty": "EC", "crv": "P-256", "x": b64(x), "y": b64(y)},
    ]})
    .to_string()
}

fn permission(n: usize) -> Value {
    format!("invoice_{n}:write").into()
}

fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}

/// A user with a tenant, some roles and a few custom claims: a token of about 1.3 KB.
fn user_claims() -> Value {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let until = now + 24 * 60 * 60;
    json!({
        "amr": ["email"], "drn": "DS", "iss": PROJECT, "sub": "U2aAc4T2V93bddihGEx2Ryhc8e5Z",
        "iat": now, "exp": until, "rexp": "2099-01-25T08:56:38Z",
        "dct": "T2aAc4T2V93bddihGEx2Ryhc8e5Z",
        "tenants": {"T2aAc4T2V93bddihGEx2Ryhc8e5Z": {"permissions": ["User Admin"], "roles": ["Tenant Admin"]}},
        "permissions": ["invoice:read", "invoice:write", "report:read"], "roles": ["member", "accountant"],
        "email": "joe@example.com", "name": "Joe Example", "plan": "pro", "locale": "en-GB",
        "picture": "https://cdn.example.com/pictures/2aAc4T2V93bddihGEx2Ryhc8e5Z.png",
        "organisation": {"id": "org_2aAc4T2V93bdd", "seats": 25, "trial": false},
    })
}

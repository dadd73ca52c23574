//! Servers that TLS does not trust.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use descope_magiclink::session::{KeyProblem, SessionError};
use descope_magiclink::{Error, SessionToken};
use rcgen::{CertificateParams, KeyPair};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::server::{builder, read, sign_in};

/// A server with a certificate of its own making.
struct TlsServer {
    address: SocketAddr,
    /// The certificate, in the form that a client takes to trust it.
    certificate: Vec<u8>,
    connections: Arc<AtomicUsize>,
    /// Bytes that came through TLS.
    bytes: Arc<AtomicUsize>,
}

impl TlsServer {
    async fn start(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, bytes) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let (counted, received) = (Arc::clone(&connections), Arc::clone(&bytes));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, received) = (acceptor.clone(), Arc::clone(&received));
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let read = stream.read(&mut [0; 1024]).await.ok()?;
                    received.fetch_add(read, Ordering::SeqCst);
                    Some(())
                });
            }
        });
        Self {
            address,
            certificate: certificate.der().to_vec(),
            connections,
            bytes,
        }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.address.port())
    }

    fn trusting(&self) -> reqwest::Client {
        let certificate = reqwest::Certificate::from_der(&self.certificate).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([certificate])
            .no_proxy()
            .build()
            .unwrap()
    }
}

fn assert_tls(error: &Error, why: &[&str]) {
    assert!(
        matches!(error, Error::Transport(error) if error.is_tls()),
        "{error:?}"
    );
    // Nothing was sent, and nothing will be.
    assert!(error.is_connect() && !error.is_retryable(), "{error:?}");
    let text = error.to_string();
    let begins = "no secure connection to the service could be made; nothing was sent: ";
    let (_, said) = text.split_once(begins).expect(&text);
    let said_so = why.iter().any(|why| said.to_lowercase().contains(why));
    assert!(said_so, "{said}");
}

#[tokio::test]
async fn who_cannot_be_trusted_is_told_from_who_cannot_be_reached() {
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    };
    for (what, server, host, is_trusted, why) in [
        (
            "self-signed",
            TlsServer::start(|_| {}).await,
            "localhost",
            false,
            [
                "unknownissuer",
                "unknown issuer",
                "self-signed",
                "self signed",
            ]
            .as_slice(),
        ),
        (
            "wrong host",
            TlsServer::start(|_| {}).await,
            "127.0.0.1",
            true,
            &["not valid for", "mismatch"],
        ),
        (
            "expired",
            TlsServer::start(expired).await,
            "localhost",
            true,
            &["expired"],
        ),
    ] {
        let mut builder = builder(&server.url(host));
        if is_trusted {
            builder = builder.http_client(server.trusting());
        }
        let client = builder.build().unwrap();
        for result in [sign_in(&client).await, read(&client).await] {
            assert_tls(&result.expect_err(what), why);
        }
        let connections = server.connections.load(Ordering::SeqCst);
        assert_eq!(connections, 2, "{what}: one for each call, none repeated");
        assert_eq!(server.bytes.load(Ordering::SeqCst), 0, "{what}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            use std::io::{Read as _, Write as _};
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.read(&mut [0; 4096]);
        }
    });
    let client = builder(&format!("https://{plain}")).build().unwrap();
    let error = sign_in(&client).await.unwrap_err();
    assert!(
        matches!(&error, Error::Transport(error) if error.is_tls()),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_keys_of_such_a_server_say_why_they_are_not_there() {
    let server = TlsServer::start(|_| {}).await;
    let client = builder(&server.url("localhost")).build().unwrap();
    let validator = client.sessions();
    let token = crate::session::signing::Key::p256("k");
    let now = std::time::SystemTime::now();
    let token = token.sign(&crate::session::signing::session_claims(now));
    let error = validator.validate(&SessionToken::new(token)).await;
    let error = match error.unwrap_err() {
        Error::Session(SessionError::Unavailable(why)) => why,
        error => panic!("{error:?}"),
    };
    assert_eq!(error.problem(), KeyProblem::Tls);
    let text = error.to_string();
    assert!(
        text.starts_with("the token could not be checked because ")
            && text.contains("no secure connection to the service"),
        "{text}"
    );
    assert!(!text.contains("try again"), "{text}");
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

//! How a client is set up: by the builder, by the environment, with an HTTP client of one's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic, and the child of one prints"
)]

#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
mod support;

use std::process::Command;
use std::time::Duration;

use descope_magiclink::{Client, ConfigError, DeliveryMethod, Error, RetryPolicy, SignUpUser};
use support::{PROJECT, Reply, Socket};

/// What `Client::from_env` makes of an environment, told by a process of its own.
fn from_env(variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    for name in [
        "DESCOPE_PROJECT_ID",
        "DESCOPE_BASE_URI",
        "DESCOPE_BASE_URL",
        "DESCOPE_AUTH_MANAGEMENT_KEY",
        "DESCOPE_PUBLIC_KEY",
    ] {
        child.env_remove(name);
    }
    let child = child
        .args([
            "--exact",
            "prints_the_client_of_its_environment",
            "--ignored",
            "--nocapture",
        ])
        .envs(variables.iter().copied());
    let text = String::from_utf8(child.output().unwrap().stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("client: "));
    line.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

#[test]
#[ignore = "the child of another test"]
fn prints_the_client_of_its_environment() {
    match Client::from_env() {
        Ok(client) => println!("client: {} {}", client.project_id(), client.base_url()),
        Err(error) => println!("client: {error}"),
    }
}

#[test]
fn the_environment_is_read_by_from_env_alone_and_in_order() {
    let id = ("DESCOPE_PROJECT_ID", " P2abc\n");
    let uri = ("DESCOPE_BASE_URI", "https://uri.example.com/");
    let url = ("DESCOPE_BASE_URL", "https://url.example.com");
    assert_eq!(from_env(&[id]), "P2abc https://api.descope.com");
    assert_eq!(from_env(&[id, uri, url]), "P2abc https://uri.example.com");
    assert_eq!(
        from_env(&[id, ("DESCOPE_BASE_URI", " "), url]),
        "P2abc https://url.example.com"
    );
    for (variables, text) in [
        (vec![], "there is no project id"),
        (vec![("DESCOPE_PROJECT_ID", "  ")], "there is no project id"),
        (
            vec![id, ("DESCOPE_BASE_URI", "x")],
            "the base URL is not an absolute URL",
        ),
        (
            vec![id, ("DESCOPE_AUTH_MANAGEMENT_KEY", "a b")],
            "auth_management_key",
        ),
        (vec![id, ("DESCOPE_PUBLIC_KEY", "nonsense")], "key_set"),
    ] {
        let found = from_env(&variables);
        assert!(found.contains(text), "{variables:?}: {found}");
    }
}

#[tokio::test]
async fn a_client_of_one_s_own_is_used_with_the_crate_s_headers_and_deadline() {
    let socket = Socket::start(vec![Reply::json(200, "{}"), Reply::Hang]).await;
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert("x-own", "1".parse().unwrap());
    let own = reqwest::Client::builder()
        .default_headers(headers)
        .build()
        .unwrap();
    let patient = socket.builder().http_client(own.clone()).build().unwrap();
    let limit = Duration::from_millis(200);
    let hasty = socket.builder().http_client(own).timeout(limit);
    let hasty = hasty.build().unwrap();
    let sign_in = async |client: &Client| {
        client
            .magic_link()
            .sign_in(DeliveryMethod::Email, "joe")
            .send()
            .await
    };
    sign_in(&patient).await.unwrap();
    let request = socket.requests().remove(0);
    assert_eq!(request.header("x-own"), Some("1"));
    assert_eq!(request.header("x-descope-sdk-name"), Some("rust"));
    assert!(sign_in(&hasty).await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn a_call_whose_connection_could_not_be_made_is_made_again() {
    // A port that opens only after the first attempt.
    let port = tokio::net::TcpSocket::new_v4().unwrap();
    port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_addr().unwrap();
    let patient = RetryPolicy::new()
        .max_attempts(1000)
        .first_wait(Duration::from_millis(20));
    let client = Client::builder(PROJECT)
        .base_url(format!("http://{address}"))
        .retry(patient)
        .timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    let call = tokio::spawn(async move {
        client
            .magic_link()
            .sign_in(DeliveryMethod::Email, "joe")
            .send()
            .await
    });
    // Time for an attempt or two; on a slow machine there is none, and nothing is shown.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let listener = port.listen(1).unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let Reply::Bytes(answer) = Reply::json(200, "{}") else {
        unreachable!()
    };
    tokio::io::AsyncWriteExt::write_all(&mut stream, &answer)
        .await
        .unwrap();
    call.await.unwrap().unwrap();
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let client = Client::builder(PROJECT)
        .base_url("http://127.0.0.1:9")
        .build()
        .unwrap();
    let call = client
        .magic_link()
        .sign_in(DeliveryMethod::Email, "joe")
        .send();
    let mut call = std::pin::pin!(call);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(outcome) = call.as_mut().poll(&mut context) else {
        panic!("it waits for something")
    };
    assert!(
        matches!(outcome, Err(Error::Config(ConfigError::NoRuntime))),
        "{outcome:?}"
    );
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let zero = Client::builder(PROJECT)
        .timeout(Duration::ZERO)
        .build()
        .unwrap_err();
    assert!(
        zero.to_string()
            .contains("timeout must be more than nothing"),
        "{zero}"
    );
    let key = Client::new("K2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap_err();
    assert!(
        matches!(key, Error::Config(ConfigError::InvalidProjectId)),
        "{key:?}"
    );
    if cfg!(not(any(feature = "rustls", feature = "native-tls"))) {
        let error = Client::new(PROJECT).unwrap_err();
        assert!(
            matches!(error, Error::Config(ConfigError::NoTls)),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_profile_from_outside_cannot_bring_another_login_id() {
    let socket = Socket::start(vec![Reply::json(200, "{}")]).await;
    let user: SignUpUser =
        serde_json::from_str(r#"{"loginId":"admin@example.com","name":"Joe"}"#).unwrap();
    let sign_up = socket
        .client()
        .magic_link()
        .sign_up(DeliveryMethod::Email, "joe@example.com");
    sign_up.user(user).send().await.unwrap();
    assert!(
        !socket.requests()[0].body.contains("admin"),
        "{}",
        socket.requests()[0].body
    );
}

#[test]
fn no_error_tells_the_same_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = Client::builder(PROJECT)
        .base_url("http://127.0.0.1:9")
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let call = client
        .magic_link()
        .sign_in(DeliveryMethod::Email, "joe")
        .send();
    let error = runtime.block_on(call).unwrap_err();
    let mut texts = vec![error.to_string()];
    let mut cause = std::error::Error::source(&error);
    while let Some(next) = cause {
        texts.push(next.to_string());
        cause = next.source();
    }
    assert!(texts.len() > 1, "{texts:?}");
    for pair in texts.windows(2) {
        assert_ne!(pair[0], pair[1], "{texts:?}");
    }
}

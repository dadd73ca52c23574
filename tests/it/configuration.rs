//! How a client is set up: by the builder, by the environment, with an HTTP client of one's own.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::session::fixture::{Fixture, JOE};
use crate::session::signing::LONG;
use crate::support::{PROJECT, Reply, Socket};
use descope_magiclink::SessionValidator;
use descope_magiclink::{
    CallEvent, Client, ConfigError, DeliveryMethod, Error, MagicLinkToken, RetryPolicy, SignUpUser,
    raw,
};
use descope_magiclink_emulator::Fault;
use reqwest::header::HeaderValue;

/// What a process of its own prints that runs one of the tests below in an environment.
fn child(test: &str, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    for name in [
        "DESCOPE_PROJECT_ID",
        "DESCOPE_BASE_URI",
        "DESCOPE_BASE_URL",
        "DESCOPE_ALLOW_PLAIN_HTTP",
        "DESCOPE_AUTH_MANAGEMENT_KEY",
        "DESCOPE_MANAGEMENT_KEY",
        "DESCOPE_PUBLIC_KEY",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
    ] {
        child.env_remove(name).env_remove(name.to_lowercase());
    }
    let child = child
        .args([
            "--exact",
            &format!("configuration::{test}"),
            "--ignored",
            "--nocapture",
        ])
        .envs(variables.iter().copied());
    let text = String::from_utf8(child.output().unwrap().stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("client: "));
    line.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

/// What `Client::from_env` makes of an environment.
fn from_env(variables: &[(&str, &str)]) -> String {
    child("prints_the_client_of_its_environment", variables)
}

#[test]
#[ignore = "the child of another test"]
fn prints_the_client_of_its_environment() {
    match Client::from_env() {
        Ok(client) => println!(
            "client: {} {}{}",
            client.project_id(),
            client.base_url(),
            client.management().map_or("", |_| ", with management")
        ),
        Err(error) => println!("client: {error}"),
    }
}

#[tokio::test]
#[ignore = "the child of another test"]
async fn calls_by_the_client_of_its_environment() {
    let client = Client::from_env().unwrap();
    let call = client.magic_link().sign_in(DeliveryMethod::Email, "joe");
    match call.send().await {
        Ok(_) => println!("client: called"),
        Err(error) => println!("client: {error}"),
    }
}

/// Makes one call in an environment where every variable names the proxy; gives what came of it, and
/// how many requests the service and the proxy have seen.
async fn call_with_proxy_variables(base_url: Option<&str>) -> (String, usize, usize) {
    let service = Socket::start(vec![Reply::json(200, "{}")]).await;
    let proxy = Socket::start(vec![Reply::json(200, "{}")]).await;
    let (url, proxy_url) = (service.url.clone(), proxy.url.clone());
    let base_url = base_url.map_or(url, str::to_owned);
    let told = tokio::task::spawn_blocking(move || {
        let mut variables = vec![
            ("DESCOPE_PROJECT_ID", "P2abc"),
            ("DESCOPE_BASE_URL", &base_url),
            ("DESCOPE_ALLOW_PLAIN_HTTP", "1"),
        ];
        for name in [
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "ALL_PROXY",
            "http_proxy",
            "all_proxy",
        ] {
            variables.push((name, &proxy_url));
        }
        child("calls_by_the_client_of_its_environment", &variables)
    });
    let told = told.await.unwrap();
    (told, service.requests().len(), proxy.requests().len())
}

#[tokio::test]
async fn calls_to_this_machine_go_past_the_proxy_of_the_environment_and_others_through_it() {
    let called = |service, proxy| ("called".to_owned(), service, proxy);
    assert_eq!(call_with_proxy_variables(None).await, called(1, 0));
    let elsewhere = Some("http://descope.invalid");
    assert_eq!(call_with_proxy_variables(elsewhere).await, called(0, 1));
}

#[tokio::test]
async fn a_proxy_of_one_s_own_is_used_and_its_password_never_told() {
    let proxy = Socket::start(vec![Reply::json(200, "{}")]).await;
    let address = proxy.url.strip_prefix("http://").unwrap();
    let builder = Client::builder(PROJECT)
        .base_url("http://descope.invalid")
        .allow_plain_http()
        .proxy(format!("http://joe:canary-1@{address}"));
    assert!(!format!("{builder:?}").contains("canary"), "{builder:?}");
    let client = builder.clone().build().unwrap();
    let sign_in = |client: &Client| {
        let magic_link = client.magic_link();
        magic_link.sign_in(DeliveryMethod::Email, "joe").send()
    };
    sign_in(&client).await.unwrap();
    let request = proxy.requests().remove(0);
    assert!(
        request
            .head
            .starts_with("POST http://descope.invalid/v1/auth/"),
        "{}",
        request.head
    );
    assert_eq!(
        request.header("proxy-authorization"),
        Some("Basic am9lOmNhbmFyeS0x")
    );

    // Without it the host is nowhere.
    let client = builder.clone().no_proxy().build().unwrap();
    assert!(sign_in(&client).await.unwrap_err().is_connect());
    assert_eq!(proxy.requests().len(), 1);

    for text in [
        "canary-2:3128",
        "canary-2",
        "ftp://canary-2",
        "socks5://canary-2",
        "",
    ] {
        let error = builder.clone().proxy(text).build().unwrap_err();
        assert!(error.to_string().contains("the setting proxy"), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
}

#[test]
fn plain_http_to_another_machine_must_be_allowed() {
    let elsewhere = "http://emulator:8080";
    let refused = "the base URL is http, and its host is not this machine";
    let told = from_env(&[
        ("DESCOPE_PROJECT_ID", "P2abc"),
        ("DESCOPE_BASE_URL", elsewhere),
    ]);
    assert!(told.contains(refused), "{told}");
    assert!(told.contains("allow_plain_http() on the builder"), "{told}");
    assert!(told.contains("DESCOPE_ALLOW_PLAIN_HTTP=1"), "{told}");
    for (value, expected) in [
        ("1", format!("P2abc {elsewhere}")),
        ("true", format!("P2abc {elsewhere}")),
        ("0", refused.to_owned()),
        ("", refused.to_owned()),
        ("yes", "DESCOPE_ALLOW_PLAIN_HTTP must be 1 or 0".to_owned()),
    ] {
        let told = from_env(&[
            ("DESCOPE_PROJECT_ID", "P2abc"),
            ("DESCOPE_BASE_URL", elsewhere),
            ("DESCOPE_ALLOW_PLAIN_HTTP", value),
        ]);
        assert!(told.contains(&expected), "{value}: {told}");
    }

    let validator = || SessionValidator::builder(PROJECT).base_url(elsewhere);
    assert_eq!(validator().build().unwrap_err(), ConfigError::PlainHttp);
    assert!(validator().allow_plain_http().build().is_ok());
}

#[test]
#[cfg_attr(
    not(any(feature = "rustls", feature = "native-tls")),
    ignore = "makes clients for https"
)]
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
    assert_eq!(
        from_env(&[id, ("DESCOPE_MANAGEMENT_KEY", "K2x\n")]),
        "P2abc https://api.descope.com, with management"
    );
    for (variables, text) in [
        (
            vec![id, ("DESCOPE_MANAGEMENT_KEY", "a b")],
            "management_key",
        ),
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
        .no_proxy()
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
        .initial_backoff(Duration::from_millis(20));
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
    let Reply::Bytes(response) = Reply::json(200, "{}") else {
        unreachable!()
    };
    // A response that comes before the request is none to it.
    tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096])
        .await
        .unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, &response)
        .await
        .unwrap();
    call.await.unwrap().unwrap();
}

#[test]
fn without_a_runtime_calls_are_made_all_the_same() {
    let emulator = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", emulator.local_addr().unwrap());
    // Whoever connects is sent away: what counts is that the call got that far.
    std::thread::spawn(move || drop(emulator.accept()));
    let client = Client::builder(PROJECT).base_url(url).build().unwrap();
    let magic_link = client.magic_link();
    let call = magic_link.sign_in(DeliveryMethod::Email, "joe").send();
    let mut call = std::pin::pin!(call);
    let waker = std::task::Waker::from(std::sync::Arc::new(Unpark(std::thread::current())));
    let mut context = std::task::Context::from_waker(&waker);
    let outcome = loop {
        match call.as_mut().poll(&mut context) {
            std::task::Poll::Ready(outcome) => break outcome,
            std::task::Poll::Pending => std::thread::park(),
        }
    };
    assert!(matches!(outcome, Err(Error::Transport(_))), "{outcome:?}");
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let zero = Client::builder(PROJECT)
        .timeout(Duration::ZERO)
        .build()
        .unwrap_err();
    assert!(
        zero.to_string()
            .contains("timeout must be greater than zero"),
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

#[tokio::test]
async fn a_client_of_another_timeout_shares_all_but_that() {
    let fixture = Fixture::new().await;
    let client = Fixture::builder(&fixture.emulator).timeout(LONG);
    let client = client.build().unwrap();
    let (session, _) = fixture.tokens();
    client.sessions().validate(&session).await.unwrap();
    let fault = Fault::on("SignInMagicLinkEmail").black_hole();
    let fault = fixture.emulator.faults().add(fault).unwrap();
    let hurried = client.with_timeout(Duration::from_millis(50));
    let sign_in = async |client: &Client| {
        let sign_in = client.magic_link().sign_in(DeliveryMethod::Email, JOE);
        sign_in.send().await
    };
    let error = sign_in(&hurried).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    // The bindings below have it too, and the keys are those of the first.
    let body = raw::types::MagicLinkSignInRequest::default();
    let found = hurried.raw().sign_in_magic_link_email(&body).send().await;
    assert!(found.unwrap_err().is_timeout());
    hurried
        .sessions()
        .validator()
        .validate_cached(&session)
        .unwrap();
    fixture.emulator.faults().remove(fault);
    sign_in(&client).await.unwrap();
}

#[tokio::test]
async fn a_closure_sees_each_call_before_and_after_and_adds_headers() {
    let fixture = Fixture::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let client = Fixture::builder(&fixture.emulator).on_call({
        let seen = Arc::clone(&seen);
        move |event| match event {
            CallEvent::Starting {
                operation, headers, ..
            } => {
                assert!(headers.is_empty(), "nothing of the call itself is shown");
                headers.insert("traceparent", HeaderValue::from_static("00-1-2-01"));
                headers.insert("authorization", HeaderValue::from_static("Bearer mine"));
                headers.insert("x-descope-sdk-name", HeaderValue::from_static("mine"));
                seen.lock().unwrap().push(format!("{operation} starts"));
            }
            CallEvent::Completed {
                operation,
                result,
                attempts,
                ..
            } => {
                let found = result.map_or_else(
                    |error| format!("{:?} {:?}", error.status(), error.code()),
                    |status| status.to_string(),
                );
                let line = format!("{operation}: {found}, {attempts} sent");
                seen.lock().unwrap().push(line);
            }
            _ => {}
        }
    });
    let client = client.build().unwrap();
    let (session, refresh) = fixture.tokens();
    client.sessions().validate(&session).await.unwrap();
    client.sessions().refresh(&refresh).await.unwrap();
    let token = MagicLinkToken::new("no-such-token");
    client.magic_link().verify(&token).await.unwrap_err();
    let fault = Fault::on("Me").respond(503).times(1);
    fixture.emulator.faults().add(fault).unwrap();
    client.sessions().me(&refresh).await.unwrap();
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "keys starts",
            "keys: 200 OK, 1 sent",
            "refresh_session starts",
            "refresh_session: 200 OK, 1 sent",
            "verify_magic_link starts",
            "verify_magic_link: Some(401) Some(TokenExpired), 1 sent",
            "me starts",
            "me: 200 OK, 2 sent",
        ]
    );
    let requests = fixture.emulator.requests().all();
    assert!(requests.len() >= 5);
    for request in requests {
        assert_eq!(request.header("traceparent"), Some("00-1-2-01"));
        assert_eq!(request.header("x-descope-sdk-name"), Some("rust"));
        let authorization = request.header("authorization");
        assert!(authorization.is_some_and(|value| !value.contains("mine")));
    }
}

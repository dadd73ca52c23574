//! What a caller learns when a call fails, over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

#[allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
mod support;

use std::time::{Duration, Instant};

use descope_magiclink::{
    Client, ConfigError, DeliveryMethod, Error, ErrorCode, MagicLinkToken, PhoneDelivery,
    RefreshToken, RetryPolicy, SignUpUser,
};
use support::{PROJECT, Reply, Socket};

const NOT_FOUND: &str = r#"{"errorCode":"E062108","errorDescription":"User not found","errorMessage":"Cannot find user"}"#;

async fn sign_in(client: &Client) -> Error {
    client
        .magic_link()
        .sign_in(DeliveryMethod::Email, "joe@example.com")
        .send()
        .await
        .unwrap_err()
}

/// A call that is not repeated, and is of no use without what the body says.
async fn ask(client: &Client) -> Error {
    let sessions = client.sessions();
    sessions.validate_remote(&"s".into()).await.unwrap_err()
}

/// What is expected of an error; what is left out must be `None` or `false`.
#[derive(Default, Debug, PartialEq)]
struct Expected {
    status: Option<u16>,
    code: Option<&'static str>,
    message: Option<&'static str>,
    retry_after: Option<u64>,
    unauthorized: bool,
    rate_limited: bool,
    retryable: bool,
    text: &'static str,
}

#[tokio::test]
async fn every_answer_keeps_its_status_and_says_what_to_do() {
    let html = "<html><body>Bad gateway eyJhbGciOiJSUzI1NiIsImtpZCI6</body></html>";
    let ok = |body: &str| Reply::json(200, body);
    let none = Expected::default;
    let cases: Vec<(&str, Reply, Expected)> = vec![
        (
            "400 with a code",
            Reply::json(400, NOT_FOUND),
            Expected {
                status: Some(400),
                code: Some("E062108"),
                message: Some("Cannot find user"),
                text: "the service answered 400 (E062108): User not found: Cannot find user",
                ..none()
            },
        ),
        (
            "400 with the older `message`",
            Reply::json(
                400,
                r#"{"errorCode":"E011002","message":"Missing email or phone"}"#,
            ),
            Expected {
                status: Some(400),
                code: Some("E011002"),
                message: Some("Missing email or phone"),
                text: "the service answered 400 (E011002): Missing email or phone",
                ..none()
            },
        ),
        (
            "401",
            Reply::json(
                401,
                r#"{"errorCode":"E062504","errorDescription":"Token expired"}"#,
            ),
            Expected {
                status: Some(401),
                code: Some("E062504"),
                message: Some("Token expired"),
                unauthorized: true,
                text: "the service answered 401 (E062504): Token expired",
                ..none()
            },
        ),
        (
            "403 with a code that is not known",
            Reply::json(403, r#"{"errorCode":"E999999","errorDescription":"No"}"#),
            Expected {
                status: Some(403),
                code: Some("E999999"),
                message: Some("No"),
                unauthorized: true,
                text: "the service answered 403 (E999999): No",
                ..none()
            },
        ),
        (
            "404 with an empty body",
            Reply::json(404, ""),
            Expected {
                status: Some(404),
                text: "the service answered 404 (Not Found)",
                ..none()
            },
        ),
        (
            "409",
            Reply::json(
                409,
                r#"{"errorCode":"E062125","errorDescription":"Conflict"}"#,
            ),
            Expected {
                status: Some(409),
                code: Some("E062125"),
                message: Some("Conflict"),
                text: "the service answered 409 (E062125): Conflict",
                ..none()
            },
        ),
        (
            "429 with Retry-After",
            Reply::with_headers(
                429,
                &[("retry-after", "17")],
                r#"{"errorCode":"E130429","errorDescription":"Slow down"}"#,
            ),
            Expected {
                status: Some(429),
                code: Some("E130429"),
                message: Some("Slow down"),
                retry_after: Some(17),
                rate_limited: true,
                retryable: true,
                text: "the service answered 429 (E130429): Slow down",
                ..none()
            },
        ),
        (
            "429 with a date in the past",
            Reply::with_headers(429, &[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")], ""),
            Expected {
                status: Some(429),
                retry_after: Some(0),
                rate_limited: true,
                retryable: true,
                text: "the service answered 429 (Too Many Requests)",
                ..none()
            },
        ),
        (
            "429 with nothing",
            Reply::json(429, ""),
            Expected {
                status: Some(429),
                rate_limited: true,
                retryable: true,
                text: "the service answered 429 (Too Many Requests)",
                ..none()
            },
        ),
        (
            "500",
            Reply::json(500, r#"{"errorCode":500}"#),
            Expected {
                status: Some(500),
                code: Some("500"),
                text: "the service answered 500 (500)",
                ..none()
            },
        ),
        (
            "503 as HTML",
            Reply::with_headers(503, &[("content-type", "text/html")], html),
            Expected {
                status: Some(503),
                retryable: true,
                text: "the service answered 503 (Service Unavailable)",
                ..none()
            },
        ),
        (
            "502 cut off",
            Reply::Bytes(
                b"HTTP/1.1 502 X\r\ncontent-length: 500\r\n\r\n{\"errorCode\":\"E0".to_vec(),
            ),
            Expected {
                status: Some(502),
                retryable: true,
                text: "the service answered 502 (Bad Gateway)",
                ..none()
            },
        ),
        (
            "a status without a name, compressed junk",
            Reply::with_headers(530, &[("content-encoding", "gzip")], "\u{1f}\u{8b}junk"),
            Expected {
                status: Some(530),
                retryable: true,
                text: "the service answered 530",
                ..none()
            },
        ),
        (
            "an error body of wrong types",
            Reply::json(
                400,
                r#"{"errorCode":{},"errorDescription":[1],"errorMessage":null}"#,
            ),
            Expected {
                status: Some(400),
                text: "the service answered 400 (Bad Request)",
                ..none()
            },
        ),
        (
            "an error body that is a list",
            Reply::json(400, "[]"),
            Expected {
                status: Some(400),
                text: "the service answered 400 (Bad Request)",
                ..none()
            },
        ),
        (
            "a redirect is not followed",
            Reply::with_headers(307, &[("location", "http://127.0.0.1:9/steal")], ""),
            Expected {
                status: Some(307),
                text: "the service answered 307 (Temporary Redirect)",
                ..none()
            },
        ),
        (
            "a success without a body",
            Reply::json(204, ""),
            Expected {
                status: Some(204),
                text: "the service's 204 response could not be read: it is empty",
                ..none()
            },
        ),
        (
            "200 with text that is not JSON",
            ok("eyJhbGciOiJSUzI1NiIsImtpZCI6"),
            Expected {
                status: Some(200),
                text: "the service's 200 response could not be read: the text is not JSON (line 1, column 1)",
                ..none()
            },
        ),
        (
            "200 with a wrong type",
            ok(r#"["eyJhbGciOiJSUzI1NiIsImtpZCI6"]"#),
            Expected {
                status: Some(200),
                text: "the service's 200 response could not be read: it is a list and not an object",
                ..none()
            },
        ),
        (
            "200 cut off in the JSON",
            ok(r#"{"sub":"U1"#),
            Expected {
                status: Some(200),
                text: "the service's 200 response could not be read: the text ends too early (line 1, column 10)",
                ..none()
            },
        ),
        (
            "200 cut off on the wire",
            Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{".to_vec()),
            Expected {
                retryable: true,
                text: "the connection failed while the answer was arriving",
                ..none()
            },
        ),
        (
            "a closed connection",
            Reply::Close,
            Expected {
                retryable: true,
                text: "the connection failed before the service answered",
                ..none()
            },
        ),
        (
            "an answer that is too large",
            Reply::Bytes({
                let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n".to_vec();
                bytes.resize(bytes.len() + 2_000_000, b' ');
                bytes
            }),
            Expected {
                text: "the answer is larger than the 1048576 bytes that are accepted",
                ..none()
            },
        ),
    ];
    for (name, reply, expected) in cases {
        let socket = Socket::start(vec![reply]).await;
        let error = ask(&socket.client()).await;
        let text = error.to_string();
        let found = Expected {
            status: error.status().map(|status| status.as_u16()),
            code: error.code().map(|code| {
                expected
                    .code
                    .filter(|text| code.as_str() == *text)
                    .unwrap_or("?")
            }),
            message: match &error {
                Error::Api(api) => api.message().map(|message| {
                    expected
                        .message
                        .filter(|text| message == *text)
                        .unwrap_or("?")
                }),
                _ => None,
            },
            retry_after: error.retry_after().map(|wait| wait.as_secs()),
            unauthorized: error.is_unauthorized(),
            rate_limited: error.is_rate_limited(),
            retryable: error.is_retryable(),
            text: if text == expected.text {
                expected.text
            } else {
                "?"
            },
        };
        assert_eq!(found, expected, "{name}: {text}");
        assert!(
            !format!("{error:?}").contains("eyJhbGciOiJSUzI1NiIsImtpZCI6"),
            "{name}: {error:?}"
        );
        assert_eq!(
            socket.requests().len(),
            1,
            "{name}: such a call is never repeated"
        );
    }
}

#[tokio::test]
async fn an_error_s_headers_can_be_read_and_are_not_printed() {
    let reply = Reply::with_headers(
        401,
        &[("x-request-id", "r1"), ("set-cookie", "DSR=secret-1")],
        "",
    );
    let socket = Socket::start(vec![reply]).await;
    let error = sign_in(&socket.client()).await;
    assert!(!format!("{error} {error:?}").contains("secret-1"));
    let Error::Api(api) = error else {
        panic!("{error:?}")
    };
    assert_eq!(api.headers()["x-request-id"], "r1");
}

#[tokio::test]
async fn a_refused_connection_says_that_nothing_was_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::builder(PROJECT)
        .base_url(url)
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let error = sign_in(&client).await;
    assert!(
        error.is_connect() && error.is_retryable() && !error.is_timeout(),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        "the service could not be reached; nothing was sent"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn no_call_outlives_its_time() {
    let limit = Duration::from_millis(300);
    let half_closed =
        Reply::BytesThenHang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec());
    for reply in [
        Reply::Hang,
        half_closed,
        Reply::Drip(Duration::from_millis(20)),
    ] {
        let socket = Socket::start(vec![reply.clone()]).await;
        let client = socket.builder().timeout(limit).build().unwrap();
        for read in [false, true] {
            let started = Instant::now();
            let error = if read {
                client.raw().me(&RefreshToken::new("r")).await.unwrap_err()
            } else {
                ask(&client).await
            };
            assert!(
                error.is_timeout() && error.is_retryable() && !error.is_connect(),
                "{reply:?}: {error:?}"
            );
            assert_eq!(error.to_string(), "the call took longer than 300ms");
            assert!(
                started.elapsed() < limit * 20,
                "{reply:?}: {:?}",
                started.elapsed()
            );
        }
    }
}

#[tokio::test]
async fn only_reads_are_repeated() {
    let busy = Reply::json(503, "");
    let socket = Socket::start(vec![busy.clone(), busy.clone(), Reply::json(200, "{}")]).await;
    let quick = RetryPolicy::new().first_wait(Duration::from_millis(1));
    let client = socket.builder().retry(quick).build().unwrap();
    client.raw().me(&RefreshToken::new("r")).await.unwrap();
    assert_eq!(socket.requests().len(), 3, "a read is tried three times");

    let socket = Socket::start(vec![Reply::Close, Reply::json(200, "{}")]).await;
    let client = socket.builder().retry(quick).build().unwrap();
    client.raw().me(&RefreshToken::new("r")).await.unwrap();
    assert_eq!(
        socket.requests().len(),
        2,
        "a read is repeated when the connection broke"
    );

    let socket = Socket::start(vec![busy]).await;
    let client = socket.builder().retry(quick).build().unwrap();
    let error = client
        .magic_link()
        .verify_unchecked(&MagicLinkToken::new("t"))
        .await
        .unwrap_err();
    assert_eq!(error.status().unwrap(), 503);
    assert_eq!(
        socket.requests().len(),
        1,
        "a link's token is good for one use"
    );
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_anything_is_sent() {
    let socket = Socket::start(vec![Reply::json(200, "{}")]).await;
    let magic = socket.client().magic_link();
    let refresh = RefreshToken::new("r");
    let refused = |result: descope_magiclink::Result<()>, text: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::InvalidArgument(_)), "{error:?}");
        assert_eq!(error.to_string(), text);
        assert!(!error.is_retryable() && error.status().is_none());
    };
    macro_rules! refused {
        ($call:expr, $text:literal) => {
            refused($call.await.map(|_| ()), $text)
        };
    }
    use DeliveryMethod::{Email, Sms};
    let no_email =
        "the argument login_id or user.email must be an email address, such as joe@example.com";
    refused!(
        magic.sign_in(Email, "  ").send(),
        "the argument login_id must not be empty"
    );
    refused!(
        magic.sign_up_or_in(Sms, "").send(),
        "the argument login_id must not be empty"
    );
    for login_id in [
        "joe",
        "@example.com",
        "joe@",
        "joe@x@y",
        "joe smith@example.com",
    ] {
        let error = magic.sign_up(Email, login_id).send().await.unwrap_err();
        assert_eq!(error.to_string(), no_email, "{login_id}");
    }
    refused!(
        magic.sign_up(Sms, "joe@example.com").send(),
        "the argument login_id or user.phone must be a phone number with + and the country code, such as +15555555555"
    );
    refused!(
        magic.update_email(&refresh, "joe", "nonsense").send(),
        "the argument email must be an email address, such as joe@example.com"
    );
    refused!(
        magic
            .update_phone(&refresh, PhoneDelivery::Sms, "joe", "5555")
            .send(),
        "the argument phone must be a phone number with + and the country code, such as +15555555555"
    );
    refused!(
        magic
            .update_email(&RefreshToken::new(""), "joe", "a@b.c")
            .send(),
        "the argument refresh_token must not be empty"
    );
    refused!(
        magic
            .update_email(&RefreshToken::new("a\r\nx: y"), "joe", "a@b.c")
            .send(),
        "the argument refresh_token has characters that no token has"
    );
    refused!(
        magic.sign_in(Email, "joe").redirect_url("/verify").send(),
        "the argument redirect_url must be an absolute URL, such as https://app.example.com/verify"
    );
    refused!(
        magic.verify(&MagicLinkToken::new(" ")),
        "the argument token must not be empty"
    );
    for id in ["", ".", ".."] {
        let error = socket
            .client()
            .raw()
            .get_keys_v2(id, None)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::InvalidArgument(_)),
            "{id}: {error:?}"
        );
    }
    assert_eq!(socket.requests().len(), 0);

    // The address may be in the profile, so that the login id can be any name.
    let user = SignUpUser::new().email("joe@example.com");
    magic.sign_up(Email, "joe").user(user).send().await.unwrap();
    socket
        .client()
        .raw()
        .get_keys_v2("..\\..\\x/y", None)
        .await
        .unwrap();
    let requests = socket.requests();
    let path = requests.last().unwrap().head.lines().next().unwrap();
    assert_eq!(
        path, "GET /v2/keys/..%5C..%5Cx%2Fy HTTP/1.1",
        "an id stays one segment of the path"
    );
}

#[test]
fn a_wrong_configuration_is_named() {
    let build = |builder: descope_magiclink::ClientBuilder| builder.build().unwrap_err();
    assert!(matches!(
        build(Client::builder("")),
        Error::Config(ConfigError::MissingProjectId)
    ));
    assert!(matches!(
        build(Client::builder("../x")),
        Error::Config(ConfigError::InvalidProjectId)
    ));
    assert_eq!(
        build(Client::builder(PROJECT).base_url("auth.example.com")).to_string(),
        "the client is not configured correctly: the base URL is not an absolute URL; \
         it looks like https://auth.example.com"
    );
    for key in ["", "a b", "a\n"] {
        let error = build(Client::builder(PROJECT).auth_management_key(key)).to_string();
        assert!(error.contains("auth_management_key"), "{error}");
    }
    let error = build(Client::builder(PROJECT).refresh_cookie_name("D;R")).to_string();
    assert!(error.contains("refresh_cookie_name"), "{error}");
}

#[test]
fn codes_keep_their_text() {
    for text in ["E011001", "E062107", "E130429", "E000000", ""] {
        assert_eq!(ErrorCode::from(text).to_string(), text);
    }
}

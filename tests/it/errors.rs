//! What a caller learns when a call fails, over real sockets.

use std::time::Duration;

use crate::session::signing::with_a_limit_that_fits;
use crate::support::{PROJECT, Reply, Socket};
use descope_magiclink::management::TestUser;
use descope_magiclink::{
    AccessKey, Client, ConfigError, DeliveryMethod, Error, ErrorCode, MagicLinkToken,
    ManagementKey, PhoneDelivery, RefreshToken, RetryPolicy, SignUpUser,
};

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
async fn send(client: &Client) -> Error {
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
async fn every_response_keeps_its_status_and_says_what_to_do() {
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
                text: "the service responded with 400 (E062108): User not found: Cannot find user",
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
                text: "the service responded with 400 (E011002): Missing email or phone",
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
                text: "the service responded with 401 (E062504): Token expired",
                ..none()
            },
        ),
        (
            "403 with a code that is not known: the token that went along is refused",
            Reply::json(403, r#"{"errorCode":"E999999","errorDescription":"No"}"#),
            Expected {
                status: Some(403),
                code: Some("E999999"),
                message: Some("No"),
                unauthorized: true,
                text: "the service responded with 403 (E999999): No",
                ..none()
            },
        ),
        (
            "404 with an empty body",
            Reply::json(404, ""),
            Expected {
                status: Some(404),
                retryable: true,
                text: "the response was 404 (Not Found) without the service's error code, so that probably a proxy or a firewall on the way gave it, or the base URL is wrong",
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
                text: "the service responded with 409 (E062125): Conflict",
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
                text: "the service responded with 429 (E130429): Slow down",
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
                text: "the service responded with 429 (Too Many Requests)",
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
                text: "the service responded with 429 (Too Many Requests)",
                ..none()
            },
        ),
        (
            "500, with a code that is none of the service's",
            Reply::json(500, r#"{"errorCode":500}"#),
            Expected {
                status: Some(500),
                text: "the service responded with 500 (Internal Server Error)",
                ..none()
            },
        ),
        (
            "503 as HTML",
            Reply::with_headers(503, &[("content-type", "text/html")], html),
            Expected {
                status: Some(503),
                retryable: true,
                text: "the service responded with 503 (Service Unavailable)",
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
                text: "the service responded with 502 (Bad Gateway)",
                ..none()
            },
        ),
        (
            "a status without a name, compressed junk",
            Reply::with_headers(530, &[("content-encoding", "gzip")], "\u{1f}\u{8b}junk"),
            Expected {
                status: Some(530),
                retryable: true,
                text: "the service responded with 530",
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
                retryable: true,
                text: "the response was 400 (Bad Request) without the service's error code, so that probably a proxy or a firewall on the way gave it, or the base URL is wrong",
                ..none()
            },
        ),
        (
            "an error body that is a list",
            Reply::json(400, "[]"),
            Expected {
                status: Some(400),
                retryable: true,
                text: "the response was 400 (Bad Request) without the service's error code, so that probably a proxy or a firewall on the way gave it, or the base URL is wrong",
                ..none()
            },
        ),
        (
            "a redirect is not followed, and its host is named",
            Reply::with_headers(
                307,
                &[(
                    "location",
                    "https://auth.example.com:8443/steal?t=eyJhbGciOiJSUzI1NiIsImtpZCI6",
                )],
                "",
            ),
            Expected {
                status: Some(307),
                text: "the response was 307 (Temporary Redirect): the base URL [url] sends on to \
                       https://auth.example.com:8443, and redirects are not followed, as tokens would \
                       go along; if that is the service, make it the base URL",
                ..none()
            },
        ),
        (
            "a redirect to nowhere",
            Reply::with_headers(302, &[("location", "http://")], "<html>"),
            Expected {
                status: Some(302),
                text: "the response was 302 (Found): the base URL [url] sends on, and redirects are not \
                       followed, as tokens would go along; check the base URL",
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
                text: "the connection failed while the response was arriving",
                ..none()
            },
        ),
        (
            "a closed connection",
            Reply::Close,
            Expected {
                retryable: true,
                text: "the connection failed before the service responded",
                ..none()
            },
        ),
        (
            "a response that is too large",
            Reply::Bytes({
                let mut bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n".to_vec();
                bytes.resize(bytes.len() + 2_000_000, b' ');
                bytes
            }),
            Expected {
                text: "the response is larger than the 1048576 bytes that are accepted",
                ..none()
            },
        ),
    ];
    for (name, reply, expected) in cases {
        let socket = Socket::start(vec![reply]).await;
        let error = send(&socket.client()).await;
        let text = words(&error).replace(&socket.url, "[url]");
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

/// What an error says behind the name of its operation.
fn words(error: &Error) -> String {
    let text = error.to_string();
    let name = format!("{}: ", error.operation().expect("a call was made"));
    text.strip_prefix(&name).expect(&text).to_owned()
}

#[tokio::test]
async fn what_came_with_an_error_is_not_lost() {
    let refusal = r#"{"errorCode":"E062108","errorDescription":"No","retryIn":7,"echo":"canary"}"#;
    let found = r#"{"user":{"name":"Joe"}}"#;
    let cookie = [("set-cookie", "DSR=canary"), ("x-trace", "t1")];
    let socket = Socket::start(vec![
        Reply::json(400, refusal),
        Reply::json(200, "{}"),
        Reply::with_headers(200, &cookie, found),
        Reply::with_headers(200, &cookie, "<html>"),
        Reply::json(200, "{}"),
    ])
    .await;
    let client = socket.client();
    let error = sign_in(&client).await;
    assert_eq!(error.operation(), Some("sign_in_magic_link_email"));
    let printed = format!("{error:?}");
    assert!(
        printed.contains("retryIn") && !printed.contains("canary"),
        "{printed}"
    );
    let Error::Api(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.members()["retryIn"], 7);
    assert_eq!(error.members()["echo"], "canary");
    // The license handshake comes before the first management call.
    let management = client.management_with("key");
    let error = management.user("joe").await.unwrap_err();
    assert_eq!(error.operation(), Some("load_user"));
    assert_eq!(
        words(&error),
        "the service's 200 response has no user.userId"
    );
    for member in [Some("user.userId"), None] {
        let error = match member {
            Some(_) => error.clone(),
            None => management.user("joe").await.unwrap_err(),
        };
        let Error::Decode(error) = error else {
            panic!("{error:?}");
        };
        assert_eq!(error.member(), member);
        assert_eq!(error.headers()["x-trace"], "t1");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
    let link = MagicLinkToken::new("t");
    let link = client.magic_link().verify_unchecked(&link).await;
    let Err(Error::Decode(error)) = link else {
        panic!("{link:?}");
    };
    assert_eq!(error.member(), Some("sessionJwt"));
}

/// What an error says of whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Concerns {
    /// `is_unauthorized`: the user's token or link.
    User,
    /// `is_credential_refused`: this server's own key.
    Server,
    /// The call itself, or nothing that can be told.
    Nobody,
}

fn concerns(error: &Error) -> Concerns {
    match (error.is_unauthorized(), error.is_credential_refused()) {
        (true, false) => Concerns::User,
        (false, true) => Concerns::Server,
        (false, false) => Concerns::Nobody,
        (true, true) => panic!("both: {error:?}"),
    }
}

/// The error of one call of each kind of credential, all with the same response.
async fn refusals(status: u16, body: &str) -> [Concerns; 5] {
    let socket = Socket::start(vec![Reply::json(status, body)]).await;
    let client = socket
        .builder()
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let refresh = RefreshToken::new("r");
    let project = sign_in(&client).await;
    let link = MagicLinkToken::new("t");
    let link = client
        .magic_link()
        .verify_unchecked(&link)
        .await
        .unwrap_err();
    let user = client.sessions().me(&refresh).await.unwrap_err();
    let access_key = AccessKey::new("k");
    let access_key = client.sessions().exchange_access_key(&access_key);
    let access_key = access_key.send().await.unwrap_err();
    let management = ManagementKey::new("k");
    let management = client.raw().load_user(&management).user_id("U1");
    let management = management.send().await.unwrap_err();
    for error in [&project, &link, &user, &access_key, &management] {
        assert_eq!(error.status().unwrap(), status);
    }
    [&project, &link, &user, &access_key, &management].map(concerns)
}

#[tokio::test]
async fn an_error_concerns_whose_credential_was_refused() {
    use Concerns::{Nobody, Server, User};
    let code = |code: &str| format!(r#"{{"errorCode":"{code}","errorDescription":"No"}}"#);
    let nobody = [Nobody; 5];
    let by_sender = [Nobody, User, User, Server, Server];
    for (status, body, expected) in [
        // With a code of the service, 401 and 403 refuse what was sent.
        (401, code("E062504"), by_sender),
        (403, code("E999999"), by_sender),
        (400, code("E999999"), nobody),
        (404, code("E112102"), nobody),
        (500, code("E064001"), nobody),
        // Some codes tell of a token whatever the status.
        (400, code("E064001"), [User, User, User, Server, Server]),
        (400, code("E064006"), [User, User, User, Server, Server]),
        (404, code("E061005"), [User, User, User, Server, Server]),
        // And some of a key, even where a token of the user went along with it.
        (401, code("E111119"), [Server; 5]),
        (400, code("E062802"), [Server; 5]),
        (403, code("E062803"), [Server; 5]),
        // How the project is set up is nobody's credential.
        (401, code("E061001"), nobody),
        (401, code("E061004"), nobody),
        (403, code("E062115"), nobody),
        // Without a code it is not the service that speaks.
        (401, String::new(), nobody),
        (403, "<html>Access denied</html>".to_owned(), nobody),
        (403, r#"{"message":"Forbidden"}"#.to_owned(), nobody),
        (401, r#"{"errorCode":"WAF-17"}"#.to_owned(), nobody),
        (407, String::new(), nobody),
        (429, code("E130429"), nobody),
        (429, String::new(), nobody),
    ] {
        assert_eq!(refusals(status, &body).await, expected, "{status} {body}");
    }
}

#[tokio::test]
async fn an_error_says_how_to_mend_it_and_names_the_request() {
    for (code, mend) in [
        (
            "E061001",
            "; switch the authentication method on for API and SDK use, in the console",
        ),
        ("E064006", "; sign in again"),
        (
            "E111119",
            "; check the management key and what it allows, in the console",
        ),
    ] {
        let body = format!(r#"{{"errorCode":"{code}","errorDescription":"No"}}"#);
        let ray = [("cf-ray", "8f3c0a1b2c3d4e5f-IAD")];
        let socket = Socket::start(vec![Reply::with_headers(400, &ray, &body)]).await;
        let error = sign_in(&socket.client()).await;
        let text = format!(
            "the service responded with 400 ({code}): No{mend} (request 8f3c0a1b2c3d4e5f-IAD)"
        );
        assert_eq!(words(&error), text);
        let Error::Api(api) = error else {
            panic!("{error:?}")
        };
        assert_eq!(api.request_id(), Some("8f3c0a1b2c3d4e5f-IAD"));
    }
    // The edge names its own responses too; what is no id is not shown.
    for (ray, id) in [
        ("8f3c0a1b2c3d4e5f-IAD", Some("8f3c0a1b2c3d4e5f-IAD")),
        ("eyJhbGciOiJSUzI1NiIsImtpZCI6.eyJzdWIiOiIxIn0", None),
        ("", None),
    ] {
        let reply = Reply::with_headers(522, &[("cf-ray", ray)], "<html>");
        let socket = Socket::start(vec![reply]).await;
        let error = sign_in(&socket.client()).await;
        let text = error.to_string();
        assert_eq!(text.contains("(request"), id.is_some(), "{text}");
        let Error::Api(api) = error else {
            panic!("{error:?}")
        };
        assert_eq!(api.request_id(), id);
    }
}

#[tokio::test]
async fn a_wrong_project_or_base_url_is_named_where_keys_are_fetched() {
    let location = [("location", "https://auth.example.com/v2/keys?x=1")];
    for (reply, words) in [
        (
            Reply::json(404, ""),
            "the key endpoint knows no such project (status 404); check the project id and the base URL",
        ),
        (
            Reply::with_headers(301, &location, ""),
            "the key endpoint responded with a redirect; check the base URL",
        ),
    ] {
        let socket = Socket::start(vec![reply]).await;
        let client = socket.client();
        let error = client
            .sessions()
            .validator()
            .prefetch_keys()
            .await
            .unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            format!("the token could not be checked because {words}")
        );
        if let Some(source) = std::error::Error::source(&error) {
            let text = source.to_string();
            assert!(
                text.contains(&socket.url) && text.contains("https://auth.example.com,"),
                "{text}"
            );
            assert!(!text.contains("v2"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_missing_token_is_the_same_everywhere() {
    let socket = Socket::start(vec![Reply::json(200, "{}")]).await;
    let sessions = socket.client().sessions();
    for (text, words) in [
        ("", "there is no session token; sign in first"),
        (
            "a\r\nx: y",
            "the token is not a well-formed signed token; sign in again",
        ),
    ] {
        let token = RefreshToken::new(text);
        let magic_link = socket.client().magic_link();
        let update = magic_link.update_email(&token, "joe@example.com");
        let errors = [
            sessions.refresh(&token).await.map(drop).unwrap_err(),
            sessions.me(&token).await.map(drop).unwrap_err(),
            sessions.history(&token).await.map(drop).unwrap_err(),
            sessions
                .select_tenant(&token, "t")
                .await
                .map(drop)
                .unwrap_err(),
            sessions.logout(&token).await.unwrap_err(),
            (update.send().await).map(drop).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.to_string(), words);
            assert!(error.is_unauthorized(), "{error:?}");
        }
    }
    assert_eq!(socket.requests().len(), 0);
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
    // Bound but not listening: no other program gets the port in the meantime.
    let closed = tokio::net::TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
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
        words(&error),
        "the service could not be reached; nothing was sent"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn no_call_outlives_its_time() {
    let half_closed =
        Reply::BytesThenHang(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec());
    for reply in [
        Reply::Hang,
        half_closed,
        Reply::Drip(Duration::from_millis(20)),
    ] {
        for read in [false, true] {
            with_a_limit_that_fits(async |limit| {
                let socket = Socket::start(vec![reply.clone()]).await;
                let client = socket.builder().timeout(limit).build().unwrap();
                // That it ends is the test: the socket would go on for ever.
                let error = if read {
                    let me = client.raw().me(&RefreshToken::new("r"));
                    me.send().await.unwrap_err()
                } else {
                    send(&client).await
                };
                let is_well = error.is_timeout() && error.is_retryable();
                assert!(is_well, "{reply:?}: {error:?}");
                if error.is_connect() {
                    return None;
                }
                let expected = format!("the call timed out after {limit:?}");
                assert_eq!(words(&error), expected);
                Some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn only_reads_are_repeated() {
    let quick = RetryPolicy::new().initial_backoff(Duration::from_millis(1));
    for status in [502, 503, 504] {
        let busy = Reply::json(status, "");
        let socket = Socket::start(vec![busy.clone(), busy.clone(), Reply::json(200, "{}")]).await;
        let client = socket.builder().retry(quick).build().unwrap();
        client
            .raw()
            .me(&RefreshToken::new("r"))
            .send()
            .await
            .unwrap();
        assert_eq!(socket.requests().len(), 3, "a read is tried three times");

        let socket = Socket::start(vec![busy]).await;
        let client = socket.builder().retry(quick).build().unwrap();
        let error = client
            .magic_link()
            .verify_unchecked(&MagicLinkToken::new("t"))
            .await
            .unwrap_err();
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(
            socket.requests().len(),
            1,
            "a link's token is good for one use"
        );
    }

    let socket = Socket::start(vec![Reply::Close, Reply::json(200, "{}")]).await;
    let client = socket.builder().retry(quick).build().unwrap();
    client
        .raw()
        .me(&RefreshToken::new("r"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        socket.requests().len(),
        2,
        "a read is repeated when the connection broke"
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
    refused!(
        magic.sign_in(Email, "  ").send(),
        "the argument login_id must not be empty"
    );
    refused!(
        magic.sign_up_or_in(Sms, "").send(),
        "the argument login_id must not be empty"
    );
    refused!(
        magic.sign_in(Email, "joe\u{200b}@example.com").send(),
        "the argument login_id has a character that cannot be seen, such as a zero-width space; type it anew"
    );
    refused!(
        magic.sign_up(Email, "joe").send(),
        "the argument login_id or user.email must be an email address, such as joe@example.com"
    );
    refused!(
        magic.sign_up(Sms, "joe@example.com").send(),
        "the argument login_id or user.phone must be a phone number, such as +15555555555"
    );
    refused!(
        magic
            .sign_up(Email, "joe@example.com")
            .user(SignUpUser::new().phone("5"))
            .send(),
        "the argument user.phone must be a phone number, such as +15555555555"
    );
    refused!(
        magic.update_email(&refresh, "nonsense").send(),
        "the argument email must be an email address, such as joe@example.com"
    );
    refused!(
        magic.update_phone(&refresh, PhoneDelivery::Sms, "5").send(),
        "the argument phone must be a phone number, such as +15555555555"
    );
    refused!(
        magic
            .sign_in(Email, "joe")
            .revoke_other_sessions_of_types(Vec::<String>::new())
            .send(),
        "the argument revoke_other_sessions_of_types must name one type at least; \
         revoke_other_sessions is for all of them"
    );
    refused!(
        magic.sign_in(Email, "joe").redirect_url("/verify").send(),
        "the argument redirect_url must be an absolute URL, such as https://app.example.com/verify"
    );
    refused!(
        magic
            .update_email(&refresh, "joe@example.com")
            .redirect_url("https://app.example.com/verify?t=1")
            .send(),
        "the argument redirect_url must not have a parameter `t`: that is the token's"
    );
    let management = socket.client().management_with("k");
    refused!(
        management.create_test_user(TestUser::new("joe").phone("5")),
        "the argument phone must be a phone number, such as +15555555555"
    );
    refused!(
        management
            .test_magic_link(Email, "joe")
            .revoke_other_sessions_of_types([""])
            .send(),
        "the argument revoke_other_sessions_of_types must name one type at least; \
         revoke_other_sessions is for all of them"
    );
    refused!(
        management
            .test_magic_link(Email, "joe")
            .redirect_url("https://app.example.com/#/x")
            .send(),
        "the argument redirect_url must not have a fragment (`#`): the token would be behind it, \
         where no server sees it"
    );
    for text in ["\u{200b}joe", " "] {
        let errors = [
            management.user(text).await.map(drop),
            management.delete_user(text).await,
            management.logout_user(text).await,
            management.embedded_sign_in(text).send().await.map(drop),
            management.embedded_sign_up(text).send().await.map(drop),
            management
                .create_test_user(TestUser::new("joe").additional_login_id(text))
                .await
                .map(drop),
        ];
        for error in errors {
            assert!(matches!(error, Err(Error::InvalidArgument(_))), "{error:?}");
        }
    }
    refused!(
        magic.verify(&MagicLinkToken::new(" ")),
        "the argument token must not be empty"
    );
    assert_eq!(socket.requests().len(), 0);

    // The address may be in the profile, so that the login id can be any name.
    let user = SignUpUser::new().email("joe@example.com");
    magic.sign_up(Email, "joe").user(user).send().await.unwrap();
}

/// A space that was copied along, in every argument that is an address or a login id.
#[tokio::test]
async fn addresses_are_trimmed_by_every_operation() {
    const RESPONSE: &str = r#"{"token":"t","link":"https://x/?t=1","user":{"userId":"U1"}}"#;
    let socket = Socket::start(vec![Reply::json(200, RESPONSE)]).await;
    let (magic, management) = (
        socket.client().magic_link(),
        socket.client().management_with("k"),
    );
    use DeliveryMethod::{Email, Sms};
    let refresh = RefreshToken::new("r");
    let (joe, phone) = (" joe@example.com\n", "\u{a0}+1 555 555 5555 ");
    let user = || {
        SignUpUser::new()
            .email(joe)
            .phone(phone)
            .recovery_email(joe)
            .recovery_phone(phone)
    };
    let test_user = TestUser::new(joe)
        .email(joe)
        .phone(phone)
        .additional_login_id(joe);
    magic.sign_up(Email, joe).send().await.unwrap();
    magic.sign_up(Sms, phone).user(user()).send().await.unwrap();
    magic
        .sign_in(Email, joe)
        .redirect_url(" https://app.example.com/ ")
        .send()
        .await
        .unwrap();
    magic.sign_up_or_in(Email, joe).send().await.unwrap();
    magic
        .update_email(&refresh, joe)
        .login_id(joe)
        .send()
        .await
        .unwrap();
    magic
        .update_phone(&refresh, PhoneDelivery::Sms, phone)
        .login_id(joe)
        .send()
        .await
        .unwrap();
    management.create_test_user(test_user).await.unwrap();
    management.test_magic_link(Email, joe).send().await.unwrap();
    management.embedded_sign_in(joe).send().await.unwrap();
    management
        .embedded_sign_up(joe)
        .user(user())
        .send()
        .await
        .unwrap();
    management.user(joe).await.unwrap();
    management.delete_user(joe).await.unwrap();
    management.logout_user(joe).await.unwrap();
    let requests = socket.requests();
    let calls = requests
        .iter()
        .filter(|request| !request.head.contains("/license "));
    assert_eq!(calls.count(), 13);
    for request in requests {
        let target = request.head.split(' ').nth(1).unwrap();
        let text = format!("{target}{}", request.body);
        for trace in [
            "joe@example.com\\n",
            "com ",
            "\" ",
            " \"",
            "com%0A",
            "\u{a0}",
            "%20",
        ] {
            assert!(!text.contains(trace), "{trace:?} in {text}");
        }
    }
}

#[tokio::test]
async fn an_empty_address_of_a_profile_is_none() {
    let socket = Socket::start(vec![Reply::json(200, "{}")]).await;
    let user: SignUpUser = serde_json::from_str(r#"{"email":"","phone":" ","name":""}"#).unwrap();
    let magic = socket.client().magic_link();
    let sign_up = magic.sign_up(DeliveryMethod::Email, "joe@example.com");
    sign_up.user(user).send().await.unwrap();
    let body: serde_json::Value = serde_json::from_str(&socket.requests()[0].body).unwrap();
    let user = serde_json::json!({"email": "joe@example.com", "name": ""});
    assert_eq!(body["user"], user);
}

#[test]
fn tokens_are_read_from_links_as_people_pass_them_on() {
    let token = "8f3c0a1b2c3d4e5f8f3c0a1b2c3d4e5f8f3c0a1b2c3d4e5f8f3c0a1b2c3d4e5f";
    for link in [
        "https://app.example.com/verify?t=[t]",
        "/verify?t=[t]",
        "?t=[t]",
        "https://app.example.com/verify?lang=en&amp;t=[t]",
        "https://app.example.com/verify?t=[t]&t=[t]",
        "https://app.example.com/verify?t=[t]&amp;t=other",
        "https://app.example.com/verify?descope-login-flow=a%7C%23%7Cb.end-c&t=[t]&code=1a2b3c4d",
        "https://app.example.com/verify?next=https%3A%2F%2Fapp.example.com&t=[t]#top",
        " https://app.example.com/verify?t=[t]\n",
    ] {
        let found = MagicLinkToken::from_url(link.replace("[t]", token));
        assert_eq!(found.unwrap().expose_secret(), token, "{link}");
    }
    let wrapped = "is a link that a mail filter has wrapped";
    let no_token = "is not a token";
    for (link, words) in [
        ("https://app.example.com/verify", "has no parameter `t`"),
        (
            "https://app.example.com/verify#t=[t]",
            "has no parameter `t`",
        ),
        (
            "https://app.example.com/verify?t=",
            "has an empty parameter `t`",
        ),
        (
            "https://app.example.com/verify?t=[t]&t=other",
            "more than one parameter `t`",
        ),
        ("https://app.example.com/verify?t=[t]>", no_token),
        ("https://app.example.com/verify?t=[t])", no_token),
        ("https://app.example.com/verify?t=[t].", no_token),
        ("https://app.example.com/verify?t=[t],", no_token),
        ("https://app.example.com/verify?t=[t]\"", no_token),
        ("https://app.example.com/verify?t=[t]%20and", no_token),
        ("https://app.example.com/verify?t=[t]%0d%0a", no_token),
        ("https://app.example.com/verify?t=[t]%E2%80%8B", no_token),
        (
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fapp.example.com%2Fverify%3Ft%3D[t]&data=05&sdata=x&reserved=0",
            wrapped,
        ),
        (
            "https://urldefense.com/v3/__https://app.example.com/verify?t=[t]__;!!NLFGqXoFfo8MMQ!x$",
            wrapped,
        ),
        (
            "https://urldefense.proofpoint.com/v2/url?u=https-3A__app.example.com_verify-3Ft-3D[t]&d=x&c=y",
            wrapped,
        ),
        (
            "https://www.google.com/url?q=https://app.example.com/verify?t=[t]&sa=D",
            wrapped,
        ),
    ] {
        let error = MagicLinkToken::from_url(link.replace("[t]", token)).unwrap_err();
        let text = error.to_string();
        assert!(
            matches!(error, Error::InvalidArgument(_)),
            "{link}: {error:?}"
        );
        assert!(text.contains(words), "{link}: {text}");
        assert!(!text.contains(token), "{link}: {text}");
    }
}

#[test]
#[cfg_attr(
    not(any(feature = "rustls", feature = "native-tls")),
    ignore = "makes clients for https"
)]
fn a_wrong_configuration_is_named() {
    let build = |builder: descope_magiclink::ClientBuilder| builder.build().unwrap_err();
    assert!(matches!(
        build(Client::builder("")),
        Error::Config(ConfigError::MissingProjectId)
    ));
    // What a `main` prints that returns the error.
    let shown = format!("{:?}", build(Client::builder("")));
    assert!(shown.contains("set DESCOPE_PROJECT_ID"), "{shown}");
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
        assert!(error.contains("setting auth_management_key"), "{error}");
        let error = build(Client::builder(PROJECT).management_key(key)).to_string();
        assert!(error.contains("setting management_key"), "{error}");
    }
    let client = Client::builder(PROJECT).build().unwrap();
    let error = client.management().unwrap_err();
    assert!(matches!(
        error,
        Error::Config(ConfigError::MissingManagementKey)
    ));
    assert!(
        error.to_string().contains("DESCOPE_MANAGEMENT_KEY"),
        "{error}"
    );
    let error = build(Client::builder(PROJECT).refresh_cookie_name("D;R")).to_string();
    assert!(error.contains("refresh_cookie_name"), "{error}");
}

#[test]
fn codes_keep_their_text() {
    for text in ["E011001", "E062107", "E130429", "E000000", ""] {
        assert_eq!(ErrorCode::from(text).to_string(), text);
    }
}

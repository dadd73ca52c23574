//! What the service may send, and the crate must read: missing, null, unknown, and both ways where
//! the facts leave it open.

use std::time::{Duration, SystemTime};

use crate::support::{Reply, Socket};
use descope_magiclink::raw::types;
use descope_magiclink::session::UncheckedAuthentication;
use descope_magiclink::{DeliveryMethod, Error, MagicLinkToken, RefreshToken};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

async fn verify(reply: Reply) -> descope_magiclink::Result<UncheckedAuthentication> {
    let socket = Socket::start(vec![reply]).await;
    socket
        .client()
        .magic_link()
        .verify_unchecked(&MagicLinkToken::new("t"))
        .await
}

#[tokio::test]
async fn fields_may_be_missing_null_or_unknown() {
    let every_field_null = json!({
        "sessionJwt": "s", "refreshJwt": "r", "cookieDomain": null, "cookiePath": null, "cookieMaxAge": null,
        "cookieExpiration": null, "firstSeen": null, "idpResponse": null, "sessionExpiration": null,
        "externalToken": null, "claims": null, "tenantSSOID": null, "nextRefreshSeconds": null,
        "user": {
            "loginIds": null, "userId": null, "name": null, "roleNames": null, "userTenants": null,
            "externalIds": null, "customAttributes": null, "createdTime": null, "TOTP": null, "OAuth": null,
            "ssoAppIds": null, "permissions": null, "test": null
        }
    });
    let auth = verify(Reply::json(200, &every_field_null.to_string()))
        .await
        .unwrap();
    let user = auth.user.unwrap();
    assert_eq!(
        (user.user_id(), user.name(), user.login_ids().len()),
        (None, None, 0)
    );
    assert_eq!(auth.first_seen, None);

    let unknown = json!({
        "sessionJwt": "s", "refreshJwt": "r", "novelty": [1],
        "user": {
            "userId": "U1", "status": "hibernating", "novelty": { "a": 1 }, "createdTime": 1766912198,
            "customAttributes": { "n": 1, "b": true, "l": [1], "s": "x" },
            "userTenants": [{ "tenantId": "t1", "roleNames": ["a"], "novelty": 1 }]
        },
        "cookieMaxAge": 2419199, "cookieExpiration": 1769331398, "cookieDomain": "", "cookiePath": "/"
    });
    let auth = verify(Reply::json(200, &unknown.to_string()))
        .await
        .unwrap();
    let user = auth.user.unwrap();
    assert_eq!(user.status(), Some("hibernating"));
    assert_eq!(user.to_json()["novelty"]["a"], 1);
    assert_eq!(
        user.created_at(),
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_766_912_198))
    );
    let tenant = user.tenants().next().unwrap();
    assert_eq!((tenant.id(), tenant.role_names().len()), ("t1", 1));
    assert_eq!(
        auth.tokens.cookies.max_age,
        Some(Duration::from_secs(2_419_199))
    );
    assert_eq!(
        (
            auth.tokens.cookies.domain,
            auth.tokens.cookies.path.as_deref()
        ),
        (None, Some("/"))
    );
}

#[tokio::test]
async fn tokens_come_from_the_body_or_from_cookies() {
    let cookies = |body: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        Reply::with_headers(200, &all, body)
    };
    type Case = (
        &'static str,
        &'static [(&'static str, &'static str)],
        &'static str,
        &'static str,
    );
    let cases: &[Case] = &[
        (r#"{"sessionJwt":"s","refreshJwt":"r"}"#, &[], "s", "r"),
        (
            r#"{"sessionJwt":"","refreshJwt":""}"#,
            &[
                (
                    "set-cookie",
                    "DS=cs; Path=/; Expires=Fri, 01 Jan 2027 00:00:00 GMT; HttpOnly",
                ),
                (
                    "set-cookie",
                    "DSR=cr; Path=/; Domain=api.descope.com; SameSite=None",
                ),
            ],
            "cs",
            "cr",
        ),
        (
            r#"{"cookieName":"R2","sessionCookieName":"S2"}"#,
            &[
                ("set-cookie", "S2=cs"),
                ("set-cookie", "R2=cr"),
                ("set-cookie", "DSR=other"),
            ],
            "cs",
            "cr",
        ),
        (
            "{}",
            &[
                ("set-cookie", "DS=old"),
                ("set-cookie", "DS=new"),
                ("set-cookie", "DSR=\"cr\""),
            ],
            "new",
            "cr",
        ),
    ];
    for (body, headers, session, refresh) in cases {
        let auth = verify(cookies(body, headers)).await.unwrap();
        assert_eq!(auth.tokens.session.expose_secret(), *session, "{body}");
        assert_eq!(
            auth.tokens.refresh_token().unwrap().expose_secret(),
            *refresh,
            "{body}"
        );
        assert!(auth.tokens.rotated);
    }
    let no_cookie = &[("set-cookie", "DSR=; Max-Age=0")];
    for body in ["{}", r#"{"refreshJwt":"r"}"#, ""] {
        let error = verify(cookies(body, no_cookie)).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{error:?}");
        assert!(
            error.to_string().contains("has no session token"),
            "{error}"
        );
    }
    let auth = verify(Reply::json(202, r#"{"sessionJwt":"s"}"#)).await;
    let auth = auth.unwrap();
    assert_eq!(auth.tokens.session.expose_secret(), "s");
    assert!(!auth.tokens.rotated);
    let error = auth.tokens.refresh_token().unwrap_err();
    assert!(
        error.to_string().contains("has no refresh token"),
        "{error}"
    );
    assert_eq!(error.status().unwrap().as_u16(), 202);
}

#[tokio::test]
async fn a_masked_address_may_be_missing() {
    for (body, masked) in [
        ("{}", ""),
        (r#"{"maskedEmail":null}"#, ""),
        (r#"{"maskedEmail":"j*"}"#, "j*"),
    ] {
        let socket = Socket::start(vec![Reply::json(200, body)]).await;
        let sent = socket
            .client()
            .magic_link()
            .sign_in(DeliveryMethod::Email, "joe")
            .send()
            .await
            .unwrap();
        assert_eq!(sent.masked_address().as_str(), masked);
        assert_eq!(sent.masked_address().to_string(), masked);
    }
}

#[tokio::test]
async fn lists_and_free_objects_are_read_as_the_service_sends_them() {
    let history = json!([{ "userId": "U1", "loginTime": 1, "city": null, "novelty": 1 }, {}]);
    let socket = Socket::start(vec![
        Reply::json(200, &history.to_string()),
        Reply::json(200, r#"{"sub":"U1","exp":1,"drn":"DS"}"#),
        Reply::json(
            200,
            r#"{"keys":[{"kid":"a","kty":"RSA"},{"kid":"b","crv":"P-256","novelty":1}]}"#,
        ),
    ])
    .await;
    let client = socket.client();
    let refresh = RefreshToken::new("r");
    let history = client.raw().history(&refresh).send().await.unwrap();
    assert_eq!(history.len(), 2);
    let body = types::ValidateSessionRequest::default();
    let claims = client
        .raw()
        .validate_session(&"s".into(), &body)
        .send()
        .await
        .unwrap()
        .into_inner();
    assert_eq!(serde_json::to_value(claims).unwrap()["drn"], "DS");
    let keys = client.raw().keys().send().await.unwrap();
    assert_eq!(keys.keys.as_ref().unwrap().len(), 2);
}

/// The members that responses of the service were seen to have, with their kinds of value.
fn recorded() -> Value {
    json!({
        "sessionJwt": "session-token", "refreshJwt": "refresh-token", "cookieDomain": "", "cookiePath": "/",
        "cookieMaxAge": 2_419_199, "cookieExpiration": 1_769_331_398, "firstSeen": false,
        "sessionExpiration": 1_766_912_798,
        "user": {
            "loginIds": ["joe@example.com"], "userId": "U2aAc4T2V93bddihGEx2Ryhc8e5Z", "name": "Joe Person",
            "email": "joe@example.com", "phone": "", "verifiedEmail": true, "verifiedPhone": false,
            "roleNames": [], "userTenants": [], "status": "enabled", "externalIds": ["joe@example.com"],
            "picture": "", "test": false, "customAttributes": {}, "createdTime": 1_766_912_198, "TOTP": false,
            "SAML": false, "OAuth": {}, "webauthn": false, "password": false, "ssoAppIds": [], "givenName": "",
            "middleName": "", "familyName": "", "SCIM": false
        }
    })
}

#[tokio::test]
async fn a_recorded_response_is_handed_on_as_it_came() {
    let auth = verify(Reply::json(200, &recorded().to_string()))
        .await
        .unwrap();
    assert_eq!(auth.user.unwrap().to_json(), recorded()["user"]);
}

/// What a service of another day, or a gateway, may put in the place of a value.
const ODD: &[&[u8]] = &[
    b"null",
    b"true",
    b"0",
    b"\"\"",
    b"\"1766912198\"",
    b"4102444800",
    b"99999999999999999999999",
    b"-1e400",
    b"1.5",
    b"[]",
    b"{}",
    b"[null]",
    b"[{\"a\": [null]}, 1]",
    b"{\"a\": null}",
    b"\"\\ud800\"",
    b"\"\\udc00\\ud83d\"",
    b"\"\xff\xc3\"",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
];

/// One change of a recorded response that leaves its tokens alone.
#[derive(Clone, Debug)]
enum Change {
    /// Another value for a member at the top, or of the user.
    Replace(bool, usize, usize),
    /// The member stands there before, with another value.
    Twice(bool, usize, usize),
    Remove(bool, usize),
    Add(bool, usize),
    ByteOrderMark,
    Indent,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let (member, odd) = (0..64_usize, 0..ODD.len());
    let change = prop_oneof![
        6 => (any::<bool>(), member.clone(), odd.clone()).prop_map(|(of, at, by)| Change::Replace(of, at, by)),
        3 => (any::<bool>(), member.clone(), odd.clone()).prop_map(|(of, at, by)| Change::Twice(of, at, by)),
        2 => (any::<bool>(), member).prop_map(|(of, at)| Change::Remove(of, at)),
        2 => (any::<bool>(), odd).prop_map(|(of, by)| Change::Add(of, by)),
        1 => Just(Change::ByteOrderMark),
        1 => Just(Change::Indent),
    ];
    proptest::collection::vec(change, 1..5)
}

fn changed(changes: &[Change]) -> Vec<u8> {
    let mut response = recorded();
    let (mut mark, mut indent) = (false, false);
    let mut twice = Vec::new();
    for change in changes {
        let placeholder = |by: usize| json!(format!("@{by}@"));
        let of_user = match change {
            Change::Replace(of, ..)
            | Change::Twice(of, ..)
            | Change::Remove(of, _)
            | Change::Add(of, _) => *of,
            _ => false,
        };
        // A change before may have taken the user away.
        let is_user = of_user && response["user"].is_object();
        let members = match is_user {
            true => response["user"].as_object_mut().unwrap(),
            false => response.as_object_mut().unwrap(),
        };
        let names: Vec<String> = members
            .keys()
            .filter(|name| !name.ends_with("Jwt"))
            .cloned()
            .collect();
        let name = |at: usize| names.get(at % names.len().max(1)).cloned();
        match *change {
            Change::Replace(_, at, by) => {
                drop(name(at).map(|name| members.insert(name, placeholder(by))))
            }
            Change::Twice(_, at, by) => twice.extend(name(at).map(|name| (name, by))),
            Change::Remove(_, at) => drop(name(at).map(|name| members.remove(&name))),
            Change::Add(_, by) => drop(members.insert(format!("novelty{by}"), placeholder(by))),
            Change::ByteOrderMark => mark = true,
            Change::Indent => indent = true,
        }
    }
    let mut text = match indent {
        true => serde_json::to_string_pretty(&response).unwrap(),
        false => response.to_string(),
    };
    for (name, by) in twice {
        text = text.replacen(
            &format!("\"{name}\":"),
            &format!("\"{name}\":\"@{by}@\",\"{name}\":"),
            1,
        );
    }
    let mut body = if mark {
        b"\xef\xbb\xbf".to_vec()
    } else {
        Vec::new()
    };
    for (index, part) in text.split("\"@").enumerate() {
        let rest = match part.split_once("@\"").filter(|_| index > 0) {
            Some((by, rest)) => {
                body.extend_from_slice(ODD[by.parse::<usize>().unwrap()]);
                rest
            }
            None => part,
        };
        body.extend_from_slice(rest.as_bytes());
    }
    body
}

/// A response with status, headers and a body of bytes.
fn reply(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let Reply::Bytes(mut bytes) = Reply::with_headers(status, headers, &"x".repeat(body.len()))
    else {
        panic!("a reply is bytes");
    };
    let head = bytes.len() - body.len();
    bytes.truncate(head);
    bytes.extend_from_slice(body);
    Reply::Bytes(bytes)
}

#[test]
fn no_harmless_change_of_a_response_costs_a_token() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let config = Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    };
    let outcome = TestRunner::new(config).run(&(changes(), 0..6_usize), |(changes, status)| {
        let status = [200, 201, 202, 203, 206, 299][status];
        let body = changed(&changes);
        let auth = runtime.block_on(async {
            let socket = Socket::start(vec![reply(status, &[], &body)]).await;
            let client = socket.builder().http_client(http.clone()).build().unwrap();
            let token = MagicLinkToken::new("t");
            client.magic_link().verify_unchecked(&token).await
        });
        let auth = auth.map_err(|error| {
            TestCaseError::fail(format!("{error} in {}", String::from_utf8_lossy(&body)))
        })?;
        prop_assert_eq!(auth.tokens.session.expose_secret(), "session-token");
        prop_assert_eq!(
            auth.tokens.refresh_token().unwrap().expose_secret(),
            "refresh-token"
        );
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Bodies of a success that nobody can read as a session.
fn unreadable() -> Vec<(Reply, &'static str)> {
    let cookies: &[(&str, &str)] = &[
        ("set-cookie", "DS=cs; Path=/"),
        ("set-cookie", "DSR=cr; Path=/"),
    ];
    let encoded: &[(&str, &str)] = &[cookies[0], cookies[1], ("content-encoding", "gzip")];
    let cut = "HTTP/1.1 200 OK\r\nset-cookie: DS=cs\r\nset-cookie: DSR=cr\r\ncontent-length: 900\r\n\r\n{\"sess";
    vec![
        (reply(200, cookies, b""), "it is empty"),
        (reply(204, cookies, b""), "it is empty"),
        (
            reply(202, cookies, b"<html>ok</html>"),
            "the text is not JSON (line 1, column 1)",
        ),
        (reply(200, cookies, b"[]"), "it is a list and not an object"),
        (
            reply(200, cookies, b"\"ok\""),
            "it is a string and not an object",
        ),
        (reply(200, cookies, b"null"), "it is null and not an object"),
        (
            reply(200, cookies, b"{\"sessionJwt\":"),
            "the text ends too early",
        ),
        (
            reply(200, encoded, b"\x1f\x8b\x08\0\0"),
            "content-encoding: gzip",
        ),
        (
            reply(200, cookies, &vec![b' '; 2 * 1024 * 1024]),
            "larger than the 1048576 bytes",
        ),
        (
            Reply::Bytes(cut.into()),
            "failed while the response was arriving",
        ),
    ]
}

#[tokio::test]
async fn whatever_the_body_is_the_tokens_in_cookies_count() {
    for (reply, says) in unreadable() {
        let auth = verify(reply.clone())
            .await
            .unwrap_or_else(|error| panic!("{error} for {says}"));
        assert_eq!(auth.tokens.session.expose_secret(), "cs", "{says}");
        assert_eq!(
            auth.tokens.refresh_token().unwrap().expose_secret(),
            "cr",
            "{says}"
        );

        // One layer below, the reason can be read.
        let socket = Socket::start(vec![reply]).await;
        let body = types::VerifyMagicLinkRequest::default();
        let response = socket
            .client()
            .raw()
            .verify_magic_link(&body)
            .send()
            .await
            .unwrap();
        let problem = response.body_error().unwrap().to_string();
        assert!(problem.contains(says), "{problem}");
        assert!(response.session_jwt.is_none());
    }
}

#[tokio::test]
async fn an_encoded_body_is_said_to_come_from_a_proxy() {
    let encoded = |name: &str| reply(200, &[("content-encoding", name)], b"\x1f\x8b\x08\0\0");
    let socket = Socket::start(vec![encoded("br")]).await;
    let error = socket
        .client()
        .sessions()
        .me(&RefreshToken::new("r"))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "me: the service's 200 response could not be read: it is encoded (content-encoding: br) although no encoding \
         was asked for; a proxy on the way is the likely cause"
    );
    // What is readable is read, whatever the header says; and what is no name of an encoding is not repeated.
    let plain = reply(200, &[("content-encoding", "gzip")], b"{\"userId\":\"U1\"}");
    let socket = Socket::start(vec![plain, encoded("eyJhbGciOiJSUzI1NiIsImtpZCI6IlNLM")]).await;
    let (client, token) = (socket.client(), RefreshToken::new("r"));
    assert_eq!(
        client.sessions().me(&token).await.unwrap().user_id(),
        Some("U1")
    );
    let error = client.sessions().me(&token).await.unwrap_err().to_string();
    assert!(error.contains("content-encoding: unknown"), "{error}");
}

/// Nothing in the body can make a failure of a call that has no result.
#[tokio::test]
async fn a_call_without_a_result_reads_no_body() {
    let mut replies: Vec<Reply> = unreadable().into_iter().map(|(reply, _)| reply).collect();
    replies.push(Reply::BytesThenHang(
        b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{".to_vec(),
    ));
    replies.push(reply(200, &[], b"{}"));
    for reply in replies {
        let socket = Socket::start(vec![reply.clone()]).await;
        let (client, token) = (socket.client(), RefreshToken::new("r"));
        client.sessions().logout(&token).await.unwrap();
        let body = types::LogoutRequest::default();
        client
            .raw()
            .logout_all_devices(&token, &body)
            .send()
            .await
            .unwrap();
        let management = client.management_with("key");
        management.delete_user("joe").await.unwrap();
        management.logout_user("joe").await.unwrap();
        management.delete_all_test_users().await.unwrap();
        let requests = socket.requests();
        let calls = requests
            .iter()
            .filter(|request| !request.head.starts_with("GET /v1/mgmt/license"));
        assert_eq!(calls.count(), 5, "{reply:?}");
    }
}

/// The message is on its way, whatever the body says.
#[tokio::test]
async fn a_link_counts_as_sent_whatever_the_body_is() {
    for (reply, says) in unreadable() {
        let socket = Socket::start(vec![reply]).await;
        let magic_link = socket.client().magic_link();
        let sent = magic_link
            .sign_in(DeliveryMethod::Email, "joe")
            .send()
            .await;
        assert_eq!(sent.unwrap().masked_address().as_str(), "", "{says}");
    }
}

/// What an operation cannot do without is an error that names it.
#[tokio::test]
async fn what_a_call_cannot_do_without_is_named() {
    let refresh = RefreshToken::new("r");
    for (body, says) in [
        ("{}", "has no userId"),
        (r#"{"userId":7}"#, "has no userId"),
        ("", "could not be read: it is empty"),
        ("[]", "could not be read: it is a list and not an object"),
        ("<html>", "could not be read: the text is not JSON"),
    ] {
        let socket = Socket::start(vec![Reply::json(200, body)]).await;
        let error = socket.client().sessions().me(&refresh).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    for (body, says) in [
        (
            r#"{"tenants":[null]}"#,
            "has no list `tenants` that can be read",
        ),
        ("null", "it is null and not an object"),
    ] {
        let socket = Socket::start(vec![Reply::json(200, body)]).await;
        let sessions = socket.client().sessions();
        let error = sessions.my_tenants(&refresh, ["t1"]).await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_user_and_a_history_are_read_in_either_form() {
    let refresh = RefreshToken::new("r");
    for body in [
        r#"{"userId":"U1","name":"Joe"}"#,
        r#"{"user":{"userId":"U1","name":"Joe"}}"#,
    ] {
        let socket = Socket::start(vec![Reply::json(200, body)]).await;
        let user = socket.client().sessions().me(&refresh).await.unwrap();
        assert_eq!(
            (user.user_id(), user.name()),
            (Some("U1"), Some("Joe")),
            "{body}"
        );
    }
    for body in [
        r#"[{"ip":"1.2.3.4","loginTime":4102444800},{}]"#,
        r#"{"authHistory":[{"ip":"1.2.3.4","loginTime":4102444800},{}]}"#,
    ] {
        let socket = Socket::start(vec![Reply::json(200, body)]).await;
        let history = socket.client().sessions().history(&refresh).await.unwrap();
        assert_eq!(
            (history.len(), history[0].ip.as_deref()),
            (2, Some("1.2.3.4")),
            "{body}"
        );
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
        assert_eq!(history[0].at, Some(at));
    }
}

/// Times after 2038, and those that no calendar has.
#[tokio::test]
async fn times_outgrow_32_bits() {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for (seconds, expected) in [
        (4_102_444_800_i64, Some(at(4_102_444_800))),
        (253_402_300_799, Some(at(253_402_300_799))),
        (253_402_300_800, None),
        (i64::MAX, None),
        (0, None),
        (-1, None),
    ] {
        let body = json!({ "sessionJwt": "s", "refreshJwt": "r", "cookieExpiration": seconds, "cookieMaxAge": seconds,
            "sessionExpiration": seconds, "user": { "createdTime": seconds } });
        let auth = verify(Reply::json(200, &body.to_string())).await.unwrap();
        assert_eq!(auth.tokens.cookies.expires_at, expected, "{seconds}");
        assert_eq!(auth.tokens.session_expires_at, expected, "{seconds}");
        assert_eq!(auth.user.unwrap().created_at(), expected, "{seconds}");
    }
}

/// One event tells what was read leniently: the operation and the paths, and no value. A span stands for
/// each call.
#[cfg(feature = "tracing")]
mod events {
    use std::cell::RefCell;
    use std::fmt::Write;
    use std::sync::{Mutex, OnceLock};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};
    use tracing_core::span::Current;

    use crate::session::fixture::Fixture;

    use super::*;

    static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static SPANS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    /// Of each span the one around it.
    static PARENTS: Mutex<Vec<Option<Id>>> = Mutex::new(Vec::new());

    /// That of any span: nobody looks at it.
    static METADATA: OnceLock<&'static Metadata<'static>> = OnceLock::new();

    thread_local! {
        static ENTERED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) };
    }

    struct Collector;

    impl Subscriber for Collector {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("descope_magiclink")
        }

        fn new_span(&self, attributes: &Attributes<'_>) -> Id {
            METADATA.get_or_init(|| attributes.metadata());
            let mut text = Text::default();
            attributes.record(&mut text);
            let mut spans = SPANS.lock().unwrap();
            spans.push(format!("{}: {}", attributes.metadata().name(), text.0));
            let around = ENTERED.with_borrow(|entered| entered.last().cloned());
            let mut parents = PARENTS.lock().unwrap();
            parents.push(around);
            Id::from_u64(spans.len() as u64)
        }

        fn record(&self, id: &Id, values: &Record<'_>) {
            let mut text = Text::default();
            values.record(&mut text);
            let index = usize::try_from(id.into_u64()).unwrap() - 1;
            SPANS.lock().unwrap()[index].push_str(&text.0);
        }

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let mut text = Text::default();
            event.record(&mut text);
            EVENTS.lock().unwrap().push(text.0);
        }

        fn enter(&self, id: &Id) {
            ENTERED.with_borrow_mut(|entered| entered.push(id.clone()));
        }

        fn exit(&self, id: &Id) {
            ENTERED.with_borrow_mut(|entered| {
                let at = entered.iter().rposition(|other| other == id).unwrap();
                entered.remove(at);
            });
        }

        fn current_span(&self) -> Current {
            let innermost = ENTERED.with_borrow(|entered| entered.last().cloned());
            let of = METADATA.get().copied();
            innermost
                .zip(of)
                .map_or_else(Current::none, |(id, of)| Current::new(id, of))
        }
    }

    #[derive(Default)]
    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            write!(self.0, "{}={value:?};", field.name()).unwrap();
        }
    }

    /// A refresh and the fetch of keys are shared by callers, and made where no caller can stop them.
    async fn what_runs_in_a_task_of_its_own_stays_in_the_span() {
        let fixture = Fixture::new().await;
        let (_, refresh) = fixture.tokens();
        let client = fixture.another_client();
        let span = tracing::info_span!(target: "descope_magiclink::test", "request", id = 7);
        let refreshed = async { client.sessions().refresh(&refresh).await };
        tracing::Instrument::instrument(refreshed, span)
            .await
            .unwrap();
        let spans = SPANS.lock().unwrap().clone();
        let parents = PARENTS.lock().unwrap().clone();
        let request = spans
            .iter()
            .position(|span| span == "request: id=7;")
            .unwrap();
        for operation in ["keys", "refresh_session"] {
            let start = format!("call: operation=\"{operation}\"");
            let mut within = spans.iter().zip(&parents).filter(|(span, parent)| {
                let parent = parent
                    .as_ref()
                    .map(|id| usize::try_from(id.into_u64()).unwrap());
                span.starts_with(&start) && parent == Some(request + 1)
            });
            assert!(
                within.next().is_some(),
                "{operation}: {spans:#?} {parents:?}"
            );
        }
    }

    #[tokio::test]
    async fn leniency_is_told_by_paths_and_without_values() {
        tracing::subscriber::set_global_default(Collector).unwrap();
        let odd = json!({ "id": 1, "tenants": [{ "id": "t", "name": ["canary"], "customAttributes": "canary" }, { "id": {} }] });
        let socket = Socket::start(vec![Reply::json(200, &odd.to_string())]).await;
        let sessions = socket.client().sessions();
        sessions
            .my_tenants(&RefreshToken::new("r"), ["t"])
            .await
            .unwrap();
        let good = json!({ "user": { "userId": "U1", "name": null, "novelty": "canary" } });
        let socket = Socket::start(vec![Reply::json(200, &good.to_string())]).await;
        socket
            .client()
            .management_with("key")
            .user("joe")
            .await
            .unwrap();

        let bad = json!({ "errorCode": "E112102", "errorDescription": "canary" });
        let socket = Socket::start(vec![Reply::json(400, &bad.to_string())]).await;
        let found = socket.client().management_with("key").user("joe").await;
        found.unwrap_err();
        let spans = SPANS.lock().unwrap().clone();
        for expected in [
            r#"call: operation="my_tenants";attempts=1;status=200;"#,
            r#"call: operation="load_user";attempts=1;status=200;"#,
            r#"call: operation="load_user";attempts=1;code=E112102;status=400;"#,
        ] {
            assert!(spans.iter().any(|span| span == expected), "{spans:#?}");
        }
        assert!(!spans.concat().contains("canary"), "{spans:?}");
        what_runs_in_a_task_of_its_own_stays_in_the_span().await;

        let events = EVENTS.lock().unwrap().clone();
        let refreshed = "message=refreshed;user_id=\"U";
        assert!(
            events.iter().any(|event| event.starts_with(refreshed)),
            "{events:?}"
        );
        let told = |operation: &str| {
            let start = format!("message=response not as described;operation=\"{operation}\"");
            events
                .iter()
                .filter(|event| event.starts_with(&start))
                .cloned()
                .collect::<Vec<_>>()
        };
        let [event] = &told("my_tenants")[..] else {
            panic!("one event was expected: {events:?}");
        };
        let paths = r#"["tenants.0.customAttributes", "tenants.0.name", "tenants.1.id"]"#;
        assert!(event.contains(paths), "{event}");
        assert!(told("load_user").is_empty(), "{events:?}");
        assert!(!events.concat().contains("canary"), "{events:?}");
    }
}

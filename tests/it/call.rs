//! Calls below the facade, those that the description does not have among them, and what tests of dependants
//! can make.

use std::time::Duration;

use descope_magiclink::SessionValidator;
use descope_magiclink::raw::{ResponseValue, types};
use descope_magiclink::session::{KeyProblem, SessionError, TokenProblem};
use descope_magiclink::{
    ApiError, Client, Error, ErrorCode, ManagementKey, RefreshToken, RetryPolicy, SessionToken,
    Timeout, User,
};
use descope_magiclink_emulator::{Emulator, User as EmulatorUser};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::session::fixture::{Fixture, JOE};
use crate::session::key_server::{KeyResponse, KeyServer};
use crate::session::signing::{Key, LONG, PROJECT, session_claims};
use crate::support::{Reply, Socket};

const OTP: &str = "/v1/auth/otp/signin/email";

async fn otp(client: &Client) -> Result<ResponseValue<Value>, Error> {
    client
        .raw()
        .call("sign_in_otp_email", Method::POST, OTP)
        .json(&json!({ "loginId": JOE }))
        .send()
        .await
}

#[tokio::test]
async fn a_call_of_one_s_own_has_what_described_calls_have() {
    let ok = Reply::json(200, r#"{"maskedEmail":"j*"}"#);
    let socket = Socket::start(vec![ok.clone(), ok.clone(), ok]).await;
    let client = socket.client();
    assert_eq!(otp(&client).await.unwrap()["maskedEmail"], "j*");
    let sign_in = types::MagicLinkSignInRequest::default();
    let raw = client.raw();
    let described = raw.sign_in_magic_link_email(&sign_in);
    described.send().await.unwrap();
    raw.call("any", Method::PUT, "/v1/any%2Fthing")
        .credential(&RefreshToken::new("refresh"))
        .query("a b", "1&2")
        .header(
            HeaderName::from_static("x-own"),
            HeaderValue::from_static("1"),
        )
        .header(
            reqwest::header::AUTHORIZATION,
            HeaderValue::from_static("mine"),
        )
        .send::<Value>()
        .await
        .unwrap();
    let requests = socket.requests();
    let described = &requests[1];
    for name in [
        "authorization",
        "x-descope-project-id",
        "x-descope-sdk-name",
        "user-agent",
        "accept",
        "content-type",
    ] {
        assert_eq!(requests[0].header(name), described.header(name), "{name}");
        assert!(described.header(name).is_some(), "{name}");
    }
    assert_eq!(requests[0].body, format!(r#"{{"loginId":"{JOE}"}}"#));
    assert!(
        requests[2]
            .head
            .starts_with("PUT /v1/any%2Fthing?a+b=1%262 HTTP/1.1")
    );
    let bearer = format!("Bearer {PROJECT}:refresh");
    assert_eq!(requests[2].header("authorization"), Some(&*bearer));
    assert_eq!(requests[2].header("x-own"), Some("1"));
}

#[tokio::test]
async fn what_is_optional_is_set_on_the_call() {
    let ok = Reply::json(200, "{}");
    let socket = Socket::start(vec![ok.clone(), ok.clone(), ok]).await;
    let client = socket.client();
    let (raw, refresh) = (client.raw(), RefreshToken::new("refresh"));
    let body = types::MagicLinkSignInRequest::default();
    let call = raw.sign_in_magic_link_email(&body).refresh_token(&refresh);
    assert!(format!("{call:?}").contains("sign_in_magic_link_email"));
    call.query("beta", true).send().await.unwrap();
    let call = raw.load_user(&ManagementKey::new("key")).user_id("U&1");
    let own = HeaderName::from_static("x-own");
    let own = call.header(own, HeaderValue::from_static("1"));
    own.send().await.unwrap();
    let requests = socket.requests();
    let bearer = format!("Bearer {PROJECT}:refresh");
    assert_eq!(requests[0].header("authorization"), Some(&*bearer));
    let path = "POST /v1/auth/magiclink/signin/email?beta=true HTTP/1.1";
    assert!(requests[0].head.starts_with(path));
    // Before the first management call comes the license handshake.
    let path = "GET /v1/mgmt/user?userId=U%261 HTTP/1.1";
    assert!(requests[2].head.starts_with(path), "{}", requests[2].head);
    assert_eq!(requests[2].header("x-own"), Some("1"));
    // A credential that cannot be sent is an error of the call, and not of the setter.
    let call = raw.sign_in_magic_link_email(&body);
    let error = call.refresh_token(&RefreshToken::new("")).send().await;
    assert!(matches!(error, Err(Error::Session(SessionError::Missing))));
}

/// What is not described yet travels in either direction, and goes on to when it is described.
#[tokio::test]
async fn members_that_are_not_described_are_sent_and_read() {
    let reply = Reply::json(
        200,
        r#"{"maskedEmail":"j*","maskedPhone":null,"attempt":2,"linkId":null,"list":[1,"a\ud800"]}"#,
    );
    let socket = Socket::start(vec![reply]).await;
    let client = socket.client();
    let user = types::SignUpUser::default()
        .name("Joe")
        .member("nickname", "Jo");
    let options = types::SignupLoginOptions::default()
        .custom_claims([("plan", "pro")])
        .template_options([("greeting", "hi")]);
    let body = types::MagicLinkSignUpEmailRequest::default()
        .login_id("other")
        .user(user.clone())
        .login_options(options)
        .member("loginId", JOE)
        .member("beta", json!([1, null]));
    let call = client.raw().sign_up_magic_link_email(&body);
    let response = call.send().await.unwrap();
    let sent = &socket.requests()[0].body;
    assert_eq!(
        serde_json::from_str::<Value>(sent).unwrap(),
        json!({
            "loginId": JOE,
            "user": { "name": "Joe", "nickname": "Jo" },
            "loginOptions": {
                "customClaims": { "plan": "pro" },
                "templateOptions": { "greeting": "hi" },
            },
            "beta": [1, null],
        })
    );
    assert_eq!(sent.matches("loginId").count(), 1, "{sent}");
    // Under one name, wherever it stands.
    assert_eq!(response.member("attempt"), Some(json!(2)));
    assert_eq!(response.member("maskedEmail"), Some(json!("j*")));
    assert_eq!(response.member("linkId"), Some(Value::Null));
    assert_eq!(response.member("nothing"), None);
    assert_eq!(
        response.json(),
        json!({
            "maskedEmail": "j*",
            "maskedPhone": null,
            "attempt": 2,
            "linkId": null,
            "list": [1, "a\u{fffd}"],
        })
    );
    // Values of one kind can be compared, secrets among them, and nothing is printed.
    assert_eq!(user, user.clone());
    assert_ne!(user, types::SignUpUser::default().name("Joe"));
    let token = |text: &str| types::VerifyMagicLinkRequest::default().token(text);
    assert!(token("a") == token("a") && token("a") != token("b") && token("a") != token("ab"));
    assert!(!format!("{user:?}").contains("Jo\""), "{user:?}");
}

#[tokio::test]
async fn the_application_can_name_itself() {
    let socket = Socket::start(vec![Reply::json(200, "{}")]).await;
    let client = socket.builder().app_info("my-app", "1.2.3+4").build();
    otp(&client.unwrap()).await.unwrap();
    let requests = socket.requests();
    let agent = requests[0].header("user-agent").unwrap();
    assert!(
        agent.starts_with("my-app/1.2.3+4 descope-magiclink/"),
        "{agent}"
    );
    for (name, version) in [("", "1"), ("my app", "1"), ("a", "1\r\nx: y"), ("a/b", "1")] {
        let error = socket.builder().app_info(name, version).build();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("app_info"), "{error}");
    }
}

#[tokio::test]
async fn its_errors_limits_and_repeats_are_those_of_described_calls() {
    let refusal = Reply::json(400, r#"{"errorCode":"E061001","errorDescription":"off"}"#);
    let socket = Socket::start(vec![
        refusal,
        Reply::json(200, "<html>"),
        Reply::json(200, &format!(r#""{}""#, "x".repeat(2 << 20))),
        Reply::json(503, "{}"),
        Reply::json(200, ""),
        Reply::with_headers(200, &[("content-encoding", "gzip")], "not json"),
        Reply::Hang,
    ])
    .await;
    let retry = RetryPolicy::new().initial_backoff(Duration::from_millis(1));
    let client = socket.builder().timeout(LONG).retry(retry).build().unwrap();
    let error = otp(&client).await.unwrap_err();
    assert_eq!(error.code(), Some(&ErrorCode::MethodDisabled));
    assert!(matches!(otp(&client).await.unwrap_err(), Error::Decode(_)));
    let Error::Transport(error) = otp(&client).await.unwrap_err() else {
        panic!("the body has no limit");
    };
    assert!(error.is_too_large());
    let read = client.raw().call("read", Method::GET, "/v1/read");
    read.send::<()>().await.unwrap();
    let requests = socket.requests().len();
    assert_eq!(requests, 5, "a read is made again, and nothing else");
    let error = otp(&client).await.unwrap_err();
    assert!(
        error.to_string().contains("content-encoding: gzip"),
        "{error}"
    );
    let hurried = client.with_timeout(Duration::from_millis(50));
    assert!(otp(&hurried).await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_before() {
    let client = Socket::start(Vec::new()).await.client();
    for path in [
        "",
        "v1",
        "//evil.example",
        "/a?b",
        "/a#b",
        "/a b",
        "/a/../b",
        "/%2E%2e/x",
        "/\\x",
    ] {
        let call = client.raw().call("any", Method::GET, path);
        let error = call.send::<Value>().await.unwrap_err();
        assert!(
            matches!(&error, Error::InvalidArgument(a) if a.name() == "path"),
            "{path}: {error}"
        );
    }
    let call = client.raw().call("any", Method::GET, "/a");
    let error = call.credential(&ManagementKey::new("")).send::<()>().await;
    assert!(matches!(error, Err(Error::InvalidArgument(_))));
    let map = std::collections::HashMap::from([((1, 2), 3)]);
    let call = client.raw().call("any", Method::POST, "/a").json(&map);
    assert!(matches!(
        call.send::<()>().await,
        Err(Error::InvalidArgument(_))
    ));
}

#[tokio::test]
async fn a_header_can_go_along_with_all_calls_of_a_derived_client() {
    let socket = Socket::start(vec![Reply::json(200, "{}"), Reply::json(200, "{}")]).await;
    let client = socket.client();
    let raw = client.raw().with_header(
        HeaderName::from_static("x-tenant"),
        HeaderValue::from_static("t1"),
    );
    let raw = raw.with_header(
        reqwest::header::AUTHORIZATION,
        HeaderValue::from_static("mine"),
    );
    let body = types::MagicLinkSignInRequest::default();
    for raw in [&raw, client.raw()] {
        let call = raw.sign_in_magic_link_email(&body);
        call.send().await.unwrap();
    }
    let requests = socket.requests();
    assert_eq!(requests[0].header("x-tenant"), Some("t1"));
    assert_eq!(requests[1].header("x-tenant"), None);
    assert_eq!(
        requests[0].header("authorization"),
        requests[1].header("authorization")
    );
}

#[tokio::test]
async fn a_sign_in_of_another_kind_is_accepted_by_the_same_rules() {
    let fixture = Fixture::new().await;
    let (session, refresh) = fixture.tokens();
    let mut body = types::JwtResponse::default();
    body.session_jwt = Some(session.clone());
    body.refresh_jwt = Some(refresh);
    let accept = async |body| {
        let response = ResponseValue::new(body, StatusCode::OK, HeaderMap::new());
        fixture.client.sessions().accept(response).await
    };
    let auth = accept(body).await.unwrap();
    assert_eq!(auth.tokens.session.expose_secret(), session.expose_secret());
    auth.tokens.refresh_token().unwrap();
    let mut forged = types::JwtResponse::default();
    forged.session_jwt = Some("a.b.c".into());
    assert!(matches!(accept(forged).await, Err(Error::Session(_))));
    let none = accept(types::JwtResponse::default()).await;
    assert!(matches!(none, Err(Error::Decode(_))));
}

#[test]
fn a_dependant_s_tests_can_make_what_they_match() {
    let refused = Error::from(ApiError::with_code(
        StatusCode::UNAUTHORIZED,
        ErrorCode::LoggedOut,
    ));
    assert!(refused.is_unauthorized() && !refused.is_retryable());
    let late = Error::from(Timeout::new(Duration::from_secs(1)));
    assert!(late.is_timeout() && late.is_retryable());
    let unavailable = SessionError::Unavailable(KeyProblem::Timeout.into());
    assert!(unavailable.is_unavailable());
    let user: User = serde_json::from_value(json!({ "userId": "U1", "novelty": [] })).unwrap();
    let again = User::from(user.as_ref().clone());
    assert_eq!(again.user_id(), Some("U1"));
    assert_eq!(again.to_json(), json!({ "userId": "U1", "novelty": [] }));
}

#[tokio::test]
async fn a_validator_alone_takes_what_its_fetches_need() {
    let key = Key::rsa("first");
    let server = KeyServer::start(KeyResponse::Raw(503, String::new(), String::new())).await;
    let mut headers = HeaderMap::new();
    headers.insert("x-own", HeaderValue::from_static("1"));
    let own = reqwest::Client::builder()
        .no_proxy()
        .default_headers(headers)
        .build()
        .unwrap();
    let validator = SessionValidator::builder(PROJECT)
        .base_url(server.url())
        .key_fetch_timeout(LONG)
        .http_client(own)
        .auth_management_key("auth-key")
        .retry(RetryPolicy::never())
        .build()
        .unwrap();
    let token = key.sign(&session_claims(std::time::SystemTime::now()));
    validator
        .validate(&token.as_str().into())
        .await
        .unwrap_err();
    assert_eq!(server.requests(), 1, "no repeat");
    let head = server.heads().remove(0).to_lowercase();
    assert!(head.contains("x-own: 1"), "{head}");
    assert!(head.contains(&format!(
        "authorization: bearer {}:auth-key",
        PROJECT.to_lowercase()
    )));
}

/// A unit test of a dependant: no socket, no client, and a rotation while the validator runs.
#[tokio::test]
async fn sessions_can_be_made_in_process() {
    let signer = Emulator::builder().user(EmulatorUser::new(JOE)).signer();
    let signer = signer.unwrap();
    let keys = || signer.keys().published().unwrap().to_string();
    let validator = SessionValidator::builder(signer.project_id()).key_set(keys());
    let validator = validator.token_cache_bytes(1 << 20).build().unwrap();
    let copy = validator.clone();
    let issue = || signer.tokens(JOE).claim("plan", "pro").issue().unwrap();
    let first = SessionToken::new(issue().session_jwt());
    let session = copy.validate(&first).await.unwrap();
    assert_eq!(session.claim("plan").unwrap(), "pro");
    let unknown =
        |error: SessionError| matches!(error, SessionError::Token(TokenProblem::UnknownKey));

    signer.keys().rotate_and_revoke().unwrap();
    let second = SessionToken::new(issue().session_jwt());
    assert!(unknown(copy.validate(&second).await.unwrap_err()));
    validator.replace_key_set(keys()).unwrap();
    copy.validate(&second).await.unwrap();
    let error = copy.validate(&first).await.unwrap_err();
    assert!(unknown(error), "a key that is gone serves no more");
    for bad in ["", "{}", r#"{"keys":[]}"#] {
        let error = validator.replace_key_set(bad).unwrap_err().to_string();
        assert!(error.contains("key_set"), "{error}");
    }
    copy.validate(&second).await.unwrap();

    let fetching = SessionValidator::builder(PROJECT).base_url("http://127.0.0.1:9");
    let fetching = fetching.build().unwrap();
    let error = fetching.replace_key_set(keys()).unwrap_err();
    assert!(error.to_string().contains("are fetched"), "{error}");
}

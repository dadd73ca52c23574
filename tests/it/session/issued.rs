//! Tokens in the service's response to our own call: none of them is lost, and whose word they are.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use descope_magiclink::session::{KeyProblem, SessionError, TokenProblem};
use descope_magiclink::{
    AccessKey, Authentication, Client, ClientBuilder, Clock, DeliveryMethod, Error, MagicLinkToken,
    ManualClock, RefreshToken, SessionToken, SystemClock,
};
use descope_magiclink::{Refreshed, Sessions};
use descope_magiclink_emulator::Fault;
use serde_json::{Value, json};

use super::fixture::{Fixture, JOE, tokens_of};
use super::key_server::{KeyResponse, KeyServer, date};
use super::signing::{
    Key, LONG, PROJECT, USER, key_set, merged, refresh_claims, session_claims,
    with_a_limit_that_fits,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const EVE: &str = "U3bBd5U3W04ceejiHFy3Szid9f6A";

/// A service that responds as told, and its key.
struct Service {
    server: KeyServer,
    key: Key,
    now: SystemTime,
}

impl Service {
    async fn new() -> Self {
        let key = Key::p256("k");
        let server = KeyServer::start(KeyResponse::Raw(404, String::new(), String::new())).await;
        server.respond_to("/v2/keys/", KeyResponse::Body(key_set(&[&key])));
        let now = SystemClock.now();
        Self { server, key, now }
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder(PROJECT)
            .base_url(self.server.url())
            .timeout(LONG)
            .connect_timeout(LONG)
            .session_validation(|validation| validation.key_fetch_timeout(LONG))
    }

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    fn session(&self, change: Value) -> String {
        self.key.sign(&merged(session_claims(self.now), change))
    }

    fn refresh(&self, change: Value) -> String {
        self.key.sign(&merged(refresh_claims(self.now), change))
    }

    fn refresh_token(&self) -> RefreshToken {
        RefreshToken::new(self.refresh(json!({})))
    }

    /// Responds to calls of a path with this body, and these header lines.
    fn respond(&self, path: &'static str, headers: &str, body: Value) {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        let response = KeyResponse::Raw(200, headers, body.to_string());
        self.server.respond_to(path, response);
    }

    fn issue(&self, path: &'static str, session: Value, refresh: Value) {
        let body = json!({
            "sessionJwt": self.session(session), "refreshJwt": self.refresh(refresh),
        });
        self.respond(path, "", body);
    }
}

async fn verify(client: &Client) -> Result<Authentication, Error> {
    let token = MagicLinkToken::new("t");
    client.magic_link().verify(&token).await
}

fn is_mix_up<T: std::fmt::Debug>(found: Result<T, Error>) -> bool {
    let error = found.unwrap_err();
    // To become a 503, and no cookie is touched.
    assert!(!error.is_unauthorized() && error.is_retryable(), "{error}");
    matches!(error, Error::Session(SessionError::UserMismatch))
}

#[tokio::test]
async fn tokens_of_another_user_sign_nobody_in() {
    let service = Service::new().await;
    let eve = || json!({ "sub": EVE });
    let ann = || json!({});
    let old = service.refresh_token();
    for (session, refresh) in [(eve(), eve()), (eve(), ann()), (ann(), eve())] {
        for path in ["/v1/auth/refresh", "/v1/auth/tenant/select"] {
            service.issue(path, session.clone(), refresh.clone());
        }
        let client = service.client();
        let sessions = client.sessions();
        let before = service.server.requests_of("/v1/auth/refresh");
        assert!(is_mix_up(sessions.refresh(&old).await));
        let found = sessions.validate_and_refresh(None, Some(&old)).await;
        assert!(is_mix_up(found));
        let asked = service.server.requests_of("/v1/auth/refresh") - before;
        assert_eq!(asked, 2, "nothing of the first response is remembered");
        assert!(is_mix_up(sessions.select_tenant(&old, "t1").await));
    }
    // A sign-in has no old token to compare with, but its two tokens must agree.
    service.issue("/v1/auth/magiclink/verify", eve(), ann());
    assert!(is_mix_up(verify(&service.client()).await));
    service.issue("/v1/auth/magiclink/verify", eve(), eve());
    assert_eq!(
        verify(&service.client()).await.unwrap().session.user_id(),
        EVE
    );
}

#[tokio::test]
async fn users_are_compared_by_the_ids_of_the_service_only() {
    let service = Service::new().await;
    let old = service.refresh_token();
    let cases = [
        // A template has replaced `sub`, and `dsub` tells the id.
        (
            json!({"sub": "ann@example.com", "dsub": USER}),
            json!({}),
            true,
        ),
        (
            json!({"sub": "ann@example.com", "dsub": EVE}),
            json!({}),
            false,
        ),
        // A template has replaced `sub`, and nothing tells the id.
        (json!({"sub": "ann@example.com"}), json!({}), true),
        (json!({"sub": "U-ann"}), json!({"sub": "7"}), true),
    ];
    for (session, refresh, same) in cases {
        service.issue("/v1/auth/refresh", session.clone(), refresh);
        let found = service.client().sessions().refresh(&old).await;
        assert_eq!(found.is_ok(), same, "{session}: {found:?}");
    }
}

#[tokio::test]
async fn a_project_without_refresh_tokens_signs_its_users_in() {
    let service = Service::new().await;
    let path = "/v1/auth/magiclink/verify";
    service.respond(path, "", json!({"sessionJwt": service.session(json!({}))}));
    let auth = verify(&service.client()).await.unwrap();
    assert_eq!(auth.session.user_id(), USER);
    assert_eq!(auth.tokens.refresh_expires_at, None);
    let error = auth.tokens.refresh_token().unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(
        error.to_string().contains("has no refresh token"),
        "{error}"
    );
    let unchecked = service.client().magic_link();
    let unchecked = unchecked.verify_unchecked(&MagicLinkToken::new("t")).await;
    assert!(unchecked.unwrap().tokens.refresh_token().is_err());
}

#[tokio::test]
async fn one_token_in_the_body_and_one_in_a_cookie() {
    let service = Service::new().await;
    let path = "/v1/auth/magiclink/verify";
    let (session, refresh) = (service.session(json!({})), service.refresh(json!({})));
    for (headers, body) in [
        (
            format!("Set-Cookie: DSR={refresh}; Path=/; HttpOnly\r\n"),
            json!({"sessionJwt": session, "refreshJwt": ""}),
        ),
        (
            format!("Set-Cookie: DS={session}; Path=/; HttpOnly\r\n"),
            json!({"refreshJwt": refresh}),
        ),
        (
            format!(
                "Set-Cookie: DS={session}; Expires=Fri, 01 Jan 2027 00:00:00 GMT, DSR={refresh}\r\n"
            ),
            json!({}),
        ),
    ] {
        service.respond(path, &headers, body);
        let auth = verify(&service.client()).await.unwrap();
        assert_eq!(auth.tokens.session.expose_secret(), session);
        assert_eq!(
            auth.tokens.refresh_token().unwrap().expose_secret(),
            refresh
        );
    }
}

#[tokio::test]
async fn cookie_names_in_a_response_count_for_its_tokens() {
    let service = Service::new().await;
    let named = |name: &str| json!({ "drn": name });
    let body = |session_name, refresh_name| {
        json!({
            "sessionJwt": service.session(named("SID")),
            "refreshJwt": service.refresh(named("RID")),
            "sessionCookieName": session_name, "cookieName": refresh_name,
        })
    };
    let path = "/v1/auth/magiclink/verify";
    service.respond(path, "", body("SID", "RID"));
    let client = service.client();
    let auth = verify(&client).await.unwrap();
    assert_eq!(auth.session.user_id(), USER);
    // What anybody may present is another matter.
    let error = client.sessions().validate(&auth.tokens.session).await;
    assert_eq!(
        problem(&error.unwrap_err()),
        Some(TokenProblem::WrongTokenType)
    );
    for (session_name, refresh_name) in [("RID", "SID"), ("", ""), ("SID", ""), ("", "RID")] {
        service.respond(path, "", body(session_name, refresh_name));
        let error = verify(&service.client()).await.unwrap_err();
        assert_eq!(problem(&error), Some(TokenProblem::WrongTokenType));
    }
}

fn problem(error: &Error) -> Option<TokenProblem> {
    match error {
        Error::Session(error) => error.token_problem(),
        _ => None,
    }
}

#[tokio::test]
async fn claims_of_a_remote_validation_have_times_as_numbers() {
    let service = Service::new().await;
    let claims = json!({
        "exp": "2023-12-13T01:07:21Z", "iat": "2023-12-13T00:57:21Z",
        "rexp": "2024-01-10T00:57:21Z", "drn": "DS", "iss": PROJECT, "sub": USER,
        "amr": ["email"], "nbf": null,
    });
    service.respond("/v1/auth/validate", "", claims);
    let client = service.client();
    let token = SessionToken::new(service.session(json!({})));
    let claims = client.sessions().validate_remote(&token).await.unwrap();
    assert_eq!(claims["exp"], 1_702_429_641);
    assert_eq!(claims["iat"], 1_702_429_041);
    assert_eq!(claims["rexp"], "2024-01-10T00:57:21Z");
    assert_eq!(claims["nbf"], Value::Null);
}

/// A client whose clock is off by so many seconds.
fn client_off_by(service: &Service, seconds: i64) -> (Client, Arc<ManualClock>) {
    let by = Duration::from_secs(seconds.unsigned_abs());
    let now = if seconds < 0 {
        service.now - by
    } else {
        service.now + by
    };
    let clock = Arc::new(ManualClock::at(now));
    let client = service.builder().clock(Arc::clone(&clock)).build();
    (client.unwrap(), clock)
}

#[tokio::test]
async fn the_date_of_a_response_stands_in_for_this_machines_clock() {
    let service = Service::new().await;
    let session = |change: Value| json!({"sessionJwt": service.session(change)});
    let path = "/v1/auth/magiclink/verify";
    let dated = date(service.now);
    let iat = session_claims(service.now)["iat"].as_i64().unwrap();
    for off in [0, -8, -100, 700, -3600, 86_400, 400_000_000] {
        let (client, _) = client_off_by(&service, off);
        service.respond(path, &dated, session(json!({})));
        assert!(verify(&client).await.is_ok(), "{off}");
        // However old, as long as it has not expired.
        service.respond(path, &dated, session(json!({"iat": 1})));
        assert!(verify(&client).await.is_ok(), "{off}");
        service.respond(path, &dated, session(json!({"iat": iat + 300})));
        assert!(verify(&client).await.is_ok(), "{off}");
        for (change, expected) in [
            (json!({"exp": iat}), TokenProblem::Expired),
            (json!({"exp": iat - 1000}), TokenProblem::Expired),
            (json!({"iat": iat + 301}), TokenProblem::NotYetValid),
            (json!({"nbf": iat + 301}), TokenProblem::NotYetValid),
        ] {
            service.respond(path, &dated, session(change));
            let error = verify(&client).await.unwrap_err();
            assert_eq!(problem(&error), Some(expected), "{off}");
            assert!(!error.is_unauthorized());
        }
    }
}

#[tokio::test]
async fn without_a_usable_date_times_are_not_looked_at_and_nothing_is_learned() {
    let service = Service::new().await;
    let path = "/v1/auth/magiclink/verify";
    let dated = date(service.now);
    for headers in [
        "Date: unknown\r\n".to_owned(),
        format!("{dated}Age: 0\r\n"),
        format!("{dated}Age: 5\r\n"),
    ] {
        for off in [0, -100, 700, 86_400] {
            let (client, _) = client_off_by(&service, off);
            let body = json!({"sessionJwt": service.session(json!({}))});
            service.respond(path, &headers, body);
            let auth = verify(&client).await.unwrap();
            let now = client.sessions().validator().now();
            let (ahead, behind) = (
                now.duration_since(service.now),
                service.now.duration_since(now),
            );
            let difference = ahead.or(behind).unwrap();
            assert_eq!(difference.as_secs(), u64::try_from(i64::abs(off)).unwrap());
            let found = client.sessions().validate(&auth.tokens.session).await;
            assert_eq!(found.is_ok(), off == 0, "{off}");
            // Everything but the times holds.
            let wrong = json!({"sessionJwt": service.session(json!({"iss": "P2other"}))});
            service.respond(path, &headers, wrong);
            let error = verify(&client).await.unwrap_err();
            assert_eq!(problem(&error), Some(TokenProblem::WrongIssuer));
        }
    }
}

#[tokio::test]
async fn a_date_that_came_readable_from_another_machine_tells_nothing() {
    let service = Service::new().await;
    let body = json!({"sessionJwt": service.session(json!({}))});
    service.respond("/v1/auth/magiclink/verify", &date(service.now), body);
    let http = reqwest::Client::builder()
        .no_proxy()
        .resolve("service.test", service.server.address)
        .build()
        .unwrap();
    let now = service.now + 10 * MINUTE;
    let client = service
        .builder()
        .base_url(format!(
            "http://service.test:{}",
            service.server.address.port()
        ))
        .allow_plain_http()
        .http_client(http)
        .clock(ManualClock::at(now))
        .build()
        .unwrap();
    verify(&client).await.unwrap();
    assert_eq!(client.sessions().validator().now(), now);
}

#[tokio::test]
async fn try_refresh_hands_on_what_came_and_takes_no_unreadable_body_for_a_no() {
    let service = Service::new().await;
    let sessions = service.client().sessions();
    let path = "/v1/auth/try-refresh";
    let body = json!({
        "sessionJwt": service.session(json!({})), "cookieName": "R", "sessionCookieName": "S",
        "cookieDomain": "r.example.com", "sessionCookieDomain": "s.example.com", "cookiePath": "/p",
        "cookieMaxAge": 60, "cookieExpiration": 4_000_000_000_i64,
    });
    service.respond(path, "", body);
    let token = service.refresh_token();
    let found = sessions.try_refresh(Some(&token)).await.unwrap().unwrap();
    let cookies = found.tokens.cookies;
    assert_eq!(cookies.refresh_name.as_deref(), Some("R"));
    assert_eq!(cookies.session_name.as_deref(), Some("S"));
    assert_eq!(cookies.domain.as_deref(), Some("r.example.com"));
    assert_eq!(cookies.session_domain.as_deref(), Some("s.example.com"));
    assert_eq!(cookies.path.as_deref(), Some("/p"));
    assert_eq!(cookies.max_age, Some(MINUTE));
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    assert_eq!(cookies.expires_at, Some(end));

    let token = RefreshToken::new(service.refresh(json!({"jti": "2"})));
    service.respond(path, "", Value::from("no object"));
    let error = sessions.try_refresh(Some(&token)).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    service.respond(path, "", json!({}));
    assert!(sessions.try_refresh(Some(&token)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_clock_that_is_off_is_corrected_by_the_last_response() {
    let service = Service::new().await;
    let path = "/v1/auth/magiclink/verify";
    service.respond(
        path,
        &date(service.now),
        json!({"sessionJwt": service.session(json!({"nbf": session_claims(service.now)["iat"]}))}),
    );
    for (off, corrected) in [
        (0, true),
        (-100, true),
        (-900, true),
        (900, true),
        (901, false),
        (-901, false),
    ] {
        let (client, clock) = client_off_by(&service, off);
        let auth = verify(&client).await.unwrap();
        let found = client.sessions().validate(&auth.tokens.session).await;
        assert_eq!(found.is_ok(), corrected, "{off}: {found:?}");
        if corrected {
            clock.advance(Duration::from_secs(604));
            client
                .sessions()
                .validate(&auth.tokens.session)
                .await
                .unwrap();
            clock.advance(2 * SECOND);
            let error = client.sessions().validate(&auth.tokens.session).await;
            assert_eq!(problem(&error.unwrap_err()), Some(TokenProblem::Expired));
        }
    }
}

#[tokio::test]
async fn access_keys_and_refreshes_measure_by_the_date_too() {
    let fixture = Fixture::new().await;
    let wrong = Arc::new(ManualClock::at(
        fixture.emulator.clock().now() + 12 * MINUTE,
    ));
    let client = Fixture::builder(&fixture.emulator)
        .clock(wrong)
        .build()
        .unwrap();
    let key = AccessKey::new("access-key-secret");
    let exchanged = client.sessions().exchange_access_key(&key).send().await;
    client
        .sessions()
        .validate(&exchanged.unwrap().tokens.session)
        .await
        .unwrap();
    let (session, refresh) = fixture.tokens();
    let refreshed = client.sessions().refresh(&refresh).await.unwrap();
    client
        .sessions()
        .validate(&refreshed.tokens.session)
        .await
        .unwrap();
    client.sessions().validate(&session).await.unwrap();
}

#[tokio::test]
async fn a_key_that_is_published_late_is_waited_for() {
    let service = Service::new().await;
    let client = service.client();
    client.sessions().validator().prefetch_keys().await.unwrap();
    let next = Key::p256("next");
    let path = "/v1/auth/magiclink/verify";
    let issued = json!({"sessionJwt": next.sign(&session_claims(service.now))});
    service.respond(path, "", issued);
    let keys = service.server.requests_of("/v2/keys/");
    let verifying = tokio::spawn({
        let client = client.clone();
        async move { verify(&client).await }
    });
    // The old set once more, from a cache; then the new one.
    while service.server.requests_of("/v2/keys/") == keys {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let both = key_set(&[&service.key, &next]);
    service
        .server
        .respond_to("/v2/keys/", KeyResponse::Body(both));
    assert_eq!(verifying.await.unwrap().unwrap().session.user_id(), USER);
    assert_eq!(service.server.requests_of(path), 1);
}

#[tokio::test]
async fn tokens_of_a_key_not_published_in_time_are_kept_for_a_second_try() {
    with_a_limit_that_fits(key_not_published_in_time).await;
}

async fn key_not_published_in_time(limit: Duration) -> Option<()> {
    let service = Service::new().await;
    let clock = Arc::new(ManualClock::at(service.now));
    let client = service.builder().timeout(LONG).clock(Arc::clone(&clock));
    let client = client.build().unwrap();
    let sessions = client.sessions();
    let old = service.refresh_token();
    sessions.validator().prefetch_keys().await.unwrap();
    let next = Key::p256("next");
    let issued = json!({"sessionJwt": next.sign(&session_claims(service.now))});
    for path in ["magiclink/verify", "auth/refresh", "tenant/select"] {
        service.respond(path, "", issued.clone());
    }
    let not_yet = |error: &Error| match error {
        Error::Session(SessionError::Unavailable(why)) => {
            assert!(error.is_retryable() && !error.is_unauthorized());
            // On a slow machine the limit ends while the keys are fetched once more.
            (why.problem() == KeyProblem::NotPublished).then_some(())
        }
        error if error.is_timeout() => None,
        error => panic!("{error:?}"),
    };
    let hurried = client.with_timeout(limit);
    // The second time it is still not published.
    for _ in 0..2 {
        not_yet(&verify(&hurried).await.unwrap_err())?;
        not_yet(&hurried.sessions().refresh(&old).await.unwrap_err())?;
        let selected = hurried.sessions().select_tenant(&old, "t1").await;
        not_yet(&selected.unwrap_err())?;
    }
    let both = key_set(&[&service.key, &next]);
    service
        .server
        .respond_to("/v2/keys/", KeyResponse::Body(both));
    clock.advance(5 * MINUTE);
    sessions.validator().prefetch_keys().await.unwrap();
    verify(&client).await.unwrap();
    sessions.select_tenant(&old, "t1").await.unwrap();
    for path in ["magiclink/verify", "tenant/select"] {
        assert_eq!(service.server.requests_of(path), 1, "{path}");
    }
    // Given once, then forgotten.
    verify(&client).await.unwrap();
    sessions.select_tenant(&old, "t1").await.unwrap();
    for path in ["magiclink/verify", "tenant/select"] {
        assert_eq!(service.server.requests_of(path), 2, "{path}");
    }
    Some(())
}

#[tokio::test]
async fn issued_tokens_do_not_open_the_way_for_made_up_keys() {
    let service = Service::new().await;
    let client = service.client();
    client.sessions().validator().prefetch_keys().await.unwrap();
    let made_up = SessionToken::new(Key::p256("made-up").sign(&json!({})));
    for _ in 0..50 {
        client.sessions().validate(&made_up).await.unwrap_err();
    }
    assert_eq!(service.server.requests_of("/v2/keys/"), 2);
}

/// Starts a call, and drops it when it has been polled so often. `None`: it ended before.
async fn dropped_after<F: Future>(polls: usize, call: F) -> Option<F::Output> {
    let mut call = std::pin::pin!(call);
    for _ in 0..polls {
        if let Poll::Ready(output) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        // Whatever woke it would have: give the task and the socket a moment.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    None
}

async fn link(fixture: &Fixture) -> MagicLinkToken {
    let magic_link = fixture.client.magic_link();
    magic_link
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let message = fixture.emulator.outbox().next_for(JOE).await.unwrap();
    MagicLinkToken::from_url(message.link()).unwrap()
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_lose_the_tokens_of_a_link() {
    for polls in 1..40 {
        let fixture = Fixture::new().await;
        let magic_link = fixture.client.magic_link();
        let token = link(&fixture).await;
        let first = dropped_after(polls, magic_link.verify(&token)).await;
        let auth = match first {
            Some(auth) => auth.unwrap(),
            None => magic_link.verify(&token).await.unwrap(),
        };
        assert!(auth.session.has_roles(["admin"]));
        assert_eq!(fixture.calls("VerifyMagicLink"), 1, "after {polls} polls");
        // It was delivered: it is not given again.
        let error = magic_link.verify(&token).await.unwrap_err();
        assert!(error.is_unauthorized(), "{error:?}");
    }
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_lose_the_tokens_of_a_tenant() {
    for polls in 1..40 {
        let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
        let sessions = fixture.client.sessions();
        let (_, refresh) = fixture.tokens();
        let first = dropped_after(polls, sessions.select_tenant(&refresh, "acme")).await;
        let selected = match first {
            Some(selected) => selected.unwrap(),
            None => sessions.select_tenant(&refresh, "acme").await.unwrap(),
        };
        assert_eq!(selected.session.current_tenant(), Some("acme"));
        assert_eq!(fixture.calls("SelectTenant"), 1, "after {polls} polls");
        sessions
            .refresh(selected.tokens.refresh_token().unwrap())
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn tokens_that_reached_nobody_are_kept_for_a_minute() {
    for (wait, kept) in [(59 * SECOND, true), (61 * SECOND, false)] {
        let fixture = Fixture::new().await;
        let magic_link = fixture.client.magic_link();
        let token = link(&fixture).await;
        fixture
            .client
            .sessions()
            .validator()
            .prefetch_keys()
            .await
            .unwrap();
        assert!(dropped_after(1, magic_link.verify(&token)).await.is_none());
        while fixture.calls("VerifyMagicLink") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // The second call joins the first, and is dropped as well.
        loop {
            let joined = tokio::spawn({
                let (magic_link, token) = (magic_link.clone(), token.clone());
                async move { magic_link.verify_unchecked(&token).await }
            });
            joined.abort();
            if joined.await.is_err() {
                break;
            }
        }
        // The response arrives, and reaches nobody.
        while fixture.client.has_calls_in_flight() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        fixture.advance(wait);
        let found = magic_link.verify(&token).await;
        assert_eq!(found.is_ok(), kept, "{found:?}");
    }
}

#[tokio::test]
async fn of_two_calls_with_one_link_one_signs_in() {
    let fixture = Fixture::new().await;
    let magic_link = fixture.client.magic_link();
    let token = link(&fixture).await;
    let (one, other) = tokio::join!(magic_link.verify(&token), magic_link.verify(&token));
    assert_ne!(one.is_ok(), other.is_ok());
    let error = one.and(other).unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
}

/// The same tokens, not only a like pair.
fn same(one: &Refreshed, other: &Refreshed) -> bool {
    one.tokens.session.expose_secret() == other.tokens.session.expose_secret()
        && one.tokens.refresh_token().unwrap().expose_secret()
            == other.tokens.refresh_token().unwrap().expose_secret()
}

async fn rotating() -> (Fixture, Sessions, RefreshToken) {
    let fixture = Fixture::with(|builder| builder.rotate_refresh_tokens(true)).await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    (fixture, sessions, refresh)
}

#[tokio::test]
async fn a_late_request_with_a_superseded_token_gets_the_new_tokens() {
    let (fixture, sessions, first) = rotating().await;
    let second = sessions.refresh(&first).await.unwrap();
    fixture.advance(4 * MINUTE);
    let late = sessions.refresh(&first).await.unwrap();
    assert!(same(&second, &late));
    assert_eq!(fixture.refreshes(), 1);
    // After five minutes the service decides, and it ends the family.
    fixture.advance(MINUTE + SECOND);
    let error = sessions.refresh(&first).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
    let error = fixture
        .another_client()
        .sessions()
        .refresh(second.tokens.refresh_token().unwrap())
        .await;
    assert!(error.unwrap_err().is_unauthorized());
}

#[tokio::test]
async fn a_superseded_token_is_good_until_the_new_one_is_seen() {
    let (fixture, sessions, first) = rotating().await;
    let second = sessions.refresh(&first).await.unwrap();
    // The browser has it; a request that was sent before may still be on its way.
    let found = sessions
        .validate_and_refresh(
            Some(&second.tokens.session),
            Some(second.tokens.refresh_token().unwrap()),
        )
        .await;
    assert!(found.unwrap().refreshed.is_none());
    fixture.advance(9 * SECOND);
    assert!(same(&second, &sessions.refresh(&first).await.unwrap()));
    fixture.advance(2 * SECOND);
    let error = sessions.refresh(&first).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");

    // Once the new one was replaced as well, it is handed out to nobody, and the old one is not presented, which
    // would end the newest.
    let (fixture, sessions, first) = rotating().await;
    let second = sessions.refresh(&first).await.unwrap();
    let second = second.tokens.refresh_token().unwrap();
    let third = sessions.refresh(second).await.unwrap();
    let error = sessions.refresh(&first).await.unwrap_err();
    assert!(error.is_unauthorized(), "{error:?}");
    assert_eq!(fixture.refreshes(), 2);
    let third = third.tokens.refresh_token().unwrap();
    sessions.refresh(third).await.unwrap();
}

#[tokio::test]
async fn where_the_refresh_token_stays_the_outcome_is_kept_for_ten_seconds() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    let first = sessions.refresh(&refresh).await.unwrap();
    fixture.advance(9 * SECOND);
    assert!(same(&first, &sessions.refresh(&refresh).await.unwrap()));
    fixture.advance(2 * SECOND);
    sessions.refresh(&refresh).await.unwrap();
    assert_eq!(fixture.refreshes(), 2);
}

#[tokio::test]
async fn a_kept_session_that_has_ended_is_not_handed_out() {
    let fixture = Fixture::with(|builder| builder.session_lifetime(3 * MINUTE)).await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    sessions.refresh(&refresh).await.unwrap();
    fixture.advance(3 * MINUTE);
    let again = sessions.refresh(&refresh).await.unwrap();
    assert!(again.session.expires_at() > fixture.emulator.clock().now());
    let fixture = Fixture::with(|builder| {
        builder
            .rotate_refresh_tokens(true)
            .session_lifetime(3 * MINUTE)
    })
    .await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    sessions.refresh(&refresh).await.unwrap();
    fixture.advance(3 * MINUTE + SECOND);
    // Its tokens were delivered, and the service is asked.
    sessions.refresh(&refresh).await.unwrap_err();
    assert_eq!(fixture.refreshes(), 2);
}

/// The clock of a machine that was suspended: the monotonic one has stood still meanwhile.
#[derive(Debug)]
struct Suspended(descope_magiclink_emulator::Clock, Instant);

impl Clock for Suspended {
    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn instant(&self) -> Instant {
        self.1
    }
}

#[tokio::test]
async fn a_machine_that_was_suspended_hands_out_no_session_that_has_ended() {
    let fixture = Fixture::with(|builder| builder.session_lifetime(3 * MINUTE)).await;
    // At a whole second, so that the session ends at just the instant at which it is asked for again.
    let clock = fixture.emulator.clock();
    let seconds = clock.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    clock.set(UNIX_EPOCH + Duration::from_secs(seconds));
    let clock = Suspended(clock, SystemClock.instant());
    let client = Fixture::builder(&fixture.emulator).clock(clock).build();
    let sessions = client.unwrap().sessions();
    let (_, refresh) = fixture.tokens();
    sessions.refresh(&refresh).await.unwrap();
    fixture.advance(3 * MINUTE);
    let again = sessions.refresh(&refresh).await.unwrap();
    assert!(again.session.expires_at() > fixture.emulator.clock().now());
    assert_eq!(fixture.refreshes(), 2);
}

#[tokio::test]
async fn choosing_a_tenant_forgets_what_a_refresh_gave_before() {
    let fixture = Fixture::new().await;
    let sessions = fixture.client.sessions();
    let (_, refresh) = fixture.tokens();
    let before = sessions.refresh(&refresh).await.unwrap();
    let selected = sessions.select_tenant(&refresh, "acme").await.unwrap();
    let after = sessions.refresh(&refresh).await.unwrap();
    assert!(!same(&before, &after));
    assert_eq!(selected.session.current_tenant(), Some("acme"));
    assert_eq!(fixture.refreshes(), 2);
}

#[tokio::test]
async fn a_logout_forgets_the_whole_chain_at_once() {
    for everywhere in [false, true] {
        let (fixture, sessions, first) = rotating().await;
        let second = sessions.refresh(&first).await.unwrap();
        let third = sessions
            .refresh(second.tokens.refresh_token().unwrap())
            .await
            .unwrap();
        let (_, ann) = tokens_of(fixture.emulator.tokens("ann@example.com"));
        let anns = sessions.refresh(&ann).await.unwrap();
        // Dropped before the service has seen anything of it.
        let logout = async {
            if everywhere {
                sessions
                    .logout_all(third.tokens.refresh_token().unwrap())
                    .await
            } else {
                sessions.logout(third.tokens.refresh_token().unwrap()).await
            }
        };
        assert!(dropped_after(1, logout).await.is_none());
        let before = fixture.refreshes();
        for token in [&first, second.tokens.refresh_token().unwrap()] {
            let error = sessions.refresh(token).await.unwrap_err();
            assert!(error.is_unauthorized(), "{error:?}");
        }
        assert_eq!(fixture.refreshes(), before, "neither is presented again");
        assert!(same(&anns, &sessions.refresh(&ann).await.unwrap()));
    }
}

#[tokio::test]
async fn another_sign_in_of_the_same_user_keeps_its_refreshes() {
    let (fixture, sessions, here) = rotating().await;
    let (_, there) = fixture.tokens();
    let new_here = sessions.refresh(&here).await.unwrap();
    let new_there = sessions.refresh(&there).await.unwrap();
    sessions
        .logout(new_here.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    assert!(same(&new_there, &sessions.refresh(&there).await.unwrap()));
    sessions
        .logout_all(new_there.tokens.refresh_token().unwrap())
        .await
        .unwrap();
    sessions.refresh(&there).await.unwrap_err();
}

#[tokio::test]
async fn logging_out_everywhere_needs_no_keys() {
    let fixture = Fixture::new().await;
    let (_, refresh) = fixture.tokens();
    let hole = Fault::on("GetKeysV2").black_hole();
    fixture.emulator.faults().add(hole).unwrap();
    fixture
        .client
        .sessions()
        .logout_all(&refresh)
        .await
        .unwrap();
    assert_eq!(fixture.calls("GetKeysV2"), 0);
}

#[tokio::test]
async fn tokens_of_every_shape_that_the_service_is_known_to_give_are_taken() {
    let service = Service::new().await;
    let api = "https://api.descope.com";
    let client = service.client();
    client.sessions().validator().prefetch_keys().await.unwrap();
    for change in [
        json!({"iss": PROJECT}),
        json!({"iss": format!("{api}/{PROJECT}"), "aud": [PROJECT]}),
        json!({"iss": format!("{api}/v1/apps/{PROJECT}"), "aud": [PROJECT]}),
        json!({"tu": true, "su": true, "fti": "J2aAc4T2V93bddihGEx2Ryhc8e5Z", "dv": 1}),
        json!({"jti": "J2aAc4T2V93bddihGEx2Ryhc8e5Z", "plan": "{{tenant.name}}"}),
        json!({"tenants": {"T2aAc4T2V93bddihGEx2Ryhc8e5Z": {}}, "nsec": {"a": 1}}),
        json!({"tenants": {"acme": {"permissions": [], "roles": ["admin"]}}}),
    ] {
        let token = SessionToken::new(service.session(change.clone()));
        let session = client.sessions().validate(&token).await.unwrap();
        assert_eq!(session.user_id(), USER, "{change}");
        for reserved in ["tu", "su", "fti", "dv", "jti", "tenants", "nsec", "aud"] {
            assert_eq!(session.custom_claim(reserved), None);
            assert!(!session.custom_claims().contains_key(reserved));
        }
        let refresh = RefreshToken::new(service.refresh(change));
        let found = client
            .sessions()
            .validator()
            .validate_refresh(&refresh)
            .await;
        assert_eq!(found.unwrap().user_id(), USER);
    }
    // With the empty-claim policy `nil`, claims that are not set arrive as null.
    let mut claims = session_claims(service.now);
    for name in [
        "aud",
        "dct",
        "tenants",
        "roles",
        "permissions",
        "dsub",
        "cnf",
        "azp",
        "nsec",
        "plan",
        "amr",
    ] {
        claims[name] = Value::Null;
    }
    let token = SessionToken::new(service.key.sign(&claims));
    let session = client.sessions().validate(&token).await.unwrap();
    assert_eq!(session.user_id(), USER);
    assert_eq!(session.current_tenant(), None);
    assert_eq!(session.tenants().count(), 0);
    assert_eq!(session.custom_claim("plan"), Some(Value::Null));
    assert!(!session.has_roles(["admin"]));
}

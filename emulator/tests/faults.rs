//! Faults, the journal, the clock and going back in time, over HTTP and over bare sockets.

#![allow(
    clippy::unwrap_used,
    reason = "a failing test should stop where it fails"
)]

mod support;

use std::time::{Duration, Instant};

use descope_magiclink_emulator::{Emulator, Fault, User};
use serde_json::{Value, json};
use support::Api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SIGN_IN: &str = "/v1/auth/magiclink/signin/email";
const JOE: &str = "joe@example.com";

async fn with_joe() -> Emulator {
    Emulator::builder()
        .user(User::new(JOE))
        .start()
        .await
        .unwrap()
}

/// Sends a sign-in over a bare socket and reads until the other end closes.
async fn raw(emulator: &Emulator) -> std::io::Result<String> {
    let body = json!({ "loginId": JOE }).to_string();
    let mut stream = TcpStream::connect(emulator.address()).await?;
    let head = format!(
        "POST {SIGN_IN} HTTP/1.1\r\nHost: emulator\r\nAuthorization: Bearer {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        emulator.project_id(),
        body.len(),
    );
    stream.write_all(head.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn answers_are_replaced_as_often_as_asked() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    let busy = Fault::on("SignInMagicLinkEmail")
        .answer(503)
        .text("<html>busy</html>")
        .header("X-Edge", "1")
        .times(2);
    let id = emulator.faults().add(busy).unwrap();
    for _ in 0..2 {
        let answer = api.post(SIGN_IN, json!({ "loginId": JOE })).await;
        assert_eq!(
            (answer.status, &answer.body),
            (503, &json!("<html>busy</html>"))
        );
        assert_eq!(
            (&answer.headers["x-edge"], &answer.headers["content-type"]),
            (
                &"1".parse().unwrap(),
                &"text/html; charset=utf-8".parse().unwrap()
            )
        );
    }
    api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
    assert_eq!(
        (emulator.faults().hits(id), emulator.faults().count()),
        (2, 0)
    );
    assert_eq!(
        emulator.outbox().messages().len(),
        1,
        "the operation ran only when no fault hit"
    );

    let requests = emulator.journal().of("SignInMagicLinkEmail");
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.status(), request.fault()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some(503), Some("answer 503")),
            (Some(503), Some("answer 503")),
            (Some(200), None)
        ]
    );
}

#[tokio::test]
async fn rate_limits_and_delays() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    let faults = emulator.faults();
    faults
        .add(
            Fault::path("/v1/auth/")
                .rate_limited(Some(Duration::from_secs(30)))
                .times(1),
        )
        .unwrap();
    faults
        .add(Fault::everywhere().delay(Duration::from_millis(60)))
        .unwrap();
    let started = Instant::now();
    let answer = api.post(SIGN_IN, json!({ "loginId": JOE })).await;
    assert!(started.elapsed() >= Duration::from_millis(60));
    assert_eq!(answer.headers["retry-after"], "30");
    assert_eq!(
        emulator.journal().last().unwrap().fault(),
        Some("answer 429")
    );
    answer.refused(429, "E130429");
    faults.clear();
    faults
        .add(Fault::path("/v1/auth/").rate_limited(None))
        .unwrap();
    let answer = api.post(SIGN_IN, json!({ "loginId": JOE })).await;
    assert!(answer.headers.get("retry-after").is_none());
    answer.refused(429, "E130429");
}

#[tokio::test]
async fn connections_are_reset() {
    let emulator = with_joe().await;
    emulator
        .faults()
        .add(Fault::on("SignInMagicLinkEmail").reset().times(1))
        .unwrap();
    assert_eq!(
        raw(&emulator).await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    assert!(emulator.outbox().messages().is_empty());
    emulator
        .faults()
        .add(
            Fault::on("SignInMagicLinkEmail")
                .reset()
                .after_handling()
                .times(1),
        )
        .unwrap();
    assert_eq!(
        raw(&emulator).await.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionReset
    );
    assert_eq!(
        emulator.outbox().messages().len(),
        1,
        "the message went out although the answer was lost"
    );
    assert!(raw(&emulator).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(
        emulator.journal().requests().first().unwrap().status(),
        None
    );
}

#[tokio::test]
async fn bodies_are_cut_off() {
    let emulator = with_joe().await;
    for kept in [0, 5, 10_000] {
        emulator
            .faults()
            .add(Fault::everywhere().cut_body(kept).times(1))
            .unwrap();
        let answer = raw(&emulator).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let whole = r#"{"maskedEmail":"j***@example.com"}"#;
        assert!(
            head.to_ascii_lowercase()
                .contains(&format!("content-length: {}", whole.len())),
            "{head}"
        );
        assert_eq!(body, &whole[..kept.min(whole.len() - 1)]);
    }
    let client = reqwest::Client::builder().build().unwrap();
    emulator
        .faults()
        .add(Fault::on("GetKeysV2").cut_body(20))
        .unwrap();
    let url = format!("{}/v2/keys/{}", emulator.base_url(), emulator.project_id());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    answer.bytes().await.unwrap_err();
}

#[tokio::test]
async fn black_holes_hold_until_the_fault_goes() {
    let emulator = with_joe().await;
    let id = emulator
        .faults()
        .add(Fault::on("SignInMagicLinkEmail").black_hole())
        .unwrap();
    tokio::time::timeout(Duration::from_millis(80), raw(&emulator))
        .await
        .unwrap_err();
    let (answer, ()) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(5), raw(&emulator)),
        async {
            while emulator.faults().hits(id) < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            emulator.faults().remove(id);
        }
    );
    answer.unwrap().unwrap_err();
    raw(&emulator).await.unwrap();
}

#[tokio::test]
async fn faults_that_cannot_work_are_refused() {
    let emulator = with_joe().await;
    let faults = emulator.faults();
    for (fault, word) in [
        (Fault::on("SignIn").reset(), "SignIn"),
        (Fault::everywhere().answer(42), "42"),
        (Fault::everywhere().answer(200).header("a b", "c"), "a b"),
    ] {
        let refused = faults.add(fault).unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
}

#[tokio::test]
async fn the_journal_tells_what_was_asked_and_hides_it_from_debug() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    let auth = emulator.mint(JOE).tokens().unwrap();
    api.post_as(
        auth.refresh_jwt(),
        "/v1/auth/refresh?x=secret",
        json!({ "externalToken": "hush" }),
    )
    .await
    .ok();
    api.post(SIGN_IN, json!({ "loginId": "nobody" }))
        .await
        .refused(400, "E062108");
    api.post("/v1/auth/otp/verify/email", json!({}))
        .await
        .refused(501, "EMU501");

    let requests = emulator.journal().requests();
    assert_eq!(
        requests
            .iter()
            .map(|request| request.operation())
            .collect::<Vec<_>>(),
        [Some("RefreshSession"), Some("SignInMagicLinkEmail"), None]
    );
    let refresh = &requests[0];
    assert_eq!(
        refresh.header("AUTHORIZATION").unwrap(),
        format!("Bearer {}:{}", emulator.project_id(), auth.refresh_jwt())
    );
    assert_eq!(
        (refresh.query(), &refresh.json()),
        (Some("x=secret"), &json!({ "externalToken": "hush" }))
    );
    let shown = format!("{refresh:?}");
    assert!(
        !shown.contains("hush") && !shown.contains("secret") && !shown.contains(auth.refresh_jwt()),
        "{shown}"
    );
    assert_eq!(
        (requests[1].status(), requests[1].error_code()),
        (Some(400), Some("E062108"))
    );
    emulator.journal().clear();
    assert!(emulator.journal().last().is_none());
}

#[tokio::test]
async fn the_clock_moves_both_ways() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    emulator.clock().freeze();
    api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
    let message = emulator.outbox().last_for(JOE).unwrap();
    emulator.clock().advance(Duration::from_secs(180));
    api.verify(message.token()).await.refused(401, "E062504");
    emulator.clock().rewind(Duration::from_secs(1));
    let auth = api.verify(message.token()).await.ok();
    assert_eq!(
        support::claims(&auth["sessionJwt"])["iat"]
            .as_i64()
            .unwrap()
            - message
                .sent_at()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_secs() as i64,
        179
    );
    // Far in the future, times are beyond what 32 bits hold.
    emulator
        .clock()
        .advance(Duration::from_secs(100 * 365 * 86_400));
    api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
    let message = emulator.outbox().last_for(JOE).unwrap();
    let auth = api.verify(message.token()).await.ok();
    assert_eq!(
        auth["sessionExpiration"],
        support::claims(&auth["sessionJwt"])["exp"]
    );
    assert!(auth["sessionExpiration"].as_i64() > Some(i32::MAX.into()));
}

#[tokio::test]
async fn snapshots_and_reset() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    let auth = api.joined("ann@example.com").await;
    let refresh = auth["refreshJwt"].as_str().unwrap();
    let saved = emulator.snapshot();
    emulator.clock().advance(Duration::from_secs(3600));
    emulator.keys().rotate_and_revoke().unwrap();
    emulator.users().remove(JOE).unwrap();
    emulator.faults().add(Fault::everywhere().reset()).unwrap();

    emulator.restore(&saved);
    api.get_as(refresh, "/v1/auth/me").await.ok();
    assert!(emulator.users().get(JOE).is_some());
    assert_eq!(emulator.outbox().messages().len(), 1);

    emulator.reset();
    assert_eq!(emulator.users().count(), 1);
    assert!(emulator.outbox().messages().is_empty() && emulator.journal().requests().is_empty());
    api.get_as(refresh, "/v1/auth/me")
        .await
        .refused(401, "E061005");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let emulator = Emulator::builder()
        .limits(|limits| {
            limits.messages = 3;
            limits.links = 2;
            limits.sessions = 2;
            limits.users = 4;
            limits.journal = 5;
        })
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let mut refreshes: Vec<Value> = Vec::new();
    for n in 0..4 {
        refreshes.push(api.joined(&format!("u{n}@example.com")).await["refreshJwt"].clone());
    }
    api.post(
        "/v1/auth/magiclink/signup/email",
        json!({ "loginId": "more@example.com" }),
    )
    .await
    .refused(507, "EMU507");
    let stored = emulator.stored();
    assert_eq!(
        (
            stored.messages,
            stored.links,
            stored.sessions,
            stored.users,
            stored.journal
        ),
        (3, 2, 2, 4, 5)
    );
    api.get_as(refreshes[0].as_str().unwrap(), "/v1/auth/me")
        .await
        .refused(401, "E061005");
    api.get_as(refreshes[3].as_str().unwrap(), "/v1/auth/me")
        .await
        .ok();
    let body = json!({ "loginId": "u0@example.com", "pad": "x".repeat(100_000) });
    api.post(SIGN_IN, body).await.ok();
    assert_eq!(emulator.journal().last().unwrap().body().len(), 64 * 1024);
}

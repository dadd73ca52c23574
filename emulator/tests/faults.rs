//! Faults, the journal, the clock and going back in time, over HTTP and over bare sockets.

#![allow(
    clippy::unwrap_used,
    reason = "a failing test should stop where it fails"
)]

mod support;

use std::time::{Duration, Instant};

use descope_magiclink_emulator::{Emulator, Fault, TokenDelivery, User};
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
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response)
}

#[tokio::test]
async fn a_status_without_content_has_no_length() {
    let emulator = with_joe().await;
    for status in [204, 304] {
        let fault = Fault::on("SignInMagicLinkEmail").alter().status(status);
        emulator.faults().add(fault.times(1)).unwrap();
        let response = raw(&emulator).await.unwrap().to_lowercase();
        assert!(response.starts_with(&format!("http/1.1 {status}")));
        assert!(!response.contains("content-length"), "{response}");
        assert!(response.ends_with("\r\n\r\n"), "{response}");
    }
}

#[tokio::test]
async fn responses_are_replaced_as_often_as_asked() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    let busy = Fault::on("SignInMagicLinkEmail")
        .respond(503)
        .text("<html>busy</html>")
        .header("X-Edge", "1")
        .times(2);
    let id = emulator.faults().add(busy).unwrap();
    for _ in 0..2 {
        let response = api.post(SIGN_IN, json!({ "loginId": JOE })).await;
        assert_eq!(
            (response.status, &response.body),
            (503, &json!("<html>busy</html>"))
        );
        assert_eq!(
            (
                &response.headers["x-edge"],
                &response.headers["content-type"]
            ),
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

    let requests = emulator.requests().of("SignInMagicLinkEmail");
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.status(), request.fault()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some(503), Some("respond 503")),
            (Some(503), Some("respond 503")),
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
    let response = api.post(SIGN_IN, json!({ "loginId": JOE })).await;
    assert!(started.elapsed() >= Duration::from_millis(60));
    assert_eq!(response.headers["retry-after"], "30");
    assert_eq!(
        emulator.requests().last().unwrap().fault(),
        Some("respond 429")
    );
    response.refused(429, "E130429");
    faults.clear();
    faults
        .add(Fault::path("/v1/auth/").rate_limited(None))
        .unwrap();
    let response = api.post(SIGN_IN, json!({ "loginId": JOE })).await;
    assert!(response.headers.get("retry-after").is_none());
    response.refused(429, "E130429");
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
        "the message went out although the response was lost"
    );
    assert!(raw(&emulator).await.unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(emulator.requests().all().first().unwrap().status(), None);
}

#[tokio::test]
async fn bodies_are_cut_off() {
    let emulator = with_joe().await;
    for kept in [0, 5, 10_000] {
        emulator
            .faults()
            .add(Fault::everywhere().cut_body(kept).times(1))
            .unwrap();
        let response = raw(&emulator).await.unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let whole = r#"{"maskedEmail":"j***@example.com"}"#;
        assert!(
            head.to_ascii_lowercase()
                .contains(&format!("content-length: {}", whole.len())),
            "{head}"
        );
        assert_eq!(body, &whole[..kept.min(whole.len() - 1)]);
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    emulator
        .faults()
        .add(Fault::on("GetKeysV2").cut_body(20))
        .unwrap();
    let url = format!("{}/v2/keys/{}", emulator.base_url(), emulator.project_id());
    let response = client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap_err();
}

#[tokio::test]
async fn black_holes_hold_until_the_fault_goes() {
    let emulator = with_joe().await;
    let id = emulator
        .faults()
        .add(Fault::on("SignInMagicLinkEmail").black_hole())
        .unwrap();
    let faults = emulator.faults();
    let (response, ()) = tokio::join!(raw(&emulator), async {
        faults.reached(id, 1).await;
        faults.remove(id);
    });
    response.unwrap_err();
    assert!(emulator.outbox().messages().is_empty());
    raw(&emulator).await.unwrap();
}

#[tokio::test]
async fn requests_are_held_until_the_fault_goes() {
    let emulator = with_joe().await;
    let faults = emulator.faults();
    for (after_handling, sent) in [(false, 0), (true, 2)] {
        let fault = Fault::on("SignInMagicLinkEmail").hold();
        let fault = if after_handling {
            fault.after_handling()
        } else {
            fault
        };
        let id = faults.add(fault).unwrap();
        let (response, ()) = tokio::join!(raw(&emulator), async {
            faults.reached(id, 1).await;
            // The emulator runs on this thread: it has done what it does before it waits.
            assert_eq!(emulator.outbox().messages().len(), sent);
            faults.remove(id);
        });
        assert!(response.unwrap().starts_with("HTTP/1.1 200"));
        let request = emulator.requests().last().unwrap();
        assert_eq!(
            (request.status(), request.fault()),
            (Some(200), Some("held"))
        );
    }
    assert_eq!(emulator.outbox().messages().len(), 2);
}

#[tokio::test]
async fn faults_that_cannot_work_are_refused() {
    let emulator = with_joe().await;
    let faults = emulator.faults();
    for (fault, word) in [
        (Fault::on("SignIn").reset(), "SignIn"),
        (Fault::everywhere().respond(42), "42"),
        (Fault::everywhere().respond(200).header("a b", "c"), "a b"),
        (Fault::everywhere().alter().status(101), "101"),
        (Fault::everywhere().alter().header("a", "b\n"), "\"a\""),
    ] {
        let refused = faults.add(fault).unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
}

#[tokio::test]
async fn the_journal_tells_what_was_asked_and_hides_it_from_debug() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    let auth = emulator.tokens(JOE).issue().unwrap();
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

    let requests = emulator.requests().all();
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
    emulator.requests().clear();
    assert!(emulator.requests().last().is_none());
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
    // Far in the future, times are beyond 32 bits.
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
    assert!(auth["sessionExpiration"].as_i64().unwrap() > i64::from(i32::MAX));
}

#[tokio::test]
async fn every_response_is_dated_by_the_emulators_clock() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    emulator.clock().freeze();
    for (at, date) in [
        (1_769_331_398, "Sun, 25 Jan 2026 08:56:38 GMT"),
        (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
        // No date can be written for it: the nearest one.
        (300_000_000_000, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        emulator
            .clock()
            .set(std::time::UNIX_EPOCH + Duration::from_secs(at));
        let responses = [
            api.post(SIGN_IN, json!({ "loginId": JOE })).await,
            api.post(SIGN_IN, json!({ "loginId": "nobody" })).await,
            api.post("/v1/auth/otp/verify/email", json!({})).await,
        ];
        for response in responses {
            assert_eq!(response.headers.get_all("date").iter().count(), 1);
            assert_eq!(response.headers["date"], date);
        }
    }
    let faults = emulator.faults();
    let elsewhere = || Fault::path("/v1/auth/otp/");
    faults
        .add(elsewhere().alter().without_header("Date").times(1))
        .unwrap();
    faults
        .add(elsewhere().respond(403).without_header("date").times(1))
        .unwrap();
    faults
        .add(elsewhere().alter().header("Date", "yesterday"))
        .unwrap();
    for wanted in [None, None, Some("yesterday")] {
        let response = api.post("/v1/auth/otp/verify/email", json!({})).await;
        let dates: Vec<_> = response.headers.get_all("date").iter().collect();
        assert_eq!(dates, Vec::from_iter(wanted));
    }
}

#[tokio::test]
async fn responses_are_altered_as_a_gateway_would() {
    let emulator = with_joe().await;
    let faults = emulator.faults();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let refresh = async || {
        let issued = emulator.tokens(JOE).issue().unwrap();
        let response = client
            .post(format!("{}/v1/auth/refresh", emulator.base_url()))
            .bearer_auth(format!(
                "{}:{}",
                emulator.project_id(),
                issued.refresh_jwt()
            ))
            .send()
            .await
            .unwrap();
        (
            response.status().as_u16(),
            response.headers().clone(),
            response.bytes().await.unwrap(),
        )
    };
    let on = || Fault::on("RefreshSession");
    for fault in [
        on().alter().status(201).header("Set-Cookie", "edge=1"),
        on().alter().status(204).text(""),
        on().alter().gzip().without_header("Cache-Control"),
        on().respond(301)
            .header("Location", "https://elsewhere.example/"),
        on().respond(403)
            .text("<html>blocked</html>")
            .header("CF-Ray", "0123456789abcdef-IAD"),
    ] {
        faults.add(fault.times(1)).unwrap();
    }
    let (status, headers, body) = refresh().await;
    assert_eq!(
        (status, &headers["set-cookie"]),
        (201, &"edge=1".parse().unwrap())
    );
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert!(body["sessionJwt"].is_string());

    let (status, _, body) = refresh().await;
    assert_eq!((status, body.len()), (204, 0));

    let (status, headers, body) = refresh().await;
    assert_eq!(
        (status, &headers["content-encoding"]),
        (200, &"gzip".parse().unwrap())
    );
    assert!(headers.get("cache-control").is_none());
    let text = String::from_utf8(gunzip(&body)).unwrap();
    assert!(text.contains("sessionJwt"), "{text}");

    let (status, headers, _) = refresh().await;
    assert_eq!(
        (status, &headers["location"]),
        (301, &"https://elsewhere.example/".parse().unwrap())
    );
    let (status, _, body) = refresh().await;
    assert_eq!((status, &body[..]), (403, &b"<html>blocked</html>"[..]));
    let altered = emulator.requests().of("RefreshSession");
    assert_eq!(
        altered
            .iter()
            .map(|request| request.status().unwrap())
            .collect::<Vec<_>>(),
        [201, 204, 200, 301, 403]
    );
    assert_eq!(altered[0].fault(), Some("response altered"));
}

/// Unpacks with the system's `gzip`, which nobody here wrote.
fn gunzip(packed: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let mut child = Command::new("gzip")
        .arg("-dc")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(packed).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success());
    done.stdout
}

#[tokio::test]
async fn tokens_of_another_user_come_as_from_a_cache() {
    for delivery in [TokenDelivery::Body, TokenDelivery::Cookies] {
        let emulator = Emulator::builder()
            .user(User::new(JOE))
            .user(User::new("eve@example.com"))
            .token_delivery(delivery)
            .rotate_refresh_tokens(true)
            .start()
            .await
            .unwrap();
        let api = Api::new(&emulator);
        let joe = emulator.tokens(JOE).issue().unwrap();
        emulator
            .faults()
            .add(
                Fault::on("RefreshSession")
                    .tokens_of("eve@example.com")
                    .times(1),
            )
            .unwrap();
        let response = api
            .post_as(joe.refresh_jwt(), "/v1/auth/refresh", json!({}))
            .await;
        let eve = emulator.users().get("eve@example.com").unwrap()["userId"].clone();
        let tokens: Vec<Value> = match delivery {
            TokenDelivery::Body => ["sessionJwt", "refreshJwt"]
                .map(|name| response.body[name].clone())
                .into(),
            _ => response
                .headers
                .get_all("set-cookie")
                .iter()
                .map(|cookie| {
                    let (_, value) = cookie.to_str().unwrap().split_once('=').unwrap();
                    value.split(';').next().unwrap().into()
                })
                .collect(),
        };
        assert_eq!(tokens.len(), 2);
        for token in &tokens {
            assert_eq!(support::claims(token)["sub"], eve);
        }
        let body = response.ok();
        assert_eq!(body["user"]["userId"], eve);
        // Joe's own refresh took place: his old token is replaced.
        api.get_as(joe.refresh_jwt(), "/v1/auth/me")
            .await
            .refused(400, "E064006");
    }
    let emulator = with_joe().await;
    emulator
        .faults()
        .add(Fault::everywhere().tokens_of("nobody"))
        .unwrap();
    let api = Api::new(&emulator);
    api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
    let message = emulator.outbox().next_for(JOE).await.unwrap();
    let said = api.verify(message.token()).await.refused(500, "EMU500");
    assert!(said.contains("nobody"), "{said}");
}

#[tokio::test]
async fn the_key_endpoint_serves_an_older_set_or_a_broken_one() {
    let emulator = with_joe().await;
    let api = Api::new(&emulator);
    let path = format!("/v2/keys/{}", emulator.project_id());
    let keys = emulator.keys();
    let kids = async || {
        let set = api.send("GET", &path, None, None).await.ok();
        let keys = set["keys"].as_array().unwrap();
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // The next two responses come from before the rotation, as from a cache that is behind.
    let stale = keys.published().unwrap();
    let old = keys.ids();
    let new = keys.rotate().unwrap();
    emulator
        .faults()
        .add(Fault::on("GetKeysV2").respond(200).json(&stale).times(2))
        .unwrap();
    let signed = emulator.tokens(JOE).issue().unwrap();
    assert_eq!(
        support::header(&Value::from(signed.session_jwt()))["kid"],
        Value::from(new.as_str())
    );
    assert_eq!([kids().await, kids().await], [old.clone(), old]);
    assert!(kids().await.contains(&new));

    // The same until told otherwise; no keys; keys of another use.
    keys.publish_instead(stale);
    assert!(!kids().await.contains(&new));
    keys.publish_instead(json!({ "keys": [] }));
    assert!(kids().await.is_empty());
    keys.restore();
    let mut other = keys.published().unwrap();
    for key in other["keys"].as_array_mut().unwrap() {
        key["use"] = "enc".into();
    }
    keys.publish_instead(other);
    assert_eq!(kids().await.len(), 2);
    keys.restore();
    assert!(kids().await.contains(&new));
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
    assert!(emulator.outbox().messages().is_empty() && emulator.requests().all().is_empty());
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
            limits.requests = 5;
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
    let stored = emulator.stats();
    assert_eq!(
        (
            stored.messages,
            stored.links,
            stored.sessions,
            stored.users,
            stored.requests
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
    assert_eq!(emulator.requests().last().unwrap().body().len(), 64 * 1024);
}

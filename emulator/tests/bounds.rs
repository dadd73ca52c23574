//! Nothing grows, stalls or waits without a bound.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should stop where it fails"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use descope_magiclink_emulator::{Emulator, User};
use serde_json::{Value, json};
use support::Api;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const JOE: &str = "joe@example.com";
const SIGN_IN: &str = "/v1/auth/magiclink/signin/email";

#[tokio::test]
async fn large_messages_links_sessions_and_requests_are_bounded_in_bytes() {
    const BOUND: usize = 1024 * 1024;
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .limits(|limits| limits.bytes = BOUND)
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let claims: serde_json::Map<String, Value> = (0..100)
        .map(|n| (format!("claim{n}"), "x".repeat(500).into()))
        .collect();
    for _ in 0..30 {
        let options =
            json!({ "customClaims": claims, "templateOptions": { "text": "y".repeat(200_000) } });
        let body = json!({ "loginId": JOE, "loginOptions": options });
        api.post(SIGN_IN, body).await.ok();
        let message = emulator.outbox().last_for(JOE).unwrap();
        api.verify(message.token()).await.ok();
    }
    let stats = emulator.stats();
    assert!(stats.messages < 6, "{stats:?}");
    assert!(stats.links < 30 && stats.sessions < 30, "{stats:?}");
    assert!(stats.bytes < 4 * BOUND, "{stats:?}");

    // A snapshot shares what it keeps, and going back to it leaves the figures as they were.
    let before = emulator.snapshot();
    emulator.outbox().clear();
    emulator.restore(&before);
    assert_eq!(emulator.stats(), stats);
}

#[tokio::test]
async fn users_are_bounded_in_bytes_and_never_dropped() {
    let emulator = Emulator::builder()
        .limits(|limits| limits.bytes = 100_000)
        .start()
        .await
        .unwrap();
    let add = |n: usize| {
        let user = User::new(format!("user{n}@example.com")).attribute("note", "x".repeat(30_000));
        emulator.users().add(user)
    };
    for n in 0..4 {
        add(n).unwrap();
    }
    let refused = add(4).unwrap_err().to_string();
    assert!(refused.contains("100000 bytes of users"), "{refused}");
    emulator.users().remove("user0@example.com").unwrap();
    add(5).unwrap();
    assert_eq!(emulator.users().count(), 4);
}

#[tokio::test]
async fn a_callback_that_never_returns_stalls_nobody() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let seen = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&seen);
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .limits(|limits| limits.bytes = 64 * 1024)
        .on_message(move |_| {
            // Waits until the other end is gone.
            let _ = gate.lock().unwrap().recv();
            *counted.lock().unwrap() += 1;
        })
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    for _ in 0..400 {
        api.post(SIGN_IN, json!({ "loginId": JOE })).await.ok();
    }
    let dropped = emulator.stats().dropped_events;
    assert!(dropped > 0, "the queue is bounded");
    drop(open);
    emulator.shutdown(Duration::from_secs(60)).await;
    let seen = *seen.lock().unwrap();
    assert!(seen > 0 && seen < 400, "{seen}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_body_that_never_comes_is_not_awaited_for_ever() {
    let emulator = Emulator::start().await.unwrap();
    let mut socket = TcpStream::connect(emulator.address()).await.unwrap();
    let head = format!(
        "POST {SIGN_IN} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        emulator.project_id()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    // From here on time passes as soon as everybody waits.
    tokio::time::pause();
    let mut response = Vec::new();
    while !response.ends_with(b"}") {
        assert_ne!(socket.read_buf(&mut response).await.unwrap(), 0);
    }
    let response = String::from_utf8(response).unwrap();
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.contains("EMU408"), "{response}");
}

#[tokio::test]
async fn spent_faults_are_forgotten_when_there_are_many() {
    use descope_magiclink_emulator::Fault;
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .start()
        .await
        .unwrap();
    let api = Api::new(&emulator);
    let first = emulator
        .faults()
        .add(Fault::on("SignInMagicLinkEmail").respond(503).times(1))
        .unwrap();
    assert_eq!(
        api.post(SIGN_IN, json!({ "loginId": JOE })).await.status,
        503
    );
    assert_eq!(emulator.faults().hits(first), 1);
    for _ in 0..1_000 {
        emulator
            .faults()
            .add(Fault::on("VerifyMagicLink").respond(503))
            .unwrap();
    }
    assert_eq!(emulator.faults().hits(first), 0);
    assert_eq!(emulator.faults().count(), 1_000);
}

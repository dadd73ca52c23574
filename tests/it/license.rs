//! The handshake before management calls: once per key, and never in their way.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Reply, Request, Socket};
use descope_magiclink::management::Management;
use descope_magiclink::{AccessKey, Client, Clock as _, ManualClock, RetryPolicy, SystemClock};

const USER: &str = r#"{"user":{"userId":"U1"},"rateLimitTier":"tier-1"}"#;

fn is_handshake(request: &Request) -> bool {
    request.head.starts_with("GET /v1/mgmt/license ")
}

/// How many handshakes and calls there were; each call must have, or lack, the header.
fn count(socket: &Socket, tier: Option<&str>) -> (usize, usize) {
    let (handshakes, calls): (Vec<_>, Vec<_>) =
        socket.requests().into_iter().partition(is_handshake);
    for call in &calls {
        assert_eq!(call.header("x-descope-license"), tier, "{}", call.head);
    }
    for handshake in &handshakes {
        assert_eq!(handshake.header("x-descope-license"), None);
    }
    (handshakes.len(), calls.len())
}

fn management(client: &Client) -> Management {
    client.management_with("key-1")
}

#[tokio::test]
async fn calls_of_one_key_make_one_handshake_however_many_come_at_once() {
    let socket = Socket::start(vec![Reply::json(200, USER)]).await;
    let client = socket.client();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let management = management(&client);
        calls.spawn(async move { management.user("joe").await.map(drop) });
    }
    for outcome in calls.join_all().await {
        outcome.unwrap();
    }
    management(&client.clone()).user("joe").await.unwrap();
    assert_eq!(count(&socket, Some("tier-1")), (1, 21));

    // Another key is another customer's; an access key has no tier of its own.
    let other = client.management_with("key-2");
    other.user("joe").await.unwrap();
    assert_eq!(count(&socket, Some("tier-1")), (2, 22));
    let key = AccessKey::new("access-1");
    let sessions = client.sessions();
    let exchange = sessions.exchange_access_key(&key).send().await;
    assert!(exchange.is_err(), "the response has no session");
    let last = socket.requests().pop().unwrap();
    assert_eq!(last.header("x-descope-license"), None);
    assert_eq!(socket.requests().len(), 2 + 23);
}

#[tokio::test]
async fn a_handshake_that_fails_is_left_out_and_made_again_after_a_minute() {
    let broken = [
        Reply::json(404, ""),
        Reply::json(500, ""),
        Reply::Close,
        Reply::json(200, "<html>"),
        Reply::json(200, "{}"),
        Reply::json(200, r#"{"rateLimitTier":" "}"#),
        Reply::json(200, r#"{"rateLimitTier":"a\nx: y"}"#),
    ];
    for reply in broken {
        let user = Reply::json(200, USER);
        let replies = vec![reply.clone(), user.clone(), user.clone(), user];
        let socket = Socket::start(replies).await;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let builder = socket.builder().clock(Arc::clone(&clock));
        let client = builder.retry(RetryPolicy::never()).build().unwrap();
        management(&client).user("joe").await.unwrap();
        clock.advance(Duration::from_secs(59));
        management(&client).user("joe").await.unwrap();
        assert_eq!(count(&socket, None), (1, 2), "{reply:?}");
        clock.advance(Duration::from_secs(2));
        management(&client).user("joe").await.unwrap();
        let last = socket.requests().pop().unwrap();
        assert_eq!(
            last.header("x-descope-license"),
            Some("tier-1"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn a_handshake_that_hangs_delays_one_call_and_fails_none() {
    let socket = Socket::start(vec![Reply::Hang, Reply::json(200, USER)]).await;
    let client = socket.client();
    management(&client).user("joe").await.unwrap();
    management(&client).user("joe").await.unwrap();
    assert_eq!(count(&socket, None), (1, 2));
}

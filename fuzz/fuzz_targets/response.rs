//! No response makes a panic, tokens that are in it are kept, and nothing of them is printed.

#![no_main]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use descope_magiclink::fuzzing::{KINDS, response};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

// The first two octets are the operation and the status, the rest is the body.
fuzz_target!(|data: &[u8]| {
    let [kind, status, body @ ..] = data else {
        return;
    };
    let kind = usize::from(*kind) % KINDS;
    let incoming = http::Response::builder()
        .status(200 + u16::from(*status) % 100)
        .body(body.to_vec())
        .unwrap();
    let found = ready(response(kind, incoming));
    let Ok(decoded) = found else {
        return;
    };
    // The first two kinds hold a session token, and what a strict reader finds is there.
    if kind < 2 && let Ok(Value::Object(members)) = serde_json::from_slice::<Value>(body) {
        for name in ["sessionJwt", "refreshJwt"] {
            let Some(token) = members.get(name).and_then(Value::as_str) else {
                continue;
            };
            assert_eq!(decoded.json[name].as_str(), Some(token), "{name} is lost");
            let is_telling = token.len() >= 16;
            assert!(!is_telling || !decoded.debug.contains(token), "{name} is printed");
        }
    }
});

/// A body in memory is there at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a body in memory is waited for"),
    }
}

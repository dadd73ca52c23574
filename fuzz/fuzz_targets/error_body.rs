//! No response with an error makes a panic, whatever is asked of the error, and its status stays.

#![no_main]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use descope_magiclink::fuzzing::error;
use libfuzzer_sys::fuzz_target;

// The first octet is the status, the rest is the body; a line before an empty line is a `Retry-After`.
fuzz_target!(|data: &[u8]| {
    let Some((status, rest)) = data.split_first() else {
        return;
    };
    let status = 300 + u16::from(*status);
    let mut incoming = http::Response::builder().status(status);
    let at = rest.windows(2).position(|two| two == b"\n\n");
    let (wait, body) = at.map_or((&[][..], rest), |at| rest.split_at(at));
    if let Ok(wait) = http::HeaderValue::from_bytes(wait) {
        incoming = incoming.header("retry-after", wait);
    }
    let error = ready(error(incoming.body(body.to_vec()).unwrap()));
    assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
    let _ = (error.code(), error.retry_after(), error.is_unauthorized(), error.is_retryable());
    let text = format!("{error} {error:?}");
    assert!(text.len() < 16 * 1024, "{} octets", text.len());
});

/// A body in memory is there at once.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a body in memory is waited for"),
    }
}

//! Sending a request, and once more where that is allowed.

use http::Method;
use reqwest::Request;

use super::body::Stop;
use super::deadline::Deadline;
use super::http::LazyHttp;
use super::response::Received;
use super::retry::{self, RetryPolicy};
use super::watched_body::Watch;
use crate::error::{Error, connect_timed_out, from_reqwest};

/// What came of a request.
pub(crate) struct Sent {
    pub(crate) result: Result<Received, Error>,
    /// How many times it was sent.
    pub(crate) attempts: u32,
}

/// Sends a request, until the deadline at most, and gets the body of a success up to `max_body` bytes. Of a read,
/// one that breaks is a reason to read again. Where it is sure that `http` speaks HTTP/1, a timeout tells
/// whether the request can have left.
pub(crate) async fn send(
    http: LazyHttp,
    mut request: Request,
    retry: RetryPolicy,
    deadline: Deadline,
    max_body: usize,
    speaks_http1: bool,
) -> Sent {
    let mut attempts = 0;
    let http = match http.get() {
        Ok(http) => http,
        Err(error) => {
            let result = Err(error.into());
            return Sent { result, attempts };
        }
    };
    loop {
        // Lets the runtime look at its sockets first: a connection that was closed while this process stood
        // still leaves the pool before the request would go over it.
        tokio::task::yield_now().await;
        *request.timeout_mut() = Some(deadline.left());
        attempts += 1;
        let is_read = request.method() == Method::GET;
        let more = retry.allows_after(attempts);
        let again = more.then(|| request.try_clone()).flatten();
        let watch = speaks_http1.then(|| Watch::over(&mut request));
        let result = http.execute(request).await;
        let was_connecting = watch.is_some_and(|watch| !watch.is_taken());
        let result = match result {
            Ok(response) => match Received::read(response, max_body).await {
                Received {
                    body: Err(Stop::Failed(_, error)),
                    status,
                    ..
                } if is_read && status.is_success() => Err(error),
                received => Ok(received),
            },
            Err(error) => Err(error),
        };
        let status = result.as_ref().map(|received| received.status);
        let is_retryable = retry::is_retryable(is_read, status);
        let wait = retry.wait(attempts).filter(|_| is_retryable);
        match (again, wait) {
            (Some(again), Some(wait)) if wait < deadline.left() => {
                tokio::time::sleep(wait).await;
                request = again;
            }
            _ => {
                let result = result.map_err(|error| {
                    if was_connecting && error.is_timeout() && !error.is_connect() {
                        connect_timed_out(deadline.limit())
                    } else {
                        from_reqwest(error, deadline.limit())
                    }
                });
                return Sent { result, attempts };
            }
        }
    }
}

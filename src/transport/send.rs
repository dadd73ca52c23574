//! Sending a request, and once more where that is allowed.

use http::Method;
use reqwest::{Request, Response, ResponseBuilderExt as _};

use super::body::{self, Stop};
use super::deadline::Deadline;
use super::retry::{self, RetryPolicy};
use super::watched_body::Watch;
use crate::error::{Error, connect_timed_out, from_reqwest};

/// What came of a request.
pub(crate) struct Sent {
    pub(crate) result: Result<Response, Error>,
    /// How many times it was sent.
    pub(crate) attempts: u32,
}

/// Sends a request, until the deadline at most. Of a read the whole body is got, up to a little more
/// than `max_body` bytes: one that breaks is a reason to read again. Where it is sure that `http` speaks
/// HTTP/1, a timeout tells whether the request can have left.
pub(crate) async fn send(
    http: reqwest::Client,
    mut request: Request,
    retry: RetryPolicy,
    deadline: Deadline,
    max_body: usize,
    speaks_http1: bool,
) -> Sent {
    let mut attempts = 0;
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
        let mut result = http.execute(request).await;
        let was_connecting = watch.is_some_and(|watch| !watch.is_taken());
        if is_read && let Ok(response) = result {
            result = buffer(response, max_body).await;
        }
        let is_retryable = retry::is_retryable(is_read, result.as_ref().map(Response::status));
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

/// The response with its body in memory. What arrived of an error's body will do.
async fn buffer(mut response: Response, max: usize) -> reqwest::Result<Response> {
    let body = match body::read(&mut response, max).await {
        Ok(body) | Err(Stop::TooLarge(body)) => body,
        Err(Stop::Failed(body, _)) if !response.status().is_success() => body,
        Err(Stop::Failed(_, error)) => return Err(error),
    };
    let buffered = http::Response::builder()
        .url(response.url().clone())
        .body(body);
    // Only a builder that was given something invalid fails.
    let mut buffered = buffered.unwrap_or_default();
    *buffered.status_mut() = response.status();
    *buffered.version_mut() = response.version();
    *buffered.headers_mut() = std::mem::take(response.headers_mut());
    Ok(Response::from(buffered))
}

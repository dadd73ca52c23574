//! Responses and bodies: JSON, refusals, and what faults make of them.

use std::future::Future as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use serde_json::{Map, Value};

use crate::address;
use crate::error::ApiError;
use crate::operations::call::Reply;
use crate::state::faults::Change;

/// Larger request bodies are refused.
const BODY_LIMIT: usize = 1024 * 1024;

/// A body that takes longer to arrive is refused.
const BODY_TIME: Duration = Duration::from_secs(30);

/// The other end of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
}

/// Marks a response that must not be sent: the connection is reset instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abort;

/// Marks a response that a fault sends without a date.
#[derive(Debug, Clone, Copy)]
pub(super) struct WithoutDate;

/// Reads a request's body, within its limits.
pub(crate) async fn read_body(body: Body) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(BODY_TIME, to_bytes(body, BODY_LIMIT)).await {
        Ok(read) => read.map_err(|_| ApiError::too_large(BODY_LIMIT)),
        Err(_) => Err(ApiError::body_too_slow(BODY_TIME)),
    }
}

/// The parameters of a query. A plus sign that was sent as it is stays one in an address, where a space cannot be.
pub(crate) fn query(text: Option<&str>) -> Vec<(String, String)> {
    let text = text.unwrap_or_default();
    let read = |text: &str| -> Vec<(String, String)> {
        url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .collect()
    };
    let literal = read(&text.replace('+', "%2B"));
    read(text)
        .into_iter()
        .zip(literal)
        .map(|(spaced, literal)| {
            let value = &literal.1;
            if address::is_email(value) || address::is_international_phone(value) {
                literal
            } else {
                spaced
            }
        })
        .collect()
}

/// A response that never reaches the client: the connection is reset.
pub(super) fn abort() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(Abort);
    response
}

/// The response with what a fault puts in its place.
pub(super) async fn changed(response: Response<Body>, change: Change) -> Response<Body> {
    let undated = change.removes("date");
    let (mut parts, body) = response.into_parts();
    if let Some(status) = change.status {
        parts.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    for name in &change.removed {
        parts.headers.remove(name);
    }
    for (name, value) in change.added {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            parts.headers.append(name, value);
        }
    }
    if undated {
        parts.extensions.insert(WithoutDate);
    }
    let mut body = match change.body {
        Some(body) => Bytes::from(body),
        // The responses here are built in memory, so this neither waits nor fails.
        None => to_bytes(body, usize::MAX).await.unwrap_or_default(),
    };
    if change.gzip {
        body = gzip(&body).into();
        parts
            .headers
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Response::from_parts(parts, Body::from(body))
}

/// A gzip file (RFC 1952) of blocks that are stored as they are (RFC 1951), which every reader takes.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let mut blocks = body.chunks(usize::from(u16::MAX)).peekable();
    if blocks.peek().is_none() {
        out.extend([1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    let crc = !body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    });
    out.extend(crc.to_le_bytes());
    // The length modulo 2^32, as the format asks.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the format takes the low 32 bits"
    )]
    out.extend((body.len() as u32).to_le_bytes());
    out
}

/// Announces the whole body but sends only its beginning.
pub(super) async fn cut(response: Response<Body>, after: usize) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    // The responses here are built in memory, so this neither waits nor fails.
    let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let kept = after.min(whole.len().saturating_sub(1));
    parts
        .headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    Response::from_parts(
        parts,
        Body::new(CutBody {
            rest: Some(whole.slice(..kept)),
            pause: None,
        }),
    )
}

/// Sends what it has, gives it time to leave, then fails.
struct CutBody {
    rest: Option<Bytes>,
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl http_body::Body for CutBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        if let Some(rest) = self.rest.take().filter(|rest| !rest.is_empty()) {
            return Poll::Ready(Some(Ok(http_body::Frame::data(rest))));
        }
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(20))));
        pause
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(std::io::Error::other("the body is cut off here"))))
    }
}

/// A missing body counts as the empty object.
pub(crate) fn object(bytes: &Bytes) -> Result<Map<String, Value>, ApiError> {
    if bytes.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(ApiError::malformed("The body must be a JSON object")),
        Err(reason) => Err(ApiError::malformed(format!(
            "The body is not JSON: {reason}"
        ))),
    }
}

pub(super) fn success(reply: Reply) -> Response<Body> {
    let mut response = json(StatusCode::OK, &reply.body);
    for cookie in reply.cookies {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

pub(crate) fn failure(refused: &ApiError) -> Response<Body> {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &refused.body());
    if let Some(seconds) = refused.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

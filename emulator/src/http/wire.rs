//! Responses and bodies: JSON, refusals, and what faults make of them.

use std::future::ready;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Map, Value};

use crate::address;
use crate::error::ApiError;
use crate::operations::call::Reply;
use crate::state::faults::Change;

/// Larger request bodies are refused.
const BODY_LIMIT: usize = 1024 * 1024;

/// A body that takes longer to arrive is refused.
const BODY_TIME: Duration = Duration::from_secs(30);

/// In place of a response: a fault resets the connection.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a fault resets the connection")]
pub(crate) struct Reset;

/// Marks a response that a fault sends without a date.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WithoutDate;

/// The body of a response.
pub(crate) enum Body {
    Whole(Bytes),
    Later(Pin<Box<dyn Future<Output = Part> + Send>>),
}

/// A part of a body, and what follows it.
type Part = io::Result<(Bytes, Body)>;

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let part = match &mut *self {
            Self::Whole(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Self::Whole(bytes) => Ok((std::mem::take(bytes), Self::default())),
            Self::Later(part) => ready!(part.as_mut().poll(cx)),
        };
        let (frame, rest) = match part {
            Ok((bytes, rest)) => (Ok(Frame::data(bytes)), rest),
            Err(failed) => (Err(failed), Self::default()),
        };
        *self = rest;
        Poll::Ready(Some(frame))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Later(_) => SizeHint::default(),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }
}

/// Reads a request's body, within its limits.
pub(crate) async fn read_body(body: Incoming) -> Result<Bytes, ApiError> {
    let read = Limited::new(body, BODY_LIMIT).collect();
    match tokio::time::timeout(BODY_TIME, read).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(_)) => Err(ApiError::too_large(BODY_LIMIT)),
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

/// The response with what a fault puts in its place.
pub(super) fn changed(response: Response<Bytes>, change: Change) -> Response<Bytes> {
    let undated = change.removes("date");
    let (mut parts, mut body) = response.into_parts();
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
    if let Some(other) = change.body {
        body = other.into();
    }
    if change.gzip {
        body = gzip(&body).into();
        parts
            .headers
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Response::from_parts(parts, body)
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
pub(super) fn cut(mut response: Response<Bytes>, after: usize) -> Response<Body> {
    let whole = response.body().len();
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(whole));
    response.map(|mut body| {
        body.truncate(after.min(whole.saturating_sub(1)));
        let failure = async {
            // So that what was sent before leaves.
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(io::Error::other("the body is cut off here"))
        };
        Body::Later(Box::pin(ready(Ok((body, Body::Later(Box::pin(failure)))))))
    })
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

pub(super) fn success(reply: Reply) -> Response<Bytes> {
    let mut response = json(StatusCode::OK, &reply.body);
    for cookie in reply.cookies {
        if let Ok(value) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}

pub(crate) fn failure(refused: &ApiError) -> Response<Bytes> {
    let status = StatusCode::from_u16(refused.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &refused.body());
    if let Some(seconds) = refused.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

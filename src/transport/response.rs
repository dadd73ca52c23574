//! Responses, decoded.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::body::{self, FromJson, Skipped, Stop};
use crate::error::{ApiError, Call, DecodeError, Error, TransportError, from_reqwest};

/// Longest response that is read, in bytes.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;
/// Longest error response that is looked at, in bytes.
const LARGEST_ERROR_BODY: usize = 64 * 1024;

/// A response as it came, with its body as far as it was wanted.
pub struct Received {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) url: Url,
    pub(crate) body: Result<Vec<u8>, Stop>,
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Received {
    /// Reads the body: of a success up to `max_body` bytes, of an error what will do.
    pub(crate) async fn read(mut response: reqwest::Response, max_body: usize) -> Self {
        let status = response.status();
        let body = match max_body {
            _ if !status.is_success() => body::read(&mut response, LARGEST_ERROR_BODY).await,
            0 => Ok(Vec::new()),
            _ => body::read(&mut response, max_body).await,
        };
        Self {
            status,
            headers: std::mem::take(response.headers_mut()),
            url: response.url().clone(),
            body,
        }
    }
}

/// A decoded response with its status and headers.
#[derive(Clone)]
pub struct ResponseValue<T> {
    inner: T,
    status: StatusCode,
    headers: HeaderMap,
    /// As it came; empty where there is none.
    body: Vec<u8>,
    body_error: Option<Error>,
    operation: Option<&'static str>,
}

impl<T> ResponseValue<T> {
    /// The decoded body.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// The HTTP status, one of 200 to 299.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// All headers of the response, each `Set-Cookie` among them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Why the body could not be read, for an operation that is a success without it: one whose tokens
    /// may be in cookies, or that only says where a message went. The decoded body is empty then.
    #[must_use]
    pub fn body_error(&self) -> Option<&Error> {
        self.body_error.as_ref()
    }

    /// What to report when this response lacks what its operation cannot do without.
    pub(crate) fn missing(&self, member: &'static str) -> Error {
        self.missing_as(member, member)
    }

    /// The same, with what to call the member.
    pub(crate) fn missing_as(&self, member: &'static str, what: &'static str) -> Error {
        let error = DecodeError::missing(self.status, member, what, self.body_error.clone());
        let error = match error {
            Error::Decode(error) => Error::Decode(error.with_headers(&self.headers)),
            error => error,
        };
        match self.operation {
            Some(operation) => error.of(operation),
            None => error,
        }
    }

    /// The decoded body, the status and the headers.
    #[must_use]
    pub fn into_parts(self) -> (T, StatusCode, HeaderMap) {
        (self.inner, self.status, self.headers)
    }

    /// A response as it might have come, for tests of what works with one.
    #[must_use]
    pub fn new(inner: T, status: StatusCode, headers: HeaderMap) -> Self {
        Self {
            inner,
            status,
            headers,
            body: Vec::new(),
            body_error: None,
            operation: None,
        }
    }

    /// A member of the body by its name on the wire, whether the description has it or not: a member
    /// that is described in a later release moves from `extra` to a field, and is found here by the
    /// same name.
    ///
    /// ```
    /// use descope_magiclink::raw::{ResponseValue, types};
    ///
    /// let sent: types::EmailMagicLinkResponse =
    ///     serde_json::from_str(r#"{"maskedEmail": "j**@example.com", "attempt": 2}"#)?;
    /// let sent = ResponseValue::new(sent, http::StatusCode::OK, http::HeaderMap::new());
    /// assert_eq!(sent.member("maskedEmail").unwrap(), "j**@example.com");
    /// assert_eq!(sent.member("attempt").unwrap(), 2);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Value>
    where
        T: Serialize,
    {
        match self.json() {
            Value::Object(mut members) => members.remove(name),
            _ => None,
        }
    }

    /// The whole body as JSON, as it came: with what the description lacks, and with what could not be
    /// read as described. Of a response that was [made](Self::new), or has no body: what its decoded
    /// body is written as. It prints all that it holds, tokens too.
    #[must_use]
    pub fn json(&self) -> Value
    where
        T: Serialize,
    {
        body::from_json(&self.body)
            .or_else(|_| serde_json::to_value(&self.inner))
            .unwrap_or_default()
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> ResponseValue<U> {
        ResponseValue {
            inner: change(self.inner),
            status: self.status,
            headers: self.headers,
            body: self.body,
            body_error: self.body_error,
            operation: self.operation,
        }
    }
}

impl<T> ResponseValue<T> {
    pub(crate) fn decoded(
        mut received: Received,
        operation: &'static str,
        limit: Duration,
    ) -> Result<Self, Error>
    where
        T: FromJson + Default,
    {
        if !T::HAS_BODY {
            return Ok(Self::new(T::default(), received.status, received.headers));
        }
        let mut skipped = Skipped::default();
        let mut body = Vec::new();
        let decoded = take_body(&mut received, operation, limit).and_then(|read| {
            body = read;
            decode(&received, &body, &mut skipped).map_err(|error| {
                let error = error.with_headers(&received.headers);
                Error::Decode(error).of(operation)
            })
        });
        let (inner, body_error) = match decoded {
            Ok(inner) => (inner, None),
            Err(error) if T::OPTIONAL_BODY => (T::default(), Some(error)),
            Err(error) => return Err(error),
        };
        record(operation, &skipped, body_error.as_ref());
        Ok(Self {
            inner,
            status: received.status,
            headers: received.headers,
            body,
            body_error,
            operation: Some(operation),
        })
    }
}

impl<T: DeserializeOwned> ResponseValue<T> {
    /// A response of a kind that the description does not have.
    pub(crate) fn of_any(
        mut received: Received,
        operation: &'static str,
        limit: Duration,
    ) -> Result<Self, Error> {
        let body = take_body(&mut received, operation, limit)?;
        let is_empty = body::without_mark(&body).is_empty();
        let json = if is_empty { b"null" } else { &*body };
        let inner = body::from_json(json).map_err(|error| {
            let error = not_json(&received, &error).with_headers(&received.headers);
            Error::Decode(error).of(operation)
        })?;
        Ok(Self {
            body,
            operation: Some(operation),
            ..Self::new(inner, received.status, received.headers)
        })
    }
}

fn take_body(
    received: &mut Received,
    operation: &'static str,
    limit: Duration,
) -> Result<Vec<u8>, Error> {
    std::mem::replace(&mut received.body, Ok(Vec::new()))
        .map_err(|stop| match stop {
            Stop::TooLarge(_) => Error::Transport(TransportError::too_large(LARGEST_BODY)),
            Stop::Failed(_, error) => from_reqwest(error, limit),
        })
        .map_err(|error| error.of(operation))
}

fn not_json(response: &Received, error: &serde_json::Error) -> DecodeError {
    // The client asks for no encoding, so that whoever encoded the body stands in between.
    let encoding = response.headers.get(CONTENT_ENCODING);
    match encoding.filter(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        Some(encoding) => DecodeError::encoded(response.status, encoding),
        None => DecodeError::json(response.status, error),
    }
}

fn decode<T: FromJson>(
    response: &Received,
    body: &[u8],
    skipped: &mut Skipped,
) -> Result<T, DecodeError> {
    let read = body::parse(body, skipped).map_err(|error| not_json(response, &error))?;
    read.map_err(|other| DecodeError::other_kind(response.status, T::EXPECTED, kind(&other)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object of another form",
    }
}

/// Tells what was not as described: the operation and the paths of members, never a value.
#[cfg(feature = "tracing")]
fn record(operation: &'static str, skipped: &Skipped, body_error: Option<&Error>) {
    if skipped.paths().is_empty() && body_error.is_none() {
        return;
    }
    tracing::warn!(
        operation,
        members = ?skipped.paths(),
        body_error = body_error.map(tracing::field::display),
        "response not as described"
    );
}

#[cfg(not(feature = "tracing"))]
fn record(operation: &'static str, skipped: &Skipped, body_error: Option<&Error>) {
    let _ = (operation, skipped.paths(), body_error);
}

impl<T> Deref for ResponseValue<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

// Headers may hold `Set-Cookie`, so they are not printed.
impl<T: fmt::Debug> fmt::Debug for ResponseValue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseValue")
            .field("status", &self.status)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// The error for a response with a status that is no success. Whatever its body does, the status stays.
pub(crate) fn unexpected(received: Received, call: &Call) -> Error {
    let body = match received.body {
        Ok(body) | Err(Stop::TooLarge(body) | Stop::Failed(body, _)) => body,
    };
    Error::Api(Box::new(ApiError::new(
        received.status,
        received.headers,
        &body,
        call,
    )))
}

//! What the generated bindings run on.
//!
//! progenitor's own runtime crate prints whole answers in its errors and reads bodies without a
//! limit. This module has the few names that generated code needs, without either.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_ENCODING;
use http::{HeaderMap, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::body::{self, FromJson, Skipped, Stop};
use crate::clock::Clock;
use crate::error::{ApiError, DecodeError, Error, TransportError, from_reqwest};
use crate::hooks::CredentialKind;

/// Longest answer that is read, in bytes.
pub(crate) const LARGEST_BODY: usize = 1024 * 1024;
/// Longest error answer that is looked at, in bytes.
const LARGEST_ERROR_BODY: usize = 64 * 1024;
/// All that RFC 3986 2.3 calls unreserved may stand in a path segment as it is.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A decoded response with its status and headers.
#[derive(Clone)]
pub struct ResponseValue<T> {
    inner: T,
    status: StatusCode,
    headers: HeaderMap,
    body_error: Option<Error>,
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
    pub(crate) fn missing(&self, what: &'static str) -> Error {
        DecodeError::missing(self.status, what, self.body_error.clone())
    }

    pub(crate) fn into_parts(self) -> (T, StatusCode, HeaderMap) {
        (self.inner, self.status, self.headers)
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> ResponseValue<U> {
        ResponseValue {
            inner: change(self.inner),
            status: self.status,
            headers: self.headers,
            body_error: self.body_error,
        }
    }
}

impl ResponseValue<()> {
    /// For an operation without a result: the body is not read.
    pub(crate) fn empty(mut response: reqwest::Response) -> Self {
        Self {
            inner: (),
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body_error: None,
        }
    }
}

impl<T> ResponseValue<T> {
    pub(crate) async fn from_response(mut response: reqwest::Response) -> Result<Self, Error>
    where
        T: FromJson + Default,
    {
        let call = Call::of(&response);
        let mut skipped = Skipped::default();
        let decoded = match body::read(&mut response, LARGEST_BODY).await {
            Ok(body) => decode(&response, &body, &mut skipped).map_err(Error::Decode),
            Err(Stop::TooLarge(_)) => {
                Err(Error::Transport(TransportError::too_large(LARGEST_BODY)))
            }
            Err(Stop::Failed(_, error)) => Err(from_reqwest(error, call.limit)),
        };
        let (inner, body_error) = match decoded {
            Ok(inner) => (inner, None),
            Err(error) if T::OPTIONAL_BODY => (T::default(), Some(error)),
            Err(error) => return Err(error),
        };
        record(&call, &skipped, body_error.as_ref());
        Ok(Self {
            inner,
            status: response.status(),
            headers: std::mem::take(response.headers_mut()),
            body_error,
        })
    }
}

fn decode<T: FromJson>(
    response: &reqwest::Response,
    body: &[u8],
    skipped: &mut Skipped,
) -> Result<T, DecodeError> {
    let status = response.status();
    let read = body::parse(body, skipped).map_err(|error| {
        // The client asks for no encoding, so that whoever encoded the body stands in between.
        let encoding = response.headers().get(CONTENT_ENCODING);
        match encoding.filter(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            Some(encoding) => DecodeError::encoded(status, encoding),
            None => DecodeError::json(status, &error),
        }
    })?;
    read.map_err(|other| DecodeError::other_kind(status, T::EXPECTED, kind(&other)))
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
fn record(call: &Call, skipped: &Skipped, body_error: Option<&Error>) {
    if skipped.paths().is_empty() && body_error.is_none() {
        return;
    }
    tracing::warn!(
        operation = call.operation_id,
        members = ?skipped.paths(),
        body_error = body_error.map(tracing::field::display),
        "response not as described"
    );
}

#[cfg(not(feature = "tracing"))]
fn record(call: &Call, skipped: &Skipped, body_error: Option<&Error>) {
    let _ = (call.operation_id, skipped.paths(), body_error);
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

/// What a call leaves with its response for those who read it.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) operation_id: &'static str,
    pub(crate) limit: Duration,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whose token or key went along.
    pub(crate) credential: CredentialKind,
    pub(crate) base_url: Arc<str>,
}

impl Call {
    fn of(response: &reqwest::Response) -> Self {
        response
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self {
                operation_id: "",
                limit: Duration::ZERO,
                clock: Arc::new(crate::clock::SystemClock),
                credential: CredentialKind::Project,
                base_url: "".into(),
            })
    }
}

/// The error for an answer with a status that is no success. Whatever its body does, the status stays.
pub(crate) async fn unexpected(mut response: reqwest::Response) -> Error {
    let status = response.status();
    let call = Call::of(&response);
    let body = match body::read(&mut response, LARGEST_ERROR_BODY).await {
        Ok(body) | Err(Stop::TooLarge(body) | Stop::Failed(body, _)) => body,
    };
    let headers = std::mem::take(response.headers_mut());
    Error::Api(Box::new(ApiError::new(status, headers, &body, &call)))
}

/// Names the operation that a hook is called for.
pub(crate) struct OperationInfo {
    pub(crate) operation_id: &'static str,
}

/// What happens around each generated call; `hooks.rs` implements it for the generated client.
pub(crate) trait ClientHooks<Inner> {
    /// Completes the request.
    async fn pre(&self, request: &mut reqwest::Request, info: &OperationInfo) -> Result<(), Error>;

    /// Sends the request.
    async fn exec(
        &self,
        request: reqwest::Request,
        info: &OperationInfo,
    ) -> Result<reqwest::Response, Error>;

    /// Sees the outcome.
    async fn post(
        &self,
        result: &Result<reqwest::Response, Error>,
        info: &OperationInfo,
    ) -> Result<(), Error>;
}

/// A request that could not be built; the base URL was checked, so that only an argument can be wrong.
pub(crate) fn build_error(_: reqwest::Error) -> Error {
    Error::argument("request", "cannot be written as an HTTP request")
}

/// Encodes one path segment.
///
/// # Errors
///
/// A segment that a URL parser would drop or walk up from: empty, `.` and `..`.
pub(crate) fn encode_path(segment: &str) -> Result<String, Error> {
    if matches!(segment, "" | "." | "..") {
        return Err(Error::argument(
            "in the path",
            "must be an id: not empty, and no `.` or `..`",
        ));
    }
    Ok(utf8_percent_encode(segment, NOT_UNRESERVED).to_string())
}

/// One `name=value` of a query; nothing when the value is `None`.
pub(crate) struct QueryParam<'a, T>(&'a str, &'a T);

impl<'a, T> QueryParam<'a, T> {
    pub(crate) fn new(name: &'a str, value: &'a T) -> Self {
        Self(name, value)
    }
}

impl<T: Serialize> Serialize for QueryParam<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [(self.0, self.1)].serialize(serializer)
    }
}

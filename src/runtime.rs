//! What the generated bindings run on.
//!
//! progenitor's own runtime crate prints whole answers in its errors and reads bodies without a
//! limit. This module has the few names that generated code needs, without either.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

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

/// A decoded answer with its status and headers.
#[derive(Clone)]
pub struct ResponseValue<T> {
    inner: T,
    status: StatusCode,
    headers: HeaderMap,
}

impl<T> ResponseValue<T> {
    /// The decoded body.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// All headers of the answer, each `Set-Cookie` among them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn into_parts(self) -> (T, StatusCode, HeaderMap) {
        (self.inner, self.status, self.headers)
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> ResponseValue<U> {
        ResponseValue {
            inner: change(self.inner),
            status: self.status,
            headers: self.headers,
        }
    }
}

impl<T: DeserializeOwned> ResponseValue<T> {
    pub(crate) async fn from_response(mut response: reqwest::Response) -> Result<Self, Error> {
        let status = response.status();
        let call = Call::of(&response);
        let body = read_body(&mut response, LARGEST_BODY)
            .await
            .map_err(|stop| match stop {
                Stop::TooLarge(_) => Error::Transport(TransportError::too_large(LARGEST_BODY)),
                Stop::Failed(_, error) => from_reqwest(error, call.limit),
            })?;
        // Some calls answer success with no body at all, where the description infers an empty object.
        let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
        let inner = serde_json::from_slice(text)
            .map_err(|error| Error::Decode(DecodeError::json(status, &error)))?;
        let headers = std::mem::take(response.headers_mut());
        Ok(Self {
            inner,
            status,
            headers,
        })
    }
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
    let body = match read_body(&mut response, LARGEST_ERROR_BODY).await {
        Ok(body) | Err(Stop::TooLarge(body) | Stop::Failed(body, _)) => body,
    };
    let headers = std::mem::take(response.headers_mut());
    Error::Api(Box::new(ApiError::new(status, headers, &body, &call)))
}

enum Stop {
    TooLarge(Vec<u8>),
    Failed(Vec<u8>, reqwest::Error),
}

async fn read_body(response: &mut reqwest::Response, limit: usize) -> Result<Vec<u8>, Stop> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len().saturating_add(chunk.len()) > limit => {
                return Err(Stop::TooLarge(body));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Stop::Failed(body, error)),
        }
    }
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

/// Reads `null` as the type's default: the service's gateway may send either for an empty list or map.
pub(crate) fn null_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// The members of an object that the description does not know, kept as they came.
///
/// Printing one shows the names and not the values: nobody knows yet what a member that the service
/// adds one day will hold.
///
/// ```
/// use descope_magiclink::raw::types::MyTenant;
///
/// let tenant: MyTenant = serde_json::from_str(r#"{"id": "T1", "apiToken": "s3cret"}"#)?;
/// assert_eq!(tenant.extra["apiToken"], "s3cret");
/// assert_eq!(format!("{:?}", tenant.extra), r#"Extra {"apiToken"}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Extra(Map<String, Value>);

impl Deref for Extra {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl DerefMut for Extra {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl From<Map<String, Value>> for Extra {
    fn from(members: Map<String, Value>) -> Self {
        Self(members)
    }
}

impl From<Extra> for Map<String, Value> {
    fn from(extra: Extra) -> Self {
        extra.0
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug_names("Extra", &self.0, f)
    }
}

/// Prints the names of an object's members and none of their values.
pub(crate) fn debug_names(
    of: &str,
    members: &Map<String, Value>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    write!(f, "{of} ")?;
    f.debug_set().entries(members.keys()).finish()
}

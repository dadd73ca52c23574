//! What generated calls are made of beside their response.
//!
//! progenitor's own runtime crate prints whole responses in its errors and reads bodies without a
//! limit. These are the few names that generated code needs, without either.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, Serializer};

use crate::error::Error;

/// All that RFC 3986 2.3 calls unreserved may stand in a path segment as it is.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

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

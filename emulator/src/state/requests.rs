//! The requests that came.

use std::fmt;
use std::time::SystemTime;

use hyper::body::Bytes;
use serde_json::Value;

use super::bounded::{Bound, Bounded, Entry};
use super::clock::{Millis, to_time};

/// How much of a body is kept.
const BODY_KEPT: usize = 64 * 1024;

/// One request, with its response. `Debug` leaves out headers, query and body.
#[derive(Clone, PartialEq)]
pub struct RecordedRequest {
    pub(crate) id: u64,
    pub(crate) at: Millis,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) operation: Option<&'static str>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) status: Option<u16>,
    pub(crate) error_code: Option<String>,
    pub(crate) fault: Option<String>,
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("operation", &self.operation)
            .field("status", &self.status)
            .field("error_code", &self.error_code)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl RecordedRequest {
    /// A number that grows with each request of one emulator, from 1.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// When it came, by the emulator's clock.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        to_time(self.at)
    }

    /// The method, such as `POST`.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query, as it was sent.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// The operation id, unless the request was for nothing that is emulated.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.operation
    }

    /// A header by its name, in any case; the first one when it came more than once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// All headers in the order in which they came, names in lower case.
    #[must_use]
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The body, up to its first 64 KiB.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as JSON; `null` when it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The status of the response; none while there is no response, and when a fault took it away.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// The code of a refusal, such as `E062108`.
    #[must_use]
    pub fn error_code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }

    /// The fault that hit it, in words.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

impl Entry for RecordedRequest {
    type Key = u64;

    fn key(&self) -> u64 {
        self.id
    }

    fn bytes(&self) -> usize {
        let headers = self.headers.iter();
        256 + self.method.len()
            + self.path.len()
            + self.query.as_ref().map_or(0, String::len)
            + headers
                .map(|(name, value)| 48 + name.len() + value.len())
                .sum::<usize>()
            + self.body.len()
    }
}

/// The recorded requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Requests {
    pub(crate) kept: Bounded<RecordedRequest>,
    last_id: u64,
}

impl Requests {
    pub(crate) fn open(&mut self, mut request: RecordedRequest, bound: Bound) -> u64 {
        self.last_id += 1;
        request.id = self.last_id;
        // A copy, so that neither the rest of the body nor the buffer that it came in is kept alive.
        let kept = request.body.len().min(BODY_KEPT);
        request.body = Bytes::copy_from_slice(request.body.get(..kept).unwrap_or_default());
        self.kept.push(request, bound);
        self.last_id
    }

    /// Completes an entry; none when it was dropped in the meantime.
    pub(crate) fn close(
        &mut self,
        id: u64,
        close: impl FnOnce(&mut RecordedRequest),
    ) -> Option<RecordedRequest> {
        self.kept.change(&id, |request| {
            close(request);
            request.clone()
        })
    }
}

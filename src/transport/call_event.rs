//! What an application may see of a client's calls, for trace context and metrics.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, StatusCode};

use crate::error::Error;

/// A call of a client, before it is sent and when it has completed: see
/// [`ClientBuilder::on_call`](crate::ClientBuilder::on_call).
#[derive(Debug)]
#[non_exhaustive]
pub enum CallEvent<'c> {
    /// A call is about to be sent. Attempts that follow carry the same headers.
    #[non_exhaustive]
    Starting {
        /// The operation's id, as in [`raw`](crate::raw).
        operation: &'static str,
        /// Empty: put headers here to have them sent along. A header of the crate's own, such as
        /// `Authorization`, stays as it is.
        headers: &'c mut HeaderMap,
    },
    /// A call has completed.
    #[non_exhaustive]
    Completed {
        /// The operation's id, as in [`raw`](crate::raw).
        operation: &'static str,
        /// The status of a success, or the error with its status and code.
        result: Result<StatusCode, &'c Error>,
        /// How many times the request was sent.
        attempts: u32,
        /// How long the call took, waits between attempts and the body included.
        duration: Duration,
    },
}

/// The application's closure.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(&mut CallEvent<'_>) + Send + Sync>);

impl Observer {
    pub(crate) fn new(observe: impl Fn(&mut CallEvent<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    /// Adds what the application wants sent along.
    pub(crate) fn add_headers(&self, operation: &'static str, sent: &mut HeaderMap) {
        let mut headers = HeaderMap::new();
        (self.0)(&mut CallEvent::Starting {
            operation,
            headers: &mut headers,
        });
        for (name, value) in &headers {
            if name != AUTHORIZATION && !sent.contains_key(name) {
                sent.append(name, value.clone());
            }
        }
    }

    pub(crate) fn notify(&self, event: &mut CallEvent<'_>) {
        (self.0)(event);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

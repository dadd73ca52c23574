//! Whether a request that was given up can have reached the service.
//!
//! A request looks for an idle connection and makes a new one at the same time, so that a connection was
//! begun says nothing. But over HTTP/1, hyper looks at the body after it has a connection and before the
//! first byte leaves: a body that nobody has looked at was not sent. On HTTP/2 the head goes first.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http_body::{Frame, SizeHint};
use reqwest::{Body, Request};

/// Whether the body of a request was looked at.
pub(super) struct Watch(Arc<AtomicBool>);

impl Watch {
    /// Watches the body of a request, be it an empty one.
    pub(super) fn over(request: &mut Request) -> Self {
        let is_taken = Arc::new(AtomicBool::new(false));
        let body = Watched {
            body: request.body_mut().take().unwrap_or_default(),
            is_taken: Arc::clone(&is_taken),
        };
        *request.body_mut() = Some(Body::wrap(body));
        Self(is_taken)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

struct Watched {
    body: Body,
    is_taken: Arc<AtomicBool>,
}

impl http_body::Body for Watched {
    type Data = <Body as http_body::Body>::Data;
    type Error = <Body as http_body::Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.is_taken.store(true, Ordering::Relaxed);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.is_taken.store(true, Ordering::Relaxed);
        self.body.is_end_stream()
    }

    // Asked for before there is a connection too.
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

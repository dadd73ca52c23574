//! Whether a request that was given up had a connection.
//!
//! A request looks for an idle connection and makes a new one at the same time, whichever is there
//! first. So that a connection was begun says nothing, and neither does a body that nobody has read: on
//! HTTP/2 the head goes first. But when a request is dropped, it drops the connection that it waits for
//! along; had it one already, the other is finished in the background.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Set when a connection is dropped before it is there.
    static DROPPED: Arc<AtomicBool>;
}

/// Does the work of a request, and tells whether it ended while it waited for a connection. Always
/// false with a client that was made without [`ConnectingLayer`].
pub(super) async fn watch<T>(work: impl Future<Output = T>) -> (T, bool) {
    let dropped = Arc::new(AtomicBool::new(false));
    // The work is dropped as soon as it is done.
    let outcome = DROPPED.scope(Arc::clone(&dropped), work).await;
    (outcome, dropped.load(Ordering::Relaxed))
}

/// Around what makes connections.
#[derive(Clone)]
pub(super) struct ConnectingLayer;

impl<S> Layer<S> for ConnectingLayer {
    type Service = Connecting<S>;

    fn layer(&self, inner: S) -> Connecting<S> {
        Connecting(inner)
    }
}

#[derive(Clone)]
pub(super) struct Connecting<S>(S);

impl<S, R> Service<R> for Connecting<S>
where
    S: Service<R, Future: Send + 'static>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, destination: R) -> Self::Future {
        let guard = Guard(DROPPED.try_with(Arc::clone).ok());
        let connecting = self.0.call(destination);
        Box::pin(async move {
            let connection = connecting.await;
            guard.disarm();
            connection
        })
    }
}

struct Guard(Option<Arc<AtomicBool>>);

impl Guard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(dropped) = &self.0 {
            dropped.store(true, Ordering::Relaxed);
        }
    }
}

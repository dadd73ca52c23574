//! The session layer as a tower layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use descope_magiclink::Session;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::session_layer::{MaybeSession, SessionLayer, Settings};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<S, V> Layer<S> for SessionLayer<V> {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService {
            inner,
            settings: Arc::new(self.settings.clone()),
        }
    }
}

/// The service that a [`SessionLayer`] makes.
#[derive(Clone)]
pub struct SessionService<S> {
    inner: S,
    settings: Arc<Settings>,
}

impl<S: fmt::Debug> fmt::Debug for SessionService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: From<&'static str> + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone is not ready, the service that was polled is.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let tokens = settings.cookies.read(&parts.headers);
            let found = settings.authenticate(tokens).await;
            // Whoever is outside may have put its own there, and this layer is the one to be believed.
            parts.extensions.remove::<Session>();
            let mut response = match (&found.session, settings.required) {
                (Err(rejection), true) => rejection.response(),
                (session, _) => {
                    if let Ok(session) = session {
                        parts.extensions.insert(session.clone());
                    }
                    parts.extensions.insert(MaybeSession(session.clone()));
                    parts.extensions.insert(found.tokens.clone());
                    inner.call(Request::from_parts(parts, body)).await?
                }
            };
            found.set_cookies(response.headers_mut());
            Ok(response)
        })
    }
}

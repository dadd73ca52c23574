//! The session layer as a tower layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use descope_magiclink::Session;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;
use http::{Method, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::audit;
use crate::guarded_body::GuardedBody;
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

/// In the extensions of a preflight that is to pass the requirements inside of the layer.
#[derive(Clone, Copy)]
pub(crate) struct Preflight;

/// Whether a browser asks with this what it may ask (Fetch standard, CORS-preflight request).
fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Send,
{
    type Response = Response<GuardedBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

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
            let found = settings.check(settings.cookies.read(&parts.headers)).await;
            // Whoever is outside may have put its own there, and this layer is the one to be believed.
            parts.extensions.remove::<Session>();
            parts.extensions.remove::<Preflight>();
            let passes = settings.preflights && is_preflight(&parts);
            let mut response = match (&found.session, settings.required && !passes) {
                (Err(rejection), true) => {
                    audit::log("refused", None, Some(rejection.code()));
                    rejection.guarded_response()
                }
                (session, _) => {
                    if let Ok(session) = session {
                        parts.extensions.insert(session.clone());
                    }
                    if passes {
                        parts.extensions.insert(Preflight);
                    }
                    parts.extensions.insert(MaybeSession(session.clone()));
                    parts.extensions.insert(found.tokens.clone());
                    let response = inner.call(Request::from_parts(parts, body)).await?;
                    response.map(GuardedBody::new)
                }
            };
            found.set_cookies(response.headers_mut());
            Ok(response)
        })
    }
}

//! The layer that finds out who makes a request.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use descope_magiclink::{Client, RefreshToken, Refreshed, Session, SessionError, SessionValidator};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::cookies::{RequestTokens, SessionCookies, TokenSource};
use crate::rejection::Rejection;
use crate::service_error::{is_refusal, log_error};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Finds out who makes a request: validates the session token of its cookie or `Authorization` header,
/// and puts the [`Session`] into the request's extensions.
///
/// It decides nothing unless asked to:
///
/// | setting | a request without a good session |
/// | --- | --- |
/// | [`optional`](Self::optional), the default | goes on, and the application decides |
/// | [`required`](Self::required) | is answered with 401; with 503 when that could not be found out |
/// | [`refreshing`](Self::refreshing), beside either | gets a new session by its refresh cookie, if it has a good one |
///
/// [The guide](crate::requests) tells what happens request by request.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
/// use descope_magiclink::{Client, session::Session, web::SessionLayer};
///
/// async fn members(session: Session) -> String {
///     format!("hello {}", session.user_id())
/// }
///
/// let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
/// let app: Router = Router::new()
///     .route("/members", get(members))
///     .layer(SessionLayer::new(&client).refreshing());
/// # }
/// # Ok::<(), descope_magiclink::Error>(())
/// ```
pub struct SessionLayer<V = Client> {
    settings: Settings,
    source: PhantomData<fn() -> V>,
}

#[derive(Clone)]
struct Settings {
    validator: SessionValidator,
    /// None in a local layer.
    client: Option<Client>,
    cookies: SessionCookies,
    required: bool,
    refreshing: bool,
}

impl SessionLayer {
    /// A layer for the client's project.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self::with(client.sessions().validator().clone(), Some(client.clone()))
    }

    /// Renews sessions that have ended: a request whose session cookie is missing or no longer good, and
    /// whose refresh cookie is good, gets a new session before the application sees it. The response
    /// then sets the new cookies, and is kept out of caches (`Cache-Control: no-store`).
    ///
    /// Requests that come at once with one refresh token cause one call, and get the same cookies. A
    /// token from an `Authorization` header is never renewed: its client does that. When the service
    /// cannot be reached the cookies stay as they are; when it refuses they stay too, because another
    /// request may have renewed them meanwhile. Clear them where your users sign out.
    #[must_use]
    pub fn refreshing(mut self) -> Self {
        self.settings.refreshing = true;
        self
    }
}

impl SessionLayer<SessionValidator> {
    /// A layer that validates and does nothing else. It has no client, so that it cannot renew
    /// sessions.
    ///
    /// ```
    /// use descope_magiclink::session::SessionValidator;
    /// use descope_magiclink_web::SessionLayer;
    ///
    /// let validator = SessionValidator::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let layer = SessionLayer::local(validator).required();
    /// # let _ = layer;
    /// # Ok::<(), descope_magiclink::ConfigError>(())
    /// ```
    #[must_use]
    pub fn local(validator: SessionValidator) -> Self {
        Self::with(validator, None)
    }
}

impl<V> SessionLayer<V> {
    fn with(validator: SessionValidator, client: Option<Client>) -> Self {
        Self {
            settings: Settings {
                validator,
                client,
                cookies: SessionCookies::new(),
                required: false,
                refreshing: false,
            },
            source: PhantomData,
        }
    }

    /// Lets every request through; the application decides what it shows to whom. This is the default.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.settings.required = false;
        self
    }

    /// Lets only requests with a good session through.
    ///
    /// For a part of an application only, keep one optional layer around everything and put
    /// [`require_session`](crate::require_session), [`require_roles`](crate::require_roles) or
    /// [`require_permissions`](crate::require_permissions) around that part. A second `SessionLayer`
    /// inside of the first reads the request's cookies once more, which are the old ones where the
    /// first has renewed the session.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.settings.required = true;
        self
    }

    /// The cookies that the session is in. Give the [landing page](crate::LandingPage) the same.
    #[must_use]
    pub fn cookies(mut self, cookies: SessionCookies) -> Self {
        self.settings.cookies = cookies;
        self
    }
}

impl<V> Clone for SessionLayer<V> {
    fn clone(&self) -> Self {
        Self {
            settings: self.settings.clone(),
            source: PhantomData,
        }
    }
}

impl<V> fmt::Debug for SessionLayer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("validator", &self.settings.validator)
            .field("cookies", &self.settings.cookies)
            .field("required", &self.settings.required)
            .field("refreshing", &self.settings.refreshing)
            .finish()
    }
}

impl<S, V> Layer<S> for SessionLayer<V> {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService {
            inner,
            settings: Arc::new(self.settings.clone()),
        }
    }
}

/// What became of the search for a session: in the extensions of each request that went through a
/// [`SessionLayer`].
///
/// As an axum extractor it never refuses (unless there is no layer), and tells why there is no session.
///
/// ```
/// use descope_magiclink_web::MaybeSession;
///
/// async fn home(MaybeSession(session): MaybeSession) -> String {
///     match session {
///         Ok(session) => format!("hello {}", session.user_id()),
///         Err(why) if why.is_unavailable() => "we cannot tell who you are right now".to_owned(),
///         Err(_) => "hello stranger".to_owned(),
///     }
/// }
/// ```
#[derive(Debug, Clone)]
#[expect(
    clippy::exhaustive_structs,
    reason = "handlers take it apart in their arguments"
)]
pub struct MaybeSession(pub Result<Session, Rejection>);

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
            let (found, renewed) = settings.find(&mut parts).await;
            let mut response = match (&found, settings.required) {
                (Err(rejection), true) => rejection.response(),
                _ => {
                    if let Ok(session) = &found {
                        parts.extensions.insert(session.clone());
                    }
                    parts.extensions.insert(MaybeSession(found));
                    inner.call(Request::from_parts(parts, body)).await?
                }
            };
            if let Some(renewed) = renewed {
                add_cookies(response.headers_mut(), &renewed);
            }
            Ok(response)
        })
    }
}

impl Settings {
    /// The session of a request, and the cookies to set when it had to be renewed.
    async fn find(&self, parts: &mut Parts) -> (Result<Session, Rejection>, Option<HeaderMap>) {
        // Whoever is outside may have put its own there, and this layer is the one to be believed.
        parts.extensions.remove::<Session>();
        let mut tokens = self.cookies.read(&parts.headers);
        let found = match &tokens.session {
            Some(token) => self.validator.validate(token).await,
            None => Err(SessionError::Missing),
        };
        let (found, renewed) = match (found, &self.client, &tokens.refresh) {
            (Err(SessionError::Missing | SessionError::Token(_)), Some(client), Some(refresh))
                if self.refreshing && tokens.session_source != Some(TokenSource::Bearer) =>
            {
                match renew(client, refresh).await {
                    Ok(new) => {
                        let cookies = self.renewed_cookies(&new);
                        tokens.session = Some(new.session_token);
                        tokens.session_source = Some(TokenSource::Cookie);
                        tokens.refresh = Some(new.refresh_token);
                        (Ok(new.session), cookies)
                    }
                    Err(rejection) => (Err(rejection), None),
                }
            }
            (found, _, _) => (found.map_err(Rejection::from), None),
        };
        parts.extensions.insert::<RequestTokens>(tokens);
        (found, renewed)
    }

    fn renewed_cookies(&self, new: &Refreshed) -> Option<HeaderMap> {
        let mut headers = HeaderMap::new();
        match self.cookies.set(&mut headers, new) {
            Ok(()) => Some(headers),
            Err(error) => {
                // The request is served all the same; the next one renews once more.
                log_error("a renewed session was not put into cookies", &error);
                None
            }
        }
    }
}

async fn renew(client: &Client, refresh: &RefreshToken) -> Result<Refreshed, Rejection> {
    client.sessions().refresh(refresh).await.map_err(|error| {
        // What is wrong with a refresh token is not what is wrong with the session.
        if error.is_unauthorized() || is_refusal(&error) {
            return Rejection::RefreshRefused;
        }
        if error.is_credential_refused() {
            log_error("the service refused the key of this server", &error);
        }
        Rejection::from(error)
    })
}

/// Adds the cookies of a renewed session, unless the application has set cookies of these names
/// itself: it knew of the new session, and may have ended it.
fn add_cookies(response: &mut HeaderMap, renewed: &HeaderMap) {
    fn name(cookie: &HeaderValue) -> &[u8] {
        let bytes = cookie.as_bytes();
        bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes)
    }
    let new: Vec<HeaderValue> = renewed
        .get_all(SET_COOKIE)
        .iter()
        .filter(|cookie| {
            !response
                .get_all(SET_COOKIE)
                .iter()
                .any(|set| name(set) == name(cookie))
        })
        .cloned()
        .collect();
    if new.is_empty() {
        return;
    }
    for cookie in new {
        response.append(SET_COOKIE, cookie);
    }
    response.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

//! The layer that finds out who makes a request.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;

use descope_magiclink::{Client, RefreshToken, Refreshed, Session, SessionError, SessionValidator};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use crate::cookies::{RequestTokens, SessionCookies, TokenSource};
use crate::rejection::Rejection;
use crate::service_error::{is_refusal, log_error};

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
/// use descope_magiclink::Client;
/// use descope_magiclink_web::{CurrentSession, SessionLayer};
///
/// async fn members(session: CurrentSession) -> String {
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
    pub(crate) settings: Settings,
    source: PhantomData<fn() -> V>,
}

#[derive(Clone)]
pub(crate) struct Settings {
    validator: SessionValidator,
    /// None in a local layer.
    client: Option<Client>,
    pub(crate) cookies: SessionCookies,
    pub(crate) required: bool,
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

    /// Finds out who makes a request, for frameworks that have no use for a tower service. `headers` are
    /// the request's, as a [`HeaderMap`] or as pairs of a name and a value.
    ///
    /// Put the cookies of a renewed session into the response by
    /// [`set_cookies`](RequestSession::set_cookies). [`required`](Self::required) does not matter here.
    ///
    /// ```no_run
    /// # use descope_magiclink_web::{Rejection, SessionLayer};
    /// # async fn f(layer: SessionLayer, headers: Vec<(&str, &str)>) -> Result<(), Rejection> {
    /// let found = layer.authenticate(headers).await;
    /// let session = found.session.as_ref().map_err(Clone::clone)?;
    /// println!("hello {}", session.user_id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn authenticate<N, T>(
        &self,
        headers: impl IntoIterator<Item = (N, T)>,
    ) -> impl Future<Output = RequestSession> + Send
    where
        N: AsRef<str>,
        T: AsRef<[u8]>,
    {
        let tokens = self.settings.cookies.read(headers);
        self.settings.authenticate(tokens)
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

/// What was found out of a request: from [`SessionLayer::authenticate`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestSession {
    /// The session, or why there is none.
    pub session: Result<Session, Rejection>,
    /// The tokens: those of the request, or the new ones of a renewed session.
    pub tokens: RequestTokens,
    /// The `Set-Cookie` lines of a renewed session; else none.
    pub cookies: Vec<HeaderValue>,
}

impl RequestSession {
    /// Puts the cookies of a renewed session into the response, and keeps it out of shared caches
    /// (`Cache-Control: no-store`). Does nothing where the session was not renewed. A cookie of the same
    /// name that the response sets already stays: the application knew of the new session, and may
    /// have ended it.
    pub fn set_cookies(&self, response: &mut HeaderMap) {
        fn name(cookie: &HeaderValue) -> Option<&[u8]> {
            cookie.as_bytes().split(|byte| *byte == b'=').next()
        }
        let is_new = |cookie: &&HeaderValue| {
            let mut set = response.get_all(SET_COOKIE).iter();
            !set.any(|set| name(set) == name(cookie))
        };
        let new: Vec<HeaderValue> = self.cookies.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            response.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        for cookie in new {
            response.append(SET_COOKIE, cookie);
        }
    }
}

impl Settings {
    pub(crate) async fn authenticate(&self, tokens: RequestTokens) -> RequestSession {
        let session = match &tokens.session {
            Some(token) => self.validator.validate(token).await,
            None => Err(SessionError::Missing),
        };
        let session = match (session, &self.client, &tokens.refresh) {
            (Err(SessionError::Missing | SessionError::Token(_)), Some(client), Some(refresh))
                if self.refreshing && tokens.session_source != Some(TokenSource::Bearer) =>
            {
                match renew(client, refresh).await {
                    Ok(new) => return self.renewed(new),
                    Err(rejection) => Err(rejection),
                }
            }
            (session, _, _) => session.map_err(Rejection::from),
        };
        RequestSession {
            session,
            tokens,
            cookies: Vec::new(),
        }
    }

    fn renewed(&self, new: Refreshed) -> RequestSession {
        let mut headers = HeaderMap::new();
        if let Err(error) = self.cookies.set(&mut headers, &new) {
            // The request is served all the same; the next one renews once more.
            log_error("a renewed session was not put into cookies", &error);
        }
        RequestSession {
            session: Ok(new.session),
            tokens: RequestTokens {
                session: Some(new.session_token),
                refresh: Some(new.refresh_token),
                session_source: Some(TokenSource::Cookie),
            },
            cookies: headers.get_all(SET_COOKIE).iter().cloned().collect(),
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

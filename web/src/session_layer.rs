//! The layer that finds out who makes a request.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use descope_magiclink::session::{SessionError, TokenProblem};
use descope_magiclink::{Client, RefreshToken, Refreshed, Session, SessionValidator};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::cookies::cookie_header::trim;
use crate::cookies::families::{Candidate, newest_of_families};
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
/// | [`required`](Self::required) | gets 401; with 503 when that could not be found out |
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
    pub(crate) preflights: bool,
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
    /// use descope_magiclink::SessionValidator;
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
                cookies: SessionCookies::new(&validator),
                validator,
                client,
                required: false,
                refreshing: false,
                preflights: false,
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

    /// Lets CORS preflights through: `OPTIONS` requests with `Origin` and
    /// `Access-Control-Request-Method`, which browsers send without cookies and tokens. Both a
    /// [required](Self::required) layer and the [requirements](crate::require_session) inside of it let
    /// them pass. For applications that respond to them in their own handlers.
    ///
    /// Better leave it off, and put the layer that responds to preflights outside of this one: there it adds
    /// its headers to this layer's refusals, too, so that scripts can read them. What this opens: anybody,
    /// without a session, can have each of your `OPTIONS` handlers run.
    #[must_use]
    pub fn allow_preflights(mut self) -> Self {
        self.settings.preflights = true;
        self
    }

    /// Finds out who makes a request: the rules of this layer for any framework, of which the tower
    /// service is made as well. `headers` are the request's, as a [`HeaderMap`] or as pairs of a name and
    /// a value.
    ///
    /// Give the response what [`headers_to_add`](RequestSession::headers_to_add) says, after the
    /// application has made it; for an [`http`] response, [`set_cookies`](RequestSession::set_cookies) does.
    /// [`required`](Self::required) does not matter here.
    ///
    /// ```no_run
    /// # use descope_magiclink_web::{Rejection, SessionLayer};
    /// # async fn f(layer: SessionLayer, headers: Vec<(&str, &str)>) -> Result<(), Rejection> {
    /// let found = layer.check(headers).await;
    /// let session = found.session.as_ref().map_err(Clone::clone)?;
    /// println!("hello {}", session.user_id());
    /// # Ok(())
    /// # }
    /// ```
    pub fn check<N, T>(
        &self,
        headers: impl IntoIterator<Item = (N, T)>,
    ) -> impl Future<Output = RequestSession> + Send
    where
        N: AsRef<str>,
        T: AsRef<[u8]>,
    {
        let tokens = self.settings.cookies.read(headers);
        self.settings.check(tokens)
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

/// What was found out of a request: from [`SessionLayer::check`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestSession {
    /// The session, or why there is none.
    pub session: Result<Session, Rejection>,
    /// The tokens: those of the request that hold, or the new ones of a renewed session.
    pub tokens: RequestTokens,
    /// The `Set-Cookie` lines of a renewed session; else none.
    pub cookies: Vec<HeaderValue>,
}

impl RequestSession {
    /// What to add to the response, given the headers that it has: the cookies of a renewed session, and
    /// what keeps them out of shared caches. Nothing where the session was not renewed.
    ///
    /// A cookie that the response sets already stays as it is, and the renewed one of that name is left
    /// out: the application knew of the new session, and may have ended it. A `Cache-Control` in here
    /// takes the place of the response's; `Set-Cookie` goes beside what there is.
    #[must_use]
    pub fn headers_to_add<N, T>(
        &self,
        response: impl IntoIterator<Item = (N, T)>,
    ) -> Vec<(HeaderName, HeaderValue)>
    where
        N: AsRef<str>,
        T: AsRef<[u8]>,
    {
        if self.cookies.is_empty() {
            return Vec::new();
        }
        let set: Vec<T> = response
            .into_iter()
            .filter(|(name, _)| name.as_ref().eq_ignore_ascii_case(SET_COOKIE.as_str()))
            .map(|(_, value)| value)
            .collect();
        let is_new = |cookie: &&HeaderValue| {
            let cookie = cookie_name(cookie.as_bytes());
            !set.iter().any(|set| cookie_name(set.as_ref()) == cookie)
        };
        let new = self.cookies.iter().filter(is_new).cloned();
        let mut headers: Vec<_> = new.map(|cookie| (SET_COOKIE, cookie)).collect();
        if !headers.is_empty() {
            headers.push((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        }
        headers
    }

    /// Adds to a response what [`headers_to_add`](Self::headers_to_add) says.
    pub fn set_cookies(&self, response: &mut HeaderMap) {
        for (name, value) in self.headers_to_add(&*response) {
            if name == SET_COOKIE {
                response.append(name, value);
            } else {
                response.insert(name, value);
            }
        }
    }
}

/// The name in a `Set-Cookie` line.
fn cookie_name(line: &[u8]) -> &[u8] {
    trim(line.split(|byte| *byte == b'=').next().unwrap_or(line))
}

impl Settings {
    /// Looks at one source of tokens after the other. The first that brings something decides.
    pub(crate) async fn check(&self, mut tokens: RequestTokens) -> RequestSession {
        let mut session = Err(SessionError::Missing);
        for source in self.cookies.sources() {
            let found = match source {
                TokenSource::Bearer => self.by_bearer(&mut tokens).await,
                TokenSource::Cookie => match self.by_cookie(&mut tokens).await {
                    Found::Failed(error) if self.can_renew(&tokens) => {
                        return self.by_refresh(error, tokens).await;
                    }
                    found => found,
                },
            };
            match found {
                Found::Nothing => {}
                // It is told if nothing else decides.
                Found::Unrelated(problem) => session = Err(SessionError::Token(problem)),
                Found::Failed(error) => {
                    session = Err(error);
                    break;
                }
                Found::Session(found) => {
                    session = Ok(*found);
                    break;
                }
            }
        }
        RequestSession {
            session: session.map_err(Rejection::from),
            tokens,
            cookies: Vec::new(),
        }
    }

    async fn by_bearer(&self, tokens: &mut RequestTokens) -> Found {
        let Some(token) = &tokens.bearer else {
            return Found::Nothing;
        };
        match self.validator.validate(token).await {
            Err(SessionError::Token(problem)) if is_unrelated(problem) => Found::Unrelated(problem),
            result => {
                tokens.session = Some(token.clone());
                tokens.session_source = Some(TokenSource::Bearer);
                result.into()
            }
        }
    }

    /// The first session cookie that is good. Without one, what is wrong with the first; and if one could
    /// not be checked, that.
    async fn by_cookie(&self, tokens: &mut RequestTokens) -> Found {
        let mut dead = None;
        for token in &tokens.sessions {
            let error = match self.validator.validate(token).await {
                Ok(session) => {
                    tokens.session = Some(token.clone());
                    tokens.session_source = Some(TokenSource::Cookie);
                    if tokens.refreshes.len() > 1 {
                        let own = self.newest_of_families(tokens).await.0;
                        let own = own
                            .into_iter()
                            .find(|token| token.user_id == session.user_id());
                        tokens.refresh = own.map(|own| own.token).or(tokens.refresh.take());
                    }
                    return Found::Session(Box::new(session));
                }
                Err(error) => error,
            };
            if dead.is_none() || error.is_unavailable() {
                dead = Some(error);
            }
        }
        if let Some(token) = tokens.sessions.first() {
            tokens.session = Some(token.clone());
            tokens.session_source = Some(TokenSource::Cookie);
        }
        match dead {
            Some(error) => Found::Failed(error),
            None if self.can_renew(tokens) => Found::Failed(SessionError::Missing),
            None => Found::Nothing,
        }
    }

    fn can_renew(&self, tokens: &RequestTokens) -> bool {
        self.refreshing && self.client.is_some() && !tokens.refreshes.is_empty()
    }

    /// A new session by the refresh cookies, where one would help.
    async fn by_refresh(&self, error: SessionError, tokens: RequestTokens) -> RequestSession {
        let rejection = match (&self.client, &error) {
            (Some(client), SessionError::Missing | SessionError::Token(_)) => {
                match self.renew(client, &tokens).await {
                    Ok((old, new)) => return self.renewed(&old, new, tokens),
                    Err(rejection) => rejection,
                }
            }
            _ => Rejection::from(error),
        };
        RequestSession {
            session: Err(rejection),
            tokens,
            cookies: Vec::new(),
        }
    }

    /// Presents at most two tokens, the newest first, and never one that a newer of its family has
    /// superseded: that would end the family.
    async fn renew(
        &self,
        client: &Client,
        tokens: &RequestTokens,
    ) -> Result<(RefreshToken, Refreshed), Rejection> {
        let (newest, unavailable) = match tokens.refreshes.as_slice() {
            [only] => return renew(client, only).await.map(|new| (only.clone(), new)),
            _ => self.newest_of_families(tokens).await,
        };
        for candidate in newest.into_iter().take(2) {
            match renew(client, &candidate.token).await {
                Ok(new) => return Ok((candidate.token, new)),
                Err(Rejection::RefreshRefused) => {}
                Err(rejection) => return Err(rejection),
            }
        }
        Err(unavailable.map_or(Rejection::RefreshRefused, Rejection::from))
    }

    async fn newest_of_families(
        &self,
        tokens: &RequestTokens,
    ) -> (Vec<Candidate>, Option<SessionError>) {
        newest_of_families(&self.validator, &tokens.refreshes).await
    }

    fn renewed(
        &self,
        old: &RefreshToken,
        new: Refreshed,
        request: RequestTokens,
    ) -> RequestSession {
        let mut headers = HeaderMap::new();
        if let Err(error) = self.cookies.set_over(&mut headers, &new.tokens, &request) {
            // The request is served all the same; the next one renews once more.
            log_error(
                "a renewed session was not put into cookies, so that the next request renews it again",
                &error,
            );
        }
        let cookies: Vec<HeaderValue> = headers.get_all(SET_COOKIE).iter().cloned().collect();
        // A sign-out clears what is in the browser by then.
        let mut names = request.names;
        names.extend(
            cookies
                .iter()
                .map(|cookie| String::from_utf8_lossy(cookie_name(cookie.as_bytes())).into_owned()),
        );
        let mut refreshes: Vec<_> = new.tokens.refresh.clone().into_iter().collect();
        refreshes.extend(
            request
                .refreshes
                .into_iter()
                .filter(|token| token.expose_secret() != old.expose_secret()),
        );
        RequestSession {
            session: Ok(new.session),
            tokens: RequestTokens {
                sessions: vec![new.tokens.session.clone()],
                session: Some(new.tokens.session),
                refresh: new.tokens.refresh,
                session_source: Some(TokenSource::Cookie),
                refreshes,
                bearer: request.bearer,
                names,
            },
            cookies,
        }
    }
}

/// What one source of tokens brings.
enum Found {
    Nothing,
    /// A token that cannot be one of this project's sessions, such as another system's.
    Unrelated(TokenProblem),
    /// Tokens, and none of them good; or none could be checked.
    Failed(SessionError),
    Session(Box<Session>),
}

impl From<Result<Session, SessionError>> for Found {
    fn from(result: Result<Session, SessionError>) -> Self {
        match result {
            Ok(session) => Self::Session(Box::new(session)),
            Err(error) => Self::Failed(error),
        }
    }
}

/// Whether a token with this problem can never have been a session token of this project. One that is
/// over can, and so can one that somebody has changed.
fn is_unrelated(problem: TokenProblem) -> bool {
    !matches!(
        problem,
        TokenProblem::Expired
            | TokenProblem::SessionEnded
            | TokenProblem::NotYetValid
            | TokenProblem::InvalidSignature
            | TokenProblem::WrongAudience
            | TokenProblem::SenderConstrained
            | TokenProblem::InvalidClaim(_)
    )
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
        // Too many requests to the service are no fault of this one.
        if error.is_rate_limited() {
            return Rejection::Unavailable(Arc::new(error));
        }
        Rejection::from(error)
    })
}

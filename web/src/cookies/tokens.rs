//! The tokens that a request brings, and those that a response stores.

use std::time::{Duration, SystemTime};

use descope_magiclink::{
    Authentication, Clock as _, RefreshToken, Refreshed, Session, SessionToken, SystemClock,
};

/// The tokens that a request brought. [`SessionCookies::read`](super::SessionCookies::read) has checked
/// none of them. After a [`SessionLayer`](crate::SessionLayer), they are those of the session that it
/// found.
///
/// A browser may send several cookies of one name, say of another path or of a domain that is no longer
/// in use. All are here, and the layer finds the good one among them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestTokens {
    /// The session token.
    pub session: Option<SessionToken>,
    /// From a refresh cookie.
    pub refresh: Option<RefreshToken>,
    /// Where the session token was.
    pub session_source: Option<TokenSource>,
    /// What the header has, if it can be a session token.
    pub(crate) bearer: Option<SessionToken>,
    /// What can be a session token among the cookies, the likeliest first.
    pub(crate) sessions: Vec<SessionToken>,
    pub(crate) refreshes: Vec<RefreshToken>,
    /// The names of session cookies that the request brought, each as often as it came.
    pub(crate) names: Vec<String>,
}

/// Where a session token was in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenSource {
    /// In the `Authorization` header, or the one
    /// [set](super::SessionCookiesBuilder::token_header). Another site cannot make a browser send it.
    Bearer,
    /// In a cookie, which browsers add by themselves.
    Cookie,
}

/// The tokens to store in cookies, each with the time it has to live: made from an
/// [`Authentication`], or from the new tokens of a [`Refreshed`].
#[derive(Clone, Copy, Debug)]
pub struct TokenPair<'t> {
    pub(super) session: (&'t SessionToken, Duration),
    pub(super) refresh: Option<(&'t RefreshToken, Duration)>,
}

impl<'t> TokenPair<'t> {
    /// Each token with the time it ends.
    fn new(
        token: &'t SessionToken,
        session: &Session,
        refresh: Option<(&'t RefreshToken, SystemTime)>,
    ) -> Self {
        // By the clock that has set the ends, whatever this machine's clock says.
        let now = session.issued_at().unwrap_or_else(|| SystemClock.now());
        let time_to_live = |expires_at: SystemTime| {
            let left = expires_at.duration_since(now).unwrap_or_default();
            // A token at its very end is stored all the same.
            left.max(Duration::from_secs(1))
        };
        Self {
            session: (token, time_to_live(session.expires_at())),
            refresh: refresh.map(|(token, expires_at)| (token, time_to_live(expires_at))),
        }
    }
}

impl<'t> From<&'t Authentication> for TokenPair<'t> {
    fn from(auth: &'t Authentication) -> Self {
        let refresh = auth.refresh_token().ok().zip(auth.refresh_expires_at);
        Self::new(&auth.session_token, &auth.session, refresh)
    }
}

/// The refresh token is among them only if it is a new one.
impl<'t> From<&'t Refreshed> for TokenPair<'t> {
    fn from(refreshed: &'t Refreshed) -> Self {
        let refresh = (&refreshed.refresh_token, refreshed.refresh_expires_at);
        let refresh = refreshed.rotated.then_some(refresh);
        Self::new(&refreshed.session_token, &refreshed.session, refresh)
    }
}

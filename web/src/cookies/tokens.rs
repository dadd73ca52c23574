//! The tokens that a request brings.

use descope_magiclink::{RefreshToken, SessionToken};

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

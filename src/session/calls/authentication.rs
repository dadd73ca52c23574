//! What a sign-in gives.

use std::time::SystemTime;

use http::StatusCode;

use crate::error::{DecodeError, Result};
use crate::secret::{RefreshToken, SessionToken};
use crate::session::session::{RefreshClaims, Session};
use crate::session::tokens::{CheckedTokens, CookieFacts, TokenResponse};
use crate::user::User;

/// A user who has just signed in, with tokens that were checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Authentication {
    /// What the session token says: the user's id, roles, tenants and claims.
    pub session: Session,
    /// Proves who the user is, for minutes (10 by default).
    pub session_token: SessionToken,
    /// When the refresh token ends: the life time of its cookie. Absent if there is none.
    pub refresh_expires_at: Option<SystemTime>,
    /// The user; absent only if the service left them out.
    pub user: Option<User>,
    /// Whether this is the user's first sign-in; absent if the service did not say.
    pub first_seen: Option<bool>,
    /// What the service says about the cookies that should hold the tokens.
    pub cookies: CookieFacts,
    refresh_token: Option<RefreshToken>,
    status: StatusCode,
}

impl Authentication {
    pub(crate) fn new(response: &TokenResponse, tokens: CheckedTokens) -> Self {
        let (refresh_token, claims) = tokens.refresh.unzip();
        Self {
            session: tokens.session,
            session_token: tokens.session_token,
            refresh_expires_at: claims.as_ref().map(RefreshClaims::expires_at),
            user: response.user.clone(),
            first_seen: response.first_seen,
            cookies: response.cookies.clone(),
            refresh_token,
            status: response.status,
        }
    }

    /// Gets new sessions, for weeks (4 by default).
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when the project's answer held none. The session is good all the same, and
    /// cannot be refreshed.
    pub fn refresh_token(&self) -> Result<&RefreshToken> {
        present(self.refresh_token.as_ref(), self.status)
    }
}

/// A user who has just signed in, with tokens that nobody has looked at: from
/// [`verify_unchecked`](crate::MagicLink::verify_unchecked).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UncheckedAuthentication {
    /// Proves who the user is, for minutes (10 by default).
    pub session_token: SessionToken,
    /// The user; absent only if the service left them out.
    pub user: Option<User>,
    /// Whether this is the user's first sign-in; absent if the service did not say.
    pub first_seen: Option<bool>,
    /// What the service says about the cookies that should hold the tokens.
    pub cookies: CookieFacts,
    /// When the session token expires, as the service says; the token's own `exp` is what counts.
    pub session_expires_at: Option<SystemTime>,
    refresh_token: Option<RefreshToken>,
    status: StatusCode,
}

impl UncheckedAuthentication {
    pub(crate) fn new(response: &TokenResponse) -> Self {
        Self {
            session_token: response.session_token().clone(),
            user: response.user.clone(),
            first_seen: response.first_seen,
            cookies: response.cookies.clone(),
            session_expires_at: response.session_expires_at,
            refresh_token: response.refresh_token().cloned(),
            status: response.status,
        }
    }

    /// Gets new sessions, for weeks (4 by default).
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when the project's answer held none.
    pub fn refresh_token(&self) -> Result<&RefreshToken> {
        present(self.refresh_token.as_ref(), self.status)
    }
}

fn present(token: Option<&RefreshToken>, status: StatusCode) -> Result<&RefreshToken> {
    let what = "refresh token, neither in its body nor in the refresh cookie; \
                the session cannot be refreshed";
    token.ok_or_else(|| DecodeError::missing(status, what, None))
}

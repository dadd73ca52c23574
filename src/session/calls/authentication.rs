//! What a sign-in gives.

use crate::session::session::Session;
use crate::session::tokens::{TokenResponse, Tokens};
use crate::user::User;

/// A user who has just signed in, with tokens that were checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Authentication {
    /// What the session token says: the user's id, roles, tenants and claims.
    pub session: Session,
    /// The tokens, to be stored for the user.
    pub tokens: Tokens,
    /// The user; absent only if the service left them out.
    pub user: Option<User>,
    /// Whether this is the user's first sign-in; absent if the service did not say.
    pub first_seen: Option<bool>,
}

impl Authentication {
    pub(crate) fn new(response: &TokenResponse, (session, tokens): (Session, Tokens)) -> Self {
        Self {
            session,
            tokens,
            user: response.user.clone(),
            first_seen: response.first_seen,
        }
    }
}

/// A user who has just signed in, with tokens that nobody has looked at: from
/// [`verify_unchecked`](crate::MagicLink::verify_unchecked).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UncheckedAuthentication {
    /// The tokens, as they came. When they expire is what the service says beside them; a token's own `exp` is what
    /// counts.
    pub tokens: Tokens,
    /// The user; absent only if the service left them out.
    pub user: Option<User>,
    /// Whether this is the user's first sign-in; absent if the service did not say.
    pub first_seen: Option<bool>,
}

impl UncheckedAuthentication {
    pub(crate) fn new(response: &TokenResponse) -> Self {
        Self {
            tokens: response.unchecked(),
            user: response.user.clone(),
            first_seen: response.first_seen,
        }
    }
}

//! Putting tokens into cookies.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use crate::secret::{RefreshToken, SessionToken};
use crate::session::Session;
use crate::session::cookies::{CookieError, SessionCookies};

/// A token with the time when it ends.
pub(super) struct Lasting<'t, T> {
    pub(super) token: &'t T,
    pub(super) end: SystemTime,
}

impl<'t> Lasting<'t, SessionToken> {
    pub(super) fn session(token: &'t SessionToken, session: &Session) -> Self {
        Self {
            token,
            end: session.expires_at(),
        }
    }
}

/// Sets the cookies, or none of them.
pub(super) fn store(
    cookies: &SessionCookies,
    headers: &mut HeaderMap,
    now: SystemTime,
    session: &Lasting<'_, SessionToken>,
    refresh: Option<&Lasting<'_, RefreshToken>>,
) -> Result<(), CookieError> {
    let mut stored = HeaderMap::new();
    cookies.set_session(&mut stored, session.token, left(session.end, now))?;
    if let Some(refresh) = refresh {
        cookies.set_refresh(&mut stored, refresh.token, left(refresh.end, now))?;
    }
    headers.extend(stored);
    Ok(())
}

/// How long a cookie is kept. A token within the leeway of its end is stored all the same.
fn left(end: SystemTime, now: SystemTime) -> Duration {
    end.duration_since(now)
        .unwrap_or_default()
        .max(Duration::from_secs(1))
}

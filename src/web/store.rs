//! Putting tokens into cookies.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use crate::authentication::{Authentication, CookieFacts};
use crate::secret::{RefreshToken, SessionToken};
use crate::session::cookies::{CookieError, SessionCookies};

/// What a project's sessions live for, unless it says otherwise.
const SESSION: Duration = Duration::from_secs(10 * 60);
const REFRESH: Duration = Duration::from_secs(28 * 24 * 60 * 60);

/// How long the cookies are kept. A cookie that outlives its token does no harm: the token tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetimes {
    pub(super) session: Duration,
    pub(super) refresh: Duration,
}

impl Lifetimes {
    pub(super) fn of_sign_in(auth: &Authentication, now: SystemTime) -> Self {
        Self {
            session: until(auth.session_expires_at, now).unwrap_or(SESSION),
            refresh: refresh_lifetime(&auth.cookies, now),
        }
    }
}

pub(super) fn refresh_lifetime(facts: &CookieFacts, now: SystemTime) -> Duration {
    facts
        .max_age
        .or_else(|| until(facts.expires_at, now))
        .unwrap_or(REFRESH)
}

/// What is left until a time, if that is a second at least.
pub(super) fn until(end: Option<SystemTime>, now: SystemTime) -> Option<Duration> {
    end?.duration_since(now)
        .ok()
        .filter(|left| left.as_secs() > 0)
}

/// Sets both cookies, or none of them.
pub(super) fn store(
    cookies: &SessionCookies,
    headers: &mut HeaderMap,
    (session, refresh): (&SessionToken, Option<&RefreshToken>),
    lifetimes: Lifetimes,
) -> Result<(), CookieError> {
    let mut stored = HeaderMap::new();
    cookies.set_session(&mut stored, session, lifetimes.session)?;
    if let Some(refresh) = refresh {
        cookies.set_refresh(&mut stored, refresh, lifetimes.refresh)?;
    }
    for cookie in stored.get_all(http::header::SET_COOKIE) {
        headers.append(http::header::SET_COOKIE, cookie.clone());
    }
    headers.insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    );
    Ok(())
}

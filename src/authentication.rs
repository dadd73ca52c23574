//! What a sign-in gives.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::SET_COOKIE;

use crate::client::CookieNames;
use crate::error::Result;
use crate::raw::{ResponseValue, types};
use crate::secret::{RefreshToken, SessionToken};
use crate::session::{Session, SessionValidator};
use crate::user::User;

/// A user who has just signed in, with tokens that were checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Authentication {
    /// What the session token says: the user's id, roles, tenants and claims.
    pub session: Session,
    /// Proves who the user is, for minutes (10 by default).
    pub session_token: SessionToken,
    /// Gets new sessions, for weeks (4 by default).
    pub refresh_token: RefreshToken,
    /// When the refresh token ends: the life time of its cookie.
    pub refresh_expires_at: SystemTime,
    /// The user; absent only if the service left them out.
    pub user: Option<User>,
    /// Whether this is the user's first sign-in; absent if the service did not say.
    pub first_seen: Option<bool>,
    /// What the service says about the cookies that should hold the tokens.
    pub cookies: CookieFacts,
}

/// A user who has just signed in, with tokens that nobody has looked at: from
/// [`verify_unchecked`](crate::MagicLink::verify_unchecked).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UncheckedAuthentication {
    /// Proves who the user is, for minutes (10 by default).
    pub session_token: SessionToken,
    /// Gets new sessions, for weeks (4 by default).
    pub refresh_token: RefreshToken,
    /// The user; absent only if the service left them out.
    pub user: Option<User>,
    /// Whether this is the user's first sign-in; absent if the service did not say.
    pub first_seen: Option<bool>,
    /// What the service says about the cookies that should hold the tokens.
    pub cookies: CookieFacts,
    /// When the session token expires, as the service says; the token's own `exp` is what counts.
    pub session_expires_at: Option<SystemTime>,
}

/// What the service says about the cookies that should hold the tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CookieFacts {
    /// The refresh cookie's name, where the project changed it.
    pub refresh_name: Option<String>,
    /// The session cookie's name, where the project changed it.
    pub session_name: Option<String>,
    /// The `Domain` attribute.
    pub domain: Option<String>,
    /// The session cookie's `Domain` attribute, where it has one of its own.
    pub session_domain: Option<String>,
    /// The `Path` attribute.
    pub path: Option<String>,
    /// The `Max-Age` attribute of the refresh cookie.
    pub max_age: Option<Duration>,
    /// The `Expires` attribute of the refresh cookie.
    pub expires_at: Option<SystemTime>,
}

/// The tokens of an answer, from its body and from its cookies.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    pub(crate) session: Option<SessionToken>,
    pub(crate) refresh: Option<RefreshToken>,
    pub(crate) session_cookie: Option<SessionToken>,
    pub(crate) refresh_cookie: Option<RefreshToken>,
}

impl Tokens {
    /// Takes the tokens out of an answer. A project in cookie mode leaves the body's empty.
    pub(crate) fn take(
        body: &mut types::JwtResponse,
        headers: &HeaderMap,
        names: &CookieNames,
    ) -> Self {
        let session_name = body.session_cookie_name.as_deref();
        let refresh_name = body.cookie_name.as_deref();
        let cookie = |names: [Option<&str>; 3]| {
            names
                .into_iter()
                .flatten()
                .filter(|name| !name.is_empty())
                .find_map(|name| set_cookie(headers, name))
        };
        Self {
            session_cookie: cookie([session_name, Some(&names.session), Some("DS")])
                .map(SessionToken::new),
            refresh_cookie: cookie([refresh_name, Some(&names.refresh), Some("DSR")])
                .map(RefreshToken::new),
            session: body.session_jwt.take().filter(|token| !token.is_empty()),
            refresh: body.refresh_jwt.take().filter(|token| !token.is_empty()),
        }
    }
}

/// The value that an answer sets a cookie to; the last one counts, as in a browser (RFC 6265 5.3).
fn set_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .filter_map(|header| header.split(';').next()?.split_once('='))
        .filter(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim().trim_matches('"'))
        .next_back()
        .filter(|value| !value.is_empty())
}

impl UncheckedAuthentication {
    /// Reads the response to a sign-in.
    pub(crate) fn from_response(
        response: ResponseValue<types::JwtResponse>,
        names: &CookieNames,
    ) -> Result<Self> {
        let no_session =
            response.missing("session token, neither in its body nor in the session cookie");
        let no_refresh =
            response.missing("refresh token, neither in its body nor in the refresh cookie");
        let (mut body, _, headers) = response.into_parts();
        let tokens = Tokens::take(&mut body, &headers, names);
        Ok(Self {
            session_token: tokens.session.or(tokens.session_cookie).ok_or(no_session)?,
            refresh_token: tokens.refresh.or(tokens.refresh_cookie).ok_or(no_refresh)?,
            cookies: CookieFacts::new(&body),
            session_expires_at: epoch(body.session_expiration),
            first_seen: body.first_seen,
            user: body.user.map(User::new),
        })
    }

    /// Checks both tokens.
    pub(crate) async fn check(self, validator: &SessionValidator) -> Result<Authentication> {
        let session = validator.validate_issued(&self.session_token).await?;
        let refresh = validator
            .validate_issued_refresh(&self.refresh_token)
            .await?;
        Ok(Authentication {
            session,
            session_token: self.session_token,
            refresh_token: self.refresh_token,
            refresh_expires_at: refresh.expires_at(),
            user: self.user,
            first_seen: self.first_seen,
            cookies: self.cookies,
        })
    }
}

impl CookieFacts {
    pub(crate) fn new(body: &types::JwtResponse) -> Self {
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let max_age = body
            .cookie_max_age
            .and_then(|seconds| u64::try_from(seconds).ok());
        Self {
            refresh_name: text(&body.cookie_name),
            session_name: text(&body.session_cookie_name),
            domain: text(&body.cookie_domain),
            session_domain: text(&body.session_cookie_domain),
            path: text(&body.cookie_path),
            max_age: max_age
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
            expires_at: epoch(body.cookie_expiration),
        }
    }
}

/// A time from seconds since 1970; 0 and less mean "none" on the wire, and after the year 9999 there
/// are no dates as HTTP writes them.
pub(crate) fn epoch(seconds: Option<i64>) -> Option<SystemTime> {
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds?)
        .ok()
        .filter(|seconds| (1..=LAST).contains(seconds))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

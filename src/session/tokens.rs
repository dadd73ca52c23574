//! The tokens of a response: where they are in it, and what is checked of them.
//!
//! They arrived over the client's own connection in the response to its own call, so they are the
//! service's word: their times are measured by the response's `Date` and not by this machine's clock.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use http::header::{AGE, DATE, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::session::{RefreshClaims, Session};
use super::validator::{IssueContext, SessionValidator};
use crate::clock::epoch;
use crate::error::{DecodeError, Result, SessionError};
use crate::raw::{ResponseValue, types};
use crate::secret::{RefreshToken, SessionToken};
use crate::transport::deadline::Deadline;
use crate::user::User;

/// Tokens that the service has issued and nobody has looked at, with what came along.
#[derive(Clone)]
pub(crate) struct TokenResponse {
    session: SessionToken,
    /// From the session cookie, where the body has one too.
    session_cookie: Option<SessionToken>,
    /// From the body, then from the refresh cookie.
    refreshes: Vec<RefreshToken>,
    status: StatusCode,
    pub(crate) user: Option<User>,
    pub(crate) first_seen: Option<bool>,
    cookies: CookieAttributes,
    session_expires_at: Option<SystemTime>,
    /// When the response was made by the service's own clock, in seconds since the epoch.
    date: Option<i64>,
    /// When it arrived, by the client's clock.
    pub(crate) received: Instant,
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenResponse").finish_non_exhaustive()
    }
}

/// The tokens of a sign-in or a refresh, with what is needed to store them.
///
/// ```
/// # use descope_magiclink::{Error, RefreshToken, Tokens};
/// fn store(tokens: &Tokens) -> Result<(), Error> {
///     let session: &str = tokens.session.expose_secret();
///     let refresh: &RefreshToken = tokens.refresh_token()?;
///     # let _ = (session, refresh);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Tokens {
    /// Proves who the user is, for minutes (10 by default).
    pub session: SessionToken,
    /// Gets new sessions, for weeks (4 by default). Absent where the project gives none.
    pub refresh: Option<RefreshToken>,
    /// Whether the refresh token is a new one. After a refresh that has left it as it was, there is nothing to
    /// store; where it is new, the old one is of no more use.
    pub rotated: bool,
    /// When the session token was issued, by the service's clock.
    pub issued_at: Option<SystemTime>,
    /// When the session token expires.
    pub session_expires_at: Option<SystemTime>,
    /// When the refresh token expires; unknown where nobody has looked at it.
    pub refresh_expires_at: Option<SystemTime>,
    /// What the service says about the cookies that should hold the tokens.
    pub cookies: CookieAttributes,
    status: StatusCode,
}

impl Tokens {
    /// A session token alone, issued now; the fields take the rest. For tests, and for tokens from elsewhere.
    #[must_use]
    pub fn new(session: SessionToken) -> Self {
        Self {
            session,
            refresh: None,
            rotated: false,
            issued_at: None,
            session_expires_at: None,
            refresh_expires_at: None,
            cookies: CookieAttributes::default(),
            status: StatusCode::OK,
        }
    }

    /// The refresh token.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when the project's response had none. The session is good all the same,
    /// and cannot be refreshed.
    pub fn refresh_token(&self) -> Result<&RefreshToken> {
        let what = "refresh token, neither in its body nor in the refresh cookie; \
                    the session cannot be refreshed";
        self.refresh
            .as_ref()
            .ok_or_else(|| DecodeError::missing(self.status, "refreshJwt", what, None))
    }
}

impl TokenResponse {
    /// Reads a response. A project in cookie mode leaves the body's tokens empty, and a project may
    /// send one token in the body and the other in a cookie.
    ///
    /// # Errors
    ///
    /// When there is no session token in it.
    pub(crate) fn read(
        response: ResponseValue<types::JwtResponse>,
        validator: &SessionValidator,
    ) -> Result<Self> {
        let what = "session token, neither in its body nor in the session cookie";
        let missing = response.missing_as("sessionJwt", what);
        let (mut body, status, headers) = response.into_parts();
        let cookies = CookieAttributes::new(&body);
        let [session_names, refresh_names] = validator.cookie_names();
        let own = |name: &Option<String>| name.clone().into_iter();
        let (own_session, own_refresh) = (own(&cookies.session_name), own(&cookies.refresh_name));
        let session_cookie = own_session
            .map(|name| set_cookie(&headers, &name))
            .chain(session_names.map(|name| set_cookie(&headers, name)))
            .flatten()
            .next();
        let refresh_cookie = own_refresh
            .map(|name| set_cookie(&headers, &name))
            .chain(refresh_names.map(|name| set_cookie(&headers, name)))
            .flatten()
            .next();
        let sessions = [
            body.session_jwt.take(),
            session_cookie.map(SessionToken::new),
        ];
        let refreshes = [
            body.refresh_jwt.take(),
            refresh_cookie.map(RefreshToken::new),
        ];
        let mut sessions = sessions
            .into_iter()
            .flatten()
            .filter(|token| !token.is_empty());
        let refreshes = refreshes
            .into_iter()
            .flatten()
            .filter(|token| !token.is_empty());
        let response = Self {
            session: sessions.next().ok_or(missing)?,
            session_cookie: sessions.next(),
            refreshes: refreshes.collect(),
            status,
            first_seen: body.first_seen,
            session_expires_at: epoch(body.session_expiration),
            user: body.user.map(User::from),
            cookies,
            date: date(&headers, validator),
            received: validator.clock().instant(),
        };
        validator.learn_time(response.date);
        Ok(response)
    }

    /// For another process that presents the same refresh token.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let CookieAttributes {
            refresh_name,
            session_name,
            domain,
            session_domain,
            path,
            max_age,
            expires_at,
        } = self.cookies.clone();
        let names = [refresh_name, session_name, domain, session_domain, path];
        let stored = StoredResponse {
            session: self.session.clone(),
            session_cookie: self.session_cookie.clone(),
            refreshes: self.refreshes.clone(),
            status: self.status.as_u16(),
            user: self.user.clone(),
            session_expires_at: self.session_expires_at,
            date: self.date,
            cookies: (names, max_age, expires_at),
        };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    pub(crate) fn from_bytes(bytes: &[u8], received: Instant) -> Option<Self> {
        let stored: StoredResponse = serde_json::from_slice(bytes).ok()?;
        let (names, max_age, expires_at) = stored.cookies;
        let [refresh_name, session_name, domain, session_domain, path] = names;
        Some(Self {
            session: stored.session,
            session_cookie: stored.session_cookie,
            refreshes: stored.refreshes,
            status: StatusCode::from_u16(stored.status).ok()?,
            user: stored.user,
            first_seen: None,
            session_expires_at: stored.session_expires_at,
            date: stored.date,
            cookies: CookieAttributes {
                refresh_name,
                session_name,
                domain,
                session_domain,
                path,
                max_age,
                expires_at,
            },
            received,
        })
    }

    /// Whether there is another refresh token in it than this one.
    pub(crate) fn may_replace(&self, old: &RefreshToken) -> bool {
        let mut all = self.refreshes.iter();
        all.any(|token| token.expose_secret() != old.expose_secret())
    }

    /// The tokens to go by where nobody checks.
    pub(crate) fn unchecked(&self) -> Tokens {
        Tokens {
            refresh: self.refreshes.first().cloned(),
            rotated: !self.refreshes.is_empty(),
            session_expires_at: self.session_expires_at,
            cookies: self.cookies.clone(),
            status: self.status,
            ..Tokens::new(self.session.clone())
        }
    }

    /// About so many bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let sessions = self.sessions().map(|token| token.expose_secret().len());
        let refreshes = self
            .refreshes
            .iter()
            .map(|token| token.expose_secret().len());
        1024 + sessions.chain(refreshes).sum::<usize>()
    }

    fn sessions(&self) -> impl Iterator<Item = &SessionToken> {
        std::iter::once(&self.session).chain(&self.session_cookie)
    }

    /// Checks the tokens, and of each kind takes the newest: body and cookies may differ, and the body
    /// may repeat the old refresh token while a cookie holds the new one.
    ///
    /// `old` is the refresh token that the response was got with. Keys that are not published yet are
    /// waited for until the deadline.
    pub(crate) async fn check(
        &self,
        validator: &SessionValidator,
        old: Option<(&RefreshToken, &RefreshClaims)>,
        deadline: Deadline,
    ) -> Result<(Session, Tokens), SessionError> {
        let issued = |name| IssueContext {
            date: self.date,
            name,
            deadline,
        };
        let session_facts = issued(self.cookies.session_name.as_deref());
        let mut session: Option<(&SessionToken, Session)> = None;
        let mut failure = SessionError::Missing;
        for token in self.sessions() {
            match validator.validate_issued(token, &session_facts).await {
                Ok(found) => {
                    let is_newer = session.as_ref().is_none_or(|(_, best)| {
                        (found.issued_at(), found.expires_at())
                            > (best.issued_at(), best.expires_at())
                    });
                    if is_newer {
                        session = Some((token, found));
                    }
                }
                Err(error @ SessionError::Unavailable(_)) => return Err(error),
                Err(error) => failure = error,
            }
        }
        let Some((session_token, session)) = session else {
            return Err(failure);
        };

        let refresh_facts = issued(self.cookies.refresh_name.as_deref());
        let age = |claims: &RefreshClaims| (claims.issued_at(), claims.expires_at());
        let mut refresh: Option<(&RefreshToken, RefreshClaims)> = None;
        let mut failure = None;
        for token in &self.refreshes {
            if old.is_some_and(|(old, _)| old.expose_secret() == token.expose_secret()) {
                continue;
            }
            match validator
                .validate_issued_refresh(token, &refresh_facts)
                .await
            {
                // Of one age with the old one, it is still the one that replaces it.
                Ok(found)
                    if refresh.as_ref().map_or_else(
                        || old.is_none_or(|(_, old)| age(&found) >= age(old)),
                        |(_, best)| age(&found) > age(best),
                    ) =>
                {
                    refresh = Some((token, found));
                }
                Ok(_) => {}
                Err(error @ SessionError::Unavailable(_)) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        if let (Some(failure), None) = (failure, &refresh) {
            return Err(failure);
        }
        let mut users = vec![session.user_id()];
        users.extend(old.map(|(_, claims)| claims.user_id()));
        users.extend(refresh.as_ref().map(|(_, claims)| claims.user_id()));
        check_one_user(&users)?;
        let rotated = refresh.is_some();
        let refresh = refresh.or_else(|| old.map(|(token, claims)| (token, claims.clone())));
        let (refresh, claims) = refresh.unzip();
        let tokens = Tokens {
            session: session_token.clone(),
            refresh: refresh.cloned(),
            rotated,
            issued_at: session.issued_at(),
            session_expires_at: Some(session.expires_at()),
            refresh_expires_at: claims.map(|claims| claims.expires_at()),
            cookies: self.cookies.clone(),
            status: self.status,
        };
        Ok((session, tokens))
    }
}

/// A response as a store holds it. A later version that adds something gives it a default.
#[derive(Serialize, Deserialize)]
struct StoredResponse {
    session: SessionToken,
    session_cookie: Option<SessionToken>,
    refreshes: Vec<RefreshToken>,
    status: u16,
    user: Option<User>,
    session_expires_at: Option<SystemTime>,
    date: Option<i64>,
    cookies: ([Option<String>; 5], Option<Duration>, Option<SystemTime>),
}

/// A session with the new tokens that a refresh gave.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Refreshed {
    /// What the new session token says.
    pub session: Session,
    /// The tokens to use from now on. The refresh token is the old one unless it was
    /// [rotated](Tokens::rotated).
    pub tokens: Tokens,
    /// The user; absent if the service left them out.
    pub user: Option<User>,
}

/// What the service says about the cookies that should hold the tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CookieAttributes {
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

impl CookieAttributes {
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

/// Refuses tokens of two users: a cache or a fault has mixed responses up. Templates may put something
/// else into `sub` than the user's id, so that only two such ids can differ.
fn check_one_user(users: &[&str]) -> Result<(), SessionError> {
    let mut ids = users.iter().filter(|id| is_user_id(id));
    let first = ids.next();
    if ids.any(|id| Some(id) != first) {
        return Err(SessionError::UserMismatch);
    }
    #[cfg(feature = "tracing")]
    if users.iter().any(|user| Some(user) != users.first()) {
        tracing::debug!("tokens of one response name their user differently; accepted");
    }
    Ok(())
}

/// Whether the text has the form of the service's user ids: `U` and 27 letters and digits, in a region
/// with its four characters before them.
fn is_user_id(text: &str) -> bool {
    matches!(text.len(), 28 | 32)
        && text.starts_with('U')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The value that a response sets a cookie to; the last one counts, as in a browser (RFC 6265 5.3).
///
/// Several cookies may stand in one line, with commas between them, where something on the way has put
/// repeated lines together.
fn set_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    fn trim(bytes: &[u8]) -> &[u8] {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let start = bytes
            .iter()
            .position(|byte| !is_space(byte))
            .unwrap_or(bytes.len());
        let end = bytes
            .iter()
            .rposition(|byte| !is_space(byte))
            .map_or(start, |last| last + 1);
        bytes.get(start..end).unwrap_or_default()
    }
    headers
        .get_all(SET_COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|cookie| {
            let pair = cookie.split(|byte| *byte == b';').next()?;
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (found, value) = pair.split_at_checked(equals)?;
            (trim(found) == name.as_bytes()).then_some(trim(value.get(1..)?))
        })
        .filter_map(|value| std::str::from_utf8(value).ok())
        .map(|value| value.trim_matches('"'))
        .next_back()
        .filter(|value| !value.is_empty())
}

/// The `Date` of a response, where it can be the service's: not from a cache, and from this machine or
/// over TLS.
fn date(headers: &HeaderMap, validator: &SessionValidator) -> Option<i64> {
    if headers.contains_key(AGE) || !validator.trusts_date() {
        return None;
    }
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_in_repeated_and_in_joined_lines() {
        let read = |lines: &[&str], name: &str| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(SET_COOKIE, line.parse().unwrap());
            }
            set_cookie(&headers, name).map(str::to_owned)
        };
        let joined = "DS=a; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT, DSR=b; Path=/; HttpOnly";
        assert_eq!(read(&[joined], "DS").as_deref(), Some("a"));
        assert_eq!(read(&[joined], "DSR").as_deref(), Some("b"));
        assert_eq!(read(&["DS=a", "DS=b"], "DS").as_deref(), Some("b"));
        assert_eq!(read(&[" DS = \"a\" ; Path=/"], "DS").as_deref(), Some("a"));
        assert_eq!(read(&["DS=a", "DS="], "DS"), None);
        for other in [
            "DSX=a",
            "XDS=a",
            "Path=/; DS=a",
            "ds=a",
            "DS",
            "\u{a0}DS=a",
            "",
        ] {
            assert_eq!(read(&[other], "DS"), None, "{other}");
        }
    }

    #[test]
    fn two_users_are_told_apart_by_ids_of_the_service_only() {
        let (ann, eve) = (
            &"U2aAc4T2V93bddihGEx2Ryhc8e5Z",
            &"U3bBd5U3W04ceejiHFy3Szid9f6A",
        );
        assert!(check_one_user(&[ann, ann, ann]).is_ok());
        assert!(check_one_user(&[ann, "ann@example.com", "K1"]).is_ok());
        for users in [[*ann, eve, ann], [ann, ann, eve], ["x", ann, eve]] {
            let error = check_one_user(&users).unwrap_err();
            assert!(matches!(error, SessionError::UserMismatch), "{users:?}");
        }
        // Of the length of an id, or with its first letter, and still none.
        for other in [
            "u2aAc4T2V93bddihGEx2Ryhc8e5Z",
            "U2aAc4T2V93bddihGEx2Ryhc8e5",
            "U2aAc4T2V93bddihGEx2Ryhc8e5-",
        ] {
            assert!(check_one_user(&[ann, other]).is_ok(), "{other}");
        }
    }

    #[test]
    fn a_response_takes_up_at_least_its_tokens() {
        let [session, cookie, refresh] = [2000, 1000, 300].map(|length| "t".repeat(length));
        let stored = StoredResponse {
            session: SessionToken::new(session),
            session_cookie: Some(SessionToken::new(cookie)),
            refreshes: vec![RefreshToken::new(refresh)],
            status: 200,
            user: None,
            session_expires_at: None,
            date: None,
            cookies: ([const { None }; 5], None, None),
        };
        let stored = serde_json::to_vec(&stored).unwrap();
        let now = crate::clock::Clock::instant(&crate::clock::SystemClock);
        let response = TokenResponse::from_bytes(&stored, now).unwrap();
        assert!((3300..6600).contains(&response.bytes()));
    }
}

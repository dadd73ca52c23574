//! Session cookies: which ones a request brought, and how to set and clear them.
//!
//! Nothing here depends on a web framework: requests and responses are seen as
//! [`http::HeaderMap`]s.
//!
//! ```
//! use std::time::Duration;
//! use descope_magiclink::{RefreshToken, SessionToken};
//! use descope_magiclink::session::cookies::{SameSite, SessionCookies};
//! use http::HeaderMap;
//!
//! let cookies = SessionCookies::builder()
//!     .host_prefix()
//!     .refresh_same_site(SameSite::Strict)
//!     .build()?;
//!
//! let mut response = HeaderMap::new();
//! cookies.set_session(&mut response, &SessionToken::new("a.b.c"), Duration::from_secs(600))?;
//! assert_eq!(
//!     response["set-cookie"],
//!     "__Host-DS=a.b.c; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600",
//! );
//! assert_eq!(response["cache-control"], "no-store");
//!
//! let mut request = HeaderMap::new();
//! request.insert("cookie", "theme=dark; __Host-DS=a.b.c".parse()?);
//! let tokens = cookies.read(&request);
//! assert!(tokens.session.is_some() && tokens.refresh.is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cookie::Cookie;
use cookie::time::OffsetDateTime;
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::sessions::Refreshed;
use crate::authentication::Authentication;
use crate::client::is_cookie_name;
use crate::clock::{Clock, SystemClock};
use crate::error::ConfigError;
use crate::secret::{RefreshToken, SessionToken};

/// What browsers are bound to store of a cookie, attributes included (RFC 6265 section 6.1). They
/// drop a larger one without a word.
const MAX_COOKIE: usize = 4096;
const HOST_PREFIX: &str = "__Host-";
const SECURE_PREFIX: &str = "__Secure-";

/// When a browser sends a cookie along with a request that another site caused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SameSite {
    /// Never. A user who comes from a link in a mail then looks signed out on the first page.
    Strict,
    /// Only when the user goes to the site by a link. Requests that change something are safe from
    /// other sites, as long as they are no `GET`s.
    Lax,
    /// Always: the application has to fend off requests forged by other sites itself.
    None,
}

impl SameSite {
    /// The attribute's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// Not a `From`: the crate `cookie` is no part of the public interface.
fn same_site_of(same_site: SameSite) -> cookie::SameSite {
    match same_site {
        SameSite::Strict => cookie::SameSite::Strict,
        SameSite::Lax => cookie::SameSite::Lax,
        SameSite::None => cookie::SameSite::None,
    }
}

/// The tokens that a request brought. None of them has been checked.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RequestTokens {
    /// From `Authorization: Bearer`, else from a session cookie.
    pub session: Option<SessionToken>,
    /// From a refresh cookie.
    pub refresh: Option<RefreshToken>,
    /// Where the session token was.
    pub session_source: Option<TokenSource>,
}

/// Where a session token was in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenSource {
    /// In the `Authorization` header. Another site cannot make a browser send it.
    Bearer,
    /// In a cookie, which browsers add by themselves.
    Cookie,
}

/// Both tokens, with the time each of them ends: made from an
/// [`Authentication`] or a [`Refreshed`].
#[derive(Clone, Copy, Debug)]
pub struct TokenPair<'t> {
    session: (&'t SessionToken, SystemTime),
    refresh: Option<(&'t RefreshToken, SystemTime)>,
}

impl<'t> From<&'t Authentication> for TokenPair<'t> {
    fn from(auth: &'t Authentication) -> Self {
        Self {
            session: (&auth.session_token, auth.session.expires_at()),
            refresh: auth.refresh_token().ok().zip(auth.refresh_expires_at),
        }
    }
}

impl<'t> From<&'t Refreshed> for TokenPair<'t> {
    fn from(refreshed: &'t Refreshed) -> Self {
        Self {
            session: (&refreshed.session_token, refreshed.session.expires_at()),
            refresh: Some((&refreshed.refresh_token, refreshed.refresh_expires_at)),
        }
    }
}

/// Why a cookie cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// Browsers drop cookies of this size silently.
    #[error(
        "the cookie would have {size} bytes and browsers keep 4096; \
         put fewer claims into the token, or keep it in a session store of your own"
    )]
    TooLarge {
        /// The size of the whole cookie, attributes included, in bytes.
        size: usize,
    },
    /// The text has characters that no token has.
    #[error("the token has characters that no token has, so it was not put into a cookie")]
    NotAToken,
    /// There is no time left to live.
    #[error("the token has no time left to live; clear the cookie instead")]
    Expired,
}

/// How session cookies are called and protected; made once and kept.
///
/// By default a project's session token is in `DS` and its refresh token in `DSR`, both `Secure`,
/// `HttpOnly`, `SameSite=Lax`, with the path `/` and without a domain.
#[derive(Clone, Debug)]
pub struct SessionCookies {
    session: Jar,
    refresh: Jar,
    domain: Option<String>,
    secure: bool,
    clock: Arc<dyn Clock>,
}

/// One of the two cookies.
#[derive(Clone, Debug)]
struct Jar {
    /// The first is the one written; all are read, and all are cleared.
    names: Vec<String>,
    path: String,
    same_site: SameSite,
}

impl Default for SessionCookies {
    fn default() -> Self {
        SessionCookiesBuilder::new().unchecked()
    }
}

impl SessionCookies {
    /// The default cookies.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts cookies with settings of your own.
    pub fn builder() -> SessionCookiesBuilder {
        SessionCookiesBuilder::new()
    }

    /// Reads the tokens of a request.
    ///
    /// The session token is that of the first `Authorization: Bearer` that has one, else that of a
    /// cookie. Among cookies, the configured name goes before its fallbacks in their order, and
    /// among cookies of one name the first that is not empty counts, which is the one browsers put
    /// first because its path is the longest. There is no second try with another cookie if a token
    /// turns out to be bad.
    #[must_use]
    pub fn read(&self, headers: &HeaderMap) -> RequestTokens {
        let lines: Vec<Cow<'_, str>> = headers
            .get_all(COOKIE)
            .iter()
            // Other people's cookies may have any bytes, and ours must be found all the same.
            .map(|line| String::from_utf8_lossy(line.as_bytes()))
            .collect();
        let refresh = self.refresh.find(&lines).map(RefreshToken::new);
        let bearer = headers.get_all(AUTHORIZATION).iter().find_map(bearer);
        let (session, session_source) = match bearer {
            Some(token) => (Some(SessionToken::new(token)), Some(TokenSource::Bearer)),
            None => match self.session.find(&lines) {
                Some(token) => (Some(SessionToken::new(token)), Some(TokenSource::Cookie)),
                None => (None, None),
            },
        };
        RequestTokens {
            session,
            refresh,
            session_source,
        }
    }

    /// The `Set-Cookie` value that stores a session token. Fractions of a second are dropped.
    ///
    /// # Errors
    ///
    /// [`CookieError`]; most likely [`TooLarge`](CookieError::TooLarge), for a user with many
    /// tenants or roles.
    pub fn session_cookie(
        &self,
        token: &SessionToken,
        lifetime: Duration,
    ) -> Result<HeaderValue, CookieError> {
        self.stored(&self.session, token.expose_secret(), lifetime)
    }

    /// The `Set-Cookie` value that stores a refresh token. Fractions of a second are dropped.
    ///
    /// # Errors
    ///
    /// As [`session_cookie`](Self::session_cookie).
    pub fn refresh_cookie(
        &self,
        token: &RefreshToken,
        lifetime: Duration,
    ) -> Result<HeaderValue, CookieError> {
        self.stored(&self.refresh, token.expose_secret(), lifetime)
    }

    /// The `Set-Cookie` values that remove both tokens, under each of their names. Domain and path
    /// are repeated, since browsers would take the cookie for another one without them.
    #[must_use]
    pub fn removal_cookies(&self) -> Vec<HeaderValue> {
        let removals = [&self.session, &self.refresh]
            .into_iter()
            .flat_map(|jar| jar.names.iter().map(move |name| (jar, name)))
            .map(|(jar, name)| {
                let mut cookie = self.bare(jar, name, "");
                cookie.set_max_age(cookie::time::Duration::ZERO);
                cookie.set_expires(OffsetDateTime::UNIX_EPOCH);
                cookie
            });
        // The parts were checked when this was built, so each of them makes a header.
        removals
            .filter_map(|cookie| HeaderValue::from_str(&cookie.to_string()).ok())
            .collect()
    }

    /// Stores both tokens of a sign-in or a refresh in a response, each for as long as it lives,
    /// and keeps the response out of shared caches (`Cache-Control: no-store`), which would hand
    /// the cookies to others.
    ///
    /// ```no_run
    /// # use descope_magiclink::{Client, MagicLinkToken};
    /// # use descope_magiclink::session::cookies::SessionCookies;
    /// # async fn f(client: Client, cookies: SessionCookies, token: MagicLinkToken)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let auth = client.magic_link().verify(&token).await?;
    /// let mut response = http::HeaderMap::new();
    /// cookies.set(&mut response, &auth)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`session_cookie`](Self::session_cookie); the response is then left as it was.
    pub fn set<'t>(
        &self,
        response: &mut HeaderMap,
        tokens: impl Into<TokenPair<'t>>,
    ) -> Result<(), CookieError> {
        let tokens = tokens.into();
        let now = self.clock.now();
        let left = |end: SystemTime| end.duration_since(now).unwrap_or_default();
        let (session, session_end) = tokens.session;
        let mut cookies = vec![self.session_cookie(session, left(session_end))?];
        if let Some((refresh, refresh_end)) = tokens.refresh {
            cookies.push(self.refresh_cookie(refresh, left(refresh_end))?);
        }
        append(response, cookies);
        Ok(())
    }

    /// Stores a session token in a response, and keeps the response out of shared caches
    /// (`Cache-Control: no-store`), which would hand the cookie to others.
    ///
    /// # Errors
    ///
    /// As [`session_cookie`](Self::session_cookie); the response is then left as it was.
    pub fn set_session(
        &self,
        response: &mut HeaderMap,
        token: &SessionToken,
        lifetime: Duration,
    ) -> Result<(), CookieError> {
        append(response, [self.session_cookie(token, lifetime)?]);
        Ok(())
    }

    /// Stores a refresh token in a response, and keeps the response out of shared caches.
    ///
    /// # Errors
    ///
    /// As [`session_cookie`](Self::session_cookie); the response is then left as it was.
    pub fn set_refresh(
        &self,
        response: &mut HeaderMap,
        token: &RefreshToken,
        lifetime: Duration,
    ) -> Result<(), CookieError> {
        append(response, [self.refresh_cookie(token, lifetime)?]);
        Ok(())
    }

    /// Removes both tokens in a response, and keeps the response out of shared caches.
    ///
    /// Do this when the user logs out or a refresh is refused; not when a refresh could not be
    /// made, since the user is still signed in then.
    pub fn clear(&self, response: &mut HeaderMap) {
        append(response, self.removal_cookies());
    }

    fn bare<'c>(&'c self, jar: &'c Jar, name: &'c str, value: &'c str) -> Cookie<'c> {
        let mut cookie = Cookie::build((name, value))
            .path(jar.path.as_str())
            .same_site(same_site_of(jar.same_site))
            .http_only(true)
            .build();
        if let Some(domain) = &self.domain {
            cookie.set_domain(domain.as_str());
        }
        if self.secure {
            cookie.set_secure(true);
        }
        cookie
    }

    fn stored(
        &self,
        jar: &Jar,
        token: &str,
        lifetime: Duration,
    ) -> Result<HeaderValue, CookieError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if token.is_empty() || !token.bytes().all(plain) {
            return Err(CookieError::NotAToken);
        }
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        if seconds == 0 {
            return Err(CookieError::Expired);
        }
        let name = jar.names.first().map(String::as_str).unwrap_or_default();
        let mut cookie = self.bare(jar, name, token);
        cookie.set_max_age(cookie::time::Duration::seconds(seconds));
        let text = zeroize::Zeroizing::new(cookie.to_string());
        if text.len() > MAX_COOKIE {
            return Err(CookieError::TooLarge { size: text.len() });
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| CookieError::NotAToken)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Jar {
    fn find(&self, lines: &[Cow<'_, str>]) -> Option<String> {
        self.names.iter().find_map(|name| {
            lines
                .iter()
                .flat_map(|line| Cookie::split_parse(line.as_ref()))
                .filter_map(Result::ok)
                .find(|cookie| cookie.name() == name && !cookie.value_trimmed().is_empty())
                .map(|cookie| cookie.value_trimmed().to_owned())
        })
    }
}

/// The token of an `Authorization` header, if its scheme is `Bearer` in any case. Other schemes are
/// not ours; among them `DPoP`, whose tokens are no bearer tokens.
fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn append(response: &mut HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) {
    for cookie in cookies {
        response.append(SET_COOKIE, cookie);
    }
    response.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Settings of [`SessionCookies`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SessionCookiesBuilder {
    session: Jar,
    refresh: Jar,
    domain: Option<String>,
    host_prefix: bool,
    secure: bool,
    clock: Arc<dyn Clock>,
}

impl SessionCookiesBuilder {
    fn new() -> Self {
        let jar = |name: &str| Jar {
            names: vec![name.to_owned()],
            path: "/".to_owned(),
            same_site: SameSite::Lax,
        };
        Self {
            session: jar("DS"),
            refresh: jar("DSR"),
            domain: None,
            host_prefix: false,
            secure: true,
            clock: Arc::new(SystemClock),
        }
    }

    /// The session cookie's name: `DS` unless set.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session.rename(name.into());
        self
    }

    /// The refresh cookie's name: `DSR` unless set.
    pub fn refresh_name(mut self, name: impl Into<String>) -> Self {
        self.refresh.rename(name.into());
        self
    }

    /// One more name under which a session token may come, looked for after the names before it.
    /// For the time after a change of names.
    pub fn session_fallback(mut self, name: impl Into<String>) -> Self {
        self.session.names.push(name.into());
        self
    }

    /// One more name under which a refresh token may come, looked for after the names before it.
    pub fn refresh_fallback(mut self, name: impl Into<String>) -> Self {
        self.refresh.names.push(name.into());
        self
    }

    /// Sends the cookies to this domain and everything below it. Unless set, only to the very host
    /// that set them, which is safer.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// The path below which the session cookie is sent: `/` unless set.
    pub fn session_path(mut self, path: impl Into<String>) -> Self {
        self.session.path = path.into();
        self
    }

    /// The path below which the refresh cookie is sent: `/` unless set. The place that refreshes
    /// sessions must be below it.
    pub fn refresh_path(mut self, path: impl Into<String>) -> Self {
        self.refresh.path = path.into();
        self
    }

    /// `SameSite` of the session cookie: [`Lax`](SameSite::Lax) unless set.
    pub fn session_same_site(mut self, same_site: SameSite) -> Self {
        self.session.same_site = same_site;
        self
    }

    /// `SameSite` of the refresh cookie: [`Lax`](SameSite::Lax) unless set.
    pub fn refresh_same_site(mut self, same_site: SameSite) -> Self {
        self.refresh.same_site = same_site;
        self
    }

    /// Puts `__Host-` before both names. Browsers then take the cookies only from this very host
    /// over https, so that no sibling domain can plant one. Excludes a domain and a path.
    pub fn host_prefix(mut self) -> Self {
        self.host_prefix = true;
        self
    }

    /// Leaves `Secure` away, so that cookies work over plain http.
    ///
    /// <div class="warning">
    ///
    /// Anyone on the network path can then read the tokens. Only for a server on your own machine.
    ///
    /// </div>
    pub fn insecure_cookies_for_local_development_only(mut self) -> Self {
        self.secure = false;
        self
    }

    /// Where the time is read, for the life times of cookies. [`SystemClock`] by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes the cookies.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`] for names, domains and paths that no cookie can have, and
    /// for combinations that browsers refuse.
    pub fn build(self) -> Result<SessionCookies, ConfigError> {
        let mut cookies = self.unchecked();
        cookies.domain = cookies
            .domain
            .map(|domain| domain.trim_start_matches('.').to_ascii_lowercase());
        cookies.check()?;
        Ok(cookies)
    }

    fn unchecked(mut self) -> SessionCookies {
        if self.host_prefix {
            for jar in [&mut self.session, &mut self.refresh] {
                if let Some(name) = jar.names.first_mut()
                    && !has_prefix(name, HOST_PREFIX)
                {
                    name.insert_str(0, HOST_PREFIX);
                }
            }
        }
        SessionCookies {
            session: self.session,
            refresh: self.refresh,
            domain: self.domain,
            secure: self.secure,
            clock: self.clock,
        }
    }
}

impl Jar {
    fn rename(&mut self, name: String) {
        if let Some(first) = self.names.first_mut() {
            *first = name;
        }
    }
}

impl SessionCookies {
    fn check(&self) -> Result<(), ConfigError> {
        let jars = [
            ("session_name", "session_path", &self.session),
            ("refresh_name", "refresh_path", &self.refresh),
        ];
        for (name_setting, path_setting, jar) in jars {
            if jar.names.iter().any(|name| !is_cookie_name(name)) {
                let problem =
                    "must be a cookie name: ASCII, no spaces and none of ()<>@,;:\\\"/[]?={}";
                return Err(setting(name_setting, problem));
            }
            let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
            if !jar.path.starts_with('/') || !jar.path.bytes().all(plain) {
                let problem = "must start with / and have no semicolon or control character";
                return Err(setting(path_setting, problem));
            }
            for name in &jar.names {
                let host = has_prefix(name, HOST_PREFIX);
                if host && (self.domain.is_some() || jar.path != "/") {
                    let problem = "starts with __Host-, which allows no domain and only the path /";
                    return Err(setting(name_setting, problem));
                }
                if !self.secure && (host || has_prefix(name, SECURE_PREFIX)) {
                    let problem = "has a prefix that browsers take over https only";
                    return Err(setting(name_setting, problem));
                }
            }
            if !self.secure && jar.same_site == SameSite::None {
                let problem =
                    "cannot be used with SameSite=None, which browsers take over https only";
                return Err(setting(
                    "insecure_cookies_for_local_development_only",
                    problem,
                ));
            }
        }
        if self
            .session
            .names
            .iter()
            .any(|name| self.refresh.names.contains(name))
        {
            return Err(setting(
                "session_name",
                "must differ from the refresh cookie's names",
            ));
        }
        if !self.domain.as_deref().is_none_or(is_domain) {
            return Err(setting("domain", "must be a host name such as example.com"));
        }
        Ok(())
    }
}

fn setting(name: &'static str, problem: &'static str) -> ConfigError {
    ConfigError::InvalidSetting { name, problem }
}

/// Browsers compare these prefixes without regard to case.
fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn is_domain(domain: &str) -> bool {
    domain.len() <= 253
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

//! Reading and writing the cookies of a session.

use std::time::Duration;

use descope_magiclink::{RefreshToken, SessionToken};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::header::{SameSite, SetCookie, trim, values};
use super::tokens::{RequestTokens, TokenPair, TokenSource};

/// What browsers keep of a cookie's name and value together (RFC 6265bis section 5.6). They drop a
/// larger one without a word.
const LARGEST: usize = 4096;

/// Why a cookie cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// Browsers drop cookies of this size silently.
    #[error(
        "the cookie's name and value would have {size} bytes and browsers keep 4096; \
         put fewer claims into the token, or keep it in a session store of your own"
    )]
    TooLarge {
        /// The size of name and value together, in bytes.
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
    pub(super) session: Jar,
    pub(super) refresh: Jar,
    pub(super) domain: Option<String>,
    pub(super) secure: bool,
}

/// One of the two cookies.
#[derive(Clone, Debug)]
pub(super) struct Jar {
    /// The first is the one written; all are read, and all are cleared.
    pub(super) names: Vec<String>,
    pub(super) path: String,
    pub(super) same_site: SameSite,
}

impl SessionCookies {
    /// Reads the tokens of a request. `headers` are its [`HeaderMap`], or pairs of a name and a value
    /// from any framework.
    ///
    /// The session token is that of the first `Authorization: Bearer` that has one, else that of a
    /// cookie. Among cookies, the configured name goes before its fallbacks in their order, and
    /// among cookies of one name the first that is not empty counts, which is the one browsers put
    /// first because its path is the longest. There is no second try with another cookie if a token
    /// turns out to be bad. A cookie's name counts octet by octet, with only space and tab around it
    /// left away.
    ///
    /// ```
    /// # use descope_magiclink_web::cookies::SessionCookies;
    /// let headers = [("Host", "app.example.com"), ("Cookie", "theme=dark; DS=a.b.c")];
    /// let tokens = SessionCookies::new().read(headers);
    /// assert!(tokens.session.is_some());
    /// ```
    #[must_use]
    pub fn read<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>) -> RequestTokens
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        let (mut lines, mut bearer_token) = (Vec::new(), None);
        for (name, value) in headers {
            let name = name.as_ref();
            if name.eq_ignore_ascii_case(COOKIE.as_str()) {
                lines.push(value);
            } else if name.eq_ignore_ascii_case(AUTHORIZATION.as_str()) && bearer_token.is_none() {
                bearer_token = bearer(value.as_ref()).map(SessionToken::new);
            }
        }
        let refresh = self.refresh.find(&lines).map(RefreshToken::new);
        let (session, session_source) = match bearer_token {
            Some(token) => (Some(token), Some(TokenSource::Bearer)),
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
        [&self.session, &self.refresh]
            .into_iter()
            .flat_map(|jar| jar.names.iter().map(move |name| (jar, name)))
            // The parts were checked when this was built, so each of them makes a line.
            .filter_map(|(jar, name)| self.cookie(jar, name, "", 0).line())
            .collect()
    }

    /// Stores the tokens of a sign-in or a refresh in a response, each for as long as it lives,
    /// and keeps the response out of shared caches (`Cache-Control: no-store`), which would hand
    /// the cookies to others. What there is no new token for stays as it is: the refresh cookie
    /// when the service has not replaced that token, or gave none.
    ///
    /// ```no_run
    /// # use descope_magiclink::{Client, MagicLinkToken};
    /// # use descope_magiclink_web::cookies::SessionCookies;
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
        let (session, lifetime) = tokens.session;
        let session = self.session_cookie(session, lifetime)?;
        let refresh = tokens.refresh;
        let refresh = refresh.map(|(token, lifetime)| self.refresh_cookie(token, lifetime));
        append(response, [session].into_iter().chain(refresh.transpose()?));
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
    /// Do this when the user signs out. Not when a refresh could not be made, since the user is still
    /// signed in then; and not when it was refused, since another answer may just have renewed them.
    pub fn clear(&self, response: &mut HeaderMap) {
        append(response, self.removal_cookies());
    }

    fn cookie<'c>(
        &'c self,
        jar: &'c Jar,
        name: &'c str,
        value: &'c str,
        max_age: u64,
    ) -> SetCookie<'c> {
        SetCookie {
            name,
            value,
            same_site: jar.same_site,
            secure: self.secure,
            path: &jar.path,
            domain: self.domain.as_deref(),
            max_age,
        }
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
        if lifetime.as_secs() == 0 {
            return Err(CookieError::Expired);
        }
        let name = jar.names.first().map(String::as_str).unwrap_or_default();
        let size = name.len() + token.len();
        if size > LARGEST {
            return Err(CookieError::TooLarge { size });
        }
        let cookie = self.cookie(jar, name, token, lifetime.as_secs());
        cookie.line().ok_or(CookieError::NotAToken)
    }
}

impl Jar {
    /// The value of the first cookie that has one, without the quotes that some servers write around
    /// it. What is not UTF-8 is no token.
    fn find<'l, L: AsRef<[u8]>>(&self, lines: &'l [L]) -> Option<&'l str> {
        self.names.iter().find_map(|name| {
            values(lines.iter().map(AsRef::as_ref), name).find_map(|value| {
                let value = match value {
                    [b'"', inner @ .., b'"'] => inner,
                    value => value,
                };
                let text = std::str::from_utf8(value).ok()?;
                (!text.is_empty()).then_some(text)
            })
        })
    }
}

/// The token of an `Authorization` header, if its scheme is `Bearer` in any case. Other schemes are
/// not ours; among them `DPoP`, whose tokens are no bearer tokens.
fn bearer(value: &[u8]) -> Option<&str> {
    let (scheme, token) = std::str::from_utf8(trim(value)).ok()?.split_once(' ')?;
    let token = token.trim_matches([' ', '\t']);
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn append(response: &mut HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) {
    for cookie in cookies {
        response.append(SET_COOKIE, cookie);
    }
    response.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

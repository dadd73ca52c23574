//! Reading and writing the cookies of a session.

use std::time::SystemTime;

use descope_magiclink::{Clock as _, RefreshToken, SessionToken, SystemClock, Tokens};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

use super::cookie_header::{pairs, trim};
use super::set_cookie::{SameSite, SetCookie, is_host_only};
use super::tokens::{RequestTokens, TokenSource};

/// What browsers keep of a cookie's name and value together (RFC 6265bis section 5.6). They drop a
/// larger one without a word.
const LARGEST: usize = 4096;

/// Into how many cookies a token is split that fits into none.
const PARTS: usize = 4;

/// How many cookies of one name are looked at.
const CANDIDATES: usize = 4;

/// Why a cookie cannot be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CookieError {
    /// The token does not fit into the four cookies that it may be split into.
    #[error(
        "the token has {size} bytes and cookies for it hold {limit}; \
         put fewer claims into the token, or keep it in a session store of your own"
    )]
    TooLarge {
        /// The size of the token, in bytes.
        size: usize,
        /// What fits into its cookies, in bytes.
        limit: usize,
    },
    /// The text has characters that no token has.
    #[error("the token has characters that no token has, so it was not put into a cookie")]
    NotAToken,
}

/// How session cookies are called and protected. Make one value, and give it to all that read or write
/// them: the [`SessionLayer`](crate::SessionLayer), the [`LandingPage`](crate::LandingPage), the sign-out.
///
/// By default a project's session token is in `__Host-DS` and its refresh token in `__Host-DSR`, both
/// `Secure`, `HttpOnly`, `SameSite=Lax`, with the path `/` and without a domain. The names after the
/// prefix are those that the client has.
///
/// Browsers keep 4,096 bytes of name and value. A token that needs more is split into `NAME.0` to
/// `NAME.3`. Servers have limits too: nginx takes 8 KiB of one header unless told otherwise.
#[derive(Clone, Debug)]
pub struct SessionCookies {
    pub(super) session: Jar,
    pub(super) refresh: Jar,
    pub(super) domain: Option<String>,
    pub(super) also_clear: Vec<Scope>,
    pub(super) secure: bool,
    pub(super) sources: Vec<TokenSource>,
    pub(super) header: String,
}

/// One of the two cookies.
#[derive(Clone, Debug)]
pub(super) struct Jar {
    /// The first is the one written; all are read, and all are cleared.
    pub(super) names: Vec<String>,
    pub(super) path: String,
    pub(super) same_site: SameSite,
}

/// What tells cookies of one name apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) domain: Option<String>,
    pub(super) path: String,
}

impl SessionCookies {
    /// Reads the tokens of a request. `headers` are its [`HeaderMap`], or pairs of a name and a value
    /// from any framework.
    ///
    /// The session token is that of the first `Authorization: Bearer` that has one, else that of a
    /// cookie. A text that cannot be a signed token, such as `Bearer null`, counts as none. Among
    /// cookies, the configured name goes before its fallbacks in their order, and among cookies of one
    /// name they go in the order in which they came, four of them at most. Which of them is good, a
    /// [`SessionLayer`](crate::SessionLayer) finds out; here the first that is not empty counts. A cookie's
    /// name counts octet by octet, with only space and tab around it left away.
    ///
    /// ```
    /// # use descope_magiclink::Client;
    /// # use descope_magiclink_web::cookies::SessionCookies;
    /// let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let headers = [("Host", "app.example.com"), ("Cookie", "theme=dark; __Host-DS=a.b.c")];
    /// let tokens = SessionCookies::new(&client).read(headers);
    /// assert!(tokens.session.is_some());
    /// # Ok::<(), descope_magiclink::Error>(())
    /// ```
    #[must_use]
    pub fn read<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>) -> RequestTokens
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        let (mut lines, mut bearer) = (Vec::new(), None);
        for (name, value) in headers {
            let name = name.as_ref();
            if name.eq_ignore_ascii_case(COOKIE.as_str()) {
                lines.push(value);
            } else if name.eq_ignore_ascii_case(&self.header) && bearer.is_none() {
                bearer = self.bearer(value.as_ref()).map(SessionToken::new);
            }
        }
        let mut names = Vec::new();
        let mut find = |jar: &Jar| jar.find(&lines, &mut names);
        let sessions: Vec<SessionToken> = find(&self.session)
            .into_iter()
            .map(SessionToken::new)
            .collect();
        let refreshes: Vec<RefreshToken> = find(&self.refresh)
            .into_iter()
            .map(RefreshToken::new)
            .collect();
        let first = self.sources.iter().find_map(|source| {
            let token = match source {
                TokenSource::Bearer => bearer.as_ref(),
                TokenSource::Cookie => sessions.first(),
            };
            Some((token?.clone(), *source))
        });
        RequestTokens {
            session_source: first.as_ref().map(|(_, source)| *source),
            session: first.map(|(token, _)| token),
            refresh: refreshes.first().cloned(),
            bearer: bearer.filter(|_| self.sources.contains(&TokenSource::Bearer)),
            sessions,
            refreshes,
            names,
        }
    }

    /// The `Set-Cookie` values that remove both tokens, under each of their names and in each scope that
    /// is known. Domain and path are repeated, since browsers would take the cookie for another one
    /// without them.
    #[must_use]
    pub fn removal_cookies(&self) -> Vec<HeaderValue> {
        self.removals(|_| true)
    }

    /// Stores the tokens of a sign-in or a refresh in a response, each for as long as it lives (where that is
    /// not known, until the browser is closed), and keeps the response out of shared caches (`Cache-Control: no-store`), which would hand
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
    /// cookies.set(&mut response, &auth.tokens)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`CookieError`]; most likely [`TooLarge`](CookieError::TooLarge), for a user with very many tenants
    /// or roles. The token that fits is stored all the same: a refresh token that was replaced is worth
    /// keeping whatever becomes of the session.
    pub fn set(&self, response: &mut HeaderMap, tokens: &Tokens) -> Result<(), CookieError> {
        self.set_over(response, tokens, &RequestTokens::default())
    }

    /// Stores tokens, and removes what the request brought of cookies that they replace.
    pub(crate) fn set_over(
        &self,
        response: &mut HeaderMap,
        tokens: &Tokens,
        request: &RequestTokens,
    ) -> Result<(), CookieError> {
        // By the clock that has set the ends, whatever this machine's clock says.
        let now = tokens.issued_at.unwrap_or_else(|| SystemClock.now());
        let lifetime = |expires_at: Option<SystemTime>| {
            let left = expires_at.map(|time| time.duration_since(now).unwrap_or_default());
            // A token at its very end is stored all the same.
            left.map(|left| left.as_secs().max(1))
        };
        let until = lifetime(tokens.session_expires_at);
        let session = self.store(
            &self.session,
            tokens.session.expose_secret(),
            until,
            request,
        );
        let until = lifetime(tokens.refresh_expires_at);
        let new = tokens.refresh.as_ref().filter(|_| tokens.rotated);
        let refresh = new.map(|new| self.store(&self.refresh, new.expose_secret(), until, request));
        for cookies in [Some(&session), refresh.as_ref()].into_iter().flatten() {
            append(response, cookies.iter().flatten().cloned());
        }
        session.and(refresh.transpose()).map(drop)
    }

    /// Removes both tokens in a response, and keeps the response out of shared caches.
    ///
    /// Do this when the user signs out; [`sign_out`](Self::sign_out) does, and ends the session too. Not
    /// when a refresh could not be made, since the user is still signed in then; and not when it was
    /// refused, since another response may just have renewed them.
    pub fn clear(&self, response: &mut HeaderMap) {
        append(response, self.removal_cookies());
    }

    /// Removes what a request brought; without a request, all there can be.
    pub(crate) fn clear_over(&self, response: &mut HeaderMap, request: &RequestTokens) {
        let came = |name: &str| request.names.is_empty() || request.names.iter().any(|n| n == name);
        append(response, self.removals(came));
    }

    pub(crate) fn sources(&self) -> &[TokenSource] {
        &self.sources
    }

    fn removals(&self, wanted: impl Fn(&str) -> bool) -> Vec<HeaderValue> {
        let mut lines = Vec::new();
        for jar in [&self.session, &self.refresh] {
            for name in &jar.names {
                for name in std::iter::once(name.clone()).chain(part_names(name)) {
                    if wanted(&name) {
                        lines.extend(self.remove(jar, &name, self.scopes(jar)));
                    }
                }
            }
        }
        lines
    }

    /// Where cookies of the jar may be: as they are set, their twin of this host alone, and what was
    /// named. Each once.
    fn scopes(&self, jar: &Jar) -> Vec<Scope> {
        let scope = |domain: Option<String>| Scope {
            domain,
            path: jar.path.clone(),
        };
        let mut scopes = vec![scope(self.domain.clone())];
        for other in std::iter::once(scope(None)).chain(self.also_clear.iter().cloned()) {
            if !scopes.contains(&other) {
                scopes.push(other);
            }
        }
        scopes
    }

    fn remove(&self, jar: &Jar, name: &str, scopes: Vec<Scope>) -> Vec<HeaderValue> {
        // Of such a name there is one cookie, and browsers take no other's removal for it.
        let scopes = if is_host_only(name) {
            vec![Scope {
                domain: None,
                path: "/".to_owned(),
            }]
        } else {
            scopes
        };
        // The parts were checked when this was built, so each of them makes a line.
        let line = |scope: &Scope| self.cookie(jar, name, "", scope, Some(0)).line();
        scopes.iter().filter_map(line).collect()
    }

    fn cookie<'c>(
        &'c self,
        jar: &'c Jar,
        name: &'c str,
        value: &'c str,
        scope: &'c Scope,
        max_age: Option<u64>,
    ) -> SetCookie<'c> {
        SetCookie {
            name,
            value,
            same_site: jar.same_site,
            secure: self.secure,
            path: &scope.path,
            domain: scope.domain.as_deref(),
            max_age,
        }
    }

    /// The lines that store a token, and those that remove what it replaces.
    fn store(
        &self,
        jar: &Jar,
        token: &str,
        max_age: Option<u64>,
        request: &RequestTokens,
    ) -> Result<Vec<HeaderValue>, CookieError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if token.is_empty() || !token.bytes().all(plain) {
            return Err(CookieError::NotAToken);
        }
        let name = jar.names.first().map(String::as_str).unwrap_or_default();
        let stored = split(name, token)?;
        let scopes = self.scopes(jar);
        let mut lines = Vec::new();
        for (name, value) in &stored {
            let scope = scopes.first().ok_or(CookieError::NotAToken)?;
            let cookie = self.cookie(jar, name, value, scope, max_age);
            lines.push(cookie.line().ok_or(CookieError::NotAToken)?);
        }
        let all = std::iter::once(name.to_owned()).chain(part_names(name));
        for other in all {
            let came = request.names.iter().filter(|n| **n == other).count();
            let is_stored = stored.iter().any(|(name, _)| *name == other);
            // Parts are not looked at beside a whole one, which is not stored where the token is split.
            if !is_stored && (came > 0 || other == name) {
                lines.extend(self.remove(jar, &other, scopes.clone()));
            } else if is_stored && came > 1 && !is_host_only(&other) {
                // One that stands in the way, from another scope.
                let others = scopes.iter().skip(1).cloned().collect();
                lines.extend(self.remove(jar, &other, others));
            }
        }
        Ok(lines)
    }

    /// The token of the header. In `Authorization`, only if its scheme is `Bearer` in any case: other
    /// schemes are not ours; among them `DPoP`, whose tokens are no bearer tokens.
    fn bearer<'v>(&self, value: &'v [u8]) -> Option<&'v str> {
        let value = std::str::from_utf8(trim(value)).ok()?;
        let token = match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
                token.trim_matches([' ', '\t'])
            }
            None if self.header != AUTHORIZATION.as_str() => value,
            _ => return None,
        };
        can_be_token(token).then_some(token)
    }
}

/// Whether a text has the three parts that a signed token has.
fn can_be_token(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !part.is_empty() && part.bytes().all(is_base64url)
    };
    text.split('.').count() == 3 && text.split('.').all(is_part)
}

pub(super) fn part_names(name: &str) -> impl Iterator<Item = String> {
    (0..PARTS).map(move |part| format!("{name}.{part}"))
}

/// The cookies that a token is put into: one, or parts of which the first begins with their number and a
/// dot.
fn split<'t>(
    name: &str,
    token: &'t str,
) -> Result<Vec<(String, std::borrow::Cow<'t, str>)>, CookieError> {
    if name.len() + token.len() <= LARGEST {
        return Ok(vec![(name.to_owned(), token.into())]);
    }
    const COUNT: usize = "4.".len();
    let room = LARGEST.saturating_sub(name.len() + ".0".len());
    let limit = (room * PARTS).saturating_sub(COUNT);
    let parts = (token.len() + COUNT).div_ceil(room.max(1));
    if parts > PARTS {
        let size = token.len();
        return Err(CookieError::TooLarge { size, limit });
    }
    let text = zeroize::Zeroizing::new(format!("{parts}.{token}"));
    // A token is ASCII, as has been checked.
    Ok(part_names(name)
        .zip(text.as_bytes().chunks(room))
        .map(|(name, part)| (name, String::from_utf8_lossy(part).into_owned().into()))
        .collect())
}

/// Without the quotes that some servers write around a value.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        value => value,
    }
}

/// The cookies of one name in a request that are not empty: the whole ones, and those of each part.
#[derive(Default)]
struct Found<'l>([Vec<&'l [u8]>; PARTS + 1]);

impl Jar {
    /// What can be a token, the likeliest first: for each name, the cookies of that name in the order
    /// in which they came; and where there is none, what its parts make. An empty one is none, and what is not
    /// UTF-8 is no token.
    fn find<'l, L: AsRef<[u8]>>(&self, lines: &'l [L], names: &mut Vec<String>) -> Vec<String> {
        let mut found: Vec<Found<'l>> = self.names.iter().map(|_| Found::default()).collect();
        for (name, value) in pairs(lines.iter().map(AsRef::as_ref)) {
            for (known, found) in self.names.iter().zip(&mut found) {
                let index = match name.strip_prefix(known.as_bytes()) {
                    Some([]) => 0,
                    Some([b'.', digit @ b'0'..=b'3']) => usize::from(digit - b'0') + 1,
                    _ => continue,
                };
                if let Some(values) = found.0.get_mut(index)
                    && values.len() < CANDIDATES
                {
                    names.push(String::from_utf8_lossy(name).into_owned());
                    values.extend(Some(unquoted(value)).filter(|value| !value.is_empty()));
                }
            }
        }
        found.iter().flat_map(Found::tokens).collect()
    }
}

impl Found<'_> {
    fn tokens(&self) -> Vec<String> {
        let [whole, parts @ ..] = &self.0;
        let text = |value: &[u8]| std::str::from_utf8(value).ok().map(str::to_owned);
        if !whole.is_empty() {
            return whole.iter().filter_map(|value| text(value)).collect();
        }
        let [first, others @ ..] = parts;
        let joined = first.iter().enumerate().filter_map(|(index, value)| {
            let start = text(value)?;
            let (count, start) = start.split_once('.')?;
            let count: usize = count.parse().ok()?;
            let others = others.get(..count.checked_sub(1)?)?;
            let mut token = start.to_owned();
            for values in others {
                // Those that came together belong together.
                token += &text(values.get(index).or(values.first())?)?;
            }
            Some(token)
        });
        joined.collect()
    }
}

fn append(response: &mut HeaderMap, cookies: impl IntoIterator<Item = HeaderValue>) {
    for cookie in cookies {
        response.append(SET_COOKIE, cookie);
        response.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

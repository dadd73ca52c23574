//! Settings of session cookies, and which of them browsers would refuse.

use descope_magiclink::{ConfigError, SessionValidator};
use http::HeaderName;
use http::header::AUTHORIZATION;
use url::Url;

use super::session_cookies::{Jar, Scope, SessionCookies, part_names};
use super::set_cookie::{HOST_PREFIX, SameSite, has_prefix, is_host_only};
use super::tokens::TokenSource;

/// What browsers promise of a cookie whose name starts so. They compare without regard to case.
const SECURE_PREFIX: &str = "__Secure-";
/// As the two above, and no script can have set the cookie.
const HTTP_PREFIXES: [&str; 2] = ["__Http-", "__Host-Http-"];

/// Longer names would leave little of what browsers keep of a cookie, in bytes.
const LONGEST_NAME: usize = 256;

/// The longest path that browsers do not ignore, in bytes (RFC 6265bis section 5.6).
const LONGEST_ATTRIBUTE: usize = 1024;

impl SessionCookies {
    /// The default cookies of a client or validator: `__Host-` and the name that is set there, so
    /// `__Host-DS` and `__Host-DSR` unless others are set.
    #[must_use]
    pub fn new(of: &impl AsRef<SessionValidator>) -> Self {
        SessionCookiesBuilder::new(of.as_ref()).unchecked()
    }

    /// Starts cookies with settings of your own, for a client or a validator.
    pub fn builder(of: &impl AsRef<SessionValidator>) -> SessionCookiesBuilder {
        SessionCookiesBuilder::new(of.as_ref())
    }
}

/// Settings of [`SessionCookies`].
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct SessionCookiesBuilder {
    session: Jar,
    refresh: Jar,
    domain: Option<String>,
    also_clear: Vec<Scope>,
    plain_names: bool,
    secure: bool,
    sources: Vec<TokenSource>,
    header: String,
}

impl SessionCookiesBuilder {
    fn new(validator: &SessionValidator) -> Self {
        let jar = |name: &str| Jar {
            names: vec![name.to_owned()],
            path: "/".to_owned(),
            same_site: SameSite::Lax,
        };
        Self {
            session: jar(validator.session_cookie_name()),
            refresh: jar(validator.refresh_cookie_name()),
            domain: None,
            also_clear: Vec::new(),
            plain_names: false,
            secure: true,
            sources: vec![TokenSource::Bearer, TokenSource::Cookie],
            header: AUTHORIZATION.as_str().to_owned(),
        }
    }

    /// The session cookie's name in browsers, without a prefix: the name that the client has for it
    /// (`DS`) unless set. What the service calls it is the client's setting.
    pub fn session_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.session.rename(name.into());
        self
    }

    /// The refresh cookie's name in browsers, as [`session_cookie_name`](Self::session_cookie_name).
    pub fn refresh_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.refresh.rename(name.into());
        self
    }

    /// Leaves the names as they are. For those who share cookies with pages that use another of
    /// Descope's SDKs, which know `DS` and `DSR`.
    ///
    /// Otherwise names get the prefix with which browsers keep the most: `__Host-` where there is no
    /// [domain](Self::domain) and both paths are `/`, so that no neighbour (`blog.example.com` to
    /// `app.example.com`) can plant a session of its own; `__Secure-` elsewhere. A name with a prefix
    /// keeps it, and without https there is none.
    pub fn plain_names(mut self) -> Self {
        self.plain_names = true;
        self
    }

    /// One more name under which a session token may come, looked for after the names before it. For the
    /// time after a change of names. It is written as it is, and cleared too.
    ///
    /// <div class="warning">
    ///
    /// A name without `__Host-` can be set by every neighbour of the domain, and by anybody on the
    /// network path. With `also_read_session("DS")` they can sign a visitor who is not signed in into an
    /// account of their own. Take it away when the old cookies are over.
    ///
    /// </div>
    pub fn also_read_session(mut self, name: impl Into<String>) -> Self {
        self.session.names.push(name.into());
        self
    }

    /// One more name under which a refresh token may come, as
    /// [`also_read_session`](Self::also_read_session).
    pub fn also_read_refresh(mut self, name: impl Into<String>) -> Self {
        self.refresh.names.push(name.into());
        self
    }

    /// A domain and a path that the cookies once had, so that a sign-out clears them there too. An empty
    /// domain is none. The scope that is set, and the same path without a domain, are always cleared.
    pub fn also_clear(mut self, domain: impl Into<String>, path: impl Into<String>) -> Self {
        let domain = Some(domain.into()).filter(|domain| !domain.is_empty());
        let path = path.into();
        self.also_clear.push(Scope { domain, path });
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

    /// Where session tokens are looked for, in this order: the header, then cookies, unless set. The
    /// first that brings one decides.
    pub fn token_sources(mut self, sources: impl IntoIterator<Item = TokenSource>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// The header that session tokens come in: `Authorization` unless set. Another one may have the token
    /// alone, without `Bearer` before it.
    pub fn token_header(mut self, name: impl Into<String>) -> Self {
        self.header = name.into();
        self
    }

    /// Leaves `Secure` and the names' prefixes away, so that cookies work over plain http.
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

    /// Makes the cookies.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`] for names, domains and paths that no cookie can have, and
    /// for combinations that browsers drop without a word.
    pub fn build(self) -> Result<SessionCookies, ConfigError> {
        if self.sources.is_empty() {
            return Err(setting("token_sources", "must have at least one source"));
        }
        if HeaderName::try_from(self.header.as_str()).is_err() {
            return Err(setting("token_header", "must be the name of a header"));
        }
        let mut cookies = self.unchecked();
        let scopes = cookies.also_clear.iter_mut().map(|scope| &mut scope.domain);
        for domain in scopes.chain([&mut cookies.domain]).flatten() {
            *domain = domain.trim_start_matches('.').to_ascii_lowercase();
        }
        cookies.check()?;
        Ok(cookies)
    }

    fn unchecked(mut self) -> SessionCookies {
        let is_host = self.domain.is_none() && self.session.path == "/" && self.refresh.path == "/";
        let prefix = match (self.secure && !self.plain_names, is_host) {
            (false, _) => "",
            (true, true) => HOST_PREFIX,
            (true, false) => SECURE_PREFIX,
        };
        for jar in [&mut self.session, &mut self.refresh] {
            if let Some(name) = jar.names.first_mut()
                && !needs_secure(name)
            {
                name.insert_str(0, prefix);
            }
        }
        SessionCookies {
            session: self.session,
            refresh: self.refresh,
            domain: self.domain,
            also_clear: self.also_clear,
            secure: self.secure,
            sources: self.sources,
            header: self.header.to_ascii_lowercase(),
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
            ("session_cookie_name", "session_path", &self.session),
            ("refresh_cookie_name", "refresh_path", &self.refresh),
        ];
        for (name_setting, path_setting, jar) in jars {
            if jar.names.iter().any(|name| !is_cookie_name(name)) {
                let problem = "must be a cookie name: at most 256 bytes of ASCII, no spaces and none of \
                               ()<>@,;:\\\"/[]?={}";
                return Err(setting(name_setting, problem));
            }
            if !is_path(&jar.path) {
                return Err(setting(path_setting, BAD_PATH));
            }
            for name in &jar.names {
                // What is only read was set elsewhere, under whatever it was.
                let is_written = jar.names.first() == Some(name);
                if is_written && is_host_only(name) && (self.domain.is_some() || jar.path != "/") {
                    let problem = "starts with __Host-, which allows no domain and only the path /";
                    return Err(setting(name_setting, problem));
                }
                if !self.secure && needs_secure(name) {
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
        let names = || self.session.names.iter().chain(&self.refresh.names);
        let is_shared = self
            .session
            .names
            .iter()
            .any(|n| self.refresh.names.contains(n));
        let is_part =
            |name: &String| names().any(|whole| part_names(whole).any(|part| part == *name));
        if is_shared || names().any(is_part) {
            let problem = "must differ from the refresh cookie's names, and no cookie's name may be another's \
                           with .0 to .3 behind it: tokens that are too large for one cookie go there";
            return Err(setting("session_cookie_name", problem));
        }
        if !self.domain.as_deref().is_none_or(is_domain) {
            return Err(setting("domain", BAD_DOMAIN));
        }
        for scope in &self.also_clear {
            if !scope.domain.as_deref().is_none_or(is_domain) {
                return Err(setting("also_clear", BAD_DOMAIN));
            }
            if !is_path(&scope.path) {
                return Err(setting("also_clear", BAD_PATH));
            }
        }
        Ok(())
    }

    /// Whether browsers take these cookies from a page at this address.
    pub(crate) fn check_page(&self, url: &Url) -> Result<(), ConfigError> {
        // Those made without a builder have the client's names, whatever they are.
        self.check()?;
        if !self.sources.contains(&TokenSource::Cookie) {
            let problem = "have no TokenSource::Cookie in their token_sources, so that nobody would read what the \
                           page stores";
            return Err(setting("cookies", problem));
        }
        if self.secure && url.scheme() != "https" {
            let problem = "are `Secure`, which browsers take over https only; on your own machine use \
                           insecure_cookies_for_local_development_only";
            return Err(setting("cookies", problem));
        }
        let host = url.host_str().unwrap_or_default();
        let holds = |domain: &String| {
            let rest = host.strip_suffix(domain.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        if !self.domain.as_ref().is_none_or(holds) {
            let problem =
                "have a domain that does not hold the page's host, so that browsers drop them";
            return Err(setting("cookies", problem));
        }
        Ok(())
    }
}

const BAD_PATH: &str = "must start with /, have no semicolon or control character, and at most 1024 \
                        bytes: browsers ignore a longer one";
const BAD_DOMAIN: &str = "must be a host name in ASCII with a dot in it, such as example.com or \
                          xn--mller-kva.example, and no IP address: browsers take no other";

fn setting(name: &'static str, problem: &'static str) -> ConfigError {
    ConfigError::InvalidSetting { name, problem }
}

/// Whether browsers take a cookie of this name over https only.
fn needs_secure(name: &str) -> bool {
    HTTP_PREFIXES
        .iter()
        .chain([&HOST_PREFIX, &SECURE_PREFIX])
        .any(|prefix| has_prefix(name, prefix))
}

fn is_path(path: &str) -> bool {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
    path.starts_with('/') && path.len() <= LONGEST_ATTRIBUTE && path.bytes().all(plain)
}

fn is_domain(domain: &str) -> bool {
    domain.len() <= 253
        && domain.contains('.')
        // What ends in a number is an IP address to browsers (URL standard, "ends in a number").
        && domain.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| !b.is_ascii_digit()))
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        })
}

/// Whether RFC 6265 4.1.1 allows the text as a cookie's name.
fn is_cookie_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&b))
}

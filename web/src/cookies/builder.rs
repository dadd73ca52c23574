//! Settings of session cookies, and which of them browsers would refuse.

use descope_magiclink::ConfigError;

use super::header::SameSite;
use super::session_cookies::{Jar, SessionCookies};

const HOST_PREFIX: &str = "__Host-";
const SECURE_PREFIX: &str = "__Secure-";

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
        }
    }

    /// The session cookie's name: `DS` unless set.
    pub fn session_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.session.rename(name.into());
        self
    }

    /// The refresh cookie's name: `DSR` unless set.
    pub fn refresh_cookie_name(mut self, name: impl Into<String>) -> Self {
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
                "session_cookie_name",
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

/// Whether RFC 6265 4.1.1 allows the text as a cookie's name.
fn is_cookie_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&b))
}

//! Where a sign-in may send the browser.

use std::fmt;

use descope_magiclink::ConfigError;
use http::HeaderValue;
use url::{Url, form_urlencoded};

/// Longer targets are refused; no page has such an address.
const LONGEST: usize = 2048;

/// Decides where a sign-in may send the browser: to pages of the application itself, and to origins on
/// a list.
///
/// A page that redirects to whatever its URL says (an open redirect) lends the application's good name
/// to anyone who makes up a link. What is checked here is what browsers will make of the text, by the
/// URL standard that they follow, and the target is written anew from what was understood.
///
/// ```
/// use descope_magiclink_web::RedirectTargets;
///
/// let targets = RedirectTargets::new("https://app.example.com")?
///     .allow_origin("https://docs.example.com")?;
/// assert_eq!(targets.check("/orders?page=2")?.as_str(), "/orders?page=2");
/// assert!(targets.check("https://docs.example.com/intro").is_ok());
/// assert!(targets.check("//evil.example").is_err());
/// assert!(targets.check(r"/\evil.example").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RedirectTargets {
    base: Url,
    /// Origins other than the base's, as browsers write them: `https://docs.example.com`.
    allowed: Vec<String>,
}

impl RedirectTargets {
    /// Allows the pages of the application at `app_url` and nothing else. Only the origin of `app_url`
    /// counts, that is scheme, host and port.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`] unless it is an `https` URL, or an `http` one of this machine
    /// (`localhost`, 127.0.0.1, `[::1]`).
    pub fn new(app_url: impl AsRef<str>) -> Result<Self, ConfigError> {
        Ok(Self {
            base: app_origin("app_url", app_url.as_ref())?,
            allowed: Vec::new(),
        })
    }

    /// Allows the pages of one more origin, such as `https://docs.example.com`.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); also when the URL has more than an origin, since a path would restrict
    /// nothing.
    pub fn allow_origin(mut self, origin: impl AsRef<str>) -> Result<Self, ConfigError> {
        self.allowed
            .push(bare_origin("allow_origin", origin.as_ref())?);
        Ok(self)
    }

    /// The target, if it is allowed.
    ///
    /// Takes a path with or without query and fragment, which must start with a single `/`, or a URL
    /// that starts with the text of an allowed origin.
    ///
    /// # Errors
    ///
    /// [`RedirectError`] says why it is not.
    pub fn check(&self, target: &str) -> Result<RedirectTarget, RedirectError> {
        if target.len() > LONGEST {
            return Err(RedirectError::TooLong);
        }
        // Browsers drop tabs and line ends anywhere and spaces around, and read `\` as `/`.
        if target
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
        {
            return Err(RedirectError::InvalidCharacters);
        }
        let written = if target.starts_with('/') {
            self.check_path(target)
        } else {
            self.check_absolute(target)
        }?;
        // It is read again where the link is opened, with three characters for each byte beyond ASCII.
        if written.0.len() > LONGEST {
            return Err(RedirectError::TooLong);
        }
        Ok(written)
    }

    /// The target if there is one and it is allowed, and the fallback otherwise.
    pub(crate) fn check_or(
        &self,
        target: Option<&str>,
        fallback: &RedirectTarget,
    ) -> RedirectTarget {
        target
            .and_then(|target| self.check(target).ok())
            .unwrap_or_else(|| fallback.clone())
    }

    fn check_path(&self, target: &str) -> Result<RedirectTarget, RedirectError> {
        if target.starts_with("//") {
            return Err(RedirectError::OtherOrigin);
        }
        let url = self
            .base
            .join(target)
            .map_err(|_| RedirectError::InvalidUrl)?;
        if url.origin() != self.base.origin() {
            return Err(RedirectError::OtherOrigin);
        }
        check_parts(&url)?;
        // Without the origin, so that the target holds under every name that the application has.
        url.as_str()
            .get(url.origin().ascii_serialization().len()..)
            .filter(|path| path.starts_with('/'))
            .map(|path| RedirectTarget(path.to_owned()))
            .ok_or(RedirectError::InvalidUrl)
    }

    fn check_absolute(&self, target: &str) -> Result<RedirectTarget, RedirectError> {
        let own = self.base.origin().ascii_serialization();
        // The text itself must name the origin: parsers also take `https:host`, `https:/host` and
        // `HTTPS://user@host` for one.
        let origin = std::iter::once(&own)
            .chain(&self.allowed)
            .find(|origin| {
                target
                    .strip_prefix(origin.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))
            })
            .ok_or(RedirectError::OtherOrigin)?;
        let url = Url::parse(target).map_err(|_| RedirectError::InvalidUrl)?;
        if url.origin().ascii_serialization() != *origin {
            return Err(RedirectError::OtherOrigin);
        }
        check_parts(&url)?;
        Ok(RedirectTarget(url.into()))
    }
}

/// What is left to check once the origin is the right one: nothing may be there that a proxy or an
/// application behind it could take for another host after decoding once.
fn check_parts(url: &Url) -> Result<(), RedirectError> {
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RedirectError::OtherOrigin);
    }
    let path: Vec<u8> = percent_encoding::percent_decode_str(url.path()).collect();
    let hides_host = path
        .get(1)
        .is_some_and(|second| matches!(second, b'/' | b'\\'));
    if hides_host {
        return Err(RedirectError::OtherOrigin);
    }
    if path
        .iter()
        .any(|byte| byte.is_ascii_control() || *byte == b'\\')
    {
        return Err(RedirectError::InvalidCharacters);
    }
    Ok(())
}

/// Reads the URL of an application, and keeps its origin.
pub(super) fn app_origin(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let mut url = app_url(name, text)?;
    url.set_path("/");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// Reads an origin as browsers write it, with nothing behind it: a path would restrict nothing.
pub(super) fn bare_origin(name: &'static str, text: &str) -> Result<String, ConfigError> {
    let origin = app_url(name, text)?.origin().ascii_serialization();
    if text.trim_end_matches('/') != origin {
        return Err(ConfigError::InvalidSetting {
            name,
            problem: "must be an origin as browsers write it, such as https://docs.example.com",
        });
    }
    Ok(origin)
}

/// Reads the URL of a page of an application.
pub(super) fn app_url(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let invalid = |problem| ConfigError::InvalidSetting { name, problem };
    let url = Url::parse(text)
        .map_err(|_| invalid("must be an absolute URL, such as https://app.example.com"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not have a user name or password"));
    }
    let local = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if local => Ok(url),
        "http" => Err(invalid(
            "must be https: over http anyone on the way can read the tokens (localhost is fine)",
        )),
        _ => Err(invalid("must be an https URL")),
    }
}

/// A place that a browser may be sent to: from [`RedirectTargets::check`]. ASCII, ready for a
/// `Location` header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RedirectTarget(String);

impl RedirectTarget {
    /// The target: a path, or a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The target as a `Location`.
    pub(crate) fn location(&self) -> HeaderValue {
        // The URL standard leaves nothing in a URL that a header cannot hold.
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("/"))
    }

    /// This page with the next one in its query, and whether a further factor is asked for.
    pub(crate) fn with_next(&self, next: Option<&Self>, is_mfa: bool) -> String {
        let next = next.map(|next| ("next", next.as_str()));
        let parameters = next.into_iter().chain(is_mfa.then_some(("mfa", "true")));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(parameters)
            .finish();
        if query.is_empty() {
            return self.as_str().to_owned();
        }
        let (before, fragment) = match self.as_str().split_once('#') {
            Some((before, fragment)) => (before, format!("#{fragment}")),
            None => (self.as_str(), String::new()),
        };
        let mark = if before.contains('?') { '&' } else { '?' };
        format!("{before}{mark}{query}{fragment}")
    }
}

impl fmt::Display for RedirectTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why a redirect target is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// Leads, or could be taken to lead, to another origin.
    #[error("the target leads to another origin; use a path such as /orders")]
    OtherOrigin,
    /// Has a backslash, space or control character, plain or encoded.
    #[error("the target has a backslash, space or control character")]
    InvalidCharacters,
    /// Is neither a path nor a URL.
    #[error("the target is neither a path nor a URL")]
    InvalidUrl,
    /// Is longer than 2048 bytes.
    #[error("the target is longer than 2048 bytes")]
    TooLong,
}

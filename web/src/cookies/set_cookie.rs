//! `Set-Cookie` lines: the attributes of a cookie, and what its name says about them (RFC 6265bis).

use http::HeaderValue;
use zeroize::Zeroizing;

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
    fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// What a browser takes for an expired cookie.
const EPOCH: &str = "Thu, 01 Jan 1970 00:00:00 GMT";

/// A `Set-Cookie` line. Whoever makes one has checked its parts.
pub(crate) struct SetCookie<'c> {
    pub(crate) name: &'c str,
    pub(crate) value: &'c str,
    pub(crate) same_site: SameSite,
    pub(crate) secure: bool,
    pub(crate) path: &'c str,
    pub(crate) domain: Option<&'c str>,
    /// In seconds; 0 removes the cookie. Without it, browsers drop it when they are closed.
    pub(crate) max_age: Option<u64>,
}

impl SetCookie<'_> {
    /// The line, marked as a secret; none if a part has octets that no header has.
    pub(crate) fn line(&self) -> Option<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let (domain_is, domain) = match self.domain {
            Some(domain) => ("; Domain=", domain),
            None => ("", ""),
        };
        let life = match self.max_age {
            None => String::new(),
            // Browsers of before `Max-Age` are gone, proxies that know `Expires` alone are not.
            Some(0) => format!("; Max-Age=0; Expires={EPOCH}"),
            // Some readers know no larger number.
            Some(seconds) => format!("; Max-Age={}", seconds.min(i64::MAX.unsigned_abs())),
        };
        let text = Zeroizing::new(format!(
            "{}={}; HttpOnly; SameSite={}{secure}; Path={}{domain_is}{domain}{life}",
            self.name,
            self.value,
            self.same_site.as_str(),
            self.path,
        ));
        let mut line = HeaderValue::from_str(&text).ok()?;
        line.set_sensitive(true);
        Some(line)
    }
}

/// With it, browsers take a cookie only from this very host over https.
pub(super) const HOST_PREFIX: &str = "__Host-";

/// Browsers compare prefixes without regard to case.
pub(super) fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether browsers take a cookie of this name without a domain and with the path `/` only.
pub(super) fn is_host_only(name: &str) -> bool {
    has_prefix(name, HOST_PREFIX)
}

//! Project ids and base URLs.

use std::net::IpAddr;

use http::Uri;

use crate::error::ConfigError;

/// Ids of this length and more carry a region.
const LENGTH_WITH_REGION: usize = 32;
const LONGEST_PROJECT_ID: usize = 128;

/// A project id that is safe in a host name and in a path.
pub(crate) fn project_id(text: &str) -> Result<String, ConfigError> {
    let id = text.trim();
    if id.is_empty() {
        return Err(ConfigError::MissingProjectId);
    }
    // A key pasted in its place begins with another letter, and would be printed and sent about.
    let is_id = id.starts_with('P') && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if id.len() > LONGEST_PROJECT_ID || !is_id {
        return Err(ConfigError::InvalidProjectId);
    }
    Ok(id.to_owned())
}

/// The host that serves a project: `api.descope.com`, or a regional one when the id names a region
/// in the four characters after its first (the rule of the Go, Python and .NET SDKs).
pub(crate) fn default_base_url(project_id: &str) -> String {
    match project_id.get(1..5) {
        Some(region) if project_id.len() >= LENGTH_WITH_REGION => {
            format!("https://api.{}.descope.com", region.to_ascii_lowercase())
        }
        _ => "https://api.descope.com".to_owned(),
    }
}

/// Where the service is: an absolute URL without a slash at its end, to which paths can be appended.
#[derive(Debug, Clone)]
pub(crate) struct BaseUrl {
    url: String,
    is_https: bool,
    /// In lower case; an IPv6 address in brackets.
    host: String,
    /// Where it is not the scheme's own.
    port: Option<u16>,
}

impl BaseUrl {
    pub(crate) fn parse(text: &str, allow_plain_http: bool) -> Result<Self, ConfigError> {
        let invalid = |problem| Err(ConfigError::InvalidBaseUrl(problem));
        let text = text.trim();
        let Ok(uri) = text.parse::<Uri>() else {
            return invalid("is not an absolute URL of ASCII characters");
        };
        let (Some(authority), Some(host)) = (uri.authority(), uri.host().filter(|h| !h.is_empty()))
        else {
            return invalid("is not an absolute URL");
        };
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            None => return invalid("is not an absolute URL"),
            Some(_) => return invalid("must start with https:// (or http:// for an emulator)"),
        };
        if authority.as_str().contains('@') {
            return invalid("must not have a user name or password");
        }
        if uri.query().is_some() || text.contains('#') {
            return invalid("must not have a query or fragment");
        }
        let path = uri.path().trim_end_matches('/');
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return invalid("must not have `.` or `..` in its path");
        }
        let port = uri.port_u16();
        if uri.port().is_none() && authority.as_str().len() > host.len() {
            return invalid("has a port that is none");
        }
        let (scheme, own_port) = if is_https {
            ("https", 443)
        } else {
            ("http", 80)
        };
        let mut base = Self {
            url: String::new(),
            is_https,
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| *port != own_port),
        };
        base.url = format!("{scheme}://{}{path}", base.host_and_port());
        if !is_https && !allow_plain_http && !base.is_this_machine() {
            return Err(ConfigError::PlainHttp);
        }
        Ok(base)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.url
    }

    /// The host, and the port unless it is the scheme's own.
    pub(crate) fn host_and_port(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    #[cfg(feature = "client")]
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether nobody on the way can write the responses: over TLS, or on this machine.
    #[cfg(feature = "client")]
    pub(crate) fn is_tls_or_local(&self) -> bool {
        self.is_https || self.is_this_machine()
    }

    /// Whether the host's name or address is one that never leaves this machine.
    pub(crate) fn is_this_machine(&self) -> bool {
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        let address = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        match address.unwrap_or(host).parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base_url(text: &str, allow_plain_http: bool) -> Result<String, ConfigError> {
        BaseUrl::parse(text, allow_plain_http).map(|base| base.as_str().to_owned())
    }

    #[test]
    fn the_region_is_read_from_ids_of_32_characters_and_more() {
        for (id, url) in [
            ("P2aAc4T2V93bddihGEx2Ryhc8e5Z", "https://api.descope.com"),
            (
                "Puse12aAc4T2V93bddihGEx2Ryhc8e5Z",
                "https://api.use1.descope.com",
            ),
            (
                "Puse12aAc4T2V93bddihGEx2Ryhc8e5Zfoobar",
                "https://api.use1.descope.com",
            ),
            ("Puse", "https://api.descope.com"),
            ("Puse1ar", "https://api.descope.com"),
        ] {
            assert_eq!(default_base_url(&project_id(id).unwrap()), url, "{id}");
        }
    }

    #[test]
    fn ids_that_would_change_the_path_or_the_host_are_refused() {
        assert_eq!(project_id("  "), Err(ConfigError::MissingProjectId));
        for id in [
            "..",
            "P2/../x",
            "K2aAc4T2V93bddihGEx2Ryhc8e5Z",
            "P2\\x",
            "P2:key",
            "P2 x",
            "Pé",
            "P%2e",
            &"P".repeat(129),
        ] {
            assert_eq!(project_id(id), Err(ConfigError::InvalidProjectId), "{id}");
        }
        assert_eq!(project_id(" P2abc\n").as_deref(), Ok("P2abc"));
    }

    #[test]
    fn base_urls_are_normalised_once() {
        for (text, url) in [
            ("https://auth.example.com", "https://auth.example.com"),
            ("https://auth.example.com///", "https://auth.example.com"),
            (
                " HTTPS://Auth.Example.com:443/ ",
                "https://auth.example.com",
            ),
            (
                "http://127.0.0.1:8080/descope/",
                "http://127.0.0.1:8080/descope",
            ),
        ] {
            assert_eq!(base_url(text, false).as_deref(), Ok(url), "{text}");
        }
        for text in [
            "",
            "auth.example.com",
            "/v1",
            "ftp://x",
            "https://u:p@x",
            "https://x?y",
            "https://x#y",
            "https://",
            "https://:8080",
            "https://x:",
            "https://x:70000",
            "https://x/a/../b",
            "https://x\\y",
            "https://x y",
            "https://auth.ex\u{e4}mple.com",
        ] {
            assert!(
                matches!(base_url(text, true), Err(ConfigError::InvalidBaseUrl(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_unless_it_is_allowed() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "descope.localhost",
            "127.0.0.1",
            "127.255.0.3:80",
            "[::1]:8080",
        ] {
            assert!(base_url(&format!("http://{host}"), false).is_ok(), "{host}");
        }
        for host in [
            "api.descope.com",
            "emulator",
            "localhost.example.com",
            "notlocalhost",
            "2130706433",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "0.0.0.0",
            "[::]",
            "[::ffff:10.0.0.1]",
        ] {
            let url = format!("http://{host}");
            assert_eq!(base_url(&url, false), Err(ConfigError::PlainHttp), "{host}");
            assert!(base_url(&url, true).is_ok(), "{host}");
            assert!(
                base_url(&format!("https://{host}"), false).is_ok(),
                "{host}"
            );
        }
    }
}

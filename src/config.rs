//! Project ids and base URLs.

use url::{Host, Url};

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

/// An absolute URL without a slash at its end, to which paths can be appended.
pub(crate) fn base_url(text: &str, allow_plain_http: bool) -> Result<String, ConfigError> {
    let invalid = |problem| Err(ConfigError::InvalidBaseUrl(problem));
    let Ok(url) = Url::parse(text.trim()) else {
        return invalid("is not an absolute URL");
    };
    if !matches!(url.scheme(), "http" | "https") {
        return invalid("must start with https:// (or http:// for an emulator)");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("must not have a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return invalid("must not have a query or fragment");
    }
    if url.scheme() == "http" && !allow_plain_http && !is_this_machine(&url) {
        return Err(ConfigError::PlainHttp);
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Whether the host's name or address is one that never leaves this machine.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether nobody on the way can write the answers: over TLS, or on this machine.
pub(crate) fn is_tls_or_local(base_url: &str) -> bool {
    Url::parse(base_url).is_ok_and(|url| url.scheme() == "https" || is_this_machine(&url))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "2130706433",
            "[::1]:8080",
        ] {
            assert!(base_url(&format!("http://{host}"), false).is_ok(), "{host}");
        }
        for host in [
            "api.descope.com",
            "emulator",
            "localhost.example.com",
            "notlocalhost",
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

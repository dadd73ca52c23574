//! Whether a request was caused by a page of the application itself.

use http::HeaderMap;
use http::header::ORIGIN;

/// Whether the browser says that a request came from another site.
///
/// `Sec-Fetch-Site` is what browsers know best. `Origin` counts beside it, except for `null`, which is
/// what a page that hides its address (`Referrer-Policy: no-referrer`) sends. A request with neither is
/// not from a browser of these years, and not judged here.
pub(super) fn is_cross_site(headers: &HeaderMap, own_origin: &str) -> bool {
    let site = headers.get_all("sec-fetch-site");
    let by_site = site.iter().any(|value| value != "same-origin");
    let by_origin = headers
        .get_all(ORIGIN)
        .iter()
        .any(|value| value != "null" && value != own_origin);
    by_site || by_origin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cross_site(site: Option<&str>, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [("sec-fetch-site", site), ("origin", origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().unwrap());
            }
        }
        is_cross_site(&headers, "https://app.example.com")
    }

    #[test]
    fn one_sign_of_another_site_is_enough() {
        let own = Some("https://app.example.com");
        assert!(!cross_site(Some("same-origin"), own));
        assert!(!cross_site(Some("same-origin"), Some("null")));
        assert!(!cross_site(None, own));
        assert!(!cross_site(None, None));
        for site in ["cross-site", "same-site", "none", "SAME-ORIGIN", ""] {
            assert!(cross_site(Some(site), own), "{site}");
        }
        for origin in [
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
        ] {
            assert!(cross_site(Some("same-origin"), Some(origin)), "{origin}");
            assert!(cross_site(None, Some(origin)), "{origin}");
        }
    }
}

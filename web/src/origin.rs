//! Whether a request was caused by a page of the application itself.

use http::header::ORIGIN;
use http::{HeaderMap, HeaderValue};

/// Whether the browser says that a request came from another site.
///
/// `Sec-Fetch-Site` is what browsers know best, and `Origin` counts beside it. `null` is what a page that
/// hides its address (`Referrer-Policy: no-referrer`) sends, and what frames of nobody's origin send:
/// where `Sec-Fetch-Site` is there it tells them apart, and where it is not (Safari before 16.4, some
/// web views) `null` is no origin of ours. A request with neither is not from a browser of these years,
/// and not judged here.
pub(super) fn is_cross_site(headers: &HeaderMap, own_origins: &[String]) -> bool {
    let sites = headers.get_all("sec-fetch-site");
    let has_site = headers.contains_key("sec-fetch-site");
    let by_site = sites.iter().any(|value| value != "same-origin");
    let is_own = |value: &HeaderValue| {
        (value == "null" && has_site) || own_origins.iter().any(|own| value == own.as_str())
    };
    let by_origin = !headers.get_all(ORIGIN).iter().all(is_own);
    if by_site || by_origin {
        log_cross_site(headers);
    }
    by_site || by_origin
}

/// Says what stood against a form, for a page of one's own that is refused.
fn log_cross_site(headers: &HeaderMap) {
    #[cfg(feature = "tracing")]
    tracing::warn!(
        origin = ?headers.get(ORIGIN),
        site = ?headers.get("sec-fetch-site"),
        "a form was refused as another site's; if the origin is one of the application's, name it by `own_origin`"
    );
    #[cfg(not(feature = "tracing"))]
    let _ = headers;
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
        let own = ["https://app.example.com", "https://www.example.com"];
        is_cross_site(&headers, &own.map(str::to_owned))
    }

    #[test]
    fn one_sign_of_another_site_is_enough() {
        let own = Some("https://app.example.com");
        assert!(!cross_site(Some("same-origin"), own));
        assert!(!cross_site(Some("same-origin"), Some("null")));
        assert!(!cross_site(None, own));
        assert!(!cross_site(
            Some("same-origin"),
            Some("https://www.example.com")
        ));
        assert!(!cross_site(None, Some("https://www.example.com")));
        // Nothing tells whose `null` it is.
        assert!(cross_site(None, Some("null")));
        assert!(!cross_site(None, None));
        for site in ["cross-site", "same-site", "none", "SAME-ORIGIN", ""] {
            for origin in [own, Some("null"), None] {
                assert!(cross_site(Some(site), origin), "{site} {origin:?}");
            }
        }
        for origin in [
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://app.example.com.",
            "https://APP.example.com",
            "https://app.example.com:443",
            "https://app.example.com/",
            "app.example.com",
            "NULL",
            "",
        ] {
            assert!(cross_site(Some("same-origin"), Some(origin)), "{origin}");
            assert!(cross_site(None, Some(origin)), "{origin}");
        }
    }
}

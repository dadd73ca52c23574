//! Session cookies, through the public interface.

#![cfg(feature = "cookies")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::time::Duration;

use descope_magiclink::session::cookies::{
    CookieError, SameSite, SessionCookies, SessionCookiesBuilder, TokenSource,
};
use descope_magiclink::{RefreshToken, SessionToken};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn request(lines: &[(http::HeaderName, &[u8])]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn cookie_line(line: &str) -> HeaderMap {
    request(&[(COOKIE, line.as_bytes())])
}

/// The session and the refresh token that a request brings.
fn read(cookies: &SessionCookies, headers: &HeaderMap) -> (Option<String>, Option<String>) {
    let tokens = cookies.read(headers);
    let session = tokens.session.map(|token| token.expose_secret().to_owned());
    assert_eq!(session.is_some(), tokens.session_source.is_some());
    let refresh = tokens.refresh.map(|token| token.expose_secret().to_owned());
    (session, refresh)
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn set_cookies(headers: &HeaderMap) -> Vec<&str> {
    headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|value| value.to_str().unwrap())
        .collect()
}

#[test]
fn cookies_of_a_request() {
    let cookies = SessionCookies::new();
    for (line, session, refresh) in [
        ("DS=a.b.c; DSR=d.e.f", some("a.b.c"), some("d.e.f")),
        ("DSR=d.e.f", None, some("d.e.f")),
        ("theme=dark;DS=a.b.c;x", some("a.b.c"), None),
        ("  DS  =  a.b.c  ", some("a.b.c"), None),
        ("DS=\"a.b.c\"", some("a.b.c"), None),
        ("DS=a=b", some("a=b"), None),
        ("DS=", None, None),
        ("DS=\"\"", None, None),
        ("DS", None, None),
        ("", None, None),
        (";;;=;= ;", None, None),
        // Names have no case of their own and no beginnings or ends.
        ("ds=a", None, None),
        ("XDS=a; DSX=b; DSR2=c", None, None),
        ("x=DS=a; y=\"DS=b\"", None, None),
        // A prefixed cookie is another cookie.
        ("__Host-DS=a; __Secure-DSR=b", None, None),
        // Of several, the first that is not empty.
        ("DS=first; DS=second", some("first"), None),
        ("DS=; DS=second", some("second"), None),
        ("DS=%61", some("%61"), None),
    ] {
        assert_eq!(
            read(&cookies, &cookie_line(line)),
            (session, refresh),
            "{line}"
        );
    }
}

#[test]
fn cookies_in_several_lines_and_beside_odd_bytes() {
    let cookies = SessionCookies::new();
    let split = request(&[(COOKIE, b"x=1; DSR=r"), (COOKIE, b"DS=s; DSR=later")]);
    assert_eq!(read(&cookies, &split), (some("s"), some("r")));
    let odd = request(&[(COOKIE, b"x=\xff\xfe; DS=s; y=\xc3\xa9")]);
    assert_eq!(read(&cookies, &odd), (some("s"), None));
}

#[test]
fn the_authorization_header_goes_first() {
    let cookies = SessionCookies::new();
    for (value, session, source) in [
        ("Bearer a.b.c", "a.b.c", TokenSource::Bearer),
        ("bearer a.b.c", "a.b.c", TokenSource::Bearer),
        ("BEARER   a.b.c  ", "a.b.c", TokenSource::Bearer),
        // Even a token that is none goes before a cookie: there is no second try.
        ("Bearer undefined", "undefined", TokenSource::Bearer),
        ("Bearer a b", "a b", TokenSource::Bearer),
        // What is no bearer token leaves the word to the cookie.
        ("Bearer", "cookie", TokenSource::Cookie),
        ("Bearer ", "cookie", TokenSource::Cookie),
        ("Basic dTpw", "cookie", TokenSource::Cookie),
        ("DPoP a.b.c", "cookie", TokenSource::Cookie),
        ("Bearera.b.c", "cookie", TokenSource::Cookie),
        ("a.b.c", "cookie", TokenSource::Cookie),
        ("", "cookie", TokenSource::Cookie),
    ] {
        let mut headers = cookie_line("DS=cookie; DSR=refresh");
        headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        let tokens = cookies.read(&headers);
        assert_eq!(
            tokens.session.unwrap().expose_secret(),
            session,
            "{value:?}"
        );
        assert_eq!(tokens.session_source, Some(source), "{value:?}");
        assert_eq!(tokens.refresh.unwrap().expose_secret(), "refresh");
    }
    let several = request(&[
        (AUTHORIZATION, b"Basic dTpw"),
        (AUTHORIZATION, b"Bearer \xff"),
        (AUTHORIZATION, b"Bearer first"),
        (AUTHORIZATION, b"Bearer second"),
    ]);
    assert_eq!(read(&cookies, &several), (some("first"), None));
}

#[test]
fn names_and_fallbacks() {
    let cookies = SessionCookies::builder()
        .session_name("zz")
        .session_fallback("DS")
        .session_fallback("AA")
        .refresh_name("zzr")
        .refresh_fallback("DSR")
        .build()
        .unwrap();
    for (line, session, refresh) in [
        ("AA=3; DS=2; zz=1; DSR=5; zzr=4", some("1"), some("4")),
        ("AA=3; DS=2; zz=; DSR=5", some("2"), some("5")),
        ("AA=3", some("3"), None),
    ] {
        assert_eq!(
            read(&cookies, &cookie_line(line)),
            (session, refresh),
            "{line}"
        );
    }
    let names: Vec<String> = cookies
        .removal_cookies()
        .iter()
        .map(|value| {
            value
                .to_str()
                .unwrap()
                .split('=')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        names,
        ["zz", "DS", "AA", "zzr", "DSR"],
        "a fallback left behind signs in again"
    );
}

#[test]
fn the_defaults_are_the_safe_ones() {
    let cookies = SessionCookies::new();
    let mut response = HeaderMap::new();
    let session = SessionToken::new("a-b_c.d.e");
    cookies
        .set_session(&mut response, &session, TEN_MINUTES)
        .unwrap();
    let refresh = RefreshToken::new("f.g.h");
    let four_weeks = Duration::from_millis(2_419_200_999);
    cookies
        .set_refresh(&mut response, &refresh, four_weeks)
        .unwrap();
    assert_eq!(
        set_cookies(&response),
        [
            "DS=a-b_c.d.e; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600",
            "DSR=f.g.h; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=2419200",
        ]
    );
    assert!(
        response
            .get_all(SET_COOKIE)
            .iter()
            .all(HeaderValue::is_sensitive)
    );
    assert_eq!(response[CACHE_CONTROL], "no-store");
    assert!(!format!("{response:?}").contains("a-b_c"));
}

#[test]
fn every_setting_is_written() {
    let cookies = SessionCookies::builder()
        .session_name("s")
        .refresh_name("r")
        .domain(".Example.com")
        .session_path("/app")
        .refresh_path("/app/refresh")
        .session_same_site(SameSite::None)
        .refresh_same_site(SameSite::Strict)
        .build()
        .unwrap();
    let session = cookies.session_cookie(&SessionToken::new("a"), TEN_MINUTES);
    assert_eq!(
        session.unwrap(),
        "s=a; HttpOnly; SameSite=None; Secure; Path=/app; Domain=example.com; Max-Age=600"
    );
    let refresh = cookies.refresh_cookie(&RefreshToken::new("b"), TEN_MINUTES);
    assert_eq!(
        refresh.unwrap(),
        "r=b; HttpOnly; SameSite=Strict; Secure; Path=/app/refresh; Domain=example.com; Max-Age=600"
    );
}

#[test]
fn clearing_repeats_the_attributes() {
    let cookies = SessionCookies::builder()
        .domain("example.com")
        .refresh_path("/refresh")
        .refresh_same_site(SameSite::Strict)
        .build()
        .unwrap();
    let mut response = HeaderMap::new();
    cookies.clear(&mut response);
    let epoch = "Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    assert_eq!(
        set_cookies(&response),
        [
            format!(
                "DS=; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.com; Max-Age=0; {epoch}"
            ),
            format!(
                "DSR=; HttpOnly; SameSite=Strict; Secure; Path=/refresh; Domain=example.com; Max-Age=0; {epoch}"
            ),
        ]
    );
    assert_eq!(response[CACHE_CONTROL], "no-store");
}

#[test]
fn the_host_prefix_holds_for_reading_writing_and_clearing() {
    let cookies = SessionCookies::builder().host_prefix().build().unwrap();
    let session = cookies
        .session_cookie(&SessionToken::new("a"), TEN_MINUTES)
        .unwrap();
    assert_eq!(
        session,
        "__Host-DS=a; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"
    );
    // A sibling domain can plant a plain DS, so it must count for nothing.
    let headers = cookie_line("DS=planted; DSR=planted; __Host-DS=own; __Host-DSR=own-r");
    assert_eq!(read(&cookies, &headers), (some("own"), some("own-r")));
    assert_eq!(
        read(&cookies, &cookie_line("DS=planted; DSR=planted")),
        (None, None)
    );
    for value in cookies.removal_cookies() {
        let text = value.to_str().unwrap();
        assert!(
            text.starts_with("__Host-") && text.contains("Secure"),
            "{text}"
        );
    }
}

#[test]
fn the_insecure_mode_is_only_about_secure() {
    let cookies = SessionCookies::builder()
        .insecure_cookies_for_local_development_only()
        .build()
        .unwrap();
    let session = cookies
        .session_cookie(&SessionToken::new("a"), TEN_MINUTES)
        .unwrap();
    assert_eq!(session, "DS=a; HttpOnly; SameSite=Lax; Path=/; Max-Age=600");
}

#[test]
fn what_browsers_would_drop_is_an_error() {
    let cookies = SessionCookies::new();
    let of = |len: usize| cookies.session_cookie(&SessionToken::new("a".repeat(len)), TEN_MINUTES);
    let frame = of(1).unwrap().len() - 1;
    assert_eq!(of(4096 - frame).unwrap().len(), 4096);
    let error = of(4097 - frame).unwrap_err();
    assert_eq!(error, CookieError::TooLarge { size: 4097 });
    assert!(error.to_string().contains("4097"));
    let mut response = HeaderMap::new();
    let large = SessionToken::new("a".repeat(5000));
    assert!(
        cookies
            .set_session(&mut response, &large, TEN_MINUTES)
            .is_err()
    );
    assert!(response.is_empty(), "half a change is worse than none");
}

#[test]
fn what_is_no_token_is_not_written() {
    let cookies = SessionCookies::new();
    for text in [
        "",
        "a b",
        "a;b",
        "a; Domain=evil.example",
        "a\r\nSet-Cookie: x=y",
        "a,b",
        "a\"b",
        "\u{e9}",
        "a\0",
        "a=b",
    ] {
        let found = cookies.refresh_cookie(&RefreshToken::new(text), TEN_MINUTES);
        assert_eq!(found.unwrap_err(), CookieError::NotAToken, "{text:?}");
    }
    for lifetime in [Duration::ZERO, Duration::from_millis(999)] {
        let found = cookies.session_cookie(&SessionToken::new("a"), lifetime);
        assert_eq!(found.unwrap_err(), CookieError::Expired);
    }
    let longest = cookies
        .session_cookie(&SessionToken::new("a"), Duration::MAX)
        .unwrap();
    assert!(longest.to_str().unwrap().contains("Max-Age="));
}

#[test]
fn settings_that_browsers_refuse_are_refused() {
    let builder = SessionCookies::builder;
    let refused: Vec<(&str, SessionCookiesBuilder)> = vec![
        ("session_name", builder().session_name("")),
        ("session_name", builder().session_name("a b")),
        ("session_name", builder().session_name("a=b")),
        ("session_name", builder().session_fallback("a;b")),
        ("refresh_name", builder().refresh_name("a\r\nb")),
        ("refresh_name", builder().refresh_fallback("\u{e9}")),
        ("session_name", builder().session_name("DSR")),
        ("session_name", builder().refresh_fallback("DS")),
        ("domain", builder().domain("")),
        ("domain", builder().domain("example.com; Secure")),
        ("domain", builder().domain("exa mple.com")),
        ("domain", builder().domain("example..com")),
        ("domain", builder().domain("https://example.com")),
        ("session_path", builder().session_path("app")),
        ("session_path", builder().session_path("")),
        ("refresh_path", builder().refresh_path("/a;b")),
        ("refresh_path", builder().refresh_path("/a\nb")),
        (
            "session_name",
            builder().host_prefix().domain("example.com"),
        ),
        ("session_name", builder().host_prefix().session_path("/app")),
        (
            "refresh_name",
            builder().host_prefix().refresh_path("/refresh"),
        ),
        (
            "session_name",
            builder().session_name("__host-x").domain("example.com"),
        ),
        (
            "session_name",
            builder()
                .host_prefix()
                .insecure_cookies_for_local_development_only(),
        ),
        (
            "session_name",
            builder()
                .session_name("__Secure-x")
                .insecure_cookies_for_local_development_only(),
        ),
        (
            "insecure",
            builder()
                .session_same_site(SameSite::None)
                .insecure_cookies_for_local_development_only(),
        ),
    ];
    for (name, builder) in refused {
        let text = builder.clone().build().unwrap_err().to_string();
        assert!(text.contains(name), "{builder:?}: {text}");
    }
}

proptest! {
    #[test]
    fn any_cookie_header_has_a_reading(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4)) {
        let mut headers = HeaderMap::new();
        for line in lines {
            if let Ok(value) = HeaderValue::from_bytes(&line) {
                headers.append(COOKIE, value.clone());
                headers.append(AUTHORIZATION, value);
            }
        }
        let _ = SessionCookies::new().read(&headers);
    }

    #[test]
    fn any_text_like_a_cookie_header_has_a_reading(line in "[DSR=;\", a-z]{0,60}") {
        let _ = read(&SessionCookies::new(), &cookie_line(&line));
    }

    #[test]
    fn what_is_written_is_read_again(token in "[A-Za-z0-9_-]{1,50}\\.[A-Za-z0-9_-]{1,50}\\.[A-Za-z0-9_-]{1,50}") {
        let cookies = SessionCookies::builder().host_prefix().build().unwrap();
        let written = cookies.session_cookie(&SessionToken::new(token.as_str()), TEN_MINUTES).unwrap();
        let pair = written.to_str().unwrap().split(';').next().unwrap();
        prop_assert_eq!(read(&cookies, &cookie_line(pair)), (Some(token), None));
    }

    #[test]
    fn no_setting_smuggles_an_attribute(name in any::<String>(), domain in any::<String>(), path in any::<String>()) {
        let built = SessionCookies::builder()
            .session_name(name)
            .domain(domain)
            .session_path(path)
            .build();
        if let Ok(cookies) = built {
            let written = cookies.session_cookie(&SessionToken::new("a"), TEN_MINUTES).unwrap();
            prop_assert_eq!(written.to_str().unwrap().split(';').count(), 7);
        }
    }
}

//! Session cookies, through the public interface.

use std::time::{Duration, SystemTime};

use descope_magiclink::{
    Client, DeliveryMethod, MagicLinkToken, RefreshToken, SessionToken, SessionValidator, Tokens,
};
use descope_magiclink_emulator::{Emulator, User};
use descope_magiclink_web::cookies::{
    CookieError, SameSite, SessionCookies, SessionCookiesBuilder, TokenSource,
};
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

/// With the names as they are, so that a test reads well.
fn builder() -> SessionCookiesBuilder {
    prefixed().plain_names()
}

fn prefixed() -> SessionCookiesBuilder {
    SessionCookies::builder(&SessionValidator::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap())
}

fn plain() -> SessionCookies {
    builder().build().unwrap()
}

/// The line that stores a session token.
fn session_line(cookies: &SessionCookies, token: &str) -> String {
    let mut response = HeaderMap::new();
    cookies.set(&mut response, &session(token)).unwrap();
    set_cookies(&response).join("\n")
}

/// A session token that lives for ten minutes.
fn session(token: &str) -> Tokens {
    let mut tokens = Tokens::new(SessionToken::new(token));
    tokens.issued_at = Some(SystemTime::UNIX_EPOCH);
    tokens.session_expires_at = Some(SystemTime::UNIX_EPOCH + TEN_MINUTES);
    tokens
}

/// Such a session token, and a refresh token.
fn pair(token: &str, refresh: &str, lifetime: Duration) -> Tokens {
    let mut tokens = session(token);
    tokens.refresh = Some(RefreshToken::new(refresh));
    tokens.rotated = true;
    tokens.refresh_expires_at = Some(SystemTime::UNIX_EPOCH + lifetime);
    tokens
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
    let cookies = plain();
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

/// What the corpus of the IETF's http-state group is about, as far as it concerns the header that a
/// server reads: by class, a line and the session token in it.
#[test]
fn classes_of_cookie_headers() {
    let cookies = plain();
    for (class, line, session) in [
        ("name: any octet but ; and = is part of it", "DS!=a", None),
        ("name: quotes are part of it", "\"DS\"=a", None),
        ("name: a dollar is part of it", "$DS=a; $Version=1", None),
        ("name: a bracket is part of it", "DS[]=a; [DS]=b", None),
        ("name: space inside is part of it", "D S=a; DS x=b", None),
        ("name: tab around is not", "\tDS\t=\ta\t", some("a")),
        ("name: empty", "=a; =DS=b", None),
        ("name: none at all", "DS; DSa", None),
        ("name: case counts", "Ds=a; dS=b; DS=c", some("c")),
        ("name: not decoded", "%44S=a; D%53=b", None),
        ("name: a line folded into it", "x=1;\u{a0}DS=a", None),
        ("value: the first = ends the name", "DS==a=", some("=a=")),
        ("value: space inside stays", "DS=a b", some("a b")),
        ("value: not decoded", "DS=a%3Bb+c", some("a%3Bb+c")),
        (
            "value: a pair of quotes is no part of a token",
            "DS=\"a\"",
            some("a"),
        ),
        ("value: half a pair is", "DS=\"a; x=b\"", some("\"a")),
        (
            "value: quotes hide no semicolon",
            "x=\"1; DS=a; y=\"",
            some("a"),
        ),
        ("value: quotes inside stay", "DS=a\"b\"c", some("a\"b\"c")),
        ("comma: parts nothing", "x=1, DS=a", None),
        (
            "comma: is part of the value",
            "DS=a, DSR=b",
            some("a, DSR=b"),
        ),
        ("separator: no space behind it", "x=1;DS=a;y=2", some("a")),
        ("separator: more than one", ";; ;DS=a;;", some("a")),
        ("charset: of others", "x=\u{3c0}\u{1f36a}; DS=a", some("a")),
        ("charset: beside the name", "\u{e9}DS=a; DS\u{e9}=b", None),
        (
            "attribute: is a cookie like any other",
            "Path=/; DS=a; Secure",
            some("a"),
        ),
        ("ordering: the first counts", "DS=a; DS=b; DS=a", some("a")),
        (
            "ordering: behind an empty one",
            "DS=; DS=\"\"; DS=b",
            some("b"),
        ),
    ] {
        let found = read(&cookies, &cookie_line(line));
        assert_eq!(found, (session, None), "{class}: {line}");
    }
    // Of two cookies of one name, one with octets that no token has.
    let odd = request(&[(COOKIE, b"DS=\xff\xfe; DS=s"), (COOKIE, b"DS=later")]);
    assert_eq!(read(&cookies, &odd), (some("s"), None));
}

/// Browsers take `__Host-` for a promise that no neighbour has set the cookie. With anything before
/// it that they do not trim, it is no promise.
#[test]
fn a_name_with_anything_before_it_is_another_name() {
    let cookies = prefixed().build().unwrap();
    let spaces = (0..=0x3000_u32)
        .filter_map(char::from_u32)
        .filter(|c| c.is_whitespace() || c.is_control() || ('\u{200b}'..='\u{200f}').contains(c))
        .chain(['\u{feff}', '\u{fffd}'])
        .filter(|c| ![' ', '\t'].contains(c));
    let mut count = 0;
    for space in spaces {
        for name in [format!("{space}__Host-DS"), format!("__Host-DS{space}")] {
            let line = format!("{name}=eve; __Host-DS=own");
            let plain = [("cookie", line.as_bytes())];
            let tokens = cookies.read(plain);
            assert_eq!(tokens.session.unwrap().expose_secret(), "own", "{name:?}");
            let tokens = cookies.read([("cookie", format!("{name}=eve"))]);
            assert!(tokens.session.is_none(), "{name:?}");
            count += 1;
        }
    }
    assert!(count > 150, "{count}");
    for octets in [b"\x85__Host-DS=eve".as_slice(), b"\xa0__Host-DS=eve"] {
        let tokens = cookies.read([("cookie", octets)]);
        assert!(tokens.session.is_none(), "{octets:?}");
    }
}

#[test]
fn headers_of_any_framework_are_read() {
    let cookies = plain();
    let owned = vec![
        ("COOKIE".to_owned(), "DSR=r; DS=c".to_owned()),
        ("authorization".to_owned(), "Basic dTpw".to_owned()),
        ("AUTHORIZATION".to_owned(), "Bearer b.b.b".to_owned()),
        ("cookies".to_owned(), "DSR=other".to_owned()),
    ];
    let tokens = cookies.read(owned);
    assert_eq!(tokens.session.unwrap().expose_secret(), "b.b.b");
    assert_eq!(tokens.refresh.unwrap().expose_secret(), "r");
    let octets: [(&str, &[u8]); 1] = [("Cookie", b"x=\xff; DS=c")];
    let tokens = cookies.read(octets);
    assert_eq!(tokens.session.unwrap().expose_secret(), "c");
}

#[test]
fn cookies_in_several_lines_and_beside_odd_bytes() {
    let cookies = plain();
    let split = request(&[(COOKIE, b"x=1; DSR=r"), (COOKIE, b"DS=s; DSR=later")]);
    assert_eq!(read(&cookies, &split), (some("s"), some("r")));
    let odd = request(&[(COOKIE, b"x=\xff\xfe; DS=s; y=\xc3\xa9")]);
    assert_eq!(read(&cookies, &odd), (some("s"), None));
}

#[test]
fn the_authorization_header_goes_first() {
    let cookies = plain();
    for (value, session, source) in [
        ("Bearer a.b.c", "a.b.c", TokenSource::Bearer),
        ("bearer a.b.c", "a.b.c", TokenSource::Bearer),
        ("BEARER   a.b.c  ", "a.b.c", TokenSource::Bearer),
        // What cannot be a token leaves the word to the cookie.
        ("Bearer undefined", "cookie", TokenSource::Cookie),
        ("Bearer null", "cookie", TokenSource::Cookie),
        ("Bearer a b", "cookie", TokenSource::Cookie),
        ("Bearer a.b", "cookie", TokenSource::Cookie),
        ("Bearer a..c", "cookie", TokenSource::Cookie),
        ("Bearer a.b.c.d.e", "cookie", TokenSource::Cookie),
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
        (AUTHORIZATION, b"Bearer f.i.rst"),
        (AUTHORIZATION, b"Bearer second"),
    ]);
    assert_eq!(read(&cookies, &several), (some("f.i.rst"), None));
}

#[test]
fn names_and_fallbacks() {
    let cookies = builder()
        .session_cookie_name("zz")
        .also_read_session("DS")
        .also_read_session("AA")
        .refresh_cookie_name("zzr")
        .also_read_refresh("DSR")
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
        names
            .iter()
            .filter(|name| !name.contains('.'))
            .collect::<Vec<_>>(),
        ["zz", "DS", "AA", "zzr", "DSR"],
        "a fallback left behind signs in again"
    );
}

#[test]
fn the_defaults_are_the_safe_ones() {
    let cookies = plain();
    let mut response = HeaderMap::new();
    let four_weeks = Duration::from_millis(2_419_200_999);
    let tokens = pair("a-b_c.d.e", "f.g.h", four_weeks);
    cookies.set(&mut response, &tokens).unwrap();
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
    let cookies = builder()
        .session_cookie_name("s")
        .refresh_cookie_name("r")
        .domain(".Example.com")
        .session_path("/app")
        .refresh_path("/app/refresh")
        .session_same_site(SameSite::None)
        .refresh_same_site(SameSite::Strict)
        .build()
        .unwrap();
    assert_eq!(
        session_line(&cookies, "a"),
        "s=a; HttpOnly; SameSite=None; Secure; Path=/app; Domain=example.com; Max-Age=600"
    );
    let mut response = HeaderMap::new();
    cookies
        .set(&mut response, &pair("a", "b", TEN_MINUTES))
        .unwrap();
    assert_eq!(
        set_cookies(&response),
        [
            "s=a; HttpOnly; SameSite=None; Secure; Path=/app; Domain=example.com; Max-Age=600",
            "r=b; HttpOnly; SameSite=Strict; Secure; Path=/app/refresh; Domain=example.com; Max-Age=600",
        ]
    );
}

#[test]
fn clearing_repeats_the_attributes_in_every_scope() {
    let cookies = builder()
        .domain("example.com")
        .refresh_path("/refresh")
        .refresh_same_site(SameSite::Strict)
        .also_clear("old.example.com", "/app")
        .also_read_session("__Host-old")
        .build()
        .unwrap();
    let mut response = HeaderMap::new();
    cookies.clear(&mut response);
    let lines = set_cookies(&response);
    let of = |name: &str| -> Vec<String> {
        let start = format!("{name}=; HttpOnly; SameSite=");
        let lines = lines.iter().filter_map(|line| line.strip_prefix(&*start));
        let lines = lines.map(|line| {
            let epoch = "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
            line.strip_suffix(epoch).unwrap().to_owned()
        });
        lines.collect()
    };
    for name in ["DS", "DS.0", "DS.1", "DS.2", "DS.3"] {
        assert_eq!(
            of(name),
            [
                "Lax; Secure; Path=/; Domain=example.com",
                "Lax; Secure; Path=/",
                "Lax; Secure; Path=/app; Domain=old.example.com",
            ]
        );
    }
    assert_eq!(
        of("DSR"),
        [
            "Strict; Secure; Path=/refresh; Domain=example.com",
            "Strict; Secure; Path=/refresh",
            "Strict; Secure; Path=/app; Domain=old.example.com",
        ]
    );
    // Browsers would drop the removal, were it of another scope.
    assert_eq!(of("__Host-old"), ["Lax; Secure; Path=/"]);
    assert_eq!(response[CACHE_CONTROL], "no-store");
}

#[test]
fn the_host_prefix_holds_for_reading_writing_and_clearing() {
    let cookies = prefixed().build().unwrap();
    assert_eq!(
        session_line(&cookies, "a"),
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
fn names_have_the_prefix_with_which_browsers_keep_the_most() {
    let name = |builder: SessionCookiesBuilder| {
        let line = session_line(&builder.build().unwrap(), "a");
        line.split('=').next().unwrap().to_owned()
    };
    assert_eq!(name(prefixed()), "__Host-DS");
    assert_eq!(name(prefixed().session_cookie_name("SID")), "__Host-SID");
    assert_eq!(name(prefixed().domain("example.com")), "__Secure-DS");
    assert_eq!(name(prefixed().session_path("/app")), "__Secure-DS");
    assert_eq!(name(prefixed().refresh_path("/app")), "__Secure-DS");
    assert_eq!(name(prefixed().plain_names()), "DS");
    assert_eq!(
        name(prefixed().session_cookie_name("__secure-x")),
        "__secure-x"
    );
    assert_eq!(name(prefixed().session_cookie_name("__Http-x")), "__Http-x");
    assert_eq!(
        name(prefixed().insecure_cookies_for_local_development_only()),
        "DS"
    );
    // The client's name goes for browsers too, unless they have one of their own.
    let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
        .session_cookie_name("SID")
        .build()
        .unwrap();
    assert_eq!(name(SessionCookies::builder(&client)), "__Host-SID");
    let validator = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
        .session_cookie_name("VID")
        .build()
        .unwrap();
    assert_eq!(name(SessionCookies::builder(&validator)), "__Host-VID");
}

#[test]
fn the_insecure_mode_is_only_about_secure() {
    let cookies = prefixed()
        .insecure_cookies_for_local_development_only()
        .build()
        .unwrap();
    let session = session_line(&cookies, "a");
    assert_eq!(session, "DS=a; HttpOnly; SameSite=Lax; Path=/; Max-Age=600");
}

/// What a browser that has these cookies sends.
fn kept(response: &HeaderMap) -> String {
    let pairs = set_cookies(response)
        .into_iter()
        .filter(|line| !line.contains("Max-Age=0"))
        .map(|line| line.split(';').next().unwrap().to_owned());
    pairs.collect::<Vec<_>>().join("; ")
}

#[test]
fn a_token_that_fits_into_no_cookie_is_split_and_found_again() {
    let cookies = prefixed().build().unwrap();
    // Name and value count, attributes do not.
    let whole = 4096 - "__Host-DS".len();
    let room = whole - ".0".len();
    let most = 4 * room - "4.".len();
    for (size, parts) in [
        (4060, 1),
        (whole, 1),
        (whole + 1, 2),
        (2 * room - 2, 2),
        (2 * room - 1, 3),
        (3 * room - 1, 4),
        (most, 4),
    ] {
        let token = format!("{}.b.c", "a".repeat(size - 4));
        let mut response = HeaderMap::new();
        cookies.set(&mut response, &session(&token)).unwrap();
        let sent = kept(&response);
        let pairs: Vec<&str> = sent.split("; ").collect();
        assert_eq!(pairs.len(), parts, "{size}");
        for pair in &pairs {
            let (name, value) = pair.split_once('=').unwrap();
            assert!(name.len() + value.len() <= 4096, "{size}");
        }
        assert_eq!(
            read(&cookies, &cookie_line(&sent)),
            (Some(token.clone()), None),
            "{size}"
        );
        // In whatever order they come; but not without one, nor where there is a whole one.
        let turned: Vec<&str> = pairs.iter().rev().copied().collect();
        assert_eq!(
            read(&cookies, &cookie_line(&turned.join("; "))),
            (Some(token), None)
        );
        if parts > 1 {
            assert!(pairs[0].starts_with(&format!("__Host-DS.0={parts}.a")));
            for missing in 0..parts {
                let mut some = pairs.clone();
                some.remove(missing);
                assert_eq!(read(&cookies, &cookie_line(&some.join("; "))), (None, None));
            }
            let both = format!("{sent}; __Host-DS=x.y.z");
            assert_eq!(read(&cookies, &cookie_line(&both)), (some("x.y.z"), None));
            // The whole one of before goes away, or it would stand in the way.
            assert!(
                set_cookies(&response)
                    .iter()
                    .any(|line| line.starts_with("__Host-DS=;"))
            );
        }
    }
    for odd in [
        "5.a",
        "0.a",
        ".a",
        "a",
        "-1.a",
        "1",
        "99999999999999999999.a",
    ] {
        let line = format!("__Host-DS.0={odd}; __Host-DS.1=b");
        assert_eq!(read(&cookies, &cookie_line(&line)), (None, None), "{odd}");
    }

    let size = most + 1;
    let large = session(&"a".repeat(size));
    let mut response = HeaderMap::new();
    let error = cookies.set(&mut response, &large).unwrap_err();
    assert_eq!(error, CookieError::TooLarge { size, limit: most });
    assert!(error.to_string().contains(&size.to_string()), "{error}");
    assert!(response.is_empty(), "half a change is worse than none");
}

#[test]
fn what_is_no_token_is_not_written() {
    let cookies = plain();
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
        for tokens in [session(text), pair("a", text, TEN_MINUTES)] {
            let found = cookies.set(&mut HeaderMap::new(), &tokens);
            assert_eq!(found.unwrap_err(), CookieError::NotAToken, "{text:?}");
        }
    }
}

#[test]
fn a_cookie_lives_as_long_as_its_token() {
    let life = |expires_at: Option<Duration>| {
        let mut tokens = session("a");
        tokens.session_expires_at = expires_at.map(|after| SystemTime::UNIX_EPOCH + after);
        let mut response = HeaderMap::new();
        plain().set(&mut response, &tokens).unwrap();
        let line = set_cookies(&response)[0].to_owned();
        line.split_once("Max-Age=").map(|(_, life)| life.to_owned())
    };
    assert_eq!(life(None), None, "until the browser is closed");
    // One at its very end is stored all the same: a cookie with no time to live is a removal.
    for (left, expected) in [(Duration::ZERO, "1"), (Duration::from_millis(999), "1")] {
        assert_eq!(life(Some(left)).as_deref(), Some(expected));
    }
    let long = Duration::from_secs(100 * 365 * 24 * 3600);
    assert_eq!(life(Some(long)), Some(long.as_secs().to_string()));
}

#[test]
fn settings_that_browsers_refuse_are_refused() {
    let refused: Vec<(&str, SessionCookiesBuilder)> = vec![
        ("session_cookie_name", builder().session_cookie_name("")),
        ("session_cookie_name", builder().session_cookie_name("a b")),
        ("session_cookie_name", builder().session_cookie_name("a=b")),
        ("session_cookie_name", builder().also_read_session("a;b")),
        (
            "refresh_cookie_name",
            builder().refresh_cookie_name("a\r\nb"),
        ),
        ("refresh_cookie_name", builder().also_read_refresh("\u{e9}")),
        ("session_cookie_name", builder().session_cookie_name("DSR")),
        ("session_cookie_name", builder().also_read_refresh("DS")),
        ("domain", builder().domain("")),
        ("domain", builder().domain("example.com; Secure")),
        ("domain", builder().domain("exa mple.com")),
        ("domain", builder().domain("example..com")),
        ("domain", builder().domain("https://example.com")),
        ("session_path", builder().session_path("app")),
        ("session_path", builder().session_path("")),
        ("refresh_path", builder().refresh_path("/a;b")),
        ("refresh_path", builder().refresh_path("/a\nb")),
        ("domain", builder().domain("localhost")),
        ("domain", builder().domain("127.0.0.1")),
        (
            "session_path",
            builder().session_path(format!("/{}", "a".repeat(1024))),
        ),
        ("also_clear", builder().also_clear("com", "/")),
        ("also_clear", builder().also_clear("", "a")),
        ("token_sources", builder().token_sources([])),
        ("token_header", builder().token_header("a b")),
        (
            "session_cookie_name",
            builder()
                .session_cookie_name("__Host-x")
                .session_path("/app"),
        ),
        (
            "refresh_cookie_name",
            builder()
                .refresh_cookie_name("__Host-x")
                .refresh_path("/refresh"),
        ),
        (
            "refresh_cookie_name",
            builder()
                .refresh_cookie_name("__Http-x")
                .insecure_cookies_for_local_development_only(),
        ),
        (
            "session_cookie_name",
            builder()
                .session_cookie_name("__host-x")
                .domain("example.com"),
        ),
        (
            "session_cookie_name",
            builder()
                .session_cookie_name("__Secure-x")
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

#[tokio::test]
async fn cookies_live_as_long_as_their_tokens_and_hold_what_is_new() {
    for rotating in [false, true] {
        let emulator = Emulator::builder()
            .rotate_refresh_tokens(rotating)
            .user(User::new("joe@example.com"))
            .start()
            .await
            .unwrap();
        let client = Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .build()
            .unwrap();
        let magic_link = client.magic_link();
        magic_link
            .sign_in(DeliveryMethod::Email, "joe@example.com")
            .send()
            .await
            .unwrap();
        let message = emulator.outbox().last_for("joe@example.com").unwrap();
        let token = MagicLinkToken::from_url(message.link()).unwrap();
        let auth = magic_link.verify(&token).await.unwrap();
        let cookies = plain();
        let ages = |response: &HeaderMap| {
            let lines = set_cookies(response).into_iter();
            lines
                .map(|line| {
                    let name = line.split('=').next().unwrap().to_owned();
                    let age = line.split_once("Max-Age=").unwrap().1;
                    (name, age.parse().unwrap())
                })
                .collect::<Vec<(String, u64)>>()
        };
        let four_weeks = 28 * 24 * 3600;
        let session = ("DS".to_owned(), 600);
        let refresh = ("DSR".to_owned(), four_weeks);

        // To the second, since no clock of this machine is asked.
        let mut response = HeaderMap::new();
        cookies.set(&mut response, &auth.tokens).unwrap();
        assert_eq!(ages(&response), [session.clone(), refresh.clone()]);
        assert_eq!(response[CACHE_CONTROL], "no-store");

        let sessions = client.sessions();
        let refreshed = sessions
            .refresh(auth.tokens.refresh_token().unwrap())
            .await
            .unwrap();
        let mut response = HeaderMap::new();
        cookies.set(&mut response, &refreshed.tokens).unwrap();
        let found = ages(&response);
        assert_eq!(found.first(), Some(&session));
        assert_eq!(found.len(), if rotating { 2 } else { 1 }, "{found:?}");
        assert_eq!(refreshed.tokens.rotated, rotating);
    }
}

const OWN: &[u8] = b"__Host-DS";

/// Names that are nearly the one looked for.
fn other_name() -> impl Strategy<Value = Vec<u8>> {
    let octet = || any::<u8>().prop_filter("ends a name", |octet| !b";=".contains(octet));
    let octets = move |most| prop::collection::vec(octet(), 0..most);
    prop_oneof![
        octets(20),
        (octets(4), octets(4)).prop_map(|(before, after)| [&before, OWN, &after].concat()),
        (any::<char>(), any::<char>())
            .prop_map(|(before, after)| { format!("{before}__Host-DS{after}").into_bytes() }),
        (0..OWN.len(), octet()).prop_map(|(at, octet)| {
            let mut name = OWN.to_vec();
            name[at] = octet;
            name
        }),
        (0..OWN.len()).prop_map(|length| OWN[..length].to_vec()),
    ]
    .prop_filter("is the name", |name| {
        let trimmed: &[u8] = {
            let is_space = |octet: &u8| b" \t".contains(octet);
            let start = name.iter().position(|octet| !is_space(octet));
            let end = name.iter().rposition(|octet| !is_space(octet));
            start
                .zip(end)
                .map_or(&[], |(start, end)| &name[start..=end])
        };
        trimmed != OWN && !name.iter().any(|octet| b";=".contains(octet))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_other_name_is_ever_found(names in prop::collection::vec(other_name(), 1..4)) {
        let cookies = prefixed().build().unwrap();
        let lines = names.iter().map(|name| ("cookie", [name, &b"=eve"[..]].concat()));
        prop_assert!(cookies.read(lines).session.is_none());
        let line = names.iter().flat_map(|name| [name, &b"=eve; "[..]].concat());
        let line: Vec<u8> = line.chain(*b"__Host-DS=own").collect();
        let found = cookies.read([("cookie", line)]).session.unwrap();
        prop_assert_eq!(found.expose_secret(), "own");
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
        let _ = plain().read(&headers);
    }

    #[test]
    fn any_text_like_a_cookie_header_has_a_reading(line in "[DSR=;\", a-z]{0,60}") {
        let _ = read(&plain(), &cookie_line(&line));
    }

    #[test]
    fn what_is_written_is_read_again(token in "[A-Za-z0-9_-]{1,50}\\.[A-Za-z0-9_-]{1,50}\\.[A-Za-z0-9_-]{1,50}") {
        let cookies = prefixed().build().unwrap();
        let written = session_line(&cookies, &token);
        let pair = written.split(';').next().unwrap();
        prop_assert_eq!(read(&cookies, &cookie_line(pair)), (Some(token), None));
    }

    #[test]
    fn no_setting_smuggles_an_attribute(name in any::<String>(), domain in any::<String>(), path in any::<String>()) {
        let built = builder()
            .session_cookie_name(name)
            .domain(domain)
            .session_path(path)
            .build();
        if let Ok(cookies) = built {
            let written = session_line(&cookies, "a");
            prop_assert_eq!(written.split(';').count(), 7);
        }
    }
}

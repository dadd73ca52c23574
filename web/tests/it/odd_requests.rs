//! Cookies and headers in orders and spellings in which clients really send them.

use descope_magiclink::Client;
use descope_magiclink_emulator::{Emulator, IssuedTokens, User};
use descope_magiclink_web::cookies::{SessionCookies, SessionCookiesBuilder, TokenSource};
use descope_magiclink_web::{LandingPage, Rejection, RequestSession, SessionLayer};

use crate::browser::{EMAIL, VERIFY, client};

async fn service() -> (Emulator, Client) {
    let emulator = Emulator::builder()
        .rotate_refresh_tokens(true)
        .user(User::new(EMAIL))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    (emulator, client)
}

fn issue(emulator: &Emulator) -> IssuedTokens {
    emulator.tokens(EMAIL).issue().unwrap()
}

async fn check(layer: &SessionLayer, headers: &[(&str, &str)]) -> RequestSession {
    layer.check(headers.iter().copied()).await
}

#[tokio::test]
async fn a_token_in_parts_is_found_whatever_is_around_them() {
    let (emulator, client) = service().await;
    let layer = SessionLayer::new(&client);
    let good = issue(&emulator);
    let token = good.session_jwt();
    let (one, two) = token.split_at(token.len() / 2);
    for line in [
        format!("__Host-DS.0=2.{one}; __Host-DS.1={two}"),
        // Of a larger token of before, and in another order.
        format!("__Host-DS.3=old; __Host-DS.1={two}; __Host-DS.2=old; __Host-DS.0=2.{one}"),
        // A cookie that is empty is none.
        format!("__Host-DS=; __Host-DS.0=2.{one}; __Host-DS.1={two}"),
        format!("__Host-DS.0=2.{one}; __Host-DS=\"\"; __Host-DS.1={two}"),
        format!("__Host-DS.0=; __Host-DS.0=2.{one}; __Host-DS.1={two}; __Host-DS.1="),
        // In quotes, as some servers write them back.
        format!("__Host-DS.0=\"2.{one}\"; __Host-DS.1=\"{two}\""),
        // Of several scopes, each complete.
        format!("__Host-DS.0=2.old; __Host-DS.1=old; __Host-DS.0=2.{one}; __Host-DS.1={two}"),
        format!("__Host-DS.0=2.{one}; __Host-DS.0=2.old; __Host-DS.1={two}; __Host-DS.1=old"),
    ] {
        let found = check(&layer, &[("cookie", &line)]).await;
        assert!(found.session.is_ok(), "{line}: {:?}", found.session);
        assert_eq!(found.tokens.session.unwrap().expose_secret(), token);
    }
    for line in [
        format!("__Host-DS.0=3.{one}; __Host-DS.1={two}"),
        format!("__Host-DS.1={two}; __Host-DS.2=old"),
        format!("__Host-DS.0=2.{one}; __Host-DS.2={two}"),
    ] {
        let found = check(&layer, &[("cookie", &line)]).await;
        assert!(
            matches!(found.session, Err(Rejection::MissingToken)),
            "{line}"
        );
    }
}

#[tokio::test]
async fn empty_cookies_stand_in_nobodys_way() {
    let (emulator, client) = service().await;
    let layer = SessionLayer::new(&client);
    let token = issue(&emulator).session_jwt().to_owned();
    let empty = "__Host-DS=; __Host-DS=\"\"; ".repeat(4);
    for line in [
        format!("{empty}__Host-DS={token}"),
        // What was a cookie header of RFC 2965.
        format!("$Version=\"1\"; __Host-DS=\"{token}\"; $Path=\"/\"; $Domain=\"a\""),
        format!(";; theme ; =x;__Host-DS = {token} ;"),
    ] {
        let found = check(&layer, &[("Cookie", &line)]).await;
        assert!(found.session.is_ok(), "{line}: {:?}", found.session);
    }
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_one_is_never_presented() {
    let (emulator, client) = service().await;
    let layer = SessionLayer::new(&client).refreshing();
    let tokens = || emulator.tokens(EMAIL);
    let other = tokens().issuer("P2OtherProject").issue().unwrap();
    let forged = tokens().forged().issue().unwrap();
    let good = issue(&emulator);
    for token in [
        "null",
        other.refresh_jwt(),
        forged.refresh_jwt(),
        good.session_jwt(),
    ] {
        let found = check(&layer, &[("cookie", &format!("__Host-DSR={token}"))]).await;
        assert!(matches!(found.session, Err(Rejection::RefreshRefused)));
    }
    assert_eq!(emulator.requests().count("RefreshSession"), 0);
}

#[tokio::test]
async fn other_schemes_beside_a_cookie_count_as_absent() {
    let (emulator, client) = service().await;
    let layer = SessionLayer::new(&client);
    let cookie = issue(&emulator).cookie_header();
    for header in [
        "",
        "Basic dXNlcjpwYXNz",
        "Bearer",
        "bearer ",
        "BEARER null",
        "Bearer a.b",
        "Bearer a.b.c, Basic dXNlcjpwYXNz",
        "Bearer  . . ",
        "DPoP a.b.c",
        "Negotiate YII=",
    ] {
        let found = check(&layer, &[("Authorization", header), ("cookie", &cookie)]).await;
        assert!(found.session.is_ok(), "{header}: {:?}", found.session);
        assert_eq!(found.tokens.session_source, Some(TokenSource::Cookie));
        let found = check(&layer, &[("authorization", header)]).await;
        assert!(matches!(found.session, Err(Rejection::MissingToken)));
    }
    // Of several, the first that can be one.
    let token = issue(&emulator);
    let bearer = format!("bEaReR {}", token.session_jwt());
    let headers = [
        ("authorization", "Basic dXNlcjpwYXNz"),
        ("authorization", &bearer),
    ];
    assert!(check(&layer, &headers).await.session.is_ok());
}

#[tokio::test]
async fn cookies_that_would_be_lost_or_mistaken_for_others_are_refused() {
    let (_emulator, client) = service().await;
    type Change = fn(SessionCookiesBuilder) -> SessionCookiesBuilder;
    let refused: [(&str, Change); 8] = [
        // One is read as a part of the other.
        ("session_cookie_name", |b| {
            b.session_cookie_name("SID").refresh_cookie_name("SID.1")
        }),
        ("session_cookie_name", |b| {
            b.also_read_refresh("__Host-DS.0")
        }),
        ("session_cookie_name", |b| {
            b.also_read_session("__Host-DSR.3")
        }),
        ("session_cookie_name", |b| {
            b.also_read_session("__Host-DS.3")
        }),
        // Nothing is left of what browsers keep.
        ("session_cookie_name", |b| {
            b.session_cookie_name("a".repeat(4090))
        }),
        ("refresh_cookie_name", |b| {
            b.refresh_cookie_name("a".repeat(257))
        }),
        // Browsers read an IP address.
        ("domain", |b| b.domain("10.1")),
        ("domain", |b| b.domain("m\u{fc}ller.example")),
    ];
    for (name, change) in refused {
        let error = change(SessionCookies::builder(&client))
            .build()
            .unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    for change in [
        (|b| b.session_cookie_name("SID").refresh_cookie_name("SID.4")) as Change,
        |b| b.domain("my_app.example.com"),
        |b| b.domain("xn--mller-kva.example"),
    ] {
        change(SessionCookies::builder(&client)).build().unwrap();
    }

    // A page whose cookies nobody reads signs its users in again and again.
    let cookies = SessionCookies::builder(&client)
        .token_sources([TokenSource::Bearer])
        .build()
        .unwrap();
    let page = LandingPage::builder(&client, VERIFY).cookies(cookies);
    let error = page.build().unwrap_err().to_string();
    assert!(error.contains("token_sources"), "{error}");
    // A path would restrict nothing.
    for origin in ["https://www.example.com/shop", "www.example.com", "null"] {
        let page = LandingPage::builder(&client, VERIFY).own_origin(origin);
        let error = page.build().unwrap_err().to_string();
        assert!(error.contains("own_origin"), "{error}");
    }
}

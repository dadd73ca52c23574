//! What browsers really send, and what the layer makes of it: several cookies of one name, tokens in
//! parts, a token in the header beside a cookie.

use descope_magiclink::{Client, RefreshToken, SessionToken, Tokens};
use descope_magiclink_emulator::{Emulator, Fault, IssuedTokens, User};
use descope_magiclink_web::cookies::{SessionCookies, SessionCookiesBuilder, TokenSource};
use descope_magiclink_web::{LandingPage, Rejection, RequestSession, SessionLayer};
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;

use crate::browser::{EMAIL, client, problem, set_cookies};

const EVE: &str = "eve@example.com";

async fn rotating() -> (Emulator, Client) {
    let emulator = Emulator::builder()
        .rotate_refresh_tokens(true)
        .user(User::new(EMAIL))
        .user(User::new(EVE))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    (emulator, client)
}

fn mint(emulator: &Emulator, user: &str) -> IssuedTokens {
    emulator.tokens(user).issue().unwrap()
}

async fn check(layer: &SessionLayer, headers: &[(HeaderName, String)]) -> RequestSession {
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value));
    layer.check(headers).await
}

async fn check_cookies(layer: &SessionLayer, line: String) -> RequestSession {
    check(layer, &[(COOKIE, line)]).await
}

fn user_id(emulator: &Emulator, user: &str) -> String {
    let user = emulator.users().get(user).unwrap();
    user["userId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_stale_session_in_front_of_the_good_one_does_not_stand_in_its_way() {
    let (emulator, client) = rotating().await;
    let good = mint(&emulator, EMAIL);
    let stale = emulator.tokens(EMAIL).expired().issue().unwrap();
    let forged = emulator.tokens(EVE).forged().issue().unwrap();
    let good = good.session_jwt();
    let cookies = SessionCookies::builder(&client)
        .also_read_session("old")
        .build()
        .unwrap();
    let layer = SessionLayer::new(&client).cookies(cookies);
    for line in [
        format!("__Host-DS={}; __Host-DS={good}", stale.session_jwt()),
        format!("__Host-DS={good}; __Host-DS={}", stale.session_jwt()),
        format!(
            "__Host-DS=junk; __Host-DS=; __Host-DS={}; __Host-DS={good}",
            forged.session_jwt()
        ),
        format!("__Host-DS={}; old={good}", stale.session_jwt()),
        format!("old={good}; old=x"),
    ] {
        let found = check_cookies(&layer, line).await;
        assert!(found.session.is_ok(), "{:?}", found.session);
        // Handlers get the one that counts.
        assert_eq!(found.tokens.session.unwrap().expose_secret(), good);
    }
    // Four of a name are looked at, and no more.
    let many = "__Host-DS=junk; ".repeat(4);
    let found = check_cookies(&layer, format!("{many}__Host-DS={good}")).await;
    assert!(matches!(found.session, Err(Rejection::InvalidToken(_))));
    // A good one of the configured name goes before a good one of a fallback.
    let eve = mint(&emulator, EVE);
    let both = format!("old={}; __Host-DS={good}", eve.session_jwt());
    let found = check_cookies(&layer, both).await;
    assert_eq!(found.session.unwrap().user_id(), user_id(&emulator, EMAIL));
    // What no prefix protects, a neighbour can plant: by default it is not read.
    let planted = check_cookies(&SessionLayer::new(&client), format!("DS={good}")).await;
    assert!(matches!(planted.session, Err(Rejection::MissingToken)));
}

#[tokio::test]
async fn of_one_family_only_the_newest_refresh_token_is_presented() {
    for newest_first in [true, false] {
        let (emulator, client) = rotating().await;
        let layer = SessionLayer::new(&client).refreshing();
        let first = mint(&emulator, EMAIL);
        emulator.clock().advance(Duration::from_secs(2));
        // Another machine's refresh, so that this client knows nothing of it.
        let elsewhere = crate::browser::client(&emulator);
        let old = RefreshToken::new(first.refresh_jwt());
        let new = elsewhere.sessions().refresh(&old).await.unwrap();
        assert!(new.tokens.rotated);
        let new = new
            .tokens
            .refresh_token()
            .unwrap()
            .expose_secret()
            .to_owned();

        let tokens = [new.as_str(), first.refresh_jwt()];
        let [one, two] = if newest_first {
            tokens
        } else {
            [tokens[1], tokens[0]]
        };
        let line = format!("__Host-DSR={one}; __Host-DSR={two}");
        let found = check_cookies(&layer, line).await;
        assert!(found.session.is_ok(), "{:?}", found.session);
        assert_eq!(emulator.requests().count("RefreshSession"), 2);
        // The family lives: the superseded one has never been presented.
        let refresh = found.tokens.refresh.unwrap();
        let other = crate::browser::client(&emulator);
        other.sessions().refresh(&refresh).await.unwrap();
    }
}

#[tokio::test]
async fn two_families_at_most_are_tried_and_bad_ones_not_at_all() {
    let (emulator, client) = rotating().await;
    let layer = SessionLayer::new(&client).refreshing();
    let dead = emulator.tokens(EMAIL).expired().issue().unwrap();
    let mut line = format!("__Host-DSR=junk; __Host-DSR={}", dead.session_jwt());
    let found = check_cookies(&layer, line.clone()).await;
    assert!(matches!(found.session, Err(Rejection::RefreshRefused)));
    assert_eq!(emulator.requests().count("RefreshSession"), 0);

    // The first of two is over at the service, and the other one is good.
    let over = mint(&emulator, EMAIL);
    let over_token = RefreshToken::new(over.refresh_jwt());
    client.sessions().logout(&over_token).await.unwrap();
    let good = mint(&emulator, EMAIL);
    let both = format!(
        "__Host-DSR={}; __Host-DSR={}",
        over.refresh_jwt(),
        good.refresh_jwt()
    );
    let found = check_cookies(&layer, both).await;
    assert!(found.session.is_ok(), "{:?}", found.session);

    let before = emulator.requests().count("RefreshSession");
    line = String::new();
    for _ in 0..4 {
        line += &format!("__Host-DSR={}; ", mint(&emulator, EMAIL).refresh_jwt());
    }
    let refused = Fault::on("RefreshSession")
        .respond(401)
        .json(&problem("E064001"));
    emulator.faults().add(refused).unwrap();
    let found = check_cookies(&layer, line).await;
    assert!(matches!(found.session, Err(Rejection::RefreshRefused)));
    assert_eq!(emulator.requests().count("RefreshSession"), before + 2);
}

#[tokio::test]
async fn a_sign_out_ends_every_session_that_came_along() {
    let (emulator, client) = rotating().await;
    let cookies = SessionCookies::builder(&client)
        .domain("example.com")
        .also_clear("old.example.com", "/")
        .build()
        .unwrap();
    let (joe, eve) = (mint(&emulator, EMAIL), mint(&emulator, EVE));
    let line = format!(
        "__Secure-DSR={}; __Secure-DSR={}; __Secure-DS.0=2.x; __Secure-DS.1=y",
        joe.refresh_jwt(),
        eve.refresh_jwt()
    );
    let tokens = cookies.read([("cookie", line)]);
    let mut response = HeaderMap::new();
    cookies
        .sign_out(&client, &tokens, &mut response)
        .await
        .unwrap();
    for minted in [joe, eve] {
        let token = RefreshToken::new(minted.refresh_jwt());
        let elsewhere = crate::browser::client(&emulator);
        assert!(elsewhere.sessions().refresh(&token).await.is_err());
    }
    // What came is cleared in each scope: as set, its twin of this host, the named one.
    let names = set_cookies(&response);
    for name in ["__Secure-DSR", "__Secure-DS.0", "__Secure-DS.1"] {
        assert_eq!(names.iter().filter(|n| *n == name).count(), 3, "{names:?}");
    }
    assert_eq!(names.len(), 9, "{names:?}");
    // The service is down: this browser is signed out all the same.
    let late = mint(&emulator, EMAIL);
    let tokens = cookies.read([("cookie", format!("__Secure-DSR={}", late.refresh_jwt()))]);
    emulator.stop().await;
    let mut response = HeaderMap::new();
    assert!(
        cookies
            .sign_out(&client, &tokens, &mut response)
            .await
            .is_err()
    );
    assert_eq!(set_cookies(&response).len(), 3);
}

#[tokio::test]
async fn a_sign_out_presents_the_newest_of_a_family_and_no_other() {
    let (emulator, client) = rotating().await;
    emulator.clock().freeze();
    let cookies = SessionCookies::new(&client);
    let presented = || {
        let calls = emulator.requests().of("Logout");
        let texts = calls.iter().map(|call| call.header("authorization"));
        texts.flatten().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut expected = Vec::new();
    // The newer one behind the other, before it, and of the same second: then the first one counts.
    for (seconds, is_first) in [(2, false), (2, true), (0, true)] {
        let old = RefreshToken::new(mint(&emulator, EMAIL).refresh_jwt());
        emulator.clock().advance(Duration::from_secs(seconds));
        let elsewhere = crate::browser::client(&emulator);
        let refreshed = elsewhere.sessions().refresh(&old).await.unwrap();
        let new = refreshed.tokens.refresh.unwrap();
        let (old, new) = (old.expose_secret(), new.expose_secret());
        let (one, two) = if is_first { (new, old) } else { (old, new) };
        let tokens = cookies.read([("cookie", format!("__Host-DSR={one}; __Host-DSR={two}"))]);
        let mut response = HeaderMap::new();
        let outcome = cookies.sign_out(&client, &tokens, &mut response).await;
        outcome.unwrap();
        expected.push(new.to_owned());
        let found = presented();
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(&expected).all(|(a, b)| a.ends_with(b)));
    }
}

#[tokio::test]
async fn a_sign_out_tells_what_was_not_ended_and_takes_what_is_over_for_done() {
    let (emulator, client) = rotating().await;
    let cookies = SessionCookies::new(&client);
    let joe = RefreshToken::new(mint(&emulator, EMAIL).refresh_jwt());
    let line = format!("__Host-DSR={}", joe.expose_secret());
    let tokens = cookies.read([("cookie", line)]);
    let elsewhere = crate::browser::client(&emulator);
    elsewhere.sessions().logout(&joe).await.unwrap();
    let mut response = HeaderMap::new();
    let over = cookies.sign_out(&client, &tokens, &mut response).await;
    over.unwrap();
    // Nothing can be told of a token without keys, so the service has not been told either.
    let unreachable = crate::browser::client(&emulator);
    emulator.stop().await;
    let outcome = cookies.sign_out(&unreachable, &tokens, &mut response).await;
    let error = outcome.unwrap_err();
    assert!(error.is_retryable() && !error.is_unauthorized(), "{error}");
}

#[tokio::test]
async fn a_twin_of_a_renewed_cookie_is_removed_from_its_own_scope() {
    let (emulator, client) = rotating().await;
    let cookies = SessionCookies::builder(&client).domain("example.com");
    let layer = SessionLayer::new(&client).cookies(cookies.build().unwrap());
    let layer = layer.refreshing();
    for (times, lines) in [(1, 1), (2, 2)] {
        let tokens = mint(&emulator, EMAIL);
        let line = format!("__Secure-DSR={}; ", tokens.refresh_jwt()).repeat(times);
        let found = check_cookies(&layer, line).await;
        let mut response = HeaderMap::new();
        found.set_cookies(&mut response);
        let names = set_cookies(&response);
        let refreshes = names.iter().filter(|name| *name == "__Secure-DSR");
        assert_eq!(refreshes.count(), lines, "{names:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_a_session_token_in_the_header_counts_as_absent() {
    let (emulator, client) = rotating().await;
    let layer = SessionLayer::new(&client).refreshing();
    let good = mint(&emulator, EMAIL);
    let own = |header: &str, cookie: &str| {
        vec![
            (AUTHORIZATION, header.to_owned()),
            (COOKIE, cookie.to_owned()),
        ]
    };
    let other = emulator
        .tokens(EMAIL)
        .issuer("P2OtherProject")
        .issue()
        .unwrap();
    let not_ours = [
        "Bearer null".to_owned(),
        "Bearer undefined".to_owned(),
        "Bearer sk_live_4eC39HqLyjWDarjtT1zdp7dc".to_owned(),
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln".to_owned(),
        format!("Bearer {}", other.session_jwt()),
        format!("Bearer {}", good.refresh_jwt()),
    ];
    for header in &not_ours {
        let found = check(&layer, &own(header, &good.cookie_header())).await;
        assert!(found.session.is_ok(), "{header}: {:?}", found.session);
        assert_eq!(found.tokens.session_source, Some(TokenSource::Cookie));
    }
    // Alone, a text that is no token is none, and a token is a bad one.
    let found = check(&layer, &own(&not_ours[0], "")).await;
    assert!(matches!(found.session, Err(Rejection::MissingToken)));
    let found = check(&layer, &own(&not_ours[4], "")).await;
    assert!(matches!(found.session, Err(Rejection::InvalidToken(_))));
    // One of this project that is over is refused, for its client renews by itself.
    let expired = emulator.tokens(EMAIL).expired().issue().unwrap();
    let forged = emulator.tokens(EMAIL).forged().issue().unwrap();
    for minted in [expired, forged] {
        let header = format!("Bearer {}", minted.session_jwt());
        let found = check(&layer, &own(&header, &good.cookie_header())).await;
        assert!(matches!(found.session, Err(Rejection::InvalidToken(_))));
        assert!(found.cookies.is_empty());
    }
    assert_eq!(emulator.requests().count("RefreshSession"), 0);
}

#[tokio::test]
async fn sources_of_tokens_and_their_order_are_a_setting() {
    let (emulator, client) = rotating().await;
    let (joe, eve) = (mint(&emulator, EMAIL), mint(&emulator, EVE));
    let both = [
        (AUTHORIZATION, format!("Bearer {}", joe.session_jwt())),
        (COOKIE, eve.cookie_header()),
    ];
    let of = |change: fn(SessionCookiesBuilder) -> SessionCookiesBuilder| {
        let cookies = change(SessionCookies::builder(&client)).build().unwrap();
        SessionLayer::new(&client).cookies(cookies)
    };
    let (joe_id, eve_id) = (user_id(&emulator, EMAIL), user_id(&emulator, EVE));
    let header_first = of(|builder| builder);
    let cookie_first =
        of(|builder| builder.token_sources([TokenSource::Cookie, TokenSource::Bearer]));
    let cookie_only = of(|builder| builder.token_sources([TokenSource::Cookie]));
    let header_only = of(|builder| builder.token_sources([TokenSource::Bearer]));
    for (layer, expected) in [
        (&header_first, &joe_id),
        (&cookie_first, &eve_id),
        (&cookie_only, &eve_id),
        (&header_only, &joe_id),
    ] {
        let found = check(layer, &both).await;
        assert_eq!(found.session.unwrap().user_id(), expected);
    }
    let found = check(&cookie_first, &both[..1]).await;
    assert_eq!(found.session.unwrap().user_id(), joe_id);
    for (layer, alone) in [(&cookie_only, &both[..1]), (&header_only, &both[1..])] {
        let found = check(layer, alone).await;
        assert!(matches!(found.session, Err(Rejection::MissingToken)));
    }
    let named = of(|builder| builder.token_header("X-Session"));
    let x_session = HeaderName::from_static("x-session");
    for value in [
        joe.session_jwt().to_owned(),
        format!("Bearer {}", joe.session_jwt()),
    ] {
        let found = check(&named, &[(x_session.clone(), value)]).await;
        assert_eq!(found.session.unwrap().user_id(), joe_id);
    }
    let found = check(&named, &both[..1]).await;
    assert!(matches!(found.session, Err(Rejection::MissingToken)));
}

#[tokio::test]
async fn a_user_with_many_tenants_stays_signed_in() {
    let (emulator, client) = rotating().await;
    let layer = SessionLayer::new(&client).refreshing();
    let cookies = SessionCookies::new(&client);
    let large = emulator
        .tokens(EMAIL)
        .claim("many", "x".repeat(6000))
        .issue()
        .unwrap();
    let mut response = HeaderMap::new();
    let tokens = Tokens::new(SessionToken::new(large.session_jwt()));
    cookies.set(&mut response, &tokens).unwrap();
    let parts: Vec<String> = response
        .get_all("set-cookie")
        .iter()
        .map(|line| line.to_str().unwrap().split(';').next().unwrap().to_owned())
        .filter(|pair| !pair.ends_with('='))
        .collect();
    assert!(parts.len() > 1, "{}", parts.len());
    let found = check_cookies(&layer, parts.join("; ")).await;
    assert!(found.session.is_ok(), "{:?}", found.session);

    // A smaller session takes their place, and the parts that came are cleared away.
    let line = format!(
        "__Host-DS.0=2.x; __Host-DS.1=y; __Host-DSR={}",
        large.refresh_jwt()
    );
    let found = check_cookies(&layer, line).await;
    let mut response = HeaderMap::new();
    found.set_cookies(&mut response);
    let lines: Vec<&HeaderValue> = response.get_all("set-cookie").iter().collect();
    for name in ["__Host-DS.0=;", "__Host-DS.1=;"] {
        let is_it = |line: &&&HeaderValue| line.to_str().unwrap().starts_with(name);
        let line = lines.iter().find(is_it).unwrap();
        assert!(line.to_str().unwrap().contains("Max-Age=0"));
    }
}

#[tokio::test]
async fn a_refresh_token_is_stored_whatever_becomes_of_the_session() {
    let (emulator, client) = rotating().await;
    let first = mint(&emulator, EMAIL);
    let refresh = RefreshToken::new(first.refresh_jwt());
    let refreshed = client.sessions().refresh(&refresh).await.unwrap();
    let mut huge = refreshed.clone();
    huge.tokens.session = SessionToken::new("x".repeat(20_000));
    let mut response = HeaderMap::new();
    assert!(
        SessionCookies::new(&client)
            .set(&mut response, &huge.tokens)
            .is_err()
    );
    assert_eq!(set_cookies(&response), ["__Host-DSR"]);
    assert_eq!(response["cache-control"], "no-store");
}

#[tokio::test]
async fn cookies_that_browsers_would_drop_are_no_page() {
    let (_emulator, client) = rotating().await;
    let page = |url: &str, change: fn(SessionCookiesBuilder) -> SessionCookiesBuilder| {
        let cookies = change(SessionCookies::builder(&client)).build().unwrap();
        let page = LandingPage::builder(&client, url).cookies(cookies);
        page.build().map(drop).map_err(|error| error.to_string())
    };
    let https = "https://app.example.com/verify";
    for good in [
        page(https, |builder| builder),
        page(https, |builder| builder.domain("example.com")),
        page(https, |builder| builder.domain(".APP.example.com")),
        page("http://127.0.0.1:8080/verify", |builder| {
            builder.insecure_cookies_for_local_development_only()
        }),
    ] {
        good.unwrap();
    }
    for (bad, why) in [
        (
            page(https, |builder| builder.domain("example.org")),
            "domain",
        ),
        (
            page(https, |builder| builder.domain("pp.example.com")),
            "domain",
        ),
        (
            page(https, |builder| builder.domain("www.app.example.com")),
            "domain",
        ),
        (
            page("http://localhost:8080/verify", |builder| builder),
            "insecure_cookies",
        ),
    ] {
        let error = bad.unwrap_err();
        assert!(error.contains("cookies") && error.contains(why), "{error}");
    }
}

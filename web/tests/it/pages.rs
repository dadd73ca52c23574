//! The landing page and people: other browsers, robots, second presses, what a link is for.

use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::{Client, DeliveryMethod, ManualClock, RefreshToken, SessionToken};
use descope_magiclink_emulator::{Emulator, Fault, User};
use descope_magiclink_web::{AfterSignIn, LandingError, LandingPage, LandingTexts, LinkPurpose};
use http::{Method, Response, StatusCode};

use crate::browser::{
    Browser, EMAIL, VERIFY, client, emulator, fields, landing, link, location, set_cookies,
};

fn verifications(emulator: &Emulator) -> usize {
    emulator.requests().count("VerifyMagicLink")
}

fn asks(page: &Response<String>) -> bool {
    page.body()
        .contains("<input id=\"address\" name=\"address\" type=\"email\"")
}

/// A path whose link is for something else than a sign-in.
async fn link_for(
    emulator: &Emulator,
    landing: &LandingPage,
    browser: &mut Browser,
    purpose: LinkPurpose,
) -> String {
    let link = landing
        .link(&browser.parts(), EMAIL)
        .await
        .unwrap()
        .purpose(purpose);
    let sent = client(emulator)
        .magic_link()
        .sign_in(DeliveryMethod::Email, EMAIL)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    browser.keep(link.respond(sent, "/inbox").unwrap().headers());
    let message = emulator.outbox().last_for(EMAIL).unwrap();
    message
        .link()
        .strip_prefix("https://app.example.com")
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn another_browser_types_the_address_and_a_robot_uses_nothing_up() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut asked = Browser::default();
    let path = link(&emulator, &landing, &mut asked).await;
    // Neither the address nor anything like it is in the link.
    assert!(
        !path.contains("joe") && !path.contains("example.com"),
        "{path}"
    );

    // A robot opens the link and presses the button, again and again.
    for _ in 0..20 {
        let mut robot = Browser::default();
        let page = robot.get(&landing, &path).await;
        assert!(asks(&page), "{}", page.body());
        let response = robot.press(&landing, &page).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(asks(&response));
        let response = robot.press_with(&landing, &page, "  ").await;
        assert_eq!(response.status(), StatusCode::OK);
        // The same text time and again is one try.
        let response = robot.press_with(&landing, &page, "test@example.com").await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert!(
            response
                .body()
                .contains("value=\"test@example.com\" required aria-invalid")
        );
    }
    assert_eq!(verifications(&emulator), 0);

    // The user on a phone, who types the address as people do.
    let mut phone = Browser::default();
    let page = phone.get(&landing, &path).await;
    let response = phone.press_with(&landing, &page, " Joe@Example.COM ").await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(verifications(&emulator), 1);

    // In the browser that asked, one press is enough.
    let path = link(&emulator, &landing, &mut asked).await;
    let page = asked.get(&landing, &path).await;
    assert!(!asks(&page));
    let response = asked.press(&landing, &page).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn five_wrong_addresses_close_the_link() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut asked = Browser::default();
    let path = link(&emulator, &landing, &mut asked).await;
    let mut other = Browser::default();
    for number in 1..=5 {
        let page = other.get(&landing, &path).await;
        assert_eq!(page.status(), StatusCode::OK, "{number}");
        let wrong = format!("joe{number}@example.org");
        let response = other.press_with(&landing, &page, &wrong).await;
        let expected = match number {
            5 => LandingError::Closed,
            _ => LandingError::WrongAddress,
        };
        assert_eq!(
            response.status(),
            expected.status(),
            "{number}: {}",
            response.body()
        );
    }
    let page = other.get(&landing, &path).await;
    assert_eq!(page.status(), StatusCode::GONE);
    assert!(!page.body().contains("<form") && page.body().contains("href=\"/sign-in\""));
    assert_eq!(asked.get(&landing, &path).await.status(), StatusCode::GONE);
    assert_eq!(verifications(&emulator), 0);
}

#[tokio::test]
async fn a_link_that_failed_leads_to_where_one_like_it_can_be_had() {
    let emulator = emulator().await;
    let landing = landing(&emulator).step_up_page("/step-up").any_browser();
    let landing = landing.build().unwrap();
    for (query, page) in [
        ("", "/sign-in"),
        ("next=/orders?a%26b", "/sign-in?next=%2Forders%3Fa%26b"),
        ("next=//evil.example", "/sign-in"),
        ("p=step-up&next=/pay?a%26b", "/pay?a&amp;b"),
        ("p=step-up&next=//evil.example", "/step-up"),
        ("p=step-up", "/step-up"),
        ("p=email&next=/settings", "/settings"),
    ] {
        let path = format!("/verify?t=nobody-knows-this&{query}");
        let response = Browser::default().follow(&landing, &path).await;
        assert_eq!(response.status(), StatusCode::GONE);
        let link = format!("<a href=\"{page}\">Get a new link</a>");
        assert!(
            response.body().contains(&link),
            "{query}: {}",
            response.body()
        );
    }
    // Where a change is begun, nobody has said.
    let path = "/verify?t=nobody-knows-this&p=phone";
    let response = Browser::default().follow(&landing, path).await;
    assert_eq!(response.status(), StatusCode::GONE);
    assert!(!response.body().contains("<a "), "{}", response.body());
}

#[tokio::test]
async fn the_check_is_bound_to_the_form_and_links_without_one_take_one_press() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut asked = Browser::default();
    let path = link(&emulator, &landing, &mut asked).await;
    let mut other = Browser::default();
    let page = other.get(&landing, &path).await;
    for taken in ["c", "b", "p"] {
        let mut form = fields(&page);
        form.retain(|(name, _)| name != taken);
        let changed = if taken == "p" { "step-up" } else { "" };
        form.push((taken.to_owned(), changed.to_owned()));
        let request = other.post(&form);
        let response = other.send(landing.clone(), request).await;
        assert_eq!(
            response.status(),
            LandingError::StaleForm.status(),
            "{taken}"
        );
    }
    assert_eq!(verifications(&emulator), 0);

    // A login id that is no address, and a link that the service made.
    let named = landing.link(&asked.parts(), "joe").await.unwrap();
    assert!(
        !named.redirect_url().contains("c="),
        "{}",
        named.redirect_url()
    );
    let sent = client(&emulator)
        .magic_link()
        .sign_in(DeliveryMethod::Email, EMAIL)
        .redirect_url(VERIFY)
        .send()
        .await;
    sent.unwrap();
    let message = emulator.outbox().last_for(EMAIL).unwrap();
    let path = message
        .link()
        .strip_prefix("https://app.example.com")
        .unwrap();
    let response = Browser::default().follow(&landing, path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn any_browser_asks_nothing_and_sets_no_cookie() {
    let emulator = emulator().await;
    let landing = landing(&emulator).any_browser().build().unwrap();
    let mut asked = Browser::default();
    let path = link(&emulator, &landing, &mut asked).await;
    assert!(asked.cookies.is_empty());
    let response = Browser::default().follow(&landing, &path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

/// A page on a clock that the test moves.
fn with_clock(emulator: &Emulator) -> (LandingPage, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(emulator.clock().now()));
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .clock(Arc::clone(&clock))
        .build()
        .unwrap();
    let landing = LandingPage::builder(&client, VERIFY).sign_in_page("/sign-in");
    (landing.build().unwrap(), clock)
}

#[tokio::test]
async fn a_response_that_got_lost_is_given_once_more_for_a_while() {
    let emulator = emulator().await;
    let (landing, clock) = with_clock(&emulator);
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let before = browser.clone();
    let first = browser.press(&landing, &page).await;
    let cookies = |response: &Response<String>| {
        let all = response.headers().get_all("set-cookie").iter();
        all.cloned().collect::<Vec<_>>()
    };
    // The response did not come: the browser is as it was.
    let again = before.clone().press(&landing, &page).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    assert_eq!(cookies(&again), cookies(&first));
    assert_eq!(location(&again), location(&first));
    // It did: nothing is set once more, for newer tokens may be there by then.
    let again = browser.press(&landing, &page).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    assert!(cookies(&again).is_empty());
    // Another form, and whoever comes later, is too late.
    let other = Browser::default().get(&landing, &path).await;
    assert_eq!(other.status(), StatusCode::GONE);
    clock.advance(Duration::from_secs(30));
    let late = before.clone().press(&landing, &page).await;
    assert_eq!(late.status(), StatusCode::GONE);
    assert_eq!(verifications(&emulator), 1);
}

#[tokio::test]
async fn who_opens_the_link_once_more_while_signed_in_by_it_goes_on() {
    let emulator = emulator().await;
    let (landing, clock) = with_clock(&emulator);
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    browser.press(&landing, &page).await;
    clock.advance(Duration::from_secs(60));
    for with_session in [true, false] {
        // The session is over after minutes, and the refresh token goes on.
        if !with_session {
            browser.cookies.remove("__Host-DS");
        }
        let again = browser.get(&landing, &path).await;
        assert_eq!(again.status(), StatusCode::OK);
        assert!(
            again.body().contains("You are signed in"),
            "{}",
            again.body()
        );
        assert!(again.body().contains("<a href=\"/\">Continue</a>"));
        assert!(!again.body().contains("<form"));
        let pressed = browser.press(&landing, &page).await;
        assert_eq!(pressed.status(), StatusCode::SEE_OTHER);
        assert_eq!(location(&pressed), "/");
        assert!(set_cookies(pressed.headers()).is_empty());
    }
    // Another user's browser, and nobody's.
    let eve = emulator
        .users()
        .add(descope_magiclink_emulator::User::new("eve@example.com"));
    eve.unwrap();
    let minted = emulator.tokens("eve@example.com").issue().unwrap();
    let mut eve = Browser::default();
    eve.cookies
        .insert("__Host-DS".to_owned(), minted.session_jwt().to_owned());
    for mut browser in [eve, Browser::default()] {
        let page = browser.get(&landing, &path).await;
        assert_eq!(page.status(), StatusCode::GONE);
        assert!(page.body().contains("already used"), "{}", page.body());
    }
    assert_eq!(verifications(&emulator), 1);
}

#[tokio::test]
async fn the_page_says_what_the_link_is_for_in_each_language() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    for (purpose, before, after) in [
        (
            LinkPurpose::ChangeEmail,
            "Confirm your new email address",
            "Your email address has changed",
        ),
        (
            LinkPurpose::ChangePhone,
            "Confirm your new phone number",
            "Your phone number has changed",
        ),
        (LinkPurpose::StepUp, "Confirm that it is you", ""),
    ] {
        let path = link_for(&emulator, &landing, &mut browser, purpose).await;
        let page = browser.get(&landing, &path).await;
        assert!(
            page.body().contains(&format!("<h1>{before}</h1>")),
            "{}",
            page.body()
        );
        assert!(
            page.body()
                .contains("<button type=\"submit\">Confirm</button>")
        );
        let response = browser.press(&landing, &page).await;
        assert!(set_cookies(response.headers()).contains(&"__Host-DS".to_owned()));
        if after.is_empty() {
            assert_eq!(response.status(), StatusCode::SEE_OTHER);
            assert_eq!(location(&response), "/members");
        } else {
            assert_eq!(response.status(), StatusCode::OK);
            assert!(
                response.body().contains(&format!("<h1>{after}</h1>")),
                "{}",
                response.body()
            );
            assert!(
                response
                    .body()
                    .contains("<a href=\"/members\">Continue</a>")
            );
        }
    }
    let mut titles = std::collections::BTreeSet::new();
    let path = link_for(&emulator, &landing, &mut browser, LinkPurpose::ChangeEmail).await;
    for texts in [
        LandingTexts::english(),
        LandingTexts::german(),
        LandingTexts::spanish(),
        LandingTexts::french(),
        LandingTexts::portuguese(),
    ] {
        // In another browser, so that it asks, too.
        let mut request = Browser::default().request(Method::GET, &path);
        let language = texts.language().parse().unwrap();
        request.headers_mut().insert("accept-language", language);
        let page = Browser::default().send(landing.clone(), request).await;
        assert!(
            page.body()
                .contains(&format!("<html lang=\"{}\">", texts.language()))
        );
        assert!(asks(&page) && !page.body().contains("<script"));
        let title = page.body().split_once("<h1>").unwrap().1;
        titles.insert(title.split_once("</h1>").unwrap().0.to_owned());
    }
    assert_eq!(titles.len(), 5, "{titles:?}");
}

#[tokio::test]
async fn the_application_can_refuse_a_user_who_then_has_no_session() {
    let emulator = emulator().await;
    let landing = landing(&emulator)
        .on_sign_in(|_| async {
            let page = Response::builder().status(403).header("x-own", "1");
            AfterSignIn::Refuse(Box::new(page.body("not here".to_owned()).unwrap()))
        })
        .build()
        .unwrap();
    let mut browser = Browser::default();
    browser
        .cookies
        .insert("__Host-DSR".to_owned(), "kept".to_owned());
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    // Pressed twice, it is the same response, by one verification.
    for _ in 0..2 {
        let response = browser.press(&landing, &page).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(response.body(), "not here");
        assert_eq!(response.headers()["x-own"], "1");
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(set_cookies(response.headers()).is_empty());
    }
    assert_eq!(browser.cookies["__Host-DSR"], "kept");
    assert_eq!(verifications(&emulator), 1);
    assert_eq!(emulator.requests().count("Logout"), 1);
    assert_eq!(
        browser.get(&landing, &path).await.status(),
        StatusCode::GONE
    );
}

#[tokio::test]
async fn a_sign_in_ends_the_session_that_it_overwrites_and_nothing_else_does() {
    for (purpose, is_ended) in [
        (LinkPurpose::SignIn, true),
        (LinkPurpose::ChangeEmail, false),
        (LinkPurpose::ChangePhone, false),
        (LinkPurpose::StepUp, false),
    ] {
        let emulator = emulator().await;
        let landing = landing(&emulator).build().unwrap();
        let mut browser = Browser::default();
        let old = emulator.tokens(EMAIL).issue().unwrap();
        browser
            .cookies
            .insert("__Host-DSR".to_owned(), old.refresh_jwt().to_owned());
        let path = link_for(&emulator, &landing, &mut browser, purpose).await;
        let page = browser.get(&landing, &path).await;
        browser.press(&landing, &page).await;
        // A repeated press ends nothing more.
        browser.press(&landing, &page).await;
        if is_ended {
            // It happens in the background.
            while emulator.requests().count("Logout") == 0 {
                tokio::task::yield_now().await;
            }
        }
        let old = RefreshToken::new(old.refresh_jwt());
        let renewed = client(&emulator).sessions().refresh(&old).await;
        assert_eq!(renewed.is_err(), is_ended, "{purpose:?}: {renewed:?}");
        let new = RefreshToken::new(&*browser.cookies["__Host-DSR"]);
        client(&emulator).sessions().refresh(&new).await.unwrap();
    }
}

/// A second factor is a link without a purpose, and its session says what it is.
#[tokio::test]
async fn a_second_factor_ends_no_session() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let old = emulator.tokens(EMAIL).issue().unwrap();
    for (name, token) in [("DS", old.session_jwt()), ("DSR", old.refresh_jwt())] {
        let name = format!("__Host-{name}");
        browser.cookies.insert(name, token.to_owned());
    }
    let new = emulator.tokens(EMAIL).amr(["email", "sms", "mfa"]).issue();
    let new = new.unwrap();
    let body = serde_json::json!({
        "sessionJwt": new.session_jwt(), "refreshJwt": new.refresh_jwt(), "firstSeen": false,
    });
    let fault = Fault::on("VerifyMagicLink").alter().json(&body);
    emulator.faults().add(fault).unwrap();
    let path = link(&emulator, &landing, &mut browser).await;
    let response = browser.follow(&landing, &path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    for kept in [old, new] {
        let kept = RefreshToken::new(kept.refresh_jwt());
        client(&emulator).sessions().refresh(&kept).await.unwrap();
    }
    assert_eq!(emulator.requests().count("Logout"), 0);
}

#[tokio::test]
async fn the_session_token_that_a_sign_in_overwrites_is_taken_no_more() {
    let emulator = Emulator::builder()
        .user(User::new(EMAIL))
        .user(User::new("eve@example.com"))
        .start()
        .await
        .unwrap();
    for (old_user, purpose, is_ended) in [
        ("eve@example.com", LinkPurpose::SignIn, true),
        (EMAIL, LinkPurpose::SignIn, true),
        ("eve@example.com", LinkPurpose::StepUp, false),
        (EMAIL, LinkPurpose::ChangeEmail, false),
    ] {
        let client = client(&emulator);
        let landing = LandingPage::builder(&client, VERIFY)
            .unlimited_sends()
            .build()
            .unwrap();
        let mut browser = Browser::default();
        let old = emulator.tokens(old_user).issue().unwrap();
        for (name, token) in [("DS", old.session_jwt()), ("DSR", old.refresh_jwt())] {
            let name = format!("__Host-{name}");
            browser.cookies.insert(name, token.to_owned());
        }
        let before = emulator.requests().count("Logout");
        emulator.clock().advance(Duration::from_secs(2));
        let path = link_for(&emulator, &landing, &mut browser, purpose).await;
        browser.follow(&landing, &path).await;
        if is_ended {
            while emulator.requests().count("Logout") == before {
                tokio::task::yield_now().await;
            }
        }
        let sessions = client.sessions();
        let old = sessions
            .validate(&SessionToken::new(old.session_jwt()))
            .await;
        assert_eq!(old.is_err(), is_ended, "{old_user} {purpose:?}");
        let new = SessionToken::new(&*browser.cookies["__Host-DS"]);
        sessions.validate(&new).await.unwrap();
    }
}

#[tokio::test]
async fn browsers_without_fetch_metadata_and_several_own_origins_can_sign_in() {
    let emulator = emulator().await;
    let landing = landing(&emulator)
        .own_origin("https://www.example.com")
        .build()
        .unwrap();
    let mut browser = Browser::default();
    for (origin, site, allowed) in [
        (Some("https://app.example.com"), Some("same-origin"), true),
        (Some("https://www.example.com"), Some("same-origin"), true),
        // A page of one's own without referrer.
        (Some("null"), Some("same-origin"), true),
        (None, Some("same-origin"), true),
        // Safari before 16.4, and web views.
        (Some("https://app.example.com"), None, true),
        (None, None, true),
        // A frame in a sandbox, in a browser that tells no more.
        (Some("null"), None, false),
        (Some("https://blog.example.com"), None, false),
        (Some("https://www.example.com"), Some("cross-site"), false),
    ] {
        let path = link(&emulator, &landing, &mut browser).await;
        let page = browser.get(&landing, &path).await;
        let mut request = browser.post(&fields(&page));
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            request.headers_mut().remove(name);
            if let Some(value) = value {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        }
        let response = browser.send(landing.clone(), request).await;
        let status = if allowed {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(response.status(), status, "{origin:?} {site:?}");
    }
}

/// A body that does not come.
struct Never;

impl http_body::Body for Never {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
        std::task::Poll::Pending
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let page = browser.get(&landing, "/verify?t=abc").await;
    let request = browser.post(&fields(&page));
    let request = request.map(|_| Never);
    let response = browser.send(landing, request).await;
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(verifications(&emulator), 0);
}

#[tokio::test]
async fn the_default_next_page_stays_below_the_applications_prefix() {
    let emulator = emulator().await;
    for (url, next) in [
        ("https://app.example.com/verify", "/"),
        ("https://app.example.com/shop/verify", "/shop/"),
        ("https://app.example.com", "/"),
    ] {
        let landing = LandingPage::builder(&client(&emulator), url)
            .build()
            .unwrap();
        let mut browser = Browser::default();
        let path = link(&emulator, &landing, &mut browser).await;
        let response = browser.follow(&landing, &path).await;
        assert_eq!(location(&response), next, "{url}");
    }
}

#[tokio::test]
async fn a_user_with_many_tenants_can_sign_in() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let large = emulator.tokens(EMAIL).claim("many", "x".repeat(11_000));
    let large = large.issue().unwrap();
    let body = serde_json::json!({
        "sessionJwt": large.session_jwt(), "refreshJwt": large.refresh_jwt(), "firstSeen": false,
    });
    let fault = Fault::on("VerifyMagicLink").alter().json(&body);
    emulator.faults().add(fault).unwrap();
    let response = browser.follow(&landing, &path).await;
    assert_eq!(
        response.status(),
        StatusCode::SEE_OTHER,
        "{}",
        response.body()
    );
    let set = set_cookies(response.headers());
    assert!(set.contains(&"__Host-DS.3".to_owned()), "{set:?}");
    assert!(
        browser
            .get(&landing, &path)
            .await
            .body()
            .contains("You are signed in")
    );
}

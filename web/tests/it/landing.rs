//! The landing page: what opens a link does not use it up, and what uses it up is meant to.

use std::sync::Arc;
use std::time::Duration;

use descope_magiclink::{DeliveryMethod, SignUpUser};
use descope_magiclink_emulator::{Emulator, Fault};
use descope_magiclink_web::{
    AfterSignIn, HiddenSendError, LandingError, LandingPage, LandingTexts, LinkPurpose, SendError,
    escape_html,
};
use http::header::{ACCEPT_LANGUAGE, ALLOW, COOKIE, SET_COOKIE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::browser::{
    Browser, EMAIL, client, emulator, fields, landing, link, link_with, location,
    problem as refusal, set_cookies,
};

const SESSION_COOKIES: [&str; 2] = ["__Host-DS", "__Host-DSR"];

fn verifications(emulator: &Emulator) -> usize {
    emulator.requests().count("VerifyMagicLink")
}

/// A page about a problem leaves the browser's session alone.
fn assert_problem(response: &Response<String>, problem: LandingError) {
    assert_eq!(response.status(), problem.status(), "{}", response.body());
    assert!(response.body().contains("<html lang=\"en\">"));
    for name in set_cookies(response.headers()) {
        assert!(!SESSION_COOKIES.contains(&name.as_str()), "{name}");
    }
    assert_eq!(
        response.body().contains("<form"),
        problem.can_try_again(),
        "{}",
        response.body()
    );
}

#[tokio::test]
async fn the_button_signs_in_and_the_cookies_hold_the_session() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let path = link_with(&emulator, &landing, &mut browser, "/orders?page=2").await;
    let response = browser.follow(&landing, &path).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(location(&response), "/orders?page=2");
    assert_eq!(set_cookies(response.headers()), SESSION_COOKIES);
    for cookie in response.headers().get_all(SET_COOKIE) {
        let cookie = cookie.to_str().unwrap();
        for part in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age="] {
            assert!(cookie.contains(part), "{part}");
        }
    }
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(response.headers()["referrer-policy"], "strict-origin");
}

#[tokio::test]
async fn a_project_without_refresh_tokens_signs_in_with_the_session_alone() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let body = json!({ "sessionJwt": tokens.session_jwt(), "firstSeen": false });
    let fault = Fault::on("VerifyMagicLink").alter().json(&body);
    emulator.faults().add(fault).unwrap();
    let response = browser.follow(&landing, &path).await;
    assert_eq!(
        response.status(),
        StatusCode::SEE_OTHER,
        "{}",
        response.body()
    );
    assert_eq!(set_cookies(response.headers()), ["__Host-DS"]);
}

#[tokio::test]
async fn scanners_cannot_use_a_link_up() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut user = Browser::default();
    let path = link(&emulator, &landing, &mut user).await;
    let mut with_jar = Browser::default();
    // A fixed shuffle: each kind of request comes after each other kind, with and without a jar.
    for step in 0..100_u32 {
        let choice = step.wrapping_mul(2_654_435_761) >> 16;
        let method = [Method::GET, Method::HEAD, Method::OPTIONS][choice as usize % 3].clone();
        let response = if choice & 8 == 0 {
            let request = with_jar.request(method.clone(), &path);
            with_jar.send(landing.clone(), request).await
        } else {
            let mut fresh = Browser::default();
            let request = fresh.request(method.clone(), &path);
            fresh.send(landing.clone(), request).await
        };
        match method {
            Method::GET => assert!(response.body().contains("<form")),
            _ => assert!(response.body().is_empty()),
        }
        assert!(response.status().is_success());
    }
    assert_eq!(verifications(&emulator), 0);

    let page = user.get(&landing, &path).await;
    let response = user.press(&landing, &page).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(verifications(&emulator), 1);

    // The same form once more, from a browser to which the response did not come: the same response.
    let session = user.cookies["__Host-DS"].clone();
    user.cookies
        .retain(|name, _| !SESSION_COOKIES.contains(&name.as_str()));
    let response = user.press(&landing, &page).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(user.cookies["__Host-DS"], session);
    assert_eq!(verifications(&emulator), 1);
}

#[tokio::test]
async fn the_page_gives_nothing_away() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let headers = page.headers();
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["referrer-policy"], "strict-origin");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let policy = headers["content-security-policy"].to_str().unwrap();
    for rule in [
        "default-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(
        !policy.contains("script-src")
            && !policy.contains("form-action")
            && !policy.contains("unsafe"),
        "{policy}"
    );
    for word in ["<script", "http://", "https://", "onclick", "javascript:"] {
        assert!(!page.body().contains(word), "{word}");
    }
    // The style's nonce is new each time; the form's too.
    let again = browser.get(&landing, &path).await;
    assert_ne!(
        headers["content-security-policy"],
        again.headers()["content-security-policy"]
    );
    assert_ne!(fields(&page), fields(&again));
    // Two tabs: the earlier page's form still holds.
    let response = browser.press(&landing, &page).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn other_methods_and_bodies_do_nothing() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let request = browser.request(method, &path);
        let response = browser.send(landing.clone(), request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD, POST, OPTIONS");
    }
    let page = browser.get(&landing, &path).await;
    let form = fields(&page);

    let mut json = browser.post(&form);
    json.headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    let response = browser.send(landing.clone(), json).await;
    assert_problem(&response, LandingError::CrossSite);

    let mut large = form.clone();
    large.push(("x".to_owned(), "x".repeat(20_000)));
    let request = browser.post(&large);
    let response = browser.send(landing.clone(), request).await;
    assert_problem(&response, LandingError::CrossSite);

    for missing in ["t", "id", "proof"] {
        let mut form = form.clone();
        form.retain(|(name, _)| name != missing);
        let request = browser.post(&form);
        let response = browser.send(landing.clone(), request).await;
        assert!(response.status().is_client_error(), "{missing}");
    }
    let mut doubled = form.clone();
    doubled.push(("t".to_owned(), "another".to_owned()));
    let request = browser.post(&doubled);
    let response = browser.send(landing.clone(), request).await;
    assert_problem(&response, LandingError::MissingToken);
    assert_eq!(verifications(&emulator), 0);
}

#[tokio::test]
async fn another_site_can_sign_nobody_in() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let (mut attacker, mut victim) = (Browser::default(), Browser::default());
    let path = link(&emulator, &landing, &mut attacker).await;
    let page = attacker.get(&landing, &path).await;
    let form = fields(&page);

    // The attacker's form from the attacker's site: the browser says where it comes from.
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
    ] {
        let mut request = victim.post(&form);
        request.headers_mut().insert(header, value.parse().unwrap());
        let response = victim.send(landing.clone(), request).await;
        assert_problem(&response, LandingError::CrossSite);
    }
    // From an old browser, which says nothing: without the attacker's cookie, and with a cookie of the
    // victim's own.
    for visit in [false, true] {
        if visit {
            victim.get(&landing, &path).await;
        }
        let mut request = victim.post(&form);
        request.headers_mut().remove("sec-fetch-site");
        request.headers_mut().remove("origin");
        let response = victim.send(landing.clone(), request).await;
        assert_problem(&response, LandingError::StaleForm);
    }
    assert_eq!(verifications(&emulator), 0);

    // In another browser than the one that asked, the page wants to know the address, and that works.
    let again = victim.get(&landing, &path).await;
    let response = victim.press_with(&landing, &again, EMAIL).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn nothing_prints_a_token() {
    let emulator = emulator().await;
    let seen = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let printed = std::sync::Arc::clone(&seen);
    let landing = landing(&emulator)
        .same_browser()
        .template(move |view| {
            *printed.lock().unwrap() += &format!("{view:?}");
            view.form().unwrap_or_default()
        })
        .build()
        .unwrap();
    let mut browser = Browser::default();
    let link = landing.link(&browser.parts(), EMAIL).await.unwrap();
    *seen.lock().unwrap() += &format!("{landing:?} {link:?}");
    let path = link_with(&emulator, &landing, &mut browser, "/orders").await;
    let page = browser.get(&landing, &path).await;
    // Cookies are marked as secrets, so that they print redacted.
    *seen.lock().unwrap() += &format!("{:?}", page.headers());
    let response = browser.press(&landing, &page).await;
    *seen.lock().unwrap() += &format!("{:?}", response.headers());

    let printed = seen.lock().unwrap().clone();
    assert!(printed.contains("Form {") && printed.contains("LandingLink"));
    let token = emulator.outbox().last_for(EMAIL).unwrap();
    let (_, proof) = fields(&page).pop().unwrap();
    let secrets = browser.cookies.values().map(String::as_str);
    for secret in secrets.chain([token.token(), &proof]) {
        assert!(secret.len() > 20);
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[tokio::test]
async fn a_link_bound_to_its_browser_works_there_only() {
    let emulator = emulator().await;
    let landing = landing(&emulator).same_browser().build().unwrap();
    let (mut own, mut other) = (Browser::default(), Browser::default());
    let first = link(&emulator, &landing, &mut own).await;
    let second = link_with(&emulator, &landing, &mut own, "/orders").await;
    link(&emulator, &landing, &mut other).await;

    assert!(own.cookies.contains_key("__Host-magic-link-browser"));
    for browser in [&mut other, &mut Browser::default()] {
        let page = browser.get(&landing, &first).await;
        assert_problem(&page, LandingError::OtherBrowser);
    }
    // Taking the parameter away, or putting the other browser's in, is of no use to an attacker who
    // does not know the victim's cookie.
    let bare =
        first.split("?b=").next().unwrap().to_owned() + "?" + first.split_once('&').unwrap().1;
    let page = other.get(&landing, &bare).await;
    assert_problem(&page, LandingError::OtherBrowser);

    // A form that slipped through is stopped too.
    let page = own.get(&landing, &first).await;
    let mut stolen = own.clone();
    stolen.cookies.remove("__Host-magic-link-browser");
    let response = stolen.press(&landing, &page).await;
    assert_problem(&response, LandingError::OtherBrowser);
    assert_eq!(verifications(&emulator), 0);

    let response = own.press(&landing, &page).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let response = own.follow(&landing, &second).await;
    assert_eq!(location(&response), "/orders");
}

#[tokio::test]
async fn another_sites_form_sends_no_link_and_binds_no_browser() {
    let emulator = emulator().await;
    let landing = landing(&emulator).same_browser().build().unwrap();
    let victim = Browser::default();
    for (header, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
    ] {
        let mut request = victim.parts();
        request.headers.insert(header, value.parse().unwrap());
        assert!(landing.is_cross_site(&request.headers));
        let problem = landing.link(&request, EMAIL).await.unwrap_err();
        assert!(matches!(problem, SendError::CrossSite), "{problem:?}");
        let response = problem.response();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(set_cookies(response.headers()), [""; 0]);
    }
    // A page without referrer, and a program that is no browser.
    let mut own = victim.parts();
    assert!(landing.link(&own, EMAIL).await.is_ok());
    own.headers.insert("origin", "null".parse().unwrap());
    own.headers
        .insert("sec-fetch-site", "same-origin".parse().unwrap());
    assert!(landing.link(&own, EMAIL).await.is_ok());
}

#[tokio::test]
async fn cookies_of_other_people_may_have_any_bytes() {
    let emulator = emulator().await;
    let landing = landing(&emulator).same_browser().build().unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let mut request = browser.post(&fields(&page));
    let cookies = request.headers()[COOKIE].as_bytes();
    let cookies = ["city=Zürich; ".as_bytes(), b"x=\xfc; ", cookies].concat();
    request
        .headers_mut()
        .insert(COOKIE, HeaderValue::from_bytes(&cookies).unwrap());
    let response = browser.send(landing, request).await;
    assert_eq!(
        response.status(),
        StatusCode::SEE_OTHER,
        "{}",
        response.body()
    );
}

#[tokio::test]
async fn each_failure_has_its_page_and_leaves_the_session_alone() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let signed_in = link(&emulator, &landing, &mut browser).await;
    browser.follow(&landing, &signed_in).await;
    let session = browser.cookies["__Host-DSR"].clone();

    for (path, problem) in [
        ("/verify", LandingError::MissingToken),
        ("/verify?t=", LandingError::MissingToken),
        ("/verify?t=a&t=b", LandingError::MissingToken),
        ("/verify?t=%0d%0a", LandingError::InvalidLink),
        (&signed_in, LandingError::Used),
    ] {
        let page = Browser::default().get(&landing, path).await;
        assert_problem(&page, problem);
        assert!(page.body().contains("href=\"/sign-in\""));
    }

    let response = browser
        .follow(&landing, "/verify?t=nobody-knows-this")
        .await;
    assert_problem(&response, LandingError::Expired);

    let expired = link(&emulator, &landing, &mut browser).await;
    emulator.clock().advance(Duration::from_secs(3600));
    let response = browser.follow(&landing, &expired).await;
    assert_problem(&response, LandingError::Expired);
    // Tokens of the future would be refused.
    emulator.clock().follow_real_time();

    let path = link(&emulator, &landing, &mut browser).await;
    for (fault, problem) in [
        (
            Fault::on("VerifyMagicLink").respond(503),
            LandingError::ServiceUnavailable,
        ),
        (
            Fault::on("VerifyMagicLink").respond(500),
            LandingError::ServiceUnavailable,
        ),
        (
            Fault::on("VerifyMagicLink").reset(),
            LandingError::ServiceUnavailable,
        ),
        (
            Fault::on("VerifyMagicLink").rate_limited(None),
            LandingError::RateLimited,
        ),
        // Not the service's own words: the link is as good as it was.
        (
            Fault::on("VerifyMagicLink").respond(401),
            LandingError::ServiceUnavailable,
        ),
        (
            Fault::on("VerifyMagicLink")
                .respond(403)
                .text("<html>Request blocked</html>"),
            LandingError::ServiceUnavailable,
        ),
        (
            Fault::on("VerifyMagicLink")
                .respond(400)
                .json(&json!({ "message": "bad gateway rule" })),
            LandingError::ServiceUnavailable,
        ),
        (
            Fault::on("VerifyMagicLink").respond(302),
            LandingError::ServiceUnavailable,
        ),
        // The key of the server, not the link.
        (
            Fault::on("VerifyMagicLink")
                .respond(401)
                .json(&refusal("E111119")),
            LandingError::ServiceUnavailable,
        ),
        (
            Fault::on("VerifyMagicLink")
                .respond(401)
                .json(&refusal("E061005")),
            LandingError::InvalidLink,
        ),
        (
            Fault::on("VerifyMagicLink")
                .respond(400)
                .json(&refusal("E062504")),
            LandingError::Expired,
        ),
        (
            Fault::on("VerifyMagicLink").respond(200).text("{}"),
            LandingError::Failed,
        ),
    ] {
        emulator.faults().add(fault.times(1)).unwrap();
        let response = browser.follow(&landing, &path).await;
        assert_problem(&response, problem);
        if problem.can_try_again() {
            assert_eq!(response.headers()["retry-after"], "60");
        }
    }
    assert_eq!(browser.cookies["__Host-DSR"], session);

    // The link was not used up by any of this; the button on the page about the problem works.
    emulator
        .faults()
        .add(Fault::on("VerifyMagicLink").respond(503).times(1))
        .unwrap();
    let response = browser.follow(&landing, &path).await;
    let response = browser.press(&landing, &response).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_ne!(browser.cookies["__Host-DSR"], session);
}

/// A landing page whose verifications do not end before there is a permit for each.
fn gated(emulator: &Emulator) -> (LandingPage, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    let landing = landing(emulator)
        .on_sign_in(move |_| {
            let gate = Arc::clone(&closed);
            async move {
                gate.acquire().await.unwrap().forget();
                AfterSignIn::Continue
            }
        })
        .build()
        .unwrap();
    (landing, gate)
}

/// Lets a request come as far as it can by itself.
async fn begin(request: &mut (impl Future + Unpin)) {
    let is_waiting = std::future::poll_fn(|context| {
        let request = std::pin::Pin::new(&mut *request);
        std::task::Poll::Ready(request.poll(context).is_pending())
    });
    assert!(is_waiting.await);
}

#[tokio::test]
async fn pressing_twice_verifies_once_and_both_get_the_session() {
    let emulator = emulator().await;
    let (landing, gate) = gated(&emulator);
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let (mut one, mut two, mut gone) = (browser.clone(), browser.clone(), browser.clone());
    let other_page = browser.get(&landing, &path).await;
    // A browser that goes away does not take the verification with it.
    let mut first = Box::pin(gone.press(&landing, &page));
    begin(&mut first).await;
    let mut one = Box::pin(one.press(&landing, &page));
    let mut two = Box::pin(two.press(&landing, &page));
    // Another showing of the form does not get the session.
    let mut other = Box::pin(browser.press(&landing, &other_page));
    for request in [&mut one, &mut two, &mut other] {
        begin(request).await;
    }
    drop(first);
    gate.add_permits(1);
    let (one, two, other) = tokio::join!(one, two, other);
    assert_eq!(one.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        one.headers().get_all(SET_COOKIE).iter().collect::<Vec<_>>(),
        two.headers().get_all(SET_COOKIE).iter().collect::<Vec<_>>()
    );
    assert_problem(&other, LandingError::Used);
    assert_eq!(verifications(&emulator), 1);

    // Pressed again after the session had arrived: on to the page, with nothing new.
    let mut late = Browser::default();
    late.cookies.clone_from(&browser.cookies);
    late.keep(one.headers());
    let response = late.press(&landing, &page).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(set_cookies(response.headers()), [""; 0]);
    assert_eq!(verifications(&emulator), 1);
}

#[tokio::test]
async fn a_verification_outlives_the_request_that_started_it() {
    let emulator = emulator().await;
    let (landing, gate) = gated(&emulator);
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let mut impatient = browser.clone();
    let mut first = Box::pin(impatient.press(&landing, &page));
    begin(&mut first).await;
    drop(first);
    // The second press of the impatient finds the first one's verification.
    let mut second = Box::pin(browser.press(&landing, &page));
    begin(&mut second).await;
    gate.add_permits(1);
    let response = second.await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(set_cookies(response.headers()), SESSION_COOKIES);
    assert_eq!(verifications(&emulator), 1);
}

#[tokio::test]
async fn the_page_speaks_the_readers_language_and_the_applications() {
    let emulator = emulator().await;
    let path = "/verify?t=abc&next=/%22%3E%3Cscript%3E";
    let page = landing(&emulator).build().unwrap();
    let mut request = Browser::default().request(Method::GET, path);
    request
        .headers_mut()
        .insert(ACCEPT_LANGUAGE, "de-CH, en;q=0.5".parse().unwrap());
    let response = Browser::default().send(page, request).await;
    assert!(response.body().contains("<html lang=\"de\">"));
    assert!(response.body().contains("Anmelden"));
    assert_eq!(response.headers()["content-language"], "de");
    assert!(!response.body().contains("<script"));

    let own = landing(&emulator)
        .languages([LandingTexts::translation("da")
            .confirm(LinkPurpose::SignIn, "Log ind & <b>", "Tryk")
            .error(LandingError::MissingToken, "Ufuldstændigt", "Hele linket")])
        .template(|view| {
            format!(
                "<p>{}|{}|{:?}|{}",
                escape_html(view.title()),
                view.language(),
                view.error(),
                view.form().unwrap_or_default()
            )
        })
        .build()
        .unwrap();
    let response = Browser::default().get(&own, path).await;
    assert!(
        response
            .body()
            .starts_with("<p>Log ind &amp; &lt;b&gt;|da|None|<form")
    );
    let response = Browser::default().get(&own, "/verify").await;
    assert_eq!(response.body(), "<p>Ufuldstændigt|da|Some(MissingToken)|");
}

#[tokio::test]
async fn the_application_hears_of_each_sign_in_and_may_choose_the_next_page() {
    let emulator = emulator().await;
    let landing = landing(&emulator)
        .on_sign_in(|auth| async move {
            let user = auth.user.unwrap();
            AfterSignIn::GoTo(match auth.first_seen {
                Some(true) => format!("/welcome?{}", user.email().unwrap()),
                _ => "https://evil.example".to_owned(),
            })
        })
        .build()
        .unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let response = browser.follow(&landing, &path).await;
    assert_eq!(location(&response), "/welcome?joe@example.com");
    let path = link_with(&emulator, &landing, &mut browser, "/orders").await;
    let response = browser.follow(&landing, &path).await;
    assert_eq!(location(&response), "/orders");
}

#[tokio::test]
async fn a_hook_that_panics_leaves_nobody_waiting() {
    let emulator = emulator().await;
    let landing = landing(&emulator)
        .on_sign_in(|_| async move { panic!("the application's own mistake") })
        .build()
        .unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let other_page = browser.get(&landing, &path).await;
    let (mut one, mut two) = (browser.clone(), browser.clone());
    let (one, two) = tokio::join!(one.press(&landing, &page), two.press(&landing, &other_page));
    for response in [one, two] {
        assert!(!response.status().is_redirection());
    }
    let response = browser.follow(&landing, &path).await;
    assert_problem(&response, LandingError::Expired);
}

#[tokio::test]
async fn asking_for_a_link_tells_nobody_who_has_an_account() {
    let emulator = emulator().await;
    let landing = landing(&emulator).same_browser().build().unwrap();
    let magic_link = client(&emulator).magic_link();
    let browser = Browser::default();
    let sign_in = async |address: &str| {
        let link = landing.link(&browser.parts(), address).await.unwrap();
        let sent = magic_link
            .sign_in(DeliveryMethod::Email, address)
            .redirect_url(link.redirect_url())
            .send()
            .await;
        link.respond(sent, "/inbox")
    };
    // The cookie's value is random; everything else is the same, header by header.
    let shape = |response: &Response<String>| {
        let headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| {
                let value = value.to_str().unwrap();
                match value.split_once(';') {
                    Some((cookie, rest)) if name == SET_COOKIE => {
                        format!(
                            "{}={} {rest}",
                            cookie.split('=').next().unwrap(),
                            cookie.len()
                        )
                    }
                    _ => format!("{name}: {value}"),
                }
            })
            .collect();
        (response.status(), headers, response.body().clone())
    };
    let known = sign_in(EMAIL).await.unwrap();
    let unknown = sign_in("nobody@example.com").await.unwrap();
    assert_eq!(shape(&known), shape(&unknown));
    assert_eq!(location(&known), "/inbox");
    assert!(known.extensions().get::<HiddenSendError>().is_none());
    let hidden = unknown.extensions().get::<HiddenSendError>().unwrap();
    assert_eq!(
        hidden.error().code(),
        Some(&descope_magiclink::ErrorCode::UserNotFound)
    );

    // Signing up with an address that is taken, and by a phone that the user does not have.
    let link = landing.link(&browser.parts(), EMAIL).await.unwrap();
    let sent = magic_link
        .sign_up(DeliveryMethod::Email, EMAIL)
        .user(SignUpUser::new().name("Somebody"))
        .redirect_url(link.redirect_url())
        .send()
        .await;
    assert_eq!(shape(&link.respond(sent, "/inbox").unwrap()), shape(&known));
    let link = landing.link(&browser.parts(), EMAIL).await.unwrap();
    let sent = magic_link.sign_in(DeliveryMethod::Sms, EMAIL).send().await;
    assert_eq!(shape(&link.respond(sent, "/inbox").unwrap()), shape(&known));

    let problem = sign_in("").await.unwrap_err();
    assert!(
        matches!(problem, SendError::InvalidAddress(_)),
        "{problem:?}"
    );
    emulator
        .faults()
        .add(Fault::everywhere().rate_limited(Some(Duration::from_secs(7))))
        .unwrap();
    for address in [EMAIL, "nobody@example.com"] {
        let problem = sign_in(address).await.unwrap_err();
        assert_eq!(problem.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(problem.response().headers()["retry-after"], "7");
    }
    emulator.faults().clear();
    for fault in [
        Fault::everywhere()
            .respond(403)
            .text("<html>blocked</html>"),
        Fault::everywhere().respond(401).json(&refusal("E111119")),
    ] {
        emulator.faults().add(fault.times(1)).unwrap();
        let problem = sign_in(EMAIL).await.unwrap_err();
        assert!(
            matches!(problem, SendError::ServiceUnavailable),
            "{problem:?}"
        );
    }
    emulator.stop().await;
    let problem = sign_in(EMAIL).await.unwrap_err();
    assert!(
        matches!(problem, SendError::ServiceUnavailable),
        "{problem:?}"
    );
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let emulator = emulator().await;
    let client = client(&emulator);
    let builder = |url: &str| descope_magiclink_web::LandingPage::builder(&client, url);
    let good = "https://app.example.com/verify";
    assert!(builder(good).build().is_ok());
    for refused in [
        builder("http://app.example.com/verify"),
        builder("/verify"),
        builder("https://app.example.com/verify#top"),
        builder("https://app.example.com/verify?t=mine"),
        builder("https://app.example.com/verify?lang=de"),
        builder(good).signed_in_page("https://evil.example"),
        builder(good).sign_in_page("sign-in"),
        builder(good).allow_origin("docs.example.com"),
        builder(good).languages([]),
    ] {
        let error = refused.build().unwrap_err().to_string();
        assert!(error.starts_with("the setting "), "{error}");
    }
}

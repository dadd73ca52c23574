//! What an error of a call means for the request that it was made for.

use std::time::Duration;

use descope_magiclink::session::TokenProblem;
use descope_magiclink::{DeliveryMethod, Error, RefreshToken};
use descope_magiclink_emulator::{Emulator, Fault};
use descope_magiclink_web::{Rejection, SessionLayer};
use http::header::{COOKIE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt};

use crate::browser::{Browser, EMAIL, client, emulator, landing, link, problem};

fn retry_after(response: &Response<String>) -> Option<&str> {
    let value = response.headers().get(RETRY_AFTER)?;
    Some(value.to_str().unwrap())
}

/// The error of a call on a user's behalf.
async fn error_of(emulator: &Emulator, fault: Fault) -> Error {
    emulator.faults().add(fault.times(1)).unwrap();
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let refresh = RefreshToken::new(tokens.refresh_jwt());
    let client = client(emulator);
    let magic_link = client.magic_link();
    let change = magic_link.update_email(&refresh, "joe@example.org");
    change.send().await.unwrap_err()
}

#[test]
fn a_session_that_begins_later_has_not_ended() {
    let text = |problem| Rejection::InvalidToken(problem).text();
    let later = text(TokenProblem::NotYetValid);
    assert!(
        later.contains("clock") && !later.contains("ended"),
        "{later}"
    );
    assert_eq!(
        text(TokenProblem::Expired),
        "the session has ended; sign in again"
    );
}

#[tokio::test]
async fn each_kind_of_error_has_its_own_status() {
    let emulator = emulator().await;
    let on = || Fault::on("UpdateUserEmailMagicLink");
    for (fault, status, code, wait) in [
        (
            on().respond(400).json(&problem("E011001")),
            400,
            "invalid_request",
            None,
        ),
        (
            on().respond(404).json(&problem("E062108")),
            400,
            "invalid_request",
            None,
        ),
        (
            on().respond(401).json(&problem("E061005")),
            401,
            "refresh_refused",
            None,
        ),
        (
            on().rate_limited(Some(Duration::from_secs(7))),
            429,
            "rate_limited",
            Some("7"),
        ),
        (on().rate_limited(None), 429, "rate_limited", Some("60")),
        (
            on().respond(503).header("Retry-After", "9"),
            503,
            "unavailable",
            Some("9"),
        ),
        (on().respond(500), 503, "unavailable", None),
        (on().reset(), 503, "unavailable", None),
        // A firewall's word, a key of this server, and how the project is set up.
        (on().respond(400).text("no"), 503, "unavailable", None),
        (
            on().respond(401).json(&problem("E111119")),
            503,
            "unavailable",
            None,
        ),
        (
            on().respond(403).json(&problem("E061001")),
            503,
            "unavailable",
            None,
        ),
        (
            on().respond(400).json(&problem("E061004")),
            503,
            "unavailable",
            None,
        ),
    ] {
        let error = error_of(&emulator, fault).await;
        let what = error.to_string();
        let rejection = Rejection::from(error);
        let response = rejection.response::<String>();
        assert_eq!(response.status().as_u16(), status, "{what}");
        assert_eq!(rejection.code(), code, "{what}");
        assert_eq!(retry_after(&response), wait, "{what}");
        assert_eq!(rejection.is_unavailable(), status == 503, "{what}");
    }
}

#[tokio::test]
async fn what_the_user_typed_is_the_users_and_what_the_application_gave_is_not() {
    let emulator = emulator().await;
    let client = client(&emulator);
    let magic_link = client.magic_link();
    let sign_in = |address| magic_link.sign_in(DeliveryMethod::Email, address);
    for (sent, status) in [
        (sign_in("joe\u{202e}").send().await, 400),
        (sign_in("").send().await, 400),
        (sign_in(EMAIL).redirect_url("nowhere").send().await, 503),
    ] {
        assert_eq!(Rejection::from(sent.unwrap_err()).status(), status);
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_renewed_now_says_when_to_come_again() {
    let emulator = emulator().await;
    for fault in [
        Fault::on("RefreshSession").rate_limited(Some(Duration::from_secs(7))),
        Fault::on("RefreshSession")
            .respond(503)
            .header("Retry-After", "7"),
    ] {
        let fault = emulator.faults().add(fault).unwrap();
        let client = client(&emulator);
        let layer = SessionLayer::new(&client).refreshing().required();
        let app = tower::service_fn(async |_: Request<String>| {
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        });
        let tokens = emulator.tokens(EMAIL).issue().unwrap();
        let cookie = format!("__Host-DSR={}", tokens.refresh_jwt());
        let request = Request::get("/")
            .header(COOKIE, cookie)
            .body(String::new())
            .unwrap();
        let response = layer.layer(app).oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "7");
        emulator.faults().remove(fault);
    }
}

#[tokio::test]
async fn the_landing_page_says_when_to_press_again() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let mut browser = Browser::default();
    let path = link(&emulator, &landing, &mut browser).await;
    let page = browser.get(&landing, &path).await;
    let on = || Fault::on("VerifyMagicLink");
    for (fault, status, wait) in [
        (on().rate_limited(Some(Duration::from_secs(7))), 429, "7"),
        (on().respond(503).header("Retry-After", "9"), 503, "9"),
        (on().respond(503), 503, "60"),
    ] {
        emulator.faults().add(fault.times(1)).unwrap();
        let response = browser.press(&landing, &page).await;
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(retry_after(&response), Some(wait));
    }
    let response = browser.press(&landing, &page).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers().get(RETRY_AFTER), None);
}

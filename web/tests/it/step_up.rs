//! Step-up and further factors: who is let through, what others hear, and the way there and back.

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::routing::{get, post};
use descope_magiclink::{Client, DeliveryMethod, RefreshToken};
use descope_magiclink_emulator::{Emulator, User};
use descope_magiclink_web::cookies::RequestTokens;
use descope_magiclink_web::{
    LandingPage, LinkPurpose, SendError, press_button, require_mfa, require_step_up,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::browser::{Browser, EMAIL, client, landing};

const PAGE: &str = "text/html,*/*;q=0.8";

#[derive(Clone)]
struct App {
    client: Client,
    landing: LandingPage,
}

/// An application that asks for a step-up before a payment, and for a second factor elsewhere.
async fn app() -> (Emulator, Router) {
    let emulator = Emulator::builder()
        .role("admin", ["app:manage"])
        .user(User::new(EMAIL).phone("+15555550000"))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let landing = landing(&emulator).step_up_page("/step-up").build().unwrap();
    let app = Router::new()
        .route("/pay", get(async || "pay").post(async || "paid"))
        .route_layer(require_step_up())
        .merge(
            Router::new()
                .route("/vault", get(async || "vault"))
                .route_layer(require_mfa()),
        )
        .merge(
            Router::new()
                .route("/admin", get(async || "admin"))
                .route_layer(require_step_up().roles(["admin"])),
        )
        .route("/step-up", post(step_up))
        .layer(landing.session_layer())
        .layer(landing.pages_layer())
        .route_service("/verify", landing.clone())
        .with_state(App { client, landing });
    (emulator, app)
}

async fn step_up(
    State(app): State<App>,
    tokens: RequestTokens,
    request: Parts,
) -> Result<Response<String>, SendError> {
    let link = app.landing.link(&request, "the user").await?;
    let next = request.uri.query().unwrap_or_default();
    let link = link.purpose(LinkPurpose::StepUp).next(next);
    let refresh = tokens.refresh.unwrap();
    let sent = app
        .client
        .magic_link()
        .step_up(DeliveryMethod::Email, &refresh)
        .redirect_url(link.redirect_url())
        .send()
        .await;
    link.respond(sent, "/check-your-inbox")
}

async fn send(app: &Router, request: Request<String>) -> Response<String> {
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

fn request(method: &str, path: &str, headers: &[(&str, &str)]) -> Request<String> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(String::new()).unwrap()
}

#[tokio::test]
async fn a_client_is_told_to_step_up_and_not_that_its_session_has_ended() {
    let (emulator, app) = app().await;
    let plain = emulator.tokens(EMAIL).issue().unwrap().cookie_header();
    for (path, code) in [("/pay", "step_up_required"), ("/vault", "mfa_required")] {
        let response = send(&app, request("GET", path, &[("cookie", &plain)])).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(
            challenge.contains("error=\"insufficient_user_authentication\""),
            "{challenge}"
        );
        let body: Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["error"], code);
    }
    let issue = |claim: &str, value: Value| {
        let tokens = emulator.tokens(EMAIL).claim(claim, value).issue();
        tokens.unwrap().cookie_header()
    };
    let stepped = issue("su", json!(true));
    let response = send(&app, request("POST", "/pay", &[("cookie", &stepped)])).await;
    assert_eq!(response.body(), "paid");
    let factors = issue("amr", json!(["email", "sms", "mfa"]));
    let response = send(&app, request("GET", "/vault", &[("cookie", &factors)])).await;
    assert_eq!(response.body(), "vault");
    // Nobody steps up to hear that they may not.
    for cookie in [&plain, &stepped] {
        let response = send(&app, request("GET", "/admin", &[("cookie", cookie)])).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_link_by_another_method_is_a_second_factor() {
    let (emulator, app) = app().await;
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = tokens.cookie_header();
    let page = [("cookie", cookie.as_str()), ("accept", PAGE)];
    let response = send(&app, request("GET", "/vault?x=1", &page)).await;
    let way = "/step-up?next=%2Fvault%3Fx%3D1&mfa=true";
    assert_eq!(response.headers()["location"], way);

    let refresh = RefreshToken::new(tokens.refresh_jwt());
    let sent = client(&emulator)
        .magic_link()
        .mfa(DeliveryMethod::Sms, &refresh)
        .redirect_url("https://app.example.com/verify?next=/vault");
    sent.send().await.unwrap();
    let message = emulator.outbox().last_for("+15555550000").unwrap();
    let back = press_button(app.clone(), message.link(), "", &cookie)
        .await
        .unwrap();
    assert_eq!(back.headers()["location"], "/vault");
    let mut browser = Browser::default();
    browser.keep(back.headers());
    let cookies = browser.headers()["cookie"].to_str().unwrap().to_owned();
    let response = send(&app, request("GET", "/vault", &[("cookie", &cookies)])).await;
    assert_eq!(response.body(), "vault");
    // It is no step-up.
    let response = send(&app, request("GET", "/pay", &[("cookie", &cookies)])).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_page_leads_to_the_link_and_the_link_leads_back() {
    let (emulator, app) = app().await;
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = tokens.cookie_header();
    let headers = [("cookie", cookie.as_str()), ("accept", PAGE)];
    let response = send(&app, request("GET", "/pay?to=ann&sum=5", &headers)).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let way = "/step-up?next=%2Fpay%3Fto%3Dann%26sum%3D5";
    assert_eq!(response.headers()["location"], way);
    // A form is not sent once more: the way back is to the page that it was on.
    let form = [
        headers[0],
        headers[1],
        ("referer", "https://app.example.com/cart?x=1"),
        ("origin", "https://app.example.com"),
    ];
    let response = send(&app, request("POST", "/pay", &form)).await;
    assert_eq!(
        response.headers()["location"],
        "/step-up?next=%2Fcart%3Fx%3D1"
    );
    for foreign in [
        "https://app.example.com.evil.example/",
        "https://evil.example/pay",
        "/x",
        "",
    ] {
        let form = [headers[0], headers[1], ("referer", foreign)];
        let response = send(&app, request("POST", "/pay", &form)).await;
        assert_eq!(response.headers()["location"], "/step-up", "{foreign}");
    }

    let response = send(
        &app,
        request("POST", "/step-up?/pay?to=ann&sum=5", &headers),
    )
    .await;
    assert_eq!(
        response.status(),
        StatusCode::SEE_OTHER,
        "{}",
        response.body()
    );
    let link = emulator.outbox().last_for(EMAIL).unwrap().link().to_owned();

    // What is stepped up is the session of this browser: in another one there is no button.
    let elsewhere = press_button(app.clone(), &link, EMAIL, "").await.unwrap();
    assert_eq!(elsewhere.status(), StatusCode::FORBIDDEN);
    assert_eq!(emulator.requests().count("VerifyMagicLink"), 0);
    // It leads to the page that the link is for, which asks for all that is missing there: a sign-in, then a link.
    let way = "<a href=\"/pay?to=ann&amp;sum=5\">Get a new link</a>";
    assert!(elsewhere.body().contains(way), "{}", elsewhere.body());
    let response_elsewhere = send(&app, request("GET", "/pay?to=ann&sum=5", &headers[1..])).await;
    let sign_in = "/sign-in?next=%2Fpay%3Fto%3Dann%26sum%3D5";
    assert_eq!(response_elsewhere.headers()["location"], sign_in);

    let mut browser = Browser::default();
    for pair in cookie.split("; ") {
        let (name, value) = pair.split_once('=').unwrap();
        browser.cookies.insert(name.to_owned(), value.to_owned());
    }
    browser.keep(response.headers());
    let cookies = browser.headers()["cookie"].to_str().unwrap().to_owned();
    let back = press_button(app.clone(), &link, EMAIL, &cookies)
        .await
        .unwrap();
    assert_eq!(back.status(), StatusCode::SEE_OTHER, "{}", back.body());
    assert_eq!(back.headers()["location"], "/pay?to=ann&sum=5");
    browser.keep(back.headers());
    let cookies = browser.headers()["cookie"].to_str().unwrap().to_owned();
    let response = send(&app, request("GET", "/pay", &[("cookie", &cookies)])).await;
    assert_eq!(response.body(), "pay");

    // It wears off with its token, and the refresh that follows does not give it back.
    browser.cookies.remove("__Host-DS");
    let cookies = browser.headers()["cookie"].to_str().unwrap().to_owned();
    let headers = [("cookie", cookies.as_str()), ("accept", PAGE)];
    let response = send(&app, request("GET", "/pay", &headers)).await;
    assert_eq!(response.headers()["location"], "/step-up?next=%2Fpay");
    assert_eq!(emulator.requests().count("RefreshSession"), 1);
}

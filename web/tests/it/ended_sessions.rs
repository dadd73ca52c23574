//! A sign-out counts at once in the process that made it.

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::routing::{get, post};
use descope_magiclink_emulator::Fault;
use descope_magiclink_web::{LandingPage, require_session};
use http::{Request, Response, StatusCode};
use tower::ServiceExt;

use crate::browser::{EMAIL, ORIGIN, client, emulator, landing};

async fn sign_out(State(landing): State<LandingPage>, request: Parts) -> Response<String> {
    landing.sign_out(&request, "/").await
}

async fn send(app: &Router, method: &str, path: &str, header: (&str, &str)) -> StatusCode {
    let request = Request::builder().method(method).uri(path);
    let request = request.header(header.0, header.1).header("origin", ORIGIN);
    let request = request.body(axum::body::Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test]
async fn tokens_that_were_kept_are_of_no_use_after_a_sign_out_even_when_the_service_is_down() {
    for is_down in [false, true] {
        let emulator = emulator().await;
        let landing = landing(&emulator).build().unwrap();
        let app = Router::new()
            .route("/orders", get(async || "orders"))
            .route_layer(require_session())
            .route("/sign-out", post(sign_out))
            .layer(landing.session_layer())
            .with_state(landing);
        let mine = emulator.tokens(EMAIL).issue().unwrap();
        let other = emulator.tokens(EMAIL).issue().unwrap();
        let cookie = mine.cookie_header();
        let cookie = ("cookie", cookie.as_str());
        assert_eq!(send(&app, "GET", "/orders", cookie).await, StatusCode::OK);
        if is_down {
            let fault = Fault::on("Logout").respond(503);
            emulator.faults().add(fault).unwrap();
        }
        let out = send(&app, "POST", "/sign-out", cookie).await;
        assert_eq!(out, StatusCode::SEE_OTHER);

        // Whoever has kept the tokens: both, each alone, in a cookie or in the header.
        let refresh = format!("__Host-DSR={}", mine.refresh_jwt());
        let bearer = format!("Bearer {}", mine.session_jwt());
        for kept in [cookie, ("cookie", &refresh), ("authorization", &bearer)] {
            let status = send(&app, "GET", "/orders", kept).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{is_down}");
        }
        assert_eq!(emulator.requests().count("RefreshSession"), 0);
        // The user's other sign-in goes on.
        let other = other.cookie_header();
        let status = send(&app, "GET", "/orders", ("cookie", &other)).await;
        assert_eq!(status, StatusCode::OK);
    }
}

/// Another process does not know of it, and takes the session token until it ends.
#[tokio::test]
async fn a_validator_alone_knows_nothing_of_it() {
    let emulator = emulator().await;
    let client = client(&emulator);
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let token = descope_magiclink::SessionToken::new(tokens.session_jwt());
    let refresh = descope_magiclink::RefreshToken::new(tokens.refresh_jwt());
    client.sessions().logout(&refresh).await.unwrap();
    assert!(client.sessions().validate(&token).await.is_ok());
}

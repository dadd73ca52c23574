//! The example `web`, without a browser: what its pages must not lose.

use axum::Router;
use axum::body::Body;
use descope_magiclink_emulator::{Emulator, User};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::browser::{EMAIL, client, set_cookies};
use crate::example::app;

const URL: &str = "http://127.0.0.1:8080";

async fn start() -> (Emulator, Router) {
    let emulator = Emulator::builder()
        .role("admin", ["app:manage"])
        .user(User::new(EMAIL).name("{email} <b>"))
        .start()
        .await
        .unwrap();
    let app = app(client(&emulator), URL).unwrap();
    (emulator, app)
}

async fn ask(
    app: &Router,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> Response<String> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_page_about_a_problem_keeps_the_cookies_of_a_renewed_session() {
    let (emulator, app) = start().await;
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("DSR={}", tokens.refresh_jwt());
    let answer = ask(&app, Method::GET, "/admin", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.body().contains("<h1>Not for you</h1>"));
    let headers = answer.headers();
    assert!(
        set_cookies(headers).contains(&"DS".to_owned()),
        "{headers:?}"
    );
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    let challenge = headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    if let Some(length) = headers.get("content-length") {
        assert_eq!(*length, *answer.body().len().to_string());
    }
}

#[tokio::test]
async fn who_is_not_signed_in_comes_back_to_pages_only() {
    let (_emulator, app) = start().await;
    for (method, path, location) in [
        (Method::GET, "/members", "/sign-in?next=%2Fmembers"),
        (Method::POST, "/email", "/sign-in"),
    ] {
        let answer = ask(&app, method, path, &[]).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()["location"], location);
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn another_site_can_sign_nobody_out() {
    let (emulator, app) = start().await;
    for headers in [
        [("sec-fetch-site", "cross-site")],
        [("sec-fetch-site", "same-site")],
        [("origin", "https://evil.example")],
    ] {
        let answer = ask(&app, Method::POST, "/sign-out", &headers).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert_eq!(set_cookies(answer.headers()), [""; 0]);
        assert!(answer.body().contains("<h1>That did not work</h1>"));
    }
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("DSR={}", tokens.refresh_jwt());
    let own = [("origin", URL), ("cookie", &cookie)];
    let answer = ask(&app, Method::POST, "/sign-out", &own).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(set_cookies(answer.headers()), ["DS", "DSR"]);
}

#[tokio::test]
async fn a_value_that_looks_like_a_placeholder_stays_as_it_is() {
    let (emulator, app) = start().await;
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("DS={}; DSR={}", tokens.session_jwt(), tokens.refresh_jwt());
    let answer = ask(&app, Method::GET, "/members", &[("cookie", &cookie)]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(
        answer
            .body()
            .contains("Welcome, <strong>{email} &lt;b&gt;</strong>")
    );
}

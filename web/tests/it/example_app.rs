//! The example `web`, without a browser: what its pages must not lose.

use axum::Router;
use axum::body::Body;
use descope_magiclink_emulator::{Emulator, Tenant, User};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::browser::{EMAIL, client, set_cookies};
use crate::example::app;

const PAGE: (&str, &str) = ("accept", "text/html");
const URL: &str = "http://127.0.0.1:8080";

async fn start() -> (Emulator, Router) {
    let emulator = Emulator::builder()
        .role("admin", ["app:manage"])
        .role("brewer", ["tea:brew"])
        .tenant(Tenant::new("north"))
        .user(
            User::new(EMAIL)
                .name("{email} <b>")
                .tenant("north", ["brewer"]),
        )
        .start()
        .await
        .unwrap();
    let app = app(client(&emulator), URL, "http://127.0.0.1:8055/_emulator/").unwrap();
    (emulator, app)
}

async fn request(
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

async fn send(app: &Router, path: &str, form: &str, cookie: &str) -> Response<String> {
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", URL)
        .header("accept", "text/html")
        .header("cookie", cookie);
    let request = request.body(Body::from(form.to_owned())).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(parts, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_form_tells_its_mistakes_beside_the_field_and_keeps_what_was_typed() {
    let (emulator, app) = start().await;
    let stepped = emulator.tokens(EMAIL).claim("su", true).issue().unwrap();
    let cookie = format!(
        "DS={}; DSR={}",
        stepped.session_jwt(),
        stepped.refresh_jwt()
    );
    for (path, form, field, kept) in [
        (
            "/sign-up",
            "name=J%22oe&email=joe&phone=",
            "email",
            "value=\"J&quot;oe\"",
        ),
        (
            "/sign-up",
            "name=Joe&email=a%40b.c&phone=12",
            "phone",
            "value=\"12\"",
        ),
        (
            "/sign-in",
            "email=&method=whatsapp&next=%2Fx",
            "email",
            "value=\"whatsapp\" checked",
        ),
        ("/email", "email=ann", "email", "value=\"ann\""),
        (
            "/phone",
            "phone=no&method=whatsapp",
            "phone",
            "value=\"no\"",
        ),
    ] {
        let response = send(&app, path, form, &cookie).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        let body = response.body();
        assert!(
            body.contains(&format!("id=\"{field}-problem\"")),
            "{path}: {body}"
        );
        assert!(
            body.contains("aria-invalid") && body.contains(kept),
            "{path}: {body}"
        );
        for name in ["login_id", "user.", "the argument"] {
            assert!(!body.contains(name), "{path}: {body}");
        }
    }
}

#[tokio::test]
async fn pages_have_a_language_and_there_is_one_for_what_is_not_there() {
    let (emulator, app) = start().await;
    let german = ("accept-language", "de");
    let response = request(&app, Method::GET, "/nowhere", &[PAGE, german]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(response.body().contains("<html lang=\"de\">"));
    let response = request(&app, Method::GET, "/verify?t=x", &[PAGE, german]).await;
    assert!(response.body().contains("<html lang=\"de\">"));
    // A tenant's page is for its members, each with a role there.
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("DS={}", tokens.session_jwt());
    let signed_in = [("cookie", cookie.as_str()), PAGE];
    let response = request(&app, Method::GET, "/houses/north", &signed_in).await;
    assert_eq!(response.status(), StatusCode::OK);
    let response = request(&app, Method::GET, "/houses/south", &signed_in).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let response = request(&app, Method::GET, "/account", &signed_in).await;
    assert_eq!(response.headers()["location"], "/step-up?next=%2Faccount");
}

#[tokio::test]
async fn a_page_about_a_problem_keeps_the_cookies_of_a_renewed_session() {
    let (emulator, app) = start().await;
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("DSR={}", tokens.refresh_jwt());
    let response = request(&app, Method::GET, "/admin", &[("cookie", &cookie), PAGE]).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.body().contains("<h1>Not for this account</h1>"));
    let headers = response.headers();
    assert!(
        set_cookies(headers).contains(&"DS".to_owned()),
        "{headers:?}"
    );
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["content-type"], "text/html; charset=utf-8");
    let challenge = headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("insufficient_scope"), "{challenge}");
    if let Some(length) = headers.get("content-length") {
        assert_eq!(*length, *response.body().len().to_string());
    }
}

#[tokio::test]
async fn who_is_not_signed_in_comes_back_to_pages_only() {
    let (_emulator, app) = start().await;
    for (method, path, location) in [
        (Method::GET, "/members", "/sign-in?next=%2Fmembers"),
        (
            Method::GET,
            "/members?tab=2&q=a",
            "/sign-in?next=%2Fmembers%3Ftab%3D2%26q%3Da",
        ),
        (Method::POST, "/email", "/sign-in"),
    ] {
        let response = request(&app, method, path, &[PAGE]).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()["location"], location);
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn another_site_can_sign_nobody_out() {
    let (emulator, app) = start().await;
    for headers in [
        [("sec-fetch-site", "cross-site"), PAGE],
        [("sec-fetch-site", "same-site"), PAGE],
        [("origin", "https://evil.example"), PAGE],
    ] {
        let response = request(&app, Method::POST, "/sign-out", &headers).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        assert_eq!(set_cookies(response.headers()), [""; 0]);
        assert!(
            response
                .body()
                .contains("<h1>Please open the page again</h1>")
        );
    }
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("DSR={}", tokens.refresh_jwt());
    let own = [("origin", URL), ("cookie", &cookie)];
    let response = request(&app, Method::POST, "/sign-out", &own).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(set_cookies(response.headers()), ["DS", "DSR"]);
}

#[tokio::test]
async fn a_value_that_looks_like_a_placeholder_stays_as_it_is() {
    let (emulator, app) = start().await;
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("DS={}; DSR={}", tokens.session_jwt(), tokens.refresh_jwt());
    let response = request(&app, Method::GET, "/members", &[("cookie", &cookie)]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(
        response
            .body()
            .contains("Welcome, <strong>{email} &lt;b&gt;</strong>")
    );
}

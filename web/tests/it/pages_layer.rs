//! The layer around an application with pages.

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::routing::{get, post};
use descope_magiclink::{Client, DeliveryMethod, Error};
use descope_magiclink_emulator::{Emulator, Fault};
use descope_magiclink_web::{
    LandingPage, LandingTexts, Rejection, SendError, press_button, require_roles, require_session,
};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::browser::{EMAIL, ORIGIN, emulator, landing, set_cookies};

const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn app(landing: &LandingPage) -> Router {
    Router::new()
        .route("/orders", get(async || "orders").post(async || "ordered"))
        .route("/sign-in", get(async || "a mistake of the application's"))
        .route("/sign-out", post(sign_out))
        .route_layer(require_session())
        .merge(
            Router::new()
                .route("/admin", get(async || "admin"))
                .route_layer(require_roles(["admin"])),
        )
        .route(
            "/slow",
            get(async || SendError::RateLimited {
                retry_after: Some(std::time::Duration::from_secs(90)),
            }),
        )
        .route("/address", post(async || SendError::ServiceUnavailable))
        .route("/typed", get(bad).post(bad))
        .route("/mistyped", get(mistyped))
        .route(
            "/own",
            get(async || (StatusCode::NOT_FOUND, axum::response::Html("<p>ours"))),
        )
        .layer(landing.session_layer())
        .layer(landing.pages_layer())
        .route_service("/verify", landing.clone())
        .with_state(landing.clone())
}

async fn mistyped() -> SendError {
    let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    let request = client.magic_link().sign_in(DeliveryMethod::Email, "");
    let Err(Error::InvalidArgument(argument)) = request.send().await else {
        unreachable!("an address that is empty");
    };
    SendError::InvalidAddress(argument)
}

async fn bad() -> StatusCode {
    StatusCode::BAD_REQUEST
}

async fn sign_out(State(landing): State<LandingPage>, request: Parts) -> Response<String> {
    landing.sign_out(&request, "/bye").await
}

async fn start() -> (Emulator, Router) {
    let emulator = emulator().await;
    let app = app(&landing(&emulator).build().unwrap());
    (emulator, app)
}

async fn send(
    app: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
) -> Response<String> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Response::from_parts(head, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn pages_lead_to_the_sign_in_page_with_path_and_query_and_apis_get_json() {
    let (_emulator, app) = start().await;
    for (path, location) in [
        ("/orders", "/sign-in?next=%2Forders"),
        (
            "/orders?page=2&q=a%20b",
            "/sign-in?next=%2Forders%3Fpage%3D2%26q%3Da%2520b",
        ),
        // What is no page of ours is no way back.
        ("//evil.example/orders", ""),
    ] {
        let response = send(&app, "GET", path, &[PAGE]).await;
        if location.is_empty() {
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            continue;
        }
        assert_eq!(response.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(response.headers()["location"], location);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert!(response.extensions().get::<Rejection>().is_some());
        assert_eq!(response.body(), "");
    }
    for headers in [
        &[][..],
        &[("accept", "*/*")],
        &[("accept", "application/json")],
    ] {
        let response = send(&app, "GET", "/orders?page=2", headers).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(
            response.headers()["www-authenticate"],
            "Bearer realm=\"session\""
        );
        let body: Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["error"], "missing_token");
        assert!(body["message"].is_string());
    }
}

#[tokio::test]
async fn a_sign_in_page_that_asks_for_a_session_leads_nowhere_and_not_in_a_circle() {
    let (_emulator, app) = start().await;
    let response = send(&app, "GET", "/sign-in?next=%2Forders", &[PAGE]).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(response.headers().get("location").is_none());
    assert!(response.body().contains("<h1>Please sign in</h1>"));
}

#[tokio::test]
async fn what_is_a_page_can_be_said_otherwise() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let app = Router::new()
        .route("/api/orders", get(async || "orders"))
        .route("/orders", get(async || "orders"))
        .route_layer(require_session())
        .layer(landing.session_layer())
        .layer(
            landing
                .pages_layer()
                .pages_for(|request| !request.uri.path().starts_with("/api/")),
        );
    let response = send(&app, "GET", "/api/orders", &[PAGE]).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let response = send(&app, "GET", "/orders", &[]).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn problems_have_pages_in_the_readers_language_and_keep_their_head() {
    let (emulator, app) = start().await;
    // A session that is renewed on the way to a page that is refused.
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let cookie = format!("__Host-DSR={}", tokens.refresh_jwt());
    let german = ("accept-language", "de_CH, en;q=0.5");
    let headers = [("cookie", cookie.as_str()), PAGE, german];
    let response = send(&app, "GET", "/admin", &headers).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.body().contains("<html lang=\"de\">"));
    assert!(response.body().contains("<h1>Nicht für dieses Konto</h1>"));
    assert!(response.body().contains("href=\"/members\""));
    assert_eq!(
        response.headers()["content-type"],
        "text/html; charset=utf-8"
    );
    assert_eq!(response.headers()["content-language"], "de");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(set_cookies(response.headers()).contains(&"__Host-DS".to_owned()));

    // An outage is no sign-out: the page is the one that was asked for.
    let fault = Fault::on("RefreshSession").respond(503).times(1);
    emulator.faults().add(fault).unwrap();
    let other = emulator.tokens(EMAIL).issue().unwrap();
    let other = format!("__Host-DSR={}", other.refresh_jwt());
    let response = send(&app, "GET", "/orders?page=2", &[("cookie", &other), PAGE]).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.body().contains("<h1>Not right now</h1>"));
    let again = "<a href=\"/orders?page=2\">Try again</a>";
    assert!(response.body().contains(again), "{}", response.body());

    let response = send(&app, "GET", "/slow", &[PAGE]).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "90");
    assert!(response.body().contains("role=\"timer\"") && response.body().contains("90s linear"));
    assert!(response.body().contains("<a href=\"/slow\">Try again</a>"));

    // The router's own 404, and one that the application has made a page for.
    let response = send(&app, "GET", "/nowhere", &[PAGE]).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(response.body().contains("<h1>There is no such page</h1>"));
    assert_eq!(send(&app, "GET", "/own", &[PAGE]).await.body(), "<p>ours");
    assert_eq!(send(&app, "GET", "/nowhere", &[]).await.body(), "");
    // A page that only a form leads to.
    let headers = [("cookie", cookie.as_str()), PAGE];
    let response = send(&app, "GET", "/sign-out", &headers).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(response.headers().contains_key("allow"));
    assert!(response.body().contains("<h1>There is no such page</h1>"));
}

#[tokio::test]
async fn a_form_that_can_be_sent_once_more_is_a_link_away() {
    let (_emulator, app) = start().await;
    let settings = [PAGE, ("referer", "https://app.example.com/settings?tab=2")];
    let back = "<a href=\"/settings?tab=2\">Try again</a>";
    for path in ["/address", "/typed"] {
        let response = send(&app, "POST", path, &settings).await;
        assert!(response.body().contains(back), "{}", response.body());
    }
    // Where it is not known from which page it came.
    let sign_in = "<a href=\"/sign-in\">Continue</a>";
    for (method, path) in [("POST", "/address"), ("GET", "/mistyped")] {
        let response = send(&app, method, path, &[PAGE]).await;
        assert!(response.body().contains(sign_in), "{}", response.body());
    }
    // What is wrong without a form is no better the next time.
    let response = send(&app, "GET", "/typed", &[PAGE]).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(!response.body().contains("<a "), "{}", response.body());
}

#[tokio::test]
async fn a_template_knows_the_status_of_its_page() {
    let emulator = emulator().await;
    let landing = landing(&emulator)
        .template(|page| format!("{} {}", page.status().as_u16(), page.title()))
        .build()
        .unwrap();
    let app = app(&landing);
    for (path, text) in [
        ("/nowhere", "404 There is no such page"),
        ("/slow", "429 Please wait a little"),
        ("/verify?t=0a1b", "200 Sign in"),
        ("/verify", "400 This link is incomplete"),
    ] {
        assert_eq!(send(&app, "GET", path, &[PAGE]).await.body(), text);
    }
}

#[tokio::test]
async fn forms_of_other_sites_do_nothing_whatever_they_are_for() {
    let (emulator, app) = start().await;
    let cookie = emulator.tokens(EMAIL).issue().unwrap().cookie_header();
    for foreign in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("origin", "https://evil.example"),
    ] {
        for path in ["/orders", "/sign-out"] {
            let response = send(&app, "POST", path, &[("cookie", &cookie), foreign, PAGE]).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{path}");
            assert_eq!(set_cookies(response.headers()), [""; 0]);
            assert!(
                response
                    .body()
                    .contains("<h1>Please open the page again</h1>")
            );
        }
        let response = send(&app, "POST", "/orders", &[("cookie", &cookie), foreign]).await;
        let body: Value = serde_json::from_str(response.body()).unwrap();
        assert_eq!(body["error"], "cross_site");
        // Reading is what other sites' links do.
        let response = send(&app, "GET", "/orders", &[("cookie", &cookie), foreign]).await;
        assert_eq!(response.body(), "orders");
        // No other site can make a browser send this.
        let bearer = format!(
            "Bearer {}",
            emulator.tokens(EMAIL).issue().unwrap().session_jwt()
        );
        let response = send(
            &app,
            "POST",
            "/orders",
            &[("authorization", &bearer), foreign],
        )
        .await;
        assert_eq!(response.body(), "ordered");
    }
    let own = [("cookie", cookie.as_str()), ("origin", ORIGIN)];
    let response = send(&app, "POST", "/orders", &own).await;
    assert_eq!(response.body(), "ordered");
}

#[tokio::test]
async fn a_sign_out_clears_the_cookies_even_when_the_service_cannot_be_told() {
    let (emulator, app) = start().await;
    let cookie = emulator.tokens(EMAIL).issue().unwrap().cookie_header();
    let fault = Fault::on("Logout").respond(503);
    let fault = emulator.faults().add(fault).unwrap();
    let own = [("cookie", cookie.as_str()), ("origin", ORIGIN), PAGE];
    let response = send(&app, "POST", "/sign-out", &own).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/bye");
    assert_eq!(set_cookies(response.headers()), ["__Host-DS", "__Host-DSR"]);
    assert!(emulator.faults().hits(fault) > 0);
}

#[tokio::test]
async fn an_application_chooses_the_language_of_its_pages() {
    let emulator = emulator().await;
    let landing = landing(&emulator)
        .languages([
            LandingTexts::english(),
            LandingTexts::translation("pt_BR").refusal(
                StatusCode::NOT_FOUND,
                "Não existe",
                "Esta página não existe.",
            ),
        ])
        .language(|request| Some(request.uri.query()?.strip_prefix("lang=")?.to_owned()))
        .build()
        .unwrap();
    let app = app(&landing);
    for path in ["/nowhere?lang=pt_BR", "/nowhere?lang=pt-BR"] {
        let response = send(&app, "GET", path, &[PAGE]).await;
        assert!(response.body().contains("<html lang=\"pt-BR\">"), "{path}");
        assert!(response.body().contains("<h1>Não existe</h1>"), "{path}");
    }
    let response = send(&app, "GET", "/verify?lang=pt_BR", &[PAGE]).await;
    assert!(response.body().contains("<html lang=\"pt-BR\">"));
}

#[tokio::test]
async fn a_test_presses_the_button_without_reading_the_page() {
    let (emulator, app) = start().await;
    let sent = crate::browser::client(&emulator)
        .magic_link()
        .sign_in(descope_magiclink::DeliveryMethod::Email, EMAIL)
        .redirect_url(crate::browser::VERIFY)
        .send()
        .await;
    sent.unwrap();
    let message = emulator.outbox().last_for(EMAIL).unwrap();
    let response = press_button(app.clone(), message.link(), EMAIL, "")
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    assert_eq!(response.headers()["location"], "/members");
    assert!(set_cookies(response.headers()).contains(&"__Host-DS".to_owned()));
    // Where there is no button, the page says why.
    let response = press_button(app, message.link(), EMAIL, "").await.unwrap();
    assert_eq!(response.status(), StatusCode::GONE);
    assert!(
        response
            .body()
            .contains("<h1>This link was already used</h1>")
    );
}

#[tokio::test]
async fn a_call_on_a_users_behalf_that_came_too_often_counts_down_too() {
    let emulator = emulator().await;
    let landing = landing(&emulator).build().unwrap();
    let client = crate::browser::client(&emulator);
    let tokens = emulator.tokens(EMAIL).issue().unwrap();
    let refresh = descope_magiclink::RefreshToken::new(tokens.refresh_jwt());
    let me = async move || {
        let user = client.sessions().me(&refresh).await?;
        Ok::<_, Rejection>(user.email().unwrap_or_default().to_owned())
    };
    let app = Router::new()
        .route("/me", get(me))
        .layer(landing.pages_layer());
    let fault = Fault::on("Me").rate_limited(Some(std::time::Duration::from_secs(150)));
    emulator.faults().add(fault).unwrap();
    let response = send(&app, "GET", "/me", &[PAGE]).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "150");
    assert!(response.body().contains("content:counter(wait) \" min\""));
    assert!(response.body().contains("wait 150s linear"));
    let response = send(&app, "GET", "/me", &[]).await;
    let body: Value = serde_json::from_str(response.body()).unwrap();
    assert_eq!(body["error"], "rate_limited");
}

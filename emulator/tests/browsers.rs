//! Which pages of a browser may call an emulator that has its control endpoints on.
#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    reason = "a failing test should stop where it fails"
)]

use descope_magiclink_emulator::{Emulator, User};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

const SIGN_IN: &str = "/v1/auth/magiclink/signin/email";
const MESSAGES: &str = "/_emulator/v1/messages";

async fn program() -> Emulator {
    Emulator::builder()
        .user(User::new("joe@example.com"))
        .control(true)
        .allowed_hosts(["emulator"])
        .allowed_origins(["http://localhost:3000"])
        .start()
        .await
        .unwrap()
}

/// Sends a request with headers and gives the status and headers of the response.
async fn send(
    emulator: &Emulator,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
) -> (StatusCode, HeaderMap) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{path}", emulator.base_url());
    let mut request = http.request(method, url).bearer_auth(emulator.project_id());
    if path == SIGN_IN {
        request = request.json(&serde_json::json!({ "loginId": "joe@example.com" }));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status(), response.headers().clone())
}

#[tokio::test]
async fn a_page_reaches_the_api_only_from_this_machine_or_an_allowed_origin() {
    let emulator = program().await;
    let own = emulator.base_url().to_owned();
    let here = own.trim_start_matches("http://");
    for (headers, is_served) in [
        // Not a browser: any name will do, as in a network of containers. Node's fetch sends the mode alone.
        (vec![], true),
        (vec![("host", "api.test:8055")], true),
        (vec![("host", "api.test"), ("sec-fetch-mode", "cors")], true),
        // The emulator's own page.
        (
            vec![("origin", own.as_str()), ("sec-fetch-site", "same-origin")],
            true,
        ),
        (vec![("sec-fetch-site", "same-origin")], true),
        (vec![("sec-fetch-site", "none")], true),
        (
            vec![
                ("host", "emulator:8055"),
                ("origin", "http://emulator:8055"),
            ],
            true,
        ),
        (
            vec![
                ("origin", "http://localhost:3000"),
                ("sec-fetch-site", "cross-site"),
            ],
            true,
        ),
        // Another page, by its own name or by one that points here.
        (vec![("origin", "http://evil.test")], false),
        (vec![("origin", "null")], false),
        (vec![("origin", "http://localhost:3001")], false),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("sec-fetch-site", "same-site")], false),
        (
            vec![
                ("host", "evil.test:8055"),
                ("origin", "http://evil.test:8055"),
            ],
            false,
        ),
        (
            vec![
                ("host", "evil.test:8055"),
                ("sec-fetch-site", "same-origin"),
            ],
            false,
        ),
        (
            vec![("host", "evil.test"), ("origin", "http://localhost:3000")],
            false,
        ),
        (
            vec![
                ("host", here),
                ("origin", "http://evil.test"),
                ("sec-fetch-site", "none"),
            ],
            false,
        ),
    ] {
        let (status, response) = send(&emulator, Method::POST, SIGN_IN, &headers).await;
        let wanted = if is_served {
            StatusCode::OK
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(status, wanted, "{headers:?}");
        let allowed = response.get("access-control-allow-origin");
        let is_cors = is_served && headers.contains(&("origin", "http://localhost:3000"));
        assert_eq!(allowed.is_some(), is_cors, "{headers:?}");
    }
    let served = emulator.requests().count("SignInMagicLinkEmail");
    assert_eq!(served, 8, "what is refused is no request of the API");
}

#[tokio::test]
async fn the_control_endpoints_look_at_every_host() {
    let emulator = program().await;
    let own = emulator.base_url().to_owned();
    for (headers, is_served) in [
        (vec![], true),
        (vec![("host", "emulator:8055")], true),
        (vec![("origin", own.as_str())], true),
        // A page under a name that points here sends no more than this with a GET.
        (vec![("host", "evil.test:8055")], false),
        (vec![("sec-fetch-site", "cross-site")], false),
        (vec![("origin", "http://localhost:3000")], false),
    ] {
        let (status, _) = send(&emulator, Method::GET, MESSAGES, &headers).await;
        let wanted = if is_served {
            StatusCode::OK
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(status, wanted, "{headers:?}");
    }
}

#[tokio::test]
async fn an_allowed_origin_may_ask_before_it_calls() {
    let emulator = program().await;
    let ask = [
        ("origin", "http://localhost:3000"),
        ("access-control-request-method", "POST"),
        (
            "access-control-request-headers",
            "authorization,content-type",
        ),
    ];
    let (status, headers) = send(&emulator, Method::OPTIONS, SIGN_IN, &ask).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    for (name, value) in [
        ("access-control-allow-origin", "http://localhost:3000"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-headers", "authorization,content-type"),
        ("access-control-allow-methods", "GET, POST, DELETE"),
        ("vary", "Origin"),
    ] {
        assert_eq!(headers.get(name).unwrap(), value);
    }
    let foreign = [("origin", "http://evil.test"), ask[1]];
    let (status, headers) = send(&emulator, Method::OPTIONS, SIGN_IN, &foreign).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(headers.get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn without_control_endpoints_every_request_is_served() {
    let emulator = Emulator::builder()
        .user(User::new("joe@example.com"))
        .start()
        .await
        .unwrap();
    let headers = [("host", "evil.test"), ("origin", "http://evil.test")];
    let (status, _) = send(&emulator, Method::POST, SIGN_IN, &headers).await;
    assert_eq!(status, StatusCode::OK, "a test inside its own process");
}

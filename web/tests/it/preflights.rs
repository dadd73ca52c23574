//! CORS preflights, which carry neither cookies nor tokens.

use axum::Router;
use axum::routing::get;
use descope_magiclink_emulator::Emulator;
use descope_magiclink_web::{SessionLayer, require_roles, require_session};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use tower::ServiceExt;
use tower_http::cors::CorsLayer;

use crate::browser::{EMAIL, client, emulator};

const SHOP: &str = "https://shop.example.com";

async fn send(app: &Router, method: Method, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap) {
    let mut request = Request::builder().method(method).uri("/orders");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    (response.status(), response.headers().clone())
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", SHOP),
    ("access-control-request-method", "GET"),
    ("access-control-request-headers", "authorization"),
];

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static(SHOP))
        .allow_methods([Method::GET])
        .allow_headers([AUTHORIZATION])
}

#[tokio::test]
async fn a_cors_layer_outside_responds_to_preflights_and_lets_scripts_read_refusals() {
    let emulator = emulator().await;
    let app = Router::new()
        .route("/orders", get(async || "orders"))
        .layer(SessionLayer::new(&client(&emulator)).required())
        .layer(cors());
    let (status, headers) = send(&app, Method::OPTIONS, &PREFLIGHT).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-allow-origin"], SHOP);
    assert_eq!(headers["access-control-allow-headers"], "authorization");
    let (status, headers) = send(&app, Method::GET, &PREFLIGHT[..1]).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(headers["access-control-allow-origin"], SHOP);
    let bearer = emulator.tokens(EMAIL).issue().unwrap();
    let bearer = format!("Bearer {}", bearer.session_jwt());
    let with_token = [PREFLIGHT[0], ("authorization", &bearer)];
    assert_eq!(send(&app, Method::GET, &with_token).await.0, StatusCode::OK);
    // When the keys cannot be had, a script can see that, too.
    let down = Emulator::start().await.unwrap();
    let app = Router::new()
        .route("/orders", get(async || "orders"))
        .layer(SessionLayer::new(&client(&down)).required())
        .layer(cors());
    down.stop().await;
    let (status, headers) = send(&app, Method::GET, &with_token).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers["access-control-allow-origin"], SHOP);
}

/// An application that responds to preflights by itself, inside of the layers.
#[tokio::test]
async fn preflights_and_nothing_else_are_let_through_where_that_is_set() {
    let emulator = emulator().await;
    let client = client(&emulator);
    let app = |layer: SessionLayer| {
        let response = async || ([("access-control-allow-origin", SHOP)], "yes");
        Router::new()
            .route("/orders", get(async || "orders").options(response))
            .route_layer(require_roles(["admin"]))
            .route_layer(require_session())
            .layer(layer.required())
    };
    let off = app(SessionLayer::new(&client));
    let (status, _) = send(&off, Method::OPTIONS, &PREFLIGHT).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let on = app(SessionLayer::new(&client).allow_preflights());
    let (status, headers) = send(&on, Method::OPTIONS, &PREFLIGHT).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["access-control-allow-origin"], SHOP);
    let unlike: [&[(&str, &str)]; 3] = [&[], &PREFLIGHT[..1], &PREFLIGHT[1..]];
    for headers in unlike {
        let (status, _) = send(&on, Method::OPTIONS, headers).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    for method in [Method::GET, Method::POST, Method::DELETE] {
        let (status, _) = send(&on, method.clone(), &PREFLIGHT).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method}");
    }
}

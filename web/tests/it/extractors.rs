//! Extractors and layers in an axum application.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use descope_magiclink_emulator::{Emulator, Fault, Tenant, User};
use descope_magiclink_web::cookies::{RequestTokens, TokenSource};
use descope_magiclink_web::{
    CurrentSession, MaybeSession, Rejection, SessionLayer, require_permissions, require_roles,
};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::browser::{EMAIL, client};

async fn maybe(MaybeSession(session): MaybeSession) -> String {
    match session {
        Ok(session) => session.user_id().to_owned(),
        Err(why) => format!("{why:?}"),
    }
}

async fn in_tenant(session: CurrentSession) -> Result<&'static str, Rejection> {
    let tenant = session.tenant("acme")?;
    if !tenant.has_roles(["owner"]) {
        return Err(Rejection::MissingRole);
    }
    Ok("owner")
}

async fn tokens(tokens: RequestTokens) -> &'static str {
    match tokens.session_source {
        Some(TokenSource::Bearer) => "bearer",
        Some(TokenSource::Cookie) => "cookie",
        _ => "none",
    }
}

fn routes() -> Router {
    Router::new()
        .route(
            "/session",
            get(|session: CurrentSession| async move { session.user_id().to_owned() }),
        )
        .route(
            "/option",
            get(|session: Option<CurrentSession>| async move { session.is_some().to_string() }),
        )
        .route("/maybe", get(maybe))
        .route("/tokens", get(tokens))
        .route("/in-tenant", get(in_tenant))
        .merge(
            Router::new()
                .route("/admin", get(|| async { "admin" }))
                .route_layer(require_roles(["admin"])),
        )
        .merge(
            Router::new()
                .route("/tenants/{tenant}/invoices", get(|| async { "invoices" }))
                .route_layer(
                    require_permissions(["invoice:read"])
                        .in_tenant_of_path("/tenants/{tenant}")
                        .unwrap(),
                ),
        )
}

async fn send(app: &Router, path: &str, session: Option<&str>) -> (StatusCode, String) {
    let mut request = Request::get(path);
    if let Some(token) = session {
        request = request.header("cookie", format!("__Host-DS={token}"));
    }
    let response = app
        .clone()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

async fn emulator() -> Emulator {
    Emulator::builder()
        .role("reader", ["invoice:read"])
        .role("owner", ["invoice:write"])
        .role("admin", ["app:manage"])
        .tenant(Tenant::new("acme"))
        .tenant(Tenant::new("beta"))
        .user(
            User::new(EMAIL)
                .role("admin")
                .tenant("acme", ["reader"])
                .tenant("beta", ["owner"]),
        )
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn extractors_tell_what_the_layer_found() {
    let emulator = emulator().await;
    let app = routes().layer(SessionLayer::new(&client(&emulator)));
    let good = emulator.tokens(EMAIL).issue().unwrap();
    let good = Some(good.session_jwt());
    let expired = emulator.tokens(EMAIL).expired().issue().unwrap();
    let expired = Some(expired.session_jwt());

    let (status, user) = send(&app, "/session", good).await;
    assert_eq!(status, StatusCode::OK);
    assert!(user.starts_with('U'));
    assert_eq!(send(&app, "/maybe", good).await.1, user);
    assert_eq!(send(&app, "/option", good).await.1, "true");
    assert_eq!(send(&app, "/tokens", good).await.1, "cookie");
    for session in [None, expired] {
        assert_eq!(
            send(&app, "/session", session).await.0,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(send(&app, "/option", session).await.1, "false");
        assert_eq!(
            send(&app, "/admin", session).await.0,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(send(&app, "/maybe", None).await.1, "MissingToken");
    assert_eq!(
        send(&app, "/maybe", expired).await.1,
        "InvalidToken(Expired)"
    );
    assert_eq!(send(&app, "/tokens", None).await.1, "none");

    for (path, status) in [
        ("/admin", StatusCode::OK),
        ("/in-tenant", StatusCode::FORBIDDEN),
        ("/tenants/acme/invoices", StatusCode::OK),
        ("/tenants/beta/invoices", StatusCode::FORBIDDEN),
        ("/tenants/gamma/invoices", StatusCode::FORBIDDEN),
    ] {
        assert_eq!(send(&app, path, good).await.0, status, "{path}");
    }
}

#[tokio::test]
async fn an_outage_is_no_sign_out() {
    let emulator = emulator().await;
    emulator
        .faults()
        .add(Fault::on("GetKeysV2").respond(503))
        .unwrap();
    let app = routes().layer(SessionLayer::new(&client(&emulator)));
    let good = emulator.tokens(EMAIL).issue().unwrap();
    let good = Some(good.session_jwt());
    for path in ["/session", "/admin", "/tenants/acme/invoices"] {
        assert_eq!(
            send(&app, path, good).await.0,
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
    assert_eq!(
        send(&app, "/option", good).await,
        (StatusCode::OK, "false".to_owned())
    );
    assert!(
        send(&app, "/maybe", good)
            .await
            .1
            .starts_with("Unavailable")
    );
}

#[tokio::test]
async fn without_a_layer_each_of_them_names_it() {
    let app = routes();
    for path in [
        "/session",
        "/option",
        "/maybe",
        "/tokens",
        "/in-tenant",
        "/admin",
        "/tenants/acme/invoices",
    ] {
        let (status, text) = send(&app, path, None).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert!(text.contains("SessionLayer"), "{path}: {text}");
    }
}

#[tokio::test]
async fn another_layer_cannot_plant_a_session() {
    let one = emulator().await;
    let other = emulator().await;
    // The outer layer is for another project; its session is not the inner one's.
    let app = routes()
        .layer(SessionLayer::new(&client(&one)))
        .layer(SessionLayer::new(&client(&other)));
    let foreign = other.tokens(EMAIL).issue().unwrap();
    let (status, _) = send(&app, "/session", Some(foreign.session_jwt())).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let own = one.tokens(EMAIL).issue().unwrap();
    let (status, _) = send(&app, "/session", Some(own.session_jwt())).await;
    assert_eq!(status, StatusCode::OK);
}

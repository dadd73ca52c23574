//! A route that only those who are signed in may see.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use descope_magiclink::Client;
use descope_magiclink_web::{CurrentSession, SessionLayer};
use tower::ServiceExt;

fn app(client: &Client) -> Router {
    Router::new()
        .route("/", get(async || "welcome"))
        .route("/orders", get(async |session: CurrentSession| session.user_id().to_owned()))
        .layer(SessionLayer::new(client))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(&Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?);
    for (path, status) in [("/", StatusCode::OK), ("/orders", StatusCode::UNAUTHORIZED)] {
        let request = Request::get(path).body(Body::empty())?;
        assert_eq!(app.clone().oneshot(request).await?.status(), status);
    }
    Ok(())
}

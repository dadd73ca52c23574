//! axum: `/orders` is for those who are signed in, and `/sign-out` ends the session.

use axum::response::{IntoResponse, Response};
use axum::{Router, extract::State, routing::get};
use descope_magiclink::Client;
use descope_magiclink_web::cookies::{RequestTokens, SessionCookies};
use descope_magiclink_web::{CurrentSession, SessionLayer};

async fn orders(session: CurrentSession) -> String {
    format!("the orders of {}", session.user_id())
}

async fn sign_out(State(client): State<Client>, tokens: RequestTokens) -> Response {
    let mut response = "signed out".into_response();
    let cookies = SessionCookies::new(&client);
    let headers = response.headers_mut();
    let _ = cookies.sign_out(&client, &tokens, headers).await;
    response
}

fn app(client: &Client) -> Router {
    Router::new()
        .route("/orders", get(orders))
        .route("/sign-out", axum::routing::post(sign_out))
        .layer(SessionLayer::new(client).refreshing())
        .with_state(client.clone())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    axum::serve(listener, app(&client)).await?;
    Ok(())
}

#[cfg(test)]
mod test;

//! axum: `/orders` is for those who are signed in.

use axum::{Router, routing::get};
use descope_magiclink::Client;
use descope_magiclink_web::{CurrentSession, SessionLayer};

async fn orders(session: CurrentSession) -> String {
    format!("the orders of {}", session.user_id())
}

fn app(client: &Client) -> Router {
    Router::new()
        .route("/orders", get(orders))
        .layer(SessionLayer::new(client).refreshing())
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

//! poem: `/orders` is for those who are signed in, and `/sign-out` ends the session.

use descope_magiclink::Client;
use descope_magiclink_web::SessionLayer;
use descope_magiclink_web::cookies::SessionCookies;
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt, IntoResponse, Request, Response, Route, Server, get, handler, post};

#[handler]
async fn orders(request: &Request, Data(layer): Data<&SessionLayer>) -> Response {
    let found = layer.check(request.headers()).await;
    let mut response = match &found.session {
        Ok(session) => format!("the orders of {}", session.user_id()).into_response(),
        Err(rejection) => rejection
            .text()
            .with_status(rejection.status())
            .into_response(),
    };
    found.set_cookies(response.headers_mut());
    response
}

#[handler]
async fn sign_out(
    request: &Request,
    Data(layer): Data<&SessionLayer>,
    Data(client): Data<&Client>,
) -> Response {
    let found = layer.check(request.headers()).await;
    let mut response = "signed out".into_response();
    let cookies = SessionCookies::new(client);
    let headers = response.headers_mut();
    let _ = cookies.sign_out(client, &found.tokens, headers).await;
    found.set_cookies(response.headers_mut());
    response
}

fn app(client: &Client) -> impl poem::Endpoint + 'static {
    let layer = SessionLayer::new(client).refreshing();
    Route::new()
        .at("/orders", get(orders))
        .at("/sign-out", post(sign_out))
        .data(layer)
        .data(client.clone())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let app = app(&Client::from_env()?);
    Server::new(TcpListener::bind("127.0.0.1:8080"))
        .run(app)
        .await?;
    Ok(())
}

#[cfg(test)]
mod test;

//! poem: `/orders` is for those who are signed in.

use descope_magiclink::Client;
use descope_magiclink_web::SessionLayer;
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt, IntoResponse, Request, Response, Route, Server, get, handler};

#[handler]
async fn orders(request: &Request, Data(layer): Data<&SessionLayer>) -> Response {
    let found = layer.check(request.headers()).await;
    let mut response = match &found.session {
        Ok(session) => format!("the orders of {}", session.user_id()).into_response(),
        Err(rejection) => rejection
            .to_string()
            .with_status(rejection.status())
            .into_response(),
    };
    found.set_cookies(response.headers_mut());
    response
}

fn app(client: &Client) -> impl poem::Endpoint + 'static {
    let layer = SessionLayer::new(client).refreshing();
    Route::new().at("/orders", get(orders)).data(layer)
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

//! poem: `/orders` is for those who are signed in, and `/sign-out` ends the session.

use descope_magiclink::Client;
use descope_magiclink_web::{SessionLayer, cookies::SessionCookies};
use poem::listener::TcpListener;
use poem::web::Data;
use poem::{EndpointExt, IntoResponse, Request, Response, Route, Server, get, handler, post};

#[handler]
async fn respond(request: &Request, Data(client): Data<&Client>) -> Response {
    let layer = SessionLayer::new(client).refreshing();
    let found = layer.check(request.headers()).await;
    let mut response = match &found.session {
        Ok(session) => format!("the orders of {}", session.user_id()).into_response(),
        Err(why) => why.text().with_status(why.status()).into_response(),
    };
    if request.uri().path() == "/sign-out" {
        response = "signed out".into_response();
        let (cookies, headers) = (SessionCookies::new(client), response.headers_mut());
        let _ = cookies.sign_out(client, &found.tokens, headers).await;
    }
    found.set_cookies(response.headers_mut());
    response
}

fn app(client: Client) -> impl poem::Endpoint + 'static {
    let app = Route::new().at("/orders", get(respond));
    app.at("/sign-out", post(respond)).data(client)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::new(TcpListener::bind("127.0.0.1:8080"));
    Ok(server.run(app(Client::from_env()?)).await?)
}

#[cfg(test)]
mod test;

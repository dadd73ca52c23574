//! Plain hyper: all paths are for those who are signed in, and `/sign-out` ends the session.

use descope_magiclink::Client;
use descope_magiclink_web::{SessionLayer, cookies::SessionCookies};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

async fn respond(request: Request<Incoming>, client: Client) -> hyper::Result<Response<String>> {
    let layer = SessionLayer::new(&client).refreshing();
    let found = layer.check(request.headers()).await;
    let mut response = match &found.session {
        Ok(session) => Response::new(format!("the orders of {}", session.user_id())),
        Err(why) => why.response(),
    };
    if request.uri().path() == "/sign-out" {
        response = Response::new("signed out".to_owned());
        let (cookies, headers) = (SessionCookies::new(&client), response.headers_mut());
        let _ = cookies.sign_out(&client, &found.tokens, headers).await;
    }
    found.set_cookies(response.headers_mut());
    Ok(response)
}

async fn serve(listener: TcpListener, client: Client) -> std::io::Result<()> {
    loop {
        let (stream, client) = (listener.accept().await?.0, client.clone());
        let service = service_fn(move |request| respond(request, client.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    Ok(serve(listener, Client::from_env()?).await?)
}

#[cfg(test)]
mod test;

//! Plain hyper: all paths are for those who are signed in, and `/sign-out` ends the session.

use std::convert::Infallible;

use descope_magiclink::Client;
use descope_magiclink_web::SessionLayer;
use descope_magiclink_web::cookies::SessionCookies;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

async fn respond(
    request: Request<Incoming>,
    client: Client,
) -> Result<Response<String>, Infallible> {
    let layer = SessionLayer::new(&client).refreshing();
    let found = layer.check(request.headers()).await;
    let mut response = match &found.session {
        Ok(_) if request.uri().path() == "/sign-out" => {
            let mut response = Response::new("signed out".to_owned());
            let cookies = SessionCookies::new(&client);
            let headers = response.headers_mut();
            let _ = cookies.sign_out(&client, &found.tokens, headers).await;
            response
        }
        Ok(session) => Response::new(format!("the orders of {}", session.user_id())),
        Err(rejection) => rejection.response(),
    };
    found.set_cookies(response.headers_mut());
    Ok(response)
}

async fn serve(listener: TcpListener, client: Client) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let client = client.clone();
        let service = service_fn(move |request| respond(request, client.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    Ok(serve(TcpListener::bind("127.0.0.1:8080").await?, client).await?)
}

#[cfg(test)]
mod test;

//! Plain hyper: all paths are for those who are signed in.

use std::convert::Infallible;

use descope_magiclink::Client;
use descope_magiclink_web::SessionLayer;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

async fn orders(
    request: Request<Incoming>,
    layer: SessionLayer,
) -> Result<Response<String>, Infallible> {
    let found = layer.check(request.headers()).await;
    let mut response = match &found.session {
        Ok(session) => Response::new(format!("the orders of {}", session.user_id())),
        Err(rejection) => rejection.response(),
    };
    found.set_cookies(response.headers_mut());
    Ok(response)
}

async fn serve(listener: TcpListener, layer: SessionLayer) -> std::io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let layer = layer.clone();
        let service = service_fn(move |request| orders(request, layer.clone()));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layer = SessionLayer::new(&Client::from_env()?).refreshing();
    Ok(serve(TcpListener::bind("127.0.0.1:8080").await?, layer).await?)
}

#[cfg(test)]
mod test;

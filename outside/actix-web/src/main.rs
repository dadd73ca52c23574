//! actix-web: `/orders` is for those who are signed in, and `/sign-out` ends the session.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage, HttpRequest, HttpResponse, HttpServer, web};
use descope_magiclink::Client;
use descope_magiclink_web::cookies::SessionCookies;
use descope_magiclink_web::{RequestSession, SessionLayer};

/// Finds out who makes a request, and adds to the response what belongs there.
async fn sessions(
    layer: web::Data<SessionLayer>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let found = layer.check(request.headers()).await;
    request.extensions_mut().insert(found.clone());
    let mut response = next.call(request).await?;
    for (name, value) in found.headers_to_add(response.headers()) {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        if name == "set-cookie" {
            response.headers_mut().append(name, value);
        } else {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

async fn orders(found: web::ReqData<RequestSession>) -> HttpResponse {
    match &found.session {
        Ok(session) => HttpResponse::Ok().body(format!("the orders of {}", session.user_id())),
        Err(why) => {
            let status = StatusCode::from_u16(why.status().as_u16()).unwrap();
            HttpResponse::build(status).body(why.text())
        }
    }
}

async fn sign_out(request: HttpRequest, client: web::Data<Client>) -> HttpResponse {
    let found = request.extensions().get::<RequestSession>().cloned();
    let mut headers = http::HeaderMap::new();
    let tokens = found.map(|found| found.tokens).unwrap_or_default();
    let cookies = SessionCookies::new(client.get_ref());
    let _ = cookies.sign_out(&client, &tokens, &mut headers).await;
    let mut response = HttpResponse::Ok();
    for (name, value) in &headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    response.body("signed out")
}

fn routes(config: &mut web::ServiceConfig, client: &Client) {
    config
        .app_data(web::Data::new(SessionLayer::new(client).refreshing()))
        .app_data(web::Data::new(client.clone()))
        .service(
            web::scope("")
                .wrap(from_fn(sessions))
                .route("/orders", web::get().to(orders))
                .route("/sign-out", web::post().to(sign_out)),
        );
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let app = move || App::new().configure(|config| routes(config, &client));
    Ok(HttpServer::new(app).bind("127.0.0.1:8080")?.run().await?)
}

#[cfg(test)]
mod test;

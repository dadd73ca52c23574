//! actix-web: `/orders` is for those who are signed in.

use actix_web::http::{StatusCode, header};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use descope_magiclink::Client;
use descope_magiclink_web::SessionLayer;

async fn orders(request: HttpRequest, layer: web::Data<SessionLayer>) -> HttpResponse {
    let found = layer.check(request.headers()).await;
    let (status, text) = match &found.session {
        Ok(session) => (200, format!("the orders of {}", session.user_id())),
        Err(rejection) => (rejection.status().as_u16(), rejection.to_string()),
    };
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    for cookie in &found.cookies {
        response.append_header((header::SET_COOKIE, cookie.as_bytes()));
    }
    response.body(text)
}

fn routes(config: &mut web::ServiceConfig, client: &Client) {
    let layer = web::Data::new(SessionLayer::new(client).refreshing());
    config
        .app_data(layer)
        .route("/orders", web::get().to(orders));
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::from_env()?;
    let app = move || App::new().configure(|config| routes(config, &client));
    Ok(HttpServer::new(app).bind("127.0.0.1:8080")?.run().await?)
}

#[cfg(test)]
mod test;

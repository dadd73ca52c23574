//! actix-web: all paths are for those who are signed in, and `/sign-out` ends the session.

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use descope_magiclink::Client;
use descope_magiclink_web::{SessionLayer, cookies::SessionCookies};

async fn respond(request: HttpRequest, client: web::Data<Client>) -> HttpResponse {
    let layer = SessionLayer::new(&client).refreshing();
    let found = layer.check(request.headers()).await;
    let mut headers = http::HeaderMap::new();
    let (status, text) = match &found.session {
        _ if request.path() == "/sign-out" => {
            let cookies = SessionCookies::new(client.get_ref());
            let _ = cookies.sign_out(&client, &found.tokens, &mut headers).await;
            (200, "signed out".to_owned())
        }
        Ok(session) => (200, format!("the orders of {}", session.user_id())),
        Err(why) => (why.status().as_u16(), why.to_string()),
    };
    found.set_cookies(&mut headers);
    let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    for (name, value) in &headers {
        response.append_header((name.as_str(), value.as_bytes()));
    }
    response.body(text)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = web::Data::new(Client::from_env()?);
    let respond = || web::to(respond);
    let app = move || {
        App::new()
            .app_data(client.clone())
            .default_service(respond())
    };
    Ok(HttpServer::new(app).bind("127.0.0.1:8080")?.run().await?)
}

#[cfg(test)]
mod test;

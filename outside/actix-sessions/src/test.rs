use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer};

use super::*;

async fn orders(user: SignedIn) -> String {
    format!("the orders of {}", user.0.user_id())
}

async fn out(request: HttpRequest, client: web::Data<Client>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    let _ = sign_out(&request, &client, &mut response).await;
    response.body("signed out")
}

async fn start(client: Client) -> String {
    let app = move || {
        App::new()
            .app_data(web::Data::new(SessionLayer::new(&client).refreshing()))
            .app_data(web::Data::new(client.clone()))
            .wrap(from_fn(sessions))
            .route("/orders", web::get().to(orders))
            .route("/sign-out", web::post().to(out))
    };
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    format!("http://{address}")
}

outside_support::one_test_per_rule!(actix_web::test, start);

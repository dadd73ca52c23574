use super::*;

async fn start(client: Client) -> String {
    let app = move || App::new().configure(|config| routes(config, &client));
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    format!("http://{address}")
}

outside_support::one_test_per_rule!(actix_web::test, start);

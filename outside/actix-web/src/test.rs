use super::*;

async fn start(client: Client) -> String {
    let client = web::Data::new(client);
    let service = || web::to(respond);
    let app = move || {
        App::new()
            .app_data(client.clone())
            .default_service(service())
    };
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    actix_web::rt::spawn(server.run());
    format!("http://{address}")
}

outside_support::one_test_per_rule!(actix_web::test, start);

#[test]
fn it_is_short() {
    outside_support::is_short(include_str!("main.rs"));
}

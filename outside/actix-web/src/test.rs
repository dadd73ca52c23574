use super::*;

#[actix_web::test]
async fn orders_are_for_those_who_are_signed_in() {
    let (emulator, client) = outside_support::service().await;
    let app = move || App::new().configure(|config| routes(config, &client));
    let server = HttpServer::new(app).workers(1).bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    actix_web::rt::spawn(server);
    outside_support::visit(&format!("http://{address}"), &emulator).await;
    handle.stop(false).await;
}

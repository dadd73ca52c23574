use rocket::fairing::AdHoc;

use super::*;

#[rocket::async_test]
async fn orders_are_for_those_who_are_signed_in() {
    let (emulator, client) = outside_support::service().await;
    let (sender, receiver) = std::sync::mpsc::channel();
    let on_start = AdHoc::on_liftoff("port", move |rocket| {
        Box::pin(async move { sender.send(rocket.config().port).unwrap() })
    });
    let settings = rocket::Config::figment()
        .merge(("port", 0))
        .merge(("log_level", "off"));
    let app = rocket::custom(settings)
        .manage(SessionLayer::new(&client).refreshing())
        .mount("/", rocket::routes![orders])
        .attach(on_start);
    let app = app.ignite().await.unwrap();
    let shutdown = app.shutdown();
    let server = rocket::tokio::spawn(app.launch());
    let port = rocket::tokio::task::spawn_blocking(move || receiver.recv());
    let port = port.await.unwrap().unwrap();
    outside_support::visit(&format!("http://127.0.0.1:{port}"), &emulator).await;
    shutdown.notify();
    server.await.unwrap().unwrap();
}

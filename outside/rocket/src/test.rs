use rocket::fairing::AdHoc;

use super::*;

async fn start(client: Client) -> String {
    let (sender, receiver) = std::sync::mpsc::channel();
    let on_start = AdHoc::on_liftoff("port", move |rocket| {
        Box::pin(async move { sender.send(rocket.config().port).unwrap() })
    });
    let settings = rocket::Config::figment()
        .merge(("port", 0))
        .merge(("log_level", "off"))
        .merge(("shutdown.ctrlc", false));
    rocket::tokio::spawn(app(client).configure(settings).attach(on_start).launch());
    let port = rocket::tokio::task::spawn_blocking(move || receiver.recv());
    format!("http://127.0.0.1:{}", port.await.unwrap().unwrap())
}

outside_support::one_test_per_rule!(rocket::async_test, start);

#[test]
fn it_is_short() {
    outside_support::is_short(include_str!("main.rs"));
}

use super::*;

async fn start(client: Client) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app(&client)).await });
    format!("http://{address}")
}

outside_support::one_test_per_rule!(tokio::test, start);

#[test]
fn it_is_short() {
    outside_support::is_short(include_str!("main.rs"));
}

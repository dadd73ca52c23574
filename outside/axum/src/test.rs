#[tokio::test]
async fn orders_are_for_those_who_are_signed_in() {
    let (emulator, client) = outside_support::service().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, super::app(&client)).await });
    outside_support::visit(&format!("http://{address}"), &emulator).await;
}

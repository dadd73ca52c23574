use poem::listener::{Acceptor, Listener};

use super::*;

#[tokio::test]
async fn orders_are_for_those_who_are_signed_in() {
    let (emulator, client) = outside_support::service().await;
    let acceptor = TcpListener::bind("127.0.0.1:0")
        .into_acceptor()
        .await
        .unwrap();
    let address = acceptor.local_addr().remove(0);
    let address = address.as_socket_addr().unwrap().to_owned();
    tokio::spawn(Server::new_with_acceptor(acceptor).run(app(&client)));
    outside_support::visit(&format!("http://{address}"), &emulator).await;
}

use poem::listener::{Acceptor, Listener};

use super::*;

async fn start(client: Client) -> String {
    let listener = TcpListener::bind("127.0.0.1:0");
    let acceptor = listener.into_acceptor().await.unwrap();
    let address = acceptor.local_addr().remove(0);
    let address = address.as_socket_addr().unwrap().to_owned();
    tokio::spawn(Server::new_with_acceptor(acceptor).run(app(client)));
    format!("http://{address}")
}

outside_support::one_test_per_rule!(tokio::test, start);

#[test]
fn it_is_short() {
    outside_support::is_short(include_str!("main.rs"));
}

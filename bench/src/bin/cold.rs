//! From the start of a process to the first validated session: `cold URL TOKEN`; or to a client: `cold`.

use descope_magiclink::{Client, SessionToken};
use descope_magiclink_bench::{PROJECT, runtime};

fn main() {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(token)) = (args.next(), args.next()) else {
        std::hint::black_box(Client::new(PROJECT).expect("a client"));
        return;
    };
    let client = Client::builder(PROJECT)
        .base_url(url)
        .build()
        .expect("a client");
    let token = SessionToken::new(token);
    let session = runtime().block_on(client.sessions().validate(&token));
    assert!(!session.expect("a session").user_id().is_empty());
}

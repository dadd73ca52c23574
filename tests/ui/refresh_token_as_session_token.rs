use descope_magiclink::{Client, RefreshToken};

fn main() {
    let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    let refresh = RefreshToken::new("r");
    let _ = client.sessions().validate(&refresh);
}

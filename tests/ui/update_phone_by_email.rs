use descope_magiclink::{Client, DeliveryMethod, RefreshToken};

fn main() {
    let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    let refresh = RefreshToken::new("r");
    let _ = client.magic_link().update_phone(&refresh, DeliveryMethod::Email, "+15555555555");
}

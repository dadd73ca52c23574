use descope_magiclink::{Client, DeliveryMethod};

fn main() {
    let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    let _ = client.magic_link().sign_in(DeliveryMethod::Email, "joe@example.com").step_up();
}

//! A link is asked for where nothing listens: the call fails, and says that it may be made again.

use descope_magiclink::{Client, DeliveryMethod};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
        .base_url("http://127.0.0.1:1")
        .build()?;
    let request = client
        .magic_link()
        .sign_up_or_in(DeliveryMethod::Email, "joe@example.com");
    let error = request.send().await.expect_err("nothing listens there");
    assert!(error.is_connect() && error.is_retryable(), "{error}");
    Ok(())
}

//! An application with a login test.

use descope_magiclink::{Client, Error, MagicLinkToken};

/// What the landing page of the application does.
async fn signed_in(client: &Client, link: &str) -> Result<String, Error> {
    let token = MagicLinkToken::from_url(link)?;
    let login = client.magic_link().verify(&token).await?;
    Ok(login.session.user_id().to_owned())
}

fn main() {
    let _ = signed_in;
}

#[cfg(test)]
mod tests {
    use super::*;
    use descope_magiclink::DeliveryMethod;
    use descope_magiclink_emulator::Emulator;

    #[tokio::test]
    async fn a_link_signs_in_once() -> Result<(), Box<dyn std::error::Error>> {
        let emulator = Emulator::start().await?;
        let client = Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .build()?;
        client
            .magic_link()
            .sign_up(DeliveryMethod::Email, "joe@example.com")
            .send()
            .await?;
        let message = emulator.outbox().next_for("joe@example.com").await?;
        assert!(!signed_in(&client, message.link()).await?.is_empty());
        let error = signed_in(&client, message.link()).await.unwrap_err();
        assert!(error.is_unauthorized(), "{error}");
        Ok(())
    }
}

//! A login test of an app that reads its settings from the environment; run it by
//! `descope-magiclink-emulator exec -- cargo test -- --ignored`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failing test should stop where it fails, and its settings come from the environment"
)]

use descope_magiclink::{Client, DeliveryMethod, MagicLinkToken};
use serde_json::Value;

/// The link in the newest message to an address; waits for one.
async fn link(address: &str) -> String {
    let base = std::env::var("DESCOPE_BASE_URI").unwrap();
    let url = format!("{base}/_emulator/v1/messages?to={address}&wait=5&limit=1");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let found: Value = http.get(url).send().await.unwrap().json().await.unwrap();
    found["messages"][0]["link"].as_str().unwrap().to_owned()
}

#[tokio::test]
#[ignore = "needs the variables of an emulator"]
async fn a_user_signs_up_and_in() {
    let app = Client::from_env().unwrap();
    let address = "joe@example.com";
    let sent = app.magic_link().sign_up(DeliveryMethod::Email, address);
    sent.send().await.unwrap();
    let token = MagicLinkToken::from_url(&link(address).await).unwrap();
    let login = app.magic_link().verify(&token).await.unwrap();
    let session = app
        .sessions()
        .validate(&login.tokens.session)
        .await
        .unwrap();
    assert_eq!(session.user_id(), login.session.user_id());
}

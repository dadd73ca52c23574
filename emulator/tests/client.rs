//! The emulator seen through the client crate: every fault, the clock, the journal and the keys.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing test should stop where it fails"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use descope_magiclink::SessionValidator;
use descope_magiclink::session::TokenProblem;
use descope_magiclink::{
    Client, ClientBuilder, Clock, DeliveryMethod, Error, MagicLinkToken, ManualClock,
    PhoneDelivery, RetryPolicy, SessionToken, SystemClock,
};
use descope_magiclink_emulator::{Channel, Emulator, Fault, Filter, User};
use serde_json::json;

const JOE: &str = "joe@example.com";

async fn with_joe() -> (Emulator, Client) {
    let emulator = Emulator::builder()
        .role("admin", ["invoice:write"])
        .user(
            User::new(JOE)
                .phone("+15555550100")
                .role("admin")
                .tenant("acme", ["admin"]),
        )
        .start()
        .await
        .unwrap();
    let client = builder(&emulator).build().unwrap();
    (emulator, client)
}

/// Longer than any call takes on however busy a machine.
const LONG: Duration = Duration::from_secs(3600);

fn builder(emulator: &Emulator) -> ClientBuilder {
    Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .timeout(LONG)
        .connect_timeout(LONG)
        .session_validation(|validation| validation.key_fetch_timeout(LONG))
        .retry(RetryPolicy::never())
}

/// After this time a validator fetches the keys again for a key that it does not know.
const COOL_DOWN: Duration = Duration::from_secs(1);

fn validator(emulator: &Emulator) -> SessionValidator {
    validator_with(emulator, SystemClock)
}

fn validator_with(emulator: &Emulator, clock: impl Clock) -> SessionValidator {
    SessionValidator::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .key_fetch_timeout(LONG)
        .unknown_key_cooldown(COOL_DOWN)
        .clock(clock)
        .build()
        .unwrap()
}

async fn send(client: &Client) -> Result<descope_magiclink::magic_link::Sent, Error> {
    client
        .magic_link()
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
}

#[tokio::test]
async fn the_whole_story() {
    let (emulator, client) = with_joe().await;
    let magic = client.magic_link();
    let outbox = emulator.outbox();
    for (method, channel) in [
        (DeliveryMethod::Email, Channel::Email),
        (DeliveryMethod::Sms, Channel::Sms),
        (DeliveryMethod::WhatsApp, Channel::WhatsApp),
    ] {
        magic
            .sign_in(method, JOE)
            .redirect_url("https://app.example.com/in")
            .send()
            .await
            .unwrap();
        let message = outbox.next(&Filter::any().channel(channel)).await.unwrap();
        let auth = magic
            .verify(&MagicLinkToken::from_url(message.link()).unwrap())
            .await
            .unwrap();
        let session = validator(&emulator)
            .validate(&auth.tokens.session)
            .await
            .unwrap();
        assert!(
            session.has_roles(["admin"])
                && session
                    .tenant("acme")
                    .unwrap()
                    .has_permissions(["invoice:write"])
        );
        assert_eq!(
            session.authentication_methods().collect::<Vec<_>>(),
            [channel.as_str()]
        );
    }
    magic
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let message = outbox.next_for(JOE).await.unwrap();
    let auth = magic
        .verify(&MagicLinkToken::new(message.token()))
        .await
        .unwrap();
    magic
        .update_email(auth.tokens.refresh_token().unwrap(), "new@example.com")
        .add_to_login_ids()
        .send()
        .await
        .unwrap();
    let message = outbox.next_for("new@example.com").await.unwrap();
    magic
        .verify(&MagicLinkToken::new(message.token()))
        .await
        .unwrap();
    magic
        .update_phone(
            auth.tokens.refresh_token().unwrap(),
            PhoneDelivery::Sms,
            "+12223334455",
        )
        .send()
        .await
        .unwrap();
    let message = outbox.next_for("+12223334455").await.unwrap();
    let updated = magic
        .verify(&MagicLinkToken::new(message.token()))
        .await
        .unwrap();
    let user = updated.user.unwrap();
    assert_eq!(
        (user.email(), user.phone()),
        (Some("new@example.com"), Some("+12223334455"))
    );
}

#[tokio::test]
async fn status_and_body() {
    let (emulator, client) = with_joe().await;
    emulator
        .faults()
        .add(
            Fault::everywhere()
                .respond(503)
                .text("<html>busy</html>")
                .times(1),
        )
        .unwrap();
    let error = send(&client).await.unwrap_err();
    assert_eq!(error.status().unwrap().as_u16(), 503);
    emulator
        .faults()
        .add(Fault::everywhere().respond(200).text("<html>").times(1))
        .unwrap();
    // The message is on its way, whatever the body says; a token that is not there is missing.
    send(&client).await.unwrap();
    emulator
        .faults()
        .add(Fault::everywhere().respond(200).text("<html>").times(1))
        .unwrap();
    let token = MagicLinkToken::new("t");
    let error = client.magic_link().verify_unchecked(&token).await;
    assert!(matches!(error.unwrap_err(), Error::Decode(_)));
    send(&client).await.unwrap();
}

#[tokio::test]
async fn rate_limits() {
    let (emulator, client) = with_joe().await;
    emulator
        .faults()
        .add(
            Fault::everywhere()
                .rate_limited(Some(Duration::from_secs(7)))
                .times(1),
        )
        .unwrap();
    let error = send(&client).await.unwrap_err();
    assert!(error.is_rate_limited());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn latency_and_black_holes() {
    let (emulator, client) = with_joe().await;
    emulator
        .faults()
        .add(
            Fault::everywhere()
                .delay(Duration::from_millis(80))
                .times(1),
        )
        .unwrap();
    let started = Instant::now();
    send(&client).await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(80));
    emulator
        .faults()
        .add(Fault::on("SignInMagicLinkEmail").black_hole().times(1))
        .unwrap();
    let hasty = builder(&emulator).timeout(Duration::from_millis(100));
    let hasty = hasty.build().unwrap();
    assert!(send(&hasty).await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn cut_bodies_and_resets() {
    let (emulator, client) = with_joe().await;
    emulator
        .faults()
        .add(Fault::everywhere().cut_body(5).times(1))
        .unwrap();
    send(&client).await.unwrap();
    emulator
        .faults()
        .add(Fault::everywhere().reset().times(1))
        .unwrap();
    assert!(matches!(
        send(&client).await.unwrap_err(),
        Error::Transport(_)
    ));
    // The response is lost but the link is used up: a client that repeats a verify cannot succeed.
    send(&client).await.unwrap();
    let message = emulator.outbox().last_for(JOE).unwrap();
    let token = MagicLinkToken::new(message.token());
    emulator
        .faults()
        .add(
            Fault::on("VerifyMagicLink")
                .reset()
                .after_handling()
                .times(1),
        )
        .unwrap();
    client.magic_link().verify(&token).await.unwrap_err();
    let error = client.magic_link().verify(&token).await.unwrap_err();
    assert_eq!(
        (
            error.status().unwrap().as_u16(),
            error.code().unwrap().to_string()
        ),
        (401, "E062504".to_owned())
    );
    assert_eq!(emulator.requests().count("VerifyMagicLink"), 2);
}

#[tokio::test]
async fn the_clock_expires_links() {
    let (emulator, client) = with_joe().await;
    send(&client).await.unwrap();
    let message = emulator.outbox().next_for(JOE).await.unwrap();
    emulator.clock().advance(Duration::from_secs(181));
    assert!(
        client
            .magic_link()
            .verify(&MagicLinkToken::new(message.token()))
            .await
            .unwrap_err()
            .is_unauthorized()
    );
}

#[tokio::test]
async fn the_journal_shows_what_the_client_sent() {
    let (emulator, client) = with_joe().await;
    client
        .magic_link()
        .sign_in(DeliveryMethod::Email, JOE)
        .custom_claim("plan", "pro")
        .send()
        .await
        .unwrap();
    let request = emulator.requests().last().unwrap();
    assert_eq!(
        (request.operation(), request.status()),
        (Some("SignInMagicLinkEmail"), Some(200))
    );
    assert_eq!(
        request.json(),
        json!({ "loginId": JOE, "loginOptions": { "customClaims": { "plan": "pro" } } })
    );
    assert_eq!(
        request.header("x-descope-project-id"),
        Some(emulator.project_id())
    );
    assert_eq!(
        request.header("authorization"),
        Some(format!("Bearer {}", emulator.project_id()).as_str())
    );
}

#[tokio::test]
async fn keys_and_minted_tokens() {
    let (emulator, _) = with_joe().await;
    emulator.clock().freeze();
    let clock = Arc::new(ManualClock::at(emulator.clock().now()));
    let validator = validator_with(&emulator, Arc::clone(&clock));
    let check = async |token: &str| validator.validate(&SessionToken::new(token)).await;
    let problem = async |token: &str| check(token).await.unwrap_err().token_problem();

    let old = emulator.tokens(JOE).issue().unwrap();
    check(old.session_jwt()).await.unwrap();
    assert_eq!(
        problem(emulator.tokens(JOE).forged().issue().unwrap().session_jwt()).await,
        Some(TokenProblem::InvalidSignature)
    );
    assert_eq!(
        problem(
            emulator
                .tokens(JOE)
                .expired()
                .issue()
                .unwrap()
                .session_jwt()
        )
        .await,
        Some(TokenProblem::Expired)
    );
    let stranger = emulator
        .tokens(JOE)
        .issuer("P2OtherProject")
        .issue()
        .unwrap();
    assert_eq!(
        problem(stranger.session_jwt()).await,
        Some(TokenProblem::WrongIssuer)
    );
    assert_eq!(
        problem(old.refresh_jwt()).await,
        Some(TokenProblem::WrongTokenType)
    );

    emulator.keys().rotate().unwrap();
    clock.advance(2 * COOL_DOWN);
    check(emulator.tokens(JOE).issue().unwrap().session_jwt())
        .await
        .unwrap();
    check(old.session_jwt()).await.unwrap();

    emulator.keys().rotate_and_revoke().unwrap();
    clock.advance(2 * COOL_DOWN);
    check(emulator.tokens(JOE).issue().unwrap().session_jwt())
        .await
        .unwrap();
    assert_eq!(
        problem(old.session_jwt()).await,
        Some(TokenProblem::UnknownKey)
    );
}

#[tokio::test]
async fn broken_keys() {
    let (emulator, _) = with_joe().await;
    let token = emulator.tokens(JOE).issue().unwrap();
    let token = SessionToken::new(token.session_jwt());
    emulator.keys().publish_instead(json!({ "keys": "broken" }));
    assert!(
        validator(&emulator)
            .validate(&token)
            .await
            .unwrap_err()
            .is_unavailable()
    );
    emulator.keys().restore();
    emulator
        .faults()
        .add(Fault::on("GetKeysV2").respond(500))
        .unwrap();
    assert!(
        validator(&emulator)
            .validate(&token)
            .await
            .unwrap_err()
            .is_unavailable()
    );
    emulator.faults().clear();
    validator(&emulator).validate(&token).await.unwrap();
}

#[tokio::test]
async fn es256_tokens_are_taken_and_survive_the_same_checks() {
    use descope_magiclink_emulator::SigningAlgorithm;
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .signing_algorithm(SigningAlgorithm::Es256)
        .start()
        .await
        .unwrap();
    let client = builder(&emulator).build().unwrap();
    client
        .magic_link()
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let message = emulator.outbox().next_for(JOE).await.unwrap();
    let token = MagicLinkToken::from_url(message.link()).unwrap();
    let login = client.magic_link().verify(&token).await.unwrap();
    assert!(login.tokens.refresh_token().is_ok());
    let key = &emulator.keys().published().unwrap()["keys"][0];
    assert_eq!((&key["kty"], &key["alg"]), (&"EC".into(), &"ES256".into()));
}

//! The facade against the emulator: whole logins, as an application would make them.

use std::time::{Duration, Instant, SystemTime};

use descope_magiclink::management::TestUser;
use descope_magiclink::{
    Authentication, Client, ClientBuilder, Clock, DeliveryMethod, Error, ErrorCode, MagicLinkToken,
    PhoneDelivery, RefreshToken, SignUpUser, SystemClock,
};
use descope_magiclink_emulator::{Channel, Emulator, Fault, Message, Purpose, TokenDelivery, User};
use serde_json::json;

const JOE: &str = "joe@example.com";
const PHONE: &str = "+15555555555";
const PAGE: &str = "https://app.example.com/verify?lang=en";

/// The emulator's clock as a client reads it: tokens are judged by the time they are issued at.
#[derive(Debug)]
struct Wall(descope_magiclink_emulator::Clock);

impl Clock for Wall {
    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn instant(&self) -> Instant {
        SystemClock.instant()
    }
}

/// A client that waits as long as it takes, on however busy a machine.
fn client_builder(emulator: &Emulator) -> ClientBuilder {
    const LONG: Duration = Duration::from_secs(3600);
    Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .timeout(LONG)
        .connect_timeout(LONG)
        .session_validation(|validation| validation.key_fetch_timeout(LONG))
}

fn client(emulator: &Emulator) -> Client {
    client_builder(emulator)
        .clock(Wall(emulator.clock()))
        .build()
        .unwrap()
}

async fn message(emulator: &Emulator, address: &str) -> Message {
    emulator.outbox().next_for(address).await.unwrap()
}

async fn open(client: &Client, message: &Message) -> Authentication {
    let token = MagicLinkToken::from_url(message.link()).unwrap();
    client.magic_link().verify(&token).await.unwrap()
}

fn code(error: &Error) -> Option<&ErrorCode> {
    error.code()
}

#[tokio::test]
async fn sign_up_by_every_method_then_sign_in_by_every_method() {
    for method in DeliveryMethod::ALL.iter().copied() {
        let emulator = Emulator::start().await.unwrap();
        let client = client(&emulator);
        let (address, channel) = match method {
            DeliveryMethod::Email => (JOE, Channel::Email),
            DeliveryMethod::Sms => (PHONE, Channel::Sms),
            _ => (PHONE, Channel::WhatsApp),
        };
        let user = SignUpUser::new().name("Joe Person").email(JOE).phone(PHONE);
        let magic_link = client.magic_link();
        let sent = magic_link
            .sign_up(method, "joe")
            .user(user)
            .redirect_url(PAGE)
            .template_option("greeting", "hi")
            .locale("pt-BR")
            .custom_claim("plan", "pro")
            .send()
            .await
            .unwrap();
        assert!(!sent.masked_address().as_str().is_empty());
        assert!(!sent.masked_address().as_str().contains(address));

        let mail = message(&emulator, address).await;
        assert_eq!((mail.channel(), mail.purpose()), (channel, Purpose::SignUp));
        assert_eq!(mail.template_options()["greeting"], "hi");
        assert_eq!(mail.locale(), Some("pt-BR"));
        assert!(mail.link().starts_with(PAGE), "{}", mail.link());
        let auth = open(&client, &mail).await;
        assert_eq!(auth.first_seen, Some(true));
        let user = auth.user.as_ref().unwrap();
        assert!(user.user_id().unwrap().starts_with('U'));
        assert_eq!(user.name(), Some("Joe Person"));
        assert_eq!((user.email(), user.phone()), (Some(JOE), Some(PHONE)));
        assert_eq!(user.has_verified_email(), method == DeliveryMethod::Email);
        assert!(user.created_at().is_some());

        for method in DeliveryMethod::ALL.iter().copied() {
            emulator.outbox().clear();
            magic_link.sign_in(method, "joe").send().await.unwrap();
            let address = if method == DeliveryMethod::Email {
                JOE
            } else {
                PHONE
            };
            let auth = open(&client, &message(&emulator, address).await).await;
            assert_eq!(auth.first_seen, Some(false));
            assert_eq!(auth.user.unwrap().user_id(), user.user_id());
        }
        let again = magic_link
            .sign_up(method, "joe")
            .user(SignUpUser::new().email(JOE).phone(PHONE));
        let error = again.send().await.unwrap_err();
        assert_eq!(code(&error), Some(&ErrorCode::UserAlreadyExists));
    }
}

#[tokio::test]
async fn sign_up_or_in_creates_and_then_recognises() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator);
    let mut ids = Vec::new();
    for first in [true, false] {
        emulator.outbox().clear();
        client
            .magic_link()
            .sign_up_or_in(DeliveryMethod::WhatsApp, PHONE)
            .send()
            .await
            .unwrap();
        let auth = open(&client, &message(&emulator, PHONE).await).await;
        assert_eq!(auth.first_seen, Some(first));
        ids.push(auth.user.unwrap().user_id().map(str::to_owned));
    }
    assert_eq!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_link_works_once_and_not_for_ever() {
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let magic_link = client.magic_link();
    magic_link
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let first = message(&emulator, JOE).await;
    open(&client, &first).await;
    let token = MagicLinkToken::from_url(first.link()).unwrap();
    let error = magic_link.verify(&token).await.unwrap_err();
    assert_eq!(code(&error), Some(&ErrorCode::TokenExpired));
    assert!(error.is_unauthorized() && !error.is_retryable());

    emulator.outbox().clear();
    magic_link
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let late = message(&emulator, JOE).await;
    emulator.clock().advance(Duration::from_secs(3600));
    let token = MagicLinkToken::from_url(late.link()).unwrap();
    let error = magic_link.verify(&token).await.unwrap_err();
    assert_eq!(code(&error), Some(&ErrorCode::TokenExpired));

    let error = magic_link
        .sign_in(DeliveryMethod::Email, "nobody@example.com")
        .send()
        .await
        .unwrap_err();
    assert_eq!(code(&error), Some(&ErrorCode::UserNotFound));
}

#[tokio::test]
async fn step_up_and_mfa_carry_the_refresh_token() {
    let emulator = Emulator::builder()
        .user(User::new(JOE).phone(PHONE))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let magic_link = client.magic_link();
    magic_link
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let auth = open(&client, &message(&emulator, JOE).await).await;

    magic_link
        .sign_in(DeliveryMethod::Sms, JOE)
        .mfa(auth.tokens.refresh_token().unwrap())
        .send()
        .await
        .unwrap();
    let sms = message(&emulator, PHONE).await;
    assert_eq!(sms.purpose(), Purpose::Mfa);
    open(&client, &sms).await;

    emulator.outbox().clear();
    magic_link
        .step_up(DeliveryMethod::Email, auth.tokens.refresh_token().unwrap())
        .send()
        .await
        .unwrap();
    let link = message(&emulator, JOE).await;
    assert_eq!(link.purpose(), Purpose::StepUp);
    assert!(!auth.session.is_stepped_up());
    let again = open(&client, &link).await;
    let stepped = &again.session;
    assert!(stepped.is_stepped_up());
    let life = stepped
        .expires_at()
        .duration_since(stepped.issued_at().unwrap());
    assert_eq!(life.unwrap(), Duration::from_secs(600));

    // Only a link gives it: a refresh does not, at once or later, of whichever token.
    let sessions = client.sessions();
    for token in [auth.tokens.refresh_token(), again.tokens.refresh_token()] {
        let fresh = sessions.refresh(token.unwrap()).await.unwrap();
        assert!(!fresh.session.is_stepped_up());
    }
}

#[tokio::test]
async fn a_user_without_a_login_id_is_a_response_that_cannot_be_used() {
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let issued = emulator.tokens(JOE).issue().unwrap();
    let refresh = RefreshToken::new(issued.refresh_jwt());
    let fault = Fault::on("Me")
        .respond(200)
        .json(&json!({ "userId": "U1" }));
    emulator.faults().add(fault).unwrap();
    let sent = client
        .magic_link()
        .step_up(DeliveryMethod::Email, &refresh)
        .send()
        .await;
    assert!(matches!(sent, Err(Error::Decode(_))), "{sent:?}");
    // What is no address is refused before anything is asked.
    let before = emulator.requests().all().len();
    let update = client.magic_link().update_email(&refresh, "nonsense");
    assert!(matches!(
        update.send().await,
        Err(Error::InvalidArgument(_))
    ));
    assert_eq!(emulator.requests().all().len(), before);
}

#[tokio::test]
async fn addresses_change_when_the_link_is_verified_and_not_before() {
    let emulator = Emulator::builder()
        .user(User::new(JOE))
        .start()
        .await
        .unwrap();
    let client = client(&emulator);
    let magic_link = client.magic_link();
    magic_link
        .sign_in(DeliveryMethod::Email, JOE)
        .send()
        .await
        .unwrap();
    let auth = open(&client, &message(&emulator, JOE).await).await;
    let refresh = auth.tokens.refresh_token().unwrap();

    let new = "joe@new.example.com";
    magic_link
        .update_email(refresh, new)
        .add_to_login_ids()
        .send()
        .await
        .unwrap();
    assert_eq!(emulator.users().get(JOE).unwrap()["email"], JOE);
    let auth = open(&client, &message(&emulator, new).await).await;
    let user = auth.user.unwrap();
    assert_eq!(user.email(), Some(new));
    assert!(user.login_ids().contains(&new.to_owned()));

    for (method, phone) in [
        (PhoneDelivery::Sms, "+12223334455"),
        (PhoneDelivery::WhatsApp, "+12223334466"),
    ] {
        magic_link
            .update_phone(refresh, method, phone)
            .send()
            .await
            .unwrap();
        let auth = open(&client, &message(&emulator, phone).await).await;
        assert_eq!(auth.user.unwrap().phone(), Some(phone));
    }
}

#[tokio::test]
async fn tokens_are_found_in_cookies_under_any_name() {
    for names in [None, Some(("MY_S", "MY_R"))] {
        let mut builder = Emulator::builder()
            .user(User::new(JOE))
            .token_delivery(TokenDelivery::Cookies);
        if let Some((session, refresh)) = names {
            builder = builder.cookie_names(session, refresh);
        }
        let emulator = builder.start().await.unwrap();
        let client = match names {
            None => client(&emulator),
            Some((session, refresh)) => client_builder(&emulator)
                .session_cookie_name(session)
                .refresh_cookie_name(refresh)
                .build()
                .unwrap(),
        };
        client
            .magic_link()
            .sign_in(DeliveryMethod::Email, JOE)
            .send()
            .await
            .unwrap();
        let auth = open(&client, &message(&emulator, JOE).await).await;
        assert_eq!(auth.tokens.session.expose_secret().split('.').count(), 3);
        assert_eq!(
            auth.tokens
                .refresh_token()
                .unwrap()
                .expose_secret()
                .split('.')
                .count(),
            3
        );
    }
}

#[tokio::test]
async fn test_users_and_embedded_links() {
    let emulator = Emulator::start().await.unwrap();
    let client = client(&emulator);
    let management = client.management_with(emulator.management_key());
    let user = TestUser::new("joe")
        .email(JOE)
        .phone(PHONE)
        .name("Joe Person")
        .additional_login_id("joseph");
    let created = management.create_test_user(user).await.unwrap();
    assert!(created.is_test());
    assert_eq!(
        management.user("joseph").await.unwrap().user_id(),
        created.user_id()
    );
    assert_eq!(
        management
            .user_by_id(created.user_id().unwrap())
            .await
            .unwrap()
            .name(),
        Some("Joe Person")
    );

    let link = management
        .test_magic_link(DeliveryMethod::Sms, "joe")
        .redirect_url(PAGE)
        .custom_claim("n", 1)
        .send()
        .await
        .unwrap();
    assert!(link.link().expose_secret().starts_with(PAGE));
    client
        .magic_link()
        .verify(&link.token().unwrap())
        .await
        .unwrap();
    assert!(
        emulator.outbox().messages().is_empty(),
        "nothing is delivered"
    );

    let minute = Duration::from_secs(60);
    let token = management
        .embedded_sign_in("joe")
        .timeout(minute)
        .send()
        .await
        .unwrap();
    let late = management
        .embedded_sign_in("joe")
        .timeout(minute)
        .send()
        .await
        .unwrap();
    client.magic_link().verify(&token).await.unwrap();
    emulator.clock().advance(minute * 2);
    let error = client.magic_link().verify(&late).await.unwrap_err();
    assert_eq!(code(&error), Some(&ErrorCode::TokenExpired));
    let error = management
        .embedded_sign_in("joe")
        .timeout(Duration::ZERO)
        .send()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the argument timeout must be from one second to 68 years"
    );

    let token = management
        .embedded_sign_up("ann@example.com")
        .user(SignUpUser::new().name("Ann"))
        .email_verified()
        .send()
        .await
        .unwrap();
    let auth = client.magic_link().verify(&token).await.unwrap();
    assert_eq!(auth.user.unwrap().name(), Some("Ann"));

    management.logout_user("joe").await.unwrap();
    management.delete_user("ann@example.com").await.unwrap();
    management.delete_all_test_users().await.unwrap();
    let error = management.user("joe").await.unwrap_err();
    assert_eq!(code(&error), Some(&ErrorCode::ManagementUserNotFound));
}

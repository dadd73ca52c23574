//! Sign-up, sign-in, change of address, refresh and logout, told line by line.
//!
//! `cargo run --example quickstart` runs it against an emulator in this process.
//! `cargo run --example quickstart -- --live` runs it against a real project, through a test user.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "it tells its story"
)]

use std::process::ExitCode;
use std::time::SystemTime;

use descope_magiclink::Session;
use descope_magiclink::management::{Management, TestUser};
use descope_magiclink::{
    Authentication, Client, DeliveryMethod, Error, MagicLinkToken, PhoneDelivery, SignUpUser,
};
use descope_magiclink_emulator::{Emulator, User};

const EMAIL: &str = "joe@example.com";
const ADMIN: &str = "ann@example.com";
const PHONE: &str = "+15555555555";
const NEW_EMAIL: &str = "joe@new.example.com";
const NEW_PHONE: &str = "+12223334455";
const LANDING_PAGE: &str = "https://app.example.com/verify";

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> ExitCode {
    let live = std::env::args().any(|argument| argument == "--live");
    let outcome = if live {
        run_live().await
    } else {
        run_on_emulator().await
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe quickstart stopped: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run_on_emulator() -> Outcome {
    let admin = User::new(ADMIN).name("Ann Admin").role("admin");
    let emulator = Emulator::builder()
        .role("admin", ["invoice:read", "invoice:write"])
        .user(admin)
        .start()
        .await?;
    let client = Client::builder(emulator.project_id())
        .base_url(emulator.base_url())
        .build()?;
    println!(
        "An emulator of the API runs on {} until this program ends.\n",
        client.base_url()
    );
    story(&client, &Mailbox::Outbox(&emulator)).await
}

async fn run_live() -> Outcome {
    let client = Client::from_env()?;
    let management = client.management()?;
    println!(
        "Project {} at {}, with a test user.\n",
        client.project_id(),
        client.base_url()
    );
    // A login id of its own, so that no user of the project is touched.
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let login_id = format!("quickstart-{}@example.com", started.as_millis());
    let user = TestUser::new(&login_id)
        .name("Joe Person")
        .email(&login_id)
        .email_verified()
        .phone(PHONE)
        .phone_verified();
    management.create_test_user(user).await?;
    println!("Created the test user {login_id}.");
    let outcome = story(&client, &Mailbox::TestUser(&management, &login_id)).await;
    match management.delete_user(&login_id).await {
        Ok(()) => println!("The test user is deleted."),
        Err(error) => println!("The test user {login_id} could not be deleted: {error}"),
    }
    outcome
}

async fn story(client: &Client, mailbox: &Mailbox<'_>) -> Outcome {
    let magic_link = client.magic_link();

    step("Sign up by email");
    if mailbox.is_emulated() {
        let sent = magic_link
            .sign_up(DeliveryMethod::Email, EMAIL)
            .user(SignUpUser::new().name("Joe Person").phone(PHONE))
            .redirect_url(LANDING_PAGE)
            .template_option("greeting", "Hi Joe")
            .send()
            .await?;
        println!("  A link went to {}.", sent.masked_address());
    }
    let used = mailbox.token(DeliveryMethod::Email, EMAIL).await?;
    let auth = magic_link.verify(&used).await?;
    show(&auth);

    step("Sign in by SMS, then by WhatsApp");
    for method in [DeliveryMethod::Sms, DeliveryMethod::WhatsApp] {
        if mailbox.is_emulated() {
            let sent = magic_link
                .sign_in(method, EMAIL)
                .redirect_url(LANDING_PAGE)
                .send()
                .await?;
            println!("  A link went to {} by {method}.", sent.masked_address());
        }
        let token = mailbox.token(method, PHONE).await?;
        show(&magic_link.verify(&token).await?);
    }

    step("Change the email address, and the phone number");
    if mailbox.is_emulated() {
        let sent = magic_link
            .update_email(auth.tokens.refresh_token()?, NEW_EMAIL)
            .redirect_url(LANDING_PAGE)
            .send()
            .await?;
        println!(
            "  A link went to {}; the address changes when it is opened.",
            sent.masked_address()
        );
        let token = mailbox.token(DeliveryMethod::Email, NEW_EMAIL).await?;
        show(&magic_link.verify(&token).await?);

        let sent = magic_link
            .update_phone(auth.tokens.refresh_token()?, PhoneDelivery::Sms, NEW_PHONE)
            .redirect_url(LANDING_PAGE)
            .send()
            .await?;
        println!("  A link went to {}.", sent.masked_address());
        let token = mailbox.token(DeliveryMethod::Sms, NEW_PHONE).await?;
        show(&magic_link.verify(&token).await?);
    } else {
        println!("  Left out: it would send real messages.");
    }

    step("Validate the session, without a call to the service");
    let sessions = client.sessions();
    describe("Joe", &sessions.validate(&auth.tokens.session).await?);
    if mailbox.is_emulated() {
        magic_link
            .sign_in(DeliveryMethod::Email, ADMIN)
            .send()
            .await?;
        let token = mailbox.token(DeliveryMethod::Email, ADMIN).await?;
        describe("Ann, an admin,", &magic_link.verify(&token).await?.session);
    }

    step("Refresh the session, and log out");
    let fresh = sessions.refresh(auth.tokens.refresh_token()?).await?;
    println!(
        "  A new session token, good for {}.",
        lifetime(&fresh.session)
    );
    sessions.logout(fresh.tokens.refresh_token()?).await?;
    println!("  Logged out.");

    step("Three calls that must fail");
    explain(
        "refreshing after the logout",
        sessions.refresh(fresh.tokens.refresh_token()?).await,
    )?;
    explain(
        "opening the first link again",
        magic_link.verify(&used).await,
    )?;
    let nobody = magic_link.sign_in(DeliveryMethod::Email, "nobody@example.com");
    explain("signing in as nobody", nobody.send().await)?;
    Ok(())
}

/// Where the links arrive: the emulator's outbox, or, on a real project, a test user's login id.
enum Mailbox<'a> {
    Outbox(&'a Emulator),
    TestUser(&'a Management, &'a str),
}

impl Mailbox<'_> {
    fn is_emulated(&self) -> bool {
        matches!(self, Self::Outbox(_))
    }

    /// The token of the newest message to `address`.
    async fn token(&self, method: DeliveryMethod, address: &str) -> Outcome<MagicLinkToken> {
        match self {
            Self::Outbox(emulator) => {
                let message = emulator.outbox().next_for(address).await?;
                Ok(MagicLinkToken::from_url(message.link())?)
            }
            // Nobody reads a real mailbox here, so that the link is generated instead of sent.
            Self::TestUser(management, login_id) => {
                let link = management
                    .test_magic_link(method, *login_id)
                    .redirect_url(LANDING_PAGE)
                    .send()
                    .await?;
                println!("  Generated the link that {method} would bring.");
                Ok(link.token()?)
            }
        }
    }
}

fn step(title: &str) {
    println!("{title}");
}

fn show(auth: &Authentication) {
    let user = auth.user.as_ref();
    println!(
        "  Signed in as {} <{}> {}{}",
        user.and_then(|user| user.name()).unwrap_or("somebody"),
        user.and_then(|user| user.email()).unwrap_or("no email"),
        user.and_then(|user| user.phone()).unwrap_or("no phone"),
        if auth.first_seen == Some(true) {
            ", for the first time"
        } else {
            ""
        },
    );
}

fn describe(who: &str, session: &Session) {
    println!(
        "  {who} ({}) has a session for {}; may write invoices: {}.",
        session.user_id(),
        lifetime(session),
        if session.has_roles(["admin"]) && session.has_permissions(["invoice:write"]) {
            "yes"
        } else {
            "no"
        },
    );
}

fn lifetime(session: &Session) -> String {
    let left = session
        .expires_at()
        .duration_since(SystemTime::now())
        .unwrap_or_default();
    format!("{} minutes", (left.as_secs() + 30) / 60)
}

fn explain<T>(what: &str, result: Result<T, Error>) -> Outcome {
    let Err(error) = result else {
        return Err(format!("{what} worked, which it must not").into());
    };
    println!("  {what}: {error}");
    Ok(())
}

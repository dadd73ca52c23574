//! Sending magic links, verifying their tokens, and changing addresses by them.

pub(crate) mod check;
mod message;
mod send;
mod token;
mod update;
mod verify;

use std::fmt;

pub use send::{SendSignIn, SendSignUp, SendSignUpOrIn, SignUpUser};
pub use update::{UpdateEmail, UpdatePhone};

use crate::client::Client;
use crate::delivery::{DeliveryMethod, PhoneDelivery};
use crate::secret::RefreshToken;

/// Sign-up and sign-in by magic link: from [`Client::magic_link`](crate::Client::magic_link).
///
/// Each function takes what the call cannot work without, and returns a request to add options to
/// and to [`send`](SendSignIn::send).
///
/// ```no_run
/// use descope_magiclink::{Client, DeliveryMethod, MagicLinkToken};
///
/// # async fn run(landing_url: &str) -> Result<(), descope_magiclink::Error> {
/// let magic_link = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?.magic_link();
/// let sent = magic_link
///     .sign_up_or_in(DeliveryMethod::Email, "joe@example.com")
///     .redirect_url("https://app.example.com/verify")
///     .send()
///     .await?;
/// println!("look into {}", sent.masked_address());
///
/// // Later, on the page that the link opens:
/// let token = MagicLinkToken::from_url(landing_url)?;
/// let auth = magic_link.verify(&token).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct MagicLink {
    client: Client,
}

impl MagicLink {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// Registers a new user and sends them a link.
    ///
    /// The link goes to the email or phone of [`user`](SendSignUp::user), and where that has none to
    /// the login id itself. Fails when the login id is already registered.
    pub fn sign_up(&self, method: DeliveryMethod, login_id: impl Into<String>) -> SendSignUp {
        SendSignUp::new(self.client.clone(), method, login_id.into())
    }

    /// Sends a link to a user who is registered. Fails when the login id is not.
    pub fn sign_in(&self, method: DeliveryMethod, login_id: impl Into<String>) -> SendSignIn {
        SendSignIn::new(self.client.clone(), method, login_id.into())
    }

    /// Sends a link to a user, who is registered if they are not yet.
    pub fn sign_up_or_in(
        &self,
        method: DeliveryMethod,
        login_id: impl Into<String>,
    ) -> SendSignUpOrIn {
        SendSignUpOrIn::new(self.client.clone(), method, login_id.into())
    }

    /// Sends a link to a new email address; it becomes the user's when the link is verified.
    ///
    /// `refresh_token` is that of the user whom `login_id` names.
    pub fn update_email(
        &self,
        refresh_token: &RefreshToken,
        login_id: impl Into<String>,
        email: impl Into<String>,
    ) -> UpdateEmail {
        UpdateEmail::new(
            self.client.clone(),
            refresh_token.clone(),
            login_id.into(),
            email.into(),
        )
    }

    /// Sends a link to a new phone number; it becomes the user's when the link is verified.
    ///
    /// `refresh_token` is that of the user whom `login_id` names.
    ///
    /// A phone cannot be updated by email:
    ///
    /// ```compile_fail,E0308
    /// # use descope_magiclink::{Client, DeliveryMethod, RefreshToken};
    /// # let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    /// # let refresh = RefreshToken::new("...");
    /// client.magic_link().update_phone(&refresh, DeliveryMethod::Email, "joe", "+15555555555");
    /// ```
    pub fn update_phone(
        &self,
        refresh_token: &RefreshToken,
        method: PhoneDelivery,
        login_id: impl Into<String>,
        phone: impl Into<String>,
    ) -> UpdatePhone {
        UpdatePhone::new(
            self.client.clone(),
            refresh_token.clone(),
            method,
            login_id.into(),
            phone.into(),
        )
    }
}

/// A message is on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    masked_address: MaskedAddress,
}

impl Sent {
    pub(crate) fn new(masked_address: Option<String>) -> Self {
        Self {
            masked_address: MaskedAddress(masked_address.unwrap_or_default()),
        }
    }

    /// Where it went, fit to be shown to the user.
    #[must_use]
    pub fn masked_address(&self) -> &MaskedAddress {
        &self.masked_address
    }
}

/// An address with most of it hidden, such as `j**@example.com`.
///
/// The service decides on the form and may change it: show it, and read nothing out of it. It is
/// empty should the service leave it out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MaskedAddress(String);

impl MaskedAddress {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MaskedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

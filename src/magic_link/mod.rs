//! Sending magic links, verifying their tokens, and changing addresses by them.

pub(crate) mod address;
pub(crate) mod options;
mod sign_in;
pub(crate) mod sign_up;
mod sign_up_or_in;
mod token;
mod update;
mod verify;

use std::fmt;

pub use options::LinkRequest;
pub use sign_in::SignIn;
pub use sign_up::SignUp;
pub use sign_up_or_in::SignUpOrIn;
pub use update::UpdateAddress;

use crate::client::Client;

/// Sign-up and sign-in by magic link: from [`Client::magic_link`](crate::Client::magic_link).
///
/// Each function takes what the call cannot work without, and returns a request to add options to
/// and to [`send`](LinkRequest::send).
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

impl Client {
    /// Sending and verifying magic links.
    #[must_use]
    pub fn magic_link(&self) -> MagicLink {
        MagicLink::new(self.clone())
    }
}

impl MagicLink {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
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

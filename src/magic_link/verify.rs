//! Verifying a link's token.

use super::MagicLink;
use crate::authentication::Authentication;
use crate::error::{Error, Result};
use crate::raw::types;
use crate::secret::MagicLinkToken;

impl MagicLink {
    /// Signs the user in with the token of a link.
    ///
    /// A token is good for one use. Call this from a `POST` that the user makes (a button), not from
    /// the `GET` of the link: mail scanners open links too. It is never sent twice by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::TokenExpired`](crate::ErrorCode::TokenExpired) when the link
    /// has expired or was used; [`Error::InvalidArgument`] when the token is empty. After
    /// [`Error::Timeout`] and most of [`Error::Transport`] the token may be used up.
    ///
    /// ```no_run
    /// # use descope_magiclink::{Client, MagicLinkToken};
    /// # async fn run(client: Client, landing_url: &str) -> Result<(), descope_magiclink::Error> {
    /// let token = MagicLinkToken::from_url(landing_url)?;
    /// let auth = client.magic_link().verify(&token).await?;
    /// println!("hello {}", auth.user.as_ref().and_then(|user| user.name()).unwrap_or("you"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn verify(&self, token: &MagicLinkToken) -> Result<Authentication> {
        if token.expose_secret().trim().is_empty() {
            return Err(Error::argument("token", "must not be empty"));
        }
        let body = types::VerifyMagicLinkRequest {
            token: Some(token.clone()),
            ..Default::default()
        };
        let answer = self.client.raw().verify_magic_link(&body).await?;
        let (body, status, headers) = answer.into_parts();
        Authentication::from_response(body, status, &headers, self.client.cookie_names())
    }
}

//! Verifying a link's token.

use super::MagicLink;
use crate::authentication::{Authentication, UncheckedAuthentication};
use crate::error::{Error, Result};
use crate::raw::types;
use crate::secret::MagicLinkToken;

impl MagicLink {
    /// Signs the user in with the token of a link, and checks the tokens that come back.
    ///
    /// A token is good for one use. Call this from a `POST` that the user makes (a button), not from
    /// the `GET` of the link: mail scanners open links too. It is never sent twice by itself.
    ///
    /// The project's public keys are fetched first if they are not at hand, so that a link is not
    /// used up for tokens that could not be checked then.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] with [`ErrorCode::TokenExpired`](crate::ErrorCode::TokenExpired) when the link
    /// has expired or was used; [`Error::InvalidArgument`] when the token is empty;
    /// [`Error::Session`] when there are no keys (the link is good still), or what came back is bad.
    /// After [`Error::Timeout`] and most of [`Error::Transport`] the token may be used up.
    ///
    /// ```no_run
    /// # use descope_magiclink::{Client, MagicLinkToken};
    /// # async fn run(client: Client, landing_url: &str) -> Result<(), descope_magiclink::Error> {
    /// let token = MagicLinkToken::from_url(landing_url)?;
    /// let auth = client.magic_link().verify(&token).await?;
    /// println!("hello {}", auth.session.user_id());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn verify(&self, token: &MagicLinkToken) -> Result<Authentication> {
        check(token)?;
        let validator = self.client.validator();
        validator.prepare().await?;
        let unchecked = self.verify_unchecked(token).await?;
        unchecked.check(validator).await
    }

    /// As [`verify`](Self::verify), without a look at the tokens that come back.
    ///
    /// For a program that hands the tokens on to one that checks them. They came over TLS from the
    /// configured host, and that is all that is known of them.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify), but for [`Error::Session`].
    pub async fn verify_unchecked(
        &self,
        token: &MagicLinkToken,
    ) -> Result<UncheckedAuthentication> {
        check(token)?;
        let body = types::VerifyMagicLinkRequest {
            token: Some(token.clone()),
            ..Default::default()
        };
        let answer = self.client.raw().verify_magic_link(&body).await?;
        UncheckedAuthentication::from_response(answer, self.client.cookie_names())
    }
}

fn check(token: &MagicLinkToken) -> Result<()> {
    if token.expose_secret().trim().is_empty() {
        return Err(Error::argument("token", "must not be empty"));
    }
    Ok(())
}

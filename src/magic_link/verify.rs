//! Verifying a link's token.

use super::MagicLink;
use crate::error::{Error, Result};
use crate::raw::types;
use crate::secret::MagicLinkToken;
use crate::session::UncheckedAuthentication;
use crate::session::calls::Authentication;
use crate::session::handovers::Handover;
use crate::session::tokens::TokenResponse;
use crate::sync::hash::hash;
use crate::transport::deadline::Deadline;

impl MagicLink {
    /// Signs the user in with the token of a link, and checks the tokens that come back.
    ///
    /// A token is good for one use. Call this from a `POST` that the user makes (a button), not from
    /// the `GET` of the link: mail scanners open links too. It is never sent twice by itself.
    ///
    /// The project's public keys are fetched first if they are not at hand, so that a link is not
    /// used up for tokens that could not be checked then. Once made, the call goes on though its
    /// caller goes away. Tokens that reached nobody are kept for 60 s, and those that could not be
    /// checked for 10 minutes: the next call with the same token gets them, once.
    ///
    /// The tokens are the service's word: their times are measured by the response's own `Date` and not
    /// by this machine's clock.
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
        let deadline = self.client.deadline();
        let validator = self.client.validator();
        validator.prefetch_keys_until(deadline).await?;
        let handover = self.obtain(token, deadline).await?;
        let (response, tokens) = handover.check(None, deadline).await?;
        Ok(Authentication::new(&response, tokens))
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
        let response = self.obtain(token, self.client.deadline()).await?.deliver();
        Ok(UncheckedAuthentication::new(&response))
    }

    /// The response for a token: the service's, or one to an earlier call that reached nobody.
    async fn obtain(&self, token: &MagicLinkToken, deadline: Deadline) -> Result<Handover> {
        let hash = hash(token.expose_secret());
        let call = || {
            let client = self.client.clone();
            let body = types::VerifyMagicLinkRequest {
                token: Some(token.clone()),
                ..Default::default()
            };
            async move {
                let response = client
                    .raw_with_longest_timeout()
                    .verify_magic_link(&body)
                    .send()
                    .await?;
                TokenResponse::read(response, client.validator())
            }
        };
        self.client.handovers().obtain(hash, deadline, call).await
    }
}

fn check(token: &MagicLinkToken) -> Result<()> {
    if token.expose_secret().trim().is_empty() {
        return Err(Error::argument("token", "must not be empty"));
    }
    Ok(())
}

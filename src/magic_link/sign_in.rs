//! Signing in a user who is registered, or whoever it is.

use super::options::{LoginOptions, MessageOptions, setters};
use super::{MagicLink, Sent, address};
use crate::client::Client;
use crate::delivery::DeliveryMethod;
use crate::error::Result;
use crate::raw::types;
use crate::secret::RefreshToken;

impl MagicLink {
    /// Sends a link to a user who is registered. Fails when the login id is not.
    pub fn sign_in(&self, method: DeliveryMethod, login_id: impl Into<String>) -> SendSignIn {
        SendSignIn {
            client: self.client.clone(),
            method,
            login_id: login_id.into(),
            message: MessageOptions::default(),
            login: LoginOptions::default(),
            use_recovery: None,
            refresh_token: None,
        }
    }

    /// Sends a link to a user, who is registered if they are not yet.
    pub fn sign_up_or_in(
        &self,
        method: DeliveryMethod,
        login_id: impl Into<String>,
    ) -> SendSignUpOrIn {
        SendSignUpOrIn {
            client: self.client.clone(),
            method,
            login_id: login_id.into(),
            message: MessageOptions::default(),
            login: LoginOptions::default(),
            use_recovery: None,
        }
    }
}

/// A sign-in, before it is sent: from [`MagicLink::sign_in`](super::MagicLink::sign_in).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct SendSignIn {
    client: Client,
    method: DeliveryMethod,
    login_id: String,
    message: MessageOptions,
    login: LoginOptions,
    use_recovery: Option<bool>,
    refresh_token: Option<RefreshToken>,
}

/// A sign-up or sign-in, before it is sent: from
/// [`MagicLink::sign_up_or_in`](super::MagicLink::sign_up_or_in).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct SendSignUpOrIn {
    client: Client,
    method: DeliveryMethod,
    login_id: String,
    message: MessageOptions,
    login: LoginOptions,
    use_recovery: Option<bool>,
}

setters! {
    SendSignIn: redirect_url provider_id template tenant_id custom_claim sign_in recovery;
    SendSignUpOrIn: redirect_url provider_id template tenant_id custom_claim sign_in recovery;
}

impl SendSignIn {
    /// Asks a user who is signed in to prove it once more: the session that follows is a stepped-up
    /// one (10 minutes by default).
    ///
    /// ```compile_fail,E0061
    /// # use descope_magiclink::{Client, DeliveryMethod};
    /// # let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    /// // There is no step-up without the user's refresh token.
    /// client.magic_link().sign_in(DeliveryMethod::Email, "joe@example.com").step_up();
    /// ```
    pub fn step_up(mut self, refresh_token: &RefreshToken) -> Self {
        self.login.step_up = Some(true);
        self.refresh_token = Some(refresh_token.clone());
        self
    }

    /// Adds this link as a further factor to the login that the refresh token belongs to.
    pub fn mfa(mut self, refresh_token: &RefreshToken) -> Self {
        self.login.mfa = Some(true);
        self.refresh_token = Some(refresh_token.clone());
        self
    }

    /// Sends the link.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when the login id is empty;
    /// [`Error::Api`](crate::Error::Api) with
    /// [`ErrorCode::UserNotFound`](crate::ErrorCode::UserNotFound) when it is not registered (tell
    /// your users nothing about it); else as the service decides.
    pub async fn send(self) -> Result<Sent> {
        let body = body(&self.login_id, self.message, self.login, self.use_recovery)?;
        let (raw, refresh) = (self.client.raw(), self.refresh_token.as_ref());
        let masked = match self.method {
            DeliveryMethod::Email => {
                let answer = raw.sign_in_magic_link_email(refresh, &body).await?;
                answer.into_inner().masked_email
            }
            DeliveryMethod::Sms => {
                let answer = raw.sign_in_magic_link_sms(refresh, &body).await?;
                answer.into_inner().masked_phone
            }
            DeliveryMethod::WhatsApp => {
                let answer = raw.sign_in_magic_link_whats_app(refresh, &body).await?;
                answer.into_inner().masked_phone
            }
        };
        Ok(Sent::new(masked))
    }
}

impl SendSignUpOrIn {
    /// Sends the link.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when the login id is empty; else as
    /// the service decides.
    pub async fn send(self) -> Result<Sent> {
        let body = body(&self.login_id, self.message, self.login, self.use_recovery)?;
        let raw = self.client.raw();
        let masked = match self.method {
            DeliveryMethod::Email => {
                let answer = raw.sign_up_or_in_magic_link_email(&body).await?;
                answer.into_inner().masked_email
            }
            DeliveryMethod::Sms => {
                let answer = raw.sign_up_or_in_magic_link_sms(&body).await?;
                answer.into_inner().masked_phone
            }
            DeliveryMethod::WhatsApp => {
                let answer = raw.sign_up_or_in_magic_link_whats_app(&body).await?;
                answer.into_inner().masked_phone
            }
        };
        Ok(Sent::new(masked))
    }
}

fn body(
    login_id: &str,
    mut message: MessageOptions,
    login: LoginOptions,
    use_recovery: Option<bool>,
) -> Result<types::MagicLinkSignInRequest> {
    Ok(types::MagicLinkSignInRequest {
        login_id: Some(address::login_id(login_id)?),
        redirect_url: message.redirect_url()?,
        provider_id: message.provider_id.take(),
        login_options: login.into_body(message)?,
        use_recovery,
        ..Default::default()
    })
}

//! Signing in a user who is registered.

use super::options::{LinkRequest, accepts};
use super::{MagicLink, Sent};
use crate::delivery::DeliveryMethod;
use crate::error::Result;
use crate::raw::types;
use crate::secret::RefreshToken;

impl MagicLink {
    /// Sends a link to a user who is registered. Fails when the login id is not.
    pub fn sign_in(
        &self,
        method: DeliveryMethod,
        login_id: impl Into<String>,
    ) -> LinkRequest<SignIn> {
        let kind = SignIn {
            method,
            refresh_token: None,
        };
        LinkRequest::new(&self.client, login_id.into(), kind)
    }

    /// Sends a link to the user who is signed in, by which they confirm once more that it is them: the
    /// session that follows [is stepped up](crate::Session::is_stepped_up).
    ///
    /// It is [`sign_in`](Self::sign_in) with [`step_up`](LinkRequest::step_up) for those who do not know
    /// the user's login id: a call of [`me`](crate::Sessions::me) finds it.
    ///
    /// ```no_run
    /// # use descope_magiclink::{Client, DeliveryMethod, RefreshToken};
    /// # async fn f(client: Client, refresh: &RefreshToken) -> descope_magiclink::Result<()> {
    /// client.magic_link().step_up(DeliveryMethod::Email, refresh).send().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn step_up(
        &self,
        method: DeliveryMethod,
        refresh_token: &RefreshToken,
    ) -> LinkRequest<SignIn> {
        self.sign_in_again(method).step_up(refresh_token)
    }

    /// Sends a link to the user who is signed in, as a further factor of that login: the session that
    /// follows [is one of several factors](crate::Session::is_mfa) if the method is another one than
    /// before.
    ///
    /// It is [`sign_in`](Self::sign_in) with [`mfa`](LinkRequest::mfa) for those who do not know the
    /// user's login id: a call of [`me`](crate::Sessions::me) finds it.
    pub fn mfa(&self, method: DeliveryMethod, refresh_token: &RefreshToken) -> LinkRequest<SignIn> {
        self.sign_in_again(method).mfa(refresh_token)
    }

    fn sign_in_again(&self, method: DeliveryMethod) -> LinkRequest<SignIn> {
        let kind = SignIn {
            method,
            refresh_token: None,
        };
        LinkRequest::for_signed_in(&self.client, kind)
    }
}

/// A sign-in: see [`MagicLink::sign_in`].
#[derive(Debug, Clone)]
pub struct SignIn {
    method: DeliveryMethod,
    refresh_token: Option<RefreshToken>,
}

impl accepts::Redirect for SignIn {}
impl accepts::Delivery for SignIn {}
impl accepts::Message for SignIn {}
impl accepts::Login for SignIn {}
impl accepts::SignIn for SignIn {}
impl accepts::Recovery for SignIn {}

impl LinkRequest<SignIn> {
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
        self.kind.refresh_token = Some(refresh_token.clone());
        self
    }

    /// Adds this link as a further factor to the login that the refresh token belongs to.
    pub fn mfa(mut self, refresh_token: &RefreshToken) -> Self {
        self.login.mfa = Some(true);
        self.kind.refresh_token = Some(refresh_token.clone());
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
    pub async fn send(mut self) -> Result<Sent> {
        let mut body = self.sign_in_body()?;
        let (raw, refresh) = (self.client.raw(), self.kind.refresh_token.as_ref());
        if let (None, Some(refresh)) = (&body.login_id, refresh) {
            body.login_id = Some(self.login_id_of(refresh).await?);
        }
        let masked = match self.kind.method {
            DeliveryMethod::Email => {
                let call = raw.sign_in_magic_link_email(&body);
                let call = match refresh {
                    Some(token) => call.refresh_token(token),
                    None => call,
                };
                let response = call.send().await?;
                response.into_inner().masked_email
            }
            DeliveryMethod::Sms => {
                let call = raw.sign_in_magic_link_sms(&body);
                let call = match refresh {
                    Some(token) => call.refresh_token(token),
                    None => call,
                };
                let response = call.send().await?;
                response.into_inner().masked_phone
            }
            DeliveryMethod::WhatsApp => {
                let call = raw.sign_in_magic_link_whatsapp(&body);
                let call = match refresh {
                    Some(token) => call.refresh_token(token),
                    None => call,
                };
                let response = call.send().await?;
                response.into_inner().masked_phone
            }
        };
        Ok(Sent::new(masked))
    }
}

impl<K: accepts::Recovery> LinkRequest<K> {
    /// The body that sign-in and sign-up-or-in share.
    pub(super) fn sign_in_body(&mut self) -> Result<types::MagicLinkSignInRequest> {
        Ok(types::MagicLinkSignInRequest {
            login_id: self.checked_login_id()?,
            redirect_url: self.checked_redirect_url()?,
            provider_id: self.message.provider_id.take(),
            use_recovery: self.login.use_recovery,
            login_options: self.login_options()?,
            ..Default::default()
        })
    }
}

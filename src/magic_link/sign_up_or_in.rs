//! Signing in whoever it is.

use super::options::{LinkRequest, accepts};
use super::{MagicLink, Sent};
use crate::delivery::DeliveryMethod;
use crate::error::Result;

impl MagicLink {
    /// Sends a link to a user, who is registered if they are not yet.
    pub fn sign_up_or_in(
        &self,
        method: DeliveryMethod,
        login_id: impl Into<String>,
    ) -> LinkRequest<SignUpOrIn> {
        LinkRequest::new(&self.client, login_id.into(), SignUpOrIn { method })
    }
}

/// A sign-up or sign-in: see [`MagicLink::sign_up_or_in`].
#[derive(Debug, Clone)]
pub struct SignUpOrIn {
    method: DeliveryMethod,
}

impl accepts::Redirect for SignUpOrIn {}
impl accepts::Delivery for SignUpOrIn {}
impl accepts::Message for SignUpOrIn {}
impl accepts::Login for SignUpOrIn {}
impl accepts::SignIn for SignUpOrIn {}
impl accepts::Recovery for SignUpOrIn {}

impl LinkRequest<SignUpOrIn> {
    /// Sends the link.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when the login id is empty; else as
    /// the service decides.
    pub async fn send(mut self) -> Result<Sent> {
        let body = self.sign_in_body()?;
        let raw = self.client.raw();
        let masked = match self.kind.method {
            DeliveryMethod::Email => {
                let response = raw.sign_up_or_in_magic_link_email(&body).send().await?;
                response.into_inner().masked_email
            }
            DeliveryMethod::Sms => {
                let response = raw.sign_up_or_in_magic_link_sms(&body).send().await?;
                response.into_inner().masked_phone
            }
            DeliveryMethod::WhatsApp => {
                let response = raw.sign_up_or_in_magic_link_whatsapp(&body).send().await?;
                response.into_inner().masked_phone
            }
        };
        Ok(Sent::new(masked))
    }
}

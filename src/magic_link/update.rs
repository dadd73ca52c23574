//! Changing a user's address.

use super::options::{LinkRequest, accepts};
use super::{MagicLink, Sent, address};
use crate::delivery::PhoneDelivery;
use crate::error::Result;
use crate::raw::types;
use crate::secret::RefreshToken;

impl MagicLink {
    /// Sends a link to a new email address; it becomes the user's when the link is verified.
    ///
    /// `refresh_token` is the user's, and says who that is.
    pub fn update_email(
        &self,
        refresh_token: &RefreshToken,
        email: impl Into<String>,
    ) -> LinkRequest<UpdateAddress> {
        self.update(refresh_token, Address::Email(email.into()))
    }

    /// Sends a link to a new phone number; it becomes the user's when the link is verified.
    ///
    /// `refresh_token` is the user's, and says who that is.
    ///
    /// A phone cannot be updated by email:
    ///
    /// ```compile_fail,E0308
    /// # use descope_magiclink::{Client, DeliveryMethod, RefreshToken};
    /// # let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z").unwrap();
    /// # let refresh = RefreshToken::new("...");
    /// client.magic_link().update_phone(&refresh, DeliveryMethod::Email, "+15555555555");
    /// ```
    pub fn update_phone(
        &self,
        refresh_token: &RefreshToken,
        method: PhoneDelivery,
        phone: impl Into<String>,
    ) -> LinkRequest<UpdateAddress> {
        let address = Address::Phone(method, phone.into());
        self.update(refresh_token, address)
    }

    fn update(&self, refresh_token: &RefreshToken, address: Address) -> LinkRequest<UpdateAddress> {
        let kind = UpdateAddress {
            refresh_token: refresh_token.clone(),
            address,
            add_to_login_ids: None,
            on_merge_use_existing: None,
            fail_on_conflict: None,
        };
        LinkRequest::for_signed_in(&self.client, kind)
    }
}

#[derive(Debug, Clone)]
enum Address {
    Email(String),
    Phone(PhoneDelivery, String),
}

/// A change of address: see [`MagicLink::update_email`] and [`MagicLink::update_phone`].
#[derive(Debug, Clone)]
pub struct UpdateAddress {
    refresh_token: RefreshToken,
    address: Address,
    add_to_login_ids: Option<bool>,
    on_merge_use_existing: Option<bool>,
    fail_on_conflict: Option<bool>,
}

impl accepts::Redirect for UpdateAddress {}
impl accepts::Delivery for UpdateAddress {}
impl accepts::Message for UpdateAddress {}

impl LinkRequest<UpdateAddress> {
    /// A login id of the user. Without it, a call of [`me`](crate::Sessions::me) finds one.
    pub fn login_id(mut self, login_id: impl Into<String>) -> Self {
        self.login_id = Some(login_id.into());
        self
    }

    /// Makes the new address a login id too, so that the user can sign in with it.
    pub fn add_to_login_ids(mut self) -> Self {
        self.kind.add_to_login_ids = Some(true);
        self
    }

    /// As [`add_to_login_ids`](Self::add_to_login_ids); and if the address is already a login id of
    /// another user, it is that user who stays.
    ///
    /// # Warning
    ///
    /// The two users are merged. The one who called is deleted, and their refresh token ends:
    /// verifying the link gives tokens for the other. Without this option a merge keeps the caller
    /// and deletes the other.
    pub fn add_to_login_ids_keeping_existing_user(mut self) -> Self {
        self.kind.add_to_login_ids = Some(true);
        self.kind.on_merge_use_existing = Some(true);
        self
    }

    /// Fails, instead of merging, when the address belongs to another user.
    pub fn fail_on_conflict(mut self) -> Self {
        self.kind.fail_on_conflict = Some(true);
        self
    }

    /// Sends the link to the new address.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an empty login id and for what
    /// is no address; [`Error::Session`](crate::Error::Session) for an empty refresh token; else as
    /// the service decides.
    pub async fn send(mut self) -> Result<Sent> {
        let mut login_id = self.checked_login_id()?;
        let redirect_url = self.checked_redirect_url()?;
        // What can be told without a call comes before the first.
        match &mut self.kind.address {
            Address::Email(email) => *email = address::email("email", email)?,
            Address::Phone(_, phone) => *phone = address::phone("phone", phone)?,
        }
        if login_id.is_none() {
            login_id = Some(self.login_id_of(&self.kind.refresh_token).await?);
        }
        let (message, kind) = (self.message, self.kind);
        let (raw, refresh) = (self.client.raw(), &kind.refresh_token);
        match kind.address {
            Address::Email(email) => {
                let body = types::UpdateUserEmailMagicLinkRequest {
                    login_id,
                    email: Some(email),
                    redirect_url,
                    provider_id: message.provider_id,
                    template_id: message.template_id,
                    template_options: message.template_options,
                    locale: message.locale,
                    add_to_login_ids: kind.add_to_login_ids,
                    on_merge_use_existing: kind.on_merge_use_existing,
                    fail_on_conflict: kind.fail_on_conflict,
                    ..Default::default()
                };
                let response = raw
                    .update_user_email_magic_link(refresh, &body)
                    .send()
                    .await?;
                Ok(Sent::new(response.into_inner().masked_email))
            }
            Address::Phone(method, phone) => {
                let body = types::UpdateUserPhoneMagicLinkRequest {
                    login_id,
                    phone: Some(phone),
                    redirect_url,
                    provider_id: message.provider_id,
                    template_id: message.template_id,
                    template_options: message.template_options,
                    locale: message.locale,
                    add_to_login_ids: kind.add_to_login_ids,
                    on_merge_use_existing: kind.on_merge_use_existing,
                    fail_on_conflict: kind.fail_on_conflict,
                    ..Default::default()
                };
                let response = match method {
                    PhoneDelivery::Sms => {
                        let call = raw.update_user_phone_magic_link_sms(refresh, &body);
                        call.send().await?
                    }
                    PhoneDelivery::WhatsApp => {
                        let call = raw.update_user_phone_magic_link_whatsapp(refresh, &body);
                        call.send().await?
                    }
                };
                Ok(Sent::new(response.into_inner().masked_phone))
            }
        }
    }
}

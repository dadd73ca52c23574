//! Changing a user's address.

use super::message::{Message, message_options};
use super::{Sent, check};
use crate::client::Client;
use crate::delivery::PhoneDelivery;
use crate::error::Result;
use crate::raw::types;
use crate::secret::RefreshToken;

/// What happens when the new address belongs to somebody already, and whether it becomes a login id.
#[derive(Debug, Clone, Default)]
struct Options {
    add_to_login_ids: Option<bool>,
    on_merge_use_existing: Option<bool>,
    fail_on_conflict: Option<bool>,
}

macro_rules! options {
    ($($name:ident),+) => {$(
        impl $name {
            /// Makes the new address a login id too, so that the user can sign in with it.
            pub fn add_to_login_ids(mut self) -> Self {
                self.options.add_to_login_ids = Some(true);
                self
            }

            /// As [`add_to_login_ids`](Self::add_to_login_ids); and if the address is already a login
            /// id of another user, it is that user who stays.
            ///
            /// # Warning
            ///
            /// The two users are merged. The one who called is deleted, and their refresh token ends:
            /// verifying the link gives tokens for the other. Without this option a merge keeps the
            /// caller and deletes the other.
            pub fn add_to_login_ids_keeping_existing_user(mut self) -> Self {
                self.options.add_to_login_ids = Some(true);
                self.options.on_merge_use_existing = Some(true);
                self
            }

            /// Fails, instead of merging, when the address belongs to another user.
            pub fn fail_on_conflict(mut self) -> Self {
                self.options.fail_on_conflict = Some(true);
                self
            }
        }
    )+};
}

message_options!(UpdateEmail, UpdatePhone);
options!(UpdateEmail, UpdatePhone);

macro_rules! body {
    ($type:ident, $request:expr, $address:ident) => {
        types::$type {
            login_id: Some($request.login_id),
            $address: Some($request.$address),
            redirect_url: $request.message.redirect_url,
            provider_id: $request.message.provider_id,
            template_id: $request.message.template_id,
            template_options: $request.message.template_options,
            locale: $request.message.locale,
            add_to_login_ids: $request.options.add_to_login_ids,
            on_merge_use_existing: $request.options.on_merge_use_existing,
            fail_on_conflict: $request.options.fail_on_conflict,
            ..Default::default()
        }
    };
}

/// A change of email, before it is sent: from
/// [`MagicLink::update_email`](super::MagicLink::update_email).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct UpdateEmail {
    client: Client,
    refresh_token: RefreshToken,
    login_id: String,
    email: String,
    message: Message,
    options: Options,
}

impl UpdateEmail {
    pub(super) fn new(
        client: Client,
        refresh_token: RefreshToken,
        login_id: String,
        email: String,
    ) -> Self {
        Self {
            client,
            refresh_token,
            login_id,
            email,
            message: Message::default(),
            options: Options::default(),
        }
    }

    /// Sends the link to the new address.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an empty login id or refresh
    /// token and for what is no email address; else as the service decides.
    pub async fn send(self) -> Result<Sent> {
        check::login_id(&self.login_id)?;
        check::email("email", &self.email)?;
        check::redirect_url(self.message.redirect_url.as_deref())?;
        let body = body!(UpdateUserEmailMagicLinkRequest, self, email);
        let answer = self
            .client
            .raw()
            .update_user_email_magic_link(&self.refresh_token, &body)
            .await?;
        Ok(Sent::new(answer.into_inner().masked_email))
    }
}

/// A change of phone number, before it is sent: from
/// [`MagicLink::update_phone`](super::MagicLink::update_phone).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct UpdatePhone {
    client: Client,
    refresh_token: RefreshToken,
    method: PhoneDelivery,
    login_id: String,
    phone: String,
    message: Message,
    options: Options,
}

impl UpdatePhone {
    pub(super) fn new(
        client: Client,
        refresh_token: RefreshToken,
        method: PhoneDelivery,
        login_id: String,
        phone: String,
    ) -> Self {
        Self {
            client,
            refresh_token,
            method,
            login_id,
            phone,
            message: Message::default(),
            options: Options::default(),
        }
    }

    /// Sends the link to the new number.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for an empty login id or refresh
    /// token and for what is no phone number; else as the service decides.
    pub async fn send(self) -> Result<Sent> {
        check::login_id(&self.login_id)?;
        check::phone("phone", &self.phone)?;
        check::redirect_url(self.message.redirect_url.as_deref())?;
        let body = body!(UpdateUserPhoneMagicLinkRequest, self, phone);
        let (raw, refresh) = (self.client.raw(), &self.refresh_token);
        let answer = match self.method {
            PhoneDelivery::Sms => raw.update_user_phone_magic_link_sms(refresh, &body).await?,
            PhoneDelivery::WhatsApp => {
                raw.update_user_phone_magic_link_whats_app(refresh, &body)
                    .await?
            }
        };
        Ok(Sent::new(answer.into_inner().masked_phone))
    }
}

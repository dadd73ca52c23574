//! Registering a user.

use serde::{Deserialize, Serialize};

use super::options::{LinkRequest, accepts, unless_empty};
use super::{MagicLink, Sent, address};
use crate::delivery::DeliveryMethod;
use crate::error::Result;
use crate::raw::types;

/// The profile of a user who signs up. All parts are optional.
///
/// ```
/// use descope_magiclink::SignUpUser;
///
/// let user = SignUpUser::new().name("Joe Person").phone("+15555555555");
/// # let _ = user;
/// ```
///
/// In JSON it has the form that the service reads, so that an application may take it in its own API
/// (feature `schemars` describes it there).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[must_use]
pub struct SignUpUser(types::SignUpUser);

impl SignUpUser {
    /// A profile with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// The full name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.name = Some(name.into());
        self
    }

    /// The given name.
    pub fn given_name(mut self, name: impl Into<String>) -> Self {
        self.0.given_name = Some(name.into());
        self
    }

    /// The middle name.
    pub fn middle_name(mut self, name: impl Into<String>) -> Self {
        self.0.middle_name = Some(name.into());
        self
    }

    /// The family name.
    pub fn family_name(mut self, name: impl Into<String>) -> Self {
        self.0.family_name = Some(name.into());
        self
    }

    /// The email address. An email link goes here, if set, and to the login id otherwise.
    pub fn email(mut self, email: impl Into<String>) -> Self {
        self.0.email = Some(email.into());
        self
    }

    /// The phone number. A link to a phone goes here, if set, and to the login id otherwise.
    pub fn phone(mut self, phone: impl Into<String>) -> Self {
        self.0.phone = Some(phone.into());
        self
    }

    /// The email address for recovery.
    pub fn recovery_email(mut self, email: impl Into<String>) -> Self {
        self.0.recovery_email = Some(email.into());
        self
    }

    /// The phone number for recovery.
    pub fn recovery_phone(mut self, phone: impl Into<String>) -> Self {
        self.0.recovery_phone = Some(phone.into());
        self
    }

    /// The profile with its addresses looked at. An empty one, as forms send it, counts as none.
    pub(crate) fn into_body(self) -> Result<types::SignUpUser> {
        type Check = fn(&'static str, &str) -> Result<String>;
        let mut user = self.0;
        // Taken from outside, a profile could name another login id than the one that was checked.
        user.login_id = None;
        let addresses: [(&mut Option<String>, &'static str, Check); 4] = [
            (&mut user.email, "user.email", address::email),
            (&mut user.phone, "user.phone", address::phone),
            (
                &mut user.recovery_email,
                "user.recovery_email",
                address::email,
            ),
            (
                &mut user.recovery_phone,
                "user.recovery_phone",
                address::phone,
            ),
        ];
        for (slot, name, check) in addresses {
            *slot = slot
                .take()
                .filter(|text| !text.trim().is_empty())
                .map(|text| check(name, &text))
                .transpose()?;
        }
        Ok(user)
    }
}

impl MagicLink {
    /// Registers a new user and sends them a link.
    ///
    /// The link goes to the email or phone of [`user`](LinkRequest::user), and where that has none to
    /// the login id itself. Fails when the login id is already registered.
    pub fn sign_up(
        &self,
        method: DeliveryMethod,
        login_id: impl Into<String>,
    ) -> LinkRequest<SignUp> {
        let user = SignUpUser::new();
        LinkRequest::new(&self.client, login_id.into(), SignUp { method, user })
    }
}

/// A sign-up: see [`MagicLink::sign_up`].
#[derive(Debug, Clone)]
pub struct SignUp {
    method: DeliveryMethod,
    user: SignUpUser,
}

impl accepts::Redirect for SignUp {}
impl accepts::Delivery for SignUp {}
impl accepts::Message for SignUp {}
impl accepts::Login for SignUp {}

impl LinkRequest<SignUp> {
    /// The new user's profile.
    pub fn user(mut self, user: SignUpUser) -> Self {
        self.kind.user = user;
        self
    }

    /// Sends the link.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when the login id is empty or there
    /// is no address for the method; [`Error::Api`](crate::Error::Api) with
    /// [`ErrorCode::UserAlreadyExists`](crate::ErrorCode::UserAlreadyExists) when the login id is
    /// registered; else as the service decides.
    pub async fn send(self) -> Result<Sent> {
        let login_id = address::login_id(self.login_id.as_deref().unwrap_or_default())?;
        let redirect_url = self.checked_redirect_url()?;
        let (message, login) = (self.message, self.login);
        let provider_id = message.provider_id;
        let login_options = unless_empty(types::SignupLoginOptions {
            custom_claims: login.custom_claims,
            locale: message.locale,
            template_id: message.template_id,
            template_options: message.template_options,
            tenant_id: login.tenant_id,
            ..Default::default()
        });
        let SignUp { method, user } = self.kind;
        let mut user = user.into_body()?;
        let raw = self.client.raw();
        if method == DeliveryMethod::Email {
            if user.email.is_none() {
                user.email = Some(address::email("login_id or user.email", &login_id)?);
            }
            let body = types::MagicLinkSignUpEmailRequest {
                email: user.email.clone(),
                login_id: Some(login_id),
                user: Some(user),
                redirect_url,
                provider_id,
                login_options,
                ..Default::default()
            };
            let response = raw.sign_up_magic_link_email(&body).send().await?;
            return Ok(Sent::new(response.into_inner().masked_email));
        }
        if user.phone.is_none() {
            user.phone = Some(address::phone("login_id or user.phone", &login_id)?);
        }
        let body = types::MagicLinkSignUpPhoneRequest {
            phone: user.phone.clone(),
            login_id: Some(login_id),
            user: Some(user),
            redirect_url,
            provider_id,
            login_options,
            ..Default::default()
        };
        let response = if method == DeliveryMethod::Sms {
            raw.sign_up_magic_link_sms(&body).send().await?
        } else {
            raw.sign_up_magic_link_whatsapp(&body).send().await?
        };
        Ok(Sent::new(response.into_inner().masked_phone))
    }
}

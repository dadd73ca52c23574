//! Sign-up, sign-in, and both in one.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::message::{Message, message_options};
use super::{Sent, check};
use crate::body::Members;
use crate::client::Client;
use crate::delivery::{DeliveryMethod, PhoneDelivery};
use crate::error::Result;
use crate::raw::types;
use crate::secret::RefreshToken;

/// What all three put into the session that follows.
#[derive(Debug, Clone, Default)]
struct Options {
    tenant_id: Option<String>,
    custom_claims: Members,
}

/// What sign-in and sign-up-or-in have beside that.
#[derive(Debug, Clone, Default)]
struct SignInOptions {
    sso_app_id: Option<String>,
    use_recovery: Option<bool>,
    revoke_other_sessions: Option<bool>,
    revoke_other_sessions_types: Vec<String>,
}

macro_rules! options {
    ($($name:ident),+) => {$(
        impl $name {
            /// The tenant that the login is for; the session's current tenant.
            pub fn tenant_id(mut self, id: impl Into<String>) -> Self {
                self.options.tenant_id = Some(id.into());
                self
            }

            /// A claim to add to the session.
            ///
            /// Descope's documentation allows 100 claims, names of 60 and values of 500 characters.
            /// Claims given here may come from a browser: authorise by roles and permissions instead.
            pub fn custom_claim(
                mut self,
                name: impl Into<String>,
                value: impl Into<Value>,
            ) -> Self {
                self.options.custom_claims.insert(name.into(), value.into());
                self
            }
        }
    )+};
}

macro_rules! sign_in_options {
    ($($name:ident),+) => {$(
        impl $name {
            /// The SSO application that the login is for.
            pub fn sso_app_id(mut self, id: impl Into<String>) -> Self {
                self.sign_in.sso_app_id = Some(id.into());
                self
            }

            /// Delivers to the user's recovery address.
            pub fn use_recovery(mut self) -> Self {
                self.sign_in.use_recovery = Some(true);
                self
            }

            /// Ends the user's other sessions when the link is verified.
            pub fn revoke_other_sessions(mut self) -> Self {
                self.sign_in.revoke_other_sessions = Some(true);
                self
            }

            /// As [`revoke_other_sessions`](Self::revoke_other_sessions), for some kinds of sessions
            /// only. Descope does not publish the kinds.
            pub fn revoke_other_sessions_of_types<I>(mut self, types: I) -> Self
            where
                I: IntoIterator,
                I::Item: Into<String>,
            {
                self.sign_in.revoke_other_sessions = Some(true);
                self.sign_in.revoke_other_sessions_types =
                    types.into_iter().map(Into::into).collect();
                self
            }
        }
    )+};
}

message_options!(SendSignUp, SendSignIn, SendSignUpOrIn);
options!(SendSignUp, SendSignIn, SendSignUpOrIn);
sign_in_options!(SendSignIn, SendSignUpOrIn);

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

macro_rules! profile {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        impl SignUpUser {
            #[cfg(feature = "management")]
            pub(crate) fn into_body(self) -> types::SignUpUser {
                types::SignUpUser { login_id: None, ..self.0 }
            }

            /// A profile with nothing in it.
            pub fn new() -> Self {
                Self::default()
            }

            $($(#[$doc])*
            pub fn $name(mut self, text: impl Into<String>) -> Self {
                self.0.$name = Some(text.into());
                self
            })+
        }
    };
}

profile! {
    /// The full name.
    name,
    /// The given name.
    given_name,
    /// The middle name.
    middle_name,
    /// The family name.
    family_name,
    /// The email address. An email link goes here, if set, and to the login id otherwise.
    email,
    /// The phone number. A link to a phone goes here, if set, and to the login id otherwise.
    phone,
    /// The email address for recovery.
    recovery_email,
    /// The phone number for recovery.
    recovery_phone,
}

/// A sign-up, before it is sent: from [`MagicLink::sign_up`](super::MagicLink::sign_up).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct SendSignUp {
    client: Client,
    method: DeliveryMethod,
    login_id: String,
    user: SignUpUser,
    message: Message,
    options: Options,
}

impl SendSignUp {
    pub(super) fn new(client: Client, method: DeliveryMethod, login_id: String) -> Self {
        Self {
            client,
            method,
            login_id,
            user: SignUpUser::new(),
            message: Message::default(),
            options: Options::default(),
        }
    }

    /// The new user's profile.
    pub fn user(mut self, user: SignUpUser) -> Self {
        self.user = user;
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
        check::login_id(&self.login_id)?;
        check::redirect_url(self.message.redirect_url.as_deref())?;
        let Self {
            client,
            method,
            login_id,
            user: SignUpUser(mut user),
            mut message,
            options,
        } = self;
        let redirect_url = message.redirect_url.take();
        let provider_id = message.provider_id.take();
        let login_options = options.for_sign_up(message);
        let raw = client.raw();
        // Taken from outside, a profile could name another login id than the one that was checked.
        user.login_id = None;
        let phone_method = match method {
            DeliveryMethod::Email => None,
            DeliveryMethod::Sms => Some(PhoneDelivery::Sms),
            DeliveryMethod::WhatsApp => Some(PhoneDelivery::WhatsApp),
        };
        let Some(phone_method) = phone_method else {
            let email = user.email.get_or_insert_with(|| login_id.clone());
            check::email("login_id or user.email", email)?;
            let body = types::MagicLinkSignUpEmailRequest {
                email: user.email.clone(),
                login_id: Some(login_id),
                user: Some(user),
                redirect_url,
                provider_id,
                login_options,
                ..Default::default()
            };
            let answer = raw.sign_up_magic_link_email(&body).await?;
            return Ok(Sent::new(answer.into_inner().masked_email));
        };
        let phone = user.phone.get_or_insert_with(|| login_id.clone());
        check::phone("login_id or user.phone", phone)?;
        let body = types::MagicLinkSignUpPhoneRequest {
            phone: user.phone.clone(),
            login_id: Some(login_id),
            user: Some(user),
            redirect_url,
            provider_id,
            login_options,
            ..Default::default()
        };
        let answer = match phone_method {
            PhoneDelivery::Sms => raw.sign_up_magic_link_sms(&body).await?,
            PhoneDelivery::WhatsApp => raw.sign_up_magic_link_whats_app(&body).await?,
        };
        Ok(Sent::new(answer.into_inner().masked_phone))
    }
}

/// A sign-in, before it is sent: from [`MagicLink::sign_in`](super::MagicLink::sign_in).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct SendSignIn {
    client: Client,
    method: DeliveryMethod,
    login_id: String,
    message: Message,
    options: Options,
    sign_in: SignInOptions,
    step_up: Option<bool>,
    mfa: Option<bool>,
    refresh_token: Option<RefreshToken>,
}

impl SendSignIn {
    pub(super) fn new(client: Client, method: DeliveryMethod, login_id: String) -> Self {
        Self {
            client,
            method,
            login_id,
            message: Message::default(),
            options: Options::default(),
            sign_in: SignInOptions::default(),
            step_up: None,
            mfa: None,
            refresh_token: None,
        }
    }

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
        self.step_up = Some(true);
        self.refresh_token = Some(refresh_token.clone());
        self
    }

    /// Adds this link as a further factor to the login that the refresh token belongs to.
    pub fn mfa(mut self, refresh_token: &RefreshToken) -> Self {
        self.mfa = Some(true);
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
        check::login_id(&self.login_id)?;
        check::redirect_url(self.message.redirect_url.as_deref())?;
        let body = sign_in_body(
            self.login_id,
            self.message,
            self.options,
            self.sign_in,
            self.step_up,
            self.mfa,
        );
        let (raw, refresh) = (self.client.raw(), self.refresh_token.as_ref());
        let masked = match self.method {
            DeliveryMethod::Email => {
                raw.sign_in_magic_link_email(refresh, &body)
                    .await?
                    .into_inner()
                    .masked_email
            }
            DeliveryMethod::Sms => {
                raw.sign_in_magic_link_sms(refresh, &body)
                    .await?
                    .into_inner()
                    .masked_phone
            }
            DeliveryMethod::WhatsApp => {
                raw.sign_in_magic_link_whats_app(refresh, &body)
                    .await?
                    .into_inner()
                    .masked_phone
            }
        };
        Ok(Sent::new(masked))
    }
}

/// A sign-up or sign-in, before it is sent: from
/// [`MagicLink::sign_up_or_in`](super::MagicLink::sign_up_or_in).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct SendSignUpOrIn {
    client: Client,
    method: DeliveryMethod,
    login_id: String,
    message: Message,
    options: Options,
    sign_in: SignInOptions,
}

impl SendSignUpOrIn {
    pub(super) fn new(client: Client, method: DeliveryMethod, login_id: String) -> Self {
        Self {
            client,
            method,
            login_id,
            message: Message::default(),
            options: Options::default(),
            sign_in: SignInOptions::default(),
        }
    }

    /// Sends the link.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when the login id is empty; else as
    /// the service decides.
    pub async fn send(self) -> Result<Sent> {
        check::login_id(&self.login_id)?;
        check::redirect_url(self.message.redirect_url.as_deref())?;
        let body = sign_in_body(
            self.login_id,
            self.message,
            self.options,
            self.sign_in,
            None,
            None,
        );
        let raw = self.client.raw();
        let masked = match self.method {
            DeliveryMethod::Email => {
                raw.sign_up_or_in_magic_link_email(&body)
                    .await?
                    .into_inner()
                    .masked_email
            }
            DeliveryMethod::Sms => {
                raw.sign_up_or_in_magic_link_sms(&body)
                    .await?
                    .into_inner()
                    .masked_phone
            }
            DeliveryMethod::WhatsApp => {
                raw.sign_up_or_in_magic_link_whats_app(&body)
                    .await?
                    .into_inner()
                    .masked_phone
            }
        };
        Ok(Sent::new(masked))
    }
}

impl Options {
    /// The part of the options that has an object of its own; `None` when that would be empty.
    fn for_sign_up(self, message: Message) -> Option<types::SignupLoginOptions> {
        let is_set = message.template_id.is_some()
            || message.locale.is_some()
            || self.tenant_id.is_some()
            || !message.template_options.is_empty()
            || !self.custom_claims.is_empty();
        is_set.then_some(types::SignupLoginOptions {
            custom_claims: self.custom_claims,
            locale: message.locale,
            template_id: message.template_id,
            template_options: message.template_options,
            tenant_id: self.tenant_id,
            ..Default::default()
        })
    }
}

fn sign_in_body(
    login_id: String,
    mut message: Message,
    options: Options,
    sign_in: SignInOptions,
    step_up: Option<bool>,
    mfa: Option<bool>,
) -> types::MagicLinkSignInRequest {
    let redirect_url = message.redirect_url.take();
    let provider_id = message.provider_id.take();
    let use_recovery = sign_in.use_recovery;
    let is_set = step_up.is_some()
        || mfa.is_some()
        || sign_in.sso_app_id.is_some()
        || sign_in.revoke_other_sessions.is_some();
    let shared = options.for_sign_up(message);
    let login_options = (is_set || shared.is_some()).then(|| {
        let shared = shared.unwrap_or_default();
        types::LoginOptions {
            custom_claims: shared.custom_claims,
            locale: shared.locale,
            mfa,
            revoke_other_sessions: sign_in.revoke_other_sessions,
            revoke_other_sessions_types: sign_in.revoke_other_sessions_types,
            sso_app_id: sign_in.sso_app_id,
            stepup: step_up,
            template_id: shared.template_id,
            template_options: shared.template_options,
            tenant_id: shared.tenant_id,
            ..Default::default()
        }
    });
    types::MagicLinkSignInRequest {
        login_id: Some(login_id),
        login_options,
        provider_id,
        redirect_url,
        use_recovery,
        ..Default::default()
    }
}

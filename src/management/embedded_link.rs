//! Embedded links: tokens that the server makes and delivers in its own way.

use std::time::Duration;

use super::Management;
use crate::error::{Error, Result};
use crate::magic_link::options::{LoginOptions, MessageOptions, setters};
use crate::magic_link::{SignUpUser, address};
use crate::raw::{ResponseValue, types};
use crate::secret::MagicLinkToken;

impl Management {
    /// A token for a user who is registered, to put into a link or a message of your own; it is
    /// verified like that of a magic link.
    pub fn embedded_sign_in(&self, login_id: impl Into<String>) -> EmbeddedSignIn {
        EmbeddedSignIn::new(self.clone(), login_id.into())
    }

    /// As [`embedded_sign_in`](Self::embedded_sign_in), for a user who may be new.
    pub fn embedded_sign_up(&self, login_id: impl Into<String>) -> EmbeddedSignUp {
        EmbeddedSignUp::new(self.clone(), login_id.into())
    }
}

/// An embedded link for a registered user, before it is generated: from
/// [`Management::embedded_sign_in`](super::Management::embedded_sign_in).
///
/// The service takes no other login options here than claims.
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct EmbeddedSignIn {
    management: Management,
    login_id: String,
    timeout: Option<Duration>,
    login: LoginOptions,
}

/// An embedded link for a user who may be new, before it is generated: from
/// [`Management::embedded_sign_up`](super::Management::embedded_sign_up).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `send`"]
pub struct EmbeddedSignUp {
    management: Management,
    login_id: String,
    timeout: Option<Duration>,
    message: MessageOptions,
    login: LoginOptions,
    user: Option<SignUpUser>,
    email_verified: Option<bool>,
    phone_verified: Option<bool>,
}

setters! {
    EmbeddedSignIn: custom_claim;
    EmbeddedSignUp: template tenant_id custom_claim sign_in second_factor;
}

impl EmbeddedSignIn {
    pub(super) fn new(management: Management, login_id: String) -> Self {
        Self {
            management,
            login_id,
            timeout: None,
            login: LoginOptions::default(),
        }
    }

    /// How long the token is good for, in whole seconds; without it the project's setting is used.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Generates the token.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty login id or a timeout that is zero or too long; else
    /// as the service decides.
    pub async fn send(self) -> Result<MagicLinkToken> {
        let body = types::EmbeddedLinkSignInRequest {
            login_id: Some(address::login_id(&self.login_id)?),
            timeout: seconds(self.timeout)?,
            custom_claims: self.login.custom_claims,
            ..Default::default()
        };
        let Management { client, key } = &self.management;
        token(client.raw().embedded_link_signin(key, &body).await?)
    }
}

impl EmbeddedSignUp {
    pub(super) fn new(management: Management, login_id: String) -> Self {
        Self {
            management,
            login_id,
            timeout: None,
            message: MessageOptions::default(),
            login: LoginOptions::default(),
            user: None,
            email_verified: None,
            phone_verified: None,
        }
    }

    /// How long the token is good for, in whole seconds; without it the project's setting is used.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The profile of a new user.
    pub fn user(mut self, user: SignUpUser) -> Self {
        self.user = Some(user);
        self
    }

    /// Takes the email address as verified: you have checked that it is the user's.
    pub fn email_verified(mut self) -> Self {
        self.email_verified = Some(true);
        self
    }

    /// Takes the phone number as verified: you have checked that it is the user's.
    pub fn phone_verified(mut self) -> Self {
        self.phone_verified = Some(true);
        self
    }

    /// Generates the token.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty login id or a timeout that is zero or too long; else
    /// as the service decides.
    pub async fn send(self) -> Result<MagicLinkToken> {
        let body = types::EmbeddedLinkSignUpOrInRequest {
            login_id: Some(address::login_id(&self.login_id)?),
            timeout: seconds(self.timeout)?,
            login_options: self.login.into_body(self.message)?,
            user: self.user.map(SignUpUser::into_body).transpose()?,
            email_verified: self.email_verified,
            phone_verified: self.phone_verified,
            ..Default::default()
        };
        let Management { client, key } = &self.management;
        token(client.raw().embedded_link_signup(key, &body).await?)
    }
}

/// The service reads 0 as "the default", which is not what a caller means by it.
fn seconds(timeout: Option<Duration>) -> Result<Option<i32>> {
    let Some(timeout) = timeout else {
        return Ok(None);
    };
    match i32::try_from(timeout.as_secs()) {
        Ok(seconds) if seconds > 0 => Ok(Some(seconds)),
        _ => Err(Error::argument(
            "timeout",
            "must be from one second to 68 years",
        )),
    }
}

fn token(answer: ResponseValue<types::EmbeddedLinkSignInResponse>) -> Result<MagicLinkToken> {
    let missing = answer.missing("token");
    let token = answer.into_inner().token.filter(|token| !token.is_empty());
    token.ok_or(missing)
}

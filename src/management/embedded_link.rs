//! Embedded links: tokens that the server makes and delivers in its own way.

use std::time::Duration;

use serde_json::Value;

use super::Management;
use crate::error::{Error, Result};
use crate::magic_link::options::{LinkRequest, accepts};
use crate::magic_link::sign_up::SignUpUser;
use crate::raw::{ResponseValue, types};
use crate::secret::{MagicLinkToken, ManagementKey};

impl Management {
    /// A token for a user who is registered, to put into a link or a message of your own; it is
    /// verified like that of a magic link.
    pub fn embedded_sign_in(&self, login_id: impl Into<String>) -> LinkRequest<EmbeddedSignIn> {
        let kind = EmbeddedSignIn {
            key: self.key.clone(),
            timeout: None,
        };
        LinkRequest::new(&self.client, login_id.into(), kind)
    }

    /// As [`embedded_sign_in`](Self::embedded_sign_in), for a user who may be new.
    pub fn embedded_sign_up(&self, login_id: impl Into<String>) -> LinkRequest<EmbeddedSignUp> {
        let kind = EmbeddedSignUp {
            key: self.key.clone(),
            timeout: None,
            user: None,
            email_verified: None,
            phone_verified: None,
        };
        LinkRequest::new(&self.client, login_id.into(), kind)
    }
}

/// An embedded link for a registered user: see [`Management::embedded_sign_in`]. The service takes no
/// other login options for it than claims.
#[derive(Debug, Clone)]
pub struct EmbeddedSignIn {
    key: ManagementKey,
    timeout: Option<Duration>,
}

/// An embedded link for a user who may be new: see [`Management::embedded_sign_up`].
#[derive(Debug, Clone)]
pub struct EmbeddedSignUp {
    key: ManagementKey,
    timeout: Option<Duration>,
    user: Option<SignUpUser>,
    email_verified: Option<bool>,
    phone_verified: Option<bool>,
}

impl accepts::Message for EmbeddedSignUp {}
impl accepts::Login for EmbeddedSignUp {}
impl accepts::SignIn for EmbeddedSignUp {}
impl accepts::Management for EmbeddedSignUp {}

impl LinkRequest<EmbeddedSignIn> {
    /// How long the token is good for, in whole seconds; without it the project's setting is used.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.kind.timeout = Some(timeout);
        self
    }

    /// A claim to add to the session.
    pub fn custom_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.login.custom_claims.insert(name.into(), value.into());
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
            login_id: self.checked_login_id()?,
            timeout: seconds(self.kind.timeout)?,
            custom_claims: self.login.custom_claims,
            ..Default::default()
        };
        let raw = self.client.raw();
        token(
            raw.sign_in_embedded_link(&self.kind.key, &body)
                .send()
                .await?,
        )
    }
}

impl LinkRequest<EmbeddedSignUp> {
    /// How long the token is good for, in whole seconds; without it the project's setting is used.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.kind.timeout = Some(timeout);
        self
    }

    /// The profile of a new user.
    pub fn user(mut self, user: SignUpUser) -> Self {
        self.kind.user = Some(user);
        self
    }

    /// Takes the email address as verified: you have checked that it is the user's.
    pub fn email_verified(mut self) -> Self {
        self.kind.email_verified = Some(true);
        self
    }

    /// Takes the phone number as verified: you have checked that it is the user's.
    pub fn phone_verified(mut self) -> Self {
        self.kind.phone_verified = Some(true);
        self
    }

    /// Generates the token.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty login id or a timeout that is zero or too long; else
    /// as the service decides.
    pub async fn send(mut self) -> Result<MagicLinkToken> {
        let body = types::EmbeddedLinkSignUpOrInRequest {
            login_id: self.checked_login_id()?,
            timeout: seconds(self.kind.timeout)?,
            login_options: self.login_options()?,
            user: self.kind.user.map(SignUpUser::into_body).transpose()?,
            email_verified: self.kind.email_verified,
            phone_verified: self.kind.phone_verified,
            ..Default::default()
        };
        let raw = self.client.raw();
        token(
            raw.sign_up_embedded_link(&self.kind.key, &body)
                .send()
                .await?,
        )
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

fn token(response: ResponseValue<types::EmbeddedLinkSignInResponse>) -> Result<MagicLinkToken> {
    let missing = response.missing("token");
    let token = response
        .into_inner()
        .token
        .filter(|token| !token.is_empty());
    token.ok_or(missing)
}

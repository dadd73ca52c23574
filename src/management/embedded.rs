//! Embedded links: tokens that the server makes and delivers in its own way.

use std::time::Duration;

use serde_json::Value;

use super::Management;
use crate::body::Members;
use crate::error::{Error, Result};
use crate::magic_link::{SignUpUser, check};
use crate::raw::{ResponseValue, types};
use crate::secret::MagicLinkToken;

macro_rules! embedded_options {
    ($name:ident) => {
        impl $name {
            /// How long the token is good for, in whole seconds; without it the project's setting
            /// is used.
            pub fn timeout(mut self, timeout: Duration) -> Self {
                self.timeout = Some(timeout);
                self
            }

            /// A claim to add to the session.
            pub fn custom_claim(
                mut self,
                name: impl Into<String>,
                value: impl Into<Value>,
            ) -> Self {
                self.custom_claims.insert(name.into(), value.into());
                self
            }
        }
    };
}

/// An embedded link for a registered user, before it is generated: from
/// [`Management::embedded_sign_in`](super::Management::embedded_sign_in).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `generate`"]
pub struct EmbeddedSignIn {
    management: Management,
    login_id: String,
    timeout: Option<Duration>,
    custom_claims: Members,
}

embedded_options!(EmbeddedSignIn);

impl EmbeddedSignIn {
    pub(super) fn new(management: Management, login_id: String) -> Self {
        Self {
            management,
            login_id,
            timeout: None,
            custom_claims: Members::default(),
        }
    }

    /// Generates the token.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty login id or a timeout that is zero or too long; else
    /// as the service decides.
    pub async fn generate(self) -> Result<MagicLinkToken> {
        check::login_id(&self.login_id)?;
        let body = types::EmbeddedLinkSignInRequest {
            login_id: Some(self.login_id),
            timeout: seconds(self.timeout)?,
            custom_claims: self.custom_claims,
            ..Default::default()
        };
        let Management { client, key } = &self.management;
        token(client.raw().embedded_link_signin(key, &body).await?)
    }
}

/// An embedded link for a user who may be new, before it is generated: from
/// [`Management::embedded_sign_up`](super::Management::embedded_sign_up).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent until `generate`"]
pub struct EmbeddedSignUp {
    management: Management,
    login_id: String,
    timeout: Option<Duration>,
    custom_claims: Members,
    user: Option<SignUpUser>,
    email_verified: Option<bool>,
    phone_verified: Option<bool>,
}

embedded_options!(EmbeddedSignUp);

impl EmbeddedSignUp {
    pub(super) fn new(management: Management, login_id: String) -> Self {
        Self {
            management,
            login_id,
            timeout: None,
            custom_claims: Members::default(),
            user: None,
            email_verified: None,
            phone_verified: None,
        }
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
    pub async fn generate(self) -> Result<MagicLinkToken> {
        check::login_id(&self.login_id)?;
        let body = types::EmbeddedLinkSignUpOrInRequest {
            login_id: Some(self.login_id),
            timeout: seconds(self.timeout)?,
            login_options: login_options(self.custom_claims),
            user: self.user.map(SignUpUser::into_body),
            email_verified: self.email_verified,
            phone_verified: self.phone_verified,
            ..Default::default()
        };
        let Management { client, key } = &self.management;
        token(client.raw().embedded_link_signup(key, &body).await?)
    }
}

pub(super) fn login_options(custom_claims: Members) -> Option<types::LoginOptions> {
    (!custom_claims.is_empty()).then(|| types::LoginOptions {
        custom_claims,
        ..types::LoginOptions::default()
    })
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

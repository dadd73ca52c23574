//! Sessions of access keys.

use serde_json::Value;

use super::Sessions;
use crate::client::Client;
use crate::error::Result;
use crate::raw::types;
use crate::secret::AccessKey;
use crate::session::session::Session;
use crate::session::tokens::{TokenResponse, Tokens};

/// The session of an access key, from [`ExchangeAccessKey::send`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessKeySession {
    /// What the session token says; its user id is the key's id.
    pub session: Session,
    /// The session token; there is no refresh token.
    pub tokens: Tokens,
    /// The key's id, which is not secret.
    pub key_id: Option<String>,
}

impl Sessions {
    /// Exchanges an access key for a session of its own, for programs that sign in without a user.
    pub fn exchange_access_key(&self, key: &AccessKey) -> ExchangeAccessKey {
        ExchangeAccessKey {
            client: self.client.clone(),
            key: key.clone(),
            options: types::AccessKeyLoginOptions::default(),
        }
    }
}

/// The exchange of an access key, before it is made: from [`Sessions::exchange_access_key`].
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until `.send().await`"]
pub struct ExchangeAccessKey {
    client: Client,
    key: AccessKey,
    options: types::AccessKeyLoginOptions,
}

impl ExchangeAccessKey {
    /// A claim to add to the session, among its [non-secure](Session::nonsecure_claim) ones.
    pub fn custom_claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.options.custom_claims.insert(name.into(), value.into());
        self
    }

    /// Several claims: as [`custom_claim`](Self::custom_claim), one by one.
    pub fn custom_claims<N, V>(self, claims: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<Value>,
    {
        let one_more = |request: Self, (name, value)| request.custom_claim(name, value);
        claims.into_iter().fold(self, one_more)
    }

    /// The tenant to make the current one.
    pub fn tenant(mut self, tenant_id: impl Into<String>) -> Self {
        self.options.selected_tenant = Some(tenant_id.into());
        self
    }

    /// Makes the exchange. The token that comes back is validated.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) when the service refuses the key, [`Error::Session`](crate::Error::Session) when the token is bad or
    /// could not be checked.
    pub async fn send(self) -> Result<AccessKeySession> {
        let deadline = self.client.deadline();
        let has_options =
            !self.options.custom_claims.is_empty() || self.options.selected_tenant.is_some();
        let body = types::ExchangeAccessKeyRequest {
            login_options: has_options.then_some(self.options),
            ..Default::default()
        };
        let response = self
            .client
            .raw()
            .exchange_access_key(&self.key, &body)
            .send()
            .await?;
        let key_id = response.key_id.clone().filter(|id| !id.is_empty());
        let response = response.map(|body| types::JwtResponse {
            session_jwt: body.session_jwt,
            ..Default::default()
        });
        let validator = self.client.validator();
        let response = TokenResponse::read(response, validator)?;
        let (session, tokens) = response.check(validator, None, deadline).await?;
        Ok(AccessKeySession {
            session,
            tokens,
            key_id,
        })
    }
}

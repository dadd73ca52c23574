//! The user's tenants.

use std::fmt;

use serde_json::{Map, Value};

use super::Sessions;
use crate::error::{Error, Result};
use crate::raw::types;
use crate::secret::RefreshToken;
use crate::session::refreshes::Forget;
use crate::session::shared_refreshes::publish_change;
use crate::session::tokens::{Refreshed, TokenResponse};
use crate::sync::hash::hash;
use crate::sync::single_flight::run;
use crate::transport::body::Members;

/// A tenant as its members may see it.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TenantProfile {
    /// The id; empty should the service leave it out.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The project's own attributes of the tenant.
    pub custom_attributes: Map<String, Value>,
}

impl Sessions {
    /// Those of the user's tenants that have these ids. [`Session::tenants`](crate::Session::tenants) has the ids of all.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when no id is given; else as [`me`](Self::me).
    pub async fn my_tenants<I>(&self, token: &RefreshToken, ids: I) -> Result<Vec<TenantProfile>>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let body = types::MyTenantsRequest {
            ids: ids.into_iter().map(Into::into).collect(),
            ..Default::default()
        };
        if body.ids.is_empty() || body.ids.iter().any(String::is_empty) {
            return Err(Error::argument(
                "ids",
                "must be ids of tenants, one at least",
            ));
        }
        self.tenants(token, &body).await
    }

    /// The tenant that the user has chosen, or the only one they have.
    ///
    /// # Errors
    ///
    /// As [`me`](Self::me).
    pub async fn my_current_tenant(&self, token: &RefreshToken) -> Result<Option<TenantProfile>> {
        let body = types::MyTenantsRequest {
            dct: Some(true),
            ..Default::default()
        };
        Ok(self.tenants(token, &body).await?.into_iter().next())
    }

    async fn tenants(
        &self,
        token: &RefreshToken,
        body: &types::MyTenantsRequest,
    ) -> Result<Vec<TenantProfile>> {
        let response = self.client.raw().my_tenants(token, body).send().await?;
        let is_unreadable = response
            .extra
            .get("tenants")
            .is_some_and(|list| !list.is_null());
        if is_unreadable {
            return Err(response.missing_as("tenants", "list `tenants` that can be read"));
        }
        let tenants = response.into_inner().tenants.unwrap_or_default();
        Ok(tenants.into_iter().map(TenantProfile::new).collect())
    }

    /// Makes a tenant the current one of the session. Gives new tokens of both kinds.
    ///
    /// Once made, the call goes on though its caller goes away. Tokens that reached nobody are kept
    /// for 60 s, for the next call with the same arguments.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty id, [`Error::Session`] when a token is bad or could
    /// not be checked, [`Error::Api`] when the user does not belong to the tenant.
    pub async fn select_tenant(
        &self,
        token: &RefreshToken,
        tenant_id: impl Into<String>,
    ) -> Result<Refreshed> {
        let tenant_id = tenant_id.into();
        if tenant_id.is_empty() {
            return Err(Error::argument("tenant_id", "must not be empty"));
        }
        let deadline = self.client.deadline();
        let validator = self.client.validator();
        let claims = validator.validate_refresh_until(token, deadline).await?;
        let _forgotten = self.forget(token, Forget::Session);
        if let Some(remote) = self.client.remote().cloned() {
            let claims = claims.clone();
            run(async move { publish_change(&remote, &claims, Forget::Session).await }).await;
        }
        // No text of a token has a line break, so that no two pairs read alike.
        let hash = hash(&format!("{}\n{tenant_id}", token.expose_secret()));
        let handover = self.client.handovers().obtain(hash, deadline, || {
            let (client, token) = (self.client.clone(), token.clone());
            let body = types::SelectTenantRequest {
                tenant: Some(tenant_id.clone()),
                ..Default::default()
            };
            async move {
                let raw = client.raw_with_longest_timeout();
                let response = raw.select_tenant(&token, &body).send().await?;
                TokenResponse::read(response, client.validator())
            }
        });
        let old = Some((token, &claims));
        let (response, (session, tokens)) = handover.await?.check(old, deadline).await?;
        let user = response.user.clone();
        Ok(Refreshed {
            session,
            tokens,
            user,
        })
    }
}

// Of the attributes, whose values may be anything, the names.
impl fmt::Debug for TenantProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantProfile")
            .field("id", &self.id)
            .field("name", &self.name)
            .field(
                "custom_attributes",
                &Members::from(self.custom_attributes.clone()),
            )
            .finish()
    }
}

impl TenantProfile {
    fn new(raw: types::MyTenant) -> Self {
        Self {
            id: raw.id.unwrap_or_default(),
            name: raw.name.filter(|name| !name.is_empty()),
            custom_attributes: raw.custom_attributes.unwrap_or_default().into_inner(),
        }
    }
}

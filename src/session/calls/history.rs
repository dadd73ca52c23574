//! What the service knows of the user, and of their sign-ins.

use std::time::SystemTime;

use super::Sessions;
use crate::clock::epoch;
use crate::error::Result;
use crate::raw::types;
use crate::secret::RefreshToken;
use crate::user::User;

/// One sign-in of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SignInRecord {
    /// When it was.
    pub at: Option<SystemTime>,
    /// Where it came from, by address.
    pub ip: Option<String>,
    /// The city of that address.
    pub city: Option<String>,
    /// The country of that address.
    pub country: Option<String>,
    /// The tenant that was chosen.
    pub tenant: Option<String>,
}

impl Sessions {
    /// The user, as the service knows them now.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with [`is_unauthorized`](crate::Error::is_unauthorized) when the session has ended:
    /// this is how a server finds out before the session token expires.
    pub async fn me(&self, token: &RefreshToken) -> Result<User> {
        let response = self.client.raw().me(token).send().await?;
        if response.user_id.is_none() {
            return Err(response.missing("userId"));
        }
        Ok(response.into_inner().into())
    }

    /// The user's sign-ins, as many as the service keeps, in its order.
    ///
    /// # Errors
    ///
    /// As [`me`](Self::me).
    pub async fn history(&self, token: &RefreshToken) -> Result<Vec<SignInRecord>> {
        let history = self.client.raw().history(token).send().await?.into_inner();
        Ok(history.0.into_iter().map(SignInRecord::new).collect())
    }
}

impl SignInRecord {
    fn new(raw: types::ExportedAuthHistory) -> Self {
        let text = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            at: epoch(raw.login_time),
            ip: text(raw.ip),
            city: text(raw.city),
            country: text(raw.country),
            tenant: text(raw.selected_tenant),
        }
    }
}

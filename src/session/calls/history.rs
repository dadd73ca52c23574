//! What the service knows of the user, and of their sign-ins.

use std::time::SystemTime;

use http::StatusCode;
use http::header::{ACCEPT, HeaderMap, HeaderValue};
use serde::Deserialize;

use super::Sessions;
use crate::error::Result;
use crate::raw::types;
use crate::runtime::{ClientHooks as _, OperationInfo, ResponseValue, build_error, unexpected};
use crate::secret::RefreshToken;
use crate::session::tokens::epoch;
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
    /// [`Error::Api`] with [`is_unauthorized`](Error::is_unauthorized) when the session has ended:
    /// this is how a server finds out before the session token expires.
    pub async fn me(&self, token: &RefreshToken) -> Result<User> {
        let answer = self.client.raw().me(token).await?;
        Ok(User::new(answer.into_inner()))
    }

    /// The user's sign-ins, as many as the service keeps, in its order.
    ///
    /// # Errors
    ///
    /// As [`me`](Self::me).
    pub async fn history(&self, token: &RefreshToken) -> Result<Vec<SignInRecord>> {
        // The call of the layer below reads one of the two shapes that sources know; this reads both.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum History {
            Bare(Vec<types::ExportedAuthHistory>),
            Wrapped {
                #[serde(rename = "authHistory", default)]
                list: Option<Vec<types::ExportedAuthHistory>>,
            },
        }

        let raw = self.client.raw();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        raw.authorize(&mut headers, token)?;
        let mut request = raw
            .client
            .get(format!("{}/v1/auth/me/history", raw.baseurl))
            .headers(headers)
            .build()
            .map_err(build_error)?;
        let info = OperationInfo {
            operation_id: "me_auth_history",
        };
        raw.pre(&mut request, &info).await?;
        let result = raw.exec(request, &info).await;
        raw.post(&result, &info).await?;
        let response = result?;
        if response.status() != StatusCode::OK {
            return Err(unexpected(response).await);
        }
        let history = ResponseValue::<History>::from_response(response).await?;
        let list = match history.into_inner() {
            History::Bare(list) => list,
            History::Wrapped { list } => list.unwrap_or_default(),
        };
        Ok(list.into_iter().map(SignInRecord::new).collect())
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

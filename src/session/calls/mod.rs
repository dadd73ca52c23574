//! The calls of a signed-in user: refreshing and ending sessions, and what they may read.

mod access_key;
mod authentication;
mod history;
mod logout;
mod refresh;
mod tenants;

use serde_json::{Map, Value};

pub use access_key::{AccessKeySession, ExchangeAccessKey};
pub use authentication::{Authentication, UncheckedAuthentication};
pub use history::SignInRecord;
pub use refresh::SignedIn;
pub use tenants::TenantProfile;

use super::session::Session;
use super::timestamp;
use super::validator::SessionValidator;
use crate::client::Client;
use crate::error::Result;
use crate::raw::{ResponseValue, types};
use crate::secret::SessionToken;
use crate::session::tokens::TokenResponse;

impl Client {
    /// Sessions: validating, refreshing and ending them, and what their users may read.
    #[must_use]
    pub fn sessions(&self) -> Sessions {
        Sessions::new(self.clone())
    }
}

/// Sessions: from [`Client::sessions`](crate::Client::sessions).
///
/// ```no_run
/// # use descope_magiclink::{Client, RefreshToken, SessionToken};
/// # async fn run(client: Client, session: Option<SessionToken>, refresh: Option<RefreshToken>)
/// # -> Result<(), descope_magiclink::Error> {
/// // What a request's cookies held:
/// let sessions = client.sessions();
/// let signed_in = sessions.validate_and_refresh(session.as_ref(), refresh.as_ref()).await?;
/// if !signed_in.session.has_permissions(["invoice:read"]) {
///     // 403
/// }
/// if let Some(refreshed) = &signed_in.refreshed {
///     // Set both cookies anew.
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    client: Client,
}

impl Sessions {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// What validates this client's sessions, to be kept where only that is needed.
    #[must_use]
    pub fn validator(&self) -> &SessionValidator {
        self.client.validator()
    }

    /// Validates a session token, locally.
    ///
    /// What this cannot know: that the user has logged out, or that their rights were changed
    /// since. It takes effect with the next session token, in 10 minutes unless the project has
    /// another life time for them. [`me`](Self::me) fails as soon as the session has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Session`](crate::Error::Session): see [`SessionValidator::validate`].
    pub async fn validate(&self, token: &SessionToken) -> Result<Session> {
        Ok(self.client.validator().validate(token).await?)
    }

    /// Checks the tokens of a response to a sign-in, as [`verify`](crate::MagicLink::verify) does: for
    /// whoever signs users in by another call of [`raw`](crate::raw).
    ///
    /// ```no_run
    /// use descope_magiclink::raw::types::JwtResponse;
    /// use serde_json::json;
    ///
    /// # async fn run(client: descope_magiclink::Client) -> Result<(), descope_magiclink::Error> {
    /// let response = client
    ///     .raw()
    ///     .call("verify_otp_email", http::Method::POST, "/v1/auth/otp/verify/email")
    ///     .json(&json!({ "loginId": "joe@example.com", "code": "123456" }))
    ///     .send::<JwtResponse>()
    ///     .await?;
    /// let auth = client.sessions().accept(response).await?;
    /// println!("hello {}", auth.session.user_id());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Decode`](crate::Error::Decode) when there is no session token in it,
    /// [`Error::Session`](crate::Error::Session) when the tokens are bad or could not be checked.
    pub async fn accept(
        &self,
        response: ResponseValue<types::JwtResponse>,
    ) -> Result<Authentication> {
        let deadline = self.client.deadline();
        let validator = self.client.validator();
        let response = TokenResponse::read(response, validator)?;
        let tokens = response.check(validator, None, deadline).await?;
        Ok(Authentication::new(&response, tokens))
    }

    /// Has the service validate a session token, and gives the claims it responds with. The times
    /// `exp`, `iat` and `nbf` are seconds since 1970, though the service writes them as text.
    ///
    /// # Errors
    ///
    /// [`Error::Api`](crate::Error::Api) with [`is_unauthorized`](crate::Error::is_unauthorized) for a token it does not
    /// take.
    pub async fn validate_remote(&self, token: &SessionToken) -> Result<Map<String, Value>> {
        let body = types::ValidateSessionRequest::default();
        let call = self.client.raw().validate_session(token, &body);
        let response = call.send().await?;
        let mut claims = response.into_inner().0.into_inner();
        for name in ["exp", "iat", "nbf"] {
            if let Some(time) = claims.get_mut(name)
                && let Some(seconds) = time.as_str().and_then(timestamp::parse_seconds)
            {
                *time = seconds.into();
            }
        }
        Ok(claims)
    }
}

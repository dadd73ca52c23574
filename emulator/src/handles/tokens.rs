//! Sessions without a login.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::users::no_user;
use crate::error::ControlError;
use crate::state::State;
use crate::state::shared::Shared;
use crate::state::tokens::put_all;

/// The tokens of a session, made without a login. `Debug` leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedTokens {
    session: String,
    refresh: String,
}

impl fmt::Debug for IssuedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedTokens").finish_non_exhaustive()
    }
}

impl IssuedTokens {
    /// The session token.
    #[must_use]
    pub fn session_jwt(&self) -> &str {
        &self.session
    }

    /// The refresh token, for a session that the emulator knows.
    #[must_use]
    pub fn refresh_jwt(&self) -> &str {
        &self.refresh
    }

    /// Both tokens as the `Cookie` header of a browser that is signed in: in `__Host-DS` and
    /// `__Host-DSR`, the default names of `descope-magiclink-web`.
    ///
    /// ```
    /// # use descope_magiclink_emulator::{Emulator, User};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let emulator = Emulator::builder().user(User::new("joe@example.com")).start().await?;
    /// let issued = emulator.tokens("joe@example.com").issue()?;
    /// assert!(issued.cookie_header().starts_with("__Host-DS="));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cookie_header(&self) -> String {
        let (session, refresh) = (self.session_jwt(), self.refresh_jwt());
        format!("__Host-DS={session}; __Host-DSR={refresh}")
    }
}

/// How issued tokens differ from real ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    Expired,
    Forged,
}

/// A session to be made without a login, good or with a flaw.
///
/// ```
/// # use descope_magiclink_emulator::{Emulator, User};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::builder().user(User::new("joe@example.com")).start().await?;
/// let good = emulator.tokens("joe@example.com").claim("plan", "pro").issue()?;
/// let forged = emulator.tokens("joe@example.com").forged().issue()?;
/// let expired = emulator.tokens("joe@example.com").expired().issue()?;
/// let stranger = emulator.tokens("joe@example.com").issuer("P2OtherProject").issue()?;
/// # let _ = (good, forged, expired, stranger);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is issued until `issue` is called"]
pub struct TokenBuilder {
    shared: Arc<Shared>,
    login_id: String,
    amr: Vec<String>,
    tenant: Option<String>,
    flaw: Option<Flaw>,
    overrides: Map<String, Value>,
}

impl TokenBuilder {
    pub(crate) fn new(shared: Arc<Shared>, login_id: String) -> Self {
        Self {
            shared,
            login_id,
            amr: vec!["email".to_owned()],
            tenant: None,
            flaw: None,
            overrides: Map::new(),
        }
    }

    /// The `amr` claim. `["email"]` unless set.
    pub fn amr(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.amr = methods.into_iter().map(Into::into).collect();
        self
    }

    /// The tenant that the session is bound to.
    pub fn tenant(mut self, tenant_id: impl Into<String>) -> Self {
        self.tenant = Some(tenant_id.into());
        self
    }

    /// Sets a claim of both tokens, over the real value; `null` takes the claim out.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.overrides.insert(name.into(), value.into());
        self
    }

    /// The `iss` of both tokens, in place of the project's.
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.claim("iss", issuer.into())
    }

    /// Both tokens expired one hour ago.
    pub fn expired(mut self) -> Self {
        self.flaw = Some(Flaw::Expired);
        self
    }

    /// Both tokens are signed by a key that is not the project's, under its key id.
    pub fn forged(mut self) -> Self {
        self.flaw = Some(Flaw::Forged);
        self
    }

    /// Makes the session and its tokens.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no user has the login id, the project has no such tenant, or every signing key was revoked.
    pub fn issue(self) -> Result<IssuedTokens, ControlError> {
        self.shared
            .state()
            .at_one_moment(|state| self.issue_from(state))
    }

    fn issue_from(&self, state: &mut State) -> Result<IssuedTokens, ControlError> {
        if let Some(tenant) = &self.tenant {
            state.project.find_tenant(tenant).map_err(ControlError)?;
        }
        let user = state
            .users
            .owner(&self.login_id)
            .ok_or_else(|| no_user(&self.login_id))?
            .to_owned();
        let id = state.new_session(&user, self.amr.clone(), self.tenant.clone(), Map::new())?;
        let session = state.session_claims(&id)?;
        let refresh = state.refresh_claims(&id)?;
        Ok(IssuedTokens {
            session: self.sign(state, session)?,
            refresh: self.sign(state, refresh)?,
        })
    }

    fn sign(&self, state: &State, mut claims: Map<String, Value>) -> Result<String, ControlError> {
        if self.flaw == Some(Flaw::Expired) {
            let now = state.time.seconds();
            put_all(
                &mut claims,
                serde_json::json!({ "iat": now - 7200, "exp": now - 3600 }),
            );
        }
        for (name, value) in self.overrides.clone() {
            if value.is_null() {
                claims.remove(&name);
            } else {
                claims.insert(name, value);
            }
        }
        let token = match self.flaw {
            Some(Flaw::Forged) => state.keys.forge(&claims),
            _ => state.keys.sign(&claims),
        };
        Ok(token?)
    }
}

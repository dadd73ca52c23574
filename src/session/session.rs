//! A validated session, and what it lets its user do.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::access::{Access, texts};
use super::claims::{Claims, since_epoch};
use crate::error::SessionError;
use crate::jwt::json::{Item, Object};

/// Claims with a meaning of their own, which are therefore not custom claims.
const RESERVED: [&str; 27] = [
    "amr",
    "aud",
    "azp",
    "cnf",
    "cookieName",
    "dcl",
    "dct",
    "drn",
    "dsub",
    "dv",
    "exp",
    "fti",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "nsec",
    "permissions",
    "rexp",
    "roles",
    "scope",
    "su",
    "sub",
    "tenants",
    "token_type",
    "tu",
];

/// A session that was validated: who the user is and what they may do.
///
/// Only a successful validation makes one, so holding it is proof that the token was good at that
/// moment. It stays good until [`expires_at`](Self::expires_at) even if the user logs out
/// meanwhile: local validation cannot know of that. Cloning is cheap.
///
/// A claim of an unexpected shape reads as absent. It never spoils the others and never grants
/// anything.
///
/// ```
/// # use descope_magiclink::session::SessionError;
/// # use descope_magiclink::Session;
/// fn may_pay(session: &Session, tenant: &str) -> Result<bool, SessionError> {
///     Ok(session.has_permissions(["invoice:read"])
///         && session.tenant(tenant)?.has_roles(["accountant"]))
/// }
/// ```
#[derive(Clone)]
pub struct Session {
    claims: Arc<Claims>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.claims.fmt("Session", f)
    }
}

impl Session {
    pub(super) fn new(claims: Arc<Claims>) -> Self {
        Self { claims }
    }

    /// The user's id in Descope, `U…`. For the session of an access key, the key's id.
    ///
    /// This is the `dsub` claim when there is one, else `sub`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        self.claims.user_id()
    }

    /// The project the session belongs to: always the one the validator is for.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.claims.project_id
    }

    /// When the token was issued, if it says so.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.claims.times().issued_at.map(since_epoch)
    }

    /// When the session token ends. The leeway of the validator comes on top.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        since_epoch(self.claims.times().expires_at)
    }

    /// How the user signed in (`amr`), for example `email` for a link by email, `sms`, `webauthn`.
    pub fn authentication_methods(&self) -> impl Iterator<Item = &str> {
        texts(self.claims.claim("amr"))
    }

    /// Whether the user signed in by more than one method.
    #[must_use]
    pub fn is_mfa(&self) -> bool {
        let mut methods = self.authentication_methods();
        let first = methods.next();
        methods.any(|method| Some(method) != first)
    }

    /// Whether the user has confirmed of late that it is them, by a link for
    /// [step-up](crate::MagicLink::step_up).
    ///
    /// It lasts as long as this very token, 10 minutes unless the project says otherwise: a session token
    /// that a refresh gives is not stepped up any more.
    #[must_use]
    pub fn is_stepped_up(&self) -> bool {
        self.claims.claim("su").is_some_and(Item::is_true)
    }

    /// The tenant the user has chosen, or the only one they have.
    #[must_use]
    pub fn current_tenant(&self) -> Option<&str> {
        self.claims.text("dct")
    }

    /// The ids of the tenants the user belongs to: those of the `tenants` claim, and the
    /// [current one](Self::current_tenant) if it is not among them.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        let listed = self.claims.claim("tenants").and_then(Item::as_object);
        let current = self
            .current_tenant()
            .filter(|id| listed.is_none_or(|tenants| tenants.get(id).is_none()));
        listed
            .into_iter()
            .flat_map(Object::iter)
            .map(|(id, _)| id)
            .filter(|id| !id.is_empty())
            .chain(current)
    }

    /// What the user may do in one tenant.
    ///
    /// The other Descope SDKs take the project when the tenant id is empty. Here an empty id
    /// is not a tenant, so that a parameter that got lost never widens what is asked; for the
    /// project ask the session itself.
    ///
    /// # Errors
    ///
    /// [`SessionError::NotInTenant`] when the user does not belong to it.
    pub fn tenant<'s>(&'s self, id: &str) -> Result<Access<'s>, SessionError> {
        let id = self
            .tenants()
            .find(|tenant| *tenant == id)
            .ok_or(SessionError::NotInTenant)?;
        Ok(Access::of_tenant(&self.claims, id))
    }

    /// The permissions the user has in the project.
    pub fn permissions(&self) -> impl Iterator<Item = &str> {
        self.access().permissions()
    }

    /// The roles the user has in the project.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.access().roles()
    }

    /// Whether the user has all of these permissions in the project. True when none are asked for.
    ///
    /// ```
    /// # fn f(session: &descope_magiclink::Session) -> bool {
    /// session.has_permissions(["invoice:read", "invoice:write"])
    /// # }
    /// ```
    #[must_use]
    pub fn has_permissions<I>(&self, required: I) -> bool
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.access().has_permissions(required)
    }

    /// Whether the user has all of these roles in the project. True when none are asked for.
    #[must_use]
    pub fn has_roles<I>(&self, required: I) -> bool
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        self.access().has_roles(required)
    }

    fn access(&self) -> Access<'_> {
        Access::of_project(&self.claims)
    }

    /// A custom claim that your side set: in the console, by a JWT template, or by a backend.
    ///
    /// Claims set when a sign-in was requested may be here or among the
    /// [non-secure](Self::nonsecure_claim) ones, depending on the project.
    #[must_use]
    pub fn custom_claim(&self, name: &str) -> Option<Value> {
        if RESERVED.contains(&name) {
            return None;
        }
        self.claims.claim(name).map(Item::to_json)
    }

    /// All custom claims.
    #[must_use]
    pub fn custom_claims(&self) -> Map<String, Value> {
        let mut claims = self.claims();
        claims.retain(|name, _| !RESERVED.contains(&name.as_str()));
        claims
    }

    /// A custom claim that the client side may have set (`nsec`).
    ///
    /// <div class="warning">
    ///
    /// Whoever signed in may have chosen its value. Show it, log it, but never decide by it what
    /// the user may do.
    ///
    /// </div>
    #[must_use]
    pub fn nonsecure_claim(&self, name: &str) -> Option<Value> {
        self.claims
            .claim("nsec")?
            .as_object()?
            .get(name)
            .map(Item::to_json)
    }

    /// All claims, as they stand in the token.
    #[must_use]
    pub fn claims(&self) -> Map<String, Value> {
        self.claims.all()
    }

    /// One claim of any kind, as it stands in the token.
    #[must_use]
    pub fn claim(&self, name: &str) -> Option<Value> {
        self.claims.claim(name).map(Item::to_json)
    }
}

/// A refresh token that was validated. It is not a session, and gives access to nothing by itself.
#[derive(Clone)]
pub struct RefreshClaims {
    claims: Arc<Claims>,
}

impl fmt::Debug for RefreshClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.claims.fmt("RefreshClaims", f)
    }
}

impl RefreshClaims {
    pub(super) fn new(claims: Arc<Claims>) -> Self {
        Self { claims }
    }

    /// The user's id in Descope, `U…`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        self.claims.user_id()
    }

    /// The project the token belongs to.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.claims.project_id
    }

    /// When the token was issued, if it says so.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.claims.times().issued_at.map(since_epoch)
    }

    /// When the refresh token ends: then the user has to sign in again.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        since_epoch(self.claims.times().expires_at)
    }

    /// All claims, as they stand in the token.
    #[must_use]
    pub fn claims(&self) -> Map<String, Value> {
        self.claims.all()
    }

    /// The sign-in that the token comes from, kept through rotation, if it says so (`fti`).
    pub(super) fn family_id(&self) -> Option<&str> {
        self.claims.text("fti")
    }
}

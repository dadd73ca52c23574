//! The user as the service knows them.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::epoch;
use crate::raw::types;

/// A user, as the response to a sign-in describes them.
///
/// The service may leave out any part, so that most accessors return an option or an empty list.
/// For decisions on what a user may do, use the validated [`Session`](crate::Session): it
/// is signed.
///
/// In JSON it has the form that the service sends, for an application that hands it on (feature
/// `schemars` describes it).
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub struct User(types::ResponseUser);

impl From<types::ResponseUser> for User {
    fn from(user: types::ResponseUser) -> Self {
        Self(user)
    }
}

impl AsRef<types::ResponseUser> for User {
    fn as_ref(&self) -> &types::ResponseUser {
        &self.0
    }
}

impl User {
    /// The user's id, `U...`. The one to go by is the [session](crate::Session::user_id)'s,
    /// which is signed.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        text(self.0.user_id.as_deref())
    }

    /// The full name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        text(self.0.name.as_deref())
    }

    /// The given name.
    #[must_use]
    pub fn given_name(&self) -> Option<&str> {
        text(self.0.given_name.as_deref())
    }

    /// The middle name.
    #[must_use]
    pub fn middle_name(&self) -> Option<&str> {
        text(self.0.middle_name.as_deref())
    }

    /// The family name.
    #[must_use]
    pub fn family_name(&self) -> Option<&str> {
        text(self.0.family_name.as_deref())
    }

    /// The email address.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        text(self.0.email.as_deref())
    }

    /// The phone number.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        text(self.0.phone.as_deref())
    }

    /// The URL of a picture.
    #[must_use]
    pub fn picture(&self) -> Option<&str> {
        text(self.0.picture.as_deref())
    }

    /// `enabled`, `disabled`, `invited`, or a value that a later service knows.
    #[must_use]
    pub fn status(&self) -> Option<&str> {
        text(self.0.status.as_deref())
    }

    /// The email address for recovery.
    #[must_use]
    pub fn recovery_email(&self) -> Option<&str> {
        text(self.0.recovery_email.as_deref())
    }

    /// The phone number for recovery.
    #[must_use]
    pub fn recovery_phone(&self) -> Option<&str> {
        text(self.0.recovery_phone.as_deref())
    }

    /// The identifiers that the user can sign in with.
    #[must_use]
    pub fn login_ids(&self) -> &[String] {
        self.0.login_ids.as_deref().unwrap_or_default()
    }

    /// Identifiers in other systems.
    #[must_use]
    pub fn external_ids(&self) -> &[String] {
        self.0.external_ids.as_deref().unwrap_or_default()
    }

    /// The roles on the level of the project.
    #[must_use]
    pub fn role_names(&self) -> &[String] {
        self.0.role_names.as_deref().unwrap_or_default()
    }

    /// The permissions on the level of the project.
    #[must_use]
    pub fn permissions(&self) -> &[String] {
        self.0.permissions.as_deref().unwrap_or_default()
    }

    /// The SSO applications that the user may use.
    #[must_use]
    pub fn sso_app_ids(&self) -> &[String] {
        self.0.sso_app_ids.as_deref().unwrap_or_default()
    }

    /// Whether the email address was proved to be the user's.
    #[must_use]
    pub fn has_verified_email(&self) -> bool {
        self.0.verified_email.unwrap_or_default()
    }

    /// Whether the phone number was proved to be the user's.
    #[must_use]
    pub fn has_verified_phone(&self) -> bool {
        self.0.verified_phone.unwrap_or_default()
    }

    /// Whether this is a test user.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.0.test.unwrap_or_default()
    }

    /// Whether the user has a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.0.password.unwrap_or_default()
    }

    /// Whether the user has an authenticator app.
    #[must_use]
    pub fn has_totp(&self) -> bool {
        self.0.totp.unwrap_or_default()
    }

    /// Whether the user has a passkey.
    #[must_use]
    pub fn has_webauthn(&self) -> bool {
        self.0.webauthn.unwrap_or_default()
    }

    /// Whether the user signs in by SAML.
    #[must_use]
    pub fn has_saml(&self) -> bool {
        self.0.saml.unwrap_or_default()
    }

    /// The tenants that the user belongs to, with the roles and permissions there.
    pub fn tenants(&self) -> impl Iterator<Item = UserTenant<'_>> {
        self.0.user_tenants.iter().flatten().map(UserTenant)
    }

    /// The project's own attributes of the user.
    #[must_use]
    pub fn custom_attributes(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.0.custom_attributes.as_deref().unwrap_or(&NONE)
    }

    /// The OAuth providers that the user has signed in with.
    #[must_use]
    pub fn oauth_providers(&self) -> &BTreeMap<String, bool> {
        static NONE: BTreeMap<String, bool> = BTreeMap::new();
        self.0.oauth.as_ref().unwrap_or(&NONE)
    }

    /// When the user was created.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        epoch(self.0.created_time)
    }

    /// Everything that the service sent, as it came, for what this type has no accessor for: what was
    /// empty is there and empty, and what was `null` is `null`. Secrets among it stand there in clear, as
    /// they do in what `Serialize` writes.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

/// The service sends an empty text for none.
fn text(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// A user's place in a tenant.
#[derive(Debug, Clone, Copy)]
pub struct UserTenant<'a>(&'a types::UserTenant);

impl<'a> UserTenant<'a> {
    /// The tenant's id; empty should the service leave it out.
    #[must_use]
    pub fn id(self) -> &'a str {
        self.0.tenant_id.as_deref().unwrap_or_default()
    }

    /// The tenant's name.
    #[must_use]
    pub fn name(self) -> Option<&'a str> {
        text(self.0.tenant_name.as_deref())
    }

    /// The user's roles in the tenant.
    #[must_use]
    pub fn role_names(self) -> &'a [String] {
        self.0.role_names.as_deref().unwrap_or_default()
    }

    /// The user's permissions in the tenant.
    #[must_use]
    pub fn permissions(self) -> &'a [String] {
        self.0.permissions.as_deref().unwrap_or_default()
    }
}

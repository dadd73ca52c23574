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

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> Option<&str> {
            self.0.$name.as_deref().filter(|text| !text.is_empty())
        }
    )+};
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> &[String] {
            self.0.$name.as_deref().unwrap_or_default()
        }
    )+};
}

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $field:ident;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> bool {
            self.0.$field.unwrap_or_default()
        }
    )+};
}

impl User {
    texts! {
        /// The user's id, `U...`. The one to go by is the [session](crate::Session::user_id)'s,
        /// which is signed.
        user_id;
        /// The full name.
        name;
        /// The given name.
        given_name;
        /// The middle name.
        middle_name;
        /// The family name.
        family_name;
        /// The email address.
        email;
        /// The phone number.
        phone;
        /// The URL of a picture.
        picture;
        /// `enabled`, `disabled`, `invited`, or a value that a later service knows.
        status;
        /// The email address for recovery.
        recovery_email;
        /// The phone number for recovery.
        recovery_phone;
    }

    lists! {
        /// The identifiers that the user can sign in with.
        login_ids;
        /// Identifiers in other systems.
        external_ids;
        /// The roles on the level of the project.
        role_names;
        /// The permissions on the level of the project.
        permissions;
        /// The SSO applications that the user may use.
        sso_app_ids;
    }

    flags! {
        /// Whether the email address was proved to be the user's.
        has_verified_email = verified_email;
        /// Whether the phone number was proved to be the user's.
        has_verified_phone = verified_phone;
        /// Whether this is a test user.
        is_test = test;
        /// Whether the user has a password.
        has_password = password;
        /// Whether the user has an authenticator app.
        has_totp = totp;
        /// Whether the user has a passkey.
        has_webauthn = webauthn;
        /// Whether the user signs in by SAML.
        has_saml = saml;
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
        self.0
            .tenant_name
            .as_deref()
            .filter(|text| !text.is_empty())
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

//! What a session lets its user do in one tenant.

use std::fmt;

use serde_json::Value;

use super::session::Session;
use crate::jwt::json::Item;

/// What a user may do in one tenant; from [`Session::tenant`].
#[derive(Clone, Copy)]
pub struct TenantAccess<'s> {
    pub(super) session: &'s Session,
    pub(super) id: &'s str,
}

impl fmt::Debug for TenantAccess<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantAccess")
            .field("user_id", &self.session.user_id())
            .field("id", &self.id)
            .finish()
    }
}

impl<'s> TenantAccess<'s> {
    /// The tenant's id.
    #[must_use]
    pub fn id(self) -> &'s str {
        self.id
    }

    /// The list `tenants[id][name]`. A token with a current tenant and no `tenants` claim at all
    /// has that tenant's grants at the top level; an empty `tenants` claim is not the same as none.
    fn grants(self, name: &str) -> Option<Item<'s>> {
        let claims = &self.session.claims;
        match claims.claim("tenants").filter(|tenants| !tenants.is_null()) {
            Some(tenants) => tenants.as_object()?.get(self.id)?.as_object()?.get(name),
            None => claims.claim(name),
        }
    }

    /// A value that the token holds for this tenant, such as one put there by a JWT template.
    #[must_use]
    pub fn value(self, name: &str) -> Option<Value> {
        let tenants = self.session.claims.claim("tenants")?.as_object()?;
        let value = tenants.get(self.id)?.as_object()?.get(name)?;
        Some(value.to_json())
    }

    /// The permissions the user has in the tenant.
    pub fn permissions(self) -> impl Iterator<Item = &'s str> {
        texts(self.grants("permissions"))
    }

    /// The roles the user has in the tenant.
    pub fn roles(self) -> impl Iterator<Item = &'s str> {
        texts(self.grants("roles"))
    }

    /// Whether the user has all of these permissions in the tenant. True when none are asked for.
    #[must_use]
    pub fn has_permissions<I>(self, required: I) -> bool
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        has_all(self.grants("permissions"), required)
    }

    /// Whether the user has all of these roles in the tenant. True when none are asked for.
    #[must_use]
    pub fn has_roles<I>(self, required: I) -> bool
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        has_all(self.grants("roles"), required)
    }

    /// Those of the permissions asked for that the user has in the tenant, in the order asked, each
    /// once.
    #[must_use]
    pub fn matched_permissions<I>(self, requested: I) -> Vec<&'s str>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        matched(self.grants("permissions"), requested)
    }

    /// Those of the roles asked for that the user has in the tenant, in the order asked, each once.
    #[must_use]
    pub fn matched_roles<I>(self, requested: I) -> Vec<&'s str>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        matched(self.grants("roles"), requested)
    }
}

/// The texts in a claim that is a list; anything else counts for nothing.
pub(super) fn texts<'d>(list: Option<Item<'d>>) -> impl Iterator<Item = &'d str> {
    list.and_then(Item::as_array)
        .into_iter()
        .flatten()
        .filter_map(Item::as_str)
}

pub(super) fn has_all<I>(granted: Option<Item<'_>>, required: I) -> bool
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    required
        .into_iter()
        .all(|name| texts(granted).any(|grant| grant == name.as_ref()))
}

pub(super) fn matched<'d, I>(granted: Option<Item<'d>>, requested: I) -> Vec<&'d str>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut found: Vec<&'d str> = Vec::new();
    for name in requested {
        let grant = texts(granted).find(|grant| *grant == name.as_ref());
        found.extend(grant.filter(|grant| !found.contains(grant)));
    }
    found
}

//! What a session lets its user do.

use std::fmt;

use serde_json::Value;

use super::claims::Claims;
use crate::jwt::json::Item;

/// What a user may do in one tenant, from [`Session::tenant`](crate::Session::tenant).
#[derive(Clone, Copy)]
pub struct Access<'s> {
    claims: &'s Claims,
    tenant: Option<&'s str>,
}

impl fmt::Debug for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("user_id", &self.claims.user_id())
            .field("tenant", &self.tenant)
            .finish()
    }
}

impl<'s> Access<'s> {
    pub(super) fn of_project(claims: &'s Claims) -> Self {
        let tenant = None;
        Self { claims, tenant }
    }

    pub(super) fn of_tenant(claims: &'s Claims, id: &'s str) -> Self {
        let tenant = Some(id);
        Self { claims, tenant }
    }

    /// The list `tenants[id][name]`. A token with a current tenant and no `tenants` claim at all
    /// has that tenant's grants at the top level; an empty `tenants` claim is not the same as none.
    fn grants(self, name: &str) -> Option<Item<'s>> {
        let tenants = self.claims.claim("tenants");
        match self
            .tenant
            .zip(tenants.filter(|tenants| !tenants.is_null()))
        {
            Some((id, tenants)) => tenants.as_object()?.get(id)?.as_object()?.get(name),
            None => self.claims.claim(name),
        }
    }

    /// A value that the token holds for the tenant, such as one put there by a JWT template.
    #[must_use]
    pub fn value(self, name: &str) -> Option<Value> {
        let tenants = self.claims.claim("tenants")?.as_object()?;
        let value = tenants.get(self.tenant?)?.as_object()?.get(name)?;
        Some(value.to_json())
    }

    /// The permissions that the user has in the tenant.
    pub fn permissions(self) -> impl Iterator<Item = &'s str> {
        texts(self.grants("permissions"))
    }

    /// The roles that the user has in the tenant.
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
}

/// The texts in a claim that is a list; anything else counts for nothing.
pub(super) fn texts<'d>(list: Option<Item<'d>>) -> impl Iterator<Item = &'d str> {
    list.and_then(Item::as_array)
        .into_iter()
        .flatten()
        .filter_map(Item::as_str)
}

fn has_all<I>(granted: Option<Item<'_>>, required: I) -> bool
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    required
        .into_iter()
        .all(|name| texts(granted).any(|grant| grant == name.as_ref()))
}

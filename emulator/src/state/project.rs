//! Roles, tenants, templates and access keys: what a project has besides its users.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::users::{PROFILE, UserRecord};
use crate::nearest::suggestion;
use crate::settings::{AccessKey, Settings, Template, Tenant, fits_bearer};

/// Roles by tenant id.
pub(crate) type Memberships = BTreeMap<String, Vec<String>>;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Project {
    /// Permissions by role.
    pub(crate) roles: BTreeMap<String, Vec<String>>,
    pub(crate) tenants: BTreeMap<String, Tenant>,
    /// Whether a tenant was defined, so that no other may be named.
    closed_tenants: bool,
    pub(crate) templates: BTreeMap<String, Template>,
    pub(crate) access_keys: BTreeMap<String, AccessKey>,
}

impl Project {
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let mut project = Self {
            roles: settings.roles.clone(),
            ..Self::default()
        };
        for template in settings.templates.clone() {
            project.templates.insert(template.id.clone(), template);
        }
        for tenant in settings.tenants.clone() {
            project.define_tenant(tenant)?;
        }
        for key in settings.access_keys.clone() {
            project.define_access_key(key)?;
        }
        Ok(project)
    }

    pub(crate) fn define_tenant(&mut self, tenant: Tenant) -> Result<(), String> {
        if tenant.id.is_empty() {
            return Err("a tenant needs an id".to_owned());
        }
        self.closed_tenants = true;
        self.tenants.insert(tenant.id.clone(), tenant);
        Ok(())
    }

    pub(crate) fn define_access_key(&mut self, key: AccessKey) -> Result<(), String> {
        if !fits_bearer(&key.secret) {
            return Err(format!(
                "the secret of the access key {} must be visible ASCII text without a colon",
                key.id
            ));
        }
        self.admit(&key.roles, &key.tenants)?;
        self.access_keys.insert(key.id.clone(), key);
        Ok(())
    }

    /// Checks roles and tenants that someone is to have. While none was defined any name will do, and a tenant comes
    /// into being with it.
    pub(crate) fn admit(&mut self, roles: &[String], tenants: &Memberships) -> Result<(), String> {
        if !self.roles.is_empty()
            && let Some(role) = roles
                .iter()
                .chain(tenants.values().flatten())
                .find(|role| !self.roles.contains_key(*role))
        {
            let near = suggestion(role, self.roles.keys().map(String::as_str));
            return Err(format!("The project has no role {role}{near}"));
        }
        for id in tenants.keys() {
            if self.closed_tenants {
                self.find_tenant(id)?;
            } else {
                self.tenants
                    .entry(id.clone())
                    .or_insert_with(|| Tenant::new(id.clone()));
            }
        }
        Ok(())
    }

    pub(crate) fn find_tenant(&self, id: &str) -> Result<&Tenant, String> {
        self.tenants.get(id).ok_or_else(|| {
            let near = suggestion(id, self.tenants.keys().map(String::as_str));
            format!("The project has no tenant {id}{near}")
        })
    }

    /// Fails for a template that is not there, once there is any.
    pub(crate) fn check_template(&self, id: &str) -> Result<(), String> {
        if self.templates.is_empty() || self.templates.contains_key(id) {
            return Ok(());
        }
        let near = suggestion(id, self.templates.keys().map(String::as_str));
        Err(format!("The project has no template {id}{near}"))
    }

    /// The permissions that roles carry, sorted and without repetition.
    pub(crate) fn permissions(&self, roles: &[String]) -> Vec<String> {
        let all: BTreeSet<&String> = roles
            .iter()
            .filter_map(|role| self.roles.get(role))
            .flatten()
            .collect();
        all.into_iter().cloned().collect()
    }

    pub(crate) fn tenant_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.tenants.get(id).map_or(id, Tenant::display_name)
    }

    /// The user as the service shows them.
    pub(crate) fn user_json(&self, user: &UserRecord) -> Value {
        let tenants: Vec<Value> = user
            .tenants
            .iter()
            .map(|(id, roles)| {
                json!({
                    "tenantId": id,
                    "tenantName": self.tenant_name(id),
                    "roleNames": roles,
                    "permissions": self.permissions(roles),
                })
            })
            .collect();
        let mut json = json!({
            "loginIds": user.login_ids,
            "userId": user.id,
            "verifiedEmail": user.verified.contains("email"),
            "verifiedPhone": user.verified.contains("phone"),
            "roleNames": user.roles,
            "userTenants": tenants,
            "status": user.status.as_str(),
            "externalIds": user.login_ids,
            "test": user.test,
            "customAttributes": user.attributes,
            "createdTime": user.created,
            "TOTP": false,
            "SAML": false,
            "SCIM": false,
            "OAuth": {},
            "webauthn": false,
            "password": false,
            "ssoAppIds": user.sso_apps,
        });
        if let Some(map) = json.as_object_mut() {
            // What is not known of a user is sent as empty text, except a recovery address.
            for name in PROFILE.iter().filter(|name| !name.starts_with("recovery")) {
                map.insert((*name).to_owned(), "".into());
            }
            for (name, value) in &user.profile {
                map.insert(name.clone(), value.as_str().into());
            }
            for (member, flag) in [
                ("recoveryEmail", "verifiedRecoveryEmail"),
                ("recoveryPhone", "verifiedRecoveryPhone"),
            ] {
                if user.profile.contains_key(member) {
                    map.insert(flag.to_owned(), user.verified.contains(member).into());
                }
            }
        }
        json
    }
}

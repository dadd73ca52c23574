//! Roles, tenants, templates and access keys of one emulator.

use std::sync::Arc;

use crate::error::ControlError;
use crate::settings::{AccessKey, Template, Tenant};
use crate::state::shared::Shared;

/// The roles, tenants, templates and access keys of one emulator, to be changed while it runs.
///
/// ```
/// # use descope_magiclink_emulator::{Emulator, Tenant, User};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// emulator.project().set_role("admin", ["invoice:write"]);
/// emulator.project().set_tenant(Tenant::new("acme").name("Acme Inc."))?;
/// emulator.users().add(User::new("joe@example.com").tenant("acme", ["admin"]))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Project {
    shared: Arc<Shared>,
}

impl Project {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Adds a role with its permissions, or gives a role other permissions.
    pub fn set_role(
        &self,
        name: impl Into<String>,
        permissions: impl IntoIterator<Item = impl Into<String>>,
    ) {
        let permissions = permissions.into_iter().map(Into::into).collect();
        self.shared
            .state()
            .project
            .roles
            .insert(name.into(), permissions);
        self.shared.changed();
    }

    /// Adds a tenant, or replaces the one of the same id. From then on no tenant may be named that is not there.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when the id is empty.
    pub fn set_tenant(&self, tenant: Tenant) -> Result<(), ControlError> {
        let defined = self.shared.state().project.define_tenant(tenant);
        self.shared.changed();
        defined.map_err(ControlError)
    }

    /// Adds a message template, or replaces the one of the same id.
    pub fn set_template(&self, template: Template) {
        self.shared
            .state()
            .project
            .templates
            .insert(template.id.clone(), template);
        self.shared.changed();
    }

    /// Adds an access key, or replaces the one of the same id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when the secret cannot be sent, or a role or tenant is unknown.
    pub fn set_access_key(&self, key: AccessKey) -> Result<(), ControlError> {
        let defined = self.shared.state().project.define_access_key(key);
        self.shared.changed();
        defined.map_err(ControlError)
    }

    /// Takes a role away; who has it keeps its name without permissions.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when there is none.
    pub fn remove_role(&self, name: &str) -> Result<(), ControlError> {
        let removed = self.shared.state().project.roles.remove(name);
        self.removed(removed.is_some(), "role", name)
    }

    /// Takes a tenant away; members stay members of a tenant that is named by its id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when there is none.
    pub fn remove_tenant(&self, id: &str) -> Result<(), ControlError> {
        let removed = self.shared.state().project.tenants.remove(id);
        self.removed(removed.is_some(), "tenant", id)
    }

    /// Takes a message template away.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when there is none.
    pub fn remove_template(&self, id: &str) -> Result<(), ControlError> {
        let removed = self.shared.state().project.templates.remove(id);
        self.removed(removed.is_some(), "template", id)
    }

    /// Takes an access key away; its session tokens stay valid until they expire.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when there is none.
    pub fn remove_access_key(&self, id: &str) -> Result<(), ControlError> {
        let removed = self.shared.state().project.access_keys.remove(id);
        self.removed(removed.is_some(), "access key", id)
    }

    fn removed(&self, is_removed: bool, what: &str, name: &str) -> Result<(), ControlError> {
        if !is_removed {
            return Err(ControlError(format!("there is no {what} {name}")));
        }
        self.shared.changed();
        Ok(())
    }
}

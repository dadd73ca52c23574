//! The users of one emulator.

use std::sync::Arc;

use serde_json::Value;

use crate::error::ControlError;
use crate::settings::User;
use crate::state::shared::Shared;

/// The users of one emulator.
///
/// ```
/// # use descope_magiclink_emulator::{Emulator, User};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// emulator.users().add(User::new("joe@example.com").name("Joe Person"))?;
/// let joe = emulator.users().get("joe@example.com").ok_or("no such user")?;
/// assert_eq!(joe["name"], "Joe Person");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Users {
    shared: Arc<Shared>,
}

impl Users {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Adds a user. Gives the user id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when a login id is empty or taken, a role or tenant is unknown, or there are too many users.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a user is made for the call; a reference reads worse"
    )]
    pub fn add(&self, user: User) -> Result<String, ControlError> {
        let id = self.shared.state().add_user(&user)?;
        self.shared.changed();
        Ok(id)
    }

    /// The user with a login id, as the service shows them.
    #[must_use]
    pub fn get(&self, login_id: &str) -> Option<Value> {
        let state = self.shared.state();
        state
            .users
            .by_login_id(login_id)
            .map(|user| state.project.user_json(user))
    }

    /// All users, as the service shows them, in no particular order.
    #[must_use]
    pub fn all(&self) -> Vec<Value> {
        let state = self.shared.state();
        state
            .users
            .all()
            .map(|user| state.project.user_json(user))
            .collect()
    }

    /// How many users there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.state().users.len()
    }

    /// Deletes a user and ends their sessions.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no user has this login id.
    pub fn remove(&self, login_id: &str) -> Result<(), ControlError> {
        let mut state = self.shared.state();
        let id = state
            .users
            .owner(login_id)
            .ok_or_else(|| no_user(login_id))?
            .to_owned();
        state.remove_user(&id);
        drop(state);
        self.shared.changed();
        Ok(())
    }
}

pub(crate) fn no_user(login_id: &str) -> ControlError {
    ControlError(format!(
        "no user has the login id {login_id}; add one with users().add"
    ))
}

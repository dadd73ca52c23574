//! The signing keys of one emulator.

use std::sync::Arc;

use serde_json::Value;

use crate::error::ControlError;
use crate::state::shared::Shared;

/// The signing keys of one emulator.
///
/// ```
/// # use descope_magiclink_emulator::Emulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let new = emulator.keys().rotate()?;
/// assert_eq!(emulator.keys().ids().len(), 2);
/// assert_eq!(emulator.keys().ids().first(), Some(&new));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

impl Keys {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The key ids, the one that signs first.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.shared.state().keys.kids()
    }

    /// A new key signs from now on; older ones stay published for twelve rotations. Gives the new key id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no key could be made.
    pub fn rotate(&self) -> Result<String, ControlError> {
        Ok(self.shared.state().keys.rotate()?)
    }

    /// A new key signs from now on, the older ones are gone, and every session has ended. Gives the new key id.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when no key could be made.
    pub fn rotate_and_revoke(&self) -> Result<String, ControlError> {
        let mut state = self.shared.state();
        let kid = state.keys.rotate()?;
        state.keys.keep_current_only();
        state.sessions.end_all();
        Ok(kid)
    }

    /// Removes a key: it is no longer published, and tokens that it signed are refused.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when there is no such key.
    pub fn revoke(&self, key_id: &str) -> Result<(), ControlError> {
        if self.shared.state().keys.remove(key_id) {
            return Ok(());
        }
        Err(ControlError(format!("there is no key {key_id}")))
    }

    /// Leaves a key out of the published set while it goes on signing.
    pub fn hide(&self, key_id: &str) {
        self.shared.state().keys.hide(key_id);
    }

    /// Responds with this JSON in place of the key set, until [`Keys::restore`].
    ///
    /// For a broken response below JSON, put a [`Fault`](crate::Fault) on the operation `GetKeysV2`.
    pub fn publish_instead(&self, body: Value) {
        self.shared.state().keys.serve(Some(body));
    }

    /// Publishes the real key set again, hidden keys included.
    pub fn restore(&self) {
        self.shared.state().keys.serve(None);
    }

    /// The key set as it is published now.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when a key could not be made.
    pub fn published(&self) -> Result<Value, ControlError> {
        Ok(self.shared.state().keys.published()?)
    }
}

//! Failures on demand, put into one emulator.

use std::sync::Arc;

use crate::error::ControlError;
use crate::operations::table;
use crate::state::faults::{Fault, FaultId};
use crate::state::shared::Shared;

/// The faults of one emulator.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Adds a fault.
    ///
    /// # Errors
    ///
    /// [`ControlError`] when the operation id is unknown, or a status or header cannot be sent.
    pub fn add(&self, fault: Fault) -> Result<FaultId, ControlError> {
        if let Some(id) = fault.operation() {
            table::check_id(id).map_err(ControlError)?;
        }
        if let Some(problem) = fault.problem() {
            return Err(ControlError(problem));
        }
        let id = self.shared.state().faults.add(fault);
        self.shared.changed();
        Ok(id)
    }

    /// How many requests a fault has hit. 0 when it was removed.
    #[must_use]
    pub fn hits(&self, id: FaultId) -> u32 {
        self.shared.state().faults.hits(id)
    }

    /// Waits until a fault has hit so many requests, for as long as that takes.
    pub async fn reached(&self, id: FaultId, hits: u32) {
        let mut changes = self.shared.changes();
        while self.hits(id) < hits && changes.changed().await.is_ok() {}
    }

    /// How many faults can still hit.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.state().faults.left()
    }

    /// Removes a fault. Requests that hang in a black hole are reset, those that are held go on.
    pub fn remove(&self, id: FaultId) {
        self.shared.state().faults.remove(id);
        self.shared.changed();
    }

    /// Removes all faults, each as [`Faults::remove`] does.
    pub fn clear(&self) {
        self.shared.state().faults.clear();
        self.shared.changed();
    }
}

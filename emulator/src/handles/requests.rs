//! The requests that came.

use std::sync::Arc;

use crate::state::requests::RecordedRequest;
use crate::state::shared::Shared;

/// The requests that came, for assertions about what a client did.
///
/// ```
/// # use descope_magiclink_emulator::Emulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let url = format!("{}/v2/keys/{}", emulator.base_url(), emulator.project_id());
/// reqwest::Client::builder().no_proxy().build()?.get(url).send().await?;
/// assert_eq!(emulator.requests().count("GetKeysV2"), 1);
/// let request = emulator.requests().last().ok_or("no request came")?;
/// assert_eq!((request.method(), request.status()), ("GET", Some(200)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequestLog {
    shared: Arc<Shared>,
}

impl RequestLog {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// All requests that are kept, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<RecordedRequest> {
        self.shared.state().requests.kept.iter().cloned().collect()
    }

    /// The requests for one operation, oldest first.
    #[must_use]
    pub fn of(&self, operation_id: &str) -> Vec<RecordedRequest> {
        let wanted = |request: &&RecordedRequest| request.operation == Some(operation_id);
        self.shared
            .state()
            .requests
            .kept
            .iter()
            .filter(wanted)
            .cloned()
            .collect()
    }

    /// How many requests for one operation are kept.
    #[must_use]
    pub fn count(&self, operation_id: &str) -> usize {
        let wanted = |request: &&RecordedRequest| request.operation == Some(operation_id);
        self.shared
            .state()
            .requests
            .kept
            .iter()
            .filter(wanted)
            .count()
    }

    /// The newest request.
    #[must_use]
    pub fn last(&self) -> Option<RecordedRequest> {
        self.shared
            .state()
            .requests
            .kept
            .iter()
            .next_back()
            .cloned()
    }

    /// Forgets all requests.
    pub fn clear(&self) {
        self.shared.state().requests.kept.clear();
        self.shared.changed();
    }
}

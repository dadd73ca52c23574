//! The time of one emulator.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::state::clock::{millis, to_time};
use crate::state::shared::Shared;

/// The time of one emulator, used for every check: links, tokens, sessions and rate limits.
///
/// It follows the real time until it is moved. A client that validates tokens locally has its own clock, which does
/// not move with this one.
///
/// ```
/// # use std::time::Duration;
/// # use descope_magiclink_emulator::Emulator;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start().await?;
/// let before = emulator.clock().now();
/// emulator.clock().advance(Duration::from_secs(3600));
/// assert!(emulator.clock().now() >= before + Duration::from_secs(3600));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

impl Clock {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        to_time(self.shared.state().time.now())
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        self.shared.state().time.advance(millis(by));
        self.shared.messages_changed();
    }

    /// Moves backward.
    pub fn rewind(&self, by: Duration) {
        self.shared
            .state()
            .time
            .advance(millis(by).saturating_neg());
        self.shared.messages_changed();
    }

    /// Moves to a time.
    pub fn set(&self, to: SystemTime) {
        self.shared.state().time.set(to);
        self.shared.messages_changed();
    }

    /// Stands still until [`Clock::resume`]; the other methods still move it.
    pub fn freeze(&self) {
        self.shared.state().time.freeze();
        self.shared.messages_changed();
    }

    /// Runs on from where it stands.
    pub fn resume(&self) {
        self.shared.state().time.resume();
        self.shared.messages_changed();
    }

    /// Follows the real time again.
    pub fn follow_real_time(&self) {
        self.shared.state().time.follow_real_time();
        self.shared.messages_changed();
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.shared.state().time.is_frozen()
    }
}

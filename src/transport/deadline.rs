//! The time that a call has in all.

use std::time::{Duration, Instant};

use crate::clock::{Clock as _, SystemClock, later};
use crate::error::{ConfigError, Error, Timeout};
use crate::sync::single_flight::WaitError;

/// When a call must be over, by the machine's own monotonic clock: sockets do not wait for another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    start: Instant,
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        let start = SystemClock.instant();
        Self {
            start,
            at: later(start, limit),
            limit,
        }
    }

    /// How much time is left.
    pub(crate) fn left(self) -> Duration {
        self.at.saturating_duration_since(SystemClock.instant())
    }

    /// How long ago the call began.
    pub(crate) fn elapsed(self) -> Duration {
        SystemClock.instant().saturating_duration_since(self.start)
    }

    /// The time that the call was given.
    pub(crate) fn limit(self) -> Duration {
        self.limit
    }

    pub(crate) fn at(self) -> Instant {
        self.at
    }

    pub(crate) fn error(self, error: WaitError) -> Error {
        match error {
            WaitError::TimedOut => Error::Timeout(Timeout::new(self.limit)),
            WaitError::Lost => ConfigError::NoThread.into(),
        }
    }
}

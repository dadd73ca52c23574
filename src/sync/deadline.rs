//! The time that a call has in all.

use std::time::{Duration, Instant};

use super::single_flight::WaitError;
use crate::clock::{Clock as _, SystemClock};
use crate::error::{ConfigError, Error, Timeout};

/// When a call must be over, by the machine's own monotonic clock: sockets do not wait for another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        let now = SystemClock.instant();
        Self {
            at: now.checked_add(limit).unwrap_or(now),
            limit,
        }
    }

    pub(crate) fn at(self) -> Instant {
        self.at
    }

    pub(crate) fn error(self, error: WaitError) -> Error {
        match error {
            WaitError::TimedOut => Error::Timeout(Timeout::new(self.limit)),
            WaitError::Lost => ConfigError::NoRuntime.into(),
        }
    }
}

//! When a call is sent again.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use http::StatusCode;

use crate::error::{is_refused_stream, tls_failure};

/// No wait is longer, whatever the policy says.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often, and after what wait, a call is sent again.
///
/// Only reads (`GET`) are repeated, and calls whose connection could not be made. A call that may
/// have reached the service is not: a message could be sent twice, and a link's token is good for
/// one use. All attempts and waits share the call's one timeout.
///
/// Waits have full jitter: each is a random time up to the initial backoff, doubled per attempt and at
/// most a minute.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink::RetryPolicy;
///
/// let patient = RetryPolicy::new().max_attempts(5).initial_backoff(Duration::from_millis(200));
/// let never = RetryPolicy::never();
/// # let _ = (patient, never);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: Duration,
}

impl RetryPolicy {
    /// The default: at most 3 attempts, the first wait up to 100 ms.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(100),
        }
    }

    /// No call is sent a second time.
    #[must_use]
    pub fn never() -> Self {
        Self::new().max_attempts(1)
    }

    /// How many times a call is sent at the most; 0 means 1.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.max(1);
        self
    }

    /// The longest wait before the second attempt; it doubles with each attempt.
    #[must_use]
    pub fn initial_backoff(mut self, wait: Duration) -> Self {
        self.initial_backoff = wait;
        self
    }

    /// Whether there may be another attempt after number `attempt` (from 1).
    pub(crate) fn allows_after(&self, attempt: u32) -> bool {
        attempt < self.max_attempts
    }

    /// The wait after attempt number `attempt` (from 1), or `None` when it was the last.
    pub(crate) fn wait(&self, attempt: u32) -> Option<Duration> {
        if !self.allows_after(attempt) {
            return None;
        }
        let longest = self
            .initial_backoff
            .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
            .min(LONGEST_WAIT);
        Some(longest.mul_f64(random_fraction()))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a call that came to this may be sent again.
pub(crate) fn is_retryable(is_read: bool, result: Result<StatusCode, &reqwest::Error>) -> bool {
    match result {
        Ok(status) => is_read && is_retryable_status(status),
        Err(error) if tls_failure(error).is_some() => false,
        // The service has seen nothing, so that any call may be tried again.
        Err(error) if error.is_connect() || is_refused_stream(error) => true,
        Err(error) => is_read && !error.is_timeout(),
    }
}

/// Statuses that say "not now", by the service or by what stands before it: those that Descope's
/// SDKs repeat, and those of a gateway that got no response (RFC 9110 15.6.3, 15.6.5).
fn is_retryable_status(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504 | 520..=522 | 524 | 530)
}

/// A random number from 0 to 1, for spreading calls: nobody gains by guessing it.
pub(crate) fn random_fraction() -> f64 {
    let bits = RandomState::new().hash_one(()) >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
}

//! When a call is sent again.

use std::time::Duration;

use http::StatusCode;

/// No wait is longer, whatever the policy says.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often, and after what wait, a call is sent again.
///
/// Only reads (`GET`) are repeated, and calls whose connection could not be made. A call that may
/// have reached the service is not: a message could be sent twice, and a link's token is good for
/// one use. All attempts and waits share the call's one timeout.
///
/// Waits have full jitter: each is a random time up to the first wait, doubled per attempt and at most
/// a minute.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink::RetryPolicy;
///
/// let patient = RetryPolicy::new().max_attempts(5).first_wait(Duration::from_millis(200));
/// let never = RetryPolicy::never();
/// # let _ = (patient, never);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    max_attempts: u32,
    first_wait: Duration,
}

impl RetryPolicy {
    /// The default: at most 3 attempts, the first wait up to 100 ms.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_attempts: 3,
            first_wait: Duration::from_millis(100),
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

    /// The longest first wait; it doubles with each attempt.
    #[must_use]
    pub fn first_wait(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
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
            .first_wait
            .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
            .min(LONGEST_WAIT);
        Some(longest.mul_f64(random_fraction()))
    }

    /// Statuses that say "not now": those that Descope's SDKs repeat.
    pub(crate) fn covers(self, status: StatusCode) -> bool {
        matches!(status.as_u16(), 503 | 520..=522 | 524 | 530)
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// A random number from 0 to 1; 0.5 should the system have no randomness to give.
pub(crate) fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

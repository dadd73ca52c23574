//! Where the crate reads the time, so that tests and offline tools can set it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

/// A source of time.
///
/// Token lifetimes are compared with [`now`](Clock::now); cache ages and cooldowns are measured with
/// [`instant`](Clock::instant), which a change of the wall clock does not disturb.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The wall-clock time.
    fn now(&self) -> SystemTime;

    /// The monotonic time.
    fn instant(&self) -> Instant;
}

/// The machine's clock: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> SystemTime {
        (**self).now()
    }

    fn instant(&self) -> Instant {
        (**self).instant()
    }
}

/// A clock for tests: stands still until
/// [`advance`](Self::advance) moves it.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(600));
/// assert_eq!(clock.now(), before + Duration::from_secs(600));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    wall: SystemTime,
    monotonic: Instant,
    advanced_nanos: AtomicU64,
}

impl ManualClock {
    /// A clock that stands still at the present time.
    #[must_use]
    pub fn new() -> Self {
        Self::at(SystemClock.now())
    }

    /// A clock that stands still at `now`.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        Self {
            wall: now,
            monotonic: SystemClock.instant(),
            advanced_nanos: AtomicU64::new(0),
        }
    }

    /// Moves both the wall clock and the monotonic clock forward.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let _ = self
            .advanced_nanos
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                Some(now.saturating_add(nanos))
            });
    }

    fn advanced(&self) -> Duration {
        Duration::from_nanos(self.advanced_nanos.load(Ordering::SeqCst))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        self.wall.checked_add(self.advanced()).unwrap_or(self.wall)
    }

    fn instant(&self) -> Instant {
        self.monotonic
            .checked_add(self.advanced())
            .unwrap_or(self.monotonic)
    }
}

#[cfg(feature = "client")]
/// The instant that is so much later, or a hundred years later where no instant is.
pub(crate) fn later(from: Instant, by: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let end = from.checked_add(by).or_else(|| from.checked_add(CENTURY));
    end.unwrap_or(from)
}

#[cfg(feature = "client")]
/// A time from seconds since 1970; 0 and less mean "none" on the wire, and after the year 9999 there
/// are no dates as HTTP writes them.
pub(crate) fn epoch(seconds: Option<i64>) -> Option<SystemTime> {
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(seconds?)
        .ok()
        .filter(|seconds| (1..=LAST).contains(seconds))?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

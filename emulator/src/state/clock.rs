//! The emulator's own time.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
pub(crate) type Millis = i64;

/// Real time plus an offset, or a time that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Time {
    offset: Millis,
    frozen: Option<Millis>,
}

impl Time {
    pub(crate) fn now(&self) -> Millis {
        self.frozen
            .unwrap_or_else(|| real_now().saturating_add(self.offset))
    }

    /// Whole seconds since the epoch, as tokens carry them.
    pub(crate) fn seconds(&self) -> i64 {
        self.now().div_euclid(1000)
    }

    pub(crate) fn advance(&mut self, by: Millis) {
        match &mut self.frozen {
            Some(at) => *at = at.saturating_add(by),
            None => self.offset = self.offset.saturating_add(by),
        }
    }

    pub(crate) fn set(&mut self, to: SystemTime) {
        let to = to_millis(to);
        match &mut self.frozen {
            Some(at) => *at = to,
            None => self.offset = to.saturating_sub(real_now()),
        }
    }

    pub(crate) fn freeze(&mut self) {
        self.frozen = Some(self.now());
    }

    pub(crate) fn resume(&mut self) {
        if let Some(at) = self.frozen.take() {
            self.offset = at.saturating_sub(real_now());
        }
    }

    pub(crate) fn follow_real_time(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }
}

/// The one place that reads the system's clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that everything else reads"
)]
fn real_now() -> Millis {
    to_millis(SystemTime::now())
}

pub(crate) fn to_millis(time: SystemTime) -> Millis {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => millis(before.duration()).saturating_neg(),
    }
}

pub(crate) fn to_time(at: Millis) -> SystemTime {
    let span = Duration::from_millis(at.unsigned_abs());
    let time = if at < 0 {
        UNIX_EPOCH.checked_sub(span)
    } else {
        UNIX_EPOCH.checked_add(span)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// What dates are written for: the years 1970 to 9999. A clock beyond them shows the nearest end.
const WRITABLE: RangeInclusive<i64> = 0..=253_402_300_799;

fn writable(seconds: i64) -> SystemTime {
    let seconds = seconds.clamp(*WRITABLE.start(), *WRITABLE.end());
    to_time(seconds.saturating_mul(1000))
}

/// `2026-01-25T08:56:38Z`.
pub(crate) fn rfc3339(seconds: i64) -> String {
    humantime::format_rfc3339_seconds(writable(seconds)).to_string()
}

/// `2026-01-25T08:56:38.123Z`.
#[cfg(feature = "program")]
pub(crate) fn rfc3339_millis(at: SystemTime) -> String {
    let at = to_millis(at);
    let within =
        writable(at.div_euclid(1000)) + Duration::from_millis(at.rem_euclid(1000).unsigned_abs());
    humantime::format_rfc3339_millis(within).to_string()
}

/// `Sun, 25 Jan 2026 08:56:38 GMT`.
pub(crate) fn http_date(seconds: i64) -> String {
    httpdate::fmt_http_date(writable(seconds))
}

pub(crate) fn millis(span: Duration) -> Millis {
    Millis::try_from(span.as_millis()).unwrap_or(Millis::MAX)
}

pub(crate) fn whole_seconds(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_told() {
        let mut time = Time::default();
        time.set(UNIX_EPOCH + Duration::from_secs(1_000_000));
        time.freeze();
        let before = time.now();
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(time.now(), before);
        time.advance(1500);
        assert_eq!(time.now(), before + 1500);
        time.resume();
        std::thread::sleep(Duration::from_millis(5));
        assert!(time.now() > before + 1500);
        time.follow_real_time();
        let (before, now, after) = (real_now(), time.now(), real_now());
        assert!((before..=after).contains(&now));
    }

    #[test]
    fn dates_are_written_for_every_time() {
        let at = 1_769_331_398;
        assert_eq!(rfc3339(at), "2026-01-25T08:56:38Z");
        assert_eq!(http_date(at), "Sun, 25 Jan 2026 08:56:38 GMT");
        assert_eq!(rfc3339(i64::MIN), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(i64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(http_date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn times_before_the_epoch_survive() {
        let early = UNIX_EPOCH - Duration::from_secs(10);
        assert_eq!(to_time(to_millis(early)), early);
    }
}

//! Whether there is in the server what this crate has not put there, told once when it begins and once when it ends.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So long there must be none before it counts as over: processes with different keys write by turns.
const CALM: Duration = Duration::from_secs(60);

/// When garbage was found last, unless that is over.
#[derive(Debug, Default)]
pub(crate) struct Garbage(Mutex<Option<Instant>>);

impl Garbage {
    /// Notes whether a value is one of this crate's that a key of this process opens.
    pub(crate) fn note(&self, is_garbage: bool) {
        match self.change(is_garbage, Instant::now()) {
            Some(true) => warn(
                "the store holds values that were not put there by this crate, or were sealed with another key: \
                 they are passed over, and written over",
            ),
            Some(false) => info("all values in the store can be read again"),
            None => {}
        }
    }

    /// Whether that is a change, and to what.
    fn change(&self, is_garbage: bool, now: Instant) -> Option<bool> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if is_garbage {
            return last.replace(now).is_none().then_some(true);
        }
        let is_over = last.is_some_and(|last| now.duration_since(last) >= CALM);
        is_over.then(|| {
            *last = None;
            false
        })
    }
}

fn warn(text: &str) {
    #[cfg(feature = "tracing")]
    tracing::warn!("{text}");
    #[cfg(not(feature = "tracing"))]
    let _ = text;
}

fn info(text: &str) {
    #[cfg(feature = "tracing")]
    tracing::info!("{text}");
    #[cfg(not(feature = "tracing"))]
    let _ = text;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_told_once_until_there_was_none_for_a_while() {
        let (garbage, start) = (Garbage::default(), Instant::now());
        let second = Duration::from_secs(1);
        let changes = [
            (false, 0, None),
            (true, 1, Some(true)),
            (false, 2, None),
            (true, 3, None),
            (false, 62, None),
            (false, 63, Some(false)),
            (false, 200, None),
            (true, 201, Some(true)),
        ];
        for (is_garbage, at, expected) in changes {
            let change = garbage.change(is_garbage, start + at * second);
            assert_eq!(change, expected, "{at}");
        }
    }
}

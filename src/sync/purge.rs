//! What has ended goes away though nobody comes any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::single_flight::repeat_until_done;

/// How often.
const INTERVAL: Duration = Duration::from_secs(60);

/// A table whose entries end.
pub(crate) trait Purge: Send + Sync + 'static {
    /// Whether a task is at it.
    fn is_purging(&self) -> &AtomicBool;

    /// Removes what has ended, and tells whether anything is left.
    fn purge(&self) -> bool;
}

/// Sees to it that a table is purged until it is empty.
pub(crate) fn purge_later<T: Purge>(table: &Arc<T>) {
    if table.is_purging().swap(true, Ordering::AcqRel) {
        return;
    }
    let table = Arc::downgrade(table);
    repeat_until_done(INTERVAL, move || {
        table.upgrade().is_none_or(|table| is_done(&*table))
    });
}

/// Purges once, and tells whether this task may end.
fn is_done(table: &impl Purge) -> bool {
    // In this order: what is added from here on has a task of its own, or is seen by this one.
    table.is_purging().store(false, Ordering::Release);
    !table.purge() || table.is_purging().swap(true, Ordering::AcqRel)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Of a flag that is not the table's own, `purge_later` would start a task for each entry, or none.
    pub(crate) fn assert_keeps_its_flag(table: &impl Purge) {
        for flag in [true, false] {
            table.is_purging().store(flag, Ordering::Relaxed);
            assert_eq!(table.is_purging().load(Ordering::Relaxed), flag);
        }
    }

    /// So many entries, one of which ends at each look.
    struct Table(AtomicUsize, AtomicBool);

    impl Purge for Table {
        fn is_purging(&self) -> &AtomicBool {
            &self.1
        }

        fn purge(&self) -> bool {
            self.0.fetch_sub(1, Ordering::Relaxed) > 1
        }
    }

    #[test]
    fn one_task_purges_until_nothing_is_left() {
        let table = Arc::new(Table(AtomicUsize::new(2), AtomicBool::new(false)));
        purge_later(&table);
        assert!(table.is_purging().load(Ordering::Relaxed));
        assert!(!is_done(&*table));
        assert!(table.is_purging().load(Ordering::Relaxed));
        assert!(is_done(&*table));
        assert!(!table.is_purging().load(Ordering::Relaxed));
    }
}

//! The store of one process: its own memory.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Store, StoreError, StoreFuture};
use crate::clock::{Clock, later};
use crate::sync::bounded_map::BoundedMap;
use crate::sync::purge::{Purge, purge_later};

/// What each of the tables may take up.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Values that end within this time have a table of their own, so that no flood of others ends a lease.
const BRIEF: Duration = Duration::from_secs(5 * 60);

type Key = [u8; 32];

#[derive(Debug, Clone)]
pub(crate) struct Memory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    tables: Mutex<Tables>,
    is_purging: AtomicBool,
}

impl Purge for Inner {
    fn is_purging(&self) -> &AtomicBool {
        &self.is_purging
    }

    fn purge(&self) -> bool {
        let mut tables = self.tables();
        tables.remove_ended(self.clock.instant());
        !tables.is_empty()
    }
}

impl Inner {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Tables {
    brief: BoundedMap<Key, Vec<u8>>,
    lasting: BoundedMap<Key, Vec<u8>>,
    counters: BoundedMap<Key, u64>,
    entries: BoundedMap<(Key, u128), Vec<u8>>,
    /// The last mark that was given.
    last: u128,
}

impl Memory {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let tables = Tables {
            brief: BoundedMap::new(MAX_BYTES),
            lasting: BoundedMap::new(MAX_BYTES),
            counters: BoundedMap::new(MAX_BYTES),
            entries: BoundedMap::new(MAX_BYTES),
            last: 0,
        };
        Self {
            inner: Arc::new(Inner {
                clock,
                tables: Mutex::new(tables),
                is_purging: AtomicBool::new(false),
            }),
        }
    }

    /// Does one call: at this time, after what has ended is gone.
    fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Tables, Instant) -> T,
    ) -> StoreFuture<'static, T> {
        let now = self.inner.clock.instant();
        let mut tables = self.inner.tables();
        tables.remove_ended(now);
        let outcome = act(&mut tables, now);
        let is_empty = tables.is_empty();
        drop(tables);
        if !is_empty {
            purge_later(&self.inner);
        }
        Box::pin(std::future::ready(Ok::<_, StoreError>(outcome)))
    }
}

impl Store for Memory {
    fn get(&self, key: Key) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
        self.call(|tables, now| {
            let found = [&tables.brief, &tables.lasting]
                .into_iter()
                .find_map(|table| table.get_with_end(&key, now));
            found.map(|(value, end)| (value.clone(), end.saturating_duration_since(now)))
        })
    }

    fn set(&self, key: Key, value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.call(|tables, now| tables.set(key, value, now, ttl))
    }

    fn insert(&self, key: Key, value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
        self.call(|tables, now| {
            let is_new = !tables.brief.contains_key(&key) && !tables.lasting.contains_key(&key);
            if is_new {
                tables.set(key, value, now, ttl);
            }
            is_new
        })
    }

    fn count(&self, key: Key, add: u64, ttl: Duration) -> StoreFuture<'_, u64> {
        self.call(|tables, now| {
            let (sum, end) = tables.counters.remove(&key).unwrap_or((0, later(now, ttl)));
            let sum = sum.saturating_add(add);
            if sum > 0 {
                tables.counters.insert(key, sum, end, 0);
            }
            sum
        })
    }

    fn append(&self, list: Key, entry: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.call(|tables, now| {
            tables.last = tables.last.saturating_add(1);
            let end = later(now, ttl);
            let bytes = entry.len();
            tables
                .entries
                .insert((list, tables.last), entry, end, bytes);
        })
    }

    fn since(&self, list: Key, mark: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
        self.call(|tables, _| {
            let mut added: Vec<_> = tables
                .entries
                .iter()
                .filter(|((of, at), _)| *of == list && *at > mark)
                .collect();
            added.sort_by_key(|(key, _)| *key);
            let entries = added.into_iter().map(|(_, entry)| entry.clone());
            (entries.collect(), tables.last)
        })
    }
}

impl Tables {
    fn set(&mut self, key: Key, value: Vec<u8>, now: Instant, ttl: Duration) {
        self.brief.remove(&key);
        self.lasting.remove(&key);
        if !ttl.is_zero() {
            let table = if ttl <= BRIEF {
                &mut self.brief
            } else {
                &mut self.lasting
            };
            let bytes = value.len();
            table.insert(key, value, later(now, ttl), bytes);
        }
    }

    fn remove_ended(&mut self, now: Instant) {
        self.brief.remove_ended(now);
        self.lasting.remove_ended(now);
        self.counters.remove_ended(now);
        self.entries.remove_ended(now);
    }

    fn is_empty(&self) -> bool {
        self.brief.is_empty()
            && self.lasting.is_empty()
            && self.counters.is_empty()
            && self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const MINUTE: Duration = Duration::from_secs(60);

    fn store() -> (Memory, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new());
        (Memory::new(Arc::clone(&clock) as Arc<dyn Clock>), clock)
    }

    fn key(number: usize) -> Key {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[tokio::test]
    async fn a_lease_has_one_holder_until_it_is_given_back_or_ends() {
        let (store, clock) = store();
        let key = key(1);
        assert!(store.insert(key, b"a".to_vec(), MINUTE).await.unwrap());
        clock.advance(MINUTE / 2);
        assert!(!store.insert(key, b"b".to_vec(), MINUTE).await.unwrap());
        let held = store.get(key).await.unwrap();
        assert_eq!(held, Some((b"a".to_vec(), MINUTE / 2)));

        store.set(key, Vec::new(), Duration::ZERO).await.unwrap();
        assert!(store.insert(key, b"b".to_vec(), MINUTE).await.unwrap());
        clock.advance(MINUTE);
        assert_eq!(store.get(key).await.unwrap(), None);
        assert!(store.insert(key, b"c".to_vec(), MINUTE).await.unwrap());
    }

    #[tokio::test]
    async fn a_value_takes_the_place_of_another_whatever_their_times() {
        let (store, _) = store();
        for ttl in [MINUTE, 100 * MINUTE, MINUTE, Duration::MAX] {
            store.set(key(1), b"v".to_vec(), ttl).await.unwrap();
            let (value, left) = store.get(key(1)).await.unwrap().unwrap();
            assert_eq!(value, b"v", "{ttl:?}");
            // What no clock can tell is kept for as long as one can.
            assert!(left == ttl || (ttl == Duration::MAX && left > 1000 * 1000 * MINUTE));
        }
    }

    #[tokio::test]
    async fn a_counter_ends_when_its_first_addition_is_so_old() {
        let (store, clock) = store();
        let mut sums = Vec::new();
        for add in [0, 1, 2, 0] {
            sums.push(store.count(key(1), add, MINUTE).await.unwrap());
            clock.advance(MINUTE / 4);
        }
        clock.advance(MINUTE / 4);
        sums.push(store.count(key(1), 0, MINUTE).await.unwrap());
        sums.push(store.count(key(2), u64::MAX, MINUTE).await.unwrap());
        sums.push(store.count(key(2), 1, MINUTE).await.unwrap());
        assert_eq!(sums, [0, 1, 3, 3, 0, u64::MAX, u64::MAX]);
        for sum in 1..=2 {
            assert_eq!(store.count(key(3), 1, Duration::MAX).await.unwrap(), sum);
        }
    }

    #[tokio::test]
    async fn readers_of_a_list_get_each_entry_once_and_in_order() {
        let (store, clock) = store();
        let (list, other) = (key(1), key(2));
        for entry in 0..20 {
            store.append(list, vec![entry], MINUTE).await.unwrap();
            store.append(other, vec![99], MINUTE).await.unwrap();
        }
        let (entries, mark) = store.since(list, 0).await.unwrap();
        assert!(entries.into_iter().eq((0..20).map(|entry| vec![entry])));
        assert!(store.since(list, mark).await.unwrap().0.is_empty());
        store.append(list, vec![20], MINUTE).await.unwrap();
        assert_eq!(store.since(list, mark).await.unwrap().0, [[20]]);
        clock.advance(MINUTE);
        assert!(store.since(list, 0).await.unwrap().0.is_empty());
        store.append(list, vec![21], Duration::MAX).await.unwrap();
        assert_eq!(store.since(list, 0).await.unwrap().0, [[21]]);
    }

    #[tokio::test]
    async fn memory_is_bounded_and_a_lease_outlives_a_flood_of_longer_values() {
        let (store, clock) = store();
        assert!(store.insert(key(1), Vec::new(), MINUTE).await.unwrap());
        for number in 2..20_000 {
            let value = vec![0; 1000];
            store
                .set(key(number), value.clone(), 100 * MINUTE)
                .await
                .unwrap();
            store
                .append(key(number), value, 100 * MINUTE)
                .await
                .unwrap();
            store.count(key(number), 1, MINUTE).await.unwrap();
        }
        assert!(store.get(key(1)).await.unwrap().is_some());
        let tables = store.inner.tables();
        assert!(tables.lasting.bytes() <= MAX_BYTES && tables.entries.bytes() <= MAX_BYTES);
        drop(tables);
        clock.advance(200 * MINUTE);
        store.inner.tables().remove_ended(clock.instant());
        assert!(store.inner.tables().is_empty());
    }
}

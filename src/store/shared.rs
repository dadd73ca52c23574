//! A store that processes share, and what becomes of it when it fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::memory::Memory;
use super::{Store, StoreError, StoreFuture};
use crate::clock::{Clock as _, SystemClock};
use crate::sync::hash::hash_parts;
use crate::sync::single_flight::run;

type Key = [u8; 32];

/// The application's store, with a limit to each call. It says when it fails and when it works again.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    store: Arc<dyn Store>,
    project_id: Arc<str>,
    health: Arc<Mutex<Health>>,
}

/// Whether the store works, as far as the last calls tell.
#[derive(Debug)]
struct Health {
    /// What has failed, and has not succeeded since.
    reads_fail: bool,
    writes_fail: bool,
    /// Whether reads have succeeded while writes failed.
    is_full: bool,
    /// Since when that is so. What calls tell that began earlier is out of date.
    since: Instant,
}

/// What a call wants of the store. One that is full still does what takes no memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Read,
    Write,
}

impl Health {
    fn is_down(&self) -> bool {
        self.reads_fail || self.writes_fail
    }

    /// Notes what came of a call, and tells whether the store is down now where it was not before, or the
    /// other way round.
    fn note(&mut self, need: Need, began: Instant, fails: bool) -> bool {
        if began < self.since {
            return false;
        }
        let before = (self.reads_fail, self.writes_fail);
        let was_down = self.is_down();
        match need {
            Need::Read if fails => self.reads_fail = true,
            Need::Write if fails => self.writes_fail = true,
            Need::Read => {
                // Writes that failed while it was out of reach tell nothing any more.
                self.is_full = self.writes_fail && (self.is_full || !self.reads_fail);
                (self.reads_fail, self.writes_fail) = (false, self.is_full);
            }
            Need::Write => {
                (self.reads_fail, self.writes_fail, self.is_full) = (false, false, false);
            }
        }
        if before != (self.reads_fail, self.writes_fail) {
            self.since = SystemClock.instant();
        }
        self.is_down() != was_down
    }
}

impl Remote {
    pub(crate) fn new(store: Arc<dyn Store>, project_id: &str) -> Self {
        Self {
            store,
            project_id: project_id.into(),
            health: Arc::new(Mutex::new(Health {
                reads_fail: false,
                writes_fail: false,
                is_full: false,
                since: SystemClock.instant(),
            })),
        }
    }

    fn key(&self, key: Key) -> Key {
        hash_parts([self.project_id.as_bytes(), &key])
    }

    pub(crate) async fn get(&self, key: Key) -> Result<Option<(Vec<u8>, Duration)>, StoreError> {
        self.call(Need::Read, self.store.get(self.key(key))).await
    }

    pub(crate) async fn set(
        &self,
        key: Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let need = if ttl.is_zero() {
            Need::Read
        } else {
            Need::Write
        };
        self.call(need, self.store.set(self.key(key), value, ttl))
            .await
    }

    pub(crate) async fn insert(
        &self,
        key: Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> Result<bool, StoreError> {
        self.call(Need::Write, self.store.insert(self.key(key), value, ttl))
            .await
    }

    async fn count(&self, key: Key, add: u64, ttl: Duration) -> Result<u64, StoreError> {
        let need = if add == 0 { Need::Read } else { Need::Write };
        self.call(need, self.store.count(self.key(key), add, ttl))
            .await
    }

    pub(crate) async fn append(
        &self,
        list: Key,
        entry: Vec<u8>,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        self.call(Need::Write, self.store.append(self.key(list), entry, ttl))
            .await
    }

    pub(crate) async fn since(
        &self,
        list: Key,
        mark: u128,
    ) -> Result<(Vec<Vec<u8>>, u128), StoreError> {
        self.call(Need::Read, self.store.since(self.key(list), mark))
            .await
    }

    /// Waits for a call for as long as the store may take. Needs a runtime of tokio with a timer.
    async fn call<T>(&self, need: Need, call: StoreFuture<'_, T>) -> Result<T, StoreError> {
        let (limit, began) = (self.store.timeout(), SystemClock.instant());
        let outcome = tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
            let problem = format!("it did not respond within {limit:?}");
            Err(StoreError::new(problem))
        });
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        // Told before another call can tell the contrary.
        if health.note(need, began, outcome.is_err()) {
            log_change(outcome.as_ref().err());
        }
        outcome
    }
}

/// Tells the log that the store has failed, or works again.
fn log_change(error: Option<&StoreError>) {
    #[cfg(feature = "tracing")]
    match error.map(std::error::Error::source) {
        Some(cause) => tracing::warn!(
            error = cause.map(tracing::field::display),
            "the store is unavailable: this process works on its own until it is back"
        ),
        None => tracing::info!("the store is available again"),
    }
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// What an application sees of a store that processes share: whenever that one fails, what this process
/// itself has put there.
#[derive(Debug)]
pub(crate) struct Shared {
    remote: Remote,
    local: Memory,
}

impl Shared {
    pub(crate) fn new(remote: Remote, local: Memory) -> Self {
        Self { remote, local }
    }

    /// Makes a call on the crate's own thread, where the store's connections live.
    async fn call<T: Send + 'static, F>(
        &self,
        call: impl FnOnce(Remote) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let outcome = run(call(self.remote.clone())).await;
        outcome.unwrap_or_else(|| Err(StoreError::new("the system gave no thread to call it on")))
    }
}

impl Store for Shared {
    fn get(&self, key: Key) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
        Box::pin(async move {
            let found = self.call(|remote| async move { remote.get(key).await });
            match found.await {
                Ok(Some(found)) => Ok(Some(found)),
                // It may have failed when this process put the value there.
                Ok(None) | Err(_) => self.local.get(key).await,
            }
        })
    }

    fn set(&self, key: Key, value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.local.set(key, value.clone(), ttl).await?;
            let set = self.call(move |remote| async move { remote.set(key, value, ttl).await });
            set.await.or(Ok(()))
        })
    }

    fn insert(&self, key: Key, value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            if !self.local.insert(key, value.clone(), ttl).await? {
                return Ok(false);
            }
            let insert =
                self.call(move |remote| async move { remote.insert(key, value, ttl).await });
            let is_new = insert.await.unwrap_or(true);
            if !is_new {
                self.local.set(key, Vec::new(), Duration::ZERO).await?;
            }
            Ok(is_new)
        })
    }

    fn count(&self, key: Key, add: u64, ttl: Duration) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let own = self.local.count(key, add, ttl).await?;
            let sum = self.call(move |remote| async move { remote.count(key, add, ttl).await });
            Ok(sum.await.map_or(own, |sum| sum.max(own)))
        })
    }

    fn append(&self, list: Key, entry: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            self.call(move |remote| async move { remote.append(list, entry, ttl).await })
                .await
        })
    }

    fn since(&self, list: Key, mark: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
        Box::pin(async move {
            self.call(move |remote| async move { remote.since(list, mark).await })
                .await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A store that fails or hangs when it is told to.
    #[derive(Debug)]
    struct Flaky {
        memory: Memory,
        fails: AtomicBool,
        hangs: AtomicBool,
    }

    impl Flaky {
        fn call<'a, T: Send + 'a>(&self, call: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
            if self.hangs.load(Ordering::SeqCst) {
                return Box::pin(std::future::pending());
            }
            if self.fails.load(Ordering::SeqCst) {
                return Box::pin(async { Err(StoreError::new("connection refused")) });
            }
            call
        }
    }

    impl Store for Flaky {
        fn get(&self, key: Key) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
            self.call(self.memory.get(key))
        }
        fn set(&self, key: Key, value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
            self.call(self.memory.set(key, value, ttl))
        }
        fn insert(&self, key: Key, value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
            self.call(self.memory.insert(key, value, ttl))
        }
        fn count(&self, key: Key, add: u64, ttl: Duration) -> StoreFuture<'_, u64> {
            self.call(self.memory.count(key, add, ttl))
        }
        fn append(&self, list: Key, entry: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
            self.call(self.memory.append(list, entry, ttl))
        }
        fn since(&self, list: Key, mark: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
            self.call(self.memory.since(list, mark))
        }
        fn timeout(&self) -> Duration {
            Duration::from_millis(1)
        }
    }

    fn memory() -> Memory {
        Memory::new(Arc::new(SystemClock))
    }

    fn two_processes() -> (Shared, Shared, Arc<Flaky>) {
        let flaky = Arc::new(Flaky {
            memory: memory(),
            fails: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
        });
        let process = || {
            let store = Arc::clone(&flaky) as Arc<dyn Store>;
            Shared::new(Remote::new(store, "P1"), memory())
        };
        (process(), process(), flaky)
    }

    #[test]
    fn a_change_of_state_is_told_once() {
        use Need::{Read, Write};
        let mut health = Health {
            reads_fail: false,
            writes_fail: false,
            is_full: false,
            since: SystemClock.instant(),
        };
        let mut note = |need, fails| {
            let now = SystemClock.instant();
            health.note(need, now, fails)
        };
        for (story, calls) in [
            (
                "down, and back",
                &[
                    (Write, true, true),
                    (Read, true, false),
                    (Write, true, false),
                    (Read, false, true),
                    (Write, false, false),
                ][..],
            ),
            (
                "full, with one read that took too long",
                &[
                    (Write, true, true),
                    (Read, false, false),
                    (Write, true, false),
                    (Read, true, false),
                    (Read, false, false),
                    (Write, true, false),
                    (Write, false, true),
                    (Read, false, false),
                ],
            ),
        ] {
            for (index, (need, fails, changes)) in calls.iter().enumerate() {
                assert_eq!(note(*need, *fails), *changes, "{story}: {index}");
            }
        }
        // What began before the last change tells nothing.
        let before = SystemClock.instant();
        while SystemClock.instant() == before {}
        assert!(health.note(Read, SystemClock.instant(), true));
        assert!(!health.note(Read, before, false));
        assert!(health.is_down());
    }

    #[tokio::test]
    async fn processes_meet_in_the_store_and_projects_do_not() {
        let (one, other, flaky) = two_processes();
        let key = [1; 32];
        assert!(one.insert(key, b"a".to_vec(), MINUTE).await.unwrap());
        assert!(!other.insert(key, b"b".to_vec(), MINUTE).await.unwrap());
        assert_eq!(other.get(key).await.unwrap().unwrap().0, b"a");
        one.set(key, Vec::new(), Duration::ZERO).await.unwrap();
        assert!(other.insert(key, b"b".to_vec(), MINUTE).await.unwrap());
        assert_eq!(one.count(key, 2, MINUTE).await.unwrap(), 2);
        assert_eq!(other.count(key, 1, MINUTE).await.unwrap(), 3);
        one.append(key, b"e".to_vec(), MINUTE).await.unwrap();
        assert_eq!(other.since(key, 0).await.unwrap().0, [b"e"]);

        let foreign = Shared::new(Remote::new(flaky, "P2"), memory());
        assert!(foreign.get(key).await.unwrap().is_none());
        assert_eq!(foreign.count(key, 0, MINUTE).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_store_that_fails_or_hangs_leaves_each_process_what_it_has_put_there_itself() {
        for is_hanging in [false, true] {
            let (one, other, flaky) = two_processes();
            let fault = if is_hanging {
                &flaky.hangs
            } else {
                &flaky.fails
            };
            let (before, during) = ([1; 32], [2; 32]);
            one.set(before, b"a".to_vec(), MINUTE).await.unwrap();
            one.count(before, 1, MINUTE).await.unwrap();
            fault.store(true, Ordering::SeqCst);
            assert_eq!(one.get(before).await.unwrap().unwrap().0, b"a");
            assert_eq!(other.get(before).await.unwrap(), None);
            assert_eq!(one.count(before, 1, MINUTE).await.unwrap(), 2);
            for process in [&one, &other] {
                assert!(process.insert(during, b"x".to_vec(), MINUTE).await.unwrap());
                assert!(!process.insert(during, b"y".to_vec(), MINUTE).await.unwrap());
                let error = process.since(before, 0).await.unwrap_err();
                assert_eq!(error.to_string(), "the store is unavailable");
            }
            assert!(one.remote.health.lock().unwrap().is_down());
            // What was put there meanwhile is not forgotten when it works again.
            fault.store(false, Ordering::SeqCst);
            assert_eq!(one.get(during).await.unwrap().unwrap().0, b"x");
            assert!(!one.insert(during, b"z".to_vec(), MINUTE).await.unwrap());
            assert!(!one.remote.health.lock().unwrap().is_down());
        }
    }
}

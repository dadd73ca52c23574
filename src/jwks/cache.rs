//! Where verifying keys come from, and how a fetched set is kept.
//!
//! A fetched set goes through three stages:
//!
//! - Young, until its time to live has passed: its keys serve at once. From a random point before that
//!   end on, the first use also starts a fetch in the background, so a busy process never waits.
//! - Old, until the maximum age: its keys serve at once while it is known, by an attempt that
//!   failed within the last time to live, that the endpoint is down. Otherwise the caller waits for
//!   a fetch, because the key may have been withdrawn meanwhile; if that fails, the old key serves.
//! - Too old: its keys no longer serve.
//!
//! Whatever set the endpoint responds with replaces the one before, even one without a usable key:
//! nothing can be checked then. Old keys serve only while the endpoint cannot be reached or read.
//!
//! An unknown key name starts a fetch too, at most one per cooldown whatever becomes of it. In a token
//! that the service has just issued to us it starts one a second, until the key is published.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;

use super::fetch::Endpoint;
use crate::clock::{Clock, SystemClock};
use crate::error::{KeyProblem, KeysUnavailable};
use crate::jwt::jwk::{KeySet, VerifyingKey};
use crate::sync::single_flight::{InFlight, WaitError, sleep_until};
use crate::transport::deadline::Deadline;
use crate::transport::retry::random_fraction;

/// After a failed fetch, the next one waits this long; doubled with each further failure.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
/// No wait is longer while there is no key at all: nobody can be let in meanwhile.
const LONGEST_BACKOFF_WITHOUT_KEYS: Duration = Duration::from_secs(2);
/// The least time between two fetches for the sake of a token that the service has issued.
const ISSUED_KEY_COOLDOWN: Duration = Duration::from_secs(1);

/// Why there is no key.
#[derive(Debug)]
pub(crate) enum KeyLookupError {
    /// The set at hand lacks it. `refetched`: the endpoint was asked for the sake of it.
    Unknown {
        refetched: bool,
    },
    Unavailable(KeysUnavailable),
}

impl From<KeyProblem> for KeyLookupError {
    fn from(problem: KeyProblem) -> Self {
        Self::Unavailable(KeysUnavailable::from(problem))
    }
}

/// Who has sent the token that names a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenSender {
    /// Made-up names must not cause fetches at will.
    Anyone,
    /// The service itself, in a response to us: the key exists, and is waited for.
    Service,
}

/// How long keys serve and how often they may be asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CachePolicy {
    pub(crate) time_to_live: Duration,
    pub(crate) max_age: Duration,
    pub(crate) unknown_key_cooldown: Duration,
}

/// A key set kept in memory and fetched when needed.
#[derive(Debug)]
pub(crate) struct KeyCache {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    policy: CachePolicy,
    /// Read without a lock; replaced while `fetch` is locked.
    state: ArcSwap<CacheState>,
    /// Held for moments only, never while waiting.
    fetch: Mutex<FetchState>,
}

#[derive(Debug, Default)]
struct CacheState {
    fetched: Option<Arc<Fetched>>,
    /// The last attempt, if it failed.
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Fetched {
    keys: KeySet,
    at: Instant,
    /// The age from which a use starts a fetch in the background.
    refresh_after: Duration,
}

#[derive(Clone, Debug)]
struct Failure {
    at: Instant,
    why: KeysUnavailable,
}

/// Decides who fetches.
#[derive(Debug, Default)]
struct FetchState {
    in_flight: Option<InFlight<()>>,
    unknown_key_at: Option<Instant>,
    /// When a fetch was last made for a token of the service, by the machine's clock: it is waited for.
    issued_key_at: Option<Instant>,
    retry_at: Option<Instant>,
    failures: u32,
}

/// What the state says about a key name.
pub(crate) enum Lookup {
    Found {
        key: Arc<VerifyingKey>,
        is_aging: bool,
    },
    /// The set at hand is good but lacks the key.
    Unknown,
    /// There is no set that may be used without asking first.
    NoSet,
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FetchReason {
    NoSet,
    UnknownKey,
    IssuedKey,
}

/// A fetch to wait for.
enum Fetch {
    /// It began before the caller looked, so that it need not know of a key that is new.
    Earlier(InFlight<()>),
    Started(InFlight<()>),
    /// It began before the caller looked, and has ended.
    Over,
    /// None may be made now.
    Refused,
}

impl KeyCache {
    pub(crate) fn new(endpoint: Endpoint, clock: Arc<dyn Clock>, policy: CachePolicy) -> Self {
        Self {
            endpoint,
            clock,
            policy,
            state: ArcSwap::default(),
            fetch: Mutex::default(),
        }
    }

    /// The key of this name, waiting for a fetch if there has to be one.
    pub(crate) async fn find(
        self: &Arc<Self>,
        id: &str,
        sender: TokenSender,
        deadline: Deadline,
    ) -> Result<Arc<VerifyingKey>, KeyLookupError> {
        // Of the first fetch only it can be that it began before this call.
        let mut is_first = true;
        loop {
            let seen = self.state.load_full();
            let reason = match (self.lookup(&seen, id), sender) {
                (Lookup::Found { key, is_aging }, _) => {
                    if is_aging {
                        self.refresh_in_background();
                    }
                    return Ok(key);
                }
                (Lookup::Unknown, TokenSender::Anyone) => FetchReason::UnknownKey,
                (Lookup::Unknown, TokenSender::Service) => {
                    let next = self.next_issued_key_fetch();
                    if next >= deadline.at() {
                        return Err(KeyLookupError::Unknown { refetched: false });
                    }
                    sleep_until(next).await;
                    FetchReason::IssuedKey
                }
                (Lookup::NoSet, _) => FetchReason::NoSet,
            };
            let fetch = self.join_or_start(&seen, reason);
            if let Fetch::Earlier(fetch) | Fetch::Started(fetch) = &fetch
                && let Err(problem) = wait(fetch, deadline).await
            {
                return self.old_key(id).ok_or_else(|| problem.into());
            }
            let refetched = !matches!(fetch, Fetch::Refused);
            let decides = !is_first || matches!(fetch, Fetch::Started(_) | Fetch::Refused);
            is_first = false;
            match self.lookup_after_fetch(id, refetched) {
                Err(KeyLookupError::Unknown { .. })
                    if !decides || sender == TokenSender::Service => {}
                outcome => return outcome,
            }
        }
    }

    /// When the next fetch may be made for a token of the service.
    fn next_issued_key_fetch(&self) -> Instant {
        let now = SystemClock.instant();
        let last = self.fetch_state().issued_key_at;
        let next = last.and_then(|at| at.checked_add(ISSUED_KEY_COOLDOWN));
        next.map_or(now, |next| next.max(now))
    }

    /// What can be told of a key at once.
    pub(crate) fn cached(self: &Arc<Self>, id: &str) -> Lookup {
        let found = self.lookup(&self.state.load(), id);
        if let Lookup::Found { is_aging: true, .. } = found {
            self.refresh_in_background();
        }
        found
    }

    /// Waits until there are keys that serve.
    pub(crate) async fn prefetch(
        self: &Arc<Self>,
        deadline: Deadline,
    ) -> Result<(), KeysUnavailable> {
        let seen = self.state.load_full();
        if self.usable_set(&seen).is_some() {
            return Ok(());
        }
        if let Fetch::Earlier(fetch) | Fetch::Started(fetch) =
            self.join_or_start(&seen, FetchReason::NoSet)
        {
            wait(&fetch, deadline)
                .await
                .map_err(KeysUnavailable::from)?;
        }
        let state = self.state.load();
        match (self.usable_set(&state), &state.failure) {
            (Some(_), _) => Ok(()),
            (None, Some(failure)) => Err(failure.why.clone()),
            (None, None) => Err(KeysUnavailable::from(KeyProblem::NoThread)),
        }
    }

    /// The set, if its keys serve without asking first, with its age.
    fn usable_set<'s>(&self, state: &'s CacheState) -> Option<(&'s Fetched, Duration)> {
        let fetched = state.fetched.as_deref()?;
        let now = self.clock.instant();
        let age = now.saturating_duration_since(fetched.at);
        let is_down = state.failure.as_ref().is_some_and(|failure| {
            now.saturating_duration_since(failure.at) < self.policy.time_to_live
        });
        let usable = age < self.policy.time_to_live || (is_down && age < self.policy.max_age);
        usable.then_some((fetched, age))
    }

    fn lookup(&self, state: &CacheState, id: &str) -> Lookup {
        let Some((fetched, age)) = self.usable_set(state) else {
            return Lookup::NoSet;
        };
        match fetched.keys.get(id) {
            Some(key) => Lookup::Found {
                key: Arc::clone(key),
                is_aging: age >= fetched.refresh_after,
            },
            None => Lookup::Unknown,
        }
    }

    /// The verdict once a fetch has ended, or may not be made.
    fn lookup_after_fetch(
        &self,
        id: &str,
        refetched: bool,
    ) -> Result<Arc<VerifyingKey>, KeyLookupError> {
        let state = self.state.load();
        match (self.lookup(&state, id), &state.failure) {
            (Lookup::Found { key, .. }, _) => Ok(key),
            // The key may be a new one that the endpoint could not tell us of.
            (_, Some(failure)) => Err(KeyLookupError::Unavailable(failure.why.clone())),
            (Lookup::Unknown, None) => Err(KeyLookupError::Unknown { refetched }),
            (Lookup::NoSet, None) => Err(KeyProblem::NoThread.into()),
        }
    }

    /// A key of the old set, for a caller who times out before the endpoint has responded.
    fn old_key(&self, id: &str) -> Option<Arc<VerifyingKey>> {
        let state = self.state.load();
        let fetched = state.fetched.as_deref()?;
        let age = self.clock.instant().saturating_duration_since(fetched.at);
        let key = fetched.keys.get(id)?;
        (age < self.policy.max_age).then(|| Arc::clone(key))
    }

    pub(crate) fn is_fetching(&self) -> bool {
        self.fetch_state().in_flight.is_some()
    }

    fn fetch_state(&self) -> MutexGuard<'_, FetchState> {
        self.fetch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch to wait for: the one in flight, or a new one if that is allowed. `seen` is the state
    /// that made the caller ask; if it has been replaced since, there is nothing to wait for.
    fn join_or_start(self: &Arc<Self>, seen: &Arc<CacheState>, reason: FetchReason) -> Fetch {
        let mut state = self.fetch_state();
        if let Some(fetch) = state.in_flight.as_ref().filter(|fetch| !fetch.is_lost()) {
            return Fetch::Earlier(fetch.clone());
        }
        if !Arc::ptr_eq(seen, &self.state.load()) {
            return Fetch::Over;
        }
        self.start(&mut state, reason)
    }

    fn refresh_in_background(self: &Arc<Self>) {
        // When the lock is taken, someone else is seeing to it.
        if let Ok(mut state) = self.fetch.try_lock()
            && state.in_flight.as_ref().is_none_or(InFlight::is_lost)
        {
            self.start(&mut state, FetchReason::NoSet);
        }
    }

    /// Starts a fetch, if one may be made now.
    fn start(self: &Arc<Self>, state: &mut FetchState, reason: FetchReason) -> Fetch {
        let (now, wall) = (self.clock.instant(), SystemClock.instant());
        let is_cooling = match reason {
            FetchReason::NoSet => false,
            FetchReason::UnknownKey => state.unknown_key_at.is_some_and(|at| {
                now.saturating_duration_since(at) <= self.policy.unknown_key_cooldown
            }),
            FetchReason::IssuedKey => state
                .issued_key_at
                .is_some_and(|at| wall.saturating_duration_since(at) < ISSUED_KEY_COOLDOWN),
        };
        if is_cooling || state.retry_at.is_some_and(|at| now < at) {
            return Fetch::Refused;
        }
        // Noted before the fetch, so that nothing the endpoint does can bring the next one forward.
        match reason {
            FetchReason::NoSet => {}
            FetchReason::UnknownKey => state.unknown_key_at = Some(now),
            FetchReason::IssuedKey => state.issued_key_at = Some(wall),
        }
        let this = Arc::clone(self);
        let fetch = InFlight::start(async move {
            let outcome = this.endpoint.fetch().await;
            this.complete(now, outcome);
        });
        state.in_flight = Some(fetch.clone());
        Fetch::Started(fetch)
    }

    fn complete(&self, started: Instant, outcome: Result<KeySet, KeysUnavailable>) {
        record(&outcome);
        let now = self.clock.instant();
        let mut fetch = self.fetch_state();
        let state = match outcome {
            Ok(keys) => {
                fetch.failures = 0;
                fetch.retry_at = None;
                // Not later than nine tenths, to leave the fetch time to come back.
                let share = 0.6 + 0.3 * random_fraction();
                CacheState {
                    fetched: Some(Arc::new(Fetched {
                        keys,
                        // What the set says may be as old as the request.
                        at: started,
                        refresh_after: self.policy.time_to_live.mul_f64(share),
                    })),
                    failure: None,
                }
            }
            Err(why) => {
                let backoff = INITIAL_BACKOFF.saturating_mul(1 << fetch.failures.min(16));
                fetch.failures = fetch.failures.saturating_add(1);
                // Not later than the failure counts for: without an attempt nobody knows that the
                // endpoint is down, and old keys would not serve.
                let longest = self
                    .policy
                    .unknown_key_cooldown
                    .min(self.policy.time_to_live);
                // A set that holds no usable key is the service's word too: the old keys are withdrawn.
                let withdrawn = why.problem() == KeyProblem::NoUsableKey;
                let fetched = self.state.load().fetched.clone().filter(|_| !withdrawn);
                let longest = match fetched {
                    Some(_) => longest,
                    None => longest.min(LONGEST_BACKOFF_WITHOUT_KEYS),
                };
                fetch.retry_at = now.checked_add(backoff.min(longest));
                CacheState {
                    fetched,
                    failure: Some(Failure { at: now, why }),
                }
            }
        };
        self.state.store(Arc::new(state));
        fetch.in_flight = None;
    }
}

async fn wait(fetch: &InFlight<()>, deadline: Deadline) -> Result<(), KeyProblem> {
    match fetch.wait(deadline.at()).await {
        Ok(()) => Ok(()),
        Err(WaitError::TimedOut) => Err(KeyProblem::Timeout),
        Err(WaitError::Lost) => Err(KeyProblem::NoThread),
    }
}

/// Tells what came of a fetch: while old keys serve, nobody else hears of a failure.
#[cfg(feature = "tracing")]
fn record(outcome: &Result<KeySet, KeysUnavailable>) {
    match outcome {
        Ok(_) => tracing::debug!("public keys fetched"),
        Err(why) => tracing::warn!(problem = %why.problem(), "public keys not fetched"),
    }
}

#[cfg(not(feature = "tracing"))]
fn record(_: &Result<KeySet, KeysUnavailable>) {}

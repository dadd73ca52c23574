//! Where verifying keys come from, and how a fetched set is kept.
//!
//! A fetched set goes through three ages:
//!
//! - Young, until its time to live is over: its keys serve at once. From a random point before that
//!   end on, the first use also starts a fetch in the background, so a busy process never waits.
//! - Old, until the maximum age: its keys serve at once while it is known, by an attempt that
//!   failed within the last time to live, that the endpoint is down. Otherwise the caller waits for
//!   a fetch, because the key may have been withdrawn meanwhile; if that fails, the old key serves.
//! - Too old: its keys no longer serve.
//!
//! Whatever set the endpoint answers with replaces the one before, even one without a usable key:
//! nothing can be checked then. Old keys serve only while the endpoint cannot be reached or read.
//!
//! An unknown key name starts a fetch too, at most one per cool-down whatever becomes of it. In a token
//! that the service has just issued to us it starts one a second, until the key is published.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::error::{KeyProblem, KeysUnavailable};
use super::fetch::Endpoint;
use super::key::{KeySet, VerifyingKey};
use crate::clock::Clock;
use crate::retry::random_fraction;

/// After a failed fetch, the next one waits this long; doubled with each further failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The least time between two fetches for the sake of a token that the service has issued.
const ISSUED_KEY_COOLDOWN: Duration = Duration::from_secs(1);

/// The source of keys of one validator.
#[derive(Debug)]
pub(super) enum Keys {
    /// Given once; no network.
    Provided(KeySet),
    Fetched(Arc<KeyCache>),
}

/// A key, if it can be had without waiting.
pub(super) enum AtHand {
    Key(Arc<VerifyingKey>),
    Unknown,
    /// It takes a fetch to tell.
    Wait,
}

/// Why there is no key.
#[derive(Debug)]
pub(super) enum NoKey {
    /// The set at hand lacks it. `asked`: the endpoint was asked for the sake of it.
    Unknown {
        asked: bool,
    },
    Unavailable(KeysUnavailable),
}

impl From<KeysUnavailable> for NoKey {
    fn from(why: KeysUnavailable) -> Self {
        Self::Unavailable(why)
    }
}

/// Who has sent the token that names a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenSender {
    /// Made-up names must not cause fetches at will.
    Anyone,
    /// The service itself, in a response to us: the key exists, and is waited for.
    Service { until: tokio::time::Instant },
}

impl Keys {
    /// The key of this name, waiting for a fetch if there has to be one.
    pub(super) async fn find(
        &self,
        id: &str,
        sender: TokenSender,
    ) -> Result<Arc<VerifyingKey>, NoKey> {
        match self {
            Self::Provided(set) => set.get(id).cloned().ok_or(NoKey::Unknown { asked: true }),
            Self::Fetched(cache) => cache.find(id, sender).await,
        }
    }

    /// Waits until there are keys that serve.
    pub(super) async fn prepare(&self) -> Result<(), KeysUnavailable> {
        match self {
            Self::Provided(_) => Ok(()),
            Self::Fetched(cache) => cache.prepare().await,
        }
    }

    /// The key of this name, if that can be told at once.
    pub(super) fn at_hand(&self, id: &str) -> AtHand {
        match self {
            Self::Provided(set) => set.get(id).cloned().map_or(AtHand::Unknown, AtHand::Key),
            Self::Fetched(cache) => match cache.look(&cache.state.load(), id) {
                Look::Key { key, refresh } => {
                    if refresh {
                        cache.refresh_in_background();
                    }
                    AtHand::Key(key)
                }
                Look::Unknown => AtHand::Unknown,
                Look::NoSet => AtHand::Wait,
            },
        }
    }
}

/// How long keys serve and how often they may be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) time_to_live: Duration,
    pub(super) maximum: Duration,
    pub(super) cool_down: Duration,
}

/// A key set kept in memory and fetched when needed.
#[derive(Debug)]
pub(super) struct KeyCache {
    endpoint: Endpoint,
    clock: Arc<dyn Clock>,
    ages: Ages,
    /// Read without a lock; replaced while `gate` is held.
    state: ArcSwap<State>,
    gate: Mutex<Gate>,
}

#[derive(Debug, Default)]
struct State {
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

/// Decides who fetches. Held for moments only, never while waiting.
#[derive(Debug, Default)]
struct Gate {
    /// Turns true when the fetch under way is over.
    flight: Option<watch::Receiver<bool>>,
    unknown_key_asked: Option<Instant>,
    /// When a fetch was last made for a token of the service. By the runtime's timer, which waits for
    /// the next one.
    issued_key_asked: Option<tokio::time::Instant>,
    retry_at: Option<Instant>,
    failures: u32,
}

/// What the state says about a key name.
enum Look {
    Key {
        key: Arc<VerifyingKey>,
        refresh: bool,
    },
    /// The set at hand is good but lacks the key.
    Unknown,
    /// There is no set that may be used without asking first.
    NoSet,
}

/// Why a fetch is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Set,
    UnknownKey,
    IssuedKey,
}

/// A fetch to wait for.
enum Flight {
    /// It began before the caller looked, so that it need not know of a key that is new.
    Earlier(watch::Receiver<bool>),
    New(watch::Receiver<bool>),
    /// It began before the caller looked, and is over.
    Over,
    /// None may be made now.
    None,
}

impl KeyCache {
    pub(super) fn new(endpoint: Endpoint, clock: Arc<dyn Clock>, ages: Ages) -> Self {
        Self {
            endpoint,
            clock,
            ages,
            state: ArcSwap::default(),
            gate: Mutex::default(),
        }
    }

    async fn find(
        self: &Arc<Self>,
        id: &str,
        sender: TokenSender,
    ) -> Result<Arc<VerifyingKey>, NoKey> {
        // Of the first fetch only it can be that it began before this call.
        let mut first = true;
        loop {
            if let TokenSender::Service { until } = sender
                && matches!(self.look(&self.state.load(), id), Look::Unknown)
            {
                let next = self.next_issued_key_fetch();
                if next >= until {
                    return Err(NoKey::Unknown { asked: false });
                }
                tokio::time::sleep_until(next).await;
            }
            let flight = {
                let seen = self.state.load();
                let want = match (self.look(&seen, id), sender) {
                    (Look::Key { key, refresh }, _) => {
                        if refresh {
                            self.refresh_in_background();
                        }
                        return Ok(key);
                    }
                    (Look::Unknown, TokenSender::Anyone) => Want::UnknownKey,
                    (Look::Unknown, TokenSender::Service { .. }) => Want::IssuedKey,
                    (Look::NoSet, _) => Want::Set,
                };
                self.join_or_start(&seen, want)?
            };
            let (asked, decides) = match flight {
                Flight::Earlier(flight) => {
                    wait(flight).await;
                    (true, !first)
                }
                Flight::New(flight) => {
                    wait(flight).await;
                    (true, true)
                }
                Flight::Over => (true, !first),
                Flight::None => (false, true),
            };
            first = false;
            match self.lookup_after_fetch(id, asked) {
                Err(NoKey::Unknown { .. }) if !decides || sender != TokenSender::Anyone => {}
                outcome => return outcome,
            }
        }
    }

    /// When the next fetch may be made for a token of the service.
    fn next_issued_key_fetch(&self) -> tokio::time::Instant {
        let now = tokio::time::Instant::now();
        let asked = self.gate().issued_key_asked;
        let next = asked.and_then(|at| at.checked_add(ISSUED_KEY_COOLDOWN));
        next.map_or(now, |next| next.max(now))
    }

    async fn prepare(self: &Arc<Self>) -> Result<(), KeysUnavailable> {
        let flight = {
            let seen = self.state.load();
            if self.is_usable(&seen).is_some() {
                return Ok(());
            }
            self.join_or_start(&seen, Want::Set)?
        };
        if let Flight::Earlier(flight) | Flight::New(flight) = flight {
            wait(flight).await;
        }
        let state = self.state.load();
        match (self.is_usable(&state), &state.failure) {
            (Some(_), _) => Ok(()),
            (None, Some(failure)) => Err(failure.why.clone()),
            (None, None) => Err(KeysUnavailable::new(KeyProblem::NoRuntime)),
        }
    }

    /// The set, if its keys serve without asking first, with its age.
    fn is_usable<'s>(&self, state: &'s State) -> Option<(&'s Fetched, Duration)> {
        let fetched = state.fetched.as_deref()?;
        let now = self.clock.instant();
        let age = now.saturating_duration_since(fetched.at);
        let down = state.failure.as_ref().is_some_and(|failure| {
            now.saturating_duration_since(failure.at) < self.ages.time_to_live
        });
        let usable = age < self.ages.time_to_live || (down && age < self.ages.maximum);
        usable.then_some((fetched, age))
    }

    fn look(&self, state: &State, id: &str) -> Look {
        let Some((fetched, age)) = self.is_usable(state) else {
            return Look::NoSet;
        };
        match fetched.keys.get(id) {
            Some(key) => Look::Key {
                key: Arc::clone(key),
                refresh: age >= fetched.refresh_after,
            },
            None => Look::Unknown,
        }
    }

    /// The verdict once a fetch is over, or may not be made.
    fn lookup_after_fetch(&self, id: &str, asked: bool) -> Result<Arc<VerifyingKey>, NoKey> {
        let state = self.state.load();
        match (self.look(&state, id), &state.failure) {
            (Look::Key { key, .. }, _) => Ok(key),
            // The key may be a new one that the endpoint could not tell us of.
            (_, Some(failure)) => Err(failure.why.clone().into()),
            (Look::Unknown, None) => Err(NoKey::Unknown { asked }),
            (Look::NoSet, None) => Err(KeysUnavailable::new(KeyProblem::NoRuntime).into()),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fetch to wait for: the one under way, or a new one if that is allowed. `seen` is the
    /// state that made the caller ask; if it has been replaced since, there is nothing to wait for.
    fn join_or_start(
        self: &Arc<Self>,
        seen: &Arc<State>,
        want: Want,
    ) -> Result<Flight, KeysUnavailable> {
        let mut gate = self.gate();
        if let Some(flight) = &gate.flight {
            return Ok(Flight::Earlier(flight.clone()));
        }
        if !Arc::ptr_eq(seen, &self.state.load()) {
            return Ok(Flight::Over);
        }
        let claimed = self.claim(&mut gate, want)?;
        drop(gate);
        Ok(claimed.map_or(Flight::None, |claimed| Flight::New(claimed.start())))
    }

    fn refresh_in_background(self: &Arc<Self>) {
        // When the gate is taken, someone else is seeing to it.
        let claimed = match self.gate.try_lock() {
            Ok(mut gate) if gate.flight.is_none() => self.claim(&mut gate, Want::Set),
            _ => return,
        };
        if let Ok(Some(claimed)) = claimed {
            claimed.start();
        }
    }

    /// Claims the next fetch, if one may be made now.
    fn claim(
        self: &Arc<Self>,
        gate: &mut Gate,
        want: Want,
    ) -> Result<Option<Claimed>, KeysUnavailable> {
        let now = self.clock.instant();
        let cooling = want == Want::UnknownKey
            && gate
                .unknown_key_asked
                .is_some_and(|at| now.saturating_duration_since(at) <= self.ages.cool_down);
        let timer = tokio::time::Instant::now();
        let waiting = want == Want::IssuedKey
            && gate
                .issued_key_asked
                .is_some_and(|at| timer.saturating_duration_since(at) < ISSUED_KEY_COOLDOWN);
        if cooling || waiting || gate.retry_at.is_some_and(|at| now < at) {
            return Ok(None);
        }
        let runtime =
            Handle::try_current().map_err(|_| KeysUnavailable::new(KeyProblem::NoRuntime))?;
        // Claimed before the fetch, so that nothing the endpoint does can bring the next one forward.
        match want {
            Want::Set => {}
            Want::UnknownKey => gate.unknown_key_asked = Some(now),
            Want::IssuedKey => gate.issued_key_asked = Some(timer),
        }
        let (over, flight) = watch::channel(false);
        gate.flight = Some(flight.clone());
        Ok(Some(Claimed {
            runtime,
            flight,
            fetch: Fetch {
                cache: Arc::clone(self),
                started: now,
                over,
                finished: false,
            },
        }))
    }
}

/// A fetch that may start. To be started with the gate open: a runtime that is shutting down drops
/// its tasks at once, and a fetch that is dropped passes through the gate.
struct Claimed {
    runtime: Handle,
    flight: watch::Receiver<bool>,
    fetch: Fetch,
}

impl Claimed {
    /// In a task of its own, so that the fetch lives on when the caller is cancelled.
    fn start(self) -> watch::Receiver<bool> {
        self.runtime.spawn(self.fetch.run());
        self.flight
    }
}

async fn wait(mut flight: watch::Receiver<bool>) {
    // An error means that the fetch died with its runtime; whoever waits finds that out.
    let _ = flight.wait_for(|over| *over).await;
}

/// A fetch under way. However it ends, the gate opens again and those who wait are woken.
struct Fetch {
    cache: Arc<KeyCache>,
    started: Instant,
    over: watch::Sender<bool>,
    finished: bool,
}

impl Fetch {
    async fn run(mut self) {
        let outcome = self.cache.endpoint.fetch().await;
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Result<KeySet, KeysUnavailable>) {
        let cache = &self.cache;
        record(&outcome);
        let now = cache.clock.instant();
        let mut gate = cache.gate();
        let state = match outcome {
            Ok(keys) => {
                gate.failures = 0;
                gate.retry_at = None;
                // Not later than nine tenths, to leave the fetch time to come back.
                let share = 0.6 + 0.3 * random_fraction();
                State {
                    fetched: Some(Arc::new(Fetched {
                        keys,
                        // What the set says may be as old as the question.
                        at: self.started,
                        refresh_after: cache.ages.time_to_live.mul_f64(share),
                    })),
                    failure: None,
                }
            }
            Err(why) => {
                let doubled = FIRST_RETRY.saturating_mul(1 << gate.failures.min(16));
                gate.failures = gate.failures.saturating_add(1);
                // Not later than the failure counts for: without an attempt nobody knows that the
                // endpoint is down, and old keys would not serve.
                let longest = cache.ages.cool_down.min(cache.ages.time_to_live);
                gate.retry_at = now.checked_add(doubled.min(longest));
                // A set that holds no usable key is the service's word too: the old keys are withdrawn.
                let withdrawn = why.problem() == KeyProblem::NoUsableKey;
                let before = cache.state.load().fetched.clone();
                State {
                    fetched: before.filter(|_| !withdrawn),
                    failure: Some(Failure { at: now, why }),
                }
            }
        };
        cache.state.store(Arc::new(state));
        gate.flight = None;
        self.finished = true;
        drop(gate);
        self.over.send_replace(true);
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

impl Drop for Fetch {
    fn drop(&mut self) {
        if !self.finished {
            self.cache.gate().flight = None;
        }
    }
}

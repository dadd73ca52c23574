//! One refresh per token among processes that share a store.
//!
//! Whoever is to refresh a token puts a mark into the store first, and what came of it in its place; the
//! others ask until that is there. A mark that has outlived its lease is of a process that has died, or was
//! paused, after the token may have been presented. Where refresh tokens rotate nobody presents it
//! again: if its process is only slow, that would end the sign-in.

use std::time::Duration;

use aws_lc_rs::rand;
use tokio::time::{Instant, sleep};

use super::refreshes::{Forget, REFUSED as REFUSAL, ROTATED};
use super::session::RefreshClaims;
use crate::store::shared::Remote;
use crate::sync::hash::hash_parts;

/// How long the first wait is, and the longest.
const POLL: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(100)];
/// How often, and after which pauses, an outcome is brought to a store that fails just then.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// How a process's refresh goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SharedState {
    /// It is to be made here, and is noted since then. Tell [`SharedRefresh::complete`] of it.
    Leader(Instant),
    /// Another process has made it: what it has stored, and how long ago it began.
    Made(Vec<u8>, Duration),
    /// The service has refused it to another process.
    Refused,
    /// Another process has sent it, and is gone with what came of it.
    Lost,
    /// Another process has sent it, and it has failed, or what came of it cannot be found out now.
    Unknown,
}

/// What came of a refresh, for the other processes.
pub(crate) enum Made {
    /// The response, and for how long it is kept.
    Response(Vec<u8>, Duration),
    Refused,
    /// It may be tried again, by who comes next.
    Nothing,
}

/// The refresh of one token.
pub(crate) struct SharedRefresh<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) key: [u8; 32],
    /// For how long nobody else may present the token. At least the lease.
    pub(crate) ttl: Duration,
    /// How long a process may take that is alive.
    pub(crate) lease: Duration,
}

/// What the store holds of a token: a mark, or what came of the refresh; and for how long it was put there.
struct State<'v> {
    kind: u8,
    ttl: Duration,
    rest: &'v [u8],
}

const PENDING: u8 = b'p';
const MADE: u8 = b'm';
const REFUSED: u8 = b'r';

impl<'v> State<'v> {
    fn read(value: &'v [u8]) -> Option<Self> {
        let (kind, value) = value.split_first()?;
        let (millis, rest) = value.split_first_chunk()?;
        let ttl = Duration::from_millis(u64::from_be_bytes(*millis));
        matches!(*kind, PENDING | MADE | REFUSED).then_some(Self {
            kind: *kind,
            ttl,
            rest,
        })
    }

    fn write(kind: u8, ttl: Duration, rest: &[u8]) -> Vec<u8> {
        [&[kind][..], &millis(ttl), rest].concat()
    }
}

fn millis(time: Duration) -> [u8; 8] {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    millis.to_be_bytes()
}

impl SharedRefresh<'_> {
    /// Puts the mark, or waits for the outcome of whoever has.
    pub(crate) async fn join_or_start(&self) -> SharedState {
        let mark = self.mark();
        let [mut poll, longest] = POLL;
        // Since when it is known that another process is at it.
        let mut pending: Option<Instant> = None;
        let mut has_failed = false;
        let mut began = Instant::now();
        loop {
            if pending.is_none() {
                if !has_failed {
                    began = Instant::now();
                }
                match self.remote.insert(self.key, mark.clone(), self.ttl).await {
                    Ok(false) => {}
                    // Once more: to go on alone may cost the sign-in. It may have been put there all the same.
                    Err(_) if !has_failed => {
                        has_failed = true;
                        continue;
                    }
                    Ok(true) | Err(_) => return SharedState::Leader(began),
                }
            }
            match self.remote.get(self.key).await {
                Ok(Some((value, left))) => {
                    let state = State::read(&value).filter(|_| value != mark);
                    // This call's own, or nothing that this crate has put there.
                    let Some(state) = state else {
                        return SharedState::Leader(began);
                    };
                    let age = state.ttl.saturating_sub(left);
                    match (state.kind, state.rest.split_first_chunk()) {
                        (MADE, Some((took, response))) => {
                            let took = Duration::from_millis(u64::from_be_bytes(*took));
                            return SharedState::Made(response.to_vec(), age.saturating_add(took));
                        }
                        (REFUSED, _) => return SharedState::Refused,
                        _ if age >= self.lease => return SharedState::Lost,
                        _ => {}
                    }
                    pending.get_or_insert_with(Instant::now);
                }
                // It has failed, or the store has forgotten it: who waited for it is told so, and does not present
                // the token at once. One that does not rotate may be of a process that is gone.
                Ok(None) if pending.is_some() && self.ttl > self.lease => {
                    return SharedState::Unknown;
                }
                Ok(None) => pending = None,
                Err(_) => {
                    pending.get_or_insert_with(Instant::now);
                }
            }
            if pending.is_some_and(|since| since.elapsed() >= self.lease) {
                return SharedState::Unknown;
            }
            sleep(poll).await;
            poll = (poll * 3 / 2).min(longest);
        }
    }

    fn mark(&self) -> Vec<u8> {
        let mut id = [0; 16];
        // Without it, a mark of its own would be taken for another's after a store that was slow.
        let _ = rand::fill(&mut id);
        State::write(PENDING, self.ttl, &id)
    }

    /// Stores what came of the refresh that was noted at `began`.
    pub(crate) async fn complete(&self, began: Instant, made: Made) {
        let (value, ttl) = match made {
            Made::Response(response, ttl) => {
                let rest = [&millis(began.elapsed())[..], &response].concat();
                (State::write(MADE, ttl, &rest), ttl)
            }
            Made::Refused => (State::write(REFUSED, REFUSAL, &[]), REFUSAL),
            Made::Nothing => (Vec::new(), Duration::ZERO),
        };
        for attempt in 1..=ATTEMPTS {
            let set = self.remote.set(self.key, value.clone(), ttl).await;
            if set.is_ok() || attempt == ATTEMPTS {
                return;
            }
            sleep(PAUSE).await;
        }
    }
}

/// For how long it is known that a session was ended or changed: no outcome stays for longer, with the time that
/// its refresh took.
const CHANGED: Duration = Duration::from_secs(2 * ROTATED.as_secs());

/// Tells the others that what is stored of a session is not to be used any more, or of all of its user's.
pub(crate) async fn publish_change(remote: &Remote, claims: &RefreshClaims, what: Forget) {
    let family = claims.family_id().filter(|_| what == Forget::Session);
    // What fails is told by the store.
    let _ = remote.set(changed(claims, family), vec![1], CHANGED).await;
}

/// Whether a session was ended or changed since a refresh of this age began. Ages are the store's, or times that
/// one process has measured, so that no clock matters.
pub(crate) async fn was_changed(remote: &Remote, claims: &RefreshClaims, age: Duration) -> bool {
    for family in [claims.family_id(), None] {
        if let Ok(Some((_, left))) = remote.get(changed(claims, family)).await
            && CHANGED.saturating_sub(left) <= age
        {
            return true;
        }
    }
    false
}

fn changed(claims: &RefreshClaims, family: Option<&str>) -> [u8; 32] {
    let family = family.unwrap_or_default();
    hash_parts([
        &b"changed"[..],
        claims.user_id().as_bytes(),
        family.as_bytes(),
    ])
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::super::refreshes::tests::claims;
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::store::memory::Memory;
    use crate::store::{Store, StoreError, StoreFuture};

    const LEASE: Duration = Duration::from_secs(35);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// How the store responds to one call.
    #[derive(Debug, Clone, Copy)]
    enum Step {
        /// To `insert`: whether it was put there.
        Inserted(bool),
        /// To `insert`, after so many seconds.
        Fails(u64),
        /// To `get`: the mark of another process, or nothing.
        Marked,
        Absent,
        /// To `set`: whether it succeeds.
        Set(bool),
    }
    use Step::{Absent, Fails, Inserted, Marked, Set};

    #[derive(Debug)]
    struct Script(Mutex<VecDeque<Step>>);

    impl Script {
        fn next(&self) -> Step {
            self.0.lock().unwrap().pop_front().unwrap()
        }
    }

    impl Store for Script {
        fn get(&self, _: [u8; 32]) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
            let step = self.next();
            Box::pin(async move {
                match step {
                    Marked => Ok(Some((State::write(PENDING, DAY, b"another"), DAY))),
                    Absent => Ok(None),
                    step => panic!("{step:?} is not of `get`"),
                }
            })
        }
        fn set(&self, _: [u8; 32], _: Vec<u8>, _: Duration) -> StoreFuture<'_, ()> {
            let step = self.next();
            Box::pin(async move {
                match step {
                    Set(true) => Ok(()),
                    Set(false) => Err(StoreError::new("as told")),
                    step => panic!("{step:?} is not of `set`"),
                }
            })
        }
        fn insert(&self, _: [u8; 32], _: Vec<u8>, _: Duration) -> StoreFuture<'_, bool> {
            let step = self.next();
            Box::pin(async move {
                match step {
                    Inserted(is_new) => Ok(is_new),
                    Fails(seconds) => {
                        sleep(Duration::from_secs(seconds)).await;
                        Err(StoreError::new("as told"))
                    }
                    step => panic!("{step:?} is not of `insert`"),
                }
            })
        }
        fn count(&self, _: [u8; 32], _: u64, _: Duration) -> StoreFuture<'_, u64> {
            unreachable!("nothing is counted")
        }
        fn append(&self, _: [u8; 32], _: Vec<u8>, _: Duration) -> StoreFuture<'_, ()> {
            unreachable!("there are no lists")
        }
        fn since(&self, _: [u8; 32], _: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
            unreachable!("there are no lists")
        }
        fn timeout(&self) -> Duration {
            DAY
        }
    }

    /// What comes of a refresh, and since when it is noted; times are virtual.
    async fn play(ttl: Duration, steps: &[Step]) -> (SharedState, Duration) {
        let script = Arc::new(Script(Mutex::new(steps.iter().copied().collect())));
        let remote = Remote::new(Arc::clone(&script) as Arc<dyn Store>, "P1");
        let refresh = SharedRefresh {
            remote: &remote,
            key: [0; 32],
            ttl,
            lease: LEASE,
        };
        let state = refresh.join_or_start().await;
        assert!(script.0.lock().unwrap().is_empty(), "{steps:?} {state:?}");
        let since = match &state {
            SharedState::Leader(began) => began.elapsed(),
            _ => Duration::ZERO,
        };
        (state, since)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_is_noted_since_the_first_try_that_may_have_reached_the_store() {
        let (state, since) = play(DAY, &[Fails(3), Inserted(true)]).await;
        assert!(matches!(state, SharedState::Leader(_)) && since >= Duration::from_secs(3));
        let (state, since) = play(DAY, &[Fails(3), Fails(2)]).await;
        assert!(matches!(state, SharedState::Leader(_)) && since >= Duration::from_secs(5));
        // After another's, it begins when that one is gone.
        let waited = [Inserted(false), Marked, Marked, Absent, Inserted(true)];
        let (state, since) = play(LEASE, &waited).await;
        assert!(matches!(state, SharedState::Leader(_)));
        assert_eq!(since, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn an_outcome_is_brought_to_a_store_that_fails_until_it_is_there() {
        for steps in [
            &[Set(true)][..],
            &[Set(false), Set(true)],
            &[Set(false), Set(false), Set(false)],
        ] {
            let script = Arc::new(Script(Mutex::new(steps.iter().copied().collect())));
            let remote = Remote::new(Arc::clone(&script) as Arc<dyn Store>, "P1");
            let refresh = SharedRefresh {
                remote: &remote,
                key: [0; 32],
                ttl: DAY,
                lease: LEASE,
            };
            refresh.complete(Instant::now(), Made::Refused).await;
            assert!(script.0.lock().unwrap().is_empty(), "{steps:?}");
        }
    }

    #[tokio::test]
    async fn a_change_is_known_while_an_outcome_of_before_may_be_there() {
        let clock = Arc::new(ManualClock::new());
        let memory = Memory::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let remote = Remote::new(Arc::new(memory), "P1");
        let claims = RefreshClaims::new(claims(&clock));
        publish_change(&remote, &claims, Forget::User).await;
        // A refresh of five minutes, whose outcome is kept for five more.
        clock.advance(Duration::from_secs(599));
        assert!(was_changed(&remote, &claims, Duration::from_secs(600)).await);
        assert!(!was_changed(&remote, &claims, Duration::from_secs(598)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_is_asked_ever_less_often_while_a_mark_is_there() {
        let start = Instant::now();
        let steps = [&[Inserted(false)][..], &[Marked; 20], &[Absent]].concat();
        assert_eq!(play(DAY, &steps).await.0, SharedState::Unknown);
        let millis = start.elapsed().as_millis();
        assert!((1000..1500).contains(&millis), "{millis}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_seen_a_mark_go_presents_no_token_that_may_rotate() {
        let seen = [Inserted(false), Marked, Absent];
        assert_eq!(play(DAY, &seen).await.0, SharedState::Unknown);
        // Who has seen none makes the refresh.
        let unseen = [Inserted(false), Absent, Inserted(true)];
        for ttl in [LEASE, DAY] {
            let (state, _) = play(ttl, &unseen).await;
            assert!(matches!(state, SharedState::Leader(_)), "{state:?}");
        }
    }
}

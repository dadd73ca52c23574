//! Many machines, a service that ends a sign-in when a superseded token is presented, and a store between
//! them: on virtual time, from a seed. What happens in one run happens in each run of its seed.

use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{Made, SharedRefresh, SharedState};
use crate::store::shared::Remote;
use crate::store::{Store, StoreError, StoreFuture};
use crate::sync::hash::hash_parts;

const LEASE: Duration = Duration::from_secs(35);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KEPT: Duration = Duration::from_secs(5 * 60);

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, Default)]
struct Faults {
    /// How many of 1000 machines die while they refresh.
    crashes: u64,
    /// How many of 1000 stand still for a while, and for how long at most.
    pauses: u64,
    longest_pause: Duration,
    /// How many of 1000 calls of the store fail, half of them after they had their effect.
    store: u64,
    /// How many of 1000 refreshes break on their way, half of them after the service has made them.
    service: u64,
    /// Whether there is no store at all.
    alone: bool,
}

/// What came of a run.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Report {
    /// Sign-ins whose token was given to a machine.
    sign_ins: u64,
    requests: u64,
    presented: u64,
    /// Sign-ins that the service has ended.
    ended: u64,
    /// Sign-ins of which a machine has put its mark into the store, and no outcome.
    interrupted: u64,
    /// Sign-ins of which a refresh has broken on its way to the service or back.
    broken: u64,
    /// Sign-ins whose new tokens were lost in that way.
    cut: u64,
    /// Sign-ins whose token gets no tokens any more.
    lost: u64,
    /// Requests that were told that their sign-in is over.
    refused: u64,
    /// Requests that were to come back later.
    unavailable: u64,
    longest: Duration,
}

/// What the store holds, and until when.
type Values = HashMap<[u8; 32], (Vec<u8>, Instant)>;

/// Everything outside of the machines.
#[derive(Debug)]
struct Simulation {
    /// The state of SplitMix64.
    random: Mutex<u64>,
    values: Mutex<Values>,
    /// Which sign-in a key of the store is about.
    keys: Mutex<HashMap<[u8; 32], u64>>,
    families: Mutex<BTreeMap<u64, Family>>,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Family {
    generation: u64,
    is_ended: bool,
    presented: u64,
    is_marked: bool,
    is_stored: bool,
    is_broken: bool,
    is_cut: bool,
    has_requests: bool,
}

impl Simulation {
    fn below(&self, limit: u64) -> u64 {
        let mut state = self.random.lock().unwrap();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    fn chance(&self, of_1000: u64) -> bool {
        self.below(1000) < of_1000
    }

    /// The way to somewhere: mostly quick, at times slow.
    async fn travel(&self, usual: u64, slow: u64) {
        let most = if self.chance(50) { slow } else { usual };
        sleep(Duration::from_micros(100 + self.below(most * 1000))).await;
    }

    /// Presents a refresh token.
    fn present(&self, family: u64, generation: u64) -> Option<u64> {
        let mut families = self.families.lock().unwrap();
        let family = families.get_mut(&family).unwrap();
        family.presented += 1;
        family.is_ended |= generation < family.generation;
        (!family.is_ended).then(|| {
            family.generation += 1;
            family.generation
        })
    }

    fn family<T>(&self, family: u64, change: impl FnOnce(&mut Family) -> T) -> T {
        change(self.families.lock().unwrap().entry(family).or_default())
    }

    fn call<'a, T: Send + 'static>(
        &'a self,
        act: impl FnOnce(&mut Values, Instant) -> T + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            let fails = self.chance(self.faults.store);
            let has_effect = !fails || self.chance(500);
            self.travel(2, 20).await;
            let outcome = has_effect.then(|| {
                let now = Instant::now();
                let mut values = self.values.lock().unwrap();
                values.retain(|_, (_, end)| *end > now);
                act(&mut values, now)
            });
            self.travel(2, 20).await;
            if fails && self.chance(500) {
                std::future::pending::<()>().await;
            }
            outcome
                .filter(|_| !fails)
                .ok_or_else(|| StoreError::new("as told"))
        })
    }
}

impl Store for Simulation {
    fn get(&self, key: [u8; 32]) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
        self.call(move |values, now| {
            let found = values.get(&key)?;
            Some((found.0.clone(), found.1.duration_since(now)))
        })
    }

    fn set(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        self.call(move |values, now| {
            values.insert(key, (value, now + ttl));
            values.retain(|_, (_, end)| *end > now);
            let id = self.keys.lock().unwrap()[&key];
            self.family(id, |family| family.is_stored |= !ttl.is_zero());
        })
    }

    fn insert(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
        self.call(move |values, now| {
            let is_new = !values.contains_key(&key);
            if is_new {
                values.insert(key, (value, now + ttl));
                let id = self.keys.lock().unwrap()[&key];
                self.family(id, |family| family.is_marked = true);
            }
            is_new
        })
    }

    fn count(&self, _: [u8; 32], _: u64, _: Duration) -> StoreFuture<'_, u64> {
        unreachable!("a refresh counts nothing")
    }

    fn append(&self, _: [u8; 32], _: Vec<u8>, _: Duration) -> StoreFuture<'_, ()> {
        unreachable!("a refresh adds to no list")
    }

    fn since(&self, _: [u8; 32], _: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
        unreachable!("a refresh reads no list")
    }
}

/// What a request is told.
#[derive(PartialEq)]
enum Outcome {
    Tokens,
    Refused,
    Unavailable,
}

/// What a machine does with a refresh token.
async fn refresh(simulation: &Simulation, remote: &Remote, id: u64, skew: u64) -> Outcome {
    let key = hash_parts([&id.to_be_bytes()[..]]);
    let of_project = hash_parts([&b"P1"[..], &key]);
    simulation.keys.lock().unwrap().insert(of_project, id);
    // Clocks go up to 10 % wrong, and differ by up to an hour.
    let lease = LEASE * u32::try_from(90 + skew % 21).unwrap() / 100;
    let ttl = 28 * DAY - Duration::from_secs(skew * 36);
    let shared = SharedRefresh {
        remote,
        key,
        ttl,
        lease,
    };
    let is_alone = simulation.faults.alone;
    let began = if is_alone {
        Instant::now()
    } else {
        match shared.join_or_start().await {
            SharedState::Leader(began) => began,
            SharedState::Made(..) => return Outcome::Tokens,
            SharedState::Refused | SharedState::Lost => return Outcome::Refused,
            SharedState::Unknown => return Outcome::Unavailable,
        }
    };
    let breaks = simulation.chance(simulation.faults.service);
    let arrives = !breaks || simulation.chance(500);
    simulation.travel(100, 8000).await;
    let presented = arrives.then(|| simulation.present(id, 0));
    simulation.travel(100, 8000).await;
    let (made, outcome) = match presented.filter(|_| !breaks) {
        Some(Some(new)) => (
            Made::Response(new.to_be_bytes().to_vec(), KEPT),
            Outcome::Tokens,
        ),
        Some(None) => (Made::Refused, Outcome::Refused),
        None => {
            simulation.family(id, |family| {
                family.is_broken = true;
                family.is_cut |= presented.flatten().is_some();
            });
            (Made::Nothing, Outcome::Unavailable)
        }
    };
    if !is_alone {
        shared.complete(began, made).await;
    }
    outcome
}

/// Runs on a machine that dies at an instant, or stands still from one to another.
async fn on_machine<T>(
    crash: Option<Instant>,
    pause: Option<(Instant, Instant)>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = Box::pin(work);
    let far = Instant::now() + 1000 * DAY;
    let mut dies = pin!(sleep_until(crash.unwrap_or(far)));
    let (from, to) = pause.unwrap_or((far, far));
    let mut wakes = pin!(sleep_until(to));
    std::future::poll_fn(move |cx| {
        if dies.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if wakes.as_mut().poll(cx).is_pending() && Instant::now() >= from {
            return Poll::Pending;
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

/// One run: sign-ins whose token several machines are given at about the same moment.
fn run(seed: u64, faults: Faults) -> Report {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async move {
        let simulation = Arc::new(Simulation {
            random: Mutex::new(seed),
            keys: Mutex::default(),
            values: Mutex::default(),
            families: Mutex::default(),
            faults,
        });
        let machines = 3 + simulation.below(48);
        let remotes: Vec<Remote> = (0..machines)
            .map(|_| Remote::new(Arc::clone(&simulation) as Arc<dyn Store>, "P1"))
            .collect();
        let mut report = Report::default();
        let mut requests = Vec::new();
        for id in 0..8 {
            simulation.family(id, |_| ());
            for remote in &remotes {
                // Within a machine one request stands for all: they share its refresh.
                if !simulation.chance(500) {
                    continue;
                }
                report.requests += 1;
                simulation.family(id, |family| family.has_requests = true);
                let (simulation, remote) = (Arc::clone(&simulation), remote.clone());
                let late = if simulation.chance(100) { 120_000 } else { 200 };
                let start = Instant::now() + Duration::from_millis(simulation.below(late));
                let within = |limit| Duration::from_millis(simulation.below(limit));
                let crash = simulation
                    .chance(faults.crashes)
                    .then(|| start + within(400));
                let pause = simulation.chance(faults.pauses).then(|| {
                    let from = start + within(400);
                    let longest = u64::try_from(faults.longest_pause.as_millis()).unwrap();
                    (from, from + within(longest))
                });
                let skew = simulation.below(100);
                requests.push(tokio::spawn(async move {
                    sleep_until(start).await;
                    let refresh = refresh(&simulation, &remote, id, skew);
                    let outcome = on_machine(crash, pause, refresh).await;
                    let held = pause.map_or(Duration::ZERO, |(from, to)| to - from);
                    (outcome, start.elapsed().saturating_sub(held))
                }));
            }
        }
        for request in requests {
            let (outcome, took) = request.await.unwrap();
            report.longest = report.longest.max(took);
            report.unavailable += u64::from(outcome == Some(Outcome::Unavailable));
            report.refused += u64::from(outcome == Some(Outcome::Refused));
        }
        let mut used = Vec::new();
        for (id, family) in simulation.families.lock().unwrap().iter() {
            report.sign_ins += u64::from(family.has_requests);
            report.presented += family.presented;
            report.ended += u64::from(family.is_ended);
            report.interrupted += u64::from(family.is_marked && !family.is_stored);
            report.broken += u64::from(family.is_broken);
            used.extend(family.has_requests.then_some(*id));
        }
        // One more request for each, by a machine that nothing happens to.
        for id in used.into_iter().filter(|_| !faults.alone) {
            let outcome = loop {
                let outcome = refresh(&simulation, &remotes[0], id, 10).await;
                if faults.service == 0 || outcome != Outcome::Unavailable {
                    break outcome;
                }
            };
            report.lost += u64::from(outcome == Outcome::Refused);
            report.cut += simulation.family(id, |family| u64::from(family.is_cut));
        }
        report
    })
}

fn run_all(seeds: u64, faults: Faults) -> Report {
    let mut all = Report::default();
    for seed in 0..seeds {
        let report = run(seed, faults);
        all.sign_ins += report.sign_ins;
        all.requests += report.requests;
        all.presented += report.presented;
        all.ended += report.ended;
        all.interrupted += report.interrupted;
        all.broken += report.broken;
        all.cut += report.cut;
        all.lost += report.lost;
        all.unavailable += report.unavailable;
        all.refused += report.refused;
        all.longest = all.longest.max(report.longest);
    }
    println!("{faults:?}\n  {all:?}");
    all
}

#[test]
fn without_crashes_and_with_pauses_below_the_lease_each_token_is_presented_once() {
    pauses_below_the_lease(60);
}

fn pauses_below_the_lease(seeds: u64) {
    let faults = Faults {
        pauses: 300,
        longest_pause: Duration::from_secs(12),
        ..Faults::default()
    };
    let report = run_all(seeds, faults);
    assert_eq!(report.presented, report.sign_ins);
    assert_eq!((report.ended, report.lost), (0, 0));
    assert_eq!((report.refused, report.unavailable), (0, 0));
}

#[test]
fn a_crash_loses_the_sign_in_that_it_interrupts_and_no_other() {
    crashes(60);
}

fn crashes(seeds: u64) {
    let faults = Faults {
        crashes: 100,
        ..Faults::default()
    };
    let report = run_all(seeds, faults);
    // Nobody presents a token again, dead though its machine is.
    assert_eq!((report.ended, report.unavailable), (0, 0));
    assert!(report.interrupted > seeds / 12, "{report:?}");
    assert_eq!(report.lost, report.interrupted);
    // No other waits for longer than the lease, by a clock that goes 10 % wrong.
    assert!(report.longest <= LEASE * 12 / 10, "{report:?}");
}

#[test]
fn a_pause_beyond_the_lease_ends_no_sign_in() {
    longer_pauses(60);
}

fn longer_pauses(seeds: u64) {
    let faults = Faults {
        pauses: 200,
        longest_pause: 2 * LEASE,
        ..Faults::default()
    };
    let report = run_all(seeds, faults);
    // Some are told that it is over, until the machine that stood still has stored its outcome.
    assert_eq!((report.ended, report.lost, report.interrupted), (0, 0, 0));
    assert_eq!(report.presented, report.sign_ins);
}

#[test]
fn a_refresh_that_breaks_loses_the_sign_in_only_where_its_new_tokens_were_lost() {
    broken_refreshes(60);
}

fn broken_refreshes(seeds: u64) {
    let faults = Faults {
        service: 300,
        ..Faults::default()
    };
    let report = run_all(seeds, faults);
    // Never to present a token again would lose all that a refresh has broken of.
    assert_eq!(report.lost, report.cut);
    assert!(report.broken > report.lost + seeds / 2, "{report:?}");
}

#[test]
fn a_store_that_fails_costs_less_than_no_store() {
    failing_store(40);
}

fn failing_store(seeds: u64) {
    let alone = run_all(
        2 * seeds,
        Faults {
            alone: true,
            ..Faults::default()
        },
    );
    assert!(alone.ended * 10 > alone.sign_ins * 9, "{alone:?}");
    let mut before = 0;
    for (store, most_ended_of_1000) in [(1, 5), (10, 30), (100, 300)] {
        let faults = Faults {
            store,
            ..Faults::default()
        };
        let report = run_all(seeds, faults);
        assert!(
            report.ended * 1000 <= report.sign_ins * most_ended_of_1000,
            "{report:?}"
        );
        assert!(report.ended >= before);
        before = report.ended;
    }
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    let faults = Faults {
        crashes: 50,
        pauses: 100,
        longest_pause: 2 * LEASE,
        store: 20,
        service: 20,
        alone: false,
    };
    for seed in 0..20 {
        assert_eq!(run(seed, faults), run(seed, faults), "{seed}");
    }
}

/// All of the above from more seeds, and everything at once.
#[test]
#[ignore = "takes minutes: .ci/full redis"]
fn many_seeds() {
    pauses_below_the_lease(600);
    crashes(600);
    longer_pauses(600);
    broken_refreshes(600);
    failing_store(600);
    let faults = Faults {
        crashes: 10,
        pauses: 50,
        longest_pause: 2 * LEASE,
        store: 10,
        service: 10,
        alone: false,
    };
    let report = run_all(600, faults);
    // Each sign-in is lost to a crash, to lost tokens, or to a store that failed at the wrong moment.
    let explained = report.interrupted + report.cut + report.sign_ins / 100;
    assert!(report.lost <= explained, "{report:?}");
}

//! Everything at once: a key rotation, a key endpoint that is down, made-up key ids, and many refreshes:
//! `.ci/full siege`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use descope_magiclink::{CallEvent, Client, RefreshToken, SessionToken};
use descope_magiclink_emulator::{Emulator, Fault, SigningAlgorithm, User};

use super::server::LONG;
use crate::session::kit::b64;

const EMAIL: &str = "joe@example.com";
const SIEGE: Duration = Duration::from_secs(8);
const UNKNOWN_PER_SECOND: usize = 10_000;
const REFRESHES: usize = 1_000;
/// How often an unknown key id that a caller presents may cause a fetch.
const COOLDOWN: Duration = Duration::from_secs(2);

struct Fixture {
    emulator: Emulator,
    client: Client,
    fetches: Arc<AtomicUsize>,
    session: SessionToken,
}

impl Fixture {
    async fn new() -> Self {
        let builder = Emulator::builder().user(User::new(EMAIL));
        let builder = builder.signing_algorithm(SigningAlgorithm::Es256);
        let emulator = builder.start().await.unwrap();
        let fetches = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&fetches);
        let client = Client::builder(emulator.project_id())
            .base_url(emulator.base_url())
            .timeout(LONG)
            .on_call(move |event| {
                let key_fetch = "get_keys_v2";
                if matches!(event, CallEvent::Starting { operation, .. } if *operation == key_fetch)
                {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            })
            .session_validation(|validation| validation.unknown_key_cooldown(COOLDOWN))
            .build()
            .unwrap();
        client.sessions().validator().prefetch_keys().await.unwrap();
        let tokens = emulator.tokens(EMAIL).issue().unwrap();
        let session = SessionToken::new(tokens.session_jwt());
        Self {
            emulator,
            client,
            fetches,
            session,
        }
    }

    /// Tokens of which each names a key of its own that nobody has.
    fn unknown(&self) -> Vec<SessionToken> {
        let (_, rest) = self.session.expose_secret().split_once('.').unwrap();
        let token = |number| {
            let header = format!(r#"{{"alg":"ES256","kid":"made-up-{number}","typ":"JWT"}}"#);
            SessionToken::new(format!("{}.{rest}", b64(header)))
        };
        (0..SIEGE.as_secs() as usize * UNKNOWN_PER_SECOND)
            .map(token)
            .collect()
    }
}

/// Validates a token with a known key again and again, and gives the times that it took.
fn validations(
    fixture: &Fixture,
    until: &Arc<AtomicBool>,
) -> std::thread::JoinHandle<Vec<Duration>> {
    let (client, session) = (fixture.client.clone(), fixture.session.clone());
    let until = Arc::clone(until);
    std::thread::spawn(move || {
        let sessions = client.sessions();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut times = Vec::new();
            while !until.load(Ordering::SeqCst) {
                let start = Instant::now();
                sessions.validate(&session).await.unwrap();
                times.push(start.elapsed());
            }
            times
        })
    })
}

fn p99(mut times: Vec<Duration>) -> (usize, Duration) {
    times.sort();
    (times.len(), times[times.len() * 99 / 100])
}

/// Presents made-up key ids at an even pace. Those that wait for a fetch hold up no others.
fn present_unknown(fixture: &Fixture) -> std::thread::JoinHandle<usize> {
    let (client, tokens) = (fixture.client.clone(), fixture.unknown());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut refused = tokio::task::JoinSet::new();
            let start = Instant::now();
            let mut presented = 0;
            for part in tokens.chunks(UNKNOWN_PER_SECOND / 100) {
                for token in part {
                    let (sessions, token) = (client.sessions(), token.clone());
                    refused.spawn(async move { sessions.validate(&token).await.is_err() });
                }
                presented += part.len();
                let next =
                    start + Duration::from_secs_f64(presented as f64 / UNKNOWN_PER_SECOND as f64);
                tokio::time::sleep_until(next.into()).await;
                while refused.try_join_next().is_some() {}
            }
            println!("  {presented} made-up key ids in {:.1?}", start.elapsed());
            refused
                .join_all()
                .await
                .into_iter()
                .filter(|is_err| *is_err)
                .count()
        })
    })
}

/// All but the measured validations: a rotation, an outage of the key endpoint with another rotation in it, made-up
/// key ids and refreshes of distinct tokens.
async fn besiege(fixture: &Fixture) {
    let tokens: Vec<RefreshToken> = (0..REFRESHES)
        .map(|_| {
            let tokens = fixture.emulator.tokens(EMAIL).issue().unwrap();
            RefreshToken::new(tokens.refresh_jwt())
        })
        .collect();
    let unknown = present_unknown(fixture);
    let second = Duration::from_secs(1);
    let refreshing = async {
        let mut refreshes = tokio::task::JoinSet::new();
        for token in tokens {
            let sessions = fixture.client.sessions();
            refreshes.spawn(async move { sessions.refresh(&token).await.map(drop) });
            tokio::time::sleep((SIEGE - 2 * second) / REFRESHES as u32).await;
        }
        refreshes.join_all().await
    };
    let keys = async {
        tokio::time::sleep(second).await;
        fixture.emulator.keys().rotate().unwrap();
        tokio::time::sleep(second).await;
        let down = fixture.emulator.faults();
        let down = down.add(Fault::on("GetKeysV2").answer(503)).unwrap();
        tokio::time::sleep(second).await;
        fixture.emulator.keys().rotate().unwrap();
        tokio::time::sleep(second).await;
        fixture.emulator.faults().remove(down);
    };
    let (refreshed, ()) = tokio::join!(refreshing, keys);
    for outcome in &refreshed {
        assert!(outcome.is_ok(), "no new token is lost: {outcome:?}");
    }
    println!(
        "  {} refreshes of distinct tokens, all succeeded",
        refreshed.len()
    );
    let unknown = tokio::task::spawn_blocking(|| unknown.join().unwrap());
    unknown.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute: .ci/full siege"]
async fn known_keys_serve_through_a_siege() {
    let (measured, other) = (Fixture::new().await, Fixture::new().await);
    // First with the machine at rest, then while another client is besieged: the same load, and nothing shared.
    let measure = async |besieged: Option<&Fixture>| {
        let end = Arc::new(AtomicBool::new(false));
        let times = validations(&measured, &end);
        match besieged {
            Some(fixture) => besiege(fixture).await,
            None => tokio::time::sleep(Duration::from_secs(2)).await,
        }
        end.store(true, Ordering::SeqCst);
        p99(times.join().unwrap())
    };
    println!("at rest");
    let (count, at_rest) = measure(None).await;
    println!("  {count} validations with a known key, p99 {at_rest:?}");
    println!("another client besieged");
    let (count, quiet) = measure(Some(&other)).await;
    println!("  {count} validations with a known key, p99 {quiet:?}");
    println!("the client besieged");
    let before = measured.fetches.load(Ordering::SeqCst);
    let start = Instant::now();
    let (count, besieged) = measure(Some(&measured)).await;
    let took = start.elapsed();
    println!("  {count} validations with a known key, p99 {besieged:?}");
    let fetches = measured.fetches.load(Ordering::SeqCst) - before;
    // One a second for tokens just issued, one per cooldown for those presented, and one that was under way.
    let allowed = took.as_secs() + 1 + took.as_secs() / COOLDOWN.as_secs() + 1 + 1;
    println!("  {fetches} key fetches in {took:.1?}, {allowed} allowed");
    assert!(
        besieged <= 2 * quiet.max(at_rest),
        "p99 {besieged:?}, quiet {quiet:?}"
    );
    assert!(fetches as u64 <= allowed, "{fetches} fetches");
}

//! How often links may be sent: nobody's mailbox is flooded, nobody is kept from signing in by somebody
//! else, and no client makes the service write to all the world.
//!
//! What is counted is in the client's store, under keys from which no address can be read.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::{hmac, rand};
use descope_magiclink::{Store, StoreError};
use http::request::Parts;

use super::address::same_address;

/// How long somebody waits after each send to one address; the last counts for the rest.
const WAITS: [Duration; 3] = [
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
];
/// To one address at the wish of one client, in an hour.
const OF_PAIR: u64 = 5;
/// To one address, whoever asks. More than one client can use up, so that nobody keeps its owner out.
const OF_ADDRESS: u64 = 20;
/// At the wish of one client that is known by the application's function. Many share the address of an
/// office.
const OF_CLIENT: u64 = 100;
const HOUR: Duration = Duration::from_secs(60 * 60);
/// For how long one key is used.
const KEY_AGE: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Where the store has the key.
const KEY: [u8; 32] = *b"descope-magiclink-web send guard";

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
pub(super) type ClientKey = Arc<dyn Fn(&Parts) -> Option<String> + Send + Sync>;
pub(super) type AllowSend = Arc<dyn Fn(&Parts, &str) -> BoxFuture<bool> + Send + Sync>;

/// A client that asks for links.
pub(super) enum Requester {
    /// Known by the application's function.
    Known(String),
    /// A browser, by the cookie that it has; those without one are one.
    Browser(String),
}

/// Takes one send out of what is allowed.
///
/// # Errors
///
/// How long to wait for the next. A store that fails allows it.
pub(super) async fn take(store: &dyn Store, address: &str, by: &Requester) -> Result<(), Duration> {
    try_take(store, address, by).await.unwrap_or(Ok(()))
}

/// Allows all sends to these addresses again: their owner has signed in.
pub(super) async fn clear(store: &dyn Store, addresses: &[&str]) {
    let Ok(key) = key(store).await else { return };
    for address in addresses {
        let mut generation = [0; 16];
        if rand::fill(&mut generation).is_ok() {
            let name = name(&key, &[b"generation", same_address(address).as_bytes()]);
            // What cannot be cleared ends within the hour.
            let _ = store.set(name, generation.to_vec(), HOUR).await;
        }
    }
}

async fn try_take(
    store: &dyn Store,
    address: &str,
    by: &Requester,
) -> Result<Result<(), Duration>, StoreError> {
    let key = key(store).await?;
    let address = same_address(address);
    let address = address.as_bytes();
    // After a sign-in, everything about the address is counted anew.
    let generation = store.get(name(&key, &[b"generation", address])).await?;
    let generation = generation.unwrap_or_default().0;
    let client: [&[u8]; 2] = match by {
        Requester::Known(client) => [b"known", client.as_bytes()],
        Requester::Browser(client) => [b"browser", client.as_bytes()],
    };
    let pair = name(&key, &[b"pair", client[0], client[1], address, &generation]);
    let pause = name(
        &key,
        &[b"pause", client[0], client[1], address, &generation],
    );
    // Whoever of many at once puts it there, goes on.
    let [shortest, .., longest] = WAITS;
    if !store.insert(pause, Vec::new(), shortest).await? {
        let left = store.get(pause).await?.map(|(_, left)| left);
        return Ok(Err(left.unwrap_or(shortest)));
    }
    let sent = match count(store, pair, OF_PAIR).await? {
        Ok(sent) => sent,
        Err(left) => {
            store.set(pause, Vec::new(), left).await?;
            return Ok(Err(left));
        }
    };
    let index = usize::try_from(sent)
        .unwrap_or(usize::MAX)
        .saturating_sub(1);
    let wait = WAITS.get(index).copied().unwrap_or(longest);
    store.set(pause, Vec::new(), wait).await?;
    if let Requester::Known(_) = by {
        let client = name(&key, &[b"client", client[1]]);
        if let Err(left) = count(store, client, OF_CLIENT).await? {
            return Ok(Err(left));
        }
    }
    let all = name(&key, &[b"address", address, &generation]);
    Ok(count(store, all, OF_ADDRESS).await?.map(drop))
}

/// Counts one more in the hour that the first has begun; if that is too many, how long the hour lasts.
async fn count(
    store: &dyn Store,
    name: [u8; 32],
    most: u64,
) -> Result<Result<u64, Duration>, StoreError> {
    let sum = store.count(name, 1, HOUR).await?;
    if sum == 1 {
        store.set(name, Vec::new(), HOUR).await?;
    }
    if sum <= most {
        return Ok(Ok(sum));
    }
    let left = store.get(name).await?.map(|(_, left)| left);
    Ok(Err(left.unwrap_or(HOUR)))
}

/// The key of the hashes, which all who share the store have.
async fn key(store: &dyn Store) -> Result<hmac::Key, StoreError> {
    let bytes = match store.get(KEY).await? {
        Some((bytes, _)) => bytes,
        None => {
            let mut bytes = [0; 32];
            let random = rand::fill(&mut bytes);
            random.map_err(|_| StoreError::new("the system has no random numbers"))?;
            // Of many at once, one key counts.
            store.insert(KEY, bytes.to_vec(), KEY_AGE).await?;
            let kept = store.get(KEY).await?;
            kept.ok_or_else(|| StoreError::new("it has dropped a key at once"))?
                .0
        }
    };
    Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

/// A name in the store, of parts that are told apart.
fn name(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut name = [0; 32];
    for (to, from) in name.iter_mut().zip(context.sign().as_ref()) {
        *to = *from;
    }
    name
}

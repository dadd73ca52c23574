//! Where the processes of one application meet.

pub(crate) mod memory;
pub(crate) mod shared;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

/// What the calls of a [`Store`] give: a future that any thread may drive.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Where a client keeps what outlives one call: leases, short-lived values, counters, and lists of what
/// was added lately.
///
/// Each client has one in its process's own memory; [`Client::store`](crate::Client::store) gives it,
/// and an application may keep things of its own there. Processes that serve the same users set one that
/// they share ([`ClientBuilder::store`](crate::ClientBuilder::store)), such as `descope-magiclink-redis`.
///
/// Keys are hashes that the caller makes; a client with a shared store hashes its project id into them, so
/// that projects may share one. Times are measured by the store. Everything ends: nothing is kept for longer
/// than its `ttl`, and a store that is full may forget earlier.
///
/// A store of your own opens its connections in its calls: those are made on one thread of this crate, whose
/// runtime outlives those of the application. A call that fails or takes longer than
/// [`timeout`](Self::timeout) costs no user anything: the client does what one process can do alone, and says
/// so in one event when that begins and one when it ends.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink::Client;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
/// let store = client.store();
/// let (key, minute) = ([7; 32], Duration::from_secs(60));
/// assert!(store.insert(key, b"mine".to_vec(), minute).await?);
/// assert!(!store.insert(key, b"theirs".to_vec(), minute).await?);
/// let (value, left) = store.get(key).await?.unwrap_or_default();
/// assert!(value == b"mine" && left <= minute);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The value of a key, and for how long it will be there still.
    fn get(&self, key: [u8; 32]) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>>;

    /// Puts a value in the place of what is there. With a `ttl` of zero, removes it; with one that is longer than any
    /// clock can tell, keeps it for as long as can be.
    fn set(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()>;

    /// Puts a value where there is none, and tells whether it did. Of any number of callers at the same
    /// moment one is told so: a lease.
    fn insert(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool>;

    /// Adds to a counter, and gives its sum. One that is not there begins at 0 and ends `ttl` after that,
    /// however often it is added to. Adding 0 reads it. Counters and values have keys of their own.
    fn count(&self, key: [u8; 32], add: u64, ttl: Duration) -> StoreFuture<'_, u64>;

    /// Adds an entry to a list. All entries of one list have the same `ttl`.
    fn append(&self, list: [u8; 32], entry: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()>;

    /// The entries that were added to a list since a mark, oldest first, and the mark to go on from. The
    /// first mark is 0.
    fn since(&self, list: [u8; 32], mark: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)>;

    /// How long a call may take. 100 ms by default.
    fn timeout(&self) -> Duration {
        Duration::from_millis(100)
    }
}

/// The store could not be reached, or could not do what it was asked.
#[derive(Debug)]
pub struct StoreError(Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// From what went wrong, or a text that says so. It is written to the log: no keys or values in it.
    pub fn new(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store is unavailable")
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.0)
    }
}

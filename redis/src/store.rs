//! The calls of a store, in the server's commands.

use std::borrow::Borrow;
use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use descope_magiclink::{ConfigError, Secret, Store, StoreError, StoreFuture};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Cmd, ErrorKind, FromRedisValue, IntoConnectionInfo as _, RedisError, Value};
use tokio::sync::OnceCell;

use crate::garbage::Garbage;
use crate::sealing::Sealing;

/// How long a call may take unless it is set.
const TIMEOUT: Duration = Duration::from_millis(100);
/// How long making a connection may take; calls do not wait for it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the server may leave bytes unacknowledged before the connection is given up.
#[cfg(target_os = "linux")]
const LOST: Duration = Duration::from_secs(5);
/// How often a connection is tried in a row, and with which waits; each call after that tries again.
const RETRIES: usize = 3;
const RETRY_MILLIS: [u64; 2] = [20, 500];
/// The longest time that is given to the server, which counts milliseconds in 63 bits.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// So many entries of a list are read at once.
const PAGE: u32 = 10_000;

/// A value and what is left of its time, which must be that of this very value. An empty one for what is none.
const READ: &str = "\
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind == 'none' then return nil end
if kind ~= 'string' then return { '', -1 } end
return { redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) }";

/// Puts ARGV[1] there for ARGV[2] ms, unless there is something else than ARGV[3], a value that this
/// crate cannot read. Gives 1 if it did.
const INSERT: &str = "\
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind == 'string' and redis.call('GET', KEYS[1]) ~= ARGV[3] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1";

/// Adds ARGV[1], and has a counter without an end expire in ARGV[2] ms.
const COUNT: &str = "\
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'none' and (kind ~= 'string' or not string.match(redis.call('GET', KEYS[1]), '^%d+$')) then
  redis.call('DEL', KEYS[1])
end
if ARGV[1] == '0' then return tonumber(redis.call('GET', KEYS[1]) or '0') end
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum";

/// Adds ARGV[1], and removes what is older than ARGV[2] ms.
const APPEND: &str = "\
local kind = redis.call('TYPE', KEYS[1])['ok']
if kind ~= 'none' and kind ~= 'stream' then redis.call('DEL', KEYS[1]) end
local time = redis.call('TIME')
local oldest = time[1] * 1000 - ARGV[2]
if oldest < 0 then oldest = 0 end
redis.call('XADD', KEYS[1], 'MINID', '~', string.format('%.0f', oldest), '*', 'v', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1";

/// A store in Redis (6.2 or later) or Valkey, which all processes of an application share.
///
/// Cheap to make: it connects when it is first used, and again whenever the connection is lost. What it
/// needs of the server is one primary, no persistence, and little memory: some 500 bytes for each user
/// whose session was refreshed in the last 5 minutes.
///
/// ```
/// use std::sync::Arc;
/// use descope_magiclink::Client;
/// use descope_magiclink_redis::RedisStore;
///
/// # let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// let store = RedisStore::new("redis://127.0.0.1/", key)?;
/// let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
///     .store(Arc::new(store))
///     .build()?;
/// # let _ = client;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore {
    server: Server,
    connection: OnceCell<Connection>,
    sealing: Sealing,
    garbage: Garbage,
    prefix: String,
    timeout: Duration,
}

/// What is connected to.
enum Server {
    One(Box<redis::Client>),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
}

/// Connects by itself, and again when it is lost.
enum Connection {
    One(ConnectionManager),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl RedisStore {
    /// A store with the default settings.
    ///
    /// `url` is `redis://` or, with TLS, `rediss://[user:password@]host[:port][/database]`. `key` seals all
    /// values: 32 random bytes in base64, the same in each process.
    ///
    /// # Errors
    ///
    /// [`ConfigError::InvalidSetting`] when one of them cannot be used. Whether the server can be reached is
    /// not looked at.
    pub fn new(url: impl Into<Secret>, key: impl Into<Secret>) -> Result<Self, ConfigError> {
        Self::builder(url, key).build()
    }

    /// A store whose settings can be changed before it is built.
    pub fn builder(url: impl Into<Secret>, key: impl Into<Secret>) -> RedisStoreBuilder {
        RedisStoreBuilder {
            url: url.into(),
            key: key.into(),
            other_key: None,
            prefix: "descope:".to_owned(),
            timeout: TIMEOUT,
            #[cfg(feature = "cluster")]
            is_cluster: false,
        }
    }

    /// The name of a key in the server. It says of what kind its value is.
    fn name(&self, kind: char, key: [u8; 32]) -> String {
        format!("{}{kind}:{}", self.prefix, URL_SAFE_NO_PAD.encode(key))
    }

    /// Made in a call: connections live on the runtime of who makes it.
    async fn connect(&self) -> Result<Connection, RedisError> {
        let [first, longest] = RETRY_MILLIS.map(Duration::from_millis);
        match &self.server {
            Server::One(client) => {
                let config = ConnectionManagerConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(self.timeout))
                    .set_number_of_retries(RETRIES)
                    .set_min_delay(first)
                    .set_max_delay(longest);
                ConnectionManager::new_lazy_with_config((**client).clone(), config)
                    .map(Connection::One)
            }
            #[cfg(feature = "cluster")]
            Server::Cluster(client) => {
                let config = redis::cluster::ClusterConfig::new()
                    .set_connection_timeout(CONNECT_TIMEOUT)
                    .set_response_timeout(self.timeout);
                let connection = client.get_pending_async_connection_with_config(config);
                Ok(Connection::Cluster(connection))
            }
        }
    }

    async fn query<T: FromRedisValue>(&self, command: Cmd) -> Result<T, RedisError> {
        match self.connection.get_or_try_init(|| self.connect()).await? {
            Connection::One(one) => command.query_async(&mut one.clone()).await,
            #[cfg(feature = "cluster")]
            Connection::Cluster(cluster) => command.query_async(&mut cluster.clone()).await,
        }
    }

    async fn read(&self, name: &str) -> Result<Found, StoreError> {
        let found: Option<(Vec<u8>, i64)> =
            self.query(script(READ, name, &[])).await.map_err(failed)?;
        let Some((sealed, left)) = found else {
            return Ok(Found::Nothing);
        };
        // Nothing of this crate's is without an end.
        let left = u64::try_from(left).ok().map(Duration::from_millis);
        Ok(match left.zip(self.open(name, &sealed)) {
            Some((left, value)) => Found::Value(value, left),
            None => Found::Garbage(sealed),
        })
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let value = self.sealing.open(name.as_bytes(), sealed);
        self.garbage.note(value.is_none());
        value
    }
}

/// What is there under a name.
enum Found {
    Nothing,
    Value(Vec<u8>, Duration),
    /// What this crate has not put there, or sealed with a key that is not known here.
    Garbage(Vec<u8>),
}

impl Store for RedisStore {
    fn get(&self, key: [u8; 32]) -> StoreFuture<'_, Option<(Vec<u8>, Duration)>> {
        Box::pin(async move {
            Ok(match self.read(&self.name('v', key)).await? {
                Found::Value(value, left) => Some((value, left)),
                Found::Nothing | Found::Garbage(_) => None,
            })
        })
    }

    fn set(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let name = self.name('v', key);
            let mut command = Cmd::new();
            if ttl.is_zero() {
                command.arg("DEL").arg(name);
            } else {
                let sealed = self.sealing.seal(name.as_bytes(), value)?;
                command.arg("SET").arg(name).arg(sealed).arg("PX");
                command.arg(millis(ttl));
            }
            self.query::<Value>(command).await.map(drop).map_err(failed)
        })
    }

    fn insert(&self, key: [u8; 32], value: Vec<u8>, ttl: Duration) -> StoreFuture<'_, bool> {
        Box::pin(async move {
            let name = self.name('v', key);
            let sealed = self.sealing.seal(name.as_bytes(), value)?;
            let mut command = Cmd::new();
            command.arg("SET").arg(&name).arg(&sealed).arg("NX");
            command.arg("PX").arg(millis(ttl));
            let done: Option<Value> = self.query(command).await.map_err(failed)?;
            if done.is_some() {
                return Ok(true);
            }
            let garbage = match self.read(&name).await? {
                Found::Value(..) => return Ok(false),
                Found::Garbage(garbage) => garbage,
                // It has ended since.
                Found::Nothing => Vec::new(),
            };
            let insert = script(
                INSERT,
                &name,
                &[&sealed, &millis(ttl).to_string().into_bytes(), &garbage],
            );
            self.query(insert).await.map_err(failed)
        })
    }

    fn count(&self, key: [u8; 32], add: u64, ttl: Duration) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            let add = add.min(u64::from(u32::MAX)).to_string().into_bytes();
            let count = script(
                COUNT,
                &self.name('c', key),
                &[&add, &millis(ttl).to_string().into_bytes()],
            );
            self.query(count).await.map_err(failed)
        })
    }

    fn append(&self, list: [u8; 32], entry: Vec<u8>, ttl: Duration) -> StoreFuture<'_, ()> {
        Box::pin(async move {
            let name = self.name('l', list);
            let sealed = self.sealing.seal(name.as_bytes(), entry)?;
            let append = script(
                APPEND,
                &name,
                &[&sealed, &millis(ttl).to_string().into_bytes()],
            );
            self.query::<Value>(append).await.map(drop).map_err(failed)
        })
    }

    fn since(&self, list: [u8; 32], mark: u128) -> StoreFuture<'_, (Vec<Vec<u8>>, u128)> {
        Box::pin(async move {
            let name = self.name('l', list);
            let mut command = Cmd::new();
            command.arg("XRANGE").arg(&name);
            if mark == 0 {
                command.arg("-");
            } else {
                command.arg(format!("({}-{}", mark >> 64, mark & u128::from(u64::MAX)));
            }
            command.arg("+").arg("COUNT").arg(PAGE);
            let added: Vec<(String, Vec<Vec<u8>>)> = match self.query(command).await {
                Err(error) if is_wrong_type(&error) => {
                    self.garbage.note(true);
                    Vec::new()
                }
                added => added.map_err(failed)?,
            };
            let last = added
                .last()
                .and_then(|(id, _)| parse_id(id))
                .unwrap_or(mark);
            let entries = added.iter().filter_map(|(_, fields)| {
                let sealed = fields.get(1)?;
                self.open(&name, sealed)
            });
            Ok((entries.collect(), last))
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.prefix)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// A call of a script with one key. Sent whole: a server that has forgotten it would cost a second trip.
fn script(text: &str, name: &str, arguments: &[&[u8]]) -> Cmd {
    let mut command = Cmd::new();
    command.arg("EVAL").arg(text).arg(1).arg(name);
    for argument in arguments {
        command.arg(*argument);
    }
    command
}

/// A time in whole milliseconds, one at least.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.min(LONGEST).as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

/// The server's id of an entry, `milliseconds-number`, as a mark.
fn parse_id(id: &str) -> Option<u128> {
    let (millis, number) = id.split_once('-')?;
    let (millis, number): (u64, u64) = (millis.parse().ok()?, number.parse().ok()?);
    Some(u128::from(millis) << 64 | u128::from(number))
}

fn is_wrong_type(error: &RedisError) -> bool {
    error.code() == Some("WRONGTYPE")
}

/// The log gets the kind of an error and the server's code: its text may repeat a value.
fn failed(error: impl Borrow<RedisError>) -> StoreError {
    let error = error.borrow();
    let problem = match (error.kind(), error.code()) {
        (ErrorKind::Io, _) => "the server could not be reached".to_owned(),
        (_, Some(code)) => format!("the server refused a command: {code}"),
        (kind, None) => format!("{kind:?}"),
    };
    StoreError::new(problem)
}

/// Settings of a [`RedisStore`], before it is built.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink_redis::RedisStore;
///
/// # let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// let store = RedisStore::builder("redis://10.0.0.5/", key)
///     .timeout(Duration::from_millis(50))
///     .build()?;
/// # let _ = store;
/// # Ok::<(), descope_magiclink::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct RedisStoreBuilder {
    url: Secret,
    key: Secret,
    other_key: Option<Secret>,
    prefix: String,
    timeout: Duration,
    #[cfg(feature = "cluster")]
    is_cluster: bool,
}

impl RedisStoreBuilder {
    /// Another key that opens values and seals none. To change the key, first give the new one here to all
    /// processes, then let the two change places, then leave the old one out.
    pub fn other_key(mut self, key: impl Into<Secret>) -> Self {
        self.other_key = Some(key.into());
        self
    }

    /// What the names of all keys in the server begin with. `descope:` by default.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long a call may take before the process goes on without the store. 100 ms by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says that the URL names a node of a cluster (feature `cluster`), from which the others are found.
    ///
    /// A token's lease and a link's outcome are where their names belong, spread over all nodes.
    #[cfg(feature = "cluster")]
    pub fn cluster(mut self) -> Self {
        self.is_cluster = true;
        self
    }

    /// Builds the store.
    ///
    /// # Errors
    ///
    /// As [`RedisStore::new`].
    pub fn build(self) -> Result<RedisStore, ConfigError> {
        let invalid = |problem| ConfigError::InvalidSetting {
            name: "url",
            problem,
        };
        let url = self.url.expose_secret();
        if url.starts_with("rediss:") {
            #[cfg(not(any(feature = "rustls", feature = "native-tls")))]
            return Err(invalid("needs the feature `rustls` or `native-tls`"));
            // Where the application has chosen none: rustls would panic for want of one.
            #[cfg(feature = "rustls")]
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let not_redis = || invalid("must be a redis:// or rediss:// URL");
        let info = url.into_connection_info().map_err(|_| not_redis())?;
        #[cfg(target_os = "linux")]
        let info = {
            let tcp = info.tcp_settings().clone().set_user_timeout(LOST);
            info.set_tcp_settings(tcp)
        };
        if self.timeout.is_zero() {
            let (name, problem) = ("timeout", "must be greater than zero");
            return Err(ConfigError::InvalidSetting { name, problem });
        }
        let server = match () {
            #[cfg(feature = "cluster")]
            () if self.is_cluster => {
                let cluster = redis::cluster::ClusterClientBuilder::new([info]);
                let [first, longest] = RETRY_MILLIS;
                let cluster = cluster
                    .retries(2)
                    .min_retry_wait(first)
                    .max_retry_wait(longest);
                Server::Cluster(Box::new(cluster.build().map_err(|_| not_redis())?))
            }
            () => Server::One(Box::new(
                redis::Client::open(info).map_err(|_| not_redis())?,
            )),
        };
        Ok(RedisStore {
            server,
            connection: OnceCell::new(),
            sealing: Sealing::new(&self.key, self.other_key.as_ref())?,
            garbage: Garbage::default(),
            prefix: self.prefix,
            timeout: self.timeout,
        })
    }
}

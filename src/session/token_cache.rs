//! The opt-in memory of tokens that were found good.

#[cfg(feature = "client")]
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use super::claims::Claims;
use crate::clock::Clock;
use crate::jwt::jwk::VerifyingKey;
use crate::sync::bounded_map::BoundedMap;
use crate::sync::hash::TokenHash;
#[cfg(feature = "client")]
use crate::sync::purge::{Purge, purge_later};

/// As many locks, so that threads seldom meet at one.
const SHARDS: usize = 16;
/// What a token takes up, in lengths of its text: its claims as they came, and where each begins.
const LENGTHS: usize = 4;

/// A token that was found good, and by which key.
pub(super) struct VerifiedToken {
    pub(super) claims: Arc<Claims>,
    pub(super) key_id: String,
    pub(super) key: Arc<VerifyingKey>,
}

type Shard<T> = BoundedMap<TokenHash, Arc<T>>;

/// Remembers tokens in about so many bytes. Those that expire first make room.
pub(super) struct TokenCache<T = VerifiedToken> {
    shards: [Mutex<Shard<T>>; SHARDS],
    clock: Arc<dyn Clock>,
    #[cfg(feature = "client")]
    is_purging: AtomicBool,
}

impl<T: Send + Sync + 'static> TokenCache<T> {
    pub(super) fn new(max_bytes: usize, clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::new(BoundedMap::new(max_bytes / SHARDS))),
            clock,
            #[cfg(feature = "client")]
            is_purging: AtomicBool::new(false),
        })
    }

    fn shard(&self, hash: &TokenHash) -> Option<MutexGuard<'_, Shard<T>>> {
        let shard = self.shards.get(usize::from(*hash.first()?) % SHARDS)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One that may have expired: whoever uses it looks at its times anyway.
    pub(super) fn get(&self, hash: &TokenHash) -> Option<Arc<T>> {
        self.shard(hash)?.peek(hash).cloned()
    }

    /// Keeps a token whose text has this length, until it expires.
    pub(super) fn insert(
        self: &Arc<Self>,
        hash: TokenHash,
        verified: Arc<T>,
        length: usize,
        expires_at: SystemTime,
    ) {
        let now = self.clock.instant();
        let Some(end) = self.end(now, expires_at) else {
            return;
        };
        if let Some(mut shard) = self.shard(&hash) {
            shard.remove_ended(now);
            shard.insert(hash, verified, end, length.saturating_mul(LENGTHS));
        }
        #[cfg(feature = "client")]
        purge_later(self);
    }

    fn end(&self, now: Instant, expires_at: SystemTime) -> Option<Instant> {
        let left: Duration = expires_at.duration_since(self.clock.now()).ok()?;
        now.checked_add(left).filter(|end| *end > now)
    }
}

#[cfg(feature = "client")]
impl<T: Send + Sync + 'static> Purge for TokenCache<T> {
    fn is_purging(&self) -> &AtomicBool {
        &self.is_purging
    }

    fn purge(&self) -> bool {
        let now = self.clock.instant();
        let mut is_left = false;
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.remove_ended(now);
            is_left |= !shard.is_empty();
        }
        is_left
    }
}

#[cfg(test)]
#[cfg(feature = "client")]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::sync::purge::tests::assert_keeps_its_flag;

    #[test]
    fn tokens_take_up_so_many_bytes_and_go_when_they_expire_though_nobody_comes() {
        let clock = Arc::new(ManualClock::new());
        let cache = TokenCache::new(1 << 20, Arc::clone(&clock) as Arc<dyn Clock>);
        let within = |seconds| clock.now() + Duration::from_secs(seconds);
        assert_keeps_its_flag(&*cache);
        let bytes = || -> usize {
            let shards = cache.shards.iter();
            shards.map(|shard| shard.lock().unwrap().bytes()).sum()
        };
        // 10,000 of 13.8 KB were 425 MB.
        for number in 0..10_000_u64 {
            let hash = crate::sync::hash::hash(&number.to_string());
            cache.insert(hash, Arc::new(number), 13_800, within(600 + number));
            assert_eq!(cache.get(&hash).as_deref(), Some(&number));
        }
        assert!((1 << 19..=1 << 20).contains(&bytes()), "{}", bytes());
        clock.advance(Duration::from_secs(600));
        assert!(cache.purge());
        clock.advance(Duration::from_secs(10_000));
        assert!(!cache.purge());
        assert_eq!(bytes(), 0);
        // One that has expired is not kept, nor one that is larger than its part of the memory.
        cache.insert([0; 32], Arc::new(0), 100, within(0));
        cache.insert([1; 32], Arc::new(0), 1 << 20, within(1));
        assert_eq!(bytes(), 0);
    }
}

//! The opt-in memory of tokens that were found good.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::claims::Claims;
use crate::jwt::jwk::VerifyingKey;
use crate::sync::hash::TokenHash;

/// As many locks, so that threads seldom meet at one.
const SHARDS: usize = 16;

/// A token that was found good, and by which key.
pub(super) struct VerifiedToken {
    pub(super) claims: Arc<Claims>,
    pub(super) key_id: String,
    pub(super) key: Arc<VerifyingKey>,
}

/// Remembers about so many tokens, dropping those not used for longest.
pub(super) struct TokenCache {
    shards: [Mutex<Generations>; SHARDS],
    /// Tokens per generation and shard; there are two generations.
    room: usize,
}

/// New and used entries go to the young generation. When it is full it becomes the old one, and what
/// the old one held is dropped.
#[derive(Default)]
struct Generations {
    young: HashMap<TokenHash, Arc<VerifiedToken>>,
    old: HashMap<TokenHash, Arc<VerifiedToken>>,
}

impl std::fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

impl TokenCache {
    pub(super) fn new(most: usize) -> Self {
        Self {
            shards: Default::default(),
            room: most.div_ceil(2 * SHARDS).max(1),
        }
    }

    fn with<T>(&self, hash: &TokenHash, act: impl FnOnce(&mut Generations) -> T) -> Option<T> {
        let shard = self.shards.get(usize::from(*hash.first()?) % SHARDS)?;
        let mut generations = shard.lock().unwrap_or_else(PoisonError::into_inner);
        Some(act(&mut generations))
    }

    pub(super) fn get(&self, hash: &TokenHash) -> Option<Arc<VerifiedToken>> {
        self.with(hash, |generations| {
            if let Some(found) = generations.young.get(hash) {
                return Some(Arc::clone(found));
            }
            let found = generations.old.remove(hash)?;
            generations.keep(*hash, Arc::clone(&found), self.room);
            Some(found)
        })?
    }

    pub(super) fn insert(&self, hash: TokenHash, verified: Arc<VerifiedToken>) {
        self.with(&hash, |generations| {
            generations.keep(hash, verified, self.room);
        });
    }

    pub(super) fn remove(&self, hash: &TokenHash) {
        self.with(hash, |generations| {
            generations.young.remove(hash);
            generations.old.remove(hash);
        });
    }
}

impl Generations {
    fn keep(&mut self, hash: TokenHash, verified: Arc<VerifiedToken>, room: usize) {
        if self.young.len() >= room {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(hash, verified);
    }
}

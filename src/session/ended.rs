//! Tokens that were signed out before their time: session tokens are refused until they expire by themselves.
//!
//! They come by way of the store's lists into the memory of each process, so that to validate a token takes
//! no look at the store. While the store fails, a process knows of the sessions that it has ended itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::clock::{Clock, later};
use crate::store::shared::Remote;
use crate::sync::bounded_map::BoundedMap;
use crate::sync::hash::{TokenHash, hash, hash_parts};
use crate::sync::purge::{Purge, purge_later};
use crate::sync::single_flight::spawn;

/// What all of them may take up: some 50,000 sign-outs.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// How often a process asks which sessions others have ended.
const POLL: Duration = Duration::from_millis(500);
/// How long the lists keep their entries: tokens that live for minutes do not stay for weeks.
const LISTS: [Duration; 3] = [
    Duration::from_secs(2 * 60 * 60),
    Duration::from_secs(25 * 60 * 60),
    Duration::from_secs(31 * 24 * 60 * 60),
];
/// For how long a token is refused past its time: validators may have a leeway.
const LEEWAY: Duration = Duration::from_secs(60);

/// The ended sessions that one client knows.
#[derive(Debug)]
pub(crate) struct EndedSessions {
    clock: Arc<dyn Clock>,
    /// Whether there ever was one.
    is_used: AtomicBool,
    tokens: Mutex<BoundedMap<TokenHash, ()>>,
    is_purging: AtomicBool,
}

impl Purge for EndedSessions {
    fn is_purging(&self) -> &AtomicBool {
        &self.is_purging
    }

    fn purge(&self) -> bool {
        let mut tokens = self.tokens();
        tokens.remove_ended(self.clock.instant());
        !tokens.is_empty()
    }
}

impl EndedSessions {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            is_used: AtomicBool::new(false),
            tokens: Mutex::new(BoundedMap::new(MAX_BYTES)),
            is_purging: AtomicBool::new(false),
        })
    }

    fn tokens(&self) -> MutexGuard<'_, BoundedMap<TokenHash, ()>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn contains(&self, token: &str) -> bool {
        self.is_used.load(Ordering::Acquire) && {
            let now = self.clock.instant();
            self.tokens().get(&hash_signed(token), now).is_some()
        }
    }

    /// Notes the end of a session here, and gives what the others are to be told.
    pub(crate) fn add(self: &Arc<Self>, token: &str, expires_at: SystemTime) -> EndedEntry {
        let since = expires_at.duration_since(SystemTime::UNIX_EPOCH);
        let entry = EndedEntry {
            token: hash_signed(token),
            expires_at: since.map_or(0, |since| since.as_secs()),
        };
        self.insert(&entry);
        entry
    }

    /// For how long a session is to be refused still.
    fn left(&self, entry: &EndedEntry) -> Duration {
        let since = self.clock.now().duration_since(SystemTime::UNIX_EPOCH);
        let now = since.map_or(0, |since| since.as_secs());
        Duration::from_secs(entry.expires_at.saturating_sub(now)).saturating_add(LEEWAY)
    }

    pub(crate) async fn publish(&self, remote: &Remote, entry: &EndedEntry) {
        let left = self.left(entry);
        let [.., longest] = LISTS;
        let ttl = LISTS.into_iter().find(|ttl| *ttl >= left);
        let ttl = ttl.unwrap_or(longest);
        let entry = [&entry.token[..], &entry.expires_at.to_be_bytes()].concat();
        // What fails is told by the store: the session then ends in this process only.
        let _ = remote.append(list(ttl), entry, ttl).await;
    }

    fn insert(self: &Arc<Self>, entry: &EndedEntry) {
        let (now, left) = (self.clock.instant(), self.left(entry));
        let mut tokens = self.tokens();
        tokens.remove_ended(now);
        if !left.is_zero() {
            tokens.insert(entry.token, (), later(now, left), 0);
            self.is_used.store(true, Ordering::Release);
            purge_later(self);
        }
    }

    /// Takes over from time to time what others have ended, for as long as the client is there.
    pub(crate) fn follow(self: &Arc<Self>, remote: Remote) {
        let this = Arc::downgrade(self);
        spawn(async move {
            let mut marks = [0; LISTS.len()];
            while let Some(this) = this.upgrade() {
                for (ttl, mark) in LISTS.iter().zip(&mut marks) {
                    // What fails is told by the store, and asked for the next time.
                    if let Ok((entries, next)) = remote.since(list(*ttl), *mark).await {
                        *mark = next;
                        for entry in entries.iter().filter_map(|entry| EndedEntry::read(entry)) {
                            this.insert(&entry);
                        }
                    }
                }
                drop(this);
                tokio::time::sleep(POLL).await;
            }
        });
    }
}

/// A session that has ended.
#[derive(Debug)]
pub(crate) struct EndedEntry {
    token: TokenHash,
    /// In seconds since the epoch.
    expires_at: u64,
}

impl EndedEntry {
    fn read(entry: &[u8]) -> Option<Self> {
        let (token, rest) = entry.split_first_chunk()?;
        let (expires_at, _) = rest.split_first_chunk()?;
        Some(Self {
            token: *token,
            expires_at: u64::from_be_bytes(*expires_at),
        })
    }
}

/// Of what is signed, without the signature: one of ECDSA has a twin that is as good.
fn hash_signed(token: &str) -> TokenHash {
    hash(token.rsplit_once('.').map_or(token, |(signed, _)| signed))
}

fn list(ttl: Duration) -> TokenHash {
    hash_parts([&b"ended sessions"[..], &ttl.as_secs().to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_token_is_known_by_what_is_signed() {
        let clock = Arc::new(ManualClock::new());
        let ended = EndedSessions::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let later = clock.now() + Duration::from_secs(600);
        ended.add("head.body.signature", later);
        assert!(ended.contains("head.body.signature") && ended.contains("head.body.twin"));
        assert!(!ended.contains("head.other.signature"));
        clock.advance(Duration::from_secs(600) + LEEWAY);
        assert!(!ended.contains("head.body.signature"));
    }

    #[test]
    fn what_others_have_added_to_the_list_need_not_be_an_entry() {
        for entry in [&b""[..], &[1; 32], &[1; 39]] {
            assert!(EndedEntry::read(entry).is_none());
        }
        let entry = EndedEntry::read(&[1; 40]).unwrap();
        assert_eq!(entry.token, [1; 32]);
    }
}

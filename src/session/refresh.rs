//! One refresh per token at a time.
//!
//! Where refresh tokens rotate, presenting one that was superseded makes the service invalidate the
//! whole family, so a token must not be presented twice. Requests of one user come in bunches: within
//! a process the first refresh is the only one, the others wait for it, and those that come late with
//! the old token get the same new tokens. Between processes nothing is shared.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::access::RefreshClaims;
use super::sessions::Refreshed;
use super::tokens::TokenResponse;
use super::verified::TokenHash;
use crate::client::Client;
use crate::error::Error;

/// How long the outcome is kept where the refresh token stays the same, and how long after the new one
/// was seen where it was replaced.
const SAME_TOKEN: Duration = Duration::from_secs(10);
/// How long new tokens are kept for those who come late with a token that was replaced: until the new
/// one is seen, but no longer than this.
const ROTATED: Duration = Duration::from_secs(5 * 60);
/// How long new tokens are kept that could not be checked: they are the only ones the user has, if the
/// old one was replaced.
const UNCHECKED: Duration = Duration::from_secs(10 * 60);
/// How long a refusal is kept: the cookie of a session that has ended comes with each request, and the
/// service would be asked each time.
const REFUSED: Duration = Duration::from_secs(30);
/// What all outcomes may take up together; those that end first go first.
const MAX_BYTES: usize = 32 * 1024 * 1024;

/// What comes of a refresh; `None` if the service had nothing to refresh and was asked not to mind.
pub(super) type Outcome = Result<Option<Refreshed>, Error>;

/// The refreshes of one client.
#[derive(Debug, Default)]
pub(crate) struct Refreshes(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<TokenHash, Entry>,
    /// The cached entries by the end of their time.
    ends: BTreeSet<(Instant, TokenHash)>,
    /// From a new refresh token to the one that it replaced.
    replaced: HashMap<TokenHash, TokenHash>,
    by_user: HashMap<Box<str>, Vec<TokenHash>>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    owner: Owner,
    state: State,
}

#[derive(Debug)]
enum State {
    InFlight {
        outcome: watch::Receiver<Option<Outcome>>,
        /// The session was ended or changed meanwhile, so that what comes must not be kept.
        stale: bool,
    },
    Cached {
        outcome: CachedOutcome,
        end: Instant,
        bytes: usize,
    },
}

/// Whose refresh token it is: the user, and of which sign-in where the token says so (`fti`).
#[derive(Clone, Debug)]
struct Owner {
    user: Box<str>,
    family: Option<Box<str>>,
}

impl Owner {
    fn of(claims: &RefreshClaims) -> Self {
        Self {
            user: claims.user_id().into(),
            family: claims.family_id().map(Into::into),
        }
    }

    /// Whether both can be the same sign-in: where one does not say, the user alone decides.
    fn may_be(&self, other: &Self) -> bool {
        let families = self.family.as_ref().zip(other.family.as_ref());
        self.user == other.user && families.is_none_or(|(one, other)| one == other)
    }
}

/// What is kept of a refresh.
#[derive(Clone, Debug)]
pub(super) enum CachedOutcome {
    Refreshed(Box<Refreshed>),
    Unchecked(Box<TokenResponse>),
    /// The service refused the token itself, which no repeat will change.
    Refused(Error),
}

impl CachedOutcome {
    /// About so many bytes of memory: the texts, and the claims that were read from them.
    fn bytes(&self) -> usize {
        const OVERHEAD: usize = 1024;
        OVERHEAD
            + match self {
                Self::Refreshed(new) => {
                    4 * new.session_token.expose_secret().len()
                        + new.refresh_token.expose_secret().len()
                }
                Self::Unchecked(response) => response.bytes(),
                Self::Refused(_) => 0,
            }
    }
}

/// How a caller's refresh goes on.
pub(super) enum Turn {
    /// It was made a moment ago.
    Cached(Box<Outcome>),
    /// Someone is making it: wait for the outcome.
    InFlight(watch::Receiver<Option<Outcome>>),
    /// The caller is to make it, from what the service has answered already if it has.
    Start(
        Flight,
        Option<Box<TokenResponse>>,
        watch::Receiver<Option<Outcome>>,
    ),
}

/// Which of the kept outcomes to forget.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Forget {
    /// Those of the sign-in that the token belongs to.
    Session,
    /// Those of all sign-ins of its user.
    User,
}

impl Refreshes {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The outcome that is there or on its way, else the right to make the refresh.
    pub(super) fn join_or_start(client: &Client, hash: TokenHash, claims: &RefreshClaims) -> Turn {
        let clock = &client.settings().clock;
        let now = clock.instant();
        let mut table = client.refreshes().table();
        table.drop_past(now);
        // Whoever presents a new token has no use for the old one any more.
        if let Some(old) = table.replaced.get(&hash).copied() {
            table.remove(&old);
        }
        let unchecked = match table.entries.get(&hash).map(|entry| &entry.state) {
            Some(State::InFlight { outcome, .. }) => return Turn::InFlight(outcome.clone()),
            Some(State::Cached { outcome, .. }) => match outcome {
                CachedOutcome::Refreshed(new)
                    if new.session.expires_at() > client.validator().now() =>
                {
                    return Turn::Cached(Box::new(Ok(Some((**new).clone()))));
                }
                CachedOutcome::Refreshed(_) => None,
                CachedOutcome::Refused(error) => return Turn::Cached(Box::new(Err(error.clone()))),
                CachedOutcome::Unchecked(response) => Some(response.clone()),
            },
            None => None,
        };
        let (sender, receiver) = watch::channel(None);
        table.remove(&hash);
        let state = State::InFlight {
            outcome: receiver.clone(),
            stale: false,
        };
        table.insert(hash, Owner::of(claims), state);
        let flight = Flight {
            client: client.clone(),
            hash,
            sender,
            completed: false,
        };
        Turn::Start(flight, unchecked, receiver)
    }

    /// Notes that a refresh token came along with a session that is good still. If it is a new one,
    /// its browser has it, and the old one need not be answered for much longer.
    pub(super) fn note_seen(&self, now: Instant, hash: impl FnOnce() -> TokenHash) {
        let mut table = self.table();
        if table.replaced.is_empty() {
            return;
        }
        let Some(old) = table.replaced.get(&hash()).copied() else {
            return;
        };
        let Some(soon) = now.checked_add(SAME_TOKEN) else {
            return;
        };
        if let Some(Entry {
            state: State::Cached { end, .. },
            ..
        }) = table.entries.get_mut(&old)
            && *end > soon
        {
            let before = std::mem::replace(end, soon);
            table.ends.remove(&(before, old));
            table.ends.insert((soon, old));
        }
    }

    /// Forgets what is kept for the owner of a token. `claims` are the token's, if they could be had
    /// without waiting; without them the owner is known from the refresh that gave the token.
    pub(super) fn forget(&self, hash: TokenHash, claims: Option<&RefreshClaims>, what: Forget) {
        let mut table = self.table();
        let known = table.replaced.get(&hash).unwrap_or(&hash);
        let known = table.entries.get(known).map(|entry| entry.owner.clone());
        let Some(owner) = claims.map(Owner::of).or(known) else {
            return;
        };
        let Some(hashes) = table.by_user.get(&owner.user).cloned() else {
            return;
        };
        for hash in hashes {
            let Some(entry) = table.entries.get_mut(&hash) else {
                continue;
            };
            if what == Forget::Session && !entry.owner.may_be(&owner) {
                continue;
            }
            match &mut entry.state {
                State::InFlight { stale, .. } => *stale = true,
                // It holds no token.
                State::Cached {
                    outcome: CachedOutcome::Refused(_),
                    ..
                } => {}
                State::Cached { .. } => table.remove(&hash),
            }
        }
    }
}

impl Table {
    fn insert(&mut self, hash: TokenHash, owner: Owner, state: State) {
        if let State::Cached {
            outcome,
            end,
            bytes,
        } = &state
        {
            self.ends.insert((*end, hash));
            self.bytes += bytes;
            if let CachedOutcome::Refreshed(new) = outcome
                && new.rotated
            {
                let new = super::verified::hash(new.refresh_token.expose_secret());
                self.replaced.insert(new, hash);
            }
        }
        self.by_user
            .entry(owner.user.clone())
            .or_default()
            .push(hash);
        self.entries.insert(hash, Entry { owner, state });
    }

    fn remove(&mut self, hash: &TokenHash) {
        let Some(entry) = self.entries.remove(hash) else {
            return;
        };
        if let Some(hashes) = self.by_user.get_mut(&entry.owner.user) {
            hashes.retain(|other| other != hash);
            if hashes.is_empty() {
                self.by_user.remove(&entry.owner.user);
            }
        }
        if let State::Cached {
            outcome,
            end,
            bytes,
        } = entry.state
        {
            self.ends.remove(&(end, *hash));
            self.bytes -= bytes;
            if let CachedOutcome::Refreshed(new) = outcome {
                let new = super::verified::hash(new.refresh_token.expose_secret());
                if self.replaced.get(&new) == Some(hash) {
                    self.replaced.remove(&new);
                }
            }
        }
    }

    fn drop_past(&mut self, now: Instant) {
        while let Some((end, hash)) = self.ends.first().copied()
            && (end <= now || self.bytes > MAX_BYTES)
        {
            self.remove(&hash);
        }
    }
}

/// A refresh in flight. However it ends, those who wait are woken.
pub(super) struct Flight {
    client: Client,
    hash: TokenHash,
    sender: watch::Sender<Option<Outcome>>,
    completed: bool,
}

impl Flight {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Tells everyone who waits, and keeps what those who come later are to get.
    pub(super) fn complete(mut self, outcome: Outcome, kept: Option<CachedOutcome>) {
        let now = self.client.settings().clock.instant();
        let time = match &kept {
            Some(CachedOutcome::Unchecked(_)) => UNCHECKED,
            Some(CachedOutcome::Refused(_)) => REFUSED,
            Some(CachedOutcome::Refreshed(new)) => {
                let left = new
                    .session
                    .expires_at()
                    .duration_since(self.client.validator().now())
                    .unwrap_or_default();
                left.min(if new.rotated { ROTATED } else { SAME_TOKEN })
            }
            None => Duration::ZERO,
        };
        let end = now.checked_add(time).unwrap_or(now);
        let mut table = self.client.refreshes().table();
        let entry = table.entries.get(&self.hash);
        let owner = entry.and_then(|entry| match &entry.state {
            State::InFlight { stale: true, .. } => None,
            _ => Some(entry.owner.clone()),
        });
        table.remove(&self.hash);
        if let (Some(outcome), Some(owner)) = (kept, owner) {
            let bytes = outcome.bytes();
            let state = State::Cached {
                outcome,
                end,
                bytes,
            };
            table.insert(self.hash, owner, state);
        }
        table.drop_past(now);
        drop(table);
        self.completed = true;
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.completed {
            self.client.refreshes().table().remove(&self.hash);
        }
    }
}

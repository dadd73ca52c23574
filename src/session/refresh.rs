//! One refresh per token at a time.
//!
//! Where refresh tokens rotate, two refreshes of one token are a race: the second presents a token
//! that the first has used up, and is refused. Requests of one user come in bunches, so within a
//! process the first refresh is the only one: the others wait for it, and those that come a moment
//! later get the same new tokens. Between processes nothing is shared.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::sessions::{Issued, Refreshed};
use super::verified::TokenHash;
use crate::client::Client;
use crate::error::Error;

/// How long new tokens are kept for those who come with the old one.
const KEPT: Duration = Duration::from_secs(10);
/// How long new tokens are kept that could not be checked, for want of keys: they are the only ones
/// the user has, if the old one was used up.
const KEPT_UNCHECKED: Duration = Duration::from_secs(600);
/// How long a refusal is kept: the cookie of a session that has ended comes with each request, and the
/// service would be asked each time.
const KEPT_REFUSED: Duration = Duration::from_secs(30);
const MOST_KEPT: usize = 10_000;

/// What comes of a refresh; `None` if the service had nothing to refresh and was asked not to mind.
pub(super) type Outcome = Result<Option<Refreshed>, Error>;

/// The refreshes of one client.
#[derive(Debug, Default)]
pub(crate) struct Refreshes(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<TokenHash, Entry>,
    /// The kept entries by the end of their time.
    ends: BTreeSet<(Instant, TokenHash)>,
}

#[derive(Debug)]
enum Entry {
    UnderWay {
        outcome: watch::Receiver<Option<Outcome>>,
        /// The session was ended meanwhile, so that what comes must not be kept.
        ended: bool,
    },
    Kept {
        kept: Kept,
        end: Instant,
    },
}

/// What is kept of a refresh.
#[derive(Clone, Debug)]
pub(super) enum Kept {
    Checked(Box<Refreshed>),
    Unchecked(Box<Issued>),
    /// The service refused the token itself, which no repeat will change.
    Refused(Error),
}

/// How a caller's refresh goes on.
pub(super) enum Turn {
    /// It was made a moment ago.
    Done(Box<Outcome>),
    /// Someone is making it: wait for the outcome.
    Wait(watch::Receiver<Option<Outcome>>),
    /// The caller's turn: run the flight, from what the service has answered already if it has.
    Fly(
        Flight,
        Option<Box<Issued>>,
        watch::Receiver<Option<Outcome>>,
    ),
}

impl Refreshes {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a turn at the refresh of a token.
    pub(super) fn take_turn(client: &Client, hash: TokenHash) -> Turn {
        let now = client.settings().clock.instant();
        let mut table = client.refreshes().table();
        table.drop_past(now);
        let stored = match table.entries.get(&hash) {
            Some(Entry::UnderWay { outcome, .. }) => return Turn::Wait(outcome.clone()),
            Some(Entry::Kept { kept, .. }) => match kept {
                Kept::Checked(refreshed) => {
                    return Turn::Done(Box::new(Ok(Some((**refreshed).clone()))));
                }
                Kept::Refused(error) => return Turn::Done(Box::new(Err(error.clone()))),
                Kept::Unchecked(issued) => Some(issued.clone()),
            },
            None => None,
        };
        let (sender, receiver) = watch::channel(None);
        table.remove(&hash);
        let under_way = Entry::UnderWay {
            outcome: receiver.clone(),
            ended: false,
        };
        table.entries.insert(hash, under_way);
        let flight = Flight {
            client: client.clone(),
            hash,
            sender,
            landed: false,
        };
        Turn::Fly(flight, stored, receiver)
    }

    /// Forgets what is kept for sessions that have ended: told by the old token, and by the new
    /// ones if they were checked.
    pub(super) fn forget(&self, has_ended: impl Fn(&TokenHash, Option<&Refreshed>) -> bool) {
        let mut table = self.table();
        for (hash, entry) in &mut table.entries {
            if let Entry::UnderWay { ended, .. } = entry {
                *ended |= has_ended(hash, None);
            }
        }
        let ended: Vec<TokenHash> = table
            .entries
            .iter()
            .filter(|(hash, entry)| match entry {
                Entry::UnderWay { .. } => false,
                Entry::Kept { kept, .. } => match kept {
                    Kept::Checked(refreshed) => has_ended(hash, Some(refreshed)),
                    Kept::Unchecked(_) => has_ended(hash, None),
                    // It holds no token.
                    Kept::Refused(_) => false,
                },
            })
            .map(|(hash, _)| *hash)
            .collect();
        for hash in ended {
            table.remove(&hash);
        }
    }
}

impl Table {
    fn remove(&mut self, hash: &TokenHash) {
        if let Some(Entry::Kept { end, .. }) = self.entries.remove(hash) {
            self.ends.remove(&(end, *hash));
        }
    }

    fn drop_past(&mut self, now: Instant) {
        while let Some((end, hash)) = self.ends.first().copied()
            && (end <= now || self.ends.len() > MOST_KEPT)
        {
            self.remove(&hash);
        }
    }
}

/// A refresh under way. However it ends, those who wait are woken.
pub(super) struct Flight {
    client: Client,
    hash: TokenHash,
    sender: watch::Sender<Option<Outcome>>,
    landed: bool,
}

impl Flight {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Tells everyone who waits, and keeps what those who come later are to get.
    pub(super) fn land(mut self, outcome: Outcome, kept: Option<Kept>) {
        let now = self.client.settings().clock.instant();
        let time = match &kept {
            Some(Kept::Unchecked(_)) => KEPT_UNCHECKED,
            Some(Kept::Refused(_)) => KEPT_REFUSED,
            _ => KEPT,
        };
        let end = now.checked_add(time).unwrap_or(now);
        let mut table = self.client.refreshes().table();
        let ended = matches!(
            table.entries.get(&self.hash),
            Some(Entry::UnderWay { ended: true, .. })
        );
        table.remove(&self.hash);
        if let Some(kept) = kept.filter(|_| !ended) {
            table.entries.insert(self.hash, Entry::Kept { kept, end });
            table.ends.insert((end, self.hash));
        }
        table.drop_past(now);
        drop(table);
        self.landed = true;
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.client.refreshes().table().remove(&self.hash);
        }
    }
}

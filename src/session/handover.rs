//! Answers that may be had once: a link is good for one use, and choosing a tenant may replace the
//! refresh token.
//!
//! The call is made in a task of its own, so that it ends well though its caller goes away: browsers
//! abort the first of two clicks, and servers then drop the handler. What reached nobody is kept for a
//! while, for the next call with the same token. What was delivered is not given again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::access::RefreshClaims;
use super::error::SessionError;
use super::tokens::{CheckedTokens, TokenResponse};
use super::verified::TokenHash;
use crate::client::Client;
use crate::error::{ConfigError, Result};
use crate::secret::RefreshToken;

/// How long an answer is kept whose caller has gone away.
const ABANDONED: Duration = Duration::from_secs(60);
/// How long an answer is kept that could not be checked yet.
const UNCHECKED: Duration = Duration::from_secs(10 * 60);
/// What all answers may take up together; those that end first go first.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The answers of one client.
#[derive(Debug, Default)]
pub(crate) struct Handovers(Mutex<HashMap<TokenHash, Slot>>);

#[derive(Debug)]
enum Slot {
    /// Tells of an error; a success is in the slot by then.
    InFlight(watch::Receiver<Option<Result<()>>>),
    Ready(Arc<TokenResponse>, Instant),
}

impl Handovers {
    fn slots(&self) -> MutexGuard<'_, HashMap<TokenHash, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer for a token: one that nobody has had yet, or that of `call`.
    pub(crate) async fn obtain<F>(
        client: &Client,
        hash: TokenHash,
        call: impl Fn(Client) -> F,
    ) -> Result<Handover>
    where
        F: Future<Output = Result<TokenResponse>> + Send + 'static,
    {
        loop {
            let mut done = {
                let now = client.settings().clock.instant();
                let mut slots = client.handovers().slots();
                drop_past(&mut slots, now);
                match slots.remove(&hash) {
                    Some(Slot::Ready(response, end)) => {
                        let (sender, done) = watch::channel(None);
                        slots.insert(hash, Slot::InFlight(done));
                        return Ok(Handover {
                            client: client.clone(),
                            hash,
                            end,
                            response,
                            spent: false,
                            sender,
                        });
                    }
                    Some(Slot::InFlight(done)) => {
                        slots.insert(hash, Slot::InFlight(done.clone()));
                        done
                    }
                    None => {
                        let runtime = Handle::try_current().map_err(|_| ConfigError::NoRuntime)?;
                        let (sender, done) = watch::channel(None);
                        slots.insert(hash, Slot::InFlight(done.clone()));
                        let flight = Flight {
                            client: client.clone(),
                            hash,
                            sender,
                        };
                        // A runtime that is shutting down drops the task at once, and with it the
                        // flight, which takes the lock.
                        drop(slots);
                        runtime.spawn(flight.run(call(client.clone())));
                        done
                    }
                }
            };
            match done.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(Err(error))) => return Err(error.clone()),
                // Whoever waits as well may have been faster; then the service decides.
                Ok(_) => {}
                // The task was dropped with its runtime.
                Err(_) => return Err(ConfigError::NoRuntime.into()),
            }
        }
    }
}

fn drop_past(slots: &mut HashMap<TokenHash, Slot>, now: Instant) {
    slots.retain(|_, slot| !matches!(slot, Slot::Ready(_, end) if *end <= now));
    let ready = slots.iter().filter_map(|(hash, slot)| match slot {
        Slot::Ready(response, end) => Some((*end, *hash, response.bytes())),
        Slot::InFlight(_) => None,
    });
    let mut ready: Vec<_> = ready.collect();
    ready.sort_unstable();
    let mut total = 0;
    for (_, hash, bytes) in ready.into_iter().rev() {
        total += bytes;
        if total > MAX_BYTES {
            slots.remove(&hash);
        }
    }
}

/// A call in flight. However it ends, those who wait are woken.
struct Flight {
    client: Client,
    hash: TokenHash,
    sender: watch::Sender<Option<Result<()>>>,
}

impl Flight {
    async fn run(self, call: impl Future<Output = Result<TokenResponse>>) {
        let outcome = call.await.map(|response| {
            let end = end_of(&self.client, &response, ABANDONED);
            let slot = Slot::Ready(Arc::new(response), end);
            self.client.handovers().slots().insert(self.hash, slot);
        });
        if outcome.is_err() {
            self.client.handovers().slots().remove(&self.hash);
        }
        self.sender.send_replace(Some(outcome));
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        // Without an outcome, the task was dropped with its runtime.
        if self.sender.borrow().is_none() {
            self.client.handovers().slots().remove(&self.hash);
        }
    }
}

/// When an answer is forgotten, counted from its arrival.
fn end_of(client: &Client, response: &TokenResponse, kept: Duration) -> Instant {
    let end = response.received.checked_add(kept);
    end.unwrap_or_else(|| client.settings().clock.instant())
}

/// An answer on its way to the caller. Dropped before it was delivered, it goes back into its slot.
pub(crate) struct Handover {
    client: Client,
    hash: TokenHash,
    end: Instant,
    response: Arc<TokenResponse>,
    /// Delivered, or of no use to anyone.
    spent: bool,
    sender: watch::Sender<Option<Result<()>>>,
}

impl Handover {
    /// Checks the tokens, and gives the answer away with what was found.
    ///
    /// # Errors
    ///
    /// When the tokens are bad or could not be checked. In the latter case the answer is kept for
    /// another try.
    pub(crate) async fn check(
        mut self,
        old: Option<(&RefreshToken, &RefreshClaims)>,
        until: tokio::time::Instant,
    ) -> Result<(Arc<TokenResponse>, CheckedTokens)> {
        match self.response.check(&self.client, old, until).await {
            Ok(tokens) => Ok((self.deliver(), tokens)),
            Err(error) => {
                self.end = end_of(&self.client, &self.response, UNCHECKED);
                self.spent = !matches!(error, SessionError::Unavailable(_));
                Err(error.into())
            }
        }
    }

    /// Gives the answer away as it came.
    pub(crate) fn deliver(mut self) -> Arc<TokenResponse> {
        self.spent = true;
        Arc::clone(&self.response)
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let mut slots = self.client.handovers().slots();
        if self.spent {
            slots.remove(&self.hash);
        } else {
            let slot = Slot::Ready(Arc::clone(&self.response), self.end);
            slots.insert(self.hash, slot);
        }
        drop(slots);
        self.sender.send_replace(Some(Ok(())));
    }
}

//! Responses that may be had once: a link is good for one use, and choosing a tenant may replace the
//! refresh token.
//!
//! The call is in flight on its own, so that it ends well though its caller goes away: browsers abort
//! the first of two clicks, and servers then drop the handler. What reached nobody is kept for a while,
//! for the next call with the same token. What was delivered is not given again.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::session::{RefreshClaims, Session};
use super::tokens::{TokenResponse, Tokens};
use super::validator::SessionValidator;
use crate::clock::later;
use crate::error::{Result, SessionError};
use crate::secret::RefreshToken;
use crate::sync::bounded_map::BoundedMap;
use crate::sync::hash::TokenHash;
use crate::sync::purge::{Purge, purge_later};
use crate::sync::single_flight::InFlight;
use crate::transport::deadline::Deadline;

/// How long a response is kept whose caller has gone away.
const ABANDONED: Duration = Duration::from_secs(60);
/// How long a response is kept that could not be checked yet.
const UNCHECKED: Duration = Duration::from_secs(10 * 60);
/// What all responses may take up together.
const MAX_BYTES: usize = 8 << 20;

/// The responses of one client.
#[derive(Debug)]
pub(crate) struct Handovers {
    validator: SessionValidator,
    table: Mutex<Table>,
    is_purging: AtomicBool,
}

impl Purge for Handovers {
    fn is_purging(&self) -> &AtomicBool {
        &self.is_purging
    }

    fn purge(&self) -> bool {
        let mut table = self.table();
        table.ready.remove_ended(self.validator.clock().instant());
        !table.ready.is_empty()
    }
}

#[derive(Debug)]
struct Table {
    /// On its way, or being looked at. Tells of an error; a success is ready by then.
    busy: HashMap<TokenHash, InFlight<Result<()>>>,
    ready: BoundedMap<TokenHash, Arc<TokenResponse>>,
}

impl Handovers {
    pub(crate) fn new(validator: SessionValidator) -> Self {
        let table = Table {
            busy: HashMap::new(),
            ready: BoundedMap::new(MAX_BYTES),
        };
        Self {
            validator,
            table: Mutex::new(table),
            is_purging: AtomicBool::new(false),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The response for a token: one that nobody has had yet, or that of `call`.
    pub(crate) async fn obtain<F>(
        self: &Arc<Self>,
        token: TokenHash,
        deadline: Deadline,
        call: impl Fn() -> F,
    ) -> Result<Handover>
    where
        F: Future<Output = Result<TokenResponse>> + Send + 'static,
    {
        loop {
            let busy = match self.take_or_start(token, &call) {
                Ok(handover) => return Ok(handover),
                Err(busy) => busy,
            };
            match busy.wait(deadline.at()).await {
                Ok(Err(error)) => return Err(error),
                // Whoever waits as well may have been faster; then the service decides.
                Ok(Ok(())) => {}
                Err(error) => return Err(deadline.error(error)),
            }
        }
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.table().busy.is_empty()
    }

    fn take_or_start<F>(
        self: &Arc<Self>,
        token: TokenHash,
        call: impl Fn() -> F,
    ) -> std::result::Result<Handover, InFlight<Result<()>>>
    where
        F: Future<Output = Result<TokenResponse>> + Send + 'static,
    {
        let mut table = self.table();
        table.ready.remove_ended(self.validator.clock().instant());
        if let Some(busy) = table.busy.get(&token)
            && !busy.is_lost()
        {
            return Err(busy.clone());
        }
        if let Some((response, end)) = table.ready.remove(&token) {
            let (sender, busy) = InFlight::new();
            table.busy.insert(token, busy);
            return Ok(Handover {
                handovers: Arc::clone(self),
                token,
                response,
                end,
                is_spent: false,
                sender,
            });
        }
        let busy = InFlight::start({
            let (this, call) = (Arc::clone(self), call());
            async move {
                let outcome = call.await;
                this.complete(token, outcome)
            }
        });
        table.busy.insert(token, busy.clone());
        Err(busy)
    }

    fn complete(self: &Arc<Self>, token: TokenHash, outcome: Result<TokenResponse>) -> Result<()> {
        let mut table = self.table();
        table.busy.remove(&token);
        let response = Arc::new(outcome?);
        let end = end_of(&response, ABANDONED);
        self.keep(&mut table, token, response, end);
        Ok(())
    }

    fn keep(
        self: &Arc<Self>,
        table: &mut Table,
        token: TokenHash,
        response: Arc<TokenResponse>,
        end: Instant,
    ) {
        let bytes = response.bytes();
        table.ready.insert(token, response, end, bytes);
        purge_later(self);
    }
}

/// When a response is forgotten, counted from its arrival.
fn end_of(response: &TokenResponse, kept: Duration) -> Instant {
    later(response.received, kept)
}

/// A response on its way to the caller. Dropped before it was delivered, it is kept.
pub(crate) struct Handover {
    handovers: Arc<Handovers>,
    token: TokenHash,
    response: Arc<TokenResponse>,
    end: Instant,
    /// Delivered, or of no use to anyone.
    is_spent: bool,
    sender: watch::Sender<Option<Result<()>>>,
}

impl Handover {
    /// Checks the tokens, and gives the response away with what was found.
    ///
    /// # Errors
    ///
    /// When the tokens are bad or could not be checked. In the latter case the response is kept for
    /// another try.
    pub(crate) async fn check(
        mut self,
        old: Option<(&RefreshToken, &RefreshClaims)>,
        deadline: Deadline,
    ) -> Result<(Arc<TokenResponse>, (Session, Tokens))> {
        let validator = &self.handovers.validator;
        match self.response.check(validator, old, deadline).await {
            Ok(tokens) => Ok((self.deliver(), tokens)),
            Err(error) => {
                self.end = end_of(&self.response, UNCHECKED);
                self.is_spent = !matches!(error, SessionError::Unavailable(_));
                Err(error.into())
            }
        }
    }

    /// Gives the response away as it came.
    pub(crate) fn deliver(mut self) -> Arc<TokenResponse> {
        self.is_spent = true;
        Arc::clone(&self.response)
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        let mut table = self.handovers.table();
        table.busy.remove(&self.token);
        if !self.is_spent {
            let response = Arc::clone(&self.response);
            self.handovers
                .keep(&mut table, self.token, response, self.end);
        }
        drop(table);
        self.sender.send_replace(Some(Ok(())));
    }
}

#[cfg(test)]
mod tests {
    use super::super::refreshes::tests::RESPONSE;
    use super::*;
    use crate::clock::{Clock as _, ManualClock};
    use crate::sync::purge::tests::assert_keeps_its_flag;

    #[test]
    fn nothing_is_left_of_what_has_ended_though_nobody_comes() {
        let clock = Arc::new(ManualClock::new());
        let builder = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z");
        let validator = builder.clock(Arc::clone(&clock)).build().unwrap();
        let handovers = Arc::new(Handovers::new(validator));
        assert_keeps_its_flag(&*handovers);
        let response = TokenResponse::from_bytes(RESPONSE, clock.instant()).unwrap();
        handovers.complete([0; 32], Ok(response)).unwrap();
        clock.advance(ABANDONED - Duration::from_secs(1));
        assert!(handovers.purge());
        clock.advance(Duration::from_secs(1));
        assert!(!handovers.purge());
    }
}

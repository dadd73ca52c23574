//! One refresh per token at a time.
//!
//! Where refresh tokens rotate, presenting one that was superseded makes the service invalidate the
//! whole family, so a token must not be presented twice. Requests of one user come in bunches: within
//! a process the first refresh is the only one, the others wait for it, and those that come late with
//! the old token get the same new tokens. Between processes, see `shared_refreshes.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;

use super::session::RefreshClaims;
use super::tokens::{Refreshed, TokenResponse};
use super::validator::SessionValidator;
use crate::clock::later;
use crate::error::{Error, SessionError, TokenProblem};
use crate::sync::bounded_map::BoundedMap;
use crate::sync::hash::{TokenHash, hash};
use crate::sync::purge::{Purge, purge_later};
use crate::sync::single_flight::InFlight;

/// How long the outcome is kept where the refresh token stays the same, and how long after the new one
/// was seen where it was replaced.
pub(crate) const SAME_TOKEN: Duration = Duration::from_secs(10);
/// How long new tokens are kept for those who come late with a token that was replaced: until the new
/// one is seen, but no longer than this.
pub(crate) const ROTATED: Duration = Duration::from_secs(5 * 60);
/// How long new tokens are kept that could not be checked: they are the only ones the user has, if the
/// old one was replaced.
const UNCHECKED: Duration = Duration::from_secs(10 * 60);
/// How long a refusal is kept: the cookie of a session that has ended comes with each request, and the
/// service would be asked each time.
pub(crate) const REFUSED: Duration = Duration::from_secs(30);
/// The longest time that no refresh is sent because the service has asked to wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// What all outcomes may take up together: tokens of some 5,000 users.
const MAX_BYTES: usize = 32 << 20;

/// What comes of a refresh; `None` if the service had nothing to refresh and was asked not to mind.
pub(crate) type Outcome = Result<Option<Refreshed>, Error>;

/// The refreshes of one client.
#[derive(Debug)]
pub(crate) struct Refreshes {
    validator: SessionValidator,
    table: Mutex<Table>,
    /// Whether the last refresh has left its token as it was.
    is_static: AtomicBool,
    is_purging: AtomicBool,
}

impl Purge for Refreshes {
    fn is_purging(&self) -> &AtomicBool {
        &self.is_purging
    }

    fn purge(&self) -> bool {
        let mut table = self.table();
        table.remove_ended(self.now());
        !table.cached.is_empty()
    }
}

#[derive(Debug)]
struct Table {
    in_flight: HashMap<TokenHash, PendingRefresh>,
    cached: BoundedMap<TokenHash, Cached>,
    /// From a new refresh token to the one that it replaced.
    replaced: HashMap<TokenHash, TokenHash>,
    by_user: HashMap<Box<str>, Vec<TokenHash>>,
    cooldown: Option<Cooldown>,
}

/// The service has asked to come again later, whoever's token it was.
#[derive(Debug)]
struct Cooldown {
    until: Instant,
    /// When the service would like the next call, which may be later.
    requested: Instant,
    error: Error,
}

#[derive(Debug)]
struct PendingRefresh {
    owner: Arc<Owner>,
    began: Instant,
    outcome: InFlight<Outcome>,
    /// The session was ended or changed meanwhile, so that what comes must not be kept.
    stale: bool,
}

#[derive(Debug)]
struct Cached {
    owner: Arc<Owner>,
    outcome: CachedOutcome,
    began: Instant,
}

/// What is kept of a refresh.
#[derive(Debug)]
pub(crate) enum CachedOutcome {
    Refreshed(Box<Refreshed>),
    Unchecked(Arc<TokenResponse>),
    /// The service refused the token itself, which no repeat will change.
    Refused(Error),
}

impl CachedOutcome {
    /// What stays of it when its session was ended or changed: a token that was replaced is not presented again,
    /// which would end a session that was changed only.
    fn spent(&self) -> Option<Self> {
        let is_replaced = matches!(self, Self::Refreshed(new) if new.tokens.rotated);
        is_replaced.then(|| Self::Refused(SessionError::Token(TokenProblem::SessionEnded).into()))
    }
}

/// Whose refresh token it is: the user, and of which sign-in where the token says so (`fti`).
#[derive(Debug, PartialEq, Eq)]
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

/// How a caller's refresh goes on.
pub(crate) enum RefreshState {
    /// It was made a moment ago, and began so long ago.
    Cached(Box<Outcome>, Duration),
    /// It is on its way.
    InFlight(InFlight<Outcome>),
}

/// Which of the kept outcomes to forget.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forget {
    /// Those of the sign-in that the token belongs to.
    Session,
    /// Those of all sign-ins of its user.
    User,
}

impl Refreshes {
    pub(crate) fn new(validator: SessionValidator) -> Self {
        let table = Table {
            in_flight: HashMap::new(),
            cached: BoundedMap::new(MAX_BYTES),
            replaced: HashMap::new(),
            by_user: HashMap::new(),
            cooldown: None,
        };
        Self {
            validator,
            table: Mutex::new(table),
            is_static: AtomicBool::new(false),
            is_purging: AtomicBool::new(false),
        }
    }

    /// Whether refresh tokens are known not to rotate, so that to present one twice costs nothing.
    pub(crate) fn is_static(&self) -> bool {
        self.is_static.load(Ordering::Relaxed)
    }

    pub(crate) fn record_rotation(&self, rotated: bool) {
        self.is_static.store(!rotated, Ordering::Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_busy(&self) -> bool {
        !self.table().in_flight.is_empty()
    }

    fn now(&self) -> Instant {
        self.validator.clock().instant()
    }

    /// The outcome that is there or on its way, else that of `work`. It gets the response that
    /// has come already, if one has.
    pub(crate) fn join_or_start<F>(
        self: &Arc<Self>,
        token: TokenHash,
        claims: &RefreshClaims,
        work: impl FnOnce(Option<Arc<TokenResponse>>) -> F,
    ) -> RefreshState
    where
        F: Future<Output = (Outcome, Option<CachedOutcome>)> + Send + 'static,
    {
        let now = self.now();
        let mut table = self.table();
        table.remove_ended(now);
        // Whoever presents a new token has no use for the old one any more.
        if let Some(old) = table.replaced.get(&token).copied() {
            table.spend(&old);
        }
        if let Some(pending) = table.in_flight.get(&token)
            && !pending.outcome.is_lost()
        {
            return RefreshState::InFlight(pending.outcome.clone());
        }
        let mut unchecked = None;
        if let Some(cached) = table.cached.get(&token, now) {
            let age = now.saturating_duration_since(cached.began);
            match &cached.outcome {
                CachedOutcome::Refreshed(new)
                    if new.session.expires_at() > self.validator.now() =>
                {
                    let outcome = Ok(Some((**new).clone()));
                    return RefreshState::Cached(Box::new(outcome), age);
                }
                CachedOutcome::Refused(error) => {
                    return RefreshState::Cached(Box::new(Err(error.clone())), age);
                }
                CachedOutcome::Unchecked(response) => unchecked = Some(Arc::clone(response)),
                CachedOutcome::Refreshed(_) => {}
            }
        }
        if unchecked.is_none()
            && let Some(error) = table.cooldown_error(now)
        {
            return RefreshState::Cached(Box::new(Err(error)), Duration::ZERO);
        }
        table.forget(&token);
        let owner = Arc::new(Owner::of(claims));
        let in_flight = InFlight::start({
            let (this, owner, work) = (Arc::clone(self), Arc::clone(&owner), work(unchecked));
            async move {
                let (outcome, cached) = work.await;
                if let Err(error) = &outcome {
                    this.start_cooldown(error);
                }
                this.complete(token, &owner, cached);
                outcome
            }
        });
        table.index(token, &owner);
        let pending = PendingRefresh {
            owner,
            began: now,
            outcome: in_flight.clone(),
            stale: false,
        };
        table.in_flight.insert(token, pending);
        RefreshState::InFlight(in_flight)
    }

    /// Keeps what those who come later are to get, unless the session was ended or changed meanwhile.
    fn complete(
        self: &Arc<Self>,
        token: TokenHash,
        owner: &Arc<Owner>,
        outcome: Option<CachedOutcome>,
    ) {
        let now = self.now();
        let (time, bytes) = match &outcome {
            Some(CachedOutcome::Unchecked(response)) => (UNCHECKED, response.bytes()),
            Some(CachedOutcome::Refused(_)) => (REFUSED, 0),
            Some(CachedOutcome::Refreshed(new)) => {
                log_refreshed(new.session.user_id());
                let left = new
                    .session
                    .expires_at()
                    .duration_since(self.validator.now());
                let tokens = &new.tokens;
                let longest = if tokens.rotated { ROTATED } else { SAME_TOKEN };
                // The text, and the claims that were read from it.
                let refresh = tokens
                    .refresh
                    .as_ref()
                    .map_or(0, |token| token.expose_secret().len());
                let bytes = 4 * tokens.session.expose_secret().len() + refresh;
                (left.unwrap_or_default().min(longest), bytes)
            }
            None => (Duration::ZERO, 0),
        };
        let end = later(now, time);
        let mut table = self.table();
        let pending = table.in_flight.remove(&token);
        table.forget(&token);
        let (began, stale) = pending.map_or((now, true), |pending| (pending.began, pending.stale));
        let outcome = match outcome {
            Some(outcome) if stale => outcome.spent(),
            outcome => outcome,
        };
        if let Some(outcome) = outcome {
            purge_later(self);
            if let CachedOutcome::Refreshed(new) = &outcome
                && new.tokens.rotated
                && let Some(new) = &new.tokens.refresh
            {
                table.replaced.insert(hash(new.expose_secret()), token);
            }
            table.index(token, owner);
            let owner = Arc::clone(owner);
            let cached = Cached {
                owner,
                outcome,
                began,
            };
            let gone = table.cached.insert(token, cached, end, bytes);
            table.unindex(gone);
        }
        table.unindex_token(&token, owner);
    }

    /// Keeps the wait that the service asks for, if it does.
    fn start_cooldown(&self, error: &Error) {
        let wait = match error.status() {
            Some(StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                error.retry_after()
            }
            _ => None,
        };
        let now = self.now();
        if let Some(wait) = wait {
            let requested = later(now, wait);
            let until = requested.min(later(now, LONGEST_WAIT));
            let error = error.clone();
            self.table().cooldown = Some(Cooldown {
                until,
                requested,
                error,
            });
        }
    }

    /// Notes that a refresh token came along with a session that is good still. If it is a new one,
    /// its browser has it, and what is kept for the old one need not stay for much longer.
    pub(crate) fn record_use(&self, token: impl FnOnce() -> TokenHash) {
        let mut table = self.table();
        if table.replaced.is_empty() {
            return;
        }
        if let Some(old) = table.replaced.get(&token()).copied() {
            let soon = later(self.now(), SAME_TOKEN);
            table.cached.end_by(&old, soon);
        }
    }

    /// Forgets what is kept for the owner of a token. `claims` are the token's, if they could be had
    /// without waiting; without them the owner is known from the refresh that gave the token.
    pub(crate) fn forget(&self, token: TokenHash, claims: Option<&RefreshClaims>, what: Forget) {
        let now = self.now();
        let mut table = self.table();
        let known = *table.replaced.get(&token).unwrap_or(&token);
        let owner = claims.map(|claims| Arc::new(Owner::of(claims)));
        let Some(owner) = owner.or_else(|| table.owner(&known, now)) else {
            return;
        };
        for token in table.by_user.get(&owner.user).cloned().unwrap_or_default() {
            let is_theirs = |other: &Arc<Owner>| what == Forget::User || other.may_be(&owner);
            if let Some(pending) = table.in_flight.get_mut(&token) {
                pending.stale |= is_theirs(&pending.owner);
            }
            if let Some(cached) = table.cached.get(&token, now)
                // A refusal holds no token.
                && !matches!(cached.outcome, CachedOutcome::Refused(_))
                && is_theirs(&cached.owner)
            {
                table.spend(&token);
            }
        }
    }
}

/// Part of the audit trail, the rest of which is made where users sign in and out.
fn log_refreshed(user_id: &str) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "descope_magiclink::audit", user_id, "refreshed");
    #[cfg(not(feature = "tracing"))]
    let _ = user_id;
}

impl Table {
    /// The service's own error while it is to be left alone, with the time that is left.
    fn cooldown_error(&mut self, now: Instant) -> Option<Error> {
        self.cooldown.take_if(|cooldown| cooldown.until <= now);
        let cooldown = self.cooldown.as_ref()?;
        let left = cooldown.requested.saturating_duration_since(now);
        Some(cooldown.error.clone().with_retry_after(left))
    }

    fn owner(&self, token: &TokenHash, now: Instant) -> Option<Arc<Owner>> {
        let pending = self.in_flight.get(token).map(|pending| &pending.owner);
        let cached = || self.cached.get(token, now).map(|cached| &cached.owner);
        pending.or_else(cached).cloned()
    }

    /// Removes what is kept for a token.
    fn forget(&mut self, token: &TokenHash) {
        let cached = self
            .cached
            .remove(token)
            .map(|(cached, _)| (*token, cached));
        self.unindex(cached);
    }

    /// Removes the tokens that are kept for a token.
    fn spend(&mut self, token: &TokenHash) {
        let Some((cached, end)) = self.cached.remove(token) else {
            return;
        };
        let (owner, began) = (Arc::clone(&cached.owner), cached.began);
        let spent = cached.outcome.spent();
        self.unindex([(*token, cached)]);
        if let Some(outcome) = spent {
            self.index(*token, &owner);
            let cached = Cached {
                owner,
                outcome,
                began,
            };
            let gone = self.cached.insert(*token, cached, end, 0);
            self.unindex(gone);
        }
    }

    fn remove_ended(&mut self, now: Instant) {
        let ended = self.cached.remove_ended(now);
        self.unindex(ended);
    }

    fn index(&mut self, token: TokenHash, owner: &Owner) {
        let tokens = self.by_user.entry(owner.user.clone()).or_default();
        if !tokens.contains(&token) {
            tokens.push(token);
        }
    }

    fn unindex(&mut self, gone: impl IntoIterator<Item = (TokenHash, Cached)>) {
        for (token, cached) in gone {
            if let CachedOutcome::Refreshed(new) = &cached.outcome
                && let Some(new) = &new.tokens.refresh
            {
                let new = hash(new.expose_secret());
                if self.replaced.get(&new) == Some(&token) {
                    self.replaced.remove(&new);
                }
            }
            self.unindex_token(&token, &cached.owner);
        }
    }

    /// Takes a token out of its user's list, unless something is there or on its way for it.
    fn unindex_token(&mut self, token: &TokenHash, owner: &Owner) {
        if self.in_flight.contains_key(token) || self.cached.contains_key(token) {
            return;
        }
        if let Some(tokens) = self.by_user.get_mut(&owner.user) {
            tokens.retain(|other| other != token);
            if tokens.is_empty() {
                self.by_user.remove(&owner.user);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::claim_policy::ValidatedTimes;
    use super::super::claims::Claims;
    use super::super::session::Session;
    use super::*;
    use crate::clock::{Clock as _, ManualClock, SystemClock};
    use crate::jwt::json::Document;
    use crate::secret::{RefreshToken, SessionToken};
    use crate::session::tokens::Tokens;
    use crate::sync::purge::tests::assert_keeps_its_flag;

    const HOUR: Duration = Duration::from_secs(3600);
    /// A response as it is stored.
    pub(in crate::session) const RESPONSE: &[u8] = br#"{"session":"s","session_cookie":null,"refreshes":[],"status":200,
        "user":null,"session_expires_at":null,"date":null,"cookies":[[null,null,null,null,null],null,null]}"#;

    /// The claims of any token of one user, which expires in an hour.
    pub(in crate::session) fn claims(clock: &ManualClock) -> Arc<Claims> {
        let now = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let document = Document::parse(br#"{"sub":"U1"}"#).unwrap();
        let times = ValidatedTimes {
            expires_at: i64::try_from((now + HOUR).as_secs()).unwrap(),
            not_before: None,
            issued_at: None,
            subject: document
                .root()
                .as_object()
                .unwrap()
                .get("sub")
                .unwrap()
                .place(),
        };
        Arc::new(Claims::new(document, times, "P1".into()))
    }

    fn refreshed(clock: &ManualClock, session: &str, refresh: &str) -> CachedOutcome {
        let mut tokens = Tokens::new(SessionToken::new(session));
        tokens.refresh = Some(RefreshToken::new(refresh));
        tokens.rotated = true;
        CachedOutcome::Refreshed(Box::new(Refreshed {
            session: Session::new(claims(clock)),
            tokens,
            user: None,
        }))
    }

    fn refreshes() -> (Arc<ManualClock>, Arc<Refreshes>) {
        let clock = Arc::new(ManualClock::new());
        let builder = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z");
        let validator = builder.clock(Arc::clone(&clock)).build().unwrap();
        (clock, Arc::new(Refreshes::new(validator)))
    }

    /// Makes the refresh of a token, of which `cached` is to be kept. Gives what it had to go on; `None` if it was
    /// not made, as an outcome was there.
    async fn refresh(
        (clock, refreshes): &(Arc<ManualClock>, Arc<Refreshes>),
        token: &str,
        cached: Option<CachedOutcome>,
    ) -> Option<Option<Arc<TokenResponse>>> {
        let mut given = None;
        let claims = RefreshClaims::new(claims(clock));
        let state = refreshes.join_or_start(hash(token), &claims, |response| {
            given = Some(response);
            async move { (Ok(None), cached) }
        });
        if let RefreshState::InFlight(refresh) = state {
            let end = later(SystemClock.instant(), HOUR);
            refresh.wait(end).await.unwrap().unwrap();
        }
        given
    }

    #[tokio::test]
    async fn nothing_is_left_of_what_has_ended_though_nobody_comes() {
        let all = refreshes();
        let (clock, refreshes) = &all;
        assert_keeps_its_flag(&**refreshes);
        let cached = refreshed(clock, &"s".repeat(1000), &"r".repeat(300));
        refresh(&all, "first", Some(cached)).await.unwrap();
        // The text of the session token and what was read from it, the refresh token, and what the map itself takes.
        let bytes = refreshes.table().cached.bytes();
        assert!((4300..6000).contains(&bytes), "{bytes}");
        let refused = CachedOutcome::Refused(SessionError::Missing.into());
        refresh(&all, "second", Some(refused)).await.unwrap();
        refresh(&all, "third", None).await.unwrap();
        assert!(refresh(&all, "first", None).await.is_none());
        clock.advance(Duration::from_secs(299));
        assert!(refreshes.purge());
        assert!(!refreshes.table().replaced.is_empty());
        clock.advance(Duration::from_secs(1));
        assert!(!refreshes.purge());
        let table = refreshes.table();
        assert!(table.in_flight.is_empty() && table.replaced.is_empty());
        assert!(table.by_user.is_empty(), "{:?}", table.by_user);
        assert_eq!(table.cached.bytes(), 0);
    }

    #[tokio::test]
    async fn a_response_that_could_not_be_checked_is_tried_for_ten_minutes_until_it_is_found_bad() {
        let all = refreshes();
        let (clock, refreshes) = &all;
        let response = TokenResponse::from_bytes(RESPONSE, refreshes.now());
        let response = Arc::new(response.unwrap());
        let unchecked = || Some(CachedOutcome::Unchecked(Arc::clone(&response)));
        let next = |cached| async { refresh(&all, "t", cached).await.unwrap().is_some() };
        assert!(!next(unchecked()).await);
        clock.advance(Duration::from_secs(599));
        assert!(next(unchecked()).await);
        // Found bad.
        assert!(next(None).await);
        assert!(!next(unchecked()).await);
        clock.advance(Duration::from_secs(600));
        assert!(!next(None).await);
    }
}

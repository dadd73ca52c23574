//! The way of a token through all checks.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use super::claim_policy::{Expected, Kind, Now, Policy};
use super::claims::{Claims, since_epoch};
#[cfg(feature = "client")]
use super::ended::EndedSessions;
use super::key_source::{KeySource, KeyWait};
use super::session::{RefreshClaims, Session};
use super::token_cache::{TokenCache, VerifiedToken};
use super::validator_builder::{SessionValidatorBuilder, read_key_set, setting};
use crate::clock::Clock;
use crate::defaults::{REFRESH_COOKIE, SESSION_COOKIE};
use crate::error::{ConfigError, SessionError, TokenProblem};
#[cfg(feature = "client")]
use crate::jwks::cache::TokenSender;
use crate::jwt::compact::{Compact, Header};
use crate::jwt::jwk::{Algorithm, VerifyingKey};
use crate::secret::{RefreshToken, SessionToken};
use crate::sync::hash::{TokenHash, hash};
#[cfg(feature = "client")]
use crate::transport::deadline::Deadline;

/// By how many seconds this machine's clock may be off and be corrected by the service's responses.
#[cfg(feature = "client")]
const MAX_CLOCK_OFFSET: i64 = 15 * 60;

/// Validates session tokens locally: no call to Descope per request.
///
/// The project's public keys are fetched once and kept; see [`SessionValidatorBuilder::key_ttl`]
/// and [`max_key_age`](SessionValidatorBuilder::max_key_age) for how long. With a key set
/// [given](SessionValidatorBuilder::key_set), there is no network at all. Cloning is cheap, and
/// clones share their keys; make one validator per project and keep it.
///
/// What local validation cannot know: whether the user has logged out, was disabled or lost a role
/// since the token was issued. A session token lives for minutes (10 by default) for that reason.
/// Where that is too long, ask the service.
///
/// ```
/// # async fn f(text_from_request: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use descope_magiclink::SessionToken;
/// use descope_magiclink::SessionValidator;
///
/// let validator = SessionValidator::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
/// let session = validator
///     .validate(&SessionToken::new(text_from_request))
///     .await?;
/// println!("{} may pay: {}", session.user_id(), session.has_permissions(["invoice:pay"]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SessionValidator {
    inner: Arc<Inner>,
    /// How long a call may take in all.
    #[cfg(feature = "client")]
    timeout: Duration,
}

struct Inner {
    settings: Settings,
    /// By how many seconds the service's clock is ahead of this one, as its last response has it.
    clock_offset: AtomicI64,
    /// That of the last good token: all tokens of one key have the same. Nobody waits for the lock.
    last_header: RwLock<Option<Arc<Header>>>,
}

/// What a validator works with.
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) project_id: Arc<str>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) max_token_bytes: usize,
    /// Values of `typ` that are accepted beside `JWT`.
    pub(super) types: Vec<String>,
    pub(super) keys: KeySource,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether the `Date` of a response can only be the service's: over TLS, or from this machine.
    #[cfg(feature = "client")]
    pub(super) date_is_trusted: bool,
    pub(super) token_cache: Option<Arc<TokenCache>>,
    #[cfg(feature = "client")]
    pub(super) ended: Arc<EndedSessions>,
}

/// What is known of a token that the service has just issued to us.
#[cfg(feature = "client")]
pub(super) struct IssueContext<'a> {
    /// The response's `Date`, in seconds since the epoch.
    pub(super) date: Option<i64>,
    /// The name of its cookie, where the response gave one.
    pub(super) name: Option<&'a str>,
    /// Until when to wait for its key.
    pub(super) deadline: Deadline,
}

impl fmt::Debug for SessionValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionValidator")
            .field("policy", &self.inner.settings.policy)
            .field("algorithms", &self.inner.settings.algorithms)
            .field("max_token_bytes", &self.inner.settings.max_token_bytes)
            .finish_non_exhaustive()
    }
}

impl SessionValidator {
    pub(super) fn from_settings(
        settings: Settings,
        #[cfg(feature = "client")] timeout: Duration,
    ) -> Self {
        let inner = Inner {
            settings,
            clock_offset: AtomicI64::new(0),
            last_header: RwLock::default(),
        };
        Self {
            inner: Arc::new(inner),
            #[cfg(feature = "client")]
            timeout,
        }
    }

    #[cfg(feature = "client")]
    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// A validator with the default settings, which fetches the project's keys when first used.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the project id cannot be one.
    pub fn new(project_id: impl AsRef<str>) -> Result<Self, ConfigError> {
        Self::builder(project_id).build()
    }

    /// Starts a validator with settings of your own.
    pub fn builder(project_id: impl AsRef<str>) -> SessionValidatorBuilder {
        SessionValidatorBuilder::new(project_id.as_ref().to_owned())
    }

    /// Validates a session token.
    ///
    /// Waits for the network only when the keys are not at hand: at the first use, after a long
    /// silence, or for a token of a key not seen before.
    ///
    /// # Errors
    ///
    /// [`SessionError::Missing`] for an empty token, [`SessionError::Token`] for a bad one,
    /// [`SessionError::Unavailable`] when there are no keys to check it with.
    pub async fn validate(&self, token: &SessionToken) -> Result<Session, SessionError> {
        self.check_session(token, self.wait_for_presented()).await
    }

    #[cfg(feature = "client")]
    pub(crate) async fn validate_until(
        &self,
        token: &SessionToken,
        deadline: Deadline,
    ) -> Result<Session, SessionError> {
        let sender = TokenSender::Anyone;
        self.check_session(token, KeyWait { sender, deadline })
            .await
    }

    async fn check_session(
        &self,
        token: &SessionToken,
        wait: KeyWait,
    ) -> Result<Session, SessionError> {
        let token = token.expose_secret();
        self.refuse_ended(token)?;
        let hash = self.token_hash(token);
        if let Some(claims) = hash.and_then(|hash| self.cached(&hash)) {
            return Ok(Session::new(claims));
        }
        let (compact, header) = self.parse(token)?;
        let key = self.find(&header, Kind::Session, wait).await?;
        self.verify_session(compact, &header, key, hash)
    }

    /// Validates a session token with the keys at hand, without ever waiting.
    ///
    /// With a [given key set](SessionValidatorBuilder::key_set) this always has a response. With
    /// fetched keys it has one once [`validate`](Self::validate) was used not long before.
    ///
    /// ```
    /// # use descope_magiclink::{SessionToken, SessionValidator};
    /// # fn f(keys: &str, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let validator = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
    ///     .key_set(keys)
    ///     .build()?;
    /// let session = validator.validate_cached(&SessionToken::new(text))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate). [`SessionError::Unavailable`] with
    /// [`KeyProblem::NotLoaded`](crate::session::KeyProblem::NotLoaded) when it would have to wait.
    pub fn validate_cached(&self, token: &SessionToken) -> Result<Session, SessionError> {
        let token = token.expose_secret();
        self.refuse_ended(token)?;
        let hash = self.token_hash(token);
        if let Some(claims) = hash.and_then(|hash| self.cached(&hash)) {
            return Ok(Session::new(claims));
        }
        let (compact, header) = self.parse(token)?;
        let key = self.inner.settings.keys.cached(&header.key_id)?;
        self.verify_session(compact, &header, key, hash)
    }

    /// Validates a refresh token. It is no session: it only tells whether asking for a new session
    /// with it can succeed.
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate).
    pub async fn validate_refresh(
        &self,
        token: &RefreshToken,
    ) -> Result<RefreshClaims, SessionError> {
        let wait = self.wait_for_presented();
        self.check_refresh(token, wait).await
    }

    #[cfg(feature = "client")]
    pub(crate) async fn validate_refresh_until(
        &self,
        token: &RefreshToken,
        deadline: Deadline,
    ) -> Result<RefreshClaims, SessionError> {
        let sender = TokenSender::Anyone;
        self.check_refresh(token, KeyWait { sender, deadline })
            .await
    }

    async fn check_refresh(
        &self,
        token: &RefreshToken,
        wait: KeyWait,
    ) -> Result<RefreshClaims, SessionError> {
        let expected = self.presented(Kind::Refresh);
        let claims = self.check(token.expose_secret(), expected, wait).await?;
        Ok(RefreshClaims::new(Arc::new(claims)))
    }

    #[cfg(feature = "client")]
    /// As [`validate_refresh`](Self::validate_refresh), with the keys at hand.
    pub(crate) fn validate_refresh_cached(
        &self,
        token: &RefreshToken,
    ) -> Result<RefreshClaims, SessionError> {
        let (compact, header) = self.parse(token.expose_secret())?;
        let key = self.inner.settings.keys.cached(&header.key_id)?;
        let expected = self.presented(Kind::Refresh);
        let claims = self.verify(compact, &header, &key, expected)?;
        Ok(RefreshClaims::new(Arc::new(claims)))
    }

    #[cfg(feature = "client")]
    /// Validates a session token that the service has just issued to us.
    pub(super) async fn validate_issued(
        &self,
        token: &SessionToken,
        issued: &IssueContext<'_>,
    ) -> Result<Session, SessionError> {
        let claims = self
            .check_issued(token.expose_secret(), Kind::Session, issued)
            .await?;
        Ok(Session::new(Arc::new(claims)))
    }

    #[cfg(feature = "client")]
    /// Validates a refresh token that the service has just issued to us.
    pub(super) async fn validate_issued_refresh(
        &self,
        token: &RefreshToken,
        issued: &IssueContext<'_>,
    ) -> Result<RefreshClaims, SessionError> {
        let claims = self
            .check_issued(token.expose_secret(), Kind::Refresh, issued)
            .await?;
        Ok(RefreshClaims::new(Arc::new(claims)))
    }

    #[cfg(feature = "client")]
    async fn check_issued(
        &self,
        token: &str,
        kind: Kind,
        issued: &IssueContext<'_>,
    ) -> Result<Claims, SessionError> {
        let expected = Expected {
            kind,
            now: Now::ResponseDate(issued.date),
            name: issued.name,
        };
        let wait = KeyWait {
            sender: TokenSender::Service,
            deadline: issued.deadline,
        };
        let claims = self.check(token, expected, wait).await;
        let claims = claims.map_err(|error| match error {
            SessionError::Token(problem) => SessionError::InvalidResponse(problem),
            error => error,
        })?;
        #[cfg(feature = "tracing")]
        if let Err(problem) = claims
            .times()
            .check_times(self.presented(kind).now, self.inner.settings.policy.leeway)
        {
            tracing::warn!(
                has_date = issued.date.is_some(),
                problem = %problem,
                "this machine's clock differs from the service's; its tokens were accepted"
            );
        }
        Ok(claims)
    }

    /// Puts another key set in place of the one that was [given](SessionValidatorBuilder::key_set), for all
    /// copies of this validator at once: tokens of a key that is no longer in it are refused from now on.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when no key of it can be used, or the keys are fetched; the old ones stay then.
    pub fn replace_key_set(&self, json: impl AsRef<[u8]>) -> Result<(), ConfigError> {
        let settings = &self.inner.settings;
        let keys = read_key_set(json.as_ref(), &settings.algorithms)?;
        if settings.keys.replace(keys) {
            return Ok(());
        }
        let problem = "cannot be replaced, as the keys of this validator are fetched";
        Err(setting("key_set", problem))
    }

    #[cfg(feature = "client")]
    /// Fetches the keys unless they are at hand, so that the first request need not wait for them,
    /// and a server can tell before it takes any whether sessions can be validated at all.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unavailable`] when there are no keys to be had.
    pub async fn prefetch_keys(&self) -> Result<(), SessionError> {
        self.prefetch_keys_until(Deadline::after(self.timeout))
            .await
    }

    #[cfg(feature = "client")]
    pub(crate) async fn prefetch_keys_until(&self, deadline: Deadline) -> Result<(), SessionError> {
        Ok(self.inner.settings.keys.prefetch(deadline).await?)
    }

    async fn check(
        &self,
        token: &str,
        expected: Expected<'_>,
        wait: KeyWait,
    ) -> Result<Claims, SessionError> {
        let (compact, header) = self.parse(token)?;
        let key = self.find(&header, expected.kind, wait).await?;
        Ok(self.verify(compact, &header, &key, expected)?)
    }

    async fn find(
        &self,
        header: &Header,
        kind: Kind,
        wait: KeyWait,
    ) -> Result<Arc<VerifyingKey>, SessionError> {
        let keys = &self.inner.settings.keys;
        keys.find(&header.key_id, wait, kind == Kind::Session).await
    }

    fn wait_for_presented(&self) -> KeyWait {
        KeyWait {
            #[cfg(feature = "client")]
            sender: TokenSender::Anyone,
            #[cfg(feature = "client")]
            deadline: Deadline::after(self.timeout),
        }
    }

    /// Whether a fetch of the keys is in flight: for tests, which cannot see the crate's own thread.
    #[cfg(feature = "client")]
    #[doc(hidden)]
    #[must_use]
    pub fn is_fetching_keys(&self) -> bool {
        self.inner.settings.keys.is_fetching()
    }

    /// The project whose sessions this validates.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.inner.settings.project_id
    }

    /// Everything that can be told without a key.
    fn parse<'t>(&self, token: &'t str) -> Result<(Compact<'t>, Arc<Header>), SessionError> {
        if token.is_empty() {
            return Err(SessionError::Missing);
        }
        let compact = Compact::split(token, self.inner.settings.max_token_bytes)?;
        let header = match self.last_header().filter(|last| last.is_of(&compact)) {
            Some(last) => last,
            None => Arc::new(compact.header(&self.inner.settings.types)?),
        };
        if !self.inner.settings.algorithms.contains(&header.algorithm) {
            return Err(TokenProblem::UnsupportedAlgorithm.into());
        }
        Ok((compact, header))
    }

    fn last_header(&self) -> Option<Arc<Header>> {
        self.inner.last_header.try_read().ok()?.clone()
    }

    /// Signature first, claims after: nothing of the claims is read before it is known who wrote
    /// them.
    fn verify(
        &self,
        compact: Compact<'_>,
        header: &Arc<Header>,
        key: &VerifyingKey,
        expected: Expected<'_>,
    ) -> Result<Claims, TokenProblem> {
        if key.algorithm() != header.algorithm {
            return Err(TokenProblem::UnsupportedAlgorithm);
        }
        let signed =
            compact.with_signature(|signature| key.verifies(compact.signing_input(), signature))?;
        if !signed {
            return Err(TokenProblem::InvalidSignature);
        }
        let is_last = |last: Arc<Header>| Arc::ptr_eq(&last, header);
        if !self.last_header().is_some_and(is_last)
            && let Ok(mut last) = self.inner.last_header.try_write()
        {
            *last = Some(Arc::clone(header));
        }
        let claims = compact.claims()?;
        let times = self.inner.settings.policy.check(&claims, expected)?;
        let project_id = Arc::clone(&self.inner.settings.project_id);
        Ok(Claims::new(claims, times, project_id))
    }

    fn verify_session(
        &self,
        compact: Compact<'_>,
        header: &Arc<Header>,
        key: Arc<VerifyingKey>,
        hash: Option<TokenHash>,
    ) -> Result<Session, SessionError> {
        let length = compact.signing_input().len();
        let claims = Arc::new(self.verify(compact, header, &key, self.presented(Kind::Session))?);
        if let (Some(verified), Some(hash)) = (&self.inner.settings.token_cache, hash) {
            let entry = VerifiedToken {
                claims: Arc::clone(&claims),
                key_id: header.key_id.clone(),
                key,
            };
            let expires_at = since_epoch(claims.times().expires_at);
            verified.insert(hash, Arc::new(entry), length, expires_at);
        }
        Ok(Session::new(claims))
    }

    #[cfg(feature = "client")]
    pub(crate) fn ended(&self) -> &Arc<EndedSessions> {
        &self.inner.settings.ended
    }

    #[cfg(feature = "client")]
    pub(crate) fn refuse_ended(&self, token: &str) -> Result<(), TokenProblem> {
        let has_ended = self.ended().contains(token);
        (!has_ended).then_some(()).ok_or(TokenProblem::SessionEnded)
    }

    #[cfg(not(feature = "client"))]
    #[expect(clippy::unnecessary_wraps, reason = "only a client ends sessions")]
    fn refuse_ended(&self, _: &str) -> Result<(), TokenProblem> {
        Ok(())
    }

    /// The hash to remember the token by, if tokens are remembered.
    fn token_hash(&self, token: &str) -> Option<TokenHash> {
        let cache = self.inner.settings.token_cache.as_ref();
        cache.map(|_| hash(token))
    }

    /// The claims of a token found good before, if its time is not over and its key still serves.
    fn cached(&self, hash: &TokenHash) -> Option<Arc<Claims>> {
        let verified = self.inner.settings.token_cache.as_ref()?;
        let found = verified.get(hash)?;
        let key = self.inner.settings.keys.cached(&found.key_id);
        let key_serves = key.is_ok_and(|key| key.is_same_key(&found.key));
        let in_time = found
            .claims
            .times()
            .check_times(
                self.presented(Kind::Session).now,
                self.inner.settings.policy.leeway,
            )
            .is_ok();
        (key_serves && in_time).then(|| Arc::clone(&found.claims))
    }

    /// The time that presented tokens are judged by: this machine's clock, and in the validator of a
    /// [`Client`](crate::Client) with the correction that the service's responses call for.
    ///
    /// A response that carries tokens says by its `Date` what time it is for the service. Up to 15
    /// minutes of difference are made up for, until the next such response.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let offset = self.inner.clock_offset.load(Ordering::Relaxed);
        let now = self.inner.settings.clock.now();
        let by = Duration::from_secs(offset.unsigned_abs());
        let corrected = if offset.is_negative() {
            now.checked_sub(by)
        } else {
            now.checked_add(by)
        };
        corrected.unwrap_or(now)
    }

    #[cfg(feature = "client")]
    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.inner.settings.clock
    }

    /// The session cookie's name, which marks session tokens (`drn`): `DS` unless another is set.
    #[must_use]
    pub fn session_cookie_name(&self) -> &str {
        let names = &self.inner.settings.policy.session_names;
        names.last().map_or(SESSION_COOKIE, String::as_str)
    }

    /// The refresh cookie's name, which marks refresh tokens (`drn`): `DSR` unless another is set.
    #[must_use]
    pub fn refresh_cookie_name(&self) -> &str {
        let names = &self.inner.settings.policy.refresh_names;
        names.last().map_or(REFRESH_COOKIE, String::as_str)
    }

    #[cfg(feature = "client")]
    /// The names that the cookies of tokens can have, the configured ones first.
    pub(super) fn cookie_names(&self) -> [impl Iterator<Item = &str>; 2] {
        let policy = &self.inner.settings.policy;
        [&policy.session_names, &policy.refresh_names]
            .map(|names| names.iter().rev().map(String::as_str))
    }

    #[cfg(feature = "client")]
    pub(super) fn trusts_date(&self) -> bool {
        self.inner.settings.date_is_trusted
    }

    fn presented(&self, kind: Kind) -> Expected<'static> {
        Expected {
            kind,
            now: Now::Clock(seconds_since_epoch(self.now())),
            name: None,
        }
    }

    #[cfg(feature = "client")]
    /// Learns from the `Date` of a response that carries tokens by how much the clocks differ.
    pub(super) fn learn_time(&self, date: Option<i64>) {
        let Some(date) = date else {
            return;
        };
        let offset = date.saturating_sub(seconds_since_epoch(self.inner.settings.clock.now()));
        let usable = offset.abs() <= MAX_CLOCK_OFFSET;
        #[cfg(feature = "tracing")]
        if !usable {
            tracing::warn!(
                seconds = offset,
                "this machine's clock is too far from the service's to be corrected; set it right"
            );
        }
        let offset = if usable { offset } else { 0 };
        self.inner.clock_offset.store(offset, Ordering::Relaxed);
    }
}

/// So that what takes a validator takes a [`Client`](crate::Client) too.
impl AsRef<SessionValidator> for SessionValidator {
    fn as_ref(&self) -> &SessionValidator {
        self
    }
}

fn seconds_since_epoch(time: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}

//! The validator: settings, and the way of a token through all checks.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use url::Url;

use super::access::{Claims, RefreshClaims, Session};
use super::error::{KeyProblem, KeysUnavailable, SessionError, TokenProblem};
use super::fetch::Endpoint;
use super::jws::{Compact, Header};
use super::key::{Algorithm, KeySet, VerifyingKey};
use super::keys::{Ages, AtHand, KeyCache, Keys, NoKey, TokenSender};
use super::policy::{Expected, Kind, Now, Policy};
use super::verified::{self, TokenHash, Verified, VerifiedTokens};
use crate::client::{CookieNames, Proxy, http_client};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::error::ConfigError;
use crate::hooks::anonymous_headers;
use crate::retry::RetryPolicy;
use crate::secret::{RefreshToken, SessionToken};

const DEFAULT_HOST: &str = "api.descope.com";
const SESSION_NAME: &str = "DS";
const REFRESH_NAME: &str = "DSR";
const DEFAULT_LEEWAY: Duration = Duration::from_secs(5);
const MAX_LEEWAY: Duration = Duration::from_secs(60);
/// By how many seconds this machine's clock may be off and be corrected by the service's responses.
const MAX_CLOCK_OFFSET: i64 = 15 * 60;
const DEFAULT_TOKEN_BYTES: usize = 16 * 1024;
const DEFAULT_TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60 * 60);
const DEFAULT_COOL_DOWN: Duration = Duration::from_secs(30);
const DEFAULT_FETCH_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

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
/// use descope_magiclink::session::SessionValidator;
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
}

struct Inner {
    policy: Policy,
    project_id: Arc<str>,
    algorithms: Vec<Algorithm>,
    max_token_bytes: usize,
    keys: Keys,
    clock: Arc<dyn Clock>,
    /// By how many seconds the service's clock is ahead of this one, as its last response has it.
    clock_offset: AtomicI64,
    /// Values of `typ` that are accepted beside `JWT`.
    types: Vec<String>,
    verified: Option<VerifiedTokens>,
}

/// What is known of a token that the service has just issued to us.
pub(super) struct Issued<'a> {
    /// The response's `Date`, in seconds since the epoch.
    pub(super) date: Option<i64>,
    /// The name of its cookie, where the response gave one.
    pub(super) name: Option<&'a str>,
    /// Until when to wait for its key.
    pub(super) until: tokio::time::Instant,
}

impl fmt::Debug for SessionValidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionValidator")
            .field("policy", &self.inner.policy)
            .field("algorithms", &self.inner.algorithms)
            .field("max_token_bytes", &self.inner.max_token_bytes)
            .finish_non_exhaustive()
    }
}

impl SessionValidator {
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
        let token = token.expose_secret();
        let hash = self.hash(token);
        if let Some(claims) = hash.and_then(|hash| self.remembered(&hash)) {
            return Ok(Session::new(claims));
        }
        let (compact, header) = self.open(token)?;
        let key = self
            .find(&header, Kind::Session, TokenSender::Anyone)
            .await?;
        self.finish_session(compact, header, key, hash)
    }

    /// Validates a session token with the keys at hand, without ever waiting.
    ///
    /// With a [given key set](SessionValidatorBuilder::key_set) this always has an answer. With
    /// fetched keys it has one once [`validate`](Self::validate) was used not long before.
    ///
    /// ```
    /// # use descope_magiclink::{session::SessionValidator, SessionToken};
    /// # fn f(keys: &str, text: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// let validator = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
    ///     .key_set(keys)
    ///     .build()?;
    /// let session = validator.validate_now(&SessionToken::new(text))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`validate`](Self::validate). [`SessionError::Unavailable`] with
    /// [`KeyProblem::NotFetched`] when it would have to wait.
    pub fn validate_now(&self, token: &SessionToken) -> Result<Session, SessionError> {
        let token = token.expose_secret();
        let hash = self.hash(token);
        if let Some(claims) = hash.and_then(|hash| self.remembered(&hash)) {
            return Ok(Session::new(claims));
        }
        let (compact, header) = self.open(token)?;
        let key = self.key_at_hand(&header)?;
        self.finish_session(compact, header, key, hash)
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
        let expected = self.presented(Kind::Refresh);
        let claims = self
            .check(token.expose_secret(), expected, TokenSender::Anyone)
            .await?;
        Ok(RefreshClaims::new(Arc::new(claims)))
    }

    /// As [`validate_refresh`](Self::validate_refresh), with the keys at hand.
    pub(crate) fn validate_refresh_now(
        &self,
        token: &RefreshToken,
    ) -> Result<RefreshClaims, SessionError> {
        let (compact, header) = self.open(token.expose_secret())?;
        let key = self.key_at_hand(&header)?;
        let expected = self.presented(Kind::Refresh);
        let claims = self.finish(compact, &header, &key, expected)?;
        Ok(RefreshClaims::new(Arc::new(claims)))
    }

    /// Validates a session token that the service has just issued to us.
    pub(super) async fn validate_issued(
        &self,
        token: &SessionToken,
        issued: &Issued<'_>,
    ) -> Result<Session, SessionError> {
        let claims = self
            .check_issued(token.expose_secret(), Kind::Session, issued)
            .await?;
        Ok(Session::new(Arc::new(claims)))
    }

    /// Validates a refresh token that the service has just issued to us.
    pub(super) async fn validate_issued_refresh(
        &self,
        token: &RefreshToken,
        issued: &Issued<'_>,
    ) -> Result<RefreshClaims, SessionError> {
        let claims = self
            .check_issued(token.expose_secret(), Kind::Refresh, issued)
            .await?;
        Ok(RefreshClaims::new(Arc::new(claims)))
    }

    async fn check_issued(
        &self,
        token: &str,
        kind: Kind,
        issued: &Issued<'_>,
    ) -> Result<Claims, SessionError> {
        let expected = Expected {
            kind,
            now: Now::ResponseDate(issued.date),
            name: issued.name,
        };
        let sender = TokenSender::Service {
            until: issued.until,
        };
        let claims = self.check(token, expected, sender).await;
        let claims = claims.map_err(|error| match error {
            SessionError::Token(problem) => SessionError::InvalidResponse(problem),
            error => error,
        })?;
        #[cfg(feature = "tracing")]
        if let Err(problem) = claims
            .facts()
            .check_times(self.presented(kind).now, self.inner.policy.leeway)
        {
            tracing::warn!(
                has_date = issued.date.is_some(),
                problem = %problem,
                "this machine's clock differs from the service's; its tokens were accepted"
            );
        }
        Ok(claims)
    }

    /// Fetches the keys unless they are at hand, so that the first request need not wait for them,
    /// and a server can tell before it takes any whether sessions can be validated at all.
    ///
    /// # Errors
    ///
    /// [`SessionError::Unavailable`] when there are no keys to be had.
    pub async fn prepare(&self) -> Result<(), SessionError> {
        Ok(self.inner.keys.prepare().await?)
    }

    async fn check(
        &self,
        token: &str,
        expected: Expected<'_>,
        sender: TokenSender,
    ) -> Result<Claims, SessionError> {
        let (compact, header) = self.open(token)?;
        let key = self.find(&header, expected.kind, sender).await?;
        Ok(self.finish(compact, &header, &key, expected)?)
    }

    async fn find(
        &self,
        header: &Header,
        kind: Kind,
        sender: TokenSender,
    ) -> Result<Arc<VerifyingKey>, SessionError> {
        match self.inner.keys.find(&header.key_id, sender).await {
            Ok(key) => Ok(key),
            Err(NoKey::Unavailable(why)) => Err(why.into()),
            // The service has signed with it, so there is such a key.
            Err(NoKey::Unknown { .. }) if sender != TokenSender::Anyone && self.fetches_keys() => {
                Err(KeysUnavailable::new(KeyProblem::NotPublished).into())
            }
            // A user whose session token is refused gets a new one by the refresh token. There is
            // nothing behind the refresh token, so that is not refused for a key nobody asked for.
            Err(NoKey::Unknown { asked: false }) if kind == Kind::Refresh => {
                Err(KeysUnavailable::new(KeyProblem::AskedRecently).into())
            }
            Err(NoKey::Unknown { .. }) => Err(TokenProblem::UnknownKey.into()),
        }
    }

    fn key_at_hand(&self, header: &Header) -> Result<Arc<VerifyingKey>, SessionError> {
        match self.inner.keys.at_hand(&header.key_id) {
            AtHand::Key(key) => Ok(key),
            AtHand::Unknown => Err(TokenProblem::UnknownKey.into()),
            AtHand::Wait => Err(KeysUnavailable::new(KeyProblem::NotFetched).into()),
        }
    }

    fn fetches_keys(&self) -> bool {
        matches!(self.inner.keys, Keys::Fetched(_))
    }

    /// The project whose sessions this validates.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.inner.project_id
    }

    /// Everything that can be told without a key.
    fn open<'t>(&self, token: &'t str) -> Result<(Compact<'t>, Header), SessionError> {
        if token.is_empty() {
            return Err(SessionError::Missing);
        }
        let compact = Compact::split(token, self.inner.max_token_bytes)?;
        let header = compact.header(&self.inner.types)?;
        if !self.inner.algorithms.contains(&header.algorithm) {
            return Err(TokenProblem::Algorithm.into());
        }
        Ok((compact, header))
    }

    /// Signature first, claims after: nothing of the claims is read before it is known who wrote
    /// them.
    fn finish(
        &self,
        compact: Compact<'_>,
        header: &Header,
        key: &VerifyingKey,
        expected: Expected<'_>,
    ) -> Result<Claims, TokenProblem> {
        if key.algorithm() != header.algorithm {
            return Err(TokenProblem::Algorithm);
        }
        let signed =
            compact.with_signature(|signature| key.verifies(compact.signing_input(), signature))?;
        if !signed {
            return Err(TokenProblem::Signature);
        }
        let claims = compact.claims()?;
        let facts = self.inner.policy.check(&claims, expected)?;
        let project_id = Arc::clone(&self.inner.project_id);
        Ok(Claims::new(claims, facts, project_id))
    }

    fn finish_session(
        &self,
        compact: Compact<'_>,
        header: Header,
        key: Arc<VerifyingKey>,
        hash: Option<TokenHash>,
    ) -> Result<Session, SessionError> {
        let claims =
            Arc::new(self.finish(compact, &header, &key, self.presented(Kind::Session))?);
        if let (Some(verified), Some(hash)) = (&self.inner.verified, hash) {
            let entry = Verified {
                claims: Arc::clone(&claims),
                key_id: header.key_id,
                key,
            };
            verified.insert(hash, Arc::new(entry));
        }
        Ok(Session::new(claims))
    }

    /// The hash to remember the token by, if tokens are remembered and this could be one.
    fn hash(&self, token: &str) -> Option<TokenHash> {
        let fits = !token.is_empty() && token.len() <= self.inner.max_token_bytes;
        (fits && self.inner.verified.is_some()).then(|| verified::hash(token))
    }

    /// The claims of a token found good before, if its time is not over and its key still serves.
    fn remembered(&self, hash: &TokenHash) -> Option<Arc<Claims>> {
        let verified = self.inner.verified.as_ref()?;
        let found = verified.get(hash)?;
        let key_serves = matches!(
            self.inner.keys.at_hand(&found.key_id),
            AtHand::Key(key) if key.is_same_key(&found.key)
        );
        let in_time = found
            .claims
            .facts()
            .check_times(self.presented(Kind::Session).now, self.inner.policy.leeway)
            .is_ok();
        if key_serves && in_time {
            return Some(Arc::clone(&found.claims));
        }
        verified.remove(hash);
        None
    }

    /// The time that presented tokens are judged by: this machine's clock, and in the validator of a
    /// [`Client`](crate::Client) with the correction that the service's responses call for.
    ///
    /// A response that carries tokens says by its `Date` what time it is for the service. Up to 15
    /// minutes of difference are made up for, until the next such response.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        let offset = self.inner.clock_offset.load(Ordering::Relaxed);
        let now = self.inner.clock.now();
        let by = Duration::from_secs(offset.unsigned_abs());
        let corrected = if offset < 0 {
            now.checked_sub(by)
        } else {
            now.checked_add(by)
        };
        corrected.unwrap_or(now)
    }

    fn presented(&self, kind: Kind) -> Expected<'static> {
        Expected {
            kind,
            now: Now::Clock(seconds_since_epoch(self.now())),
            name: None,
        }
    }

    /// Learns from the `Date` of a response that carries tokens by how much the clocks differ.
    pub(super) fn learn_time(&self, date: Option<i64>) {
        let Some(date) = date else {
            return;
        };
        let offset = date.saturating_sub(seconds_since_epoch(self.inner.clock.now()));
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

fn seconds_since_epoch(time: SystemTime) -> i64 {
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}

/// Settings of a [`SessionValidator`].
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink::session::SessionValidator;
///
/// let validator = SessionValidator::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
///     .base_url("https://auth.example.com")
///     .audience("https://api.example.com")
///     .max_key_age(Duration::from_secs(15 * 60))
///     .build()?;
/// # let _ = validator;
/// # Ok::<(), descope_magiclink::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "does nothing until `build`"]
pub struct SessionValidatorBuilder {
    project_id: String,
    base_url: Option<String>,
    allow_plain_http: bool,
    keys: Option<Vec<u8>>,
    http: Option<reqwest::Client>,
    headers: Option<HeaderMap>,
    retry: RetryPolicy,
    issuers: Vec<String>,
    audiences: Vec<String>,
    leeway: Duration,
    session_names: Vec<String>,
    refresh_names: Vec<String>,
    max_token_bytes: usize,
    es384: bool,
    types: Vec<String>,
    ages: Ages,
    fetch_timeout: Duration,
    clock: Arc<dyn Clock>,
    remembered_tokens: usize,
}

impl fmt::Debug for SessionValidatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionValidatorBuilder")
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

impl SessionValidatorBuilder {
    fn new(project_id: String) -> Self {
        Self {
            project_id,
            base_url: None,
            allow_plain_http: false,
            keys: None,
            http: None,
            headers: None,
            retry: RetryPolicy::new(),
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: DEFAULT_LEEWAY,
            session_names: vec![SESSION_NAME.to_owned()],
            refresh_names: vec![REFRESH_NAME.to_owned()],
            max_token_bytes: DEFAULT_TOKEN_BYTES,
            es384: false,
            types: Vec::new(),
            ages: Ages {
                time_to_live: DEFAULT_TIME_TO_LIVE,
                maximum: DEFAULT_MAX_AGE,
                cool_down: DEFAULT_COOL_DOWN,
            },
            fetch_timeout: DEFAULT_FETCH_TIMEOUT,
            clock: Arc::new(SystemClock),
            remembered_tokens: 0,
        }
    }

    /// Where the service is: a custom domain, or a local emulator. Keys are fetched from there, and
    /// `https` URLs on its host may be issuers. Defaults to the service of the project's region.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Allows a base URL with `http` whose host is not this machine. Whoever is on the way can put
    /// keys of their own in place of the project's then, and with them make sessions of any user.
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// The keys to use, as JSON: a key set (`{"keys": [...]}`) or a single key. Nothing is fetched
    /// then, and tokens of any other key are refused, so a rotation of keys needs a new validator.
    pub fn key_set(mut self, json: impl Into<Vec<u8>>) -> Self {
        self.keys = Some(json.into());
        self
    }

    /// Accepts one more issuer, compared as a whole text.
    ///
    /// Accepted anyway: the project id, and an `https` URL of the base URL's host or of Descope's
    /// own whose path has the project id as its last or second-last segment.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Demands that tokens name this audience; called repeatedly, any one of them.
    ///
    /// Without it, tokens are accepted that name no audience or name the project, and those meant
    /// for others are refused.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audiences.push(audience.into());
        self
    }

    /// By how much this machine's clock may differ from the service's: 5 s unless set, 60 s at
    /// most. It holds for `exp` and `nbf`; `iat` may lie ahead by 60 s in any case.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// Accepts session tokens marked with this name besides `DS`: the session cookie's name, where
    /// the project has changed it.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_names.push(name.into());
        self
    }

    /// Accepts refresh tokens marked with this name besides `DSR`: the refresh cookie's name, where
    /// the project has changed it.
    pub fn refresh_name(mut self, name: impl Into<String>) -> Self {
        self.refresh_names.push(name.into());
        self
    }

    /// The longest token looked at, in bytes: 16 KiB unless set.
    pub fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Accepts ES384 as well. Only projects from before RS256 became Descope's standard need it.
    pub fn allow_es384(mut self) -> Self {
        self.es384 = true;
        self
    }

    /// Accepts tokens whose header has this `typ`, such as `at+jwt`. Without it a `typ` must be `JWT` or
    /// absent, so that what the project's keys sign for another purpose is no session.
    pub fn allow_type(mut self, typ: impl Into<String>) -> Self {
        self.types.push(typ.into());
        self
    }

    /// How long fetched keys serve: 5 minutes unless set. A key that was withdrawn is refused after
    /// this time at the latest, as long as the key endpoint answers.
    ///
    /// A busy process fetches ahead of that, at a random moment, so that no request waits and many
    /// machines do not ask at once. A process that was idle for longer waits for one fetch.
    pub fn key_ttl(mut self, ttl: Duration) -> Self {
        self.ages.time_to_live = ttl;
        self
    }

    /// How old keys may get while the key endpoint is down: 1 hour unless set.
    ///
    /// <div class="warning">
    ///
    /// This is a choice between two evils. For so long a key that was withdrawn during an outage
    /// goes on to be accepted; after it, nobody's session can be checked until the endpoint is
    /// back. Set it to the value of [`key_ttl`](Self::key_ttl) to have no such grace.
    ///
    /// </div>
    pub fn max_key_age(mut self, age: Duration) -> Self {
        self.ages.maximum = age;
        self
    }

    /// The least time between two fetches made because a token named a key not known: 30 s unless
    /// set. Bounds what a flood of made-up tokens can cause.
    pub fn unknown_key_cool_down(mut self, time: Duration) -> Self {
        self.ages.cool_down = time;
        self
    }

    /// The time a fetch of the keys may take, retries included: 5 s unless set.
    pub fn key_fetch_timeout(mut self, timeout: Duration) -> Self {
        self.fetch_timeout = timeout;
        self
    }

    /// Where the time is read. [`SystemClock`] by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Remembers about so many session tokens that were found good, so that the next request with
    /// the same token costs a hash and a look-up in place of a signature check. Off unless set.
    ///
    /// The answer is the same as without: a token is forgotten when its time is over or its key no
    /// longer serves, which is checked at each use. The price is memory, a few kilobytes per token,
    /// in which the claims of users stay until they are displaced. It pays where one client sends
    /// many requests with one token.
    pub fn remember_tokens(mut self, tokens: usize) -> Self {
        self.remembered_tokens = tokens;
        self
    }

    /// Takes over what a client for the same project was given; `headers` are those of its calls on
    /// nobody's behalf. The client has looked at the base URL.
    pub(crate) fn of_client(
        mut self,
        base_url: String,
        headers: HeaderMap,
        http: reqwest::Client,
        retry: RetryPolicy,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        self.base_url = Some(base_url);
        self.allow_plain_http = true;
        self.headers = Some(headers);
        self.http = Some(http);
        self.retry = retry;
        self.clock = Arc::clone(clock);
        self
    }

    /// Takes over the names of the client's cookies, which mark the tokens too.
    pub(crate) fn names_of(mut self, names: &CookieNames) -> Self {
        for (known, name) in [
            (&mut self.session_names, &names.session),
            (&mut self.refresh_names, &names.refresh),
        ] {
            if !known.contains(name) {
                known.push(name.clone());
            }
        }
        self
    }

    /// Makes the validator. Does no input or output.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a setting makes no sense, or the given key set has no usable key.
    pub fn build(self) -> Result<SessionValidator, ConfigError> {
        let project_id = config::project_id(&self.project_id)?;
        let regional = config::default_base_url(&project_id);
        let base_url = match &self.base_url {
            Some(url) => config::base_url(url, self.allow_plain_http)?,
            None => regional.clone(),
        };
        self.check()?;
        let mut algorithms = vec![Algorithm::Rs256, Algorithm::Es256];
        if self.es384 {
            algorithms.push(Algorithm::Es384);
        }
        let mut issuer_hosts = vec![DEFAULT_HOST.to_owned()];
        for url in [&regional, &base_url] {
            let host = host_and_port(url)?;
            if !issuer_hosts.contains(&host) {
                issuer_hosts.push(host);
            }
        }
        let keys = match &self.keys {
            Some(json) => Keys::Provided(
                KeySet::from_user_json(json, &algorithms)
                    .map_err(|problem| setting("key_set", what_is_wrong(problem)))?,
            ),
            None => {
                let endpoint = self.endpoint(&project_id, &base_url, &algorithms)?;
                let clock = Arc::clone(&self.clock);
                Keys::Fetched(Arc::new(KeyCache::new(endpoint, clock, self.ages)))
            }
        };
        Ok(SessionValidator {
            inner: Arc::new(Inner {
                project_id: project_id.as_str().into(),
                policy: Policy {
                    project_id,
                    issuers: self.issuers,
                    issuer_hosts,
                    audiences: self.audiences,
                    leeway: i64::try_from(self.leeway.as_secs()).unwrap_or_default(),
                    session_names: self.session_names,
                    refresh_names: self.refresh_names,
                },
                algorithms,
                max_token_bytes: self.max_token_bytes,
                keys,
                clock: self.clock,
                clock_offset: AtomicI64::new(0),
                types: self.types,
                verified: (self.remembered_tokens > 0)
                    .then(|| VerifiedTokens::new(self.remembered_tokens)),
            }),
        })
    }

    fn check(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        let named = [
            ("allow_type", &self.types),
            ("issuer", &self.issuers),
            ("audience", &self.audiences),
            ("session_name", &self.session_names),
            ("refresh_name", &self.refresh_names),
        ];
        if let Some((name, _)) = named
            .iter()
            .find(|(_, texts)| texts.iter().any(String::is_empty))
        {
            return Err(setting(name, "must not be empty"));
        }
        let both = |name: &String| self.refresh_names.contains(name);
        let problem = if self.leeway > MAX_LEEWAY {
            (
                "leeway",
                "must be 60 s at most; set the machine's clock right instead",
            )
        } else if self.ages.time_to_live < second {
            ("key_ttl", "must be 1 s or more")
        } else if self.ages.maximum < self.ages.time_to_live {
            ("max_key_age", "must not be less than key_ttl")
        } else if self.ages.cool_down < second {
            ("unknown_key_cool_down", "must be 1 s or more")
        } else if self.fetch_timeout.is_zero() {
            ("key_fetch_timeout", "must be more than nothing")
        } else if self.session_names.iter().any(both) {
            (
                "session_name",
                "must differ from every refresh_name, or the two kinds of tokens cannot be told apart",
            )
        } else {
            return Ok(());
        };
        Err(setting(problem.0, problem.1))
    }

    fn endpoint(
        &self,
        project_id: &str,
        base_url: &str,
        algorithms: &[Algorithm],
    ) -> Result<Endpoint, ConfigError> {
        let client = match &self.http {
            Some(client) => client.clone(),
            None => http_client(base_url, CONNECT_TIMEOUT, &Proxy::default())?,
        };
        let url = Url::parse(&format!("{base_url}/v2/keys/{project_id}"))
            .map_err(|_| ConfigError::InvalidBaseUrl("cannot be joined with a path"))?;
        let headers = match &self.headers {
            Some(headers) => headers.clone(),
            None => anonymous_headers(project_id, None)?,
        };
        Ok(Endpoint {
            client,
            url,
            base_url: base_url.to_owned(),
            headers,
            timeout: self.fetch_timeout,
            retry: self.retry,
            algorithms: algorithms.to_vec(),
        })
    }
}

fn setting(name: &'static str, problem: &'static str) -> ConfigError {
    ConfigError::InvalidSetting { name, problem }
}

fn what_is_wrong(problem: KeyProblem) -> &'static str {
    if problem == KeyProblem::NoUsableKey {
        "holds no usable key; it takes public RSA keys of 2048 bits or more, or P-256 keys, \
         each with a `kid` of its own"
    } else {
        "is not JSON of the form {\"keys\": [...]}, nor a single key"
    }
}

fn host_and_port(url: &str) -> Result<String, ConfigError> {
    let url = Url::parse(url).map_err(|_| ConfigError::InvalidBaseUrl("is not an absolute URL"))?;
    let host = url.host_str().unwrap_or_default();
    Ok(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

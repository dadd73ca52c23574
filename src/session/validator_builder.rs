//! Settings of the validator.

use std::fmt;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use super::claim_policy::Policy;
#[cfg(feature = "client")]
use super::ended::EndedSessions;
use super::key_source::KeySource;
use super::token_cache::TokenCache;
use super::validator::{SessionValidator, Settings};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, BaseUrl};
#[cfg(feature = "client")]
use crate::defaults::CONNECT_TIMEOUT;
use crate::defaults::{REFRESH_COOKIE, SESSION_COOKIE};
use crate::error::{ConfigError, KeyProblem};
#[cfg(feature = "client")]
use crate::jwks::cache::{CachePolicy, KeyCache};
#[cfg(feature = "client")]
use crate::jwks::fetch::Endpoint;
use crate::jwt::jwk::{Algorithm, KeySet};
#[cfg(feature = "client")]
use crate::raw::hooks::{Inner, Settings as CallSettings, anonymous_headers};
#[cfg(feature = "client")]
use crate::secret::ManagementKey;
#[cfg(feature = "client")]
use crate::transport::http::{HttpSettings, Proxy};
#[cfg(feature = "client")]
use crate::transport::retry::RetryPolicy;

const DEFAULT_HOST: &str = "api.descope.com";
const DEFAULT_LEEWAY: Duration = Duration::from_secs(5);
const MAX_LEEWAY: Duration = Duration::from_secs(60);
const DEFAULT_TOKEN_BYTES: usize = 16 * 1024;
#[cfg(feature = "client")]
const DEFAULT_TIME_TO_LIVE: Duration = Duration::from_secs(5 * 60);
#[cfg(feature = "client")]
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(60 * 60);
#[cfg(feature = "client")]
const DEFAULT_COOLDOWN: Duration = Duration::from_secs(30);
#[cfg(feature = "client")]
const DEFAULT_FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// How keys are fetched.
#[cfg(feature = "client")]
#[derive(Clone)]
struct FetchSettings {
    /// Those of a client; else the validator makes one.
    client: Option<Inner>,
    http_client: Option<reqwest::Client>,
    auth_management_key: Option<ManagementKey>,
    retry: RetryPolicy,
    policy: CachePolicy,
    timeout: Duration,
}

#[cfg(feature = "client")]
impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            client: None,
            http_client: None,
            auth_management_key: None,
            retry: RetryPolicy::new(),
            policy: CachePolicy {
                time_to_live: DEFAULT_TIME_TO_LIVE,
                max_age: DEFAULT_MAX_AGE,
                unknown_key_cooldown: DEFAULT_COOLDOWN,
            },
            timeout: DEFAULT_FETCH_TIMEOUT,
        }
    }
}

#[cfg(feature = "client")]
impl FetchSettings {
    fn check(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        let (name, problem) = if self.policy.time_to_live < second {
            ("key_ttl", "must be 1 s or more")
        } else if self.policy.max_age < self.policy.time_to_live {
            ("max_key_age", "must not be less than key_ttl")
        } else if self.policy.unknown_key_cooldown < second {
            ("unknown_key_cooldown", "must be 1 s or more")
        } else if self.timeout.is_zero() {
            ("key_fetch_timeout", "must be greater than zero")
        } else {
            return Ok(());
        };
        Err(setting(name, problem))
    }
}

/// What a client hands over to its validator.
#[cfg(feature = "client")]
pub(crate) struct ClientSettings {
    pub(crate) inner: Inner,
    pub(crate) clock: Arc<dyn Clock>,
    /// The names of the cookies mark the tokens too.
    pub(crate) session_cookie: String,
    pub(crate) refresh_cookie: String,
}

/// Settings of a [`SessionValidator`].
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink::SessionValidator;
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
    issuers: Vec<String>,
    audiences: Vec<String>,
    leeway: Duration,
    session_names: Vec<String>,
    refresh_names: Vec<String>,
    max_token_bytes: usize,
    es384: bool,
    types: Vec<String>,
    #[cfg(feature = "client")]
    fetch: FetchSettings,
    clock: Arc<dyn Clock>,
    token_cache_bytes: usize,
}

impl fmt::Debug for SessionValidatorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionValidatorBuilder")
            .field("project_id", &self.project_id)
            .finish_non_exhaustive()
    }
}

impl SessionValidatorBuilder {
    pub(super) fn new(project_id: String) -> Self {
        Self {
            project_id,
            base_url: None,
            allow_plain_http: false,
            keys: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway: DEFAULT_LEEWAY,
            session_names: vec![SESSION_COOKIE.to_owned()],
            refresh_names: vec![REFRESH_COOKIE.to_owned()],
            max_token_bytes: DEFAULT_TOKEN_BYTES,
            es384: false,
            types: Vec::new(),
            #[cfg(feature = "client")]
            fetch: FetchSettings::default(),
            clock: Arc::new(SystemClock),
            token_cache_bytes: 0,
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
    /// then, and tokens of any other key are refused; at a rotation of keys give the new ones to
    /// [`SessionValidator::replace_key_set`].
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
    pub fn session_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.session_names.push(name.into());
        self
    }

    /// Accepts refresh tokens marked with this name besides `DSR`: the refresh cookie's name, where
    /// the project has changed it.
    pub fn refresh_cookie_name(mut self, name: impl Into<String>) -> Self {
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

    #[cfg(feature = "client")]
    /// How long fetched keys serve: 5 minutes unless set. A key that was withdrawn is refused after
    /// this time at the latest, as long as the key endpoint responds.
    ///
    /// A busy process fetches ahead of that, at a random moment, so that no request waits and many
    /// machines do not ask at once. A process that was idle for longer waits for one fetch.
    pub fn key_ttl(mut self, ttl: Duration) -> Self {
        self.fetch.policy.time_to_live = ttl;
        self
    }

    #[cfg(feature = "client")]
    /// How old keys may get while the key endpoint is down: 1 hour unless set.
    ///
    /// <div class="warning">
    ///
    /// A longer time keeps users signed in through a longer outage, and also accepts for as long a key
    /// that was withdrawn during it. After this time no session can be checked until the endpoint
    /// responds again. With the value of [`key_ttl`](Self::key_ttl) old keys never serve.
    ///
    /// </div>
    pub fn max_key_age(mut self, age: Duration) -> Self {
        self.fetch.policy.max_age = age;
        self
    }

    #[cfg(feature = "client")]
    /// The least time between two fetches made because a token named a key not known: 30 s unless
    /// set. Bounds what a flood of made-up tokens can cause.
    pub fn unknown_key_cooldown(mut self, time: Duration) -> Self {
        self.fetch.policy.unknown_key_cooldown = time;
        self
    }

    #[cfg(feature = "client")]
    /// The HTTP client to fetch keys with, for certificates or a proxy of your own. It must not follow
    /// redirects. A client's validator uses the client's.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.fetch.http_client = Some(client);
        self
    }

    #[cfg(feature = "client")]
    /// The key for a project whose public authentication API is switched off. A client's validator
    /// uses the client's.
    pub fn auth_management_key(mut self, key: impl Into<ManagementKey>) -> Self {
        self.fetch.auth_management_key = Some(key.into());
        self
    }

    #[cfg(feature = "client")]
    /// When a fetch of the keys is repeated. A client's validator does as the client.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.fetch.retry = policy;
        self
    }

    #[cfg(feature = "client")]
    /// The time a fetch of the keys may take, retries included: 5 s unless set.
    pub fn key_fetch_timeout(mut self, timeout: Duration) -> Self {
        self.fetch.timeout = timeout;
        self
    }

    /// Where the time is read. [`SystemClock`] by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Remembers session tokens that were found good, in about so many bytes of memory, so that the next
    /// request with the same token costs a hash and a lookup in place of a signature check. 0 by default: off.
    ///
    /// The result is the same as without: a token is forgotten when it expires or its key no longer
    /// serves, which is checked at each use, and within a minute where nobody uses it. A token takes up some
    /// four times its length, so that one MiB is for some 300 tokens of 800 bytes; those that expire first make
    /// room. It pays where one client sends many requests with one token.
    pub fn token_cache_bytes(mut self, bytes: usize) -> Self {
        self.token_cache_bytes = bytes;
        self
    }

    #[cfg(feature = "client")]
    /// Takes over what a client for the same project was given.
    pub(crate) fn client(mut self, client: ClientSettings) -> Self {
        // One that the client has looked at.
        self.base_url = Some(client.inner.settings.base_url.to_string());
        self.allow_plain_http = true;
        self.fetch.client = Some(client.inner);
        self.clock = client.clock;
        for (known, name) in [
            (&mut self.session_names, client.session_cookie),
            (&mut self.refresh_names, client.refresh_cookie),
        ] {
            if !known.contains(&name) {
                known.push(name);
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
        let regional = BaseUrl::parse(&config::default_base_url(&project_id), false)?;
        let base_url = match &self.base_url {
            Some(url) => BaseUrl::parse(url, self.allow_plain_http)?,
            None => regional.clone(),
        };
        self.check()?;
        let mut algorithms = vec![Algorithm::Rs256, Algorithm::Es256];
        if self.es384 {
            algorithms.push(Algorithm::Es384);
        }
        let mut issuer_hosts = vec![DEFAULT_HOST.to_owned()];
        for url in [&regional, &base_url] {
            let host = url.host_and_port();
            if !issuer_hosts.contains(&host) {
                issuer_hosts.push(host);
            }
        }
        let keys = match &self.keys {
            Some(json) => KeySource::Provided(RwLock::new(read_key_set(json, &algorithms)?)),
            #[cfg(not(feature = "client"))]
            None => {
                let problem = "is needed without the feature `client`, which fetches keys";
                return Err(setting("key_set", problem));
            }
            #[cfg(feature = "client")]
            None => {
                let endpoint = self.endpoint(&project_id, &base_url, &algorithms)?;
                let clock = Arc::clone(&self.clock);
                KeySource::Fetched(Arc::new(KeyCache::new(endpoint, clock, self.fetch.policy)))
            }
        };
        #[cfg(feature = "client")]
        let timeout = match &self.fetch.client {
            Some(inner) => inner.timeout,
            None => self.fetch.timeout,
        };
        #[cfg(feature = "client")]
        let ended = EndedSessions::new(Arc::clone(&self.clock));
        let settings = Settings {
            #[cfg(feature = "client")]
            ended,
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
            types: self.types,
            keys,
            token_cache: (self.token_cache_bytes > 0)
                .then(|| TokenCache::new(self.token_cache_bytes, Arc::clone(&self.clock))),
            clock: self.clock,
            #[cfg(feature = "client")]
            date_is_trusted: base_url.is_tls_or_local(),
        };
        Ok(SessionValidator::from_settings(
            settings,
            #[cfg(feature = "client")]
            timeout,
        ))
    }

    fn check(&self) -> Result<(), ConfigError> {
        let named = [
            ("allow_type", &self.types),
            ("issuer", &self.issuers),
            ("audience", &self.audiences),
            ("session_cookie_name", &self.session_names),
            ("refresh_cookie_name", &self.refresh_names),
        ];
        if let Some((name, _)) = named
            .iter()
            .find(|(_, texts)| texts.iter().any(String::is_empty))
        {
            return Err(setting(name, "must not be empty"));
        }
        if self.leeway > MAX_LEEWAY {
            let problem = "must be 60 s at most; set the machine's clock right instead";
            return Err(setting("leeway", problem));
        }
        let both = |name: &String| self.refresh_names.contains(name);
        if self.session_names.iter().any(both) {
            let problem = "must differ from every refresh_cookie_name, \
                           or the two kinds of tokens cannot be told apart";
            return Err(setting("session_cookie_name", problem));
        }
        #[cfg(feature = "client")]
        self.fetch.check()?;
        Ok(())
    }

    #[cfg(feature = "client")]
    fn endpoint(
        &self,
        project_id: &str,
        base_url: &BaseUrl,
        algorithms: &[Algorithm],
    ) -> Result<Endpoint, ConfigError> {
        let inner = match &self.fetch.client {
            Some(client) => client.clone(),
            None => {
                let http = HttpSettings {
                    base_url: base_url.clone(),
                    connect_timeout: CONNECT_TIMEOUT,
                    proxy: Proxy::default(),
                    own: self.fetch.http_client.clone(),
                };
                let key = self.fetch.auth_management_key.clone();
                let headers = anonymous_headers(project_id, key.as_ref())?;
                let mut settings = CallSettings::anonymous(http, project_id, key)?;
                settings.retry = self.fetch.retry;
                Inner::new(settings, headers, self.fetch.timeout)
            }
        };
        Ok(Endpoint {
            inner,
            timeout: self.fetch.timeout,
            algorithms: algorithms.to_vec(),
        })
    }
}

pub(super) fn setting(name: &'static str, problem: &'static str) -> ConfigError {
    ConfigError::InvalidSetting { name, problem }
}

/// Keys that the application gives.
pub(super) fn read_key_set(json: &[u8], algorithms: &[Algorithm]) -> Result<KeySet, ConfigError> {
    KeySet::from_user_json(json, algorithms).map_err(|problem| {
        let problem = if problem == KeyProblem::NoUsableKey {
            "holds no usable key; it takes public RSA keys of 2048 bits or more, or P-256 keys, \
             each with a `kid` of its own"
        } else {
            "is not JSON of the form {\"keys\": [...]}, nor a single key"
        };
        setting("key_set", problem)
    })
}

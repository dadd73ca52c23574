//! The client: built once, cloned everywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::USER_AGENT;

use crate::clock::{Clock, SystemClock};
use crate::config::{self, BaseUrl};
use crate::defaults::{CONNECT_TIMEOUT, REFRESH_COOKIE, SESSION_COOKIE, TIMEOUT};
use crate::error::{ConfigError, Result};
use crate::raw;
#[cfg(feature = "management")]
use crate::raw::hooks::checked_key;
use crate::raw::hooks::{Inner, Settings, anonymous_headers, user_agent};
use crate::secret::{ManagementKey, Secret};
use crate::session::SessionValidatorBuilder;
use crate::session::handovers::Handovers;
use crate::session::refreshes::Refreshes;
use crate::session::validator::SessionValidator;
use crate::session::validator_builder::ClientSettings;
use crate::store::Store;
use crate::store::memory::Memory;
use crate::store::shared::{Remote, Shared as SharedStore};
use crate::transport::call_event::{CallEvent, Observer};
use crate::transport::deadline::Deadline;
use crate::transport::http::{HttpSettings, Proxy};
use crate::transport::retry::RetryPolicy;

/// A client for one Descope project.
///
/// Cheap to clone: clones share the connection pool. Make one per process and project.
///
/// ```
/// use descope_magiclink::Client;
///
/// let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
/// let magic_link = client.magic_link();
/// # let _ = magic_link;
/// # Ok::<(), descope_magiclink::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    raw: raw::Client,
    validator: SessionValidator,
    shared: Arc<Shared>,
}

/// What clients have in common that differ in their timeout alone.
struct Shared {
    /// The timeout that the first of them was built with.
    timeout: Duration,
    refreshes: Arc<Refreshes>,
    handovers: Arc<Handovers>,
    store: Box<dyn Store>,
    /// The store that other processes share.
    remote: Option<Remote>,
}

/// The names of the cookies that a project in cookie mode puts its tokens in.
#[derive(Debug, Clone)]
pub(crate) struct CookieNames {
    pub(crate) session: String,
    pub(crate) refresh: String,
}

impl Client {
    /// A client with the default settings.
    ///
    /// `project_id` is in the console under project settings; an id with a region selects that
    /// region's host.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) when the id cannot be one, or no TLS feature is on.
    pub fn new(project_id: impl AsRef<str>) -> Result<Self> {
        Self::builder(project_id).build()
    }

    /// A client whose settings can be changed before it is built.
    pub fn builder(project_id: impl AsRef<str>) -> ClientBuilder {
        ClientBuilder {
            project_id: project_id.as_ref().to_owned(),
            base_url: None,
            allow_plain_http: false,
            auth_management_key: None,
            #[cfg(feature = "management")]
            management_key: None,
            timeout: TIMEOUT,
            connect_timeout: CONNECT_TIMEOUT,
            retry: RetryPolicy::new(),
            proxy: Proxy::default(),
            http_client: None,
            clock: Arc::new(SystemClock),
            observer: None,
            store: None,
            app_info: None,
            names: CookieNames {
                session: SESSION_COOKIE.to_owned(),
                refresh: REFRESH_COOKIE.to_owned(),
            },
            validation: SessionValidator::builder(project_id),
        }
    }

    /// A client set up by the environment: see [`ClientBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) when `DESCOPE_PROJECT_ID` is missing, or a variable cannot be used.
    pub fn from_env() -> Result<Self> {
        ClientBuilder::from_env()?.build()
    }

    /// A client whose calls may take so long in all. It shares everything else with this one:
    /// connections, keys, and refreshes in flight.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use descope_magiclink::Client;
    /// # let client = Client::new("P2aAc4T2V93bddihGEx2Ryhc8e5Z")?;
    /// let hurried = client.with_timeout(Duration::from_secs(2));
    /// # let _ = hurried;
    /// # Ok::<(), descope_magiclink::Error>(())
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        let mut client = self.clone();
        client.raw = client.raw.with_timeout(timeout);
        client.validator = client.validator.with_timeout(timeout);
        client
    }

    /// The low-level client, with this client's authentication, headers, deadline and pool.
    #[must_use]
    pub fn raw(&self) -> &raw::Client {
        &self.raw
    }

    /// The project that this client belongs to.
    #[must_use]
    pub fn project_id(&self) -> &str {
        &self.settings().project_id
    }

    /// The URL that paths are appended to, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.settings().base_url
    }

    /// What this client keeps for a while: the store that it was [built with](ClientBuilder::store), or
    /// its process's own memory.
    ///
    /// While a store that processes share fails, what this process has put there is found all the same;
    /// only the lists ([`Store::append`], [`Store::since`]) give errors then.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.shared.store
    }

    pub(crate) fn remote(&self) -> Option<&Remote> {
        self.shared.remote.as_ref()
    }

    pub(crate) fn validator(&self) -> &SessionValidator {
        &self.validator
    }

    pub(crate) fn refreshes(&self) -> &Arc<Refreshes> {
        &self.shared.refreshes
    }

    pub(crate) fn handovers(&self) -> &Arc<Handovers> {
        &self.shared.handovers
    }

    /// Whether a refresh, a verification or a choice of tenant is in flight: for tests, which cannot see the crate's
    /// own thread.
    #[doc(hidden)]
    #[must_use]
    pub fn has_calls_in_flight(&self) -> bool {
        self.shared.handovers.is_busy() || self.shared.refreshes.is_busy()
    }

    /// The deadline of a call that starts now.
    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.raw.inner.timeout)
    }

    /// The low-level client of work in flight. It has the time of the most patient client, since others
    /// may come to wait for the same work.
    pub(crate) fn raw_with_longest_timeout(&self) -> raw::Client {
        self.raw.with_timeout(self.longest_timeout())
    }

    pub(crate) fn longest_timeout(&self) -> Duration {
        self.raw.inner.timeout.max(self.shared.timeout)
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.raw.inner.settings
    }
}

/// So that what takes a validator takes a client too.
impl AsRef<SessionValidator> for Client {
    fn as_ref(&self) -> &SessionValidator {
        &self.validator
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("project_id", &self.project_id())
            .field("base_url", &self.base_url())
            .finish_non_exhaustive()
    }
}

/// Settings of a [`Client`], before it is built.
///
/// ```
/// use std::time::Duration;
/// use descope_magiclink::Client;
///
/// let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
///     .base_url("https://auth.example.com")
///     .timeout(Duration::from_secs(10))
///     .build()?;
/// assert_eq!(client.base_url(), "https://auth.example.com");
/// # Ok::<(), descope_magiclink::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClientBuilder {
    project_id: String,
    base_url: Option<String>,
    allow_plain_http: bool,
    auth_management_key: Option<ManagementKey>,
    #[cfg(feature = "management")]
    management_key: Option<ManagementKey>,
    timeout: Duration,
    connect_timeout: Duration,
    retry: RetryPolicy,
    proxy: Proxy,
    http_client: Option<reqwest::Client>,
    clock: Arc<dyn Clock>,
    observer: Option<Observer>,
    store: Option<Arc<dyn Store>>,
    app_info: Option<(String, String)>,
    names: CookieNames,
    validation: SessionValidatorBuilder,
}

impl ClientBuilder {
    /// Settings from the environment. No other function of this crate reads it, but for the
    /// [proxy](Self::proxy)'s variables.
    ///
    /// | variable | meaning |
    /// | --- | --- |
    /// | `DESCOPE_PROJECT_ID` | the project id; needed |
    /// | `DESCOPE_BASE_URI`, else `DESCOPE_BASE_URL` | [`base_url`](Self::base_url) |
    /// | `DESCOPE_ALLOW_PLAIN_HTTP` | `1` for [`allow_plain_http`](Self::allow_plain_http) |
    /// | `DESCOPE_AUTH_MANAGEMENT_KEY` | [`auth_management_key`](Self::auth_management_key) |
    /// | `DESCOPE_MANAGEMENT_KEY` | [`management_key`](Self::management_key), with the feature `management` |
    /// | `DESCOPE_PUBLIC_KEY` | a public key or key set as JSON: [`key_set`](SessionValidatorBuilder::key_set) |
    ///
    /// A variable that is empty counts as not set.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) when `DESCOPE_PROJECT_ID` is missing, or a variable is not Unicode.
    pub fn from_env() -> Result<Self> {
        let mut builder =
            Client::builder(read_env("DESCOPE_PROJECT_ID")?.ok_or(ConfigError::MissingProjectId)?);
        builder.base_url = match read_env("DESCOPE_BASE_URI")? {
            Some(url) => Some(url),
            None => read_env("DESCOPE_BASE_URL")?,
        };
        builder.allow_plain_http = match read_env("DESCOPE_ALLOW_PLAIN_HTTP")?.as_deref() {
            None | Some("0" | "false") => false,
            Some("1" | "true") => true,
            Some(_) => {
                let (name, problem) = ("DESCOPE_ALLOW_PLAIN_HTTP", "must be 1 or 0");
                return Err(ConfigError::InvalidSetting { name, problem }.into());
            }
        };
        builder.auth_management_key =
            read_env("DESCOPE_AUTH_MANAGEMENT_KEY")?.map(ManagementKey::new);
        #[cfg(feature = "management")]
        {
            builder.management_key = read_env("DESCOPE_MANAGEMENT_KEY")?.map(ManagementKey::new);
        }
        if let Some(keys) = read_env("DESCOPE_PUBLIC_KEY")? {
            builder = builder.session_validation(|validation| validation.key_set(keys));
        }
        Ok(builder)
    }

    /// Where the service is: a custom domain, or an emulator. Without it the project id decides.
    ///
    /// `http` is for an emulator on this machine (`localhost`, `*.localhost`, 127.0.0.0/8, `[::1]`):
    /// tokens travel readable over it. For any other host see
    /// [`allow_plain_http`](Self::allow_plain_http).
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Allows a base URL with `http` whose host is not this machine, such as an emulator in another
    /// container. Whoever is on the way reads every token and can sign in as any user.
    ///
    /// ```
    /// use descope_magiclink::{Client, ConfigError, Error};
    ///
    /// let emulator = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z").base_url("http://emulator:8080");
    /// assert!(matches!(
    ///     emulator.clone().build(),
    ///     Err(Error::Config(ConfigError::PlainHttp))
    /// ));
    /// assert!(emulator.allow_plain_http().build().is_ok());
    /// ```
    pub fn allow_plain_http(mut self) -> Self {
        self.allow_plain_http = true;
        self
    }

    /// The key for a project whose public authentication API is switched off. It is sent along with
    /// every call but management ones.
    pub fn auth_management_key(mut self, key: impl Into<ManagementKey>) -> Self {
        self.auth_management_key = Some(key.into());
        self
    }

    /// The key for management calls, from the console's company settings: see
    /// [`Client::management`].
    #[cfg(feature = "management")]
    pub fn management_key(mut self, key: impl Into<ManagementKey>) -> Self {
        self.management_key = Some(key.into());
        self
    }

    /// How long a call may take in all, repeats included. 30 seconds by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How long making a connection may take. 3 seconds by default.
    ///
    /// Has no effect with [`http_client`](Self::http_client).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// When a call is sent again.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sends all calls through a proxy: `http://proxy.example.com:3128`, with a user name and a
    /// password in it if it wants them.
    ///
    /// Unless set, the variables `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` (or their
    /// lower-case names) decide, as in curl, and calls to this machine go straight to it whatever
    /// those say.
    ///
    /// Has no effect with [`http_client`](Self::http_client).
    pub fn proxy(mut self, url: impl Into<Secret>) -> Self {
        self.proxy = Proxy::Through(url.into());
        self
    }

    /// Uses no proxy, whatever the environment says.
    ///
    /// Has no effect with [`http_client`](Self::http_client).
    pub fn no_proxy(mut self) -> Self {
        self.proxy = Proxy::Never;
        self
    }

    /// The HTTP client to use (of reqwest 0.13), for certificates or a pool of your own.
    ///
    /// # Warning
    ///
    /// Build it with `redirect(Policy::none())` and `retry(reqwest::retry::never())`, as this crate
    /// does: a redirect (307) sends one-time tokens on to another host.
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Where the time is read. [`SystemClock`] by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Names the application in front of this crate in the user agent of each call, so that a log or a
    /// firewall on the way can tell it: `my-app/1.2 descope-magiclink/0.1`. Letters, digits and marks such as
    /// `-` and `.` alone.
    pub fn app_info(mut self, name: impl Into<String>, version: impl Into<String>) -> Self {
        self.app_info = Some((name.into(), version.into()));
        self
    }

    /// Has a closure see each call of the client, also those that it makes by itself such as fetching
    /// keys: before it is sent, to add headers such as a trace context, and when it has completed, for
    /// metrics. It must not block: calls that callers share, such as a refresh, tell it of themselves on the
    /// one thread that sends everything.
    ///
    /// ```
    /// use descope_magiclink::{CallEvent, Client};
    ///
    /// let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
    ///     .on_call(|event| match event {
    ///         CallEvent::Starting { headers, .. } => {
    ///             let id = http::HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    ///             headers.insert("traceparent", id);
    ///         }
    ///         CallEvent::Completed { operation, result, attempts, duration, .. } => {
    ///             println!("{operation}: {result:?} in {duration:?}, sent {attempts} times");
    ///         }
    ///         _ => {}
    ///     })
    ///     .build()?;
    /// # let _ = client;
    /// # Ok::<(), descope_magiclink::Error>(())
    /// ```
    pub fn on_call(mut self, observe: impl Fn(&mut CallEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Observer::new(observe));
        self
    }

    /// The store that all processes share which serve the same users. Without one, each works on its own.
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// The session cookie's name, when the project uses another than `DS`.
    pub fn session_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.names.session = name.into();
        self
    }

    /// The refresh cookie's name, when the project uses another than `DSR`. The service is told.
    pub fn refresh_cookie_name(mut self, name: impl Into<String>) -> Self {
        self.names.refresh = name.into();
        self
    }

    /// Changes how session tokens are validated: audience, issuers, leeway, keys.
    ///
    /// Project, base URL, clock, HTTP client, retries and cookie names are those of the client.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use descope_magiclink::Client;
    /// let client = Client::builder("P2aAc4T2V93bddihGEx2Ryhc8e5Z")
    ///     .session_validation(|validation| {
    ///         validation
    ///             .audience("https://api.example.com")
    ///             .max_key_age(Duration::from_secs(15 * 60))
    ///     })
    ///     .build()?;
    /// # let _ = client;
    /// # Ok::<(), descope_magiclink::Error>(())
    /// ```
    pub fn session_validation(
        mut self,
        change: impl FnOnce(SessionValidatorBuilder) -> SessionValidatorBuilder,
    ) -> Self {
        self.validation = change(self.validation);
        self
    }

    /// Builds the client. The HTTP client behind it is made at the first call.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) when a setting cannot be used; the message names it.
    pub fn build(self) -> Result<Client> {
        let project_id = config::project_id(&self.project_id)?;
        let base_url = match &self.base_url {
            Some(url) => BaseUrl::parse(url, self.allow_plain_http)?,
            None => BaseUrl::parse(&config::default_base_url(&project_id), false)?,
        };
        for (name, cookie) in [
            ("session_cookie_name", &self.names.session),
            ("refresh_cookie_name", &self.names.refresh),
        ] {
            if !is_cookie_name(cookie) {
                let problem =
                    "must be a cookie name: ASCII, no spaces and none of ()<>@,;:\\\"/[]?={}";
                return Err(ConfigError::InvalidSetting { name, problem }.into());
            }
        }
        if self.timeout.is_zero() {
            let (name, problem) = ("timeout", "must be greater than zero");
            return Err(ConfigError::InvalidSetting { name, problem }.into());
        }
        let mut headers = anonymous_headers(&project_id, self.auth_management_key.as_ref())?;
        let http = HttpSettings {
            base_url,
            connect_timeout: self.connect_timeout,
            proxy: self.proxy,
            own: self.http_client,
        };
        let mut settings = Settings::anonymous(http, &project_id, self.auth_management_key)?;
        #[cfg(feature = "management")]
        if let Some(key) = &self.management_key {
            checked_key("management_key", key)?;
            settings.management_key = Some(key.clone());
        }
        if self.names.refresh != REFRESH_COOKIE
            && let Ok(name) = HeaderValue::from_str(&self.names.refresh)
        {
            headers.insert("x-descope-refresh-cookie-name", name);
        }
        if let Some((name, version)) = &self.app_info {
            headers.insert(USER_AGENT, user_agent(name, version)?);
        }
        settings.retry = self.retry;
        settings.clock = Arc::clone(&self.clock);
        settings.observer = self.observer;
        let memory = Memory::new(Arc::clone(&self.clock));
        let remote = self.store.map(|store| Remote::new(store, &project_id));
        let store: Box<dyn Store> = match remote.clone() {
            Some(remote) => Box::new(SharedStore::new(remote, memory)),
            None => Box::new(memory),
        };
        let inner = Inner::new(settings, headers, self.timeout);
        let client_settings = ClientSettings {
            inner: inner.clone(),
            clock: self.clock,
            session_cookie: self.names.session,
            refresh_cookie: self.names.refresh,
        };
        let validator = self.validation.client(client_settings).build()?;
        if let Some(remote) = &remote {
            validator.ended().follow(remote.clone());
        }
        let shared = Shared {
            timeout: self.timeout,
            refreshes: Arc::new(Refreshes::new(validator.clone())),
            handovers: Arc::new(Handovers::new(validator.clone())),
            store,
            remote,
        };
        Ok(Client {
            raw: raw::Client { inner },
            validator,
            shared: Arc::new(shared),
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("project_id", &self.project_id)
            .field("base_url", &self.base_url)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

/// Whether RFC 6265 4.1.1 allows the text as a cookie's name.
pub(crate) fn is_cookie_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !br#"()<>@,;:\"/[]?={}"#.contains(&b))
}

#[expect(clippy::disallowed_methods, reason = "this is what from_env is for")]
fn read_env(name: &'static str) -> Result<Option<String>> {
    match std::env::var(name) {
        Ok(text) => Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => {
            let problem = "is not Unicode text";
            Err(ConfigError::InvalidSetting { name, problem }.into())
        }
    }
}

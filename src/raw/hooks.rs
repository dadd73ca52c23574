//! What is the same for every call of a client: authentication, fixed headers, deadline, retries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::Request;
use url::Url;

use super::client::Client;
use super::license::{self, Licenses};
use crate::clock::{Clock, SystemClock};
use crate::error::{Call, ConfigError, CredentialKind, Error, SessionError, TokenProblem};
use crate::secret::{AccessKey, ManagementKey, RefreshToken, SessionToken};
use crate::sync::single_flight::run;
use crate::transport::call_event::{CallEvent, Observer};
use crate::transport::deadline::Deadline;
use crate::transport::http::{HttpSettings, LazyHttp};
use crate::transport::response::{Received, unexpected};
use crate::transport::retry::RetryPolicy;
use crate::transport::send::send;

/// What the generated client carries beside the URL and the connection pool.
#[derive(Clone)]
pub(crate) struct Inner {
    pub(crate) settings: Arc<Settings>,
    /// How long a call may take in all.
    pub(crate) timeout: Duration,
    /// Those of a call on nobody's behalf.
    pub(crate) headers: Arc<HeaderMap>,
}

pub(crate) struct Settings {
    pub(crate) http: LazyHttp,
    pub(crate) base: Url,
    /// The same as it was given, without a slash at its end.
    pub(crate) base_url: Arc<str>,
    pub(crate) project_id: Arc<str>,
    pub(crate) auth_management_key: Option<ManagementKey>,
    #[cfg(feature = "management")]
    pub(crate) management_key: Option<ManagementKey>,
    pub(crate) retry: RetryPolicy,
    /// Whether that is sure: not with an application's own HTTP client.
    pub(crate) speaks_http1: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) licenses: Licenses,
    pub(crate) observer: Option<Observer>,
}

impl Settings {
    /// Those of calls that carry the project id, and a key where the project demands one.
    pub(crate) fn anonymous(
        http: HttpSettings,
        project_id: &str,
        auth_management_key: Option<ManagementKey>,
    ) -> Result<Self, ConfigError> {
        http.check()?;
        let base_url = http.base_url.as_str();
        let base = Url::parse(base_url)
            .map_err(|_| ConfigError::InvalidBaseUrl("cannot be joined with a path"))?;
        Ok(Self {
            base,
            base_url: base_url.into(),
            speaks_http1: http.speaks_http1(),
            http: LazyHttp::new(http),
            project_id: project_id.into(),
            auth_management_key,
            #[cfg(feature = "management")]
            management_key: None,
            retry: RetryPolicy::new(),
            clock: Arc::new(SystemClock),
            licenses: Licenses::default(),
            observer: None,
        })
    }
}

impl Inner {
    pub(crate) fn new(settings: Settings, headers: HeaderMap, timeout: Duration) -> Self {
        Self {
            settings: Arc::new(settings),
            timeout,
            headers: Arc::new(headers),
        }
    }

    pub(crate) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("project_id", &self.settings.project_id)
            .field("timeout", &self.timeout)
            .field("retry", &self.settings.retry)
            .finish_non_exhaustive()
    }
}

impl CredentialKind {
    /// Of a call whose header has the project id alone.
    pub(super) fn without_one(operation: &'static str) -> Self {
        match operation {
            "verify_magic_link" => Self::MagicLink,
            _ => Self::Project,
        }
    }
}

/// A secret that stands in the `Authorization` header after the project id: a [`RefreshToken`], a
/// [`SessionToken`], an [`AccessKey`] or a [`ManagementKey`].
pub trait Credential: authorize::Authorize {}

impl<T: authorize::Authorize> Credential for T {}

mod authorize {
    use crate::error::CredentialKind;

    /// What only this crate implements.
    pub trait Authorize {
        const NAME: &'static str;
        const KIND: CredentialKind;
        /// Whether the auth management key, if there is one, follows it.
        const TAKES_AUTH_KEY: bool = true;

        fn text(&self) -> &str;
    }
}
use authorize::Authorize;

impl Authorize for RefreshToken {
    const NAME: &'static str = "refresh_token";
    const KIND: CredentialKind = CredentialKind::UserToken;

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Authorize for SessionToken {
    const NAME: &'static str = "session_token";
    const KIND: CredentialKind = CredentialKind::UserToken;

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Authorize for AccessKey {
    const NAME: &'static str = "access_key";
    const KIND: CredentialKind = CredentialKind::AccessKey;

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Authorize for ManagementKey {
    const NAME: &'static str = "management_key";
    const KIND: CredentialKind = CredentialKind::ManagementKey;
    const TAKES_AUTH_KEY: bool = false;

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

/// `Bearer PROJECT[:CREDENTIAL][:KEY]`, the parts in the order that Descope's SDKs agree on.
pub(crate) fn bearer(parts: &[&str]) -> Option<HeaderValue> {
    let value = zeroize::Zeroizing::new(format!("Bearer {}", parts.join(":")));
    let mut value = HeaderValue::from_str(&value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Client {
    /// Called by the generated code where the description asks for more than the project id.
    pub(crate) fn authorize<C: Credential>(
        &self,
        headers: &mut HeaderMap,
        credential: &C,
    ) -> Result<(), Error> {
        let settings = &*self.inner.settings;
        let text = credential.text();
        let is_users = C::KIND == CredentialKind::UserToken;
        if text.is_empty() {
            // In the same words as where tokens are checked.
            return Err(if is_users {
                SessionError::Missing.into()
            } else {
                Error::argument(C::NAME, "must not be empty")
            });
        }
        let mut parts = vec![&*settings.project_id, text];
        if let Some(key) = settings
            .auth_management_key
            .as_ref()
            .filter(|_| C::TAKES_AUTH_KEY)
        {
            parts.push(key.expose_secret());
        }
        // A space or a control character would let a token add to the header.
        let value = text
            .bytes()
            .all(|b| b.is_ascii_graphic())
            .then(|| bearer(&parts))
            .flatten()
            .ok_or_else(|| {
                if is_users {
                    SessionError::from(TokenProblem::Malformed).into()
                } else {
                    Error::argument(C::NAME, "has characters that no key has")
                }
            })?;
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

impl Client {
    /// A request with the headers of a call on nobody's behalf. `path` is encoded, and begins with a slash.
    pub(crate) fn request(&self, method: Method, path: &str) -> Request {
        let mut url = self.inner.settings.base.clone();
        match url.path() {
            "/" => url.set_path(path),
            base => {
                let path = format!("{base}{path}");
                url.set_path(&path);
            }
        }
        let mut request = Request::new(method, url);
        *request.headers_mut() = HeaderMap::clone(&self.inner.headers);
        request
    }

    /// Gives responses of success alone.
    pub(crate) async fn exec(
        &self,
        request: Request,
        operation: &'static str,
        credential: CredentialKind,
        max_body: usize,
    ) -> Result<Received, Error> {
        #[cfg(feature = "tracing")]
        {
            let span = tracing::debug_span!(
                "call",
                operation,
                status = tracing::field::Empty,
                code = tracing::field::Empty,
                attempts = tracing::field::Empty,
            );
            let call = tracing::Instrument::instrument(
                self.send_observed(request, operation, credential, max_body),
                span.clone(),
            );
            let (result, attempts) = call.await;
            record(&span, attempts, &result);
            result
        }
        #[cfg(not(feature = "tracing"))]
        self.send_observed(request, operation, credential, max_body)
            .await
            .0
    }

    /// Gives how many times the request was sent too.
    async fn send_observed(
        &self,
        mut request: Request,
        operation: &'static str,
        credential: CredentialKind,
        max_body: usize,
    ) -> (Result<Received, Error>, u32) {
        let deadline = Deadline::after(self.inner.timeout);
        let settings = &*self.inner.settings;
        if let Some(key) = management_key(request.headers(), credential, operation)
            && let Some(tier) = self.license(key, deadline).await
        {
            request.headers_mut().insert(license::HEADER, tier);
        }
        let observer = settings.observer.as_ref();
        if let Some(observer) = observer {
            observer.add_headers(operation, request.headers_mut());
        }
        let sending = send(
            settings.http.clone(),
            request,
            settings.retry,
            deadline,
            max_body,
            settings.speaks_http1,
        );
        let Some(sent) = run(sending).await else {
            return (Err(ConfigError::NoThread.into()), 0);
        };
        let result = match sent.result {
            Ok(received) if received.status.is_success() => Ok(received),
            Ok(received) => {
                let call = Call {
                    operation_id: operation,
                    clock: Arc::clone(&settings.clock),
                    credential,
                    base_url: Arc::clone(&settings.base_url),
                    project_id: Arc::clone(&settings.project_id),
                };
                Err(unexpected(received, &call))
            }
            Err(error) => Err(error.of(operation)),
        };
        if let Some(observer) = observer {
            observer.notify(&mut CallEvent::Completed {
                operation,
                result: result.as_ref().map(|received| received.status),
                attempts: sent.attempts,
                duration: deadline.elapsed(),
            });
        }
        (result, sent.attempts)
    }
}

/// The key of a management call, out of its `Bearer PROJECT:KEY`; none for the handshake itself.
fn management_key(
    headers: &HeaderMap,
    credential: CredentialKind,
    operation: &'static str,
) -> Option<ManagementKey> {
    if credential != CredentialKind::ManagementKey || operation == license::OPERATION {
        return None;
    }
    let bearer = headers.get(AUTHORIZATION)?.to_str().ok()?;
    bearer.split_once(':').map(|(_, key)| key.into())
}

/// Completes the span of a call: never with its URL, headers or body.
#[cfg(feature = "tracing")]
fn record(span: &tracing::Span, attempts: u32, result: &Result<Received, Error>) {
    span.record("attempts", attempts);
    let status = match result {
        Ok(received) => Some(received.status),
        Err(error) => {
            span.record("code", error.code().map(tracing::field::display));
            error.status()
        }
    };
    span.record("status", status.map(|status| status.as_u16()));
}

/// The headers of a call on nobody's behalf: `Bearer PROJECT` or `Bearer PROJECT:KEY`, and those that
/// every call carries.
pub(crate) fn anonymous_headers(
    project_id: &str,
    auth_management_key: Option<&ManagementKey>,
) -> Result<HeaderMap, ConfigError> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let mut parts = vec![project_id];
    if let Some(key) = auth_management_key {
        parts.push(checked_key("auth_management_key", key)?);
    }
    let bearer = bearer(&parts).ok_or(ConfigError::InvalidProjectId)?;
    let id = HeaderValue::from_str(project_id).map_err(|_| ConfigError::InvalidProjectId)?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, bearer);
    // Operations without a result have JSON in their errors all the same.
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert("x-descope-project-id", id);
    headers.insert("x-descope-sdk-name", HeaderValue::from_static("rust"));
    headers.insert("x-descope-sdk-version", HeaderValue::from_static(VERSION));
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    Ok(headers)
}

const AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The user agent with the application in front of this crate: the more telling one is first (RFC 9110
/// 10.1.5).
pub(crate) fn user_agent(name: &str, version: &str) -> Result<HeaderValue, ConfigError> {
    let is_token = |text: &str| {
        let is_mark = |b: u8| b"!#$%&'*+-.^_`|~".contains(&b);
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || is_mark(b))
    };
    let agent = HeaderValue::from_str(&format!("{name}/{version} {AGENT}")).ok();
    agent.filter(|_| is_token(name) && is_token(version)).ok_or(ConfigError::InvalidSetting {
        name: "app_info",
        problem: "must be two words of ASCII letters, digits and marks such as `-`, `_`, `.` and `+`",
    })
}

/// The text of a key from the settings, if it can stand in a header.
pub(crate) fn checked_key<'k>(
    name: &'static str,
    key: &'k ManagementKey,
) -> Result<&'k str, ConfigError> {
    let text = key.expose_secret();
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
        let problem = "must be a key: not empty, and ASCII without spaces";
        return Err(ConfigError::InvalidSetting { name, problem });
    }
    Ok(text)
}

//! What is the same for every call of a client: authentication, fixed headers, deadline, retries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};

use crate::clock::Clock;
use crate::error::{ConfigError, Error, from_reqwest};
use crate::license::{self, Licenses};
use crate::raw;
use crate::retry::RetryPolicy;
use crate::runtime::{Call, ClientHooks, OperationInfo};
use crate::secret::{AccessKey, ManagementKey, RefreshToken, SessionToken};
use crate::session::{SessionError, TokenProblem};

/// What the generated client carries beside the URL and the connection pool.
#[derive(Clone)]
pub(crate) struct Inner(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) project_id: String,
    pub(crate) auth_management_key: Option<ManagementKey>,
    #[cfg(feature = "management")]
    pub(crate) management_key: Option<ManagementKey>,
    /// Those of a call on nobody's behalf.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) licenses: Licenses,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("project_id", &self.0.project_id)
            .field("timeout", &self.0.timeout)
            .field("retry", &self.0.retry)
            .finish_non_exhaustive()
    }
}

/// Whose token or key a call carries: when the service refuses it, that is whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialKind {
    /// Nobody's: the project id alone.
    Project,
    /// The token of a link, in the body.
    MagicLink,
    /// A user's session or refresh token.
    UserToken,
    /// An access key: this server's own.
    AccessKey,
    /// A management key: this server's own too.
    ManagementKey,
}

impl CredentialKind {
    const MARKED: [Self; 3] = [Self::UserToken, Self::AccessKey, Self::ManagementKey];

    /// Takes the mark off that `authorize` has left.
    fn take(headers: &mut HeaderMap, info: &OperationInfo) -> Self {
        let mark = headers.remove(CREDENTIAL_KIND);
        let kind = Self::MARKED
            .into_iter()
            .find(|kind| mark.as_ref().is_some_and(|mark| mark == kind.mark()));
        match kind {
            Some(kind) => kind,
            None if info.operation_id == "verify_magic_link" => Self::MagicLink,
            None => Self::Project,
        }
    }

    fn mark(self) -> &'static str {
        match self {
            Self::Project => "project",
            Self::MagicLink => "link",
            Self::UserToken => "user",
            Self::AccessKey => "access",
            Self::ManagementKey => "management",
        }
    }
}

/// Carries the kind of credential from `authorize` to `exec`: a request of reqwest has no other place
/// that both can reach. Never sent.
const CREDENTIAL_KIND: &str = "x-credential-kind";

/// A secret that stands in the `Authorization` header after the project id.
pub(crate) trait Credential {
    const NAME: &'static str;
    const KIND: CredentialKind;
    /// Whether the auth management key, if there is one, follows it.
    const TAKES_AUTH_KEY: bool = true;

    fn text(&self) -> &str;
}

impl Credential for RefreshToken {
    const NAME: &'static str = "refresh_token";
    const KIND: CredentialKind = CredentialKind::UserToken;

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Credential for SessionToken {
    const NAME: &'static str = "session_token";
    const KIND: CredentialKind = CredentialKind::UserToken;

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Credential for AccessKey {
    const NAME: &'static str = "access_key";
    const KIND: CredentialKind = CredentialKind::AccessKey;

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Credential for ManagementKey {
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

impl raw::Client {
    /// Called by the generated code where the description asks for more than the project id.
    pub(crate) fn authorize<C: Credential>(
        &self,
        headers: &mut HeaderMap,
        credential: &C,
    ) -> Result<(), Error> {
        let settings = &self.inner.0;
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
        let mut parts = vec![settings.project_id.as_str(), text];
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
        headers.insert(CREDENTIAL_KIND, HeaderValue::from_static(C::KIND.mark()));
        Ok(())
    }
}

impl ClientHooks<Inner> for raw::Client {
    async fn pre(&self, request: &mut reqwest::Request, _: &OperationInfo) -> Result<(), Error> {
        let settings = &self.inner.0;
        let headers = request.headers_mut();
        // Operations without a result lack it; their errors are JSON all the same.
        headers
            .entry(ACCEPT)
            .or_insert(HeaderValue::from_static("application/json"));
        for (name, value) in &settings.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
        Ok(())
    }

    async fn exec(
        &self,
        mut request: reqwest::Request,
        info: &OperationInfo,
    ) -> Result<reqwest::Response, Error> {
        // reqwest panics without one.
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(ConfigError::NoRuntime.into());
        }
        let settings = &self.inner.0;
        let credential = CredentialKind::take(request.headers_mut(), info);
        let started = settings.clock.instant();
        if let Some(key) = management_key(request.headers(), credential, info)
            && let Some(tier) = self.license(settings, key).await
        {
            request.headers_mut().insert(license::HEADER, tier);
        }
        let mut attempt = 0;
        loop {
            let left = settings
                .timeout
                .saturating_sub(settings.clock.instant().saturating_duration_since(started));
            *request.timeout_mut() = Some(left);
            attempt += 1;
            let more = settings.retry.allows_after(attempt);
            let spare = more.then(|| request.try_clone()).flatten();
            let repeatable = request.method() == Method::GET;
            let result = self.client.execute(request).await;
            let try_again = match &result {
                Ok(response) => repeatable && settings.retry.covers(response.status()),
                // Without a connection nothing was sent, so that any call may be tried again.
                Err(error) => error.is_connect() || (repeatable && !error.is_timeout()),
            };
            let wait = spare
                .filter(|_| try_again)
                .and_then(|spare| Some((settings.retry.wait(attempt)?, spare)));
            let elapsed = settings.clock.instant().saturating_duration_since(started);
            match wait {
                Some((wait, spare)) if elapsed.saturating_add(wait) < settings.timeout => {
                    tokio::time::sleep(wait).await;
                    request = spare;
                }
                _ => {
                    record(info, attempt, elapsed, &result);
                    let mut response =
                        result.map_err(|error| from_reqwest(error, settings.timeout))?;
                    response.extensions_mut().insert(Call {
                        operation_id: info.operation_id,
                        limit: settings.timeout,
                        clock: Arc::clone(&settings.clock),
                        credential,
                        base_url: self.baseurl.as_str().into(),
                    });
                    return Ok(response);
                }
            }
        }
    }

    async fn post(
        &self,
        _: &Result<reqwest::Response, Error>,
        _: &OperationInfo,
    ) -> Result<(), Error> {
        Ok(())
    }
}

/// The key of a management call, out of its `Bearer PROJECT:KEY`; none for the handshake itself.
fn management_key(
    headers: &HeaderMap,
    credential: CredentialKind,
    info: &OperationInfo,
) -> Option<ManagementKey> {
    if credential != CredentialKind::ManagementKey || info.operation_id == license::OPERATION {
        return None;
    }
    let bearer = headers.get(AUTHORIZATION)?.to_str().ok()?;
    bearer.split_once(':').map(|(_, key)| key.into())
}

/// Tells what came of a call: its operation, never its URL, headers or body.
#[cfg(feature = "tracing")]
fn record(
    info: &OperationInfo,
    attempts: u32,
    elapsed: Duration,
    result: &reqwest::Result<reqwest::Response>,
) {
    let operation = info.operation_id;
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    match result {
        Ok(response) => tracing::debug!(
            operation,
            status = response.status().as_u16(),
            attempts,
            elapsed_ms,
            "answered"
        ),
        Err(error) => tracing::debug!(
            operation,
            connect = error.is_connect(),
            timeout = error.is_timeout(),
            attempts,
            elapsed_ms,
            "not answered"
        ),
    }
}

#[cfg(not(feature = "tracing"))]
fn record(
    info: &OperationInfo,
    _attempts: u32,
    _elapsed: Duration,
    _result: &reqwest::Result<reqwest::Response>,
) {
    let _ = info.operation_id;
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
    headers.insert("x-descope-project-id", id);
    headers.insert("x-descope-sdk-name", HeaderValue::from_static("rust"));
    headers.insert("x-descope-sdk-version", HeaderValue::from_static(VERSION));
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        )),
    );
    Ok(headers)
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

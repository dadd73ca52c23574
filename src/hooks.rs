//! What is the same for every call of a client: authentication, fixed headers, deadline, retries.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};

use crate::clock::Clock;
use crate::error::{ConfigError, Error, from_reqwest};
use crate::raw;
use crate::retry::RetryPolicy;
use crate::runtime::{Call, ClientHooks, OperationInfo};
use crate::secret::{AccessKey, ManagementKey, RefreshToken, SessionToken};

/// What the generated client carries beside the URL and the connection pool.
#[derive(Clone)]
pub(crate) struct Inner(pub(crate) Arc<Settings>);

pub(crate) struct Settings {
    pub(crate) project_id: String,
    pub(crate) auth_management_key: Option<ManagementKey>,
    /// `Bearer PROJECT` or `Bearer PROJECT:KEY`, for calls on nobody's behalf.
    pub(crate) anonymous: HeaderValue,
    pub(crate) fixed_headers: HeaderMap,
    pub(crate) timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) clock: Arc<dyn Clock>,
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

/// A secret that stands in the `Authorization` header after the project id.
pub(crate) trait Credential {
    const NAME: &'static str;
    /// Whether the auth management key, if there is one, follows it.
    const TAKES_AUTH_KEY: bool = true;

    fn text(&self) -> &str;
}

impl Credential for RefreshToken {
    const NAME: &'static str = "refresh_token";

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Credential for SessionToken {
    const NAME: &'static str = "session_token";

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Credential for AccessKey {
    const NAME: &'static str = "access_key";

    fn text(&self) -> &str {
        self.expose_secret()
    }
}

impl Credential for ManagementKey {
    const NAME: &'static str = "management_key";
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
        if text.is_empty() {
            return Err(Error::argument(C::NAME, "must not be empty"));
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
            .ok_or_else(|| Error::argument(C::NAME, "has characters that no token has"))?;
        headers.insert(AUTHORIZATION, value);
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
        if !headers.contains_key(AUTHORIZATION) {
            headers.insert(AUTHORIZATION, settings.anonymous.clone());
        }
        for (name, value) in &settings.fixed_headers {
            headers.insert(name, value.clone());
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
        let started = settings.clock.instant();
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

/// The headers that every call carries.
pub(crate) fn fixed_headers(project_id: &HeaderValue) -> HeaderMap {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let mut headers = HeaderMap::new();
    headers.insert("x-descope-project-id", project_id.clone());
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
    headers
}

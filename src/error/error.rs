//! What can go wrong, told so that the caller knows what to do.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::call::{Call, CredentialKind};
use super::config::ConfigError;
use super::keys::KeyProblem;
use super::mask::mask_secrets;
use super::session::SessionError;
use crate::clock::Clock;
use crate::code::ErrorCode;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Longest wait that a `Retry-After` header is believed for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Most names of a body's members that are shown.
const MOST_NAMES: usize = 16;
/// Longest id of a request that is shown; those known have 20 characters.
const LONGEST_REQUEST_ID: usize = 40;
/// Most digits of a code that is taken for one of the service's; those known have 6.
const MOST_CODE_DIGITS: usize = 12;

/// Why a call failed.
///
/// Match on the variant, or ask what to do: [`is_unauthorized`](Self::is_unauthorized),
/// [`is_credential_refused`](Self::is_credential_refused), [`is_retryable`](Self::is_retryable),
/// [`is_rate_limited`](Self::is_rate_limited), [`retry_after`](Self::retry_after),
/// [`is_timeout`](Self::is_timeout), [`code`](Self::code). No variant prints a token or a body.
///
/// ```
/// use descope_magiclink::{Error, ErrorCode};
///
/// fn page_for(error: &Error) -> &'static str {
///     match error.code() {
///         Some(ErrorCode::TokenExpired) => "This link was used or has expired. Ask for a new one.",
///         Some(ErrorCode::UserNotFound) => "We sent you a message if you have an account.",
///         _ if error.is_retryable() => "Please try again in a moment.",
///         _ => "Something went wrong.",
///     }
/// }
/// ```
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The client was set up wrongly; nothing was sent.
    #[error("the client is not configured correctly: {0}")]
    Config(ConfigError),
    /// An argument cannot work; nothing was sent.
    #[error("{0}")]
    InvalidArgument(InvalidArgument),
    /// The service responded with another status than success.
    #[error("{0}")]
    Api(Box<ApiError>),
    /// No complete response arrived.
    #[error(transparent)]
    Transport(TransportError),
    /// The call's time ran out. The request may have reached the service.
    #[error("{}the call timed out after {:?}", Of(.0.operation), .0.limit)]
    Timeout(Timeout),
    /// The service responded with success, but not with what was expected.
    #[error("{0}")]
    Decode(DecodeError),
    /// A session or refresh token was found bad, or could not be checked.
    #[error(transparent)]
    Session(SessionError),
}

impl Error {
    /// The service's response, when that is what failed: its message, its request id, its headers.
    ///
    /// ```
    /// use descope_magiclink::{ApiError, Error, ErrorCode};
    ///
    /// let error = Error::from(ApiError::with_code(http::StatusCode::UNAUTHORIZED, ErrorCode::TokenExpired));
    /// if let Some(response) = error.api() {
    ///     println!("{} {:?} {:?}", response.status(), response.message(), response.request_id());
    /// }
    /// assert!(error.api().is_some());
    /// ```
    #[must_use]
    pub fn api(&self) -> Option<&ApiError> {
        match self {
            Self::Api(error) => Some(error),
            _ => None,
        }
    }

    /// The HTTP status, when the service responded.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Api(error) => Some(error.status()),
            Self::Decode(error) => Some(error.status()),
            _ => None,
        }
    }

    /// The operation whose call failed, such as `verify_magic_link`: the method's name in
    /// [`raw::Client`](crate::raw::Client), or that given to [`raw::Client::call`](crate::raw::Client::call).
    /// Absent when nothing was sent.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        match self {
            Self::Api(error) => error.operation,
            Self::Transport(error) => error.operation,
            Self::Timeout(timeout) => timeout.operation,
            Self::Decode(error) => error.operation,
            Self::Config(_) | Self::InvalidArgument(_) | Self::Session(_) => None,
        }
    }

    /// Names the operation.
    pub(crate) fn of(mut self, operation: &'static str) -> Self {
        let name = match &mut self {
            Self::Api(error) => &mut error.operation,
            Self::Transport(error) => &mut error.operation,
            Self::Timeout(timeout) => &mut timeout.operation,
            Self::Decode(error) => &mut error.operation,
            Self::Config(_) | Self::InvalidArgument(_) | Self::Session(_) => return self,
        };
        *name = Some(operation);
        self
    }

    /// The service's error code, when it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&ErrorCode> {
        match self {
            Self::Api(error) => error.code(),
            _ => None,
        }
    }

    /// How long the service asked to wait before the next call; at most a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether there were too many requests. Wait for [`retry_after`](Self::retry_after); where the
    /// service did not say, Descope's documentation asks for 60 seconds.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        match self {
            Self::Api(error) => {
                error.status() == StatusCode::TOO_MANY_REQUESTS
                    || error.code() == Some(&ErrorCode::RateLimited)
            }
            _ => false,
        }
    }

    /// Whether the user's token or link was refused: sign in again.
    ///
    /// By the check of the token itself ([`SessionError::Missing`], [`SessionError::Token`]), or by
    /// the service with a code of its own: status 401 or 403, or one of the codes that tell of a
    /// refused token at any status, such as [`ErrorCode::RefreshTokenSuperseded`].
    ///
    /// A response without the service's code is no verdict of the service, and does not count: the
    /// 403 page of a firewall, the bare 401 of a proxy. Neither does a refused key of the server
    /// ([`is_credential_refused`](Self::is_credential_refused)), which says nothing about the user,
    /// nor a call in which no token of a user went along.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        match self {
            Self::Session(error) => {
                matches!(error, SessionError::Missing | SessionError::Token(_))
            }
            Self::Api(error) => error.refused() == Some(Refused::User),
            _ => false,
        }
    }

    /// Whether the service refused a key of this server: the management key, the auth management
    /// key or an access key. Its operator has to mend that; no user can.
    ///
    /// ```
    /// use descope_magiclink::Error;
    ///
    /// fn status(error: &Error) -> u16 {
    ///     match error {
    ///         error if error.is_credential_refused() => 500,
    ///         error if error.is_unauthorized() => 401,
    ///         _ => 503,
    ///     }
    /// }
    /// # let _ = status;
    /// ```
    #[must_use]
    pub fn is_credential_refused(&self) -> bool {
        matches!(self, Self::Api(error) if error.refused() == Some(Refused::Server))
    }

    /// Whether time ran out: the call's own limit ([`Error::Timeout`]), that of a fetch of the keys
    /// ([`KeyProblem::Timeout`](crate::session::KeyProblem::Timeout)), or one behind the service's door (status 408 or 504). Where the limit ended while the call had no connection yet,
    /// [`is_connect`](Self::is_connect) holds too: nothing was sent.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout(_) => true,
            Self::Session(SessionError::Unavailable(error)) => {
                error.problem() == KeyProblem::Timeout
            }
            Self::Transport(error) => matches!(error.kind, TransportKind::ConnectTimeout { .. }),
            _ => matches!(
                self.status(),
                Some(StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT)
            ),
        }
    }

    /// Whether no connection could be made, or the service refused the request unseen, so that the call
    /// had no effect.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Transport(error) if error.is_connect())
    }

    /// Whether the same call may succeed later: the network failed, the service was overloaded, or
    /// something on the way responded in its place (a 4xx without the service's code, such as a
    /// firewall's 403).
    ///
    /// It does not say that the first call had no effect. Unless [`is_connect`](Self::is_connect) or
    /// [`is_rate_limited`](Self::is_rate_limited) holds, a message may have been sent, and the token
    /// of a link may have been used up.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Transport(error) => !error.is_too_large() && !error.is_tls(),
            Self::Timeout(_) => true,
            Self::Api(error) => {
                self.is_rate_limited()
                    || error.is_from_intermediary()
                    || matches!(
                        error.status().as_u16(),
                        408 | 502 | 503 | 504 | 520..=522 | 524 | 530
                    )
            }
            Self::Session(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// The same response, some time later.
    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        if let Self::Api(error) = &mut self {
            error.retry_after = Some(wait);
        }
        self
    }

    pub(crate) fn argument(name: &'static str, problem: &'static str) -> Self {
        Self::InvalidArgument(InvalidArgument { name, problem })
    }
}

/// An operation's name in front of what went wrong with its call.
struct Of(Option<&'static str>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(operation) => write!(f, "{operation}: "),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for Error {
    fn from(error: ConfigError) -> Self {
        Self::Config(error)
    }
}

/// An argument that the call cannot work with. It never holds the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidArgument {
    name: &'static str,
    problem: &'static str,
}

impl InvalidArgument {
    /// The argument's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is wrong with it, as the end of a sentence.
    #[must_use]
    pub fn problem(&self) -> &'static str {
        self.problem
    }
}

impl fmt::Display for InvalidArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the argument {} {}", self.name, self.problem)
    }
}

impl StdError for InvalidArgument {}

/// A response of the service with a status other than success.
///
/// Made from whatever arrived: a body that is empty, HTML or cut off still gives the status.
#[derive(Clone)]
pub struct ApiError {
    status: StatusCode,
    headers: HeaderMap,
    code: Option<ErrorCode>,
    description: Option<String>,
    message: Option<String>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
    sent: CredentialKind,
    redirect: Option<String>,
    members: Map<String, Value>,
    operation: Option<&'static str>,
}

/// Whose token or key the service has refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    User,
    Server,
}

impl ApiError {
    /// Reads what can be read; `body` may be cut off, empty or anything else.
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: &[u8], call: &Call) -> Self {
        let members: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let text = |name| text(members.get(name)?, &call.project_id);
        let description = text("errorDescription");
        // Real bodies repeat the message as `message`; some have only one of the two.
        let message = text("errorMessage")
            .or_else(|| text("message"))
            .or_else(|| description.clone())
            .or_else(|| text("error"));
        Self {
            status,
            code: text("errorCode")
                .filter(|code| is_code(code))
                .map(|code| ErrorCode::from(code.as_str())),
            description,
            message,
            retry_after: retry_after(&headers, &*call.clock),
            request_id: request_id(&headers),
            sent: call.credential,
            redirect: status
                .is_redirection()
                .then(|| redirect(&call.base_url, &headers, &call.project_id)),
            headers,
            members,
            operation: Some(call.operation_id),
        }
    }

    /// As the service responds with a code of its own, for tests of what works with an error.
    ///
    /// ```
    /// use descope_magiclink::{ApiError, Error, ErrorCode};
    ///
    /// let refused = ApiError::with_code(http::StatusCode::UNAUTHORIZED, ErrorCode::TokenExpired);
    /// assert_eq!(Error::from(refused).code(), Some(&ErrorCode::TokenExpired));
    /// ```
    #[must_use]
    pub fn with_code(status: StatusCode, code: ErrorCode) -> Self {
        Self {
            status,
            code: Some(code),
            description: None,
            message: None,
            retry_after: None,
            request_id: None,
            sent: CredentialKind::UserToken,
            redirect: None,
            headers: HeaderMap::new(),
            members: Map::new(),
            operation: None,
        }
    }

    /// Whether something else than the service has refused the call: a client error without the
    /// service's code. 429 is about the rate whoever says it.
    pub(crate) fn is_from_intermediary(&self) -> bool {
        self.status.is_client_error()
            && self.code.is_none()
            && self.status != StatusCode::TOO_MANY_REQUESTS
    }

    /// Whose credential this response refuses, if that is what it does.
    fn refused(&self) -> Option<Refused> {
        let code = self.code.as_ref()?;
        let is_refusal = matches!(
            self.status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        if !self.status.is_client_error() || code.is_setup() {
            return None;
        }
        match self.sent {
            _ if code.is_key_refused() => Some(Refused::Server),
            CredentialKind::AccessKey | CredentialKind::ManagementKey => {
                (is_refusal || code.is_token_refused()).then_some(Refused::Server)
            }
            _ if code.is_token_refused() => Some(Refused::User),
            CredentialKind::UserToken | CredentialKind::MagicLink => {
                is_refusal.then_some(Refused::User)
            }
            CredentialKind::Project => None,
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The service's code, such as `E062108`; absent when the body was not the service's.
    #[must_use]
    pub fn code(&self) -> Option<&ErrorCode> {
        self.code.as_ref()
    }

    /// The service's words for the kind of error, such as "Token expired".
    ///
    /// Shortened to 500 characters; whatever looks like a token or a key is masked.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The service's words for this error; its description where it says no more.
    ///
    /// Shortened to 500 characters; whatever looks like a token or a key is masked.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// How long the service asked to wait (`Retry-After`, in seconds or as a date); at most a day.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The id under which the service's edge knows the request (`CF-Ray`): tell it to Descope's
    /// support. A response of something in between has none.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The members of the body, as they came: what this type has no accessor for, neither shortened nor
    /// masked. Empty when the body was no JSON object. `Debug` of the error shows their names alone.
    #[must_use]
    pub fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    /// The response's headers, for what this type has no accessor for. They may hold `Set-Cookie`.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiError")
            .field("status", &self.status)
            .field("code", &self.code)
            .field("description", &self.description)
            .field("message", &self.message)
            .field("retry_after", &self.retry_after)
            .field("request_id", &self.request_id)
            .field("operation", &self.operation)
            .field("members", &Names(&self.members))
            .finish_non_exhaustive()
    }
}

/// Members without their values.
struct Names<'a>(&'a Map<String, Value>);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A body is as long as 64 KiB, and names are what somebody has made up.
        let names = self.0.keys().take(MOST_NAMES);
        f.debug_set()
            .entries(names.map(|name| mask_secrets(name, "")))
            .finish()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_from_intermediary = self.is_from_intermediary();
        let who = if is_from_intermediary || self.redirect.is_some() {
            "the response was"
        } else {
            "the service responded with"
        };
        write!(f, "{}{who} {}", Of(self.operation), self.status.as_u16())?;
        match (&self.code, self.status.canonical_reason()) {
            (Some(code), _) => write!(f, " ({code})")?,
            (None, Some(reason)) => write!(f, " ({reason})")?,
            (None, None) => {}
        }
        if is_from_intermediary {
            f.write_str(
                " without the service's error code, so that probably a proxy or a firewall on the \
                 way gave it, or the base URL is wrong",
            )?;
        }
        match (&self.description, &self.message) {
            (Some(description), Some(message)) if description != message => {
                write!(f, ": {description}: {message}")?;
            }
            (_, Some(message)) => write!(f, ": {message}")?,
            _ => {}
        }
        if let Some(redirect) = &self.redirect {
            write!(f, ": {redirect}")?;
        } else if let Some(mend) = self.code.as_ref().and_then(ErrorCode::mend) {
            write!(f, "; {mend}")?;
        }
        match &self.request_id {
            Some(id) => write!(f, " (request {id})"),
            None => Ok(()),
        }
    }
}

impl StdError for ApiError {}

/// Whether a text has the form of the service's codes. A gateway's own bodies may have an
/// `errorCode` too.
fn is_code(text: &str) -> bool {
    text.strip_prefix('E').is_some_and(|digits| {
        (1..=MOST_CODE_DIGITS).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
    })
}

/// The id that Cloudflare, which the service is behind, gave the request.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get("cf-ray")?.to_str().ok()?;
    let is_id = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (!id.is_empty() && id.len() <= LONGEST_REQUEST_ID && id.bytes().all(is_id))
        .then(|| id.to_owned())
}

/// Where a redirect leads, without path and query: they may hold what was sent.
pub(crate) fn redirect(base_url: &str, headers: &HeaderMap, project_id: &str) -> String {
    let target = headers
        .get(http::header::LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|location| Url::parse(base_url).ok()?.join(location).ok());
    let to = target
        .as_ref()
        .map(|url| url.origin())
        .filter(url::Origin::is_tuple)
        .map(|origin| mask_secrets(&origin.ascii_serialization(), project_id));
    let base_url = mask_secrets(base_url, project_id);
    match to {
        Some(to) => format!(
            "the base URL {base_url} sends on to {to}, and redirects are not followed, as tokens would \
             go along; if that is the service, make it the base URL"
        ),
        None => format!(
            "the base URL {base_url} sends on, and redirects are not followed, as tokens would go \
             along; check the base URL"
        ),
    }
}

/// Text of a body, fit to be shown: trimmed, short, without control characters and secrets.
fn text(value: &Value, project_id: &str) -> Option<String> {
    let text = match value {
        Value::String(text) => mask_secrets(text.trim(), project_id),
        Value::Number(number) => mask_secrets(&number.to_string(), project_id),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// Reads `Retry-After` as RFC 9110 10.2.3 has it: whole seconds, or a date.
fn retry_after(headers: &HeaderMap, clock: &dyn Clock) -> Option<Duration> {
    let value = headers
        .get(http::header::RETRY_AFTER)?
        .to_str()
        .ok()?
        .trim();
    let wait = if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        let until = httpdate::parse_http_date(value).ok()?;
        until.duration_since(clock.now()).unwrap_or(Duration::ZERO)
    };
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// No complete response arrived: the network failed, or the response was larger than is accepted.
#[derive(Debug, Clone)]
pub struct TransportError {
    kind: TransportKind,
    source: Option<Arc<dyn StdError + Send + Sync>>,
    operation: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TransportKind {
    Connect,
    /// The call's time ran out meanwhile.
    ConnectTimeout {
        limit: Duration,
    },
    Tls {
        why: Arc<str>,
    },
    /// By HTTP/2's `REFUSED_STREAM` (RFC 9113 8.7).
    Refused,
    Request,
    Body,
    TooLarge {
        limit: usize,
    },
}

impl TransportError {
    pub(crate) fn too_large(limit: usize) -> Self {
        Self {
            kind: TransportKind::TooLarge { limit },
            source: None,
            operation: None,
        }
    }

    /// Whether no connection could be made, or the service refused the request before it looked at it
    /// (HTTP/2's `REFUSED_STREAM`), so that the call had no effect.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(
            self.kind,
            TransportKind::Connect
                | TransportKind::ConnectTimeout { .. }
                | TransportKind::Tls { .. }
                | TransportKind::Refused
        )
    }

    /// Whether something responded at the service's address that TLS does not trust: its certificate is
    /// expired, of another name or of an unknown authority, or it does not speak TLS. The text says
    /// which. Nothing was sent, and the next call will fare no better.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        matches!(self.kind, TransportKind::Tls { .. })
    }

    /// Whether the response was larger than the client accepts.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        matches!(self.kind, TransportKind::TooLarge { .. })
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Of(self.operation).fmt(f)?;
        match &self.kind {
            TransportKind::Connect => {
                f.write_str("the service could not be reached; nothing was sent")
            }
            TransportKind::ConnectTimeout { limit } => write!(
                f,
                "no connection to the service could be made within {limit:?}; nothing was sent"
            ),
            TransportKind::Tls { why } => write!(
                f,
                "no secure connection to the service could be made; nothing was sent: {why}"
            ),
            TransportKind::Refused => {
                f.write_str("the service refused the request before it looked at it")
            }
            TransportKind::Request => {
                f.write_str("the connection failed before the service responded")
            }
            TransportKind::Body => {
                f.write_str("the connection failed while the response was arriving")
            }
            TransportKind::TooLarge { limit } => {
                write!(
                    f,
                    "the response is larger than the {limit} bytes that are accepted"
                )
            }
        }
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

/// The limit that a call ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout {
    limit: Duration,
    operation: Option<&'static str>,
}

impl Timeout {
    /// As of a call with this limit, for tests of what works with one.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            operation: None,
        }
    }

    /// The time that the call was given.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

/// A success that lacks what its operation cannot do without.
///
/// Says where and why, never what stood there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    status: StatusCode,
    /// In words.
    missing: Option<&'static str>,
    member: Option<&'static str>,
    body: Option<BodyProblem>,
    headers: Headers,
    operation: Option<&'static str>,
}

/// Headers that are not printed: they may hold `Set-Cookie`.
#[derive(Clone, PartialEq, Eq, Default)]
struct Headers(Box<HeaderMap>);

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Why nothing of a body could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum BodyProblem {
    Empty,
    Json {
        line: usize,
        column: usize,
        kind: &'static str,
    },
    OtherKind {
        expected: &'static str,
        found: &'static str,
    },
    Encoded(String),
}

impl DecodeError {
    fn body(status: StatusCode, problem: BodyProblem) -> Self {
        Self {
            status,
            missing: None,
            member: None,
            body: Some(problem),
            headers: Headers::default(),
            operation: None,
        }
    }

    pub(crate) fn json(status: StatusCode, error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        let kind = match error.classify() {
            serde_json::error::Category::Eof if column == 0 => {
                return Self::body(status, BodyProblem::Empty);
            }
            serde_json::error::Category::Eof => "the text ends too early",
            _ => "the text is not JSON",
        };
        Self::body(status, BodyProblem::Json { line, column, kind })
    }

    /// The body is JSON of another kind.
    pub(crate) fn other_kind(
        status: StatusCode,
        expected: &'static str,
        found: &'static str,
    ) -> Self {
        Self::body(status, BodyProblem::OtherKind { expected, found })
    }

    /// The body has an encoding that nobody asked for.
    pub(crate) fn encoded(status: StatusCode, encoding: &HeaderValue) -> Self {
        // A name of an encoding is short; anything else is not repeated.
        let name = encoding.to_str().ok().filter(|name| {
            name.len() <= 16
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b',' | b' '))
        });
        Self::body(
            status,
            BodyProblem::Encoded(name.unwrap_or("unknown").to_owned()),
        )
    }

    /// With the headers of the response.
    pub(crate) fn with_headers(mut self, headers: &HeaderMap) -> Self {
        *self.headers.0 = headers.clone();
        self
    }

    /// A member, by its path, that the operation cannot do without, and what to call it; with why the body
    /// could not be read, where that is so. A body that did not arrive whole is told as that: a retry may
    /// help.
    pub(crate) fn missing(
        status: StatusCode,
        member: &'static str,
        what: &'static str,
        body_error: Option<Error>,
    ) -> Error {
        let (missing, member) = (Some(what), Some(member));
        match body_error {
            Some(Error::Decode(error)) => Error::Decode(Self {
                missing,
                member,
                ..error
            }),
            Some(error) => error,
            None => Error::Decode(Self {
                status,
                missing,
                member,
                body: None,
                headers: Headers::default(),
                operation: None,
            }),
        }
    }

    /// The response's headers. They may hold `Set-Cookie`.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers.0
    }

    /// The path of the member that is missing or cannot be read, such as `user.userId`; absent when it is
    /// the body as a whole.
    #[must_use]
    pub fn member(&self) -> Option<&str> {
        self.member
    }

    /// The response's HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_u16();
        Of(self.operation).fmt(f)?;
        match (self.missing, &self.body) {
            (Some(what), None) => write!(f, "the service's {status} response has no {what}"),
            (Some(what), Some(problem)) => write!(
                f,
                "the service's {status} response has no {what}, and its body could not be read: {problem}"
            ),
            (None, Some(problem)) => write!(
                f,
                "the service's {status} response could not be read: {problem}"
            ),
            (None, None) => write!(f, "the service's {status} response could not be read"),
        }
    }
}

impl fmt::Display for BodyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Json { line, column, kind } => {
                write!(f, "{kind} (line {line}, column {column})")
            }
            Self::OtherKind { expected, found } => {
                write!(f, "it is {found} and not {expected}")
            }
            Self::Encoded(name) => write!(
                f,
                "it is encoded (content-encoding: {name}) although no encoding was asked for; a proxy on \
                 the way is the likely cause"
            ),
        }
    }
}

impl StdError for DecodeError {}

/// Turns reqwest's error into ours; the URL is dropped, since it may carry an id.
pub(crate) fn from_reqwest(error: reqwest::Error, limit: Duration) -> Error {
    if error.is_timeout() && !error.is_connect() {
        return Error::Timeout(Timeout::new(limit));
    }
    let kind = if let Some(why) = tls_failure(&error) {
        // All that the sources would say.
        return Error::Transport(TransportError {
            kind: TransportKind::Tls { why: why.into() },
            source: None,
            operation: None,
        });
    } else if error.is_connect() {
        TransportKind::Connect
    } else if is_refused_stream(&error) {
        TransportKind::Refused
    } else if error.is_body() || error.is_decode() {
        TransportKind::Body
    } else {
        TransportKind::Request
    };
    Error::Transport(TransportError {
        kind,
        source: Some(Arc::new(error.without_url())),
        operation: None,
    })
}

/// The call's time ran out before it had a connection.
pub(crate) fn connect_timed_out(limit: Duration) -> Error {
    Error::Transport(TransportError {
        kind: TransportKind::ConnectTimeout { limit },
        source: None,
        operation: None,
    })
}

/// What TLS has against the other end, if that is why there is no connection.
pub(crate) fn tls_failure(error: &reqwest::Error) -> Option<String> {
    let cause = causes(error).find(|cause| {
        #[cfg(feature = "native-tls")]
        if cause.is::<native_tls::Error>() {
            return true;
        }
        is_refused_by_rustls(*cause)
    });
    let why = cause.filter(|_| error.is_connect())?.to_string();
    Some(mask_secrets(&why, ""))
}

/// What rustls refuses is invalid data; an operating system's own errors are of other kinds.
fn is_refused_by_rustls(cause: &(dyn StdError + 'static)) -> bool {
    let Some(error) = cause.downcast_ref::<std::io::Error>() else {
        return false;
    };
    error.kind() == std::io::ErrorKind::InvalidData
        // An error in an error, which is no source of it.
        || error.get_ref().is_some_and(|inner| is_refused_by_rustls(inner))
}

/// Whether the service has not looked at the request.
pub(crate) fn is_refused_stream(error: &reqwest::Error) -> bool {
    #[cfg(feature = "http2")]
    return causes(error)
        .filter_map(|cause| cause.downcast_ref::<h2::Error>())
        .any(|error| error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM));
    #[cfg(not(feature = "http2"))]
    {
        let _ = error;
        false
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Self::Api(Box::new(error))
    }
}

impl From<Timeout> for Error {
    fn from(timeout: Timeout) -> Self {
        Self::Timeout(timeout)
    }
}

impl From<SessionError> for Error {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<InvalidArgument> for Error {
    fn from(error: InvalidArgument) -> Self {
        Self::InvalidArgument(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use std::time::SystemTime;

    #[test]
    fn retry_after_reads_seconds_and_dates_and_is_capped() {
        let clock = ManualClock::at(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(http::header::RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, &clock)
        };
        assert_eq!(read("30"), Some(Duration::from_secs(30)));
        assert_eq!(
            read("Sun, 06 Nov 1994 08:50:37 GMT"),
            Some(Duration::from_secs(60))
        );
        assert_eq!(read("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("99999999999999999999999"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(read("soon"), None);
        assert_eq!(read("-3"), None);
        assert_eq!(read(""), None);
    }
}

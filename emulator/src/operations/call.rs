//! A request after HTTP was taken off it, and what an operation responds with.

use serde_json::{Map, Value};

use super::fields::Fields;
use crate::error::ApiError;

/// Whose bearer an operation asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// None at all.
    Open,
    /// The project id.
    Project,
    /// The project id; a refresh token when the sign-in builds on a session.
    ProjectOrRefresh,
    /// A refresh token.
    Refresh,
    /// A refresh token that may be missing or bad.
    MaybeRefresh,
    /// A session token.
    Session,
    /// An access key.
    AccessKey,
    /// The management key.
    Management,
}

/// A request after HTTP was taken off it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) auth: Auth,
    /// Value of the `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// Refresh token that came in a cookie.
    pub(crate) refresh_cookie: Option<String>,
    /// The last segment of the path.
    pub(crate) path_argument: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Map<String, Value>,
    pub(crate) ip: String,
}

impl Call {
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.body)
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// Who is behind a call, as far as the operation's rule asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Caller {
    /// Id of the session that the refresh token belongs to.
    pub(crate) session: Option<String>,
    /// Claims of the session token.
    pub(crate) claims: Option<Map<String, Value>>,
    /// Id of the access key.
    pub(crate) access_key: Option<String>,
}

impl Caller {
    pub(crate) fn session(&self) -> Result<&str, ApiError> {
        self.session
            .as_deref()
            .ok_or_else(|| ApiError::unauthorized("Missing refresh token"))
    }
}

/// Which parts of a response with tokens are there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenParts {
    pub(crate) refresh: bool,
    pub(crate) user: bool,
    pub(crate) first_seen: Option<bool>,
}

/// The result of an operation, sent with status 200.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) body: Value,
    pub(crate) cookies: Vec<String>,
    /// Which parts it has, where the response holds the tokens of a session.
    pub(crate) issued: Option<TokenParts>,
}

impl From<Value> for Reply {
    fn from(body: Value) -> Self {
        Self {
            body,
            cookies: Vec::new(),
            issued: None,
        }
    }
}

pub(crate) type Outcome = Result<Reply, ApiError>;

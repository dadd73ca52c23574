//! What can go wrong at start, and how the emulated service says no.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

/// Why an emulator did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address is taken or not allowed.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gave no randomness, or the cryptographic library refused a key.
    #[error("cannot make a signing key: {0}")]
    Key(String),
    /// A setting of the builder does not make sense.
    #[error("{setting}: {problem}")]
    Setting {
        /// The setting, by the name of its builder method.
        setting: &'static str,
        /// What is wrong with it and what it should be.
        problem: String,
    },
}

/// A test asked for something that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ControlError(pub(crate) String);

impl From<ApiError> for ControlError {
    fn from(refused: ApiError) -> Self {
        Self(refused.message)
    }
}

impl From<StartError> for ControlError {
    fn from(reason: StartError) -> Self {
        Self(reason.to_string())
    }
}

impl From<ControlError> for ApiError {
    fn from(refused: ControlError) -> Self {
        Self::new(400, "EMU400", "Control request refused", refused.0)
    }
}

/// A refusal in the form in which the service words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) description: &'static str,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
}

impl ApiError {
    pub(crate) fn new(
        status: u16,
        code: &str,
        description: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code: code.to_owned(),
            description,
            message: message.into(),
            retry_after: None,
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(400, "E011001", "Request is malformed", message)
    }

    pub(crate) fn missing(message: impl Into<String>) -> Self {
        Self::new(
            400,
            "E011002",
            "Request is missing required arguments",
            message,
        )
    }

    pub(crate) fn wrong_shape(message: impl Into<String>) -> Self {
        Self::new(400, "E011003", "Request is invalid", message)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(
            400,
            "E011004",
            "Request contains invalid arguments",
            message,
        )
    }

    pub(crate) fn user_exists(status: u16) -> Self {
        Self::new(
            status,
            "E062107",
            "User already exists",
            "A user with this login id is already registered",
        )
    }

    pub(crate) fn user_not_found() -> Self {
        Self::new(400, "E062108", "User not found", "Cannot find user")
    }

    pub(crate) fn update_conflict(status: u16) -> Self {
        Self::new(
            status,
            "E062125",
            "Update conflict",
            "The new address is already a login id of another user",
        )
    }

    pub(crate) fn link_expired() -> Self {
        Self::new(
            401,
            "E062504",
            "Token expired",
            "Failed to load magic link token",
        )
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "E061005", "Invalid token", message)
    }

    /// The text is the recorded one.
    pub(crate) fn invalid_session_token() -> Self {
        Self::unauthorized("Failed to validate invalid JWT for any token - onetime")
    }

    pub(crate) fn logged_out() -> Self {
        Self::new(401, "E064001", "Invalid token", "Expired due to logout")
    }

    /// A refresh token that a newer one replaced, or any token of its family after that.
    pub(crate) fn family_invalidated() -> Self {
        Self::new(
            400,
            "E064006",
            "Invalid token",
            "JWT family ID invalidated, cannot use this token",
        )
    }

    pub(crate) fn missing_access_key() -> Self {
        Self::new(
            401,
            "E062802",
            "Missing access key",
            "The authorization has no access key",
        )
    }

    pub(crate) fn invalid_access_key() -> Self {
        Self::new(
            401,
            "E062803",
            "Invalid access key",
            "The access key is unknown or expired",
        )
    }

    pub(crate) fn management_unauthorized(message: impl Into<String>) -> Self {
        Self::new(401, "E111119", "Unauthorized", message)
    }

    pub(crate) fn management_user_not_found() -> Self {
        Self::new(404, "E112102", "User not found", "Cannot find user")
    }

    pub(crate) fn rate_limited(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::new(
                429,
                "E130429",
                "https://docs.descope.com/rate-limit",
                "API rate limit exceeded.",
            )
        }
    }

    /// A path that the service has, or may have, and the emulator has not.
    pub(crate) fn unsupported(method: &str, path: &str, what: &str) -> Self {
        Self::new(
            501,
            "EMU501",
            "Not emulated",
            format!(
                "{method} {path} ({what}) is not emulated; the emulator's SUPPORTED.md lists what is"
            ),
        )
    }

    pub(crate) fn no_such_path(method: &str, path: &str, nearest: Option<&str>) -> Self {
        let near = nearest.map_or_else(String::new, |path| format!("; did you mean {path}?"));
        Self::new(
            404,
            "EMU404",
            "No such path",
            format!("{method} {path} is no path of the API{near}"),
        )
    }

    pub(crate) fn wrong_method(method: &str, path: &str) -> Self {
        Self::new(
            405,
            "EMU405",
            "Method not allowed",
            format!("{path} does not respond to {method}"),
        )
    }

    pub(crate) fn body_too_slow(limit: Duration) -> Self {
        Self::new(
            408,
            "EMU408",
            "Request too slow",
            format!("The body did not arrive within {} s", limit.as_secs()),
        )
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            413,
            "EMU413",
            "Request too large",
            format!("The body is larger than {limit} bytes"),
        )
    }

    pub(crate) fn full(limit: &str) -> Self {
        Self::new(
            507,
            "EMU507",
            "Emulator is full",
            format!("The emulator keeps at most {limit}; reset it, or raise the limit"),
        )
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "EMU500", "Emulator failure", message)
    }

    pub(crate) fn body(&self) -> Value {
        json!({
            "errorCode": self.code,
            "errorDescription": self.description,
            "errorMessage": self.message,
            "message": self.message,
        })
    }
}

impl From<crate::random::NoRandomness> for ApiError {
    fn from(_: crate::random::NoRandomness) -> Self {
        Self::internal("The system gave no randomness")
    }
}

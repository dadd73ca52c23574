//! What holds unless it is set otherwise.

use std::time::Duration;

/// The session cookie's name, and the mark of session tokens (`drn`).
pub(crate) const SESSION_COOKIE: &str = "DS";
/// The refresh cookie's name, and the mark of refresh tokens (`drn`).
pub(crate) const REFRESH_COOKIE: &str = "DSR";
/// How long a call may take in all.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
/// How long making a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

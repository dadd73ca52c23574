//! What can go wrong, told so that the caller knows what to do.

#[cfg(feature = "client")]
mod call;
mod config;
#[cfg(feature = "client")]
#[expect(clippy::module_inception, reason = "the type of this name")]
mod error;
mod keys;
#[cfg(feature = "client")]
mod mask;
mod session;

#[cfg(feature = "client")]
pub(crate) use call::{Call, CredentialKind};
pub use config::ConfigError;
#[cfg(feature = "client")]
pub use error::{ApiError, DecodeError, Error, InvalidArgument, Result, Timeout, TransportError};
#[cfg(feature = "client")]
pub(crate) use error::{connect_timed_out, from_reqwest, is_refused_stream, redirect, tls_failure};
pub use keys::{KeyProblem, KeysUnavailable};
pub use session::{Claim, SessionError, TokenProblem};

//! Sessions: local validation, access checks, cookies.

mod access;
#[cfg(feature = "cookies")]
pub mod cookies;
mod error;
mod fetch;
mod json;
mod jws;
mod key;
mod keys;
mod policy;
mod timestamp;
mod validator;
mod verified;

pub use access::{RefreshClaims, Session, TenantAccess};
pub use error::{Claim, KeyProblem, KeysUnavailable, SessionError, TokenProblem};
pub use validator::{SessionValidator, SessionValidatorBuilder};

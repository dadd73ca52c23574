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
mod refresh;
mod sessions;
mod timestamp;
mod validator;
mod verified;

pub use access::{RefreshClaims, Session, TenantAccess};
pub use error::{Claim, KeyProblem, KeysUnavailable, SessionError, TokenProblem};
pub(crate) use refresh::Refreshes;
pub use sessions::{
    AccessKeySession, ExchangeAccessKey, Refreshed, Sessions, SignInRecord, SignedIn, TenantProfile,
};
pub use validator::{SessionValidator, SessionValidatorBuilder};

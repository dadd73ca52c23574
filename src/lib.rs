#![doc = include_str!("../README.md")]

mod authentication;
mod body;
mod client;
mod clock;
mod code;
mod config;
mod delivery;
mod error;
mod hooks;
pub mod magic_link;
#[cfg(feature = "management")]
pub mod management;
pub mod raw;
mod retry;
mod runtime;
#[cfg(feature = "schemars")]
mod schema;
mod secret;
pub mod session;
mod user;
#[cfg(feature = "tower")]
pub mod web;

pub use authentication::{Authentication, CookieFacts, UncheckedAuthentication};
pub use client::{Client, ClientBuilder};
pub use clock::{Clock, ManualClock, SystemClock};
pub use code::ErrorCode;
pub use delivery::{DeliveryMethod, ParseDeliveryError, PhoneDelivery};
pub use error::{
    ApiError, ConfigError, DecodeError, Error, InvalidArgument, Result, Timeout, TransportError,
};
pub use magic_link::{MagicLink, MaskedAddress, Sent, SignUpUser};
pub use retry::RetryPolicy;
pub use secret::{AccessKey, MagicLinkToken, ManagementKey, RefreshToken, Secret, SessionToken};
pub use session::{
    Refreshed, Session, SessionError, SessionValidator, Sessions, TenantAccess, TokenProblem,
};
pub use user::{User, UserTenant};

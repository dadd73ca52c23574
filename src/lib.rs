#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "client"),
    allow(
        dead_code,
        reason = "without a client a validator uses part of what both share"
    )
)]

#[cfg(feature = "client")]
mod client;
mod clock;
#[cfg(feature = "client")]
mod code;
mod config;
mod defaults;
mod delivery;
mod error;
#[cfg(all(fuzzing, feature = "client"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(all(doc, feature = "management"))]
pub mod guide;
#[cfg(feature = "client")]
mod jwks;
mod jwt;
#[cfg(feature = "client")]
pub mod magic_link;
#[cfg(feature = "management")]
pub mod management;
#[cfg(feature = "client")]
pub mod raw;
#[cfg(all(feature = "client", feature = "schemars"))]
mod schema;
mod secret;
pub mod session;
#[cfg(feature = "client")]
mod store;
mod sync;
#[cfg(feature = "client")]
mod transport;
#[cfg(feature = "client")]
mod user;

// Their types stand in signatures: a new major version of one of them is one of this crate too.
pub use serde_json;
#[cfg(feature = "client")]
pub use {http, reqwest};

#[cfg(feature = "client")]
pub use client::{Client, ClientBuilder};
pub use clock::{Clock, ManualClock, SystemClock};
#[cfg(feature = "client")]
pub use code::ErrorCode;
pub use delivery::{DeliveryMethod, ParseDeliveryError, PhoneDelivery};
pub use error::ConfigError;
#[cfg(feature = "client")]
pub use error::{ApiError, DecodeError, Error, InvalidArgument, Result, Timeout, TransportError};
#[cfg(feature = "client")]
pub use magic_link::MagicLink;
#[cfg(feature = "client")]
pub use magic_link::sign_up::SignUpUser;
pub use secret::{AccessKey, MagicLinkToken, ManagementKey, RefreshToken, Secret, SessionToken};
pub use session::access::Access;
#[cfg(feature = "client")]
pub use session::calls::{Authentication, Sessions};
pub use session::session::Session;
#[cfg(feature = "client")]
pub use session::tokens::{Refreshed, Tokens};
pub use session::validator::SessionValidator;
#[cfg(feature = "client")]
pub use store::{Store, StoreError, StoreFuture};
#[cfg(feature = "client")]
pub use sync::single_flight::timeout;
#[cfg(feature = "client")]
pub use transport::call_event::CallEvent;
#[cfg(feature = "client")]
pub use transport::retry::RetryPolicy;
#[cfg(feature = "client")]
pub use user::{User, UserTenant};

//! The part of Descope's API that signs users in with magic links, offline.
//!
//! [`Emulator::start`] gives a server on a free port of 127.0.0.1 with its own project, keys and users. It enforces the
//! rules of the service: links work once and expire, changes of address apply when they are verified, tokens are
//! signed, sessions end. What the service would have sent is in the [`Outbox`].
//!
//! ```
//! # use descope_magiclink_emulator::Emulator;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let emulator = Emulator::start().await?;
//! println!("DESCOPE_BASE_URI={}", emulator.base_url());
//! println!("DESCOPE_PROJECT_ID={}", emulator.project_id());
//! # Ok(())
//! # }
//! ```

#![cfg_attr(doctest, doc = "", doc = include_str!("../README.md"))]

mod address;
mod builder;
mod clock;
#[cfg(feature = "program")]
mod control;
mod error;
mod faults;
mod handles;
mod http;
mod journal;
mod keys;
mod outbox;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod program;
mod random;
mod routes;
#[cfg(feature = "schema")]
mod schema;
mod server;
mod settings;
mod supported;
mod world;

pub use builder::EmulatorBuilder;
pub use error::StartError;
pub use faults::{Fault, FaultId, FaultTarget, Faults};
pub use handles::{Clock, ControlError, Keys, Mint, Minted, Snapshot, Stored, Users};
pub use journal::{Journal, RecordedRequest};
pub use outbox::{Channel, Filter, Message, NoMessage, Outbox, Purpose};
pub use server::Emulator;
pub use settings::{
    AccessKey, CustomClaimsAt, Limits, RateLimit, RefreshReuse, RepeatedSignUp, SameSite, Template,
    Tenant, TokenDelivery, User,
};
pub use supported::{SupportedOperation, supported_operations};

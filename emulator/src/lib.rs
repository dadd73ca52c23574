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
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod cli;
#[cfg(feature = "program")]
mod control;
mod emulator;
mod error;
mod handles;
mod http;
mod nearest;
mod operations;
mod random;
mod settings;
mod state;

pub use builder::EmulatorBuilder;
pub use emulator::Emulator;
pub use error::{ControlError, StartError};
pub use handles::clock::Clock;
pub use handles::faults::Faults;
pub use handles::keys::Keys;
pub use handles::outbox::{NoMessage, Outbox};
pub use handles::project::Project;
pub use handles::requests::RequestLog;
pub use handles::snapshot::{Snapshot, Stats};
pub use handles::tokens::{IssuedTokens, TokenBuilder};
pub use handles::users::Users;
pub use operations::table::{SupportedOperation, supported_operations};
pub use settings::{
    AccessKey, CustomClaimsAt, Limits, RateLimit, RefreshReuse, RepeatedSignUp, SameSite,
    SigningAlgorithm, Template, Tenant, TokenDelivery, User,
};
pub use state::faults::{Fault, FaultId, FaultTarget};
pub use state::messages::{Channel, Filter, Message, Purpose};
pub use state::requests::RecordedRequest;

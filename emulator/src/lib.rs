#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

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
mod server;
mod service;
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
pub use handles::signer::Signer;
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

#[cfg(doc)]
#[doc = include_str!("../SUPPORTED.md")]
pub mod supported {}

#[cfg(doc)]
#[doc = include_str!("../BEHAVIOUR.md")]
pub mod behaviour {}

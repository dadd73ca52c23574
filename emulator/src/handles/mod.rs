//! What a test can do to a running emulator.

pub(crate) mod clock;
pub(crate) mod faults;
pub(crate) mod keys;
pub(crate) mod outbox;
pub(crate) mod project;
pub(crate) mod requests;
pub(crate) mod signer;
pub(crate) mod snapshot;
pub(crate) mod tokens;
pub(crate) mod users;

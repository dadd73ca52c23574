//! Sessions, through the public interface.

mod access;
mod client;
pub(crate) mod fixture;
mod issued;
pub(crate) mod key_server;
mod keys;
mod properties;
mod runtimes;
mod shared;
pub(crate) mod signing;
mod tokens;

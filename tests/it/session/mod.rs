//! Sessions, through the public interface.

mod access;
mod client;
mod issued;
pub(crate) mod key_server;
mod keys;
pub(crate) mod kit;
mod properties;
mod shared;
mod tokens;
pub(crate) mod world;

//! Sessions, through the public interface.

mod access;
mod client;
mod issued;
mod key_server;
mod keys;
mod kit;
mod properties;
mod tokens;
mod world;

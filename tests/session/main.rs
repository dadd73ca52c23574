//! Sessions, through the public interface.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "helpers of tests may fail the test"
)]

mod access;
mod client;
mod issued;
mod key_server;
mod keys;
mod kit;
mod properties;
mod tokens;
mod world;

//! The client's behaviour through its public interface.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::str_to_string,
    reason = "a test that cannot go on may panic"
)]

mod call;
mod configuration;
mod errors;
mod faults;
mod flows;
mod license;
mod raw;
mod responses;
#[cfg(feature = "schemars")]
mod schema_contract;
mod secrets;
mod session;
mod support;

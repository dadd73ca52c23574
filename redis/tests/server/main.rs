//! The store on a real server, and processes that meet in it. Needs `redis-server`:
//! `cargo test -p descope-magiclink-redis --features cluster,tracing --test server -- --ignored`. The variable
//! `STORE_SERVER` names another program, such as `valkey-server`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test that cannot go on may panic, and its processes are told by their environment"
)]

mod processes;
mod store;
mod support;

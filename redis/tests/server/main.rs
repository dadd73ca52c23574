//! The store on a real server, and processes that meet in it. Needs `redis-server`:
//! `cargo test -p descope-magiclink-redis --test server -- --ignored`.

mod processes;
mod store;
mod support;

//! The web parts, in an application and against an emulator of the API.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail the test"
)]

mod browser;
mod cookies;
#[cfg(feature = "axum")]
mod ended_sessions;
#[cfg(feature = "axum")]
#[expect(dead_code, reason = "the example as it is, with its `main`")]
#[path = "../../examples/web/main.rs"]
mod example;
#[cfg(feature = "axum")]
mod example_app;
#[cfg(feature = "axum")]
mod extractors;
mod landing;
#[cfg(feature = "tracing")]
mod logging;
mod odd_cookies;
mod odd_requests;
mod pages;
#[cfg(feature = "axum")]
mod pages_layer;
#[cfg(feature = "axum")]
mod preflights;
mod presses;
mod redirects;
mod rejections;
mod send_guard;
mod session_layer;
mod several_processes;
#[cfg(feature = "axum")]
mod stacks;
#[cfg(feature = "axum")]
mod step_up;
mod threats;

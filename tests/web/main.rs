//! The web parts, in an application and against an emulator of the API.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests may fail the test"
)]

#[cfg(feature = "axum")]
mod extractors;
mod kit;
mod landing;
mod matrix;
mod redirects;

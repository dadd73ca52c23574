//! The project's key set: how it is fetched, and how long it serves.

pub(crate) mod cache;
pub(crate) mod fetch;

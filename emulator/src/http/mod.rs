//! HTTP around the state: requests of the API, headers and bodies.

pub(crate) mod api;
pub(crate) mod wire;

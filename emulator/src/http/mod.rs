//! HTTP around the state: routing, headers and bodies.

pub(crate) mod router;
pub(crate) mod wire;

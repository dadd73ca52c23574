//! HTTP around the state: the socket, routing, headers and bodies.

pub(crate) mod router;
pub(crate) mod server;
pub(crate) mod wire;

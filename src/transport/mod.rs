//! The one way to the network.

pub(crate) mod http;

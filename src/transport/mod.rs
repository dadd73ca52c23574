//! The one way to the network.

pub(crate) mod body;
pub(crate) mod call_event;
pub(crate) mod deadline;
pub(crate) mod http;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
pub(crate) mod send;
mod watched_body;

//! What callers share: work that is in flight once, and outcomes that are kept for a while.

#[cfg(feature = "client")]
pub(crate) mod bounded_map;
pub(crate) mod hash;
#[cfg(feature = "client")]
pub(crate) mod single_flight;

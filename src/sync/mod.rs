//! What callers share: work that is in flight once, and outcomes that are kept for a while.

#[cfg_attr(
    not(feature = "client"),
    allow(dead_code, reason = "without a client, tokens alone are remembered")
)]
pub(crate) mod bounded_map;
pub(crate) mod hash;
#[cfg(feature = "client")]
pub(crate) mod purge;
#[cfg(feature = "client")]
pub(crate) mod single_flight;

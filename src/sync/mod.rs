//! What callers share: work that is in flight once, and outcomes that are kept for a while.

pub(crate) mod bounded_map;
pub(crate) mod deadline;
pub(crate) mod hash;
pub(crate) mod single_flight;

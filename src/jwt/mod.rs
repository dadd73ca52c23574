//! Signed tokens and their keys as the RFCs have them: no HTTP, and nothing of Descope.

pub(crate) mod compact;
pub(crate) mod json;
pub(crate) mod jwk;

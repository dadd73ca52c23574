//! What each operation of the API does to the state.

mod access_keys;
pub(crate) mod call;
pub(crate) mod dispatch;
pub(crate) mod fields;
mod keys;
mod magic_link;
mod management;
mod me;
#[cfg(feature = "schema")]
mod schema;
mod sessions;
pub(crate) mod table;

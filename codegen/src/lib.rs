//! From `spec/openapi.yaml` to `src/raw/`: text in, text out; and the review of what changed.
//!
//! Nothing here reads a clock, the network or, but for [`generate::project`], a file, so that the same
//! description always gives the same bytes.

pub mod error;
pub mod generate;
pub mod review;

pub use error::Error;
pub use generate::bindings;

//! From the description to the bindings.
//!
//! The steps are [`load`], [`lint`], [`prepare`], [`generator`] and [`passes`], in this order; [`bindings`]
//! runs them all.

pub mod document;
mod follow;
pub mod generator;
pub mod lint;
pub mod load;
pub mod passes;
pub mod prepare;
pub mod project;

use self::project::Files;
use crate::error::Error;

/// Generates the bindings from the text of a description.
///
/// # Errors
///
/// See [`Error`]: each names the place in the description, or the pass that failed.
pub fn bindings(spec: &str) -> Result<Files, Error> {
    let source = load::load(spec)?;
    lint::lint(&source)?;
    let prepared = prepare::prepare(&source)?;
    let tokens = generator::generate(&source, &prepared)?;
    passes::finish(&source, tokens)
}

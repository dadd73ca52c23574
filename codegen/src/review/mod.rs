//! What changed: between the published description and ours, and between two releases.

pub mod advice;
pub mod compare;
pub mod divergences;
pub mod facts;
pub mod semver;
pub mod snapshots;
pub mod upstream;
pub mod yaml;

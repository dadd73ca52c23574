//! What changed: between the published description and ours, and between two releases.

pub mod compare;
pub mod divergences;
pub mod report;
pub mod semver;
pub mod snapshots;
pub mod upstream;

//! `cargo xtask upstream`.

use std::fs;
use std::path::Path;

use clap::ValueEnum;
use descope_magiclink_codegen::generate::{load, project};
use descope_magiclink_codegen::review::{divergences, upstream};

use crate::output::{Outcome, print};

/// For whom the report is.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// People, in a terminal
    Text,
    /// Programs
    Json,
    /// A pull request
    Markdown,
}

pub(crate) fn upstream(file: &Path, format: Format) -> Outcome {
    let text = fs::read_to_string(file)
        .map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let theirs = load::value(&text)
        .map_err(|error| format!("{} is no description: {error}", file.display()))?;
    let ours = load::load(&project::spec()?)?;
    let path = project::root().join("spec/divergences.yaml");
    let divergences = divergences::parse(&fs::read_to_string(path)?)?;
    let report = upstream::compare(&ours, &theirs, &divergences)?;
    print(&match format {
        Format::Text => report.text(),
        Format::Json => report.json()?,
        Format::Markdown => report.markdown(),
    });
    Ok(report.is_clean())
}

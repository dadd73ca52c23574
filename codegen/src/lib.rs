//! From `spec/openapi.yaml` to `src/raw/`: text in, text out.
//!
//! The steps are [`load`], [`lint`], [`prepare`], [`generate`], [`passes`], in this order;
//! [`bindings`] runs them all. Nothing here reads a clock, the network or, but for [`project`],
//! a file, so that the same description always gives the same bytes.

pub mod compare;
pub mod divergences;
pub mod generate;
pub mod lint;
pub mod load;
pub mod passes;
pub mod prepare;
pub mod project;
pub mod semver;
pub mod snapshots;
pub mod upstream;

use std::fmt;

/// The generated files, in the order in which they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bindings {
    /// `src/raw/client.rs`: the client and one method per operation.
    pub client: String,
    /// `src/raw/types.rs`: one type per schema.
    pub types: String,
}

impl Bindings {
    /// The files by their path below the project's root.
    #[must_use]
    pub fn files(&self) -> [(&'static str, &str); 2] {
        [
            ("src/raw/client.rs", &self.client),
            ("src/raw/types.rs", &self.types),
        ]
    }
}

/// Why no code was generated.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The text is not YAML, or a key stands twice. The message names the line.
    Yaml(String),
    /// The description breaks rules that keep the generated code correct.
    Lint(Vec<lint::Finding>),
    /// `spec/divergences.yaml` has entries that are not as its head asks for.
    Divergences(Vec<lint::Finding>),
    /// The description is not OpenAPI 3.0 as the generator reads it.
    Document(String),
    /// The file to compare with is not a published description.
    Published(String),
    /// The generator gave up.
    Generator {
        /// The operation it gave up on, where that could be found out.
        operation: Option<String>,
        /// Its own words.
        message: String,
    },
    /// The generator's output is not what a pass expects; most likely its version changed.
    Pass(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yaml(message) => write!(f, "the YAML cannot be read: {message}"),
            Self::Lint(findings) => {
                write!(f, "spec/openapi.yaml breaks {} rule(s):", findings.len())?;
                list(f, findings)
            }
            Self::Divergences(findings) => {
                f.write_str(
                    "spec/divergences.yaml has entries that are not as its head asks for:",
                )?;
                list(f, findings)
            }
            Self::Document(message) => write!(f, "spec/openapi.yaml is not OpenAPI 3.0: {message}"),
            Self::Published(message) => write!(f, "the published file {message}"),
            Self::Generator {
                operation: Some(operation),
                message,
            } => {
                write!(
                    f,
                    "the generator failed on operation {operation}: {message}"
                )
            }
            Self::Generator {
                operation: None,
                message,
            } => {
                write!(f, "the generator failed: {message}")
            }
            Self::Pass(message) => write!(
                f,
                "the generator's output is not as expected: {message}; was progenitor upgraded?"
            ),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, findings: &[lint::Finding]) -> fmt::Result {
    for finding in findings {
        write!(f, "\n  {finding}")?;
    }
    Ok(())
}

impl std::error::Error for Error {}

/// Generates the bindings from the text of a description.
///
/// # Errors
///
/// See [`Error`]: each names the place in the description, or the pass that failed.
pub fn bindings(spec: &str) -> Result<Bindings, Error> {
    let source = load::load(spec)?;
    lint::lint(&source)?;
    let prepared = prepare::prepare(&source)?;
    let tokens = generate::generate(&prepared)?;
    passes::finish(&source, tokens)
}

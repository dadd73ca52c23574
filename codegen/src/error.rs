//! Why nothing was generated or compared.

use std::fmt;

/// Why no code was generated.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The text is not YAML, or a key stands twice. The message names the line.
    Yaml(String),
    /// The description is not OpenAPI 3.0 as the generator reads it.
    Document(String),
    /// The file to compare with is not a published description.
    Published(String),
    /// The generator's output is not what a pass expects; most likely its version changed.
    Pass(String),
    /// Parts of a file are wrong: what is said of all of them, and each with its place.
    Findings(&'static str, Vec<Finding>),
}

impl Error {
    /// Nothing when there are no findings.
    pub(crate) fn of(what: &'static str, findings: Vec<Finding>) -> Result<(), Self> {
        if findings.is_empty() {
            Ok(())
        } else {
            Err(Self::Findings(what, findings))
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yaml(message) => write!(f, "the YAML cannot be read: {message}"),
            Self::Document(message) => write!(f, "spec/openapi.yaml is not OpenAPI 3.0: {message}"),
            Self::Published(message) => write!(f, "cannot be compared: {message}"),
            Self::Pass(message) => write!(
                f,
                "the generator's output is not as expected: {message}; was progenitor upgraded?"
            ),
            Self::Findings(what, findings) => {
                write!(f, "{what}:")?;
                findings
                    .iter()
                    .try_for_each(|finding| write!(f, "\n  {finding}"))
            }
        }
    }
}

impl std::error::Error for Error {}

/// What the passes say of what they find.
pub(crate) const OUTPUT: &str = "what was generated is not what spec/openapi.yaml says";

/// A broken rule and its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The line in the text, where it is known.
    pub line: Option<u64>,
    /// The operation or the schema concerned, and the way down from there.
    pub place: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}: {}", self.place, self.message)
    }
}

//! Why nothing was generated or compared.

use std::fmt;

/// Why no code was generated.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The text is not YAML, or a key stands twice. The message names the line.
    Yaml(String),
    /// The description breaks rules that keep the generated code correct.
    Lint(Vec<Finding>),
    /// `spec/divergences.yaml` has entries that are not as its head asks for.
    Divergences(Vec<Finding>),
    /// The description is not OpenAPI 3.0 as the generator reads it.
    Document(String),
    /// The file to compare with is not a published description.
    Published(String),
    /// The generator gave up.
    Generator {
        /// The operation it gave up on, where that could be found out, and its line.
        operation: Option<(String, Option<u64>)>,
        /// Its own words.
        message: String,
    },
    /// What was generated is not what the description says.
    Output(Vec<Finding>),
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
            Self::Published(message) => write!(f, "cannot be compared: {message}"),
            Self::Output(findings) => {
                f.write_str("what was generated is not what spec/openapi.yaml says:")?;
                list(f, findings)
            }
            Self::Generator { operation, message } => {
                f.write_str("the generator failed")?;
                if let Some((id, line)) = operation {
                    write!(f, " on operation {id}")?;
                    line.map_or(Ok(()), |line| write!(f, ", line {line}"))?;
                }
                write!(f, ": {message}")
            }
            Self::Pass(message) => write!(
                f,
                "the generator's output is not as expected: {message}; was progenitor upgraded?"
            ),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, findings: &[Finding]) -> fmt::Result {
    for finding in findings {
        write!(f, "\n  {finding}")?;
    }
    Ok(())
}

impl std::error::Error for Error {}

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

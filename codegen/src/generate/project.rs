//! The files of this project, for the command line and for the tests.

use std::path::{Path, PathBuf};
use std::{fs, io};

use similar::TextDiff;

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

/// The project's root folder.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The text of `spec/openapi.yaml`.
///
/// # Errors
///
/// When the file cannot be read.
pub fn spec() -> io::Result<String> {
    fs::read_to_string(root().join("spec/openapi.yaml"))
}

/// A unified diff from the files in the tree to what they should be; empty when they agree.
///
/// # Errors
///
/// When a file exists and cannot be read.
pub fn diff(bindings: &Bindings) -> io::Result<String> {
    let mut diffs = String::new();
    for (path, wanted) in bindings.files() {
        let found = match fs::read_to_string(root().join(path)) {
            Ok(text) => text.replace("\r\n", "\n"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        diffs.push_str(&unified_diff(&found, wanted, path, "generated"));
    }
    Ok(diffs)
}

/// A unified diff of two texts; empty when they agree.
#[must_use]
pub fn unified_diff(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    if old == new {
        return String::new();
    }
    TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .header(old_name, new_name)
        .to_string()
}

/// Writes the files that differ and returns their paths below the root.
///
/// # Errors
///
/// When a file cannot be read or written.
pub fn write(bindings: &Bindings) -> io::Result<Vec<&'static str>> {
    let mut written = Vec::new();
    for (path, text) in bindings.files() {
        let target = root().join(path);
        if fs::read_to_string(&target).is_ok_and(|found| found == text) {
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&target, text)?;
        written.push(path);
    }
    Ok(written)
}

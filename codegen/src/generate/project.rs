//! The files of this project, for the command line and for the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use similar::TextDiff;

const SPEC: &str = "spec/openapi.yaml";

/// All that follows from the description, by its path below the root.
pub type Files = BTreeMap<&'static str, String>;

/// The project's root folder: the nearest one around the working directory that holds the description.
///
/// Found when the program runs, so that one target folder can serve several work trees.
///
/// # Errors
///
/// When there is none, or the working directory is gone.
pub fn root() -> io::Result<PathBuf> {
    let here = std::env::current_dir()?;
    let root = here.ancestors().find(|folder| folder.join(SPEC).is_file());
    root.map(Path::to_path_buf).ok_or_else(|| {
        let message = format!(
            "no folder around {} has {SPEC}: run this inside the project",
            here.display()
        );
        io::Error::new(io::ErrorKind::NotFound, message)
    })
}

/// The text of `spec/openapi.yaml`.
///
/// # Errors
///
/// When the file cannot be read.
pub fn spec(root: &Path) -> io::Result<String> {
    fs::read_to_string(root.join(SPEC))
}

/// A unified diff from the files in the tree to what they should be; empty when they agree.
///
/// # Errors
///
/// When a file exists and cannot be read.
pub fn diff(root: &Path, files: &Files) -> io::Result<String> {
    let mut diffs = String::new();
    for (path, wanted) in files {
        let found = match fs::read_to_string(root.join(path)) {
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
pub fn write(root: &Path, files: &Files) -> io::Result<Vec<&'static str>> {
    let mut written = Vec::new();
    for (path, text) in files {
        let target = root.join(path);
        if fs::read_to_string(&target).is_ok_and(|found| found == *text) {
            continue;
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&target, text)?;
        written.push(*path);
    }
    Ok(written)
}

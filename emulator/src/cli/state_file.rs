//! The file that keeps the state from one run to the next.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use crate::state::saved::SavedState;

/// The state in a file; none while there is no file.
pub(super) fn read(path: &Path) -> Result<Option<SavedState>, String> {
    let explain = |reason: String| format!("the state file {}: {reason}", path.display());
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(reason) if reason.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(reason) => return Err(explain(reason.to_string())),
    };
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|reason| explain(reason.to_string()))
}

/// Replaces the file in one step, so that no half of one is ever there. It holds private keys, so only its owner may
/// read it.
pub(super) fn write(path: &Path, state: &SavedState) -> Result<(), String> {
    let explain =
        |reason: String| format!("cannot write the state file {}: {reason}", path.display());
    let text = serde_json::to_vec(state).map_err(|reason| explain(reason.to_string()))?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let write = || {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|reason| {
        // It may not be there at all.
        let _ = fs::remove_file(&new);
        explain(reason.to_string())
    })
}

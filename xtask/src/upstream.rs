//! `cargo xtask upstream`.

use std::fs;
use std::path::Path;

use descope_magiclink_codegen::generate::{load, project};
use descope_magiclink_codegen::review::facts::Facts;
use descope_magiclink_codegen::review::{divergences, upstream};

use crate::output::{Outcome, print, print_error};

const LOCK: &str = "spec/published.lock";

/// Without a file, what was published when the lock was written.
pub(crate) fn upstream(file: Option<&Path>, accept: bool, json: bool) -> Outcome {
    let root = project::root()?;
    let lock = root.join(LOCK);
    let before = match fs::read_to_string(&lock) {
        Ok(text) => Some(Facts::parse(&text).map_err(|error| format!("{LOCK}: {error}"))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(format!("{LOCK} cannot be read: {error}").into()),
    };
    let ours = load::load(&project::spec(&root)?)?;
    let theirs = match (file, &before) {
        (Some(file), _) => {
            let name = file.display();
            let text = fs::read_to_string(file)
                .map_err(|error| format!("{name} cannot be read: {error}"))?;
            upstream::read(&text, &Facts::ours(&ours.value), before.as_ref())
                .map_err(|error| format!("{name}: {error}"))?
        }
        (None, Some(before)) => before.clone(),
        (None, None) => return Err(format!("there is no {LOCK}: name a published file").into()),
    };
    let divergences = divergences::parse(&fs::read_to_string(root.join("spec/divergences.yaml"))?)?;
    let report = upstream::review(
        &ours,
        &theirs,
        before.as_ref().unwrap_or(&theirs),
        &divergences,
    );
    print(&if json {
        report.json()?
    } else {
        report.markdown()
    });
    if !accept {
        return Ok(report.is_clean());
    }
    if report.is_followed() {
        fs::write(&lock, theirs.text())?;
        print(&format!("wrote {LOCK}"));
    } else {
        print_error(&format!(
            "{LOCK} was not written: first follow or keep each difference above"
        ));
    }
    Ok(report.is_followed())
}

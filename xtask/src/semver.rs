//! `cargo xtask semver`.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use descope_magiclink_codegen::generate::{load, project};
use descope_magiclink_codegen::review::semver;

use crate::output::{Outcome, print};
use crate::public_api;
use crate::run::{git, output};

pub(crate) fn semver(revision: &str, spec_only: bool) -> Outcome {
    let commit = git(&["rev-parse", "--verify", &format!("{revision}^{{commit}}")])
        .map_err(|_| format!("`{revision}` is no revision of this repository"))?;
    let commit = commit.trim();
    let show = |path: &str| git(&["show", &format!("{commit}:{path}")]);
    let old = load::load(&show("spec/openapi.yaml")?)?;
    let new = load::load(&project::spec(&project::root()?)?)?;
    let description = semver::description(&old, &new);
    let api = if spec_only {
        None
    } else {
        let folder = check_out(commit)?;
        let then = public_api::listing(&folder)
            .map_err(|error| format!("{revision} does not build here: {error}; try --spec-only"))?;
        fs::remove_dir_all(folder)?;
        let now = public_api::listing(&project::root()?)?;
        Some(semver::public_api(&then, &now))
    };
    let version = version(&show("Cargo.toml")?).ok_or("the manifest names no version")?;
    let report = semver::report(revision, &version, &description, api.as_deref());
    print(&report);
    Ok(true)
}

/// The version in `[workspace.package]`, which all published crates share.
fn version(manifest: &str) -> Option<String> {
    let (_, section) = manifest.split_once("[workspace.package]")?;
    let line = section
        .lines()
        .find_map(|line| line.strip_prefix("version = "))?;
    Some(line.trim_matches('"').to_owned())
}

/// The files of a commit in a folder of their own; neither the work tree nor the index is touched.
fn check_out(commit: &str) -> Result<PathBuf, Box<dyn Error>> {
    let folder = public_api::scratch(commit)?;
    if folder.is_dir() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let index = folder.join(".index");
    let git = |arguments: &[&str]| {
        output(
            Command::new("git")
                .args(arguments)
                .env("GIT_INDEX_FILE", &index)
                .current_dir(project::root()?),
        )
    };
    git(&["read-tree", commit])?;
    let prefix = format!("--prefix={}/", folder.display());
    git(&["checkout-index", "--all", &prefix])?;
    fs::remove_file(index)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_version_is_that_of_the_workspace() {
        let manifest = "[workspace]\nmembers = []\n\n[workspace.package]\nversion = \"0.3.1\"\n";
        assert_eq!(super::version(manifest).as_deref(), Some("0.3.1"));
        assert_eq!(super::version("[package]\nversion = \"1.0.0\"\n"), None);
    }
}

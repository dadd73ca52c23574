//! `cargo xtask semver`.

use std::error::Error;
use std::fs;

use descope_magiclink_codegen::generate::{load, project};
use descope_magiclink_codegen::review::advice::Release;
use descope_magiclink_codegen::review::semver::{self, Change};
use serde_json::Value;

use crate::output::{Outcome, print, print_error};
use crate::public_api::{PACKAGES, listing};
use crate::run::{output, program, show};

pub(crate) fn semver(revision: &str, spec_only: bool, check: bool) -> Outcome {
    let root = project::root()?;
    let mut commit = program("git rev-parse --verify")?;
    let commit = output(commit.arg(format!("{revision}^{{commit}}")))
        .map_err(|_| format!("`{revision}` is no revision of this repository"))?;
    let commit = commit.trim();
    // What that revision did not have yet was empty.
    let then = |path: &str| show(commit, path).unwrap_or_default();
    let now = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (old, new) = (
        load::load(&then("spec/openapi.yaml"))?,
        load::load(&project::spec(&root)?)?,
    );
    let description = semver::description(&old, &new);
    let mut is_complete = true;
    let api = if spec_only {
        None
    } else {
        let mut changes = semver::public_api(&published(then)?, &published(now)?);
        let found = checks(commit)?;
        is_complete = found.is_some();
        changes.extend(found.into_iter().flatten());
        Some(changes)
    };
    let (before, version) = (version(&then("Cargo.toml"))?, version(&now("Cargo.toml"))?);
    print(&semver::report(
        revision,
        &before,
        &description,
        api.as_deref(),
    ));
    if !is_complete {
        print_error(
            "cargo-semver-checks is not installed: names, signatures and features alone were compared",
        );
    }
    if !check {
        return Ok(true);
    }
    let changes: Vec<Change> = description
        .into_iter()
        .chain(api.unwrap_or_default())
        .collect();
    let approvals = semver::approvals(&fs::read_to_string(root.join("spec/approvals.yaml"))?)?;
    let problems = semver::problems(
        &before,
        &version,
        &now("CHANGELOG.md"),
        &changes,
        &approvals,
    );
    for problem in &problems {
        print_error(problem);
    }
    Ok(problems.is_empty())
}

/// All that a revision publishes: the listings, which `public-api --check` keeps true, and what the
/// manifests say.
fn published(read: impl Fn(&str) -> String) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    for (package, folder) in PACKAGES {
        text += &read(&listing(folder));
        let manifest: Value = toml::from_str(&read(&format!("{folder}Cargo.toml")))?;
        if let Some(version) = shared(&manifest, "rust-version") {
            text += &format!("rust-version {version}\n");
        }
        let features = manifest.get("features").and_then(Value::as_object);
        for (name, enables) in features.into_iter().flatten() {
            if name == "default" {
                let names = enables.as_array().into_iter().flatten();
                let names = names.filter_map(Value::as_str);
                text.extend(names.map(|name| format!("default feature {package}/{name}\n")));
            } else {
                text += &format!("feature {package}/{name}\n");
            }
        }
    }
    Ok(text)
}

/// What `[workspace.package]` says, which all published crates share.
fn shared<'a>(manifest: &'a Value, key: &str) -> Option<&'a str> {
    manifest
        .get("workspace")?
        .get("package")?
        .get(key)?
        .as_str()
}

fn version(manifest: &str) -> Result<String, Box<dyn Error>> {
    let version = shared(&toml::from_str(manifest)?, "version").map(str::to_owned);
    Ok(version.ok_or("Cargo.toml names no version in [workspace.package]")?)
}

/// What cargo-semver-checks finds, bounds, generics and more that no listing shows; nothing where it is not
/// installed.
fn checks(commit: &str) -> Result<Option<Vec<Change>>, Box<dyn Error>> {
    if output(&mut program("cargo semver-checks --version")?).is_err() {
        return Ok(None);
    }
    let mut changes = Vec::new();
    for (package, _) in PACKAGES {
        let run = program(&format!(
            "cargo semver-checks --package {package} --baseline-rev {commit} --release-type patch --color never"
        ))?
        .output()?;
        let said = String::from_utf8_lossy(&run.stdout);
        let found: Vec<Change> = said
            .lines()
            .filter_map(|line| line.strip_prefix("--- failure ")?.split_once(": "))
            .map(|(lint, what)| Change {
                release: Release::Major,
                section: "Changed",
                text: format!(
                    "{package}: {} (cargo-semver-checks: {lint})",
                    what.trim_end_matches(" ---")
                ),
            })
            .collect();
        if !run.status.success() && found.is_empty() {
            return Err(format!(
                "cargo-semver-checks failed: {}",
                String::from_utf8_lossy(&run.stderr).trim()
            )
            .into());
        }
        changes.extend(found);
    }
    Ok(Some(changes))
}

#[cfg(test)]
mod tests {
    use super::{published, version};

    const ROOT: &str = "[workspace.package]\nversion = \"0.3.1\"\nrust-version = \"1.88\"\n[package]\nname = \"descope-magiclink\"\n\
        [features]\ndefault = [\"b\"]\nb = []\n";

    #[test]
    fn a_manifest_says_version_features_and_compiler() {
        assert_eq!(version(ROOT).unwrap(), "0.3.1");
        assert!(version("[package]\nversion = \"1.0.0\"\n").is_err());
        let read = |path: &str| match path {
            "Cargo.toml" => ROOT.to_owned(),
            "tests/public-api.txt" => "pub fn a::f()\n".to_owned(),
            _ => String::new(),
        };
        let lines = "pub fn a::f()\nrust-version 1.88\nfeature descope-magiclink/b\ndefault feature descope-magiclink/b\n";
        assert_eq!(published(read).unwrap(), lines);
    }
}

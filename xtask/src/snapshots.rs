//! `cargo xtask snapshots`.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::path::Path;

use descope_magiclink_codegen::generate::project;
use descope_magiclink_codegen::review::snapshots::{Files, changes};

use crate::output::{Outcome, print, print_error};
use crate::public_api;
use crate::run::{output, program, show};

const FOLDER: &str = "tests/snapshots";
/// The test whose snapshots are requests; its name begins theirs.
const TEST: &str = "requests";
const PACKAGE: &str = "descope-magiclink-tests";

pub(crate) fn snapshots(revision: &str, accept: bool) -> Outcome {
    let root = project::root()?;
    let folder = root.join(FOLDER);
    let before = read(&folder, ".snap")?;
    // Of another run: what it was about may be accepted, or gone.
    for name in read(&folder, ".snap.new")?.keys() {
        fs::remove_file(folder.join(name))?;
    }
    let referenced = run_tests(accept)?;
    let now = read(&folder, ".snap")?;
    let mut pending = Files::new();
    let mut replaced = Files::new();
    for (name, text) in read(&folder, ".snap.new")? {
        let name = name.trim_end_matches(".new").to_owned();
        replaced.extend(now.get(&name).map(|text| (name.clone(), text.clone())));
        pending.insert(name, text);
    }
    let mut is_clean = pending.is_empty();
    if !is_clean {
        let diff = changes(&replaced, &pending);
        print(&format!(
            "Requests that differ from their snapshot:\n\n{diff}"
        ));
        print_error(&format!(
            "{} pending: accept one by one with `cargo insta review`, or all with `cargo xtask snapshots --accept`",
            pending.len()
        ));
    }
    if accept {
        let is_new = |name: &&str| before.get(*name) != now.get(*name);
        let accepted: Vec<&str> = now.keys().map(String::as_str).filter(is_new).collect();
        print(&format!(
            "accepted {}: {}",
            accepted.len(),
            accepted.join(", ")
        ));
    }
    for name in now.keys().filter(|name| !referenced.contains(*name)) {
        is_clean = false;
        print_error(&format!("{FOLDER}/{name}: no test compares it; delete it"));
    }
    let diff = changes(&at_revision(revision)?, &now);
    if diff.is_empty() {
        print(&format!("no accepted request differs from {revision}"));
    } else {
        print(&format!("Accepted requests against {revision}:\n\n{diff}"));
    }
    Ok(is_clean)
}

/// Runs the test to its end, and leaves a pending snapshot for each request that differs, or accepts it;
/// gives the names of the snapshots that it looked at.
fn run_tests(accept: bool) -> Result<BTreeSet<String>, Box<dyn Error>> {
    let list = public_api::target(&public_api::metadata()?)?.join("snapshots.txt");
    // The test adds to it.
    fs::write(&list, "")?;
    let output = program(&format!(
        "cargo test --quiet --package {PACKAGE} --test {TEST}"
    ))?
    .env("INSTA_UPDATE", if accept { "always" } else { "new" })
    .env("INSTA_FORCE_PASS", "1")
    .env("INSTA_SNAPSHOT_REFERENCES_FILE", &list)
    .output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        return Err(format!("the test `{TEST}` fails:\n{words}{errors}").into());
    }
    let list = fs::read_to_string(&list).unwrap_or_default();
    let name = |path: &str| Some(Path::new(path).file_name()?.to_str()?.to_owned());
    Ok(list.lines().filter_map(name).collect())
}

fn read(folder: &Path, suffix: &str) -> Result<Files, Box<dyn Error>> {
    let mut files = Files::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(TEST) && name.ends_with(suffix) {
            files.insert(name, fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

fn at_revision(revision: &str) -> Result<Files, Box<dyn Error>> {
    let mut listed = program("git ls-tree --name-only -z")?;
    let listed = output(listed.args([revision, &format!("{FOLDER}/")]))?;
    let mut files = Files::new();
    for path in listed.split('\0') {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with(TEST) && name.ends_with(".snap") {
            files.insert(name.to_owned(), show(revision, path)?);
        }
    }
    Ok(files)
}

//! `cargo xtask snapshots`.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use descope_magiclink_codegen::generate::project;
use descope_magiclink_codegen::review::snapshots::{Files, changes, unreferenced};

use crate::output::{Outcome, print, print_error};
use crate::public_api;
use crate::run::git;

const FOLDER: &str = "tests/snapshots";
/// The test whose snapshots are requests; its name begins theirs.
const TEST: &str = "requests";
const PACKAGE: &str = "descope-magiclink-tests";

pub(crate) fn snapshots(revision: &str) -> Outcome {
    let root = project::root()?;
    let folder = root.join(FOLDER);
    let referenced = run_tests()?;
    let now = read(&folder, ".snap")?;
    let pending = read(&folder, ".snap.new")?;
    let mut is_clean = true;
    if !pending.is_empty() {
        is_clean = false;
        let before = now
            .iter()
            .filter(|(name, _)| pending.contains_key(&format!("{name}.new")))
            .map(|(name, text)| (name.clone(), text.clone()))
            .collect();
        let after = pending
            .iter()
            .map(|(name, text)| (name.trim_end_matches(".new").to_owned(), text.clone()))
            .collect();
        let diff = changes(&before, &after);
        print(&format!(
            "Requests that differ from their snapshot:\n\n{diff}"
        ));
        print_error(&format!(
            "{} pending: accept with `cargo insta review`, or all with `INSTA_UPDATE=always cargo test -p {PACKAGE} \
             --test {TEST}`; then run this again",
            pending.len()
        ));
    }
    let unused = unreferenced(&now, &referenced);
    if !unused.is_empty() {
        is_clean = false;
        for name in &unused {
            print_error(&format!("{FOLDER}/{name}: no test compares it; delete it"));
        }
    }
    let diff = changes(&at_revision(revision)?, &now);
    if diff.is_empty() {
        print(&format!("no accepted request differs from {revision}"));
    } else {
        print(&format!("Accepted requests against {revision}:\n\n{diff}"));
    }
    Ok(is_clean)
}

/// Runs the test to its end, leaving a pending snapshot for each request that differs; gives the names
/// of the snapshots that it looked at.
fn run_tests() -> Result<BTreeSet<String>, Box<dyn Error>> {
    let scratch = public_api::scratch("")?;
    fs::create_dir_all(&scratch)?;
    let list = scratch.join("snapshots.txt");
    match fs::remove_file(&list) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["test", "--quiet", "--package", PACKAGE, "--test", TEST])
        .env("INSTA_UPDATE", "new")
        .env("INSTA_FORCE_PASS", "1")
        .env("INSTA_SNAPSHOT_REFERENCES_FILE", &list)
        .current_dir(project::root()?)
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
    let listed = git(&[
        "ls-tree",
        "--name-only",
        "-z",
        revision,
        &format!("{FOLDER}/"),
    ])?;
    let mut files = Files::new();
    for path in listed.split('\0') {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with(TEST) && name.ends_with(".snap") {
            files.insert(
                name.to_owned(),
                git(&["show", &format!("{revision}:{path}")])?,
            );
        }
    }
    Ok(files)
}

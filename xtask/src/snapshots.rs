//! `cargo xtask snapshots`.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use descope_magiclink_codegen::generate::project;
use descope_magiclink_codegen::review::snapshots::{Files, changes};

use crate::output::{Outcome, print, print_error};
use crate::public_api;
use crate::run::git;

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
    let referenced = run_tests(&root, accept)?;
    let now = read(&folder, ".snap")?;
    let pending: Files = read(&folder, ".snap.new")?
        .into_iter()
        .map(|(name, text)| (name.trim_end_matches(".new").to_owned(), text))
        .collect();
    let is_pending = |name: &String| pending.contains_key(name);
    let mut is_clean = pending.is_empty();
    if !is_clean {
        let before = now.iter().filter(|(name, _)| is_pending(name));
        let before = before
            .map(|(name, text)| (name.clone(), text.clone()))
            .collect();
        print(&format!(
            "Requests that differ from their snapshot:\n\n{}",
            changes(&before, &pending)
        ));
        print_error(&format!(
            "{} pending: accept one by one with `cargo insta review`, or all with `cargo xtask snapshots --accept`",
            pending.len()
        ));
    }
    let accepted: Vec<&str> = now
        .iter()
        .filter(|(name, text)| accept && before.get(*name) != Some(text))
        .map(|(name, _)| name.as_str())
        .collect();
    if accept {
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
fn run_tests(root: &Path, accept: bool) -> Result<BTreeSet<String>, Box<dyn Error>> {
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
        .env("INSTA_UPDATE", if accept { "always" } else { "new" })
        .env("INSTA_FORCE_PASS", "1")
        .env("INSTA_SNAPSHOT_REFERENCES_FILE", &list)
        .current_dir(root)
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

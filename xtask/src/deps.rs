//! `cargo xtask deps`: what a user builds.

use std::collections::{BTreeMap, BTreeSet};

use crate::output::{Outcome, print, print_error};
use crate::run::{output, program};

/// As many crates as the leanest SDK of a like vendor, the crate itself counted.
const BUDGET: usize = 99;

pub(crate) fn deps() -> Outcome {
    let tree = output(&mut program(
        "cargo",
        &[
            "tree",
            "--package",
            "descope-magiclink",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--no-dedupe",
        ],
    )?)?;
    let crates: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?))
        })
        .collect();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version) in &crates {
        versions.entry(name).or_default().push(version);
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        print(&format!(
            "{name} is in it {} times: {}",
            versions.len(),
            versions.join(", ")
        ));
    }
    print(&format!(
        "{} crates with default features, of a budget of {BUDGET}",
        crates.len()
    ));
    if crates.len() > BUDGET {
        print_error(
            "over the budget: drop a dependency, or make it optional behind the feature it serves",
        );
        return Ok(false);
    }
    Ok(true)
}

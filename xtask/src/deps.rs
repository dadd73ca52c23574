//! `cargo xtask deps`: what a user builds, and what a user can name.

use std::collections::{BTreeMap, BTreeSet};

use descope_magiclink_codegen::generate::project;

use crate::output::{Outcome, print, print_error};
use crate::public_api::{PACKAGES, listing};
use crate::run::{output, program};

/// What a build compiles, the crate itself and those of build scripts counted: the leanest SDK of a like vendor has 99
/// without the latter, this one 94.
const BUDGET: usize = 102;

/// The crates whose public lines are counted.
const COUNTED: [&str; 2] = ["descope-magiclink", "descope-magiclink-web"];

/// Lines of their public listings that begin with `pub`, without the generated `raw`. Whoever adds some raises it in the
/// same commit, and says why there.
const PUBLIC_LINES: usize = 709;

pub(crate) fn deps() -> Outcome {
    let tree =
        "cargo tree --package descope-magiclink --edges normal,build --prefix none --no-dedupe";
    let tree = output(&mut program(tree)?)?;
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
    let root = project::root()?;
    let mut lines = 0;
    for (_, folder) in PACKAGES.iter().filter(|(name, _)| COUNTED.contains(name)) {
        lines += public_lines(&std::fs::read_to_string(root.join(listing(folder)))?);
    }
    print(&format!(
        "{lines} public lines, of a budget of {PUBLIC_LINES}"
    ));
    if lines > PUBLIC_LINES {
        print_error("over the budget: make something private, or raise it with the reason");
        return Ok(false);
    }
    Ok(true)
}

fn public_lines(listing: &str) -> usize {
    listing
        .lines()
        // Pages of the guide are there for rustdoc alone.
        .filter(|line| {
            line.starts_with("pub ") && !line.contains("raw::") && !line.contains("::guide")
        })
        .count()
}

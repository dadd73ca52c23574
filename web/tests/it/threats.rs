//! `threats.md` keeps its word: each row names a test that is there, or says whose matter it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const THREATS: &str = include_str!("../../threats.md");

/// The functions of each source file of the repository, by the name of the file.
fn functions(folder: &Path, found: &mut BTreeMap<String, BTreeSet<String>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let name = path.file_name().unwrap().to_str().unwrap();
            if name != "target" && !name.starts_with('.') {
                functions(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = found
                .entry(path.file_stem().unwrap().to_str().unwrap().to_owned())
                .or_default();
            let mut is_test = false;
            for line in text.lines().map(str::trim_start) {
                is_test |= line.starts_with("#[test") || line.starts_with("#[tokio::test");
                let function = line.trim_start_matches("async ").strip_prefix("fn ");
                if let Some((name, _)) = function.and_then(|rest| rest.split_once('('))
                    && std::mem::take(&mut is_test)
                {
                    names.insert(name.to_owned());
                }
            }
        }
    }
}

/// The cells of each row of the tables.
fn rows() -> impl Iterator<Item = Vec<&'static str>> {
    THREATS
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .filter(|cells: &Vec<&str>| cells.last() != Some(&"test"))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn known() -> BTreeMap<String, BTreeSet<String>> {
    let mut known = BTreeMap::new();
    for folder in ["src", "tests", "web/src", "web/tests"] {
        functions(&root().join(folder), &mut known);
    }
    known
}

#[test]
fn each_sentence_of_the_readmes_about_scanners_names_a_drill_that_is_there() {
    let known = known();
    for readme in ["README.md", "web/README.md"] {
        let text = std::fs::read_to_string(root().join(readme)).unwrap();
        let text = text.replace("\n", " ");
        let mut count = 0;
        // An item of a list, and its parts between semicolons.
        for part in text.split("- ").flat_map(|item| item.split(';')) {
            let is_about = ["scanner", "robot"].iter().any(|word| part.contains(word));
            let drill = part
                .split_once("(drill")
                .and_then(|(_, drill)| drill.split('`').nth(1));
            assert!(
                drill.is_some() || !is_about,
                "{readme}: no drill for {part:?}"
            );
            if let Some(drill) = drill {
                let is_there = known.values().any(|names| names.contains(drill));
                assert!(is_there, "{readme} names {drill}, which is not there");
                count += 1;
            }
        }
        assert!(count > 0, "{readme}");
    }
}

#[test]
fn every_row_names_a_test_that_is_there() {
    let known = known();
    for cells in rows() {
        let (row, last) = (cells[cells.len() - 3], cells[cells.len() - 1]);
        let tests: Vec<&str> = last.split('`').skip(1).step_by(2).collect();
        let is_excused = ["the application's", "the service's"].contains(&last)
            || last
                .strip_prefix("reason: ")
                .is_some_and(|reason| reason.len() > 10);
        assert!(
            !tests.is_empty() || is_excused,
            "no test for {row:?}: {last:?}"
        );
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}"));
            let is_there = known.get(file).is_some_and(|names| names.contains(name));
            assert!(is_there, "{row:?} names {test}, which is not there");
        }
    }
}

#[test]
fn no_row_is_missing() {
    let numbers: BTreeSet<&str> = rows()
        .filter(|row| row.len() == 4)
        .map(|row| row[0])
        .collect();
    let wanted = (1..=35).map(|number| number.to_string());
    for number in wanted.chain(["4b".to_owned()]) {
        assert!(numbers.contains(number.as_str()), "row {number}");
    }
    assert!(rows().count() > 75);
}

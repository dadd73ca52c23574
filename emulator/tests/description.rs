//! The table that is made from the API description and the routes is current.
//!
//! `EMULATOR_UPDATE=1 cargo test -p descope-magiclink-emulator --test description` writes it anew.

#![allow(
    clippy::unwrap_used,
    reason = "a failing test should stop where it fails"
)]

use std::fmt::Write as _;
use std::path::PathBuf;

use descope_magiclink_emulator::supported_operations;
use serde_json::Value;

fn crate_file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), name].iter().collect()
}

/// The curated description; absent when the crate was taken out of its workspace.
fn description() -> Option<Value> {
    let text = std::fs::read_to_string(crate_file("../spec/openapi.yaml")).ok()?;
    Some(serde_saphyr::from_str(&text).unwrap())
}

#[track_caller]
fn is_current(name: &str, wanted: &str) {
    let path = crate_file(name);
    if std::env::var_os("EMULATOR_UPDATE").is_some() {
        std::fs::write(&path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "emulator/{name} is out of date; run: EMULATOR_UPDATE=1 cargo test -p descope-magiclink-emulator --test description"
    );
}

#[test]
fn the_table_of_supported_operations_is_current() {
    let Some(description) = description() else {
        return;
    };
    let mut described: Vec<(String, String, String)> = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            described.push((id.to_owned(), method.to_ascii_uppercase(), path.clone()));
        }
    }
    let supported = supported_operations();
    let mut table = String::from(
        "# Supported operations\n\nMade from the route table of the emulator and the API description; do not edit.\n\n\
         | operation | route | bearer |\n| --- | --- | --- |\n",
    );
    for operation in supported
        .iter()
        .filter(|operation| operation.undocumented.is_none())
    {
        let entry = (
            operation.id.to_owned(),
            operation.method.to_owned(),
            operation.path.to_owned(),
        );
        assert!(
            described.contains(&entry),
            "{entry:?} is not in the description"
        );
        writeln!(
            table,
            "| {} | `{} {}` | {} |",
            operation.id, operation.method, operation.path, operation.bearer
        )
        .unwrap();
    }
    for (id, method, path) in &described {
        assert!(
            supported.iter().any(|operation| operation.id == id),
            "{id} ({method} {path}) is not emulated"
        );
    }
    table.push_str("\nBeyond the description:\n\n| route | bearer | why |\n| --- | --- | --- |\n");
    for operation in &supported {
        if let Some(why) = operation.undocumented {
            writeln!(
                table,
                "| `{} {}` | {} | {why} |",
                operation.method, operation.path, operation.bearer
            )
            .unwrap();
        }
    }
    is_current("SUPPORTED.md", &table);
}

//! The files in `src/raw` are what `spec/openapi.yaml` gives.

use descope_magiclink_codegen::bindings;
use descope_magiclink_codegen::generate::{load, project};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn the_tree_holds_what_the_description_gives() -> Outcome {
    let diff = project::diff(&bindings(&project::spec()?)?)?;
    assert!(
        diff.is_empty(),
        "src/raw is not what spec/openapi.yaml gives; run `cargo xtask codegen`\n{diff}"
    );
    Ok(())
}

#[test]
fn two_runs_give_the_same_bytes() -> Outcome {
    let spec = project::spec()?;
    assert_eq!(bindings(&spec)?, bindings(&spec)?);
    Ok(())
}

/// A description may be written as JSON as well, and the order of its members says nothing.
#[test]
fn the_form_of_the_description_does_not_matter() -> Outcome {
    let spec = project::spec()?;
    let value = load::load(&spec)?.value;
    assert_eq!(bindings(&spec)?, bindings(&serde_json::to_string(&value)?)?);
    Ok(())
}

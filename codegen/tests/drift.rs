//! The generated files are what `spec/openapi.yaml` gives.

use descope_magiclink_codegen::bindings;
use descope_magiclink_codegen::generate::{load, project};

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[test]
fn the_tree_holds_what_the_description_gives() -> Outcome {
    let root = project::root()?;
    let diff = project::diff(&root, &bindings(&project::spec(&root)?)?)?;
    assert!(
        diff.is_empty(),
        "spec/openapi.yaml gives something else; run `cargo xtask codegen`\n{diff}"
    );
    Ok(())
}

/// A description may be written as JSON as well, the order of its members says nothing, and two runs give
/// the same bytes.
#[test]
fn the_form_of_the_description_does_not_matter() -> Outcome {
    let spec = project::spec(&project::root()?)?;
    let value = load::load(&spec)?.value;
    assert_eq!(bindings(&spec)?, bindings(&serde_json::to_string(&value)?)?);
    Ok(())
}

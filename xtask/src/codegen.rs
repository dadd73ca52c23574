//! `cargo xtask codegen`.

use descope_magiclink_codegen::bindings;
use descope_magiclink_codegen::generate::project;

use crate::output::{Outcome, print, print_error};

pub(crate) fn codegen(check: bool) -> Outcome {
    let root = project::root()?;
    let bindings = bindings(&project::spec(&root)?)?;
    if check {
        let diff = project::diff(&root, &bindings)?;
        if diff.is_empty() {
            print("all generated files are up to date");
            return Ok(true);
        }
        print(&diff);
        print_error("the files are not what spec/openapi.yaml gives; run `cargo xtask codegen`");
        return Ok(false);
    }
    let written = project::write(&root, &bindings)?;
    if written.is_empty() {
        print("all generated files are up to date");
    }
    for path in written {
        print(&format!("wrote {path}"));
    }
    Ok(true)
}

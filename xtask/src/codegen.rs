//! `cargo xtask codegen`.

use descope_magiclink_codegen::{bindings, project};

use crate::{Outcome, complain, say};

pub(crate) fn codegen(check: bool) -> Outcome {
    let bindings = bindings(&project::spec()?)?;
    if check {
        let diff = project::diff(&bindings)?;
        if diff.is_empty() {
            say("src/raw is up to date");
            return Ok(true);
        }
        say(&diff);
        complain("src/raw is not what spec/openapi.yaml gives; run `cargo xtask codegen`");
        return Ok(false);
    }
    let written = project::write(&bindings)?;
    if written.is_empty() {
        say("src/raw is up to date");
    }
    for path in written {
        say(&format!("wrote {path}"));
    }
    Ok(true)
}

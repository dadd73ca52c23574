//! The crate exports what `tests/public-api.txt` says and a reviewer has read.

use std::process::Command;

#[test]
fn the_listing_is_what_the_crate_exports() -> Result<(), Box<dyn std::error::Error>> {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["public-api", "--check"])
        .output()?;
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

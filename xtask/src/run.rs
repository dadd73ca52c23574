//! Other programs.

use std::error::Error;
use std::process::Command;

use descope_magiclink_codegen::generate::project;

/// What a program prints.
///
/// # Errors
///
/// When it cannot be started or fails; the message has its own words.
pub(crate) fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("`{name}` cannot be started: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{name}` failed: {}", words.trim()).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A program that works in the project's root.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Result<Command, Box<dyn Error>> {
    let mut command = Command::new(name);
    command.args(arguments).current_dir(project::root()?);
    Ok(command)
}

/// What git prints.
pub(crate) fn git(arguments: &[&str]) -> Result<String, Box<dyn Error>> {
    output(&mut program("git", arguments)?)
}

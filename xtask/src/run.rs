//! Other programs.

use std::env;
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

/// A command in the project's root: its name and arguments, with blanks between.
///
/// # Errors
///
/// When there is no project around the working directory.
pub(crate) fn program(line: &str) -> Result<Command, Box<dyn Error>> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    // The cargo that runs this, and with it its toolchain.
    let running = env::var_os("CARGO").filter(|_| name == "cargo");
    let mut command = Command::new(running.unwrap_or_else(|| name.into()));
    command.args(words).current_dir(project::root()?);
    Ok(command)
}

/// A file of this project as it was at a revision.
///
/// # Errors
///
/// When there was none.
pub(crate) fn show(revision: &str, path: &str) -> Result<String, Box<dyn Error>> {
    output(program("git show")?.arg(format!("{revision}:{path}")))
}

//! The emulator as a program; see `--help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    descope_magiclink_emulator::cli::main()
}

//! The project's chores: `cargo xtask help` lists them.

use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use descope_magiclink_codegen::{bindings, project};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's chores")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Generate src/raw from spec/openapi.yaml
    Codegen {
        /// Write nothing; fail with a diff when the files are not what the description gives
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().chore {
        Chore::Codegen { check } => codegen(check),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn codegen(check: bool) -> Result<ExitCode, Box<dyn Error>> {
    let bindings = bindings(&project::spec()?)?;
    if check {
        let diff = project::diff(&bindings)?;
        if diff.is_empty() {
            say("src/raw is up to date");
            return Ok(ExitCode::SUCCESS);
        }
        say(&diff);
        complain("src/raw is not what spec/openapi.yaml gives; run `cargo xtask codegen`");
        return Ok(ExitCode::FAILURE);
    }
    let written = project::write(&bindings)?;
    if written.is_empty() {
        say("src/raw is up to date");
    }
    for path in written {
        say(&format!("wrote {path}"));
    }
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "a command line's output")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}

#[expect(clippy::print_stderr, reason = "a command line's errors")]
fn complain(text: &str) {
    eprintln!("{text}");
}
